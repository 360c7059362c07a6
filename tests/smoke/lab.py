# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""A convd of its own in network namespaces of its own, with the kernel's side of its port as the client.

Nothing here touches an address, interface or file that other programs use: each lab has its own namespaces, and
a folder of its own for configuration, log and control socket.
"""
import atexit
import copy
import glob
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("CONVD_BUILD") or os.path.join(HERE, "..", "..", "build")
CONVD = os.path.join(BUILD, "app", "convd")
CONVCTL = os.path.join(BUILD, "app", "convctl")
CLIENT = os.path.join(BUILD, "tests", "smoke", "smoke_client")

US = {"v4": "10.77.0.2", "v6": "fd77::2"}  # convd's addresses
THEM = {"v4": "10.77.0.1", "v6": "fd77::1"}  # the client's
DEVICE = {"tap": "net_tap0,iface=convd0", "af_packet": "net_af_packet0,iface=convd0"}
PATIENCE = 60  # seconds for what takes one on an idle machine; a loaded one must not fail a test

numbers = itertools.count()
alive = set()


def run(*argv, timeout=PATIENCE, check=True, **more):
    """Run to the end; the error, if there is one, shows what was said."""
    done = subprocess.run(argv, timeout=timeout, capture_output=True, text=more.pop("text", True), **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def until(what, condition, seconds=PATIENCE, pause=0.05):
    """Wait until condition() is true; what to call it if it never is (a string, or a function that makes one)."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)


class Namespace:
    """A network namespace; gone with close()."""

    def __init__(self):
        self.name = f"convd-t{os.getpid()}-{next(numbers)}"
        run("ip", "netns", "add", self.name)
        alive.add(self)
        self.ip("link", "set", "lo", "up")

    def argv(self, *argv):
        return ("ip", "netns", "exec", self.name) + argv

    def run(self, *argv, **more):
        return run(*self.argv(*argv), **more)

    def popen(self, *argv, **more):
        return subprocess.Popen(self.argv(*argv), **more)

    def ip(self, *argv):
        return run("ip", "-n", self.name, *argv)

    def close(self):
        alive.discard(self)
        run("ip", "netns", "del", self.name, check=False)


@atexit.register
def clean():
    """What a test that was interrupted has left."""
    for thing in list(alive):
        thing.close()


def listeners():
    """Every service over every protocol that it has."""
    rows = []
    for service, port in (("echo", 7), ("discard", 9), ("chargen", 19)):
        for protocol in ("tcp", "udp"):
            rows.append({"name": f"{service}-{protocol}", "protocol": protocol, "port": port, "service": service})
    rows.append({"name": "echo-one", "protocol": "udp", "port": 1007, "service": "echo", "conversation": "one"})
    rows.append({"name": "web", "protocol": "tcp", "port": 80, "service": "http"})
    return rows


# Short idle and time-wait times: at the end of each test all of them must be over.
BASE = {
    "eal": {"hugepages": False, "memory_mb": 256},
    "workers": {"count": 1, "cores": "0-1" if (os.cpu_count() or 1) > 1 else "0"},
    "interfaces": [{"name": "lan", "device": DEVICE["tap"], "addresses": ["10.77.0.2/24", "fd77::2/64"]}],
    "listeners": listeners(),
    "limits": {"conversations": 20000, "half_open": 4096, "time_wait": 16384, "udp_idle_seconds": 1,
               "drain_seconds": 5},
    "tcp": {"time_wait_seconds": 1},
}


