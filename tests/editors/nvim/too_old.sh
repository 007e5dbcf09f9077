#!/bin/sh
# A Neovim before 0.11 is told so, in a sentence and by its health check, without errors. Run by run.sh.
set -u
VIMRUNTIME=$TEST_OLD/usr/share/nvim/runtime "$TEST_OLD/usr/bin/nvim" --headless --clean -u "$TEST_HERE/init.lua" \
    -c 'checkhealth pieces' -c "write $TEST_SCRATCH/health" -c 'qall!' >"$TEST_SCRATCH/said" 2>&1
cat "$TEST_SCRATCH/said" "$TEST_SCRATCH/health"
grep -q '^pieces: Neovim 0.11 or newer is needed' "$TEST_SCRATCH/said" \
    && grep -q 'ERROR.* Neovim 0.11 or newer is needed' "$TEST_SCRATCH/health" \
    && ! grep -qiE 'exception|traceback|E[0-9]+:' "$TEST_SCRATCH/said" "$TEST_SCRATCH/health"
