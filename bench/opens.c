/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_opens HELD [CONNECTS [RUNS]] [EAL options]
 *
 * What it costs to open a TCP conversation and end it (SYN and SYN-ACK, ACK, RST), by one worker over net_ring, while none other is
 * there, then while HELD of them are, then again while there is none, in the same table. Prints one line of JSON: TSC cycles of the
 * worker's turns per conversation; what is given back in turns that only wait for grace periods is not in them.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>

#include "program.h"
#include "tcp_ring.h"

#define COMING      65536 /* peers that come and go, in turn */
#define WAITING     2048 /* half-open calls and conversations that may wait for a grace period */
#define WAIT_ROUNDS 2000000000ul

struct opens {
	struct ring r;
	struct tcp_peers p;
	uint32_t held, connects;
	uint32_t next; /* of those that come and go */
	uint64_t waited; /* turns only to wait for grace periods */
};

/** The thread that waits for grace periods may have no CPU of its own here. What that takes is not counted. */
static void
opens_room(struct opens *o, uint32_t there)
{
	struct conv_table *ct = stack_convs(o->r.s);

	for (uint64_t i = 0; conv_live(ct, NODE_HALF_OPEN) > WAITING ||
		conv_live(ct, NODE_CONV) > there + WAITING;
		i++) {
		must(i < WAIT_ROUNDS, "waiting for a grace period");
		stack_turn(o->r.s, 0);
		o->waited++;
	}
}

/** A burst of them opened and ended. @return cycles */
static uint64_t
opens_burst(struct opens *o)
{
	uint32_t peer[RING_BURST];
	uint64_t open, end;

	for (unsigned i = 0; i < RING_BURST; i++)
		peer[i] = o->held + o->next++ % COMING;
	open = tcp_ring_open(&o->r, &o->p, peer);
	must(open != 0, "opening a conversation");
	end = tcp_ring_burst(&o->r, &o->p, peer, TCP_RST | TCP_ACK, 0, 0);
	must(end != 0, "ending a conversation");
	return open + end;
}

static void
opens_run(struct opens *o, uint32_t there, struct runs *ret)
{
	struct bursts bursts = {.n = 0};

	for (uint32_t done = 0; done < o->connects; done += RING_BURST) {
		opens_room(o, there);
		bursts_add(&bursts, opens_burst(o));
	}
	runs_add(ret, bursts_mean(&bursts) / RING_BURST);
}

static void
opens_fill(struct opens *o)
{
	uint32_t peer[RING_BURST];

	for (uint32_t at = 0; at < o->held; at += RING_BURST) {
		for (unsigned i = 0; i < RING_BURST; i++)
			peer[i] = at + i;
		opens_room(o, at);
		must(tcp_ring_open(&o->r, &o->p, peer) != 0, "opening what is held");
	}
}

static void
opens_empty(struct opens *o)
{
	uint32_t peer[RING_BURST];

	for (uint32_t at = 0; at < o->held; at += RING_BURST) {
		for (unsigned i = 0; i < RING_BURST; i++)
			peer[i] = at + i;
		must(tcp_ring_burst(&o->r, &o->p, peer, TCP_RST | TCP_ACK, 0, 0) != 0,
			"ending what was held");
	}
	opens_room(o, 0);
}

int
main(int argc, char **argv)
{
	uint64_t args[] = {0, 1 << 16, 5};
	struct opens o = {.held = 0};
	struct runs empty = {.n = 0}, full = {.n = 0};
	uint32_t live;

	program_start(argc, argv, 1, args, RTE_DIM(args));
	must(args[0] >= RING_BURST && args[1] > 0 && args[2] > 0 && args[2] <= RUNS_MAX / 2,
		"looking at the arguments");
	o.held = (uint32_t)args[0] / RING_BURST * RING_BURST;
	o.connects = (uint32_t)args[1];
	program_unpin();
	ring_open(&o.r, o.held + COMING, true, RING_PLAIN);
	program_pin(rte_lcore_id());
	tcp_ring_init(&o.p, &o.r, o.held + COMING);
	ring_listen(o.r.s, "echo", IPPROTO_TCP);
	for (unsigned i = 0; i < args[2]; i++)
		opens_run(&o, 0, &empty);
	opens_fill(&o);
	for (unsigned i = 0; i < args[2]; i++)
		opens_run(&o, o.held, &full);
	live = conv_live(stack_convs(o.r.s), NODE_CONV);
	must(live >= o.held, "holding them");
	opens_empty(&o);
	for (unsigned i = 0; i < args[2]; i++)
		opens_run(&o, 0, &empty);
	printf("{\"held\": %u, ", o.held);
	runs_print("empty", &empty, ", ");
	runs_print("full", &full, ", ");
	printf("\"waited\": %lu, \"tsc_hz\": %lu}\n", o.waited, rte_get_tsc_hz());
	ring_close(&o.r);
	free(o.p.peers);
	rte_eal_cleanup();
	return 0;
}
