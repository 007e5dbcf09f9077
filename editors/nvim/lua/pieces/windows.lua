--- Where our buffers are shown.
local M = {}

---@param mods vim.api.keyset.parse_cmd.mods?
---@return boolean whether a command's modifiers ask for a new window
function M.asks_for_split(mods)
  return mods ~= nil and ((mods.split or '') ~= '' or mods.vertical or (mods.tab or -1) >= 0)
    or false
end

--- Whether a document may take the place of what the window shows.
---@param win integer
---@return boolean
local function is_free(win)
  if vim.api.nvim_win_get_config(win).relative ~= '' or vim.wo[win].winfixbuf then
    return false
  end
  local name = vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win))
  return not vim.startswith(name, 'pieces://') and not vim.startswith(name, 'pieces-ask:')
end

--- Leaves a list for the window that its entries are opened in: the one before, another one of this
--- tab page, or a new one above.
function M.leave()
  local before = vim.fn.win_getid(vim.fn.winnr('#'))
  if before ~= 0 and before ~= vim.api.nvim_get_current_win() and is_free(before) then
    return vim.api.nvim_set_current_win(before)
  end
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if is_free(win) then
      return vim.api.nvim_set_current_win(win)
    end
  end
  vim.cmd.split({ mods = { split = 'aboveleft' } })
end

--- Shows a list of ours at the bottom, or where the modifiers say; its own window if it has one.
---@param buf integer
---@param mods vim.api.keyset.parse_cmd.mods?
---@param lines integer how many it has to show
function M.show_list(buf, mods, lines)
  local shown = vim.fn.win_findbuf(buf)
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if vim.tbl_contains(shown, win) and not M.asks_for_split(mods) then
      return vim.api.nvim_set_current_win(win)
    end
  end
  if M.asks_for_split(mods) then
    vim.cmd.split({ mods = mods })
    vim.api.nvim_win_set_buf(0, buf)
  else
    -- Half of the screen at most; its place stays the same when others come and go.
    local height = math.max(5, math.min(lines + 1, math.floor(vim.o.lines / 2)))
    vim.cmd.split({ mods = { split = 'botright' }, range = { height } })
    vim.api.nvim_win_set_buf(0, buf)
    vim.wo[0][0].winfixheight = true
  end
  local wo = vim.wo[0][0]
  wo.number, wo.relativenumber, wo.wrap, wo.spell, wo.list = false, false, false, false, false
  wo.cursorline, wo.foldcolumn, wo.signcolumn = true, '0', 'no'
end

--- Closes the current window of ours; the last window gets an empty buffer instead.
function M.close()
  if not pcall(vim.api.nvim_win_close, 0, false) then
    vim.cmd.enew()
  end
end

return M
