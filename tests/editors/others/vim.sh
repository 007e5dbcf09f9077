#!/bin/sh
# Drives Vim with ALE, without a terminal.
set -u
. "$TEST_HERE/lib.sh"
readme "$EDITORS/vim/README.md" vim >"$TEST_DIR/pieces.vim"
printf 'Retries with jitter.\n' >"$work/notes.txt"
cd "$work" || exit 1
RESULT=$TEST_DIR/result
export RESULT
model_endpoint
export PIECES_LSP_MODEL_URL="$model_url"
# The 1 answers the menu of code actions.
printf '1\n' | vim -Nu NONE -i NONE -n -es -S "$TEST_HERE/vim.vim"
code=$?
cat "$RESULT"
test "$code" = 0 || die "Vim has failed with $code"
