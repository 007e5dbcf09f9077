std = 'luajit'
read_globals = { 'vim' }
-- Fields of options are set through these.
globals = { 'vim.g', 'vim.b', 'vim.bo', 'vim.wo' }
max_line_length = 120
