/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Neighbours: who on the link has which MAC (RFC 826, RFC 4861 section 7). One table for
 * ARP and NDP, in buckets of 16; an address may stand in either of two buckets, which a
 * keyed hash chooses. Entries are type-stable: they are given to another address, but their
 * memory stays. Readers take no lock; writers share one, held for a few dozen instructions,
 * and send outside of it. Entries that wait for their first answer are limited apart, so
 * that scanning can't push out those that work (RFC 6583).
 *
 * Life of an entry's identity, and why a reader needs no lock: a writer sets word to FREE,
 * then gen to odd, then the address, then gen to the next even number, then word. A reader
 * that finds its gen before and after it read word has read a word of that identity.
 */
#include <errno.h>

#include <rte_malloc.h>

#include "ip_priv.h"

#define NEIGH_RETRANS_MS \
	1000 /* RFC 4861 section 10; RFC 1122 section 2.3.2.1: <= 1 per second and host */
#define NEIGH_TRIES        3 /* MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT */
#define NEIGH_REACHABLE_MS 30000 /* REACHABLE_TIME, times 0.5 to 1.5 */
#define NEIGH_DELAY_MS     5000 /* DELAY_FIRST_PROBE_TIME */
#define NEIGH_IDLE_MS      30000 /* a stale entry that was not used for so long may be evicted */
#define NEIGH_SCAN_US      500000 /* the tick comes by at each entry so often */
#define NEIGH_QUEUE        64 /* packets that wait for one answer */
#define NEIGH_QUEUED_MIN   256 /* packets that wait for all answers: this, or one per 4 entries */

static inline uint64_t
neigh_word(const struct rte_ether_addr *mac, enum neigh_state state)
{
	uint64_t v = 0;

	if (mac != NULL)
		memcpy(&v, mac->addr_bytes, 6);
	return v << 16 | state;
}

static inline struct rte_ether_addr
neigh_mac(uint64_t word)
{
	struct rte_ether_addr mac;
	uint64_t v = word >> 16;

	memcpy(&mac, &v, sizeof(mac));
	return mac;
}

int
neigh_init(struct ip *ip, uint32_t neighbours, int socket_id)
{
	struct neigh_table *t = &ip->neigh;
	/* Twice as many places as entries: with two buckets to choose from none overflows. */
	uint32_t buckets = rte_align32pow2(RTE_MAX(neighbours, 16u) * 2 / NEIGH_WAYS);

	if (neighbours > 1u << 20)
		return -EINVAL;
	rte_spinlock_init(&t->lock);
	t->mask = buckets - 1;
	t->limit = neighbours;
	t->limit_incomplete = RTE_MAX(neighbours / 4, 1u);
	t->limit_queued = RTE_MAX(neighbours / 4, (uint32_t)NEIGH_QUEUED_MIN);
	t->buckets = rte_zmalloc_socket(
		"neigh_buckets", buckets * sizeof(*t->buckets), RTE_CACHE_LINE_SIZE, socket_id);
	t->entries = rte_zmalloc_socket("neigh_entries",
		(size_t)buckets * NEIGH_WAYS * sizeof(*t->entries), RTE_CACHE_LINE_SIZE, socket_id);
	return t->buckets == NULL || t->entries == NULL ? -ENOMEM : 0;
}

void
neigh_fini(struct ip *ip)
{
	struct neigh_table *t = &ip->neigh;

	if (t->entries != NULL)
		for (size_t i = 0; i < (size_t)(t->mask + 1) * NEIGH_WAYS; i++)
			pktq_free(&t->entries[i].queue);
	rte_free(t->entries);
	rte_free(t->buckets);
}

/* An address on an interface, hashed: two buckets and a tag. */
struct neigh_hash {
	uint32_t bucket[2];
	uint32_t tag;
};

static struct neigh_hash
neigh_hash(const struct ip *ip, unsigned ifc, const uint8_t addr[16])
{
	uint8_t data[17];
	uint64_t h;

	memcpy(data, addr, 16);
	data[16] = (uint8_t)ifc;
	h = key_siphash(&ip->secret, data, sizeof(data));
	return (struct neigh_hash){
		.bucket = {(uint32_t)h & ip->neigh.mask, (uint32_t)(h >> 20) & ip->neigh.mask},
		.tag = (uint32_t)(h >> 32) | 1,
	};
}

