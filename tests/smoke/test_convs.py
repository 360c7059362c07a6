# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Many conversations listed by pages while traffic runs: each page in time, no conversation that lives missed, echo
undisturbed. 10,000 by default; convs.sh makes it 100,000."""
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from lab import CLIENT, HERE, US, until

COUNT = int(os.environ.get("CONVS_COUNT", "10000"))
PAGE_MS = 50
SOURCES = [f"10.77.0.{100 + i}" for i in range(1 + COUNT // 25000)]


class Control:
    """The control socket itself: one page for each request."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.connect(path)
        self.file = self.s.makefile("r")

    def page(self, cursor):
        began = time.monotonic()
        self.s.sendall(json.dumps({"command": "convs", "cursor": cursor}).encode() + b"\n")
        line = self.file.readline()
        took = (time.monotonic() - began) * 1000
        answer = json.loads(line)
        assert answer["ok"], answer
        return answer, took

    def pages(self):
        """All rows, and how long each page took, in ms."""
        rows, times, cursor = [], [], 0
        while cursor is not None:
            answer, took = self.page(cursor)
            rows += answer["convs"]
            cursor = answer["next"]
            times.append(took)
        return rows, times

    def close(self):
        self.file.close()
        self.s.close()


def echo_ms(lab, seconds):
    """Round trips of small datagrams for some time: their median and worst, in ms."""
    done = lab.client.run(sys.executable, os.path.join(HERE, "latency.py"), US["v4"], "7", str(seconds))
    return json.loads(done.stdout)


def test_listing(make):
    lab = make(config={"eal": {"memory_mb": 1024}, "workers": {"count": 2},
                       "limits": {"conversations": 2 * COUNT + 10000, "udp_idle_seconds": 120}})
    for a in SOURCES:
        lab.client.ip("addr", "add", a + "/24", "dev", lab.port)
    lab.client.run(CLIENT, "udp-many", US["v4"], "9", str(COUNT), *SOURCES, timeout=600)
    until(lambda: f"{COUNT} conversations: {lab.stats()['conv']['conversations']}",
          lambda: lab.stats()["conv"]["conversations"]["live"] >= COUNT * 0.99)
    quiet = echo_ms(lab, 2)
    control = Control(lab.socket)
    there = {r["id"] for r in control.pages()[0] if r["proto"] == "udp" and r["local"].endswith(":9")}
    assert len(there) >= COUNT * 0.99
    # Traffic that comes and goes, beside the listing.
    churn = lab.client.popen(CLIENT, "echo", US["v4"], "7", "1000000", "20", "2000", stdout=subprocess.DEVNULL)
    busy = lab.client.popen(sys.executable, os.path.join(HERE, "latency.py"), US["v4"], "7", "4",
                            stdout=subprocess.PIPE, text=True)
    times, listings = [], 0
    try:
        while busy.poll() is None:
            rows, took = control.pages()
            times += took
            listings += 1
            missed = there - {r["id"] for r in rows}
            assert not missed, f"{len(missed)} of {len(there)} missed, such as {sorted(missed)[:3]}"
        beside = json.loads(busy.stdout.read())
    finally:
        for p in (churn, busy):
            p.kill()
            p.wait()
        busy.stdout.close()
        control.close()
    times.sort()
    print(f"\n{len(there)} conversations listed {listings} times, {len(times)} pages: median "
          f"{statistics.median(times):.1f} ms, 99 % within {times[len(times) * 99 // 100]:.1f} ms, worst {times[-1]:.1f} ms; "
          f"echo alone {quiet}, beside listing and churn {beside}")
    assert listings >= 1
    # What a page takes, of this thread's time too; on cores that others share the worst one says little.
    assert times[len(times) * 9 // 10] <= PAGE_MS
    assert beside["lost"] <= beside["sent"] * 0.01
    # The conversations are idle: they end with their time, which a test need not wait for.
    assert lab.stop() == 0, lab.log()
