# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""convd beside the kernel's own stack as a server, both called by a Linux client through the same bad link, in turn.

A few runs by default, for their bytes only; linux.sh (`make linux`) makes more of them, and prints times as ratios.
"""
import json
import os
import statistics
import subprocess
import sys

import pytest

import lab as labs
from lab import BUILD, CLIENT, HERE, Lab, Namespace

pytestmark = pytest.mark.alone
RUNS = int(os.environ.get("LINUX_RUNS", "0"))
PATIENCE = 600
THERE = {"convd": {"v4": "10.77.0.2", "v6": "fd77::2"}, "linux": {"v4": "10.77.0.3", "v6": "fd77::3"}}
ECHO_BYTES = 120000


class Relayed(Lab):
    """convd and a kernel each behind a relay of their own, one client: three links that are alike."""

    def __init__(self, config):
        super().__init__("af_packet", config)
        self.relays = []

    def make_veth(self):
        self.middle, self.linux = Namespace(), Namespace()
        # convd0 and linux0 are the servers' ends, peer0 and peer1 the client's; the middle has all their other ends.
        for ns, name, end in ((self.host, "convd0", "m0"), (self.client, "peer0", "m1"),
                              (self.linux, "linux0", "m2"), (self.client, "peer1", "m3")):
            ns.ip("link", "add", name, "type", "veth", "peer", "name", end, "netns", self.middle.name)
            for n, i in ((ns, name), (self.middle, end)):
                n.run("ethtool", "-K", i, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
                n.run("sysctl", "-qw", f"net.ipv6.conf.{i}.disable_ipv6={int(i not in ('peer0', 'peer1', 'linux0'))}")
                n.ip("link", "set", i, "up")
        for ns in (self.client, self.linux):
            ns.run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")

    def addresses(self):
        self.link(1, 0, 0, 0, 0)
        for dev, n in (("peer0", 2), ("peer1", 3)):
            self.client.ip("addr", "add", f"10.77.0.{n + 10}/32", "dev", dev)
            self.client.ip("addr", "add", f"fd77::{n + 10}/128", "dev", dev, "nodad")
            self.client.ip("route", "add", f"10.77.0.{n}/32", "dev", dev, "src", f"10.77.0.{n + 10}")
            self.client.ip("route", "add", f"fd77::{n}/128", "dev", dev, "src", f"fd77::{n + 10}")
        self.linux.ip("addr", "add", "10.77.0.3/24", "dev", "linux0")
        self.linux.ip("addr", "add", "fd77::3/64", "dev", "linux0", "nodad")
        self.peer = self.linux.popen(sys.executable, os.path.join(HERE, "peer.py"), stdout=subprocess.PIPE, text=True)
        assert self.peer.stdout.readline() == "ready\n"
        for server in THERE.values():
            for us in server.values():
                labs.until(f"ping {us}\n{self.log()}", lambda us=us: self.client.run(
                    "ping", "-c1", "-W1", us, check=False).returncode == 0)
        self.baseline = None
        self.baseline = self.steady()

    def link(self, seed, delay_us, loss, reorder, duplicate):
        """Both links anew, with this character. Chances are parts of one. @return what the last ones did"""
        did = self.unlink()
        for one, other in (("m0", "m1"), ("m2", "m3")):
            r = self.middle.popen(os.path.join(BUILD, "tests", "smoke", "relay"), one, other, str(seed), str(delay_us),
                                  *(str(int(1e6 * x)) for x in (loss, reorder, duplicate)),
                                  stdout=subprocess.PIPE, text=True)
            self.relays.append(r)
            assert r.stdout.readline() == "ready\n"
        return did

    def unlink(self):
        did = []
        for r in self.relays:
            r.terminate()
            did.append(json.loads(r.communicate(timeout=labs.PATIENCE)[0]))
        self.relays = []
        return did

    def close(self):
        for p in self.relays + ([self.peer] if hasattr(self, "peer") else []):
            p.kill()
            p.wait()
        super().close()
        self.middle.close()
        self.linux.close()


@pytest.fixture(scope="module")
def lab():
    one = Relayed({"workers": {"count": 2, "spread": "packet"}, "limits": {"time_wait": 32768}})
    try:
        one.start()
        yield one
        one.link(1, 0, 0, 0, 0)
        one.settle()
        assert one.stop() == 0, one.log()
    finally:
        one.close()


def call(lab, server, version, *what):
    said = json.loads(lab.client.run(CLIENT, what[0], THERE[server][version], *what[1:], timeout=PATIENCE).stdout)
    assert said.get("wrong", 0) == 0 and said.get("reset", 0) == 0
    return said


def alternate(lab, run, link):
    """Seconds of convd and of Linux, in turn, with the same seeds."""
    took = {server: [] for server in THERE}
    for seed in range(1, (RUNS or 1) + 1):
        lab.link(seed, *link)
        for version in ("v4", "v6"):
            for server in THERE:
                took[server].append(run(server, version))
    return took


def report(what, took, better):
    """One line: medians, worst, and the ratio of what a user waits for."""
    ours, theirs = took["convd"], took["linux"]
    ratio = statistics.median(ours) / statistics.median(theirs)
    line = (f"{what}: convd median {statistics.median(ours):.3f} s, worst {max(ours):.3f}; Linux median "
            f"{statistics.median(theirs):.3f} s, worst {max(theirs):.3f}; ratio of medians {ratio:.2f}, of sums "
            f"{sum(ours) / sum(theirs):.2f}")
    print("\n" + line + (f" {'PASS' if ratio <= better else 'FAIL'} (<= {better})" if RUNS else ""))


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.10])
def test_echo(lab, loss):
    """120 kB there and back, 2 ms each way, some frames out of order or twice."""
    def run(server, version):
        said = call(lab, server, version, "echo", "7", "1", "1", str(ECHO_BYTES))
        assert said["done"] == 1 and said["bytes"] == ECHO_BYTES
        return said["seconds"]
    report(f"echo of 120 kB at {loss:.0%} loss", alternate(lab, run, (2000, loss, 0.01, 0.005)), 2)


@pytest.mark.parametrize("direction, port", [("chargen", "19"), ("discard", "9")])
def test_bulk(lab, direction, port):
    """From the server, and to it: 1 % loss, 20 ms round trip. Goodput >= 0.9 is time <= 1.11."""
    size = 8000000 if RUNS else 400000

    def run(server, version):
        return call(lab, server, version, direction, port, str(size))["seconds"]
    report(f"{direction} of {size} bytes at 1 % loss, 20 ms", alternate(lab, run, (10000, 0.01, 0, 0)), 1.11)
