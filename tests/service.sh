# shellcheck shell=sh
# Sourced, POSIX sh, by suites that ask a local service of their own.

# Starts a service on the store $scratch/data; sets $server, its process, and $url. Its log is $scratch/log.
start_service() { # BINARY; fails if it does not start
    "$1" service --no-token --data-dir "$scratch/data" >"$scratch/url" 2>"$scratch/log" &
    server=$!
    tries=0
    until grep -qs http "$scratch/url"; do
        tries=$((tries + 1))
        if test "$tries" -gt 200 || ! kill -0 "$server" 2>/dev/null; then
            return 1
        fi
        sleep 0.05
    done
    url=$(cat "$scratch/url")
}
