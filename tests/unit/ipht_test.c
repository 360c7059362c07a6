/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The table in one thread: against a model, with real and with forced hashes; slots,
 * listeners, bursts. Races are in ipht_race_test.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_byteorder.h>
#include <rte_memory.h>

#include <cmocka.h>

#include "ipht.h"
#include "util.h"

#define KEYS    600
#define PER_KEY 3 /* nodes that want the same key */
#define PENDING 48 /* removed slots that wait for their grace period */

static uint64_t seed;

static const struct key_secret secret = {
	.k0 = UINT64_C(0x0706050403020100), .k1 = UINT64_C(0x0f0e0d0c0b0a0908)};

static uint64_t
rnd(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static struct ipht *
make_table(uint32_t limit, uint32_t listeners)
{
	struct ipht_conf conf = {.limit = limit,
		.listeners = listeners,
		.socket_id = SOCKET_ID_ANY,
		.secret = secret};
	int err = 0;
	struct ipht *t;

	t = ipht_create(&conf, &err);
	assert_non_null(t);
	assert_int_equal(err, 0);
	return t;
}

static struct key
tuple(unsigned i)
{
	struct key k = {.rport_be = rte_cpu_to_be_16((uint16_t)(1024 + i)),
		.lport_be = rte_cpu_to_be_16(80),
		.proto = IPPROTO_TCP,
		.kind = KEY_TUPLE};

	key_map_v4(k.raddr, rte_cpu_to_be_32(0x0a000001 + (i >> 14)));
	key_map_v4(k.laddr, rte_cpu_to_be_32(0x0a000002));
	return k;
}

static void
build(struct node *n, const struct key *k, uint32_t hash)
{
	memset(n, 0, sizeof(*n));
	n->key = *k;
	n->hash = hash;
	atomic_store(&n->word, NODE_GEN_ONE + NODE_REF); /* the table's reference */
}

static struct node *
make_nodes(unsigned n)
{
	struct node *nodes = aligned_alloc(64, n * sizeof(*nodes));

	assert_non_null(nodes);
	return nodes;
}

static unsigned
refs(struct node *n)
{
	return node_refs(atomic_load(&n->word));
}

static struct node *
look(struct ipht *t, const struct node *like)
{
	struct key48 k = {.k = like->key};
	struct node *n = ipht_look(t, &k, like->hash);

	if (n != NULL)
		assert_false(node_unref(n));
	return n;
}

/* ---- the model: for each key the node that must be found, and the slots that are taken */

struct model {
	struct ipht *t;
	struct node *nodes; /* PER_KEY for each key */
	struct node *in[KEYS];
	uint64_t rng;
	uint32_t limit, count;
	int pending[PENDING];
	unsigned n_pending, n_nospace, n_added;
};

static struct node *
model_pick(struct model *m, unsigned *ret_key)
{
	unsigned i = (unsigned)(rnd(&m->rng) % (KEYS * PER_KEY));

	*ret_key = i / PER_KEY;
	return &m->nodes[i];
}

static void
model_grace(struct model *m)
{
	ipht_free_slot(m->t, m->pending[--m->n_pending]);
}

static void
model_add(struct model *m)
{
	unsigned key;
	struct node *n = model_pick(m, &key);
	struct node *untouched = (struct node *)&m->rng;
	struct node *winner = untouched;
	int ret = ipht_add(m->t, n, &winner);

	if (m->in[key] != NULL) {
		assert_int_equal(ret, -EEXIST);
		assert_ptr_equal(winner, m->in[key]);
		assert_int_equal(refs(winner), 2);
		assert_false(node_unref(winner));
		assert_int_equal(ipht_add(m->t, n, NULL), -EEXIST);
		assert_int_equal(refs(winner), 1);
		return;
	}
	assert_ptr_equal(winner, untouched);
	if (ret == -ENOSPC) {
		assert_true(m->count >= m->limit);
		m->n_nospace++;
		return;
	}
	assert_int_equal(ret, 0);
	m->in[key] = n;
	m->count++;
	m->n_added++;
}

static void
model_rem(struct model *m)
{
	unsigned key;
	struct node *n = model_pick(m, &key);
	int position;

	if (m->n_pending == PENDING)
		model_grace(m);
	position = ipht_rem(m->t, n);
	if (m->in[key] != n) {
		assert_int_equal(position, -ENOENT);
		return;
	}
	assert_true(position >= 0);
	m->pending[m->n_pending++] = position;
	m->in[key] = NULL;
	m->count--;
}

static void
model_replace(struct model *m)
{
	unsigned key;
	struct node *old = model_pick(m, &key);
	struct node *new = &m->nodes[key * PER_KEY + rnd(&m->rng) % PER_KEY];
	int ret;

	if (old == new)
		return;
	ret = ipht_replace(m->t, old, new);
	if (m->in[key] != old) {
		assert_int_equal(ret, -ENOENT);
		return;
	}
	assert_int_equal(ret, 0);
	m->in[key] = new;
}

static void
model_look(struct model *m)
{
	unsigned key;
	struct node *n = model_pick(m, &key);

	assert_ptr_equal(look(m->t, n), m->in[key]);
}

static void
model_burst(struct model *m)
{
	struct key48 keys[IPHT_BURST_MAX];
	const struct key48 *p[IPHT_BURST_MAX];
	uint32_t hashes[IPHT_BURST_MAX];
	struct node *want[IPHT_BURST_MAX], *got[IPHT_BURST_MAX];
	unsigned n = (unsigned)(rnd(&m->rng) % (IPHT_BURST_MAX + 1));
	unsigned found = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned key;
		struct node *like = model_pick(m, &key);

		keys[i] = (struct key48){.k = like->key};
		p[i] = &keys[i];
		hashes[i] = like->hash;
		want[i] = m->in[key];
		found += want[i] != NULL;
		got[i] = (struct node *)&keys[i]; /* must be overwritten */
	}
	assert_int_equal(ipht_look_burst(m->t, p, hashes, n, got), found);
	for (unsigned i = 0; i < n; i++)
		assert_ptr_equal(got[i], want[i]);
}

