-- `kill -9` of the server: a new one starts by itself, with the same buffers and the same data.
local t = require('harness')
local path = t.file('retry.rs', { 'fn retry() {}' })
t.attached()
t.live()
local id = t.create('Survivor')
vim.cmd.split(t.uri(id))
t.opened()
local first = vim.lsp.get_clients({ name = 'pieces' })[1].id
vim.uv.kill(t.server_pid(), 'sigkill')
t.wait('a new server', function()
  local client = vim.lsp.get_clients({ name = 'pieces' })[1]
  return client and client.id ~= first and client.initialized
end)
t.wait('live', function()
  return require('pieces').status() == 'Pieces local 1'
end)
t.eq({ 'Survivor' }, t.names(), 'nothing lost')
t.wait('attached to the file', function()
  return #vim.lsp.get_clients({ name = 'pieces', bufnr = vim.fn.bufnr(path) }) == 1
end)
t.message(id, 'words after the fall')
t.wait('a document that is still live', function()
  return t.lines():find('words after the fall', 1, true)
end)
-- On purpose, by command.
local second = vim.lsp.get_clients({ name = 'pieces' })[1].id
vim.cmd('Pieces restart')
t.wait('the third server', function()
  local client = vim.lsp.get_clients({ name = 'pieces' })[1]
  return client and client.id ~= second and client.initialized
end)
t.wait('live', function()
  return require('pieces').status() == 'Pieces local 1'
end)
-- Stopped stays stopped until it is needed.
vim.cmd('Pieces stop')
t.wait('stopped', function()
  return #vim.lsp.get_clients({ name = 'pieces' }) == 0
end)
t.eq('', require('pieces').status(), 'status line')
t.answer('Survivor')
vim.cmd.enew()
vim.cmd('Pieces open')
t.eq(id, t.opened(), 'started again on demand')
