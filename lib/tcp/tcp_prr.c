/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Proportional rate reduction (RFC 9937, which obsoletes RFC 6937): while loss is repaired, or marks are answered,
 * what is in flight comes down to ssthresh along with what arrives, neither at once nor in bursts.
 */
#include "tcp_priv.h"

/** cwnd is to come down to ssthresh, which is set; flight: bytes that were in flight before this ACK (RecoverFS). */
void
tcp_prr_start(struct tcp_conv *tc, uint32_t flight)
{
	struct tcp_flight *f = tcp_flight(tc);

	f->prr_delivered = 0;
	f->prr_out = 0;
	f->recover_fs = RTE_MAX(flight, 1u);
}

/** Section 5: more is in flight than ssthresh: ssthresh bytes go for RecoverFS that came. */
static uint32_t
tcp_prr_proportional(const struct tcp_conv *tc, const struct tcp_flight *f)
{
	uint64_t due = (uint64_t)f->prr_delivered * tc->ssthresh + f->recover_fs - 1;

	due /= f->recover_fs;
	return due > f->prr_out ? (uint32_t)RTE_MIN(due - f->prr_out, (uint64_t)UINT32_MAX) : 0;
}

/** Less is in flight: one for one, and, if all goes well, a segment more (slow start), up to ssthresh. */
static uint32_t
tcp_prr_bound(const struct tcp_conv *tc, uint32_t inflight, uint32_t delivered, bool safe)
{
	const struct tcp_flight *f = tcp_flight(tc);
	uint32_t owed = f->prr_delivered > f->prr_out ? f->prr_delivered - f->prr_out : 0;
	uint32_t n = RTE_MAX(owed, delivered);

	if (safe)
		n += tcp_payload_max(tc);
	return RTE_MIN(n, tc->ssthresh - inflight);
}

/**
 * So many bytes were delivered. Not called without: what is found lost meanwhile may be sent again within the old cwnd.
 * @param safe SND.UNA went on, and nothing more is believed lost
 */
void
tcp_prr(struct tcp_conv *tc, uint32_t delivered, bool safe)
{
	struct tcp_flight *f = tcp_flight(tc);
	uint32_t inflight = tcp_pipe(tc), n;

	f->prr_delivered += delivered;
	if (inflight > tc->ssthresh)
		n = tcp_prr_proportional(tc, f);
	else
		n = tcp_prr_bound(tc, inflight, delivered, safe);
	/* The fast retransmit. */
	if (f->prr_out == 0 && n == 0)
		n = tcp_payload_max(tc);
	tc->cwnd = inflight + n;
}
