/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_table [ENTRIES [BURSTS [RUNS]]] [EAL options]
 *
 * The table (lib/ipht) beside DPDK's rte_hash: both lead to the same nodes, as far apart as conversations are, and take turns.
 * Looked up are bursts of random keys, until the first line of each node has been read; added and removed is what
 * a conversation adds and removes, its own line at hand. Prints one line of JSON, in TSC cycles per key.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_malloc.h>

#include "frame.h"
#include "ipht.h"
#include "program.h"

#define BURST  32
#define GONE   1024 /* nodes that are in neither table just now */
#define STRIDE 576 /* bytes from node to node: what a conversation takes */

struct table_node {
	struct node n;
	bool gone;
	uint8_t rest[STRIDE - sizeof(struct node) - 1];
};
_Static_assert(sizeof(struct table_node) == STRIDE, "a conversation's room");

struct table {
	struct ipht *ipht;
	struct rte_hash *hash;
	struct table_node *nodes;
	uint32_t entries, bursts;
	uint64_t state; /* of the order */
	uint32_t gone[GONE]; /* the oldest one at `at` */
	uint32_t at;
	uint64_t sink;
};

/** One of the two tables. */
struct side {
	const char *name;
	void (*look)(const struct table *t, const struct key48 *const *keys, const uint32_t *hashes,
		struct node **ret);
	void (*add)(struct table *t, struct node *n);
	void (*rem)(struct table *t, struct node *n);
	struct runs looked, added, removed;
	double bytes; /* per entry */
};

/* ---- lib/ipht ---- */

static void
ipht_side_look(const struct table *t, const struct key48 *const *keys, const uint32_t *hashes,
	struct node **ret)
{
	(void)ipht_look_burst(t->ipht, keys, hashes, BURST, ret);
}

static void
ipht_side_add(struct table *t, struct node *n)
{
	must(ipht_add(t->ipht, n, NULL) == 0, "ipht_add");
}

/** No other reader is there: the grace period is over at once. */
static void
ipht_side_rem(struct table *t, struct node *n)
{
	int position = ipht_rem(t->ipht, n);

	must(position >= 0, "ipht_rem");
	ipht_free_slot(t->ipht, position);
}

/* ---- rte_hash ---- */

static void
hash_side_look(const struct table *t, const struct key48 *const *keys, const uint32_t *hashes,
	struct node **ret)
{
	uint64_t hits = 0;

	rte_hash_lookup_with_hash_bulk_data(t->hash, (const void **)(uintptr_t)keys,
		(hash_sig_t *)(uintptr_t)hashes, BURST, &hits, (void **)ret);
	for (unsigned i = 0; i < BURST; i++) {
		if (hits >> i & 1)
			__builtin_prefetch(ret[i], 1);
		else
			ret[i] = NULL;
	}
}

static void
hash_side_add(struct table *t, struct node *n)
{
	struct key48 k = {.k = n->key};

	must(rte_hash_add_key_with_hash_data(t->hash, &k, n->hash, n) == 0, "rte_hash_add_key");
}

static void
hash_side_rem(struct table *t, struct node *n)
{
	struct key48 k = {.k = n->key};
	int position = rte_hash_del_key_with_hash(t->hash, &k, n->hash);

	must(position >= 0 && rte_hash_free_key_with_position(t->hash, position) == 0,
		"rte_hash_del_key");
}

static struct side sides[] = {
	{.name = "ipht", .look = ipht_side_look, .add = ipht_side_add, .rem = ipht_side_rem},
	{.name = "rte_hash", .look = hash_side_look, .add = hash_side_add, .rem = hash_side_rem},
};

/* ---- making them ---- */

