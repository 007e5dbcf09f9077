std = 'luajit'
read_globals = { 'vim' }
-- Fields of options are set through these.
globals = { 'vim.g', 'vim.b', 'vim.bo', 'vim.wo', 'vim.w' }
max_line_length = 120
