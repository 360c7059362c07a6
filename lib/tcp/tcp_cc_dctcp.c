/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Data Center TCP (RFC 8257): the window comes down by as much as was marked. Alpha, the part of what is
 * sent that gets marked, is kept in cc_acked; loss is answered, and the window grows, as in NewReno. Without ECN
 * it is NewReno.
 */
#include "tcp_priv.h"

#define DCTCP_ONE (1u << 20) /* alpha of 1 */
#define DCTCP_G   4 /* the weight of the newest window is 1/16 (section 4.2) */

static void
dctcp_init(struct tcp_conv *tc)
{
	tcp_cc_newreno.init(tc);
	tc->cc_acked = DCTCP_ONE;
}

static void
dctcp_acked(struct worker *w, struct tcp_conv *tc, uint32_t bytes)
{
	struct tcp_flight *f;

	(void)w;
	bytes = tcp_slow_start(tc, bytes);
	if (tc->sndq.head == NULL)
		return; /* with the last of the queue the credit went, too */
	f = tcp_flight(tc);
	f->dctcp.credit += bytes;
	if (f->dctcp.credit >= tc->cwnd) {
		f->dctcp.credit -= tc->cwnd;
		tc->cwnd += tcp_payload_max(tc);
	}
}

/** Section 3.3: once per window of data, alpha follows what part of it was marked. */
static void
dctcp_echo(struct tcp_conv *tc, uint32_t ack, bool ece)
{
	struct tcp_flight *f = tcp_flight(tc);
	uint32_t acked = ack - tc->snd_una, alpha = tc->cc_acked;

	if (f->dctcp.acked == 0)
		f->dctcp.end = tc->snd_nxt;
	f->dctcp.acked += acked;
	f->dctcp.marked += ece ? acked : 0;
	if (seq_lt(ack, f->dctcp.end))
		return;
	alpha -= alpha >> DCTCP_G;
	alpha += (uint32_t)((uint64_t)f->dctcp.marked * (DCTCP_ONE >> DCTCP_G) / f->dctcp.acked);
	tc->cc_acked = RTE_MIN(alpha, DCTCP_ONE);
	f->dctcp.acked = 0;
	f->dctcp.marked = 0;
}

/** Section 3.5: loss is loss. */
static uint32_t
dctcp_ssthresh(struct worker *w, struct tcp_conv *tc, uint32_t flight)
{
	(void)w;
	return RTE_MAX(flight / 2, 2 * tcp_payload_max(tc));
}

/** Section 3.3: cwnd * (1 - alpha / 2). */
static uint32_t
dctcp_marked(struct worker *w, struct tcp_conv *tc, uint32_t flight)
{
	uint64_t cut = (uint64_t)tc->cwnd * tc->cc_acked / (2 * DCTCP_ONE);

	(void)w;
	(void)flight;
	return RTE_MAX(tc->cwnd - (uint32_t)cut, 2 * tcp_payload_max(tc));
}

const struct tcp_cc tcp_cc_dctcp = {
	.name = "dctcp",
	.init = dctcp_init,
	.acked = dctcp_acked,
	.ssthresh = dctcp_ssthresh,
	.marked = dctcp_marked,
	.echo = dctcp_echo,
};
