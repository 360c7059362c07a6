/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The table with real threads: one winner per key, no gap when a node is replaced,
 * one remover, no bucket lost. Next to what must hold stands, where it is cheap, a
 * control: the same race with the step taken apart, which must be seen to fail.
 *
 * Arguments: seed, milliseconds per race.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_byteorder.h>
#include <rte_memory.h>
#include <rte_pause.h>

#include <cmocka.h>
#include <urcu/urcu-qsbr.h>

#include "ipht.h"
#include "util.h"

#define CONTROL_TRIES 20 /* runs until a negative control has bitten */
#define THREADS       4

static uint64_t seed;
static unsigned race_ms = 700;

static uint64_t
rnd(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct ipht *
make_table(uint32_t limit)
{
	struct ipht_conf conf = {.limit = limit,
		.listeners = 8,
		.socket_id = SOCKET_ID_ANY,
		.secret = {.k0 = seed, .k1 = ~seed}};
	int err = 0;
	struct ipht *t;

	t = ipht_create(&conf, &err);
	assert_non_null(t);
	return t;
}

static struct key
tuple(unsigned i)
{
	struct key k = {.rport_be = rte_cpu_to_be_16((uint16_t)(1024 + i)),
		.lport_be = rte_cpu_to_be_16(80),
		.proto = IPPROTO_TCP,
		.kind = KEY_TUPLE};

	key_map_v4(k.raddr, rte_cpu_to_be_32(0x0a000001));
	key_map_v4(k.laddr, rte_cpu_to_be_32(0x0a000002));
	return k;
}

static void
build(struct node *n, const struct key *k, uint32_t hash)
{
	n->key = *k;
	n->hash = hash;
	atomic_store(&n->word, NODE_GEN_ONE + NODE_REF); /* the table's reference */
}

static unsigned
refs(struct node *n)
{
	return node_refs(atomic_load(&n->word));
}

/* ---- threads that meet: all leave meet() when the last one comes */

struct squad {
	struct ipht *t;
	uint64_t end_ms;
	_Atomic unsigned waiting, round, names;
	_Atomic bool stop;
	_Atomic unsigned long wrong;
};

static void
meet(struct squad *s)
{
	unsigned round = atomic_load(&s->round);

	if (atomic_fetch_add(&s->waiting, 1) + 1 == THREADS) {
		if (now_ms() >= s->end_ms)
			atomic_store(&s->stop, true);
		atomic_store(&s->waiting, 0);
		atomic_store(&s->round, round + 1);
		return;
	}
	/* Those that have a core of their own set off together. */
	for (unsigned i = 0; atomic_load(&s->round) == round; i++) {
		if (i < 300)
			rte_pause();
		else
			sched_yield();
	}
}

static void
run_squad(struct squad *s, void *(*const fn[THREADS])(void *), void *arg)
{
	pthread_t threads[THREADS];

	s->end_ms = now_ms() + race_ms;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn[i], arg), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void
run_same(struct squad *s, void *(*fn)(void *), void *arg)
{
	void *(*const all[THREADS])(void *) = {fn, fn, fn, fn};

	run_squad(s, all, arg);
}

/* ---- insert-if-absent: of N racers on one key one wins (I2; hazards C6, C7) */

struct insert {
	struct squad s;
	int (*add)(struct ipht *t, struct node *n, struct node **ret_winner);
	struct node nodes[THREADS];
	struct node *got[THREADS];
	int ret[THREADS];
	unsigned long rounds, wins[THREADS], two_winners;
};

/* The control: what is found is what is true, as if nobody else could add meanwhile. */
static int
add_in_two_steps(struct ipht *t, struct node *n, struct node **ret_winner)
{
	struct key48 k = {.k = n->key};

	*ret_winner = ipht_look(t, &k, n->hash);
	if (*ret_winner != NULL)
		return -EEXIST;
	sched_yield();
	(void)ipht_add(t, n, NULL);
	return 0;
}

/* One thread, while the others wait: what came of the round? */
static void
insert_check(struct insert *r)
{
	unsigned winners = 0, who = 0;
	int position;

	for (unsigned i = 0; i < THREADS; i++) {
		if (r->ret[i] == 0) {
			winners++;
			who = i;
		} else if (r->ret[i] != -EEXIST) {
			r->s.wrong++;
		}
	}
	r->rounds++;
	if (winners != 1) {
		r->two_winners++;
	} else {
		r->wins[who]++;
		r->s.wrong += refs(&r->nodes[who]) != THREADS; /* the table, and each loser */
		for (unsigned i = 0; i < THREADS; i++)
			r->s.wrong += i != who && r->got[i] != &r->nodes[who];
	}
	for (unsigned i = 0; i < THREADS; i++) {
		position = ipht_rem(r->s.t, &r->nodes[i]);
		ipht_free_slot(r->s.t, position);
	}
	r->s.wrong += ipht_count(r->s.t) != 0;
}

static void *
insert_racer(void *arg)
{
	struct insert *r = arg;
	const unsigned me = atomic_fetch_add(&r->s.names, 1);
	uint64_t rng = seed;

	while (!atomic_load(&r->s.stop)) {
		struct key k = tuple((unsigned)(rnd(&rng) % 1000)); /* the same for all */

		build(&r->nodes[me], &k, ipht_hash(r->s.t, &k));
		r->got[me] = NULL;
		meet(&r->s);
		r->ret[me] = r->add(r->s.t, &r->nodes[me], &r->got[me]);
		meet(&r->s);
		if (me == 0)
			insert_check(r);
		meet(&r->s);
	}
	return NULL;
}

static void
run_insert(struct insert *r)
{
	r->s.t = make_table(64);
	run_same(&r->s, insert_racer, r);
	ipht_free(r->s.t);
	print_message("           %lu rounds, won %lu %lu %lu %lu, not one winner %lu\n", r->rounds,
		r->wins[0], r->wins[1], r->wins[2], r->wins[3], r->two_winners);
	assert_true(r->rounds > 100);
}

static void
test_one_winner(void **state)
{
	struct insert r = {.add = ipht_add};

	(void)state;
	run_insert(&r);
	assert_int_equal(r.s.wrong, 0);
	assert_int_equal(r.two_winners, 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_true(r.wins[i] > 0); /* or they never raced */
}

static void
test_control_two_winners(void **state)
{
	struct insert r = {.add = add_in_two_steps};

	(void)state;
	for (unsigned tries = 0; tries < CONTROL_TRIES && r.two_winners == 0; tries++) {
		r = (struct insert){.add = add_in_two_steps};
		run_insert(&r);
	}
	assert_true(r.two_winners > 0);
}

/* ---- compare-and-remove: a node leaves once, by one hand */

struct leave {
	struct squad s;
	struct node old, new[THREADS];
	int ret[THREADS];
	unsigned long rounds, removed, replaced;
};

static void
leave_check(struct leave *r)
{
	struct key48 k = {.k = r->old.key};
	struct node *left = NULL;
	unsigned done = 0;
	int position;

	for (unsigned i = 0; i < THREADS; i++) {
		if (r->ret[i] == -ENOENT)
			continue;
		done++;
		if (i % 2 == 0) {
			r->removed++;
			ipht_free_slot(r->s.t, r->ret[i]);
		} else {
			r->replaced++;
			r->s.wrong += r->ret[i] != 0;
			left = &r->new[i];
		}
	}
	r->rounds++;
	r->s.wrong += done != 1;
	r->s.wrong += ipht_look(r->s.t, &k, r->old.hash) != left;
	r->s.wrong += ipht_count(r->s.t) != (left != NULL);
	if (left != NULL) {
		position = ipht_rem(r->s.t, left);
		r->s.wrong += position < 0;
		ipht_free_slot(r->s.t, position);
	}
}

static void *
leave_racer(void *arg)
{
	struct leave *r = arg;
	const unsigned me = atomic_fetch_add(&r->s.names, 1);
	uint64_t rng = seed;

	while (!atomic_load(&r->s.stop)) {
		struct key k = tuple((unsigned)(rnd(&rng) % 1000));
		uint32_t hash = ipht_hash(r->s.t, &k);

		build(&r->new[me], &k, hash);
		if (me == 0) {
			build(&r->old, &k, hash);
			r->s.wrong += ipht_add(r->s.t, &r->old, NULL) != 0;
		}
		meet(&r->s);
		r->ret[me] = me % 2 == 0 ? ipht_rem(r->s.t, &r->old)
					 : ipht_replace(r->s.t, &r->old, &r->new[me]);
		meet(&r->s);
		if (me == 0)
			leave_check(r);
		meet(&r->s);
	}
	return NULL;
}

static void
test_leaves_once(void **state)
{
	struct leave r = {0};

	(void)state;
	r.s.t = make_table(64);
	run_same(&r.s, leave_racer, &r);
	ipht_free(r.s.t);
	print_message("           %lu rounds, removed %lu, replaced %lu\n", r.rounds, r.removed,
		r.replaced);
	assert_int_equal(r.s.wrong, 0);
	assert_true(r.removed > 0 && r.replaced > 0);
	assert_int_equal(r.removed + r.replaced, r.rounds);
}

/* ---- replace: no reader ever finds the key unknown, while its neighbours come and go */

#define POOL       256
#define NEIGHBOURS 96

struct serial {
	struct node n;
	_Atomic uint64_t number; /* grows with every replace */
} __attribute__((aligned(64)));

struct gap {
	struct squad s;
	bool in_two_steps; /* the control: remove, then add */
	struct key48 k;
	uint32_t hash;
	struct serial pool[POOL];
	struct node neighbours[NEIGHBOURS];
	_Atomic unsigned long looks, misses, stale, replaced, moved;
};

static bool
gap_goes_on(struct gap *g)
{
	return now_ms() < g->s.end_ms && !atomic_load(&g->s.stop);
}

static void
gap_replace(struct gap *g, struct node *old, struct node *new)
{
	int position;

	if (!g->in_two_steps) {
		g->s.wrong += ipht_replace(g->s.t, old, new) != 0;
		return;
	}
	position = ipht_rem(g->s.t, old);
	g->s.wrong += position < 0 || ipht_add(g->s.t, new, NULL) != 0;
	/* Straight away, with readers about: it is one key all the time, so they can't tell. */
	ipht_free_slot(g->s.t, position);
}

static void *
gap_writer(void *arg)
{
	struct gap *g = arg;
	uint64_t number = 1;
	unsigned cur = 0;

	urcu_qsbr_register_thread();
	while (gap_goes_on(g)) {
		unsigned next = (cur + 1) % POOL;

		/* Twice a lap, so there is a grace period between replaced and used again. */
		if (next % (POOL / 2) == 0) {
			urcu_qsbr_synchronize_rcu();
			for (unsigned i = 0; i < POOL; i++)
				g->s.wrong += i != cur && refs(&g->pool[i].n) != 0;
		}
		atomic_store_explicit(&g->pool[next].number, ++number, memory_order_relaxed);
		atomic_store_explicit(&g->pool[next].n.word, number << NODE_GEN_SHIFT | NODE_REF,
			memory_order_relaxed);
		gap_replace(g, &g->pool[cur].n, &g->pool[next].n);
		atomic_fetch_or(&g->pool[cur].n.word, NODE_DEAD);
		(void)node_unref(&g->pool[cur].n); /* the table's */
		cur = next;
		atomic_fetch_add(&g->replaced, 1);
	}
	atomic_store(&g->s.stop, true);
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void *
gap_neighbours(void *arg)
{
	struct gap *g = arg;
	uint64_t rng = seed;
	bool in[NEIGHBOURS] = {false};
	int positions[64];
	unsigned n = 0;

	urcu_qsbr_register_thread();
	while (gap_goes_on(g)) {
		unsigned i = (unsigned)(rnd(&rng) % NEIGHBOURS);

		if (!in[i]) {
			g->s.wrong += ipht_add(g->s.t, &g->neighbours[i], NULL) != 0;
		} else {
			positions[n++] = ipht_rem(g->s.t, &g->neighbours[i]);
			g->s.wrong += positions[n - 1] < 0;
		}
		in[i] = !in[i];
		if (n == 64) {
			urcu_qsbr_synchronize_rcu();
			while (n > 0)
				ipht_free_slot(g->s.t, positions[--n]);
		}
		urcu_qsbr_quiescent_state();
		atomic_fetch_add(&g->moved, 1);
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void *
gap_looker(void *arg)
{
	struct gap *g = arg;
	uint64_t last = 0, number;
	unsigned long looks = 0, misses = 0;

	urcu_qsbr_register_thread();
	while (gap_goes_on(g)) {
		for (unsigned i = 0; i < 64; i++, looks++) {
			struct node *n = ipht_look(g->s.t, &g->k, g->hash);

			if (n == NULL) {
				misses++;
				continue;
			}
			number = atomic_load_explicit(
				&((struct serial *)(void *)n)->number, memory_order_relaxed);
			/* Time does not go back, and nobody builds it anew while we hold it. */
			g->s.wrong += number < last || !key_equal(&n->key, &g->k.k);
			last = number;
			(void)node_unref(n);
		}
		urcu_qsbr_quiescent_state();
		if (misses > 0 && g->in_two_steps)
			atomic_store(&g->s.stop, true);
	}
	atomic_fetch_add(&g->looks, looks);
	atomic_fetch_add(&g->misses, misses);
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void *
gap_burst_looker(void *arg)
{
	struct gap *g = arg;
	const struct key48 *keys[IPHT_BURST_MAX];
	uint32_t hashes[IPHT_BURST_MAX];
	struct node *nodes[IPHT_BURST_MAX];
	unsigned long looks = 0, misses = 0, stale = 0;

	urcu_qsbr_register_thread();
	for (unsigned i = 0; i < IPHT_BURST_MAX; i++) {
		keys[i] = &g->k;
		hashes[i] = g->hash;
	}
	while (gap_goes_on(g)) {
		unsigned found = ipht_look_burst(g->s.t, keys, hashes, IPHT_BURST_MAX, nodes);

		looks += IPHT_BURST_MAX;
		misses += IPHT_BURST_MAX - found;
		for (unsigned i = 0; i < IPHT_BURST_MAX; i++) {
			if (nodes[i] == NULL)
				continue;
			if (!node_get(nodes[i])) {
				stale++; /* a candidate; conv_enter refuses it, too */
				continue;
			}
			g->s.wrong += !key_equal(&nodes[i]->key, &g->k.k);
			(void)node_unref(nodes[i]);
		}
		urcu_qsbr_quiescent_state();
		if (misses > 0 && g->in_two_steps)
			atomic_store(&g->s.stop, true);
	}
	atomic_fetch_add(&g->looks, looks);
	atomic_fetch_add(&g->misses, misses);
	atomic_fetch_add(&g->stale, stale);
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void
run_gap(struct gap *g)
{
	void *(*const fn[THREADS])(void *) = {
		gap_writer, gap_neighbours, gap_looker, gap_burst_looker};
	uint64_t rng = seed;

	g->s.t = make_table(1024);
	g->k.k = tuple(0);
	g->hash = ipht_hash(g->s.t, &g->k.k);
	for (unsigned i = 0; i < POOL; i++) {
		build(&g->pool[i].n, &g->k.k, g->hash);
		if (i > 0)
			atomic_store(&g->pool[i].n.word, 0);
	}
	/* A third in the same chain, the rest in the same first bucket: the key is moved about. */
	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct key k = tuple(1 + i);
		uint32_t hash = g->hash;

		if (i % 3 != 0)
			hash = (hash & 0xffff) | (uint32_t)rnd(&rng) << 16;
		build(&g->neighbours[i], &k, hash);
		assert_int_equal(ipht_add(g->s.t, &g->neighbours[i], NULL), 0);
	}
	assert_int_equal(ipht_add(g->s.t, &g->pool[0].n, NULL), 0);
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		ipht_free_slot(g->s.t, ipht_rem(g->s.t, &g->neighbours[i]));
	run_squad(&g->s, fn, g);
	ipht_free(g->s.t);
	print_message("           %lu looks, %lu unknown, %lu stale; %lu replaced, %lu moved\n",
		g->looks, g->misses, g->stale, g->replaced, g->moved);
}

static void
test_replace_leaves_no_gap(void **state)
{
	static struct gap g;

	(void)state;
	race_ms *= 3;
	run_gap(&g);
	race_ms /= 3;
	assert_int_equal(g.misses, 0);
	assert_int_equal(g.s.wrong, 0);
	assert_true(g.looks > 10000 && g.replaced > 1000 && g.moved > 100);
}

static void
test_control_gap(void **state)
{
	static struct gap g = {.in_two_steps = true};

	(void)state;
	/* On a busy machine one run may pass without a thread being stopped in the wrong place. */
	for (unsigned tries = 0; tries < CONTROL_TRIES && g.misses == 0; tries++) {
		g = (struct gap){.in_two_steps = true};
		run_gap(&g);
	}
	assert_true(g.misses > 0);
}

/* ---- churn: all buckets come back, each once; no reference is left after a grace period */

#define CHURN_LIMIT 1024
#define CHURN_KEYS  64
#define CHURN_BATCH 48

struct churn {
	struct squad s;
	struct node nodes[THREADS][CHURN_KEYS];
	_Atomic unsigned long added, lost_race;
};

struct churner {
	struct churn *c;
	struct node *nodes;
	enum {
		OUT,
		IN,
		RETIRED
	} is[CHURN_KEYS];
	int positions[CHURN_BATCH];
	unsigned retired[CHURN_BATCH], n;
	unsigned long added, lost_race, wrong;
};

static void
churn_grace(struct churner *me)
{
	urcu_qsbr_synchronize_rcu();
	while (me->n > 0) {
		me->n--;
		me->wrong += refs(&me->nodes[me->retired[me->n]]) != 0;
		me->is[me->retired[me->n]] = OUT;
		ipht_free_slot(me->c->s.t, me->positions[me->n]);
	}
}

static void
churn_rem(struct churner *me, unsigned i)
{
	struct node *n = &me->nodes[i];
	int position = ipht_rem(me->c->s.t, n);

	me->wrong += position < 0;
	atomic_fetch_or(&n->word, NODE_DEAD);
	(void)node_unref(n);
	me->is[i] = RETIRED;
	me->retired[me->n] = i;
	me->positions[me->n++] = position;
	if (me->n == CHURN_BATCH)
		churn_grace(me);
}

static void
churn_add(struct churner *me, unsigned i)
{
	struct node *n = &me->nodes[i], *winner = NULL;
	int ret;

	atomic_store(&n->word, NODE_REF);
	ret = ipht_add(me->c->s.t, n, &winner);
	if (ret == 0) {
		me->is[i] = IN;
		me->added++;
		return;
	}
	me->lost_race++;
	me->wrong += ret != -EEXIST || winner == NULL || winner == n ||
		!key_equal(&winner->key, &n->key) || refs(winner) == 0;
	(void)node_unref(winner);
	atomic_store(&n->word, 0);
}

static void *
churn_thread(void *arg)
{
	struct churn *c = arg;
	unsigned name = atomic_fetch_add(&c->s.names, 1);
	struct churner me = {.c = c, .nodes = c->nodes[name]};
	uint64_t rng = seed + name;

	urcu_qsbr_register_thread();
	while (now_ms() < c->s.end_ms) {
		unsigned i = (unsigned)(rnd(&rng) % CHURN_KEYS);

		if (me.is[i] == OUT)
			churn_add(&me, i);
		else if (me.is[i] == IN)
			churn_rem(&me, i);
		urcu_qsbr_quiescent_state();
	}
	for (unsigned i = 0; i < CHURN_KEYS; i++)
		if (me.is[i] == IN)
			churn_rem(&me, i);
	churn_grace(&me);
	urcu_qsbr_unregister_thread();
	atomic_fetch_add(&c->added, me.added);
	atomic_fetch_add(&c->lost_race, me.lost_race);
	atomic_fetch_add(&c->s.wrong, me.wrong);
	return NULL;
}

/* How many nodes of one chain fit: as many as all spare buckets have room for. */
static unsigned
fill(struct ipht *t)
{
	struct node *nodes = aligned_alloc(64, 2 * CHURN_LIMIT * sizeof(*nodes));
	unsigned n = 0;

	assert_non_null(nodes);
	for (unsigned i = 0; i < 2 * CHURN_LIMIT; i++) {
		struct key k = tuple(i);

		build(&nodes[i], &k, 1);
	}
	while (ipht_add(t, &nodes[n], NULL) == 0)
		assert_in_range(++n, 1, 2 * CHURN_LIMIT - 1);
	for (unsigned i = 0; i < n; i++) {
		struct key48 k = {.k = nodes[i].key};

		assert_ptr_equal(ipht_look(t, &k, nodes[i].hash), &nodes[i]);
	}
	free(nodes);
	return n;
}

static void
test_churn_loses_no_bucket(void **state)
{
	static struct churn c;
	struct ipht *fresh;

	(void)state;
	c.s.t = make_table(CHURN_LIMIT);
	for (unsigned i = 0; i < THREADS * CHURN_KEYS; i++) {
		struct key k = tuple(i % CHURN_KEYS);
		uint32_t hash = ipht_hash(c.s.t, &k);

		/* half of the keys in two chains of several buckets */
		build(&c.nodes[i / CHURN_KEYS][i % CHURN_KEYS], &k,
			i % 2 ? hash : i % CHURN_KEYS / 2 % 2 * 0x80000001);
	}
	run_same(&c.s, churn_thread, &c);
	print_message("           %lu added, %lu were there already\n", c.added, c.lost_race);
	assert_int_equal(c.s.wrong, 0);
	assert_true(c.added > 1000 && c.lost_race > 100);
	assert_int_equal(ipht_count(c.s.t), 0);
	fresh = make_table(CHURN_LIMIT);
	assert_int_equal(fill(c.s.t), fill(fresh));
	ipht_free(fresh);
	ipht_free(c.s.t);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_winner),
		cmocka_unit_test(test_control_two_winners),
		cmocka_unit_test(test_leaves_once),
		cmocka_unit_test(test_replace_leaves_no_gap),
		cmocka_unit_test(test_control_gap),
		cmocka_unit_test(test_churn_loses_no_bucket),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	if (argc > 2)
		race_ms = (unsigned)strtoul(argv[2], NULL, 0);
	printf("seed %llu, %u ms per race\n", (unsigned long long)seed, race_ms);
	test_eal("ipht-race");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
