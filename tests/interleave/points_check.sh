#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
#
# The points at which the explorer stops threads (lib/point) are nothing in the product: neither its libraries nor the daemon hold a
# call of them, or one of their names. The explorer's own build holds both, or this check would see nothing anywhere.
# points_check.sh SOURCE BUILD
set -eu
source=$1 build=$2
failed=0 files=0

calls() { objdump -dr "$1" | grep -cE 'explore_(point|wait)' || true; }
# Names that are no words of their own, in sections that are loaded.
names=$(mktemp)
trap 'rm -f "$names"' EXIT
grep -rhoE 'POINT(_WAIT)?\("[a-z]+_[a-z_]+"' "$source"/lib | sed 's/.*"\(.*\)"/\1/' | sort -u > "$names"
[ -s "$names" ] || { echo "no points in the sources"; exit 1; }
named() { strings -d "$1" | grep -cxFf "$names" || true; }

for f in "$build"/lib/*/libconvd_*.a.p/*.o "$build"/app/convd; do
	files=$((files + 1))
	if [ "$(calls "$f")" -ne 0 ] || [ "$(named "$f")" -ne 0 ]; then
		echo "$f: holds points"
		failed=1
	fi
done
seen=0 told=0
# Their names begin with a dot.
for f in $(find "$build"/tests/interleave/libconvd_explore.a.p -name '*.o'); do
	seen=$((seen + $(calls "$f")))
	told=$((told + $(named "$f")))
done
if [ "$seen" -eq 0 ] || [ "$told" -eq 0 ] || [ "$files" -lt 20 ]; then
	echo "the check sees nothing: $seen calls, $told names, $files files"
	exit 1
fi
echo "$files files of the product without points; the explorer's build has $seen calls and $told names"
exit $failed
