# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""What the parts of the benchmark share: programs that run and are ended by pid, huge pages, network namespaces, and rows of the
result."""
import atexit
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(HERE, "build-bench")
EAL = ["--no-pci", "--no-telemetry", "--log-level=error"]
SERVER, CLIENT = "0", "1"  # CPUs
HUGE_MB = 2  # size of a huge page
PATIENCE = 60
PRIORITY = -19

_running, _namespaces, _undo = set(), set(), []


class Failed(Exception):
    """A part, or a figure of it, could not be had; why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def path(*parts):
    return os.path.join(BUILD, *parts)


def run(argv, timeout=PATIENCE, check=True):
    """Run to the end. @return what it printed"""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise Failed(f"{argv[0]} is not installed: scripts/deps.sh bench") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(argv)}: no end within {timeout} s") from None
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}: {(done.stderr or done.stdout)[-600:]}")
    return done.stdout


def run_json(argv, timeout=PATIENCE):
    """Run; the result is the JSON that it printed, or its last line."""
    text = run(argv, timeout).strip()
    try:
        return json.loads(text if text.startswith("{\n") else text.split("\n")[-1])
    except ValueError:
        raise Failed(f"{' '.join(argv)}: no result: {text[-300:]}") from None


class Program:
    """A program in the background, its output in a file; ended by its pid."""

    def __init__(self, argv, log):
        self.argv, self.log = argv, log
        try:
            with open(log, "w") as f:
                self.process = subprocess.Popen(argv, stdout=f, stderr=f, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise Failed(f"{argv[0]} is not installed: scripts/deps.sh bench") from None
        _running.add(self)

    def said(self):
        with open(self.log) as f:
            return f.read()

    def until(self, text, seconds=PATIENCE):
        """Wait until it has said text."""
        end = time.monotonic() + seconds
        while text not in self.said():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"{' '.join(self.argv)}: {self.end()[-600:]}")
            time.sleep(0.05)
        return self

    def end(self):
        """@return what it said"""
        _running.discard(self)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.said()

    def kill(self):
        _running.discard(self)
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Namespace:
    """A network namespace, gone at the end."""

    count = 0

    def __init__(self):
        Namespace.count += 1
        self.name = f"convd-b{os.getpid()}-{Namespace.count}"
        run(["ip", "netns", "add", self.name])
        _namespaces.add(self)
        self.do("ip", "link", "set", "lo", "up")

    def argv(self, *argv):
        return ["ip", "netns", "exec", self.name, *argv]

    def do(self, *argv):
        return run(self.argv(*argv))

    def close(self):
        _namespaces.discard(self)
        run(["ip", "netns", "del", self.name], check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def veth(a, b, offloads):
    """Join two namespaces: veth0 in each. offloads False: segments of wire size, checksums filled in."""
    run(["ip", "-n", a.name, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", b.name])
    for ns in (a, b):
        if not offloads:
            ns.do("ethtool", "-K", "veth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        ns.do("sysctl", "-qw", "net.ipv6.conf.veth0.disable_ipv6=1")
        ns.do("ip", "link", "set", "veth0", "up")


def huge_free():
    with open("/proc/meminfo") as f:
        return int(re.search(r"HugePages_Free:\s+(\d+)", f.read()).group(1)) * HUGE_MB


def add_pages(n):
    """More huge pages or fewer: whoever else is here may have changed their number, too."""
    with open("/proc/sys/vm/nr_hugepages", "r+") as f:
        n += int(f.read())
        f.seek(0)
        f.write(str(max(n, 0)))


def huge(mb):
    """Have so many MB of free huge pages, and a mount of them; what is taken is given back at the end. @return are there?"""
    missing = (mb - huge_free() + HUGE_MB - 1) // HUGE_MB
    if missing > 0:
        add_pages(missing)
        _undo.append(lambda: add_pages(-missing))
    with open("/proc/mounts") as f:
        mounted = " hugetlbfs " in f.read()
    if not mounted:
        folder = tempfile.mkdtemp(prefix="convd-huge-")
        run(["mount", "-t", "hugetlbfs", "nodev", folder])
        _undo.append(lambda: (run(["umount", folder], check=False), os.rmdir(folder)))
    return huge_free() >= mb


def memory(mb):
    """EAL's options for so much memory: huge pages where they can be had."""
    return ["--in-memory", "-m", str(mb)] if huge(mb) else ["--no-huge", "--no-shconf", "-m", str(mb)]


def prefer():
    """What is measured goes before whatever else runs here. Priorities count within a session only (autogroup, sched(7)): so the
    session gets one."""
    try:
        with open("/proc/self/autogroup", "r+") as f:
            was = f.read().split()[-1]
            f.seek(0)
            f.write(str(PRIORITY))
    except OSError:
        return  # no such groups
    _undo.append(lambda: open("/proc/self/autogroup", "w").write(was))


def stop(*_):
    sys.exit(1)


signal.signal(signal.SIGTERM, stop)  # so that what follows is done then, too


@atexit.register
def clean():
    for program in list(_running):
        program.kill()
    for ns in list(_namespaces):
        ns.close()
    for undo in reversed(_undo):
        undo()
    _undo.clear()


class Scratch:
    """A folder for sockets, configurations and logs."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="convd-bench-")

    def __truediv__(self, name):
        return os.path.join(self.folder, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def convd(scratch, config, ns=None):
    """Start convd with a configuration (a dict). @return the Program, ready"""
    config = {"control": {"socket": scratch / "control.sock"}, **config}
    with open(scratch / "convd.json", "w") as f:
        json.dump(config, f, indent=1)
    argv = [path("app", "convd"), "--config", scratch / "convd.json"]
    return Program(ns.argv(*argv) if ns else argv, scratch / "convd.log").until("convd: ready")


def spread(values, form="{:.0f}"):
    """The median, and between what."""
    return f"{form.format(statistics.median(values))} ({form.format(min(values))}-{form.format(max(values))})"


def row(figure, ours, theirs, value, line, how="", at_least=True, form="{:.0f}"):
    """One figure of the result: ours and the reference's values, what is judged, and the line it is judged by (None: it is only
    shown). The value is judged as it is printed."""
    value = None if value is None else round(value, 2)
    if line is None:
        verdict = "-"
    else:
        verdict = "PASS" if (value >= line if at_least else value <= line) else "FAIL"
    return {"figure": figure, "ours": spread(ours, form) if ours else "", "reference": spread(theirs, form) if theirs else "",
            "value": "" if value is None else f"{value:.2f}", "line": "" if line is None else f"{'>=' if at_least else '<='} {line}",
            "verdict": verdict, "how": how}


def failed(figure, why):
    return {"figure": figure, "ours": "", "reference": "", "value": "", "line": "", "verdict": "FAIL", "how": why}


def ratio(a, b):
    return statistics.median(a) / statistics.median(b) if b and statistics.median(b) else 0.0
