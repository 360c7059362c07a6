/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * lib/conv under real threads and liburcu: four workers throw packets at the same few keys, make
 * nodes on a miss, kill them at random, set timers from everywhere and kick each other's nodes. Each packet carries the key it
 * is for; a node writes down whose it is. Nothing may ever meet the wrong one, two workers
 * may never be inside at once, and at the end all must be back.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_lcore.h>

#include <cmocka.h>

#include "conv_priv.h"
#include "util.h"

#define WORKERS   4
#define KEYS      24
#define PACKETS   300000 /* enough, when there have also been ... */
#define REUSES    1000
#define PATIENCE  60 /* seconds for that on a machine that is busy with other things */
#define NODES_MAX 512

struct toy {
	struct conv_node cn;
	uint64_t marker;
	volatile uint32_t inside; /* plain: two workers at once would be seen */
	uint32_t inputs;
	bool born; /* the birth kick came before all else */
};

struct counts {
	uint64_t packets, misses, made, lost_race, wrong, double_entry, unborn, timers, kicks;
};

static struct test_net net;
static struct reclaim *reclaim;
static struct conv_table *ct;
static struct counts counts[WORKERS];
static _Atomic bool stop;
static pthread_barrier_t barrier;
static const struct key_secret secret = {3, 4};

static void
toy_enter(struct worker *w, struct toy *t)
{
	if (t->inside++ != 0)
		counts[w->id].double_entry++;
}

static void
toy_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct toy *t = (struct toy *)cn;
	struct counts *c = &counts[w->id];
	uint64_t r = worker_random(w);

	toy_enter(w, t);
	c->packets++;
	if (t->marker != pkt_of(m)->key.k.rport_be)
		c->wrong++;
	if (!t->born)
		c->unborn++;
	t->inputs++;
	if (r % 64 == 0)
		conv_timer_set(w, cn, w->now_ms + 1 + (r >> 8) % 20);
	else if (r % 64 == 1)
		conv_timer_stop(w, cn);
	t->inside--;
	if (r % 256 == 2)
		conv_die(w, cn);
	w->c.delivered++;
	rte_pktmbuf_free(m);
}

static void
toy_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	struct toy *t = (struct toy *)cn;

	toy_enter(w, t);
	if ((bits & NODE_KICK) != 0)
		t->born = true;
	counts[w->id].timers += (bits & NODE_TIMER) != 0;
	counts[w->id].kicks += (bits & NODE_KICK) != 0;
	t->inside--;
	if ((bits & NODE_HANGUP) != 0)
		conv_die(w, cn);
}

static const struct node_ops toy_ops = {
	.name = "toy",
	.size = sizeof(struct toy),
	.input = toy_input,
	.work = toy_work,
};

static void
toy_miss(struct worker *w, struct rte_mbuf *m)
{
	struct counts *c = &counts[w->id];
	struct pkt *p = pkt_of(m);
	struct conv_node *winner;
	struct toy *t;

	c->misses++;
	t = (struct toy *)conv_alloc(w, NODE_CONV, &p->key.k, p->hash);
	if (t == NULL) {
		drop(w, m, DROP_CONV_LIMIT);
		return;
	}
	t->marker = p->key.k.rport_be;
	if (conv_publish(w, &t->cn, NODE_KICK, &winner) == 0) {
		c->made++;
	} else {
		c->lost_race++;
		conv_put(w, winner);
		conv_abandon(w, &t->cn);
	}
	conv_again(w, m);
}

static struct rte_mbuf *
packet(struct worker *w)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.mp);
	struct pkt *p;

	if (m == NULL)
		return NULL;
	p = pkt_of(m);
	memset(p, 0, sizeof(*p));
	p->key.k.rport_be = (uint16_t)(1 + worker_random(w) % KEYS);
	p->key.k.proto = 6;
	p->hash = key_hash(&secret, &p->key.k);
	p->kind = PKT_TCP;
	w->c.received++;
	return m;
}

/** Kick, post to, or hang up whatever a random slot holds. */
static void
meddle(struct worker *w)
{
	uint32_t slot = (uint32_t)(worker_random(w) % conv_slots(ct));
	struct conv_node *cn = conv_next(ct, &slot, 512);
	uint64_t r = worker_random(w);

	if (cn == NULL)
		return;
	if (r % 4 < 2)
		conv_kick(w, cn, NODE_KICK);
	else
		conv_post(
			ct, (unsigned)(r >> 8) % WORKERS, cn, r % 4 == 2 ? NODE_HANGUP : NODE_KICK);
	conv_put(w, cn);
}

