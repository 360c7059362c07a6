# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Conversations that echo until told to stop: steady.py PORT tcp|udp COUNT WINDOW ADDRESS ...

COUNT conversations, spread over the addresses, each with at most WINDOW bytes under way (UDP: one datagram of so many
bytes, which counts as lost after 5 s). "ready" on stdout once each has had its first echo; at the end of stdin all stop
sending, read what is owed and close. Then one line of JSON. What a conversation sends is a function of its number and
of the offset, so that every byte is compared.
"""
import json
import random
import selectors
import socket
import sys
import time

PATIENCE = 30
UDP_LOST = 5
PERIOD = 65521  # a prime: no block of a conversation is like the one before


class Flow:
    def __init__(self, number, kind, address, port, window):
        self.udp, self.window, self.wrong, self.error, self.eof = kind == "udp", window, 0, "", False
        self.data = random.Random(number).randbytes(PERIOD) * (2 + window // PERIOD)
        self.sent = self.received = self.lost = 0
        self.at = 0.0  # when a datagram was sent; 0: none is under way
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                                    socket.SOCK_DGRAM if self.udp else socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((address, port))
        self.socket.setblocking(False)

    def part(self, offset, n):
        return self.data[offset % PERIOD:offset % PERIOD + n]

    def send(self):
        if self.udp and self.at != 0:
            if time.monotonic() < self.at + UDP_LOST:
                return
            self.lost += 1
            self.received = self.sent
        n = self.window - (self.sent - self.received)
        if n == 0:
            return
        self.at = time.monotonic()
        self.sent += self.socket.send(self.part(self.sent, n))

    def receive(self):
        got = self.socket.recv(1 << 20)
        if not got and not self.udp:
            self.eof = True
            return
        if self.udp:
            self.at = 0.0
            self.wrong += got != self.part(self.received, self.window)
            self.received = self.sent
            return
        for i in range(0, len(got), PERIOD):
            some = got[i:i + PERIOD]
            self.wrong += some != self.part(self.received, len(some))
            self.received += len(some)

    def owes(self):
        return not self.error and (self.at != 0 if self.udp else not self.eof)


def attempt(flow, action):
    try:
        action()
    except BlockingIOError:
        pass
    except OSError as e:
        flow.error = str(e)


def turn(flows, watch, sending):
    for key, _ in watch.select(0.05):
        if key.data is None:
            return not sys.stdin.buffer.read1()
        attempt(key.data, key.data.receive)
        if key.data.eof or key.data.error:
            watch.unregister(key.data.socket)
    for flow in flows:
        if sending and not flow.error and not flow.eof:
            attempt(flow, flow.send)
    return False


def main(port, kind, count, window, addresses):
    flows = [Flow(i, kind, addresses[i % len(addresses)], port, window) for i in range(count)]
    watch = selectors.DefaultSelector()
    watch.register(sys.stdin, selectors.EVENT_READ, None)
    for flow in flows:
        watch.register(flow.socket, selectors.EVENT_READ, flow)
    ready = False
    while not turn(flows, watch, True):
        if not ready and all(flow.received > 0 for flow in flows):
            print("ready", flush=True)
            ready = True
    watch.unregister(sys.stdin)
    early = sum(flow.eof for flow in flows)
    for flow in flows:
        if not flow.udp and not flow.error:
            attempt(flow, lambda f=flow: f.socket.shutdown(socket.SHUT_WR))
    end = time.monotonic() + PATIENCE
    while any(flow.owes() for flow in flows) and time.monotonic() < end:
        turn(flows, watch, False)
    print(json.dumps({
        "bytes": sum(flow.received for flow in flows),
        "least": min(flow.received for flow in flows),
        "wrong": sum(flow.wrong for flow in flows),
        "lost": sum(flow.lost if flow.udp else flow.sent - flow.received for flow in flows),
        "owed": sum(flow.owes() for flow in flows),
        "early": early,
        "errors": sorted({flow.error for flow in flows if flow.error}),
    }))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
