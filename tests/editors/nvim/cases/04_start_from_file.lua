-- `:Pieces start` saves the file, or the selection, and talks about it.
local t = require('harness')
local path = t.file('retry.rs', { '//! Retries with jitter.', 'fn retry() {}', 'fn other() {}' })
vim.cmd('Pieces start')
local first = t.opened()
local list = t.command('pieces.conversations.list', {})
t.eq(1, list.total, 'conversations')
t.eq({ vim.uri_from_fname(vim.uv.fs_realpath(path)) }, list.items[1].files, 'files')
-- Part of another file.
t.file('part.rs', { 'fn kept_out() {}', 'fn chosen() {}', 'fn also_out() {}' })
vim.cmd('2,2Pieces start')
t.wait('the second document', function()
  local now = require('pieces.document').conversation(0)
  return now and now ~= first
end)
local item = t.command('pieces.conversations.list', {}).items[1]
local asset = t.http('GET', '/asset/' .. item.assets[1])
local text = vim.json.encode(asset)
t.contains(text, 'fn chosen() {}', 'the selection')
t.eq(nil, text:find('kept_out', 1, true), 'the rest of the file')
-- Part of the file that another conversation is about.
vim.cmd.edit(path)
vim.cmd('2,3Pieces start')
t.wait('the third conversation', function()
  return t.command('pieces.conversations.list', {}).items[1].name == 'retry.rs, lines 2–3'
end)
-- A buffer without a file has nothing to start from.
vim.cmd.enew()
vim.cmd('Pieces start')
t.noticed('Save this buffer to a file first.')
