/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Conversations, opened and closed as fast as possible over few tuples and few slots. What they say names the tuple and the
 * incarnation that it belongs to, byte by byte, so whoever gets what is not his notices.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto.h"

/** What a stream, or a datagram, is made of. */
struct record {
	uint64_t tuple; /* family, protocol, the client's port and the server's */
	uint64_t incarnation; /* of that tuple: the how manyth conversation of it */
	uint32_t index; /* in the stream */
	uint32_t check; /* of all above */
};

/** The tuple, as both ends see it: from the client's side. */
uint64_t record_tuple(const struct key *k, bool client);
void record_fill(struct record *r, uint64_t tuple, uint64_t incarnation, uint64_t index);

/** What a conversation has got so far. */
struct record_reader {
	uint64_t incarnation; /* 0: not known yet */
	uint32_t at; /* bytes read */
	uint32_t wrong;
};
/** Check what m brings. @return bytes that are not what was to come */
uint32_t record_check(struct record_reader *r, uint64_t tuple, const struct rte_mbuf *m);

/** Counted by all workers. */
struct torture_counts {
	_Atomic uint64_t
		misdelivered; /* bytes that belong to another tuple, incarnation or place; datagrams likewise */
	_Atomic uint64_t opened[2], refused; /* TCP, UDP; active opens that could not be */
	_Atomic uint64_t ended[CONV_END_MAX];
	_Atomic uint64_t stale_handles, hangups; /* by the control threads */
	_Atomic uint64_t listens; /* times the listeners were closed and opened again */
};
extern struct torture_counts torture_counts;
extern bool torture_poisons;
extern bool torture_ends; /* at the first misdelivery, and with it the program */

/** host 0: open what is closed. Before each turn of a worker of it. */
void caller_turn(struct worker *w, unsigned workers);
/** host 1: who answers. */
extern const struct service answer_tcp, answer_udp;

static inline void
torture_count(_Atomic uint64_t *n, uint64_t by)
{
	/* Relaxed: only a count. */
	atomic_fetch_add_explicit(n, by, memory_order_relaxed);
}

/** By bytes, or datagrams: they came where they don't belong. */
void torture_misdelivered(uint64_t n);
