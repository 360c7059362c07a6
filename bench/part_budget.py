# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""The budgets of the fast path, whole: what each step may cost on one worker of this class of machine, beside its floor."""
import functools
import statistics

from host import CLIENT, EAL, memory, path, row, run_json, say
from part_code import FEW, MANY, echo
from part_scale import FEW as SHARED
from part_scale import two_row

TABLE_ENTRIES = 1 << 20
LIVE = 500_000


def budget(figure, ours, theirs, value, floor, accept, fail, how="", at_least=False):
    """A row judged by what is accepted, which also shows the floor and from where on it has failed outright."""
    r = row("budget, " + figure, ours, theirs, value, accept, how, at_least=at_least)
    r["line"] += f" (floor {floor}, fail {'<' if at_least else '>'} {fail})"
    return r


def program(name, repeats, argv, mb):
    """What a program says, several times."""
    said = []
    for i in range(repeats):
        say(f"budgets: {name}, {i + 1} of {repeats}")
        said.append(run_json([path("bench", name), *argv, *memory(mb), *EAL, "-l", CLIENT, f"--file-prefix={name}"], 300))
    return said


def medians(said, *keys):
    """The median of each run."""
    return [functools.reduce(dict.get, keys, s)["median"] for s in said]


def budget_echo(repeats, what, lines):
    """A packet's whole way; UDP's over 5tswap."""
    ours, theirs, how = echo(repeats)
    name, over = ("UDP echo", " over 5tswap") if what == "udp" else ("TCP segment end to end", "")
    for flows, (floor, accept, fail) in zip((FEW, MANY), lines):
        cycles = ours[what, flows]
        value = statistics.median(cycles) - (statistics.median(theirs) if over else 0)
        yield budget(f"{name} on net_ring, {flows} flows: cycles{over}", cycles, theirs if over else None, value, floor, accept, fail,
                     how if over else "")


def budget_table(repeats):
    """The table, with rte_hash beside it."""
    said = program("bench_table", repeats, [str(TABLE_ENTRIES)], 2048)
    how = "rte_hash (48-byte keys, RW_CONCURRENCY_LF, EXT_TABLE, bulk look-up of 32 with hash), both tables in turn in one run"
    look, theirs = medians(said, "ipht", "look"), medians(said, "rte_hash", "look")
    yield budget(f"look-up to conversation ready, {TABLE_ENTRIES} entries: cycles", look, theirs, statistics.median(look), 117, 260, 350, how)
    for key, name in (("add", "insert if absent"), ("remove", "compare and remove, slot freed")):
        ours, theirs = medians(said, "ipht", key), medians(said, "rte_hash", key)
        yield row(f"the table, {name}, {TABLE_ENTRIES} entries: cycles, ratio to rte_hash", ours, theirs,
                  statistics.median(ours) / statistics.median(theirs), None, how)
    ours, theirs = [s["ipht"]["bytes"] for s in said], [s["rte_hash"]["bytes"] for s in said]
    yield row("the table: bytes per entry at its limit, ratio to rte_hash", ours, theirs, ours[0] / theirs[0], None, how)


def budget_conv(said):
    """lib/conv without a protocol, and what a conversation takes."""
    ours = medians(said, "open_close")
    yield budget(f"open and close, table and slab only, {LIVE} live: cycles", ours, None, statistics.median(ours), 1210, 2800, 4000,
                 "bench_conv: conv_alloc, conv_publish; conv_kick, entered, conv_die, left, reclaimed; liburcu's reclaimer on the other CPU")
    for key, name in (("timer_later", "moved later"), ("timer_later_random", f"moved later, {LIVE} timers in random order"),
                      ("timer_again", "armed, stopped, and let go by the wheel"),
                      ("timer_again_random", f"armed, stopped, and let go, {LIVE} timers in random order")):
        ours = medians(said, key)
        yield budget(f"timer work per segment, {name}: cycles", ours, None, statistics.median(ours), "0-42", 50, 200,
                     "bench_conv: what a packet costs more that sets its timer, the wheel's share included")
    ours = medians(said, "enter")
    yield budget("enter and leave, uncontended: cycles", ours, None, statistics.median(ours), "7-14", 25, 60,
                 "bench_conv: a burst for 32 nodes less one for a single node, so the making of a group is in it")
    sizes = [max(s["table_bytes"], s["stack_bytes"]) for s in said]
    yield budget("idle TCP conversation, table and pool included: bytes", sizes, None, sizes[0], 270, 640, 768,
                 f"the larger of what EAL's heap gives ({said[0]['table_bytes']:.0f}) and what lib/stack reckons ({said[0]['stack_bytes']})")


def budgets(repeats):
    """Every row."""
    yield from budget_echo(repeats, "udp", ((52, 130, 200), (150, 250, 400)))
    yield from budget_table(repeats)
    yield from budget_echo(repeats, "tcp", ((150, 300, 500), (320, 550, 900)))
    yield from budget_conv(program("bench_conv", repeats, [str(LIVE)], 2048))
    for kind, flows, floor, accept, fail in (("udp", SHARED, 1.97, 1.8, 1.6), ("udp-one", 1, 1.77, 1.0, 0.8)):
        r = two_row(f"budget, 1 to 2 workers, {'one elephant' if flows == 1 else 'disjoint'} (UDP): M packets/s", kind, flows, repeats, accept)
        r["line"] += f" (floor {floor}, fail < {fail})"
        yield r
