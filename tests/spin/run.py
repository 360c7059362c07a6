#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Spin's models of a node's life: all states of each are visited; those that lack something must fail.

    run.py [--trails] [--big] [NAME ...]

--trails prints how each model that must fail does (without it, the first one only); --big adds sizes that take minutes and
gigabytes. NAME: only models whose names begin so; then it is not asked whether all statements are reached.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = 2
DEPTH = 10000  # longest path
MEMORY_MB = {False: 2000, True: 8000}
SECONDS = {False: 200, True: 3000}

# fails: None, or what the assertion that must fail says.
# ends: instead of assertions, whether every run ends: there is no cycle of states.
Model = collections.namedtuple("Model", "name file defines fails ends", defaults=[False])
Seen = collections.namedtuple("Seen", "model fault states depth seconds failed trail missed")


def convd(slots, keys, packets, hangups, without=None, fails=None):
    sizes = ["-DSLOTS=%d" % slots, "-DKEYS=%d" % keys, "-DPACKETS=%d" % packets, "-DHANGUPS=%d" % hangups]
    if without is None:
        name = "convd, %d slots, %d keys, 2x%d packets, %d hangups" % (slots, keys, packets, hangups)
        return Model(name, "convd.pml", sizes, None)
    return Model("without " + without, "convd.pml", sizes + ["-DWITHOUT=" + without], fails)


def ends(model):
    return model._replace(name=model.name + ": ends", ends=True)


WRONG = "S.tuple==tuple"
DELIVERED = "N[n].inside&&(N[n].key==p)"
RETIRED_WITH_WORK = "N[n].work==0"
IN_TABLE = "table[N[n].key]==n"
LATE_AT_REST = "N[n].deadline!=2"
CLASSIC = [
    Model("n1", "classic.pml", [], WRONG),
    Model("n2", "classic.pml", ["-DN2"], WRONG),
    Model("n2, never let go", "classic.pml", ["-DN2", "-DNO_SEND"], None),
    Model("n3", "classic.pml", ["-DN3"], WRONG),
    Model("n4", "classic.pml", ["-DN4"], WRONG),
    Model("n4, grace period", "classic.pml", ["-DN4", "-DGRACE"], None),
]
CONVD = [convd(2, 1, 1, 1), convd(1, 2, 2, 0), convd(1, 2, 1, 1), convd(2, 2, 1, 0)]
ENDS = [
    ends(convd(2, 2, 1, 0)),
    # Who finds the dead in the table looks up again, for ever.
    ends(convd(1, 2, 2, 0, "TABLE_FIRST", "non-progress cycle")),
]
BIG = [convd(1, 2, 2, 1), convd(2, 1, 2, 0), ends(convd(1, 2, 1, 1)), ends(convd(1, 2, 2, 0))]
TAKEN_OUT = [
    convd(1, 2, 2, 0, "NOT_ZERO", "N[n].refs>0"),
    convd(1, 2, 2, 0, "HOLD", "N[n]"),
    convd(1, 2, 2, 0, "GRACE", "N[n].key=="),
    convd(1, 2, 2, 0, "RECHECK", DELIVERED),
    convd(1, 2, 2, 0, "LATE_WORK", RETIRED_WITH_WORK),
    convd(1, 2, 2, 0, "LATE_LOOK", RETIRED_WITH_WORK),
    convd(1, 2, 2, 0, "STANDING", RETIRED_WITH_WORK),
    convd(1, 2, 2, 0, "TABLE_FIRST", "table[key]!=n"),
    convd(2, 2, 1, 0, "ABSENT", IN_TABLE),
    convd(1, 2, 2, 0, "DEAD_IS_DEAD", IN_TABLE),
    convd(1, 2, 2, 0, "TIMER_REF", "N[n].linked"),
    convd(1, 2, 2, 0, "TELL_OWNER", LATE_AT_REST),
    convd(1, 2, 2, 0, "OWNER_LOOK", LATE_AT_REST),
    convd(1, 2, 2, 0, "CANCEL", LATE_AT_REST),
    convd(1, 2, 2, 0, "TIMER_BIT", "N[n].fired"),
    convd(1, 2, 1, 1, "LISTED", IN_TABLE),
    convd(1, 2, 1, 1, "GENERATION", "N[n].gen==gen"),
]
# Statements that are never reached: workers go on as long as there is something to do.
NEVER = {("worker", "-end-")}
# What is looked for breadth first, as other damage that a deeper path does would be found before that which is meant.
SHORTEST = {"n1", "without GRACE", "without RECHECK"}


