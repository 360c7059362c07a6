# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""A TCP peer that answers as it is told, to see when convd speaks: timing_peer.py INTERFACE IPVERSION SECONDS CONVD_MAC.

Plays several conversations at once from an address that the kernel does not own, and prints, as JSON, at what time (s) and
how long each segment of convd's was.
  synack    a SYN, and then silence
  data      a request to echo whose answer is never acknowledged
  delack    a few bytes to discard: when does the ACK come
  full      two full segments to discard: when does the ACK come
  persist   chargen towards a window that closes and stays so; each probe is answered
"""
import json
import sys
import time

from scapy.all import (ARP, IP, TCP, AsyncSniffer, Ether, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6, conf,
                       get_if_hwaddr)

interface, version, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
US, ME = {"v4": ("10.77.0.2", "10.77.0.50"), "v6": ("fd77::2", "fd77::50")}[version]
MAC = get_if_hwaddr(interface)
L3, FULL = (IP, 1460) if version == "v4" else (IPv6, 1440)
port = conf.L2socket(iface=interface)
calls = {}  # by our port


class Call:
    """One conversation: what it does when it is open, and how it answers."""

    def __init__(self, name, sport, dport, window=65535):
        self.name, self.sport, self.dport, self.window = name, sport, dport, window
        self.seq, self.ack, self.open, self.asked = 1000, 0, False, None
        self.heard = []
        calls[sport] = self

    def send(self, flags, data=b""):
        options = [("MSS", FULL)] if "S" in flags else []
        seq = self.seq
        self.seq += len(data) + ("S" in flags)  # first: the sniffer's thread may have the answer before this one goes on
        port.send(Ether(src=MAC, dst=self.mac) / L3(src=ME, dst=US) /
                  TCP(sport=self.sport, dport=self.dport, flags=flags, seq=seq, ack=self.ack, window=self.window,
                      options=options) / data)

    def ask(self, *segments):
        """Say this; times count from now."""
        self.asked = time.monotonic()
        for data in segments:
            self.send("PA", data)

    def input(self, tcp, at):
        data = len(tcp.payload)
        if "S" in tcp.flags and not self.open and self.name != "synack":
            self.ack, self.open = tcp.seq + 1, True
            self.send("A")
            self.opened()
            return
        self.heard.append((round(at - (self.asked or 0), 4), data, int(tcp.seq)))
        if self.name == "persist":
            if tcp.seq == self.ack and self.window > 0:
                self.ack += data
                self.window = 0  # what came was enough
            self.send("A")

    def opened(self):
        if self.name == "data":
            self.ask(b"hello")
        elif self.name == "delack":
            self.ask(b"hello")
        elif self.name == "full":
            self.ask(b"x" * FULL, b"x" * FULL)
        elif self.name == "persist":
            self.asked = time.monotonic()


def neighbour(frame):
    """Whoever asks for our address gets it."""
    if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == ME:
        port.send(Ether(src=MAC, dst=frame.src) / ARP(op=2, hwsrc=MAC, psrc=ME, hwdst=frame.src, pdst=frame[ARP].psrc))
    elif ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == ME:
        port.send(Ether(src=MAC, dst=frame.src) / IPv6(src=ME, dst=frame[IPv6].src, hlim=255) /
                  ICMPv6ND_NA(tgt=ME, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC))


def on_frame(frame):
    at = time.monotonic()
    neighbour(frame)
    if TCP in frame and L3 in frame and frame[L3].src == US and frame[L3].dst == ME:
        call = calls.get(frame[TCP].dport)
        if call is not None:
            call.input(frame[TCP], at)


sniffer = AsyncSniffer(iface=interface, prn=on_frame, store=False)
sniffer.start()
while not getattr(sniffer, "stop_cb", None):
    time.sleep(0.01)
time.sleep(0.2)
Call.mac = sys.argv[4]
Call("synack", 40001, 7)
Call("data", 40002, 7)
Call("delack", 40003, 9)
Call("full", 40004, 9)
Call("persist", 40005, 19, window=1000)
for call in list(calls.values()):
    call.asked = time.monotonic()
    call.send("S")
time.sleep(seconds)
for call in calls.values():
    call.send("R")
sniffer.stop()
print(json.dumps({c.name: c.heard for c in calls.values()}))
