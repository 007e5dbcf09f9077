# shellcheck shell=sh disable=SC2034
# Shared by the editor suites; sourced, POSIX sh. Sets $cache; defines the functions below.
#
# Editors come from Debian packages, unpacked beside the system into $cache (a folder outside the
# clone) and patched to use the libraries they were unpacked with. Needs root and apt the first time.
# With INSTALL_ONLY=1 in the environment a suite only installs.
cache=${PIECES_LSP_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pieces-lsp-tests}
mkdir -p "$cache" && cache=$(realpath "$cache")
failed=0

ok() { echo "ok $1"; }
fail() { echo "FAIL $1: $2"; failed=1; }

# What a suite starts ends with it: `contain` makes $scratch, which every process of the suite has in its environment.
contain() {
    scratch=$(mktemp -d)
    trap 'end_all; rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM HUP
}

running() { # the processes of this suite; those that look have an empty environment, so that they are not among them
    # shellcheck disable=SC2016
    env -i PATH="$PATH" sh -c 'grep -lsaF -- "$1" /proc/[0-9]*/environ | sed "s|/proc/\([0-9]*\)/.*|\1|" | grep -vx "$2"' sh "$scratch" $$
}

end_all() {
    for one in $(running); do kill -KILL "$one" 2>/dev/null; done
}

nothing_left() { # NAME: a check that everything has ended by itself, or soon does
    tries=0
    while left=$(running); test -n "$left"; do
        tries=$((tries + 1))
        if test "$tries" -gt 400; then
            fail "$1" "still running: $(for one in $left; do cat "/proc/$one/cmdline" 2>/dev/null | tr '\0' ' '; echo "($one)"; done | cut -c 1-200 | tr '\n' ';')"
            return
        fi
        sleep 0.05
    done
    ok "$1"
}

# One command of the suite. The shell waits beside it, so that a signal is not held up; and it ends if the shell is killed.
guarded() { # COMMAND...
    setpriv --pdeathsig TERM "$@" &
    wait $!
}

apt_get() { # PACKAGE...: from the machine's own suites
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need() { # PROGRAM[=PACKAGE]...: installs what is missing
    missing=
    for one; do
        command -v "${one%%=*}" >/dev/null || missing="$missing ${one#*=}"
    done
    test -z "$missing" && return
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    apt_get $missing
}

locked() { # COMMAND...: one installation at a time
    (
        flock 9
        "$@"
    ) 9>"$cache/.lock"
}

# The mirror that this machine's apt already uses.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' \
        | awk '$2 == "bookworm" && !seen { seen = $1 } END { print seen }'
}

# unpack SUITE PACKAGE STAMP PROGRAM: a package with its libraries below $cache/PACKAGE-STAMP.
unpack() {
    root=$cache/$2-$3
    test -e "$root.ok" && return
    need mmdebstrap patchelf
    from=$(mirror)
    test -n "$from" || { apt-get update -qq >/dev/null; from=$(mirror); }
    rm -rf "$root"
    # Debian testing's Release file may be past its date on a mirror: its signature is still checked.
    mmdebstrap --quiet --variant=extract --mode=root --components=main --include="$2" \
        --aptopt='Acquire::Check-Valid-Until "false"' "$1" "$root" "$from" \
        && patchelf --set-interpreter "$root/usr/lib64/ld-linux-x86-64.so.2" --force-rpath \
            --set-rpath "$root/usr/lib/x86_64-linux-gnu" "$root/$4" \
        && touch "$root.ok"
}
