--- Conversation names and messages are text from anywhere. What is shown of them in one line goes
--- through here; nothing of them is ever executed.
local M = {}

--- The width of what must not be cut short: names that are looked up or edited.
M.WHOLE = math.huge

--- One harmless line: no control characters, no line breaks, no text-direction overrides.
---@param text string?
---@param width? number most characters
---@return string
function M.clean(text, width)
  text = type(text) == 'string' and text or ''
  text = text
    :gsub('[%z\1-\31\127]', ' ')
    :gsub('\194[\128-\159]', ' ') -- C1 controls
    :gsub('\226\128[\139-\143\168-\174]', ' ') -- zero width, marks, separators, embeddings
    :gsub('\226\129[\160-\175]', ' ') -- joiners and isolates
    :gsub('\239\187\191', ' ') -- byte order mark
    :gsub('%s+', ' ')
  text = vim.trim(text)
  width = width or 120
  if vim.fn.strchars(text) > width then
    text = vim.fn.strcharpart(text, 0, width - 1) .. '…'
  end
  return text
end

--- A time as a person says it: "just now", "5 min ago", "3 d ago", "2026-11-20".
---@param time string RFC 3339, UTC
---@param now? integer seconds since 1970
---@return string
function M.ago(time, now)
  local y, mo, d, h, mi, s = (time or ''):match('^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)')
  if not y then
    return ''
  end
  local utc = os.time({ year = y, month = mo, day = d, hour = h, min = mi, sec = s, isdst = false })
  now = now or os.time()
  -- Both sides as if UTC were the local zone: the zone's offset cancels out.
  local today = os.date('!*t', now) --[[@as osdateparam]]
  today.isdst = false
  local age = os.difftime(os.time(today), utc)
  if age < 60 then
    return 'just now'
  elseif age < 3600 then
    return ('%d min ago'):format(age / 60)
  elseif age < 86400 then
    return ('%d h ago'):format(age / 3600)
  elseif age < 30 * 86400 then
    return ('%d d ago'):format(age / 86400)
  end
  return ('%s-%s-%s'):format(y, mo, d)
end

--- "1 message", "3 messages".
---@param n integer
---@param what string
---@return string
function M.count(n, what)
  return ('%d %s%s'):format(n, what, n == 1 and '' or 's')
end

--- Tells the user something.
---@param message string
---@param level? integer one of `vim.log.levels`
function M.say(message, level)
  vim.notify('Pieces: ' .. M.clean(message, 500), level or vim.log.levels.INFO)
end

return M
