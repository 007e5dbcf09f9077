--- What the server has said last: the status line and the open documents follow it.
local M = {}

---@type pieces.Status?
local status
---@type integer? how many conversations there are
local total

--- How long the first list waits for the server to have one.
local PATIENCE = 5000

---@type fun()[] waiting for the server to be live or offline
local unsettled = {}

local function settle()
  local queue = unsettled
  unsettled = {}
  for _, run in ipairs(queue) do
    run()
  end
end

local function announce(event, data)
  vim.api.nvim_exec_autocmds('User', { pattern = event, modeline = false, data = data })
  vim.cmd.redrawstatus({ bang = true })
end

--- The server is ready.
function M.started()
  if not require('pieces.client').get() then
    return
  end
  require('pieces.client').execute('pieces.status', nil, function(answer)
    if not status then
      M.status(answer)
    end
  end, function() end)
  require('pieces.document').refresh_all()
end

--- The server has gone.
function M.stopped()
  status, total = nil, nil
  require('pieces.answers').forget()
  require('pieces.document').abandon()
  announce('PiecesStatus')
end

---@param new pieces.Status
function M.status(new)
  local live = new.state == 'live' and not (status and status.state == 'live')
  status, total = new, new.conversations
  announce('PiecesStatus', new)
  if live then
    require('pieces.document').refresh_all()
  end
  if new.state == 'live' or new.state == 'offline' then
    settle()
  end
end

--- Runs `run` when the server has made up its mind, so that the first list of a server that has
--- just been started is not an empty one.
---@param run fun()
function M.settled(run)
  if status and (status.state == 'live' or status.state == 'offline') then
    return run()
  end
  local once = function()
    if run then
      local call = run
      run = nil
      call()
    end
  end
  unsettled[#unsettled + 1] = once
  vim.defer_fn(once, PATIENCE)
  -- Starts the server where it is not running.
  require('pieces.client').with(function() end, settle)
end

---@param change pieces.Change
function M.conversations(change)
  total = change.total
  local document = require('pieces.document')
  if change.reset then
    document.refresh_all()
  else
    for _, item in ipairs(change.upserted) do
      document.refresh_soon(item.uri)
    end
    require('pieces.answers').listed(change.upserted)
    for _, id in ipairs(change.removed) do
      document.removed('pieces-conversation:/' .. id .. '.md')
    end
  end
  announce('PiecesConversations', change)
end

---@return pieces.Status? as last told, or nil where no server runs
function M.get()
  return status and vim.tbl_extend('force', status, { conversations = total })
end

--- For the status line: `Pieces 12`, `Pieces 12 writing…`, `Pieces offline`, or nothing where no server
--- runs. Made of fixed words and numbers only, so it needs no escaping.
---@return string
function M.line()
  if not status then
    return ''
  end
  local words = { connecting = 'connecting', syncing = 'syncing', offline = 'offline' }
  local place = status.backend == 'local' and ' local' or ''
  local writing = require('pieces.answers').any() and ' writing…' or ''
  return ('Pieces%s %s%s'):format(place, words[status.state] or tostring(total or 0), writing)
end

return M
