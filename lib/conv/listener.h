/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A listener: the configuration that the calls to one address and port (or a range of
 * ports) are served with. Made and removed by the control thread; workers find it through
 * ipht_match, never enter it, and keep what they count per worker.
 *
 * Its conversations are counted per worker (one cell each, so nobody shares a line), and the sum
 * says when it may be freed: after removal and a grace period no count rises, so a sum of 0 is final.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto.h"
#include "worker.h"

struct prefix {
	uint8_t addr[16];
	uint8_t len; /* of the 128 bits: IPv4 prefixes count 96 more */
};

struct listener_cell {
	_Atomic int64_t convs; /* opened minus closed on this worker; may be negative */
	_Atomic uint64_t accepted; /* calls, or UDP conversations */
	_Atomic uint64_t refused; /* by a limit */
	_Atomic uint64_t denied; /* by allow and deny */
	_Atomic uint64_t bytes_in, bytes_out;
} __rte_cache_aligned;

struct listener_conf {
	const char *name;
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t laddr[16]; /* as ipht_listen wants it */
	uint16_t zone; /* 0 or IPHT_ZONE_ANY6 */
	uint16_t port_lo, port_hi;
	const struct service *service;
	void *options; /* parsed; owned by the listener from now on */
	bool one; /* UDP: one conversation for all peers */
	const struct prefix *allow, *deny; /* copied */
	unsigned nallow, ndeny;
	uint32_t half_open; /* most half-open calls */
};

struct listener {
	char name[32];
	uint8_t proto;
	bool one;
	uint8_t laddr[16];
	uint16_t zone;
	uint16_t port_lo, port_hi;
	const struct service *service;
	void *options;
	struct prefix *allow, *deny;
	unsigned nallow, ndeny;
	uint32_t half_open_max;
	_Atomic uint32_t half_open; /* calls that are half open now */
	_Atomic uint32_t
		gen; /* moves on when it closes: half-open calls of an older one are dead (I6) */
	_Atomic bool closed; /* or not open yet */
	struct listen_node *nodes; /* one per port */
	struct listener *next; /* the control thread's list of those that are closed */
	uint64_t fence; /* ticket: set when closed */
	struct listener_cell cells[WORKER_MAX + 1];
};

/** What the table holds for a listener: one per port. */
struct listen_node {
	struct node n;
	struct listener *l;
	int position; /* of the key slot, once out of the table */
};

/** @return 0 and the listener in the table; -EADDRINUSE, -ENOSPC, -ENOMEM, -EINVAL (also: one, and the service has no
 * datagram). On failure options stay the caller's. w is the control thread's. */
int listener_open(struct worker *w, const struct listener_conf *conf, struct listener **ret_l);
/** Out of the table; calls that are not yet complete die as they are met. Freed by listener_sweep. */
void listener_close(struct worker *w, struct listener *l);
/** Free the closed listeners whose grace period is over and whose last conversation has gone.
 * @return how many are still waiting */
unsigned listener_sweep(struct worker *w);
/** Free all closed listeners, waiting for nobody: no reader is left. */
void listener_free_closed(struct worker *w);
/** Conversations and calls that hold it now; exact once it is closed and a grace period has passed. */
int64_t listener_convs(const struct listener *l);

/** True if the listener's allow and deny lists let raddr in: deny first, then allow (empty: all). */
bool listener_allows(const struct listener *l, const uint8_t raddr[16]);

/** The listener of a match; valid until the quiescent state, longer only while counted. */
static inline struct listener *
listener_of(struct node *n)
{
	return ((struct listen_node *)n)->l;
}

/** This worker adds d to one of its own cells: only it writes there, others read. */
#define LISTENER_ADD(w, l, field, d)                                                          \
	atomic_store_explicit(&(l)->cells[(w)->id].field,                                     \
		atomic_load_explicit(&(l)->cells[(w)->id].field, memory_order_relaxed) + (d), \
		memory_order_relaxed)

/**
 * A conversation or call less holds l; after this the caller touches it no more. Release: pairs with listener_convs, so that
 * whoever frees a listener that nobody holds does so after all that was done to it.
 */
static inline void
listener_let_go(struct worker *w, struct listener *l)
{
	_Atomic int64_t *n = &l->cells[w->id].convs;

	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) - 1, memory_order_release);
}
