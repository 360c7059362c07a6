/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "proto.h"

const char *
conv_end_name(enum conv_end e)
{
	static const char *const names[] = {
		[CONV_END_CLOSED] = "closed",
		[CONV_END_RESET] = "reset",
		[CONV_END_TIMEOUT] = "timeout",
		[CONV_END_UNREACHABLE] = "unreachable",
		[CONV_END_REFUSED] = "refused",
		[CONV_END_HANGUP] = "hangup",
		[CONV_END_MEMORY] = "memory",
	};

	return (unsigned)e < CONV_END_MAX ? names[e] : NULL;
}

static void
proto_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct conv *c = conv_of(cn);

	if (pkt_of(m)->kind == PKT_ICMP_ERROR) {
		POINT("advise_match", &cn->n.word);
		c->proto->advise(w, c, m);
	} else {
		c->proto->iput(w, c, m);
	}
}

static void
proto_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	struct conv *c = conv_of(cn);

	c->proto->work(w, c, bits);
}

static void
proto_flush(struct worker *w, struct conv_node *cn)
{
	struct conv *c = conv_of(cn);

	c->proto->flush(w, c);
}

static void
proto_retire(struct worker *w, struct conv_node *cn)
{
	struct conv *c = conv_of(cn);

	if (c->proto != NULL)
		c->proto->retire(w, c);
}

/* size is that of the largest protocol's conversation: set by who knows them all. */
const struct node_ops conv_proto_ops = {
	.name = "conversation",
	.size = sizeof(struct conv),
	.input = proto_input,
	.work = proto_work,
	.flush = proto_flush,
	.retire = proto_retire,
};
