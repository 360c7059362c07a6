# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""convgen against convd over memif: two processes, each with a port of shared memory, and no network at all."""
import contextlib
import json
import os
import subprocess
import sys

import pytest

from lab import BUILD, Lab, Namespace, run, until

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


@pytest.mark.alone
def test_refused_delays_nobody(server):
    """Half of them are refused, and wait before they try again; the others don't wait for these."""
    said = gen(server, "connect", "--concurrency", "16", US + ":7-8")
    assert said["errors"]["refused"] > 8 and said["connects"] > 2 * said["errors"]["refused"]


# ---- mode hold: no stack, nothing remembered

SOURCES = ["--sources", "10.64.0.0/16"]
HOLD = ["--cores", "1" if (os.cpu_count() or 1) > 1 else "0", "hold"]  # convd has the other one


@pytest.fixture(scope="module")
def holder(tmp_path_factory):
    """convd with room for many, and a way back to where they come from."""
    folder = tmp_path_factory.mktemp("hold")
    device = f"net_memif0,role=server,socket={folder}/m.sock,socket-abstract=no"
    lab = Lab(config={"interfaces": [{"name": "m", "device": device, "addresses": [US + "/24"]}],
                      "routes": [{"to": "10.64.0.0/16", "via": "10.9.0.1"}],
                      "listeners": [{"name": "echo", "protocol": "tcp", "port": "7000-7003", "service": "echo"}],
                      "limits": {"conversations": 40000}})
    lab.addresses = lambda: None
    lab.folder = folder
    yield lab.start()
    assert lab.stop() == 0
    lab.close()


def live(lab):
    return lab.stats()["conv"]["conversations"]["live"]


def test_hold(holder):
    """20,000 stay while others come and go; each of those drawn answers; at the end all are reset."""
    said = gen(holder, *HOLD, *SOURCES, "--connections", "20000", "--churn", "2000", "--sample", "2000", "--reset",
               US + ":7000-7003")
    assert said["established"] == 20000 and said["refused"] == said["lost"] == said["ended"] == 0
    assert said["sample"] == {**said["sample"], "asked": 2000, "correct": 2000, "wrong": 0, "missing": 0}
    assert said["churn"]["closed"] > 500 and said["latency_us"]["count"] == 2000
    assert said["counts"]["bad"] == said["counts"]["no_buffer"] == 0
    until("all are gone", lambda: live(holder) == 0)


def test_hold_leaves(holder):
    """Without --reset they stay; the next run finds them, ends them, and opens its own."""
    for size in ("64", "1000"):
        said = gen(holder, *HOLD, *SOURCES, "--connections", "5000", "--churn", "1000", "--sample", "500", "--size", size,
                   US + ":7000-7003")
        assert said["established"] == 5000 and said["sample"]["correct"] == 500
        until("those that come and go are gone", lambda: live(holder) == 5000)
    gen(holder, *HOLD, *SOURCES, "--connections", "5000", "--reset", US + ":7000-7003")
    until("all are gone", lambda: live(holder) == 0)


def test_hold_without_options(holder):
    said = gen(holder, *HOLD, "--connections", "5000", "--reset", "--no-options", US + ":7000-7003")
    assert said["established"] == said["sample"]["correct"] == 5000
    until("all are gone", lambda: live(holder) == 0)


def test_hold_nobody_there(holder):
    said = gen(holder, *HOLD, "--connections", "50", US + ":99", status=1)
    assert said["refused"] > 0 and said["established"] == 0


ECHO = """
import selectors, socket
s = selectors.DefaultSelector()
l = socket.create_server(("", 7), backlog=4096)
s.register(l, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in s.select():
        if key.fileobj is l:
            c, _ = l.accept()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in ((socket.TCP_KEEPIDLE, 2), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
                c.setsockopt(socket.IPPROTO_TCP, option, value)
            s.register(c, selectors.EVENT_READ)
            continue
        try:
            data = key.fileobj.recv(4096)
            key.fileobj.sendall(data)
        except OSError:
            data = b""
        if not data:
            s.unregister(key.fileobj)
            key.fileobj.close()
"""


def test_hold_linux(tmp_path):
    """The kernel's stack takes them for peers, too: handshakes, echo, FIN, and keepalive, which it would end them by after 4 s."""
    with open(tmp_path / "convgen.err", "w") as err, contextlib.closing(Namespace()) as ns:
        convgen = ns.popen(CONVGEN, "--device", "net_tap0,iface=g0", "--address", "10.9.0.1/24", "--memory-mb", "192", *HOLD, *SOURCES,
                           "--connections", "500", "--churn", "100", "--duration", "7", "--progress", "0", "--json", "-", "10.9.0.2",
                           stdout=subprocess.PIPE, stderr=err, text=True)
        try:
            until("convgen has its device", lambda: ns.run("ip", "link", "show", "g0", check=False).returncode == 0)
            with ns.popen(sys.executable, "-c", ECHO, stdout=subprocess.PIPE, text=True) as echo:
                assert echo.stdout.readline() == "ready\n"
                for argv in (["addr", "add", "10.9.0.2/24", "dev", "g0"], ["link", "set", "g0", "up"],
                             ["route", "add", "10.64.0.0/16", "via", "10.9.0.1"]):
                    ns.ip(*argv)
                out, _ = convgen.communicate(timeout=60)
                echo.kill()
        finally:
            convgen.kill()
    assert convgen.returncode == 0, (out, (tmp_path / "convgen.err").read_text())
    said = json.loads(out)
    assert said["established"] == 500 and said["ended"] == 0
    assert said["sample"]["correct"] == 500 and said["churn"]["closed"] > 300 and said["counts"]["keepalives"] >= 1000


@pytest.mark.parametrize("argv, said", [
    (["request"], "mode and target are needed"),
    (["frobnicate", US], 'there is no mode "frobnicate"'),
    (["request", US + ":0"], "neither a port nor a range"),
    (["request", US, "--rate", "x"], '--rate: "x" is not a number'),
    (["request", "10.9.0"], "is no address"),
    (["request", US], "--device and --address, or --config, are needed"),
    (["hold", "fd00::2"], "IPv4 only"),
    (["hold", US, "--sources", "10.0.0.0/33"], "is no IPv4 prefix"),
    (["hold", US, "--sources", "10.0.0/8x"], "is no IPv4 prefix"),
    (["hold", US, "--size", "2000"], "at most 1024"),
    (["hold", US, "--source-ports", "9-8"], "neither a port nor a range"),
    (["hold", US, "--device", "net_null0", "--address", "10.9.0.1/24", "--sources", "10.9.0.0/30"], "the target is one of them"),
    (["hold", US, "--device", "net_null0", "--address", "10.9.0.1/24", "--connections", "65000"], "tuples are too few"),
    (["hold", "10.8.0.1", "--device", "net_null0", "--address", "10.9.0.1/24", "--memory-mb", "64"], "no way to the target"),
    (["request", US, "--device", "net_null0", "--address", "10.9.0.1"], "interfaces[0].addresses[0]"),
])
def test_usage(argv, said):
    done = run(CONVGEN, *argv, check=False)
    assert done.returncode == 2 and said in done.stderr, done.stderr
