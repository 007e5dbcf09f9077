-- What is shown of names is one harmless line; times are said as people say them.
local t = require('harness')
local text = require('pieces.text')
for given, shown in pairs({
  ['a\nb\tc\r\0d'] = 'a b c d',
  ['  spaces   inside  '] = 'spaces inside',
  ['\226\128\174evil\226\128\172'] = 'evil',
  ['\226\128\141a\226\128\141b'] = 'ab',
  ['👩🏽‍💻 pair session'] = '👩🏽‍💻 pair session',
  ['می‌خواهم'] = 'می‌خواهم',
  ['क्‍ष'] = 'क्‍ष',
  ['\226\129\166x\226\129\169'] = 'x',
  ['\239\187\191bom'] = 'bom',
  ['\194\155[31mred'] = '[31mred',
  ['Ünïcödé 日本'] = 'Ünïcödé 日本',
}) do
  t.eq(shown, text.clean(given), vim.inspect(given))
end
t.eq('', text.clean(nil), 'nothing')
t.eq(10, vim.fn.strchars(text.clean(('日'):rep(50), 10)), 'width')
for given, said in pairs({
  ['2026-11-20T11:59:30Z'] = 'just now',
  ['2026-11-20T11:30:00.123456Z'] = '30 min ago',
  ['2026-11-20T09:00:00Z'] = '3 h ago',
  ['2026-11-17T12:00:00Z'] = '3 d ago',
  ['2026-01-02T12:00:00Z'] = '10 mo ago',
  ['2024-01-02T12:00:00Z'] = '2 y ago',
  ['not a time'] = '',
}) do
  t.eq(said, text.ago(given, 1795176000), given)
end
t.eq('1 message', text.count(1, 'message'), 'one')
t.eq('0 messages', text.count(0, 'message'), 'none')
-- Days are those of the machine's zone, also around midnight, a month's end and a change of the clock.
t.eq(951868799, text.epoch('2000-02-29T23:59:59Z'), 'a leap day')
t.eq(nil, text.epoch('yesterday'), 'no time')
vim.uv.os_setenv('TZ', 'Europe/Berlin')
local now = os.time({ year = 2026, month = 11, day = 1, hour = 0, min = 30 })
for given, said in pairs({
  ['2026-10-31T23:10:00Z'] = 'Today',
  ['2026-10-31T22:50:00Z'] = 'Yesterday',
  ['2026-10-25T00:30:00Z'] = 'Last 7 days',
  ['2026-10-24T12:00:00Z'] = 'October',
  ['2025-12-31T22:30:00Z'] = '2025',
  ['2026-12-31T22:30:00Z'] = 'Today',
}) do
  t.eq(said, text.day(given, now), given)
end
