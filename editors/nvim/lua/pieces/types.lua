---@meta

---What `vim.g.pieces` or `setup()` may hold; every field is optional.
---@class pieces.Config
---@field cmd? string[] the server and its arguments; default `{ 'pieces-lsp' }`
---@field enable? boolean attach to every file (`vim.lsp.enable`); default true
---@field picker? 'auto'|'select'|'snacks'|'telescope'|'fzf-lua' default `'auto'`: the first one installed
---@field maps? boolean keys in our own buffers; default true
---@field winbar? boolean names and keys above our own buffers; default true
---@field conceal? boolean links of a conversation show their text only; default true
---@field folds? boolean messages of a conversation are folds; default true
---@field settings? pieces.Settings what the server is told

---The server's settings; absent fields keep the server's defaults.
---@class pieces.Settings
---@field backend? 'auto'|'pieces-os'|'local'
---@field url? string base URL of Pieces OS, instead of looking for it
---@field liveUpdates? boolean
---@field confirmDelete? boolean
---@field codeLens? boolean
---@field inlayHints? boolean
---@field diagnostics? boolean
---@field model? string the model that answers

---A conversation as the server lists it.
---@class pieces.Item
---@field id string
---@field name string never empty; hostile text, see `pieces.text`
---@field created string RFC 3339, UTC
---@field updated string RFC 3339, UTC
---@field favorited boolean
---@field messages integer how many
---@field assets string[] ids
---@field files string[] file URIs
---@field application string?
---@field uri string `pieces-conversation:/<id>.md`
---@field answering boolean? an answer is being written

---@class pieces.Status
---@field state 'connecting'|'syncing'|'live'|'offline'
---@field backend string
---@field url string?
---@field version string?
---@field conversations integer
---@field since string RFC 3339, UTC
---@field error string? one sentence for a person

---`pieces/didChangeConversations`
---@class pieces.Change
---@field revision integer
---@field total integer
---@field upserted pieces.Item[]
---@field removed string[]
---@field reset boolean?

---A conversation in the trash.
---@class pieces.Deleted
---@field conversation string
---@field name string
---@field deleted string RFC 3339, UTC
---@field messages integer

---One place where a search found its words.
---@class pieces.Hit
---@field conversation pieces.Item
---@field message string? nil where only the name, or a note, matches; so are role and time
---@field role string?
---@field time string? RFC 3339, UTC
---@field excerpt string
---@field match integer[] where the match is in the excerpt, in UTF-16 code units
---@field line integer where the message stands in the conversation's document, from 0

---The `data` of an error of the server; empty for an error of our own.
---@class pieces.Error
---@field kind string?
---@field detail string? what the other side said
---@field conversation string? what was asked in
---@field question string? the message that is kept without an answer

---One line of a picker.
---@class pieces.Entry
---@field text string what is shown and matched; one line, cleaned
---@field uri string? the document to preview
---@field value any what it stands for

---@class pieces.Picker
---@field title fun(shown: integer): string
---@field query string what the search starts with
---@field entries fun(query: string, done: fun(entries: pieces.Entry[]))
---@field choose fun(value: any)
---@field live boolean whether `entries` may be asked again, with another query or after a change
