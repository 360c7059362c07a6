# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""What a peer may send that is wrong: each packet is dropped under the name of its fault, and convd goes on."""
import json
import os
import random
import sys

import pytest

from lab import HERE, THEM, US, until

scapy = pytest.importorskip("scapy.all")
from scapy.all import (  # noqa: E402
    ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPOption,
    IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, Raw, fragment)

SEED = 20261122
COPIES = 3
V4 = IP(src=THEM["v4"], dst=US["v4"])
V6 = IPv6(src=THEM["v6"], dst=US["v6"])


def cut(packet, size):
    return bytes(packet)[:size]


def flip(packet, at):
    """One byte inverted."""
    b = bytearray(bytes(packet))
    b[at] ^= 0xFF
    return bytes(b)


def unsummed(packet):
    """UDP with the checksum field 0: "none", which IPv6 forbids."""
    b = bytearray(bytes(packet))
    b[40 + 6:40 + 8] = b"\0\0"
    return bytes(b)


def overlap():
    parts = fragment(V4 / UDP(sport=5000, dport=7) / (b"x" * 4000), 1400)
    return [bytes(parts[0]), bytes(V4.__class__(src=THEM["v4"], dst=US["v4"], id=parts[0].id, proto=17, flags="MF",
                                                frag=parts[1].frag - 1) / (b"y" * 1376))]


