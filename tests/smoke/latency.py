# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Round trips of small datagrams through echo: latency.py ADDRESS PORT SECONDS. One line of JSON, times in ms."""
import json
import socket
import sys
import time

end = time.monotonic() + float(sys.argv[3])
trips, lost, n = [], 0, 0
with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(1)
    s.connect((sys.argv[1], int(sys.argv[2])))
    while time.monotonic() < end:
        n += 1
        began = time.monotonic()
        s.send(b"%d" % n)
        try:
            while s.recv(100) != b"%d" % n:
                pass
            trips.append((time.monotonic() - began) * 1000)
        except TimeoutError:
            lost += 1
trips.sort()
print(json.dumps({"sent": n, "lost": lost, "median": round(trips[len(trips) // 2], 3),
                  "p99": round(trips[len(trips) * 99 // 100], 3), "worst": round(trips[-1], 3)}))
