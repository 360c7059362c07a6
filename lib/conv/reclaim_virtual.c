/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Grace periods for virtual workers: readers are numbers, all in one thread, and time is
 * the order of calls. Deterministic.
 */
#include <errno.h>
#include <stdlib.h>

#include "point.h"
#include "reclaim.h"

struct virtual_batch {
	struct virtual_batch *next;
	struct reclaim_batch b;
	uint64_t epoch; /* over when every reader has been quiescent after it */
};

struct virtual_seat {
	struct virtual_batch *first, *last;
};

struct reclaim_virtual {
	struct reclaim r;
	unsigned seats, readers;
	uint64_t epoch;
	uint64_t *seen; /* per reader: epoch of its last quiescent state; UINT64_MAX: offline */
	struct virtual_seat seat[];
};

static struct reclaim_virtual *
virtual_of(struct reclaim *r)
{
	return (struct reclaim_virtual *)r;
}

static void
virtual_quiescent(struct reclaim *r, unsigned reader)
{
	struct reclaim_virtual *v = virtual_of(r);

	POINT("quiescent", &v->epoch);
	v->seen[reader] = v->epoch;
}

static int
virtual_join(struct reclaim *r, unsigned reader)
{
	if (reader >= virtual_of(r)->readers)
		return -EINVAL;
	virtual_quiescent(r, reader);
	return 0;
}

static void
virtual_offline(struct reclaim *r, unsigned reader)
{
	virtual_of(r)->seen[reader] = UINT64_MAX;
}

static bool
virtual_submit(struct reclaim *r, unsigned seat, const struct reclaim_batch *b)
{
	struct reclaim_virtual *v = virtual_of(r);
	struct virtual_seat *s = &v->seat[seat];
	struct virtual_batch *vb = malloc(sizeof(*vb));

	if (vb == NULL)
		return false;
	POINT("retire_pre_grace", &v->epoch);
	*vb = (struct virtual_batch){.b = *b, .epoch = ++v->epoch};
	if (s->first == NULL)
		s->first = vb;
	else
		s->last->next = vb;
	s->last = vb;
	return true;
}

static bool
virtual_over(const struct reclaim_virtual *v, uint64_t epoch)
{
	for (unsigned i = 0; i < v->readers; i++)
		if (v->seen[i] < epoch)
			return false;
	return true;
}

static bool
virtual_collect(struct reclaim *r, unsigned seat, struct reclaim_batch *ret_b)
{
	struct reclaim_virtual *v = virtual_of(r);
	struct virtual_seat *s = &v->seat[seat];
	struct virtual_batch *vb = s->first;

	POINT("collect", &v->epoch);
	if (vb == NULL || !virtual_over(v, vb->epoch))
		return false;
	s->first = vb->next;
	*ret_b = vb->b;
	free(vb);
	return true;
}

static uint64_t
virtual_oldest_us(struct reclaim *r, uint64_t now_us)
{
	struct reclaim_virtual *v = virtual_of(r);
	uint64_t oldest = now_us;

	for (unsigned i = 0; i < v->seats; i++)
		if (v->seat[i].first != NULL && v->seat[i].first->b.born_us < oldest)
			oldest = v->seat[i].first->b.born_us;
	return now_us - oldest;
}

static void
virtual_free(struct reclaim *r)
{
	struct reclaim_virtual *v = virtual_of(r);

	if (v == NULL)
		return;
	for (unsigned i = 0; i < v->seats; i++) {
		struct virtual_batch *vb = v->seat[i].first, *next;

		for (; vb != NULL; vb = next) {
			next = vb->next;
			free(vb);
		}
	}
	free(v->seen);
	free(v);
}

static const struct reclaim_ops virtual_ops = {
	.join = virtual_join,
	.leave = virtual_offline,
	.quiescent = virtual_quiescent,
	.offline = virtual_offline,
	.online = virtual_quiescent,
	.submit = virtual_submit,
	.collect = virtual_collect,
	.oldest_us = virtual_oldest_us,
	.free = virtual_free,
};

struct reclaim *
reclaim_virtual_create(unsigned seats, unsigned readers, int *ret_err)
{
	struct reclaim_virtual *v = calloc(1, sizeof(*v) + seats * sizeof(v->seat[0]));

	*ret_err = -ENOMEM;
	if (v == NULL)
		return NULL;
	v->r.ops = &virtual_ops;
	v->seats = seats;
	v->readers = readers;
	v->seen = malloc(readers * sizeof(*v->seen));
	if (v->seen == NULL) {
		free(v);
		return NULL;
	}
	/* Nobody has joined yet. */
	for (unsigned i = 0; i < readers; i++)
		v->seen[i] = UINT64_MAX;
	return &v->r;
}
