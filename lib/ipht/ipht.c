/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The table: buckets of one cache line, each with tags of six keys and the six nodes they lead to; what does not fit
 * goes on in a chain of such buckets. The keys stand in the nodes, so a look-up costs two lines: the bucket and the node's
 * first one, which its finder needs anyway.
 *
 * - Readers take no lock, and never look twice: an entry stays where it was put until it is removed, so what is in the
 *   table all along is found. A tag only says where it is worth looking: it may be stale, and the key decides.
 * - An update holds the lock of its chain, which is a bit in the chain's first bucket: look-up and update are one step
 *   per key (I2), and updates of different chains never meet. Replacing stores one pointer.
 * - A chained bucket that has become empty leaves its chain at once, but a reader may stand on it: it goes back to the
 *   others after a grace period (ipht_free_slot), and leads on to where it led until then.
 *
 * Why not rte_hash: docs/performance.md, "The table".
 */
#include "ipht.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

#define IPHT_NODES_MAX UINT32_C(0x04000000) /* most nodes of a table */
#define IPHT_ENTRIES   6
#define IPHT_SPARE     64 /* chained buckets that even a small table has */
#define IPHT_SPINS     128 /* looks at a lock that is held, before the core is yielded */

/*
 * Tags are 16 bits of the hash. Of entry 0-3 they are tags[0]'s lanes of 16 bits, of entry 4 and 5 the low ones of tags[1];
 * above them stand the next bucket of the chain (its number, 0: none) and, in the first bucket, the chain's lock.
 */
#define TAG_LANES  UINT64_C(0x0001000100010001)
#define TAG_TOPS   UINT64_C(0x8000800080008000)
#define LINK_TAGS  UINT64_C(0x00000000ffffffff)
#define LINK_SHIFT 32
#define LINK_NEXT  UINT64_C(0x7fffffff00000000)
#define LINK_HELD  UINT64_C(0x8000000000000000)

struct ipht_bucket {
	_Atomic uint64_t tags[2];
	_Atomic uint64_t entry[IPHT_ENTRIES]; /* struct node *, or 0 */
} __rte_cache_aligned;
_Static_assert(sizeof(struct ipht_bucket) == 64, "a bucket is one cache line");

/** Buckets: the first ones of chains, then the spare ones, of which those that are free form a list through their links. */
struct ipht_chains {
	struct ipht_bucket *buckets;
	uint32_t firsts; /* where chains begin */
	uint32_t free; /* first spare bucket, 0: none is left; under the lock of spare ones */
};

struct ipht { /* NOLINT(clang-analyzer-optin.performance.Padding): what is written has lines of its own */
	/* Read by everybody, never written. */
	struct ipht_chains nodes, listeners;
	struct key_secret secret;

	_Atomic uint32_t spare_held __rte_cache_aligned; /* lock of both lists of spare buckets */
} __rte_cache_aligned;

static inline struct node *
entry_node(uint64_t entry)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): atomics are numbers */
	return (struct node *)(uintptr_t)entry;
}

static inline struct ipht_bucket *
chain_first(const struct ipht_chains *h, uint32_t hash)
{
	return &h->buckets[(uint64_t)hash * h->firsts >> 32];
}

static inline uint64_t
tag_of(uint32_t hash)
{
	return (hash & 0xffff) * TAG_LANES;
}

/** A bit for each lane that equals tag's, and perhaps one for a lane above such a lane. */
static inline uint64_t
tag_hits(uint64_t tags, uint64_t tag)
{
	uint64_t differs = tags ^ tag;

	return (differs - TAG_LANES) & ~differs & TAG_TOPS;
}

/** Entries of a bucket whose tag is right: see hit_entry. */
static inline uint64_t
bucket_hits(const struct ipht_bucket *b, uint64_t link, uint64_t tag)
{
	/* Relaxed: a hint. Who must find an entry sees its tag, which was stored before. */
	uint64_t tags = atomic_load_explicit(&b->tags[0], memory_order_relaxed);

	return tag_hits(tags, tag) | (tag_hits(link, tag) & LINK_TAGS) >> 1;
}

/** The entry that the lowest hit speaks of. */
static inline unsigned
hit_entry(uint64_t hits)
{
	unsigned bit = (unsigned)__builtin_ctzll(hits);

	return (bit >> 4) + (~bit & 1) * 4;
}