# What goes wrong above Ethernet: reason, EtherType, packet.
BAD = {
    "ip4_truncated": ("ip4_short", 0x800, lambda: cut(V4 / ICMP(), 12)),
    "ip4_longer_than_frame": ("ip4_short", 0x800, lambda: cut(V4 / ICMP() / (b"x" * 100), 60)),
    "ip4_length_below_header": ("ip4_short", 0x800, lambda: bytes(IP(src=THEM["v4"], dst=US["v4"], len=19) / ICMP())),
    "ip4_version": ("ip4_header", 0x800, lambda: bytes(IP(src=THEM["v4"], dst=US["v4"], version=6) / ICMP())),
    "ip4_header_length": ("ip4_header", 0x800, lambda: bytes(IP(src=THEM["v4"], dst=US["v4"], ihl=4) / ICMP())),
    "ip4_checksum": ("ip4_cksum", 0x800, lambda: flip(V4 / ICMP(), 10)),
    "ip4_source_route": ("ip4_option", 0x800, lambda: bytes(
        IP(src=THEM["v4"], dst=US["v4"], options=IPOption(b"\x83\x07\x04\x0a\x4d\x00\x01\x00")) / ICMP())),
    "ip4_from_loopback": ("ip_martian", 0x800, lambda: bytes(IP(src="127.0.0.1", dst=US["v4"]) / ICMP())),
    "ip4_from_multicast": ("ip_martian", 0x800, lambda: bytes(IP(src="224.0.0.9", dst=US["v4"]) / ICMP())),
    "ip4_from_ourselves": ("ip_martian", 0x800, lambda: bytes(IP(src=US["v4"], dst=US["v4"]) / ICMP())),
    "ip4_for_another": ("ip_not_ours", 0x800, lambda: bytes(IP(src=THEM["v4"], dst="10.77.0.99") / ICMP())),
    "ip4_sctp": ("ip_proto", 0x800, lambda: bytes(IP(src=THEM["v4"], dst=US["v4"], proto=132) / Raw(b"x" * 20))),
    "ip4_fragment_past_end": ("frag_bad", 0x800, lambda: bytes(
        IP(src=THEM["v4"], dst=US["v4"], frag=8191, proto=17) / Raw(b"x" * 100))),
    "ip4_fragment_misaligned": ("frag_bad", 0x800, lambda: bytes(
        IP(src=THEM["v4"], dst=US["v4"], flags="MF", proto=17) / Raw(b"x" * 13))),
    "icmp_truncated": ("icmp_short", 0x800, lambda: bytes(IP(src=THEM["v4"], dst=US["v4"], proto=1) / Raw(b"\x08"))),
    "icmp_checksum": ("icmp_cksum", 0x800, lambda: flip(V4 / ICMP() / b"x", 22)),
    "icmp_timestamp": ("icmp_type", 0x800, lambda: bytes(V4 / ICMP(type=13))),
    "icmp_error_for_nobody": ("icmp_no_conv", 0x800, lambda: bytes(
        V4 / ICMP(type=3, code=3) / IP(src=US["v4"], dst=THEM["v4"]) / TCP(sport=7, dport=4999))),
    "tcp_truncated": ("tcp_short", 0x800, lambda: bytes(
        IP(src=THEM["v4"], dst=US["v4"], proto=6) / Raw(cut(TCP(dport=7), 19)))),
    "tcp_offset": ("tcp_short", 0x800, lambda: bytes(V4 / TCP(dport=7, dataofs=4))),
    "tcp_offset_past_end": ("tcp_short", 0x800, lambda: bytes(V4 / TCP(dport=7, dataofs=15))),
    "tcp_checksum": ("tcp_cksum", 0x800, lambda: flip(V4 / TCP(dport=7, flags="S"), 36)),
    "tcp_for_nobody": ("tcp_no_conv", 0x800, lambda: bytes(V4 / TCP(dport=4444, flags="A"))),
    "udp_truncated": ("udp_short", 0x800, lambda: bytes(
        IP(src=THEM["v4"], dst=US["v4"], proto=17) / Raw(cut(UDP(dport=7), 7)))),
    "udp_length_over": ("udp_short", 0x800, lambda: bytes(V4 / UDP(sport=5000, dport=7, len=100) / b"x")),
    "udp_length_under": ("udp_short", 0x800, lambda: bytes(V4 / UDP(sport=5000, dport=7, len=7) / b"x")),
    "udp_checksum": ("udp_cksum", 0x800, lambda: flip(V4 / UDP(sport=5000, dport=7) / b"x", 26)),
    "udp_for_nobody": ("udp_no_conv", 0x800, lambda: bytes(V4 / UDP(sport=5000, dport=4444) / b"x")),
    "udp_loop": ("udp_loop", 0x800, lambda: bytes(V4 / UDP(sport=19, dport=7) / b"x")),
    "ip6_truncated": ("ip6_short", 0x86DD, lambda: cut(V6 / ICMPv6EchoRequest(), 30)),
    "ip6_longer_than_frame": ("ip6_short", 0x86DD, lambda: cut(V6 / ICMPv6EchoRequest(data=b"x" * 100), 80)),
    "ip6_version": ("ip6_header", 0x86DD, lambda: bytes(IPv6(src=THEM["v6"], dst=US["v6"], version=4) / UDP())),
    "ip6_extension_past_end": ("ip6_extension", 0x86DD, lambda: bytes(
        V6 / IPv6ExtHdrDestOpt(len=200) / UDP(sport=5000, dport=7))),
    "ip6_from_multicast": ("ip_martian", 0x86DD, lambda: bytes(
        IPv6(src="ff02::9", dst=US["v6"]) / ICMPv6EchoRequest())),
    "ip6_from_loopback": ("ip_martian", 0x86DD, lambda: bytes(IPv6(src="::1", dst=US["v6"]) / ICMPv6EchoRequest())),
    "icmp6_checksum": ("icmp_cksum", 0x86DD, lambda: flip(V6 / ICMPv6EchoRequest(), 42)),
    "ndp_hop_limit": ("ndp_bad", 0x86DD, lambda: bytes(
        IPv6(src=THEM["v6"], dst=US["v6"], hlim=64) / ICMPv6ND_NS(tgt=US["v6"]) /
        ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"))),
    "udp6_unsummed": ("udp_cksum", 0x86DD, lambda: unsummed(V6 / UDP(sport=5000, dport=7) / b"x")),
    "udp6_for_nobody": ("udp_no_conv", 0x86DD, lambda: bytes(V6 / UDP(sport=5000, dport=4444) / b"x")),
    "tcp6_checksum": ("tcp_cksum", 0x86DD, lambda: flip(V6 / TCP(dport=7, flags="S"), 56)),
    "arp_for_token_ring": ("arp_bad", 0x806, lambda: bytes(ARP(hwtype=6, psrc=THEM["v4"], pdst=US["v4"]))),
    "arp_truncated": ("arp_bad", 0x806, lambda: cut(ARP(psrc=THEM["v4"], pdst=US["v4"]), 20)),
    "arp_claims_our_address": ("arp_spoof", 0x806, lambda: bytes(
        ARP(op=2, hwsrc="02:00:00:00:00:66", psrc=US["v4"], pdst=THEM["v4"]))),
    "lldp": ("eth_type", 0x88CC, lambda: b"\x02\x07\x04" + b"x" * 50),
}


class Sender:
    def __init__(self, lab):
        self.lab = lab
        links = json.loads(lab.client.ip("-j", "link", "show", "dev", lab.port).stdout)
        self.ether = Ether(src=links[0]["address"], dst=lab.ctl("interfaces")[0]["mac"])

    def frame(self, ethertype, payload):
        head = self.ether.copy()
        head.type = ethertype
        return bytes(head) + payload

    def send(self, frames):
        self.lab.client.run(sys.executable, os.path.join(HERE, "frames.py"), self.lab.port,
                            input="\n".join(f.hex() for f in frames) + "\n")


@pytest.fixture(scope="module", params=["tap", "af_packet"])
def lab_bad(request):
    import lab as labs
    one = labs.Lab(request.param, {"workers": {"count": 2, "spread": "packet"}})
    try:
        yield one.start()
        one.settle()
        assert one.stop() == 0, one.log()
    finally:
        one.close()


@pytest.fixture
def sender(lab_bad):
    assert lab_bad.process.poll() is None, lab_bad.log()
    yield Sender(lab_bad)
    assert lab_bad.process.poll() is None, f"convd is gone: {lab_bad.log()}"
    lab_bad.settle()
    for version in US:
        until("ping", lambda v=version: lab_bad.ping(v))


def drops(sender, reason, frames, count):
    """What is sent is counted under its reason, exactly as often. The kernel's own multicast may come between: then once more."""
    def counted():
        return sender.lab.stats()["drops"][reason] - before
    for _ in range(3):
        before = sender.lab.stats()["drops"][reason]
        sender.send(frames)
        until(lambda: f"{count} of {reason}: {counted()}; all: "
              f"{ {k: v for k, v in sender.lab.stats()['drops'].items() if v} }", lambda: counted() >= count, seconds=10)
        if counted() == count:
            return
    assert counted() == count


def sees_fragments(sender):
    if sender.lab.device == "af_packet":
        pytest.skip("net_af_packet has the kernel join IPv4 fragments (PACKET_FANOUT_FLAG_DEFRAG)")


@pytest.mark.parametrize("name", BAD)
def test_bad(sender, name):
    reason, ethertype, make = BAD[name]
    if "ip4_fragment" in name:
        sees_fragments(sender)
    drops(sender, reason, [sender.frame(ethertype, make())] * COPIES, COPIES)


def test_frame_for_another_mac(sender):
    frame = bytearray(sender.frame(0x800, bytes(V4 / ICMP())))
    frame[0:6] = b"\x02\x00\x00\x00\x00\x77"
    drops(sender, "eth_dst", [bytes(frame)] * COPIES, COPIES)


def test_tag_of_no_interface(sender):
    drops(sender, "vlan", [bytes(sender.ether / Dot1Q(vlan=7) / V4 / ICMP())] * COPIES, COPIES)


def test_overlapping_fragments(sender):
    """RFC 5722 and its like for IPv4: the datagram goes with them, all that was held of it too."""
    sees_fragments(sender)
    drops(sender, "frag_overlap", [sender.frame(0x800, part) for part in overlap()], 2)


def test_atomic_fragment(sender):
    """A fragment that is all of its datagram (RFC 6946) is taken as one."""
    before = sender.lab.stats()["ip"]
    packet = V6 / IPv6ExtHdrFragment() / ICMPv6EchoRequest(id=7)
    packet = IPv6(bytes(packet))
    sender.send([sender.frame(0x86DD, bytes(packet))])
    until("an echo", lambda: sender.lab.stats()["ip"]["icmp_echoes"] == before["icmp_echoes"] + 1, seconds=10)


def seeds():
    """Good packets of every kind, to be spoilt."""
    rows = [(0x800, bytes(V4 / ICMP() / (b"x" * 40))), (0x86DD, bytes(V6 / ICMPv6EchoRequest(data=b"x" * 40)))]
    for v, kind in ((V4, 0x800), (V6, 0x86DD)):
        rows += [(kind, bytes(v / TCP(sport=6000, dport=7, flags=f, options=[("MSS", 1460), ("WScale", 7),
                                                                            ("Timestamp", (1, 0))]) / body))
                 for f, body in (("S", b""), ("A", b"x"), ("SFRPAU", b"y"), ("R", b""), ("FA", b"z"))]
        rows += [(kind, bytes(v / UDP(sport=6000, dport=port) / b"hello")) for port in (9, 1007)]
    rows += [(0x800, bytes(f)) for f in fragment(V4 / UDP(sport=6000, dport=9) / (b"x" * 3000), 1000)]
    rows += [(0x806, bytes(ARP(psrc="10.77.0.9", pdst=US["v4"])))]
    return rows


def test_random_damage(sender):
    """3000 frames, each cut, or with bytes changed, or both; the sum stays exact and convd serves.
    (Some of the fragments never come: the kernel joins them, see sees_fragments.)"""
    rng = random.Random(SEED)
    good, frames = seeds(), []
    for _ in range(3000):
        kind, packet = rng.choice(good)
        b = bytearray(packet)
        for _ in range(rng.randint(0, 4)):
            b[rng.randrange(len(b))] = rng.randrange(256)
        if rng.random() < 0.4:
            b = b[:rng.randrange(len(b) + 1)]
        frames.append(sender.frame(kind, bytes(b)))
    before = sender.lab.stats()["received"]
    sender.send(frames)
    until(lambda: f"all received (seed {SEED}): {sender.lab.stats()['received'] - before}",
          lambda: sender.lab.stats()["received"] - before >= len(frames) * 0.8, seconds=20)