/* The entry is (still) addr's; *ret_gen is its identity. */
static bool
neigh_is(const struct neigh *e, unsigned ifc, const uint8_t addr[16], uint32_t *ret_gen)
{
	/* Acquire: the address is read after gen; pairs with the release of neigh_claim. */
	uint32_t gen = atomic_load_explicit(&e->gen, memory_order_acquire);
	uint64_t a[2] = {atomic_load_explicit(&e->addr[0], memory_order_relaxed),
		atomic_load_explicit(&e->addr[1], memory_order_relaxed)};
	uint8_t on = atomic_load_explicit(&e->ifc, memory_order_relaxed);

	/* Acquire fence: and before gen is read again. */
	atomic_thread_fence(memory_order_acquire);
	if ((gen & 1) != 0 || atomic_load_explicit(&e->gen, memory_order_relaxed) != gen)
		return false;
	*ret_gen = gen;
	return on == ifc && memcmp(a, addr, 16) == 0;
}

static uint32_t
neigh_look(const struct ip *ip, const struct neigh_hash *h, unsigned ifc, const uint8_t addr[16],
	uint32_t *ret_gen)
{
	const struct neigh_table *t = &ip->neigh;

	for (unsigned b = 0; b < 2; b++) {
		const struct neigh_bucket *bucket = &t->buckets[h->bucket[b]];

		for (unsigned i = 0; i < NEIGH_WAYS; i++) {
			uint32_t at = h->bucket[b] * NEIGH_WAYS + i;

			/* Relaxed: a tag is a hint, neigh_is decides. */
			if (atomic_load_explicit(&bucket->tag[i], memory_order_relaxed) == h->tag &&
				neigh_is(&t->entries[at], ifc, addr, ret_gen))
				return at;
		}
	}
	return NEIGH_NONE;
}

/* The entry of an address, or NEIGH_NONE. Any worker, no lock. */
uint32_t
neigh_find(const struct ip *ip, unsigned ifc, const uint8_t addr[16], uint32_t *ret_gen)
{
	struct neigh_hash h = neigh_hash(ip, ifc, addr);

	return neigh_look(ip, &h, ifc, addr, ret_gen);
}

/* From here to neigh_unlock: under the table's lock. */

static void
neigh_set(struct neigh *e, uint64_t word)
{
	/* Release: a reader of this word sees the gen that was set before it. */
	atomic_store_explicit(&e->word, word, memory_order_release);
}

static uint64_t
neigh_get(const struct neigh *e)
{
	return atomic_load_explicit(&e->word, memory_order_relaxed);
}

/* Change the state of a live entry; keeps the number of incomplete ones. A state that ends by itself
 * is given its next_ms by the caller. */
static void
neigh_turn(struct neigh_table *t, struct neigh *e, uint64_t word)
{
	if (neigh_state(neigh_get(e)) == NEIGH_INCOMPLETE)
		t->incomplete--;
	if (neigh_state(word) == NEIGH_INCOMPLETE)
		t->incomplete++;
	e->tries = 0;
	neigh_set(e, word);
}

/* Take all that waits for e. */
static struct pktq
neigh_take_queue(struct neigh_table *t, struct neigh *e)
{
	struct pktq q = e->queue;

	t->queued -= e->nqueue;
	e->queue.head = NULL;
	e->nqueue = 0;
	return q;
}

/* End an identity; returns what waited for it. */
static struct pktq
neigh_release(struct neigh_table *t, uint32_t at)
{
	struct neigh *e = &t->entries[at];
	uint32_t gen = atomic_load_explicit(&e->gen, memory_order_relaxed);

	neigh_turn(t, e, neigh_word(NULL, NEIGH_FREE));
	/* Release: after the word; see the top of this file. */
	atomic_store_explicit(&e->gen, gen + 2, memory_order_release);
	atomic_store_explicit(
		&t->buckets[at / NEIGH_WAYS].tag[at % NEIGH_WAYS], 0, memory_order_relaxed);
	t->count--;
	return neigh_take_queue(t, e);
}

