/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A client for the simulator: opens a TCP conversation to an echo service, sends a stream whose every byte follows from
 * its place and the flow's seed, and checks what comes back, byte for byte and to the last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sim.h"

struct flow {
	uint64_t seed;
	uint64_t total; /* bytes to send and to get back */
	uint64_t sent, received;
	uint64_t wrong; /* bytes that were not what was sent */
	bool connected, eof, over;
	enum conv_end end;
	uint64_t opened_us, over_us;
	struct conv *c; /* referenced from flow_open until it is over */
};

extern const struct service flow_service;

/** Open it from worker w of a stack to k (see sim_key). @return 0 or what connect says */
int flow_open(struct worker *w, struct flow *f, const struct key *k);
/** True if it ended in order, all bytes having come back right. */
bool flow_ok(const struct flow *f);
