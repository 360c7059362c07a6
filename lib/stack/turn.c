/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A worker's turn, seat by seat: poll, parse, spread, look up, enter, run, flush; then its quiescent state.
 */
#include "stack_priv.h"

static unsigned
stack_poll_ifc(struct stack_seat *seat, unsigned ifc)
{
	struct stack *s = seat->s;
	struct rte_mbuf *frames[WORKER_BURST], *m[WORKER_BURST];
	unsigned total = 0, n;

	for (unsigned q = seat->w.id; q < s->ifcs[ifc].queues; q += s->conf.seats) {
		n = s->conf.io.rx(s->conf.io.arg, ifc, q, frames, WORKER_BURST);
		if (n == 0)
			continue;
		total += n;
		n = ip_input_burst(&seat->w, ifc, frames, n, m);
		stack_input(seat, m, n);
	}
	return total;
}

static unsigned
stack_poll_ring(struct stack_seat *seat)
{
	struct rte_mbuf *m[WORKER_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(seat->ring, (void **)m, WORKER_BURST, NULL);

	/* Their lines are with the core that polled them. */
	for (unsigned i = 0; i < n; i++)
		pkt_prefetch(m[i]);
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	seat->w.c.held_out += n;
	conv_input_burst(&seat->w, m, n);
	return n;
}

/** What one seat does for all: announcements, ageing. */
static void
stack_tick(struct stack *s, struct worker *w)
{
	if (!s->announced) {
		s->announced = true;
		ip_announce(w);
	}
	if (w->now_us < s->next_tick_us)
		return;
	s->next_tick_us = w->now_us + STACK_TICK_US;
	ip_tick(w);
}

static unsigned
stack_turn_seat(struct stack *s, unsigned number)
{
	struct stack_seat *seat = &s->seats[number];
	struct worker *w = &seat->w;
	unsigned n = 0;

	w->now_us = s->conf.io.now_us(s->conf.io.arg);
	w->now_ms = (uint32_t)(w->now_us / 1000);
	for (unsigned ifc = 0; ifc < s->nifcs && !stack_spread_waits(seat); ifc++)
		n += stack_poll_ifc(seat, ifc);
	n += stack_poll_ring(seat);
	n += conv_turn(w);
	if (number == 0)
		stack_tick(s, w);
	worker_flush(w);
	conv_turn_end(w);
	w->c.turns++;
	w->c.idle_turns += n == 0;
	return n;
}

/** The same, and its packets count for the thread. */
static unsigned
stack_turn_counted(struct stack *s, struct stack_thread *t, unsigned number)
{
	struct worker_counters *c = &s->seats[number].w.c;
	uint64_t received = c->received, delivered = c->delivered;
	uint64_t consumed = c->consumed, sent = c->sent;
	unsigned n = stack_turn_seat(s, number);

	if (n > 0) {
		t->c.received += c->received - received;
		t->c.delivered += c->delivered - delivered;
		t->c.consumed += c->consumed - consumed;
		t->c.sent += c->sent - sent;
	}
	return n;
}

unsigned
stack_turn(struct stack *s, unsigned w)
{
	struct stack_thread *t = &s->threads[w];
	unsigned n = 0;

	stack_thread_seats(s, w);
	for (unsigned i = 0; i < t->nseats; i++)
		n += stack_turn_counted(s, t, t->seats[i]);
	s->reclaim->ops->quiescent(s->reclaim, w);
	t->c.turns++;
	t->c.idle_turns += n == 0;
	return n;
}

/** An ICMP error about no conversation of ours. */
void
stack_icmp_miss(struct worker *w, struct rte_mbuf *m)
{
	drop(w, m, DROP_ICMP_NO_CONV);
}
