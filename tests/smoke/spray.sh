#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# 4 workers, spread "packet": COUNT connections in a row and 200 at once, each echoing 100 kB, over v4 and over v6;
# then what shows that any worker had any packet. spray.sh [COUNT]; the tree is built, CONVD_BUILD says where.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" -eq 0 ] || exec sudo CONVD_BUILD="${CONVD_BUILD:-}" sh "$PWD/spray.sh" "$@"
SPRAY_COUNT=${1:-10000} exec /usr/bin/python3 -m pytest -q -s -p no:cacheprovider test_spray.py