/** What of a bucket leads on. Acquire: pairs with the release that chained the next one, which is seen as it was then. */
static inline uint64_t
bucket_link(const struct ipht_bucket *b)
{
	return atomic_load_explicit(&b->tags[1], memory_order_acquire);
}

/** Acquire: pairs with the release that stored it (ipht_add, ipht_replace): the node is seen fully built. */
static inline struct node *
bucket_node(const struct ipht_bucket *b, unsigned i)
{
	return entry_node(atomic_load_explicit(&b->entry[i], memory_order_acquire));
}

static inline struct ipht_bucket *
bucket_next(const struct ipht_chains *h, uint64_t link)
{
	return (link & LINK_NEXT) == 0 ? NULL : &h->buckets[(link & LINK_NEXT) >> LINK_SHIFT];
}

/** The node a key leads to just now, without a reference. */
static struct node *
ipht_peek(const struct ipht_chains *h, const struct key *k, uint32_t hash)
{
	const struct ipht_bucket *b = chain_first(h, hash);
	uint64_t tag = tag_of(hash), link, hits;

	POINT("look up", h);
	do {
		link = bucket_link(b);
		for (hits = bucket_hits(b, link, tag); hits != 0; hits &= hits - 1) {
			struct node *n = bucket_node(b, hit_entry(hits));

			if (n != NULL && key_equal(&n->key, k))
				return n;
		}
		b = bucket_next(h, link);
	} while (b != NULL);
	return NULL;
}

/*
 * More workers than cores is a normal state of affairs, so the holder may have been
 * preempted: yield to it after a while.
 */
static inline void
ipht_wait(unsigned *spins)
{
	if ((*spins)++ < IPHT_SPINS)
		rte_pause();
	else
		sched_yield();
}

/**
 * Hold the chain of a hash, for an update.
 *
 * Memory order: acquire, pairs with the release of chain_unlock, so that this holder sees all that the ones before it did to
 * the chain. The loads while waiting order nothing: relaxed.
 *
 * @return its first bucket
 */
static struct ipht_bucket *
chain_lock(const struct ipht_chains *h, uint32_t hash)
{
	struct ipht_bucket *b = chain_first(h, hash);
	uint64_t link;
	unsigned spins = 0;

	POINT("lock", &b->tags[1]);
	link = atomic_load_explicit(&b->tags[1], memory_order_relaxed);
	for (;;) {
		if ((link & LINK_HELD) != 0) {
			POINT_WAIT("wait for lock", &b->tags[1]);
			ipht_wait(&spins);
			link = atomic_load_explicit(&b->tags[1], memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&b->tags[1], &link,
				   link | LINK_HELD, memory_order_acquire, memory_order_relaxed)) {
			return b;
		}
	}
}

static void
chain_unlock(struct ipht_bucket *b)
{
	/* Only the holder writes it while it is held: relaxed. Release: see chain_lock. */
	uint64_t link = atomic_load_explicit(&b->tags[1], memory_order_relaxed);

	POINT("unlock", &b->tags[1]);
	atomic_store_explicit(&b->tags[1], link & ~LINK_HELD, memory_order_release);
}

/** Memory order: as chain_lock. */
static void
spare_lock(struct ipht *t)
{
	unsigned spins = 0;

	POINT("lock spare", &t->spare_held);
	while (atomic_exchange_explicit(&t->spare_held, 1, memory_order_acquire) != 0) {
		POINT_WAIT("wait for spare", &t->spare_held);
		ipht_wait(&spins);
	}
}

static void
spare_unlock(struct ipht *t)
{
	POINT("unlock spare", &t->spare_held);
	/* Release: see spare_lock. */
	atomic_store_explicit(&t->spare_held, 0, memory_order_release);
}

/** A spare bucket goes back to the others. Nobody knows it. Relaxed: under the lock. */
static void
spare_put(struct ipht *t, struct ipht_chains *h, uint32_t number)
{
	spare_lock(t);
	atomic_store_explicit(
		&h->buckets[number].tags[1], (uint64_t)h->free << LINK_SHIFT, memory_order_relaxed);
	h->free = number;
	spare_unlock(t);
}