/* Give a free place to an address. */
static void
neigh_claim(struct neigh_table *t, uint32_t at, uint32_t tag, unsigned ifc, const uint8_t addr[16])
{
	struct neigh *e = &t->entries[at];
	uint32_t gen = atomic_load_explicit(&e->gen, memory_order_relaxed);
	uint64_t a[2];

	memcpy(a, addr, 16);
	atomic_store_explicit(&e->gen, gen + 1, memory_order_relaxed);
	/* Release fence: nobody reads a part of the new address under the old gen. */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&e->addr[0], a[0], memory_order_relaxed);
	atomic_store_explicit(&e->addr[1], a[1], memory_order_relaxed);
	atomic_store_explicit(&e->ifc, (uint8_t)ifc, memory_order_relaxed);
	atomic_store_explicit(&e->used, false, memory_order_relaxed);
	/* Release: the even gen comes after the whole address. */
	atomic_store_explicit(&e->gen, gen + 2, memory_order_release);
	atomic_store_explicit(
		&t->buckets[at / NEIGH_WAYS].tag[at % NEIGH_WAYS], tag, memory_order_relaxed);
	t->count++;
}

/* How willingly an entry is given up: 0 never. */
static unsigned
neigh_rank(const struct neigh *e, uint32_t now_ms)
{
	uint32_t idle = now_ms - atomic_load_explicit(&e->used_ms, memory_order_relaxed);

	switch (neigh_state(neigh_get(e))) {
	case NEIGH_STALE:
		if (!atomic_load_explicit(&e->used, memory_order_relaxed))
			return 3; /* it asked us; we never sent it anything */
		return idle >= NEIGH_IDLE_MS ? 1 : 0;
	case NEIGH_INCOMPLETE:
		/* Asked a second ago at least: so nobody is asked for more than once a second. */
		return ip_past(now_ms, e->next_ms) ? 2 : 0;
	default:
		return 0; /* in use, or there is nobody to go */
	}
}

struct neigh_choice {
	uint32_t at;
	unsigned rank;
	uint32_t idle_ms;
};

/* A better place in bucket b than *c, if its rank is in the set of ranks (a bit each). */
static void
neigh_choose(const struct neigh_table *t, uint32_t b, unsigned ranks, uint32_t now_ms,
	struct neigh_choice *c)
{
	for (unsigned i = 0; i < NEIGH_WAYS; i++) {
		const struct neigh *e = &t->entries[b * NEIGH_WAYS + i];
		unsigned rank = neigh_rank(e, now_ms);
		uint32_t idle = now_ms - atomic_load_explicit(&e->used_ms, memory_order_relaxed);

		if ((ranks >> rank & 1) == 0 || rank < c->rank ||
			(rank == c->rank && idle <= c->idle_ms))
			continue;
		*c = (struct neigh_choice){b * NEIGH_WAYS + i, rank, idle};
	}
}

/* A free place in the emptier one of two buckets. */
static uint32_t
neigh_free_place(const struct neigh_table *t, const struct neigh_hash *h)
{
	unsigned best = 0;
	uint32_t at = NEIGH_NONE;

	for (unsigned b = 0; b < 2; b++) {
		unsigned n = 0;
		uint32_t first = NEIGH_NONE;

		for (unsigned i = 0; i < NEIGH_WAYS; i++) {
			if (neigh_state(neigh_get(&t->entries[h->bucket[b] * NEIGH_WAYS + i])) !=
				NEIGH_FREE)
				continue;
			first = h->bucket[b] * NEIGH_WAYS + i;
			n++;
		}
		if (n > best) {
			best = n;
			at = first;
		}
	}
	return at;
}

/* Make an entry, in state FREE still; NEIGH_NONE if there is no room. *ret_lost: what waited for
 * the entry that had to go. */
