/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The table of nodes: making it, birth and death of nodes, a worker's turn, looking in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "conv_priv.h"

#define BACKLOG_MAX_DEFAULT 1024
#define BATCH_NODES         64 /* a retired batch goes to the reclaimer at this size ... */
#define BATCH_AGE_US        1000 /* ... or age */
/*
 * Batches that are given back in a turn: no more than one goes in it. What is given back bit by bit is still in the cache when it is
 * made something new of.
 */
#define BATCHES_TURN 2

struct conv_table *
conv_table_create(const struct conv_table_conf *conf, int *ret_err)
{
	struct conv_table *ct;

	if (conf->seats == 0 || conf->seats > WORKER_MAX || strlen(conf->name) > 16) {
		*ret_err = -EINVAL;
		return NULL;
	}
	ct = rte_zmalloc_socket("conv_table", sizeof(*ct), RTE_CACHE_LINE_SIZE, conf->socket_id);
	if (ct == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	ct->conf = *conf;
	(void)snprintf(ct->name, sizeof(ct->name), "%s", conf->name);
	ct->conf.name = ct->name;
	if (conf->backlog_max == 0)
		ct->conf.backlog_max = BACKLOG_MAX_DEFAULT;
	ct->nseats = conf->seats + 1;
	ct->seats = rte_zmalloc_socket("conv_seats", ct->nseats * sizeof(*ct->seats),
		RTE_CACHE_LINE_SIZE, conf->socket_id);
	if (ct->seats == NULL) {
		rte_free(ct);
		*ret_err = -ENOMEM;
		return NULL;
	}
	for (unsigned i = 0; i < ct->nseats; i++) {
		struct seat *s = &ct->seats[i];

		s->ct = ct;
		s->number = i;
		s->kick_head = s->kick_tail = NODE_ID_NONE;
		s->retired.head = NODE_ID_NONE;
		atomic_init(&s->inbox, NODE_ID_NONE);
		wheel_init(&s->wheel, (uint32_t)(conf->now_us / 1000));
	}
	return ct;
}

void
conv_ops_set(struct conv_table *ct, enum node_kind kind, const struct node_ops *ops)
{
	ct->slab[kind].ops = *ops;
}

void
conv_miss_set(struct conv_table *ct, enum pkt_kind kind,
	void (*miss)(struct worker *w, struct rte_mbuf *m))
{
	ct->miss[kind] = miss;
}

void
conv_lines_set(struct conv_table *ct, enum pkt_kind kind, uint32_t lines)
{
	ct->lines[kind] = lines;
}

int
conv_table_start(struct conv_table *ct)
{
	struct ipht_conf ic = {
		.listeners = ct->conf.listeners,
		.socket_id = ct->conf.socket_id,
		.secret = ct->conf.secret,
	};
	int err;

	for (unsigned k = 0; k < NODE_KINDS; k++) {
		struct slab *s = &ct->slab[k];

		if (s->ops.input == NULL || s->ops.size < sizeof(struct conv_node))
			return -EINVAL;
		err = slab_start(ct, k);
		if (err != 0)
			return err;
		s->first = ct->slots;
		ct->slots += s->capacity;
		ic.limit += s->limit;
	}
	ct->ipht = ipht_create(&ic, &err);
	return ct->ipht == NULL ? err : 0;
}

void
conv_table_free(struct conv_table *ct)
{
	if (ct == NULL)
		return;
	ipht_free(ct->ipht);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		slab_free(&ct->slab[k]);
	rte_free(ct->seats);
	rte_free(ct);
}

struct ipht *
conv_ipht(struct conv_table *ct)
{
	return ct->ipht;
}

void
conv_seat_take(struct worker *w, unsigned seat)
{
	assert(seat < w->convs->nseats);
	w->seat = &w->convs->seats[seat];
}

unsigned
conv_seat_number(const struct seat *s)
{
	return s->number;
}

/* ---- birth and death ---- */

/** Fetch the node that is taken from the slab after the next one, if the thread's cache has it. */
static inline void
slab_prefetch(const struct slab *s)
{
	const struct rte_mempool_cache *cache = rte_mempool_default_cache(s->mp, rte_lcore_id());
	const uint8_t *at;

	if (cache == NULL || cache->len < 2)
		return;
	at = cache->objs[cache->len - 2];
	for (uint32_t line = 0; line < s->ops.size; line += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(at + line, 1);
}

/*
 * A node that is not in the table is DEAD: before it is published, and after it has left. It is made alive just before
 * the insert, as look-ups may find it at once; and LISTED just after it, so that who goes through
 * the slab (conv_next, conv_by_handle) finds, and perhaps hangs up, only what the table has had.
 */
struct conv_node *
conv_alloc(struct worker *w, enum node_kind kind, const struct key *k, uint32_t hash)
{
	struct slab *s = &w->convs->slab[kind];
	struct conv_node *cn;
	uint64_t word;

	if (!slab_take(s, &w->seat->allowed[kind])) {
		w->seat->c.refused[kind]++;
		return NULL;
	}
	if (rte_mempool_get(s->mp, (void **)&cn) != 0) {
		slab_give(s, &w->seat->allowed[kind], 1);
		w->seat->c.refused[kind]++;
		return NULL;
	}
	slab_prefetch(s);
	word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	assert(node_refs(word) == 0);
	w->seat->c.born[kind]++;
	if (node_gen(word) > 1)
		w->seat->c.reused[kind]++;
	memset(&cn->timer, 0, s->ops.size - offsetof(struct conv_node, timer));
	cn->n.key = *k;
	cn->n.hash = hash;
	cn->position = -1;
	atomic_store_explicit(&cn->n.backlog, 0, memory_order_relaxed);
	atomic_store_explicit(
		&cn->n.word, (word & NODE_GEN_MASK) | NODE_REF | NODE_DEAD, memory_order_relaxed);
	return cn;
}

void
conv_abandon(struct worker *w, struct conv_node *cn)
{
	assert(conv_dead(cn));
	if (conv_timer_take(w, cn))
		node_unref(&cn->n);
	conv_put(w, cn);
}

/**
 * Also if it has died meanwhile, or its slot been given back: the caller's turn is not over, so it can't be in new hands.
 * Release: who finds it through the slab sees it built.
 */
static void
conv_mark_listed(struct conv_node *cn)
{
	POINT("mark listed", &cn->n.word);
	atomic_fetch_or_explicit(&cn->n.word, NODE_LISTED, memory_order_release);
}

/** Flip bits of a node that nobody else knows: before it is put into the table, or as that has failed. Relaxed: the insert publishes it,
 * with release. */
static void
conv_flip(struct conv_node *cn, uint64_t bits)
{
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);

	atomic_store_explicit(&cn->n.word, word ^ bits, memory_order_relaxed);
}

int
conv_publish(struct worker *w, struct conv_node *cn, uint64_t work, struct conv_node **ret_winner)
{
	struct node *winner = NULL;
	int err;

	POINT("pre_table_insert", &cn->n.word);
	conv_flip(cn, NODE_DEAD | work);
	err = ipht_add(w->convs->ipht, &cn->n, ret_winner == NULL ? NULL : &winner);
	if (err == 0) {
		w->seat->c.added++;
		conv_mark_listed(cn);
		return 0;
	}
	conv_flip(cn, NODE_DEAD | work);
	if (winner != NULL)
		*ret_winner = (struct conv_node *)winner;
	return err;
}

/**
 * DEAD for good, and the table's reference goes, and that of a timer in this seat's wheel; the caller is inside, so it is not the
 * last.
 */
static void
conv_mark_dead(struct worker *w, struct conv_node *cn)
{
	uint64_t refs = conv_timer_take(w, cn) ? 2 * NODE_REF : NODE_REF;
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);

	POINT("close_post_unhash", &cn->n.word);
	/* Release: who sees DEAD and looks again finds the table changed already. */
	while (!atomic_compare_exchange_weak_explicit(&cn->n.word, &word, (word | NODE_DEAD) - refs,
		memory_order_release, memory_order_relaxed))
		POINT("mark dead again", &cn->n.word);
	assert(node_refs(word) >= 2);
	conv_timer_cancel(w, cn);
}