/** @return an empty bucket's number, 0: none is left. Relaxed: who chains it releases. */
static uint32_t
spare_get(struct ipht *t, struct ipht_chains *h)
{
	struct ipht_bucket *b;
	uint32_t number;

	spare_lock(t);
	number = h->free;
	if (number != 0) {
		b = &h->buckets[number];
		h->free = (uint32_t)(atomic_load_explicit(&b->tags[1], memory_order_relaxed) >>
			LINK_SHIFT);
		atomic_store_explicit(&b->tags[1], 0, memory_order_relaxed);
	}
	spare_unlock(t);
	return number;
}

/** A place in a chain that is held. */
struct place {
	struct ipht_bucket *b,
		*before; /* before: the one that leads to b, NULL if b is the first */
	unsigned i; /* entry; IPHT_ENTRIES: none */
};

/** Where a chain that is held has n, which may be NULL: room. Relaxed: under the lock. */
static struct place
chain_find(const struct ipht_chains *h, struct ipht_bucket *first, const struct node *n)
{
	struct place p = {.b = first};
	struct ipht_bucket *next;

	for (;;) {
		for (p.i = 0; p.i < IPHT_ENTRIES; p.i++)
			if (entry_node(atomic_load_explicit(
				    &p.b->entry[p.i], memory_order_relaxed)) == n)
				return p;
		next = bucket_next(h, atomic_load_explicit(&p.b->tags[1], memory_order_relaxed));
		if (next == NULL)
			return p;
		p.before = p.b;
		p.b = next;
	}
}

/** Set an entry's tag, under the lock. Relaxed: the entry is stored, with release, after it. */
static void
place_tag(const struct place *p, uint32_t hash)
{
	_Atomic uint64_t *tags = &p->b->tags[p->i / 4];
	unsigned shift = p->i % 4 * 16;
	uint64_t was = atomic_load_explicit(tags, memory_order_relaxed);

	was &= ~(UINT64_C(0xffff) << shift);
	atomic_store_explicit(tags, was | (uint64_t)(hash & 0xffff) << shift, memory_order_relaxed);
}

/** One more bucket behind the last of a chain that is held; its first entry is the place. @return false: none is left */
static bool
chain_extend(struct ipht *t, struct ipht_chains *h, struct place *p)
{
	uint32_t number = spare_get(t, h);
	uint64_t link;

	if (number == 0)
		return false;
	link = atomic_load_explicit(&p->b->tags[1], memory_order_relaxed);
	/* Release: the bucket is empty and the chain's last; its readers see it so. */
	atomic_store_explicit(
		&p->b->tags[1], link | (uint64_t)number << LINK_SHIFT, memory_order_release);
	*p = (struct place){.b = &h->buckets[number], .before = p->b, .i = 0};
	return true;
}

/** Insert n into its chain, which is held. @return 0, -ENOSPC */
static int
chain_insert(struct ipht *t, struct ipht_chains *h, struct ipht_bucket *first, struct node *n)
{
	struct place p = chain_find(h, first, NULL);

	if (p.i == IPHT_ENTRIES && !chain_extend(t, h, &p))
		return -ENOSPC;
	place_tag(&p, n->hash);
	POINT("insert", h);
	/* Release: after all that built the node. */
	atomic_store_explicit(&p.b->entry[p.i], (uint64_t)(uintptr_t)n, memory_order_release);
	return 0;
}

static bool
bucket_empty(const struct ipht_bucket *b)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < IPHT_ENTRIES; i++)
		any |= atomic_load_explicit(&b->entry[i], memory_order_relaxed);
	return any == 0;
}

/** The bucket at p is not the first and has become empty: out of the chain with it. Under the lock. @return its number */
static uint32_t
chain_shorten(const struct ipht_chains *h, const struct place *p)
{
	uint64_t link = atomic_load_explicit(&p->b->tags[1], memory_order_relaxed);
	uint64_t before = atomic_load_explicit(&p->before->tags[1], memory_order_relaxed);

	/* Release: the next one was chained by another, whom this holder has seen; now it is chained here. */
	atomic_store_explicit(&p->before->tags[1], (before & ~LINK_NEXT) | (link & LINK_NEXT),
		memory_order_release);
	return (uint32_t)(p->b - h->buckets);
}

