--- ibhagwan/fzf-lua
local M = {}

---@param picker pieces.Picker
---@param entries pieces.Entry[] at least one
function M.pick(picker, entries)
  local fzf = require('fzf-lua')
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
end

return M
