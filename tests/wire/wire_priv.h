/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of the harness.
 */
#pragma once

#include "held.h"
#include "util.h"
#include "wire.h"

#define INBOX 512

struct out_frame {
	uint32_t len;
	uint64_t at_us;
	uint8_t b[2048];
};

struct wire {
	struct wire_conf conf;
	struct stack *s;
	struct service service;
	struct listener *listener;
	uint64_t now_us;
	unsigned to;
	struct rte_mbuf *inbox[8][INBOX];
	unsigned nin[8];
	struct out_frame *out;
	unsigned nout, first;
	bool hold;
	struct held held;
	uint16_t next_port;
	struct wire_conn *accepting; /* who the next accepted call belongs to */
};

static inline struct test_addr
our_addr(const struct wire *w)
{
	return test_addr(w->conf.v6 ? "fd05::1" : "10.5.0.1");
}

static inline struct test_addr
peer_addr(const struct wire *w)
{
	return test_addr(w->conf.v6 ? "fd05::2" : "10.5.0.2");
}

/** The byte at a place of a stream. */
static inline uint8_t
pattern(uint64_t place, bool ours)
{
	return (uint8_t)((place * 31 + (place >> 8) * 7) ^ (ours ? 0x5a : 0));
}

/** A frame comes in, on the worker that wire_to has named. */
void wire_in(struct wire *w, const struct test_frame *f);
