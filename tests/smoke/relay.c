/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A bad link between two interfaces: every frame that comes in on one leaves by the other, later, out of order, twice, or
 * never. Both directions alike; the same seed makes the same choices for the same number of frames.
 *
 *   relay IF1 IF2 SEED DELAY_US LOSS REORDER DUPLICATE     (chances in parts of a million; DELAY_US one way)
 *
 * Says "ready", runs until SIGTERM, then prints what it did as one line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX  2048
#define FRAMES_MAX 8192 /* under way at once; more are lost, as in a full queue */
#define REORDER_US 3000 /* a reordered frame waits so much longer at most */

struct frame {
	uint64_t at_us, number; /* leaves then; of equal ones the first that came */
	int to;
	uint16_t len;
	uint8_t b[FRAME_MAX];
};

struct side {
	int fd;
	uint64_t random;
};

static struct side side[2];
static struct frame *heap[FRAMES_MAX];
static unsigned nheap;
static uint64_t delay_us, loss, reorder, duplicate;
static uint64_t passed, lost, reordered, duplicated, full, number;
static volatile sig_atomic_t stop;

static void
on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/** splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t
draw(struct side *s)
{
	uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool
chance(struct side *s, uint64_t ppm)
{
	return draw(s) % 1000000 < ppm;
}

static bool
sooner(const struct frame *a, const struct frame *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void
heap_push(struct frame *f)
{
	unsigned i = nheap++;

	while (i > 0 && sooner(f, heap[(i - 1) / 2])) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = f;
}

static struct frame *
heap_pop(void)
{
	struct frame *top = heap[0], *f = heap[--nheap];
	unsigned i = 0, k;

	while ((k = 2 * i + 1) < nheap) {
		if (k + 1 < nheap && sooner(heap[k + 1], heap[k]))
			k++;
		if (!sooner(heap[k], f))
			break;
		heap[i] = heap[k];
		i = k;
	}
	heap[i] = f;
	return top;
}

static void
put(int to, const uint8_t *b, size_t len, uint64_t at_us)
{
	struct frame *f = nheap < FRAMES_MAX ? malloc(sizeof(*f)) : NULL;

	if (f == NULL) {
		full++;
		return;
	}
	f->at_us = at_us;
	f->number = number++;
	f->to = to;
	f->len = (uint16_t)len;
	memcpy(f->b, b, len);
	heap_push(f);
}

static void
take(unsigned from)
{
	struct side *s = &side[from];
	uint8_t b[FRAME_MAX];
	ssize_t len;

	while ((len = recv(s->fd, b, sizeof(b), MSG_DONTWAIT)) > 0) {
		uint64_t at = now_us() + delay_us;

		if (chance(s, loss)) {
			lost++;
			continue;
		}
		if (chance(s, reorder)) {
			reordered++;
			at += draw(s) % REORDER_US;
		}
		put(side[1 - from].fd, b, (size_t)len, at);
		if (chance(s, duplicate)) {
			duplicated++;
			put(side[1 - from].fd, b, (size_t)len, at);
		}
	}
}

static void
give(void)
{
	while (nheap > 0 && heap[0]->at_us <= now_us()) {
		struct frame *f = heap_pop();

		if (send(f->to, f->b, f->len, 0) == (ssize_t)f->len)
			passed++;
		else
			full++;
		free(f);
	}
}

static int
port_open(const char *name)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), yes = 1, room = 4 << 20;

	sa.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || sa.sll_ifindex == 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
		bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};

	if (argc != 8) {
		fprintf(stderr, "usage: relay IF1 IF2 SEED DELAY_US LOSS REORDER DUPLICATE\n");
		return 2;
	}
	for (unsigned i = 0; i < 2; i++) {
		side[i].fd = port_open(argv[1 + i]);
		side[i].random = strtoull(argv[3], NULL, 0) * 2 + i;
	}
	delay_us = strtoull(argv[4], NULL, 0);
	loss = strtoull(argv[5], NULL, 0);
	reorder = strtoull(argv[6], NULL, 0);
	duplicate = strtoull(argv[7], NULL, 0);
	sigaction(SIGTERM, &sa, NULL);
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		struct pollfd p[2] = {
			{.fd = side[0].fd, .events = POLLIN}, {.fd = side[1].fd, .events = POLLIN}};
		uint64_t now = now_us(), wait = 100000;
		struct timespec ts;

		if (nheap > 0)
			wait = heap[0]->at_us > now ? heap[0]->at_us - now : 0;
		ts = (struct timespec){(time_t)(wait / 1000000), (long)(wait % 1000000) * 1000};
		if (ppoll(p, 2, &ts, NULL) < 0 && errno != EINTR)
			return 1;
		for (unsigned i = 0; i < 2; i++)
			if ((p[i].revents & POLLIN) != 0)
				take(i);
		give();
	}
	printf("{\"passed\": %lu, \"lost\": %lu, \"reordered\": %lu, \"duplicated\": %lu, \"full\": %lu}\n",
		passed, lost, reordered, duplicated, full);
	return 0;
}
