#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Explore the idioms of idioms.py under weak memory: with the orders of the code nothing bad is ever seen, and each of these orders,
weakened alone, lets it be seen in one of them, or stands in docs/memory-order.md as stronger than it would need to be. The machine
itself is first tried on tests whose answers are known.

    run.py [-v] [IDIOM...]
"""
import argparse
import collections
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "scripts")]

import atomics  # noqa: E402
import classics  # noqa: E402
import idioms  # noqa: E402
from memory import explore  # noqa: E402

WEAKER = {"seq_cst": {"load": ("acquire",), "store": ("release",)}, "acq_rel": {None: ("acquire", "release")},
          "acquire": {None: ("relaxed",)}, "release": {None: ("relaxed",)}}


def weaker(kind, orders):
    """All ways in which one part of an operation's order can be one step weaker."""
    first, _, second = orders.partition("/")
    for part in WEAKER.get(first, {}).get(kind, WEAKER.get(first, {}).get(None, ("acq_rel",) if first == "seq_cst" else ())):
        yield part + ("/" + second if second else "")
    if second and second != "relaxed":
        yield first + "/" + ("acquire" if second == "seq_cst" else "relaxed")


class Code:
    """The orders of the source, of which one may be another."""

    def __init__(self, ops, instead=None, orders=None):
        self.ops, self.instead, self.orders, self.used = ops, instead, orders, {}

    def __call__(self, function, object_, kind, nth=0):
        key = (function, object_, kind, nth)
        if key not in self.ops:
            raise KeyError(f"the code has no operation '{kind}' on {object_} in {function}")
        self.used[key] = self.ops[key]
        return self.orders if key == self.instead else self.ops[key]


def code_ops():
    """(function, object, kind, nth of that in the function) -> orders"""
    ops, count = {}, collections.Counter()
    for op in atomics.code()[1]:
        key = (op.function, op.object, op.kind)
        ops[key + (count[key],)] = op.orders
        count[key] += 1
    return ops


def outcome(idiom, code):
    """@return what was seen that must not be, or None; and how many states there were"""
    tests, total = idiom(code), 0
    for test in tests if isinstance(tests, list) else [tests]:
        fault, states, _ = explore(test)
        total += states
        if fault is not None:
            return fault, total
    return None, total


def text(key):
    return f"{key[0]}: {key[2]} of {key[1]}" + (f" ({key[3] + 1})" if key[3] else "")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("-v", action="store_true", help="what each weakened order lets be seen")
    p.add_argument("idioms", nargs="*")
    a = p.parse_args()
    faults = [f"classic test {name}: {'' if seen else 'not '}seen" for name, seen, expected in classics.run() if seen != expected]
    ops, states, shown, met = code_ops(), 0, set(), set()
    for idiom in idioms.IDIOMS:
        if a.idioms and idiom.__name__ not in a.idioms:
            continue
        code = Code(ops)
        fault, n = outcome(idiom, code)
        states += n
        if fault is not None:
            faults.append(f"{idiom.__name__}: {fault}")
        bites = 0
        for key in code.used:
            for orders in weaker(key[2], ops[key]):
                met.add((key, orders))
                fault, n = outcome(idiom, Code(ops, key, orders))
                states += n
                if fault is not None:
                    bites += 1
                    shown.add((key, orders))
                    if a.v:
                        print(f"    {text(key)} {ops[key]} -> {orders}: {fault}")
        print(f"{idiom.__name__}: {bites} weakened orders noticed; {idiom.__doc__.split(chr(10))[0]}")
    if not a.idioms:
        faults += compare(ops, shown, met)
    print("\n".join(faults))
    print(f"litmus: {len(idioms.IDIOMS)} idioms, {len(met)} weakened orders, {len(shown)} of them noticed, {states} states, {len(faults)} faults")
    return 1 if faults else 0


def compare(ops, shown, met):
    """What no idiom notices is in the table's list of such, and nothing else is."""
    faults = []
    listed = atomics.unneeded()
    for key, orders in ops.items():
        for weak in weaker(key[2], orders):
            name = f"{text(key)} {orders} -> {weak}"
            if (key, weak) in shown and name in listed:
                faults.append(f"{atomics.TABLE}: {name}: an idiom does notice it")
            if (key, weak) not in shown and name not in listed:
                faults.append(f"{name}: {'not noticed' if (key, weak) in met else 'in no idiom'}, and not listed in {atomics.TABLE}")
    every = {f"{text(key)} {orders} -> {weak}" for key, orders in ops.items() for weak in weaker(key[2], orders)}
    return faults + [f"{atomics.TABLE}: {name}: the code has no such order" for name in sorted(set(listed) - every)]


if __name__ == "__main__":
    sys.exit(main())
