--- What the user has chosen: `vim.g.pieces`, then `setup()`, over the defaults.
local M = {}

---@type pieces.Config
local defaults = {
  cmd = { 'pieces-lsp' },
  enable = true,
  picker = 'auto',
  maps = true,
  winbar = true,
  folds = true,
  conceal = true,
  settings = {},
}

---@type pieces.Config
local from_setup = {}

---@type pieces.Settings? what `:Pieces backend` has chosen, for this session
local chosen

---@param options pieces.Config
function M.set(options)
  vim.validate('options', options, 'table')
  from_setup = options
end

---@param backend 'auto'|'pieces-os'|'local'
---@param url string?
function M.choose(backend, url)
  chosen = { backend = backend, url = url }
end

---@type string? what `:Pieces model` has chosen, for this session
local model

---@param name string?
function M.use_model(name)
  model = name
end

--- Every field is there.
---@return pieces.Config
function M.get()
  local global = vim.g.pieces
  if type(global) == 'function' then
    global = global()
  end
  return vim.tbl_deep_extend(
    'force',
    defaults,
    type(global) == 'table' and global or {},
    from_setup
  )
end

--- What the server is told: live updates are what the documents and the status line live on.
---@return pieces.Settings
function M.settings()
  local settings = vim.tbl_extend('force', { liveUpdates = true }, M.get().settings or {})
  settings.model = model or settings.model
  if chosen then
    settings.backend, settings.url = chosen.backend, chosen.url
  end
  return settings
end

--- Names of fields that nothing reads, and types that are wrong; for `:checkhealth`.
---@return string[]
function M.problems()
  local types = {}
  for name, value in pairs(defaults) do
    types[name] = type(value)
  end
  local found = {}
  for name, value in pairs(M.get()) do
    if not types[name] then
      found[#found + 1] = ('`%s` is not an option'):format(name)
    elseif type(value) ~= types[name] then
      found[#found + 1] = ('`%s` must be a %s'):format(name, types[name])
    end
  end
  table.sort(found)
  return found
end

return M
