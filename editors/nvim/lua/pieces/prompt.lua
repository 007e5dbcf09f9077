--- The window to type a question in: `:w` sends, `q` closes it and keeps the draft.
local answers = require('pieces.answers')
local client = require('pieces.client')
local config = require('pieces.config')
local drafts = require('pieces.drafts')
local keys = require('pieces.keys')
local model = require('pieces.model')
local text = require('pieces.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('pieces.prompt')
local HEIGHT = 6

---@type table<integer, pieces.Target> by buffer
local targets = {}

---@param target pieces.Target
---@return string
local function key(target)
  local argument = target.argument
  if argument.from then
    return 'from ' .. argument.from
  end
  return argument.conversation or argument.uri or 'new'
end

---@param buf integer
---@return string[]
local function typed(buf)
  return vim.api.nvim_buf_get_lines(buf, 0, -1, false)
end

--- The draft is safe, so the buffer never counts as modified: `:wa` and `:qa` do not send it.
---@param buf integer
local function keep(buf)
  if vim.api.nvim_buf_is_loaded(buf) and targets[buf] then
    drafts.save(key(targets[buf]), typed(buf))
    vim.bo[buf].modified = false
  end
end

vim.api.nvim_create_autocmd('VimLeavePre', {
  group = vim.api.nvim_create_augroup('pieces.prompt', {}),
  callback = function()
    for buf in pairs(targets) do
      keep(buf)
    end
  end,
})

---@param buf integer
local function send(buf)
  local target = targets[buf]
  local prompt = vim.trim(table.concat(typed(buf), '\n'))
  vim.bo[buf].modified = false
  if prompt == '' then
    return text.say('Type a question first.', vim.log.levels.WARN)
  elseif answers.running(target.argument.conversation) then
    return text.say('An answer is being written; <C-c> stops it.', vim.log.levels.WARN)
  end
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, {})
  keep(buf)
  vim.cmd.stopinsert()
  if not target.argument.conversation or target.argument.from then
    -- The conversation has a prompt of its own.
    vim.schedule(function()
      if vim.api.nvim_buf_is_valid(buf) then
        vim.api.nvim_buf_delete(buf, { force = true })
      end
      require('pieces.ask').send(target, prompt)
    end)
    return
  end
  require('pieces.ask').send(target, prompt)
end

--- Says below the text what somebody should know before typing.
---@param buf integer
local function announce(buf)
  model.list(function(models, why)
    if not vim.api.nvim_buf_is_loaded(buf) then
      return
    end
    vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
    local trouble = why or (models and models.source == 'none' and model.NONE)
    if trouble then
      local width = math.max(20, vim.api.nvim_win_get_width(vim.fn.win_findbuf(buf)[1] or 0) - 2)
      vim.api.nvim_buf_set_extmark(buf, namespace, 0, 0, {
        virt_lines = vim.tbl_map(function(line)
          return { { line, 'DiagnosticWarn' } }
        end, text.wrap(text.clean(trouble, 500), width)),
      })
    elseif models then
      local where = model.remote(models.endpoint)
      local name = text.clean(model.current(models) or '', 60)
      vim.b[buf].pieces_model = where and ('%s at %s'):format(name, where) or name
      vim.cmd.redrawstatus({ bang = true })
    end
  end)
end

