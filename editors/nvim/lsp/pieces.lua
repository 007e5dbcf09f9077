-- The native configuration: found by `vim.lsp.enable('pieces')` and by `vim.lsp.config.pieces`.
return require('pieces.client').config()
