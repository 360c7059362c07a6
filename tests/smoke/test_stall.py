# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""One worker's thread of a running convd is held by ptrace(2) for 3 s, wherever it is: the alarm, who is served
meanwhile, and that all is well afterwards. tests/sim/stall_threads holds one inside a conversation, for 5 s."""
import ctypes
import os
import time

import pytest

from lab import until
from test_workers import Steady

pytestmark = pytest.mark.alone
WORKERS = 4
HELD = 2  # the worker
SECONDS = 3.0
ALARM = 1.0
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # __WALL: threads, too

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def thread_of(pid, worker):
    """Worker i runs on EAL's lcore i + 1, and its thread is called so."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm") as f:
            if f.read().strip() == f"rte-worker-{worker + 1}":
                return int(tid)
    raise AssertionError(f"no thread of worker {worker}")


class Held:
    def __init__(self, tid):
        self.tid = tid

    def __enter__(self):
        ptrace(PTRACE_SEIZE, self.tid)
        ptrace(PTRACE_INTERRUPT, self.tid)
        os.waitpid(self.tid, WALL)

    def __exit__(self, *_):
        ptrace(PTRACE_DETACH, self.tid)


def test_alarm(make):
    lab = make(config={"workers": {"count": WORKERS, "idle": "poll"}})
    tid = thread_of(lab.process.pid, HELD)
    try:
        with Held(tid):
            pass
    except OSError as e:
        pytest.skip(f"no thread may be held here: {e}")
    assert lab.ctl("status")["stuck_worker"] == -1
    talk = Steady(lab, "tcp", 40, 1000)
    try:
        talk.ready()
        with Held(tid):
            start = time.monotonic()
            status = until("the alarm", lambda: (s := lab.ctl("status"))["reclaim_stalled"] and s, pause=0.02)
            alarm = time.monotonic() - start
            before = {row["worker"]: row["delivered"] for row in lab.ctl("workers")}
            time.sleep(SECONDS - alarm)
            after = {row["worker"]: row["delivered"] for row in lab.ctl("workers")}
        end = time.monotonic()
        until("the end of the alarm", lambda: not lab.ctl("status")["reclaim_stalled"], pause=0.02)
        well = time.monotonic() - end
        until("the worker goes on", lambda: lab.ctl("workers")[HELD]["delivered"] > after[HELD] + 10)
        talk.stop()
    finally:
        talk.process.kill()
    done = [after[w] - before[w] for w in range(WORKERS)]
    print(f"\nalarm after {1000 * alarm:.0f} ms, over after {1000 * well:.0f} ms; delivered meanwhile {done}")
    assert alarm <= ALARM and well <= ALARM
    assert status["stuck_worker"] == HELD and status["stuck_us"] >= 500000
    assert done[HELD] == 0 and sorted(done)[1] > 100
    log = lab.log()
    assert log.count(f"ALARM: worker {HELD} has been in one turn for ") == 1 and log.count("alarm over") == 1, log
    # What the others gave back waited for it no longer than that.
    assert lab.ctl("status")["stalls"] == 1
