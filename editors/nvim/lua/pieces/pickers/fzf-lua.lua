--- ibhagwan/fzf-lua
local M = {}

---@param picker pieces.Picker
function M.pick(picker)
  local fzf = require('fzf-lua')
  picker.entries(picker.query, function(entries)
    local lines = {}
    for index, entry in ipairs(entries) do
      lines[index] = ('%d\t%s'):format(index, entry.text)
    end
    fzf.fzf_exec(lines, {
      winopts = { title = (' %s '):format(picker.title(#entries)) },
      fzf_opts = { ['--delimiter'] = '\t', ['--with-nth'] = '2..' },
      actions = {
        ['default'] = function(selected)
          local entry = entries[tonumber((selected[1] or ''):match('^%d+'))]
          if entry then
            picker.choose(entry.value)
          end
        end,
      },
    })
  end)
end

return M
