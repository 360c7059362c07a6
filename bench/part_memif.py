# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""Between two processes, one on each core: convd behind memif, and what this machine has beside it."""
import json
import os
import re
import statistics
import time

from host import (CLIENT, EAL, PATIENCE, SERVER, Failed, Namespace, Program, Scratch, convd, huge, memory, path, ratio, row, run_json,
                  say, veth)
from part_code import core_to_core

US, THEM, US_MAC, THEM_MAC = "10.77.0.2", "10.77.0.1", "02:77:00:00:00:02", "02:77:00:00:00:01"
SECONDS = 3
WINDOW = 512  # datagrams outstanding
TRIES = 3
PAYLOAD = 1448  # bytes of TCP in a full frame, with timestamps
SHARED = 250  # cycles for a line from core to core: if less, the two CPUs are threads of one core
MOMENTS, MOMENT = 12, 5  # so many times so many seconds is waited for that to end


def two_cores(took):
    """The two CPUs are now and then threads of one core, as the host has it. Wait for two cores, a minute at most; what a line took
    goes to took."""
    cycles = core_to_core()[1]
    for _ in range(MOMENTS):
        if cycles > SHARED:
            break
        say("the two CPUs are one core: waiting")
        time.sleep(MOMENT)
        cycles = core_to_core()[1]
    took.append(cycles)


def told(took):
    return f"a line from core to core took {min(took):.0f} to {max(took):.0f} cycles"


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


def ready(program, scratch):
    """Wait until a program has made memif's socket."""
    end = time.monotonic() + 20
    while not os.path.exists(scratch / "memif.sock"):
        if time.monotonic() > end or program.process.poll() is not None:
            raise Failed(f"{program.argv[0]} does not start: {program.said()[-600:]}")
        time.sleep(0.05)


def swap(scratch, period=10):
    """testpmd's 5tswap in convd's place."""
    argv = ["dpdk-testpmd", "--lcores", f"(0)@{SERVER},(1)@{SERVER}", *memory(512), *EAL, "--file-prefix=pmd",
            "--vdev=" + memif(scratch, True), "--", "--forward-mode=5tswap", "--nb-cores=1", f"--stats-period={period}",
            "--total-num-mbufs=8192"]
    program = Program(argv, scratch / "testpmd.log")
    ready(program, scratch)
    time.sleep(1)
    return program


def udp(repeats):
    """UDP echo of 60-byte frames against 5tswap on the same link, with the same generator."""
    for flows, line in ((256, 0.7), (1000000, 0.4)):
        ours, theirs, how, took = [], [], "", []
        for i in range(repeats):
            say(f"udp: {flows} flows, {i + 1} of {repeats}")
            two_cores(took)
            with Scratch() as scratch, server(scratch, flows + 100000, 2048 if flows > 256 else 1024):
                if flows > 256:
                    flood(scratch, flows)  # conversations are made
                ours.append(flood(scratch, flows))
            with Scratch() as scratch, swap(scratch) as program:
                theirs.append(flood(scratch, flows))
                how = " ".join(program.argv)
            took.append(core_to_core()[1])
        yield row(f"UDP echo over memif, {flows} flows: packets/s, ratio to 5tswap", ours, theirs, ratio(ours, theirs), line,
                  f"{how}; {told(took)}")


def txonly(scratch):
    """testpmd as a generator: datagrams of one peer, as fast as the link takes them. It hears nothing: no ARP, and answers are
    lost."""
    return ["dpdk-testpmd", "--lcores", f"(0)@{CLIENT},(1)@{CLIENT}", *memory(256), *EAL, "--file-prefix=tx",
            "--vdev=" + memif(scratch, False), "--", "--forward-mode=txonly", "--nb-cores=1", "--stats-period=10",
            "--total-num-mbufs=8192", f"--tx-ip={THEM},{US}", "--tx-udp=4000,7", f"--eth-peer=0,{US_MAC}", "--txpkts=60"]


