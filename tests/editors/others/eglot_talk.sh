#!/bin/sh
# Drives Emacs with eglot in a terminal, with pieces.el beside it and without: a question is typed in a talk file, answered
# while somebody types, undone, and the buffer is closed. In batch mode eglot would not tell what is typed.
set -u
. "$TEST_HERE/lib.sh"
readme "$EDITORS/emacs/README.md" elisp 2 >"$TEST_DIR/eglot.el"
model_endpoint
export PIECES_LSP_MODEL_URL="$model_url"
cd "$work" || exit 1

command() { type_in M-x && type_in -l "$1" && type_in Enter; }
# There may be no action until the server is live; asking again is what a person does.
menu() { # TITLE
    # Emacs throws away what is typed before it has quit.
    type_in C-g
    shows_soon Quit
    command eglot-code-actions
    tries_left=40
    while test "$tries_left" -gt 0; do
        shows 'Pick an action' && type_in -l "$1" && type_in Tab && shows_soon "$1" && return 0
        shows 'No current' && break
        tries_left=$((tries_left - 1))
        sleep 0.05
    done
    return 1
}
shows_soon() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        shows "$1" && return 0
        sleep 0.05
    done
    return 1
}

talk() { # NAME ARGUMENT...: of Emacs
    name=$1 && shift
    printf 'Retries with jitter.\n\n' >"$name.txt"
    tell_model script '["One two.\n\nThree four.\n\nFi", {"hold": true}, "ve six."]'
    in_terminal "emacs -nw -Q $* -l $TEST_DIR/eglot.el --eval '(setq inhibit-startup-screen t)' $name.txt 2>$TEST_DIR/stderr"
    seen 'Retries with jitter'
    command eglot
    seen '[eglot:work]'
    type_in 'M->'
    until_true 'asking about the file' menu 'Ask about this file'
    type_in Enter
    seen "# A question about $name.txt"
    type_in -l 'Why do they?'
    seen '[eglot:talk]'
    until_true 'the action to send' menu 'Send'
    type_in Enter
    seen 'Three four.'
    # Nobody waits for the answer: somebody types.
    type_in 'M->'
    type_in -l 'And then?'
    seen 'And then?'
    tell_model go '{}'
    seen 'Five six.'
    seen ' tokens read'
    seen 'And then?'
    test "$(screen | grep -c 'One two.')" = 1 || die "written twice: $(screen)"
    type_in C-_
    until_true 'the undo' hides 'Five six.'
    command undo-redo
    seen 'Five six.'
    command kill-buffer && type_in Enter
    seen 'kill anyway'
    type_in -l yes
    type_in Enter
    closed() { grep -q 'Five six.' "$data"/talk/*.md && grep -q 'And then?' "$data"/talk/*.md; }
    until_true 'the file on disk' closed
    type_in C-x C-c
    until_true 'the end of Emacs' ended
    rm -f "$data"/talk/*.md
    echo "ok emacs-talk-$name"
}
talk eglot
talk pieces -L "$EDITORS/emacs" -l pieces
