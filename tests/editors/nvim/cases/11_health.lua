-- `:checkhealth pieces` is clean on a machine where all is well, and names what is not.
local t = require('harness')
vim.cmd.checkhealth('pieces')
local text = t.lines()
for _, part in ipairs({
  'pieces-lsp ',
  'running: pieces-lsp',
  'live: local at http://127.0.0.1:',
  'picker: select',
}) do
  t.contains(text, part, 'health')
end
t.eq(nil, text:find('ERROR', 1, true), 'errors in ' .. text)
t.eq(nil, text:find('WARNING', 1, true), 'warnings in ' .. text)
vim.g.pieces = vim.tbl_extend('force', vim.g.pieces, { colour = 'red' })
require('pieces').setup({ cmd = { '/nowhere/pieces-lsp' } })
vim.cmd('checkhealth pieces')
t.contains(t.lines(), '`/nowhere/pieces-lsp` was not found', 'health')
t.contains(t.lines(), '`colour` is not an option', 'health')
-- The help file has no duplicate tags, and its tags are those that are shipped.
local doc = vim.api.nvim_get_runtime_file('doc/pieces.txt', false)[1]
local copy = t.scratch .. '/doc'
vim.fn.mkdir(copy)
vim.fn.writefile(vim.fn.readfile(doc), copy .. '/pieces.txt')
vim.cmd.helptags(copy)
t.eq(
  vim.fn.readfile(copy .. '/tags'),
  vim.fn.readfile(vim.fs.dirname(doc) .. '/tags'),
  'the tags that are shipped'
)