/** Compare-and-remove. @return what spare_put is to have after a grace period, 0: nothing; -ENOENT */
static int
chain_remove(struct ipht_chains *h, struct node *n)
{
	struct ipht_bucket *first = chain_lock(h, n->hash);
	struct place p = chain_find(h, first, n);
	int spare = -ENOENT;

	if (p.i < IPHT_ENTRIES) {
		POINT("remove", h);
		/* Relaxed: who finds n DEAD sees by that that it is not here (conv_mark_dead). */
		atomic_store_explicit(&p.b->entry[p.i], 0, memory_order_relaxed);
		spare = p.before != NULL && bucket_empty(p.b) ? (int)chain_shorten(h, &p) : 0;
	}
	chain_unlock(first);
	return spare;
}

static bool
chains_create(struct ipht_chains *h, const char *name, uint32_t limit, int socket_id)
{
	/* 0.42 full at the limit. Even if all were in one chain, the spare ones would do. */
	uint32_t firsts = limit * 2 / 5 + 1, spare = limit / IPHT_ENTRIES + IPHT_SPARE;

	h->buckets = rte_zmalloc_socket(name, ((size_t)firsts + spare) * sizeof(*h->buckets),
		RTE_CACHE_LINE_SIZE, socket_id);
	if (h->buckets == NULL)
		return false;
	h->firsts = firsts;
	for (uint32_t i = firsts + spare; i-- > firsts;) {
		atomic_init(&h->buckets[i].tags[1], (uint64_t)h->free << LINK_SHIFT);
		h->free = i;
	}
	return true;
}

uint64_t
ipht_memory(uint32_t limit)
{
	return ((uint64_t)limit * 2 / 5 + 1 + limit / IPHT_ENTRIES + IPHT_SPARE) *
		sizeof(struct ipht_bucket);
}

