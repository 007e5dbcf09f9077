-- Two Neovims on one store see each other; when the one that serves is killed, the other goes on.
local t = require('harness')
local function second()
  local nvim =
    { vim.v.progpath, '--embed', '--headless', '--clean', '-u', vim.env.TEST_HERE .. '/init.lua' }
  local channel = vim.fn.jobstart(nvim, { rpc = true })
  local function lua(code)
    return vim.rpcrequest(channel, 'nvim_exec_lua', code, {})
  end
  return lua, channel
end
local lua, channel = second()
lua("vim.cmd('Pieces status')")
t.wait('the other is live', function()
  return lua("return (require('pieces').state() or {}).state") == 'live'
end)
t.live()
lua("vim.cmd('Pieces new')")
t.wait('seen here', function()
  return require('pieces').status() == 'Pieces local 1'
end)
vim.cmd('Pieces new')
t.wait('seen there', function()
  return lua("return require('pieces').status()") == 'Pieces local 2'
end)
-- The other Neovim came first, so its server serves.
local serving = t.server_pid()
vim.fn.jobstop(channel)
vim.uv.kill(serving, 'sigkill')
t.wait('another serves', function()
  local read, pid = pcall(t.server_pid)
  return read and pid ~= serving and t.state().state == 'live'
end)
t.eq(2, #t.names(), 'nothing lost')
vim.cmd('Pieces new')
t.wait('three', function()
  return require('pieces').status() == 'Pieces local 3'
end)
