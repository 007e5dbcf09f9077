--- `:Pieces` and its sub-commands.
local ask = require('pieces.ask')
local client = require('pieces.client')
local config = require('pieces.config')
local conversations = require('pieces.conversations')
local document = require('pieces.document')
local state = require('pieces.state')
local text = require('pieces.text')

local M = {}

---@class pieces.Subcommand
---@field run fun(words: string, args: vim.api.keyset.create_user_command.command_args)
---@field complete? fun(lead: string): string[]

---@param id string
---@param args table
local function open(id, args)
  document.open('pieces-conversation:/' .. id .. '.md', { mods = args.smods })
end

--- The conversation that the words mean; without words the one in the current buffer.
---@param title string
---@param words string
---@param choose fun(item: { id: string, name?: string })
local function target(title, words, choose)
  local here = words == '' and document.conversation(0)
  if here then
    return choose({ id = here, name = document.title(0) })
  end
  conversations.find(title, words, choose)
end

--- The lines of the command's range, or the last selection where the range is just that.
---@param buf integer
---@param args vim.api.keyset.create_user_command.command_args
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return lsp.Range?
local function range(buf, args, encoding)
  if args.range == 0 then
    return nil
  end
  local first, last = vim.fn.getpos("'<"), vim.fn.getpos("'>")
  if first[2] == args.line1 and last[2] == args.line2 and vim.fn.visualmode() == 'v' then
    return vim.lsp.util.make_given_range_params(nil, nil, buf, encoding).range
  end
  local line = vim.api.nvim_buf_get_lines(buf, args.line2 - 1, args.line2, false)[1] or ''
  return {
    start = { line = args.line1 - 1, character = 0 },
    ['end'] = { line = args.line2 - 1, character = vim.str_utfindex(line, encoding) },
  }
end

local function start(_, args)
  local buf = vim.api.nvim_get_current_buf()
  local name = vim.api.nvim_buf_get_name(buf)
  if name == '' or (vim.bo[buf].buftype ~= '' and not client.is_ours(name)) then
    return text.say('Save this buffer to a file first.', vim.log.levels.WARN)
  end
  client.with(function(ready)
    vim.lsp.buf_attach_client(buf, ready.id)
    local argument = {
      uri = vim.uri_from_bufnr(buf),
      range = range(buf, args, ready.offset_encoding),
      -- It is opened where the modifiers of the command say.
      show = false,
    }
    client.execute('pieces.conversations.startFromDocument', argument, function(result)
      open(result.conversation, args)
    end)
  end)
end

--- What `:Pieces ask` is about: the lines of its range, the conversation of this buffer, its file, or
--- nothing yet.
---@param args vim.api.keyset.create_user_command.command_args
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return pieces.Target?
local function subject(args, encoding)
  local buf = vim.api.nvim_get_current_buf()
  local id = document.conversation(buf)
  local selected = range(buf, args, encoding)
  if id and not selected then
    return ask.in_conversation(id)
  end
  local name = vim.api.nvim_buf_get_name(buf)
  local file = name ~= '' and (vim.bo[buf].buftype == '' or client.is_ours(name))
  if not file then
    if selected then
      text.say('Save this buffer to a file first.', vim.log.levels.WARN)
      return nil
    end
    return { argument = vim.empty_dict(), label = 'something new', mods = args.smods }
  end
  local first, last = args.line1, args.line2
  local lines = first == last and ('line %d'):format(first) or ('lines %d–%d'):format(first, last)
  return {
    argument = { uri = vim.uri_from_bufnr(buf), range = selected },
    label = text.clean(vim.fs.basename(name), 60) .. (selected and ', ' .. lines or ''),
    buf = buf,
    mods = args.smods,
  }
end

