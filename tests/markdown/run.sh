#!/bin/sh
# What people's readers of Markdown make of an export: cmark-gfm, micromark with GFM, and markdown-it as in
# VS Code's preview. None may find HTML, an image or a link that leaves the web, or see one message reach into
# the next.
#
#   tests/markdown/run.sh BINARY
#
# TEXTS (2000) texts are generated from SEED (1), beside the examples of CommonMark and GFM. Installs the readers
# below tests/.cache once; with INSTALL_ONLY=1 in the environment that is all. Prints `ok NAME` or
# `FAIL NAME: why` per check. cargo test reads the same with pulldown-cmark and comrak.
set -u
binary=$(realpath -m "${1:?usage: run.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../.cache
readers=$cache/markdown-1
scratch=$(mktemp -d)
server=
trap 'test -n "$server" && kill "$server" 2>/dev/null; wait; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

fail() { echo "FAIL $1: $2"; exit 1; }

if ! test -e "$readers/.installed"; then
    rm -rf "$readers" && mkdir -p "$readers" \
        && cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$readers" \
        && npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$readers" \
        && python3 -m venv "$readers/venv" && "$readers/venv/bin/pip" -q install cmarkgfm==2025.10.22 \
        && touch "$readers/.installed"
fi >&2 || fail markdown-install "a reader could not be installed"
test -z "${INSTALL_ONLY-}" || exit 0
# Node looks for packages where a script lies.
cp "$here"/*.mjs "$here"/*.json "$readers"

. "$here/../service.sh"
start_service "$binary" || fail markdown-start "$(tail -n 1 "$scratch/log")"
node "$readers/check.mjs" fill "$url" "$scratch/texts" >&2 || fail markdown-fill "see above"
"$binary" export "$scratch/export" --data-dir "$scratch/data" >"$scratch/said" 2>&1 \
    || fail markdown-export "$(tail -n 1 "$scratch/said")"
node "$readers/check.mjs" read "$scratch/texts" "$scratch/export" "$readers/venv/bin/python"
