--- Conversation names and messages are text from anywhere. What is shown of them in one line goes
--- through here; nothing of them is ever executed.
local M = {}

--- The width of what must not be cut short: names that are looked up or edited.
M.WHOLE = math.huge

--- One harmless line: no control characters, no line breaks, no text-direction overrides. Joiners
--- stay where they join letters or emoji: without them words and pictures fall apart.
---@param text string?
---@param width? number most characters
---@return string
function M.clean(text, width)
  text = type(text) == 'string' and text or ''
  text = text
    :gsub('[%z\1-\31\127]', ' ')
    :gsub('\194[\128-\159]', ' ') -- C1 controls
    :gsub('\226\128[\168\169]', ' ') -- line and paragraph separators
    :gsub('\226\128[\139\142\143\170-\174]', '') -- zero width space, marks, embeddings
    :gsub('\226\129[\160-\175]', '') -- isolates and invisible operators
    :gsub('\239\187\191', '') -- byte order mark
  text = text:gsub('()\226\128[\140\141]()', function(before, after)
    local joins = (text:byte(before - 1) or 0) >= 128 and (text:byte(after) or 0) >= 128
    return not joins and '' or nil
  end)
  text = vim.trim((text:gsub('%s+', ' ')))
  width = width or 120
  if vim.fn.strchars(text) > width then
    text = vim.fn.strcharpart(text, 0, width - 1) .. '…'
  end
  return text
end

--- Seconds since 1970 of a time of the server.
---@param time string? RFC 3339, UTC
---@return integer?
function M.epoch(time)
  local y, mo, d, h, mi, s = (time or ''):match('^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)')
  if not y then
    return nil
  end
  y, mo, d = tonumber(y), tonumber(mo), tonumber(d)
  -- Days of the civil calendar, counted in years that begin in March.
  if mo <= 2 then
    y, mo = y - 1, mo + 12
  end
  local days = 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400)
  days = days + math.floor((153 * (mo - 3) + 2) / 5) + d - 719469
  return days * 86400 + h * 3600 + mi * 60 + s
end

--- An age in a column: "now", "5 min", "3 h", "2 d", "4 mo", "1 y".
---@param time string RFC 3339, UTC
---@param now? integer seconds since 1970
---@return string empty where `time` is no time
function M.age(time, now)
  local at = M.epoch(time)
  if not at then
    return ''
  end
  local age = (now or os.time()) - at
  if age < 60 then
    return 'now'
  elseif age < 3600 then
    return ('%d min'):format(age / 60)
  elseif age < 86400 then
    return ('%d h'):format(age / 3600)
  elseif age < 30 * 86400 then
    return ('%d d'):format(age / 86400)
  elseif age < 365 * 86400 then
    return ('%d mo'):format(age / (30 * 86400))
  end
  return ('%d y'):format(age / (365 * 86400))
end

--- The same in a sentence: "just now", "5 min ago".
---@param time string RFC 3339, UTC
---@param now? integer seconds since 1970
---@return string
function M.ago(time, now)
  local age = M.age(time, now)
  return age == '' and '' or age == 'now' and 'just now' or age .. ' ago'
end

--- The heading under which a list shows a time, by the days of this machine's zone: "Today",
--- "Yesterday", "Last 7 days", the month of this year, or the year.
---@param time string RFC 3339, UTC
---@param now? integer seconds since 1970
---@return string
function M.day(time, now)
  now = now or os.time()
  local at = os.date('*t', M.epoch(time) or 0) --[[@as osdateparam]]
  local today = os.date('*t', now) --[[@as osdateparam]]
  local function noon(date)
    return os.time({ year = date.year, month = date.month, day = date.day, hour = 12 })
  end
  -- Rounded, because a day of a clock change is not 24 hours long.
  local days = math.floor((noon(today) - noon(at)) / 86400 + 0.5)
  if days <= 0 then
    return 'Today'
  elseif days == 1 then
    return 'Yesterday'
  elseif days <= 7 then
    return 'Last 7 days'
  elseif at.year == today.year then
    return os.date('%B', M.epoch(time)) --[[@as string]]
  end
  return tostring(at.year)
end

--- Breaks a line at spaces.
---@param text string
---@param width integer
---@return string[]
function M.wrap(text, width)
  local lines = { '' }
  for word in text:gmatch('%S+') do
    local longer = lines[#lines] == '' and word or lines[#lines] .. ' ' .. word
    if vim.fn.strdisplaywidth(longer) > width and lines[#lines] ~= '' then
      lines[#lines + 1] = word
    else
      lines[#lines] = longer
    end
  end
  return lines
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
