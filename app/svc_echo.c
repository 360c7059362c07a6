/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Echo (RFC 862): what comes goes back, in the same buffers.
 */
#include "services.h"
#include "udp.h"

static void
echo_recv(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m;

	while (c->proto->write_room(c) > 0 && (m = c->proto->read(w, c)) != NULL)
		c->proto->write(w, c, m);
}

static void
echo_take(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	c->proto->write(w, c, m);
}

/** The peer is done, and has heard all when it has been written back: then we are done too. */
static void
echo_end(struct worker *w, struct conv *c)
{
	echo_recv(w, c);
	if (c->proto->readable(c) == 0)
		c->proto->close(w, c);
	else
		c->svc[0] = true; /* drain goes on */
}

static void
echo_drain(struct worker *w, struct conv *c)
{
	if (c->svc[0])
		echo_end(w, c);
	else
		echo_recv(w, c);
}

static void
echo_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	struct key k = pkt_of(m)->key.k;

	udp_reply(w, l, &k, m);
}

const struct service svc_echo = {
	.name = "echo",
	.tcp = true,
	.udp = true,
	.state_size = sizeof(uint64_t), /* the peer has shut down */
	.recv = echo_recv,
	.take = echo_take,
	.drain = echo_drain,
	.shutdown = echo_end,
	.datagram = echo_datagram,
};
