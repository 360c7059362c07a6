/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Clients that count answers and times. They never sleep: their core is theirs.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gen_hist.h"
#include "peer.h"

#define GRACE_NS NS_PER_S /* for answers that are still due at the end */
#define QUIET_NS (NS_PER_S / 50) /* nothing came for so long: datagrams under way are lost */

/* ---- TCP, by schedule or not ---- */

struct load_conn {
	int fd;
	uint32_t got; /* bytes of the answer under way */
	bool busy; /* a request is under way */
	uint64_t due_ns; /* of that one, or of the next */
};

struct load {
	struct load_conn *conn;
	unsigned n;
	uint64_t interval_ns; /* from a connection's request to its next; 0: there is no schedule */
	uint64_t start_ns, end_ns; /* what is due between these counts */
	struct gen_hist h;
};

static void
load_send(struct load *l, struct load_conn *c, uint64_t now)
{
	if (l->interval_ns == 0)
		c->due_ns = now;
	peer_must(write(c->fd, peer_buffer, PEER_MESSAGE) == PEER_MESSAGE, "write");
	c->busy = true;
	c->got = 0;
}

static void
load_answered(struct load *l, struct load_conn *c)
{
	uint64_t now = peer_now_ns();

	c->busy = false;
	if (c->due_ns >= l->start_ns && c->due_ns < l->end_ns)
		gen_hist_add(&l->h, now - c->due_ns);
	c->due_ns += l->interval_ns;
	if (l->interval_ns == 0 && now < l->end_ns)
		load_send(l, c, now);
}

static void
load_read(struct load *l, struct load_conn *c)
{
	static uint8_t answer[PEER_MESSAGE];
	ssize_t n = read(c->fd, answer, PEER_MESSAGE - c->got);

	peer_must(n > 0, "read");
	c->got += (uint32_t)n;
	if (c->got == PEER_MESSAGE)
		load_answered(l, c);
}

/** Send what is due. @return how many requests that are due before the end have no answer yet */
static unsigned
load_due(struct load *l, uint64_t now)
{
	unsigned waiting = 0;

	for (unsigned i = 0; i < l->n; i++) {
		struct load_conn *c = &l->conn[i];

		if (!c->busy && c->due_ns <= now && c->due_ns < l->end_ns)
			load_send(l, c, now);
		waiting += c->busy || c->due_ns < l->end_ns;
	}
	return waiting;
}

static void
load_open(struct load *l, const char *address, int ep)
{
	uint64_t now;

	for (unsigned i = 0; i < l->n; i++) {
		l->conn[i].fd = peer_connect(address, PEER_ECHO, SOCK_STREAM);
		peer_watch(ep, l->conn[i].fd, EPOLLIN, i);
	}
	now = peer_now_ns();
	for (unsigned i = 0; i < l->n; i++)
		l->conn[i].due_ns = now + l->interval_ns * i / l->n;
	l->start_ns = now + WARMUP_NS;
}

void
peer_load(const char *address, unsigned connections, double rate, double seconds)
{
	static struct load l;
	struct epoll_event e[PEER_EVENTS];
	int ep = epoll_create1(0);
	unsigned waiting;

	l.conn = calloc(connections, sizeof(*l.conn));
	peer_must(connections > 0 && l.conn != NULL, "connections");
	l.n = connections;
	if (rate > 0)
		l.interval_ns = (uint64_t)((double)NS_PER_S * connections / rate);
	load_open(&l, address, ep);
	l.end_ns = l.start_ns + (uint64_t)(seconds * (double)NS_PER_S);
	do {
		uint64_t now = peer_now_ns();
		int n;

		waiting = load_due(&l, now);
		if (now > l.end_ns + (l.interval_ns > 0 ? GRACE_NS : 0))
			break;
		n = epoll_wait(ep, e, PEER_EVENTS, 0);
		for (int i = 0; i < n; i++)
			load_read(&l, &l.conn[e[i].data.u64 >> 32]);
	} while (waiting > 0);
	printf("{\"count\": %lu, \"unanswered\": %u, \"per_second\": %.0f, \"p50\": %.1f, \"p99\": %.1f, \"p99_9\": %.1f, \"max\": %.1f}\n",
		l.h.count, rate > 0 ? waiting : 0, (double)l.h.count / seconds,
		(double)gen_hist_quantile(&l.h, 500000) / 1e3,
		(double)gen_hist_quantile(&l.h, 990000) / 1e3,
		(double)gen_hist_quantile(&l.h, 999000) / 1e3, (double)l.h.max_ns / 1e3);
}

/* ---- UDP ---- */

static void
udp_send(int fd, unsigned n)
{
	static struct iovec io = {peer_buffer, PEER_MESSAGE};
	struct mmsghdr h[PEER_BATCH];

	while (n > 0) {
		unsigned now = n < PEER_BATCH ? n : PEER_BATCH;

		memset(h, 0, sizeof(h));
		for (unsigned i = 0; i < now; i++)
			h[i].msg_hdr = (struct msghdr){.msg_iov = &io, .msg_iovlen = 1};
		(void)sendmmsg(fd, h, now, 0);
		n -= now;
	}
}

/** @return how many have come back */
static unsigned
udp_receive(int fd)
{
	static uint8_t data[PEER_BATCH][PEER_MESSAGE];
	struct iovec io[PEER_BATCH];
	struct mmsghdr h[PEER_BATCH];
	int n;

	memset(h, 0, sizeof(h));
	for (unsigned i = 0; i < PEER_BATCH; i++) {
		io[i] = (struct iovec){data[i], sizeof(data[i])};
		h[i].msg_hdr = (struct msghdr){.msg_iov = &io[i], .msg_iovlen = 1};
	}
	n = recvmmsg(fd, h, PEER_BATCH, MSG_DONTWAIT, NULL);
	return n > 0 ? (unsigned)n : 0;
}

void
peer_udp(const char *address, unsigned sockets, unsigned window, double seconds)
{
	int *fd = calloc(sockets, sizeof(*fd)), ep = epoll_create1(0);
	uint64_t now = peer_now_ns(), start = now + WARMUP_NS, back = 0, heard = 0;
	uint64_t end = start + (uint64_t)(seconds * (double)NS_PER_S);
	struct epoll_event e[PEER_EVENTS];

	peer_must(sockets > 0 && fd != NULL, "sockets");
	for (unsigned i = 0; i < sockets; i++) {
		fd[i] = peer_connect(address, PEER_ECHO, SOCK_DGRAM);
		peer_watch(ep, fd[i], EPOLLIN, i);
	}
	for (; now < end; now = peer_now_ns()) {
		int n;

		if (now > heard + QUIET_NS) {
			for (unsigned i = 0; i < sockets; i++)
				udp_send(fd[i], window);
			heard = now;
		}
		n = epoll_wait(ep, e, PEER_EVENTS, 0);
		for (int i = 0; i < n; i++) {
			int from = (int)(uint32_t)e[i].data.u64;
			unsigned got = udp_receive(from);

			udp_send(from, got);
			back += now >= start ? got : 0;
			heard = now;
		}
	}
	free(fd);
	printf("{\"per_second\": %.0f}\n", (double)back / seconds);
}
