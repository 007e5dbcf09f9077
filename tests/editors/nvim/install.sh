#!/bin/sh
# Every install line of the README, each in an empty home: the help is found, and `:Pieces` runs.
# Run by run.sh. LAZY is a clone of lazy.nvim; without it a stand-in does what lazy.nvim does.
set -u
dir=$TEST_SCRATCH
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME
readme=$TEST_HERE/../../../editors/nvim/README.md
block() { # TITLE: the code block of the README whose first line is that comment
    awk -v title="$1" '
        /^```/ { inside = 0; fresh = !open; open = !open; next }
        fresh && index($0, title) { inside = 1 }
        { fresh = 0 }
        inside' "$readme"
}
# What is published: a repository with the plugin in it.
upstream=$dir/upstream
mkdir -p "$upstream/editors" && cp -r "$TEST_HERE/../../../editors/nvim" "$upstream/editors/nvim" || exit 1
git -C "$upstream" init -q -b main && git -C "$upstream" add editors \
    && git -C "$upstream" -c user.name=x -c user.email=x@y -c commit.gpgsign=false commit -qm x || exit 1
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.$upstream.insteadOf" \
    GIT_CONFIG_VALUE_0=https://github.com/pieces-lsp/pieces-lsp
mkdir -p "$dir/bin"
printf '#!/bin/sh\nexec "%s" --backend local --data-dir "%s" "$@"\n' "$TEST_BINARY" "$TEST_DATA" >"$dir/bin/pieces-lsp"
chmod +x "$dir/bin/pieces-lsp"
PATH=$dir/bin:$PATH

works() { # NAME: in the home as it is now
    if ! timeout 60 "$NVIM" --headless -i NONE -c "luafile $TEST_HERE/install.lua" >"$dir/out" 2>&1; then
        echo "$1: $(cat "$dir/out")" >&2
        exit 1
    fi
}
home() { # an empty one
    HOME=$dir/home-$1
    export HOME
    mkdir -p "$HOME/.config/nvim"
}

home packages
mkdir -p "$HOME/src" && ln -s "$upstream" "$HOME/src/pieces-lsp"
block 'packages, from a clone' >"$dir/lines.sh"
sh -eu "$dir/lines.sh" || exit 1
works packages

home pack
block 'vim.pack' >"$HOME/.config/nvim/init.lua"
# It asks before it downloads: the answer is yes.
sed -i '1i vim.fn.confirm = function() return 1 end' "$HOME/.config/nvim/init.lua"
works vim.pack

home lazy
{
    if test -n "${LAZY-}"; then
        echo "vim.opt.rtp:prepend('$LAZY')"
        echo "require('lazy').setup({"
        block 'lazy.nvim'
        echo ', }, { rocks = { enabled = false } })'
    else
        echo "package.preload['lazy.core.loader'] = function() return { packadd = function(path)"
        echo "  vim.cmd.source(path .. '/plugin/pieces.lua') end } end"
        printf 'local spec = '
        block 'lazy.nvim'
        echo "assert(spec[1] == 'pieces-lsp/pieces-lsp')"
        echo "spec.config({ dir = '$upstream' })"
    fi
} >"$HOME/.config/nvim/init.lua"
works lazy.nvim
