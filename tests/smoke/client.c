/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A plain Linux client for the smoke tests: many conversations through the kernel's own stack, each checked byte for byte.
 *
 *   client echo ADDRESS PORT CONVERSATIONS AT_ONCE BYTES
 *   client chargen ADDRESS PORT BYTES
 *   client discard ADDRESS PORT BYTES
 *   client udp-many ADDRESS PORT CONVERSATIONS [SOURCE ...]
 *
 * Prints one line of JSON; exits 0 if all went well, 1 if not, 2 on wrong usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BUF          65536
#define STALL_S      60 /* no progress for so long is a failure */
#define CHARGEN_LINE 74
#define PER_SOURCE   28000

struct flow {
	int fd;
	uint64_t seed, sent, received;
	bool shut;
};

struct totals {
	uint64_t done, reset, refused, wrong, short_end, failed, bytes;
	double worst_s;
};

static struct sockaddr_storage peer;
static socklen_t peer_len;

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
address(const char *text, const char *port, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		*ret_len = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)atoi(port));
		*ret_len = sizeof(*v6);
		return 0;
	}
	fprintf(stderr, "client: %s is not an address\n", text);
	return -1;
}

/** The byte at a place of a stream, in blocks of 256 so that it is made fast. */
static void
pattern(uint64_t seed, uint64_t at, uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++, at++)
		to[i] = (uint8_t)((seed * 31 + (at >> 8) * 17) ^ at);
}

static int
dial(bool block)
{
	int fd = socket(peer.ss_family, SOCK_STREAM | (block ? 0 : SOCK_NONBLOCK), 0);

	if (fd < 0)
		return -1;
	/* What Linux takes by default, whatever this host prefers; one without it is as good as it is. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	if (connect(fd, (struct sockaddr *)&peer, peer_len) != 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- echo ---- */

static int
flow_start(struct flow *f, int ep, uint64_t seed)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = f};

	*f = (struct flow){.fd = dial(false), .seed = seed};
	if (f->fd < 0)
		return -1;
	return epoll_ctl(ep, EPOLL_CTL_ADD, f->fd, &ev);
}

/** @return 0 to go on, -1 when the socket has failed */
static int
flow_send(struct flow *f, uint64_t bytes, int ep)
{
	static uint8_t buf[BUF];

	while (f->sent < bytes) {
		size_t n = bytes - f->sent < BUF ? bytes - f->sent : BUF;
		ssize_t done;

		pattern(f->seed, f->sent, buf, n);
		done = send(f->fd, buf, n, MSG_NOSIGNAL);
		if (done < 0)
			return errno == EAGAIN ? 0 : -1;
		f->sent += (uint64_t)done;
	}
	if (!f->shut) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = f};

		f->shut = true;
		shutdown(f->fd, SHUT_WR);
		epoll_ctl(ep, EPOLL_CTL_MOD, f->fd, &ev);
	}
	return 0;
}

/** @return 1 at the end of the stream, 0 to go on, -1 when the socket has failed, -2 on a wrong byte */
static int
flow_recv(struct flow *f)
{
	static uint8_t buf[BUF], want[BUF];
	ssize_t n;

	while ((n = recv(f->fd, buf, BUF, 0)) > 0) {
		pattern(f->seed, f->received, want, (size_t)n);
		if (memcmp(buf, want, (size_t)n) != 0)
			return -2;
		f->received += (uint64_t)n;
	}
	if (n == 0)
		return 1;
	return errno == EAGAIN ? 0 : -1;
}

static void
count_error(struct totals *t)
{
	if (errno == ECONNRESET || errno == EPIPE)
		t->reset++;
	else if (errno == ECONNREFUSED)
		t->refused++;
	else
		t->failed++;
}

/** @return true when the flow is over, well or not */
static bool
flow_turn(struct flow *f, uint64_t bytes, int ep, struct totals *t)
{
	int r = flow_recv(f);

	if (r == 0 && flow_send(f, bytes, ep) != 0)
		r = -1;
	if (r == 0)
		return false;
	t->bytes += f->received;
	if (r == -1)
		count_error(t);
	else if (r == -2)
		t->wrong++;
	else if (f->received != bytes)
		t->short_end++;
	else
		t->done++;
	close(f->fd);
	return true;
}

static int
echo(uint64_t count, unsigned at_once, uint64_t bytes)
{
	struct flow *flows = calloc(at_once, sizeof(*flows));
	struct totals t = {0};
	struct epoll_event ev[256];
	uint64_t started = 0, over = 0;
	double begin = now_s();
	int ep = epoll_create1(0), n;

	if (flows == NULL || ep < 0)
		return 1;
	for (; started < count && started < at_once; started++)
		if (flow_start(&flows[started], ep, started) != 0)
			count_error(&t), over++;
	while (over < count) {
		n = epoll_wait(ep, ev, 256, STALL_S * 1000);
		if (n <= 0) {
			t.failed += count - over;
			break;
		}
		for (int i = 0; i < n; i++) {
			struct flow *f = ev[i].data.ptr;

			if (!flow_turn(f, bytes, ep, &t))
				continue;
			over++;
			while (started < count && flow_start(f, ep, started++) != 0)
				count_error(&t), over++;
		}
	}
	printf("{\"done\": %lu, \"reset\": %lu, \"refused\": %lu, \"wrong\": %lu, \"short\": %lu, \"failed\": %lu, "
	       "\"bytes\": %lu, \"seconds\": %.3f}\n",
		t.done, t.reset, t.refused, t.wrong, t.short_end, t.failed, t.bytes,
		now_s() - begin);
	free(flows);
	close(ep);
	return t.done == count ? 0 : 1;
}

