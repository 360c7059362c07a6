# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Through the kernel: convd on its virtual devices beside Linux's own stack, with the same Linux client."""
import json
import re
import statistics
import time

from host import CLIENT, SERVER, Failed, Namespace, Program, Scratch, convd, huge, path, ratio, row, run_json, say, veth

US, THEM = "10.77.0.2", "10.77.0.1"
SECONDS = 3
CAPACITY_SECONDS = 1.5
CONNECTIONS = 16  # of the load whose latency is measured
MANY = 64  # of the one that measures how much goes
SOCKETS, WINDOW = 16, 8  # datagrams: sockets, and under way on each
OTHER_PORT = 5201  # of sockperf's and iperf3's server
UNFILLED = "ethtool -K tx off tso off gso off gro off on both ends"

DEVICES = {
    "af_packet": "net_af_packet0,iface=veth0,qdisc_bypass=1,framesz=2048,framecnt=512,blocksz=1048576",
    "af_xdp": "net_af_xdp0,iface=veth0,busy_budget=0",
    "tap": "net_tap0,iface=veth0",
}
LISTENERS = [{"name": "echo", "protocol": "tcp", "port": 7, "service": "echo"},
             {"name": "echo-u", "protocol": "udp", "port": 7, "service": "echo"},
             {"name": "discard", "protocol": "tcp", "port": 9, "service": "discard"},
             {"name": "chargen", "protocol": "tcp", "port": 19, "service": "chargen"}]


def steer(ns, cpu):
    """Which CPU does the kernel's part of receiving (RPS), instead of the one that sent. One only: two would change the frames'
    order."""
    ns.do("sh", "-c", f"echo {1 << int(cpu):x} > /sys/class/net/veth0/queues/rx-0/rps_cpus")


def ours_alone(ns):
    """The kernel's own stack must not look at frames that are convd's; a packet socket has its copy before that."""
    ns.do("nft", "add table netdev convd; add chain netdev convd in { type filter hook ingress device veth0 priority 0; policy drop; }")


class Lab:
    """A server and a place for its clients, each on its core. transport: "linux" is Linux's own stack over veth, others are convd's
    devices; steered, back: the CPUs of steer for the server and for the clients."""

    def __init__(self, transport, steered=None, back=None):
        self.scratch, self.server, self.server_ns, self.closed = Scratch(), None, None, []
        try:
            self.clients = self.namespace()
            self.make(transport, steered)
            if transport != "tap" and back is not None:
                steer(self.clients, back)
        except Exception:
            self.close()
            raise

    def namespace(self):
        ns = Namespace()
        self.closed.append(ns)
        return ns

    def make(self, transport, steered):
        here = self.clients
        if transport != "tap":
            here = self.server_ns = self.namespace()
            veth(here, self.clients, False)
            self.clients.do("ip", "addr", "add", THEM + "/24", "dev", "veth0")
        if transport != "tap" and steered is not None:
            steer(here, steered)
        if transport == "af_packet":
            ours_alone(here)
        if transport == "linux":
            here.do("ip", "addr", "add", US + "/24", "dev", "veth0")
            argv = here.argv("taskset", "-c", SERVER, path("bench", "bench_peer"), "serve")
            self.server = Program(argv, self.scratch / "peer.log").until("ready")
        else:
            self.server = self.convd(transport, here)
        if transport == "tap":
            here.do("ip", "addr", "add", THEM + "/24", "dev", "veth0")
            here.do("ip", "link", "set", "veth0", "up")

    def convd(self, transport, ns):
        pages = huge(1024)
        if transport == "af_xdp" and not pages:
            raise Failed("net_af_xdp needs huge pages")
        return convd(self.scratch, {
            "eal": {"hugepages": pages, "memory_mb": 512},
            "workers": {"count": 1, "cores": SERVER, "idle": "poll"},
            "interfaces": [{"name": "v", "device": DEVICES[transport], "addresses": [US + "/24"]}],
            "listeners": LISTENERS}, ns)

    def client(self, what, *argv):
        """What bench_peer says of the server."""
        return run_json(self.clients.argv("taskset", "-c", CLIENT, path("bench", "bench_peer"), what, US, *map(str, argv)), 60)

    def close(self):
        if self.server is not None:
            self.server.end()
        for ns in self.closed:
            ns.close()
        self.scratch.__exit__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# What each server does best with: whose CPU does the kernel's part of receiving.
BEST = {"linux": CLIENT, "af_packet": CLIENT, "af_xdp": None, "tap": None}


def in_turn(what, repeats, labs, measure):
    """Each lab in turn, repeats times. @return for each lab's name the values that measure(lab) has given"""
    values = {name: [] for name in labs}
    for i in range(repeats):
        for name, how in labs.items():
            say(f"{what}: {name}, {i + 1} of {repeats}")
            with Lab(*how) as lab:
                time.sleep(0.2)
                values[name].append(measure(lab))
    return values


def best(name):
    return name, BEST[name]


# ---- latency ----

def capacity(lab):
    """Requests per second, closed loop, of as many connections as latency is measured with."""
    return lab.client("load", CONNECTIONS, 0, CAPACITY_SECONDS)["per_second"]


