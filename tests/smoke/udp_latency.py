# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Echo datagrams one after the other, until standard input ends, then print how long they took, in ms, as JSON:
udp_latency.py US PORT."""
import json
import select
import socket
import sys
import time

us, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in us else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.connect((us, port))
took, lost, number = [], 0, 0
while not select.select([sys.stdin], [], [], 0)[0]:
    number += 1
    start = time.monotonic()
    s.send(b"%d" % number)
    try:
        while s.recv(100) != b"%d" % number:
            pass
        took.append((time.monotonic() - start) * 1e3)
    except socket.timeout:
        lost += 1
    time.sleep(0.002)
took.sort()
print(json.dumps({"n": len(took), "lost": lost, "median": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}))