--- For the winbar of a prompt.
---@return string
function M.bar()
  local buf = vim.api.nvim_get_current_buf()
  local target = targets[buf]
  if not target then
    return ''
  end
  local status = answers.running(target.argument.conversation)
  local by = vim.b[buf].pieces_model
  local words = { status and status .. ', <C-c> stops' or ':w sends, q keeps the draft' }
  if by and by ~= '' then
    words[#words + 1] = by
  end
  words[#words + 1] = 'ask: ' .. target.label
  return table.concat(words, ' · ')
end

---@param buf integer
---@return pieces.Key[]
local function actions(buf)
  local function sends()
    send(buf)
  end
  local function stops()
    local id = M.conversation(buf)
    if id and require('pieces.ask').busy(id) then
      return require('pieces.ask').cancel(id)
    end
    -- Not ours: as if it were not mapped.
    vim.api.nvim_feedkeys(vim.keycode('<C-c>'), 'n', false)
  end
  return {
    { '<C-s>', 'send', 'send the question, as :w does', sends, mode = { 'n', 'i' } },
    { '<C-c>', 'cancel', 'stop the answer', stops, mode = { 'n', 'i' } },
    {
      'q',
      'close',
      'close, and keep the draft',
      function()
        keep(buf)
        require('pieces.windows').close()
      end,
    },
    { 'g?', 'keys', 'show these keys', keys.help },
  }
end

---@param target pieces.Target
---@return integer buf
local function create(target)
  local buf = vim.api.nvim_create_buf(false, false)
  targets[buf] = target
  vim.api.nvim_buf_set_name(buf, 'pieces-ask:/' .. (M.conversation(buf) or 'new') .. '/' .. buf)
  local bo = vim.bo[buf]
  bo.buftype, bo.swapfile, bo.bufhidden, bo.filetype = 'acwrite', false, 'hide', 'markdown'
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, drafts.load(key(target)))
  bo.modified = false
  keys.set(buf, actions(buf))
  local function on(events, run)
    vim.api.nvim_create_autocmd(events, {
      buffer = buf,
      callback = function()
        run(buf)
      end,
    })
  end
  on('BufWriteCmd', send)
  on({ 'TextChanged', 'InsertLeave', 'CursorHoldI', 'BufLeave', 'BufHidden' }, keep)
  on('TextChangedI', function()
    vim.bo[buf].modified = false
  end)
  on('BufWipeout', function()
    targets[buf] = nil
  end)
  client.attach(buf)
  return buf
end

--- The conversation that a prompt asks in.
---@param buf integer 0 for the current one
---@return string?
function M.conversation(buf)
  buf = buf == 0 and vim.api.nvim_get_current_buf() or buf
  return targets[buf] and targets[buf].argument.conversation
end

---@param target pieces.Target
---@return integer? buf
local function existing(target)
  for buf, other in pairs(targets) do
    if key(other) == key(target) and vim.api.nvim_buf_is_loaded(buf) then
      return buf
    end
  end
end

--- Opens the window to type in, or goes to it.
---@param target pieces.Target
---@param lines? string[] what it begins with, behind the draft if there is one
function M.open(target, lines)
  local buf = existing(target) or create(target)
  -- The same file, perhaps with another selection.
  targets[buf] = target
  if lines then
    local empty = vim.trim(table.concat(typed(buf))) == ''
    vim.api.nvim_buf_set_lines(buf, empty and 0 or -1, -1, false, lines)
    vim.bo[buf].modified = false
  end
  local win = vim.fn.win_findbuf(buf)[1]
  if win then
    vim.api.nvim_set_current_win(win)
  else
    vim.cmd.split({ range = { HEIGHT }, mods = { split = 'belowright' } })
    vim.api.nvim_win_set_buf(0, buf)
    local wo = vim.wo[0][0]
    wo.winfixheight, wo.number, wo.relativenumber, wo.linebreak = true, false, false, true
    wo.foldenable, wo.signcolumn = false, 'no'
    if config.get().winbar then
      wo.winbar = " %{v:lua.require('pieces.prompt').bar()}%<"
    end
  end
  announce(buf)
  vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(buf), 0 })
  vim.cmd.startinsert({ bang = true })
end

--- A question that could not be sent is a draft again.
---@param target pieces.Target
---@param prompt string
function M.give_back(target, prompt)
  local lines = vim.split(prompt, '\n', { plain = true })
  local buf = existing(target)
  if not buf then
    return drafts.save(key(target), lines)
  end
  local now = typed(buf)
  if vim.trim(table.concat(now, '\n')) ~= '' then
    vim.list_extend(lines, now)
  end
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  keep(buf)
end

return M
