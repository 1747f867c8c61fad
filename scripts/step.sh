#!/usr/bin/env bash
# step.sh DIRECTORY COMMAND…: runs the command there and says how long it took.
set -euo pipefail
directory=$1
shift
# A tool in the build cache has a long name: its last part says enough.
label="$directory: $(basename "$1") ${*:2}"
echo "--- $label"
begin=$SECONDS
status=0
(cd "$directory" && "$@") || status=$?
echo "--- $label: $((SECONDS - begin)) s$([ $status = 0 ] || echo ", failed")"
exit $status
