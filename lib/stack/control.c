/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the control thread does with a stack: listeners, listings, hangups, sums.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stack_priv.h"

struct worker *
stack_control(struct stack *s)
{
	return stack_control_worker(s);
}

static void
stack_control_clock(struct stack *s)
{
	struct worker *w = stack_control_worker(s);

	w->now_us = s->conf.io.now_us(s->conf.io.arg);
	w->now_ms = (uint32_t)(w->now_us / 1000);
}

int
stack_control_join(struct stack *s)
{
	int err = s->reclaim->ops->join(s->reclaim, s->conf.seats);

	if (err == 0)
		stack_control_offline(s);
	return err;
}

void
stack_control_leave(struct stack *s)
{
	s->reclaim->ops->online(s->reclaim, s->conf.seats);
	s->reclaim->ops->leave(s->reclaim, s->conf.seats);
}

void
stack_control_online(struct stack *s)
{
	s->reclaim->ops->online(s->reclaim, s->conf.seats);
	stack_control_clock(s);
}

void
stack_control_offline(struct stack *s)
{
	s->reclaim->ops->offline(s->reclaim, s->conf.seats);
}

/** For how long thread t has been in one turn, as far as this thread has seen. A worker that sleeps holds nothing up. */
static uint64_t
stack_watch_thread(struct stack_thread *t, uint64_t now_us)
{
	uint64_t turns = *(const volatile uint64_t *)&t->c.turns;

	if (!atomic_load_explicit(&t->up, memory_order_relaxed) ||
		atomic_load_explicit(&t->asleep, memory_order_relaxed) || turns != t->watch_turns ||
		t->watch_us == 0) {
		t->watch_turns = turns;
		t->watch_us = now_us;
	}
	return now_us - t->watch_us;
}

/** Raise the alarm when a worker does not come to the end of its turn, or retired memory is not coming back. */
static void
stack_watch(struct stack *s, uint64_t now_us)
{
	uint64_t oldest_us = s->reclaim->ops->oldest_us(s->reclaim, now_us), us;
	bool alarm;

	s->stuck_us = 0;
	for (unsigned i = 0; i < s->conf.seats; i++) {
		us = stack_watch_thread(&s->threads[i], now_us);
		if (us <= STACK_STALL_US || us <= s->stuck_us)
			continue;
		s->stuck_us = us;
		s->stuck_worker = i;
	}
	alarm = s->stuck_us > 0 || oldest_us > STACK_STALL_US;
	s->stalls += alarm && !s->alarm;
	s->alarm = alarm;
}

void
stack_control_tick(struct stack *s)
{
	struct worker *w = stack_control_worker(s);

	stack_control_online(s);
	conv_turn(w);
	listener_sweep(w);
	conv_turn_end(w);
	stack_control_offline(s);
	stack_watch(s, w->now_us);
}

/* ---- listeners ---- */

int
stack_listen(struct stack *s, const struct listener_conf *conf, struct listener **ret_l)
{
	struct listener *l;
	int err;

	if (s->nlisteners == s->listeners_room) {
		unsigned room = 2 * s->listeners_room + 8;
		struct listener **more = reallocarray(s->listeners, room, sizeof(void *));

		if (more == NULL)
			return -ENOMEM;
		s->listeners = more;
		s->listeners_room = room;
	}
	err = listener_open(stack_control_worker(s), conf, &l);
	if (err != 0)
		return err;
	s->listeners[s->nlisteners++] = l;
	if (ret_l != NULL)
		*ret_l = l;
	return 0;
}

void
stack_unlisten(struct stack *s, struct listener *l)
{
	for (unsigned i = 0; i < s->nlisteners; i++) {
		if (s->listeners[i] != l)
			continue;
		memmove(&s->listeners[i], &s->listeners[i + 1],
			(--s->nlisteners - i) * sizeof(void *));
		listener_close(stack_control_worker(s), l);
		return;
	}
}

struct listener *
stack_listener_next(struct stack *s, struct listener *l)
{
	unsigned i = 0;

	if (l != NULL)
		while (i < s->nlisteners && s->listeners[i++] != l)
			;
	return i < s->nlisteners ? s->listeners[i] : NULL;
}

void
stack_drain(struct stack *s)
{
	while (s->nlisteners > 0)
		stack_unlisten(s, s->listeners[s->nlisteners - 1]);
}

/* ---- conversations ---- */

/** A node is entered by a worker: any seat will do, its slot says which. */
static void
stack_post_hangup(struct stack *s, struct conv_node *cn)
{
	conv_post(s->convs, cn->n.id % s->conf.seats, cn, NODE_HANGUP);
}

int
stack_hangup(struct stack *s, struct conv_handle h)
{
	struct conv_node *cn = conv_by_handle(s->convs, h);

	if (cn == NULL)
		return -ENOENT;
	stack_post_hangup(s, cn);
	conv_put(stack_control_worker(s), cn);
	return 0;
}

void
stack_hangup_all(struct stack *s)
{
	struct conv_node *cn;
	uint32_t slot = 0;

	while ((cn = conv_next(s->convs, &slot, UINT32_MAX)) != NULL) {
		stack_post_hangup(s, cn);
		conv_put(stack_control_worker(s), cn);
	}
}

