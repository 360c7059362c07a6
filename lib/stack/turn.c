/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A worker's turn: poll, parse, spread, look up, enter, run, flush, quiescent state.
 */
#include "stack_priv.h"

int
stack_worker_join(struct stack *s, unsigned w)
{
	return s->reclaim->ops->join(s->reclaim, w);
}

void
stack_worker_leave(struct stack *s, unsigned w)
{
	s->reclaim->ops->leave(s->reclaim, w);
}

void
stack_worker_offline(struct stack *s, unsigned w)
{
	s->reclaim->ops->offline(s->reclaim, w);
}

void
stack_worker_online(struct stack *s, unsigned w)
{
	s->reclaim->ops->online(s->reclaim, w);
}

uint32_t
stack_worker_idle_ms(struct stack *s, unsigned w, uint32_t most)
{
	struct stack_worker *sw = &s->workers[w];

	if (rte_ring_count(sw->ring) > 0)
		return 0;
	return conv_idle_ms(&sw->w, most);
}

/** Which worker is to process a packet. */
static unsigned
spread_to(struct stack_worker *sw, struct rte_mbuf *m)
{
	struct stack *s = sw->s;
	const struct pkt *p = pkt_of(m);

	if (s->spread == STACK_SPREAD_FLOW)
		return (unsigned)((uint64_t)p->hash * s->conf.workers >> 32);
	if (++sw->next >= s->conf.workers)
		sw->next = 0;
	return sw->next;
}

/** Put packets on another worker's ring; what does not fit is dropped. */
static void
spread_push(struct stack_worker *sw, unsigned to, struct rte_mbuf **m, unsigned n)
{
	unsigned done;

	sw->w.c.held_in += n; /* before they can be taken out */
	done = rte_ring_enqueue_burst(sw->s->workers[to].ring, (void **)m, n, NULL);
	sw->w.c.held_in -= n - done;
	sw->spread_pushed += done;
	sw->spread_full += n - done;
	for (; done < n; done++)
		drop(&sw->w, m[done], DROP_SPREAD_FULL);
}

/** Hand packets to the workers they are for; keeps the order of those for one worker.
 * @return how many are for this one: the first ones of m */
static unsigned
stack_spread_burst(struct stack_worker *sw, struct rte_mbuf **m, unsigned n)
{
	struct rte_mbuf *for_w[WORKER_MAX][WORKER_BURST];
	uint8_t count[WORKER_MAX] = {0};
	unsigned mine = 0;

	if (sw->s->spread == STACK_SPREAD_RSS || sw->s->conf.workers == 1)
		return n;
	for (unsigned i = 0; i < n; i++) {
		unsigned to = spread_to(sw, m[i]);

		if (to == sw->w.id)
			m[mine++] = m[i];
		else
			for_w[to][count[to]++] = m[i];
	}
	for (unsigned to = 0; to < sw->s->conf.workers; to++)
		if (count[to] > 0)
			spread_push(sw, to, for_w[to], count[to]);
	return mine;
}

static unsigned
stack_poll_ifc(struct stack_worker *sw, unsigned ifc)
{
	struct stack *s = sw->s;
	struct rte_mbuf *frames[WORKER_BURST], *m[WORKER_BURST];
	unsigned total = 0, n;

	for (unsigned q = sw->w.id; q < s->ifcs[ifc].queues; q += s->conf.workers) {
		n = s->conf.io.rx(s->conf.io.arg, ifc, q, frames, WORKER_BURST);
		if (n == 0)
			continue;
		total += n;
		n = ip_input_burst(&sw->w, ifc, frames, n, m);
		n = stack_spread_burst(sw, m, n);
		conv_input_burst(&sw->w, m, n);
	}
	return total;
}

static unsigned
stack_poll_ring(struct stack_worker *sw)
{
	struct rte_mbuf *m[WORKER_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(sw->ring, (void **)m, WORKER_BURST, NULL);

	sw->w.c.held_out += n;
	conv_input_burst(&sw->w, m, n);
	return n;
}

/** What one worker does for all: announcements, ageing. */
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

unsigned
stack_turn(struct stack *s, unsigned number)
{
	struct stack_worker *sw = &s->workers[number];
	struct worker *w = &sw->w;
	unsigned n = 0;

	w->now_us = s->conf.io.now_us(s->conf.io.arg);
	w->now_ms = (uint32_t)(w->now_us / 1000);
	for (unsigned ifc = 0; ifc < s->nifcs; ifc++)
		n += stack_poll_ifc(sw, ifc);
	n += stack_poll_ring(sw);
	n += conv_turn(w);
	if (number == 0)
		stack_tick(s, w);
	worker_flush(w);
	conv_turn_end(w);
	s->reclaim->ops->quiescent(s->reclaim, number);
	w->c.turns++;
	w->c.idle_turns += n == 0;
	return n;
}

/** An ICMP error about no conversation of ours. */
void
stack_icmp_miss(struct worker *w, struct rte_mbuf *m)
{
	drop(w, m, DROP_ICMP_NO_CONV);
}
