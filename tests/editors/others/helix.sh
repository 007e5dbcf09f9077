#!/bin/sh
# Drives Helix in a terminal.
set -u
. "$TEST_HERE/lib.sh"
root=$TEST_CACHE/hx-1
session=helix-$$
mkdir -p "$HOME/.config/helix"
for part in 1 2; do readme "$EDITORS/helix/README.md" toml $part; done >"$HOME/.config/helix/languages.toml"
term() { tmux -L "$session" "$@"; }
trap 'term kill-server 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP
screen() { term capture-pane -p -t e 2>/dev/null; }
shows() { screen | grep -qF -- "$1"; }
seen() { until_true "on the screen: $1, which is $(screen)" shows "$1"; }
type_in() { term send-keys -t e "$@"; }

model_endpoint
trap 'term kill-server 2>/dev/null; kill "$model_pid" 2>/dev/null' EXIT
model script '["One two.\n\nThree four.\n\nFi", {"hold": true}, "ve six."]'
PIECES_LSP_MODEL_URL=$model_url
export PIECES_LSP_MODEL_URL

cd "$work" || exit 1
term -f /dev/null new-session -d -s e -x 120 -y 30 \
    "HELIX_RUNTIME=$root/usr/lib/hx/runtime $root/usr/lib/hx/hx retry.rs 2>$TEST_DIR/stderr"
seen 'fn retry'
# The menu is empty until the server is there and live; asking again is what a person does.
menu() {
    type_in Escape
    type_in Space a
    tries_left=40
    while test "$tries_left" -gt 0; do
        shows "$1" && return 0
        shows 'No code actions' && break
        tries_left=$((tries_left - 1))
        sleep 0.05
    done
    return 1
}
until_true 'the code action' menu 'Start a conversation'
type_in Enter
until_true 'a conversation from the file' conversations 1
service /conversations | grep -q retry.rs || die 'it is not about the file'
# What was started is shown, as a private copy.
seen '# retry.rs'
seen '## '
echo 'ok helix-code-action'
type_in ':buffer-close!' Enter
seen 'fn retry'
until_true 'the conversation about the file' menu 'Open conversation'
type_in Enter
seen '# retry.rs'
conversations 1 || die 'another one was started'
echo 'ok helix-open'
type_in ':buffer-close!' Enter
seen 'fn retry() {}'
type_in ':lsp-workspace-command pieces.conversations.create' Enter
until_true 'an empty conversation' conversations 2
echo 'ok helix-command'
# A talk file: sent, answered while somebody types, undone, closed.
type_in ':open retry.rs' Enter
until_true 'asking about the file' menu 'Ask about this file'
type_in Up Enter
seen '# A question about retry.rs'
type_in i
type_in -l 'Why does it loop?'
until_true 'the action to send' menu 'Send'
type_in Enter
seen 'Three four.'
type_in Escape 'g' 'e' 'o'
type_in -l 'And then?'
type_in Escape
model go null
seen 'Five six.'
seen '*other'
seen 'And then?'
test "$(screen | grep -c 'One two.')" = 1 || die "written twice: $(screen)"
echo 'ok helix-talk'
type_in u
hidden() { ! shows 'Five six.'; }
until_true 'the undo' hidden
type_in U
seen 'Five six.'
type_in ':buffer-close!' Enter
closed() { grep -q 'Five six.' "$data"/talk/*.md && grep -q 'And then?' "$data"/talk/*.md; }
until_true 'the file on disk' closed
echo 'ok helix-talk-closed'
gone() { ! term has-session -t e 2>/dev/null; }
type_in ':quit!' Enter
until_true 'the end of Helix' gone
