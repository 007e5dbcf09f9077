#!/bin/sh
# Random requests made from docs/openapi.json against the local service: schemathesis, unchanged.
#
#   tests/openapi.sh BINARY [EXAMPLES [SEED]]
#
# EXAMPLES per route (10). With INSTALL_ONLY=1 it only installs schemathesis. Never a 5xx, nothing but the statuses, types and shapes on that page, and the
# service still answers afterwards. Prints `ok NAME` or `FAIL NAME: why` per check.
set -u
binary=$(realpath -m "${1:?usage: openapi.sh BINARY [EXAMPLES [SEED]]}")
examples=${2:-10} seed=${3:-1}
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/tests/.cache/schemathesis-4.32.5
scratch=$(mktemp -d)
server=
trap 'test -n "$server" && kill "$server" 2>/dev/null; wait; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

if ! test -e "$venv/.installed"; then
    rm -rf "$venv" && python3 -m venv "$venv" && "$venv/bin/pip" -q install schemathesis==4.32.5 \
        && touch "$venv/.installed"
fi >&2
test -z "${INSTALL_ONLY-}" || exit 0

. "$root/tests/service.sh"
if ! start_service "$binary"; then
    echo "FAIL openapi-start: $(tail -n 1 "$scratch/log")"
    exit 1
fi

failed=0
cd "$scratch" || exit 1
"$venv/bin/st" run "$root/docs/openapi.json" --url "$url" --max-examples "$examples" --seed "$seed" --no-color \
    --phases coverage,fuzzing --request-timeout 20 --checks \
    not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    >"$scratch/out" 2>&1
code=$?
cases=$(grep -oE '[0-9]+ generated' "$scratch/out")
if test "$code" = 0 && test -n "$cases"; then
    echo "ok openapi-requests ($cases)"
else
    echo "FAIL openapi-requests: exit $code, seed $seed"
    sed -n '/FAILURES/,$p' "$scratch/out" | head -n 60
    failed=1
fi
if kill -0 "$server" && python3 -c 'import json, sys, urllib.request
json.load(urllib.request.urlopen(sys.argv[1] + "/conversations", timeout=20))' "$url"; then
    echo "ok openapi-alive"
else
    echo "FAIL openapi-alive: $(tail -n 1 "$scratch/log")"
    failed=1
fi
exit "$failed"