local function ask_about(words, args)
  -- Lines of a conversation are quoted, as in a mail.
  local quoted
  if document.conversation(0) and args.range > 0 then
    local lines = vim.api.nvim_buf_get_lines(0, args.line1 - 1, args.line2, false)
    quoted = vim.tbl_map(function(line)
      return vim.trim('> ' .. line)
    end, lines)
    vim.list_extend(quoted, { '', '' })
  end
  client.with(function(ready)
    local about = subject(args, ready.offset_encoding)
    if not about then
      return
    elseif words ~= '' then
      return ask.send(about, table.concat(quoted or {}, '\n') .. words)
    end
    require('pieces.prompt').open(about, quoted)
  end)
end

local function new(_, args)
  client.execute('pieces.conversations.create', nil, function(conversation)
    open(conversation.id, args)
  end)
end

local function list(words, args)
  require('pieces.list').open(words, args.smods)
end

local function open_by_name(words, args)
  conversations.find('Open', words, function(item)
    open(item.id, args)
  end)
end

local function search(words, args)
  local function run(query)
    if query and query ~= '' then
      conversations.search(query, function(hit)
        document.open(hit.conversation.uri, {
          mods = args.smods,
          line = hit.line and hit.line + 1,
          find = conversations.matched(hit),
        })
      end)
    end
  end
  if words ~= '' then
    return run(words)
  end
  vim.ui.input({ prompt = 'Search messages: ' }, run)
end

local function rename(words)
  target('Rename', words, conversations.rename)
end

local function delete(words)
  target('Delete', words, function(item)
    -- The server asks, with the name and how many messages there are.
    client.execute('pieces.conversations.delete', { conversation = item.id }, function(result)
      if result.deleted then
        text.say('Deleted. :Pieces restore brings it back.')
      end
    end)
  end)
end

---@param deleted pieces.Deleted
local function bring_back(deleted, args)
  local argument = { conversation = deleted.conversation }
  client.execute('pieces.conversations.restore', argument, function(result)
    text.say(('Restored “%s”.'):format(text.clean(result.name, 80)))
    open(result.conversation, args)
  end)
end

local function restore(words, args)
  conversations.trash('Restore', words, function(deleted)
    bring_back(deleted, args)
  end)
end

local function trash(words, args)
  conversations.trash('Deleted conversations', words, function(deleted)
    local prompt = ('Restore “%s”?'):format(text.clean(deleted.name, 60))
    vim.ui.select({ 'Restore', 'Cancel' }, { prompt = prompt }, function(choice)
      if choice == 'Restore' then
        bring_back(deleted, args)
      end
    end)
  end)
end

local function copy(words)
  target('Copy link', words, conversations.copy)
end

local function refresh()
  client.execute('pieces.conversations.refresh', nil, function(result)
    document.refresh_all()
    text.say(text.count(result.total, 'conversation') .. '.')
  end)
end

local function import(words)
  local from, found = words:gsub('%-%-dry%-run%s*', '')
  from = vim.trim(from)
  if from ~= '' and not from:find('^https?://') then
    from = vim.fs.normalize(vim.fs.abspath(from))
  end
  local argument = { from = from ~= '' and from or nil, dryRun = found > 0 }
  client.execute('pieces.import', argument, function(result)
    text.say(
      ('%s: %d new, %d updated, %d unchanged, %d unreadable.'):format(
        argument.dryRun and 'An import would find' or 'Imported',
        result.new,
        result.updated,
        result.unchanged,
        result.unreadable
      )
    )
  end)
end

local function backend(words)
  local function switch(choice)
    if not choice then
      return
    end
    local name, url = choice:match('^(%S+)%s*(%S*)$')
    config.choose(name, url ~= '' and url or nil)
    client.configure()
    -- Starts the server where it is not running, and says where it is now.
    M.run_words('status')
  end
  if words ~= '' then
    return switch(words)
  end
  vim.ui.select({ 'auto', 'pieces-os', 'local' }, { prompt = 'Backend' }, switch)
end

local function status()
  state.settled(M.tell_status)
end

