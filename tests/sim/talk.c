/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "talk.h"

#include <stdlib.h>
#include <string.h>

static uint8_t
talk_byte(uint64_t seed, uint64_t at)
{
	uint64_t x = (at + seed * 1000003) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint8_t)(x >> 56);
}

static struct talk *
talk_of(struct conv *c)
{
	struct talk *t;

	memcpy(&t, c->svc, sizeof(t));
	return t;
}

static void
talk_wake_at(struct talk *t, uint64_t us)
{
	if (t->wake_us == 0 || us < t->wake_us)
		t->wake_us = us;
}

/* ---- reading ---- */

static bool
talk_paused(struct worker *w, struct talk *t)
{
	const struct talk_plan *p = &t->plan;

	if (p->end == TALK_CLOSE_UNREAD)
		return true;
	if (p->pause_us == 0 || t->received < p->pause_at)
		return false;
	if (t->paused_us == 0)
		t->paused_us = w->now_us;
	if (w->now_us >= t->paused_us + p->pause_us)
		return false;
	talk_wake_at(t, t->paused_us + p->pause_us);
	return true;
}

static void
talk_check(struct talk *t, struct rte_mbuf *m)
{
	for (struct rte_mbuf *seg = m; seg != NULL; seg = seg->next) {
		const uint8_t *b = rte_pktmbuf_mtod(seg, const uint8_t *);

		for (uint32_t i = 0; i < seg->data_len; i++, t->received++)
			t->wrong += b[i] != talk_byte(t->plan.peer_seed, t->received);
	}
}

static void
talk_read(struct worker *w, struct conv *c, struct talk *t)
{
	struct rte_mbuf *m;

	while (!talk_paused(w, t) && (m = c->proto->read(w, c)) != NULL) {
		talk_check(t, m);
		rte_pktmbuf_free(m);
	}
}

/* ---- writing ---- */

/** How many bytes may have been sent by now. */
static uint64_t
talk_allowed(struct worker *w, struct talk *t)
{
	const struct talk_plan *p = &t->plan;

	if (w->now_us < t->opened_us + p->start_us) {
		talk_wake_at(t, t->opened_us + p->start_us);
		return 0;
	}
	if (p->ask == 0)
		return p->total;
	return RTE_MIN(p->total, p->first + t->received / p->ask * p->answer);
}

static void
talk_write(struct worker *w, struct conv *c, struct talk *t)
{
	uint64_t allowed = talk_allowed(w, t);

	while (t->sent < allowed && c->proto->write_room(c) > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
		uint64_t len = 1 + worker_random(w) % t->plan.chunk;
		uint8_t *to;

		if (m == NULL) { /* no drain will follow */
			talk_wake_at(t, w->now_us + 1000);
			return;
		}
		len = RTE_MIN(RTE_MIN(len, allowed - t->sent), (uint64_t)rte_pktmbuf_tailroom(m));
		to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
		for (uint64_t i = 0; i < len; i++)
			to[i] = talk_byte(t->plan.seed, t->sent + i);
		if (c->proto->write(w, c, m) != 0)
			return;
		t->sent += len;
	}
}

/* ---- the end ---- */

static void
talk_leave(struct worker *w, struct conv *c, struct talk *t)
{
	t->left = true;
	c->proto->close(w, c);
}

static bool
talk_early(struct worker *w, struct talk *t)
{
	if (w->now_us >= t->opened_us + t->plan.end_us)
		return false;
	talk_wake_at(t, t->opened_us + t->plan.end_us);
	return true;
}

