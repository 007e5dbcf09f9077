#!/bin/sh
# Helix, Emacs (pieces.el, eglot and lsp-mode) and Vim with the configurations of editors/*/README.md against a server binary:
# in each a code action starts a conversation from a file, and a command starts an empty one. In Helix and with eglot a question
# is asked in a talk file, too, and in Emacs by pieces.el, also beside a Neovim.
#
#   tests/editors/others/run.sh BINARY [helix|emacs|eglot_talk|lsp_mode|vim|together|kakoune]...
#
# What is missing is installed the first time, see ../lib.sh. Prints `ok NAME` or `FAIL NAME: why`.
set -u
binary=$(realpath -m "${1:?usage: run.sh BINARY [EDITOR...]}") && shift
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"
contain
for name in $(env | sed -n 's/^\(PIECES_LSP_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

backports() { # PACKAGE...
    list=/etc/apt/sources.list.d/bookworm-backports.list
    test -e "$list" || echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) bookworm-backports main" >"$list"
    apt-get update -qq >/dev/null && apt_get -t bookworm-backports "$@"
}

install_helix() { need tmux curl python3 && unpack forky hx 1 usr/lib/hx/hx; }
install_emacs() { # with eglot inside; Debian's own is a major version too old for that
    need curl
    command -v emacs >/dev/null && emacs -Q --batch --eval '(kill-emacs (if (< emacs-major-version 29) 1 0))' && return
    backports emacs-nox
}
install_eglot_talk() { need tmux python3 && install_emacs; }
install_lsp_mode() {
    install_emacs || return 1
    # Debian's own helper would push out the Emacs of backports.
    test -e /usr/share/doc/elpa-lsp-mode || backports elpa-lsp-mode dh-elpa-helper
}
install_together() { need python3 && install_emacs && unpack forky neovim 1 usr/bin/nvim; }
install_vim() {
    need curl vim python3
    test -e /usr/share/vim-ale || { apt-get update -qq >/dev/null && apt_get vim-ale; }
}

install_kakoune() { need tmux curl && command -v kak && command -v kak-lsp; } # not by default

run_editor() { # NAME
    dir=$scratch/$1
    mkdir -p "$dir/bin" "$dir/home" "$dir/work"
    if ! locked "install_$1" >"$dir/install" 2>&1; then
        fail "$1" "not installed: $(tail -n 3 "$dir/install" | tr '\n' ' ')"
        return
    fi
    # Configurations say `pieces-lsp`, as on a user's PATH; the store is set from outside.
    printf '#!/bin/sh\nexec "%s" --backend local --data-dir "%s" "$@"\n' "$binary" "$dir/data" >"$dir/bin/pieces-lsp"
    chmod +x "$dir/bin/pieces-lsp"
    printf '//! Retries with jitter.\nfn retry() {}\n' >"$dir/work/retry.rs"
    HOME=$dir/home XDG_CONFIG_HOME=$dir/home/.config XDG_CACHE_HOME=$dir/home/.cache \
        XDG_DATA_HOME=$dir/home/.local/share PATH=$dir/bin:$PATH TEST_DIR=$dir TEST_CACHE=$cache TEST_BINARY=$binary \
        TEST_HERE=$here EDITORS=$(realpath "$here/../../../editors") \
        guarded timeout -k 10 180 "$here/$1.sh" >"$dir/out" 2>&1 </dev/null
    code=$?
    grep -a "^ok " "$dir/out"
    test "$code" = 0 || fail "$1" "exit $code: $(grep -av "^ok " "$dir/out" | tail -n 40 | tr '\n' ' ')"
}

if test -n "${INSTALL_ONLY-}"; then
    for editor in ${*:-helix emacs eglot_talk lsp_mode vim together}; do locked "install_$editor" >&2 || failed=1; done
    exit "$failed"
fi
for editor in ${*:-helix emacs eglot_talk lsp_mode vim together}; do run_editor "$editor"; done
nothing_left editors-nothing-is-left-running
exit "$failed"
