/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Grace periods by liburcu's QSBR. liburcu 0.13 has no polled grace periods, so one
 * thread waits for them: it takes all batches that have come, waits once, and hands
 * them back to the seats they came from.
 *
 * QSBR state is per thread in liburcu; `reader` numbers are not needed here.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <rte_common.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <urcu-qsbr.h>

#include "reclaim.h"

#define BATCHES_MAX 256 /* on their way, per seat; a power of two */
/*
 * Between two grace periods. Each costs the readers two calls of the kernel (to wake us, and, if we wait for them, to go on), and
 * a switch where they share our core: at 14,000 a second, as batches came one by one, that was a third of a worker's time, at 2,000 a
 * thirteenth.
 */
#define PACE_US 2000

struct urcu_seat {
	struct rte_ring *in, *out; /* of struct reclaim_batch, single producer and consumer */
	uint32_t on_way; /* the seat's thread only */
};

struct reclaim_urcu {
	struct reclaim r;
	unsigned seats;
	pthread_t thread;
	bool started;
	sem_t wake;
	_Atomic bool asleep, stop;
	_Atomic uint64_t oldest; /* birth of the oldest batch being waited for, 0: none */
	struct urcu_seat seat[];
};

static struct reclaim_urcu *
urcu_of(struct reclaim *r)
{
	return (struct reclaim_urcu *)r;
}

static int
urcu_join(struct reclaim *r, unsigned reader)
{
	(void)r;
	(void)reader;
	urcu_qsbr_register_thread();
	return 0;
}

static void
urcu_leave(struct reclaim *r, unsigned reader)
{
	(void)r;
	(void)reader;
	urcu_qsbr_unregister_thread();
}

static void
urcu_quiescent(struct reclaim *r, unsigned reader)
{
	(void)r;
	(void)reader;
	urcu_qsbr_quiescent_state();
}

static void
urcu_offline(struct reclaim *r, unsigned reader)
{
	(void)r;
	(void)reader;
	urcu_qsbr_thread_offline();
}

static void
urcu_online(struct reclaim *r, unsigned reader)
{
	(void)r;
	(void)reader;
	urcu_qsbr_thread_online();
}

