-- Code of an answer goes where it is wanted.
local t = require('harness')
local endpoint = t.endpoint()
endpoint.script({
  'Two:\n\n```rust\nfn first() {}\n```\n\nand\n\n```lua\nlocal second = 2\nreturn second\n```\n',
})
t.live()
local path = t.file('retry.rs', { 'fn retry() {}', '', 'fn last() {}' })
vim.cmd('1,1Pieces ask Show me')
local id = t.answered()
local win = vim.api.nvim_get_current_win()
-- Below the line of the cursor, from the file: which block is asked.
vim.api.nvim_win_set_cursor(win, { 3, 0 })
t.answer('2 lines, local second')
vim.cmd('Pieces insert')
t.wait('at the end', function()
  return t.lines() == 'fn retry() {}\n\nfn last() {}\nlocal second = 2\nreturn second'
end)
t.contains(t.question(1).shown[1], '1 line, fn first() {}', 'the other one')
-- In place of an empty line, from the conversation.
vim.api.nvim_win_set_cursor(win, { 2, 0 })
local buf = require('pieces.document').buffer_of(id)
vim.api.nvim_set_current_win(vim.fn.win_findbuf(buf)[1])
vim.fn.search('fn first')
vim.cmd('Pieces insert')
t.wait('in the middle', function()
  return t.lines(vim.fn.bufnr(path)):find('^fn retry%(%) {}\nfn first%(%) {}\nfn last')
end)
-- <CR> on a block says what there is.
t.answer('Copy')
t.keys('<CR>')
t.noticed('Copied 1 line.')
t.eq('fn first() {}\n', vim.fn.getreg('"'), 'the register')
local shown = t.question(2).shown
t.contains(table.concat(shown, '\n'), 'Insert at the cursor of retry.rs', 'choices')
t.answer('Open in a new buffer')
vim.fn.search('local second')
t.keys('<CR>')
t.wait('a new buffer', function()
  return t.lines() == 'local second = 2\nreturn second' and vim.bo.filetype == 'lua'
end)
vim.cmd.quit({ bang = true })
vim.api.nvim_set_current_win(vim.fn.win_findbuf(buf)[1])
t.answer('Compare with retry.rs')
vim.fn.search('fn first')
t.keys('<CR>')
t.wait('two windows that are compared', function()
  return vim.wo.diff and t.lines() == 'fn first() {}' and vim.bo.filetype == 'rust'
end)
