# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Workers come and go while conversations live: nothing is reset, no byte and no datagram is lost, whatever the spread.

20 changes and 60 TCP conversations by default; workers.sh (`make workers`) makes it 100 and 500.
"""
import json
import os
import random
import subprocess
import sys
import time

import pytest

from lab import BASE, CONVCTL, DEVICE, HERE, PATIENCE, US, until

pytestmark = pytest.mark.alone
MOST = 6
CHANGES = int(os.environ.get("WORKERS_CHANGES", "20"))
TALKERS = 60 if CHANGES <= 20 else 500
DATAGRAMS = 20 if CHANGES <= 20 else 100
SEED = int(os.environ.get("WORKERS_SEED", "1"))


class Steady:
    """steady.py in the client's namespace."""

    def __init__(self, lab, kind, count, window):
        self.process = lab.client.popen(sys.executable, os.path.join(HERE, "steady.py"), "7", kind, str(count),
                                        str(window), *US.values(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.what = f"{count} {kind}, window {window}"

    def ready(self):
        assert self.process.stdout.readline() == "ready\n", self.what

    def stop(self):
        out, _ = self.process.communicate(timeout=2 * PATIENCE)
        said = json.loads(out)
        print(f"{self.what}: {said}")
        assert said["wrong"] == said["lost"] == said["owed"] == said["early"] == 0 and said["errors"] == [], said
        assert said["least"] > 0
        return said


def running(lab, n):
    """Workers 0 to n-1 and no others, with all the seats among them."""
    rows = lab.ctl("workers")
    return ([row["worker"] for row in rows] == list(range(n))
            and sorted(seat for row in rows for seat in row["seats"]) == list(range(MOST)))


def change(lab, rand):
    """Often the next change comes before this one is through."""
    n = rand.randint(1, MOST)
    lab.ctl("workers", "set", str(n))
    if rand.random() < 0.5:
        until(lambda: f"{n} workers: {lab.ctl('workers')}", lambda: running(lab, n))
    time.sleep(rand.random() * 0.06)


@pytest.mark.parametrize("spread, queues", [("rss", "auto"), ("flow", 1), ("flow", "auto"), ("packet", "auto"),
                                            ("auto", "auto")])
def test_workers_come_and_go(make, spread, queues):
    lab = make(config={"eal": {"memory_mb": 768}, "workers": {"count": 2, "max": MOST, "spread": spread},
                       "interfaces": [dict(BASE["interfaces"][0], device=DEVICE["tap"], rx_queues=queues)],
                       "limits": {"udp_idle_seconds": 4}})
    lab.client.ip("link", "set", lab.port, "txqueuelen", "10000")  # else the TAP loses what its 1000 have no room for
    rand = random.Random(f"{SEED} {spread} {queues}")
    clients = [Steady(lab, "tcp", TALKERS, 1000), Steady(lab, "tcp", 2, 1 << 20), Steady(lab, "udp", DATAGRAMS, 1000)]
    try:
        for client in clients:
            client.ready()
        for _ in range(CHANGES):
            change(lab, rand)
        lived = lab.ctl("stats")
        for client in clients:
            client.stop()
        lab.ctl("workers", "set", "6")
        until("6 workers", lambda: running(lab, 6))
    finally:
        for client in clients:
            client.process.kill()
    given = sum(row["seats_given"] for row in lab.ctl("workers"))
    end = lab.settle()
    drops = {name: count for name, count in end["drops"].items() if count}
    print(f"seats given away {given}, stalls {end['conv']['stalls']}, retransmits {end['tcp']['retransmits']}, drops {drops}, spread {end['spread']}")
    assert given >= CHANGES
    assert lived["tcp"]["resets_in"] == lived["tcp"]["resets_out"] == lived["drops"]["tcp_no_conv"] == 0
    # At the end a FIN that was sent again, as a probe, is acknowledged twice: the second time there is nobody (RFC 9293, 3.10.7.1).
    assert end["tcp"]["resets_in"] == 0 and end["tcp"]["resets_out"] == end["drops"]["tcp_no_conv"] <= end["tcp"]["retransmits"]
    assert not {"spread_full", "backlog_full", "no_mbuf", "conv_limit", "udp_no_conv"} & set(drops)
    # What one queue feeds stays in order, whoever serves a seat. (Of several queues of a TAP, the kernel takes for a flow
    # the one that it last got a frame of it from.)
    assert queues != 1 or "tcp_paws" not in drops
    assert end["conv"]["conversations"]["born"] == TALKERS + 2 + DATAGRAMS


def test_more_than_max_is_refused(make):
    lab = make(config={"workers": {"count": 1, "max": 2}})
    for n in ("3", "0"):
        done = subprocess.run([CONVCTL, "--socket", lab.socket, "workers", "set", n], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 2, done
    assert [row["worker"] for row in lab.ctl("workers")] == [0]