def run(argv, cwd, seconds):
    try:
        return subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds,
                              check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, "%s took longer than %d s" % (argv[0], seconds))


def unreached(text):
    """Statements that a search has never executed: (process, number, line, text with sizes taken out of it)."""
    seen, process = set(), ""
    for line in text.splitlines():
        m = re.match(r"unreached in (?:proctype )?(\S+)", line)
        if m:
            process = m.group(1)
        m = re.match(r"\s+\S+:(\d+), state (\d+), \"(.*)\"$", line)
        if m:
            text = re.sub(r"\d+", "#", re.sub(r"\(\d-1\)", "last", m.group(3)))
            seen.add((process, int(m.group(2)), int(m.group(1)), text))
    return seen


def steps(text):
    """A trail as spin prints it: a line for what one process does in a row, with the lines of the model."""
    said = []
    text = re.sub(r"\[assert(?=.*\n(.*\n)*.*\[assert(?!\(1\)))", "[(", text)  # but the last, which fails
    for line in text.splitlines():
        m = re.match(r"\s*\d+:\s+proc\s+(\d+) \((\w+):\d+\)\s+\S+:(\d+) \(state \d+\)\s+\[(.*)\]$", line)
        if not m or re.match(r"goto|else|[(.]|break|assert\(1\)|DO$", m.group(4)):
            continue
        who, what = "%s %s" % (m.group(2), m.group(1)), "%s: %s" % (m.group(3), m.group(4))
        if not said or said[-1][0] != who:
            said.append((who, []))
        said[-1][1].append(what)
    return [textwrap.fill("; ".join(did), 130, initial_indent="    %-10s " % who, subsequent_indent=" " * 15) for who, did in said]


