/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of lib/conv: table, slabs, seats, wheel, and the steps of the word.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>

#include <rte_mempool.h>
#include <rte_memzone.h>

#include "conv.h"
#include "listener.h"
#include "proto.h"

#define WHEEL_BITS    8
#define WHEEL_SLOTS   (1u << WHEEL_BITS)
#define WHEEL_LEVELS  4 /* 32 bits of ms */

#define RETIRED_AHEAD 4 /* nodes that are fetched while others are given back */

/** Hierarchical timing wheel (Varghese, Lauck 1987), of node ids; its seat's thread only. */
struct wheel {
	uint32_t now; /* ms: all slots up to here have been looked at */
	uint32_t armed;
	uint32_t head[WHEEL_LEVELS * WHEEL_SLOTS];
};

/** All that a worker serves as a whole; changes hands as a whole. */
struct seat { /* NOLINT(clang-analyzer-optin.performance.Padding): the inbox has its own line */
	struct conv_table *ct;
	uint32_t number;
	uint32_t kick_head, kick_tail; /* ids; nodes with QUEUED, one reference each */
	struct reclaim_batch retired; /* not yet handed to the reclaimer */
	uint32_t retired_ago
		[RETIRED_AHEAD]; /* the last ones of these; each names the one so far before it in post_next */
	uint64_t fences, fences_passed;
	struct conv_counters c;
	struct wheel wheel;
	_Atomic uint32_t allowed[NODE_KINDS]; /* nodes it may make unasked; only it writes */
	_Atomic uint32_t inbox
		__rte_cache_aligned; /* ids, last in first; nodes with POSTED, one reference each */
} __rte_cache_aligned;

/** All nodes of one kind: one contiguous piece of memory, so that a slot number names one. */
struct slab { /* NOLINT(clang-analyzer-optin.performance.Padding): the count has its own line */
	struct node_ops ops;
	struct rte_mempool *mp;
	const struct rte_memzone *mz;
	uint8_t *base; /* of slot 0 */
	uint32_t stride; /* bytes from slot to slot, the pool's header included */
	uint32_t capacity; /* slots: the limit, and what caches may hold back */
	uint32_t limit;
	uint32_t share; /* what a seat asks for at once */
	uint32_t first; /* number of slot 0 in the numbering that handles use */
	_Atomic uint32_t given __rte_cache_aligned; /* of the limit, to nodes and to seats */
};

struct conv_table { /* NOLINT(clang-analyzer-optin.performance.Padding): counts have lines of their own */
	struct conv_table_conf conf;
	struct ipht *ipht;
	uint32_t slots; /* of all kinds */
	unsigned nseats; /* the control thread's included */
	void (*miss[PKT_KINDS])(struct worker *w, struct rte_mbuf *m);
	uint32_t lines[PKT_KINDS]; /* see conv_lines_set */
	struct slab slab[NODE_KINDS];
	struct seat *seats;
	struct listener *closed; /* control thread's */
	char name[RTE_MEMPOOL_NAMESIZE];
	/* fragments.c: datagrams in pieces that live, and all the pieces they hold. */
	_Atomic uint32_t joining __rte_cache_aligned;
	_Atomic uint32_t pieces;
	_Atomic uint64_t port_next; /* connect.c: RFC 6056's next_ephemeral */
};

static inline struct conv_node *
conv_node_at(const struct conv_table *ct, uint32_t id)
{
	const struct slab *s = &ct->slab[id >> NODE_ID_KIND_SHIFT];
	uint32_t slot = id & ((1u << NODE_ID_KIND_SHIFT) - 1);

	return (struct conv_node *)(s->base + (size_t)slot * s->stride);
}

/** Fetch what all nodes have, to be written to. */
static inline void
conv_head_prefetch(const struct conv_node *cn)
{
	__builtin_prefetch(cn, 1);
	__builtin_prefetch((const uint8_t *)cn + RTE_CACHE_LINE_SIZE, 1);
}

static inline const struct node_ops *
conv_ops(const struct conv_table *ct, const struct conv_node *cn)
{
	return &ct->slab[conv_kind(cn)].ops;
}

/* slab.c */
int slab_start(struct conv_table *ct, enum node_kind kind);
void slab_free(struct slab *s);
uint32_t slab_capacity(uint32_t limit, unsigned seats);
bool slab_take(struct slab *s, _Atomic uint32_t *allowed);
void slab_give(struct slab *s, _Atomic uint32_t *allowed, uint32_t n);

/* enter.c: the steps of the word */
enum conv_entered {
	CONV_IN, /* inside; the hold and a reference are ours */
	CONV_BUSY, /* another worker is inside */
	CONV_GONE, /* dead, or no reference left */
};
enum conv_entered conv_enter(struct worker *w, struct conv_node *cn);
bool conv_enter_or(struct worker *w, struct conv_node *cn, uint64_t bits);
void conv_leave(struct worker *w, struct conv_node *cn);
bool conv_get_live(struct worker *w, struct conv_node *cn);
void conv_backlog_input(struct worker *w, struct conv_node *cn, struct rte_mbuf **m, unsigned n);
void conv_run_kicks(struct worker *w, unsigned *ret_n);
void conv_run_again(struct worker *w);
unsigned conv_run_inbox(struct worker *w);
/** Inside cn: hand it a packet that was looked up before, now that nobody can take the node away: if it lives, and the tuple
 * is its own (I5); else the packet is looked up again. Consumes m. */
void conv_deliver(struct worker *w, struct conv_node *cn, struct rte_mbuf *m);
void conv_post_timer(struct conv_table *ct, unsigned owner, struct conv_node *cn);
void conv_inbox_push(struct seat *to, struct conv_node *cn);
void conv_retire(struct worker *w, struct conv_node *cn);

/* timer.c */
void wheel_init(struct wheel *wh, uint32_t now_ms);
unsigned conv_run_timers(struct worker *w);
void conv_timer_posted(struct worker *w, struct conv_node *cn);
void conv_timer_prefetch(const struct worker *w, const struct conv_node *cn);
bool conv_timer_take(struct worker *w, struct conv_node *cn);
void conv_timer_cancel(struct worker *w, struct conv_node *cn);
uint32_t wheel_next_ms(const struct wheel *wh, uint32_t most);
