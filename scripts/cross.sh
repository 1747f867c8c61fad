#!/usr/bin/env bash
# cross.sh MODULE…: builds and vets the modules for every system that they must
# build on, 64 and 32 bit.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
for target in linux/amd64 linux/386 linux/arm64 darwin/arm64 windows/amd64 windows/386; do
	export GOOS=${target%/*} GOARCH=${target#*/}
	for module in "$@"; do
		echo "$target $module"
		(cd "$module" && go build -o /dev/null ./... && go vet ./...)
	done
done
