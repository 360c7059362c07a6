/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Who processes a packet: the seat that polled it, or another one, through that one's ring.
 */
#include "stack_priv.h"

/*
 * Spread packet deals the packets of one conversation to all seats, who meet in it: while one is inside, all that another can do is
 * to hand him its packets, and their lines have crossed between cores twice for nothing. So a conversation that fills long
 * bursts, and in which seats have met, is an elephant: its packets are kept by the seat that polls them, once the others have had
 * time to be done with theirs. For as long as somebody else is inside, every packet that is kept is one more for his backlog; he may
 * have lost his core. So the seat polls nothing while it waits, not for long, and deals again if it meets anybody.
 */
#define ELEPHANT     16 /* packets of a burst that is long enough */
#define WAIT_US      20 /* after the others' rings are empty, for what they have taken out of them */
#define WAIT_MOST_US 200 /* in all: the device's ring fills meanwhile */
#define KEEP_US      10000 /* after the last long burst */
#define DEAL_US      10000 /* after somebody was met: before the next try, twice as long each time ... */
#define DEAL_MOST_US 1000000 /* ... up to this */

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
spread_of_one(struct rte_mbuf *const *m, unsigned n)
{
	uint32_t hash = pkt_of(m[0])->hash;

	return hash == pkt_of(m[n / 2])->hash && hash == pkt_of(m[n - 1])->hash ? hash : 0;
}

/** Packets are dealt from now on, and no elephant is kept for a time. */
static void
elephant_lost(struct stack_elephant *e, uint64_t now_us)
{
	e->state = ELEPHANT_NONE;
	e->deal_us = e->deal_us == 0 ? DEAL_US : RTE_MIN(2 * e->deal_us, (uint64_t)DEAL_MOST_US);
	e->until_us = now_us + e->deal_us;
}

/** A burst was dealt: did it show an elephant? */
static void
elephant_look(struct stack_seat *seat, uint32_t hash, uint64_t met)
{
	struct stack_elephant *e = &seat->elephant;
	uint64_t now_us = seat->w.now_us;

	if (hash == e->hash && met != e->met && now_us >= e->until_us) {
		e->state = ELEPHANT_AWAITED;
		e->until_us = now_us + WAIT_US;
		e->late_us = now_us + WAIT_MOST_US;
	}
	e->hash = hash;
	e->met = met;
}

/** Spread packet: is a burst to be kept? */
static bool
spread_keeps(struct stack_seat *seat, struct rte_mbuf *const *m, unsigned n)
{
	struct stack_elephant *e = &seat->elephant;
	uint32_t hash = spread_of_one(m, n);
	uint64_t met = conv_met(&seat->w), now_us = seat->w.now_us;

	if (e->state == ELEPHANT_NONE) {
		if (n >= ELEPHANT && hash != 0)
			elephant_look(seat, hash, met);
		return false;
	}
	if (met - e->met >= ELEPHANT / 2 || now_us >= e->until_us) {
		elephant_lost(e, now_us);
		return false;
	}
	if (hash != e->hash)
		return false;
	if (n >= ELEPHANT) {
		if (met == e->met)
			e->deal_us = 0;
		e->met = met;
		e->until_us = now_us + KEEP_US;
	}
	seat->spread_kept += n;
	return true;
}

/** Have the other seats nothing left in their rings? */
static bool
spread_rings_empty(const struct stack_seat *seat)
{
	const struct stack *s = seat->s;

	for (unsigned i = 0; i < s->conf.seats; i++)
		if (i != seat->w.id && !rte_ring_empty(s->seats[i].ring))
			return false;
	return true;
}

bool
stack_spread_waits(struct stack_seat *seat)
{
	struct stack_elephant *e = &seat->elephant;
	uint64_t now_us = seat->w.now_us;

	if (e->state != ELEPHANT_AWAITED)
		return false;
	if (!spread_rings_empty(seat))
		e->until_us = now_us + WAIT_US;
	if (now_us >= e->late_us) {
		elephant_lost(e, now_us);
		return false;
	}
	if (now_us < e->until_us)
		return true;
	e->state = ELEPHANT_KEPT;
	e->met = conv_met(&seat->w);
	e->until_us = now_us + KEEP_US;
	return false;
}

void
stack_input(struct stack_seat *seat, struct rte_mbuf **m, unsigned n)
{
	enum stack_spread spread = seat->s->spread;

	if (spread != STACK_SPREAD_RSS && seat->s->conf.seats > 1 && n > 0 &&
		!(spread == STACK_SPREAD_PACKET && spread_keeps(seat, m, n)))
		n = spread_deal(seat, spread, m, n);
	conv_input_burst(&seat->w, m, n);
}
