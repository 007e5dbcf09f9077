#!/bin/sh
# Drives Emacs with eglot, without a terminal.
set -u
. "$TEST_HERE/lib.sh"
readme "$EDITORS/emacs/README.md" elisp >"$TEST_DIR/pieces.el"
printf 'Retries with jitter.\n' >"$work/notes.txt"
cd "$work" || exit 1
emacs -Q --batch -l "$TEST_DIR/pieces.el" -l "$TEST_HERE/emacs.el" || die 'Emacs has failed'