static uint32_t
neigh_make(struct worker *w, const struct neigh_hash *h, unsigned ifc, const uint8_t addr[16],
	bool incomplete, struct pktq *ret_lost)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh_choice c = {NEIGH_NONE, 0, 0};
	/* Too many wait for an answer: one of those must go. */
	bool scan = incomplete && t->incomplete >= t->limit_incomplete;

	if (!scan && t->count < t->limit)
		c.at = neigh_free_place(t, h);
	for (unsigned b = 0; c.at == NEIGH_NONE && b < 2; b++)
		neigh_choose(t, h->bucket[b], scan ? 1u << 2 : 0xe, w->now_ms, &c);
	if (c.at == NEIGH_NONE) {
		ip_count(w, IP_STAT_neigh_refused);
		return NEIGH_NONE;
	}
	if (neigh_state(neigh_get(&t->entries[c.at])) != NEIGH_FREE) {
		*ret_lost = neigh_release(t, c.at);
		ip_count(w, IP_STAT_neigh_evicted);
	}
	neigh_claim(t, c.at, h->tag, ifc, addr);
	atomic_store_explicit(&t->entries[c.at].used_ms, w->now_ms, memory_order_relaxed);
	ip_count(w, IP_STAT_neigh_created);
	return c.at;
}

/* RFC 4861 section 6.3.2: half to one and a half of the mean. */
static void
neigh_confirm(struct worker *w, struct neigh *e, const struct rte_ether_addr *mac)
{
	neigh_turn(&w->ip->neigh, e, neigh_word(mac, NEIGH_REACHABLE));
	e->next_ms = w->now_ms + NEIGH_REACHABLE_MS / 2 +
		(uint32_t)(worker_random(w) % NEIGH_REACHABLE_MS);
}

/* What an answer, or the question of somebody else, teaches (RFC 4861 sections 7.2.3, 7.2.5). */
static void
neigh_update(struct worker *w, struct neigh *e, const struct rte_ether_addr *mac, unsigned flags)
{
	struct neigh_table *t = &w->ip->neigh;
	uint64_t word = neigh_get(e);
	struct rte_ether_addr old = neigh_mac(word);
	bool differs = mac != NULL && !rte_is_same_ether_addr(mac, &old);

	if (neigh_state(word) == NEIGH_INCOMPLETE) {
		if (mac == NULL)
			return;
		differs = true;
	} else if (differs && (flags & NEIGH_OVERRIDE) == 0) {
		if (neigh_state(word) == NEIGH_REACHABLE)
			neigh_turn(t, e, neigh_word(&old, NEIGH_STALE));
		return;
	}
	if ((flags & NEIGH_SOLICITED) != 0)
		neigh_confirm(w, e, differs ? mac : &old);
	else if (differs)
		neigh_turn(t, e, neigh_word(mac, NEIGH_STALE));
}

/* End of what runs under the lock. */

static void
neigh_drop_queue(struct worker *w, struct pktq *q)
{
	unsigned n = pktq_free(q);

	w->c.tx_drops += n;
	ip_add(&ip_self(w)->stat[IP_STAT_neigh_queue_drops], n);
}

static void
neigh_send_queue(struct worker *w, unsigned ifc, struct pktq *q, const struct rte_ether_addr *mac)
{
	struct rte_mbuf *m;

	while ((m = pktq_pop(q)) != NULL) {
		memcpy(rte_pktmbuf_mtod(m, void *), mac, 6);
		worker_tx(w, ifc, m);
	}
}

/* Somebody showed his MAC (NULL: only that he is there). */
void
neigh_learn(struct worker *w, unsigned ifc, const uint8_t addr[16],
	const struct rte_ether_addr *mac, unsigned flags)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh_hash h = neigh_hash(w->ip, ifc, addr);
	struct pktq lost = {NULL}, ready = {NULL};
	struct rte_ether_addr to = {{0}};
	uint32_t gen, at;

	rte_spinlock_lock(&t->lock);
	at = neigh_look(w->ip, &h, ifc, addr, &gen);
	if (at != NEIGH_NONE) {
		struct neigh *e = &t->entries[at];

		neigh_update(w, e, mac, flags);
		if (neigh_state(neigh_get(e)) != NEIGH_INCOMPLETE) {
			ready = neigh_take_queue(t, e);
			to = neigh_mac(neigh_get(e));
		}
	} else if ((flags & NEIGH_CREATE) != 0 && mac != NULL) {
		at = neigh_make(w, &h, ifc, addr, false, &lost);
		if (at != NEIGH_NONE)
			neigh_turn(t, &t->entries[at], neigh_word(mac, NEIGH_STALE));
	}
	rte_spinlock_unlock(&t->lock);
	neigh_drop_queue(w, &lost);
	neigh_send_queue(w, ifc, &ready, &to);
}

