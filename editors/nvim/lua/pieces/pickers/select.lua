--- The picker that is always there: a question for a few, a window for many.
local windows = require('pieces.windows')

local M = {}

--- Most entries of `vim.ui.select`, which prints them all, and so never more than a screen.
local FEW = 20

--- Shows the entries in a buffer: `/` searches, `<CR>` chooses.
---@param title string
---@param entries pieces.Entry[]
---@param choose fun(value: any)
local function show(title, entries, choose)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_name(buf, 'pieces://choice/' .. buf)
  vim.api.nvim_buf_set_lines(
    buf,
    0,
    -1,
    false,
    vim.tbl_map(function(entry)
      return entry.text
    end, entries)
  )
  require('pieces.lines').read_only(buf)
  vim.bo[buf].bufhidden = 'wipe'
  windows.show_list(buf, nil, #entries)
  vim.b[buf].pieces_title = title
  vim.wo[0][0].winbar = ' %{b:pieces_title}%=%#Comment#<CR> chooses, q closes '
  require('pieces.keys').set(buf, {
    {
      '<CR>',
      'choose',
      'choose this one',
      function()
        local entry = entries[vim.api.nvim_win_get_cursor(0)[1]]
        local list = vim.api.nvim_get_current_win()
        windows.leave()
        if not pcall(vim.api.nvim_win_close, list, false) then
          vim.cmd.enew()
        end
        choose(entry.value)
      end,
    },
    { 'q', 'close', 'choose none', windows.close },
  })
end

---@param picker pieces.Picker
---@param entries pieces.Entry[] at least one
function M.pick(picker, entries)
  local title = picker.title(#entries)
  if #entries > math.min(FEW, vim.o.lines - 4) then
    return show(title, entries, picker.choose)
  end
  vim.ui.select(entries, {
    prompt = title,
    kind = 'pieces',
    format_item = function(entry)
      return entry.text
    end,
  }, function(entry)
    if entry then
      picker.choose(entry.value)
    end
  end)
end

return M
