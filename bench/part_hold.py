# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Ten million TCP conversations, opened by real handshakes and held, while others come and go; and what convd takes for them.
HOLD=100000 in the environment: fewer, for a quick look; then memory is shown and not judged."""
import os
import re

from host import CLIENT, SERVER, Failed, Scratch, convd, huge, path, row, run_json, say
from part_memif import THEM, US, memif

MANY = 10_000_000
HELD = int(os.environ.get("HOLD", MANY))
SAMPLE = min(100_000, HELD)
CHURN = 10_000  # opened and closed per second; convgen is asked for a little more, as what is on its way at the end does not count
ASKED = 10_500
SPARE = 50_000  # conversations of those that come and go, before their memory is free again
SECONDS = 10  # with all of them open
BYTES = 640
LOWEST_MB, MOST_MB = 256, 10_000
SOURCES = "10.64.0.0/16"
PORTS = "7000-7007"


def config(scratch, memory_mb):
    return {
        "eal": {"hugepages": True, "memory_mb": memory_mb},
        "workers": {"count": 1, "cores": SERVER, "idle": "poll"},
        "interfaces": [{"name": "m", "device": memif(scratch, True), "addresses": [US + "/24"]}],
        "routes": [{"to": SOURCES, "via": THEM}],
        "listeners": [{"name": "echo", "protocol": "tcp", "port": PORTS, "service": "echo"}],
        "limits": {"conversations": HELD + SPARE, "half_open": 65536, "time_wait": 16384, "drain_seconds": 0}}


def server(scratch):
    """convd with as little memory as its limits need, which it says itself. @return the Program, ready, and MB"""
    memory_mb = LOWEST_MB
    while True:
        if not huge(memory_mb):
            raise Failed(f"no {memory_mb} MB of huge pages")
        try:
            return convd(scratch, config(scratch, memory_mb)), memory_mb
        except Failed as e:
            more = re.search(r"raise that to (\d+)|: (\d+) are needed", str(e))
            if more is None or int(more.group(1) or more.group(2)) <= memory_mb or memory_mb > MOST_MB:
                raise
            memory_mb = int(more.group(1) or more.group(2))


def taken(program):
    """Bytes that a process has, by the kernel: RSS, which leaves huge pages out, and those."""
    with open(f"/proc/{program.process.pid}/status") as f:
        kb = dict(re.findall(r"(\w+):\s+(\d+) kB", f.read()))
    return 1024 * int(kb["VmRSS"]), 1024 * int(kb["HugetlbPages"])


def convgen(scratch):
    return run_json([path("app", "convgen"), "--device", memif(scratch, False), "--address", THEM + "/24", "--cores", CLIENT,
                     "--memory-mb", "128", "hold", f"{US}:{PORTS}", "--sources", SOURCES, "--connections", str(HELD), "--churn",
                     str(ASKED), "--sample", str(SAMPLE), "--duration", str(SECONDS), "--progress", "0", "--json", "-"], 600)


def hold(_repeats):
    """Once: it takes minutes, and its figures are counts."""
    say(f"hold: convd with room for {HELD}")
    with Scratch() as scratch:
        program, memory_mb = server(scratch)
        with program:
            empty = sum(taken(program))
            say(f"hold: {HELD} are opened")
            said = convgen(scratch)
            rss, pages = taken(program)
    each = (rss + pages) / HELD
    churn = min(said["churn"]["opens_per_second"], said["churn"]["closes_per_second"])
    how = f"memory_mb {memory_mb}; RSS {rss >> 20} MB, huge pages {pages >> 20} MB; beside it: empty, with the same limits"
    yield row(f"TCP conversations held, {HELD} wanted: established", [said["established"]], None, said["established"], HELD)
    yield row("TCP conversations held: opened per second", [said["opens_per_second"]], None, None, None)
    yield row("TCP conversations held: bytes that convd takes, for each", [each], [empty / HELD], each, BYTES if HELD >= MANY else None, how,
              at_least=False)
    yield row(f"TCP conversations held, {SAMPLE} drawn: echoes correct", [said["sample"]["correct"]], None, said["sample"]["correct"], SAMPLE)
    yield row("TCP conversations held, others opened and closed meanwhile: per second", [churn], None, churn, CHURN)
