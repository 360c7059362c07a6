/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Numbers that nobody outside can foresee: initial sequence numbers and timestamp offsets. One secret
 * serves both: SipHash takes in the length of what it hashes, and they hash 40 bytes, and 32 or 8; or 8 bytes go
 * through AES. Any worker.
 */
#include <stddef.h>

#include "tcp_priv.h"

/** RFC 6528 section 3: a clock of 4 us per number, plus a keyed hash of the tuple. */
uint32_t
tcp_isn(const struct worker *w, const struct key *k)
{
	return (uint32_t)(w->now_us / 4) +
		(uint32_t)key_siphash(&w->tcp->conf.secret, k, sizeof(*k));
}

/**
 * Our timestamp clock, in ms, towards one peer (RFC 7323 section 5.4: 1 ms to 1 s).
 * Offset by address pair, so that it grows from one conversation of a pair to
 * the next, which RFC 6191 wants of it, and says nothing of our uptime.
 */
uint32_t
tcp_ts_now(const struct worker *w, const struct key *k)
{
	_Static_assert(offsetof(struct key, rport_be) == 32, "two addresses");

	if (likely(key_is_v4(k)))
		return w->now_ms +
			key_hash8(&w->tcp->conf.secret,
				(uint64_t)key_v4_be(k->raddr) << 32 | key_v4_be(k->laddr));
	return w->now_ms + (uint32_t)key_siphash(&w->tcp->conf.secret, k, 32);
}

/**
 * The timestamp for a conversation's next segment. Workers read the clock at the start of their turns: one
 * whose turn is older must not send an older timestamp, which the peer would take for a duplicate of old (PAWS).
 */
uint32_t
tcp_ts_next(const struct worker *w, struct tcp_conv *tc)
{
	uint32_t ts = tcp_ts_now(w, &tc->c.cn.n.key);

	if (tc->ts_sent - ts > TCP_CLOCK_SKEW_MS)
		tc->ts_sent = ts;
	return tc->ts_sent;
}
