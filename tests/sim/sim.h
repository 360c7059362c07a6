/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Two whole stacks, each with several virtual workers, joined by a link that loses,
 * delays, reorders, repeats and damages frames; one thread, virtual time, and one seed that decides
 * everything, which worker runs when included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stack.h"

/** Chances are in parts of a million. */
struct sim_link {
	uint32_t loss, duplicate, reorder, corrupt;
	uint64_t delay_us, jitter_us; /* a reordered frame waits up to 4 * (delay + jitter) more */
	uint64_t rate_bps; /* 0: without limit */
	uint32_t queue; /* frames that may wait where there is a rate; 0: 1000 */
	uint16_t mtu; /* 0: 1500 */
};

struct sim_conf {
	uint64_t seed;
	unsigned workers[2]; /* of each host */
	enum stack_spread spread;
	struct sim_link link;
	uint32_t conversations; /* limit of each host; 0: 256 */
	uint32_t mbufs; /* of each host; 0: 4096 */
};

struct sim_counters {
	uint64_t sent, delivered, lost, duplicated, reordered, corrupted, queue_drops, no_mbuf;
};

struct sim;

/** Two hosts on one link: host 0 is 10.9.0.1 and fd09::1, host 1 is 10.9.0.2 and fd09::2. Fails the test if it can't. */
struct sim *sim_create(const struct sim_conf *conf);
/** Check that every node, reference and buffer is back (after up to 200 s for time-wait), and free it.
 * @return 0, or -1 with what is wrong in fault */
int sim_free(struct sim *s, char *fault, size_t len);

struct stack *sim_stack(struct sim *s, unsigned host);
uint64_t sim_now_us(const struct sim *s);
uint64_t sim_random(struct sim *s);
const struct sim_counters *sim_counters(const struct sim *s);
/** Change the link while frames are under way. */
void sim_link_set(struct sim *s, const struct sim_link *link);

/** One step: every worker of both hosts takes a turn, in random order; then time goes on, at most to limit_us. */
void sim_step(struct sim *s, uint64_t limit_us);
/** Step until done(arg) or until us have passed. @return true if done */
bool sim_run(struct sim *s, uint64_t us, bool (*done)(void *arg), void *arg);

/** The tuple for an active open from host 0 to host 1 (v6 or v4) at port. */
struct key sim_key(bool v6, uint8_t proto, uint16_t port);
