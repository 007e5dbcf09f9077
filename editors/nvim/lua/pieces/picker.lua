--- Choosing from a list: with the picker plugin that is installed, else with `vim.ui.select`.
local config = require('pieces.config')
local text = require('pieces.text')

local M = {}

--- In the order in which `auto` tries them; each is a module `pieces.pickers.<name>`.
M.names = { 'snacks', 'telescope', 'fzf-lua' }

--- The module to look for, by picker.
local probes =
  { snacks = 'snacks.picker', telescope = 'telescope.pickers', ['fzf-lua'] = 'fzf-lua' }

---@param name string
---@return boolean
function M.has(name)
  return (pcall(require, probes[name]))
end

---@return string
function M.which()
  local wanted = config.get().picker
  if wanted ~= 'auto' then
    return probes[wanted] and M.has(wanted) and wanted or 'select'
  end
  for _, name in ipairs(M.names) do
    if M.has(name) then
      return name
    end
  end
  return 'select'
end

--- Lets the user choose an entry.
---@param picker pieces.Picker
function M.pick(picker)
  picker.entries(picker.query, function(entries)
    if #entries == 0 then
      return text.say(picker.title(0) .. ': nothing there')
    end
    require('pieces.pickers.' .. M.which()).pick(picker, entries)
  end)
end

return M
