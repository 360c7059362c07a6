/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Forward RTO-recovery (F-RTO, RFC 5682): was a retransmission timeout spurious? When its one retransmission is
 * acknowledged, new data goes out in place of what is marked lost. If the next ACK speaks of something that was not
 * sent again, that was never lost. Timestamps tell the same, sooner (tcp_recovery_echo); this needs none.
 */
#include "tcp_priv.h"

/** Step 2, or 3 of section 3 (SACK) and 2 (without): what comes after a timeout. */
void
tcp_frto_ack(struct worker *w, struct tcp_conv *tc, const struct tcp_news *n)
{
	struct tcp_flight *f = tcp_flight(tc);
	bool sack = (tc->c.flags & TCPF_SACK) != 0;

	if ((f->flags & TCP_FLIGHT_FRTO) != 0) {
		/* Step 2. A duplicate: without SACK it is the sign of a loss; with it there may be more to come. */
		if (n->acked > 0)
			f->flags ^= TCP_FLIGHT_FRTO | TCP_FLIGHT_FRTO_NEW;
		else if (n->dup && !sack)
			f->flags &= ~TCP_FLIGHT_FRTO;
		return;
	}
	/* Step 3 (a): new data has overtaken what is still missing, or so a duplicate says. */
	if (sack ? seq_lt(f->recover, tcp_rack_edge(tc)) : n->dup) {
		f->flags &= ~TCP_FLIGHT_FRTO_NEW;
		tc->cwnd = RTE_MIN(tc->cwnd, 3 * tcp_payload_max(tc));
		return;
	}
	/* Step 3 (b) */
	if (n->acked > 0 || f->sacked > n->was_sacked) {
		f->flags &= ~TCP_FLIGHT_FRTO_NEW;
		TCP_COUNT(w, frto_spurious);
		tcp_recovery_undo(w, tc);
	}
}

/**
 * Before anything is sent again: must it wait for an answer to new data (step 2 (b))? The new data goes out here, if
 * there is any that may; else recovery goes on as ever.
 */
bool
tcp_frto_holds(struct worker *w, struct tcp_conv *tc)
{
	struct tcp_flight *f = tcp_flight(tc);

	if ((f->flags & TCP_FLIGHT_FRTO_NEW) == 0)
		return false;
	if (seq_le(tc->snd_nxt, f->recover))
		tcp_send_new(w, tc);
	if (seq_lt(f->recover, tc->snd_nxt))
		return true;
	f->flags &= ~TCP_FLIGHT_FRTO_NEW;
	return false;
}
