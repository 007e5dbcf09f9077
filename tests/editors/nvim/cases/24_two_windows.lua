-- Another Neovim follows an answer that was asked here, and can stop it.
local t = require('harness')
local endpoint = t.endpoint()
endpoint.script({ 'Slowly ', { hold = true }, 'but surely ', { hold = true }, 'done' })
t.live()
vim.cmd('Pieces ask How?')
local id = t.wait('a conversation', function()
  local item = t.command('pieces.conversations.list', {}).items[1]
  return item and item.id
end)
local nvim =
  { vim.v.progpath, '--embed', '--headless', '--clean', '-u', vim.env.TEST_HERE .. '/init.lua' }
local channel = vim.fn.jobstart(nvim, { rpc = true })
local function lua(code)
  return vim.rpcrequest(channel, 'nvim_exec_lua', code, {})
end
lua(("vim.cmd('Pieces open %s')"):format(id))
local function there()
  return lua("return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n')")
end
t.wait('the first word there', function()
  return there():find('Slowly', 1, true)
end)
t.wait('the status there', function()
  return lua("return require('pieces').status()") == 'Pieces local 1 writing…'
end)
endpoint.go()
t.wait('the next words there', function()
  return there():find('Slowly but surely', 1, true)
end)
lua("vim.api.nvim_feedkeys(vim.keycode('<C-c>'), 'mx', false)")
t.wait('stopped here', function()
  return require('pieces').status() == 'Pieces local 1'
end)
t.wait('stopped there', function()
  return lua("return require('pieces').status()") == 'Pieces local 1'
end)
t.eq('hung up', endpoint.asked()[1].ended, 'the endpoint')
t.contains(there(), 'Slowly but surely', 'what was written')
t.eq(nil, there():find('done', 1, true), 'and no more')
vim.fn.jobstop(channel)