static void
model_step(struct model *m)
{
	switch (rnd(&m->rng) % 8) {
	case 0:
	case 1:
	case 2:
		model_add(m);
		break;
	case 3:
	case 4:
		model_rem(m);
		break;
	case 5:
		model_replace(m);
		break;
	case 6:
		model_look(m);
		break;
	default:
		if (rnd(&m->rng) % 4 == 0)
			model_burst(m);
		else if (m->n_pending > 0)
			model_grace(m);
	}
	assert_int_equal(ipht_count(m->t), m->count);
}

enum hashing {
	KEYED,
	ALL_ZERO,
	ALL_ONE,
	THREE,
	FEW_BUCKETS
};

static uint32_t
forced_hash(const struct ipht *t, const struct key *k, enum hashing h)
{
	uint32_t keyed = ipht_hash(t, k);

	switch (h) {
	case ALL_ZERO:
		return 0;
	case ALL_ONE:
		return UINT32_MAX;
	case THREE:
		return keyed % 3 * UINT32_C(0x10001);
	case FEW_BUCKETS: /* full signatures in two bits' worth of buckets */
		return (keyed & 0xfff00003);
	default:
		return keyed;
	}
}

static void
run_model(uint32_t limit, enum hashing h, unsigned steps)
{
	struct model m = {.t = make_table(limit, 8),
		.nodes = make_nodes(KEYS * PER_KEY),
		.rng = seed,
		.limit = limit};

	for (unsigned i = 0; i < KEYS * PER_KEY; i++) {
		struct key k = tuple(i / PER_KEY);

		build(&m.nodes[i], &k, forced_hash(m.t, &k, h));
	}
	for (unsigned i = 0; i < steps; i++)
		model_step(&m);
	for (unsigned i = 0; i < KEYS * PER_KEY; i++)
		assert_ptr_equal(look(m.t, &m.nodes[i]), m.in[i / PER_KEY]);
	assert_true(m.n_added > steps / 100);
	ipht_free(m.t);
	free(m.nodes);
}

static void
test_model_keyed(void **state)
{
	(void)state;
	run_model(1024, KEYED, 200000);
}

static void
test_model_full(void **state)
{
	(void)state;
	run_model(100, KEYED, 200000);
}

static void
test_model_forced_collisions(void **state)
{
	(void)state;
	run_model(1024, ALL_ZERO, 60000);
	run_model(1024, ALL_ONE, 60000);
	run_model(1024, THREE, 60000);
	run_model(1024, FEW_BUCKETS, 60000);
}

/* ---- one chain of many nodes */

