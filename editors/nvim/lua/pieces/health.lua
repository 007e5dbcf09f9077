--- `:checkhealth pieces`
local M = {}

local health = vim.health

--- Runs the server's program; nil where it does not start or takes too long.
---@param arguments string[]
---@return vim.SystemCompleted?
local function run(arguments)
  local cmd = vim.list_extend({ require('pieces.client').program() }, arguments)
  local started, process = pcall(vim.system, cmd, { text = true, timeout = 10000 })
  return started and process:wait() or nil
end

--- What the running server says of itself, once it has made up its mind.
---@return pieces.Status? status
---@return string? why there is none
local function ask()
  local status, why
  local function look()
    require('pieces.client').execute('pieces.status', nil, function(answer)
      status = answer
      if answer.state == 'connecting' or answer.state == 'syncing' then
        vim.defer_fn(look, 50)
      end
    end, function(message)
      why = message
    end)
  end
  look()
  vim.wait(5000, function()
    return why ~= nil or (status and (status.state == 'live' or status.state == 'offline'))
  end, 20)
  return status, why or 'no answer in five seconds'
end

local function check_program()
  health.start('pieces: program')
  if vim.fn.has('nvim-0.11') == 1 then
    health.ok('Neovim ' .. tostring(vim.version()))
  else
    health.error('Neovim 0.11 or newer is needed')
    return false
  end
  local client = require('pieces.client')
  if not client.installed() then
    health.error(('`%s` was not found'):format(client.program()), {
      'Install it: cargo install --path . in the project, or a release binary on your PATH.',
      'Or say where it is: vim.g.pieces = { cmd = { "/path/to/pieces-lsp" } }',
    })
    return false
  end
  local version = run({ '--version' })
  if not version or version.code ~= 0 then
    health.error(('`%s --version` failed'):format(client.program()))
    return false
  end
  health.ok(('%s (%s)'):format(vim.trim(version.stdout), vim.fn.exepath(client.program())))
  return true
end

local function check_options()
  health.start('pieces: options')
  local problems = require('pieces.config').problems()
  for _, problem in ipairs(problems) do
    health.warn(problem .. ', see :help pieces-options')
  end
  if #problems == 0 then
    health.ok('vim.g.pieces and setup() hold nothing unknown')
  end
  health.info('picker: ' .. require('pieces.picker').which())
end

local function check_server()
  health.start('pieces: server')
  local client = require('pieces.client')
  local ready
  client.with(function(found)
    ready = found
  end, function() end)
  vim.wait(5000, function()
    return ready ~= nil
  end, 20)
  if not ready then
    return health.error(
      'The server did not start',
      { client.last_error or ':Pieces log says why.' }
    )
  end
  local info = ready.server_info or {}
  health.ok(('running: %s %s'):format(info.name or 'pieces-lsp', info.version or ''))
  local status, why = ask()
  if not status then
    return health.error('It does not say how it is: ' .. why)
  end
  local line = ('%s: %s%s, %d conversations'):format(
    status.state,
    status.backend or 'no backend',
    status.url and (' at ' .. status.url) or '',
    status.conversations
  )
  if status.state == 'offline' then
    health.error(line, { status.error or 'Run `pieces-lsp doctor` in a terminal.' })
  else
    health.ok(line)
  end
  if client.last_error then
    health.warn('last error: ' .. client.last_error)
  end
end

local function check_model()
  health.start('pieces: model')
  local model = require('pieces.model')
  local models, why
  model.list(function(found, problem)
    models, why = found, problem or ''
  end)
  vim.wait(5000, function()
    return models ~= nil or why ~= nil
  end, 20)
  if not models then
    health.warn(why ~= nil and why ~= '' and why or 'no answer in five seconds')
  elseif models.source == 'none' then
    health.info(model.NONE)
  else
    local at = models.endpoint and ' at ' .. models.endpoint or ''
    health.ok(('%s (%s)%s'):format(model.current(models) or 'no default', models.source, at))
  end
end

function M.check()
  local found = check_program()
  check_options()
  if found then
    check_server()
    check_model()
  end
end

return M
