local t = require('harness')
t.live()
local id = t.create('Before the change')
t.wait('listed', function()
  return #t.names() == 1
end)
-- Sub-commands and names complete; only what follows the cursor's word is offered.
t.eq(
  { 'refresh', 'rename', 'restart', 'restore' },
  vim.fn.getcompletion('Pieces re', 'cmdline'),
  'sub-commands'
)
t.eq({ 'Before the change' }, vim.fn.getcompletion('Pieces open Bef', 'cmdline'), 'names')
t.eq(
  { 'the change' },
  vim.fn.getcompletion('Pieces open Before t', 'cmdline'),
  'the rest of a name'
)
t.eq(
  { 'auto', 'local', 'pieces-os' },
  vim.fn.sort(vim.fn.getcompletion('Pieces backend ', 'cmdline')),
  'backends'
)
t.input('After the change')
vim.cmd('Pieces rename Before the change')
t.noticed('Renamed to “After the change”.')
t.eq({ 'After the change' }, t.names(), 'names')
-- In its document no name is needed, and the old one is there to be edited.
vim.cmd('Pieces open ' .. id)
t.opened()
t.input('*Again* changed')
vim.cmd('Pieces rename')
t.noticed('Renamed to “*Again* changed”.')
t.eq({ 'After the change' }, t.asked[#t.asked].shown, 'what is offered')
t.wait('the new title', function()
  return require('pieces.document').title(0) == '*Again* changed'
end)
vim.cmd('Pieces copy ' .. id)
t.eq(t.uri(id), vim.fn.getreg('"'), 'register')
vim.cmd('Pieces refresh')
t.noticed('1 conversation.')
vim.cmd('Pieces nonsense')
t.noticed('There is no `:Pieces nonsense`')
vim.cmd('Pieces log')
t.contains(vim.api.nvim_buf_get_name(0), 'lsp.log', 'log')
