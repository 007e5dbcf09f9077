-- The configuration of every test: the plugin as a package, a server with a store of its own.
vim.opt.packpath:prepend(vim.env.TEST_SITE)
vim.opt.swapfile = false
vim.opt.shadafile = 'NONE'
vim.g.pieces = {
  cmd = { vim.env.TEST_BINARY, '--data-dir', vim.env.TEST_DATA },
  picker = 'select',
  settings = { backend = vim.env.TEST_BACKEND or 'local', url = vim.env.TEST_URL },
}
vim.cmd.packadd({ 'pieces', bang = true })
