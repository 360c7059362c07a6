# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""What the code costs: one process, one thread, no waiting for memory of another core."""
import contextlib
import csv
import functools
import os
import re
import statistics
import tempfile
import time

from host import CLIENT, EAL, HERE, Failed, Program, Scratch, memory, path, ratio, row, run, run_json, say, spread

FEW, MANY = 256, 1 << 20  # flows
TESTPMD_SECONDS = (4, 8, 16)  # it may start late
TESTPMD_LINES = 3  # of statistics, a second each
COUNTED = 16384 * 9  # packets of the run that callgrind counts
TABLE = os.path.join(HERE, "bench", "instructions.csv")
WORSE = 1.03  # more instructions than this times what the table says: a regression


@contextlib.contextmanager
def environment(name, value):
    """With a variable of the environment; value None: without."""
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)


def cost(what, flows, *argv, mb=2048):
    """Cycles per packet of convd, and the TSC's frequency; argv: packets and runs."""
    said = run_json([path("bench", "bench_cost"), what, str(flows), *argv, *memory(mb), *EAL, "-l", CLIENT, "--file-prefix=cost"], 300)
    return said["median"], said["tsc_hz"]


def testpmd(scratch, tsc_hz):
    """Cycles per packet of testpmd's 5tswap, on a ring that leads back to itself."""
    argv = ["dpdk-testpmd", "-l", "0,1", *memory(512), *EAL, "--file-prefix=pmd", "--vdev=net_ring0", "--", "--forward-mode=5tswap",
            "--nb-cores=1", "--tx-first", "--stats-period=1", "--total-num-mbufs=8192"]
    for seconds in TESTPMD_SECONDS:
        with Program(argv, scratch / "testpmd.log") as p:
            time.sleep(seconds)
            text = p.end()
        pps = [int(n) for n in re.findall(r"Rx-pps:\s+(\d+)", text)]
        if len(pps) >= TESTPMD_LINES:
            break
    else:
        raise Failed("testpmd has not forwarded: " + text[-600:])
    return tsc_hz / statistics.median(pps[1:]), " ".join(argv)


@functools.lru_cache(maxsize=None)
def echo(repeats):
    """Measured once, however many parts want it. @return cycles per packet of convd by (protocol, flows), of 5tswap, and its command"""
    ours, theirs, how = {(what, flows): [] for what in ("udp", "tcp") for flows in (FEW, MANY)}, [], ""
    with Scratch() as scratch:
        for i in range(repeats):
            for what, flows in ours:
                say(f"code: {what} {flows}, {i + 1} of {repeats}")
                cycles, hz = cost(what, flows)
                ours[what, flows].append(cycles)
                cycles, how = testpmd(scratch, hz)
                theirs.append(cycles)
    return ours, theirs, how


def code(repeats):
    """Cycles per packet over net_ring."""
    ours, theirs, how = echo(repeats)
    for what, flows, line in (("udp", FEW, 130), ("udp", MANY, 250), ("tcp", FEW, 300), ("tcp", MANY, 550)):
        cycles, beside = ours[what, flows], what == "udp"
        over = statistics.median(cycles) - (statistics.median(theirs) if beside else 0)
        yield row(f"{what} echo over net_ring, {flows} flows: cycles per packet{' over 5tswap' if beside else ''}", cycles,
                  theirs if beside else None, over, line, how if beside else "", at_least=False)


STREAM = ("bench_stream: turns of the one that sends (chargen) or receives (discard), and the freeing of what was sent; the port sums; what"
          " cutting costs a NIC is not in it")


def stream(way):
    """Cycles per 1448 bytes of a stream (bench/stream.c)."""
    return run_json([path("bench", "bench_stream"), str(way), *memory(512), *EAL, "-l", CLIENT, "--file-prefix=stream"], 300)["cycles"]["median"]


def several(repeats):
    """Does it pay to hand on several segments at once?"""
    said = {way: [] for way in range(5)}
    short = {None: [], "1": []}
    for i in range(repeats):
        say(f"several: {i + 1} of {repeats}")
        for way, values in said.items():
            values.append(stream(way))
        for gro, values in short.items():
            with environment("BENCH_GRO", gro):
                values.append(cost("tcp", FEW)[0])
    for way, plain, what in ((1, 0, "sent in packets that the port cuts (TSO)"), (2, 0, "sent in packets that rte_gso cuts (GSO)"),
                             (4, 3, "received in packets that rte_gro makes (GRO)")):
        yield row(f"a stream over net_ring, {what}: cycles per 1448 bytes, ratio to segment by segment", said[way], said[plain],
                  ratio(said[way], said[plain]), None, STREAM)
    yield row(f"tcp echo over net_ring, {FEW} flows, through rte_gro: cycles per packet, ratio to without", short["1"], short[None],
              ratio(short["1"], short[None]), None)


def instructions(what):
    """Instructions per packet of the worker's turn, by callgrind: the same each time."""
    with tempfile.NamedTemporaryFile(prefix="convd-callgrind-") as out:
        run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", "--toggle-collect=ring_turn*",
             path("bench", "bench_cost"), what, "256", "16384", "9", "--no-huge", "-m", "512", *EAL, "--no-shconf", "-l", CLIENT], 900)
        text = run(["callgrind_annotate", out.name])
    total = re.search(r"([\d,]+) \(100.0%\)\s+PROGRAM TOTALS", text)
    if total is None:
        raise Failed("callgrind has counted nothing")
    return int(total.group(1).replace(",", "")) / COUNTED


def cpu():
    """Which CPU this is; the build is for it (-march=native), and so are its instructions."""
    with open("/proc/cpuinfo") as f:
        said = dict(re.findall(r"^(vendor_id|cpu family|model)\s*: (.*)$", f.read(), re.M))
    return " ".join(said.values())


def insns(_repeats):
    """Instructions per packet, beside what they were on such a CPU."""
    with open(TABLE) as f:
        was = {r["what"]: float(r["instructions"]) for r in csv.DictReader(f) if r["cpu"] == cpu()}
    for what in ("udp", "tcp"):
        say(f"insns: {what}")
        n = instructions(what)
        known = what in was
        yield row(f"{what} echo, 256 flows: instructions per packet (bench/instructions.csv)", [n], [was[what]] if known else None,
                  n / was[what] if known else None, WORSE if known else None, f"the same, counted before on this kind of CPU ({cpu()})",
                  at_least=False)


def core_to_core():
    """Cycles that a cache line takes: the least, the median, the most."""
    said = run_json([path("bench", "bench_line"), "0", "1"])
    return [said["min"], said["median"], said["max"]]


def line(_repeats):
    """From one core to the other."""
    yield row("a cache line from one core to the other: cycles", core_to_core(), None, None, None)
