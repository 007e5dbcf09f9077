-- No file, no buffer, no setup: `:Pieces` starts the server when it is needed.
local t = require('harness')
t.eq('', require('pieces').status(), 'status line before')
t.eq({}, vim.lsp.get_clients(), 'clients before')
vim.cmd('Pieces new')
local id = t.opened()
t.eq(
  'pieces-conversation:/' .. id .. '/New Conversation',
  vim.api.nvim_buf_get_name(0),
  'the document'
)
t.wait('the status line', function()
  return require('pieces').status() == 'Pieces local 1'
end)
t.eq(1, #vim.lsp.get_clients(), 'clients after')
t.eq(false, vim.bo.modifiable, 'modifiable')
