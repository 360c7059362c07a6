#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Start convd on a TAP port in a network namespace of its own, prove that it serves, say what to try, and stay
# until Ctrl-C. No huge pages, no NIC. `run.sh --once` ends after the self-test.
set -u

here=$(cd "$(dirname "$0")/.." && pwd)
build=${CONVD_BUILD:-$here/build}
config=${CONVD_CONFIG:-$here/config/tap.json}
ns=convd-run-$$
dir=$(mktemp -d /tmp/convd-run.XXXXXX)
log=$dir/log
pid=""
once=${1:-}

if [ "$(id -u)" -ne 0 ]; then
	exec sudo CONVD_BUILD="$build" CONVD_CONFIG="$config" sh "$0" "$@"
fi

finish()
{
	trap '' INT TERM
	if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
		wait "$pid" 2>/dev/null
	fi
	ip netns del "$ns" 2>/dev/null
	rm -rf "$dir"
}
trap 'finish; exit 0' INT TERM
trap finish EXIT

fail()
{
	echo "make run: $*" >&2
	tail -n 20 "$log" >&2
	exit 1
}

in_ns()
{
	ip netns exec "$ns" "$@"
}

# The same configuration, with a control socket that nobody else has.
sed "s|\"socket\": *\"[^\"]*\"|\"socket\": \"$dir/control.sock\"|" "$config" >"$dir/convd.json"
cp "$here/config/convd.schema.json" "$dir/" 2>/dev/null

ip netns add "$ns" || exit 1
in_ns ip link set lo up
# Not in_ns: the process id must be that of convd itself.
ip netns exec "$ns" "$build/app/convd" --config "$dir/convd.json" >"$log" 2>&1 &
pid=$!
n=0
until grep -q '^convd: ready' "$log"; do
	n=$((n + 1))
	kill -0 "$pid" 2>/dev/null || { pid=""; fail "convd did not start"; }
	[ $n -lt 200 ] || fail "convd was not ready within 20 s"
	sleep 0.1
done
in_ns ip addr add 10.77.0.1/24 dev convd0
in_ns ip addr add fd77::1/64 dev convd0 nodad
in_ns ip link set convd0 up
cat "$log"

check()
{
	what=$1
	want=$2
	shift 2
	got=$("$@" 2>&1)
	case $got in
	*"$want"*) echo "  ok    $what" ;;
	*) echo "  FAIL  $what: $got"; failed=1 ;;
	esac
}

failed=0
echo
echo "self-test, from the namespace's side of the TAP:"
check "ping 10.77.0.2" " 0% packet loss" in_ns ping -c 2 -i 0.2 -W 2 10.77.0.2
# The first second of an IPv6 address is duplicate detection (RFC 4862).
check "ping fd77::2" " 0% packet loss" in_ns sh -c 'for i in 1 2 3 4 5; do ping -6 -c 1 -W 1 fd77::2 && break; sleep 0.5; done'
check "curl http://10.77.0.2/" "200" in_ns curl -s -m 5 -o /dev/null -w '%{http_code}' http://10.77.0.2/
check "curl http://[fd77::2]/" "200" in_ns curl -s -m 5 -o /dev/null -w '%{http_code}' "http://[fd77::2]/"
check "TCP echo over v4" "hello" in_ns sh -c 'echo hello | nc -N -w 3 10.77.0.2 7'
check "TCP echo over v6" "hello" in_ns sh -c 'echo hello | nc -N -w 3 fd77::2 7'
check "UDP echo over v4" "hello" in_ns sh -c 'echo hello | nc -u -w 1 10.77.0.2 7'
check "UDP echo over v6" "hello" in_ns sh -c 'echo hello | nc -u -w 1 fd77::2 7'
check "every packet accounted for" "exact" "$build/app/convctl" --socket "$dir/control.sock" stats
[ $failed -eq 0 ] || fail "the self-test failed"

[ "$once" != --once ] || exit 0
cat <<TXT

convd serves. Try, in another terminal (as root):
  ip netns exec $ns curl -i http://10.77.0.2/
  ip netns exec $ns nc fd77::2 7
  ip netns exec $ns ping -s 60000 -c 3 10.77.0.2
  $build/app/convctl --socket $dir/control.sock status
  $build/app/convctl --socket $dir/control.sock convs
  $build/app/convctl --socket $dir/control.sock stats -i 1
Ctrl-C ends it and removes the namespace.
TXT
wait "$pid"
pid=""
