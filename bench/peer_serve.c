/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The server: one epoll for all, a connection is served as soon as it has something to say.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

#define BACKLOG 4096
#define ROOM    2048 /* for a datagram */

/** What an event is of: the port of its listener or connection, and which of the two. */
#define TAG(port, listener) ((uint32_t)(port) | (uint32_t)(listener) << 16)

static int
serve_bind(uint16_t port, int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type, 0), one = 1;

	peer_must(fd >= 0, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	peer_must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
	return fd;
}

static void
serve_listen(int ep, uint16_t port)
{
	int fd = serve_bind(port, SOCK_STREAM);

	peer_must(listen(fd, BACKLOG) == 0, "listen");
	peer_watch(ep, fd, EPOLLIN, TAG(port, 1));
}

static void
serve_accept(int ep, int fd, uint16_t port)
{
	int c = accept4(fd, NULL, NULL, port == PEER_CHARGEN ? SOCK_NONBLOCK : 0);

	if (c < 0)
		return;
	peer_no_delay(c);
	peer_watch(ep, c, port == PEER_CHARGEN ? EPOLLOUT : EPOLLIN, TAG(port, 0));
}

static void
serve_stream(int fd, uint16_t port)
{
	ssize_t n;

	if (port == PEER_CHARGEN) {
		if (write(fd, peer_buffer, sizeof(peer_buffer)) < 0)
			(void)close(fd);
		return;
	}
	n = read(fd, peer_buffer, sizeof(peer_buffer));
	if (n <= 0 || (port == PEER_ECHO && write(fd, peer_buffer, (size_t)n) != n))
		(void)close(fd);
}

/** As many datagrams as wait, up to a batch, go back to where they came from. */
static void
serve_datagrams(int fd)
{
	static uint8_t data[PEER_BATCH][ROOM];
	static struct sockaddr_in from[PEER_BATCH];
	static struct iovec io[PEER_BATCH];
	static struct mmsghdr h[PEER_BATCH];
	int n;

	for (unsigned i = 0; i < PEER_BATCH; i++) {
		io[i] = (struct iovec){data[i], sizeof(data[i])};
		h[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &io[i],
			.msg_iovlen = 1};
	}
	n = recvmmsg(fd, h, PEER_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		io[i].iov_len = h[i].msg_len;
	if (n > 0)
		(void)sendmmsg(fd, h, (unsigned)n, 0);
}

void
peer_serve(void)
{
	int ep = epoll_create1(0), udp = serve_bind(PEER_ECHO, SOCK_DGRAM);
	struct epoll_event e[PEER_EVENTS];

	serve_listen(ep, PEER_ECHO);
	serve_listen(ep, PEER_DISCARD);
	serve_listen(ep, PEER_CHARGEN);
	peer_watch(ep, udp, EPOLLIN, 0);
	printf("ready\n");
	(void)fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, e, PEER_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)e[i].data.u64;
			uint32_t tag = (uint32_t)(e[i].data.u64 >> 32);

			if (tag == 0)
				serve_datagrams(fd);
			else if (tag >> 16 != 0)
				serve_accept(ep, fd, (uint16_t)tag);
			else
				serve_stream(fd, (uint16_t)tag);
		}
	}
}
