# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Much data over one connection. 20 MB by default; bulk.sh makes it 1 GB."""
import json
import os
import sys

import pytest

from lab import CLIENT, HERE, US

BYTES = int(os.environ.get("BULK_MB", "20")) * 1000000
PATIENCE = 1800


@pytest.fixture(params=["tap", "af_packet"])
def lab(request, make):
    return make(request.param, {"workers": {"count": 2}})


def show(what, said):
    print(f"\n{what}: {said['bytes']} bytes", f"in {said['seconds']} s" if "seconds" in said else "")


def test_echo(lab, us):
    said = json.loads(lab.client.run(sys.executable, os.path.join(HERE, "echo.py"), "tcp", us, "7", str(BYTES),
                                     timeout=PATIENCE).stdout)
    show("echo", said)
    assert said["equal"] and said["bytes"] == BYTES


def test_chargen(lab, us):
    said = json.loads(lab.client.run(CLIENT, "chargen", us, "19", str(BYTES), timeout=PATIENCE).stdout)
    show("chargen", said)
    assert said["wrong"] == 0 and said["bytes"] >= BYTES


def test_discard(lab, us):
    said = json.loads(lab.client.run(CLIENT, "discard", us, "9", str(BYTES), timeout=PATIENCE).stdout)
    show("discard", said)
    assert said["eof"] and said["bytes"] == BYTES
    taken = next(l["bytes_in"] for l in lab.ctl("listeners") if l["name"] == "discard-tcp")
    assert taken == BYTES