static void
neigh_solicit(
	struct worker *w, unsigned ifc, const uint8_t addr[16], const struct rte_ether_addr *to)
{
	if (ip_v4(addr))
		arp_solicit(w, ifc, addr, to);
	else
		ndp_solicit(w, ifc, addr, to);
}

/* Let m wait for e's answer; the oldest goes if there are too many (RFC 1122 section 2.3.2.2: at
 * least the latest one is kept, so no more than one for each incomplete entry are over the common
 * limit). Returns what must be dropped. Under the lock. */
static struct rte_mbuf *
neigh_enqueue(struct neigh_table *t, struct neigh *e, struct rte_mbuf *m)
{
	struct rte_mbuf *old = NULL;

	if (e->nqueue == NEIGH_QUEUE || (t->queued >= t->limit_queued && e->nqueue > 0)) {
		old = pktq_pop(&e->queue);
		e->nqueue--;
		t->queued--;
	}
	pktq_push(&e->queue, m);
	e->nqueue++;
	t->queued++;
	return old;
}

/* First use of a stale entry: it will be probed unless confirmed (RFC 4861 section 7.3.3). */
static void
neigh_use(struct worker *w, struct neigh *e, uint32_t gen)
{
	struct neigh_table *t = &w->ip->neigh;
	uint64_t word;

	/* Somebody else is writing: a later packet will find it stale, too. */
	if (!rte_spinlock_trylock(&t->lock))
		return;
	word = neigh_get(e);
	if (atomic_load_explicit(&e->gen, memory_order_relaxed) == gen &&
		neigh_state(word) == NEIGH_STALE) {
		struct rte_ether_addr mac = neigh_mac(word);

		neigh_turn(t, e, neigh_word(&mac, NEIGH_DELAY));
		e->next_ms = w->now_ms + NEIGH_DELAY_MS;
	}
	rte_spinlock_unlock(&t->lock);
}

/* The entry of a path that is being sent on was not used for a second, or is stale. */
void
neigh_used(struct worker *w, struct neigh *e, uint32_t gen, uint64_t word)
{
	if (w->now_ms - atomic_load_explicit(&e->used_ms, memory_order_relaxed) >= NEIGH_USED_MS)
		atomic_store_explicit(&e->used_ms, w->now_ms, memory_order_relaxed);
	if (neigh_state(word) == NEIGH_STALE) {
		atomic_store_explicit(&e->used, true, memory_order_relaxed);
		neigh_use(w, e, gen);
	}
}

/*
 * Send a frame (whole but for its destination MAC) to hop: at once, or when the
 * neighbour has answered. Consumes m. @return 0, -ENOBUFS
 */
