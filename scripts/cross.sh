#!/usr/bin/env bash
# Vets the given modules for the systems that they must build on: 64 and 32 bit.
set -euo pipefail
cd "$(dirname "$0")/.."
for target in linux/386 darwin/arm64 windows/amd64 windows/386; do
	echo "cross: $target"
	for module in "$@"; do
		(cd "$module" && CGO_ENABLED=0 GOOS=${target%/*} GOARCH=${target#*/} go vet ./...)
	done
done
