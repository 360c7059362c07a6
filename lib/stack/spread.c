/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Who processes a packet: the seat that polled it, or another one, through that one's ring.
 */
#include "stack_priv.h"

/*
 * Spread packet deals the packets of one conversation to all seats, who meet in it: while one is inside, all that another can do is
 * to hand him its packets, and their lines have crossed between cores twice for nothing. So a conversation that fills long
 * bursts, and in which seats have met, is kept for some packets by the seat that polls it: for twice as many if they have met
 * again since the last burst that was dealt, for half as many if not.
 */
#define ELEPHANT   16 /* packets of a burst that is long enough */
#define KEEP_LEAST 64
#define KEEP_MOST  262144
#define MET_MOST \
	96 /* packets that met since: then somebody stays inside, whose backlog is not to run over */

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

/** Is a burst one conversation's, for the most part, as three of its packets show? @return its hash, else 0 */
static uint32_t
spread_elephant(struct rte_mbuf *const *m, unsigned n)
{
	uint32_t hash = pkt_of(m[0])->hash;

	if (n < ELEPHANT || pkt_of(m[n / 2])->hash != hash || pkt_of(m[n - 1])->hash != hash)
		return 0;
	return hash;
}

/** Spread packet: is a burst to be kept? */
static bool
spread_keeps(struct stack_seat *seat, struct rte_mbuf *const *m, unsigned n)
{
	struct stack_elephant *e = &seat->elephant;
	uint32_t hash = spread_elephant(m, n);
	uint64_t met;

	if (hash == 0)
		return false;
	met = conv_met(&seat->w);
	if (hash == e->hash && e->left >= n && met - e->met <= MET_MOST) {
		e->left -= n;
		seat->spread_kept += n;
		return true;
	}
	if (hash != e->hash || (e->left > 0 && met - e->met > MET_MOST))
		*e = (struct stack_elephant){.hash = hash};
	else if (met == e->met)
		e->keep /= 2;
	else
		e->keep = RTE_MIN(RTE_MAX(2 * e->keep, (uint32_t)KEEP_LEAST), (uint32_t)KEEP_MOST);
	e->left = e->keep;
	e->met = met;
	return false;
}

void
stack_input(struct stack_seat *seat, struct rte_mbuf **m, unsigned n)
{
	enum stack_spread spread = seat->s->spread;

	if (spread != STACK_SPREAD_RSS && seat->s->conf.seats > 1 &&
		!(spread == STACK_SPREAD_PACKET && n > 0 && spread_keeps(seat, m, n)))
		n = spread_deal(seat, spread, m, n);
	conv_input_burst(&seat->w, m, n);
}
