/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The answering side: checks that what comes is for this very conversation, sends it back, and ends it in all ways.
 */
#include <string.h>

#include "torture.h"

/** In conv->svc: a stream and its reader. */
struct answer {
	struct record_reader in;
};
_Static_assert(sizeof(struct answer) <= CONV_SVC_BYTES, "it is kept in the conversation");

static void
answer_stream(struct worker *w, struct conv *c)
{
	struct answer *a = (struct answer *)c->svc;
	uint64_t tuple = record_tuple(&c->cn.n.key, false);
	struct rte_mbuf *m;

	while (c->proto->write_room(c) > 0 && (m = c->proto->read(w, c)) != NULL) {
		uint32_t wrong = record_check(&a->in, tuple, m);

		if (wrong > 0)
			torture_misdelivered(wrong);
		c->proto->write(w, c, m);
	}
	switch (worker_random(w) % 32) {
	case 0:
		c->proto->hangup(w, c, CONV_END_HANGUP);
		break;
	case 1:
		c->proto->close(w, c);
		break;
	case 2:
		c->proto->shutdown(w, c);
		break;
	default:
		break;
	}
}

static void
answer_eof(struct worker *w, struct conv *c)
{
	c->proto->close(w, c);
}

static void
answer_over(struct worker *w, struct conv *c, enum conv_end why)
{
	(void)w;
	(void)c;
	torture_count(&torture_counts.ended[why], 1);
}

const struct service answer_tcp = {
	.name = "answer",
	.tcp = true,
	.state_size = sizeof(struct answer),
	.recv = answer_stream,
	.drain = answer_stream,
	.shutdown = answer_eof,
	.hangup = answer_over,
};

/** Datagrams have no order and may be those of an earlier incarnation: each is checked for itself. */
static void
answer_datagrams(struct worker *w, struct conv *c)
{
	uint64_t tuple = record_tuple(&c->cn.n.key, false);
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		struct record_reader r = {0};

		if (record_check(&r, tuple, m) > 0)
			torture_misdelivered(1);
		c->proto->write(w, c, m);
	}
	if (worker_random(w) % 4 == 0)
		c->proto->close(w, c);
}

const struct service answer_udp = {
	.name = "answer-udp",
	.udp = true,
	.recv = answer_datagrams,
	.hangup = answer_over,
};
