/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A service for tests, and what a proxy will need: the calls to a listener are paired in the order in which
 * they are taken, and what one sends is written to the other, which may be on another worker.
 *
 * Nobody is ever inside both: a conversation puts packets into the other's inlet and kicks it. The inlet has one
 * producer and one consumer at a time, is bounded in bytes, and asks for a kick back when there is room again.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "proto.h"

#define SVC_PAIR_INLET 32768 /* most bytes in an inlet; one packet more may stand over it */

struct svc_pair;

/** Where calls wait to be paired: the listener's options. Zeroed by the test, and its own. */
struct svc_pair_hall {
	_Atomic(struct svc_pair *) waiting; /* one whose second side is still free */
	_Atomic uint64_t pairs;
	_Atomic uint64_t
		crossings; /* packets put in by another worker than took the last ones out */
	_Atomic uint64_t blocked; /* times an inlet was full */
};

extern const struct service svc_pair;