static void
test_one_chain(void **state)
{
	enum {
		N = 1000
	};
	struct ipht *t = make_table(N, 8);
	struct node *nodes = make_nodes(N);
	int position;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct key k = tuple(i);

		build(&nodes[i], &k, 0x12345678);
		assert_int_equal(ipht_add(t, &nodes[i], NULL), 0);
	}
	for (unsigned i = 0; i < N; i++)
		assert_ptr_equal(look(t, &nodes[i]), &nodes[i]);
	for (unsigned i = 0; i < N; i += 2) {
		position = ipht_rem(t, &nodes[i]);
		assert_true(position >= 0);
		ipht_free_slot(t, position);
	}
	for (unsigned i = 0; i < N; i++)
		assert_ptr_equal(look(t, &nodes[i]), i % 2 ? &nodes[i] : NULL);
	ipht_free(t);
	free(nodes);
}

static void
test_burst_of_64_deep_in_a_chain(void **state)
{
	enum {
		N = 256,
		FIRST = 128
	};
	struct ipht *t = make_table(1024, 8);
	struct node *nodes = make_nodes(N);
	struct key48 keys[IPHT_BURST_MAX];
	const struct key48 *p[IPHT_BURST_MAX];
	uint32_t hashes[IPHT_BURST_MAX];
	struct node *got[IPHT_BURST_MAX];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct key k = tuple(i);

		build(&nodes[i], &k, 0x12345678);
		assert_int_equal(ipht_add(t, &nodes[i], NULL), 0);
	}
	for (unsigned i = 0; i < IPHT_BURST_MAX; i++) {
		keys[i] = (struct key48){.k = nodes[FIRST + i].key};
		p[i] = &keys[i];
		hashes[i] = nodes[FIRST + i].hash;
	}
	assert_int_equal(ipht_look_burst(t, p, hashes, IPHT_BURST_MAX, got), IPHT_BURST_MAX);
	for (unsigned i = 0; i < IPHT_BURST_MAX; i++)
		assert_ptr_equal(got[i], &nodes[FIRST + i]);
	assert_int_equal(ipht_look_burst(t, p, hashes, 0, got), 0);
	ipht_free(t);
	free(nodes);
}

/* ---- slots, references, closers that are late */

/* One bucket, and the next ones in its chain, have so many entries. */
#define PER_BUCKET 6

static void
test_buckets_run_out_and_come_back(void **state)
{
	enum {
		LIMIT = 100,
		MOST = 10 * LIMIT
	};
	struct ipht *t = make_table(LIMIT, 8);
	struct node *nodes = make_nodes(MOST);
	struct node other;
	unsigned n = 0;
	int position;

	(void)state;
	for (unsigned i = 0; i < MOST; i++) {
		struct key k = tuple(i);

		build(&nodes[i], &k, 0x12345678);
	}
	while (ipht_add(t, &nodes[n], NULL) == 0)
		assert_in_range(++n, 1, MOST - PER_BUCKET - 1);
	assert_int_equal(ipht_add(t, &nodes[n], NULL), -ENOSPC);
	assert_in_range(n, LIMIT, MOST);
	assert_int_equal(n % PER_BUCKET, 0);
	assert_int_equal(ipht_count(t), n);
	/* A full table can still replace. */
	build(&other, &nodes[0].key, nodes[0].hash);
	assert_int_equal(ipht_replace(t, &nodes[0], &other), 0);
	assert_int_equal(ipht_replace(t, &other, &nodes[0]), 0);
	/* An entry can be used again at once; */
	assert_int_equal(ipht_rem(t, &nodes[7]), 0);
	assert_int_equal(ipht_add(t, &nodes[n], NULL), 0);
	assert_int_equal(ipht_rem(t, &nodes[n]), 0);
	assert_int_equal(ipht_add(t, &nodes[7], NULL), 0);
	/* a bucket that has become empty, after a grace period. */
	for (unsigned i = PER_BUCKET; i < 2 * PER_BUCKET; i++) {
		position = ipht_rem(t, &nodes[i]);
		assert_true(i + 1 < 2 * PER_BUCKET ? position == 0 : position > 0);
	}
	for (unsigned i = 0; i < n; i++)
		assert_ptr_equal(look(t, &nodes[i]), i / PER_BUCKET == 1 ? NULL : &nodes[i]);
	assert_int_equal(ipht_add(t, &nodes[n], NULL), -ENOSPC);
	ipht_free_slot(t, position);
	for (unsigned i = 0; i < PER_BUCKET; i++)
		assert_int_equal(ipht_add(t, &nodes[n + i], NULL), 0);
	assert_int_equal(ipht_add(t, &nodes[PER_BUCKET], NULL), -ENOSPC);
	for (unsigned i = 0; i < n + PER_BUCKET; i++)
		assert_ptr_equal(look(t, &nodes[i]), i / PER_BUCKET == 1 ? NULL : &nodes[i]);
	/* The first bucket of a chain never leaves it. */
	for (unsigned i = 0; i < PER_BUCKET; i++)
		assert_int_equal(ipht_rem(t, &nodes[i]), 0);
	assert_ptr_equal(look(t, &nodes[n]), &nodes[n]);
	ipht_free(t);
	free(nodes);
}

