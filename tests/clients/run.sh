#!/bin/sh
# The published Pieces clients, unchanged, against a server binary.
#
#   tests/clients/run.sh BINARY [CACHE_DIR]
#
# BINARY is started as `BINARY service --port N --no-token --data-dir DIR`. Pinned packages are
# installed below CACHE_DIR (tests/.cache) once. Needs python3 with venv, node and npm, and a free
# port in 39300-39333, where the `pieces` CLI looks. With INSTALL_ONLY=1 it only installs. Prints `ok NAME` or `FAIL NAME: why` per check.
set -u
binary=$(realpath -m "${1:?usage: run.sh BINARY [CACHE_DIR]}")
here=$(cd "$(dirname "$0")" && pwd)
cache=${2:-$here/../.cache}
mkdir -p "$cache" && cache=$(realpath "$cache")
scratch=$(mktemp -d)
server=
trap 'test -n "$server" && kill "$server" 2>/dev/null; wait; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
failed=0

ok() { echo "ok $1"; }
fail() { echo "FAIL $1: $2"; failed=1; }

"$here/install.sh" "$cache" sdk-5.0.1 sdk-4.4.1 cli-1.20.1 npm-4.1.0
test -z "${INSTALL_ONLY-}" || exit 0

# A port may be taken by anybody's outgoing connection, and be free again a moment later: try them all.
start() { # PORT
    "$binary" service --port "$1" --no-token --data-dir "$scratch/data" >"$scratch/url" 2>"$scratch/log" &
    server=$!
    tries=0
    until grep -q http "$scratch/url"; do
        tries=$((tries + 1))
        kill -0 "$server" 2>/dev/null || return 1
        test "$tries" -lt 600 || return 1
        sleep 0.05
    done
}

port=39300
until start "$port"; do
    kill "$server" 2>/dev/null
    wait "$server"
    port=$((port + 1))
    if test "$port" -gt 39333; then
        fail start "$(tail -n 1 "$scratch/log")"
        exit 1
    fi
done
url=http://127.0.0.1:$port
export PYTHONDONTWRITEBYTECODE=1

scripted() { # NAME COMMAND...
    name=$1 && shift
    timeout 120 "$@" 2>"$scratch/stderr"
    code=$?
    test "$code" = 0 && return
    failed=1
    # 1: the script has said which check failed.
    test "$code" = 1 && ! grep -q Traceback "$scratch/stderr" && return
    fail "$name" "exit $code: $(tail -n 1 "$scratch/stderr")"
}

cd "$here" || exit 1
scripted sdk-5.0.1 "$cache/sdk-5.0.1/bin/python" low_level.py sdk-5.0.1 "$url"
scripted sdk-4.4.1 "$cache/sdk-4.4.1/bin/python" low_level.py sdk-4.4.1 "$url"
scripted npm-4.1.0 env NODE_PATH="$cache/npm-4.1.0/node_modules" node npm.cjs npm-4.1.0 "$url"
scripted live-cache "$cache/sdk-5.0.1/bin/python" live_cache.py live-cache "$port"

# The CLI prints names; what it did is read back from the service itself.
HOME=$scratch/home && export HOME && mkdir "$HOME"
pieces() { timeout 60 "$cache/cli-1.20.1/bin/pieces" "$@" >"$scratch/out" 2>&1; }
names() {
    python3 -c 'import json, sys, urllib.request
got = json.load(urllib.request.urlopen(sys.argv[1] + "/conversations"))
print("|".join(sorted(c["name"] for c in got["iterable"])))' "$url"
}
saw() { tr '\n' ' ' <"$scratch/out" | tail -c 200; }
expect_names() { # CHECK NAMES
    if test "$(names)" = "$2"; then ok "$1"; else fail "$1" "found $(names); it said: $(saw)"; fi
}

for name in $(python3 -c 'import json, sys, urllib.request
for c in json.load(urllib.request.urlopen(sys.argv[1] + "/conversations"))["iterable"]: print(c["id"])' "$url"); do
    python3 -c 'import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="POST"))' "$url/conversations/$name/delete"
done
for name in Older Newer; do
    python3 -c 'import json, sys, urllib.request
body = json.dumps({"type": "COPILOT", "name": sys.argv[2]}).encode()
urllib.request.urlopen(sys.argv[1] + "/conversations/create", body)' "$url" "$name"
done

echo skip | pieces version
if grep -q "12\." "$scratch/out"; then ok cli-version; else fail cli-version "$(saw)"; fi
pieces chats
if grep -q "1. Newer" "$scratch/out" && grep -q "2. Older" "$scratch/out"; then ok cli-chats; else fail cli-chats "$(saw)"; fi
pieces chat 2 --rename Renamed
expect_names cli-rename "Newer|Renamed"
# Renaming has made it the newest.
echo y | pieces chat 1 --delete
expect_names cli-delete "Newer"
exit "$failed"
