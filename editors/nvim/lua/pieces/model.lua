--- Which model answers.
local client = require('pieces.client')
local config = require('pieces.config')
local text = require('pieces.text')

local M = {}

M.NONE = 'No model answers yet. In a terminal, `pieces-lsp model use URL` chooses one '
  .. '(Ollama, llama.cpp, LM Studio or any other OpenAI-compatible server).'

---@class pieces.Models `pieces.models`
---@field source 'pieces-os'|'environment'|'file'|'none'
---@field endpoint string?
---@field default string?
---@field items { id: string, name: string, context: integer?, loaded: boolean? }[]

--- What there is to choose from; silent where the server does not know.
---@param done fun(models: pieces.Models?, why: string?)
function M.list(done)
  client.execute('pieces.models', nil, done, function(message)
    done(nil, message)
  end)
end

--- The name of the model that would answer now.
---@param models pieces.Models
---@return string?
function M.current(models)
  return config.settings().model or models.default
end

---@param endpoint string?
---@return string? host where it is another machine
function M.remote(endpoint)
  local host = endpoint and endpoint:match('^%w+://([^/:]+)')
  local here = not host or host == 'localhost' or host:find('^127%.') or host:find('^%[')
  return not here and host or nil
end

--- Names for completion; waits no longer than a person would notice.
---@return string[]
function M.names()
  local names
  M.list(function(models)
    names = vim.tbl_map(function(model)
      return model.name
    end, models and models.items or {})
  end)
  vim.wait(300, function()
    return names ~= nil
  end, 5)
  return names or {}
end

---@param name string?
local function use(name)
  config.use_model(name)
  client.configure()
  text.say(
    name and ('%s answers from now on.'):format(text.clean(name, 80))
      or 'The default model answers.'
  )
end

--- `:Pieces model [name]`
---@param name string
function M.choose(name)
  if name ~= '' then
    return use(name)
  end
  M.list(function(models, why)
    if not models or models.source == 'none' then
      return text.say(why or M.NONE, vim.log.levels.WARN)
    end
    local current = M.current(models)
    require('pieces.picker').pick({
      title = function(shown)
        local where = M.remote(models.endpoint)
        return ('Models%s (%d)'):format(where and ' at ' .. where or '', shown)
      end,
      query = '',
      live = false,
      choose = use,
      entries = function(_, done)
        done(vim.tbl_map(function(model)
          local words = { (model.name == current and '● ' or '  ') .. text.clean(model.name, 80) }
          if model.context then
            words[#words + 1] = ('%d k tokens'):format(model.context / 1024)
          end
          if model.loaded then
            words[#words + 1] = 'loaded'
          end
          return { text = table.concat(words, '  · '), value = model.name }
        end, models.items))
      end,
    })
  end)
end

return M
