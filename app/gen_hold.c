/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The phases of the stateless mode: what it does of its own accord.
 */
#include "gen_hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW   512 /* SYNs unanswered; half of what a queue of a virtual device holds */
#define TURN_MAX 64 /* segments of one turn */
#define END_US   2000000 /* at most, until nothing comes any more */
#define QUIET_US 100000 /* nothing came for so long: what is in flight is lost */
#define PASS_US \
	1000000 /* from the last SYN of a pass to the next pass; doubles (RFC 6298 section 2) */
#define PASS_US_MAX 8000000

const char *
gen_hold_phase_name(enum gen_hold_phase p)
{
	static const char *const names[] = {"open", "hold", "sample", "end", "done"};

	return names[p];
}

uint64_t
gen_hold_bytes(const struct gen_hold *h)
{
	return UINT64_C(2) * ((uint64_t)h->conf.space.count / 64 + 1) * sizeof(*h->seen);
}

int
gen_hold_make(struct gen_hold *h, const struct gen_hold_conf *conf, uint64_t now_us)
{
	uint64_t words = (uint64_t)conf->space.count / 64 + 1;

	memset(h, 0, sizeof(*h));
	h->conf = *conf;
	h->now_us = h->heard_us = h->began_us[GEN_HOLD_OPEN] = h->open.from_us = now_us;
	h->seen = calloc(words, sizeof(*h->seen));
	h->over = calloc(words, sizeof(*h->over));
	if (h->seen != NULL && h->over != NULL)
		return 0;
	gen_hold_free(h);
	return -ENOMEM;
}

void
gen_hold_free(struct gen_hold *h)
{
	rte_pktmbuf_free_bulk(h->out, h->nout);
	free(h->seen);
	free(h->over);
	h->seen = h->over = NULL;
	h->nout = 0;
}

uint32_t
gen_hold_ts(const struct gen_hold *h)
{
	return (uint32_t)(h->now_us / 1000) + 1; /* 0 is what many take for none */
}

void
gen_hold_send(struct gen_hold *h, const struct gen_tuple *t, const struct gen_seg *s)
{
	struct rte_mbuf *m = h->nout < GEN_HOLD_OUT ? rte_pktmbuf_alloc(h->conf.mp) : NULL;
	struct gen_seg seg = *s;

	if (m == NULL) {
		h->c.no_buffer++;
		return;
	}
	seg.t = *t;
	seg.ts_val = gen_hold_ts(h);
	gen_frame_tcp(m, &h->conf.link, &seg);
	h->out[h->nout++] = m;
	h->c.sent++;
	h->c.resets_out += (s->flags & RTE_TCP_RST_FLAG) != 0;
}

/** How many are due by now, of rate per second; 0: all. */
static unsigned
pace_due(const struct gen_pace *p, double rate, uint64_t now_us)
{
	double due;

	if (rate == 0)
		return TURN_MAX;
	due = (double)(now_us - p->from_us) * rate / 1e6 - (double)p->done;
	return due <= 0 ? 0 : due >= TURN_MAX ? TURN_MAX : (unsigned)due;
}

static void
hold_phase(struct gen_hold *h, enum gen_hold_phase p)
{
	h->phase = p;
	h->began_us[p] = h->now_us;
	h->at[p] = h->c;
	h->next = 0;
}

static void
hold_syn(struct gen_hold *h, uint32_t i)
{
	struct gen_tuple t = gen_space_tuple(&h->conf.space, i);
	struct gen_seg s = {
		.flags = RTE_TCP_SYN_FLAG,
		.seq = gen_space_iss(&h->conf.space, &t),
		.options = h->conf.options,
	};

	h->inflight++;
	gen_hold_send(h, &t, &s);
}

/** The next number from i on, below held, that neither has been answered nor is over; held if there is none. */
static uint32_t
hold_unopened(const struct gen_hold *h, uint32_t i)
{
	uint64_t word;

	while (i < h->conf.held) {
		word = ~(h->seen[i / 64] | h->over[i / 64]) >> i % 64;
		if (word != 0)
			return RTE_MIN(i + (uint32_t)__builtin_ctzll(word), h->conf.held);
		i = (i / 64 + 1) * 64;
	}
	return h->conf.held;
}

