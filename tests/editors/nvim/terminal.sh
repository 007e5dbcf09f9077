# shellcheck shell=sh
# A Neovim in a terminal, for the tests that see what a person sees; sourced, POSIX sh.
dir=$TEST_SCRATCH
work=$HOME/backoff # short: it is seen in the picture
mkdir -p "$work"
session=nvim-$$
term() { tmux -L "$session" "$@"; }
seen() { # TEXT: waits for it on the screen
    tries=0
    until term capture-pane -p -t e 2>/dev/null | grep -qF -- "$1"; do
        tries=$((tries + 1))
        if test "$tries" -gt 600; then
            echo "not on the screen: $1" >&2
            term capture-pane -p -t e >&2
            exit 1
        fi
        sleep 0.05
    done
}
type_in() { term send-keys -t e "$@"; }

frames=
keep() { # [SECONDS]: keeps the screen as it is now
    count=$((${count:-0} + 1))
    term capture-pane -e -p -t e >"$dir/frame-$count"
    frames="$frames $dir/frame-$count${1+@$1}"
}

begin() { # ROWS: a file in a Neovim
    cat >"$work/retry.rs" <<'RUST'
//! Retries with exponential backoff and full jitter.
use std::time::Duration;

/// How long to pause before attempt `n`.
pub fn pause(n: u32, jitter: f64) -> Duration {
    let ceiling = BASE * 2u32.saturating_pow(n);
    ceiling.min(CAP).mul_f64(jitter)
}
RUST
    cat >"$dir/init.lua" <<EOF_LUA
dofile('$TEST_HERE/init.lua')
vim.g.pieces = vim.tbl_extend('force', vim.g.pieces, { picker = 'select' })
vim.o.termguicolors = true
vim.o.number = true
vim.o.linebreak = true
vim.o.laststatus = 3
vim.o.statusline = ' %t %h%m%=%{v:lua.require("pieces").status()}  %l,%c '
vim.cmd.syntax('on')
EOF_LUA
    cd "$work" || exit 1
    term -f /dev/null new-session -d -s e -x 118 -y "$1" "$NVIM --clean -u $dir/init.lua retry.rs 2>$dir/stderr"
    term set-option -s default-terminal tmux-256color >/dev/null
    seen 'pub fn pause'
}

end() { # as a person leaves
    type_in ':qall!' Enter
    tries=0
    while term has-session -t e 2>/dev/null; do
        tries=$((tries + 1))
        test "$tries" -lt 600 || { echo "Neovim does not end" >&2; exit 1; }
        sleep 0.05
    done
}