/** A worker's clock may be ahead of this thread's by a little: what is to come in less than a minute is now. */
static uint64_t
stack_since_us(uint32_t now_ms, uint32_t then_ms)
{
	uint32_t since_ms = now_ms - then_ms;

	return since_ms > UINT32_MAX - 60000 ? 0 : (uint64_t)since_ms * 1000;
}

bool
stack_conv_status(struct stack *s, struct conv_node *cn, struct conv_status *ret)
{
	uint32_t now_ms = stack_control_worker(s)->now_ms;
	struct conv *c;

	memset(ret, 0, sizeof(*ret));
	ret->key = cn->n.key;
	ret->proto = "";
	ret->state = "";
	ret->service = "";
	ret->listener = "";
	switch (conv_kind(cn)) {
	case NODE_CONV:
		c = conv_of(cn);
		ret->proto = c->proto->name;
		if (c->service != NULL)
			ret->service = c->service->name;
		if (c->listener != NULL)
			ret->listener = c->listener->name;
		ret->age_us = stack_since_us(now_ms, c->born_ms);
		ret->idle_us = stack_since_us(now_ms, c->active_ms);
		c->proto->status(stack_control_worker(s), c, ret);
		break;
	case NODE_HALF_OPEN:
		tcp_half_open_status(cn, ret);
		break;
	case NODE_TIME_WAIT:
		tcp_time_wait_status(cn, ret);
		break;
	default:
		ret->proto = "ip";
		ret->state = "JOINING";
		break;
	}
	return !conv_dead(cn);
}

/* ---- sums ---- */

/*
 * Counters are written by their worker alone, as plain 64-bit stores; read here as
 * volatile, so each value is one that was true, and all are exact at rest.
 */
void
stack_seat_counters(struct stack *s, unsigned seat, struct worker_counters *ret)
{
	const volatile uint64_t *from = (const volatile uint64_t *)&s->seats[seat].w.c;
	uint64_t *to = (uint64_t *)ret;

	for (unsigned i = 0; i < sizeof(*ret) / sizeof(*to); i++)
		to[i] = from[i];
}

void
stack_worker_counters(const struct stack *s, unsigned w, struct stack_worker_counters *ret)
{
	const volatile uint64_t *from = (const volatile uint64_t *)&s->threads[w].c;
	uint64_t *to = (uint64_t *)ret;

	for (unsigned i = 0; i < sizeof(*ret) / sizeof(*to); i++)
		to[i] = from[i];
	if (stack_worker_up(s, w)) {
		uint64_t joined_us =
			atomic_load_explicit(&s->threads[w].joined_us, memory_order_relaxed);

		ret->up_us += s->conf.io.now_us(s->conf.io.arg) - joined_us;
	}
}

static void
stack_sum(struct stack *s, struct stack_stats *ret)
{
	uint64_t *sum = (uint64_t *)&ret->sum;
	struct worker_counters c = {0};

	for (unsigned i = 0; i <= s->conf.seats; i++) {
		const uint64_t *add = (const uint64_t *)&c;

		stack_seat_counters(s, i, &c);
		for (unsigned j = 0; j < sizeof(c) / sizeof(*sum); j++)
			sum[j] += add[j];
		ret->spread_pushed += s->seats[i].spread_pushed;
		ret->spread_full += s->seats[i].spread_full;
		ret->spread_kept += s->seats[i].spread_kept;
	}
}

void
stack_stats(struct stack *s, struct stack_stats *ret)
{
	uint64_t accounted;

	memset(ret, 0, sizeof(*ret));
	stack_sum(s, ret);
	conv_stats(s->convs, &ret->conv);
	ret->held = ret->sum.held_in - ret->sum.held_out;
	accounted = ret->sum.delivered + ret->sum.consumed + ret->held;
	for (unsigned r = 0; r < DROP_MAX; r++)
		accounted += ret->sum.drops[r];
	ret->missing = (int64_t)(ret->sum.received - accounted);
	ret->mbufs_in_use = rte_mempool_in_use_count(s->mp);
	ret->mbufs_small_in_use = rte_mempool_in_use_count(s->mp_small);
	for (unsigned k = 0; k < NODE_KINDS; k++) {
		ret->live[k] = conv_live(s->convs, k);
		ret->limit[k] = conv_limit(s->convs, k);
	}
	/* Seats are read one after the other: one may have removed since what another had not yet added when it was read. */
	ret->table = (uint32_t)(ret->conv.added - RTE_MIN(ret->conv.added, ret->conv.removed));
	ret->oldest_batch_us =
		s->reclaim->ops->oldest_us(s->reclaim, s->conf.io.now_us(s->conf.io.arg));
	ret->stuck_us = s->stuck_us;
	ret->stuck_worker = s->stuck_worker;
	ret->stalled = ret->oldest_batch_us > STACK_STALL_US || ret->stuck_us > 0;
	ret->stalls = s->stalls;
}

int
stack_check(struct stack *s, char *fault, size_t len)
{
	struct stack_stats st;

	if (conv_check(s->convs, fault, len) != 0)
		return -1;
	stack_stats(s, &st);
	if (st.missing == 0)
		return 0;
	(void)snprintf(fault, len, "I10: %ld of %lu received packets are unaccounted for",
		st.missing, st.sum.received);
	return -1;
}
