# shellcheck shell=sh disable=SC2034
# Shared by the scripts of one editor each; sourced, POSIX sh.
work=$TEST_DIR/work
data=$TEST_DIR/data

die() { echo "$*" >&2; exit 1; }

until_true() { # WHAT COMMAND...: a deadline for a busy machine, no pause that matters on a quiet one
    what=$1 && shift
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        test "$tries" -lt 1200 || die "timed out: $what$(test -z "${session-}" || screen)"
        sleep 0.05
    done
}

service() { # PATH: what the store's service answers to another client
    test -s "$data/service.json" || return 1
    url=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' "$data/service.json")
    token=$(sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' "$data/service.json")
    curl -fsS --max-time 20 -H "Authorization: Bearer $token" "$url$1" 2>/dev/null
}

conversations() { # N: whether there are that many
    test "$(service /conversations/identifiers | grep -o '"id"' | wc -l)" = "$1"
}

# The configuration that a README shows: its Nth block of that kind, as it stands there.
readme() { # FILE KIND [N]
    awk -v kind="$2" -v wanted="${3:-1}" '
        $0 == "```" kind { n++; inside = n == wanted; next }
        /^```/ { inside = 0 }
        inside' "$1"
}

# A model endpoint that says what it is told to, see ../endpoint.py: sets $model_url.
model_endpoint() {
    python3 "$TEST_HERE/../endpoint.py" >"$TEST_DIR/endpoint" &
    model_pid=$!
    trap ending EXIT
    until_true 'the endpoint' test -s "$TEST_DIR/endpoint"
    model_url=$(cat "$TEST_DIR/endpoint")
}

tell_model() { # PATH JSON
    curl -sS --max-time 20 -d "$2" "${model_url%/v1}/$1" >/dev/null || die "the endpoint at $1"
}

# An editor in a terminal, which ends with the script.
in_terminal() { # COMMAND
    session=$(basename "$0" .sh)-$$
    trap ending EXIT
    trap 'exit 130' INT TERM HUP
    term -f /dev/null new-session -d -s e -x 160 -y 40 "$1"
}

ending() {
    test -z "${session-}" || term kill-server 2>/dev/null
    test -z "${model_pid-}" || kill "$model_pid" 2>/dev/null
}

term() { tmux -L "$session" "$@"; }
type_in() { term send-keys -t e "$@"; }
screen() { term capture-pane -p -t e 2>/dev/null; }
shows() { screen | grep -qF -- "$1"; }
hides() { ! shows "$1"; }
seen() { until_true "on the screen: $1" shows "$1"; }
ended() { ! term has-session -t e 2>/dev/null; }
