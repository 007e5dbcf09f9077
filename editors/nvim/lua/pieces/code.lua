--- Code blocks of a conversation: finding the one under the cursor, and what to do with it.
local client = require('pieces.client')
local document = require('pieces.document')
local text = require('pieces.text')

local M = {}

--- How long a choice waits for the server's own actions, in milliseconds.
local PATIENCE = 500

---@class pieces.Block in a buffer; lines are counted from 1
---@field opening integer
---@field first integer
---@field last integer before `first` where the block is empty
---@field closing integer
---@field language string
---@field lines string[]

---@class pieces.Code in a message
---@field conversation string
---@field message string
---@field block integer
---@field language string?
---@field text string

--- All fenced blocks of a buffer.
---@param buf integer
---@return pieces.Block[]
function M.all(buf)
  local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
  local found, open = {}, nil
  for number, line in ipairs(lines) do
    local fence, rest = line:match('^[%s>]*(```+)([^`]*)$')
    if not fence then
      fence, rest = line:match('^[%s>]*(~~~+)(.*)$')
    end
    if fence and not open then
      local language = rest:match('%S+') or ''
      open = { opening = number, first = number + 1, language = language, fence = fence }
    elseif fence and vim.startswith(fence, open.fence) and vim.trim(rest) == '' then
      open.last, open.closing, open.fence = number - 1, number, nil
      open.lines = vim.list_slice(lines, open.first, open.last)
      found[#found + 1] = open
      open = nil
    end
  end
  return found
end

--- The block around a line, its fences included.
---@param buf integer
---@param line integer
---@return pieces.Block?
function M.at(buf, line)
  for _, block in ipairs(M.all(buf)) do
    if block.opening <= line and line <= block.closing then
      return block
    end
  end
end

--- The same block as the server counts it.
---@param buf integer
---@param block pieces.Block
---@param done fun(code: pieces.Code)
local function locate(buf, block, done)
  local id = document.conversation(buf)
  client.execute('pieces.conversations.messages', { conversation = id }, function(answer)
    local message
    for _, item in ipairs(answer.items) do
      if item.line and item.line < block.opening then
        message = item
      end
    end
    local index = -1
    for _, other in ipairs(M.all(buf)) do
      if message and other.opening > message.line and other.opening <= block.opening then
        index = index + 1
      end
    end
    local code = message and message.blocks[index + 1]
    if not code then
      return text.say('This block has changed; try again.', vim.log.levels.WARN)
    end
    done({
      conversation = id,
      message = message.id,
      block = code.index,
      language = code.language,
      text = code.text,
    })
  end)
end

--- The window before this one, if code can be put there.
---@return integer? win
local function target()
  local win = vim.fn.win_getid(vim.fn.winnr('#'))
  local function takes(one)
    return one ~= 0
      and one ~= vim.api.nvim_get_current_win()
      and vim.bo[vim.api.nvim_win_get_buf(one)].modifiable
      and vim.bo[vim.api.nvim_win_get_buf(one)].buftype == ''
      and vim.api.nvim_win_get_config(one).relative == ''
  end
  if takes(win) then
    return win
  end
  for _, other in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if takes(other) then
      return other
    end
  end
end

--- Puts code below the line of the cursor, as `p` does; in place of an empty line.
---@param code pieces.Code
---@param win integer
local function insert(code, win)
  local buf = vim.api.nvim_win_get_buf(win)
  local line = vim.api.nvim_win_get_cursor(win)[1] - 1
  local here = vim.api.nvim_buf_get_lines(buf, line, line + 1, false)[1]
  local first = vim.trim(here) == '' and line or line + 1
  client.with(function(ready)
    vim.lsp.buf_attach_client(buf, ready.id)
    local argument = {
      conversation = code.conversation,
      message = code.message,
      block = code.block,
      uri = vim.uri_from_bufnr(buf),
      range = {
        start = { line = first, character = 0 },
        ['end'] = { line = line + 1, character = 0 },
      },
    }
    client.execute('pieces.conversations.insertCode', argument, function(result)
      if not result.applied then
        text.say('Not inserted: the file has changed. Try again.', vim.log.levels.WARN)
      end
    end)
  end)
end

---@param block pieces.Block
local function yank(block)
  vim.fn.setreg('"', block.lines, 'V')
  if vim.fn.has('clipboard') == 1 then
    vim.fn.setreg('+', block.lines, 'V')
  end
  text.say('Copied ' .. text.count(#block.lines, 'line') .. '.')
end

--- A buffer with the code.
---@param block pieces.Block
local function new(block)
  vim.cmd.new()
  vim.api.nvim_buf_set_lines(0, 0, -1, false, block.lines)
  vim.bo.filetype = vim.filetype.match({ filename = 'x.' .. block.language })
    or (block.language:match('^[%w_+-]+$') and block.language:lower())
    or ''
end

---@param block pieces.Block
---@param win integer
local function compare(block, win)
  vim.api.nvim_set_current_win(win)
  local filetype = vim.bo.filetype
  vim.cmd.diffthis()
  vim.cmd.new({ mods = { vertical = true } })
  vim.api.nvim_buf_set_lines(0, 0, -1, false, block.lines)
  vim.bo.buftype, vim.bo.bufhidden, vim.bo.filetype = 'nofile', 'wipe', filetype
  vim.cmd.diffthis()
end

--- What the server offers for the block, such as replacing the lines that it was about.
---@param buf integer
---@param block pieces.Block
---@return table[] choices
local function offered(buf, block)
  local ready = client.get()
  if not ready then
    return {}
  end
  local position = { line = block.opening - 1, character = 0 }
  local answer = ready:request_sync('textDocument/codeAction', {
    textDocument = vim.lsp.util.make_text_document_params(buf),
    range = { start = position, ['end'] = position },
    context = { diagnostics = {}, only = { 'pieces.insert' }, triggerKind = 1 },
  }, PATIENCE, buf)
  return vim.tbl_map(function(action)
    return {
      text.clean(action.title),
      function()
        client.execute(action.command.command, action.command.arguments[1])
      end,
    }
  end, answer and answer.result or {})
end

--- `<CR>` in a conversation.
function M.choose()
  local buf = vim.api.nvim_get_current_buf()
  local block = M.at(buf, vim.api.nvim_win_get_cursor(0)[1])
  if not block then
    return vim.cmd.normal({ vim.keycode('<CR>'), bang = true })
  end
  local win = target()
  local choices = offered(buf, block)
  local function add(title, run)
    choices[#choices + 1] = { title, run }
  end
  if win then
    local name = vim.fs.basename(vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win)))
    name = name == '' and 'the other window' or text.clean(name, 40)
    add('Insert at the cursor of ' .. name, function()
      locate(buf, block, function(code)
        insert(code, win)
      end)
    end)
    add('Compare with ' .. name, function()
      compare(block, win)
    end)
  end
  add('Copy', function()
    yank(block)
  end)
  add('Open in a new buffer', function()
    new(block)
  end)
  vim.ui.select(choices, {
    prompt = ('Code, %s'):format(text.count(#block.lines, 'line')),
    format_item = function(choice)
      return choice[1]
    end,
  }, function(choice)
    if choice then
      choice[2]()
    end
  end)
end

--- The blocks of the last answer that has any, and what they are in.
---@param id string
---@param done fun(found: pieces.Code[])
local function of_last_answer(id, done)
  client.execute('pieces.conversations.messages', { conversation = id }, function(answer)
    for index = #answer.items, 1, -1 do
      local item = answer.items[index]
      if item.role == 'ASSISTANT' and #(item.blocks or {}) > 0 then
        return done(vim.tbl_map(function(block)
          return {
            conversation = id,
            message = item.id,
            block = block.index,
            language = block.language,
            text = block.text,
          }
        end, item.blocks))
      end
    end
    text.say('This conversation has no code.', vim.log.levels.WARN)
  end)
end

--- `:Pieces insert`: in a conversation its block under the cursor into the other window, elsewhere a
--- block of the last answer at the cursor.
---@param last string? the conversation that was asked or read last
function M.insert(last)
  local buf, here = vim.api.nvim_get_current_buf(), vim.api.nvim_get_current_win()
  if document.conversation(buf) then
    local block = M.at(buf, vim.api.nvim_win_get_cursor(0)[1])
    local win = target()
    if not block or not win then
      local why = block and 'There is no window with a file to put it in.'
        or 'There is no code block under the cursor.'
      return text.say(why, vim.log.levels.WARN)
    end
    return locate(buf, block, function(code)
      insert(code, win)
    end)
  end
  if not last then
    return text.say('Ask or open a conversation first.', vim.log.levels.WARN)
  elseif not vim.bo[buf].modifiable then
    return text.say('This buffer cannot be changed.', vim.log.levels.WARN)
  end
  of_last_answer(last, function(found)
    if #found == 1 then
      return insert(found[1], here)
    end
    vim.ui.select(vim.list_slice(found, 1, 20), {
      prompt = 'Insert which code?',
      format_item = function(code)
        local first = vim.trim(code.text):match('^[^\n]*')
        return ('%s, %s'):format(
          text.count(select(2, vim.trim(code.text):gsub('\n', '\n')) + 1, 'line'),
          text.clean(first, 60)
        )
      end,
    }, function(code)
      if code then
        insert(code, here)
      end
    end)
  end)
end

return M
