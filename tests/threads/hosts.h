/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Two stacks under real threads and liburcu, in one process, joined by rings: host 0 is 10.9.0.1 and fd09::1, host 1 is
 * 10.9.0.2 and fd09::2. Spread "packet": each packet meets whatever worker takes it. Each host has a thread per
 * worker and a control thread, which ticks every 10 ms.
 */
#pragma once

#include <stdbool.h>

#include "stack.h"

struct hosts_conf {
	const char *name; /* of the program; up to 6 bytes */
	unsigned workers[2];
	uint32_t conversations, time_wait; /* limits of each host */
	uint32_t mbufs; /* of each host; 0: 8191 */
	uint32_t udp_idle_ms;
	struct tcp_conf tcp;
	/** Before each turn of worker i, on its thread, with seat i (which is its own unless seats are dealt anew; seat 0 is
	 * always worker 0's), until hosts_stop. May be NULL. */
	void (*turn)(unsigned host, struct worker *w);
	/** Before each tick of a control thread, on it, until hosts_stop; also once before the first worker runs. May be NULL. */
	void (*tick)(unsigned host, struct stack *s);
};

/** Start them; returns when all addresses are usable. Ends the program if it can't. */
void hosts_start(const struct hosts_conf *conf);
struct stack *hosts_stack(unsigned host);
/** Frames that the link has lost: no buffer at the other host, or too many under way. Any thread. */
uint64_t hosts_lost(void);
/** Nothing lives, nothing is held. */
bool hosts_at_baseline(void);
/** Close all listeners of host 1, wait until both are at baseline (or `seconds` have gone), end all threads.
 * @return false, with a line on stdout, if one is not at baseline, or an invariant is broken */
bool hosts_stop(unsigned seconds);
void hosts_wait_ms(unsigned ms);
