--- The one client of this Neovim: its configuration, its start on demand, its restart after a crash.
local config = require('pieces.config')
local text = require('pieces.text')

local M = {}

local NAME = 'pieces'
--- A server that dies this often within WINDOW seconds is left alone.
local MAX_RESTARTS, WINDOW = 5, 180

---@type table<integer, true> buffers that a new server must be attached to
local attached = {}
---@type integer[] when the server died, in seconds
local crashes = {}
--- Set while the user wants the server gone.
local stopping = false
---@type table<integer, (fun(client: vim.lsp.Client))[]> by client id
local waiting = {}
---@type string? why the server is not there
M.last_error = nil

---@param uri string
---@return boolean
function M.is_ours(uri)
  return uri:find('^pieces%-conversation:/') ~= nil or uri:find('^pieces%-asset:/') ~= nil
end

--- The same without JSON's nulls: an absent field is nil.
---@param value any
local function without_nulls(value)
  if value == vim.NIL then
    return nil
  elseif type(value) == 'table' then
    for key, inner in pairs(value) do
      value[key] = without_nulls(inner)
    end
  end
  return value
end

--- Runs a server command and opens the conversation it has made.
---@param command lsp.Command
local function run_and_open(command)
  local argument = vim.tbl_extend('force', (command.arguments or {})[1] or {}, { show = false })
  M.execute(command.command, argument, function(result)
    require('pieces.document').open('pieces-conversation:/' .. result.conversation .. '.md')
  end)
end

---@type table<string, lsp.Handler>
local handlers = {
  ['pieces/didChangeConversations'] = function(_, change)
    require('pieces.state').conversations(without_nulls(change))
  end,
  ['pieces/didChangeStatus'] = function(_, status)
    require('pieces.state').status(without_nulls(status))
  end,
  -- LSP 3.18; Neovim itself does not know it yet.
  ['workspace/textDocumentContent/refresh'] = function(_, params)
    require('pieces.document').refresh_soon(params.uri)
    return vim.NIL
  end,
  ['pieces/didAnswer'] = function(_, answer)
    require('pieces.answers').told(without_nulls(answer))
  end,
  -- The server knows the buffer of a conversation by a name in which spaces are escaped.
  ['textDocument/publishDiagnostics'] = function(err, params, ctx)
    local id = params.uri:match('^pieces%-conversation:/+(%x+%-%x+%-%x+%-%x+%-%x+)')
    local buf = id and require('pieces.document').buffer_of(id)
    if buf then
      params.uri = vim.api.nvim_buf_get_name(buf)
    end
    return vim.lsp.handlers['textDocument/publishDiagnostics'](err, params, ctx)
  end,
  ['window/showDocument'] = function(err, params, ctx)
    if not M.is_ours(params.uri) then
      return vim.lsp.handlers['window/showDocument'](err, params, ctx)
    end
    local start = params.selection and params.selection.start
    require('pieces.document').open(params.uri, {
      focus = params.takeFocus ~= false,
      line = start and start.line + 1,
    })
    return { success = true }
  end,
}

--- The program that is started: `vim.lsp.config.pieces` has the last word.
---@return string
function M.program()
  local cmd = vim.lsp.config[NAME].cmd
  return type(cmd) == 'table' and cmd[1] or ''
end

---@return boolean
function M.installed()
  return vim.fn.executable(M.program()) == 1
end

---@return vim.lsp.Config
function M.config()
  local settings = config.settings()
  ---@type vim.lsp.Config
  return {
    name = NAME,
    cmd = config.get().cmd,
    init_options = settings,
    settings = { pieces = settings },
    capabilities = { workspace = { textDocumentContent = vim.empty_dict() } },
    handlers = handlers,
    commands = {
      ['pieces.conversations.createFromAsset'] = run_and_open,
      ['pieces.conversations.startFromDocument'] = run_and_open,
    },
    -- Quietly nothing where the server is not installed; one server whatever the project.
    root_dir = function(_, on_dir)
      if M.installed() and not stopping then
        on_dir(nil)
      end
    end,
    reuse_client = function(client, wanted)
      return client.name == wanted.name and not client:is_stopped()
    end,
    on_init = function(client)
      M.last_error = nil
      stopping = false
      -- After the core's own callbacks, so that requests find a client that is ready.
      vim.schedule(function()
        require('pieces.state').started()
        local queue = waiting[client.id] or {}
        waiting[client.id] = nil
        for _, run in ipairs(queue) do
          run(client)
        end
      end)
    end,
    on_attach = function(_, buf)
      attached[buf] = true
    end,
    on_exit = function(code, signal, id)
      vim.schedule(function()
        M._exited(code, signal, id)
      end)
    end,
  }
end

---@return vim.lsp.Client? the running, ready client
function M.get()
  for _, client in ipairs(vim.lsp.get_clients({ name = NAME })) do
    if not client:is_stopped() then
      return client
    end
  end
