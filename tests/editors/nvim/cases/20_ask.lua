-- Asking from a file and in a conversation: typed in a window of its own, answered live, stopped, kept.
local t = require('harness')
local endpoint = t.endpoint()
endpoint.script({ 'Use ', { hold = true }, 'full jitter.' })
vim.o.columns = 140
vim.o.lines = 40
t.live()
-- About two lines of a file, with the words on the command line.
t.file('retry.rs', { 'fn kept_out() {}', 'fn retry() {}', 'fn pause() {}' })
local file = vim.api.nvim_get_current_win()
vim.cmd('2,3Pieces ask Why does this wait?')
local buf = t.wait('the conversation', function()
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    local shown = vim.api.nvim_win_get_buf(win)
    if require('pieces.document').conversation(shown) and t.lines(shown):find('Use', 1, true) then
      return shown
    end
  end
end)
local id = require('pieces.document').conversation(buf)
t.eq(file, vim.api.nvim_get_current_win(), 'the cursor stays where it was')
t.eq('Pieces local 1 writing…', require('pieces').status(), 'status line')
local body = vim.json.encode(endpoint.asked()[1].body)
t.contains(body, 'Why does this wait?', 'asked')
t.contains(body, 'fn pause() {}', 'asked')
t.eq(nil, body:find('kept_out', 1, true), 'the rest of the file')
vim.cmd('Pieces')
t.wait('the list says it too', function()
  return t.lines():find(' writing     2  Why does this wait?', 1, true)
end)
t.keys('q')
local marks = vim.api.nvim_get_namespaces()['pieces.transcript']
local function mark()
  local found = vim.api.nvim_buf_get_extmarks(buf, marks, 0, -1, { details = true })[1]
  return found and found[4].virt_lines[1][1][1]
end
t.eq('▍ writing, <C-c> stops', mark(), 'at the end of the conversation')
endpoint.go()
t.wait('the whole answer', function()
  return t.lines(buf):find('Use full jitter.', 1, true)
    and require('pieces').status() == 'Pieces local 1'
end)
t.eq(nil, mark(), 'no mark')
-- A follow-up: `i` opens a window below, `:w` sends.
vim.api.nvim_set_current_win(vim.fn.win_findbuf(buf)[1])
t.keys('i')
local prompt = t.wait('the prompt', function()
  return vim.api.nvim_buf_get_name(0):find('^pieces%-ask:') and vim.api.nvim_get_current_buf()
end)
t.wait('which model', function()
  local bar = vim.api.nvim_eval_statusline(vim.wo.winbar, { winid = 0, maxwidth = 200 }).str
  return bar:find(':w sends, q keeps the draft · other', 1, true)
    and bar:find('ask: Why does this wait?', 1, true)
end)
t.attached()
vim.cmd('Pieces model scripted')
t.noticed('scripted answers from now on.')
vim.cmd.stopinsert()
t.keys('ggcGAnd in Go?<CR><CR>The same?<Esc>')
t.eq(false, vim.bo.modified, 'nothing for :wa to send')
vim.cmd('silent! wall')
t.eq(1, #endpoint.asked(), 'questions after :wa')
endpoint.script({ 'In Go ', 'too.' })
vim.cmd.write()
t.wait('answered', function()
  return t.lines(buf):find('In Go too.', 1, true)
end)
t.eq('', t.lines(prompt), 'the prompt is empty again')
t.eq(prompt, vim.api.nvim_get_current_buf(), 'and still there')
local second = endpoint.asked()[2].body
t.eq('scripted', second.model, 'the chosen model')
t.eq('And in Go?\n\nThe same?', second.messages[#second.messages].content, 'asked')
t.contains(vim.json.encode(second), 'full jitter.', 'the conversation goes with it')
-- Stopped from the prompt: what was written stays.
endpoint.script({ 'Never ', { hold = true }, 'ending' })
t.keys('ggcGOn and on?<Esc>')
vim.cmd.write()
t.wait('the beginning', function()
  return t.lines(buf):find('Never', 1, true)
end)
t.keys('ggcGMeanwhile typed<Esc>')
vim.cmd.write()
t.noticed('An answer is being written; <C-c> stops it.')
t.keys('<C-c>')
t.wait('stopped', function()
  return require('pieces').status() == 'Pieces local 1' and endpoint.asked()[3].ended == 'hung up'
end)
t.contains(t.lines(buf), 'Never', 'what was written')
t.eq('Meanwhile typed', t.lines(prompt), 'what was typed meanwhile')
-- The draft outlives its window and its buffer.
t.keys('q')
vim.api.nvim_buf_delete(prompt, { force = true })
vim.api.nvim_set_current_win(vim.fn.win_findbuf(buf)[1])
t.keys('a')
t.wait('the draft', function()
  return t.lines() == 'Meanwhile typed'
end)
local state = vim.fn.stdpath('state') .. '/pieces/drafts'
local draft = vim.fn.glob(state .. '/*')
t.eq('rw-------', vim.fn.getfperm(draft), 'readable for its user only')
t.eq('rwx------', vim.fn.getfperm(state), 'and its folder')
vim.api.nvim_buf_set_lines(0, 0, -1, false, {})
t.keys('q')
t.eq('', vim.fn.glob(state .. '/*'), 'no draft is left')
-- Lines of a conversation are quoted.
vim.fn.search('In Go too')
vim.cmd('.Pieces ask')
t.wait('the quote', function()
  return t.lines() == '> In Go too.\n\n'
end)
t.keys('q')
-- One of the first questions is asked again, differently, in a new conversation.
vim.fn.search('^Why does this wait', 'w')
vim.cmd('Pieces again')
t.wait('its text', function()
  return t.lines():find('Why does this wait?', 1, true) and vim.bo.buftype == 'acwrite'
end)
endpoint.script({ 'Differently.' })
vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'Why not?' })
vim.cmd.write()
t.wait('a second conversation', function()
  local items = t.command('pieces.conversations.list', {}).items
  return #items == 2 and items[1].id ~= id and items[1].messages == 2
end)
