#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Install what building, testing or running needs and is missing (Debian 12): deps.sh [build|run|test|lint|plot|bench] ...
set -eu

build="gcc libc6-dev meson ninja-build pkg-config libdpdk-dev liburcu-dev libjansson-dev libhttp-parser-dev libsystemd-dev libcmocka-dev"
run="iproute2 iputils-ping curl netcat-openbsd"
test="$run python3 python3-pytest python3-pytest-xdist python3-scapy python3-jsonschema ethtool socat procps spin"
lint="clang clang-format clang-tidy cppcheck"
plot="gnuplot-nox"
bench="$run python3 ethtool nftables dpdk-dev nginx-light haproxy wrk iperf3 sockperf valgrind gnuplot-nox"

want=""
for part in "${@:-build}"; do
	case $part in
	build) want="$want $build" ;;
	run) want="$want $run" ;;
	test) want="$want $test" ;;
	lint) want="$want $lint" ;;
	bench) want="$want $bench" ;;
	plot) want="$want $plot" ;;
	*) echo "deps.sh: $part?" >&2; exit 2 ;;
	esac
done

missing=""
for p in $want; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "deps.sh: run as root, or install:$missing" >&2; exit 1; }
	sudo=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
