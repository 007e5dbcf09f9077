--- nvim-telescope/telescope.nvim
local M = {}

---@param picker pieces.Picker
---@param entries pieces.Entry[] at least one
function M.pick(picker, entries)
  local actions = require('telescope.actions')
  local state = require('telescope.actions.state')
  local finders = require('telescope.finders')
  local values = require('telescope.config').values
  local previewers = require('telescope.previewers')

  local function finder(list)
    return finders.new_table({
      results = list,
      entry_maker = function(entry)
        return { value = entry, display = entry.text, ordinal = entry.text }
      end,
    })
  end

  local group = vim.api.nvim_create_augroup('pieces.telescope', {})
  require('telescope.pickers')
    .new({}, {
      prompt_title = picker.title(#entries),
      finder = finder(entries),
      sorter = values.generic_sorter({}),
      previewer = previewers.new_buffer_previewer({
        title = 'Conversation',
        define_preview = function(self, entry)
          require('pieces.preview').fill(self.state.bufnr, entry.value.uri)
        end,
      }),
      attach_mappings = function(prompt)
        if picker.live then
          vim.api.nvim_create_autocmd('User', {
            group = group,
            pattern = 'PiecesConversations',
            callback = function()
              picker.entries(picker.query, function(new)
                if vim.api.nvim_buf_is_valid(prompt) then
                  local current = state.get_current_picker(prompt)
                  current:refresh(finder(new), { reset_prompt = false })
                  current.layout.prompt.border:change_title(picker.title(#new))
                end
              end)
            end,
          })
          vim.api.nvim_create_autocmd('BufWipeout', {
            group = group,
            buffer = prompt,
            callback = function()
              vim.api.nvim_clear_autocmds({ group = group })
            end,
          })
        end
        actions.select_default:replace(function()
          local entry = state.get_selected_entry()
          actions.close(prompt)
          if entry then
            picker.choose(entry.value.value)
          end
        end)
        return true
      end,
    })
    :find()
end

return M
