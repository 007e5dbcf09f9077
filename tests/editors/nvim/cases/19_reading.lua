-- A conversation is called by its name everywhere, and its messages can be walked and folded.
local t = require('harness')
t.live()
local id = t.create('Retry: 50% / more?')
for number = 1, 3 do
  t.message(
    id,
    ('question %d\n\n```rust\nfn number_%d() {}\nlet a = 1;\n```\n\nend %d'):format(
      number,
      number,
      number
    )
  )
end
vim.cmd.edit('first.txt')
vim.cmd.edit(t.uri(id))
t.opened()
t.wait('all of it', function()
  return t.lines():find('end 3', 1, true)
end)
t.eq('pieces-conversation:/' .. id .. '/Retry: 50- - more-', vim.api.nvim_buf_get_name(0), 'name')
t.contains(vim.fn.execute('ls'), 'Retry: 50- - more-', ':ls')
t.contains(
  vim.api.nvim_eval_statusline(vim.wo.winbar, { winid = 0 }).str,
  'Retry: 50% / more?',
  'the bar'
)
t.eq('first.txt', vim.fs.basename(vim.fn.bufname('#')), 'the alternate file')
t.eq(0, vim.fn.bufexists(t.uri(id)), 'no second buffer')
-- Whatever form of the link is opened, it is this buffer.
local buf = vim.api.nvim_get_current_buf()
for _, link in ipairs({
  t.uri(id),
  'pieces-conversation:///' .. id,
  'pieces-conversation:/' .. id:upper() .. '.md',
}) do
  vim.cmd.enew()
  vim.cmd.edit(link)
  t.wait(link, function()
    return vim.api.nvim_get_current_buf() == buf
  end)
end
t.contains(t.lines(), 'end 3', 'and it has its text')
-- A rename elsewhere is followed.
t.command('pieces.conversations.rename', { conversation = id, name = 'Shorter' })
t.wait('the new name', function()
  return vim.fn.bufname() == 'pieces-conversation:/' .. id .. '/Shorter'
end)
t.contains(vim.api.nvim_eval_statusline(vim.wo.winbar, { winid = 0 }).str, 'Shorter', 'the bar')
t.attached()
-- From message to message.
vim.api.nvim_win_set_cursor(0, { 1, 0 })
local places = {}
for _ = 1, 3 do
  t.keys(']]')
  places[#places + 1] = vim.api.nvim_win_get_cursor(0)[1]
end
for number, line in ipairs(places) do
  local below = table.concat(vim.api.nvim_buf_get_lines(0, line - 1, line + 6, false), '\n')
  t.contains(below, 'question ' .. number, 'message ' .. number)
end
t.keys(']]')
t.eq(places[3], vim.api.nvim_win_get_cursor(0)[1], 'at the last one')
t.keys('2[[')
t.eq(places[1], vim.api.nvim_win_get_cursor(0)[1], 'two back')
-- A message is a fold, open at first.
t.wait('folds', function()
  return vim.fn.foldlevel(places[2] + 2) > 0
end)
t.eq(-1, vim.fn.foldclosed(places[2]), 'open')
vim.api.nvim_win_set_cursor(0, { places[2] + 2, 0 })
t.keys('zc')
t.eq(places[2], vim.fn.foldclosed(places[2] + 2), 'closed')
t.keys('zR')
-- Code is a text object.
vim.fn.search('number_2')
t.keys('yic')
t.eq('fn number_2() {}\nlet a = 1;\n', vim.fn.getreg('"'), 'inside the fences')
t.keys('yac')
t.eq('```rust\nfn number_2() {}\nlet a = 1;\n```\n', vim.fn.getreg('"'), 'with them')
vim.api.nvim_win_set_cursor(0, { 1, 0 })
vim.fn.setreg('"', 'untouched')
t.keys('yic')
t.eq('untouched', vim.fn.getreg('"'), 'outside')
-- Without keys of ours, if that is wished for.
vim.g.pieces =
  vim.tbl_extend('force', vim.g.pieces, { maps = false, winbar = false, folds = false })
vim.cmd.bwipeout()
vim.cmd.edit(t.uri(id))
t.opened()
t.eq('', vim.fn.maparg('ic', 'o'), 'the map')
t.contains(
  vim.fn.maparg('<Plug>(pieces-inner-code)', 'o', false, true).desc,
  'code block',
  'its name'
)
t.eq('', vim.wo.winbar, 'the bar')
