--- `pieces-conversation:` and `pieces-asset:` buffers: read-only, filled by the server, kept fresh.
local client = require('pieces.client')
local text = require('pieces.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('pieces.document')

---@class pieces.Document
---@field filled boolean whether the buffer shows what the server has sent
---@field request table? the one under way
---@field stale boolean asked again meanwhile
---@field line integer? where to go once it is filled

---@type table<integer, pieces.Document>
local documents = {}

---@param uri string
---@return integer?
local function buffer(uri)
  for buf in pairs(documents) do
    if vim.api.nvim_buf_is_valid(buf) and vim.api.nvim_buf_get_name(buf) == uri then
      return buf
    end
  end
end

--- Replaces what differs and nothing else, so that cursors, folds and marks stay where they are.
---@param buf integer
---@param new string[]
local function set_lines(buf, new)
  local old = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
  local first, last = 0, 0
  while first < #old and first < #new and old[first + 1] == new[first + 1] do
    first = first + 1
  end
  while last < #old - first and last < #new - first and old[#old - last] == new[#new - last] do
    last = last + 1
  end
  if first == #old and first == #new then
    return
  end
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(
    buf,
    first,
    #old - last,
    false,
    vim.list_slice(new, first + 1, #new - last)
  )
  vim.bo[buf].modifiable = false
  vim.bo[buf].modified = false
end

--- Says something above the first line, beside the content.
---@param buf integer
---@param note string?
local function annotate(buf, note)
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  if note then
    vim.api.nvim_buf_set_extmark(buf, namespace, 0, 0, {
      virt_text = { { ' ' .. text.clean(note, 300), 'DiagnosticWarn' } },
      virt_text_pos = 'eol',
    })
  end
end

---@param buf integer
---@param line integer?
local function go(buf, line)
  if not line then
    return
  end
  line = math.min(line, vim.api.nvim_buf_line_count(buf))
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    vim.api.nvim_win_set_cursor(win, { line, 0 })
  end
end

---@param buf integer
local function fill(buf)
  local document = documents[buf]
  if not document or not vim.api.nvim_buf_is_loaded(buf) then
    return
  end
  if document.request then
    document.stale = true
    return
  end
  local request = {}
  document.request, document.stale = request, false
  local function over()
    if document.request ~= request then
      return
    end
    document.request = nil
    if document.stale and client.get() then
      fill(buf)
    end
  end
  client.request(
    'workspace/textDocumentContent',
    { uri = vim.api.nvim_buf_get_name(buf) },
    function(result)
      if vim.api.nvim_buf_is_loaded(buf) then
        local content = (result.text:gsub('\r\n?', '\n'):gsub('\n$', ''))
        set_lines(buf, vim.split(content, '\n', { plain = true }))
        annotate(buf)
        if not document.filled then
          document.filled = true
          client.attach(buf)
        end
        go(buf, document.line)
        document.line = nil
      end
      over()
    end,
    function(message)
      if vim.api.nvim_buf_is_loaded(buf) then
        annotate(buf, message)
      end
      over()
    end
  )
end

--- The BufReadCmd of our URIs.
---@param buf integer
function M.read(buf)
  local uri = vim.api.nvim_buf_get_name(buf)
  local bo = vim.bo[buf]
  bo.buftype = 'nofile'
  bo.swapfile = false
  bo.undolevels = -1
  -- The text is not the user's: it must not set options.
  bo.modeline = false
  bo.modifiable = false
  local known = documents[buf]
  documents[buf] = { filled = false, stale = false, line = known and known.line }
  vim.api.nvim_create_autocmd('BufUnload', {
    buffer = buf,
    once = true,
    callback = function()
      documents[buf] = nil
    end,
  })
  local name = vim.uri_decode(uri:match('([^/]*)$') or '')
  bo.filetype = uri:find('^pieces%-conversation:') and 'markdown'
    or vim.filetype.match({ filename = name })
    or ''
  fill(buf)
end

--- Shows a document in a window.
---@param uri string
---@param how? { focus?: boolean, line?: integer, mods?: vim.api.keyset.parse_cmd.mods }
function M.open(uri, how)
  how = how or {}
  local here = vim.api.nvim_get_current_win()
  local buf = vim.fn.bufadd(uri)
  vim.bo[buf].buflisted = true
  local mods = how.mods or {}
  local split = (mods.split or '') ~= '' or mods.vertical or (mods.tab or -1) >= 0
  local shown = vim.fn.win_findbuf(buf)[1]
  if split then
    vim.cmd.split({ mods = mods })
  elseif shown then
    vim.api.nvim_set_current_win(shown)
  elseif how.focus == false or vim.wo.winfixbuf then
    vim.cmd.split()
  else
    vim.cmd.normal({ "m'", bang = true })
  end
  vim.api.nvim_win_set_buf(0, buf)
  local document = documents[buf]
  if document and document.filled then
    go(buf, how.line)
  elseif document then
    document.line = how.line
  end
  if how.focus == false then
    vim.api.nvim_set_current_win(here)
  end
  return buf
end

--- The document has changed at the server.
---@param uri string
function M.refresh(uri)
  local buf = buffer(uri)
  if buf and client.get() then
    fill(buf)
  end
end

--- Anything may have changed: after a reconnect or a restart of the server. Nothing here starts a
--- server: a last word of one that is being stopped must not bring it back.
function M.refresh_all()
  for buf in pairs(documents) do
    if client.get() then
      fill(buf)
    end
  end
end

--- The server has gone, and with it the answers it owed.
function M.abandon()
  for _, document in pairs(documents) do
    document.request = nil
  end
end

--- The conversation is gone; what was read stays readable.
---@param uri string
function M.removed(uri)
  local buf = buffer(uri)
  if buf and vim.api.nvim_buf_is_loaded(buf) then
    annotate(buf, 'Deleted. :Pieces restore brings it back.')
  end
end

--- The conversation that a buffer shows.
---@param buf integer 0 for the current one
---@return string? id
function M.conversation(buf)
  local name = vim.api.nvim_buf_get_name(buf)
  return name:match('^pieces%-conversation:/(%x+%-%x+%-%x+%-%x+%-%x+)%.md$')
end

--- The name that a conversation's document starts with.
---@param buf integer 0 for the current one
---@return string?
function M.title(buf)
  local heading = vim.api.nvim_buf_get_lines(buf, 0, 1, false)[1] or ''
  local title = heading:match('^# (.*)')
  -- Markdown's escapes are not part of the name.
  return title and (title:gsub('\\(%p)', '%1'))
end

return M
