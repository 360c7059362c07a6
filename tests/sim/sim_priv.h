/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of the simulator.
 */
#pragma once

#include "held.h"
#include "sim.h"

#define SIM_FRAME_MAX 9300
#define SIM_MILLION   1000000

struct pcapng;

struct sim_frame {
	uint64_t at_us; /* when it arrives */
	uint64_t order; /* of two at one time the one that was sent first */
	struct sim_frame *next; /* in an inbox */
	unsigned host; /* where */
	uint32_t len;
	uint8_t b[];
};

struct sim_host {
	struct sim *sim;
	unsigned number;
	struct stack *stack;
	unsigned workers;
	struct sim_frame *inbox, **inbox_end; /* arrived, not yet polled */
	uint64_t link_free_ns; /* when the outgoing link has sent what it was given */
	struct held held; /* sent, and not let go of yet: of host 0's port, which is like a NIC's */
	bool link_bad; /* Gilbert, Elliott */
	uint64_t link_used_us; /* last */
};

struct sim {
	struct sim_conf conf;
	struct worker rng,
		deals; /* a sequence of its own, so that what else happens stays the same */
	uint64_t now_us;
	struct sim_frame **flying; /* a heap: the next to arrive first */
	unsigned nflying, flying_room;
	uint64_t order, trace;
	struct sim_host host[2];
	struct sim_counters c;
	struct pcapng *pcapng;
	char fault[256];
};

_Noreturn void sim_fail(const char *what, int err);
static inline bool
sim_chance(struct sim *s, uint32_t parts)
{
	return parts != 0 && worker_random(&s->rng) % SIM_MILLION < parts;
}

/* ---- link.c ---- */

/** A host has sent a frame: what becomes of it. */
void link_send(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len);
/** The frame that arrives next, if it has; NULL: none yet. The caller frees it. */
struct sim_frame *link_arrived(struct sim *s);

/* ---- router.c ---- */

/** A packet is too long for the way: refuse it as a router does, or cut it in pieces that fit. */
void router_too_big(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len);
/** There is no way: say so. */
void router_unreachable(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len);
/** Mark a frame as having met congestion, if it may be (RFC 3168 section 5). @return false: it may not */
bool router_mark(uint8_t *b, uint32_t len);
/** link.c: on its way; the queue and the chances of the link are behind it. */
void link_put(struct sim *s, unsigned to, uint64_t at_us, const uint8_t *b, uint32_t len);
/** link.c: into the queue. */
void link_queue(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len);
