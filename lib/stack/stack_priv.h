/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of lib/stack.
 */
#pragma once

#include <rte_ring.h>

#include "stack.h"

#define STACK_SERVICES_MAX 32
#define STACK_RING         2048 /* packets in a worker's spread ring; a power of two */
#define STACK_STALL_US     1000000 /* a grace period that takes longer raises the alarm */
#define STACK_TICK_US      100000

struct stack_worker {
	struct worker w;
	struct stack *s;
	struct rte_ring *ring; /* packets that other workers polled for this one; many producers */
	unsigned next; /* spread packet: whose turn it is */
	uint64_t spread_pushed, spread_full;
};

struct stack_ifc {
	unsigned queues;
};

struct stack {
	struct stack_conf conf;
	char name[16];
	enum stack_spread spread;
	struct key_secret hash; /* of keys: arriving packets and the table use the same */
	struct reclaim *reclaim;
	struct conv_table *convs;
	struct ip *ip;
	struct tcp *tcp;
	struct udp *udp;
	struct rte_mempool *mp, *mp_small;
	struct stack_worker *workers; /* conf.seats of them, and the control thread's behind */
	unsigned nifcs;
	struct stack_ifc ifcs[WORKER_IFC_MAX];
	unsigned nservices;
	const struct service *services[STACK_SERVICES_MAX];
	unsigned nlisteners, listeners_room;
	struct listener **listeners; /* control thread */
	uint64_t next_tick_us; /* worker 0 */
	bool started, announced;
};

static inline struct worker *
stack_control_worker(struct stack *s)
{
	return &s->workers[s->conf.seats].w;
}

void stack_icmp_miss(struct worker *w, struct rte_mbuf *m);
