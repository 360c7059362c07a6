/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Who processes a packet: the seat that polled it, or another one, through that one's ring.
 */
#include "stack_priv.h"

/** Put packets on another seat's ring; what does not fit is dropped. */
static void
spread_push(struct stack_seat *seat, unsigned to, struct rte_mbuf **m, unsigned n)
{
	unsigned done;

	seat->w.c.held_in += n; /* before they can be taken out */
	done = rte_ring_enqueue_burst(seat->s->seats[to].ring, (void **)m, n, NULL);
	stack_seat_wake(seat->s, to);
	seat->w.c.held_in -= n - done;
	seat->spread_pushed += done;
	seat->spread_full += n - done;
	for (; done < n; done++)
		drop(&seat->w, m[done], DROP_SPREAD_FULL);
}

/** Which seat is to process a packet: whoever serves it, so the order of a conversation stays when seats change hands. */
static unsigned
spread_to(struct stack_seat *seat, enum stack_spread spread, struct rte_mbuf *m)
{
	struct stack *s = seat->s;

	if (spread == STACK_SPREAD_FLOW)
		return (unsigned)((uint64_t)pkt_of(m)->hash * s->conf.seats >> 32);
	if (++seat->next >= s->conf.seats)
		seat->next = 0;
	return seat->next;
}

/** Hand packets to the seats they are for; keeps the order of those for one seat.
 * @return how many are for this one: the first ones of m */
static unsigned
spread_deal(struct stack_seat *seat, enum stack_spread spread, struct rte_mbuf **m, unsigned n)
{
	struct rte_mbuf *for_s[WORKER_MAX][WORKER_BURST];
	uint8_t count[WORKER_MAX] = {0};
	unsigned mine = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned to = spread_to(seat, spread, m[i]);

		if (to == seat->w.id)
			m[mine++] = m[i];
		else
			for_s[to][count[to]++] = m[i];
	}
	for (unsigned to = 0; to < seat->s->conf.seats; to++)
		if (count[to] > 0)
			spread_push(seat, to, for_s[to], count[to]);
	return mine;
}

void
stack_input(struct stack_seat *seat, struct rte_mbuf **m, unsigned n)
{
	enum stack_spread spread = seat->s->spread;

	if (spread != STACK_SPREAD_RSS && seat->s->conf.seats > 1)
		n = spread_deal(seat, spread, m, n);
	conv_input_burst(&seat->w, m, n);
}