def search(model, big, shortest):
    """Make the verifier of a model, let it visit all states, or until it fails, and judge what it says."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="spin-") as work:
        for name in os.listdir(HERE):
            if name.endswith(".pml"):
                shutil.copy(os.path.join(HERE, name), work)
        # -o3: no statements are merged, as of those that are spin does not tell whether they are reached.
        made = run(["spin"] + model.defines + ["-o3", "-a", model.file], work, SECONDS[big])
        if made.returncode != 0:
            return Seen(model, "spin: " + made.stdout, 0, 0, 0, "", [], set())
        # Where the search is short the compiler takes longer than the verifier.
        flags = ["-O1"] if model.fails is None else ["-O0"] + ["-DBFS"] * (shortest and not model.ends)
        flags += ["-DNP"] if model.ends else ["-DSAFETY"]
        made = run(["gcc", "-w", "-DNOFAIR", "-DNOREDUCE", "-DMEMLIM=%d" % MEMORY_MB[big]] + flags + ["-o", "pan", "pan.c"], work,
                   SECONDS[big])
        if made.returncode != 0:
            return Seen(model, "gcc: " + made.stdout, 0, 0, 0, "", [], set())
        flags = ["-m%d" % DEPTH, "-w%d" % (24 if model.fails is None else 20)] + ["-l", "-A"] * model.ends
        text = run(["./pan"] + flags, work, SECONDS[big]).stdout
        trail = []
        if os.path.exists(os.path.join(work, model.file + ".trail")):
            trail = steps(run(["spin"] + model.defines + ["-p", "-t", model.file], work, SECONDS[big]).stdout)
    return judge(model, text, trail, time.monotonic() - started)


def number(pattern, text):
    m = re.search(pattern, text)
    return int(m.group(1)) if m else 0


def judge(model, text, trail, seconds):
    m = re.search(r"^pan:\d+: (.*) \(at depth \d+\)", text, re.M)
    failed = m.group(1) if m else ""
    errors = re.search(r"errors: (\d+)", text)
    fault = ""
    if errors is None:
        fault = "no verdict: " + text.strip()[-300:]
    elif model.fails is None:
        if errors.group(1) != "0" or failed:
            fault = "fails: " + failed
        elif "Full statespace search" not in text or re.search(r"not completed|too small|truncated|bit.?state|compact", text, re.I):
            fault = "not all states were visited: " + text.strip()[:300]
    elif not failed:
        fault = "must fail, and passes"
    elif model.fails.replace(" ", "") not in failed.replace(" ", ""):
        fault = "fails otherwise than it should (%s): %s" % (model.fails, failed)
    return Seen(model, fault, number(r"(\d+) states, stored", text), number(r"depth reached (\d+)", text), seconds, failed, trail,
                unreached(text))


def show(seen, trails):
    verdict = "passes" if seen.model.fails is None else "fails as it must: " + seen.failed.replace("assertion violated ", "")
    print("%-52s %9d states, %4d deep, %5.1f s  %s" % (
        seen.model.name, seen.states, seen.depth, seen.seconds, "WRONG: " + seen.fault if seen.fault else verdict), flush=True)
    if seen.trail and (trails or (seen.fault and seen.model.fails is None)):
        print("\n".join(seen.trail), flush=True)


def holes(group):
    """What none of a group's models, whose statements are the same, has reached, other than what NEVER lists."""
    return [m for m in sorted(set.intersection(*[s.missed for s in group])) if (m[0], m[3]) not in NEVER] if group else []


def gone():
    """Functions that README.md says a step is, and that lib/ does not have."""
    code = ""
    for folder, _, names in os.walk(os.path.join(HERE, "..", "..", "lib")):
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                code += f.read() if name.endswith((".c", ".h")) else ""
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as f:
        named = set(re.findall(r"`((?:conv|ipht|node|reclaim|timer)_\w+)", "".join(line for line in f if line.startswith("|"))))
    return sorted(name for name in named if not re.search(r"\b%s\b" % name, code)), len(named)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trails", action="store_true")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("name", nargs="*")
    args = parser.parse_args()
    if shutil.which("spin") is None:
        print("no spin: scripts/deps.sh test")
        return 77
    models = CONVD + (BIG if args.big else []) + ENDS + CLASSIC + TAKEN_OUT
    if args.name:
        models = [m for m in models if m.name.startswith(tuple(args.name))]
    bad = 0
    results = []
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for seen in pool.map(lambda m: search(m, args.big, args.trails or m.name in SHORTEST), models):
            results.append(seen)
            show(seen, args.trails or seen.model.name == "n1")
            bad += seen.fault != ""
    held = [s for s in results if s.model.fails is None and not s.fault]
    groups = [[s] for s in held if s.model.file == "classic.pml"]
    groups.append([s for s in held if s.model.file == "convd.pml" and not s.model.ends])
    for group in groups if not args.name else []:
        for process, _, line, text in holes(group):
            print("%s: none reaches %s, line %d: %s" % (group[0].model.name, process, line, text))
            bad += 1
    noticed = sum(1 for s in results if s.model.fails is not None and not s.fault)
    missing, named = gone()
    for name in missing:
        print("README.md: no %s in lib/" % name)
        bad += 1
    print("%d models hold, %d that lack something fail, %d states, %d functions named; %d wrong" % (
        len(held), noticed, sum(s.states for s in results), named, bad))
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main())
