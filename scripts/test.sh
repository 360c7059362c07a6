#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run every suite of a built tree; print last the names of what failed, and one line: 'N passed, N failed, N skipped'.
# test.sh [BUILD [meson suites ...]]; without suites: all of them, and the smoke tests.
set -u

here=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$here/build}
[ $# -eq 0 ] || shift
passed=0 failed=0 skipped=0 names=$(mktemp)

# meson: the table that it prints at its end.
suites=""
for s in "$@"; do suites="$suites --suite $s"; done
out=$(mktemp)
# shellcheck disable=SC2086
meson test -C "$build" --print-errorlogs --num-processes 2 ${TIMEOUTS:+-t "$TIMEOUTS"} $suites 2>&1 | tee "$out"
number() { sed -n "s/^$1: *\([0-9]*\).*/\1/p" "$out" | tail -n 1; }
for key in Ok "Expected Fail"; do n=$(number "$key"); passed=$((passed + ${n:-0})); done
for key in Fail "Unexpected Pass" Timeout; do n=$(number "$key"); failed=$((failed + ${n:-0})); done
sed -n 's/^ *[0-9]*\/[0-9]* \(.*[^ ]\) *\(FAIL\|TIMEOUT\|UNEXPECTEDPASS\).*/\2 \1/p' "$out" >>"$names"
n=$(number Skipped); skipped=$((skipped + ${n:-0}))
[ $((passed + failed + skipped)) -gt 0 ] || failed=1

# pytest: its closing line, such as '3 failed, 20 passed, 1 skipped in 9.99s'.
smoke()
{
	CONVD_BUILD=$build /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@" 2>&1 | tee "$out"
	last=$(tail -n 1 "$out")
	grep -E '^(FAILED|ERROR) ' "$out" | cut -c1-200 >>"$names"
	word() { echo "$last" | sed -n "s/.*\b\([0-9][0-9]*\) $1.*/\1/p"; }
	p=$(word passed) f=$(word failed) e=$(word error) s=$(word skipped)
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-0} + ${e:-0}))
	skipped=$((skipped + ${s:-0}))
	[ -n "$p$f$e$s" ] || failed=$((failed + 1))
}

# Most of a smoke test is waiting, so three run at a time; those that look at times have the machine to themselves.
if [ $# -eq 0 ]; then
	smoke -n 3 -m "not alone" "$here"/tests/smoke
	smoke -m alone "$here"/tests/smoke
fi
sort -u "$names"
rm -f "$out" "$names"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
