# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""One datagram from each of so many ports: udp_many.py US PORT FROM FIRST COUNT. Nothing is waited for."""
import socket
import sys

us, port, source, first, count = sys.argv[1:6]
for number in range(int(first), int(first) + int(count)):
    s = socket.socket(socket.AF_INET6 if ":" in us else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, number))
    s.sendto(b"hello", (us, int(port)))
    s.close()
