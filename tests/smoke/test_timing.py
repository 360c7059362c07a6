# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""When convd speaks, measured on the wire, every packet on another worker: what RFC 9293, 6298 and 5681 bound.

Bounds are wide where a busy machine may be late, and exact where being early would be the fault.
"""
import json
import os
import sys

import pytest

import lab as labs
from lab import HERE

pytest.importorskip("scapy.all")
pytestmark = pytest.mark.alone
LATE = 0.25  # seconds that a loaded machine may be late
RTO_MIN = 0.2


@pytest.fixture(scope="module", params=["v4", "v6"])
def heard(request):
    lab = labs.Lab("tap", {"workers": {"count": 4, "spread": "packet"}})
    try:
        lab.start()
        mac = lab.ctl("interfaces")[0]["mac"]
        said = lab.client.run(sys.executable, os.path.join(HERE, "timing_peer.py"), lab.port, request.param, "16.5", mac)
        result = json.loads(said.stdout)
        print(f"\n{request.param}:", {name: [(at, length) for at, length, _ in rows] for name, rows in result.items()})
        yield result
        lab.settle()
        assert lab.stop() == 0
    finally:
        lab.close()


def gaps(rows):
    times = [row[0] for row in rows]
    return [b - a for a, b in zip(times, times[1:])]


def doubled(measured, first):
    """Each as long as the one before twice over."""
    for i, gap in enumerate(measured):
        assert first * 2 ** i - 0.02 <= gap <= first * 2 ** i + LATE, measured


def test_syn_ack_is_repeated_with_backoff(heard):
    """RFC 6298 section 2.1 and 5.5: after 1 s, and twice as long each time; no more than 6 in 16 s."""
    rows = heard["synack"]
    assert 4 <= len(rows) <= 6
    doubled(gaps(rows), 1.0)


def test_data_is_retransmitted_with_backoff(heard):
    """RFC 6298 section 5: no sooner than the minimum, then twice as long each time; a tail loss probe may come before."""
    rows = [row for row in heard["data"] if row[1] > 0]
    measured = gaps(rows)
    assert len(rows) >= 5 and len({row[2] for row in rows}) == 1, rows
    if measured[0] < RTO_MIN - 0.001:
        measured = measured[1:]  # RFC 8985 section 7
    assert measured[0] >= RTO_MIN - 0.001, measured
    for shorter, longer in zip(measured[1:], measured[2:]):
        assert 2 * shorter - LATE <= longer <= 2 * shorter + LATE, measured


def test_ack_is_delayed_but_not_for_long(heard):
    """RFC 9293 section 3.8.6.3: less than 0.5 s."""
    at, length, _ = heard["delack"][0]
    assert length == 0 and at < 0.5
    assert len(heard["delack"]) == 1


def test_second_full_segment_is_acknowledged_at_once(heard):
    """RFC 5681 section 4.2: at least every second full segment; at once also what is out of order, or old."""
    at, length, _ = heard["full"][-1]
    assert length == 0 and at < 0.04 + LATE
    assert len(heard["full"]) <= 3  # one for each that was sent, should workers take them the other way round


def test_closed_window_is_probed_with_backoff(heard):
    """RFC 9293 section 3.8.6.1: the first probe after an RTO, then twice as long each time."""
    probes = [row for row in heard["persist"] if row[1] == 1]
    measured = gaps(probes)
    assert len(probes) >= 4, heard["persist"]
    assert measured[0] >= RTO_MIN - 0.001
    for shorter, longer in zip(measured, measured[1:]):
        assert 2 * shorter - LATE <= longer <= 2 * shorter + LATE, measured
