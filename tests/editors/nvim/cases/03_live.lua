-- What another client does is seen at once, in the status line and in the open document.
local t = require('harness')
t.live()
local events = {}
vim.api.nvim_create_autocmd('User', {
  pattern = 'PiecesConversations',
  callback = function(event)
    events[#events + 1] = event.data
  end,
})
local id = t.create('From elsewhere')
t.wait('one', function()
  return require('pieces').status() == t.label .. ' 1'
end)
t.eq(id, events[1].upserted[1].id, 'the event')
vim.cmd.edit(t.uri(id))
t.opened()
t.remove(id)
t.wait('none', function()
  return require('pieces').status() == t.label .. ' 0'
end)
t.contains(t.lines(), 'From elsewhere', 'what was read stays')
local namespace = vim.api.nvim_get_namespaces()['pieces.document']
local marks = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })
t.contains(marks[1][4].virt_text[1][1], 'Deleted.', 'the note')
