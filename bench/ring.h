/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A whole stack on a port of net_ring in this process: what goes into one ring is received, what is sent comes out of the
 * other. One thread is generator and worker in turn, so that the worker's share alone can be timed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "stack.h"

#define RING_SIZE  1024
#define RING_BURST 32 /* frames per turn, as testpmd has them */

/** What is done with several segments of TCP at once. */
enum ring_way {
	RING_PLAIN, /* nothing */
	RING_TSO, /* they leave in one packet, which the port would cut */
	RING_GSO, /* rte_gso cuts it before it leaves, in software */
	RING_GRO, /* rte_gro makes one of those that come in */
};

struct ring {
	struct stack *s;
	struct rte_ring *in, *out;
	uint16_t port;
	bool offload; /* the port computes and checks checksums */
	enum ring_way way;
};

/** A stack for so many conversations with one worker, this thread, at 10.77.0.2; services are those of convd. Ends the
 * program if it can't. */
void ring_open(struct ring *r, uint32_t conversations, bool offload, enum ring_way way);
void ring_close(struct ring *r);
/** Give a stack the services of convd, an interface with so many queues, 10.77.0.2 and a router, and start it. */
void ring_stack(struct stack *s, bool offload, bool tso, unsigned queues);
/** Listen with a service on port 7. */
void ring_listen(struct stack *s, const char *service, uint8_t proto);
/** The clock, in us, as struct stack_io wants it. */
uint64_t ring_now(void *arg);

/** n <= RING_BURST empty buffers of the stack's pool. */
void ring_alloc(struct ring *r, struct rte_mbuf **m, unsigned n);
/** Let these be received, and turn. @return TSC cycles of the turn */
uint64_t ring_turn(struct ring *r, struct rte_mbuf **m, unsigned n);
/** Take the IPv4 packets among the next n frames that were sent. The caller frees. */
unsigned ring_sent(struct ring *r, struct rte_mbuf **m, unsigned n);
/** Turn until nothing happens for ms. */
void ring_rest(struct ring *r, unsigned ms);