function M.tell_status()
  client.execute('pieces.status', nil, function(answer)
    state.status(answer)
    local where = answer.url and (' at ' .. answer.url) or ''
    local version = answer.version and (' ' .. answer.version) or ''
    text.say(
      ('%s: %s%s%s, %s, since %s%s'):format(
        answer.state,
        answer.backend or 'no backend',
        version,
        where,
        text.count(answer.conversations, 'conversation'),
        text.ago(answer.since),
        answer.error and ('. ' .. answer.error) or ''
      ),
      answer.state == 'offline' and vim.log.levels.WARN or nil
    )
  end)
end

local function log()
  local path = vim.lsp.log and vim.lsp.log.get_filename and vim.lsp.log.get_filename()
    or vim.lsp.get_log_path()
  vim.cmd.split({ args = { vim.fn.fnameescape(path) } })
  vim.cmd.normal({ 'G', bang = true })
end

---@param lead string
local function names(lead)
  return conversations.names(lead)
end

---@type table<string, pieces.Subcommand>
local subcommands = {
  start = { run = start },
  ask = { run = ask_about },
  again = {
    run = function()
      ask.again()
    end,
  },
  cancel = {
    run = function()
      ask.cancel()
    end,
  },
  insert = {
    run = function()
      require('pieces.code').insert(ask.last())
    end,
  },
  model = {
    run = function(words)
      require('pieces.model').choose(words)
    end,
    complete = function()
      return require('pieces.model').names()
    end,
  },
  new = { run = new },
  list = { run = list, complete = names },
  open = { run = open_by_name, complete = names },
  search = { run = search },
  rename = { run = rename, complete = names },
  delete = { run = delete, complete = names },
  restore = { run = restore },
  trash = { run = trash },
  copy = { run = copy, complete = names },
  refresh = { run = refresh },
  import = {
    run = import,
    complete = function(lead)
      return vim.list_extend({ '--dry-run' }, vim.fn.getcompletion(lead, 'file'))
    end,
  },
  backend = {
    run = backend,
    complete = function()
      return { 'auto', 'pieces-os', 'local' }
    end,
  },
  status = { run = status },
  restart = {
    run = function()
      client.restart()
    end,
  },
  stop = {
    run = function()
      client.stop()
    end,
  },
  log = { run = log },
  health = {
    run = function()
      vim.cmd.checkhealth('pieces')
    end,
  },
}

---@param lead string
---@param candidates string[]
---@return string[]
local function starting_with(lead, candidates)
  return vim.tbl_filter(function(candidate)
    return vim.startswith(candidate:lower(), lead:lower())
  end, candidates)
end

--- Completes sub-commands and their arguments; the last word is what Neovim replaces.
---@param lead string the word under the cursor
---@param line string
---@param cursor integer
---@return string[]
function M.complete(lead, line, cursor)
  local name, rest = line:sub(1, cursor):match('Pieces!?%s+(%S+)%s+(.*)$')
  if not name then
    local all = vim.tbl_keys(subcommands)
    table.sort(all)
    return starting_with(lead, all)
  end
  local subcommand = subcommands[name]
  if not subcommand or not subcommand.complete then
    return {}
  end
  -- Names have spaces: offer what remains of those that start with everything typed so far.
  local before = rest:sub(1, #rest - #lead)
  local found = {}
  for _, candidate in ipairs(starting_with(rest, subcommand.complete(rest))) do
    found[#found + 1] = candidate:sub(#before + 1)
  end
  return found
end

--- A sub-command without a range or modifiers.
---@param words string
function M.run_words(words)
  M.run({ args = words, range = 0, smods = {} })
end

---@param args vim.api.keyset.create_user_command.command_args
function M.run(args)
  local name, words = args.args:match('^(%S*)%s*(.-)%s*$')
  if name == '' then
    name = 'list'
  end
  local subcommand = subcommands[name]
  if not subcommand then
    local known = vim.tbl_keys(subcommands)
    table.sort(known)
    return text.say(
      ('There is no `:Pieces %s`; there is %s.'):format(
        text.clean(name, 40),
        table.concat(known, ', ')
      ),
      vim.log.levels.ERROR
    )
  end
  subcommand.run(words, args)
end

return M
