-- The same through `vim.lsp.buf.code_action`: start, open, and delete with a question.
local t = require('harness')
local path = t.file('retry.rs', { '//! Retries with jitter.', 'fn retry() {}' })
t.attached()
t.live()
t.answer('Start a conversation about retry.rs')
vim.lsp.buf.code_action({ context = { only = { 'pieces.start' }, diagnostics = {} } })
local id = t.opened()
t.eq(1, #t.names(), 'conversations')
-- The file has a conversation now: open it from there.
vim.cmd.edit(path)
t.answer('Open')
vim.lsp.buf.code_action({ context = { only = { 'pieces.open' }, diagnostics = {} } })
t.wait('its document', function()
  return t.shows(id)
end)
-- An id in a comment can be deleted; saying no keeps it.
t.file('note.txt', { 'see ' .. id })
t.attached()
vim.api.nvim_win_set_cursor(0, { 1, 8 })
local function delete(answer)
  t.answer('Delete')
  t.answer(answer)
  vim.lsp.buf.code_action({ context = { only = { 'pieces.delete' }, diagnostics = {} } })
end
local asked = #t.asked
delete('Cancel')
t.question(asked + 2)
t.eq(1, #t.names(), 'after a no')
delete('Delete')
t.wait('gone', function()
  return #t.names() == 0
end)
