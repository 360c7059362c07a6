#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# MB through echo (by SHA-256), from chargen (by RFC 864's pattern) and into discard (by its counter), over net_tap and
# net_af_packet. bulk.sh [MB]; the tree is built, CONVD_BUILD says where.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" -eq 0 ] || exec sudo CONVD_BUILD="${CONVD_BUILD:-}" sh "$PWD/bulk.sh" "$@"
BULK_MB=${1:-1000} exec /usr/bin/python3 -m pytest -q -s -p no:cacheprovider test_bulk.py
