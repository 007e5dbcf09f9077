#!/bin/sh
# What a person sees: a Neovim in a terminal, with a file, its conversation beside it, and the list.
# Run by run.sh; with SCREEN_DIR in the environment it is kept there: the last screen as nvim.svg,
# all of it as nvim-session.svg.
set -u
. "$TEST_HERE/terminal.sh"
trap 'term kill-server 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP

begin 30
type_in ':vertical botright Pieces start'
seen 'Pieces start'
keep
type_in Enter
seen 'Pieces local 1'
seen '# retry.rs'
keep
type_in ':Pieces new' Enter
seen 'Pieces local 2'
seen '# New Conversation'
type_in ':Pieces' Enter
seen 'Conversations (2)'
seen 'now     1  retry.rs'
keep
type_in j Enter
seen '# retry.rs'
type_in ':Pieces search jitter' Enter
seen '“jitter” (1)'
keep
type_in 1 Enter
seen '## Summary (no model)'
type_in C-l
seen 'extractive'
keep
if test -n "${SCREEN_DIR-}"; then
    node "$TEST_HERE/../screen.cjs" Neovim "$dir/frame-$count" >"$SCREEN_DIR/nvim.svg"
    # shellcheck disable=SC2086
    node "$TEST_HERE/../screen.cjs" Neovim $frames >"$SCREEN_DIR/nvim-session.svg"
fi
end