static void
test_late_closer(void **state)
{
	struct ipht *t = make_table(64, 8);
	struct key k = tuple(7);
	struct node half_open, conv, wait;
	int position;

	(void)state;
	build(&half_open, &k, ipht_hash(t, &k));
	build(&conv, &k, half_open.hash);
	build(&wait, &k, half_open.hash);
	assert_int_equal(ipht_rem(t, &conv), -ENOENT);
	assert_int_equal(ipht_replace(t, &half_open, &conv), -ENOENT);
	assert_int_equal(ipht_count(t), 0);
	assert_int_equal(ipht_add(t, &half_open, NULL), 0);
	assert_int_equal(ipht_replace(t, &half_open, &conv), 0);
	assert_ptr_equal(look(t, &conv), &conv);
	assert_int_equal(ipht_rem(t, &half_open), -ENOENT);
	assert_int_equal(ipht_replace(t, &half_open, &wait), -ENOENT);
	assert_ptr_equal(look(t, &conv), &conv);
	assert_int_equal(ipht_count(t), 1);
	position = ipht_rem(t, &conv);
	assert_true(position >= 0);
	assert_int_equal(ipht_rem(t, &conv), -ENOENT);
	assert_null(look(t, &conv));
	ipht_free_slot(t, position);
	assert_int_equal(ipht_count(t), 0);
	assert_int_equal(refs(&half_open), 1); /* the table never drops a reference itself */
	assert_int_equal(refs(&conv), 1);
	ipht_free(t);
}

static void
test_look_takes_a_reference(void **state)
{
	struct ipht *t = make_table(64, 8);
	struct key48 k = {.k = tuple(7)};
	struct node n;

	(void)state;
	build(&n, &k.k, ipht_hash(t, &k.k));
	assert_null(ipht_look(t, &k, n.hash));
	assert_int_equal(ipht_add(t, &n, NULL), 0);
	assert_ptr_equal(ipht_look(t, &k, n.hash), &n);
	assert_int_equal(refs(&n), 2);
	assert_false(node_unref(&n));
	k.k.zone = 1; /* one bit of the key away, under the same hash */
	assert_null(ipht_look(t, &k, n.hash));
	assert_int_equal(refs(&n), 1);
	ipht_free(t);
}

/* ---- listeners */

static struct node
listener(const char *laddr, uint16_t lport, uint16_t zone)
{
	struct node n = {.key = {.lport_be = rte_cpu_to_be_16(lport),
				 .proto = IPPROTO_TCP,
				 .kind = KEY_LISTENER,
				 .zone = zone}};

	memcpy(n.key.laddr, laddr, 16);
	atomic_store(&n.word, NODE_REF);
	return n;
}

#define ANY   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ANY4  "\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0"
#define ADDR4 "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2"
#define ADDR6 "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2"

static struct node *
match(struct ipht *t, const char *laddr, uint16_t lport, uint8_t proto)
{
	struct key k = tuple(99);

	memcpy(k.laddr, laddr, 16);
	k.lport_be = rte_cpu_to_be_16(lport);
	k.proto = proto;
	k.zone = laddr[0] ? 3 : 0; /* the tuple of a link-local address has a zone */
	return ipht_match(t, &k);
}

