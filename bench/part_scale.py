# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""What changes with more workers, and what must not with more conversations: in one process."""
import contextlib
import functools

from host import CLIENT, EAL, SERVER, memory, path, ratio, row, run_json, say
from part_code import core_to_core, cost

RUN_MS = 300
TWO_RUNS = 9  # pairs of them at least
FEW, MANY = 256, 1 << 18  # conversations of two workers
SWEEP = [1 << n for n in range(8, 21, 2)]
SWEEP_RUN = ("524288", "5")  # packets, runs
FLAT_FEW, FLAT_MANY, HELD = 100_000, 10_000_000, 5_000_000
FLAT_RUN = ("2097152", "5")
CONNECTS = ("131072", "5")  # of a run, runs
FLAT_TIMES = 2  # of the long ones at most
BYTES = 700  # of huge pages for a conversation, the peer's state and what is lost at the ends included
PAGES = "/proc/sys/vm/nr_hugepages"
KINDS = {"udp": "UDP echo, conversations of one worker each", "tcp": "TCP echo, conversations of one worker each",
         "udp-one": "UDP echo, one conversation, spread packet", "tcp-one": "TCP, one stream to discard, spread packet",
         "udp-both": "UDP echo, one conversation that comes on both queues"}


@contextlib.contextmanager
def pages(mb):
    """EAL's options for much memory, given back at once."""
    with open(PAGES) as f:
        was = f.read()
    try:
        yield memory(mb)
    finally:
        with open(PAGES, "w") as f:
            f.write(was)


@functools.lru_cache(maxsize=None)
def two(kind, flows, repeats):
    """One worker against two. Measured once, however many parts want it. @return what bench_workers says, and the cycles of a line
    from core to core before and after it"""
    say(f"workers: {kind}, {flows}")
    before = core_to_core()[1]
    said = run_json([path("bench", "bench_workers"), kind, str(flows), str(RUN_MS), str(max(TWO_RUNS, repeats)), *memory(1024), *EAL, "-l",
                     f"{SERVER},{CLIENT}", "--file-prefix=workers"], 300)
    return {**said, "line": (before, core_to_core()[1])}


def two_row(figure, kind, flows, repeats, line):
    """A row of that: packets per second of two workers, of one, and the ratio."""
    said = two(kind, flows, repeats)
    three = {n: [said[n][v] / 1e6 for v in ("min", "median", "max")] for n in ("one", "two")}
    counted = "answered or acknowledged" if kind != "tcp" else "answered, each with an ACK beside it,"
    how = (f"{KINDS[kind]}: each worker is its own generator ({said['generator']['median']:.0f} cycles of a packet are its), packets"
           f" {counted} are counted; the reference is one worker, alternating; least share of a CPU {said['share']:.2f},"
           f" both CPUs give {said['cpus']['median']:.2f} of one in a loop of arithmetic,"
           f" {100 * said['backlog']['median']:.0f} % of two workers' packets met the other one inside;"
           f" a line from core to core took {said['line'][0]:.0f} cycles before and {said['line'][1]:.0f} after")
    return row(figure, three["two"], three["one"], said["ratio"]["median"], line, how, form="{:.2f}")


def workers(repeats):
    """1 worker and 2."""
    for kind, flows, line in (("udp", FEW, 1.8), ("udp", MANY, None), ("tcp", FEW, 1.8), ("tcp", MANY, None), ("udp-one", 1, 1.0),
                              ("tcp-one", 1, 1.0), ("udp-both", 1, None)):
        yield two_row(f"2 workers to 1, {KINDS[kind]}{f', {flows}' if flows > 1 else ''}: M packets/s", kind, flows, repeats, line)
    yield row("beside these, a cache line from one core to the other: cycles", core_to_core(), None, None, None)


def flat(repeats):
    """What a segment costs among 10 M conversations and among 100 K; what a connection costs beside 5 M and beside none."""
    many, few, full, empty = [], [], [], []
    for i in range(min(repeats, FLAT_TIMES)):
        say(f"flat: {FLAT_FEW} conversations, {i + 1} of {min(repeats, FLAT_TIMES)}")
        few.append(cost("tcp", FLAT_FEW, *FLAT_RUN)[0])
        say(f"flat: {FLAT_MANY} conversations")
        with pages(FLAT_MANY * BYTES >> 20):
            many.append(cost("tcp", FLAT_MANY, *FLAT_RUN, mb=FLAT_MANY * BYTES >> 20)[0])
    yield row(f"TCP echo over net_ring, {FLAT_MANY} conversations in random order: cycles per segment, ratio to {FLAT_FEW}", many, few,
              ratio(many, few), 1.5, at_least=False)
    for i in range(min(repeats, FLAT_TIMES)):
        say(f"flat: opens beside {HELD}, {i + 1} of {min(repeats, FLAT_TIMES)}")
        with pages(HELD * BYTES >> 20) as eal:
            said = run_json([path("bench", "bench_opens"), str(HELD), *CONNECTS, *eal, *EAL, "-l", CLIENT, "--file-prefix=opens"], 300)
        for what, into in (("full", full), ("empty", empty)):
            into.append(said["tsc_hz"] / said[what]["median"])
    yield row(f"connects/s of a worker over net_ring, {HELD} conversations there, ratio to none", full, empty, ratio(full, empty), 0.7,
              "SYN, SYN-ACK, ACK, RST; the same table before, while and after it holds them; cycles of the worker's turns alone")


def sweep(_repeats):
    """Cycles per packet by number of flows."""
    for what in ("udp", "tcp"):
        for flows in SWEEP:
            say(f"sweep: {what} {flows}")
            cycles = cost(what, flows, *SWEEP_RUN)[0]
            yield row(f"sweep, {what} echo over net_ring, {flows} flows: cycles per packet", [cycles], None, cycles, None)
