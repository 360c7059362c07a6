#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# convd and Linux as servers behind the same bad links, in turn: echo and bulk, RUNS times over v4 and v6 each.
# linux.sh [RUNS]; the tree is built, CONVD_BUILD says where.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" -eq 0 ] || exec sudo CONVD_BUILD="${CONVD_BUILD:-}" sh "$PWD/linux.sh" "$@"
LINUX_RUNS=${1:-10} exec /usr/bin/python3 -m pytest -q -s -p no:cacheprovider test_linux.py
