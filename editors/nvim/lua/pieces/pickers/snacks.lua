--- folke/snacks.nvim
local M = {}

---@param picker pieces.Picker
---@param entries pieces.Entry[] at least one
function M.pick(picker, entries)
  local function items(list)
    local found = {}
    for index, entry in ipairs(list) do
      found[index] = { idx = index, text = entry.text, uri = entry.uri, value = entry.value }
    end
    return found
  end

  local current = items(entries)
  local group = vim.api.nvim_create_augroup('pieces.snacks', {})
  local shown
  shown = require('snacks.picker').pick({
    source = 'pieces',
    title = picker.title(#entries),
    finder = function()
      return current
    end,
    format = function(item)
      return { { item.text } }
    end,
    preview = function(context)
      context.preview:reset()
      require('pieces.preview').fill(context.buf, context.item.uri)
      return true
    end,
    confirm = function(self, item)
      self:close()
      if item then
        picker.choose(item.value)
      end
    end,
    on_close = function()
      vim.api.nvim_clear_autocmds({ group = group })
    end,
  })
  if picker.live then
    vim.api.nvim_create_autocmd('User', {
      group = group,
      pattern = 'PiecesConversations',
      callback = function()
        picker.entries(picker.query, function(new)
          current = items(new)
          if shown and not shown.closed then
            shown.title = picker.title(#new)
            shown:find()
          end
        end)
      end,
    })
  end
end

return M
