# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Between two processes, one on each core: convd behind memif, and what this machine has beside it."""
import os
import re
import statistics
import time

from host import (CLIENT, EAL, SERVER, Failed, Namespace, Program, Scratch, convd, huge, memory, path, ratio, row, run_json, say, veth)

US, THEM, US_MAC, THEM_MAC = "10.77.0.2", "10.77.0.1", "02:77:00:00:00:02", "02:77:00:00:00:01"
SECONDS = 3
WINDOW = 512  # datagrams outstanding
TRIES = 3


def memif(scratch, server):
    role, mac = ("server", US_MAC) if server else ("client", THEM_MAC)
    return f"net_memif0,role={role},socket={scratch / 'memif.sock'},socket-abstract=no,mac={mac}"


LISTENERS = [{"name": "echo", "protocol": "tcp", "port": 7, "service": "echo"},
             {"name": "echo-u", "protocol": "udp", "port": 7, "service": "echo"},
             {"name": "discard", "protocol": "tcp", "port": 9, "service": "discard"},
             {"name": "chargen", "protocol": "tcp", "port": 19, "service": "chargen"},
             {"name": "web", "protocol": "tcp", "port": 80, "service": "http"}]


def server(scratch, conversations=200000, memory_mb=1024):
    """convd on its core, behind memif."""
    pages = huge(memory_mb + 512)
    return convd(scratch, {
        "eal": {"hugepages": pages, "memory_mb": memory_mb},
        "workers": {"count": 1, "cores": SERVER, "idle": "poll"},
        "interfaces": [{"name": "m", "device": memif(scratch, True), "addresses": [US + "/24"]}],
        "routes": [{"to": "0.0.0.0/0", "via": THEM}],
        "listeners": LISTENERS,
        "limits": {"conversations": conversations, "half_open": 16384, "time_wait": 262144, "udp_idle_seconds": 3600},
        "tcp": {"time_wait_seconds": 1}})


def client(argv, timeout):
    """A program at memif's client side. The server may still be busy with the end of the one before it: then it is tried again."""
    for left in range(TRIES - 1, -1, -1):
        try:
            return run_json(argv, timeout)
        except Failed:
            if left == 0:
                raise
            time.sleep(1)
    return None


def flood(scratch, flows):
    """Datagrams per second that come back."""
    return client([path("bench", "bench_flood"), str(flows), str(SECONDS), str(WINDOW), *memory(256), *EAL, "--file-prefix=flood", "-l",
                   CLIENT, "--vdev=" + memif(scratch, False)], 60)["pps"]


def swap(scratch):
    """testpmd's 5tswap in convd's place."""
    argv = ["dpdk-testpmd", "--lcores", f"(0)@{SERVER},(1)@{SERVER}", *memory(512), *EAL, "--file-prefix=pmd",
            "--vdev=" + memif(scratch, True), "--", "--forward-mode=5tswap", "--nb-cores=1", "--stats-period=10",
            "--total-num-mbufs=8192"]
    program = Program(argv, scratch / "testpmd.log")
    end = time.monotonic() + 20
    while not os.path.exists(scratch / "memif.sock"):
        if time.monotonic() > end:
            raise Failed("testpmd does not start: " + program.said()[-600:])
        time.sleep(0.05)
    time.sleep(1)
    return program


def udp(repeats):
    """UDP echo of 60-byte frames against 5tswap on the same link, with the same generator."""
    for flows, line in ((256, 0.7), (1000000, 0.4)):
        ours, theirs, how = [], [], ""
        for i in range(repeats):
            say(f"udp: {flows} flows, {i + 1} of {repeats}")
            with Scratch() as scratch, server(scratch, flows + 100000, 2048 if flows > 256 else 1024):
                if flows > 256:
                    flood(scratch, flows)  # conversations are made
                ours.append(flood(scratch, flows))
            with Scratch() as scratch, swap(scratch) as program:
                theirs.append(flood(scratch, flows))
                how = " ".join(program.argv)
        yield row(f"UDP echo over memif, {flows} flows: packets/s, ratio to 5tswap", ours, theirs, ratio(ours, theirs), line, how)


def gen(scratch, *argv, seconds=SECONDS):
    """convgen's result."""
    pages = ["--hugepages"] if huge(1024) else []
    return client([path("app", "convgen"), "--device", memif(scratch, False), "--address", THEM + "/24", "--cores", CLIENT,
                   "--memory-mb", "768", *pages, "--duration", str(seconds), "--warmup", "1", "--progress", "0", "--json", "-", *argv],
                  seconds + 60)


