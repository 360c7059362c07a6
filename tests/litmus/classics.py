# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Tests whose answers are known (C11 section 5.1.2.4; Batty, Owens, Sarkar, Sewell, Weber: Mathematizing C++ concurrency, POPL
2011): the machine of memory.py must give these."""
from memory import Test, explore, fence, load, read, store, update, write


def message_passing(store_order, load_order, plain):
    def sends():
        yield write("x", 1) if plain else store("x", 1)
        yield store("flag", 1, store_order)

    def receives():
        if (yield load("flag", load_order)):
            return (yield read("x") if plain else load("x"))
    return Test([sends, receives], {"x": 0, "flag": 0}, (), lambda r, m: r[1] == 0)


def message_by_fences(first, second):
    def sends():
        yield write("x", 1)
        yield fence(first)
        yield store("flag", 1)

    def receives():
        if (yield load("flag")):
            yield fence(second)
            yield read("x")
    return Test([sends, receives], {"x": 0, "flag": 0}, (), None)


def store_buffering(store_order, load_order, between=None):
    def side(mine, other):
        def run():
            yield store(mine, 1, store_order)
            if between:
                yield fence(between)
            return (yield load(other, load_order))
        return run
    return Test([side("x", "y"), side("y", "x")], {"x": 0, "y": 0}, (), lambda r, m: r == [0, 0])


def independent_reads(store_order, load_order):
    def writes(loc):
        def run():
            yield store(loc, 1, store_order)
        return run

    def reads(first, second):
        def run():
            a = yield load(first, load_order)
            return a, (yield load(second, load_order))
        return run
    return Test([writes("x"), writes("y"), reads("x", "y"), reads("y", "x")], {"x": 0, "y": 0}, (),
                lambda r, m: r[2] == (1, 0) and r[3] == (1, 0))


def coherence():
    def writes():
        yield store("x", 1)
        yield store("x", 2)

    def reads():
        a = yield load("x")
        return a, (yield load("x"))
    return Test([writes, reads], {"x": 0}, (), lambda r, m: r[1] == (2, 1))


def two_writes_each(order):
    def side(first, second):
        def run():
            yield store(first, 1, order)
            yield store(second, 2, order)
        return run
    return Test([side("x", "y"), side("y", "x")], {"x": 0, "y": 0}, (), lambda r, m: m == {"x": 1, "y": 1})


def release_sequence(order):
    """A relaxed read-modify-write hands on what the release store before it carried; a relaxed store would not."""
    def sends():
        yield write("x", 1)
        yield store("flag", 1, "release")

    def between():
        if order is None:
            if (yield load("flag")) == 1:
                yield store("flag", 2)
        else:
            yield update("flag", lambda f: 2 if f == 1 else None, order)

    def receives():
        if (yield load("flag", "acquire")) == 2:
            yield read("x")
    return Test([sends, between, receives], {"x": 0, "flag": 0}, (), None)


def two_increments():
    def adds():
        yield update("x", lambda x: x + 1)
    return Test([adds, adds, adds], {"x": 0}, (), lambda r, m: m["x"] != 3)


def load_buffering():
    def side(mine, other):
        def run():
            a = yield load(mine)
            yield store(other, 1)
            return a
        return run
    return Test([side("x", "y"), side("y", "x")], {"x": 0, "y": 0}, (), lambda r, m: r == [1, 1])


def read_then_write():
    """A race whose read comes first in every order that the machine tries."""
    def reads():
        yield read("x")

    def writes():
        yield write("x", 1)
    return Test([reads, writes], {"x": 0}, (), None)


def run():
    """Yields name, whether it was seen, whether it should be."""
    for name, test, expected in [
            ("message, release and acquire", message_passing("release", "acquire", True), False),
            ("message, store relaxed", message_passing("relaxed", "acquire", False), True),
            ("message, load relaxed", message_passing("release", "relaxed", False), True),
            ("message, load relaxed, plain", message_passing("release", "relaxed", True), True),
            ("message, fences", message_by_fences("release", "acquire"), False),
            ("message, no release fence", message_by_fences("acquire", "acquire"), True),
            ("message, no acquire fence", message_by_fences("release", "release"), True),
            ("store buffering, release and acquire", store_buffering("release", "acquire"), True),
            ("store buffering, seq_cst", store_buffering("seq_cst", "seq_cst"), False),
            ("store buffering, one seq_cst", store_buffering("seq_cst", "acquire"), True),
            ("store buffering, seq_cst fences", store_buffering("relaxed", "relaxed", "seq_cst"), False),
            ("store buffering, acq_rel fences", store_buffering("relaxed", "relaxed", "acq_rel"), True),
            ("independent reads, acquire", independent_reads("release", "acquire"), True),
            ("independent reads, seq_cst", independent_reads("seq_cst", "seq_cst"), False),
            ("coherence of reads", coherence(), False),
            ("two writes each, relaxed", two_writes_each("relaxed"), True),
            ("release sequence", release_sequence("relaxed"), False),
            ("no release sequence by a store", release_sequence(None), True),
            ("increments", two_increments(), False),
            ("load buffering: not shown by this machine", load_buffering(), False),
            ("race of a read and a write", read_then_write(), True)]:
        yield name, explore(test)[0] is not None, expected
