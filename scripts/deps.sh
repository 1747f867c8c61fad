#!/usr/bin/env bash
# Installs what the tests need and a fresh Debian machine with Go lacks: a C
# compiler for the race detector, Node.js and the npm client "ws".
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [ ${#missing[@]} -gt 0 ]; then
	as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	"${as_root[@]}" apt-get update -q
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

client=cmd/eventtarget/testdata/ws-client
if [ ! -d "$client/node_modules/ws" ]; then
	(cd "$client" && npm ci --no-audit --no-fund --loglevel=error)
fi