static void
table_make(struct table *t)
{
	struct ipht_conf conf = {.limit = t->entries,
		.listeners = 1,
		.socket_id = SOCKET_ID_ANY,
		.secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	/* As lib/ipht would set it up: twice the slots, no lock for readers, extension buckets. */
	struct rte_hash_parameters params = {.name = "bench",
		.entries = 2 * t->entries,
		.key_len = sizeof(struct key48),
		.socket_id = SOCKET_ID_ANY,
		.extra_flag =
			RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE};
	double before = heap_bytes();
	int err = 0;

	t->ipht = ipht_create(&conf, &err);
	must(t->ipht != NULL, "ipht_create");
	sides[0].bytes = (heap_bytes() - before) / t->entries;
	before = heap_bytes();
	t->hash = rte_hash_create(&params);
	must(t->hash != NULL, "rte_hash_create");
	sides[1].bytes = (heap_bytes() - before) / t->entries;
	t->nodes = rte_zmalloc(
		"bench_nodes", (size_t)t->entries * sizeof(*t->nodes), RTE_CACHE_LINE_SIZE);
	must(t->nodes != NULL, "rte_zmalloc");
}

static struct key
table_key(uint32_t i)
{
	struct key k = {.proto = IPPROTO_TCP,
		.lport_be = htons(7),
		.rport_be = htons((uint16_t)(1024 + i % 32768))};

	key_map_v4(k.raddr, htonl(0x64400000 + i / 32768));
	key_map_v4(k.laddr, htonl(FRAME_US));
	return k;
}

static void
table_fill(struct table *t)
{
	for (uint32_t i = 0; i < t->entries; i++) {
		struct node *n = &t->nodes[i].n;

		n->key = table_key(i);
		n->hash = ipht_hash(t->ipht, &n->key);
		atomic_init(&n->word, NODE_GEN_ONE + NODE_REF);
		for (unsigned s = 0; s < RTE_DIM(sides); s++)
			sides[s].add(t, n);
	}
}

/** Take GONE nodes out of both: what is added next is always something that was removed long ago. */
static void
table_start(struct table *t)
{
	for (uint32_t i = 0; i < GONE; i++) {
		do
			t->gone[i] = frame_random(&t->state, t->entries);
		while (t->nodes[t->gone[i]].gone);
		t->nodes[t->gone[i]].gone = true;
		for (unsigned s = 0; s < RTE_DIM(sides); s++)
			sides[s].rem(t, &t->nodes[t->gone[i]].n);
	}
}

/* ---- measuring ---- */

/** @return cycles per key */
static double
table_look(struct table *t, const struct side *side)
{
	struct key48 key[BURST];
	const struct key48 *keys[BURST];
	uint32_t hashes[BURST], at[BURST];
	struct node *found[BURST];
	struct bursts bursts = {.n = 0};
	uint64_t start;

	for (uint32_t b = 0; b < t->bursts; b++) {
		for (unsigned i = 0; i < BURST; i++) {
			at[i] = frame_random(&t->state, t->entries);
			key[i] = (struct key48){.k = table_key(at[i])};
			keys[i] = &key[i];
			hashes[i] = ipht_hash(t->ipht, &key[i].k);
		}
		start = rte_rdtsc_precise();
		side->look(t, keys, hashes, found);
		for (unsigned i = 0; i < BURST; i++)
			if (found[i] != NULL)
				t->sink +=
					atomic_load_explicit(&found[i]->word, memory_order_relaxed);
		bursts_add(&bursts, rte_rdtsc_precise() - start);
		for (unsigned i = 0; i < BURST; i++)
			must(found[i] == (t->nodes[at[i]].gone ? NULL : &t->nodes[at[i]].n),
				"finding the node of a key");
	}
	return bursts_mean(&bursts) / BURST;
}

/** Remove a burst of nodes and add another. */
static void
table_update(struct table *t, const struct side *side, struct table_node *const *old,
	struct table_node *const *young, struct bursts *added, struct bursts *removed)
{
	uint64_t start = rte_rdtsc_precise(), between;

	for (unsigned i = 0; i < BURST; i++)
		side->rem(t, &old[i]->n);
	between = rte_rdtsc_precise();
	for (unsigned i = 0; i < BURST; i++)
		side->add(t, &young[i]->n);
	bursts_add(added, rte_rdtsc_precise() - between);
	bursts_add(removed, between - start);
}

/** Who is to go and who is to come back; their own lines are at hand then, as they are to who is inside. */
static void
table_draw(struct table *t, struct table_node **old, struct table_node **young)
{
	for (unsigned i = 0; i < BURST; i++) {
		uint32_t *gone = &t->gone[t->at++ % GONE], at;

		young[i] = &t->nodes[*gone];
		do
			at = frame_random(&t->state, t->entries);
		while (t->nodes[at].gone);
		old[i] = &t->nodes[at];
		old[i]->gone = true;
		t->sink += old[i]->n.hash + young[i]->n.hash;
		*gone = at;
	}
	for (unsigned i = 0; i < BURST; i++)
		young[i]->gone = false;
}

/** Both tables change in the same way, in turn the one and the other first. */
static void
table_updates(struct table *t)
{
	struct bursts added[RTE_DIM(sides)] = {0}, removed[RTE_DIM(sides)] = {0};
	struct table_node *old[BURST], *young[BURST];

	for (uint32_t b = 0; b < t->bursts; b++) {
		table_draw(t, old, young);
		for (unsigned i = 0; i < RTE_DIM(sides); i++) {
			unsigned s = (b + i) % RTE_DIM(sides);

			table_update(t, &sides[s], old, young, &added[s], &removed[s]);
		}
	}
	for (unsigned s = 0; s < RTE_DIM(sides); s++) {
		runs_add(&sides[s].added, bursts_mean(&added[s]) / BURST);
		runs_add(&sides[s].removed, bursts_mean(&removed[s]) / BURST);
	}
}

static void
table_print(const struct table *t)
{
	printf("{\"entries\": %u, ", t->entries);
	for (unsigned s = 0; s < RTE_DIM(sides); s++) {
		printf("\"%s\": {", sides[s].name);
		runs_print("look", &sides[s].looked, ", ");
		runs_print("add", &sides[s].added, ", ");
		runs_print("remove", &sides[s].removed, ", ");
		printf("\"bytes\": %.1f}, ", sides[s].bytes);
	}
	printf("\"tsc_hz\": %lu}\n", rte_get_tsc_hz());
}

int
main(int argc, char **argv)
{
	uint64_t args[] = {1 << 20, 1 << 14, 9};
	struct table t = {.state = 0x9e3779b97f4a7c15};

	program_start(argc, argv, 1, args, RTE_DIM(args));
	t.entries = (uint32_t)args[0];
	t.bursts = (uint32_t)args[1];
	must(t.entries >= 4 * GONE && t.bursts > 0 && args[2] > 0 && args[2] <= RUNS_MAX,
		"looking at the arguments");
	table_make(&t);
	table_fill(&t);
	table_start(&t);
	for (unsigned run = 0; run < args[2]; run++) {
		for (unsigned s = 0; s < RTE_DIM(sides); s++)
			runs_add(&sides[s].looked, table_look(&t, &sides[s]));
		table_updates(&t);
	}
	table_print(&t);
	ipht_free(t.ipht);
	rte_hash_free(t.hash);
	rte_free(t.nodes);
	rte_eal_cleanup();
	return 0;
}
