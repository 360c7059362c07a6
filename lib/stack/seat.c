/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Seats and the workers that serve them: joining and leaving, dealing, changing hands, sleeping.
 *
 * Each seat has one owner at any time. The control thread says whom it wants there (stack_workers_set); the owner, between two
 * of its turns, when it is inside nothing and holds no candidate, writes the new owner's number and has no more to do
 * with the seat. `hands` moves on with either step, so a worker whose seats stay pays one load per turn.
 */
#include <errno.h>

#include "stack_priv.h"

void
stack_seats_init(struct stack *s)
{
	s->workers = s->conf.workers;
	for (unsigned i = 0; i < s->conf.seats; i++) {
		atomic_init(&s->seats[i].owner, i % s->workers);
		atomic_init(&s->seats[i].wanted, i % s->workers);
	}
	atomic_init(&s->hands, 1); /* not 0, what the threads have seen */
}

static uint32_t
seat_owner(const struct stack_seat *seat)
{
	/* Acquire: all that the last owner did with the seat is seen by the one named. */
	return atomic_load_explicit(&seat->owner, memory_order_acquire);
}

static uint32_t
seat_wanted(const struct stack_seat *seat)
{
	/* Relaxed: stack_workers_set moves `hands` on after it, with release. */
	return atomic_load_explicit(&seat->wanted, memory_order_relaxed);
}

/** Release: who sees that hands moved on sees what was dealt, or handed over. */
static void
stack_hands_move(struct stack *s)
{
	atomic_fetch_add_explicit(&s->hands, 1, memory_order_release);
}

/** End the sleep of worker w, if it sleeps. The caller's fence stands before. */
static void
stack_worker_wake(struct stack *s, unsigned w)
{
	if (atomic_load_explicit(&s->threads[w].asleep, memory_order_relaxed) &&
		atomic_exchange_explicit(&s->threads[w].asleep, false, memory_order_relaxed))
		s->conf.io.wake(s->conf.io.arg, w);
}

/**
 * Work has come to a seat from another thread: end the sleep of who serves it.
 *
 * Sequentially consistent fence: the work was stored before it, owner and `asleep` are read behind it; stack_worker_doze
 * stores `asleep`, and read itself as the owner, before its own, and looks for work behind. One of the two sees the other, also
 * while the seat changes hands: an owner that is not seen here yet has its last look still to come.
 */
void
stack_seat_wake(struct stack *s, unsigned seat)
{
	if (s->conf.io.wake == NULL)
		return;
	atomic_thread_fence(memory_order_seq_cst);
	stack_worker_wake(s, atomic_load_explicit(&s->seats[seat].owner, memory_order_relaxed));
}

/** Between turns: give away what others are to have, and list what this worker has. */
void
stack_thread_seats(struct stack *s, unsigned number)
{
	struct stack_thread *t = &s->threads[number];
	uint32_t hands = atomic_load_explicit(&s->hands, memory_order_acquire);

	if (hands == t->seen)
		return;
	t->seen = hands;
	t->nseats = 0;
	for (unsigned i = 0; i < s->conf.seats; i++) {
		struct stack_seat *seat = &s->seats[i];
		uint32_t wanted = seat_wanted(seat);

		if (seat_owner(seat) != number)
			continue;
		if (wanted == number) {
			t->seats[t->nseats++] = (uint8_t)i;
			continue;
		}
		t->c.seats_given++;
		/* Release: pairs with seat_owner. */
		atomic_store_explicit(&seat->owner, wanted, memory_order_release);
		stack_hands_move(s);
		stack_seat_wake(s, i);
	}
}

int
stack_workers_set(struct stack *s, unsigned n)
{
	if (n == 0 || n > s->conf.seats)
		return -EINVAL;
	s->workers = n;
	for (unsigned i = 0; i < s->conf.seats; i++)
		atomic_store_explicit(&s->seats[i].wanted, i % n, memory_order_relaxed);
	stack_hands_move(s);
	for (unsigned i = 0; i < s->conf.seats; i++)
		stack_seat_wake(s, i);
	return 0;
}

unsigned
stack_workers(const struct stack *s)
{
	return s->workers;
}

unsigned
stack_worker_seats(const struct stack *s, unsigned w, uint8_t *ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->conf.seats; i++) {
		if (seat_owner(&s->seats[i]) != w && seat_wanted(&s->seats[i]) != w)
			continue;
		if (ret != NULL)
			ret[n] = (uint8_t)i;
		n++;
	}
	return n;
}

/* ---- workers ---- */

int
stack_worker_join(struct stack *s, unsigned w)
{
	struct stack_thread *t = &s->threads[w];
	int err = s->reclaim->ops->join(s->reclaim, w);

	if (err != 0)
		return err;
	atomic_store_explicit(
		&t->joined_us, s->conf.io.now_us(s->conf.io.arg), memory_order_relaxed);
	/* Release: with it comes joined_us; pairs with stack_worker_up. */
	atomic_store_explicit(&t->up, true, memory_order_release);
	return 0;
}

void
stack_worker_leave(struct stack *s, unsigned w)
{
	struct stack_thread *t = &s->threads[w];
	unsigned lcore = rte_lcore_id();

	/* Buffers that this thread keeps at hand are of use to others now. */
	if (!s->conf.virtual_workers && lcore != LCORE_ID_ANY) {
		rte_mempool_cache_flush(rte_mempool_default_cache(s->mp, lcore), s->mp);
		rte_mempool_cache_flush(rte_mempool_default_cache(s->mp_small, lcore), s->mp_small);
	}
	t->c.up_us += s->conf.io.now_us(s->conf.io.arg) -
		atomic_load_explicit(&t->joined_us, memory_order_relaxed);
	/* Relaxed: what was counted wants no order. */
	atomic_store_explicit(&t->up, false, memory_order_relaxed);
	s->reclaim->ops->leave(s->reclaim, w);
}

bool
stack_worker_up(const struct stack *s, unsigned w)
{
	return atomic_load_explicit(&s->threads[w].up, memory_order_acquire);
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
	const struct stack_thread *t = &s->threads[w];

	if (atomic_load_explicit(&s->hands, memory_order_relaxed) != t->seen)
		return 0;
	for (unsigned i = 0; i < t->nseats && most > 0; i++) {
		const struct stack_seat *seat = &s->seats[t->seats[i]];

		most = rte_ring_count(seat->ring) > 0 ? 0 : conv_idle_ms(&seat->w, most);
	}
	return most;
}

uint32_t
stack_worker_doze(struct stack *s, unsigned w, uint32_t most)
{
	struct stack_thread *t = &s->threads[w];
	uint32_t ms;

	atomic_store_explicit(&t->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* see stack_seat_wake */
	ms = stack_worker_idle_ms(s, w, most);
	if (ms == 0) {
		atomic_store_explicit(&t->asleep, false, memory_order_relaxed);
		return 0;
	}
	t->asleep_since_us = s->conf.io.now_us(s->conf.io.arg);
	stack_worker_offline(s, w);
	return ms;
}

void
stack_worker_woke(struct stack *s, unsigned w)
{
	struct stack_thread *t = &s->threads[w];

	stack_worker_online(s, w);
	atomic_store_explicit(&t->asleep, false, memory_order_relaxed);
	t->c.sleeps++;
	t->c.slept_us += s->conf.io.now_us(s->conf.io.arg) - t->asleep_since_us;
}