static void
test_listeners_in_order_of_match(void **state)
{
	struct ipht *t = make_table(64, 8);
	struct node exact4 = listener(ADDR4, 80, 0), any4 = listener(ANY4, 80, 0);
	struct node exact6 = listener(ADDR6, 80, 0), any6 = listener(ANY, 80, IPHT_ZONE_ANY6);
	struct node any = listener(ANY, 80, 0);
	struct node *all[] = {&any, &any4, &any6, &exact4, &exact6};
	/* what v4 and v6 calls find after each one came */
	struct node *want4[] = {&any, &any4, &any4, &exact4, &exact4};
	struct node *want6[] = {&any, &any, &any6, &any6, &exact6};
	int position;

	(void)state;
	assert_null(match(t, ADDR4, 80, IPPROTO_TCP));
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(ipht_listen(t, all[i]), 0);
		assert_int_equal(all[i]->hash, ipht_hash(t, &all[i]->key));
		assert_int_equal(ipht_listen(t, all[i]), -EADDRINUSE);
		assert_ptr_equal(match(t, ADDR4, 80, IPPROTO_TCP), want4[i]);
		assert_ptr_equal(match(t, ADDR6, 80, IPPROTO_TCP), want6[i]);
	}
	assert_null(match(t, ADDR4, 81, IPPROTO_TCP));
	assert_null(match(t, ADDR4, 80, IPPROTO_UDP));
	for (unsigned i = 5; i-- > 0;) {
		assert_ptr_equal(match(t, ADDR4, 80, IPPROTO_TCP), want4[i]);
		assert_ptr_equal(match(t, ADDR6, 80, IPPROTO_TCP), want6[i]);
		position = ipht_unlisten(t, all[i]);
		assert_true(position >= 0);
		assert_int_equal(ipht_unlisten(t, all[i]), -ENOENT);
		ipht_free_listen_slot(t, position);
	}
	assert_null(match(t, ADDR6, 80, IPPROTO_TCP));
	assert_int_equal(ipht_count(t), 0); /* listeners are not among them */
	ipht_free(t);
}

static void
test_unlisten_compares(void **state)
{
	struct ipht *t = make_table(64, 8);
	struct node old = listener(ANY, 80, 0), new = listener(ANY, 80, 0);
	int position;

	(void)state;
	assert_int_equal(ipht_listen(t, &old), 0);
	assert_int_equal(ipht_listen(t, &new), -EADDRINUSE);
	assert_int_equal(ipht_unlisten(t, &new), -ENOENT);
	position = ipht_unlisten(t, &old);
	assert_true(position >= 0);
	assert_int_equal(ipht_listen(t, &new), 0); /* before the old one's grace period */
	assert_int_equal(ipht_unlisten(t, &old), -ENOENT);
	assert_ptr_equal(match(t, ADDR4, 80, IPPROTO_TCP), &new);
	ipht_free_listen_slot(t, position);
	assert_ptr_equal(match(t, ADDR4, 80, IPPROTO_TCP), &new);
	ipht_free(t);
}

static void
test_every_port_can_listen(void **state)
{
	enum {
		N = 1000
	};
	struct ipht *t = make_table(64, N);
	struct node *nodes = make_nodes(N);

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		nodes[i] = listener(ANY4, (uint16_t)(8000 + i), 0);
		assert_int_equal(ipht_listen(t, &nodes[i]), 0);
	}
	for (unsigned i = 0; i <= N; i++)
		assert_ptr_equal(match(t, ADDR4, (uint16_t)(8000 + i), IPPROTO_TCP),
			i < N ? &nodes[i] : NULL);
	ipht_free(t);
	free(nodes);
}

/* ---- creation */

static void
test_create_refuses(void **state)
{
	struct ipht_conf good = {
		.limit = 8, .listeners = 1, .socket_id = SOCKET_ID_ANY, .secret = secret};
	struct ipht_conf bad[] = {good, good, good, good};
	struct ipht *t;
	int err = 1;

	(void)state;
	bad[0].limit = 0;
	bad[1].listeners = 0;
	bad[2].limit = (1u << 26) + 1;
	bad[3].listeners = (1u << 26) + 1;
	for (unsigned i = 0; i < 4; i++) {
		assert_null(ipht_create(&bad[i], &err));
		assert_int_equal(err, -EINVAL);
	}
	good.limit = 1u << 26; /* more memory than there is */
	assert_null(ipht_create(&good, &err));
	assert_int_equal(err, -ENOMEM);
	good.limit = 8;
	t = ipht_create(&good, &err);
	assert_non_null(t);
	ipht_free(t);
	ipht_free(NULL);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_keyed),
		cmocka_unit_test(test_model_full),
		cmocka_unit_test(test_model_forced_collisions),
		cmocka_unit_test(test_one_chain),
		cmocka_unit_test(test_burst_of_64_deep_in_a_chain),
		cmocka_unit_test(test_buckets_run_out_and_come_back),
		cmocka_unit_test(test_late_closer),
		cmocka_unit_test(test_look_takes_a_reference),
		cmocka_unit_test(test_listeners_in_order_of_match),
		cmocka_unit_test(test_unlisten_compares),
		cmocka_unit_test(test_every_port_can_listen),
		cmocka_unit_test(test_create_refuses),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu (give it as the argument to repeat)\n", (unsigned long long)seed);
	test_eal("ipht");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
