/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Delivery: a burst is looked up at once, grouped by node over its whole length, and each
 * node is entered once. Order inside a group is the order of arrival.
 */
#include <rte_prefetch.h>

#include "conv_priv.h"

#define GROUP_SLOTS    128 /* of the little hash that finds a node's group; twice a burst */
#define GROUP_END      UINT8_MAX

#define CONV_LINES_MAX 4 /* of a conversation, behind its head */

/* The packets of one node: a chain through struct burst's next. */
struct group {
	struct conv_node *cn;
	uint8_t first, last;
};

struct burst {
	struct rte_mbuf **m;
	unsigned ngroups;
	unsigned passing; /* packets for nodes that are no conversations */
	struct group group[WORKER_BURST];
	uint8_t next
		[WORKER_BURST]; /* of a packet: that of its group which came after it, or GROUP_END */
	uint8_t slot[GROUP_SLOTS]; /* 1 + index of a group, or 0 */
};

static inline struct group *
group_of(struct burst *b, struct conv_node *cn, uint8_t packet)
{
	/* Nodes are cache lines apart; mix, as strides are often multiples of large powers of two. */
	uint32_t i = ((uint32_t)((uintptr_t)cn >> 6) * UINT32_C(2654435761)) >> 25;
	struct group *g;

	for (; b->slot[i] != 0; i = (i + 1) % GROUP_SLOTS) {
		g = &b->group[b->slot[i] - 1];
		if (g->cn == cn)
			return g;
	}
	g = &b->group[b->ngroups++];
	g->cn = cn;
	g->first = g->last = packet;
	b->slot[i] = (uint8_t)b->ngroups;
	return g;
}

/*
 * A node's head was fetched by the look-up. More will be needed, and written to, once it is entered: of a conversation the lines that
 * packets of its kind need, of others the second one. What it is shows in where it lies, long before it can be read.
 * @return is it a conversation?
 */
static inline bool
node_prefetch(const struct slab *convs, const struct conv_node *cn, uint32_t lines)
{
	const uint8_t *at = (const uint8_t *)cn;

	if ((size_t)(at - convs->base) >= (size_t)convs->capacity * convs->stride) {
		__builtin_prefetch(at + RTE_CACHE_LINE_SIZE, 1);
		return false;
	}
	for (unsigned i = 1; i <= CONV_LINES_MAX; i++)
		if ((lines >> i & 1) != 0)
			__builtin_prefetch(at + (size_t)i * RTE_CACHE_LINE_SIZE, 1);
	return true;
}

static void
conv_miss(struct worker *w, struct rte_mbuf *m)
{
	void (*miss)(struct worker *, struct rte_mbuf *) = w->convs->miss[pkt_of(m)->kind];

	if (miss == NULL)
		drop(w, m, DROP_IP_PROTO);
	else
		miss(w, m);
}

/** Somebody else is inside: what the burst holds for the node goes to its backlog. */
static __rte_noinline void
conv_input_busy(struct worker *w, struct conv_node *cn, const struct burst *b, unsigned i)
{
	struct rte_mbuf *m[WORKER_BURST];
	unsigned n = 0;

	for (; i != GROUP_END; i = b->next[i])
		m[n++] = b->m[i];
	conv_backlog_input(w, cn, m, n);
}

/** Deliver to a node what the burst holds for it, from packet i on. */
static inline void
conv_input_group(struct worker *w, struct conv_node *cn, const struct burst *b, unsigned i)
{
	enum conv_entered e = conv_enter(w, cn);

	if (unlikely(e == CONV_BUSY)) {
		conv_input_busy(w, cn, b, i);
		return;
	}
	for (; i != GROUP_END; i = b->next[i]) {
		if (e == CONV_IN)
			conv_deliver(w, cn, b->m[i]);
		else
			conv_again(w, b->m[i]);
	}
	if (e == CONV_IN)
		conv_leave(w, cn);
}

static void
conv_input_one(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const struct key48 *k = &p->key;
	struct burst b; /* not cleared: it is large, and this is all of it that is read */
	struct node *n;

	ipht_look_burst(w->convs->ipht, &k, &p->hash, 1, &n);
	if (n == NULL) {
		conv_miss(w, m);
		return;
	}
	b.m = &m;
	b.next[0] = GROUP_END;
	conv_input_group(w, (struct conv_node *)n, &b, 0);
}

/*
 * Ends: a packet comes here again only when a node that was found has died meanwhile. It left the table before it
 * was DEAD, so the next look-up does not find it: each round of a packet is paid for by the death of a node.
 */
void
conv_run_again(struct worker *w)
{
	while (w->again != NULL) {
		struct rte_mbuf *m = w->again;

		w->again = pkt_of(m)->next;
		pkt_of(m)->next = NULL;
		conv_input_one(w, m);
	}
}

/** Packets that belong to a node that was found go to its group; @return how many do not, the first ones of missed */
static unsigned
conv_group(const struct conv_table *ct, struct burst *b, struct node *const *nodes, unsigned n,
	struct rte_mbuf **missed)
{
	unsigned nmissed = 0;

	b->ngroups = 0;
	b->passing = 0;
	memset(b->slot, 0, sizeof(b->slot));
	for (unsigned i = 0; i < n; i++) {
		struct conv_node *cn = (struct conv_node *)nodes[i];
		struct group *g;

		if (unlikely(cn == NULL)) {
			missed[nmissed++] = b->m[i];
			continue;
		}
		b->passing +=
			!node_prefetch(&ct->slab[NODE_CONV], cn, ct->lines[pkt_of(b->m[i])->kind]);
		g = group_of(b, cn, (uint8_t)i);
		b->next[g->last] = (uint8_t)i;
		b->next[i] = GROUP_END;
		g->last = (uint8_t)i;
	}
	return nmissed;
}

/**
 * Half-open calls and connections in TIME-WAIT die of a packet, for the most part, and leave the wheel: their neighbours there are
 * fetched, which nobody may have touched for long.
 */
static void
conv_prefetch_timers(const struct worker *w, const struct burst *b)
{
	for (unsigned i = 0; i < b->ngroups; i++)
		if (conv_kind(b->group[i].cn) != NODE_CONV)
			conv_timer_prefetch(w, b->group[i].cn);
}

static void
conv_input_some(struct worker *w, struct rte_mbuf **m, unsigned n)
{
	const struct key48 *keys[WORKER_BURST];
	uint32_t hashes[WORKER_BURST];
	struct node *nodes[WORKER_BURST];
	struct rte_mbuf *missed[WORKER_BURST];
	struct burst b;
	unsigned nmissed, i = 0;

	if (n == 0)
		return;
	do {
		keys[i] = &pkt_of(m[i])->key;
		hashes[i] = pkt_of(m[i])->hash;
	} while (++i < n);
	ipht_look_burst(w->convs->ipht, keys, hashes, n, nodes);
	b.m = m;
	nmissed = conv_group(w->convs, &b, nodes, n, missed);
	if (b.passing > 0)
		conv_prefetch_timers(w, &b);
	for (i = 0; i < b.ngroups; i++)
		conv_input_group(w, b.group[i].cn, &b, b.group[i].first);
	/* One by one: an earlier one may make the node that a later one belongs to. */
	for (i = 0; i < nmissed; i++)
		conv_input_one(w, missed[i]);
	conv_run_again(w);
}

void
conv_input_burst(struct worker *w, struct rte_mbuf **m, unsigned n)
{
	for (; n > WORKER_BURST; m += WORKER_BURST, n -= WORKER_BURST)
		conv_input_some(w, m, WORKER_BURST);
	conv_input_some(w, m, n);
}
