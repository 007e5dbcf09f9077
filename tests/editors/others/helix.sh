#!/bin/sh
# Drives Helix in a terminal.
set -u
. "$TEST_HERE/lib.sh"
root=$TEST_CACHE/hx-1
mkdir -p "$HOME/.config/helix"
for part in 1 2; do readme "$EDITORS/helix/README.md" toml $part; done >"$HOME/.config/helix/languages.toml"
model_endpoint
tell_model script '["One two.\n\nThree four.\n\nFi", {"hold": true}, "ve six."]'
export PIECES_LSP_MODEL_URL="$model_url"

cd "$work" || exit 1
in_terminal "HELIX_RUNTIME=$root/usr/lib/hx/runtime $root/usr/lib/hx/hx retry.rs 2>$TEST_DIR/stderr"
seen 'fn retry'
# The first Escape may only close a menu.
normal() { type_in Escape && shows ' NOR '; }
# The menu is empty until the server is there and live; asking again is what a person does.
menu() {
    until_true 'normal mode' normal
    type_in Space a
    tries_left=40
    while test "$tries_left" -gt 0; do
        # In a menu, and not in the text.
        shows "  $1" && return 0
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
# Symbols and definitions lead to private copies.
type_in Space S
type_in -l retry
seen 'Pieces · '
type_in Enter
seen '# retry.rs'
seen 'data/opened/'
type_in ':buffer-close!' Enter
seen 'fn retry() {}'
id=$(service /conversations/identifiers | grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' | tail -n 1)
type_in ':open links.md' Enter i
type_in -l "See pieces-conversation:/$id.md"
seen 'See pieces'
until_true 'normal mode' normal
type_in h h h h h h h h g d
seen 'data/opened/'
type_in ':buffer-close!' Enter
seen 'See pieces'
echo 'ok helix-leads-to-copies'
# Why a command failed is shown.
type_in ':lsp-workspace-command pieces.conversations.open {"conversation": "00000000-0000-4000-8000-000000000000"}' Enter
seen 'There is no conversation with this id'
type_in ':buffer-close!' Enter
echo 'ok helix-error'
# A talk file: sent, answered while somebody types, undone, closed.
type_in ':open retry.rs' Enter
until_true 'asking about the file' menu 'Ask about this file'
type_in Up Enter
seen '# A question about retry.rs'
type_in i
type_in -l 'Why does it loop?'
seen 'Why does it loop?'
until_true 'the action to send' menu 'Send'
type_in Enter
seen 'Three four.'
type_in Escape 'g' 'e' 'o'
type_in -l 'And then?'
type_in Escape
tell_model go '{}'
seen 'Five six.'
seen ' tokens read'
seen 'And then?'
test "$(screen | grep -c 'One two.')" = 1 || die "written twice: $(screen)"
echo 'ok helix-talk'
type_in u
until_true 'the undo' hides 'Five six.'
type_in U
seen 'Five six.'
type_in ':buffer-close!' Enter
closed() { grep -q 'Five six.' "$data"/talk/*.md && grep -q 'And then?' "$data"/talk/*.md; }
until_true 'the file on disk' closed
echo 'ok helix-talk-closed'
type_in ':quit!' Enter
until_true 'the end of Helix' ended
