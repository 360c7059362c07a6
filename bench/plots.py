#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Plots of bench.csv, by gnuplot: bench-lines.png, how far each figure is from its line, and bench-sweep.png, cycles per packet by
number of flows.

    plots.py FOLDER
"""
import csv
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def distances(rows):
    """Each judged figure, and its value over the line where less is better, the line over the value elsewhere: up to 1 is well."""
    for r in rows:
        line = re.match(r"([<>]=) ([\d.]+)", r["line"])
        if line is None or not r["value"]:
            continue
        value, at = float(r["value"]), float(line.group(2))
        far = value / at if line.group(1) == "<=" else at / value if value > 0 else 0
        yield r["figure"], f"{max(far, 0):.3f}", r["verdict"]


def swept(rows):
    """(flows, cycles of UDP, of TCP)."""
    found = {}
    for r in rows:
        is_one = re.match(r"sweep, (\w+) echo over net_ring, (\d+) flows", r["figure"])
        if is_one:
            found.setdefault(int(is_one.group(2)), {})[is_one.group(1)] = r["value"]
    return [(flows, c.get("udp", ""), c.get("tcp", "")) for flows, c in sorted(found.items())]


def write(folder, name, rows):
    with open(os.path.join(folder, name), "w", newline="") as f:
        csv.writer(f).writerows(rows)
    return len(rows)


def plot(folder):
    """Draw what the folder's bench.csv has. @return what was drawn, or None if there is no gnuplot"""
    with open(os.path.join(folder, "bench.csv"), newline="") as f:
        rows = list(csv.DictReader(f))
    counts = {"lines": write(folder, "bench-lines.csv", list(distances(rows))), "sweep": write(folder, "bench-sweep.csv", swept(rows))}
    drawn = [name for name, n in counts.items() if n > 0]
    for name in drawn:
        try:
            subprocess.run(["gnuplot", "-e", f"dir='{folder}'; rows={counts[name]}", os.path.join(HERE, f"{name}.gp")], check=True)
        except FileNotFoundError:
            return None
    return [os.path.join(folder, f"bench-{name}.png") for name in drawn]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(plot(sys.argv[1]) or ["gnuplot is not installed: scripts/deps.sh bench"]))
