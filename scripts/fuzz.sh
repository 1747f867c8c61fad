#!/usr/bin/env bash
# fuzz.sh TIME MODULE…: runs every fuzz target of the modules for that time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
shift
for module in "$@"; do
	files=$(grep -rl --include='*_test.go' '^func Fuzz' "$module") || continue
	for package in $(xargs -n 1 dirname <<<"$files" | sort -u); do
		# The root module's search finds the others' files too: each is run once.
		[ "$module" != . ] || [[ ! $package =~ ^\./(cmd|bench)(/|$) ]] || continue
		for target in $(cd "$package" && go test -list '^Fuzz' . | grep '^Fuzz'); do
			# To make one new input smaller may take all of the time otherwise (by default a minute).
			scripts/step.sh "$package" go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x .
		done
	done
done