int
conv_replace(struct worker *w, struct conv_node *old, struct conv_node *young, uint64_t work)
{
	int err;

	assert(conv_inside(w, old) && !conv_dead(old));
	conv_flip(young, NODE_DEAD | work);
	err = ipht_replace(w->convs->ipht, &old->n, &young->n);
	if (err != 0) {
		conv_flip(young, NODE_DEAD | work);
		return err;
	}
	conv_mark_listed(young);
	conv_mark_dead(w, old);
	return 0;
}

void
conv_die(struct worker *w, struct conv_node *cn)
{
	assert(conv_inside(w, cn));
	if (conv_dead(cn))
		return;
	cn->position = ipht_rem(w->convs->ipht, &cn->n);
	assert(cn->position >= 0);
	w->seat->c.removed++;
	conv_mark_dead(w, cn);
}

/**
 * A batch whose grace period is over: key slots and nodes may be used again. Nobody has touched them for a while, so each is
 * fetched in advance, by way of one that was retired a little later.
 */
static void
conv_reclaimed(struct worker *w, const struct reclaim_batch *b)
{
	struct conv_table *ct = w->convs;
	uint32_t id = b->head, count[NODE_KINDS] = {0};

	while (id != NODE_ID_NONE) {
		struct conv_node *cn = conv_node_at(ct, id);
		uint32_t ahead = atomic_load_explicit(&cn->post_next, memory_order_relaxed);
		uint64_t gen;

		if (ahead != NODE_ID_NONE)
			conv_head_prefetch(conv_node_at(ct, ahead));
		id = cn->kick_next;
		POINT("reclaim", &cn->n.word);
		ipht_free_slot(ct->ipht, cn->position);
		gen = (atomic_load_explicit(&cn->n.word, memory_order_relaxed) & NODE_GEN_MASK) +
			NODE_GEN_ONE;
		/* 0 is no generation: a zeroed handle names nothing. */
		atomic_store_explicit(
			&cn->n.word, gen == 0 ? NODE_GEN_ONE : gen, memory_order_relaxed);
		rte_mempool_put(ct->slab[conv_kind(cn)].mp, cn);
		count[conv_kind(cn)]++;
	}
	for (unsigned k = 0; k < NODE_KINDS; k++)
		if (count[k] > 0)
			slab_give(&ct->slab[k], &w->seat->allowed[k], count[k]);
}

