#!/usr/bin/env bash
# bench.sh DIRECTORY ROUNDS [PART…]: runs every benchmark, or those parts, so many times,
# all of them once before any again, and keeps what they print as PART.txt in the directory.
set -euo pipefail
directory=$(realpath "$1") rounds=$2
shift 2
mkdir -p "$directory"
ulimit -n "$(ulimit -Hn)"
commit=$(git describe --always --dirty)

# measure PART DIRECTORY VARIABLE=… ARGUMENT…: go test there, if the part is asked for.
measure() {
	local part=$1 where=$2
	shift 2
	local -a set=()
	while [[ $1 == *=* && $1 != -* ]]; do set+=("$1") && shift; done
	[[ $parts == all || " $parts " == *" $part "* ]] || return 0
	[[ -v begun[$part] ]] || rm -f "$directory/$part.txt"
	begun[$part]=yes
	printf 'commit: %s\nload: %s\n' "$commit" "$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || uptime)" >>"$directory/$part.txt"
	(cd "$where" && env "${set[@]}" go test -run '^$' "$@" .) | grep -v '^ok ' | tee -a "$directory/$part.txt"
}

parts=${*:-all}
declare -A begun=()
for ((round = 1; round <= rounds; round++)); do
	echo "--- round $round of $rounds"
	measure inprocess eventtarget -bench 'Inline|Queued|AddRemove' -benchtime 40ms
	measure inprocess eventtarget -bench Topics -benchtime 400ms
	measure inprocess internal/wire -bench '/128B' -benchtime 40ms
	for n in 100 1000 5000; do for bytes in 128 1024; do
		measure websocket bench BENCH_CONNECTIONS=$n BENCH_PAYLOAD=$bytes -bench FanOutPeers -benchtime 1x
	done; done
	measure session bench -bench 'FanOut$/wsserver' -benchtime 1x
	measure tls bench -bench FanOutTLS -benchtime 1x
	measure tls bench -bench FanOutTLS/././wsserver -benchtime 1x -tags eventtarget_portable
	measure sse bench -bench SSE -benchtime 1x
	measure quic bench -bench FanOutQUIC -benchtime 1x
	measure quic bench -bench IdleQUIC -benchtime 1x # where nothing was before
	measure quic quicspoke -bench Dispatch -benchtime 100000x
	measure stalled bench BENCH_SECONDS=30 -bench OneStalled -benchtime 1x
	measure redis bench -bench Redis -benchtime 300ms
	measure worker bench -bench Worker -benchtime 250ms
	measure restart bench -bench Restart -benchtime 1x
	measure idle eventtarget/hub -bench IdleSpoke -benchtime 1x
	measure idle bench -bench 'Idle$' -benchtime 1x
	measure growth bench -bench Growth -benchtime 100ms
done
