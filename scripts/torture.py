#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""The torture with the lifetime policies of classic designs (tests/interleave/policies.py): real threads must bring packets to
conversations that they are not for.

    torture.py [-s SECONDS] [--only CONTROL] [BUILD]

What such a design does to memory can end the program before a wrong byte is read, or turn a list into a ring that is walked for
ever; then it is run again, and that is counted. Each has SECONDS in all, and a run of it RUN at most.
"""
import argparse
import collections
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(HERE, "tests", "interleave"))
import policies  # noqa: E402
import variant  # noqa: E402

MISDELIVERED = 3  # how the program ends then
RUN = 20  # seconds


def ended(code, text):
    """In a few words: how a run ended that showed no wrong byte."""
    said = [line for line in text.split("\n") if "ssert" in line or "anic" in line]
    return said[-1].strip()[:150] if said else signal.Signals(-code).name if code < 0 else f"exit {code}"


def torture(program, seconds):
    """@return whether a byte came where it does not belong; what was said of it; how the other runs ended"""
    end, others = time.monotonic() + seconds, collections.Counter()
    while (left := end - time.monotonic()) > 4:
        run = min(left, RUN + 3)
        try:
            done = subprocess.run([program, "-mp", str(int(run) - 3)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", timeout=run)
        except subprocess.TimeoutExpired:
            others["no end"] += 1
            continue
        if done.returncode == MISDELIVERED:
            return True, done.stdout.strip().split("\n")[-1], others
        others[ended(done.returncode, done.stdout)] += 1
    return False, "", others


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(HERE, "build"))
    p.add_argument("-s", "--seconds", type=int, default=30, help="for each")
    p.add_argument("--only", action="append", default=[])
    a = p.parse_args()
    build, good, tried = variant.Build(a.build), 0, 0
    for c in policies.CONTROLS:
        if a.only and c.name not in a.only:
            continue
        tried += 1
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="convd-torture-") as folder:
            changes = [change for change in c.changes if not change.file.startswith("tests/")]
            wrong, said, others = torture(build.program("torture/torture", changes, folder), a.seconds)
        good += wrong
        print(f"{c.name}: {c.what}: {'MISDELIVERED' if wrong else 'nothing misdelivered'} after {time.monotonic() - start:.1f} s"
              + (f": {said}" if wrong else "") + "".join(f"\n    {n} runs ended before: {how}" for how, n in others.items()), flush=True)
    print(f"torture: {good} of {tried} controls misdeliver")
    return 0 if good == tried else 1


if __name__ == "__main__":
    sys.exit(main())
