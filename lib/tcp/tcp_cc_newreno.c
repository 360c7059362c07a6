/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * NewReno (RFC 5681, 6582) with appropriate byte counting (RFC 3465) and the initial window of RFC 6928.
 */
#include "tcp_priv.h"

static void
newreno_init(struct tcp_conv *tc)
{
	tc->cc_acked = 0;
	tc->ssthresh = UINT32_MAX;
	/* RFC 5681 section 3.1: one segment if SYN or SYN-ACK was lost. */
	tc->cwnd =
		(tc->c.flags & TCPF_SYN_RESENT) != 0 ? tcp_payload_max(tc) : tcp_initial_window(tc);
}

/**
 * Slow start, up to ssthresh: one ACK may speak for a whole window, and must not double what was just cut.
 *
 * RFC 3465 section 2.3 would have L = 2; receivers that acknowledge a burst at once are the rule by now, so L is 1
 * after a timeout and else unbounded.
 *
 * @return bytes that are left for congestion avoidance
 */
uint32_t
tcp_slow_start(struct tcp_conv *tc, uint32_t bytes)
{
	uint32_t n = (tc->c.flags & TCPF_LOSS) != 0 ? RTE_MIN(bytes, tcp_payload_max(tc)) : bytes;

	if (tc->cwnd >= tc->ssthresh)
		return bytes;
	n = RTE_MIN(n, tc->ssthresh - tc->cwnd);
	tc->cwnd += n;
	return tc->cwnd < tc->ssthresh ? 0 : bytes - n;
}

static void
newreno_acked(struct worker *w, struct tcp_conv *tc, uint32_t bytes)
{
	(void)w;
	bytes = tcp_slow_start(tc, bytes);
	/* Congestion avoidance: one segment per window that was acknowledged. */
	tc->cc_acked += bytes;
	if (tc->cc_acked >= tc->cwnd) {
		tc->cc_acked -= tc->cwnd;
		tc->cwnd += tcp_payload_max(tc);
	}
}

/* RFC 5681 equation 4. */
static uint32_t
newreno_ssthresh(struct worker *w, struct tcp_conv *tc, uint32_t flight)
{
	(void)w;
	tc->cc_acked = 0;
	return RTE_MAX(flight / 2, 2 * tcp_payload_max(tc));
}

const struct tcp_cc tcp_cc_newreno = {
	.name = "newreno",
	.init = newreno_init,
	.acked = newreno_acked,
	.ssthresh = newreno_ssthresh,
};
