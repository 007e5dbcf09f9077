--- Questions that were typed and not sent yet. They outlive their window and this Neovim: each is a file
--- in the state folder that only its user can read.
local M = {}

---@return string
local function folder()
  return vim.fs.joinpath(vim.fn.stdpath('state') --[[@as string]], 'pieces', 'drafts')
end

---@param key string
---@return string
local function path(key)
  return vim.fs.joinpath(folder(), vim.fn.sha256(key) .. '.md')
end

---@param key string
---@return string[] lines
function M.load(key)
  local file = io.open(path(key), 'r')
  if not file then
    return {}
  end
  local content = file:read('*a')
  file:close()
  return vim.split((content:gsub('\n$', '')), '\n', { plain = true })
end

---@param key string
---@param lines string[]
function M.save(key, lines)
  local content = table.concat(lines, '\n')
  if vim.trim(content) == '' then
    os.remove(path(key))
    return
  end
  vim.fn.mkdir(folder(), 'p', tonumber('700', 8))
  local new = path(key) .. '.new'
  local file = vim.uv.fs_open(new, 'w', tonumber('600', 8))
  if file then
    vim.uv.fs_write(file, content .. '\n')
    vim.uv.fs_close(file)
    vim.uv.fs_rename(new, path(key))
  end
end

return M
