/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The table on top of rte_hash. Who may call what of rte_hash 22.11, and when:
 *
 * - Readers take no lock (RW_CONCURRENCY_LF): a key that a writer moves from
 *   bucket to bucket stays findable, and slots of keys that were removed are not
 *   reused before ipht_free_slot, which comes after a grace period.
 * - All updates run under one lock of ours, so rte_hash is in its single-writer
 *   mode: look-up and update are one step per key (rte_hash alone overwrites a key
 *   that is there). MULTI_WRITER_ADD is not used: its own lock spins without
 *   yielding, it hoards free slots per lcore, and it corrupts memory when a thread
 *   without an lcore id writes.
 * - Freeing a slot is the producer side of rte_hash's two rings of free slots and
 *   free extension buckets, adding is the consumer side; each ring stands one of
 *   each at a time (sp_enqueue, sc_dequeue). So freeing has a lock of its own and
 *   never waits for an update.
 */
#include "ipht.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_malloc.h>
#include <rte_pause.h>

/*
 * A key entry is 8 + 48 bytes, rounded to 64, and rte_hash computes its offset
 * (slot * 64) in 32 bits: slot 2^26 would be slot 0 again.
 */
#define IPHT_SLOTS_MAX ((UINT32_C(1) << 26) - 1)
/* Fewer would leave too few extension buckets (one for every 8 slots). */
#define IPHT_SLOTS_MIN 64
/*
 * Most keys of one bulk look-up. Not RTE_HASH_LOOKUP_BULK_MAX: of 64 keys, rte_hash takes
 * "none found" for "all found" ((1ULL << 64) - 1 is 0 on x86), and then looks neither
 * into the extension buckets nor again when a key moved meanwhile.
 */
#define IPHT_CHUNK 32

#define IPHT_SPINS 128 /* looks at a lock that is held, before the core is yielded */

struct ipht_lock {
	_Atomic uint32_t held;
};

struct ipht { /* NOLINT(clang-analyzer-optin.performance.Padding): locks have lines of their own */
	/* Read by everybody, never written. */
	struct rte_hash *nodes;
	struct rte_hash *listeners;
	struct key_secret secret;

	struct ipht_lock update __rte_cache_aligned; /* adds, removes, replaces, in both tables */
	_Atomic uint32_t count; /* nodes in the table; written under update */

	struct ipht_lock free __rte_cache_aligned; /* frees slots, of both tables */
} __rte_cache_aligned;

/*
 * More workers than cores is a normal state of affairs, so the holder may have been
 * preempted: yield to it after a while.
 *
 * Memory order: acquire, pairs with the release of ipht_unlock, so that this holder
 * sees all that the ones before it did to rte_hash's memory. The loads while waiting
 * order nothing: relaxed.
 */
static void
ipht_lock(struct ipht_lock *l)
{
	POINT("lock", &l->held);
	while (atomic_exchange_explicit(&l->held, 1, memory_order_acquire) != 0) {
		for (unsigned i = 0; atomic_load_explicit(&l->held, memory_order_relaxed) != 0;
			i++) {
			POINT_WAIT("wait for lock", &l->held);
			if (i < IPHT_SPINS)
				rte_pause();
			else
				sched_yield();
		}
	}
}

static void
ipht_unlock(struct ipht_lock *l)
{
	POINT("unlock", &l->held);
	/* Release: see ipht_lock. */
	atomic_store_explicit(&l->held, 0, memory_order_release);
}

/* Under the update lock, so a load and a store do; relaxed: it is only a number. */
static void
ipht_counted(struct ipht *t, int change)
{
	uint32_t count = atomic_load_explicit(&t->count, memory_order_relaxed);

	atomic_store_explicit(&t->count, count + (uint32_t)change, memory_order_relaxed);
}

/*
 * rte_hash's own way to hash a key. All calls here bring the keyed hash along; one
 * that did not would use a hash without our secret, so it must not go unnoticed.
 */
static uint32_t
ipht_no_hash(const void *key, uint32_t len, uint32_t init)
{
	(void)key;
	(void)len;
	(void)init;
	abort();
}

static inline struct key48
ipht_pad(const struct key *k)
{
	return (struct key48){.k = *k};
}

/*
 * The node a key leads to just now, without a reference.
 *
 * Memory order: rte_hash loads the pointer with acquire, which pairs with the release
 * that stored it (ipht_add, ipht_replace): the node is seen fully built.
 */
static struct node *
ipht_peek(const struct rte_hash *h, const struct key48 *k, uint32_t hash)
{
	void *data;

	POINT("look up", h);
	if (rte_hash_lookup_with_hash_data(h, k, hash, &data) < 0)
		return NULL;
	return data;
}