def taken(scratch):
    """What convd has delivered so far, and when."""
    said = run_json([path("app", "convctl"), "--socket", scratch / "control.sock", "--json", "stats"])
    return said["delivered"], time.monotonic()


def overload(repeats):
    """More than can be served: how much is taken in then, of what testpmd's txonly sends to the echo service."""
    ours, theirs, how = [], [], ""
    for i in range(repeats):
        say(f"overload: {i + 1} of {repeats}")
        with Scratch() as scratch, server(scratch):
            flood(scratch, 256)  # announces the router
            argv = txonly(scratch)
            how = " ".join(argv)
            with Program(argv, scratch / "txonly.log"):
                time.sleep(1.5)
                before = taken(scratch)
                time.sleep(SECONDS)
                after = taken(scratch)
            ours.append((after[0] - before[0]) / (after[1] - before[1]))
        with Scratch() as scratch, swap(scratch, 1) as program, Program(txonly(scratch), scratch / "txonly.log"):
            time.sleep(1.5 + SECONDS)
            theirs.append(statistics.median([int(n) for n in re.findall(r"Rx-pps:\s+(\d+)", program.said())][2:] or [0]))
    yield row("UDP echo under testpmd's txonly over memif, one flow: packets/s taken in, ratio to 5tswap", ours, theirs,
              ratio(ours, theirs), None, how)


def gen(scratch, *argv, seconds=SECONDS):
    """convgen's result."""
    pages = ["--hugepages"] if huge(1024) else []
    return client([path("app", "convgen"), "--device", memif(scratch, False), "--address", THEM + "/24", "--cores", CLIENT,
                   "--memory-mb", "768", *pages, "--duration", str(seconds), "--warmup", "1", "--progress", "0", "--json", "-", *argv],
                  seconds + 60)


def alone(*argv):
    """The same with a server of its own: a memif port may not outlive its peer (docs/operations.md)."""
    with Scratch() as scratch, server(scratch):
        return gen(scratch, *argv)


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


HAPROXY = """global
 nbthread 1
 maxconn 8192
defaults
 mode http
 timeout client 600s
 timeout http-request 600s
 timeout http-keep-alive 600s
frontend web
 bind {address}:80 backlog 16384
 http-request return status 200 content-type text/plain string "convd\\n"
"""


def haproxy(scratch, ns):
    with open(scratch / "haproxy.cfg", "w") as f:
        f.write(HAPROXY.format(address=US))
    program = Program(ns.argv("taskset", "-c", SERVER, "haproxy", "-db", "-f", scratch / "haproxy.cfg"), scratch / "haproxy.log")
    time.sleep(1)
    if program.process.poll() is not None:
        raise Failed("haproxy: " + program.said()[-600:])
    return program


def wrk(ns, *argv):
    """Requests per second."""
    text = ns.do("taskset", "-c", CLIENT, "wrk", "-t1", "-c64", f"-d{SECONDS}s", *argv, f"http://{US}/")
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None:
        raise Failed("wrk: " + text[-300:])
    return float(found.group(1))


def linux_web(server, repeat_argv):
    """A web server and wrk in two namespaces joined by veth, as Linux has it by default, with all offloads."""
    with Scratch() as scratch, Namespace() as a, Namespace() as b:
        veth(a, b, True)
        a.do("ip", "addr", "add", US + "/24", "dev", "veth0")
        b.do("ip", "addr", "add", THEM + "/24", "dev", "veth0")
        for ns in (a, b):
            ns.do("sysctl", "-qw", "net.ipv4.tcp_tw_reuse=1", "net.ipv4.ip_local_port_range=1024 65535", "net.core.somaxconn=16384",
                  "net.ipv4.tcp_max_syn_backlog=16384", "net.ipv4.tcp_max_tw_buckets=1048576")
        with server(scratch, a):
            return [wrk(b, *argv) for argv in repeat_argv]


