#!/usr/bin/env bash
# scripts/release.sh TAG ARCHIVES OUT: a .vsix for each target of VS Code, with the server out of the release's archives.
set -euo pipefail
tag=$1 archives=$(realpath "$2")
mkdir -p "$3"
out=$(realpath "$3")
cd "$(dirname "$0")/.."

package() { # VSCODE-TARGET RUST-TARGET
    local name=pieces-lsp-$tag-$2 inside
    inside=$(mktemp -d)
    if [ -e "$archives/$name.zip" ]; then
        unzip -q "$archives/$name.zip" -d "$inside"
    else
        tar xzf "$archives/$name.tar.gz" -C "$inside"
    fi
    local binary=$inside/$name/pieces-lsp
    [ -e "$binary" ] || binary=$binary.exe
    node scripts/package.mjs --target "$1" --binary "$binary" --out "$out/pieces-lsp-$tag-$1.vsix"
    rm -r "$inside"
}

package linux-x64 x86_64-unknown-linux-musl
package alpine-x64 x86_64-unknown-linux-musl
package linux-arm64 aarch64-unknown-linux-musl
package alpine-arm64 aarch64-unknown-linux-musl
package darwin-x64 x86_64-apple-darwin
package darwin-arm64 aarch64-apple-darwin
package win32-x64 x86_64-pc-windows-msvc
