# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Workers without work: what they cost, and whether the first packet after a silence is answered at once."""
import os
import re
import time

import pytest

from lab import US

pytestmark = pytest.mark.alone
SECONDS = 2.0
WORKERS = 4
TICK = os.sysconf("SC_CLK_TCK")


def cpu_share(lab):
    """Of one core, over a silence: user and system time of all threads (proc(5), stat)."""
    def used():
        with open(f"/proc/{lab.process.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    before, start = used(), time.monotonic()
    time.sleep(SECONDS)
    return (used() - before) / (time.monotonic() - start)


def first_answers_ms(lab, version):
    """Echo times of the first packet after each of 8 silences of half a second; no answer fails."""
    said = lab.client.run("ping", "-q", "-c", "8", "-i", "0.5", "-W", "2", US[version]).stdout
    print(said.strip().splitlines()[-1])
    assert " 0% packet loss" in said, said
    return [float(x) for x in re.search(r"= ([\d.]+)/([\d.]+)/([\d.]+)", said).groups()]


# Where a port has a descriptor to wait on, next to nothing; where it has none, each worker looks every millisecond.
@pytest.mark.parametrize("device, most", [("tap", 0.05), ("af_packet", 0.2)])
def test_adaptive_sleeps(make, device, most):
    lab = make(device, {"workers": {"count": WORKERS, "max": 6, "idle": "adaptive"}})
    before = lab.ctl("workers")
    share = cpu_share(lab)
    after = lab.ctl("workers")
    slept = [(a["slept_us"] - b["slept_us"]) / (a["up_us"] - b["up_us"]) for a, b in zip(after, before)]
    print(f"\n{device}: idle, {100 * share:.1f} % of a core; asleep {[f'{100 * s:.1f} %' for s in slept]}")
    assert share <= most
    assert len(slept) == WORKERS and min(slept) > 0.9
    for version in US:
        least, mean, _ = first_answers_ms(lab, version)
        assert least < 3 and mean < 50


def test_poll_does_not(make):
    """So that the figure above is seen to be one."""
    lab = make("tap", {"workers": {"count": WORKERS, "idle": "poll"}})
    share = cpu_share(lab)
    print(f"\npoll: idle, {100 * share:.1f} % of a core")
    assert share > 0.1
    assert all(row["sleeps"] == 0 for row in lab.ctl("workers"))
    first_answers_ms(lab, "v4")