end

--- Starts the server where it is not running; returns its client id.
---@return integer?
local function start()
  local wanted = vim.deepcopy(vim.lsp.config[NAME])
  -- `root_dir` is a question to the buffer, and here there is none.
  wanted.root_dir = nil
  stopping = false
  return vim.lsp.start(
    wanted,
    { attach = false, reuse_client = wanted.reuse_client, silent = true }
  )
end

--- Calls `run` with a client that is ready, starting the server where needed.
---@param run fun(client: vim.lsp.Client)
---@param failed? fun(message: string, data: pieces.Error)
function M.with(run, failed)
  local ready = M.get()
  if ready then
    return run(ready)
  end
  local id = M.installed() and start()
  if not id then
    M.last_error = ('`%s` does not start. '):format(M.program())
      .. 'Install pieces-lsp, or set vim.g.pieces = { cmd = { "/path/to/pieces-lsp" } }.'
    return (failed or M.complain)(M.last_error, {})
  end
  waiting[id] = waiting[id] or {}
  table.insert(waiting[id], run)
end

---@param message string
---@param _? pieces.Error
function M.complain(message, _)
  text.say(message, vim.log.levels.ERROR)
end

--- A request to the server; failures are told to the user unless `failed` takes them.
---@param method string
---@param params table
---@param done fun(result: any)
---@param failed? fun(message: string, data: pieces.Error)
function M.request(method, params, done, failed)
  failed = failed or M.complain
  M.with(function(client)
    ---@diagnostic disable-next-line: param-type-mismatch a method of our own
    local sent = client:request(method, params, function(err, result)
      if err then
        return failed(text.clean(err.message, 500), without_nulls(err.data) or {})
      end
      return done(without_nulls(result))
    end)
    if not sent then
      failed('The server has just stopped; try again.', {})
    end
  end, failed)
end

--- A command of the server.
---@param name string such as `pieces.conversations.list`
---@param argument table?
---@param done? fun(result: any)
---@param failed? fun(message: string, data: pieces.Error)
function M.execute(name, argument, done, failed)
  -- An empty Lua table would be sent as an empty list.
  local object = argument and (next(argument) and argument or vim.empty_dict())
  local params = { command = name, arguments = object and { object } or {} }
  M.request('workspace/executeCommand', params, done or function() end, failed)
end

--- Takes over changed options: for the next start, and in the running server.
function M.configure()
  local settings = config.settings()
  vim.lsp.config(NAME, {
    cmd = config.get().cmd,
    init_options = settings,
    settings = { pieces = settings },
  })
  local client = M.get()
  if client then
    client.settings = { pieces = settings }
    client:notify('workspace/didChangeConfiguration', { settings = { pieces = settings } })
  end
end

--- Attaches the client to a buffer of ours.
---@param buf integer
function M.attach(buf)
  M.with(function(client)
    if vim.api.nvim_buf_is_loaded(buf) then
      vim.lsp.buf_attach_client(buf, client.id)
    end
  end, function() end)
end

--- Starts a server again and gives it the buffers of the last one.
local function revive()
  M.with(function(client)
    for buf in pairs(attached) do
      if vim.api.nvim_buf_is_loaded(buf) then
        vim.lsp.buf_attach_client(buf, client.id)
      else
        attached[buf] = nil
      end
    end
  end)
end

---@param code integer
---@param signal integer
---@param id integer
function M._exited(code, signal, id)
  local queue = waiting[id]
  waiting[id] = nil
  require('pieces.state').stopped()
  if vim.v.exiting ~= vim.NIL or stopping or not (code ~= 0 or signal ~= 0) then
    return
  end
  M.last_error = ('the server ended with code %d and signal %d'):format(code, signal)
  local now = os.time()
  crashes = vim.tbl_filter(function(at)
    return now - at < WINDOW
  end, crashes)
  table.insert(crashes, now)
  if queue or #crashes >= MAX_RESTARTS then
    return M.complain('The server keeps ending; see :Pieces log, then :Pieces restart.')
  end
  vim.defer_fn(revive, 100 * 2 ^ (#crashes - 1))
end

--- Stops the server; `after` runs when it is gone.
---@param after? fun()
function M.stop(after)
  stopping = true
  for _, client in ipairs(vim.lsp.get_clients({ name = NAME })) do
    -- Neovim 0.11 knows no deadline here, and would take it as an order to kill.
    client:stop(vim.fn.has('nvim-0.12') == 1 and 2000 or nil)
  end
  local gone
  gone = function()
    if M.get() or #vim.lsp.get_clients({ name = NAME }) > 0 then
      return vim.defer_fn(gone, 20)
    end
    if after then
      after()
    end
  end
  gone()
end

--- Stops the server where it runs, and starts it.
function M.restart()
  crashes = {}
  M.stop(revive)
end

return M
