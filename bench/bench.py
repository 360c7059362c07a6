#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""How fast is convd, beside what else this machine has? Each figure is taken in turn with its reference, several times in one run;
what is printed are medians, what lies between them and the extremes, and the line that the figure is judged by.

    bench.py [-r REPEATS] [-o FOLDER] [--refresh] [PART...]

budgets every step of the fast path beside what it may cost (accept), its floor, and where it fails; the table beside rte_hash
code    cycles per packet over net_ring in one process, beside testpmd's 5tswap
workers 1 worker and 2, of conversations that each has alone, and of one that they share
flat    a segment among 10 M conversations and among 100 K; a connection beside 5 M and beside none (8 GB of huge pages)
sweep   cycles per packet over net_ring by number of flows
several a stream segment by segment, and several at once: TSO, GSO, GRO
insns   instructions per packet by callgrind, beside bench/instructions.csv
line    a cache line from one core to the other
udp     UDP echo over memif, beside 5tswap on the same link
overload UDP echo over memif under testpmd's txonly, beside 5tswap
web     HTTP and TCP echo over memif with convgen, beside nginx, haproxy and wrk on Linux
opens   connections opened and reset over memif
bulk    much data over memif, beside what the link carries
latency TCP echo over veth at half load, beside Linux
stream  much data over veth, beside Linux
kernel  TCP and UDP echo through af_packet, af_xdp and tap, beside Linux
hold    10 M TCP conversations (HOLD=N: so many)

Into the folder go bench.csv and plots of it, bench-lines.png and, of the sweep, bench-sweep.png (plots.py draws them again).
"""
import argparse
import csv
import os
import re
import subprocess
import sys

import part_budget
import part_code
import part_hold
import part_memif
import part_scale
import part_veth
import plots
from host import BUILD, HERE, Failed, failed, prefer, say

PARTS = {"line": part_code.line, "budgets": part_budget.budgets, "code": part_code.code, "workers": part_scale.workers,
         "flat": part_scale.flat, "sweep": part_scale.sweep, "several": part_code.several, "insns": part_code.insns, "udp": part_memif.udp,
         "overload": part_memif.overload, "web": part_memif.web, "opens": part_memif.opens, "bulk": part_memif.bulk,
         "latency": part_veth.latency, "stream": part_veth.stream, "kernel": part_veth.kernel, "hold": part_hold.hold}
OPTIONS = ["-Dbuildtype=release", "-Db_lto=true", "-Dc_args=-march=native -g"]
DOC = os.path.join(HERE, "docs", "performance.md")
BEGIN, END = "<!-- make bench: begin -->\n", "<!-- make bench: end -->\n"


def build():
    """The release that is measured; a folder that was made by hand is set to the same options."""
    there = os.path.exists(os.path.join(BUILD, "build.ninja"))
    subprocess.run(["meson", *(["configure", BUILD] if there else ["setup", BUILD, HERE]), *OPTIONS], check=True, stdout=subprocess.DEVNULL)
    programs = ("conv", "cost", "flood", "line", "opens", "peer", "stream", "table", "workers")
    targets = ["app/convd", "app/convctl", "app/convgen", *(f"bench/bench_{p}" for p in programs)]
    subprocess.run(["ninja", "-C", BUILD, "--quiet", *targets], check=True)


def part(name, repeats):
    """Rows of a part; a part that can't go on is a row that says why, and those before it stay."""
    rows = []
    try:
        rows.extend(PARTS[name](repeats))
    except Failed as e:
        rows.append(failed(f"part {name}", str(e)))
    return rows


def table(rows):
    """As Markdown."""
    text = "| figure | convd | reference | | line | |\n|---|---|---|---|---|---|\n"
    for r in rows:
        text += f"| {r['figure']} | {r['ours']} | {r['reference']} | {r['value']} | {r['line']} | {r['verdict']} |\n"
    hows = dict.fromkeys(f"{r['figure'].split(',')[0].split(':')[0]}: {r['how']}" for r in rows if r["how"])
    return text + "\n" + "".join(f"- {h}\n" for h in hows)


def refresh(rows):
    with open(DOC) as f:
        text = f.read()
    if BEGIN not in text or END not in text:
        sys.exit(f"bench: {DOC} has no place for the table")
    new = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: BEGIN + table(rows) + END, text, flags=re.S)
    with open(DOC, "w") as f:
        f.write(new)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-r", "--repeats", type=int, default=3)
    p.add_argument("-o", "--out", default=BUILD)
    p.add_argument("--refresh", action="store_true", help="write the table into docs/performance.md")
    p.add_argument("parts", nargs="*", metavar="PART")
    a = p.parse_args()
    names = a.parts or list(PARTS)
    unknown = [x for x in names if x not in PARTS]
    if unknown:
        p.error(f"there is no part '{unknown[0]}': there are {', '.join(PARTS)}")
    say("building")
    build()
    prefer()
    rows = [r for name in names for r in part(name, a.repeats)]
    print(table(rows))
    os.makedirs(a.out, exist_ok=True)
    with open(os.path.join(a.out, "bench.csv"), "w", newline="") as f:
        out = csv.DictWriter(f, rows[0].keys())
        out.writeheader()
        out.writerows(rows)
    drawn = plots.plot(a.out)
    say("no plots: gnuplot is not installed" if drawn is None else "plots: " + (" ".join(drawn) or "none of these parts"))
    if a.refresh:
        refresh(rows)
    passed, bad = (sum(r["verdict"] == v for r in rows) for v in ("PASS", "FAIL"))
    print(f"{passed} PASS, {bad} FAIL")


if __name__ == "__main__":
    main()
