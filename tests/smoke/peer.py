# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""The kernel's stack as the server, for comparison: echo (7), discard (9) and chargen (19) over TCP, v4 and v6."""
import socket
import threading

LINES = b"".join(bytes(32 + (first + i) % 95 for i in range(72)) + b"\r\n" for first in range(95))


def echo(s):
    while data := s.recv(65536):
        s.sendall(data)


def discard(s):
    while s.recv(1 << 20):
        pass


def chargen(s):
    while True:
        s.sendall(LINES)


def call(service, s):
    try:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        service(s)
    except OSError:
        pass
    s.close()


def serve(service, listener):
    while True:
        threading.Thread(target=call, args=(service, listener.accept()[0]), daemon=True).start()


threads = []
for service, port in ((echo, 7), (discard, 9), (chargen, 19)):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    threads.append(threading.Thread(target=serve, args=(service, listener), daemon=True))
for t in threads:
    t.start()
print("ready", flush=True)
for t in threads:
    t.join()