def web(repeats):
    """Requests and connections per second against nginx on Linux, and haproxy as a second opinion."""
    keep, close, echo, took = [], [], [], []
    theirs = {nginx: ([], []), haproxy: ([], [])}
    for i in range(repeats):
        say(f"web: {i + 1} of {repeats}")
        two_cores(took)
        keep.append(alone("http", "--connections", "256", US)["requests_per_second"])
        close.append(alone("http", "--close", "--connections", "256", US)["connects_per_second"])
        echo.append(alone("request", "--connections", "256", US)["requests_per_second"])
        for web_server, values in theirs.items():
            for into, value in zip(values, linux_web(web_server, [(), ("-H", "Connection: close")])):
                into.append(value)
        took.append(core_to_core()[1])
    wrk_how = f"wrk -t1 -c64 on core 1, veth with all offloads, tcp_tw_reuse ({told(took)})"
    hows = {nginx: f"nginx (1 worker, reuseport, no log) on core 0, {wrk_how}",
            haproxy: f"haproxy (nbthread 1, http-request return) on core 0, {wrk_how}"}
    for web_server, judged in ((nginx, True), (haproxy, False)):
        name, (k, c), how = web_server.__name__, theirs[web_server], hows[web_server]
        yield row(f"HTTP over memif, keep-alive: requests/s, ratio to {name} on Linux", keep, k, ratio(keep, k),
                  15 if judged else None, how)
        yield row(f"HTTP over memif, a connection for each: connects/s, ratio to {name} on Linux", close, c, ratio(close, c),
                  40 if judged else None, how + ", Connection: close")
    k = theirs[nginx][0]
    yield row("TCP echo of 64 bytes over memif, keep-alive: requests/s, ratio to nginx's", echo, k, ratio(echo, k), 15, hows[nginx])


def opens(repeats):
    """Connections alone."""
    ours = []
    for i in range(repeats):
        say(f"opens: {i + 1} of {repeats}")
        ours.append(alone("connect", "--reset", "--concurrency", "256", US)["connects_per_second"])
    yield row("TCP over memif, opened and reset: connects/s", ours, None, statistics.median(ours), None)


def stream_argv(scratch, what, as_server):
    """bench_flood at one end of memif: a stream one way."""
    return [path("bench", "bench_flood"), what, str(SECONDS), str(PAYLOAD), *memory(256), *EAL, f"--file-prefix={what}", "-l",
            SERVER if as_server else CLIENT, "--vdev=" + memif(scratch, as_server)]


def link(sends):
    """Gb/s of TCP payload in full-size frames that memif carries from client to server, or back, when both ends do nothing else:
    what copying in and out of it leaves."""
    with Scratch() as scratch:
        with Program(stream_argv(scratch, "receive" if sends else "send", True), scratch / "stream.log") as server_end:
            ready(server_end, scratch)
            if sends:
                with Program(stream_argv(scratch, "send", False), scratch / "client.log"):
                    server_end.process.wait(timeout=PATIENCE)
                return json.loads(server_end.said().strip().split("\n")[-1])["gbits_per_second"]
            return run_json(stream_argv(scratch, "receive", False), PATIENCE)["gbits_per_second"]


def bulk(repeats):
    """One connection, as much as goes, beside what the link carries at all."""
    for direction, text in (("send", "to discard"), ("receive", "from chargen")):
        ours, most, took = [], [], []
        for i in range(repeats):
            say(f"bulk: {direction}, {i + 1} of {repeats}")
            two_cores(took)
            ours.append(alone("bulk", "--direction", direction, US)["gbits_per_second"])
            most.append(link(direction == "send"))
            took.append(core_to_core()[1])
        line = min(20, 0.8 * statistics.median(most))
        yield row(f"bulk TCP over memif, {text}: Gb/s, beside the link's bound (line: 20, or 0.8 of it)", ours, most,
                  statistics.median(ours), round(line, 1), f"bench_flood send, receive: frames of {PAYLOAD} bytes of TCP one way, "
                  f"nothing is done but copied in and out; {told(took)}", form="{:.1f}")
