if vim.g.loaded_pieces then
  return
end
vim.g.loaded_pieces = true

if vim.fn.has('nvim-0.11') == 0 then
  vim.notify('pieces: Neovim 0.11 or newer is needed.', vim.log.levels.WARN)
  return
end

vim.api.nvim_create_user_command('Pieces', function(args)
  require('pieces.command').run(args)
end, {
  nargs = '*',
  range = true,
  desc = 'Pieces conversations',
  complete = function(...)
    return require('pieces.command').complete(...)
  end,
})

local group = vim.api.nvim_create_augroup('pieces', {})
vim.api.nvim_create_autocmd('BufReadCmd', {
  group = group,
  pattern = { 'pieces-conversation:/*', 'pieces-asset:/*' },
  desc = 'Read a conversation or an asset from pieces-lsp',
  callback = function(event)
    require('pieces.document').read(event.buf)
  end,
})
vim.api.nvim_create_autocmd('BufReadCmd', {
  group = group,
  pattern = 'pieces://conversations',
  desc = 'Read the list of conversations from pieces-lsp',
  callback = function(event)
    require('pieces.list').read(event.buf)
  end,
})

-- Reading the settings here would load modules at every start: one field is enough.
local settings = vim.g.pieces
if type(settings) ~= 'table' or settings.enable ~= false then
  vim.lsp.enable('pieces')
end
