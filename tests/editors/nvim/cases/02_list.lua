-- `:Pieces` is a buffer: it has what the store has, follows it, and has a key for what can be done.
local t = require('harness')
t.live()
vim.cmd('Pieces')
t.wait('the list', function()
  return vim.api.nvim_buf_get_name(0) == 'pieces://conversations'
end)
t.contains(t.lines(), 'No conversations yet.', 'an empty list')
local other = vim.fn.winnr('#')
local older, newer = t.create('Retry with jitter'), t.create('Half-open sockets')
t.message(older, 'How long should the first pause be?')
t.wait('both, the one with a message first', function()
  return t.lines():find(
    'Today\n     now     1  Retry with jitter\n     now     0  Half-open sockets',
    1,
    true
  )
end)
t.eq(false, vim.bo.modifiable, 'modifiable')
t.eq(false, vim.bo.buflisted, 'listed')
-- What is found stays under the cursor when something arrives above it.
vim.fn.search('Half-open')
local arrived = t.create('مرحبا بالعالم')
t.wait('the third', function()
  return t.lines():find('مرحبا', 1, true)
end)
t.contains(vim.api.nvim_get_current_line(), 'Half-open sockets', 'under the cursor')
t.contains(
  vim.api.nvim_eval_statusline(vim.wo.winbar, { winid = 0 }).str,
  'Conversations (3)',
  'the bar'
)
-- Opened beside the list, which stays.
t.keys('<CR>')
t.wait('the conversation', function()
  return t.shows(newer)
end)
t.eq(other, vim.fn.winnr(), 'the window before')
t.eq(2, #vim.api.nvim_tabpage_list_wins(0), 'windows')
vim.cmd('Pieces')
t.wait('back in the list', function()
  return vim.bo.filetype == 'pieces'
end)
t.eq(2, #vim.api.nvim_tabpage_list_wins(0), 'windows')
vim.fn.search('Retry')
t.keys('p')
t.eq('pieces', vim.bo.filetype, 'a preview leaves the cursor here')
t.eq(
  older,
  require('pieces.document').conversation(vim.api.nvim_win_get_buf(vim.fn.win_getid(other))),
  'previewed'
)
t.keys('y')
t.eq(t.uri(older), vim.fn.getreg('"'), 'the link')
-- Renamed, deleted and brought back.
t.input('Retry without jitter')
t.keys('r')
t.noticed('Renamed to “Retry without jitter”.')
t.wait('the new name', function()
  return t.lines():find('Retry without jitter', 1, true)
end)
vim.fn.search('Half-open')
t.keys('dd')
t.noticed('Deleted “Half-open sockets”. u brings it back.')
t.wait('without it', function()
  return not t.lines():find('Half-open', 1, true)
end)
t.keys('u')
t.noticed('Restored “Half-open sockets”.')
t.wait('with it', function()
  return t.lines():find('Half-open', 1, true)
end)
t.keys('u')
t.noticed('Nothing was deleted here.')
-- The keys are shown, and every one of them has a name to be mapped by.
t.keys('?')
local help = t.lines()
for _, key in ipairs({ '<CR>', 'dd', 'rename it', 'search in all messages' }) do
  t.contains(help, key, 'the keys')
end
t.keys('q')
t.eq('pieces', vim.bo.filetype, 'the window of the keys has gone')
t.contains(vim.fn.maparg('<Plug>(pieces-delete)', 'n', false, true).desc, 'delete', 'a name')
t.eq({}, t.asked[2] or {}, 'questions beside the new name')
-- With words, the server's index is searched.
vim.cmd('Pieces list sockets')
t.wait('the match alone', function()
  return t.lines():find('“sockets”\n', 1, true)
    and #vim.api.nvim_buf_get_lines(0, 0, -1, false) == 2
end)
vim.cmd('Pieces list no such words')
t.wait('a sentence', function()
  return t.lines() == 'No conversation is called “no such words”.'
end)
t.keys('q')
t.eq(1, #vim.api.nvim_tabpage_list_wins(0), 'windows in the end')
-- What changes meanwhile is there when the list is shown again.
t.remove(arrived)
t.create('While nobody looked')
t.wait('known', function()
  return vim.tbl_contains(t.names(), 'While nobody looked')
end)
vim.cmd('vertical Pieces')
t.wait('the list', function()
  return t.lines():find('While nobody looked', 1, true)
    and not t.lines():find('مرحبا', 1, true)
end)
t.eq('row', vim.fn.winlayout()[1], 'a modifier says where')