static struct rte_hash *
ipht_create_hash(const struct ipht_conf *conf, char prefix, uint32_t limit, int *ret_err)
{
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters params = {
		.name = name,
		.entries = limit * 2 < IPHT_SLOTS_MIN ? IPHT_SLOTS_MIN : limit * 2,
		.key_len = sizeof(struct key48),
		.hash_func = ipht_no_hash,
		.socket_id = conf->socket_id,
		.extra_flag =
			RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash *h;

	/* rte_hash builds the name of a ring from it, of which 21 bytes are left for us. */
	(void)snprintf(name, sizeof(name), "%c%s", prefix, conf->name);
	if (rte_hash_find_existing(name) != NULL) {
		*ret_err = -EEXIST;
		return NULL;
	}
	rte_errno = 0;
	h = rte_hash_create(&params);
	if (h == NULL)
		*ret_err = rte_errno != 0 ? -rte_errno : -ENOMEM;
	return h;
}

static bool
ipht_conf_valid(const struct ipht_conf *conf)
{
	size_t len = conf->name != NULL ? strnlen(conf->name, IPHT_NAME_MAX + 1) : 0;

	return len > 0 && len <= IPHT_NAME_MAX && conf->limit > 0 &&
		conf->limit <= IPHT_SLOTS_MAX / 2 && conf->listeners > 0 &&
		conf->listeners <= IPHT_SLOTS_MAX / 2;
}

struct ipht *
ipht_create(const struct ipht_conf *conf, int *ret_err)
{
	struct ipht *t;

	if (!ipht_conf_valid(conf)) {
		*ret_err = -EINVAL;
		return NULL;
	}
	t = rte_zmalloc_socket("ipht", sizeof(*t), RTE_CACHE_LINE_SIZE, conf->socket_id);
	if (t == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	t->secret = conf->secret;
	t->nodes = ipht_create_hash(conf, 'n', conf->limit, ret_err);
	if (t->nodes == NULL)
		goto free_table;
	t->listeners = ipht_create_hash(conf, 'l', conf->listeners, ret_err);
	if (t->listeners == NULL)
		goto free_table;
	return t;

free_table:
	ipht_free(t);
	return NULL;
}

void
ipht_free(struct ipht *t)
{
	if (t == NULL)
		return;
	rte_hash_free(t->listeners);
	rte_hash_free(t->nodes);
	rte_free(t);
}

uint32_t
ipht_hash(const struct ipht *t, const struct key *k)
{
	return key_hash(&t->secret, k);
}

struct node *
ipht_look(struct ipht *t, const struct key48 *k, uint32_t hash)
{
	struct node *last = NULL;
	struct node *n;

	while ((n = ipht_peek(t->nodes, k, hash)) != NULL) {
		if (node_get(n))
			return n;
		/*
		 * No reference left: since we found it, it was removed, or replaced by
		 * another, which must be found: look again. Memory order: acquire; refs 0
		 * was stored with release after the table had changed, so that change is
		 * seen now, and the same node can't be met twice.
		 */
		atomic_thread_fence(memory_order_acquire);
		assert(n != last);
		if (n == last)
			return NULL;
		last = n;
	}
	return NULL;
}

/* One bulk look-up of at most IPHT_CHUNK keys. */
static unsigned
ipht_look_chunk(const struct rte_hash *h, const struct key48 *const keys[], const uint32_t hashes[],
	unsigned n, struct node *ret_nodes[])
{
	uint64_t hits = 0;

	POINT("look up burst", h);
	/* rte_hash only reads keys and hashes; its prototype does not say so. */
	/* NOLINTBEGIN(performance-no-int-to-ptr) */
	rte_hash_lookup_with_hash_bulk_data(h, (const void **)(uintptr_t)keys,
		(hash_sig_t *)(uintptr_t)hashes, n, &hits, (void **)ret_nodes);
	/* NOLINTEND(performance-no-int-to-ptr) */
	for (unsigned i = 0; i < n; i++) {
		if (hits & UINT64_C(1) << i)
			__builtin_prefetch(ret_nodes[i], 1); /* conv_enter writes the word */
		else
			ret_nodes[i] = NULL;
	}
	return (unsigned)__builtin_popcountll(hits);
}

unsigned
ipht_look_burst(struct ipht *t, const struct key48 *const keys[], const uint32_t hashes[],
	unsigned n, struct node *ret_nodes[])
{
	unsigned found = 0;

	assert(n <= IPHT_BURST_MAX);
	for (unsigned i = 0; i < n; i += IPHT_CHUNK) {
		unsigned left = n - i < IPHT_CHUNK ? n - i : IPHT_CHUNK;

		found += ipht_look_chunk(t->nodes, keys + i, hashes + i, left, ret_nodes + i);
	}
	return found;
}

/* Under the update lock: the node that is in the way, or NULL and n is in the table. */
static int
ipht_add_locked(struct ipht *t, const struct key48 *k, struct node *n, struct node **ret_winner)
{
	struct node *winner = ipht_peek(t->nodes, k, n->hash);
	bool got;
	int ret;

	if (winner != NULL) {
		if (ret_winner == NULL)
			return -EEXIST;
		/* Who removes it needs the lock that we hold: the table's reference is there. */
		got = node_get(winner);
		assert(got);
		*ret_winner = got ? winner : NULL;
		return -EEXIST;
	}
	/*
	 * Memory order: stores the pointer with release, after all that built the node.
	 * -ENOSPC: no slot; or no extension bucket, when hundreds of keys with equal hashes
	 * come and go within one grace period (rte_hash 22.11 then loses the slot as well;
	 * that nobody can make equal hashes is what the secret is for).
	 */
	POINT("insert", t->nodes);
	ret = rte_hash_add_key_with_hash_data(t->nodes, k, n->hash, n);
	if (ret == 0)
		ipht_counted(t, 1);
	return ret;
}

int
ipht_add(struct ipht *t, struct node *n, struct node **ret_winner)
{
	struct key48 k = ipht_pad(&n->key);
	int ret;

	assert(node_refs(atomic_load_explicit(&n->word, memory_order_relaxed)) > 0);
	/* Only to have the buckets at hand: a miss costs less out here than under the lock. */
	(void)ipht_peek(t->nodes, &k, n->hash);
	ipht_lock(&t->update);
	ret = ipht_add_locked(t, &k, n, ret_winner);
	ipht_unlock(&t->update);
	return ret;
}

int
ipht_rem(struct ipht *t, struct node *n)
{
	struct key48 k = ipht_pad(&n->key);
	int position = -ENOENT;

	(void)ipht_peek(t->nodes, &k, n->hash); /* see ipht_add */
	POINT("close_pre_unhash", t->nodes);
	ipht_lock(&t->update);
	if (ipht_peek(t->nodes, &k, n->hash) == n)
		position = rte_hash_del_key_with_hash(t->nodes, &k, n->hash);
	if (position >= 0)
		ipht_counted(t, -1);
	ipht_unlock(&t->update);
	return position;
}

int
ipht_replace(struct ipht *t, struct node *old, struct node *new)
{
	struct key48 k = ipht_pad(&old->key);
	int ret = -ENOENT;

	assert(key_equal(&old->key, &new->key) && old->hash == new->hash);
	assert(node_refs(atomic_load_explicit(&new->word, memory_order_relaxed)) > 0);
	(void)ipht_peek(t->nodes, &k, old->hash); /* see ipht_add */
	ipht_lock(&t->update);
	/*
	 * The key is there, so this overwrites one pointer. Memory order: with release,
	 * after all that built the new node.
	 */
	if (ipht_peek(t->nodes, &k, old->hash) == old)
		ret = rte_hash_add_key_with_hash_data(t->nodes, &k, old->hash, new);
	ipht_unlock(&t->update);
	return ret;
}

static void
ipht_free_position(struct ipht *t, const struct rte_hash *h, int position)
{
	int ret;

	ipht_lock(&t->free);
	ret = rte_hash_free_key_with_position(h, position);
	ipht_unlock(&t->free);
	assert(ret == 0);
	(void)ret;
}

void
ipht_free_slot(struct ipht *t, int position)
{
	ipht_free_position(t, t->nodes, position);
}

uint32_t
ipht_count(const struct ipht *t)
{
	/* Relaxed: a number that was true once. */
	return atomic_load_explicit(&t->count, memory_order_relaxed);
}

int
ipht_listen(struct ipht *t, struct node *n)
{
	struct key48 k = ipht_pad(&n->key);
	int ret = -EADDRINUSE;

	assert(n->key.kind == KEY_LISTENER && n->key.rport_be == 0);
	n->hash = ipht_hash(t, &n->key);
	ipht_lock(&t->update);
	if (ipht_peek(t->listeners, &k, n->hash) == NULL)
		ret = rte_hash_add_key_with_hash_data(t->listeners, &k, n->hash, n);
	ipht_unlock(&t->update);
	return ret;
}

int
ipht_unlisten(struct ipht *t, struct node *n)
{
	struct key48 k = ipht_pad(&n->key);
	int position = -ENOENT;

	ipht_lock(&t->update);
	if (ipht_peek(t->listeners, &k, n->hash) == n)
		position = rte_hash_del_key_with_hash(t->listeners, &k, n->hash);
	ipht_unlock(&t->update);
	return position;
}

void
ipht_free_listen_slot(struct ipht *t, int position)
{
	ipht_free_position(t, t->listeners, position);
}

static struct node *
ipht_match_key(const struct ipht *t, const struct key48 *k)
{
	return ipht_peek(t->listeners, k, ipht_hash(t, &k->k));
}

struct node *
ipht_match(struct ipht *t, const struct key *k)
{
	struct key48 want = {
		.k = {.lport_be = k->lport_be, .proto = k->proto, .kind = KEY_LISTENER}};
	struct node *n;

	memcpy(want.k.laddr, k->laddr, sizeof(want.k.laddr));
	n = ipht_match_key(t, &want);
	if (n != NULL)
		return n;
	if (key_is_v4(k)) {
		key_map_v4(want.k.laddr, 0);
	} else {
		memset(want.k.laddr, 0, sizeof(want.k.laddr));
		want.k.zone = IPHT_ZONE_ANY6;
	}
	n = ipht_match_key(t, &want);
	if (n != NULL)
		return n;
	memset(want.k.laddr, 0, sizeof(want.k.laddr));
	want.k.zone = 0;
	return ipht_match_key(t, &want);
}
