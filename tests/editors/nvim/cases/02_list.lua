-- The list has what the store has, says how many, and opens what is chosen.
local t = require('harness')
t.live()
vim.cmd('Pieces list')
t.noticed('Conversations (0): nothing there')
local older, newer = t.create('Retry with jitter'), t.create('Half-open sockets')
t.message(older, 'How long should the first pause be?')
t.wait('both, and the message', function()
  local items = t.command('pieces.conversations.list', {}).items
  return #items == 2 and items[1].messages == 1
end)
t.answer('Half-open')
vim.cmd('Pieces list')
t.eq(newer, t.opened(), 'opened')
local question = t.question(1)
t.eq('Conversations (2)', question.prompt, 'prompt')
t.contains(question.shown[1], 'Retry with jitter  · 1 message, just now', 'newest first')
-- With words, the server's index is searched.
t.answer('Retry')
vim.cmd('Pieces list jitter')
t.wait('the other one', function()
  return vim.api.nvim_buf_get_name(0) == t.uri(older)
end)
t.eq('Conversations (1)', t.question(2).prompt, 'prompt of the search')
-- A name that only one has opens without a question.
vim.cmd('Pieces open Half-open sockets')
t.wait('by name', function()
  return vim.api.nvim_buf_get_name(0) == t.uri(newer)
end)
