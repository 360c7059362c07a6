/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Grace periods, as an interface: after a batch of retired nodes is submitted,
 * it comes back once every reader has passed a quiescent state. Two
 * implementations: liburcu QSBR with a reclaimer thread (reclaim_urcu.c), and a
 * virtual one for many virtual workers in one thread (reclaim_virtual.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/** Nodes retired together: a chain of node ids, through kick_next. */
struct reclaim_batch {
	uint32_t head; /* NODE_ID_NONE: empty */
	uint32_t n;
	uint64_t born_us; /* when the first one was retired */
};

struct reclaim;

struct reclaim_ops {
	/** This thread (or virtual worker) becomes a reader, online. */
	int (*join)(struct reclaim *r, unsigned reader);
	void (*leave)(struct reclaim *r, unsigned reader);
	/** Reader holds no node and no candidate just now. */
	void (*quiescent)(struct reclaim *r, unsigned reader);
	/** Around sleeps: offline readers delay nobody. */
	void (*offline)(struct reclaim *r, unsigned reader);
	void (*online)(struct reclaim *r, unsigned reader);
	/** Hand a batch over; false if there is no room now: keep it and try next turn. */
	bool (*submit)(struct reclaim *r, unsigned seat, const struct reclaim_batch *b);
	/** A batch of this seat whose grace period is over; false if there is none. */
	bool (*collect)(struct reclaim *r, unsigned seat, struct reclaim_batch *ret_b);
	/** Age of the oldest batch whose grace period is not over, 0 if there is none. Any thread. */
	uint64_t (*oldest_us)(struct reclaim *r, uint64_t now_us);
	void (*free)(struct reclaim *r);
};

struct reclaim {
	const struct reclaim_ops *ops;
};

/** liburcu's QSBR; starts the reclaimer thread. Readers are real threads. @return NULL on -ENOMEM, -EAGAIN */
struct reclaim *reclaim_urcu_create(unsigned seats, int *ret_err);
/** Virtual: readers are numbers < readers; deterministic. */
struct reclaim *reclaim_virtual_create(unsigned seats, unsigned readers, int *ret_err);
