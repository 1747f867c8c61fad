#!/usr/bin/env bash
# cross.sh all|quick MODULE…: the systems that the modules must build on, 64 and
# 32 bit. "quick" vets what differs most from a 64-bit Unix.
set -euo pipefail
cd "$(dirname "$0")/.."
case $1 in
all) targets=(linux/amd64 linux/386 linux/arm64 darwin/arm64 windows/amd64 windows/386) ;;
quick) targets=(linux/386 windows/amd64) ;;
*) echo "cross.sh: all or quick, not $1" >&2 && exit 2 ;;
esac
how=$1
shift
export CGO_ENABLED=0
for target in "${targets[@]}"; do
	export GOOS=${target%/*} GOARCH=${target#*/}
	for module in "$@"; do
		echo "$target $module"
		[ "$how" = quick ] || (cd "$module" && go build -o /dev/null ./...)
		(cd "$module" && go vet ./...)
	done
done
