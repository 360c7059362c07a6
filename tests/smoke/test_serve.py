# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Unmodified Linux programs against every service, on both kinds of port, both IP versions, all ways to spread."""
import json
import os
import subprocess
import sys

import pytest

from lab import CLIENT, HERE, PATIENCE, US

CHARGEN = bytes(32 + i for i in range(95))


def url(us, path="/"):
    return f"http://[{us}]{path}" if ":" in us else f"http://{us}{path}"


def curl(lab, *argv):
    return lab.client.run("curl", "-s", "-S", "-m", str(PATIENCE), *argv).stdout


def python(lab, program, *argv):
    """A program of this folder, in the client's namespace."""
    done = lab.client.run(sys.executable, os.path.join(HERE, program), *map(str, argv))
    return json.loads(done.stdout)


def test_ping(lab, us):
    said = lab.client.run("ping", "-c", "5", "-i", "0.05", "-W", "10", us).stdout
    assert " 5 received, 0% packet loss" in said


def kernel_joins(lab, us):
    """net_af_packet asks its socket for PACKET_FANOUT_FLAG_DEFRAG: the kernel joins IPv4 fragments before convd sees
    them, and what is then larger than a frame of the socket's ring (framesz, 2048) is cut off there."""
    return lab.device == "af_packet" and ":" not in us


def test_ping_in_many_fragments(lab, us):
    """Joined from 41 fragments, and the answer sent in as many."""
    size, pieces = (1800, 0) if kernel_joins(lab, us) else (60000, 3 * 40)
    before = lab.stats()["ip"]
    for _ in range(3):  # a machine with more to do than it can may lose one
        said = lab.client.run("ping", "-c", "3", "-i", "0.2", "-W", "10", "-s", str(size), us, check=False).stdout
        if " 3 received, 0% packet loss" in said:
            break
    assert " 3 received, 0% packet loss" in said
    after = lab.stats()["ip"]
    assert after["fragments_in"] - before["fragments_in"] >= pieces
    assert after["fragments_out"] - before["fragments_out"] >= max(pieces, 3 * 2)


def test_http_get(lab, us):
    assert curl(lab, "-w", " %{http_code}", url(us)) == "convd\n 200"


def test_http_head(lab, us):
    said = curl(lab, "-I", url(us))
    assert said.startswith("HTTP/1.1 200 OK\r\n") or said.startswith("HTTP/1.1 200 OK\n")
    assert "Content-Length: 6" in said
    assert said.rstrip().endswith("keep-alive")


def test_http_not_found(lab, us):
    assert curl(lab, "-o", "/dev/null", "-w", "%{http_code}", url(us, "/nowhere")) == "404"


@pytest.mark.parametrize("request_line, status", [
    ("GET / HTTP/x.y", 400), ("GET  HTTP/1.1", 400), ("POST / HTTP/1.1", 405), ("BREW / HTTP/1.1", 501)])
def test_http_refuses(lab, us, request_line, status):
    text = f"{request_line}\r\nHost: x\r\n\r\n"
    said = lab.client.run("nc", "-N", "-w", "10", us, "80", input=text).stdout
    assert said.startswith(f"HTTP/1.1 {status} "), said


def test_http_keeps_alive(lab, us):
    """Three pages over one connection; then one that is told to close."""
    said = curl(lab, "-w", "%{num_connects} ", url(us), url(us), url(us))
    assert said == "convd\n1 convd\n0 convd\n0 "
    assert "Connection: close" in curl(lab, "-i", "-H", "Connection: close", url(us))


def test_echo_100_kb(lab, us):
    said = python(lab, "echo.py", "tcp", us, 7, 100000)
    assert said["equal"] and said["bytes"] == 100000


def test_echo_many(lab, us):
    """Forty conversations, eight at a time, each byte compared."""
    said = json.loads(lab.client.run(CLIENT, "echo", us, "7", "40", "8", "100000").stdout)
    assert said["done"] == 40 and said["bytes"] == 40 * 100000


def test_echo_nc(lab, us):
    text = "".join(f"line {i}\n" for i in range(2000))
    assert lab.client.run("nc", "-N", "-w", "10", us, "7", input=text).stdout == text


def test_echo_socat(lab, us):
    text = "".join(f"line {i}\n" for i in range(2000))
    kind = "TCP6" if ":" in us else "TCP4"
    to = f"[{us}]" if ":" in us else us
    assert lab.client.run("socat", "-t", "10", "-", f"{kind}:{to}:7", input=text).stdout == text


@pytest.mark.parametrize("size", [0, 1, 1000, 4000])
def test_echo_udp(lab, us, size):
    """Datagrams come back whole, the large ones in fragments both ways."""
    if kernel_joins(lab, us):
        size = min(size, 1900)
    said = python(lab, "echo.py", "udp", us, 7, size)
    assert said["equal"] and said["bytes"] == size


def test_echo_udp_one_conversation(lab, us):
    """One conversation hears all peers, and answers each of them."""
    for size in (10, 500):
        assert python(lab, "echo.py", "udp", us, 1007, size)["equal"]


def test_discard(lab, us):
    """What went in was counted, all of it, and nothing came back."""
    def taken():
        return next(l["bytes_in"] for l in lab.ctl("listeners") if l["name"] == "discard-tcp")

    before = taken()
    said = json.loads(lab.client.run(CLIENT, "discard", us, "9", "1000000").stdout)
    assert said["bytes"] == 1000000 and said["eof"]
    lab.settle()
    assert taken() - before == 1000000


def test_chargen(lab, us):
    """RFC 864's pattern, for 14 times all of its lines."""
    said = json.loads(lab.client.run(CLIENT, "chargen", us, "19", "100000").stdout)
    assert said["bytes"] >= 100000 and said["wrong"] == 0


def test_chargen_udp(lab, us):
    said = python(lab, "echo.py", "ask", us, 19, 5)
    first = (CHARGEN[:72] + b"\r\n").decode()
    assert 0 <= said["bytes"] <= 512
    assert said["text"][:74] == first[:said["bytes"]]


def test_closed_ports(lab, us):
    """A port that nobody listens on: refused at once, over both protocols."""
    assert python(lab, "echo.py", "refused-tcp", us, 4444, 0)["errno"] == "ECONNREFUSED"
    assert python(lab, "echo.py", "refused-udp", us, 4444, 0)["errno"] == "ECONNREFUSED"


def test_reset_by_peer(lab, us):
    """A client that goes away with a reset in the middle of its own data costs nothing that stays."""
    said = python(lab, "echo.py", "reset", us, 7, 100000)
    assert said["sent"] > 0


def test_convs(lab, us):
    """A conversation is listed while it lives; hung up by its ID; then that ID is gone."""
    p = lab.client.popen("nc", us, "7", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        p.stdin.write(b"hello\n")
        p.stdin.flush()
        assert p.stdout.readline() == b"hello\n"
        rows = [r for r in lab.ctl("convs") if r["state"].lower() == "established"]
        assert len(rows) == 1 and rows[0]["listener"] == "echo-tcp"
        assert lab.ctl("conv", rows[0]["id"])["id"] == rows[0]["id"]
        lab.ctl("hangup", rows[0]["id"])
        p.wait(timeout=PATIENCE)
    finally:
        p.kill()
        p.wait()
        p.stdin.close()
        p.stdout.close()
    lab.settle()
    with pytest.raises(AssertionError, match="gone"):
        lab.ctl("hangup", rows[0]["id"])
