# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Through the kernel: convd on af_packet beside Linux's own stack, over the same veth, with the same client."""
from host import CLIENT, SERVER, Namespace, Program, Scratch, convd, path, ratio, row, run_json, say, veth

US, THEM = "10.77.0.2", "10.77.0.1"
BULK_SECONDS = 3
RATE = 5000 # requests per second: half of what the slower one takes


def lab(scratch, linux):
    """Two namespaces and a server in the first."""
    a, b = Namespace(), Namespace()
    veth(a, b, False)
    b.do("ip", "addr", "add", THEM + "/24", "dev", "veth0")
    if linux:
        a.do("ip", "addr", "add", US + "/24", "dev", "veth0")
        server = Program(a.argv("taskset", "-c", SERVER, path("bench", "bench_peer"), "serve"), scratch / "peer.log").until("ready")
    else:
        server = convd(scratch, {
            "eal": {"hugepages": False, "memory_mb": 512},
            "workers": {"count": 1, "cores": SERVER, "idle": "poll"},
            "interfaces": [{"name": "v", "device": "net_af_packet0,iface=veth0,blocksz=1048576,framesz=2048,framecnt=4096",
                            "addresses": [US + "/24"]}],
            "listeners": [{"name": "echo", "protocol": "tcp", "port": 7, "service": "echo"},
                          {"name": "discard", "protocol": "tcp", "port": 9, "service": "discard"}]}, a)
    return a, b, server


def measure(argv, linux):
    with Scratch() as scratch:
        a, b, server = lab(scratch, linux)
        try:
            return run_json(b.argv("taskset", "-c", CLIENT, path("bench", "bench_peer"), *argv), 60)
        finally:
            server.end()
            a.close()
            b.close()


def latency(repeats):
    """TCP echo of 64 bytes over one connection, at a fixed rate; each answer's time counts from when its request was due."""
    ours, theirs = {}, {}
    for i in range(repeats):
        say(f"latency: {i + 1} of {repeats}")
        for linux, into in ((False, ours), (True, theirs)):
            said = measure(("ping", US, str(RATE), str(BULK_SECONDS)), linux)
            for key in ("p50", "p99", "p99_9"):
                into.setdefault(key, []).append(said[key])
    for key in ("p50", "p99", "p99_9"):
        yield row(f"TCP echo over veth, {RATE}/s: {key.replace('_', '.')} in us, ratio to Linux", ours[key], theirs[key],
                  ratio(ours[key], theirs[key]), None, "bench_peer serve, ping (blocking sockets)", form="{:.1f}")


def stream(repeats):
    """Much data to discard over one connection, from a Linux client."""
    ours, theirs = [], []
    for i in range(repeats):
        say(f"stream: {i + 1} of {repeats}")
        ours.append(measure(("send", US, str(BULK_SECONDS)), False)["gbits_per_second"])
        theirs.append(measure(("send", US, str(BULK_SECONDS)), True)["gbits_per_second"])
    yield row("bulk TCP over veth from a Linux client: Gb/s, ratio to Linux", ours, theirs, ratio(ours, theirs), 0.8,
              "ethtool -K tx off tso off gso off gro off on both ends", form="{:.2f}")
