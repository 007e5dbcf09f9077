--- What the cases share: conditions with a deadline, another client of the same store, answers to
--- questions. Nothing here sleeps.
local M = {}

M.data = vim.env.TEST_DATA
M.binary = vim.env.TEST_BINARY
M.scratch = vim.env.TEST_SCRATCH
--- A tenth of a second on a quiet machine; the deadline is for a busy one.
M.deadline = tonumber(vim.env.TEST_DEADLINE) or 60000

---@param what string
---@param condition fun(): any
---@return any what the condition was in the end
function M.wait(what, condition)
  local got
  local came = vim.wait(M.deadline, function()
    got = condition()
    return got and true or false
  end, 10)
  if not came then
    error(('timed out waiting for %s; notices: %s'):format(what, vim.inspect(M.notices)), 2)
  end
  return got
end

function M.eq(expected, got, what)
  if not vim.deep_equal(expected, got) then
    local shown = 'expected %s, got %s'
    error(what .. ': ' .. shown:format(vim.inspect(expected), vim.inspect(got)), 2)
  end
end

function M.contains(text, part, what)
  if not tostring(text):find(part, 1, true) then
    error(('%s: %q is not in %q'):format(what, part, text), 2)
  end
end

---@type string[] everything that was notified
M.notices = {}
---@diagnostic disable-next-line: duplicate-set-field
vim.notify = function(message)
  M.notices[#M.notices + 1] = message
end

--- Waits for a notice that contains `part`.
---@param part string
---@param after? integer how many notices there were before
function M.noticed(part, after)
  return M.wait('the notice ' .. part, function()
    for index = (after or 0) + 1, #M.notices do
      if M.notices[index]:find(part, 1, true) then
        return M.notices[index]
      end
    end
  end)
end

local answers = {}
---@type { prompt: string, shown: string[] }[] the questions that were asked
M.asked = {}

--- How the next `vim.ui.select` is answered: by the first entry that contains `part`.
---@param part string? nil to cancel
function M.answer(part)
  answers[#answers + 1] = part or vim.NIL
end

---@diagnostic disable-next-line: duplicate-set-field
vim.ui.select = function(items, options, done)
  local shown = {}
  for index, item in ipairs(items) do
    shown[index] = options.format_item and options.format_item(item) or tostring(item)
  end
  M.asked[#M.asked + 1] = { prompt = options.prompt, shown = shown }
  local part = table.remove(answers, 1)
  assert(part ~= nil, 'nobody answers: ' .. vim.inspect(M.asked[#M.asked]))
  local chosen
  for index, line in ipairs(shown) do
    if part ~= vim.NIL and not chosen and line:find(part, 1, true) then
      chosen = index
    end
  end
  assert(chosen or part == vim.NIL, ('no %s in %s'):format(part, vim.inspect(shown)))
  vim.schedule(function()
    done(items[chosen], chosen)
  end)
end

--- How the next `vim.ui.input` is answered.
---@param text string
function M.input(text)
  ---@diagnostic disable-next-line: duplicate-set-field
  vim.ui.input = function(options, done)
    M.asked[#M.asked + 1] = { prompt = options.prompt, shown = { options.default } }
    vim.schedule(function()
      done(text)
    end)
  end
end

--- The last question, once there are that many.
function M.question(n)
  return M.wait('question ' .. n, function()
    return M.asked[n]
  end)
end

function M.state()
  return require('pieces').state() or {}
end

--- Starts the server, as a first `:Pieces status` does.
function M.live()
  vim.cmd('Pieces status')
  M.wait('live', function()
    return M.state().state == 'live'
  end)
end

--- A command of the server, waited for.
function M.command(name, argument)
  local result
  require('pieces').execute(name, argument, function(got)
    result = { got }
  end, function(message)
    error(message)
  end)
  return M.wait(name, function()
    return result
  end)[1]
end

--- Names of all conversations as the server lists them.
function M.names()
  local list = M.command('pieces.conversations.list', { limit = 1000 })
  return vim.tbl_map(function(item)
    return item.name
  end, list.items)
end

--- Another client: speaks HTTP to whoever serves the store.
---@param url? string instead of the store's service
---@return any
function M.http(method, path, body, url)
  local arguments = { 'curl', '-sS', '--fail-with-body', '--max-time', '60', '-X', method }
  url = url or M.far
  if not url then
    local file = M.wait('service.json', function()
      local file = io.open(M.data .. '/service.json')
      local text = file and file:read('*a')
      if file then
        file:close()
      end
      return text and text ~= '' and text
    end)
    local service = vim.json.decode(file)
    url = service.url
    vim.list_extend(arguments, { '-H', 'Authorization: Bearer ' .. service.token })
  end
  if body then
    vim.list_extend(
      arguments,
      { '-H', 'Content-Type: application/json', '-d', vim.json.encode(body) }
    )
  end
  arguments[#arguments + 1] = url .. path
  local process = vim.system(arguments, { text = true }):wait()
  assert(process.code == 0, path .. ': ' .. process.stderr .. process.stdout)
  return process.stdout ~= '' and vim.json.decode(process.stdout) or nil
end

---@return string id
function M.create(name, url)
  local body = { type = 'COPILOT', name = name }
  return M.http('POST', '/conversations/create', body, url).id
end

function M.message(conversation, text, url)
  return M.http('POST', '/messages/create', {
    role = 'USER',
    fragment = { string = { raw = text } },
    conversation = { id = conversation },
  }, url)
end

--- Waits until this Neovim has heard of so many conversations: a search shows no others.
---@param count integer
function M.knows(count)
  M.wait(count .. ' conversations', function()
    return (require('pieces').status() or ''):match('%d+') == tostring(count)
  end)
end

function M.remove(conversation, url)
  M.http('POST', ('/conversations/%s/delete'):format(conversation), nil, url)
end

function M.uri(id)
  return 'pieces-conversation:/' .. id .. '.md'
end

--- Whether the current buffer is the document of a conversation.
function M.shows(id)
  return require('pieces.document').conversation(0) == id
end

--- Waits until the question that was asked last is answered; returns its conversation.
function M.answered()
  local ask = require('pieces.ask')
  return M.wait('an answer', function()
    local id = ask.last()
    return id and not ask.busy(id) and id
  end)
end

--- Types keys as a person does, mappings included.
---@param keys string such as `dd` or `<CR>`
function M.keys(keys)
  vim.api.nvim_feedkeys(vim.keycode(keys), 'mx', false)
end

function M.lines(buf)
  return table.concat(vim.api.nvim_buf_get_lines(buf or 0, 0, -1, false), '\n')
end

--- Waits until the current buffer is a conversation's document; returns its id.
function M.opened()
  local id = M.wait('a conversation document', function()
    return require('pieces.document').conversation(0)
  end)
  M.wait('its text', function()
    return M.lines() ~= ''
  end)
  return id
end

---@param name string
---@param lines string[]
function M.file(name, lines)
  local path = M.scratch .. '/' .. name
  vim.fn.writefile(lines, path)
  vim.cmd.edit(path)
  return path
end

--- Waits until the client is attached to the current buffer.
function M.attached()
  M.wait('attached', function()
    return #vim.lsp.get_clients({ name = 'pieces', bufnr = 0 }) == 1
  end)
end

---@type { kill: fun() }[]
local services = {}

--- Ends what a case has started beside its own Neovim.
function M.cleanup()
  for _, service in ipairs(services) do
    service.kill()
  end
end

--- A Pieces OS that the test can take away: the local service, alone, on a port of its own.
---@param port integer 0 for any
---@return { url: string, port: integer, kill: fun() }
function M.service(port)
  local out = ''
  local process = vim.system({
    M.binary,
    'service',
    '--no-token',
    '--port',
    tostring(port),
    '--data-dir',
    M.scratch .. '/far',
  }, {
    stdout = function(_, text)
      out = out .. (text or '')
    end,
  })
  local service = {
    kill = function()
      process:kill('sigkill')
      process:wait()
    end,
  }
  services[#services + 1] = service
  service.url = M.wait('the service', function()
    return out:match('(http://127.0.0.1:%d+)%s')
  end)
  service.port = tonumber(service.url:match('%d+$'))
  return service
end

--- A model endpoint that says what the test tells it to, see ../endpoint.py; the server of this Neovim
--- uses it if it is started later.
---@param port? integer
---@return { url: string, script: fun(pieces: any[]), go: fun(), asked: fun(): any[], kill: fun() }
function M.endpoint(port)
  local out = ''
  local program = { 'python3', vim.env.TEST_HERE .. '/../endpoint.py', tostring(port or 0) }
  local process = vim.system(program, {
    stdout = function(_, text)
      out = out .. (text or '')
    end,
  })
  local url = M.wait('the endpoint', function()
    return out:match('(http://127.0.0.1:%d+)/v1%s')
  end)
  local endpoint = {
    url = url .. '/v1',
    port = tonumber(url:match('%d+$')),
    script = function(pieces)
      M.http('POST', '/script', pieces, url)
    end,
    go = function()
      M.http('POST', '/go', {}, url)
    end,
    asked = function()
      return M.http('GET', '/asked', nil, url)
    end,
    kill = function()
      process:kill('sigkill')
      process:wait()
    end,
  }
  services[#services + 1] = endpoint
  vim.uv.os_setenv('PIECES_LSP_MODEL_URL', endpoint.url)
  return endpoint
end

--- How the status line begins when all is well.
M.label = 'Pieces local'
if vim.env.TEST_PLACE == 'pieces-os' then
  ---@type string? where the conversations are, if that is not the store
  M.far = M.service(0).url
  M.label = 'Pieces'
  local settings = { backend = 'pieces-os', url = M.far }
  vim.g.pieces = vim.tbl_extend('force', vim.g.pieces, { settings = settings })
end

--- The pid of the running server.
function M.server_pid()
  local service = io.open(M.data .. '/service.json')
  assert(service, 'no service.json')
  local pid = vim.json.decode(service:read('*a')).pid
  service:close()
  return pid
end

return M
