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
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(HERE, "tests", "interleave"))
import policies  # noqa: E402

TIMEOUT = 120  # seconds for one scenario
BOUND = 2

Fault = collections.namedtuple("Fault", "name failed text")


class Build:
    """A program of an existing build, linked anew with some of its files changed."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        with open(os.path.join(self.build, "compile_commands.json")) as f:
            self.compile = json.load(f)
        self.commands = {}

    def link_command(self, test):
        if test not in self.commands:
            lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "tests/" + test], capture_output=True, text=True,
                                   check=True).stdout.strip().split("\n")
            self.commands[test] = shlex.split(lines[-1])
        return list(self.commands[test])

    def compile_command(self, path, test):
        """How this file is compiled for this test: the explorer has a build of the libraries of its own."""
        explorer = test.startswith("interleave/")
        for c in self.compile:
            if os.path.abspath(os.path.join(self.build, c["file"])) == os.path.join(HERE, path) and \
                    c["output"].startswith("tests/interleave/") == explorer:
                return shlex.split(c["command"]), c["output"]
        raise SystemExit(f"interleave.py: {path} is not part of {test}")

    def object_of(self, path, text, test, folder):
        """@return the changed object, and the one that it stands for"""
        command, output = self.compile_command(path, test)
        source, obj = os.path.join(folder, path), os.path.join(folder, path + ".o")
        os.makedirs(os.path.dirname(source), exist_ok=True)
        with open(source, "w") as f:
            f.write(text)
        first = 2 if command[0] == "ccache" else 1
        command = command[:first] + ["-I" + os.path.join(HERE, os.path.dirname(path))] + command[first:command.index("-MD")]
        command += ["-w", "-o", obj, "-c", source]
        done = subprocess.run(command, cwd=self.build, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"interleave.py: {path} as changed does not compile:\n{done.stderr}")
        return obj, output

    def program(self, test, changes, folder):
        """@return the path of the program with these changes"""
        texts = {}
        for c in changes:
            if c.file not in texts:
                with open(os.path.join(HERE, c.file)) as f:
                    texts[c.file] = f.read()
            if texts[c.file].count(c.old) != 1:
                raise SystemExit(f"interleave.py: {c.file} has {texts[c.file].count(c.old)} times, not once:\n{c.old}")
            texts[c.file] = texts[c.file].replace(c.old, c.new)
        command = self.link_command(test)
        for path, text in texts.items():
            obj, instead = self.object_of(path, text, test, folder)
            if instead in command:
                command[command.index(instead)] = obj
            else:  # in an archive, where it is then not looked for
                command.insert(command.index("-o") + 2, obj)
        out = os.path.join(folder, "program")
        command[command.index("-o") + 1] = out
        subprocess.run(command, cwd=self.build, check=True)
        return out


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
    build = Build(a.build)
    return 1 if (protections(build, a.only) if a.what == "protections" else controls(build, a.only, a.keep)) else 0


if __name__ == "__main__":
    sys.exit(main())
