#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# COUNT UDP conversations listed by pages while traffic runs: no row missed, each page within its time.
# convs.sh [COUNT]; the tree is built, CONVD_BUILD says where.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" -eq 0 ] || exec sudo CONVD_BUILD="${CONVD_BUILD:-}" sh "$PWD/convs.sh" "$@"
CONVS_COUNT=${1:-100000} exec /usr/bin/python3 -m pytest -q -s -p no:cacheprovider test_convs.py
