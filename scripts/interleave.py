#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Would the scenarios notice? Builds tests/interleave with changes of tests/interleave/policies.py, and runs the scenarios that
they are for.

    interleave.py protections   each protection of a conversation's life is taken out in turn: a scenario must fail
    interleave.py controls      the policies of classic designs: what they must fail fails; prints the schedules

Only the files that a change touches are compiled again, into a temporary folder; the tree itself is not touched.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(HERE, "tests", "interleave"))
import policies  # noqa: E402
import variant  # noqa: E402

TIMEOUT = 120  # seconds for one scenario
BOUND = 2

Fault = collections.namedtuple("Fault", "name failed text")


def run(program, name, bound=BOUND):
    """One scenario. @return its fault"""
    try:
        done = subprocess.run([program, name, "--no-places", "--bound", str(bound)], capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return Fault(name, True, "no end")
    if done.returncode in (2, 77):  # it did not run: that proves nothing
        raise SystemExit(f"interleave.py: {name}: {done.stderr}")
    died = f"died of signal {-done.returncode}" if done.returncode < 0 else ""
    return Fault(name, done.returncode != 0, (done.stdout + done.stderr).strip() or died)


def run_unit(program, name):
    done = subprocess.run([program], capture_output=True, text=True, timeout=TIMEOUT)
    lines = re.findall(rf"\[  FAILED  \] {re.escape(name)}$", done.stdout + done.stderr, re.M)
    return Fault(name, bool(lines), "\n".join(lines))


def first_line(text):
    return text.split("\n")[0]


def protections(build, only):
    bad = n = 0
    for p in policies.PROTECTIONS:
        if only and p.name not in only:
            continue
        n += 1
        with tempfile.TemporaryDirectory(prefix="convd-interleave-") as folder:
            program = build.program(p.test, p.changes, folder)
            unit = not p.test.startswith("interleave/")
            faults = [run_unit(program, s) if unit else run(program, s) for s in p.fails]
        missed = [f.name for f in faults if not f.failed]
        missed += [f.name + " for another reason: " + first_line(f.text) for f in faults if f.failed and not re.search(p.says, f.text)]
        print(f"{p.name}: {p.what}: " + (f"NOT NOTICED by {', '.join(missed)}" if missed else
                                         f"noticed by {', '.join(p.fails)}: {first_line(faults[0].text)}"), flush=True)
        bad += bool(missed)
    print(f"{n} protections taken out, {n - bad} noticed")
    return bad


def controls(build, only, keep):
    bad = n = 0
    for c in policies.CONTROLS:
        if only and c.name not in only:
            continue
        n += 1
        with tempfile.TemporaryDirectory(prefix="convd-interleave-") as folder:
            program = build.program("interleave/interleave", c.changes, folder)
            print(f"{c.name}: {c.what}", flush=True)
            faults = [run(program, s) for s in c.fails]
            passed = [run(program, s) for s in c.passes]
        for f in faults:
            print(f.text if f.failed else f"{c.name}: {f.name} does not fail, and should", flush=True)
            if keep and f.failed:
                with open(os.path.join(keep, f"{c.name}_{f.name}.txt"), "w") as out:
                    out.write(f.text)
        for f in passed:
            print(f"{c.name}: {f.name} fails, and should not: {f.text}" if f.failed else f.text, end="", flush=True)
        wrong = sum(not f.failed for f in faults) + sum(f.failed for f in passed)
        bad += bool(wrong)
        print(f"{c.name}: {len(faults) - sum(not f.failed for f in faults)} of {len(faults)} that must fail do; "
              f"{sum(not f.failed for f in passed)} of {len(passed)} that must pass do\n", flush=True)
    print(f"{n} controls, {n - bad} as they must be")
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("protections", "controls"))
    p.add_argument("build", nargs="?", default=os.path.join(HERE, "build"))
    p.add_argument("--only", action="append", default=[], help="only those of this name")
    p.add_argument("--keep", default="", help="controls: a folder for what is printed, NAME_SCENARIO.txt")
    a = p.parse_args()
    if a.keep:
        shutil.rmtree(a.keep, ignore_errors=True)
        os.makedirs(a.keep)
    build = variant.Build(a.build)
    return 1 if (protections(build, a.only) if a.what == "protections" else controls(build, a.only, a.keep)) else 0


if __name__ == "__main__":
    sys.exit(main())
