# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""convctl and the control socket of a daemon that serves."""
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from lab import CONVCTL, HERE, PATIENCE, THEM, US, run, until

MANY = 100000
SOURCES = ("10.77.0.1", "10.77.0.3")
FIRST = 10000  # source port


@pytest.fixture
def daemon(make):
    return make(config={"workers": {"count": 2, "spread": "packet"}})


def convctl(lab, *argv):
    """Whatever comes of it."""
    return run(CONVCTL, "--socket", lab.socket, *argv, check=False)


class Control:
    """The socket itself, without convctl."""

    def __init__(self, lab):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(PATIENCE)
        self.s.connect(lab.socket)
        self.lines = self.s.makefile("rb")

    def send(self, *requests):
        self.s.sendall(b"".join(json.dumps(r).encode() + b"\n" for r in requests))

    def answer(self):
        return json.loads(self.lines.readline())

    def ask(self, **request):
        self.send(request)
        return self.answer()

    def close(self):
        self.lines.close()
        self.s.close()


@pytest.fixture
def control(daemon):
    c = Control(daemon)
    yield c
    c.close()


def connect(lab, us, port):
    """A TCP client that says what it is told to on its standard input, and prints what it hears, or how it ended."""
    program = ("import socket,sys\n"
               "s=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n"
               "s.sendall(b'hello\\n'); print(s.recv(100).decode(),end='',flush=True)\n"
               "try: print('end' if s.recv(100)==b'' else 'more')\n"
               "except ConnectionResetError: print('reset')\n")
    p = lab.client.popen(sys.executable, "-c", program, us, str(port), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "hello\n"
    return p


def test_a_call_from_first_to_last(daemon, us, version):
    p = connect(daemon, us, 7)
    port = {"v4": "10.77.0.2:7", "v6": "[fd77::2]:7"}[version]
    rows = daemon.ctl("convs", "proto=tcp", "state=established", "local=" + port)
    assert len(rows) == 1
    row = rows[0]
    assert row["local"] == port and row["listener"] == "echo-tcp"
    assert THEM[version] in row["remote"]
    table = convctl(daemon, "convs").stdout.splitlines()
    assert table[0].split()[0] == "ID" and any(line.split()[0] == row["id"] for line in table[1:])
    whole = daemon.ctl("conv", row["id"])
    assert whole["bytes_in"] == whole["bytes_out"] == 6
    assert whole["service"] == "echo" and whole["mss"] >= 1200
    said = convctl(daemon, "hangup", row["id"])
    assert said.returncode == 0, said.stderr
    # The peer hears of it at once, by a RST.
    assert p.communicate(timeout=PATIENCE)[0] == "reset\n"
    said = convctl(daemon, "conv", row["id"])
    assert said.returncode == 1 and said.stderr == f"convctl: conv: {row['id']} is gone\n"
    assert convctl(daemon, "hangup", row["id"]).returncode == 1


def test_exit_codes(daemon):
    assert convctl(daemon, "status").returncode == 0
    assert convctl(daemon, "conv", "0.1").returncode == 1
    assert convctl(daemon, "top").returncode == 1
    assert convctl(daemon, "conv").returncode == 2
    assert convctl(daemon, "convs", "remote=nowhere").returncode == 2
    assert run(CONVCTL, "--socket", daemon.dir + "/none", "status", check=False).returncode == 3


def test_what_is_configured_is_shown(daemon):
    status = daemon.ctl("status")
    assert status["state"] == "running" and status["pid"] == daemon.process.pid
    assert status["workers"] == 2 and status["spread"] == "packet" and status["config"] == daemon.file
    listeners = {row["name"]: row for row in daemon.ctl("listeners")}
    assert set(listeners) == {row["name"] for row in daemon.config["listeners"]}
    assert listeners["echo-one"]["conversation"] == "one" and listeners["echo-one"]["local"] == "*:1007"
    interface, = daemon.ctl("interfaces")
    assert interface["name"] == "lan" and interface["up"] and interface["driver"] == "net_tap"
    assert {"10.77.0.2/24", "fd77::2/64"} <= {a["address"] for a in interface["addresses"]}
    assert [row["worker"] for row in daemon.ctl("workers")] == [0, 1]
    for command in ("status", "listeners", "interfaces", "workers", "stats"):
        assert convctl(daemon, command).stdout


def test_stats_go_on(daemon):
    """Three reports, and what ping adds to them."""
    p = subprocess.Popen([CONVCTL, "--socket", daemon.socket, "--json", "stats", "-i", "0.2"],
                         stdout=subprocess.PIPE, text=True)
    try:
        first = json.loads(p.stdout.readline())
        assert daemon.ping("v4", "-c", "3", "-i", "0.05")
        until("echoes in the statistics", lambda: json.loads(p.stdout.readline())["ip"]["icmp_echoes"] >=
              first["ip"]["icmp_echoes"] + 3)
    finally:
        p.kill()
        p.communicate()


def test_rude_clients_hold_nobody_up(daemon, us):
    """One that never ends its line, one that never reads, many that say nothing; and echo goes on."""
    endless = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    endless.settimeout(PATIENCE)
    endless.connect(daemon.socket)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            endless.send(b"x" * 65536)
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    deaf.setblocking(False)
    deaf.connect(daemon.socket)
    with pytest.raises(BlockingIOError):
        while True:
            deaf.send(b'{"command":"stats"}\n' * 100)
    silent = [Control(daemon) for _ in range(50)]
    assert daemon.ctl("status")["clients"] >= 51
    assert daemon.ping("v4") and daemon.ping("v6")
    p = connect(daemon, us, 7)
    p.kill()
    p.communicate()
    for one in silent:
        one.close()
    deaf.close()
    endless.close()
    until("clients to go", lambda: daemon.ctl("status")["clients"] == 1)


def test_two_daemons_do_not_share_a_socket(daemon, make):
    other = make(config={"control": {"socket": daemon.socket}}, start=False)
    other.start(wait=False)
    assert other.process.wait(timeout=PATIENCE) == 2
    assert f"{daemon.socket}: another daemon listens on it" in other.log()
    assert daemon.ctl("status")["pid"] == daemon.process.pid


def test_a_socket_that_a_kill_left_is_taken(daemon):
    pid = daemon.process.pid
    daemon.process.kill()
    daemon.process.wait(timeout=PATIENCE)
    assert os.path.exists(daemon.socket)
    assert convctl(daemon, "status").returncode == 3
    daemon.baseline = None
    daemon.start()
    assert daemon.ctl("status")["pid"] != pid


def pages(control, **more):
    """Every row, and how long each page took, in ms."""
    rows, took, cursor = [], [], 0
    while cursor is not None:
        start = time.monotonic()
        answer = control.ask(command="convs", cursor=cursor, **more)
        took.append((time.monotonic() - start) * 1e3)
        rows += answer["convs"]
        cursor = answer["next"]
    return rows, sorted(took)


def latency(lab, during):
    """Echo goes on while during() runs. @return its latencies, and what during() returned"""
    p = lab.client.popen(sys.executable, os.path.join(HERE, "udp_latency.py"), US["v4"], "7",
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    result = during()
    said = json.loads(p.communicate("\n", timeout=PATIENCE)[0])
    return said, result


@pytest.mark.alone
def test_a_hundred_thousand_conversations(make):
    """By pages while traffic runs: each in time, all survivors met once, echo undisturbed; and all hung up after."""
    lab = make(config={"workers": {"count": 2, "spread": "packet"}, "eal": {"memory_mb": 512},
                       "limits": {"conversations": MANY + 20000, "udp_idle_seconds": 3600}})
    lab.client.ip("addr", "add", SOURCES[1] + "/24", "dev", lab.port)

    def live():
        return lab.ctl("status")["nodes"]["conversations"]["live"]

    def speak():
        for source in SOURCES:
            lab.client.run(sys.executable, os.path.join(HERE, "udp_many.py"), US["v4"], "9", source, str(FIRST),
                           str(MANY // len(SOURCES)), timeout=5 * PATIENCE)
        return live() >= MANY
    # What a full ring has lost is sent again.
    until("conversations", speak, seconds=10 * PATIENCE)
    control = Control(lab)
    page = json.dumps(control.ask(command="convs", cursor=0))

    def beginning(port, what):
        """New conversations begin all the time during what()."""
        more = lab.client.popen(sys.executable, os.path.join(HERE, "udp_many.py"), US["v4"], "9", THEM["v4"],
                                str(port), "4000")
        result = [what() for _ in range(3)]
        assert more.wait(timeout=5 * PATIENCE) == 0
        return result

    def as_busy():
        """What listing costs this process, without the listing."""
        for _ in range(MANY // 1000):
            json.loads(page)
            time.sleep(0.005)
    quiet, _ = latency(lab, lambda: beginning(1024, as_busy))
    busy, found = latency(lab, lambda: beginning(5024, lambda: pages(control)))
    survivors = {f"{source}:{FIRST + i}" for source in SOURCES for i in range(MANY // len(SOURCES))}
    took = []
    for rows, ms in found:
        remotes = [row["remote"] for row in rows if row["listener"] == "discard-udp"]
        assert len(remotes) == len(set(remotes)), "a conversation is listed twice"
        assert survivors <= set(remotes), f"{len(survivors - set(remotes))} are missed"
        took += ms
    took.sort()
    print(f"{len(took)} pages: median {took[len(took) // 2]:.1f} ms, 95 % {took[len(took) * 95 // 100]:.1f} ms, "
          f"worst {took[-1]:.1f} ms; echo quiet {quiet}, during the listings {busy}")
    assert took[len(took) // 2] <= 50
    # A machine that runs other things too may stop us now and then; nothing is longer for that.
    loaded = os.getloadavg()[0] > os.cpu_count()
    assert took[len(took) * 90 // 100] <= 50 or loaded
    assert busy["n"] > 100
    assert busy["median"] <= 3 * quiet["median"] + 3 or loaded
    ids = [row["id"] for row in pages(control)[0]]
    for i in range(0, len(ids), 500):
        control.send(*({"command": "hangup", "id": id} for id in ids[i:i + 500]))
        assert all(control.answer()["ok"] for _ in ids[i:i + 500])
    control.close()
    until("the last of them to go", lambda: not lab.ctl("convs"))  # hangups are done after the answers
