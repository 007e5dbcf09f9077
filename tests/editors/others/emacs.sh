#!/bin/sh
# Drives Emacs with pieces.el, installed as the README says, and with eglot, without a terminal.
set -u
. "$TEST_HERE/lib.sh"
printf 'Retries with jitter.\n' >"$work/notes.txt"
printf '(defun retry ()\n  "Try again."\n  (retry))\n' >"$work/retry.el"
# It compiles without a warning, and its documentation is in order.
mkdir -p "$TEST_DIR/lisp" && cp "$EDITORS"/emacs/*.el "$TEST_DIR/lisp" || exit 1
said=$(cd "$TEST_DIR/lisp" && emacs -Q --batch -L . --eval '(setq byte-compile-error-on-warn t)' \
    -f batch-byte-compile pieces-client.el pieces-ask.el pieces.el 2>&1) || die "byte-compile: $said"
said=$(cd "$TEST_DIR/lisp" && emacs -Q --batch --eval '(mapc (function checkdoc-file) (directory-files "." t "\\.el\\'"'"'"))' 2>&1)
test -z "$said" || die "checkdoc: $said"
echo 'ok emacs-lint'
# What is published: a repository with the package in it.
upstream=$TEST_DIR/upstream
mkdir -p "$upstream/editors" && cp -r "$EDITORS/emacs" "$upstream/editors/emacs" \
    && git -C "$upstream" init -q -b main && git -C "$upstream" add editors \
    && git -C "$upstream" -c user.name=x -c user.email=x@y -c commit.gpgsign=false commit -qm x || exit 1
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.$upstream.insteadOf" \
    GIT_CONFIG_VALUE_0=https://github.com/pieces-lsp/pieces-lsp
readme "$EDITORS/emacs/README.md" elisp 1 >"$TEST_DIR/install.el"
said=$(emacs --batch --eval '(setq package-archives nil package-check-signature nil)' -l "$TEST_DIR/install.el" 2>&1) || die "package-vc: $said"
echo 'ok emacs-install'
readme "$EDITORS/emacs/README.md" elisp 2 >"$TEST_DIR/eglot.el"
cd "$work" || exit 1
emacs --batch --eval '(progn (require (quote package)) (package-activate-all))' -l "$TEST_HERE/wait.el" \
    -l "$TEST_HERE/emacs.el" || die 'pieces.el has failed'
model_endpoint
PIECES_LSP_MODEL_URL=$model_url emacs --batch --eval '(progn (require (quote package)) (package-activate-all))' \
    -l "$TEST_HERE/wait.el" -l "$TEST_HERE/ask.el" || die 'asking has failed'
emacs --batch --eval '(progn (require (quote package)) (package-activate-all))' -l "$TEST_HERE/wait.el" \
    -l "$TEST_DIR/eglot.el" -l "$TEST_HERE/eglot.el" || die 'Emacs with eglot has failed'
