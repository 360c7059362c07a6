# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""The worst steering there can be: every packet of a conversation to the next worker.

500 conversations by default; spray.sh (`make spray`) makes it 10,000 in a row and 200 at once for each IP version.
"""
import json
import os

import pytest

from lab import CLIENT, US

pytestmark = pytest.mark.alone
WORKERS = 4
COUNT = int(os.environ.get("SPRAY_COUNT", "0"))
IN_A_ROW, AT_ONCE = (COUNT, 200) if COUNT > 0 else (200, 50)
HOURS = 3600 if COUNT > 0 else 300


def spray(lab, us, count, at_once):
    said = json.loads(lab.client.run(CLIENT, "echo", us, "7", str(count), str(at_once), "100000",
                                     timeout=HOURS, check=False).stdout)
    print(f"\n{us}: {count} conversations, {at_once} at a time: {said}")
    assert said["done"] == count and said["bytes"] == count * 100000
    assert said["reset"] == said["refused"] == said["wrong"] == said["short"] == said["failed"] == 0


@pytest.mark.parametrize("device", ["tap"])
def test_spray(make, device):
    lab = make(device, {"eal": {"memory_mb": 512}, "workers": {"count": WORKERS, "spread": "packet"},
                        "limits": {"time_wait": 32768}})
    for us in US.values():
        spray(lab, us, IN_A_ROW, 1)
        spray(lab, us, AT_ONCE, AT_ONCE)
    end = lab.settle()
    print(f"resets sent {end['tcp']['resets_out']}, received {end['tcp']['resets_in']}; retransmits "
          f"{end['tcp']['retransmits']}; drops { {k: v for k, v in end['drops'].items() if v} }")
    assert end["tcp"]["resets_in"] == end["tcp"]["resets_out"] == 0
    assert end["conv"]["conversations"]["born"] == 2 * (IN_A_ROW + AT_ONCE)
    assert end["drops"]["backlog_full"] == end["drops"]["conv_limit"] == end["drops"]["no_mbuf"] == 0
    print(f"backlog pushes {end['conv']['backlog_pushes']}, "
          f"timers armed for another worker {end['conv']['timers_moved_remote']}")
    assert end["conv"]["backlog_pushes"] > 0
    assert end["conv"]["timers_moved_remote"] > 0


def test_one_connection_on_all_workers(make):
    """Each worker handles at least 15 % of one connection's packets."""
    lab = make(config={"workers": {"count": WORKERS, "spread": "packet"}})
    before = lab.stats()["workers"]
    said = json.loads(lab.client.run(CLIENT, "echo", US["v4"], "7", "1", "1", "20000000").stdout)
    assert said["done"] == 1
    after = lab.settle()["workers"]
    share = [a["delivered"] - b["delivered"] for a, b in zip(after, before)]
    print("\npackets of one connection by worker:", share, [f"{100 * n / sum(share):.0f} %" for n in share])
    assert len(share) == WORKERS and sum(share) > 5000
    assert min(share) >= 0.15 * sum(share)