struct ipht *
ipht_create(const struct ipht_conf *conf, int *ret_err)
{
	struct ipht *t;

	if (conf->limit == 0 || conf->limit > IPHT_NODES_MAX || conf->listeners == 0 ||
		conf->listeners > IPHT_NODES_MAX) {
		*ret_err = -EINVAL;
		return NULL;
	}
	t = rte_zmalloc_socket("ipht", sizeof(*t), RTE_CACHE_LINE_SIZE, conf->socket_id);
	if (t == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	t->secret = conf->secret;
	if (!chains_create(&t->nodes, "ipht_nodes", conf->limit, conf->socket_id) ||
		!chains_create(&t->listeners, "ipht_listeners", conf->listeners, conf->socket_id)) {
		ipht_free(t);
		*ret_err = -ENOMEM;
		return NULL;
	}
	return t;
}

void
ipht_free(struct ipht *t)
{
	if (t == NULL)
		return;
	rte_free(t->listeners.buckets);
	rte_free(t->nodes.buckets);
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

	while ((n = ipht_peek(&t->nodes, &k->k, hash)) != NULL) {
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

/** The node that a key may lead to: that of the first entry of the first bucket with its tag. */
static inline struct node *
ipht_guess(const struct ipht_bucket *b, uint32_t hash)
{
	uint64_t hits = bucket_hits(b, bucket_link(b), tag_of(hash));

	return hits == 0 ? NULL : bucket_node(b, hit_entry(hits));
}

void
ipht_prefetch(const struct ipht *t, uint32_t hash)
{
	__builtin_prefetch(chain_first(&t->nodes, hash), 1);
}

unsigned
ipht_look_burst(struct ipht *t, const struct key48 *const keys[], const uint32_t hashes[],
	unsigned n, struct node *ret_nodes[])
{
	const struct ipht_chains *h = &t->nodes;
	unsigned found = 0;

	assert(n <= IPHT_BURST_MAX);
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(chain_first(h, hashes[i]));
	POINT("look up burst", h);
	for (unsigned i = 0; i < n; i++) {
		ret_nodes[i] = ipht_guess(chain_first(h, hashes[i]), hashes[i]);
		__builtin_prefetch(ret_nodes[i], 1); /* conv_enter writes the word */
	}
	for (unsigned i = 0; i < n; i++) {
		struct node *guess = ret_nodes[i];

		if (unlikely(guess == NULL || !key_equal(&guess->key, &keys[i]->k)))
			ret_nodes[i] = ipht_peek(h, &keys[i]->k, hashes[i]);
		found += ret_nodes[i] != NULL;
	}
	return found;
}

/** In a chain that is held: the node that is in the way, or NULL and n is in the table. */
static int
ipht_add_locked(struct ipht *t, struct ipht_bucket *first, struct node *n, struct node **ret_winner)
{
	struct node *winner = ipht_peek(&t->nodes, &n->key, n->hash);
	bool got;

	if (winner != NULL) {
		if (ret_winner == NULL)
			return -EEXIST;
		/* Who removes it needs the lock that we hold: the table's reference is there. */
		got = node_get(winner);
		assert(got);
		*ret_winner = got ? winner : NULL;
		return -EEXIST;
	}
	return chain_insert(t, &t->nodes, first, n);
}

int
ipht_add(struct ipht *t, struct node *n, struct node **ret_winner)
{
	struct ipht_bucket *first;
	int ret;

	assert(node_refs(atomic_load_explicit(&n->word, memory_order_relaxed)) > 0);
	first = chain_lock(&t->nodes, n->hash);
	ret = ipht_add_locked(t, first, n, ret_winner);
	chain_unlock(first);
	return ret;
}

int
ipht_rem(struct ipht *t, struct node *n)
{
	POINT("close_pre_unhash", &t->nodes);
	return chain_remove(&t->nodes, n);
}

int
ipht_replace(struct ipht *t, struct node *old, struct node *new)
{
	struct ipht_bucket *first;
	struct place p;

	assert(key_equal(&old->key, &new->key) && old->hash == new->hash);
	assert(node_refs(atomic_load_explicit(&new->word, memory_order_relaxed)) > 0);
	first = chain_lock(&t->nodes, old->hash);
	p = chain_find(&t->nodes, first, old);
	POINT("replace", &t->nodes);
	/* Release: after all that built the new node. */
	if (p.i < IPHT_ENTRIES)
		atomic_store_explicit(
			&p.b->entry[p.i], (uint64_t)(uintptr_t) new, memory_order_release);
	chain_unlock(first);
	return p.i < IPHT_ENTRIES ? 0 : -ENOENT;
}

void
ipht_free_slot(struct ipht *t, int position)
{
	if (position > 0)
		spare_put(t, &t->nodes, (uint32_t)position);
}

uint32_t
ipht_count(const struct ipht *t)
{
	const struct ipht_chains *h = &t->nodes;
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->firsts; i++)
		for (const struct ipht_bucket *b = &h->buckets[i]; b != NULL;
			b = bucket_next(h, bucket_link(b)))
			for (unsigned j = 0; j < IPHT_ENTRIES; j++)
				/* Relaxed: only whether there is one. */
				n += atomic_load_explicit(&b->entry[j], memory_order_relaxed) != 0;
	return n;
}

int
ipht_listen(struct ipht *t, struct node *n)
{
	struct ipht_bucket *first;
	int ret = -EADDRINUSE;

	assert(n->key.kind == KEY_LISTENER && n->key.rport_be == 0);
	n->hash = ipht_hash(t, &n->key);
	first = chain_lock(&t->listeners, n->hash);
	if (ipht_peek(&t->listeners, &n->key, n->hash) == NULL)
		ret = chain_insert(t, &t->listeners, first, n);
	chain_unlock(first);
	return ret;
}

int
ipht_unlisten(struct ipht *t, struct node *n)
{
	return chain_remove(&t->listeners, n);
}

void
ipht_free_listen_slot(struct ipht *t, int position)
{
	if (position > 0)
		spare_put(t, &t->listeners, (uint32_t)position);
}

static struct node *
ipht_match_key(const struct ipht *t, const struct key *k)
{
	return ipht_peek(&t->listeners, k, ipht_hash(t, k));
}

struct node *
ipht_match(struct ipht *t, const struct key *k)
{
	struct key want = {.lport_be = k->lport_be, .proto = k->proto, .kind = KEY_LISTENER};
	struct node *n;

	memcpy(want.laddr, k->laddr, sizeof(want.laddr));
	n = ipht_match_key(t, &want);
	if (n != NULL)
		return n;
	if (key_is_v4(k)) {
		key_map_v4(want.laddr, 0);
	} else {
		memset(want.laddr, 0, sizeof(want.laddr));
		want.zone = IPHT_ZONE_ANY6;
	}
	n = ipht_match_key(t, &want);
	if (n != NULL)
		return n;
	memset(want.laddr, 0, sizeof(want.laddr));
	want.zone = 0;
	return ipht_match_key(t, &want);
}