static void
worker_turn(struct worker *w)
{
	struct rte_mbuf *m[WORKER_BURST];
	unsigned n = (unsigned)(worker_random(w) % 32), k = 0;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	w->now_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	w->now_ms = (uint32_t)(w->now_us / 1000);
	while (k < n && !atomic_load(&stop) && (m[k] = packet(w)) != NULL)
		k++;
	conv_input_burst(w, m, k);
	if (!atomic_load(&stop) && worker_random(w) % 8 == 0)
		meddle(w);
	conv_turn(w);
	conv_turn_end(w);
	reclaim->ops->quiescent(reclaim, w->id);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;

	if (rte_thread_register() != 0)
		abort();
	reclaim->ops->join(reclaim, w->id);
	pthread_barrier_wait(&barrier);
	while (!atomic_load(&stop))
		worker_turn(w);
	/* Drain: no new packets, what waits is done, timers run out. */
	reclaim->ops->offline(reclaim, w->id);
	pthread_barrier_wait(&barrier);
	reclaim->ops->online(reclaim, w->id);
	for (unsigned i = 0; i < 400; i++) {
		const struct timespec ms = {.tv_nsec = 1000000};
		uint32_t slot = 0;
		struct conv_node *cn;

		while ((cn = conv_next(ct, &slot, UINT32_MAX)) != NULL) {
			conv_post(ct, w->id, cn, NODE_HANGUP);
			conv_put(w, cn);
		}
		worker_turn(w);
		reclaim->ops->offline(reclaim, w->id);
		nanosleep(&ms, NULL);
		reclaim->ops->online(reclaim, w->id);
	}
	reclaim->ops->leave(reclaim, w->id);
	rte_thread_unregister();
	return NULL;
}

static uint64_t
packets_now(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += *(volatile uint64_t *)&counts[i].packets;
	return n;
}

static void
wait_until_enough(void)
{
	const struct timespec tick = {.tv_nsec = 10000000};
	struct conv_counters cc = {0};

	for (unsigned i = 0; i < PATIENCE * 100; i++) {
		nanosleep(&tick, NULL);
		conv_stats(ct, &cc);
		if (packets_now() >= PACKETS && cc.reused[NODE_CONV] >= REUSES &&
			cc.backlog_pushes >= 100 && cc.timers_moved_remote >= 100)
			return;
	}
}

static void
test_threads(void **state)
{
	struct conv_table_conf conf = {
		.name = "threads",
		.seats = WORKERS,
		.limit = {NODES_MAX, 1, 1, 1},
		.listeners = 1,
		.secret = secret,
		.socket_id = SOCKET_ID_ANY,
		.backlog_max = 64,
	};
	struct counts sum = {0};
	struct conv_counters cc;
	pthread_t thread[WORKERS];
	char fault[256] = "";
	struct timespec ts;
	int err = 0;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	conf.now_us = (uint64_t)ts.tv_sec * 1000000;
	test_net_init(&net, WORKERS);
	reclaim = reclaim_urcu_create(WORKERS + 1, &err);
	assert_non_null(reclaim);
	conf.reclaim = reclaim;
	ct = conv_table_create(&conf, &err);
	assert_non_null(ct);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		conv_ops_set(ct, k, &toy_ops);
	conv_miss_set(ct, PKT_TCP, toy_miss);
	assert_int_equal(conv_table_start(ct), 0);
	pthread_barrier_init(&barrier, NULL, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		net.w[i].convs = ct;
		conv_seat_take(&net.w[i], i);
		assert_int_equal(pthread_create(&thread[i], NULL, worker_main, &net.w[i]), 0);
	}
	wait_until_enough();
	atomic_store(&stop, true);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < WORKERS; i++) {
		const uint64_t *from = (const uint64_t *)&counts[i];
		uint64_t *to = (uint64_t *)&sum;

		for (unsigned j = 0; j < sizeof(sum) / sizeof(*to); j++)
			to[j] += from[j];
	}
	conv_stats(ct, &cc);
	print_message(
		"packets %lu made %lu lost races %lu timers %lu kicks %lu; busy %lu, backlog %lu, "
		"get failed %lu, reused %lu, timers moved %lu, budget %lu\n",
		sum.packets, sum.made, sum.lost_race, sum.timers, sum.kicks, cc.busy,
		cc.backlog_pushes, cc.get_failed, cc.reused[NODE_CONV], cc.timers_moved_remote,
		cc.leave_budget);
	assert_int_equal(sum.wrong, 0);
	assert_int_equal(sum.double_entry, 0);
	assert_int_equal(sum.unborn, 0);
	assert_int_equal(cc.recheck_failed, 0);
	/* It was a real test. */
	assert_true(sum.packets >= PACKETS);
	assert_true(cc.reused[NODE_CONV] >= REUSES);
	assert_true(cc.backlog_pushes >= 100);
	assert_true(cc.timers_moved_remote >= 100);
	if (conv_check(ct, fault, sizeof(fault)) != 0)
		fail_msg("%s", fault);
	assert_int_equal(conv_live(ct, NODE_CONV), 0);
	test_net_balance(&net);
	conv_table_free(ct);
	reclaim->ops->free(reclaim);
	test_net_fini(&net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

	test_eal("conv_threads");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
