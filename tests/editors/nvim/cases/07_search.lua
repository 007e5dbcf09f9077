-- Words in messages are found, and the conversation they are in is opened.
local t = require('harness')
t.live()
local wanted, other = t.create('One'), t.create('Two')
t.message(wanted, 'Exponential backoff with full jitter')
t.message(other, 'Nothing of the kind')
t.knows(2)
t.answer('backoff')
vim.cmd('Pieces search backoff')
t.eq(wanted, t.opened(), 'opened')
local question = t.question(1)
t.eq('“backoff” (1)', question.prompt, 'prompt')
t.contains(question.shown[1], 'One  · now  · ', 'the name')
-- Without words it asks for them.
t.input('kind')
t.answer('Two')
vim.cmd('Pieces search')
t.wait('the other', function()
  return t.shows(other)
end)
-- In a long conversation the cursor is on the words, even where they are broken over two lines.
local long = t.create('Long')
for number = 1, 30 do
  t.message(long, ('Nothing much, number %d'):format(number))
end
t.message(long, 'Here and there\nיש כאן מחט אחת')
for number = 31, 60 do
  t.message(long, ('Nothing much, number %d'):format(number))
end
t.knows(3)
t.answer('Long')
vim.cmd('Pieces search מחט')
t.wait('the message', function()
  return t.shows(long) and vim.api.nvim_get_current_line() == 'יש כאן מחט אחת'
end)
t.eq('מחט', vim.fn.expand('<cword>'), 'under the cursor')
-- A name that was found is not repeated as if it were a message.
t.answer('Two')
vim.cmd('Pieces search Two')
t.wait('found by its name', function()
  return t.shows(other)
end)
t.contains(t.question(5).shown[1], 'Two  · 1 message, ', 'what is told of it')
vim.cmd('Pieces search nowhere to be found')
t.noticed('“nowhere to be found” (0): nothing there')
