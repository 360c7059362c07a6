#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""docs/hazards.md: do all hazards stand there once, each with a test or the invariant that excludes it, and does every test exist?"""
import collections
import os
import re
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(HERE, "scripts"))
import rfc  # noqa: E402

COUNTS = {"A": 13, "B": 6, "C": 9, "D": 10, "E": 8, "F": 8, "G": 6, "H": 12}
SUITES = ("interleave", "unit", "wire", "sim", "smoke")
INVARIANT = re.compile(r"I(?:10|[1-9]): \S")


def read(path):
    with open(os.path.join(HERE, path)) as f:
        return f.read()


def scenarios():
    folder = os.path.join(HERE, "tests", "interleave")
    text = "".join(read(os.path.join("tests", "interleave", n)) for n in os.listdir(folder) if n.endswith(".c"))
    return set(re.findall(r'^\t\{"(\w+)",', text, re.M))


def test_fault(name, known):
    suite, _, rest = name.partition("/")
    if suite == "interleave":
        return None if rest in known else f"no scenario {rest}"
    program, _, test = rest.partition(":")
    path = f"tests/{suite}/{program}.c"
    if not os.path.exists(os.path.join(HERE, path)):
        return f"no {path}"
    text = read(path)
    if not re.search(rf"^{re.escape(test)}\(void \*\*\w+\)", text, re.M) or not re.search(rf"\(\s*{re.escape(test)}\s*[,)]", text):
        return f"no test {test} in {path}"
    return None


def main():
    bad, seen, known = [], collections.Counter(), scenarios()
    shown = 0
    for line in read("docs/hazards.md").split("\n"):
        m = re.match(r"\| ([A-H]\d+) \| (.+?) \| (.+) \|$", line)
        if not m:
            continue
        hazard, _, by = m.groups()
        seen[hazard] += 1
        tests = [t for t in rfc.ticked(by) if t.split("/")[0] in SUITES]
        bad += [f"{hazard}: {f}" for f in (test_fault(t, known) for t in tests) if f]
        shown += bool(tests)
        if not tests and not INVARIANT.match(by):
            bad.append(f"{hazard}: neither test nor invariant")
    want = [f"{letter}{n}" for letter, most in COUNTS.items() for n in range(1, most + 1)]
    bad += [f"{h}: {seen[h]} rows, not 1" for h in want if seen[h] != 1]
    bad += [f"{h}: no such hazard" for h in seen if h not in want]
    for b in bad:
        print(b)
    print(f"{len(want)} hazards: {shown} shown by tests, {len(want) - shown} excluded by an invariant alone; {len(bad)} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
