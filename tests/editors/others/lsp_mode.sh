#!/bin/sh
# Drives Emacs with lsp-mode, without a terminal.
set -u
. "$TEST_HERE/lib.sh"
readme "$EDITORS/emacs/README.md" elisp 3 >"$TEST_DIR/pieces.el"
printf 'Retries with jitter.\n' >"$work/notes.txt"
cd "$work" || exit 1
emacs -Q --batch --eval "(progn (setq package-user-dir \"$TEST_DIR/elpa\" package-directory-list '(\"/usr/share/emacs/site-lisp/elpa\" \"/usr/share/emacs/site-lisp/elpa-src\")) (package-initialize))" \
    -l "$TEST_DIR/pieces.el" -l "$TEST_HERE/lsp_mode.el" || die 'Emacs has failed'
