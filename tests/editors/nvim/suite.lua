-- One case in a Neovim of its own: `nvim --headless --clean -u init.lua -c 'luafile suite.lua'`.
package.path = vim.env.TEST_HERE .. '/?.lua;' .. package.path
local ran, why = xpcall(dofile, debug.traceback, vim.env.TEST_CASE)
require('harness').cleanup()
if not ran then
  io.stderr:write(why, '\n')
  vim.cmd.cquit()
end
-- As a person leaves: the server must be gone without being killed.
vim.cmd('qall!')
