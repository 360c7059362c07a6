/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Slabs: an rte_mempool over one contiguous memzone, so that slot and node name each other.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>

#include "conv_priv.h"

/* Nodes that a thread's cache of the pool may hold, as many as a mempool allows; it keeps up to 1.5x. */
#define SLAB_CACHE RTE_MEMPOOL_CACHE_MAX_SIZE

uint32_t
slab_capacity(uint32_t limit, unsigned seats)
{
	return limit + (seats + 1) * (SLAB_CACHE + SLAB_CACHE / 2);
}

/*
 * A limit is shared out in pieces, so that making a node does not cost a line that all workers write: a seat asks for so many
 * at once, and keeps no more than twice as many. All seats together keep less than 1 % of the limit.
 */
#define SHARE_MAX 32

static uint32_t
slab_share(uint32_t limit, unsigned seats)
{
	return RTE_MIN((uint32_t)SHARE_MAX, limit / (256 * (seats + 1)));
}

/** One node of the limit, of what the seat is allowed or else of what is left. All relaxed: counts, nothing is handed over by them. */
bool
slab_take(struct slab *s, _Atomic uint32_t *allowed)
{
	uint32_t mine = atomic_load_explicit(allowed, memory_order_relaxed);
	uint32_t given;

	if (mine == 0) {
		given = atomic_load_explicit(&s->given, memory_order_relaxed);
		do {
			if (given >= s->limit)
				return false;
			mine = RTE_MIN(RTE_MAX(s->share, 1u), s->limit - given);
		} while (!atomic_compare_exchange_weak_explicit(&s->given, &given, given + mine,
			memory_order_relaxed, memory_order_relaxed));
	}
	atomic_store_explicit(allowed, mine - 1, memory_order_relaxed);
	return true;
}

/** n nodes have gone. Relaxed: as above. */
void
slab_give(struct slab *s, _Atomic uint32_t *allowed, uint32_t n)
{
	uint32_t mine = atomic_load_explicit(allowed, memory_order_relaxed) + n;

	if (mine > 2 * s->share) {
		atomic_fetch_sub_explicit(&s->given, mine - s->share, memory_order_relaxed);
		mine = s->share;
	}
	atomic_store_explicit(allowed, mine, memory_order_relaxed);
}

struct slab_init {
	struct slab *s;
	enum node_kind kind;
	uint32_t slot;
};

static void
slab_node_init(struct rte_mempool *mp, void *arg, void *obj, unsigned i)
{
	struct slab_init *init = arg;
	struct conv_node *cn = obj;

	(void)mp;
	(void)i;
	if (init->slot == 0)
		init->s->base = obj;
	assert((uint8_t *)obj == init->s->base + (size_t)init->slot * init->s->stride);
	memset(cn, 0, init->s->ops.size);
	cn->n.id = (uint32_t)init->kind << NODE_ID_KIND_SHIFT | init->slot++;
	atomic_init(&cn->n.word, NODE_GEN_ONE);
}

static int
slab_populate(struct conv_table *ct, struct slab *s, enum node_kind kind)
{
	struct slab_init init = {.s = s, .kind = kind};
	size_t bytes;
	int n;

	s->stride = s->mp->header_size + s->mp->elt_size + s->mp->trailer_size;
	bytes = (size_t)s->capacity * s->stride + RTE_MEMPOOL_ALIGN;
	s->mz = rte_memzone_reserve_aligned(s->mp->name, bytes, ct->conf.socket_id,
		RTE_MEMZONE_SIZE_HINT_ONLY, RTE_CACHE_LINE_SIZE);
	if (s->mz == NULL)
		return -ENOMEM;
	/* Not the default ring: where there are more workers than cores, a thread that is preempted
	 * in the middle of a ring's enqueue makes all others spin until it runs again. */
	if (rte_mempool_set_ops_byname(s->mp, "lf_stack", NULL) != 0)
		return -EINVAL;
	n = rte_mempool_populate_iova(s->mp, s->mz->addr, RTE_BAD_IOVA, bytes, NULL, NULL);
	if (n < (int)s->capacity)
		return n < 0 ? n : -ENOMEM;
	rte_mempool_obj_iter(s->mp, slab_node_init, &init);
	return 0;
}

int
slab_start(struct conv_table *ct, enum node_kind kind)
{
	struct slab *s = &ct->slab[kind];
	char name[RTE_MEMPOOL_NAMESIZE];
	int err;

	s->limit = ct->conf.limit[kind];
	s->share = slab_share(s->limit, ct->conf.seats);
	s->capacity = slab_capacity(s->limit, ct->conf.seats);
	(void)snprintf(name, sizeof(name), "%.16s.%u", ct->name, (unsigned)kind % NODE_KINDS);
	s->mp = rte_mempool_create_empty(name, s->capacity, RTE_CACHE_LINE_ROUNDUP(s->ops.size),
		SLAB_CACHE, 0, ct->conf.socket_id,
		RTE_MEMPOOL_F_NO_SPREAD | RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (s->mp == NULL)
		return -rte_errno;
	err = slab_populate(ct, s, kind);
	if (err != 0)
		slab_free(s);
	return err;
}

void
slab_free(struct slab *s)
{
	rte_mempool_free(s->mp);
	s->mp = NULL;
	if (s->mz != NULL)
		rte_memzone_free(s->mz);
	s->mz = NULL;
}
