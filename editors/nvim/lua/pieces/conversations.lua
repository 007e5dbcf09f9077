--- Lists of conversations for people: what the pickers show, and what `:Pieces` finds by name.
local client = require('pieces.client')
local picker = require('pieces.picker')
local state = require('pieces.state')
local text = require('pieces.text')

local M = {}

--- Most entries of a picker; a query finds the others.
local MOST = 1000

---@param item pieces.Item
---@return string
local function describe(item)
  return ('%s%s  · %s, %s'):format(
    item.favorited and '★ ' or '',
    text.clean(item.name, 80),
    text.count(item.messages, 'message'),
    text.ago(item.updated)
  )
end

--- Asks the server's index.
---@param query string
---@param done fun(items: pieces.Item[], total: integer)
---@param most? integer
function M.list(query, done, most)
  local argument = { query = query, limit = most or MOST }
  state.settled(function()
    client.execute('pieces.conversations.list', argument, function(answer)
      done(answer.items, answer.total)
    end)
  end)
end

--- Asks for another name.
---@param item { id: string, name?: string }
function M.rename(item)
  local default = text.clean(item.name, text.WHOLE)
  vim.ui.input({ prompt = 'New name: ', default = default }, function(name)
    if not name or vim.trim(name) == '' then
      return
    end
    local argument = { conversation = item.id, name = name }
    client.execute('pieces.conversations.rename', argument, function(renamed)
      text.say(('Renamed to “%s”.'):format(text.clean(renamed.name, 80)))
    end)
  end)
end

--- Puts the link into the unnamed register and the clipboard.
---@param item { id: string }
function M.copy(item)
  local link = 'pieces-conversation:/' .. item.id .. '.md'
  vim.fn.setreg('"', link)
  if vim.fn.has('clipboard') == 1 then
    vim.fn.setreg('+', link)
  end
  text.say('Copied ' .. link)
end

--- Lets the user choose one.
---@param title string
---@param query string
---@param choose fun(item: pieces.Item)
function M.pick(title, query, choose)
  local total = 0
  picker.pick({
    title = function(shown)
      local of = total > shown and (' of %d'):format(total) or ''
      return ('%s (%d%s)'):format(title, shown, of)
    end,
    query = query,
    live = true,
    choose = choose,
    entries = function(asked, done)
      M.list(asked, function(items, all)
        total = all
        done(vim.tbl_map(function(item)
          return { text = describe(item), uri = item.uri, value = item }
        end, items))
      end)
    end,
  })
end

--- The conversation that `words` mean: an id, a name that only one has, or the user's choice.
---@param title string
---@param words string
---@param choose fun(item: { id: string, name?: string })
function M.find(title, words, choose)
  if words == '' then
    return M.pick(title, words, choose)
  end
  if words:match('^%x+%-%x+%-%x+%-%x+%-%x+$') then
    return choose({ id = words:lower() })
  end
  M.list(words, function(items)
    local same = vim.tbl_filter(function(item)
      return text.clean(item.name, text.WHOLE) == words
    end, items)
    if #same == 1 then
      return choose(same[1])
    elseif #items == 1 then
      return choose(items[1])
    end
    M.pick(title, words, choose)
  end)
end

--- Names that complete `lead`; waits for the server no longer than a person would notice.
---@param lead string
---@return string[]
function M.names(lead)
  if not client.get() then
    return {}
  end
  local names
  local argument = { query = lead, limit = 50 }
  client.execute('pieces.conversations.list', argument, function(answer)
    names = vim.tbl_map(function(item)
      return text.clean(item.name, text.WHOLE)
    end, answer.items)
  end, function() end)
  vim.wait(300, function()
    return names ~= nil
  end, 5)
  local seen = {}
  return vim.tbl_filter(function(name)
    local new = not seen[name]
    seen[name] = true
    return new
  end, names or {})
end

--- Full text over the messages.
---@param query string
---@param choose fun(hit: pieces.Hit)
function M.search(query, choose)
  local total = 0
  picker.pick({
    title = function(shown)
      local of = total > shown and (' of %d'):format(total) or ''
      return ('“%s” (%d%s)'):format(text.clean(query, 40), shown, of)
    end,
    query = query,
    live = false,
    choose = choose,
    entries = function(asked, done)
      client.execute('pieces.conversations.search', { query = asked, limit = 100 }, function(answer)
        total = answer.total or #answer.items
        done(vim.tbl_map(function(hit)
          if not hit.message then
            -- The name says it already.
            local shown = describe(hit.conversation)
            return { text = shown, uri = hit.conversation.uri, value = hit }
          end
          local words = { text.clean(hit.conversation.name, 60), text.clean(hit.excerpt, 120) }
          if hit.time then
            table.insert(words, 2, text.age(hit.time))
          end
          local shown = table.concat(words, '  · ')
          return { text = shown, uri = hit.conversation.uri, value = hit }
        end, answer.items))
      end)
    end,
  })
end

--- The words of an excerpt that were looked for.
---@param hit pieces.Hit
---@return string?
function M.matched(hit)
  if not hit.match or hit.match[1] == hit.match[2] then
    return nil
  end
  local function byte(unit)
    return vim.str_byteindex(hit.excerpt, 'utf-16', unit, false)
  end
  return hit.excerpt:sub(byte(hit.match[1]) + 1, byte(hit.match[2]))
end

--- What was deleted and can come back.
---@param title string
---@param query string part of the name
---@param choose fun(deleted: pieces.Deleted)
function M.trash(title, query, choose)
  picker.pick({
    title = function(shown)
      return ('%s (%d)'):format(title, shown)
    end,
    query = query,
    live = false,
    choose = choose,
    entries = function(asked, done)
      client.execute('pieces.conversations.trash', nil, function(answer)
        local entries = {}
        for _, deleted in ipairs(answer.items) do
          if deleted.name:lower():find(asked:lower(), 1, true) or deleted.conversation == asked then
            entries[#entries + 1] = {
              text = ('%s  · %s, deleted %s'):format(
                text.clean(deleted.name, 80),
                text.count(deleted.messages, 'message'),
                text.ago(deleted.deleted)
              ),
              value = deleted,
            }
          end
        end
        done(entries)
      end)
    end,
  })
end

return M
