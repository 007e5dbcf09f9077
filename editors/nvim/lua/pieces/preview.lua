--- The text of a document, for the preview window of a picker plugin.
local M = {}

---@param buf integer the preview's buffer
---@param uri string?
function M.fill(buf, uri)
  if not uri then
    return
  end
  -- The preview has moved on when an answer is late.
  vim.b[buf].pieces_preview = uri
  local function show(content)
    if vim.api.nvim_buf_is_valid(buf) and vim.b[buf].pieces_preview == uri then
      vim.bo[buf].modifiable = true
      vim.api.nvim_buf_set_lines(buf, 0, -1, false, vim.split(content, '\n', { plain = true }))
      vim.bo[buf].modeline = false
      vim.bo[buf].filetype = 'markdown'
    end
  end
  require('pieces.client').request('workspace/textDocumentContent', { uri = uri }, function(result)
    show(result.text)
  end, show)
end

return M
