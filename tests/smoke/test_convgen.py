# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""convgen against convd over memif: two processes, each with a port of shared memory, and no network at all."""
import json
import os

import pytest

from lab import BUILD, Lab, run

CONVGEN = os.path.join(BUILD, "app", "convgen")
US = "10.9.0.2"
# The same MAC each time: convd knows its neighbour.
DEVICE = "net_memif0,role=client,socket={}/m.sock,socket-abstract=no,mac=02:09:00:00:00:01"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memif")
    device = f"net_memif0,role=server,socket={folder}/m.sock,socket-abstract=no"
    lab = Lab(config={"interfaces": [{"name": "m", "device": device, "addresses": [US + "/24"]}]})
    lab.addresses = lambda: None  # the kernel is not on this link
    lab.folder = folder
    yield lab.start()
    assert lab.stop() == 0
    lab.close()


def gen(lab, *argv, status=0):
    """Run convgen for a second. @return its result"""
    said = run(CONVGEN, "--device", DEVICE.format(lab.folder), "--address", "10.9.0.1/24", "--address", "10.9.0.3/24", "--memory-mb", "192", "--duration", "0.4", "--warmup", "0.2",
               "--progress", "0", "--json", "-", *argv, check=False)
    assert said.returncode == status, f"{argv}: exit {said.returncode}\n{said.stdout}\n{said.stderr}"
    return json.loads(said.stdout) if said.stdout else None


def no_errors(said):
    return all(n == 0 for name, n in said["errors"].items() if name != "no_port")


def test_connect(server):
    said = gen(server, "connect", "--concurrency", "16", US)
    assert no_errors(said) and said["connects"] > 100 and said["latency_us"]["p50"] > 0


def test_connect_by_reset(server):
    said = gen(server, "connect", "--reset", "--rate", "2000", US)
    assert no_errors(said) and 500 <= said["connects"] <= 1000


def test_request(server):
    said = gen(server, "request", "--connections", "20", "--pipeline", "4", "--size", "1000", US)
    assert no_errors(said) and said["requests"] > 100
    assert abs(said["bytes_in"] - 1000 * said["requests"]) < 200000
    q = said["latency_us"]
    assert q["p50"] <= q["p90"] <= q["p99"] <= q["p99_9"] <= q["max"]
    assert abs(q["count"] - said["requests"]) <= said["requests"] / 10  # the switch is not the same moment for both


def test_request_by_schedule(server):
    said = gen(server, "request", "--rate", "2000", US)
    assert no_errors(said) and 500 <= said["requests"] <= 1000


def test_http(server):
    said = gen(server, "http", US)
    assert no_errors(said) and said["requests"] > 100


def test_http_missing_page(server):
    said = gen(server, "http", "--path", "/nobody", US)
    assert said["errors"]["status"] > 100


def test_http_close(server):
    said = gen(server, "http", "--close", "--connections", "8", US)
    assert no_errors(said) and abs(said["requests"] - said["connects"]) <= 16 and said["requests"] > 50


def test_udp(server):
    said = gen(server, "udp", "--flows", "32", US)
    assert said["errors"]["mismatch"] == 0 and said["requests"] > 100


def test_idle(server):
    said = gen(server, "idle", "--connections", "500", "--echo-rate", "1000", US)
    assert no_errors(said) and said["requests"] > 200


@pytest.mark.parametrize("direction", ["send", "receive"])
def test_bulk(server, direction):
    said = gen(server, "bulk", "--direction", direction, US)
    assert no_errors(said) and said["bytes_out" if direction == "send" else "bytes_in"] > 1000000


def test_wrong_answer(server):
    """From chargen comes what was not sent: that must not pass."""
    assert gen(server, "request", US + ":19", status=1)["errors"]["mismatch"] > 0


def test_nobody_there(server):
    assert gen(server, "request", US + ":99", status=1)["errors"]["refused"] > 0


@pytest.mark.parametrize("argv, said", [
    (["request"], "mode and target are needed"),
    (["frobnicate", US], 'there is no mode "frobnicate"'),
    (["request", US + ":0"], "neither a port nor a range"),
    (["request", US, "--rate", "x"], '--rate: "x" is not a number'),
    (["request", "10.9.0"], "is no address"),
    (["request", US], "--device and --address, or --config, are needed"),
    (["request", US, "--device", "net_null0", "--address", "10.9.0.1"], "interfaces[0].addresses[0]"),
])
def test_usage(argv, said):
    done = run(CONVGEN, *argv, check=False)
    assert done.returncode == 2 and said in done.stderr, done.stderr
