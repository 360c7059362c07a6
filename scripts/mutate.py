#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Do the tests notice if the code is wrong? Change one comparison, constant or early return of lib/tcp or lib/ip at a time, build,
and run the tests until one fails: the mutant is killed. What survives is listed, and belongs killed by a new test, or explained in
tests/mutants.txt if nobody can tell it from the code: FILE | LINE AS IT IS | LINE AS CHANGED | WHY (two blanks on either side of a
bar). Those that are explained are not tried again, and count for nothing: they are no mutants, but other spellings.

The sample follows from the seed. Works in copies of the tree under a temporary folder; the tree itself is not touched.
"""
import argparse
import collections
import filecmp
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXPLAINED = os.path.join(HERE, "tests", "mutants.txt")

# Tests by folder, those first that most likely notice.
WIRE = ["wire/tcp_table_test", "wire/tcp_data_test", "wire/tcp_open_test", "wire/tcp_close_test", "wire/tcp_loss_test", "wire/tcp_rack_test",
        "wire/tcp_attack_test", "wire/tcp_rules_test", "wire/tcp_keep_test", "wire/tcp_recovery_test", "wire/tcp_buffer_test",
        "wire/tcp_ecn_test", "wire/tcp_cookie_test", "wire/tcp_lend_test", "wire/tcp_mtu_test", "wire/tcp_cubic_test"]
UNIT_IP = ["unit/ip4_input_test", "unit/ip6_input_test", "unit/ip_input_test", "unit/ip_output_test", "unit/icmp_test",
           "unit/arp_test", "unit/ndp_test", "unit/neigh_state_test", "unit/ip_route_test", "unit/ip_ifc_test",
           "unit/ip_mbuf_test", "unit/ip_tick_test", "unit/ip_cksum_test", "unit/ip_worker_test", "unit/neigh_test",
           "unit/fragments_test", "unit/udp_test", "unit/udp_path_test"]
SIM = ["sim/sim_echo"]
FIRST = {  # by the file's name: what is tried before all else; later, those that killed most mutants of the file
    "tcp_opt": ["unit/tcp_opt_test"], "tcp_ooo": ["unit/tcp_ooo_test"], "tcp_isn": ["unit/tcp_isn_test"],
    "arp": ["unit/arp_test"], "ndp": ["unit/ndp_test"],
    "neigh": ["unit/neigh_state_test", "unit/neigh_test"], "ip_route": ["unit/ip_route_test"], "icmp": ["unit/icmp_test"], "icmp6": ["unit/icmp_test"],
    "ip6_input": ["unit/ip6_input_test"], "ip_cksum": ["unit/ip_cksum_test"],
    "ip_priv": ["unit/ip_cksum_test"], "ip_output": ["unit/ip_output_test"], "ip_frag_out": ["unit/ip_output_test"],
    "ip": ["unit/ip_worker_test"], "worker": ["unit/ip_worker_test"], "drop": ["unit/ip_worker_test"],
    "ip_input": ["unit/ip_input_test"], "ip_mbuf": ["unit/ip_mbuf_test"], "ip_ifc": ["unit/ip_ifc_test"],
    "ip_path": ["unit/ip_route_test"], "ip_tick": ["unit/ip_tick_test"], "ip_joined": ["unit/ip_mbuf_test"],
    "tcp_sack": ["wire/tcp_loss_test"], "tcp_recovery": ["wire/tcp_loss_test"], "tcp_listen": ["wire/tcp_open_test"],
    "tcp_connect": ["wire/tcp_open_test"], "tcp_timewait": ["wire/tcp_close_test"], "tcp_cc_cubic": ["wire/tcp_cubic_test"],
    "tcp_cc_dctcp": ["wire/tcp_ecn_test"], "tcp_cookie": ["wire/tcp_cookie_test"], "tcp_ecn": ["wire/tcp_ecn_test"],
    "tcp_frto": ["wire/tcp_recovery_test"], "tcp_mbuf": ["unit/tcp_mbuf_test"], "tcp_mtu": ["wire/tcp_mtu_test"], "tcp_prr": ["wire/tcp_recovery_test"],
    "tcp_rack": ["wire/tcp_rack_test"], "tcp_recv": ["wire/tcp_data_test", "wire/tcp_buffer_test"],
}
TIMEOUT = 60  # seconds for one test; a mutant that hangs one is killed

COMPARE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
TOKEN = re.compile(r"""
    (?P<skip>/\*.*?\*/|//[^\n]*|\b(?:assert|_Static_assert|LOG)\s*\([^;]*;|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|->|<<=?|>>=?)
  | (?P<compare><=|>=|==|!=|&&|\|\||<|>)
  | (?P<seq>\bseq_l[te]\b)
  | (?P<bool>\b(?:true|false)\b)
  | (?P<number>\b(?:0[xX][0-9a-fA-F]+|[0-9]+)[uUlL]*\b)
  | (?P<ret>\breturn\b[^;{}]*;)
""", re.X | re.S)
NO_LINE = re.compile(r"^\s*#\s*(include|pragma|if|else|endif|undef)")
TYPE = r"\b(?:u?int\d+_t|char|bool|unsigned|int|size_t|struct\s+\w+)\b"


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def whole_line(text, at):
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    return text[start:len(text) if end < 0 else end]


def changed_number(old):
    """Small numbers grow by one. Others change by a factor, since nobody could see a timeout of 2001 ms for 2000; one bit less
    for those that are all ones, whose top may be cut off anyway."""
    digits, suffix = re.fullmatch(r"(\w*?)([uUlL]*)", old).groups()
    try:
        n = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
    except ValueError:
        return None
    if n < 16:
        n += 1
    elif n & (n + 1) == 0:
        n >>= 1
    else:
        n = 2 * n + 1
    return (hex(n) if digits[:2] in ("0x", "0X") else str(n)) + suffix


def is_array_size(text, at):
    """The number is the size of an array that is declared here, not an index."""
    statement = re.split(r"[;{}]", text[max(0, at - 300):at])[-1]
    if not re.search(r"\w\[[^\]]*$", statement):
        return False
    before = re.sub(r"\[[^\]]*$", "", statement)
    return bool(re.search(TYPE + r"[\s*]*\w+(\[\w*\])*$", before) or
                re.match(r"\s*(?:(?:static|const|_Atomic)\s+)*" + TYPE + r"[^=()]*$", before))


def is_early(text, end):
    """The return at the end of a function is not early: the brace in the first column follows."""
    return not text[end:].lstrip(" \t").startswith("\n}")


Mutant = collections.namedtuple("Mutant", "path line at end new was now")


def before_and_after(text, at, end, new):
    """The line as it is and as it will be."""
    start, stop = text.rfind("\n", 0, at) + 1, text.find("\n", end)
    return " ".join(text[start:stop].split()), " ".join((text[start:at] + new + text[end:stop]).split())


def mutants_of(path, text):
    """Every change that one file can have."""
    found = []
    for m in TOKEN.finditer(text):
        kind, old = m.lastgroup, m.group()
        if kind == "skip" or NO_LINE.match(whole_line(text, m.start())):
            continue
        new = None
        if kind == "compare":
            new = COMPARE[old]
        elif kind == "seq":
            new = {"seq_lt": "seq_le", "seq_le": "seq_lt"}[old]
        elif kind == "bool":
            new = {"true": "false", "false": "true"}[old]
        elif kind == "number" and not is_array_size(text, m.start()):
            new = changed_number(old)
        elif kind == "ret":
            if is_early(text, m.end()):
                found.append((line_of(text, m.start()), m.start(), m.end(), ";"))
            inner = m.group()[len("return"):]
            for t in TOKEN.finditer(inner):
                at = m.start() + len("return") + t.start()
                if t.lastgroup in ("compare", "seq", "bool", "number"):
                    o = t.group()
                    n = (COMPARE.get(o) if t.lastgroup == "compare" else
                         {"seq_lt": "seq_le", "seq_le": "seq_lt", "true": "false", "false": "true"}.get(o)
                         if t.lastgroup in ("seq", "bool") else changed_number(o))
                    found.append((line_of(text, at), at, at + len(o), n))
            continue
        if new is not None:
            found.append((line_of(text, m.start()), m.start(), m.end(), new))
    return [Mutant(path, line, at, end, new, *before_and_after(text, at, end, new)) for line, at, end, new in found]


def all_mutants(folders):
    found = []
    for folder in folders:
        for name in sorted(os.listdir(os.path.join(HERE, folder))):
            if name.endswith((".c", ".h")):
                path = os.path.join(folder, name)
                with open(os.path.join(HERE, path)) as f:
                    found += mutants_of(path, f.read())
    return found


def tests_for(path, suites):
    stem = os.path.splitext(os.path.basename(path))[0]
    order = FIRST.get(stem, []) + (WIRE + SIM + UNIT_IP if path.startswith("lib/tcp") else UNIT_IP + WIRE + SIM)
    return [t for t in dict.fromkeys(order) if t.split("/")[0] in suites]


class Copy:
    """A tree of its own in which mutants are made."""

    def __init__(self, root, number, suites=("unit", "wire", "sim")):
        self.suites = suites
        self.dir = os.path.join(root, str(number))
        self.kills = collections.Counter()
        self.seconds = {}
        files = subprocess.run(["git", "-C", HERE, "ls-files"], capture_output=True, text=True, check=True).stdout.split()
        for f in files:
            source, to = os.path.join(HERE, f), os.path.join(self.dir, f)
            os.makedirs(os.path.dirname(to), exist_ok=True)
            if not (os.path.exists(to) and filecmp.cmp(source, to, shallow=False)):
                shutil.copy(source, to)
        self.build = os.path.join(self.dir, "build")
        if not os.path.exists(os.path.join(self.build, "build.ninja")):
            fast = dict(os.environ, CC_LD="mold") if shutil.which("mold") else None  # half of the time goes to linking
            subprocess.run(["meson", "setup", self.build, self.dir, "--buildtype=debug", "-Doptimization=0",
                            "-Dc_args=-fstack-protector-all"], check=True, env=fast,
                           stdout=subprocess.DEVNULL)

    def make(self, test):
        return subprocess.run(["ninja", "-C", self.build, "-j1", "tests/" + test], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def passes(self, test):
        """Wire tests go over both versions of IP, as in tests/wire/meson.build."""
        ways = [["3"]] if test.startswith("sim/") else [[], ["v6"]] if test.startswith("wire/") else [[]]
        try:
            return all(subprocess.run([os.path.join(self.build, "tests", test)] + args, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, timeout=TIMEOUT).returncode == 0 for args in ways)
        except subprocess.TimeoutExpired:
            return False

    def warm(self, tests):
        """The code as it is must pass, or a failure says nothing; notes how long each takes. @return the tests that do not"""
        bad = []
        for t in tests:
            built = self.make(t)
            start = time.monotonic()
            if not (built and self.passes(t)):
                bad.append(t)
            self.seconds[t] = time.monotonic() - start
        return bad

    def in_order(self, path):
        """The file's own tests first, those that killed most of it so far before them; of the others the quickest."""
        own = FIRST.get(os.path.splitext(os.path.basename(path))[0], [])
        return sorted(tests_for(path, self.suites), key=lambda t: (-self.kills[path, t], t not in own, self.seconds.get(t, 0)))

    def try_mutant(self, mutant):
        """@return "killed by TEST", "invalid" (does not compile), or "survived" """
        file = os.path.join(self.dir, mutant.path)
        with open(file) as f:
            text = f.read()
        with open(file, "w") as f:
            f.write(text[:mutant.at] + mutant.new + text[mutant.end:])
        try:
            for test in self.in_order(mutant.path):
                if not self.make(test):
                    return "invalid"
                if not self.passes(test):
                    self.kills[mutant.path, test] += 1
                    return "killed by " + test
            return "survived"
        finally:
            with open(file, "w") as f:
                f.write(text)


def survivors(log):
    """What a run has printed as survived: (path, line as it was, as changed)."""
    with open(log) as f:
        return set(re.findall(r"^\d+ (\S+?):\d+: (.*?)  ->  (.*): survived$", f.read(), re.M))


def explained():
    rows = {}
    if os.path.exists(EXPLAINED):
        with open(EXPLAINED) as f:
            for row in f:
                if row.strip() and not row.startswith("#"):
                    path, was, now, why = (part.strip() for part in row.split("  |  ", 3))
                    rows[(path, was, now)] = why
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--count", type=int, default=300)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--minutes", type=float, default=0, help="stop trying new ones after so long; 0: never")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    p.add_argument("--only", default="", help="only files whose path holds this")
    p.add_argument("--suites", default="unit,wire,sim", help="only tests of these")
    p.add_argument("--keep", default="", help="folder for the copies, kept for the next run; else a temporary one")
    p.add_argument("--again", default="", metavar="LOG", help="only those that survived the run which printed this")
    p.add_argument("folders", nargs="*", default=["lib/tcp", "lib/ip"])
    a = p.parse_args()
    todo = [m for m in all_mutants(a.folders) if a.only in m.path]
    if a.again:
        alive = survivors(a.again)
        todo = [m for m in todo if (m.path, m.was, m.now) in alive]
    every = len(todo)
    why = explained()
    todo = [m for m in todo if (m.path, m.was, m.now) not in why]
    print(f"{every} mutants can be made of {', '.join(a.folders)}; {every - len(todo)} of them change nothing that can be told "
          f"(tests/mutants.txt); of the others, seed {a.seed}, {min(a.count, len(todo))} are tried")
    random.Random(a.seed).shuffle(todo)
    todo = todo[:a.count]
    end = time.monotonic() + a.minutes * 60 if a.minutes else None
    lock, results = threading.Lock(), []
    suites = a.suites.split(",")
    root = a.keep or tempfile.mkdtemp(prefix="convd-mutate-")
    tests = list(dict.fromkeys(t for m in todo for t in tests_for(m.path, suites)))

    def work(number):
        copy = Copy(root, number, suites)
        bad = copy.warm(tests)
        if bad:
            sys.exit(f"mutate: these fail as they are: {', '.join(bad)}")
        while True:
            with lock:
                if not todo or (end and time.monotonic() > end):
                    return
                mutant = todo.pop(0)
            result = copy.try_mutant(mutant)
            with lock:
                results.append((mutant, result))
                print(f"{len(results)} {mutant.path}:{mutant.line}: {mutant.was}  ->  {mutant.now}: {result}", flush=True)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(a.jobs)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if not a.keep:
        shutil.rmtree(root, ignore_errors=True)
    return report(results)


def report(results):
    tried = [(m, r) for m, r in results if r != "invalid"]
    alive = [m for m, r in tried if r == "survived"]
    if alive:
        print("\nsurvived:")
    for m in sorted(alive):
        print(f"  {m.path}:{m.line}: {m.was}  ->  {m.now}")
    killed = len(tried) - len(alive)
    share = killed / len(tried) if tried else 0
    print(f"\n{len(tried)} mutants tried, {killed} killed ({share:.1%}), {len(alive)} survived; {len(results) - len(tried)} did not compile")
    return 0 if tried and share >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