static bool
urcu_submit(struct reclaim *r, unsigned seat, const struct reclaim_batch *b)
{
	struct reclaim_urcu *u = urcu_of(r);
	struct urcu_seat *s = &u->seat[seat];
	struct reclaim_batch copy = *b;

	if (s->on_way == BATCHES_MAX - 1)
		return false;
	/* Never full: no more than BATCHES_MAX - 1 are on their way. */
	rte_ring_sp_enqueue_elem(s->in, &copy, sizeof(copy));
	s->on_way++;
	/* Seq_cst: the batch is in the ring before `asleep` is read; the reclaimer sets `asleep` before it
	 * looks at the rings a last time. One of the two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&u->asleep, memory_order_relaxed) &&
		atomic_exchange_explicit(&u->asleep, false, memory_order_relaxed))
		sem_post(&u->wake);
	return true;
}

static bool
urcu_collect(struct reclaim *r, unsigned seat, struct reclaim_batch *ret_b)
{
	struct urcu_seat *s = &urcu_of(r)->seat[seat];

	if (s->on_way == 0 || rte_ring_sc_dequeue_elem(s->out, ret_b, sizeof(*ret_b)) != 0)
		return false;
	s->on_way--;
	return true;
}

static uint64_t
urcu_oldest_us(struct reclaim *r, uint64_t now_us)
{
	uint64_t born = atomic_load_explicit(&urcu_of(r)->oldest, memory_order_relaxed);

	return born == 0 || now_us < born ? 0 : now_us - born;
}

/** Take what has come; its grace period starts after that. @return number of batches */
static unsigned
urcu_take(struct reclaim_urcu *u, struct reclaim_batch *b, unsigned *n)
{
	uint64_t oldest = 0;
	unsigned total = 0;

	for (unsigned i = 0; i < u->seats; i++) {
		n[i] = rte_ring_sc_dequeue_burst_elem(
			u->seat[i].in, &b[total], sizeof(*b), BATCHES_MAX, NULL);
		for (unsigned j = 0; j < n[i]; j++)
			if (oldest == 0 || b[total + j].born_us < oldest)
				oldest = b[total + j].born_us;
		total += n[i];
	}
	atomic_store_explicit(&u->oldest, oldest, memory_order_relaxed);
	return total;
}

static void
urcu_sleep(struct reclaim_urcu *u)
{
	atomic_store_explicit(&u->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* see urcu_submit */
	for (unsigned i = 0; i < u->seats; i++) {
		if (rte_ring_count(u->seat[i].in) == 0)
			continue;
		if (atomic_exchange_explicit(&u->asleep, false, memory_order_relaxed))
			return;
		break; /* somebody has woken us: take his post */
	}
	while (sem_wait(&u->wake) != 0)
		;
}

static void *
urcu_main(void *arg)
{
	const struct timespec pace = {.tv_nsec = PACE_US * 1000};
	struct reclaim_urcu *u = arg;
	struct reclaim_batch *b = malloc((size_t)u->seats * BATCHES_MAX * sizeof(*b));
	unsigned *n = malloc(u->seats * sizeof(*n));
	unsigned at;

	while (b != NULL && n != NULL && !atomic_load_explicit(&u->stop, memory_order_relaxed)) {
		if (urcu_take(u, b, n) == 0) {
			urcu_sleep(u);
			continue;
		}
		urcu_qsbr_synchronize_rcu();
		at = 0;
		for (unsigned i = 0; i < u->seats; at += n[i++])
			if (n[i] > 0)
				rte_ring_sp_enqueue_bulk_elem(
					u->seat[i].out, &b[at], sizeof(*b), n[i], NULL);
		nanosleep(&pace, NULL);
	}
	free(b);
	free(n);
	return NULL;
}

static void
urcu_free(struct reclaim *r)
{
	struct reclaim_urcu *u = urcu_of(r);

	if (u == NULL)
		return;
	if (u->started) {
		/* Relaxed: the post that follows brings it. */
		atomic_store_explicit(&u->stop, true, memory_order_relaxed);
		sem_post(&u->wake);
		pthread_join(u->thread, NULL);
	}
	for (unsigned i = 0; i < u->seats; i++) {
		free(u->seat[i].in);
		free(u->seat[i].out);
	}
	sem_destroy(&u->wake);
	free(u);
}

static struct rte_ring *
urcu_ring(void)
{
	ssize_t bytes = rte_ring_get_memsize_elem(sizeof(struct reclaim_batch), BATCHES_MAX);
	struct rte_ring *ring = bytes < 0
		? NULL
		: aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN((size_t)bytes, RTE_CACHE_LINE_SIZE));

	if (ring != NULL &&
		rte_ring_init(ring, "reclaim", BATCHES_MAX, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
		free(ring);
		return NULL;
	}
	return ring;
}

static const struct reclaim_ops urcu_ops = {
	.join = urcu_join,
	.leave = urcu_leave,
	.quiescent = urcu_quiescent,
	.offline = urcu_offline,
	.online = urcu_online,
	.submit = urcu_submit,
	.collect = urcu_collect,
	.oldest_us = urcu_oldest_us,
	.free = urcu_free,
};

struct reclaim *
reclaim_urcu_create(unsigned seats, int *ret_err)
{
	struct reclaim_urcu *u = calloc(1, sizeof(*u) + seats * sizeof(u->seat[0]));

	*ret_err = -ENOMEM;
	if (u == NULL)
		return NULL;
	u->r.ops = &urcu_ops;
	u->seats = seats;
	sem_init(&u->wake, 0, 0);
	for (unsigned i = 0; i < seats; i++) {
		u->seat[i].in = urcu_ring();
		u->seat[i].out = urcu_ring();
		if (u->seat[i].in == NULL || u->seat[i].out == NULL) {
			urcu_free(&u->r);
			return NULL;
		}
	}
	if (pthread_create(&u->thread, NULL, urcu_main, u) != 0) {
		*ret_err = -EAGAIN;
		urcu_free(&u->r);
		return NULL;
	}
	u->started = true;
	return &u->r;
}
