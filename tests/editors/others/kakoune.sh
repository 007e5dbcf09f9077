#!/bin/sh
# Drives Kakoune with kakoune-lsp in a terminal.
set -u
. "$TEST_HERE/lib.sh"
mkdir -p "$HOME/.config/kak" "$TEST_DIR/run"
readme "$EDITORS/kakoune/README.md" kak >"$HOME/.config/kak/kakrc"
cd "$work" || exit 1
printf 'Retries with jitter.\n' >notes.md
in_terminal "XDG_RUNTIME_DIR=$TEST_DIR/run kak notes.md 2>$TEST_DIR/stderr"
seen 'Retries with jitter'
# The menu is empty until the server is there and live; asking again is what a person does.
menu() {
    type_in ':lsp-code-actions' Enter
    tries_left=40
    while test "$tries_left" -gt 0; do
        shows 'Start a conversation' && return 0
        tries_left=$((tries_left - 1))
        sleep 0.05
    done
    return 1
}
until_true "the code action, on $(screen)" menu
type_in Enter
until_true "a conversation from the file, on $(screen)" conversations 1
echo 'ok kakoune-code-action'
command() {
    type_in ":lsp-execute-command pieces.conversations.create '[]'" Enter
    tries_left=40
    until conversations 2; do
        tries_left=$((tries_left - 1))
        test "$tries_left" -gt 0 || return 1
        sleep 0.05
    done
}
command || die "no empty conversation; the screen: $(screen)"
echo 'ok kakoune-command'
type_in ':quit!' Enter
until_true 'the end of Kakoune' ended
