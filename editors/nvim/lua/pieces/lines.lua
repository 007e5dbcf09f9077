--- Changes of a buffer that leave everything else where it is.
local M = {}

--- Replaces what differs and nothing else, so that cursors, folds and marks stay where they are.
---@param buf integer
---@param new string[]
function M.set(buf, new)
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

--- Makes `buf` a place to read: no file, no swap file, no undo, and its text sets no options.
---@param buf integer
function M.read_only(buf)
  local bo = vim.bo[buf]
  bo.buftype = 'nofile'
  bo.swapfile = false
  bo.undolevels = -1
  bo.modeline = false
  bo.modifiable = false
end

return M
