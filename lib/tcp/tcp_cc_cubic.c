/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * CUBIC (RFC 9438). Between losses the window follows W(t) = C * (t - K)^3 + W_max. What is kept is not K and the
 * start of the epoch but the time at which the curve passes W_max: K is how far away that is, and an epoch that
 * was broken off (nothing left to send; the flight's state is gone) goes on from where cwnd stands on the curve.
 * W_max follows from ssthresh, and comes back with it when a loss is undone (section 4.9).
 */
#include "tcp_priv.h"

/* cc_acked is W_est in 1/16 bytes: what one ACK adds may be less than a byte. */
#define CUBIC_EST_SHIFT 4
#define CUBIC_EST_MAX   (UINT32_MAX >> CUBIC_EST_SHIFT)
#define CUBIC_SPAN_MS   100000 /* 400,000 segments away from W_max */

/* How W_max follows from ssthresh (tc->w_max). */
#define CUBIC_MAX_START 0 /* it is ssthresh: after slow start (RFC 9438 section 4.8) */
#define CUBIC_MAX_LOSS  1 /* ssthresh is beta, 0.7, of it (section 4.6) */
#define CUBIC_MAX_LOWER 2 /* and it is 0.85 of what was lost at: fast convergence (section 4.7) */

static void
cubic_init(struct tcp_conv *tc)
{
	tcp_cc_newreno.init(tc);
	tc->w_max = CUBIC_MAX_START;
}

/** The window at the last loss: cwnd_prior. */
static uint32_t
cubic_prior(const struct tcp_conv *tc)
{
	return (uint32_t)RTE_MIN((uint64_t)tc->ssthresh * 10 / 7, (uint64_t)CUBIC_EST_MAX);
}

static uint32_t
cubic_w_max(const struct tcp_conv *tc)
{
	if (tc->w_max == CUBIC_MAX_START)
		return RTE_MIN(tc->ssthresh, CUBIC_EST_MAX);
	return tc->w_max == CUBIC_MAX_LOSS ? cubic_prior(tc) : cubic_prior(tc) / 20 * 17;
}

/** Time has no meaning for the window any more. */
static void
cubic_epoch_end(struct tcp_conv *tc)
{
	if (tc->sndq.head != NULL)
		tcp_flight(tc)->cubic_ms = 0;
}

/** The whole part of the cube root. */
static uint32_t
cubic_root(uint64_t n)
{
	uint64_t r = 0;

	for (uint64_t bit = 1u << 20; bit > 0; bit >>= 1)
		if ((r + bit) * (r + bit) * (r + bit) <= n)
			r += bit;
	return (uint32_t)r;
}

/** How long the curve takes for the last `bytes` up to W_max, or the first ones past it: K of equation 2. */
static uint32_t
cubic_k_ms(uint64_t bytes, uint32_t mss)
{
	return RTE_MIN(cubic_root(bytes * 2500000000u / mss), (uint32_t)CUBIC_SPAN_MS);
}

/** Equation 1: what the window is to be at a time that is `ms` past (or before) that of W_max. */
static uint64_t
cubic_window(uint32_t w_max, int32_t ms, uint32_t mss)
{
	int64_t t = RTE_MAX(RTE_MIN(ms, CUBIC_SPAN_MS), -CUBIC_SPAN_MS);
	int64_t w = (int64_t)w_max + t * t * t / 1000000 * 4 * mss / 10000;

	return w < 0 ? 0 : (uint64_t)w;
}

/** Congestion avoidance begins, or goes on after a pause (section 4.2; 5.8: the pause does not count). */
static void
cubic_epoch(struct worker *w, struct tcp_conv *tc, uint32_t mss)
{
	uint32_t w_max = cubic_w_max(tc), at;

	at = tc->cwnd < w_max ? w->now_ms + cubic_k_ms(w_max - tc->cwnd, mss)
			      : w->now_ms - cubic_k_ms(tc->cwnd - w_max, mss);
	tcp_flight(tc)->cubic_ms = at == 0 ? 1 : at;
	tc->cc_acked = RTE_MIN(tc->cwnd, CUBIC_EST_MAX) << CUBIC_EST_SHIFT;
}

/** Section 4.3: what Reno with a beta of 0.7 would have. @return W_est */
static uint32_t
cubic_estimate(struct tcp_conv *tc, uint32_t bytes, uint32_t mss)
{
	uint64_t step = ((uint64_t)mss * bytes << CUBIC_EST_SHIFT) / tc->cwnd;
	uint32_t est = tc->cc_acked >> CUBIC_EST_SHIFT;

	/* Alpha is 3 * (1 - beta) / (1 + beta), and 1 from the window before the loss on. */
	if (est < cubic_prior(tc))
		step = step * 9 / 17;
	tc->cc_acked = (uint32_t)RTE_MIN(tc->cc_acked + step, (uint64_t)UINT32_MAX);
	return tc->cc_acked >> CUBIC_EST_SHIFT;
}

static void
cubic_acked(struct worker *w, struct tcp_conv *tc, uint32_t bytes)
{
	uint32_t mss = tcp_payload_max(tc), w_max, est;
	uint64_t target;
	int32_t ms;

	if (tc->cwnd < tc->ssthresh) {
		/* Section 4.8: what was before a timeout is no guide any more. */
		if ((tc->c.flags & TCPF_LOSS) != 0)
			tc->w_max = CUBIC_MAX_START;
		cubic_epoch_end(tc);
		bytes = tcp_slow_start(tc, bytes);
	}
	if (bytes == 0 || tc->sndq.head == NULL)
		return; /* with the last of the queue the epoch went, too */
	if (tcp_flight(tc)->cubic_ms == 0)
		cubic_epoch(w, tc, mss);
	w_max = cubic_w_max(tc);
	ms = (int32_t)(w->now_ms - tcp_flight(tc)->cubic_ms);
	est = cubic_estimate(tc, bytes, mss);
	/* Section 4.4, 4.5: to where the curve is in a round trip, at most half as much again. */
	target = cubic_window(w_max, ms + (int32_t)(tc->srtt_us / 8000), mss);
	target = RTE_MIN(target, (uint64_t)tc->cwnd + tc->cwnd / 2);
	if (target > tc->cwnd)
		tc->cwnd += (uint32_t)((target - tc->cwnd) * RTE_MIN(bytes, tc->cwnd) / tc->cwnd);
	tc->cwnd = RTE_MAX(tc->cwnd, est);
}

/** Sections 4.6, 4.7. */
static uint32_t
cubic_ssthresh(struct worker *w, struct tcp_conv *tc, uint32_t flight)
{
	uint32_t was = RTE_MIN(RTE_MIN(flight, tc->cwnd), CUBIC_EST_MAX);

	(void)w;
	/* Fast convergence: who loses before it has come as far as last time leaves room for others. */
	tc->w_max = tc->w_max != CUBIC_MAX_START && was < cubic_w_max(tc) ? CUBIC_MAX_LOWER
									  : CUBIC_MAX_LOSS;
	cubic_epoch_end(tc);
	return RTE_MAX((uint32_t)((uint64_t)was * 7 / 10), 2 * tcp_payload_max(tc));
}

/** When a loss is undone it was the one before that W_max is of, as far out as it can have been. */
static void
cubic_resume(struct tcp_conv *tc, bool undone)
{
	cubic_epoch_end(tc);
	if (undone)
		tc->w_max = tc->ssthresh == UINT32_MAX ? CUBIC_MAX_START : CUBIC_MAX_LOSS;
}

const struct tcp_cc tcp_cc_cubic = {
	.name = "cubic",
	.init = cubic_init,
	.acked = cubic_acked,
	.ssthresh = cubic_ssthresh,
	.resume = cubic_resume,
};
