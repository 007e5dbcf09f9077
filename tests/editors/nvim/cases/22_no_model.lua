-- Without a model the prompt says how to get one, before anything is typed, and nothing typed is lost.
local t = require('harness')
t.live()
t.file('retry.rs', { 'fn retry() {}' })
vim.cmd('Pieces ask')
local buf = t.wait('the prompt', function()
  return vim.bo.buftype == 'acwrite' and vim.api.nvim_get_current_buf()
end)
local namespace = vim.api.nvim_get_namespaces()['pieces.prompt']
local note = t.wait('the note', function()
  local mark = vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { details = true })[1]
  return mark
    and vim
      .iter(mark[4].virt_lines)
      :map(function(line)
        return line[1][1]
      end)
      :join(' ')
end)
t.contains(note, 'No model answers yet', 'the note')
t.contains(note, 'pieces-lsp model use URL', 'the note')
t.contains(
  vim.api.nvim_eval_statusline(vim.wo.winbar, { winid = 0 }).str,
  'ask: retry.rs',
  'the bar'
)
vim.api.nvim_buf_set_lines(buf, 0, -1, false, { 'Why?' })
local notices = #t.notices
vim.cmd.write()
t.wait('a sentence', function()
  return #t.notices > notices and t.notices[#t.notices]:find('model', 1, true)
end)
vim.cmd('Pieces model')
t.noticed('No model answers yet', notices)
-- The question is a draft again, or it is kept in its conversation.
local kept = t.command('pieces.conversations.list', {}).items[1]
if kept then
  local items = t.command('pieces.conversations.messages', { conversation = kept.id }).items
  t.eq('unanswered', items[1].state, 'the state of the question')
else
  vim.cmd('Pieces ask')
  t.wait('the draft', function()
    return t.lines() == 'Why?'
  end)
end
