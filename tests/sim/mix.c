/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What a seed decides beforehand: hosts, link, what happens to it on the way, and each conversation's plan.
 */
#include "mix.h"

#include <string.h>

const char *
mix_kind_name(enum mix_kind k)
{
	static const char *const names[MIX_KINDS] = {
		[MIX_ECHO] = "echo",
		[MIX_UPLOAD] = "upload",
		[MIX_DOWNLOAD] = "download",
		[MIX_REQUESTS] = "requests",
		[MIX_HALF_CLOSE] = "half-close",
		[MIX_BOTH] = "both",
		[MIX_CLOSE_AT_ONCE] = "close-at-once",
		[MIX_SLOW_READER] = "slow-reader",
		[MIX_IDLE] = "idle",
		[MIX_OPEN_AT_ONCE] = "open-at-once",
		[MIX_REUSE] = "reuse",
		[MIX_HANGUP] = "hangup",
		[MIX_UNREAD] = "unread",
		[MIX_CLOSE_EARLY] = "close-early",
		[MIX_KILLED] = "killed",
		[MIX_ORPHAN] = "orphan",
		[MIX_REFUSED] = "refused",
		[MIX_DENIED] = "denied",
		[MIX_ABANDONED] = "abandoned",
	};

	return names[k];
}

static uint64_t
draw(struct mix *x, uint64_t n)
{
	return worker_random(&x->rng) % n;
}

static bool
draw_one_in(struct mix *x, unsigned n)
{
	return draw(x, n) == 0;
}

/** Between least and most, all magnitudes alike. */
static uint64_t
draw_size(struct mix *x, uint64_t least, uint64_t most)
{
	unsigned doublings = 0;
	uint64_t top;

	while (least << (doublings + 1) <= most)
		doublings++;
	top = least << draw(x, doublings + 1);
	return RTE_MIN(top + draw(x, top), most);
}

/* ---- the link ---- */

static void
draw_link(struct mix *x, struct sim_link *l)
{
	static const uint32_t losses[] = {0, 0, 1000, 10000, 30000, 50000};
	static const uint32_t reorders[] = {0, 0, 20000, 100000};
	static const uint64_t rates[] = {0, 0, 2000000, 10000000, 100000000};

	l->loss = losses[draw(x, RTE_DIM(losses))];
	if (draw_one_in(x, 3)) {
		l->bad_enter = 2000;
		l->bad_leave = 200000;
		l->bad_loss = 800000;
	}
	l->reorder = reorders[draw(x, RTE_DIM(reorders))];
	l->duplicate = draw_one_in(x, 2) ? 10000 : 0;
	l->corrupt = draw_one_in(x, 2) ? 5000 : 0;
	l->delay_us = draw_size(x, 50, 50000);
	l->jitter_us = draw(x, l->delay_us / 4 + 1);
	l->rate_bps = rates[draw(x, RTE_DIM(rates))];
	l->queue = (uint32_t)(20 + draw(x, 200));
	l->mark = draw_one_in(x, 2) ? 1 + l->queue / 4 : 0;
}

static struct mix_event *
draw_event(struct mix *x, uint64_t at_us, unsigned from)
{
	struct mix_event *e = &x->event[x->nevents++];

	e->at_us = at_us;
	e->from = from;
	e->link = x->conf.link[from];
	return e;
}

/** A partition, a way that becomes narrower, and perhaps does not tell; a while in which all is late: timeouts in vain. */
static void
draw_events(struct mix *x)
{
	uint64_t at = 500000 + draw(x, 4000000);
	unsigned from = (unsigned)draw(x, 2);

	if (draw_one_in(x, 3)) {
		bool both = draw_one_in(x, 2);
		uint64_t us = 200000 + draw(x, 4000000);

		bool told = draw_one_in(x, 2);
		struct sim_link *l = &draw_event(x, at, from)->link;

		l->down = true;
		l->unreachable = told;
		if (both)
			draw_event(x, at, 1 - from)->link.down = true;
		draw_event(x, at + us, from);
		if (both)
			draw_event(x, at + us, 1 - from);
	}
	if (draw_one_in(x, 3)) {
		uint16_t mtu = (uint16_t)(1280 + draw(x, 200));

		at += 5000000;
		draw_event(x, at, from)->link.mtu = mtu;
		draw_event(x, at + 2000000, 1 - from)->link.mtu = mtu;
	}
	if (draw_one_in(x, 4)) {
		at = 500000 + draw(x, 8000000);
		draw_event(x, at, from)->link.delay_us += 500000 + draw(x, 1000000);
		draw_event(x, at + 2000000, from);
	}
}

