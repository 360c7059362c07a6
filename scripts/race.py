#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""docs/race.md and docs/race.svg: runs the controls of tests/interleave/policies.py, puts the schedules that the explorer prints
between the markers of docs/race.md, and draws the first as a timeline.

    race.py [BUILD]
"""
import os
import re
import sys
import tempfile
import textwrap
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(HERE, "scripts"))
import interleave  # noqa: E402
import policies  # noqa: E402

DOC, SVG = os.path.join(HERE, "docs", "race.md"), os.path.join(HERE, "docs", "race.svg")
DRAWN = ("n1", "a1")
LANE = 440  # of the drawing, in pixels
# Steps that carry the story, and what they mean there.
STORY = {
    "look up burst": "looks the tuple up", "pre_enter": "has found the slot", "enter": "enters it", "close_pre_unhash": "closes",
    "close_post_unhash": "out of the table", "reclaim": "the slot is free", "post_newcall_pre_init": "a node for the next call",
    "pre_table_insert": "into the table", "witness": "the service runs",
}


def schedule_of(text):
    """@return fault, [(thread, number, step)], the line to replay it"""
    lines = text.split("\n")
    steps, thread = [], ""
    for line in lines[1:]:
        m = re.match(r"  (.{10}) +(\d+) (.+?)(   <- overtakes)?$", line)
        if m:
            thread = m.group(1).strip() or thread
            steps.append((thread, int(m.group(2)), m.group(3)))
    replay = next(line for line in lines if line.startswith("again: "))
    return lines[0], steps, replay


def runs_of(steps):
    """Steps of one thread in a row."""
    runs = []
    for thread, number, what in steps:
        if not runs or runs[-1][0] != thread:
            runs.append((thread, []))
        runs[-1][1].append((number, what))
    return runs


def block(text):
    fault, steps, replay = schedule_of(text)
    out = [fault, ""]
    for thread, run in runs_of(steps):
        line = f"{run[0][0]:3}-{run[-1][0]:<3} {thread}: " + ", ".join(what for _, what in run)
        out += textwrap.wrap(line, 118, subsequent_indent=" " * 8, break_on_hyphens=False, break_long_words=False)
    return "\n".join(out + ["", replay])


def told(run):
    """The steps of a run that the drawing shows; repeated ones once."""
    shown, last = [], None
    for number, what in run:
        if what in STORY and what != last:
            shown.append((number, what))
        last = what if what in STORY else last
    return shown


def svg(title, text):
    fault, steps, _ = schedule_of(text)
    threads = list(dict.fromkeys(t for t, _, _ in steps))
    x = {t: 40 + LANE * i for i, t in enumerate(threads)}
    out, y, before = [], 90, None
    for thread, run in runs_of(steps):
        shown = told(run)
        height = 26 + 18 * len(shown)
        out.append(f'<rect x="{x[thread]}" y="{y}" width="{LANE - 40}" height="{height}" rx="4" class="run"/>')
        out.append(f'<text x="{x[thread] + 10}" y="{y + 17}" class="head">steps {run[0][0]}-{run[-1][0]}</text>')
        for i, (number, what) in enumerate(shown):
            at = y + 36 + 18 * i
            out.append(f'<text x="{x[thread] + 10}" y="{at}">{number:3} {escape(what)}</text>'
                       f'<text x="{x[thread] + 190}" y="{at}" class="note">{escape(STORY[what])}</text>')
        if before is not None:
            a, b = x[before] + LANE // 2 - 20, x[thread] + LANE // 2 - 20
            out.append(f'<path d="M {a} {y - 14} L {b} {y - 3}" class="switch" marker-end="url(#to)"/>')
        before = thread
        y += height + 16
    words = textwrap.wrap(fault.split("): ", 1)[-1], 90)
    for i, line in enumerate(words):
        out.append(f'<text x="40" y="{y + 14 + 18 * i}" class="fault">{escape(line)}</text>')
    width, height = 40 + LANE * len(threads), y + 30 + 18 * len(words)
    head = [f'<text x="40" y="28" class="title">{escape(title)}</text>']
    head += [f'<text x="{x[t]}" y="70" class="head">{escape(t)}</text>' for t in threads]
    head += [f'<line x1="{x[t] + LANE // 2 - 20}" y1="80" x2="{x[t] + LANE // 2 - 20}" y2="{y - 10}" class="life"/>' for t in threads]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        "<!-- made by scripts/race.py -->",
        '<defs><marker id="to" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
        '<path d="M0,0 L6,3 L0,6 z" fill="#a33"/></marker></defs>',
        "<style>text{font:13px monospace;fill:#222}.title{font:bold 16px sans-serif}.head{font-weight:bold}.note{fill:#666}"
        ".fault{fill:#a00;font-weight:bold}.run{fill:#eef3fa;stroke:#6a86b0}.life{stroke:#bbb;stroke-dasharray:3 3}"
        ".switch{stroke:#a33;fill:none}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>', *head, *out, "</svg>", ""])


def main():
    build = interleave.Build(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "build"))
    with open(DOC) as f:
        doc = f.read()
    for c in policies.CONTROLS:
        names = [s for s in c.fails if f"<!-- {c.name} {s} -->" in doc]
        with tempfile.TemporaryDirectory(prefix="convd-race-") as folder:
            program = build.program("interleave/interleave", c.changes, folder)
            for s in names:
                fault = interleave.run(program, s)
                if not fault.failed:
                    sys.exit(f"race.py: {c.name} does not fail {s}")
                mark = f"<!-- {c.name} {s} -->"
                doc = re.sub(rf"{mark}\n```.*?```\n", lambda _: f"{mark}\n```\n{block(fault.text)}\n```\n", doc, flags=re.S)
                if (c.name, s) == DRAWN:
                    with open(SVG, "w") as f:
                        f.write(svg(f"{c.name}: {c.what}", fault.text))
    with open(DOC, "w") as f:
        f.write(doc)


if __name__ == "__main__":
    main()
