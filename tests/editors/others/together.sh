#!/bin/sh
# Two editors on one conversation while it is answered: asked in Neovim, followed and stopped in Emacs.
set -u
. "$TEST_HERE/lib.sh"
model_endpoint
export PIECES_LSP_MODEL_URL="$model_url"
tell_model script '["Slowly ", {"hold": true}, "but surely ", {"hold": true}, "done"]'
nvim=$TEST_CACHE/neovim-1
case=$TEST_HERE/together.lua
mkdir -p "$TEST_DIR/site/pack/tests/opt" && ln -s "$EDITORS/nvim" "$TEST_DIR/site/pack/tests/opt/pieces"
cd "$work" || exit 1
NVIM_LOG_FILE=$TEST_DIR/nvim.log VIMRUNTIME=$nvim/usr/share/nvim/runtime TEST_SITE=$TEST_DIR/site TEST_DATA=$data \
    TEST_HERE=$TEST_HERE/../nvim TEST_SCRATCH=$TEST_DIR \
    TEST_CASE=$case "$nvim/usr/bin/nvim" --headless --clean -u "$TEST_HERE/../nvim/init.lua" \
    -c "luafile $TEST_HERE/../nvim/suite.lua" >"$TEST_DIR/nvim.out" 2>&1 &
neovim=$!
emacs -Q --batch -L "$EDITORS/emacs" -l "$TEST_HERE/wait.el" -l "$TEST_HERE/together.el" || die "Emacs has failed; Neovim: $(cat "$TEST_DIR/nvim.out")"
wait "$neovim" || die "Neovim has failed: $(cat "$TEST_DIR/nvim.out")"
echo 'ok together-neovim-and-emacs'
