#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Is docs/rfc.md true?

    rfc.py names            every requirement has its row; every function and test that is named exists
    rfc.py ran BUILD        and every test that is named runs, and passes (smoke tests need root: only their names are checked)
    rfc.py breaks [--seed N] [--count N] [--mutants N]
                            of a sample of rows, is the test the check's? Mutants of the functions in "where" (scripts/mutate.py)
                            are built in a copy of the tree; a row of which all survive the tests it cites is reported.
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import mutate

HERE = mutate.HERE
TABLE = os.path.join(HERE, "docs", "rfc.md")
MUSTS, SHOULDS = 69, 31  # RFC 9293 appendix B
EXCUSES = ("- ", "open: ")
TIMEOUT = 120  # seconds for one program with a mutant; one that hangs is killed

Row = collections.namedtuple("Row", "line rfc what where tests excuse")
Test = collections.namedtuple("Test", "suite program name")  # name "": the program as a whole


def ticked(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_of(text):
    program, _, name = text.partition(":")
    suite, _, program = program.partition("/")
    return Test(suite, program, name)


def rows_of(text):
    """@return rows, complaints"""
    rows, bad = [], []
    for number, line in enumerate(text.split("\n"), 1):
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if not line.startswith("|") or cells[0] in ("requirement", "") or set(cells[0]) <= set("-:"):
            continue
        if len(cells) != 4:
            bad.append(f"line {number}: {len(cells)} columns, not 4")
            continue
        excuse = cells[3] if cells[3].startswith(EXCUSES) else ""
        tests = [] if excuse else [test_of(t) for t in ticked(cells[3])]
        row = Row(number, cells[0], cells[1], ticked(cells[2]), tests, excuse)
        if excuse and len(excuse) < 16:
            bad.append(f"line {number}: {row.rfc}: no reason is given")
        if not excuse and not (row.where and tests):
            bad.append(f"line {number}: {row.rfc}: neither function and test, nor a reason")
        rows.append(row)
    return rows, bad


def missing(rows):
    """RFC 9293's numbers that have no row, or more than one."""
    seen = collections.Counter(r.rfc for r in rows)
    want = [f"9293 MUST-{n}" for n in range(1, MUSTS + 1)] + [f"9293 SHLD-{n}" for n in range(1, SHOULDS + 1)]
    return [f"{w}: {seen[w]} rows, not 1" for w in want if seen[w] != 1]


def sources():
    """Files of the product by their name, which is unique."""
    found = {}
    for folder in ("lib", "app"):
        for root, _, names in os.walk(os.path.join(HERE, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    found.setdefault(name, []).append(os.path.relpath(os.path.join(root, name), HERE))
    return found


def read(path):
    with open(os.path.join(HERE, path)) as f:
        return f.read()


def span(text, function):
    """First and last position of a function's definition, or None."""
    m = re.search(rf"^(?:static inline .*\b)?{re.escape(function)}\([^;]*?\)\n{{", text, re.M | re.S)
    end = text.find("\n}", m.end()) if m else -1
    return (m.start(), end) if end >= 0 else None


def function_of(where, files):
    """@return path, span; or a complaint"""
    name, _, function = where.partition(":")
    if len(files.get(name, [])) != 1:
        return f"no file {name}"
    path = files[name][0]
    at = span(read(path), function)
    return (path, at) if at else f"no function {function} in {path}"


def test_fault(t):
    """What is wrong with a test's name, or None."""
    smoke = t.suite == "smoke"
    path = f"tests/{t.suite}/{t.program}" + ("" if smoke else ".c")
    if not os.path.exists(os.path.join(HERE, path)):
        return f"no {path}"
    if t.name == "":
        return None
    text = read(path)
    if smoke:
        found = re.search(rf"^def {re.escape(t.name)}\(", text, re.M)
    elif t.program == "tcp_table_test":  # rows by name, once per version
        found = f'BOTH("{t.name[:-3]}",' in text and t.name[-3:] in (" v4", " v6")
    else:
        found = re.search(rf"^{re.escape(t.name)}\(void \*\*state\)", text, re.M) and \
            re.search(rf"\(\s*{re.escape(t.name)}\s*[,)]", text)
    return None if found else f"no test {t.name} in {path}"


def names(rows):
    files, bad = sources(), missing(rows)
    for r in rows:
        places = [function_of(w, files) for w in r.where]
        faults = [p for p in places if isinstance(p, str)] + [f for f in map(test_fault, r.tests) if f]
        bad += [f"line {r.line}: {r.rfc}: {f}" for f in faults]
    return bad


def passed_in(out):
    """Names that cmocka says passed."""
    return set(re.findall(r"\[ +OK +\] (.*)", out))


def ran(rows, build):
    """@return complaints, of what meson's tests say"""
    cited = {t for r in rows for t in r.tests if t.suite != "smoke"}
    have = json.loads(subprocess.run(["meson", "introspect", "--tests", build], capture_output=True, check=True).stdout)
    wanted = sorted({t["name"] for t in have for c in cited if t["name"] in (c.program, c.program + "_v6")})
    subprocess.run(["meson", "test", "-C", build, "--num-processes", "2"] + wanted, stdout=subprocess.DEVNULL, check=False)
    with open(os.path.join(build, "meson-logs", "testlog.json")) as f:
        log = {t["name"].split(" / ")[-1]: t for t in map(json.loads, f)}
    bad = []
    for c in sorted(cited):
        runs = [log[n] for n in (c.program, c.program + "_v6") if n in log]
        if not runs:
            bad.append(f"{'/'.join(c[:2])} did not run")
        for t in runs:
            good = c.name in passed_in(t.get("stdout", "") + t.get("stderr", "")) if c.name else t["result"] == "OK"
            if not good:
                bad.append(f"{t['name']}: {c.name or 'the program'} did not pass")
    return bad


class Copy(mutate.Copy):
    """A tree in which one function at a time is broken."""

    def shows(self, t):
        """The test passes here. Wire tests are asked over both versions."""
        args = [["3"]] if t.suite == "sim" else [[], ["v6"]] if t.suite == "wire" and t.program != "tcp_table_test" else [[]]
        for a in args:
            try:
                done = subprocess.run([os.path.join(self.build, "tests", t.suite, t.program)] + a, capture_output=True, text=True,
                                      errors="replace", timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                return False
            good = t.name in passed_in(done.stdout + done.stderr) if t.name else done.returncode == 0
            if not good:
                return False
        return True

    def verdict(self, path, mutant, tests):
        """@return "invalid" (does not compile), the test that notices, or None"""
        file = os.path.join(self.dir, path)
        text = read(path)
        with open(file, "w") as f:
            f.write(text[:mutant.at] + mutant.new + text[mutant.end:])
        try:
            for t in tests:
                if not self.make(f"{t.suite}/{t.program}"):
                    return "invalid"
                if not self.shows(t):
                    return ":".join(t[1:])
            return None
        finally:
            with open(file, "w") as f:
                f.write(text)


def breaks(rows, seed, count, mutants):
    """@return complaints: rows whose tests notice nothing"""
    draw, files, bad = random.Random(seed), sources(), []
    can = [r for r in rows if r.where and [t for t in r.tests if t.suite != "smoke"]]
    root = tempfile.mkdtemp(prefix="convd-rfc-")
    copy = Copy(root, 0, ["unit", "wire", "sim"])
    for r in draw.sample(can, min(count, len(can))):
        tests, noticed, survived = [t for t in r.tests if t.suite != "smoke"], None, []
        todo = []
        for path, (start, end) in (function_of(w, files) for w in r.where):
            todo += [(path, m) for m in mutate.mutants_of(path, read(path)) if start <= m.at < end]
        draw.shuffle(todo)
        broken = [t for t in tests if not (copy.make(f"{t.suite}/{t.program}") and copy.shows(t))]
        if broken:
            bad.append(f"{r.rfc}: fails as it is: {broken[0]}")
            continue
        while todo and noticed is None and len(survived) < mutants:
            path, m = todo.pop()
            noticed = copy.verdict(path, m, tests)
            if noticed is None:
                survived.append(f"{path}:{m.line}: {m.was}  ->  {m.now}")
            elif noticed == "invalid":
                noticed = None
        print(f"{r.rfc}: " + (f"noticed by {noticed}" if noticed else "nobody noticed"), flush=True)
        if noticed is None:
            bad.append(f"line {r.line}: {r.rfc}: the tests cited don't notice\n    " + "\n    ".join(survived or ["(no mutant)"]))
    shutil.rmtree(root, ignore_errors=True)
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("names", "ran", "breaks"))
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=20, help="rows")
    p.add_argument("--mutants", type=int, default=5, help="of one row, before nobody is said to notice")
    a = p.parse_args()
    with open(TABLE) as f:
        rows, bad = rows_of(f.read())
    bad += names(rows)
    if not bad and a.what == "ran":
        bad = ran(rows, a.build)
    elif not bad and a.what == "breaks":
        bad = breaks(rows, a.seed, a.count, a.mutants)
    for b in bad:
        print(b)
    kinds = collections.Counter(r.excuse.split(" ")[0].rstrip(":") or "shown" for r in rows)
    print(f"{len(rows)} requirements: {kinds['shown']} shown by tests, {kinds['-']} not, with the reason, {kinds['open']} open; "
          f"{len(bad)} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
