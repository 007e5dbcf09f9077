-- A Pieces OS that goes away and comes back: said so, then live again with what has changed.
local t = require('harness')
local service = t.service(0)
local id = t.create('Before', service.url)
vim.cmd('Pieces backend pieces-os ' .. service.url)
t.wait('live', function()
  return t.state().state == 'live' and t.state().backend == 'pieces-os'
end)
t.wait('the status line', function()
  return require('pieces').status() == 'Pieces 1'
end)
vim.cmd.edit(t.uri(id))
t.opened()
service.kill()
t.wait('offline', function()
  return require('pieces').status() == 'Pieces offline'
end)
t.contains(t.state().error, '.', 'the sentence')
vim.cmd('Pieces new')
t.wait('a refusal', function()
  return #t.notices > 1
end)
t.service(service.port)
t.create('While away', service.url)
t.message(id, 'words while away', service.url)
t.wait('live again', function()
  return require('pieces').status() == 'Pieces 2'
end)
t.wait('the document', function()
  return t.lines():find('words while away', 1, true)
end)
-- And to the local service, which has nothing yet.
vim.cmd('Pieces backend local')
t.wait('local', function()
  return require('pieces').status() == 'Pieces local 0'
end)