NGINX = """worker_processes 1; worker_cpu_affinity 01; daemon off; master_process off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 16384; multi_accept on; use epoll; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600; tcp_nodelay on; open_file_cache off;
 client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
 server {{ listen 80 reuseport backlog=16384; location / {{ return 200 "convd\\n"; }} }} }}
"""


def nginx(scratch, ns):
    with open(scratch / "nginx.conf", "w") as f:
        f.write(NGINX.format(folder=scratch.folder))
    program = Program(ns.argv("taskset", "-c", SERVER, "nginx", "-c", scratch / "nginx.conf"), scratch / "nginx.log")
    time.sleep(1)
    if program.process.poll() is not None:
        raise Failed("nginx: " + program.said()[-600:])
    return program


def wrk(ns, *argv):
    """Requests per second."""
    text = ns.do("taskset", "-c", CLIENT, "wrk", "-t1", "-c64", f"-d{SECONDS}s", *argv, f"http://{US}/")
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None:
        raise Failed("wrk: " + text[-300:])
    return float(found.group(1))


def linux_web(repeat_argv):
    """nginx and wrk in two namespaces joined by veth, as Linux has it by default, with all offloads."""
    with Scratch() as scratch, Namespace() as a, Namespace() as b:
        veth(a, b, True)
        a.do("ip", "addr", "add", US + "/24", "dev", "veth0")
        b.do("ip", "addr", "add", THEM + "/24", "dev", "veth0")
        for ns in (a, b):
            ns.do("sysctl", "-qw", "net.ipv4.tcp_tw_reuse=1", "net.ipv4.ip_local_port_range=1024 65535", "net.core.somaxconn=16384",
                  "net.ipv4.tcp_max_syn_backlog=16384", "net.ipv4.tcp_max_tw_buckets=1048576")
        with nginx(scratch, a):
            return [wrk(b, *argv) for argv in repeat_argv]


def web(repeats):
    """Requests and connections per second against nginx on Linux."""
    keep, close, theirs_keep, theirs_close, echo = [], [], [], [], []
    for i in range(repeats):
        say(f"web: {i + 1} of {repeats}")
        with Scratch() as scratch, server(scratch):
            keep.append(gen(scratch, "http", "--connections", "256", US)["requests_per_second"])
            close.append(gen(scratch, "http", "--close", "--connections", "256", US)["connects_per_second"])
            echo.append(gen(scratch, "request", "--connections", "256", US)["requests_per_second"])
        k, c = linux_web([(), ("-H", "Connection: close")])
        theirs_keep.append(k)
        theirs_close.append(c)
    how = "nginx (1 worker, reuseport, no log) on core 0, wrk -t1 -c64 on core 1, veth"
    yield row("HTTP over memif, keep-alive: requests/s, ratio to nginx on Linux", keep, theirs_keep, ratio(keep, theirs_keep), 15, how)
    yield row("HTTP over memif, a connection for each: connects/s, ratio to nginx on Linux", close, theirs_close,
              ratio(close, theirs_close), 40, how + ", Connection: close")
    yield row("TCP echo of 64 bytes over memif, keep-alive: requests/s, ratio to nginx's", echo, theirs_keep, ratio(echo, theirs_keep), 15,
              how)


def opens(repeats):
    """Connections alone."""
    ours = []
    for i in range(repeats):
        say(f"opens: {i + 1} of {repeats}")
        with Scratch() as scratch, server(scratch):
            ours.append(gen(scratch, "connect", "--reset", "--concurrency", "256", US)["connects_per_second"])
    yield row("TCP over memif, opened and reset: connects/s", ours, None, statistics.median(ours), None)


def bulk(repeats):
    """One connection, as much as goes."""
    send, receive = [], []
    for i in range(repeats):
        say(f"bulk: {i + 1} of {repeats}")
        with Scratch() as scratch, server(scratch):
            send.append(gen(scratch, "bulk", "--direction", "send", US)["gbits_per_second"])
            receive.append(gen(scratch, "bulk", US)["gbits_per_second"])
    best = max(statistics.median(send), statistics.median(receive))
    yield row("bulk TCP over memif, to discard: Gb/s", send, None, statistics.median(send), 20, form="{:.1f}")
    yield row("bulk TCP over memif, from chargen: Gb/s", receive, None, best, None, form="{:.1f}")