/* ---- a worker's turn ---- */

unsigned
conv_turn(struct worker *w)
{
	struct conv_table *ct = w->convs;
	struct seat *s = w->seat;
	struct reclaim *r = ct->conf.reclaim;
	struct reclaim_batch b;
	unsigned n = 0;

	for (unsigned i = 0; i < BATCHES_TURN && r->ops->collect(r, s->number, &b); i++) {
		if (b.n == 0)
			s->fences_passed++;
		conv_reclaimed(w, &b);
		n += b.n;
	}
	n += conv_run_inbox(w);
	n += conv_run_timers(w);
	conv_run_kicks(w, &n);
	conv_run_again(w);
	return n;
}

void
conv_turn_end(struct worker *w)
{
	struct seat *s = w->seat;
	struct reclaim *r = w->convs->conf.reclaim;

	if (s->retired.n == 0 ||
		(s->retired.n < BATCH_NODES && w->now_us - s->retired.born_us < BATCH_AGE_US))
		return;
	if (r->ops->submit(r, s->number, &s->retired))
		s->retired = (struct reclaim_batch){.head = NODE_ID_NONE};
}

/* Batches of one seat come back in the order in which they went: the nth fence is the nth empty batch. */
uint64_t
conv_fence(struct worker *w)
{
	struct seat *s = w->seat;
	struct reclaim *r = w->convs->conf.reclaim;
	struct reclaim_batch b = {.head = NODE_ID_NONE, .born_us = w->now_us};

	return r->ops->submit(r, s->number, &b) ? ++s->fences : 0;
}

