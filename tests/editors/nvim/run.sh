#!/bin/sh
# The Neovim plugin in a real Neovim against a server binary.
#
#   tests/editors/nvim/run.sh BINARY [CASE...]
#
# Neovim 0.12, 0.10 (which is too old) and what else is missing is installed beside the system the first time (see
# ../lib.sh); NVIM in the environment is used instead where it is set. Prints `ok NAME` or
# `FAIL NAME: why` per case. Every case has a Neovim, a store and a home of its own.
set -u
binary=$(realpath -m "${1:?usage: run.sh BINARY [CASE...]}") && shift
here=$(cd "$(dirname "$0")" && pwd)
plugin=$(realpath "$here/../../../editors/nvim")
. "$here/../lib.sh"
contain

install() {
    need curl luacheck=lua-check tmux npm python3 git
    test -n "${NVIM-}" || unpack forky neovim 1 usr/bin/nvim || return 1
    unpack trixie neovim 0.10 usr/bin/nvim || return 1
    test -e "$cache/npm-stylua-2.5.2.ok" && return
    npm install --silent --prefix "$cache/npm-stylua-2.5.2" @johnnymorganz/stylua@2.5.2 \
        && touch "$cache/npm-stylua-2.5.2.ok"
}
locked install >&2 || { fail install "see above"; exit 1; }
test -z "${INSTALL_ONLY-}" || exit 0
if test -z "${NVIM-}"; then
    NVIM=$cache/neovim-1/usr/bin/nvim
    export VIMRUNTIME="$cache/neovim-1/usr/share/nvim/runtime"
fi

mkdir -p "$scratch/site/pack/tests/opt"
ln -s "$plugin" "$scratch/site/pack/tests/opt/pieces"
# The user's own settings stay out of it.
for name in $(env | sed -n 's/^\(PIECES_LSP_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

run_case() { # FILE [PLACE]: a case in Lua, or screen.sh; on the local service, or on a Pieces OS
    name=nvim-${2:+$2-}$(basename "${1%.*}")
    place=${2-}
    dir=$scratch/$name
    mkdir -p "$dir/home" "$dir/tmp"
    case $1 in
    *.sh) set -- "$1" "$1" ;;
    *) set -- "$1" "$NVIM" --headless --clean -u "$here/init.lua" -c "luafile $here/suite.lua" ;;
    esac
    file=$1 && shift
    if TEST_PLACE=$place TEST_SITE=$scratch/site TEST_BINARY=$binary TEST_DATA=$dir/data TEST_SCRATCH=$dir/tmp \
        TEST_HERE=$here TEST_CASE=$file HOME=$dir/home XDG_CONFIG_HOME=$dir/home/config \
        XDG_DATA_HOME=$dir/home/share XDG_STATE_HOME=$dir/home/state XDG_CACHE_HOME=$dir/home/cache \
        NVIM=$NVIM TEST_OLD=$cache/neovim-0.10 guarded timeout -k 10 180 "$@" >"$dir/out" 2>&1 </dev/null; then
        ok "$name"
    else
        fail "$name" "$(tr '\r\n' '  ' <"$dir/out" | cut -c 1-1500)"
    fi
}

if test $# -gt 0; then
    for one; do
        if test -e "$here/$one.sh"; then run_case "$here/$one.sh"; else run_case "$here/cases/$one.lua"; fi
    done
    exit "$failed"
fi

if (cd "$plugin" && luacheck -q . && cd "$here" && luacheck -q .) >"$scratch/lint" 2>&1; then
    ok nvim-luacheck
else
    fail nvim-luacheck "$(tr '\n' ' ' <"$scratch/lint")"
fi
export NODE_PATH="$cache/npm-stylua-2.5.2/node_modules"
for part in "plugin $plugin" "tests $here"; do
    name=nvim-stylua-${part%% *}
    if node "$here/stylua.cjs" "${part#* }" >"$scratch/lint" 2>&1; then
        ok "$name"
    else
        fail "$name" "$(tr '\n' ' ' <"$scratch/lint")"
    fi
done
for one in "$here"/cases/*.lua "$here/screen.sh" "$here/ask.sh" "$here/install.sh" "$here/too_old.sh"; do run_case "$one"; done
for one in "$here"/cases/0[2-9]*.lua; do run_case "$one" pieces-os; done
nothing_left nvim-nothing-is-left-running
exit "$failed"
