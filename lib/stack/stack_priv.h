/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of lib/stack.
 */
#pragma once

#include <rte_ring.h>

#include "stack.h"

#define STACK_SERVICES_MAX 32
#define STACK_RING         2048 /* packets in a seat's spread ring; a power of two */
#define STACK_STALL_US     500000 /* a grace period, or a turn, that takes longer raises the alarm */
#define STACK_TICK_US      100000

/** Spread packet: a conversation that fills bursts, in which seats meet. */
struct stack_elephant {
	enum {
		ELEPHANT_NONE, /* packets are dealt */
		ELEPHANT_AWAITED, /* nothing is polled until the others are done with theirs */
		ELEPHANT_KEPT
	} state;
	uint32_t hash;
	uint64_t met; /* conv_met, when last looked at */
	uint64_t until_us; /* before which the state does not change by itself */
	uint64_t late_us; /* awaited: no longer than this */
	uint64_t deal_us; /* how long it is to be dealt after somebody was met; 0: nobody was */
};

/**
 * All that changes hands as a whole. `owner` is written by the owner alone, who gives the seat away with it
 * (release) and touches nothing of it afterwards; the next one finds itself named there (acquire).
 */
struct stack_seat {
	struct worker w;
	unsigned next; /* spread packet: whose turn it is */
	struct stack_elephant elephant;
	uint64_t spread_pushed, spread_full, spread_kept;
	/* What others read. */
	struct stack *s __rte_cache_aligned;
	struct rte_ring *ring; /* packets that others polled for this seat; many producers */
	_Atomic uint32_t owner; /* worker that serves it */
	_Atomic uint32_t wanted; /* worker that is to serve it; written by the control thread */
};

/** A worker thread; its own, but for the atomics and what control watches. */
struct stack_thread {
	struct stack_worker_counters c;
	uint32_t seen; /* the value of stack.hands that the list was made at */
	unsigned nseats;
	uint8_t seats[WORKER_MAX];
	uint64_t asleep_since_us;
	_Atomic uint64_t joined_us;
	_Atomic bool up; /* joined */
	/* Control thread: when it last saw a turn end. */
	uint64_t watch_turns, watch_us;
	_Atomic bool asleep __rte_cache_aligned; /* whoever brings work wakes it */
} __rte_cache_aligned;

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
	struct stack_seat *seats; /* conf.seats of them, and the control thread's behind */
	struct stack_thread *threads; /* conf.seats of them */
	_Atomic uint32_t hands; /* moves on when seats are dealt, and when one has changed hands */
	unsigned workers; /* that seats are dealt to; control thread */
	bool alarm; /* control thread: what stack_control_tick saw */
	uint64_t stalls, stuck_us;
	unsigned stuck_worker;
	unsigned nifcs;
	struct stack_ifc ifcs[WORKER_IFC_MAX];
	unsigned nservices;
	const struct service *services[STACK_SERVICES_MAX];
	unsigned nlisteners, listeners_room;
	struct listener **listeners; /* control thread */
	uint64_t next_tick_us; /* seat 0 */
	bool started, announced;
};

static inline struct worker *
stack_control_worker(struct stack *s)
{
	return &s->seats[s->conf.seats].w;
}

/* spread.c */
/** Is the seat to poll nothing in this turn? */
bool stack_spread_waits(struct stack_seat *seat);
/** Deal packets that were polled, and process what is for this seat. */
void stack_input(struct stack_seat *seat, struct rte_mbuf **m, unsigned n);

/* seat.c */
void stack_seats_init(struct stack *s);
void stack_thread_seats(struct stack *s, unsigned number);
void stack_seat_wake(struct stack *s, unsigned seat);

void stack_icmp_miss(struct worker *w, struct rte_mbuf *m);
