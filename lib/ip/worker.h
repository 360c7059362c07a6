/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What a thread that runs the stack carries with it: its number, the time, a
 * source of randomness, an output burst, counters, and the way to each library's
 * state. Everything in it is written by its own thread only; other threads may
 * read the counters (aligned 64-bit loads, each a value that was true once).
 *
 * Libraries take time and randomness from here and from nowhere else, so the same
 * code runs on a NIC and in a simulator where one thread plays several workers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#define WORKER_MAX     64 /* most workers, the control thread's not among them */
#define WORKER_BURST   64 /* most packets taken, and sent, at a time */
#define WORKER_IFC_MAX 32 /* most interfaces */

enum drop_reason {
#define DROP(id, name, help, ...) DROP_##id,
#include "drop.def"
#undef DROP
	DROP_MAX
};

struct ip;
struct conv_table;
struct seat;
struct tcp;
struct udp;
struct conv_node;

/**
 * The sum of product.md's promise 1: at rest, summed over all workers,
 * received = delivered + consumed + drops + (held_in - held_out).
 */
struct worker_counters {
	uint64_t received;
	uint64_t delivered; /* taken in by a conversation */
	uint64_t consumed; /* handled by the stack itself */
	uint64_t drops[DROP_MAX];
	uint64_t held_in, held_out; /* into and out of rings, backlogs, reassembly */
	uint64_t sent; /* handed to a port */
	uint64_t tx_drops; /* made, but no room on the port: the peer sees loss */
	uint64_t tx_no_mbuf; /* not made for want of a buffer */
	uint64_t turns, idle_turns;
};

struct worker_tx {
	uint16_t n;
	uint32_t bytes;
	struct rte_mbuf *m[WORKER_BURST];
};

struct worker {
	uint32_t id; /* 0 .. WORKER_MAX-1; WORKER_MAX is the control thread's */
	uint32_t now_ms; /* now_us / 1000, wraps; for timers kept in 32 bits */
	uint64_t now_us; /* read once per turn, never goes back */
	uint64_t rng[4]; /* xoshiro256** state */
	uint64_t rng_rest; /* what worker_random16 has drawn and not given away */
	struct conv_node *in; /* the node this worker is inside of, or NULL (I7) */
	bool in_next; /* who is to be entered again in the next turn (conv_kick_next) */
	struct seat *seat; /* lib/conv: whose wheel, lists and batches are served just now */

	struct rte_mempool *mp; /* payload buffers; private area >= sizeof(struct pkt) */
	struct rte_mempool *mp_small; /* headers and clones; the same private area */

	struct ip *ip;
	struct conv_table *convs;
	struct tcp *tcp;
	struct udp *udp;

	struct rte_mbuf *again; /* packets to be looked up once more in this turn, FIFO */
	struct rte_mbuf *again_tail;

	/* Puts n packets on interface ifc; returns how many were taken. */
	uint16_t (*tx_burst)(void *arg, unsigned ifc, struct rte_mbuf **m, uint16_t n);
	void *tx_arg;
	struct worker_tx tx[WORKER_IFC_MAX];
	uint32_t tx_pending; /* bit i: tx[i] holds packets */

	struct worker_counters c;
} __rte_cache_aligned;

/**
 * Ms since then_ms (less than 24 days ago). A worker's clock is that of its turn's start, so what another one
 * has just written may be a little later: that is 0, not 49 days.
 */
static inline uint32_t
worker_since_ms(const struct worker *w, uint32_t then_ms)
{
	int32_t ms = (int32_t)(w->now_ms - then_ms);

	return ms > 0 ? (uint32_t)ms : 0;
}

/** Seed the random source; the same seed gives the same sequence. */
void worker_seed(struct worker *w, uint64_t seed);

/** 64 random bits (xoshiro256**; Blackman, Vigna 2018). Not for secrets: see key_siphash. */
uint64_t worker_random(struct worker *w);

/** 16 random bits. */
static inline uint16_t
worker_random16(struct worker *w)
{
	if (w->rng_rest == 0)
		w->rng_rest = worker_random(w);
	w->rng_rest >>= 16;
	return (uint16_t)w->rng_rest;
}

/** A name such as "tcp_window", or NULL if r is not a reason. */
const char *drop_name(enum drop_reason r);
/** One line that explains it. */
const char *drop_help(enum drop_reason r);

/** Drop a received packet: count it and free it. Consumes m. */
static inline void
drop(struct worker *w, struct rte_mbuf *m, enum drop_reason r)
{
	w->c.drops[r]++;
	rte_pktmbuf_free(m);
}

/** The stack itself handled a received packet: count it and free it. Consumes m. */
static inline void
consume(struct worker *w, struct rte_mbuf *m)
{
	w->c.consumed++;
	rte_pktmbuf_free(m);
}

/** Hand the packets that wait for interface ifc to its port; what it refuses is dropped. */
void worker_flush_ifc(struct worker *w, unsigned ifc);

/** Hand all packets that wait to their ports. Once per turn, and when a burst is full. */
void worker_flush(struct worker *w);

/** Queue a complete frame for interface ifc. Consumes m. */
static inline void
worker_tx(struct worker *w, unsigned ifc, struct rte_mbuf *m)
{
	struct worker_tx *t = &w->tx[ifc];

	t->bytes += m->pkt_len;
	t->m[t->n++] = m;
	w->tx_pending |= UINT32_C(1) << ifc;
	if (t->n == WORKER_BURST)
		worker_flush_ifc(w, ifc);
}
