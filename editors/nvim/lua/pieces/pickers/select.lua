--- The picker that is always there.
local text = require('pieces.text')

local M = {}

---@param picker pieces.Picker
function M.pick(picker)
  picker.entries(picker.query, function(entries)
    if #entries == 0 then
      return text.say(picker.title(0) .. ': nothing there')
    end
    vim.ui.select(entries, {
      prompt = picker.title(#entries),
      kind = 'pieces',
      format_item = function(entry)
        return entry.text
      end,
    }, function(entry)
      if entry then
        picker.choose(entry.value)
      end
    end)
  end)
end

return M
