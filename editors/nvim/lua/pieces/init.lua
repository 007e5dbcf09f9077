--- Pieces conversations in Neovim. Nothing has to be called: see |pieces.txt|.
local M = {}

--- Options from Lua, for those who prefer a call to `vim.g.pieces`.
---@param options? pieces.Config
function M.setup(options)
  local config = require('pieces.config')
  config.set(options or {})
  require('pieces.client').configure()
  if not config.get().enable then
    vim.lsp.enable('pieces', false)
  end
end

--- A status line component: `Pieces 12`, `Pieces local 12`, `Pieces offline`, or nothing where no
--- server runs.
---@return string
function M.status()
  return require('pieces.state').line()
end

--- What the server last said of itself; nil where none runs.
---@return pieces.Status?
function M.state()
  return require('pieces.state').get()
end

--- Runs a command of the server, starting it where needed.
---@param command string such as `pieces.conversations.list`
---@param argument? table
---@param done? fun(result: any)
---@param failed? fun(message: string) told to the user where absent
function M.execute(command, argument, done, failed)
  require('pieces.client').execute(command, argument, done, failed)
end

--- Opens a conversation or asset document.
---@param uri string `pieces-conversation:/<id>.md` or `pieces-asset:/<id>/<name>`
function M.open(uri)
  require('pieces.document').open(uri)
end

return M
