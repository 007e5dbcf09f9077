--- What a conversation's buffer is for a reader: its name above it, messages as folds, motions between
--- them, code blocks as text objects, and a key for everything that can be done.
local answers = require('pieces.answers')
local client = require('pieces.client')
local config = require('pieces.config')
local document = require('pieces.document')
local keys = require('pieces.keys')

local M = {}

local namespace = vim.api.nvim_create_namespace('pieces.transcript')
--- How long a key waits for the server, in milliseconds.
local PATIENCE = 500

--- The first lines of the messages.
---@param buf integer
---@return integer[] lines
local function messages(buf)
  local ready = client.get()
  local params = { textDocument = vim.lsp.util.make_text_document_params(buf) }
  local answer = ready and ready:request_sync('textDocument/documentSymbol', params, PATIENCE, buf)
  return vim.tbl_map(function(symbol)
    return symbol.range.start.line + 1
  end, answer and answer.result or {})
end

---@param step 1|-1
local function jump(step)
  return function()
    local here, count = vim.api.nvim_win_get_cursor(0)[1], vim.v.count1
    local others = vim.tbl_filter(function(line)
      return (line - here) * step > 0
    end, messages(0))
    if #others == 0 then
      return
    end
    count = math.min(count, #others)
    vim.cmd.normal({ "m'", bang = true })
    vim.api.nvim_win_set_cursor(0, { others[step > 0 and count or #others + 1 - count], 0 })
    vim.cmd.normal({ 'zv', bang = true })
  end
end

--- Keys that select the code block around the cursor; without one the operator ends.
---@param around boolean
local function select_block(around)
  return function()
    local block = require('pieces.code').at(0, vim.api.nvim_win_get_cursor(0)[1])
    if not block or (not around and block.first > block.last) then
      return '<Esc>'
    end
    local first = around and block.opening or block.first
    local last = around and block.closing or block.last
    return (':<C-u>normal! %dGV%dG<CR>'):format(first, last)
  end
end

---@return pieces.Key[]
local function actions()
  local function ask()
    require('pieces.ask').follow_up()
  end
  local function code()
    require('pieces.code').choose()
  end
  local visual = { 'x', 'o' }
  return {
    { 'i', 'ask', 'ask in this conversation', ask },
    { 'a', 'follow-up', 'the same', ask },
    {
      '<C-c>',
      'cancel',
      'stop the answer',
      function()
        require('pieces.ask').cancel()
      end,
    },
    { '<CR>', 'code', 'do something with the code block', code },
    { 'ic', 'inner-code', 'the code block', select_block(false), mode = visual, expr = true },
    {
      'ac',
      'around-code',
      'the code block with its fences',
      select_block(true),
      mode = visual,
      expr = true,
    },
    { ']]', 'next', 'to the next message', jump(1) },
    { '[[', 'previous', 'to the message before', jump(-1) },
    { 'g?', 'keys', 'show these keys', keys.help },
  }
end

--- For the winbar of a conversation.
---@return string
function M.bar()
  local buf = vim.api.nvim_get_current_buf()
  local status = answers.running(document.conversation(buf))
  local name = vim.b[buf].pieces_name or ''
  return status and ('%s · %s, <C-c> stops'):format(name, status) or name
end

local BAR = " %{v:lua.require('pieces.transcript').bar()} %<%=%#Comment#i asks, g? shows the keys "

--- The options of a window that has just begun to show the buffer.
local function dress()
  local buf = vim.api.nvim_get_current_buf()
  require('pieces.ask').read(document.conversation(buf))
  if vim.w.pieces_dressed == buf then
    return
  end
  vim.w.pieces_dressed = buf
  local wo, options = vim.wo[0][0], config.get()
  if options.winbar then
    wo.winbar = BAR
  end
  wo.linebreak, wo.breakindent, wo.list = true, true, false
  wo.number, wo.relativenumber, wo.spell = false, false, false
  -- Links show their text, times and code stand without Markdown's signs; the cursor's line is as it is.
  if options.conceal then
    wo.conceallevel = 2
  end
  if options.folds then
    wo.foldmethod, wo.foldexpr, wo.foldlevel = 'expr', 'v:lua.vim.lsp.foldexpr()', 99
  end
end

---@param buf integer
function M.set_up(buf)
  keys.set(buf, actions())
  vim.api.nvim_create_autocmd({ 'BufWinEnter', 'BufEnter' }, { buffer = buf, callback = dress })
end

--- Says at the end of the document that an answer is being written.
---@param buf integer
function M.mark(buf)
  if not vim.api.nvim_buf_is_loaded(buf) then
    return
  end
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  local status = answers.running(document.conversation(buf))
  if status then
    vim.api.nvim_buf_set_extmark(buf, namespace, vim.api.nvim_buf_line_count(buf) - 1, 0, {
      virt_lines = { { { ('▍ %s, <C-c> stops'):format(status), 'DiagnosticInfo' } } },
    })
  end
end

--- The document was read. A conversation that is longer than its window opens at its last question.
---@param buf integer
---@param opened boolean for the first time, and nobody has said where to go
function M.shown(buf, opened)
  M.mark(buf)
  if not opened then
    return
  end
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    vim.api.nvim_win_call(win, function()
      if vim.api.nvim_buf_line_count(buf) > vim.api.nvim_win_get_height(win) then
        vim.cmd.normal({ 'G', bang = true })
        if vim.fn.search('^## You', 'bcW') == 0 then
          return vim.cmd.normal({ 'gg', bang = true })
        end
        vim.cmd.normal({ 'zt', bang = true })
      end
    end)
  end
end

return M
