--- `pieces-conversation:` and `pieces-asset:` buffers: read-only, filled by the server, kept fresh.
---
--- The buffer of a conversation is called `pieces-conversation:/<id>/<name>`, so that lists of buffers
--- show its name; it is found by its id.
local client = require('pieces.client')
local lines = require('pieces.lines')
local text = require('pieces.text')
local windows = require('pieces.windows')

local M = {}

local namespace = vim.api.nvim_create_namespace('pieces.document')
local UUID = '(%x+%-%x+%-%x+%-%x+%-%x+)'
--- While an answer grows, its document is read this often at most, in milliseconds.
local PACE = 250

---@class pieces.Place where to go in a document
---@field line? integer
---@field find? string words behind that line

---@class pieces.Document
---@field uri string
---@field filled boolean whether the buffer shows what the server has sent
---@field request table? the one under way
---@field stale boolean asked again meanwhile
---@field place pieces.Place? where to go once it is filled
---@field read integer when it was last read, in milliseconds
---@field due boolean whether a reading is planned

---@type table<integer, pieces.Document>
local documents = {}

--- The URI that the server knows a buffer by.
---@param name string
---@return string
local function canonical(name)
  local id = name:match('^pieces%-conversation:/+' .. UUID)
  return id and 'pieces-conversation:/' .. id:lower() .. '.md' or name
end

---@param uri string
---@return integer? buf
local function buffer(uri)
  uri = canonical(uri)
  for buf, document in pairs(documents) do
    if document.uri == uri and vim.api.nvim_buf_is_valid(buf) then
      return buf
    end
  end
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
---@param place pieces.Place?
local function go(buf, place)
  if not place or not place.line then
    return
  end
  local line = math.min(place.line, vim.api.nvim_buf_line_count(buf))
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    vim.api.nvim_win_set_cursor(win, { line, 0 })
    vim.api.nvim_win_call(win, function()
      if place.find then
        -- The excerpt has one space where the text may have a line break.
        local words = vim.fn.escape(place.find, '\\'):gsub('%s+', '\\_s\\+')
        vim.fn.search('\\c\\V' .. words, 'cW')
      end
      vim.cmd.normal({ 'zv', bang = true })
    end)
  end
end

--- Gives the buffer the name of its conversation; the server sees a document that is closed and opened.
---@param buf integer
local function rename(buf)
  local uri, title = documents[buf].uri, M.title(buf)
  if not title or not vim.startswith(uri, 'pieces-conversation:') then
    return
  end
  title = text.clean(title, 100)
  -- What means something in a URI or a path would change the id or be shown as something else.
  local safe = title:gsub('[/\\%%?#]', '-')
  local name = uri:gsub('%.md$', '/') .. safe
  vim.b[buf].pieces_name = title
  if vim.api.nvim_buf_get_name(buf) == name then
    return
  end
  local attached = vim.lsp.get_clients({ bufnr = buf })
  for _, one in ipairs(attached) do
    vim.lsp.buf_detach_client(buf, one.id)
  end
  vim.b[buf].pieces_rename = name
  vim.api.nvim_buf_call(buf, function()
    vim.cmd('silent keepalt call nvim_buf_set_name(0, b:pieces_rename)')
  end)
  vim.b[buf].pieces_rename = nil
  for _, one in ipairs(attached) do
    vim.lsp.buf_attach_client(buf, one.id)
  end
  -- Vim keeps a buffer of the name before.
  for _, other in ipairs(vim.api.nvim_list_bufs()) do
    local same = other ~= buf and canonical(vim.api.nvim_buf_get_name(other)) == uri
    if same and not vim.api.nvim_buf_is_loaded(other) then
      vim.api.nvim_buf_delete(other, { force = true })
    end
  end
end

