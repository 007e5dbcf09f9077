-- What is shown of names is one harmless line; times are said as people say them.
local t = require('harness')
local text = require('pieces.text')
for given, shown in pairs({
  ['a\nb\tc\r\0d'] = 'a b c d',
  ['  spaces   inside  '] = 'spaces inside',
  ['\226\128\174evil\226\128\172'] = 'evil',
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
  ['2026-01-02T12:00:00Z'] = '2026-01-02',
  ['not a time'] = '',
}) do
  t.eq(said, text.ago(given, 1795176000), given)
end
t.eq('1 message', text.count(1, 'message'), 'one')
t.eq('0 messages', text.count(0, 'message'), 'none')
