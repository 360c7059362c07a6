/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "held.h"

#include <rte_jhash.h>

static uint32_t
frame_sum(const struct rte_mbuf *m)
{
	uint32_t sum = m->pkt_len;

	for (; m != NULL; m = m->next)
		sum = rte_jhash(rte_pktmbuf_mtod(m, const void *), m->data_len, sum);
	return sum;
}

static bool
held_pop(struct held *h)
{
	struct rte_mbuf *m = h->m[h->at];
	bool same = frame_sum(m) == h->sum[h->at];

	rte_pktmbuf_free(m);
	h->at = (h->at + 1) % HELD_MAX;
	h->n--;
	return same;
}

bool
held_put(struct held *h, struct rte_mbuf *m)
{
	bool same = h->n < HELD_MAX || held_pop(h);
	unsigned to = (h->at + h->n++) % HELD_MAX;

	h->m[to] = m;
	h->sum[to] = frame_sum(m);
	return same;
}

bool
held_free(struct held *h)
{
	bool same = true;

	while (h->n > 0)
		same &= held_pop(h);
	return same;
}
