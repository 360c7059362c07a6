# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Clients with plain sockets: echo.py tcp|udp|ask|refused-tcp|refused-udp|reset ADDRESS PORT BYTES. One line of JSON."""
import errno
import hashlib
import json
import random
import socket
import struct
import sys
import threading

PATIENCE = 30


def dial(kind):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    s.settimeout(PATIENCE)
    s.connect((address, port))
    return s


def tcp(payload, count):
    """Send count bytes and receive at once, close the sending side, read to the end; compare by digest."""
    s = dial(socket.SOCK_STREAM)
    sent = hashlib.sha256()

    def send():
        left = count
        while left > 0:
            part = payload[:left]
            sent.update(part)
            s.sendall(part)
            left -= len(part)
        s.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    digest, n = hashlib.sha256(), 0
    while chunk := s.recv(1 << 20):
        digest.update(chunk)
        n += len(chunk)
    sender.join()
    return {"bytes": n, "equal": digest.digest() == sent.digest()}


def udp(payload):
    """The first datagram may be lost to nobody's fault (its neighbour is looked up): three tries."""
    s = dial(socket.SOCK_DGRAM)
    s.settimeout(PATIENCE / 3)
    for _ in range(3):
        s.send(payload)
        try:
            got = s.recv(65536)
            return {"bytes": len(got), "equal": got == payload}
        except TimeoutError:
            continue
    return {"bytes": -1, "equal": False}


def ask(payload):
    s = dial(socket.SOCK_DGRAM)
    s.send(payload)
    got = s.recv(65536)
    return {"bytes": len(got), "text": got.decode("ascii")}


def refused(kind):
    try:
        s = dial(kind)
        s.send(b"x")
        s.recv(1)
        return {"errno": "none"}
    except OSError as e:
        return {"errno": errno.errorcode.get(e.errno, str(e))}


def reset(payload):
    """Fill the pipe without reading, then close with a reset."""
    s = dial(socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sent = s.send(payload)
    s.recv(1)
    s.close()
    return {"sent": sent}


if __name__ == "__main__":
    address, port = sys.argv[2], int(sys.argv[3])
    size = int(sys.argv[4])
    data = random.Random(size).randbytes(min(size, 9999991))
    print(json.dumps({
        "tcp": lambda: tcp(data, size),
        "udp": lambda: udp(data),
        "ask": lambda: ask(data),
        "refused-tcp": lambda: refused(socket.SOCK_STREAM),
        "refused-udp": lambda: refused(socket.SOCK_DGRAM),
        "reset": lambda: reset(data),
    }[sys.argv[1]]()))