static void
draw_hosts(struct mix *x, uint64_t seed)
{
	static const enum stack_spread spreads[] = {
		STACK_SPREAD_FLOW, STACK_SPREAD_PACKET, STACK_SPREAD_RSS};
	struct sim_conf *c = &x->conf;

	c->seed = seed;
	c->workers[0] = 1 + (unsigned)draw(x, 4);
	c->workers[1] = 1 + (unsigned)draw(x, 4);
	c->spread = spreads[draw(x, RTE_DIM(spreads))];
	c->deal = c->seed % 2 != 0;
	for (unsigned h = 0; h < 2; h++)
		c->tso[h] = c->seed % 3 == h;
	c->mtu = draw_one_in(x, 8) ? 9000 : 1500;
	c->mbufs = draw_one_in(x, 6) ? 600 + (uint32_t)draw(x, 600) : 6000;
	x->tight = draw_one_in(x, 8);
	c->conversations = x->tight ? 48 : 160;
	c->time_wait = x->tight ? 4 : 0;
	c->fragments = x->tight ? 2 : 0;
	c->udp_idle_ms = 3000 + (uint32_t)draw(x, 5000);
	c->check_every = 8;
	c->tcp.time_wait_ms = 2000 + (uint32_t)draw(x, 4000);
	c->tcp.fin_wait_2_ms = 2000 + (uint32_t)draw(x, 3000);
	c->tcp.recv_max = (uint32_t)draw_size(x, 8192, 256 << 10);
	c->tcp.send_max = (uint32_t)draw_size(x, 8192, 256 << 10);
	c->tcp.keepalive_ms = draw_one_in(x, 3) ? 4000 + (uint32_t)draw(x, 8000) : 0;
	c->tcp.nagle = draw_one_in(x, 2);
	c->tcp.congestion = (enum tcp_congestion)draw(x, 3);
	c->tcp.ecn = (enum tcp_ecn)draw(x, 3);
	c->tcp.last_ack_ms = c->spread == STACK_SPREAD_FLOW ? 0 : 100;
	draw_link(x, &c->link[0]);
	draw_link(x, &c->link[1]);
}

/* ---- TCP ---- */

/** Streams of a and b bytes, and what both expect. */
static void
plan_streams(struct mix *x, struct mix_conv *k, uint64_t a, uint64_t b)
{
	struct talk_plan *pa = &k->a.plan, *pb = &k->b.plan;

	pa->seed = worker_random(&x->rng) >> 8;
	pb->seed = pa->seed + 1;
	pa->total = pb->peer_total = a;
	pb->total = pa->peer_total = b;
	pa->peer_seed = pb->seed;
	pb->peer_seed = pa->seed;
	pa->chunk = pb->chunk = (uint32_t)draw_size(x, 1, 2000);
	if (pa->chunk < 64 && a + b > 20000)
		pa->chunk = pb->chunk = 1000; /* each write is a packet */
	pa->end = TALK_SHUT_FIRST;
	pb->end = TALK_SHUT_LAST;
}

static void
plan_exact(struct mix *x, struct mix_conv *k)
{
	struct talk_plan *a = &k->a.plan, *b = &k->b.plan;
	uint64_t big = draw_size(x, 1000, 200000), small = draw_size(x, 1, 3000);

	switch (k->kind) {
	case MIX_ECHO:
		plan_streams(x, k, big, big);
		a->peer_seed = a->seed;
		break;
	case MIX_UPLOAD:
		plan_streams(x, k, big, 0);
		break;
	case MIX_DOWNLOAD:
		plan_streams(x, k, 0, big);
		a->end = TALK_SHUT_LAST;
		b->end = TALK_SHUT_FIRST;
		break;
	case MIX_REQUESTS:
		plan_streams(x, k, 10 * small, 10 * small);
		a->first = a->answer = a->ask = b->ask = b->answer = small;
		b->first = 0;
		break;
	case MIX_HALF_CLOSE:
		plan_streams(x, k, small, big);
		b->start_us = draw_size(x, 1000, 3000000);
		break;
	case MIX_BOTH:
		plan_streams(x, k, big, big);
		b->end = TALK_SHUT_FIRST;
		break;
	case MIX_CLOSE_AT_ONCE:
		plan_streams(x, k, 0, 0);
		a->end_us = b->end_us = 2000000;
		b->end = TALK_SHUT_FIRST;
		break;
	case MIX_SLOW_READER:
		plan_streams(x, k, big + 40000, 0);
		b->pause_at = draw(x, big);
		b->pause_us = draw_size(x, 100000, 8000000);
		break;
	case MIX_IDLE:
		plan_streams(x, k, small, small);
		a->end_us = 20000000 + draw(x, 30000000);
		break;
	case MIX_OPEN_AT_ONCE:
		plan_streams(x, k, small, big);
		k->open_at_once = true;
		b->end = draw_one_in(x, 2) ? TALK_SHUT_FIRST : TALK_SHUT_LAST;
		break;
	default: /* MIX_REUSE: the listening side keeps the time-wait remain */
		plan_streams(x, k, small, small);
		a->end = TALK_SHUT_LAST;
		b->end = TALK_SHUT_FIRST;
		k->rounds = 2;
		break;
	}
}

