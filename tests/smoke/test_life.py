# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Start, refusal to start, signals, drain, and being killed."""
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

import lab as labs
from lab import CONVCTL, CONVD, HERE, PATIENCE, US, run, until

CONFIGS = os.path.join(HERE, "..", "config")
# These two are about services that only the unit test has (tests/unit/config_services.h).
UNIT_ONLY = {"conversation_service.expect", "service_options.expect"}
BROKEN = sorted(e for e in glob.glob(os.path.join(CONFIGS, "*.expect"))
                if os.path.basename(e) not in UNIT_ONLY)


def convd(*argv, **more):
    return run(CONVD, *argv, check=False, **more)


def open_nc(lab, us=US["v4"]):
    """A conversation with echo that stays open."""
    p = lab.client.popen("nc", us, "7", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdin.write(b"hello\n")
    p.stdin.flush()
    assert p.stdout.readline() == b"hello\n"
    return p


def end(p):
    p.kill()
    p.wait()
    p.stdin.close()
    p.stdout.close()


# ---- the command line ----

def test_version_and_help():
    said = convd("--version")
    assert said.returncode == 0 and said.stdout.startswith("convd 0.")
    said = convd("--help")
    assert said.returncode == 0 and "--check" in said.stdout


@pytest.mark.parametrize("argv", [(), ("--check",), ("--nonsense",), ("--config",), ("--config", "x.json", "y")])
def test_usage(argv):
    said = convd(*argv)
    assert said.returncode == 2 and said.stdout == "" and said.stderr != ""


def test_no_such_file():
    said = convd("--config", "/nonexistent/convd.json")
    assert said.returncode == 2
    assert said.stderr.startswith("/nonexistent/convd.json: ") and said.stderr.count("\n") == 1


@pytest.mark.parametrize("expect", BROKEN, ids=[os.path.basename(e)[:-7] for e in BROKEN])
def test_check_broken(expect):
    """Each broken configuration: exit 2, and exactly the lines that are written beside it."""
    said = convd("--check", "--config", os.path.basename(expect)[:-6] + "json", cwd=CONFIGS)
    with open(expect) as f:
        assert said.stderr == f.read()
    assert said.returncode == 2


@pytest.mark.parametrize("service, options, fault", [
    ("http", {"title": "x"}, "listeners[0].options.title: unknown option (known: body, content_type)"),
    ("http", {"body": 7}, "listeners[0].options.body: must be a string"),
    ("echo", {"loud": True}, "listeners[0].options.loud: unknown option, the service has none"),
])
def test_check_options(tmp_path, service, options, fault):
    """The options of the services that there are."""
    listener = {"name": "a", "protocol": "tcp", "port": 80, "service": service, "options": options}
    (tmp_path / "c.json").write_text(json.dumps({**labs.BASE, "listeners": [listener]}))
    said = convd("--check", "--config", "c.json", cwd=tmp_path)
    assert (said.returncode, said.stderr) == (2, f"c.json: {fault}\n")


def test_check_good():
    said = convd("--check", "--config", os.path.join(CONFIGS, "good_minimal.json"))
    assert (said.returncode, said.stderr) == (0, "")


# ---- a host that can't ----

def check(tmp_path, more, *before):
    """--check of a configuration: exit status and lines."""
    (tmp_path / "c.json").write_text(json.dumps(labs.merged(labs.BASE, more)))
    said = run(*before, CONVD, "--check", "--config", "c.json", cwd=tmp_path, check=False)
    return said.returncode, said.stderr.splitlines()


def test_check_hugepages(tmp_path):
    """What is free on each NUMA node, and the command that mends it."""
    status, lines = check(tmp_path, {"eal": {"hugepages": True, "memory_mb": 1048576}})
    assert status == 2 and len(lines) == 1
    assert lines[0].startswith("c.json: eal.hugepages: 1048576 MB are asked for, ")
    assert "node 0: " in lines[0] and lines[0].endswith("/nr_hugepages") and ": echo 524288 > " in lines[0]


def test_check_devices(tmp_path):
    interfaces = [{"name": f"i{i}", "device": device, "addresses": [f"10.{i}.0.2/24"]} for i, device in
                  enumerate(("net_af_packet0,iface=absent0", "0000:ff:1f.7", "net_tap0,iface=convd0"))]
    status, lines = check(tmp_path, {"interfaces": interfaces})
    assert status == 2 and len(lines) == 2, lines
    assert lines[0].startswith("c.json: interfaces[0].device: ") and "absent0" in lines[0]
    assert lines[1].startswith("c.json: interfaces[1].device: ") and "0000:ff:1f.7" in lines[1]


def test_check_queues(tmp_path):
    """spread "rss" needs a queue for each worker."""
    status, lines = check(tmp_path, {"workers": {"count": 4, "spread": "rss"}, "interfaces": [
        {"name": "a", "device": "net_tap0,iface=convd0", "rx_queues": 2, "addresses": ["10.77.0.2/24"]}]})
    assert status == 2 and len(lines) == 1
    assert lines[0].startswith("c.json: interfaces[0].rx_queues: 2, ")


def test_check_socket(tmp_path):
    """A folder that takes no files of ours; told without root."""
    tmp_path.chmod(0o755)
    status, lines = check(tmp_path, {"control": {"socket": "/etc/convd/control.sock"}}, "setpriv", "--reuid", "65534",
                          "--regid", "65534", "--clear-groups")
    if status == 126 or (status == 127 and lines):
        pytest.skip("the build folder is closed to others")
    assert status == 2 and "c.json: control.socket: /etc: Permission denied: run as root, or choose another path" in lines


@pytest.mark.parametrize("device, words", [
    ("net_nonsense0", "net_nonsense0"),
    ("net_af_packet0,iface=absent0", "absent0"),
    ("net_af_packet0", "iface"),
    ("0000:ff:1f.7", "0000:ff:1f.7"),
])
def test_refuses_device(make, device, words):
    """One line that names the place, exit 2, nothing half-started."""
    lab = make(config={"interfaces": [{"name": "lan", "device": device, "addresses": ["10.77.0.2/24"]}]}, start=False)
    lab.start(wait=False)
    assert lab.process.wait(timeout=PATIENCE) == 2, lab.log()
    lab.process = None
    lines = lab.log().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{lab.file}: interfaces[0].device: ") and words in lines[0]
    assert not os.path.exists(lab.socket)


def test_refuses_mtu(make):
    """A capability that the device lacks."""
    lab = make(start=False)
    lab.config["interfaces"][0]["mtu"] = 9000
    lab.start(wait=False)
    assert lab.process.wait(timeout=PATIENCE) == 2, lab.log()
    lab.process = None
    line, = lab.log().splitlines()
    assert line.startswith(f"{lab.file}: interfaces[0].device: mtu: net_tap0 does not take 9000: ")


def test_refuses_too_little_memory(make):
    lab = make(config={"eal": {"memory_mb": 128}, "limits": {"conversations": 1000000}}, start=False)
    lab.start(wait=False)
    assert lab.process.wait(timeout=PATIENCE) == 2, lab.log()
    lab.process = None
    line, = lab.log().splitlines()
    assert line.startswith(f"{lab.file}: limits.conversations: ")


def test_refuses_used_socket(make):
    """A second daemon does not take the first one's control socket, and says so."""
    first = make()
    second = make(config={"control": {"socket": first.socket}}, start=False)
    second.start(wait=False)
    assert second.process.wait(timeout=PATIENCE) == 2, second.log()
    second.process = None
    line, = second.log().splitlines()
    assert line.startswith(f"{second.file}: control.socket: ") and first.socket in line
    assert first.ctl("status")["state"] == "running"


# ---- signals ----

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_ends_as_asked(make, sig):
    lab = make()
    pid = lab.process.pid
    began = time.monotonic()
    assert lab.stop(sig) == 0, lab.log()
    assert time.monotonic() - began < 15
    assert not os.path.exists(lab.socket)
    assert lab.leftovers(pid) == []


def test_drain_lets_conversations_finish(make):
    """SIGTERM: no new calls, the old one goes on; when it ends so does convd, well before its time is up."""
    lab = make(config={"limits": {"drain_seconds": 300}})
    p = open_nc(lab)
    try:
        lab.process.send_signal(signal.SIGTERM)
        until("draining", lambda: lab.ctl("status")["state"] == "draining")
        p.stdin.write(b"still here\n")
        p.stdin.flush()
        assert p.stdout.readline() == b"still here\n"
        late = lab.client.run("nc", "-N", "-w", "2", US["v4"], "7", input="late\n", check=False)
        assert late.returncode != 0 and late.stdout == ""
        assert lab.process.poll() is None
    finally:
        end(p)
    assert lab.process.wait(timeout=PATIENCE) == 0, lab.log()
    lab.process = None


def test_drain_ends_in_time(make):
    """A conversation that never ends holds convd for drain_seconds, and is then hung up."""
    lab = make(config={"limits": {"drain_seconds": 1}})
    p = open_nc(lab)
    try:
        assert lab.stop(seconds=PATIENCE) == 0, lab.log()
        assert p.wait(timeout=PATIENCE) is not None
    finally:
        end(p)


def test_sighup_is_survived(make):
    lab = make()
    lab.process.send_signal(signal.SIGHUP)
    until("a line about SIGHUP", lambda: "SIGHUP" in lab.log())
    assert lab.ping("v4") and lab.process.poll() is None


def test_tells_systemd(make):
    """READY=1 when it serves, STOPPING=1 when it ends (sd_notify(3))."""
    lab = make(start=False)
    path = os.path.join(lab.dir, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(PATIENCE)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            lab.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert s.recv(4096) == b"READY=1"
        assert lab.stop() == 0
        assert s.recv(4096) == b"STOPPING=1"


# ---- kill -9 ----

@pytest.mark.parametrize("device", ["tap", "af_packet"])
def test_killed_in_traffic(make, device):
    """kill -9 in the middle of traffic, then start again at once: serves, nothing is pinned or stale."""
    lab = make(device, {"workers": {"count": 2}})
    for _ in range(2):
        traffic = [lab.client.popen(labs.CLIENT, *argv, stdout=subprocess.DEVNULL) for argv in
                   (("echo", US["v4"], "7", "1000", "20", "100000"), ("chargen", US["v6"], "19", "1000000000"))]
        try:
            until("traffic", lambda: lab.stats()["delivered"] > 2000)
            pid = lab.process.pid
            lab.process.kill()
            lab.process.wait(timeout=PATIENCE)
        finally:
            for p in traffic:
                p.kill()
                p.wait()
        assert os.path.exists(lab.socket)  # of the dead: the next one replaces it
        assert lab.leftovers(pid) == []
        lab.baseline = None
        lab.start()
        said = lab.client.run(sys.executable, os.path.join(HERE, "echo.py"), "tcp", US["v4"], "7", "100000").stdout
        assert '"equal": true' in said
    assert run(CONVCTL, "--socket", lab.socket, "status").stdout != ""
