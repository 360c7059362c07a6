/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_peer serve                                    echo on port 7 (TCP and UDP), discard on 9, chargen on 19
 *   bench_peer load ADDRESS CONNECTIONS RATE SECONDS    64 bytes there and back over TCP; by schedule, or RATE 0
 *   bench_peer udp ADDRESS SOCKETS WINDOW SECONDS       64 bytes there and back over UDP
 *   bench_peer send ADDRESS SECONDS                     as much as goes to port 9
 *   bench_peer receive ADDRESS SECONDS                  as much as comes from port 19
 *
 * All on Linux's own stack. The clients print one line of JSON.
 */
#include "peer.h"

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

uint8_t peer_buffer[PEER_BUFFER];

_Noreturn void
peer_die(const char *what)
{
	perror(what);
	exit(1);
}

uint64_t
peer_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
peer_no_delay(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int
peer_connect(const char *address, uint16_t port, int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type, 0);

	peer_must(inet_pton(AF_INET, address, &a.sin_addr) == 1, "address");
	peer_must(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
	if (type == SOCK_STREAM)
		peer_no_delay(fd);
	return fd;
}

void
peer_watch(int ep, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)tag << 32 | (uint32_t)fd};

	peer_must(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0, "epoll_ctl");
}

/** Much data one way, over one connection. */
static void
peer_bulk(const char *address, bool sends, double seconds)
{
	int fd = peer_connect(address, sends ? PEER_DISCARD : PEER_CHARGEN, SOCK_STREAM);
	uint64_t now = 0, start = peer_now_ns() + WARMUP_NS, sum = 0;
	uint64_t end = start + (uint64_t)(seconds * (double)NS_PER_S);

	while (now < end) {
		ssize_t n = sends ? write(fd, peer_buffer, sizeof(peer_buffer))
				  : read(fd, peer_buffer, sizeof(peer_buffer));

		peer_must(n > 0, sends ? "write" : "read");
		now = peer_now_ns();
		sum += now >= start ? (uint64_t)n : 0;
	}
	printf("{\"gbits_per_second\": %.4f}\n", (double)sum * 8 / (double)(now - start));
}

static unsigned
number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 0);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 2 && strcmp(what, "serve") == 0)
		peer_serve();
	else if (argc == 6 && strcmp(what, "load") == 0)
		peer_load(argv[2], number(argv[3]), strtod(argv[4], NULL), strtod(argv[5], NULL));
	else if (argc == 6 && strcmp(what, "udp") == 0)
		peer_udp(argv[2], number(argv[3]), number(argv[4]), strtod(argv[5], NULL));
	else if (argc == 4 && (strcmp(what, "send") == 0 || strcmp(what, "receive") == 0))
		peer_bulk(argv[2], strcmp(what, "send") == 0, strtod(argv[3], NULL));
	else
		what = NULL;
	if (what != NULL)
		return 0;
	(void)fprintf(stderr,
		"usage: bench_peer serve | load ADDRESS CONNECTIONS RATE SECONDS | "
		"udp ADDRESS SOCKETS WINDOW SECONDS | send|receive ADDRESS SECONDS\n");
	return 2;
}