bool
conv_fence_passed(const struct worker *w, uint64_t ticket)
{
	return w->seat->fences_passed >= ticket;
}

uint32_t
conv_idle_ms(const struct worker *w, uint32_t most)
{
	const struct seat *s = w->seat;

	if (s->kick_head != NODE_ID_NONE || s->retired.n > 0 ||
		atomic_load_explicit(&s->inbox, memory_order_relaxed) != NODE_ID_NONE)
		return 0;
	return wheel_next_ms(&s->wheel, most);
}

/* ---- looking in ---- */

static const struct slab *
conv_slab_of_slot(const struct conv_table *ct, uint32_t slot)
{
	for (unsigned k = 0; k < NODE_KINDS; k++)
		if (slot - ct->slab[k].first < ct->slab[k].capacity)
			return &ct->slab[k];
	return NULL;
}

struct conv_handle
conv_handle(const struct conv_table *ct, const struct conv_node *cn)
{
	uint32_t slot = cn->n.id & ((1u << NODE_ID_KIND_SHIFT) - 1);
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);

	return (struct conv_handle){ct->slab[conv_kind(cn)].first + slot, node_gen(word)};
}

/** Get-not-zero, not-dead and (if gen is not 0) of this generation, in one step. Acquire: as conv_enter. */
static bool
conv_get_gen(struct conv_node *cn, uint32_t gen)
{
	uint64_t word;

	POINT("look at generation", &cn->n.word);
	word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	do {
		if ((word & (NODE_DEAD | NODE_LISTED)) != NODE_LISTED || node_refs(word) == 0 ||
			(gen != 0 && node_gen(word) != gen))
			return false;
		POINT("get by handle", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(
		&cn->n.word, &word, word + NODE_REF, memory_order_acquire, memory_order_relaxed));
	return true;
}

static struct conv_node *
conv_at_slot(const struct conv_table *ct, const struct slab *s, uint32_t slot)
{
	(void)ct;
	return (struct conv_node *)(s->base + (size_t)(slot - s->first) * s->stride);
}

struct conv_node *
conv_by_handle(struct conv_table *ct, struct conv_handle h)
{
	const struct slab *s = conv_slab_of_slot(ct, h.slot);
	struct conv_node *cn;

	if (s == NULL || h.gen == 0)
		return NULL;
	cn = conv_at_slot(ct, s, h.slot);
	return conv_get_gen(cn, h.gen) ? cn : NULL;
}

struct conv_node *
conv_next(struct conv_table *ct, uint32_t *slot, uint32_t most)
{
	for (; *slot < ct->slots && most > 0; most--) {
		const struct slab *s = conv_slab_of_slot(ct, *slot);
		struct conv_node *cn = conv_at_slot(ct, s, (*slot)++);

		if (conv_get_gen(cn, 0))
			return cn;
	}
	return NULL;
}

uint32_t
conv_slots(const struct conv_table *ct)
{
	return ct->slots;
}

uint64_t
conv_met(const struct worker *w)
{
	return w->seat->c.backlog_pushes + w->seat->c.backlog_drained;
}

void
conv_stats(const struct conv_table *ct, struct conv_counters *ret)
{
	uint64_t *sum = (uint64_t *)ret;

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < ct->nseats; i++) {
		const volatile uint64_t *c = (const volatile uint64_t *)&ct->seats[i].c;

		for (unsigned j = 0; j < sizeof(*ret) / sizeof(*sum); j++)
			sum[j] += c[j];
	}
}

uint32_t
conv_live(const struct conv_table *ct, enum node_kind kind)
{
	uint32_t given = atomic_load_explicit(&ct->slab[kind].given, memory_order_relaxed),
		 unused = 0;

	for (unsigned i = 0; i < ct->nseats; i++)
		unused += atomic_load_explicit(&ct->seats[i].allowed[kind], memory_order_relaxed);
	return given - RTE_MIN(given, unused);
}

