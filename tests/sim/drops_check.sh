#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# drop.def names tests for reasons that the simulator does not meet: each is there, speaks of its reason, and is built.
# drops_check.sh ROOT
set -u
cd "$1" || exit 1
marks=$(sed -n 's/^DROP(\([A-Z0-9_]*\), .*", "\(tests\/[^"]*\)")$/\1 \2/p' lib/ip/drop.def)
commas=$(grep -c '"tests/' lib/ip/drop.def)
bad=0
[ "$(echo "$marks" | wc -l)" -eq "$commas" ] || { echo "drop.def: a line that is not understood"; bad=1; }
while read -r reason file; do
	grep -qw "DROP_$reason" "$file" || { echo "$file: no DROP_$reason"; bad=1; }
	grep -q "'$(basename "$file" .c)'" "$(dirname "$file")/meson.build" || { echo "$file: is not built"; bad=1; }
done <<END
$marks
END
exit $bad
