/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_peer serve                    echo on port 7, discard on port 9, on Linux's own stack (epoll)
 *   bench_peer ping ADDRESS RATE SECONDS   64 bytes there and back, by schedule; prints a line of JSON
 *   bench_peer send ADDRESS SECONDS        as much as goes to port 9; prints a line of JSON
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gen_hist.h"

#define ECHO      7
#define DISCARD   9
#define MESSAGE   64
#define BUFFER    65536
#define NS_PER_S  UINT64_C(1000000000)
#define WARMUP_NS (NS_PER_S / 2)
#define EVENTS    64

static uint8_t buffer[BUFFER];

static void
must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void
no_delay(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* ---- serve ---- */

static void
watch(int ep, int fd, uint32_t what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)what << 32 | (uint32_t)fd};

	must(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0, "epoll_ctl");
}

static int
listen_on(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	must(fd >= 0, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
	must(listen(fd, 1024) == 0, "listen");
	return fd;
}

/** One event: of a listener (its port is known by `what`), or of a connection. */
static void
serve_one(int ep, uint32_t what, int fd, int listener)
{
	ssize_t n;

	if (listener) {
		int c = accept(fd, NULL, NULL);

		if (c >= 0) {
			no_delay(c);
			watch(ep, c, what);
		}
		return;
	}
	n = read(fd, buffer, sizeof(buffer));
	if (n <= 0 || (what == ECHO && write(fd, buffer, (size_t)n) != n))
		(void)close(fd);
}

static void
serve(void)
{
	int ep = epoll_create1(0), echo = listen_on(ECHO), discard = listen_on(DISCARD);
	struct epoll_event e[EVENTS];

	watch(ep, echo, ECHO);
	watch(ep, discard, DISCARD);
	printf("ready\n");
	(void)fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, e, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)e[i].data.u64;

			serve_one(ep, (uint32_t)(e[i].data.u64 >> 32), fd,
				fd == echo || fd == discard);
		}
	}
}

/* ---- ping, send ---- */

static int
connect_to(const char *address, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(inet_pton(AF_INET, address, &a.sin_addr) == 1, "address");
	must(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
	no_delay(fd);
	return fd;
}

static int
ping(const char *address, double rate, double seconds)
{
	static struct gen_hist h;
	int fd = connect_to(address, ECHO);
	uint64_t start = now_ns(), interval = (uint64_t)((double)NS_PER_S / rate);
	uint64_t end = start + WARMUP_NS + (uint64_t)(seconds * (double)NS_PER_S);

	for (uint64_t due = start; due < end; due += interval) {
		size_t got = 0;

		while (now_ns() < due)
			;
		must(write(fd, buffer, MESSAGE) == MESSAGE, "write");
		while (got < MESSAGE) {
			ssize_t n = read(fd, buffer, MESSAGE - got);

			must(n > 0, "read");
			got += (size_t)n;
		}
		if (due >= start + WARMUP_NS)
			gen_hist_add(&h, now_ns() - due);
	}
	printf("{\"count\": %lu, \"p50\": %.1f, \"p99\": %.1f, \"p99_9\": %.1f, \"max\": %.1f}\n",
		h.count, (double)gen_hist_quantile(&h, 500000) / 1e3,
		(double)gen_hist_quantile(&h, 990000) / 1e3,
		(double)gen_hist_quantile(&h, 999000) / 1e3, (double)h.max_ns / 1e3);
	return 0;
}

static int
send_to(const char *address, double seconds)
{
	int fd = connect_to(address, DISCARD);
	uint64_t start = now_ns() + WARMUP_NS, end = start + (uint64_t)(seconds * (double)NS_PER_S),
		 now, sum = 0;

	while ((now = now_ns()) < end) {
		ssize_t n = write(fd, buffer, sizeof(buffer));

		must(n > 0, "write");
		if (now >= start)
			sum += (uint64_t)n;
	}
	printf("{\"gbits_per_second\": %.4f}\n", (double)sum * 8 / (double)(now - start));
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		serve();
	if (argc == 5 && strcmp(argv[1], "ping") == 0)
		return ping(argv[2], strtod(argv[3], NULL), strtod(argv[4], NULL));
	if (argc == 4 && strcmp(argv[1], "send") == 0)
		return send_to(argv[2], strtod(argv[3], NULL));
	fprintf(stderr,
		"usage: bench_peer serve | ping ADDRESS RATE SECONDS | send ADDRESS SECONDS\n");
	return 2;
}
