-- Without the server, files open in silence and `:Pieces` says what to do.
local t = require('harness')
require('pieces').setup({ cmd = { 'pieces-lsp-that-is-not-there' } })
t.file('retry.rs', { 'fn retry() {}' })
vim.cmd('redraw')
t.eq({}, t.notices, 'notices on opening a file')
vim.cmd('Pieces list')
t.noticed('Install pieces-lsp, or set vim.g.pieces')
t.eq(1, #t.notices, 'notices')
