--- Asking: a window to type in below the conversation or the file, one request per question, and the
--- conversation that grows meanwhile.
local answers = require('pieces.answers')
local client = require('pieces.client')
local document = require('pieces.document')
local text = require('pieces.text')

local M = {}

---@class pieces.Target what a question is about
---@field argument table what goes to the server beside the prompt
---@field label string
---@field buf integer? the file
---@field mods vim.api.keyset.parse_cmd.mods?

---@class pieces.Asked a question under way
---@field target pieces.Target
---@field prompt string
---@field conversation string?
---@field request integer?
---@field shown boolean

---@type pieces.Asked[]
local asking = {}
---@type string? the conversation that was asked last
local last

--- Shows the conversation of a question; the cursor stays where it is, because somebody may be typing.
---@param asked pieces.Asked
---@param id string
local function show(asked, id)
  asked.conversation, last = id, id
  if asked.shown then
    return
  end
  asked.shown = true
  local mods = asked.target.mods
  if not require('pieces.windows').asks_for_split(mods) then
    mods = { vertical = vim.o.columns >= 110, split = 'belowright' }
  end
  local seen = document.buffer_of(id)
  if not seen or #vim.fn.win_findbuf(seen) == 0 then
    local uri = 'pieces-conversation:/' .. id .. '.md'
    document.open(uri, { focus = false, line = math.huge, mods = mods })
  end
end

---@param asked pieces.Asked
local function over(asked)
  asking = vim.tbl_filter(function(other)
    return other ~= asked
  end, asking)
end

---@param asked pieces.Asked
---@param result table
local function answered(asked, result)
  over(asked)
  answers.set(result.conversation, nil)
  show(asked, result.conversation)
  document.refresh('pieces-conversation:/' .. result.conversation .. '.md')
  if result.stop == 'incomplete' then
    text.say('The answer is not complete. ' .. (result.note or ''), vim.log.levels.WARN)
  elseif result.stop == 'length' then
    text.say('The answer was cut: the model has reached its limit.', vim.log.levels.WARN)
  elseif result.note then
    text.say(result.note)
  end
end

---@param asked pieces.Asked
---@param message string
---@param data pieces.Error
local function unanswered(asked, message, data)
  over(asked)
  if data.detail then
    message = ('%s (%s)'):format(message, text.clean(data.detail, 200))
  end
  local id = data.conversation or asked.conversation
  if id then
    answers.set(id, nil)
  end
  if data.question and id then
    show(asked, id)
    document.refresh('pieces-conversation:/' .. id .. '.md')
    message = message .. ' The question is kept; :Pieces again asks it again.'
  else
    require('pieces.prompt').give_back(asked.target, asked.prompt)
  end
  text.say(message, vim.log.levels.ERROR)
end

--- Sends a question. What was typed is given back where the server did not keep it.
---@param target pieces.Target
---@param prompt string
function M.send(target, prompt)
  local id = target.argument.conversation
  ---@type pieces.Asked
  local asked = { target = target, prompt = prompt, conversation = id, shown = false }
  if id then
    show(asked, id)
    local buf = document.buffer_of(id)
    for _, win in ipairs(buf and vim.fn.win_findbuf(buf) or {}) do
      vim.api.nvim_win_set_cursor(win, { vim.api.nvim_buf_line_count(buf), 0 })
    end
  end
  asking[#asking + 1] = asked
  local function failed(message, data)
    unanswered(asked, message, data)
  end
  client.with(function(ready)
    if target.buf and vim.api.nvim_buf_is_loaded(target.buf) then
      vim.lsp.buf_attach_client(target.buf, ready.id)
    end
    local argument = vim.tbl_extend('force', target.argument, { prompt = prompt })
    local params = { command = 'pieces.conversations.ask', arguments = { argument } }
    asked.request = client.request('workspace/executeCommand', params, function(result)
      answered(asked, result)
    end, failed)
  end, failed)
end

--- `pieces/didAnswer`. A new conversation is known from here before its answer is whole: `here` is set
--- where this window has asked.
---@param answer { conversation: string, status: string, here: boolean? }
function M.told(answer)
  local unknown
  for _, asked in ipairs(asking) do
    if asked.conversation == answer.conversation then
      return
    elseif not asked.conversation then
      unknown = unknown or asked
    end
  end
  if unknown and answer.here then
    show(unknown, answer.conversation)
  end
end

--- Stops the answer of a conversation, from whatever window it was asked; without one, the question
--- that was asked last.
---@param id? string
function M.cancel(id)
  id = id or document.conversation(0) or require('pieces.prompt').conversation(0)
  local newest = asking[#asking]
  if not id and newest then
    id = newest.conversation
    if not id then
      local ready = client.get()
      if ready and newest.request then
        ready:cancel_request(newest.request)
      end
      return
    end
  end
  if not id then
    return text.say('Nothing is being answered.')
  end
  client.execute('pieces.conversations.stop', { conversation = id }, function(result)
    if not result.stopped then
      text.say('Nothing is being answered here.')
    end
  end)
end

--- Whether something of ours would be stopped.
---@param id string?
---@return boolean
function M.busy(id)
  return answers.running(id) ~= nil
    or vim.iter(asking):any(function(asked)
      return asked.conversation == id
    end)
end

---@return string? the conversation that was asked or read last
function M.last()
  return last
end

---@param id string
function M.read(id)
  last = id
end

---@param id string
---@param extra? table
---@return pieces.Target
function M.in_conversation(id, extra)
  local buf = document.buffer_of(id)
  local argument = vim.tbl_extend('force', { conversation = id }, extra or {})
  return { argument = argument, label = buf and vim.b[buf].pieces_name or 'this conversation' }
end

--- A window to type in, below the current conversation.
function M.follow_up()
  local id = document.conversation(0)
  if id then
    require('pieces.prompt').open(M.in_conversation(id))
  end
end

--- `:Pieces again`: the question under the cursor, or the last one. One without an answer is asked as it
--- is; another one can be changed first, and starts a new conversation from there.
function M.again()
  local id = document.conversation(0)
  if not id then
    return text.say('Open a conversation first.', vim.log.levels.WARN)
  end
  local line = vim.api.nvim_win_get_cursor(0)[1]
  client.execute('pieces.conversations.messages', { conversation = id }, function(answer)
    local question, under
    for _, item in ipairs(answer.items) do
      if item.role == 'USER' then
        question = item
        if item.line and item.line < line then
          under = item
        end
      end
    end
    local final = answer.items[#answer.items]
    question = final and final.state == 'unanswered' and final or under or question
    if not question then
      return text.say('There is no question here.', vim.log.levels.WARN)
    elseif question.state == 'unanswered' then
      return M.send(M.in_conversation(id, { question = question.id }), question.text)
    end
    local target = M.in_conversation(id, { from = question.id })
    target.label = 'again, in a new conversation'
    require('pieces.prompt').open(target, vim.split(question.text, '\n', { plain = true }))
  end)
end

return M
