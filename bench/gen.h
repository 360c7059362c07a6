/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A generator that lives in the callbacks of a stack (struct stack_io): what a worker receives is made when it asks for it, and what
 * it sends is looked at and freed at once. Echo through conversations that belong to one queue each, or one conversation
 * whose packets all workers share.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "stack.h"
#include "tcp_peer.h"

#define GEN_QUEUES 2
#define GEN_BURST  32

enum gen_kind {
	GEN_UDP, /* echo of 18 bytes, many conversations */
	GEN_TCP, /* echo of 64 bytes, many conversations */
	GEN_UDP_ONE, /* echo of 18 bytes, one */
	GEN_TCP_ONE, /* a stream to discard, one */
	GEN_UDP_BOTH, /* as GEN_UDP_ONE, but its packets come on every queue */
};

/** Of one queue and the seat of the same number; its worker's alone, but what is atomic. */
struct gen_queue {
	uint64_t state; /* of the order */
	uint32_t next; /* of the flows in turn */
	bool half; /* TCP: segments have been sent, the ACKs for their answers have not */
	uint32_t peer[GEN_BURST]; /* of the last burst */
	_Atomic bool told; /* the router has said that it is there */
	uint64_t heard_tsc; /* when something came back last */
	_Atomic bool opened; /* every flow of it has been used once */
	_Atomic uint64_t made; /* packets to be answered */
	_Atomic uint64_t given_up; /* of these; an answer that came twice counts as well */
	_Atomic uint64_t back; /* answers that this seat has sent; a stream: bytes acknowledged */
	uint64_t bad; /* that were not what was to come */
	uint64_t cycles; /* in here */
} __rte_cache_aligned;

/** The one stream's sender. */
struct gen_stream {
	uint32_t snd; /* next to be sent; queue 0's worker */
	uint64_t heard_tsc; /* when una last moved, or all was sent anew; queue 0's worker */
	uint32_t heard_una;
	uint32_t rcv; /* next of theirs, and their window's scale: written before `open` */
	uint8_t scale;
	_Atomic bool open;
	_Atomic uint32_t una, edge; /* acknowledged, and allowed up to: only grow */
	_Atomic uint32_t ts_ecr;
} __rte_cache_aligned;

struct gen {
	enum gen_kind kind;
	struct stack *s;
	bool one; /* conversation */
	uint32_t flows;
	unsigned queues;
	struct tcp_peers peers;
	_Atomic bool quiet; /* make no more */
	struct gen_stream stream;
	struct gen_queue q[GEN_QUEUES];
};

/** queues: as many as there are workers, for kinds of many conversations. Set g->s before the first packet. */
void gen_init(struct gen *g, enum gen_kind kind, uint32_t flows, unsigned queues);
void gen_free(struct gen *g);
/** Callbacks of struct stack_io; arg is the struct gen. */
uint16_t gen_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n);
uint16_t gen_tx(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n);

/** Every conversation is there. Any thread. */
bool gen_opened(struct gen *g);
/** Packets answered by seat, or segments acknowledged (one stream: seat 0's is all). Any thread. */
uint64_t gen_back(struct gen *g, unsigned seat);