bool
conv_full(const struct worker *w, enum node_kind kind)
{
	const struct slab *s = &w->convs->slab[kind];

	return atomic_load_explicit(&w->seat->allowed[kind], memory_order_relaxed) == 0 &&
		atomic_load_explicit(&s->given, memory_order_relaxed) >= s->limit;
}

uint32_t
conv_limit(const struct conv_table *ct, enum node_kind kind)
{
	return ct->slab[kind].limit;
}

uint64_t
conv_memory(const struct conv_table_conf *conf, const struct node_ops *const ops[NODE_KINDS])
{
	uint64_t bytes = 0, nodes = 0;

	for (unsigned k = 0; k < NODE_KINDS; k++) {
		uint64_t capacity = slab_capacity(conf->limit[k], conf->seats);

		/* Node, pool header and the pool's stack element. */
		bytes += capacity *
			(RTE_CACHE_LINE_ROUNDUP(ops[k]->size) + RTE_CACHE_LINE_SIZE + 16);
		nodes += conf->limit[k];
	}
	return bytes + ipht_memory((uint32_t)nodes);
}

/* ---- checking ---- */

static int
conv_check_node(struct conv_table *ct, struct conv_node *cn, char *fault, size_t len)
{
	uint64_t word = atomic_load(&cn->n.word);
	uint32_t refs = node_refs(word), owners = 0;
	struct key48 k = {.k = cn->n.key};
	struct node *found;

	if (refs == 0) {
		if ((word & ~(NODE_GEN_MASK | NODE_DEAD | NODE_LISTED)) == 0 &&
			atomic_load(&cn->n.backlog) == 0 &&
			atomic_load(&cn->timer.deadline) == CONV_TIMER_UNARMED)
			return 0;
		(void)snprintf(fault, len, "I9: free node %x has word %lx", cn->n.id, word);
		return -1;
	}
	/* What waits for the next turn stands on a list, so that somebody will come. */
	if ((word & NODE_INSIDE) != 0 ||
		(((word & NODE_WORK) != 0 || atomic_load(&cn->n.backlog) != 0) &&
			(word & (NODE_QUEUED | NODE_POSTED)) == 0)) {
		(void)snprintf(fault, len, "I8: node %x is not at rest: word %lx", cn->n.id, word);
		return -1;
	}
	owners += (word & NODE_DEAD) == 0;
	owners += (word & NODE_QUEUED) != 0;
	owners += (word & NODE_POSTED) != 0;
	owners += atomic_load(&cn->timer.deadline) != CONV_TIMER_UNARMED;
	if (refs < owners) {
		(void)snprintf(fault, len, "I3: node %x has %u refs and %u owners", cn->n.id, refs,
			owners);
		return -1;
	}
	if ((word & NODE_DEAD) != 0)
		return 0;
	found = ipht_look(ct->ipht, &k, cn->n.hash);
	if (found != NULL)
		node_unref(found);
	if (found != &cn->n) {
		(void)snprintf(fault, len, "I2: the key of node %x leads to %p, not %p", cn->n.id,
			(void *)found, (void *)cn);
		return -1;
	}
	return 1;
}

int
conv_check(struct conv_table *ct, char *fault, size_t len)
{
	struct conv_counters c;
	uint32_t living = 0;

	for (uint32_t slot = 0; slot < ct->slots; slot++) {
		const struct slab *s = conv_slab_of_slot(ct, slot);
		int r = conv_check_node(ct, conv_at_slot(ct, s, slot), fault, len);

		if (r < 0)
			return r;
		living += (uint32_t)r;
	}
	if (living != ipht_count(ct->ipht)) {
		(void)snprintf(fault, len, "I4: %u living nodes, %u in the table", living,
			ipht_count(ct->ipht));
		return -1;
	}
	conv_stats(ct, &c);
	if (c.recheck_failed != 0) {
		(void)snprintf(fault, len, "I5: %lu packets found a node of another key",
			c.recheck_failed);
		return -1;
	}
	return 0;
}
