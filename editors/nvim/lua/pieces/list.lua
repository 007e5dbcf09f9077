--- The list of conversations: a buffer, grouped by day, that follows every change.
local client = require('pieces.client')
local config = require('pieces.config')
local conversations = require('pieces.conversations')
local keys = require('pieces.keys')
local lines = require('pieces.lines')
local text = require('pieces.text')
local windows = require('pieces.windows')

local M = {}

M.NAME = 'pieces://conversations'
--- Most rows; words after `:Pieces list` find the others.
local MOST = 10000
--- Ages are written again this often while the list is seen, in milliseconds.
local MINUTE = 60000

---@type integer?
local buffer
---@type pieces.Item[] newest first, or best match first
local items = {}
---@type table<integer, pieces.Item> by line
local rows = {}
local query, total = '', 0
---@type { id: string, name: string }[] what was deleted from here, last one last
local deleted = {}
--- Something has changed while nobody looked.
local stale = false
local timer

---@param item pieces.Item
---@return string
local function row(item)
  local writing = item.answering or require('pieces.answers').running(item.id)
  return ('%8s %5d  %s%s'):format(
    writing and 'writing' or text.age(item.updated),
    item.messages,
    item.favorited and '★ ' or '',
    text.clean(item.name, 200)
  )
end

---@return string[] shown
---@return table<integer, pieces.Item> by_line
local function layout()
  local shown, by_line, day = {}, {}, nil
  for _, item in ipairs(items) do
    local heading = query == '' and text.day(item.updated)
      or ('“%s”'):format(text.clean(query, 60))
    if heading ~= day then
      day = heading
      shown[#shown + 1] = heading
    end
    shown[#shown + 1] = row(item)
    by_line[#shown] = item
  end
  if #items == 0 then
    shown[1] = query ~= '' and ('No conversation is called “%s”.'):format(text.clean(query, 60))
      or 'No conversations yet. :Pieces start begins one about a file, :Pieces ask asks.'
  elseif total > #items then
    shown[#shown + 1] = ('%d more: :Pieces list WORDS finds them.'):format(total - #items)
  end
  return shown, by_line
end

--- Shows what is known; every cursor stays on its conversation.
local function render()
  if not buffer or not vim.api.nvim_buf_is_loaded(buffer) then
    return
  end
  local at = {}
  for _, win in ipairs(vim.fn.win_findbuf(buffer)) do
    local place = vim.api.nvim_win_get_cursor(win)
    at[win] = { id = rows[place[1]] and rows[place[1]].id, place = place }
  end
  local shown
  shown, rows = layout()
  lines.set(buffer, shown)
  local line_of = {}
  for line, item in pairs(rows) do
    line_of[item.id] = line
  end
  for win, was in pairs(at) do
    local line = was.id and line_of[was.id] or math.min(was.place[1], #shown)
    vim.api.nvim_win_set_cursor(win, { math.max(line, rows[1] and 1 or math.min(2, #shown)), 0 })
  end
end

local function load()
  stale = false
  conversations.list(query, function(found, all)
    items, total = found, all
    render()
  end, MOST)
end

---@param change pieces.Change
local function apply(change)
  if #vim.fn.win_findbuf(buffer) == 0 then
    stale = true
    return
  end
  if change.reset or query ~= '' or total > #items then
    return load()
  end
  local changed = {}
  for _, item in ipairs(change.upserted) do
    changed[item.id] = item
  end
  for _, id in ipairs(change.removed) do
    changed[id] = false
  end
  items = vim.tbl_filter(function(item)
    return changed[item.id] == nil
  end, items)
  vim.list_extend(items, change.upserted)
  table.sort(items, function(a, b)
    return a.updated > b.updated or a.updated == b.updated and a.id > b.id
  end)
  total = change.total
  render()
end

--- Runs `action` with the conversation under the cursor.
---@param action fun(item: pieces.Item)
local function with_row(action)
  return function()
    local item = rows[vim.api.nvim_win_get_cursor(0)[1]]
    if item then
      action(item)
    end
  end
end

---@param item pieces.Item
---@param how? table
local function open(item, how)
  require('pieces.document').open(item.uri, how)
end

---@param item pieces.Item
local function delete(item)
  local argument = { conversation = item.id }
  -- `u` brings it back, so nobody is asked unless that was wished for.
  if (config.get().settings or {}).confirmDelete ~= true then
    argument.confirm = false
  end
  local function done(result)
    if result.deleted then
      deleted[#deleted + 1] = { id = item.id, name = item.name }
      text.say(('Deleted “%s”. u brings it back.'):format(text.clean(item.name, 60)))
    end
  end
  local command = 'pieces.conversations.delete'
  client.execute(command, argument, done, function(message, data)
    if data.kind ~= 'refused' or argument.confirm == nil then
      return client.complain(message)
    end
    -- It cannot be kept in the trash: the server says why, and asks.
    client.execute(command, { conversation = item.id, confirm = true }, done)
  end)
end

local function undo()
  local last = table.remove(deleted)
  if not last then
    return text.say('Nothing was deleted here. :Pieces trash has what was deleted before.')
  end
  local argument = { conversation = last.id }
  client.execute('pieces.conversations.restore', argument, function(result)
    text.say(('Restored “%s”.'):format(text.clean(result.name, 60)))
  end)
end

---@param step 1|-1
local function to_group(step)
  local line = vim.api.nvim_win_get_cursor(0)[1] + step
  local last = vim.api.nvim_buf_line_count(0)
  while line >= 1 and line <= last do
    if not rows[line] then
      return vim.api.nvim_win_set_cursor(0, { line, 0 })
    end
    line = line + step
  end
end

---@type pieces.Key[]
local actions = {
  {
    '<CR>',
    'open',
    'open the conversation',
    with_row(function(item)
      windows.leave()
      open(item)
    end),
  },
  {
    'o',
    'open-split',
    'open it in a new window',
    with_row(function(item)
      windows.leave()
      open(item, { mods = { split = 'belowright' } })
    end),
  },
  {
    'p',
    'preview',
    'show it, and stay in the list',
    with_row(function(item)
      local here = vim.api.nvim_get_current_win()
      windows.leave()
      open(item)
      vim.api.nvim_set_current_win(here)
    end),
  },
  {
    'a',
    'ask',
    'ask in the conversation',
    with_row(function(item)
      windows.leave()
      open(item)
      require('pieces.ask').follow_up()
    end),
  },
  {
    'r',
    'rename',
    'rename it',
    with_row(conversations.rename),
  },
  { 'dd', 'delete', 'delete it', with_row(delete) },
  { 'u', 'undo', 'bring back what was deleted last', undo },
  {
    'y',
    'copy',
    'copy its link',
    with_row(conversations.copy),
  },
  {
    's',
    'search',
    'search in all messages',
    function()
      require('pieces.command').run_words('search')
    end,
  },
  {
    ']]',
    'next',
    'to the next day',
    function()
      to_group(1)
    end,
  },
  {
    '[[',
    'previous',
    'to the day before',
    function()
      to_group(-1)
    end,
  },
  { 'R', 'reload', 'read the list again', load },
  { 'q', 'close', 'close the list', windows.close },
  { '?', 'keys', 'show these keys', keys.help },
}

--- For the winbar of the list.
---@return string
function M.bar()
  local of = query ~= '' and (' for “%s”'):format(text.clean(query, 40)) or ''
  return ('     Age  Msgs  Conversations (%d%s)'):format(total, of)
end

local BAR = "%{v:lua.require('pieces.list').bar()}%=%#Comment#? shows the keys "

local function highlight()
  vim.cmd([[
    syntax match piecesDay /^\S.*/
    syntax match piecesAge /^ .\{14}/ contains=piecesWriting
    syntax match piecesWriting /\<writing\>/ contained
    highlight default link piecesDay Title
    highlight default link piecesAge Comment
    highlight default link piecesWriting DiagnosticInfo
  ]])
end

--- The BufReadCmd of the list.
---@param buf integer
function M.read(buf)
  buffer = buf
  lines.read_only(buf)
  vim.bo[buf].buflisted = false
  vim.bo[buf].bufhidden = 'hide'
  vim.bo[buf].filetype = 'pieces'
  vim.api.nvim_buf_call(buf, highlight)
  keys.set(buf, actions)
  local group = vim.api.nvim_create_augroup('pieces.list', {})
  local function on(event, pattern, callback)
    vim.api.nvim_create_autocmd(event, { group = group, pattern = pattern, callback = callback })
  end
  on('User', 'PiecesConversations', function(event)
    apply(event.data)
  end)
  on('User', 'PiecesAnswer', render)
  vim.api.nvim_create_autocmd('BufWinEnter', {
    group = group,
    buffer = buf,
    callback = function()
      if config.get().winbar then
        vim.wo[0][0].winbar = BAR
      end
      timer = timer or assert(vim.uv.new_timer())
      timer:start(MINUTE, MINUTE, vim.schedule_wrap(render))
      if stale then
        load()
      end
    end,
  })
  vim.api.nvim_create_autocmd({ 'BufHidden', 'BufUnload' }, {
    group = group,
    buffer = buf,
    callback = function()
      if timer then
        timer:stop()
      end
    end,
  })
  if #items > 0 then
    return render()
  end
  lines.set(buf, { 'Reading…' })
  load()
end

--- `:Pieces list [words]`
---@param words string
---@param mods vim.api.keyset.parse_cmd.mods?
function M.open(words, mods)
  query = words
  conversations.list(query, function(found, all)
    items, total, stale = found, all, false
    local buf = vim.fn.bufadd(M.NAME)
    windows.show_list(buf, mods, #layout())
    vim.bo[buf].buflisted = false
    render()
    local first = rows[1] and 1 or 2
    if rows[first] then
      vim.api.nvim_win_set_cursor(0, { first, 0 })
    end
  end, MOST)
end

return M
