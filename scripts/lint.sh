#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Format, clang-tidy, cppcheck, and builds with gcc and clang where every warning is an error.
# LINT_FAST=1 leaves out clang-tidy, which takes longer than all the rest, gcc, as the build for the tests was strict, and the tests
# for clang.
set -u

cd "$(dirname "$0")/.." || exit 1
failed=0
targets=${LINT_FAST:+app/convd app/convctl app/convgen bench/bench_conv bench/bench_cost bench/bench_flood bench/bench_line bench/bench_opens bench/bench_peer bench/bench_table bench/bench_workers}
step()
{
	echo "lint: $1"
	shift
	"$@" || failed=1
}

sources=$(git ls-files 'lib/*.c' 'app/*.c')
all=$(git ls-files '*.c' '*.h')
for cc in ${LINT_FAST:-gcc} clang; do
	[ "$cc" != 1 ] || continue
	# gcc finds more when it optimizes; clang does not, and is done in half of the time.
	[ "$cc" = gcc ] && o=2 || o=0
	[ -d "build-lint-$cc" ] || CC=$cc meson setup "build-lint-$cc" --werror -Doptimization=$o >/dev/null || exit 1
	# shellcheck disable=SC2086
	step "build with $cc, -Werror" ninja -C "build-lint-$cc" --quiet $targets
done
# shellcheck disable=SC2086
step "clang-format" clang-format --dry-run -Werror $all
# One file at a time: several in one run give false alarms about va_list.
# shellcheck disable=SC2086
[ -n "${LINT_FAST:-}" ] ||
	step "clang-tidy" sh -c "printf '%s\n' $(echo $sources) | xargs -P 2 -n 1 clang-tidy -p build-lint-clang --quiet 2>/dev/null"
# shellcheck disable=SC2086
step "cppcheck" cppcheck --enable=warning,performance,portability --error-exitcode=1 --quiet --inline-suppr \
	-j 2 -Ilib/ipht -Ilib/ip -Ilib/conv -Ilib/tcp -Ilib/udp -Ilib/stack -Iapp lib app
exit $failed