def latency(repeats):
    """TCP echo at half of what the slower one can do, by schedule: each answer's time counts from when its request was due."""
    labs = {name: best(name) for name in ("af_packet", "linux")}
    most = {name: statistics.median(v) for name, v in in_turn("latency: how much goes", repeats, labs, capacity).items()}
    rate = round(min(most.values()) / 2)
    said = in_turn(f"latency: {rate}/s", repeats, labs, lambda lab: lab.client("load", CONNECTIONS, rate, SECONDS))
    how = (f"bench_peer load {CONNECTIONS} connections by schedule, bench_peer serve (epoll); half of {min(most.values()):.0f}/s; "
           f"convd can do {most['af_packet']:.0f}/s, Linux {most['linux']:.0f}/s; {UNFILLED}")
    for key in ("p50", "p99", "p99_9"):
        ours, theirs = ([v[key] for v in said[name]] for name in labs)
        yield row(f"TCP echo over veth at half load ({rate}/s), {key.replace('_', '.')} in us, ratio to Linux", ours, theirs,
                  ratio(ours, theirs), None, how, form="{:.1f}")
    unanswered = sum(v["unanswered"] for name in labs for v in said[name])
    if unanswered:
        raise Failed(f"{unanswered} requests had no answer")
    yield sockperf(repeats)


def sockperf_p50(lab):
    """Round trip in us that sockperf has seen on Linux's own stack, one connection."""
    with Program(lab.server_ns.argv("taskset", "-c", SERVER, "sockperf", "server", "--tcp", "-p", str(OTHER_PORT)),
                 lab.scratch / "sockperf.log"):
        time.sleep(0.5)
        text = lab.clients.do("taskset", "-c", CLIENT, "sockperf", "ping-pong", "--tcp", "--nonblocked", "-i", US, "-p", str(OTHER_PORT),
                              "-m", "64", "-t", str(SECONDS), "--full-rtt")
    found = re.search(r"percentile 50.000 =\s+([\d.]+)", text)
    if found is None:
        raise Failed("sockperf: " + text[-300:])
    return float(found.group(1))


def sockperf(repeats):
    """Is what bench_peer says of Linux what others say of it?"""
    said = in_turn("latency: sockperf", repeats, {"linux": best("linux")},
                   lambda lab: (lab.client("load", 1, 0, SECONDS)["p50"], sockperf_p50(lab)))["linux"]
    ours, theirs = [a for a, _ in said], [b for _, b in said]
    return row("cross-check: Linux's TCP echo, one connection, closed loop, p50 in us: bench_peer's, sockperf's", ours, theirs,
               ratio(ours, theirs), None, "sockperf server --tcp, sockperf ping-pong --tcp --nonblocked --full-rtt -m 64", form="{:.1f}")


# ---- bulk ----

def stream(repeats):
    """Much data over one connection, to and from a Linux client. Linux is taken at the better of two tunings."""
    for what, back, text in (("send", None, "to convd's discard"), ("receive", CLIENT, "from convd's chargen")):
        labs = {"convd": ("af_packet", CLIENT, back), "linux": ("linux", CLIENT, back),
                "linux, received on the server's core": ("linux", SERVER, back)}
        said = in_turn(f"stream: {what}", repeats, labs, lambda lab, what=what: lab.client(what, SECONDS)["gbits_per_second"])
        ours = said.pop("convd")
        theirs = max(said.values(), key=statistics.median)
        yield row(f"bulk TCP over veth, {text}: Gb/s, ratio to Linux", ours, theirs, ratio(ours, theirs), 0.8,
                  f"bench_peer {what}, the better of RPS to either core for Linux; {UNFILLED}", form="{:.2f}")
    yield iperf3(repeats)


def iperf3_gbits(lab):
    with Program(lab.server_ns.argv("taskset", "-c", SERVER, "iperf3", "-s", "-1", "-p", str(OTHER_PORT)), lab.scratch / "iperf3.log"):
        time.sleep(0.5)
        said = lab.clients.do("taskset", "-c", CLIENT, "iperf3", "-c", US, "-p", str(OTHER_PORT), "-t", str(SECONDS), "-O", "1", "-J")
    return json.loads(said)["end"]["sum_received"]["bits_per_second"] / 1e9


def iperf3(repeats):
    """Is what bench_peer says of Linux what others say of it?"""
    said = in_turn("stream: iperf3", repeats, {"linux": best("linux")},
                   lambda lab: (lab.client("send", SECONDS)["gbits_per_second"], iperf3_gbits(lab)))["linux"]
    ours, theirs = [a for a, _ in said], [b for _, b in said]
    return row("cross-check: bulk TCP over veth, Linux to Linux, Gb/s: bench_peer's, iperf3's", ours, theirs, ratio(ours, theirs), None,
               "iperf3 -s, iperf3 -c -O 1", form="{:.2f}")


# ---- each device ----

def kernel(repeats):
    """TCP and UDP echo through each of the kernel's devices, beside Linux's own stack over veth."""
    labs = {name: best(name) for name in ("linux", "af_packet", "af_xdp", "tap")}
    said = in_turn("kernel", repeats, labs, lambda lab: (lab.client("load", MANY, 0, CAPACITY_SECONDS)["per_second"],
                                                        lab.client("udp", SOCKETS, WINDOW, CAPACITY_SECONDS)["per_second"]))
    for name in ("af_packet", "af_xdp", "tap"):
        for i, what in enumerate((f"TCP echo of 64 bytes, {MANY} connections: requests/s",
                                  f"UDP echo of 64 bytes, {SOCKETS * WINDOW} under way: packets/s")):
            ours, theirs = [v[i] for v in said[name]], [v[i] for v in said["linux"]]
            yield row(f"{what} over {name}, ratio to Linux over veth", ours, theirs, ratio(ours, theirs), None,
                      f"device {DEVICES[name]}; bench_peer serve (epoll) for Linux; {UNFILLED}")
