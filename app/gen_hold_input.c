/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The stateless mode: what comes in, and what it is answered by. All that the answer needs is in the packet, or follows from its
 * tuple: our first sequence number, and from two bits whether the conversation is open, and whether it is over.
 */
#include <string.h>

#include "gen_hold.h"

#define KEEPALIVE_MS 1000 /* an ACK whose echo of our clock is older was not asked for: a probe */
#define CONTROL      (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG)

/** Answer s: it says where we stand and, with its timestamp, whether there are any. */
static void
input_answer(struct gen_hold *h, const struct gen_tuple *t, const struct gen_seg *s, uint32_t ack,
	uint8_t flags)
{
	struct gen_seg a = {
		.seq = s->ack,
		.ack = ack,
		.flags = flags,
		.ts = s->ts,
		.ts_ecr = s->ts_val,
	};

	gen_hold_send(h, t, &a);
}

/** RST, where the peer expects us to go on (RFC 9293 section 3.10.7.1). */
static void
input_reset(struct gen_hold *h, const struct gen_tuple *t, const struct gen_seg *s)
{
	struct gen_seg a = {.seq = s->ack, .flags = RTE_TCP_RST_FLAG};

	gen_hold_send(h, t, &a);
}

/** A SYN is no more in flight. */
static void
input_landed(struct gen_hold *h)
{
	if (h->inflight > 0)
		h->inflight--;
}

/** The peer has a conversation of an earlier run under this tuple. That one ends; the next SYN finds the way free. */
static void
input_stale(struct gen_hold *h, const struct gen_tuple *t, const struct gen_seg *s)
{
	input_landed(h);
	input_reset(h, t, s);
}

/** Close one that is not held. */
static void
input_close(struct gen_hold *h, uint32_t i, const struct gen_tuple *t, const struct gen_seg *s)
{
	if (!h->conf.reset) {
		input_answer(h, t, s, s->seq + 1, RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG);
		return;
	}
	input_reset(h, t, s);
	if (!gen_bit(h->over, i))
		h->c.churn_closed++;
	gen_bit_set(h->over, i);
}

/** SYN-ACK, for the first time or again. */
static void
input_syn_ack(struct gen_hold *h, uint32_t i, const struct gen_tuple *t, const struct gen_seg *s)
{
	bool held = i < h->conf.held;

	if (s->ack != gen_space_iss(&h->conf.space, t) + 1 || gen_bit(h->over, i)) {
		input_reset(h, t, s);
		return;
	}
	if (!gen_bit(h->seen, i)) {
		gen_bit_set(h->seen, i);
		input_landed(h);
		if (held)
			h->c.established++;
		else
			h->c.churn_opened++;
	}
	input_answer(h, t, s, s->seq + 1, RTE_TCP_ACK_FLAG);
	if (!held)
		input_close(h, i, t, s);
}

static void
input_rst(struct gen_hold *h, uint32_t i, const struct gen_tuple *t, const struct gen_seg *s)
{
	struct gen_slot *slot;

	if (gen_bit(h->over, i))
		return;
	if (!gen_bit(h->seen, i)) {
		/* The answer to our SYN acknowledges it (RFC 9293 section 3.10.7.3). */
		if ((s->flags & RTE_TCP_ACK_FLAG) == 0 ||
			s->ack != gen_space_iss(&h->conf.space, t) + 1)
			return;
		input_landed(h);
		h->c.refused += i < h->conf.held;
	} else if (i < h->conf.held) {
		h->c.ended++;
	}
	gen_bit_set(h->over, i);
	slot = i < h->conf.held ? gen_sample_find(h, i) : NULL;
	if (slot != NULL)
		gen_sample_ended(h, slot);
}

/** Of one that is not held: it has been closed by us, by FIN. */
static void
input_churned(struct gen_hold *h, uint32_t i, const struct gen_tuple *t, const struct gen_seg *s)
{
	bool fin = (s->flags & RTE_TCP_FIN_FLAG) != 0;
	uint32_t ack = s->seq + s->len + fin;

	if (s->ack == gen_space_iss(&h->conf.space, t) + 1 && !gen_bit(h->over, i)) {
		/* Ours has not arrived. */
		input_answer(h, t, s, ack, RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG);
		return;
	}
	if (!fin)
		return;
	input_answer(h, t, s, ack, RTE_TCP_ACK_FLAG);
	if (!gen_bit(h->over, i))
		h->c.churn_closed++;
	gen_bit_set(h->over, i);
}

/**
 * An ACK that nothing was outstanding for. A keepalive probe has a sequence number one too low, which nobody here knows; but it
 * comes after a silence, and its timestamp shows that. Without timestamps it is answered by an ACK of nothing new.
 */
static void
input_ack(struct gen_hold *h, const struct gen_tuple *t, const struct gen_seg *s)
{
	if (s->ts && gen_hold_ts(h) - s->ts_ecr <= KEEPALIVE_MS)
		return;
	h->c.keepalives++;
	input_answer(h, t, s, s->seq + s->ts, RTE_TCP_ACK_FLAG);
}

static void
input_held(struct gen_hold *h, uint32_t i, const struct gen_tuple *t, const struct gen_seg *s)
{
	bool fin = (s->flags & RTE_TCP_FIN_FLAG) != 0;
	struct gen_slot *slot;

	slot = gen_sample_find(h, i);
	if (fin) {
		input_answer(h, t, s, s->seq + s->len + 1, RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG);
		h->c.ended += !gen_bit(h->over, i);
		gen_bit_set(h->over, i);
		if (slot != NULL)
			gen_sample_ended(h, slot);
	} else if (gen_bit(h->over, i)) {
		return;
	} else if (slot != NULL) {
		gen_sample_input(h, slot, t, s);
	} else if (s->len > 0) {
		/* The end of an answer again, as our ACK was lost; or the peer talks of its own accord. */
		h->c.unasked++;
		input_answer(h, t, s, s->seq + s->len, RTE_TCP_ACK_FLAG);
	} else {
		input_ack(h, t, s);
	}
}

static void
input_seg(struct gen_hold *h, const struct gen_seg *s)
{
	struct gen_tuple t = {s->t.daddr, s->t.saddr, s->t.dport, s->t.sport};
	uint32_t i;

	if (!gen_space_index(&h->conf.space, &t, &i)) {
		h->c.strange++;
		return;
	}
	switch (s->flags & CONTROL) {
	case RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG:
		input_syn_ack(h, i, &t, s);
		break;
	case RTE_TCP_ACK_FLAG:
		if (!gen_bit(h->seen, i))
			input_stale(h, &t, s);
		else if (i < h->conf.held)
			input_held(h, i, &t, s);
		else
			input_churned(h, i, &t, s);
		break;
	case RTE_TCP_RST_FLAG:
	case RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG:
		input_rst(h, i, &t, s);
		break;
	default:
		h->c.strange++;
		break;
	}
}

void
gen_hold_input(struct gen_hold *h, struct rte_mbuf **m, unsigned n, uint64_t now_us)
{
	struct gen_seg s;

	h->now_us = now_us;
	if (n > 0)
		h->heard_us = now_us;
	for (unsigned i = 0; i < n; i++) {
		h->c.received++;
		switch (gen_frame_read(m[i], &s)) {
		case GEN_FRAME_TCP:
			input_seg(h, &s);
			break;
		case GEN_FRAME_BAD:
			h->c.bad++;
			break;
		default:
			h->c.strange++;
			break;
		}
	}
	rte_pktmbuf_free_bulk(m, n);
}
