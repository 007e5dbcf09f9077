-- Many conversations never fill the screen with a pager: beyond twenty, a choice is a buffer too.
local t = require('harness')
t.live()
local ids = {}
for number = 1, 25 do
  ids[number] = t.create(('Conversation %02d'):format(number))
end
t.wait('all of them', function()
  return require('pieces').status() == t.label .. ' 25'
end)
vim.o.lines = 24
vim.cmd('Pieces open')
t.wait('a buffer to choose from', function()
  return vim.startswith(vim.api.nvim_buf_get_name(0), 'pieces://choice/')
end)
t.eq({}, t.asked, 'questions')
t.eq(25, vim.api.nvim_buf_line_count(0), 'entries')
assert(vim.api.nvim_win_get_height(0) <= 12, 'half of the screen at most')
vim.fn.search('Conversation 07')
t.keys('<CR>')
t.wait('the chosen one', function()
  return t.shows(ids[7])
end)
t.eq(1, #vim.api.nvim_tabpage_list_wins(0), 'windows')
-- None chosen: nothing happens.
vim.cmd.enew()
vim.cmd('Pieces delete')
t.wait('a buffer to choose from', function()
  return vim.startswith(vim.api.nvim_buf_get_name(0), 'pieces://choice/')
end)
t.keys('q')
t.eq(25, #t.names(), 'conversations')
-- Twenty or fewer are a question.
t.answer('Conversation 19')
vim.cmd('Pieces open Conversation 1')
t.wait('the other one', function()
  return t.shows(ids[19])
end)
assert(#t.question(1).shown <= 20, 'entries of the question')
