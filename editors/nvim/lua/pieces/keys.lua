--- Keys of our own buffers: each is a `<Plug>(pieces-…)`, mapped unless the user wants none.
local M = {}

---@class pieces.Key
---@field [1] string the key
---@field [2] string the name behind `<Plug>(pieces-`
---@field [3] string what it does
---@field [4] fun(): string? does it
---@field mode? string|string[] default `'n'`
---@field expr? boolean it returns the keys to be typed instead

---@type table<integer, pieces.Key[]>
local of_buffer = {}

---@param buf integer
---@param keys pieces.Key[]
function M.set(buf, keys)
  of_buffer[buf] = keys
  local wanted = require('pieces.config').get().maps
  for _, key in ipairs(keys) do
    local plug = ('<Plug>(pieces-%s)'):format(key[2])
    local mode = key.mode or 'n'
    local how = { buffer = buf, desc = key[3], expr = key.expr, silent = true }
    vim.keymap.set(mode, plug, key[4], how)
    if wanted then
      vim.keymap.set(
        mode,
        key[1],
        plug,
        { buffer = buf, desc = key[3], remap = true, nowait = true }
      )
    end
  end
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = buf,
    once = true,
    callback = function()
      of_buffer[buf] = nil
    end,
  })
end

--- Shows the keys of the current buffer in a window that the next key closes.
function M.help()
  local lines, width = {}, 0
  for _, key in ipairs(of_buffer[vim.api.nvim_get_current_buf()] or {}) do
    lines[#lines + 1] = (' %-6s %s '):format(key[1], key[3])
    width = math.max(width, vim.fn.strdisplaywidth(lines[#lines]))
  end
  if #lines == 0 then
    return
  end
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].modifiable = false
  local win = vim.api.nvim_open_win(buf, true, {
    relative = 'editor',
    width = width,
    height = math.min(#lines, math.max(1, vim.o.lines - 4)),
    row = math.max(0, math.floor((vim.o.lines - #lines) / 2) - 1),
    col = math.max(0, math.floor((vim.o.columns - width) / 2)),
    style = 'minimal',
    border = 'rounded',
    title = ' Keys ',
  })
  for _, key in ipairs({ 'q', '<Esc>', '?', '<CR>' }) do
    vim.keymap.set('n', key, function()
      vim.api.nvim_win_close(win, true)
    end, { buffer = buf, nowait = true })
  end
  vim.api.nvim_create_autocmd('WinLeave', {
    buffer = buf,
    once = true,
    callback = function()
      pcall(vim.api.nvim_win_close, win, true)
    end,
  })
end

return M