/** All numbers have had their turn; those whose SYN or SYN-ACK was lost get another one. @return all is done */
static bool
hold_pass(struct gen_hold *h)
{
	uint64_t wait = RTE_MIN((uint64_t)PASS_US << h->pass, (uint64_t)PASS_US_MAX);

	if (h->c.established + h->c.refused == h->conf.held)
		return true;
	if (h->pass_us == 0)
		h->pass_us = h->now_us + wait;
	if (h->now_us < h->pass_us)
		return false;
	h->pass_us = 0;
	h->next = 0;
	return ++h->pass >= GEN_HOLD_PASSES;
}

/** @return all are open, or have been given up */
static bool
hold_opens(struct gen_hold *h)
{
	unsigned due = pace_due(&h->open, h->conf.open_rate, h->now_us);

	while (due > 0 && h->inflight < WINDOW) {
		h->next = hold_unopened(h, h->next);
		if (h->next == h->conf.held)
			return hold_pass(h);
		hold_syn(h, h->next++);
		h->c.syns++;
		h->c.retries += h->pass > 0;
		h->open.done++;
		due--;
	}
	return false;
}

/** Open some that are not held; when the answer comes, they are closed. */
static void
hold_churn(struct gen_hold *h)
{
	uint32_t n = h->conf.space.count - h->conf.held;
	unsigned due = n == 0 ? 0 : pace_due(&h->churn, h->conf.churn, h->now_us);

	for (; due > 0 && h->inflight < WINDOW; due--) {
		uint32_t i = h->conf.held + h->churned % n;

		h->c.churn_lost += h->churned >= n && !gen_bit(h->over, i);
		gen_bit_clear(h->seen, i);
		gen_bit_clear(h->over, i);
		hold_syn(h, i);
		h->churned = h->churned + 1 < 2 * n ? h->churned + 1 : n;
		h->c.churn_syns++;
		h->churn.done++;
	}
}

/** RST for all that are open, where they were opened; and, after them, where those stand that have been asked. @return all are through */
static bool
hold_resets(struct gen_hold *h)
{
	uint32_t held = h->conf.held, drawn = h->drawn;

	for (unsigned n = 0; n < TURN_MAX && h->next < held + drawn; n++) {
		bool asked = h->next >= held;
		uint32_t i =
			asked ? gen_space_shuffle(h->conf.seed, h->next - held, held) : h->next;
		struct gen_tuple t = gen_space_tuple(&h->conf.space, i);
		struct gen_seg s = {.flags = RTE_TCP_RST_FLAG};

		h->next++;
		if (!gen_bit(h->seen, i) || gen_bit(h->over, i))
			continue;
		s.seq = gen_space_iss(&h->conf.space, &t) + 1 + (asked ? h->conf.size : 0);
		gen_hold_send(h, &t, &s);
	}
	return h->next >= held + drawn;
}

/** What was on its way has arrived. */
static bool
hold_end(struct gen_hold *h, bool quiet)
{
	if (h->end_us == 0) {
		if (!h->conf.reset || hold_resets(h))
			h->end_us = h->now_us + END_US;
		h->heard_us = h->now_us;
		return false;
	}
	return quiet || h->now_us > h->end_us;
}

bool
gen_hold_turn(struct gen_hold *h, uint64_t now_us)
{
	bool quiet;

	h->now_us = now_us;
	if (h->nout > GEN_HOLD_OUT / 4)
		return h->phase == GEN_HOLD_DONE;
	quiet = now_us > h->heard_us + QUIET_US;
	if (quiet) {
		h->inflight = 0;
		h->heard_us = now_us;
	}
	switch (h->phase) {
	case GEN_HOLD_OPEN:
		if (!hold_opens(h))
			break;
		hold_phase(h, GEN_HOLD_KEEP);
		h->churn.from_us = now_us;
		break;
	case GEN_HOLD_KEEP:
		hold_churn(h);
		if ((double)(now_us - h->began_us[GEN_HOLD_KEEP]) >= h->conf.keep * 1e6)
			hold_phase(h, GEN_HOLD_SAMPLE);
		break;
	case GEN_HOLD_SAMPLE:
		hold_churn(h);
		if (gen_sample_turn(h))
			hold_phase(h, GEN_HOLD_END);
		break;
	case GEN_HOLD_END:
		if (hold_end(h, quiet))
			hold_phase(h, GEN_HOLD_DONE);
		break;
	case GEN_HOLD_DONE:
		break;
	}
	return h->phase == GEN_HOLD_DONE;
}

void
gen_hold_stop(struct gen_hold *h, uint64_t now_us)
{
	h->now_us = now_us;
	while (h->phase != GEN_HOLD_DONE)
		hold_phase(h, h->phase + 1);
}
