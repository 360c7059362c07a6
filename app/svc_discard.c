/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Discard (RFC 863).
 */
#include "services.h"

static void
discard_recv(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL)
		rte_pktmbuf_free(m);
}

static void
discard_end(struct worker *w, struct conv *c)
{
	discard_recv(w, c);
	c->proto->close(w, c);
}

static void
discard_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	(void)w;
	(void)l;
	rte_pktmbuf_free(m);
}

const struct service svc_discard = {
	.name = "discard",
	.tcp = true,
	.udp = true,
	.recv = discard_recv,
	.shutdown = discard_end,
	.datagram = discard_datagram,
};
