/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The link: what becomes of a frame between the hosts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_jhash.h>

#include "pcapng.h"
#include "sim_priv.h"

#define QUEUE       1000
#define FULL        1514 /* bytes of a full frame */
#define HEADERS     90 /* bytes of a frame that half of the damage goes to */
#define BITS_MAX    15
#define BAD_MOST_US 100000 /* of silence */
#define ETH_LEN     14

/* ---- frames on their way: a binary heap ---- */

static bool
frame_sooner(const struct sim_frame *a, const struct sim_frame *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void
frame_push(struct sim *s, struct sim_frame *f)
{
	unsigned i = s->nflying++;

	if (s->nflying > s->flying_room) {
		s->flying_room = 2 * s->flying_room + 64;
		s->flying = reallocarray(s->flying, s->flying_room, sizeof(*s->flying));
		if (s->flying == NULL)
			sim_fail("heap", -ENOMEM);
	}
	for (; i > 0 && frame_sooner(f, s->flying[(i - 1) / 2]); i = (i - 1) / 2)
		s->flying[i] = s->flying[(i - 1) / 2];
	s->flying[i] = f;
}

static struct sim_frame *
frame_pop(struct sim *s)
{
	struct sim_frame *first = s->flying[0], *last = s->flying[--s->nflying];
	unsigned i = 0, child;

	while ((child = 2 * i + 1) < s->nflying) {
		if (child + 1 < s->nflying && frame_sooner(s->flying[child + 1], s->flying[child]))
			child++;
		if (!frame_sooner(s->flying[child], last))
			break;
		s->flying[i] = s->flying[child];
		i = child;
	}
	s->flying[i] = last;
	return first;
}

struct sim_frame *
link_arrived(struct sim *s)
{
	if (s->nflying == 0 || s->flying[0]->at_us > s->now_us)
		return NULL;
	return frame_pop(s);
}

/* ---- damage ---- */

/** Up to 15 bits in a row: the Internet checksum finds them wherever it covers them. */
static void
link_flip(struct sim *s, uint8_t *b, uint32_t len)
{
	uint32_t most = sim_random(s) % 2 == 0 ? RTE_MIN(len, (uint32_t)HEADERS) : len;
	uint32_t at = (uint32_t)(sim_random(s) % (most * 8));
	unsigned bits = sim_random(s) % 2 == 0 ? 1 : (unsigned)(2 + sim_random(s) % (BITS_MAX - 1));

	b[at / 8] ^= (uint8_t)(0x80 >> at % 8);
	for (unsigned i = 1; i < bits && ++at < len * 8; i++)
		if (sim_random(s) % 2 == 0)
			b[at / 8] ^= (uint8_t)(0x80 >> at % 8);
}

void
link_put(struct sim *s, unsigned to, uint64_t at_us, const uint8_t *b, uint32_t len)
{
	struct sim_frame *f = malloc(sizeof(*f) + len);

	if (f == NULL)
		sim_fail("frame", -ENOMEM);
	f->at_us = at_us;
	f->order = s->order++;
	f->host = to;
	f->len = len;
	memcpy(f->b, b, len);
	/* What Ethernet's own check sum misses is damaged in a router, where no ARP passes. */
	if ((b[12] << 8 | b[13]) != RTE_ETHER_TYPE_ARP &&
		sim_chance(s, s->conf.link[1 - to].corrupt)) {
		if (sim_random(s) % 8 == 0) {
			s->c.cut++;
			f->len = (uint32_t)(1 + sim_random(s) % len);
		} else {
			s->c.corrupted++;
			link_flip(s, f->b, len);
		}
	}
	frame_push(s, f);
}

/* ---- the way ---- */

/** Rate and queue. @return when it has left them; 0: no room */
static uint64_t
link_leaves_ns(struct sim *s, struct sim_host *from, uint32_t len, bool *mark)
{
	const struct sim_link *l = &s->conf.link[from->number];
	uint64_t now = s->now_us * 1000, ns, full_ns, waiting;

	*mark = false;
	if (l->rate_bps == 0)
		return now;
	ns = (uint64_t)len * 8 * 1000 * SIM_MILLION / l->rate_bps;
	if (from->link_free_ns < now)
		from->link_free_ns = now;
	/* The queue is as long as so many full frames; a short one takes what it takes. */
	full_ns = FULL * UINT64_C(8000) * SIM_MILLION / l->rate_bps;
	waiting = from->link_free_ns - now;
	if (waiting + ns > full_ns * (l->queue != 0 ? l->queue : QUEUE))
		return 0;
	*mark = l->mark != 0 && waiting >= full_ns * l->mark;
	return from->link_free_ns += ns;
}

void
link_queue(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len)
{
	const struct sim_link *l = &s->conf.link[from->number];
	uint8_t marked[SIM_FRAME_MAX];
	bool mark;
	uint64_t at = link_leaves_ns(s, from, len, &mark) / 1000;

	if (at == 0) {
		s->c.queue_drops++;
		return;
	}
	if (mark) {
		memcpy(marked, b, len);
		b = marked;
		s->c.marked += router_mark(marked, len);
	}
	at += l->delay_us + 1;
	if (l->jitter_us != 0)
		at += sim_random(s) % l->jitter_us;
	if (sim_chance(s, l->reorder)) {
		s->c.reordered++;
		at += sim_random(s) % (4 * (l->delay_us + l->jitter_us) + 100);
	}
	link_put(s, 1 - from->number, at, b, len);
}

static bool
link_loses(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len)
{
	const struct sim_link *l = &s->conf.link[from->number];

	if (l->down) {
		s->c.partitioned++;
		if (l->unreachable)
			router_unreachable(s, from, b, len);
		return true;
	}
	if (s->now_us > from->link_used_us + BAD_MOST_US)
		from->link_bad = false;
	from->link_used_us = s->now_us;
	if (sim_chance(s, from->link_bad ? l->bad_leave : l->bad_enter))
		from->link_bad = !from->link_bad;
	if (from->link_bad && sim_chance(s, l->bad_loss)) {
		s->c.burst_lost++;
		return true;
	}
	if (sim_chance(s, l->loss)) {
		s->c.lost++;
		return true;
	}
	return false;
}

static void
link_pass(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len)
{
	uint16_t mtu = s->conf.link[from->number].mtu;

	if (mtu != 0 && len > ETH_LEN + (uint32_t)mtu)
		router_too_big(s, from, b, len);
	else
		link_queue(s, from, b, len);
}

void
link_send(struct sim *s, struct sim_host *from, const uint8_t *b, uint32_t len)
{
	s->c.sent++;
	s->trace = s->trace * 31 + (s->now_us ^ ((uint64_t)rte_jhash(b, len, from->number) << 20));
	if (s->pcapng != NULL)
		pcapng_packet(s->pcapng, from->number, PCAPNG_OUT, s->now_us, b, len);
	if (!link_loses(s, from, b, len))
		link_pass(s, from, b, len);
	if (sim_chance(s, s->conf.link[from->number].duplicate)) {
		s->c.duplicated++;
		link_pass(s, from, b, len);
	}
}
