# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Several interfaces at once, VLAN tags, other MTUs, allow and deny."""
import json
import os
import subprocess
import sys

import pytest

from lab import CLIENT, HERE


def ports(lab, names):
    for i, name in enumerate(names):
        lab.client.ip("addr", "add", f"10.{78 + i}.0.1/24", "dev", name)
        lab.client.ip("addr", "add", f"fd{78 + i}::1/64", "dev", name, "nodad")
        lab.client.ip("link", "set", name, "up")


def two(rows):
    return [{"name": f"lan{i}", "device": f"net_tap{i},iface=tap{i}",
             "addresses": [f"10.{78 + i}.0.2/24", f"fd{78 + i}::2/64"], **row} for i, row in enumerate(rows)]


def test_two_ports(make):
    """One conversation table over two ports; the same client port may be in use on both."""
    lab = make(config={"workers": {"count": 2}, "interfaces": two([{}, {}])}, start=False)
    lab.port = "tap0"
    lab.addresses = lambda: ports(lab, ["tap0", "tap1"])
    lab.start()
    for us in ("10.78.0.2", "10.79.0.2", "fd78::2", "fd79::2"):
        lab.client.run("sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do ping -c1 -W1 {us} && exit 0; done; exit 1")
        said = json.loads(lab.client.run(CLIENT, "echo", us, "7", "10", "5", "100000").stdout)
        assert said["done"] == 10
    assert [i["up"] for i in lab.ctl("interfaces")] == [True, True]
    lab.settle()
    assert lab.stop() == 0


def serves(lab, us, count):
    lab.client.run("sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do ping -c1 -W1 {us} && exit 0; done; exit 1")
    said = lab.client.run(sys.executable, os.path.join(HERE, "echo.py"), "tcp", us, "7", str(count)).stdout
    assert json.loads(said)["equal"]


def test_small_mtu(make):
    """Beside a common port one with a small MTU: what is larger leaves in fragments."""
    lab = make(config={"interfaces": two([{}, {"mtu": 1400}])}, start=False)
    lab.port = "tap0"
    lab.addresses = lambda: ports(lab, ["tap0", "tap1"])
    lab.start()
    for us in ("10.78.0.2", "fd78::2", "10.79.0.2", "fd79::2"):
        serves(lab, us, 200000)
    lab.client.ip("link", "set", "tap1", "mtu", "1400")
    before = lab.stats()["ip"]["fragments_out"]
    lab.client.run("ping", "-c", "2", "-W", "10", "-s", "3000", "10.79.0.2")
    assert lab.stats()["ip"]["fragments_out"] - before == 2 * 3
    lab.settle()
    assert lab.stop() == 0


def test_vlan(make):
    """A tagged port: the kernel's own stack as the client, on an interface that adds the tag and takes it away."""
    lab = make(config={"interfaces": two([{"vlan": 42}])}, start=False)
    relays = []

    def addresses():
        lab.client.ip("link", "set", "tap0", "up")
        relay = lab.client.popen(sys.executable, os.path.join(HERE, "vlan.py"), "tap0", "vlan42", "42",
                                 stdout=subprocess.PIPE, text=True)
        relays.append(relay)
        assert relay.stdout.readline() == "ready\n"
        lab.client.ip("link", "set", "vlan42", "address", "02:00:00:00:42:01")
        ports(lab, ["vlan42"])

    lab.addresses = addresses
    try:
        lab.start()
        for us in ("10.78.0.2", "fd78::2"):
            serves(lab, us, 100000)
        lab.client.run("ping", "-c", "2", "-W", "10", "-s", "1472", "10.78.0.2")  # as long as a frame may be
        lab.settle()
        assert lab.stop() == 0
    finally:
        for relay in relays:
            relay.kill()
            relay.wait()


@pytest.mark.parametrize("rule, served", [
    ({"allow": ["10.77.0.0/24"]}, True),
    ({"allow": ["10.99.0.0/16"]}, False),
    ({"deny": ["10.77.0.1"]}, False),
    ({"deny": ["10.99.0.0/16"]}, True),
])
def test_allow_and_deny(make, rule, served):
    lab = make(config={"listeners": [{"name": "e", "protocol": "tcp", "port": 7, "service": "echo", **rule}]})
    said = lab.client.run("nc", "-N", "-w", "2", "10.77.0.2", "7", input="x\n", check=False).stdout
    assert said == ("x\n" if served else "")
    assert (lab.stats()["drops"]["denied"] == 0) == served