int
neigh_output(struct worker *w, struct path *p, const struct ip_hop *hop, struct rte_mbuf *m)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh_hash h = neigh_hash(w->ip, hop->ifc, hop->addr);
	struct rte_mbuf *excess = m;
	struct pktq lost = {NULL};
	bool ask = false, known = false;
	uint64_t word;

	rte_spinlock_lock(&t->lock);
	p->neigh = neigh_look(w->ip, &h, hop->ifc, hop->addr, &p->neigh_gen);
	if (p->neigh == NEIGH_NONE) {
		p->neigh = neigh_make(w, &h, hop->ifc, hop->addr, true, &lost);
		if (p->neigh != NEIGH_NONE) {
			struct neigh *e = &t->entries[p->neigh];

			p->neigh_gen = atomic_load_explicit(&e->gen, memory_order_relaxed);
			neigh_turn(t, e, neigh_word(NULL, NEIGH_INCOMPLETE));
			e->next_ms = w->now_ms + NEIGH_RETRANS_MS;
			e->tries = 1;
			atomic_store_explicit(&e->used, true, memory_order_relaxed);
			ask = true;
		}
	}
	if (p->neigh != NEIGH_NONE) {
		struct neigh *e = &t->entries[p->neigh];

		known = neigh_state(neigh_get(e)) != NEIGH_INCOMPLETE;
		excess = known ? NULL : neigh_enqueue(t, e, m);
	}
	rte_spinlock_unlock(&t->lock);
	neigh_drop_queue(w, &lost);
	if (ask)
		neigh_solicit(w, hop->ifc, hop->addr, NULL);
	word = known ? neigh_known(w, p) : 0;
	if (word != 0) {
		neigh_put_mac(rte_pktmbuf_mtod(m, uint8_t *), word);
		worker_tx(w, p->ifc, m);
		return 0;
	}
	if (known)
		excess = m; /* it went away in this moment */
	else if (excess == NULL)
		ip_count(w, IP_STAT_neigh_queued);
	if (excess != NULL) {
		struct pktq q = {NULL};

		pktq_push(&q, excess);
		neigh_drop_queue(w, &q);
	}
	return excess == m ? -ENOBUFS : 0;
}

/* The entry that a path remembers, if it is that neighbour's still; else NULL. Under the lock. */
static struct neigh *
neigh_of_path(struct neigh_table *t, const struct path *p)
{
	struct neigh *e = &t->entries[p->neigh];

	return atomic_load_explicit(&e->gen, memory_order_relaxed) == p->neigh_gen ? e : NULL;
}

void
ip_path_doubt(struct worker *w, const struct path *p)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh *e;

	if (p->gen == 0 || p->neigh == NEIGH_NONE)
		return;
	rte_spinlock_lock(&t->lock);
	e = neigh_of_path(t, p);
	if (e != NULL && neigh_state(neigh_get(e)) > NEIGH_INCOMPLETE &&
		neigh_state(neigh_get(e)) != NEIGH_PROBE) {
		struct rte_ether_addr mac = neigh_mac(neigh_get(e));

		neigh_turn(t, e, neigh_word(&mac, NEIGH_PROBE));
		e->next_ms = w->now_ms;
	}
	rte_spinlock_unlock(&t->lock);
}

void
ip_path_confirm(struct worker *w, const struct path *p)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh *e;
	enum neigh_state s;

	if (p->gen == 0 || p->neigh == NEIGH_NONE)
		return;
	/* Relaxed: a hint; looked at again under the lock. Most are reachable, and nothing is written. */
	s = neigh_state(atomic_load_explicit(&t->entries[p->neigh].word, memory_order_relaxed));
	if (likely(s != NEIGH_DELAY && s != NEIGH_PROBE))
		return;
	if (!rte_spinlock_trylock(&t->lock))
		return; /* the next answer will do */
	e = neigh_of_path(t, p);
	if (e != NULL &&
		(neigh_state(neigh_get(e)) == NEIGH_DELAY ||
			neigh_state(neigh_get(e)) == NEIGH_PROBE)) {
		struct rte_ether_addr mac = neigh_mac(neigh_get(e));

		neigh_confirm(w, e, &mac);
	}
	rte_spinlock_unlock(&t->lock);
}

/* What the tick has to do about one entry, outside the lock. */
struct neigh_deed {
	bool solicit, unicast;
	uint8_t ifc;
	uint8_t addr[16];
	struct rte_ether_addr mac;
	struct pktq lost;
};

/* Next solicitation, or the end after enough of them. */
static void
neigh_retry(struct worker *w, uint32_t at, struct neigh_deed *d)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh *e = &t->entries[at];
	uint64_t word = neigh_get(e);

	if (e->tries >= NEIGH_TRIES) {
		d->lost = neigh_release(t, at);
		ip_count(w, IP_STAT_neigh_failed);
		return;
	}
	e->tries++;
	e->next_ms = w->now_ms + NEIGH_RETRANS_MS;
	d->solicit = true;
	d->unicast = neigh_state(word) == NEIGH_PROBE;
	d->mac = neigh_mac(word);
}

