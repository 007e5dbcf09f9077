-- Five thousand conversations: grouped by day, walked by keys, and found; names in every script stay whole.
local t = require('harness')
local NAMES = {
  'איך לבטל commit 47',
  '👩🏽‍💻 pair session',
  'می‌خواهم بدانم',
  'Terra',
  'Terra',
}
local now = os.time()
local lines = { vim.json.encode({ export = { format = 1, version = '0.1.0' } }) }
for number = 1, 5000 do
  local at = os.date('!%Y-%m-%dT%H:%M:%SZ', now - (number - 1) * 14400)
  lines[#lines + 1] = vim.json.encode({
    conversation = {
      id = ('00000000-0000-4000-8000-%012d'):format(number),
      created = { value = at },
      updated = { value = at },
      name = NAMES[number] or ('Conversation %d'):format(number),
      type = 'COPILOT',
    },
  })
end
lines[#lines + 1] = vim.json.encode({ ['end'] = { objects = 5000 } })
vim.fn.writefile(lines, t.scratch .. '/many.jsonl')
t.live()
vim.cmd('Pieces import ' .. t.scratch .. '/many.jsonl')
t.noticed('Imported: 5000 new')
t.wait('all of them', function()
  return require('pieces').status() == 'Pieces local 5000'
end)
vim.cmd('Pieces')
t.wait('the list', function()
  return vim.bo.filetype == 'pieces' and vim.api.nvim_buf_line_count(0) > 5000
end)
-- The age stands before the name, so a name that is written from right to left has nothing behind it.
for index, name in ipairs(NAMES) do
  local line = vim.api.nvim_buf_get_lines(0, index, index + 1, false)[1]
  if line ~= 'Yesterday' and index < 4 then
    assert(vim.endswith(line, '  ' .. name), line)
  end
end
local days = {}
for _, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
  if not vim.startswith(line, ' ') then
    days[#days + 1] = line
  end
end
t.eq('Today', days[1], 'the first day')
assert(vim.tbl_contains(days, 'Last 7 days'), 'a week')
t.eq(os.date('%Y', now - 4999 * 14400), days[#days], 'the oldest')
t.eq(#days, #vim.tbl_keys(vim.iter(days):fold({}, function(all, day)
  all[day] = true
  return all
end)), 'each day once')
-- From day to day.
t.keys('gg]]')
t.eq(days[2], vim.api.nvim_get_current_line(), 'the second day')
t.keys('[[')
t.eq(days[1], vim.api.nvim_get_current_line(), 'the first one')
vim.fn.search('Conversation 4711')
t.keys('<CR>')
t.wait('an old one', function()
  return t.shows('00000000-0000-4000-8000-000000004711')
end)
-- One change rewrites one line, and the cursor stays where it was.
vim.cmd('Pieces')
t.wait('the list', function()
  return vim.bo.filetype == 'pieces'
end)
vim.fn.search('Conversation 4711')
local first = vim.fn.line('w0')
t.create('New')
t.wait('one more', function()
  return vim.api.nvim_buf_get_lines(0, 1, 2, false)[1]:find('New', 1, true)
end)
t.contains(vim.api.nvim_get_current_line(), 'Conversation 4711', 'under the cursor')
assert(math.abs(vim.fn.line('w0') - first) <= 1, 'the view stays')
