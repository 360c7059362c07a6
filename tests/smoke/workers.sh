#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# 100 changes of the number of workers, 1 to 6, in each spread, during 500 echoing TCP conversations, two streams and 100
# UDP conversations. workers.sh [CHANGES [SEED]]; the tree is built, CONVD_BUILD says where.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" -eq 0 ] || exec sudo CONVD_BUILD="${CONVD_BUILD:-}" sh "$PWD/workers.sh" "$@"
WORKERS_CHANGES=${1:-100} WORKERS_SEED=${2:-1} exec /usr/bin/python3 -m pytest -q -s -p no:cacheprovider test_workers.py
