/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "segments.h"

uint32_t
seq_of(unsigned segment)
{
	return 1 + segment * MSS;
}

void
accept_plain(struct wire_conn *k, bool sack)
{
	k->ts = false;
	k->sack_ok = sack;
	k->mss = MSS;
	wire_accept(k);
}

void
ack_segments(struct wire_conn *k, unsigned n)
{
	wire_send(k, ACK, 1, seq_of(n), 0);
}

void
sack_segments(struct wire_conn *k, unsigned n, unsigned from, unsigned to)
{
	k->sack[0][0] = seq_of(from);
	k->sack[0][1] = seq_of(to);
	k->nsack = 1;
	wire_send(k, ACK, 1, seq_of(n), 0);
}

void
expect_segments(struct wire_conn *k, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		wire_expect(k, ACK, seq_of(i), 1, MSS);
}
