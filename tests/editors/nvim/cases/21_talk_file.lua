-- A talk file, with Neovim's own code actions and nothing of the plugin: sent, answered while somebody types,
-- undone, closed.
local t = require('harness')
local endpoint = t.endpoint()
endpoint.script({ 'One two.\n\nThree four.\n\nFi', { hold = true }, 've six.' })
t.file('retry.rs', { 'fn retry() {', '    loop {}', '}' })
t.live()

local function client()
  return vim.lsp.get_clients({ name = 'pieces' })[1]
end

local function run(title)
  local found = t.wait(title, function()
    local line = vim.api.nvim_win_get_cursor(0)[1] - 1
    local at = { line = line, character = 0 }
    local answer = client():request_sync('textDocument/codeAction', {
      textDocument = { uri = vim.uri_from_bufnr(0) },
      range = { start = at, ['end'] = at },
      context = { diagnostics = {}, only = { 'pieces.ask' }, triggerKind = 1 },
    }, 5000, 0)
    for _, action in ipairs(answer and answer.result or {}) do
      if action.title == title then
        return action
      end
    end
  end)
  client():exec_cmd(found.command)
end

local function text()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), '\n')
end

local function has(part)
  t.wait(part .. ' in the file', function()
    return text():find(part, 1, true)
  end)
end

run('Ask about this file…')
t.wait('the talk file', function()
  return vim.api.nvim_buf_get_name(0):find('/talk/', 1, true)
end)
t.contains(text(), '# A question about retry.rs', 'the talk file')
t.eq('', vim.api.nvim_get_current_line(), 'the line of the cursor')
t.wait('the client in the talk file', function()
  return #vim.lsp.get_clients({ name = 'pieces', bufnr = 0 }) > 0
end)
vim.api.nvim_set_current_line('Why does it loop?')
run('Send')
has('\n\nOne two.\n\nThree four.\n\n## You\n')
t.eq(nil, text():find('Fi', 1, true), 'half a paragraph')
-- Typing meanwhile.
vim.cmd('normal! GoAnd then?')
endpoint.go()
has('\n\nThree four.\n\nFive six.\n\n*other')
t.eq('And then?', vim.fn.getline('$'), 'what was typed meanwhile')
t.eq(1, select(2, text():gsub('One two%.', '')), 'times that it was written')
-- The edits can be undone, and nothing writes them again.
vim.cmd('silent undo 0')
t.eq(nil, text():find('Five six', 1, true), 'undone')
vim.cmd('silent redo')
vim.cmd('silent redo')
-- Closed, the file on disk is as the conversation is, with what was typed.
local path = vim.api.nvim_buf_get_name(0)
vim.cmd('silent later 1h')
has('Five six.')
t.wait('the draft to be stored', function()
  local stored = vim.json.decode(table.concat(vim.fn.readfile((path:gsub('%.md$', '.json')))))
  return stored.draft == 'And then?'
end)
vim.cmd('bdelete!')
t.wait('the file on disk', function()
  local disk = table.concat(vim.fn.readfile(path), '\n')
  return disk:find('Why does it loop?\n\n## Assistant', 1, true)
    and disk:find('Five six.', 1, true)
    and disk:find('And then?', 1, true)
end)