def merged(base, more):
    """base with more in it; objects are merged, all else replaces."""
    result = copy.deepcopy(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class Lab:
    """Namespaces, a port between convd and the kernel, and one convd after another on it."""

    def __init__(self, device="tap", config=None):
        self.device = device
        self.dir = tempfile.mkdtemp(prefix="convd-test-")
        self.file = os.path.join(self.dir, "convd.json")
        self.log_file = os.path.join(self.dir, "log")
        self.socket = os.path.join(self.dir, "control.sock")
        self.config = merged(BASE, config or {})
        if not config or "interfaces" not in config:
            self.config["interfaces"][0]["device"] = DEVICE[device]
        self.config.setdefault("control", {}).setdefault("socket", self.socket)
        self.process = None
        self.baseline = None
        self.port = "convd0" if device == "tap" else "peer0"  # the client's side of the link
        self.host = Namespace()  # convd's
        # A TAP's kernel side is where convd is; a veth pair's other end goes elsewhere.
        self.client = self.host if device == "tap" else Namespace()
        if device == "af_packet":
            self.make_veth()
        alive.add(self)

    def make_veth(self):
        self.host.ip("link", "add", "convd0", "type", "veth", "peer", "name", "peer0", "netns", self.client.name)
        # Else frames come with checksums that nobody has filled in, and larger than the MTU.
        for ns, name in ((self.host, "convd0"), (self.client, "peer0")):
            ns.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.host.run("sysctl", "-qw", "net.ipv6.conf.convd0.disable_ipv6=1")
        self.host.ip("link", "set", "convd0", "up")

    def start(self, wait=True):
        """Start convd and wait until it serves."""
        with open(self.file, "w") as f:
            json.dump(self.config, f, indent=1)
        with open(self.log_file, "w") as log:
            self.process = self.host.popen(CONVD, "--config", self.file, stdout=log, stderr=log,
                                           stdin=subprocess.DEVNULL)
        if not wait:
            return self
        until(lambda: f"convd: ready\n{self.log()}",
              lambda: "convd: ready\n" in self.log() or self.process.poll() is not None)
        assert self.process.poll() is None, f"convd ended: {self.log()}"
        self.addresses()
        return self

    def addresses(self):
        """The client's addresses; then wait until convd's pass their own duplicate detection (RFC 4862)."""
        self.client.ip("addr", "replace", THEM["v4"] + "/24", "dev", self.port)
        self.client.ip("addr", "replace", THEM["v6"] + "/64", "dev", self.port, "nodad")
        self.client.ip("link", "set", self.port, "up")
        for version in US:
            until(f"ping {US[version]}\n{self.log()}", lambda v=version: self.ping(v))
        self.baseline = None
        self.baseline = self.steady()

    def ping(self, version, *more):
        return self.client.run("ping", "-c", "1", "-W", "1", *more, US[version], check=False).returncode == 0

    def log(self):
        with open(self.log_file) as f:
            return f.read()

    def ctl(self, *argv):
        """convctl --json, its answer as objects."""
        return json.loads(run(CONVCTL, "--socket", self.config["control"]["socket"], "--json", *argv).stdout)

    def stats(self):
        return self.ctl("stats")

    @staticmethod
    def unrest(s):
        """What of these statistics is not at rest, or has been lost; "" if nothing."""
        wrong = [f"{kind}: {node}" for kind, node in s["conv"].items()
                 if isinstance(node, dict) and (node["live"] != 0 or node["born"] != node["retired"])]
        total = s["delivered"] + s["consumed"] + sum(s["drops"].values()) + s["held"]
        if s["received"] != total:
            wrong.append(f"received {s['received']} is not the sum {total}")
        for name, value in (("held", s["held"]), ("table", s["conv"]["table"]),
                            ("mbufs.small_in_use", s["mbufs"]["small_in_use"])):
            if value != 0:
                wrong.append(f"{name}: {value}")
        return ", ".join(wrong)

    def settle(self, seconds=PATIENCE):
        """Wait for rest: no conversation, nothing held, the sum exact, buffers as they were."""
        last = {}

        def quiet():
            s = self.stats()
            last["wrong"] = self.unrest(s)
            if self.baseline is not None and s["mbufs"] != self.baseline:
                last["wrong"] += f" mbufs {s['mbufs']}, at first {self.baseline}"
            return s if not last["wrong"] else None

        s = until(lambda: f"rest; {last['wrong']}\n{self.log()}", quiet, seconds, pause=0.1)
        assert s["conv"]["recheck_failed"] == 0, "a packet met a conversation that was not its own"
        assert not s["conv"]["stalled"]
        return s

    def steady(self):
        """Packet buffers in use at rest: the same figure for half a second, so that none of them was on its way."""
        seen = []

        def same():
            seen.append(self.settle()["mbufs"])
            return len(seen) >= 6 and all(s == seen[-1] for s in seen[-6:])

        until(lambda: f"steady buffers: {seen[-6:]}", same, pause=0.1)
        return seen[-1]

    def stop(self, how=signal.SIGTERM, seconds=PATIENCE):
        """End it as asked. @return its exit status"""
        if self.process is None:
            return None
        self.process.send_signal(how)
        status = self.process.wait(timeout=seconds)
        self.process = None
        return status

    def close(self):
        """Take everything away, whatever state it is in."""
        alive.discard(self)
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=PATIENCE)
        for ns in {self.host, self.client}:
            ns.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def leftovers(self, pid):
        """Files of DPDK that a convd of this pid has left."""
        return glob.glob(f"/var/run/dpdk/convd-{pid}*/*") + glob.glob(f"/dev/hugepages/*convd-{pid}*")
