#!/bin/sh
# Asking as a person does it, seen on the screen: a question about two lines, its answer as it comes, the code of it in
# the file. Run by run.sh; with SCREEN_DIR in the environment the film is kept there as nvim-ask.svg.
set -u
. "$TEST_HERE/terminal.sh"
python3 "$TEST_HERE/../endpoint.py" >"$dir/endpoint" &
endpoint=$!
trap 'kill $endpoint; term kill-server 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP
until test -s "$dir/endpoint"; do sleep 0.05; done
PIECES_LSP_MODEL_URL=$(cat "$dir/endpoint")
export PIECES_LSP_MODEL_URL
tell() { # PATH JSON
    curl -sS --max-time 20 -d "$2" "${PIECES_LSP_MODEL_URL%/v1}/$1" >/dev/null || exit 1
}
tell script '["All clients that failed together ", {"hold": true}, "would also retry together.\n\n", {"hold": true},
    "The jitter spreads them ", {"hold": true}, "over the whole pause:\n\n", {"hold": true},
    "```rust\nlet spread = rng.gen::<f64>();\n", {"hold": true}, "```\n", {"hold": true}, "Draw it anew each time."]'

begin 30
type_in ':Pieces status' Enter
seen 'Pieces local 0'
type_in C-l
keep 1
type_in 6GVj
seen 'VISUAL LINE'
keep 0.8
type_in ':Pieces ask' Enter
seen 'ask: retry.rs, lines 6–7'
seen ' · other'
keep 1
for part in 'Why ' 'multiply ' 'by ' 'jitter ' 'at the end?'; do
    type_in -l "$part"
    seen "${part% }"
    keep 0.3
done
type_in Escape
type_in :w
keep 0.8
type_in Enter
seen 'All clients'
seen 'writing'
keep 0.6
for part in would spreads pause: 'let spread' '' Draw; do
    tell go '{}'
    test -z "$part" || seen "$part"
    keep 0.6
done
seen 'Pieces local 1 '
keep 2
# The code goes below the line of the cursor in the file.
type_in ':5' Enter
type_in ':Pieces insert'
keep 0.8
type_in Enter
seen '6 let spread'
keep 3
if test -n "${SCREEN_DIR-}"; then
    # shellcheck disable=SC2086
    node "$TEST_HERE/../screen.cjs" 'Asking in Neovim' $frames >"$SCREEN_DIR/nvim-ask.svg"
fi
end