---@param buf integer
---@param content string
local function show(buf, content)
  local document = documents[buf]
  local last = vim.api.nvim_buf_line_count(buf)
  -- Those who read the end follow it; nobody else is moved.
  local following = vim.tbl_filter(function(win)
    return document.filled and last > 1 and vim.api.nvim_win_get_cursor(win)[1] == last
  end, vim.fn.win_findbuf(buf))
  content = content:gsub('\r\n?', '\n'):gsub('\n$', '')
  lines.set(buf, vim.split(content, '\n', { plain = true }))
  annotate(buf)
  for _, win in ipairs(following) do
    vim.api.nvim_win_set_cursor(win, { vim.api.nvim_buf_line_count(buf), 0 })
  end
  rename(buf)
  local first = not document.filled
  if first then
    document.filled = true
    client.attach(buf)
  end
  require('pieces.transcript').shown(buf, first and not document.place)
  go(buf, document.place)
  document.place = nil
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
  document.read = vim.uv.now()
  local function over()
    if document.request ~= request then
      return
    end
    document.request = nil
    if document.stale and client.get() then
      fill(buf)
    end
  end
  client.request('workspace/textDocumentContent', { uri = document.uri }, function(result)
    if vim.api.nvim_buf_is_loaded(buf) and documents[buf] == document then
      show(buf, result.text)
    end
    over()
  end, function(message)
    if vim.api.nvim_buf_is_loaded(buf) then
      annotate(buf, message)
    end
    over()
  end)
end

--- A conversation has one buffer, whatever form of its link was opened.
---@param buf integer
---@param other integer
local function replace(buf, other)
  vim.schedule(function()
    for _, win in ipairs(vim.fn.win_findbuf(buf)) do
      vim.api.nvim_win_set_buf(win, other)
    end
    if vim.api.nvim_buf_is_valid(buf) then
      vim.api.nvim_buf_delete(buf, { force = true })
    end
  end)
end

--- The BufReadCmd of our URIs.
---@param buf integer
function M.read(buf)
  local name = vim.api.nvim_buf_get_name(buf)
  local uri = canonical(name)
  local other = buffer(uri)
  lines.read_only(buf)
  if other and other ~= buf then
    return replace(buf, other)
  end
  local known = documents[buf]
  documents[buf] = {
    uri = uri,
    filled = false,
    stale = false,
    place = known and known.place,
    read = 0,
    due = false,
  }
  vim.api.nvim_create_autocmd('BufUnload', {
    buffer = buf,
    once = true,
    callback = function()
      documents[buf] = nil
    end,
  })
  if vim.startswith(uri, 'pieces-conversation:') then
    vim.bo[buf].filetype = 'markdown'
    require('pieces.transcript').set_up(buf)
  else
    local file = vim.uri_decode(name:match('([^/]*)$') or '')
    vim.bo[buf].filetype = vim.filetype.match({ filename = file }) or ''
  end
  fill(buf)
end

--- Shows a document in a window.
---@param uri string
---@param how? { focus?: boolean, line?: integer, find?: string, mods?: vim.api.keyset.parse_cmd.mods }
---@return integer buf
function M.open(uri, how)
  how = how or {}
  local here = vim.api.nvim_get_current_win()
  local buf = buffer(uri) or vim.fn.bufadd(uri)
  vim.bo[buf].buflisted = true
  local shown = vim.fn.win_findbuf(buf)[1]
  if windows.asks_for_split(how.mods) then
    vim.cmd.split({ mods = how.mods })
  elseif shown then
    vim.api.nvim_set_current_win(shown)
  elseif how.focus == false or vim.wo.winfixbuf then
    vim.cmd.split()
  else
    vim.cmd.normal({ "m'", bang = true })
  end
  vim.api.nvim_win_set_buf(0, buf)
  local document = documents[buf]
  local place = how.line and { line = how.line, find = how.find }
  if document and document.filled then
    go(buf, place)
  elseif document then
    document.place = place
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

--- The same for a document that changes many times a second.
---@param uri string
function M.refresh_soon(uri)
  local buf = buffer(uri)
  local document = buf and documents[buf]
  if not document or document.due then
    return
  end
  document.due = true
  vim.defer_fn(function()
    document.due = false
    M.refresh(uri)
  end, math.max(0, document.read + PACE - vim.uv.now()))
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

--- The buffer that shows a conversation.
---@param id string
---@return integer? buf
function M.buffer_of(id)
  return buffer('pieces-conversation:/' .. id .. '.md')
end

--- The conversation that a buffer shows.
---@param buf integer 0 for the current one
---@return string? id
function M.conversation(buf)
  return vim.api.nvim_buf_get_name(buf):match('^pieces%-conversation:/+' .. UUID)
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