static void
plan_torn(struct mix *x, struct mix_conv *k)
{
	struct talk_plan *a = &k->a.plan, *b = &k->b.plan;
	uint64_t big = draw_size(x, 1000, 200000);

	plan_streams(x, k, big, big);
	switch (k->kind) {
	case MIX_HANGUP:
		a->end = TALK_HANGUP_AT;
		a->stop_at = draw(x, big);
		break;
	case MIX_UNREAD:
		plan_streams(x, k, big, 0);
		b->end = TALK_CLOSE_UNREAD;
		b->stop_at = 1;
		break;
	case MIX_CLOSE_EARLY:
		b->end = TALK_CLOSE_AT;
		b->stop_at = draw(x, big);
		break;
	case MIX_KILLED: /* which of the plans above it has is drawn, too */
		k->kind = (enum mix_kind)draw(x, MIX_EXACT_KINDS);
		if (k->kind == MIX_ECHO || x->tight)
			k->kind = MIX_BOTH;
		plan_exact(x, k);
		k->kind = MIX_KILLED;
		k->rounds = 0;
		k->kill_us = k->open_us + draw_size(x, 100, 4000000);
		if (k->open_at_once)
			k->kill_us = k->open_us + draw(x, 2 * x->conf.link[0].delay_us + 1000);
		k->kill_host = (unsigned)draw(x, 2);
		break;
	case MIX_ORPHAN:
		plan_streams(x, k, 100, 0);
		a->end = TALK_CLOSE;
		b->end = TALK_LINGER;
		break;
	default: /* closed before they are open */
		plan_streams(x, k, 100, 0);
		break;
	}
}

static void
draw_conv(struct mix *x, unsigned i)
{
	struct mix_conv *k = &x->conv[i];

	k->kind = (enum mix_kind)(i < MIX_KINDS ? i : draw(x, MIX_KINDS));
	k->v6 = draw_one_in(x, 2);
	k->host = (unsigned)draw(x, 2);
	k->open_us = 1 + draw(x, x->tight ? 300000 : 5000000);
	/* Both ends need room at the same moment, or one is refused. */
	if (k->kind == MIX_OPEN_AT_ONCE && x->tight)
		k->kind = MIX_BOTH;
	if (k->kind < MIX_EXACT_KINDS)
		plan_exact(x, k);
	else
		plan_torn(x, k);
	if (k->kind == MIX_ABANDONED)
		k->kill_us = k->open_us + draw(x, 2 * x->conf.link[0].delay_us + 1000);
	if (k->kind == MIX_DENIED)
		k->kill_us = k->open_us + draw_size(x, 1000, 8000000);
	if (k->kind == MIX_ABANDONED || k->kind == MIX_DENIED)
		k->kill_host = k->host;
}

static void
draw_udp(struct mix *x, unsigned i)
{
	struct mix_udp *u = &x->udp[i];

	u->kind = (enum mix_udp_kind)(i % MIX_UDP_KINDS);
	u->v6 = draw_one_in(x, 2);
	u->host = (unsigned)draw(x, 2);
	u->seed = (uint32_t)worker_random(&x->rng);
	u->total = u->kind == MIX_UDP_LAZY ? 90 : 1 + (unsigned)draw(x, 20);
	u->gap_us = u->kind == MIX_UDP_LAZY ? 100 : 1000 + draw(x, 200000);
	u->longest = (uint32_t)draw_size(x, 1, u->kind == MIX_UDP_LAZY ? 200 : 20000);
	u->wake_us = 1 + draw(x, 5000000);
}

void
mix_draw(struct mix *x, uint64_t seed)
{
	memset(x, 0, sizeof(*x));
	worker_seed(&x->rng, seed ^ 0x3171);
	draw_hosts(x, seed);
	draw_events(x);
	for (unsigned i = 0; i < MIX_TCP; i++)
		draw_conv(x, i);
	for (unsigned i = 0; i < MIX_UDP; i++)
		draw_udp(x, i);
}
