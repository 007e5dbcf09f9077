-- The first minute of a person who has followed the README.
local function check()
  vim.cmd.help('pieces')
  assert(vim.fn.expand('%:t') == 'pieces.txt', 'the help')
  vim.cmd.help(':Pieces-list')
  vim.cmd('Pieces new')
  assert(
    vim.wait(30000, function()
      return vim.api.nvim_buf_get_name(0):find('/New Conversation$') ~= nil
    end, 10),
    'no conversation: ' .. vim.fn.execute('messages')
  )
end
local ran, why = xpcall(check, debug.traceback)
if not ran then
  io.stderr:write(why, '\n')
  vim.cmd.cquit()
end
vim.cmd('qall!')
