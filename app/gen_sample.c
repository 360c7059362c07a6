/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The stateless mode: conversations that are drawn, each once, and asked. Where a conversation stands only the peer knows: a
 * segment that is just before its window makes it say so (RFC 9293 section 3.10.7.4, first), as a keepalive does. Then comes
 * the request, and the answer must be the same bytes.
 */
#include <string.h>

#include "gen_hold.h"

#define OUTSTANDING 256 /* requests */
#define TURN_MAX    64 /* requests of one turn */
#define TRIES       10
#define AGAIN_US    200000 /* doubles so often: */
#define DOUBLINGS   3
#define SWEEP       64 /* places looked at in one turn */
#define PLACES      16 /* where a number may stand */

/** The i-th of the places of a number. */
static struct gen_slot *
sample_place(struct gen_hold *h, uint32_t index, unsigned i)
{
	/* Fibonacci hashing (Knuth 6.4). */
	return &h->slots[((index * UINT32_C(2654435769) >> (32 - GEN_HOLD_SLOT_BITS)) + i) %
		GEN_HOLD_SLOTS];
}

struct gen_slot *
gen_sample_find(struct gen_hold *h, uint32_t i)
{
	if (h->nslots == 0)
		return NULL;
	for (unsigned p = 0; p < PLACES; p++) {
		struct gen_slot *slot = sample_place(h, i, p);

		if (slot->stage != GEN_SLOT_FREE && slot->index == i)
			return slot;
	}
	return NULL;
}

static void
sample_send(struct gen_hold *h, struct gen_slot *slot)
{
	struct gen_tuple t = gen_space_tuple(&h->conf.space, slot->index);
	uint8_t bytes[GEN_HOLD_SIZE];
	struct gen_seg s = {.flags = RTE_TCP_ACK_FLAG};

	slot->due_us = h->now_us + ((uint64_t)AGAIN_US << RTE_MIN(slot->tries, DOUBLINGS));
	slot->tries++;
	if (slot->stage == GEN_SLOT_PROBE) {
		s.seq = gen_space_iss(&h->conf.space, &t);
		s.ts = h->conf.options;
	} else {
		gen_space_bytes(&h->conf.space, slot->index, bytes, h->conf.size);
		s = (struct gen_seg){
			.seq = slot->seq,
			.ack = slot->ack + slot->got,
			.flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG,
			.ts = slot->ts,
			.ts_ecr = slot->ts_ecr,
			.data = bytes,
			.len = h->conf.size,
		};
	}
	gen_hold_send(h, &t, &s);
}

static void
sample_free(struct gen_hold *h, struct gen_slot *slot)
{
	slot->stage = GEN_SLOT_FREE;
	h->nslots--;
}

void
gen_sample_ended(struct gen_hold *h, struct gen_slot *slot)
{
	h->c.missing++;
	/* What it may still say is not answered: a late ACK would be taken for a keepalive. */
	gen_bit_set(h->over, slot->index);
	sample_free(h, slot);
}

/** The peer says where it stands: what it has sent and taken. */
static void
sample_ask(struct gen_hold *h, struct gen_slot *slot, const struct gen_seg *s)
{
	slot->stage = GEN_SLOT_ASKED;
	slot->tries = 0;
	slot->seq = s->ack;
	slot->ack = s->seq + s->len;
	slot->ts = s->ts;
	slot->ts_ecr = s->ts_val;
	slot->asked_us = h->now_us;
	sample_send(h, slot);
}

static void
sample_done(struct gen_hold *h, struct gen_slot *slot)
{
	if (slot->wrong)
		h->c.wrong++;
	else
		h->c.correct++;
	gen_hist_add(&h->hist, (h->now_us - slot->asked_us) * 1000);
	sample_free(h, slot);
}

/** Bytes of the answer, if they are the next ones. */
static void
sample_take(struct gen_hold *h, struct gen_slot *slot, const struct gen_seg *s)
{
	uint8_t bytes[GEN_HOLD_SIZE];

	/* Where it stood was said by a keepalive, which is one too low. */
	if (slot->got == 0 && s->seq == slot->ack + 1)
		slot->ack++;
	if (s->seq != slot->ack + slot->got)
		return;
	gen_space_bytes(&h->conf.space, slot->index, bytes, h->conf.size);
	if (s->len > h->conf.size - slot->got || memcmp(bytes + slot->got, s->data, s->len) != 0)
		slot->wrong = true;
	slot->got += RTE_MIN(s->len, h->conf.size - slot->got);
}

void
gen_sample_input(struct gen_hold *h, struct gen_slot *slot, const struct gen_tuple *t,
	const struct gen_seg *s)
{
	struct gen_seg a = {.flags = RTE_TCP_ACK_FLAG, .ts = s->ts, .ts_ecr = s->ts_val};

	if (slot->stage == GEN_SLOT_PROBE) {
		sample_ask(h, slot, s);
		return;
	}
	slot->ts_ecr = s->ts_val;
	if (s->len == 0)
		return;
	sample_take(h, slot, s);
	a.seq = s->ack;
	a.ack = slot->wrong ? s->seq + s->len : slot->ack + slot->got;
	gen_hold_send(h, t, &a);
	if (slot->wrong || slot->got == h->conf.size)
		sample_done(h, slot);
}

/** A place for conversation i, which is asked where it stands. @return false: there is none now */
static bool
sample_begin(struct gen_hold *h, uint32_t i)
{
	for (unsigned p = 0; p < PLACES; p++) {
		struct gen_slot *slot = sample_place(h, i, p);

		if (slot->stage != GEN_SLOT_FREE)
			continue;
		*slot = (struct gen_slot){.index = i, .stage = GEN_SLOT_PROBE};
		h->nslots++;
		h->c.asked++;
		sample_send(h, slot);
		return true;
	}
	return false;
}

static void
sample_sweep(struct gen_hold *h)
{
	for (unsigned n = 0; n < SWEEP; n++) {
		struct gen_slot *slot = &h->slots[h->sweep];

		h->sweep = (h->sweep + 1) % GEN_HOLD_SLOTS;
		if (slot->stage == GEN_SLOT_FREE || slot->due_us > h->now_us)
			continue;
		if (slot->tries == TRIES) {
			gen_sample_ended(h, slot);
			continue;
		}
		h->c.asked_again++;
		sample_send(h, slot);
	}
}

/** Ask some that have not been asked. @return all have been */
static bool
sample_new(struct gen_hold *h)
{
	for (unsigned n = 0; n < TURN_MAX && h->nslots < OUTSTANDING; n++) {
		uint32_t i;

		if (h->c.asked == h->conf.sample || h->drawn == h->conf.held)
			return true;
		i = gen_space_shuffle(h->conf.seed, h->drawn, h->conf.held);
		if (gen_bit(h->seen, i) && !gen_bit(h->over, i) && !sample_begin(h, i))
			break;
		h->drawn++;
	}
	return false;
}

bool
gen_sample_turn(struct gen_hold *h)
{
	bool all = sample_new(h);

	sample_sweep(h);
	return all && h->nslots == 0;
}
