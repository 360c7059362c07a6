/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Active open: nothing is sent; the tuple is taken.
 */
#include <errno.h>
#include <netinet/in.h>

#include "udp_priv.h"

/* RFC 6056 section 3.2: as many as there are, without the ports of well-known and registered servers. */
#define PORT_LO 32768
#define PORT_N  32768

/**
 * A local port, drawn anew for each attempt (RFC 6056 section 3.3.2, algorithm 2). Through the table's keyed hash, since
 * the worker's source of randomness is not for secrets, and an outsider must not guess the port.
 */
static uint16_t
udp_port(struct worker *w, const struct key *k)
{
	struct key seed = *k;

	seed.lport_be = (uint16_t)worker_random(w);
	return (uint16_t)(PORT_LO +
		((ipht_hash(conv_ipht(w->convs), &seed) ^ (uint32_t)worker_random(w)) % PORT_N));
}

/** Publish under the port that was asked for, or under the first free one that is drawn. @return 0 or -errno */
static int
udp_connect_publish(struct worker *w, struct conv_node *cn)
{
	bool chosen = cn->n.key.lport_be != 0;
	int err;

	for (unsigned i = 0; i < (chosen ? 1 : UDP_PORT_TRIES); i++) {
		if (!chosen) {
			cn->n.key.lport_be = 0;
			cn->n.key.lport_be = htons(udp_port(w, &cn->n.key));
		}
		cn->n.hash = ipht_hash(conv_ipht(w->convs), &cn->n.key);
		err = conv_publish(w, cn, NODE_KICK, NULL);
		if (err != -EEXIST)
			return err;
	}
	return -EADDRINUSE;
}

static int
udp_connect_fill(struct worker *w, struct udp_conv *uc, const struct service *s)
{
	struct conv *c = &uc->c;

	c->proto = &udp_proto;
	c->service = s;
	c->born_ms = c->active_ms = uc->heard_ms = w->now_ms;
	uc->flags = UDPF_ACTIVE;
	return ip_path(w, &c->cn.n.key, &c->path);
}

/** @see struct proto: connect */
int
udp_connect(struct worker *w, const struct service *s, const struct key *k, struct conv **ret_c)
{
	static const uint8_t any[16];
	struct key key = *k;
	struct conv_node *cn;
	int err = 0;

	key.proto = IPPROTO_UDP;
	key.kind = KEY_TUPLE;
	if (memcmp(key.laddr, any, sizeof(any)) == 0)
		err = ip_source(w, key.raddr, key.laddr);
	if (err != 0)
		return err;
	cn = conv_alloc(w, NODE_CONV, &key, 0);
	if (cn == NULL)
		return -ENOMEM;
	err = udp_connect_fill(w, udp_conv(conv_of(cn)), s);
	if (err == 0) {
		conv_hold(cn); /* the caller's */
		err = udp_connect_publish(w, cn);
		if (err != 0)
			conv_put(w, cn);
	}
	if (err != 0) {
		conv_abandon(w, cn);
		return err == -ENOSPC ? -ENOMEM : err;
	}
	UDP_COUNT(w, active_opens);
	/* Connected is told from inside, in this turn. */
	conv_kick(w, cn, NODE_KICK);
	*ret_c = conv_of(cn);
	return 0;
}
