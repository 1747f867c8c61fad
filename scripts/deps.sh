#!/usr/bin/env bash
# Installs what the tests need and a fresh Debian machine with Go lacks. A need
# that cannot be met ends the run: no test is skipped for want of a tool.
set -euo pipefail
cd "$(dirname "$0")/.."

commands=()
packages=()
# need COMMAND PACKAGE…: the command, and the Debian packages that bring it.
need() {
	commands+=("$1")
	command -v "$1" >/dev/null || packages+=("${@:2}")
}

need gcc gcc libc6-dev # the race detector
need node nodejs       # the npm client "ws", a spoke that nobody here wrote
need npm npm
need redis-server redis-server
need chromium chromium # a browser of its own, for the page and the module

if [ ${#packages[@]} -gt 0 ]; then
	as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	"${as_root[@]}" apt-get update -q
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends "${packages[@]}"
fi
for command in "${commands[@]}"; do
	command -v "$command" >/dev/null || { echo "deps.sh: $command is missing" >&2 && exit 1; }
done

for clients in cmd/eventtarget/testdata/ws-client web/e2e/testdata; do
	if [ ! "$clients/node_modules/.package-lock.json" -nt "$clients/package-lock.json" ]; then
		(cd "$clients" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null)
	fi
done