/* ---- bulk ---- */

/** RFC 864: lines of 72 of the 95 printable characters, each line one further, CR LF. */
static uint8_t
chargen_byte(uint64_t at)
{
	uint64_t line = at / CHARGEN_LINE, column = at % CHARGEN_LINE;

	if (column == CHARGEN_LINE - 2)
		return '\r';
	if (column == CHARGEN_LINE - 1)
		return '\n';
	return (uint8_t)(' ' + (line + column) % 95);
}

static int
chargen(uint64_t bytes)
{
	static uint8_t buf[BUF], want[BUF + 95 * CHARGEN_LINE];
	int fd = dial(true);
	uint64_t at = 0, wrong = 0;
	double begin = now_s();
	ssize_t n = -1;

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = chargen_byte(i);
	while (fd >= 0 && at < bytes && (n = recv(fd, buf, BUF, 0)) > 0) {
		wrong += memcmp(buf, want + at % (95 * CHARGEN_LINE), (size_t)n) != 0;
		at += (uint64_t)n;
	}
	printf("{\"bytes\": %lu, \"wrong\": %lu, \"seconds\": %.3f}\n", at, wrong, now_s() - begin);
	if (fd >= 0)
		close(fd);
	return at >= bytes && wrong == 0 ? 0 : 1;
}

static int
discard(uint64_t bytes)
{
	static uint8_t buf[BUF];
	int fd = dial(true);
	uint64_t at = 0;
	double begin = now_s();
	ssize_t n = -1;

	while (fd >= 0 && at < bytes) {
		n = send(fd, buf, bytes - at < BUF ? bytes - at : BUF, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		at += (uint64_t)n;
	}
	if (fd >= 0) {
		shutdown(fd, SHUT_WR);
		n = recv(fd, buf, 1, 0); /* all of it was taken in when the peer closes too */
		close(fd);
	}
	printf("{\"bytes\": %lu, \"eof\": %s, \"seconds\": %.3f}\n", at, n == 0 ? "true" : "false",
		now_s() - begin);
	return at == bytes && n == 0 ? 0 : 1;
}

/* ---- many UDP conversations ---- */

/** One datagram from each of n ports of one source address (NULL: the kernel's choice). */
static uint64_t
udp_from(const char *source, uint64_t n)
{
	uint64_t sent = 0;

	for (unsigned port = 2000; sent < n && port < 2000 + PER_SOURCE * 2; port++) {
		struct sockaddr_storage from;
		socklen_t len;
		char text[8];
		int fd = socket(peer.ss_family, SOCK_DGRAM, 0), again = 0;

		snprintf(text, sizeof(text), "%u", port);
		if (fd < 0 || address(source, text, &from, &len) != 0 ||
			bind(fd, (struct sockaddr *)&from, len) != 0) {
			close(fd);
			continue;
		}
		while (sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, peer_len) != 1 &&
			again++ < 100)
			usleep(1000);
		sent += again < 100;
		close(fd);
		if (sent % 64 == 0)
			usleep(500); /* no faster than a small queue takes */
	}
	return sent;
}

static int
udp_many(uint64_t count, char **sources, int n)
{
	uint64_t sent = 0;

	for (int i = 0; i < n && sent < count; i++) {
		uint64_t want = (count - sent) / (uint64_t)(n - i);

		sent += udp_from(sources[i], want);
	}
	printf("{\"sent\": %lu}\n", sent);
	return sent == count ? 0 : 1;
}

int
main(int argc, char **argv)
{
	if (argc < 5 || address(argv[2], argv[3], &peer, &peer_len) != 0) {
		fprintf(stderr,
			"usage: client echo ADDRESS PORT CONVERSATIONS AT_ONCE BYTES | "
			"chargen|discard ADDRESS PORT BYTES | udp-many ADDRESS PORT "
			"CONVERSATIONS SOURCE ...\n");
		return 2;
	}
	if (strcmp(argv[1], "echo") == 0 && argc == 7)
		return echo(strtoull(argv[4], NULL, 0), (unsigned)atoi(argv[5]),
			strtoull(argv[6], NULL, 0));
	if (strcmp(argv[1], "chargen") == 0)
		return chargen(strtoull(argv[4], NULL, 0));
	if (strcmp(argv[1], "discard") == 0)
		return discard(strtoull(argv[4], NULL, 0));
	if (strcmp(argv[1], "udp-many") == 0 && argc > 5)
		return udp_many(strtoull(argv[4], NULL, 0), argv + 5, argc - 5);
	fprintf(stderr, "client: %s?\n", argv[1]);
	return 2;
}
