/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Two whole stacks, each with several virtual workers, joined by a link that loses,
 * delays, reorders, repeats and damages frames, with a router in its middle; one thread, virtual time, and one seed
 * that decides everything, which worker runs when included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stack.h"

/** One direction of the link. Chances are in parts of a million. */
struct sim_link {
	uint32_t loss, duplicate, reorder;
	/* One bit, or up to 15 in a row (more could pass the Internet checksum), or all from some byte on cut off. */
	uint32_t corrupt;
	/* Loss in bursts (Gilbert, Elliott): into the bad state, out of it, loss in it; a pause of 100 ms ends it, too. */
	uint32_t bad_enter, bad_leave, bad_loss;
	uint64_t delay_us, jitter_us; /* a reordered frame waits up to 4 * (delay + jitter) more */
	uint64_t rate_bps; /* 0: without limit */
	uint32_t queue; /* full frames that may wait where there is a rate; 0: 1000 */
	uint32_t mark; /* ECN: so many waiting, and CE is set (RFC 3168); 0: never */
	uint16_t mtu; /* of IP packets half way; 0: as the hosts' */
	bool black_hole; /* nobody tells who sends longer ones */
	bool down; /* nothing gets through */
	bool unreachable; /* and the router says so */
};

struct sim_conf {
	uint64_t seed;
	unsigned workers[2]; /* of each host; as many seats */
	bool tso[2]; /* the port of each host cuts packets into TCP segments */
	bool deal; /* workers come and go: the seats are dealt anew, to some of them, every 50 steps or so */
	enum stack_spread spread; /* RSS: the seed chooses who polls a frame */
	struct sim_link link[2]; /* from host 0, from host 1 */
	uint16_t mtu; /* of the hosts; 0: 1500 */
	uint32_t conversations; /* limit of each host; 0: 256 */
	uint32_t time_wait, fragments; /* 0: as conversations, 64 */
	uint32_t mbufs; /* of each host; 0: 4096 */
	struct tcp_conf tcp; /* of both */
	uint32_t udp_idle_ms;
	/* Sums (I5, I10) are checked after every step, all nodes (I1-I10) each so many steps; 0: only at the end. */
	uint32_t check_every;
	const char *pcapng; /* file to write what both hosts send and get; NULL: none */
};

struct sim_counters {
	uint64_t sent, delivered, lost, burst_lost, duplicated, reordered, corrupted, cut;
	uint64_t queue_drops, marked, too_big, black_holed, fragmented, partitioned, no_mbuf;
	uint64_t steps, checks, deals;
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
/** A number that two runs of one seed have in common, and no others: of all frames that were sent, and when. */
uint64_t sim_trace(const struct sim *s);
/** An invariant that was found broken; NULL: none. */
const char *sim_fault(const struct sim *s);
/** Change one direction of the link while frames are under way. */
void sim_link_set(struct sim *s, unsigned from, const struct sim_link *link);

/** One step: most workers of both hosts take a turn, in random order; then time goes on, at most to limit_us. */
void sim_step(struct sim *s, uint64_t limit_us);
/** Step until done(arg), until us have passed, or until an invariant breaks. @return true if done */
bool sim_run(struct sim *s, uint64_t us, bool (*done)(void *arg), void *arg);

/** The tuple for an active open from host 0 to host 1 (v6 or v4) at port. */
struct key sim_key(bool v6, uint8_t proto, uint16_t port);
/** The same to either host. */
struct key sim_key_to(unsigned host, bool v6, uint8_t proto, uint16_t port);