static void
neigh_age(struct worker *w, uint32_t at, struct neigh_deed *d)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh *e = &t->entries[at];
	struct rte_ether_addr mac = neigh_mac(neigh_get(e));
	uint64_t a[2] = {atomic_load_explicit(&e->addr[0], memory_order_relaxed),
		atomic_load_explicit(&e->addr[1], memory_order_relaxed)};

	memset(d, 0, sizeof(*d));
	memcpy(d->addr, a, 16);
	d->ifc = atomic_load_explicit(&e->ifc, memory_order_relaxed);
	switch (neigh_state(neigh_get(e))) {
	case NEIGH_REACHABLE:
		if (ip_past(w->now_ms, e->next_ms))
			neigh_turn(t, e, neigh_word(&mac, NEIGH_STALE));
		break;
	case NEIGH_DELAY:
		if (!ip_past(w->now_ms, e->next_ms))
			break;
		neigh_turn(t, e, neigh_word(&mac, NEIGH_PROBE));
		__attribute__((fallthrough));
	case NEIGH_PROBE:
	case NEIGH_INCOMPLETE:
		if (ip_past(w->now_ms, e->next_ms))
			neigh_retry(w, at, d);
		break;
	default:
		break;
	}
}

static void
neigh_tick_bucket(struct worker *w, uint32_t b)
{
	struct neigh_table *t = &w->ip->neigh;
	struct neigh_deed deeds[NEIGH_WAYS];
	uint32_t any = 0;

	/* Relaxed: an entry that is just being made has time. */
	for (unsigned i = 0; i < NEIGH_WAYS; i++)
		any |= atomic_load_explicit(&t->buckets[b].tag[i], memory_order_relaxed);
	if (any == 0)
		return;
	rte_spinlock_lock(&t->lock);
	for (unsigned i = 0; i < NEIGH_WAYS; i++)
		neigh_age(w, b * NEIGH_WAYS + i, &deeds[i]);
	rte_spinlock_unlock(&t->lock);
	for (unsigned i = 0; i < NEIGH_WAYS; i++) {
		struct neigh_deed *d = &deeds[i];

		neigh_drop_queue(w, &d->lost);
		if (d->solicit)
			neigh_solicit(w, d->ifc, d->addr, d->unicast ? &d->mac : NULL);
	}
}

/* Some buckets at a time, all of them every NEIGH_SCAN_US. By one worker. */
void
neigh_tick(struct worker *w)
{
	struct neigh_table *t = &w->ip->neigh;
	uint64_t elapsed_us = w->now_us - t->hand_us;
	uint64_t n = elapsed_us * (t->mask + 1) / NEIGH_SCAN_US;

	t->hand_us += n * NEIGH_SCAN_US / (t->mask + 1);
	for (n = RTE_MIN(n, (uint64_t)t->mask + 1); n > 0; n--) {
		neigh_tick_bucket(w, t->hand);
		t->hand = (t->hand + 1) & t->mask;
	}
}

/* The link came back, perhaps another one: nothing known is confirmed any more. Any thread. */
void
neigh_link_up(struct ip *ip, unsigned ifc)
{
	struct neigh_table *t = &ip->neigh;

	for (uint32_t b = 0; b <= t->mask; b++) {
		rte_spinlock_lock(&t->lock);
		for (unsigned i = 0; i < NEIGH_WAYS; i++) {
			struct neigh *e = &t->entries[b * NEIGH_WAYS + i];
			struct rte_ether_addr mac = neigh_mac(neigh_get(e));

			if (neigh_state(neigh_get(e)) == NEIGH_REACHABLE &&
				atomic_load_explicit(&e->ifc, memory_order_relaxed) == ifc)
				neigh_turn(t, e, neigh_word(&mac, NEIGH_STALE));
		}
		rte_spinlock_unlock(&t->lock);
	}
}
