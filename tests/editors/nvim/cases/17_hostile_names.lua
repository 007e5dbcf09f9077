-- Names are only ever shown: in lists, questions, completion, messages and the status line.
local t = require('harness')
local proof = t.scratch .. '/executed'
local touch = ('call writefile([], "%s")'):format(proof)
local names = {
  'one\n:' .. touch .. '\n',
  "%{execute('" .. touch .. "')}",
  '`touch ' .. proof .. '` $(touch ' .. proof .. ')',
  ']==] .. vim.cmd([==[' .. touch .. ']==]) .. [==[',
  '| ' .. touch .. ' | "',
  '\27[2J\27]0;title\7 cleared',
  '<C-u>:' .. touch .. '<CR>',
  '  ',
}
vim.o.statusline = '%f %{v:lua.require("pieces").status()}'
t.live()
for _, name in ipairs(names) do
  t.message(t.create(name), name)
end
t.wait('all of them', function()
  return require('pieces').status() == 'Pieces local ' .. #names
end)
for index, item in ipairs(t.command('pieces.conversations.list', {}).items) do
  local asked = #t.asked
  t.answer(require('pieces.text').clean(item.name, 20):sub(1, 8))
  vim.cmd('Pieces open')
  for _, line in ipairs(t.question(asked + 1).shown) do
    t.eq(nil, line:find('[%c]'), 'control characters in ' .. vim.inspect(line))
  end
  t.opened()
  vim.api.nvim_eval_statusline(vim.o.statusline, {})
  -- As a person does: complete the name, and run what came of it.
  local completed = vim.fn.getcompletion('Pieces copy ', 'cmdline')[index]
  t.eq(nil, completed:find('[%c]'), 'control characters in ' .. vim.inspect(completed))
  local notices = #t.notices
  vim.cmd('Pieces copy ' .. completed)
  t.noticed('Copied', notices)
  t.input(item.name .. '!')
  vim.cmd('Pieces rename')
  -- Some of these the server takes for a name, some it refuses.
  t.wait('an answer', function()
    return #t.notices == notices + 2
  end)
  vim.cmd('redraw!')
end
t.eq(nil, vim.uv.fs_stat(proof), 'something was executed')
