/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Delivery: a burst is looked up at once, grouped by node over its whole length, and each
 * node is entered once. Order inside a group is the order of arrival.
 */
#include <rte_prefetch.h>

#include "conv_priv.h"

#define GROUP_SLOTS 128 /* of the little hash that finds a node's group; twice a burst */

struct group {
	struct conv_node *cn;
	struct pktq q;
};

struct groups {
	unsigned n;
	struct group g[WORKER_BURST];
	uint8_t slot[GROUP_SLOTS]; /* 1 + index of a group, or 0 */
};

static struct group *
group_of(struct groups *gs, struct conv_node *cn)
{
	/* Nodes are cache lines apart; mix, as strides are often multiples of large powers of two. */
	uint32_t i = (cn->n.id * UINT32_C(2654435761)) >> 25;
	struct group *g;

	for (; gs->slot[i] != 0; i = (i + 1) % GROUP_SLOTS) {
		g = &gs->g[gs->slot[i] - 1];
		if (g->cn == cn)
			return g;
	}
	g = &gs->g[gs->n++];
	g->cn = cn;
	g->q.head = NULL;
	gs->slot[i] = (uint8_t)gs->n;
	return g;
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

/** Deliver to a node what the burst holds for it. */
static void
conv_input_group(struct worker *w, struct conv_node *cn, struct pktq *q)
{
	enum conv_entered e = conv_enter(w, cn);
	struct rte_mbuf *m;

	if (e == CONV_BUSY) {
		conv_backlog_input(w, cn, q);
		return;
	}
	if (e == CONV_IN)
		conv_work_standing(w, cn);
	while ((m = pktq_pop(q)) != NULL) {
		if (e == CONV_IN)
			conv_deliver(w, cn, m);
		else
			conv_again(w, m);
	}
	if (e == CONV_IN)
		conv_leave(w, cn);
}

static void
conv_input_one(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const struct key48 *k = &p->key;
	struct pktq q = {NULL};
	struct node *n;

	ipht_look_burst(w->convs->ipht, &k, &p->hash, 1, &n);
	if (n == NULL) {
		conv_miss(w, m);
		return;
	}
	pktq_push(&q, m);
	conv_input_group(w, (struct conv_node *)n, &q);
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

static void
conv_input_some(struct worker *w, struct rte_mbuf **m, unsigned n)
{
	const struct key48 *keys[WORKER_BURST];
	uint32_t hashes[WORKER_BURST];
	struct node *nodes[WORKER_BURST];
	struct groups gs = {.n = 0};
	struct pktq missed = {NULL};
	struct rte_mbuf *one;

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		keys[i] = &pkt_of(m[i])->key;
		hashes[i] = pkt_of(m[i])->hash;
	}
	ipht_look_burst(w->convs->ipht, keys, hashes, n, nodes);
	for (unsigned i = 0; i < n; i++) {
		if (nodes[i] != NULL)
			pktq_push(&group_of(&gs, (struct conv_node *)nodes[i])->q, m[i]);
		else
			pktq_push(&missed, m[i]);
	}
	for (unsigned i = 0; i < gs.n; i++)
		conv_input_group(w, gs.g[i].cn, &gs.g[i].q);
	/* One by one: an earlier one may make the node that a later one belongs to. */
	while ((one = pktq_pop(&missed)) != NULL)
		conv_input_one(w, one);
	conv_run_again(w);
}

void
conv_input_burst(struct worker *w, struct rte_mbuf **m, unsigned n)
{
	for (; n > WORKER_BURST; m += WORKER_BURST, n -= WORKER_BURST)
		conv_input_some(w, m, WORKER_BURST);
	conv_input_some(w, m, n);
}
