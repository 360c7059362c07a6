/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The callers of svc_pair: each sends its number and a stream that follows from it, and checks what it gets against
 * its partner's. Some hang up in the middle if they are told to.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto.h"

#define PAIR_CLIENTS 8
#define PAIR_HEAD    8 /* bytes that say who is speaking */

struct pair_client {
	uint64_t number; /* from 1 */
	uint64_t total, sent, received, wrong;
	uint64_t hangup_at; /* leaves after so many bytes; 0: never */
	uint8_t head[PAIR_HEAD];
	uint64_t partner; /* 0: not heard yet */
	bool eof;
	_Atomic bool over; /* another thread may look */
	enum conv_end end;
	struct conv *c;
};

/** Call host key from w, on the thread of w; k->hangup_at is set before. k->c is referenced. Ends the test if it can't. */
void pair_client_open(struct pair_client *k, struct worker *w, const struct key *key,
	uint64_t number, uint64_t total);
/** All have done what they should: partners agree, streams are whole; one that left took its partner with it, and
 * nobody else. Says what is wrong, and of whom. */
bool pair_clients_ok(const struct pair_client k[PAIR_CLIENTS], const char *run);
bool pair_clients_over(const struct pair_client k[PAIR_CLIENTS]);