static void
talk_finish(struct worker *w, struct conv *c, struct talk *t)
{
	const struct talk_plan *p = &t->plan;
	bool sent = t->sent == p->total, heard = t->eof && c->proto->readable(c) == 0;

	if (talk_early(w, t))
		return;
	switch (p->end) {
	case TALK_SHUT_FIRST:
		if (sent && !t->shut) {
			t->shut = true;
			c->proto->shutdown(w, c);
		}
		if (sent && heard)
			talk_leave(w, c, t);
		break;
	case TALK_SHUT_LAST:
		if (sent && heard)
			talk_leave(w, c, t);
		break;
	case TALK_CLOSE:
		if (sent && t->received >= p->peer_total)
			talk_leave(w, c, t);
		break;
	case TALK_CLOSE_AT:
		if (t->received >= p->stop_at)
			talk_leave(w, c, t);
		break;
	case TALK_CLOSE_UNREAD:
		if (c->proto->readable(c) >= p->stop_at)
			talk_leave(w, c, t);
		break;
	case TALK_HANGUP_AT:
		if (t->received >= p->stop_at) {
			t->left = true;
			c->proto->hangup(w, c, CONV_END_HANGUP);
		}
		break;
	case TALK_LINGER:
		break;
	}
}

/** Whatever happened: go on as far as it goes. */
static void
talk_run(struct worker *w, struct conv *c)
{
	struct talk *t = talk_of(c);

	if (t == NULL || !t->open || t->left)
		return;
	talk_read(w, c, t);
	talk_write(w, c, t);
	talk_finish(w, c, t);
}

/* ---- the service ---- */

static void
talk_begin(struct worker *w, struct conv *c)
{
	struct talk *t = talk_of(c);

	t->open = true;
	t->opened_us = w->now_us;
	talk_run(w, c);
}

static void
talk_accept(struct worker *w, struct conv *c)
{
	struct talk_hall *hall = c->listener->options;
	struct talk *t = hall->of(hall->arg, &c->cn.n.key);

	if (t == NULL || t->open || t->c != NULL) {
		hall->strays++;
		c->proto->hangup(w, c, CONV_END_HANGUP);
		return;
	}
	memcpy(c->svc, &t, sizeof(t));
	conv_hold(&c->cn);
	t->c = c;
	talk_begin(w, c);
}

static void
talk_shutdown(struct worker *w, struct conv *c)
{
	struct talk *t = talk_of(c);

	if (t != NULL)
		t->eof = true;
	talk_run(w, c);
}

static void
talk_over(struct worker *w, struct conv *c, enum conv_end why)
{
	struct talk *t = talk_of(c);

	if (t == NULL)
		return;
	t->over = true;
	t->over_us = w->now_us;
	t->why = why;
}

const struct service talk_service = {
	.name = "talk",
	.tcp = true,
	.state_size = sizeof(struct talk *),
	.accept = talk_accept,
	.connected = talk_begin,
	.failed = talk_over,
	.recv = talk_run,
	.drain = talk_run,
	.kicked = talk_run,
	.shutdown = talk_shutdown,
	.hangup = talk_over,
};

int
talk_open(struct worker *w, struct talk *t, const struct key *k)
{
	return tcp_proto.connect(w, &talk_service, k, &t, &t->c);
}

void
talk_wake(struct stack *s, unsigned seat, struct talk *t)
{
	t->wake_us = 0;
	if (t->c != NULL && !t->over)
		conv_post(stack_convs(s), seat, &t->c->cn, NODE_KICK);
}

void
talk_release(struct stack *s, struct talk *t)
{
	if (t->c == NULL || !t->over)
		return;
	conv_put(stack_control(s), &t->c->cn);
	t->c = NULL;
}

void
talk_renew(struct talk *t)
{
	struct talk_plan plan = t->plan;

	memset(t, 0, sizeof(*t));
	t->plan = plan;
}

static bool
talk_complete(const struct talk *t)
{
	return t->open && t->over && t->wrong == 0 && t->sent == t->plan.total &&
		t->received == t->plan.peer_total;
}

bool
talk_exact(const struct talk *t)
{
	return talk_complete(t) && t->why == CONV_END_CLOSED;
}

bool
talk_unheard(const struct talk *t)
{
	return talk_complete(t) && t->why == CONV_END_TIMEOUT && t->eof && t->left;
}
