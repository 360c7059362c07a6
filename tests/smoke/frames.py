# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Send frames as they are: frames.py INTERFACE, one frame in hex per line of the standard input."""
import socket
import sys
import time

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind((sys.argv[1], 0))
    for i, line in enumerate(sys.stdin, 1):
        while True:
            try:
                s.send(bytes.fromhex(line))
                break
            except (BlockingIOError, OSError) as e:
                if e.errno not in (11, 105):  # EAGAIN, ENOBUFS: the queue is full for now
                    raise
                time.sleep(0.001)
        if i % 32 == 0:
            time.sleep(0.001)
