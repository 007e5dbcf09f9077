--- Which answers are being written, in this window or in another one.
local M = {}

local ACTIVE = { waiting = 'waiting', thinking = 'thinking', writing = 'writing' }

---@type table<string, 'waiting'|'thinking'|'writing'> by conversation
local running = {}
---@type table<string, true> known from a list alone
local from_list = {}

---@param id string?
---@return 'waiting'|'thinking'|'writing'|nil
function M.running(id)
  return id and running[id]
end

---@return boolean
function M.any()
  return next(running) ~= nil
end

---@param id string
---@param status string?
function M.set(id, status)
  local new = ACTIVE[status]
  if running[id] == new then
    return
  end
  running[id] = new
  local data = { conversation = id, status = status }
  vim.api.nvim_exec_autocmds('User', { pattern = 'PiecesAnswer', modeline = false, data = data })
  local buf = require('pieces.document').buffer_of(id)
  if buf then
    require('pieces.transcript').mark(buf)
  end
  vim.cmd.redrawstatus({ bang = true })
end

--- `pieces/didAnswer`
---@param answer { conversation: string, answer: string?, status: string, here: boolean? }
function M.told(answer)
  from_list[answer.conversation] = nil
  M.set(answer.conversation, answer.status)
  local uri = 'pieces-conversation:/' .. answer.conversation .. '.md'
  local document = require('pieces.document')
  if ACTIVE[answer.status] then
    document.refresh_soon(uri)
  else
    document.refresh(uri)
  end
  require('pieces.ask').told(answer)
end

--- Lists say it too, for those that come late. What `pieces/didAnswer` says is newer than a list.
---@param items pieces.Item[]
function M.listed(items)
  for _, item in ipairs(items) do
    if item.answering and not running[item.id] then
      from_list[item.id] = true
      M.set(item.id, 'writing')
    elseif not item.answering and from_list[item.id] then
      from_list[item.id] = nil
      M.set(item.id, nil)
    end
  end
end

--- The server has gone.
function M.forget()
  for id in pairs(running) do
    M.set(id, nil)
  end
end

return M
