/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Active open: what protocols have in common. Our address, a node, and a local port that nobody has.
 */
#include <errno.h>
#include <netinet/in.h>

#include "conv_priv.h"
#include "proto.h"

#define PORT_LO    32768 /* RFC 6056 section 3.2 would have more; below are services */
#define PORTS      28229 /* a prime: whatever the stride, all of them are met */
#define PORT_ROW   64 /* candidates in a row; those after them are any, as many may be taken there */
#define PORT_TRIES 1024 /* candidates before the ports count as taken */

/**
 * The candidate that a count leads to: by peer an offset that nobody outside can know, through the table's keyed hash (RFC 6056
 * section 3.3.3), plus the count, in strides that nobody can know either. A peer meets a port again after PORTS opens, not before:
 * with random steps (section 3.3.5) it would after hundreds, within the millisecond in which neither timestamp nor sequence number
 * tells its TIME-WAIT which is new (RFC 6191).
 */
static uint16_t
conv_port(uint32_t secret, uint64_t count)
{
	return (uint16_t)(PORT_LO +
		(secret + count % PORTS * (1 + secret / PORTS % (PORTS - 1))) % PORTS);
}

/**
 * Give a node a candidate, the next one of those that all workers share, or any. Who opens one conversation opens more, to the same
 * peer mostly: where the one after it would stand is fetched.
 */
static void
conv_choose_port(struct worker *w, struct conv_node *cn, bool any)
{
	struct key key = cn->n.key;
	uint64_t count;
	uint32_t secret;

	if (any)
		count = worker_random(w);
	else
		/* Relaxed: only that each candidate is another one matters. */
		count = atomic_fetch_add_explicit(&w->convs->port_next, 1, memory_order_relaxed);

	key.lport_be = 0;
	secret = ipht_hash(w->convs->ipht, &key);
	cn->n.key.lport_be = htons(conv_port(secret, count));
	key.lport_be = htons(conv_port(secret, count + 1));
	ipht_prefetch(w->convs->ipht, ipht_hash(w->convs->ipht, &key));
}

/** Publish under the port that was asked for, or under the first candidate that is free. @return 0 or -errno */
static int
conv_connect_publish(struct worker *w, struct conv *c, const struct conv_opening *o)
{
	struct conv_node *cn = &c->cn;
	bool chosen = cn->n.key.lport_be != 0;
	int err;

	for (unsigned i = 0; i < (chosen ? 1 : PORT_TRIES); i++) {
		if (!chosen)
			conv_choose_port(w, cn, i >= PORT_ROW);
		cn->n.hash = ipht_hash(w->convs->ipht, &cn->n.key);
		if (o->numbered != NULL)
			o->numbered(w, c);
		err = conv_publish(w, cn, NODE_KICK, NULL);
		if (err != -EEXIST)
			return err == -ENOSPC ? -ENOMEM : err;
	}
	return -EADDRINUSE;
}

int
conv_connect(struct worker *w, const struct conv_opening *o, const struct service *s,
	const struct key *k, const void *svc, struct conv **ret_c)
{
	static const uint8_t any[16];
	struct key key = *k;
	struct conv_node *cn;
	struct conv *c;
	int err = 0;

	key.proto = o->proto->number;
	key.kind = KEY_TUPLE;
	/* RFC 9293 section 3.9.2.3: our address is the network layer's choice. */
	if (memcmp(key.laddr, any, sizeof(any)) == 0)
		err = ip_source(w, key.raddr, key.laddr);
	if (err != 0)
		return err;
	cn = conv_alloc(w, NODE_CONV, &key, 0);
	if (cn == NULL)
		return -ENOMEM;
	c = conv_of(cn);
	c->proto = o->proto;
	c->service = s;
	if (svc != NULL)
		memcpy(c->svc, svc, s->state_size);
	c->born_ms = c->active_ms = w->now_ms;
	err = ip_path(w, &cn->n.key, &c->path);
	if (err == 0) {
		o->fill(w, c);
		conv_hold(cn); /* the caller's */
		err = conv_connect_publish(w, c, o);
		if (err != 0)
			conv_put(w, cn);
	}
	if (err != 0) {
		conv_abandon(w, cn);
		return err;
	}
	/* What is to be said is said from inside: in this turn. */
	conv_kick(w, cn, NODE_KICK);
	*ret_c = c;
	return 0;
}
