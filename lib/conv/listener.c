/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conv_priv.h"

static unsigned
listener_ports(const struct listener *l)
{
	return (unsigned)l->port_hi - l->port_lo + 1;
}

static int
prefixes_copy(const struct prefix *from, unsigned n, struct prefix **ret)
{
	if (n == 0)
		return 0;
	*ret = malloc(n * sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	memcpy(*ret, from, n * sizeof(**ret));
	return 0;
}

static void
listener_destroy(struct listener *l)
{
	if (l == NULL)
		return;
	free(l->nodes);
	free(l->allow);
	free(l->deny);
	free(l);
}

static struct listener *
listener_make(const struct listener_conf *conf)
{
	struct listener *l =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(sizeof(*l), RTE_CACHE_LINE_SIZE));
	unsigned ports = (unsigned)conf->port_hi - conf->port_lo + 1;
	size_t bytes = RTE_ALIGN(ports * sizeof(*l->nodes), RTE_CACHE_LINE_SIZE);

	if (l == NULL)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->nodes = aligned_alloc(RTE_CACHE_LINE_SIZE, bytes);
	if (l->nodes == NULL || prefixes_copy(conf->allow, conf->nallow, &l->allow) != 0 ||
		prefixes_copy(conf->deny, conf->ndeny, &l->deny) != 0) {
		listener_destroy(l);
		return NULL;
	}
	memset(l->nodes, 0, bytes);
	(void)snprintf(l->name, sizeof(l->name), "%s", conf->name);
	l->proto = conf->proto;
	l->one = conf->one;
	memcpy(l->laddr, conf->laddr, sizeof(l->laddr));
	l->zone = conf->zone;
	l->port_lo = conf->port_lo;
	l->port_hi = conf->port_hi;
	l->service = conf->service;
	l->nallow = conf->nallow;
	l->ndeny = conf->ndeny;
	l->half_open_max = conf->half_open;
	atomic_init(&l->closed, true); /* until all its ports stand in the table */
	return l;
}

static void
listen_node_init(struct listener *l, unsigned i)
{
	struct listen_node *ln = &l->nodes[i];

	ln->l = l;
	ln->position = -1;
	memcpy(ln->n.key.laddr, l->laddr, sizeof(l->laddr));
	ln->n.key.zone = l->zone;
	ln->n.key.lport_be = htons((uint16_t)(l->port_lo + i));
	ln->n.key.proto = l->proto;
	ln->n.key.kind = KEY_LISTENER;
	atomic_init(&ln->n.word, NODE_GEN_ONE | NODE_REF);
}

int
listener_open(struct worker *w, const struct listener_conf *conf, struct listener **ret_l)
{
	struct listener *l;
	int err;

	if (conf->port_lo == 0 || conf->port_hi < conf->port_lo || conf->service == NULL ||
		(conf->one && conf->service->datagram == NULL))
		return -EINVAL;
	l = listener_make(conf);
	if (l == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < listener_ports(l); i++) {
		listen_node_init(l, i);
		err = ipht_listen(w->convs->ipht, &l->nodes[i].n);
		if (err != 0) {
			/* Those before it may have been found: they go as a listener goes. */
			l->port_hi = (uint16_t)(l->port_lo + i - 1);
			if (i == 0)
				listener_destroy(l);
			else
				listener_close(w, l);
			return err;
		}
	}
	POINT("announced_not_open", &l->closed);
	l->options = conf->options;
	/* Release: a worker that sees it open sees all of it. Those that found it before saw it closed: no listener (I6). */
	atomic_store_explicit(&l->closed, false, memory_order_release);
	*ret_l = l;
	return 0;
}

void
listener_close(struct worker *w, struct listener *l)
{
	POINT("close listener", &l->gen);
	/* Relaxed, both: nothing is handed over. A worker that does not see it yet is as one that came before; what it made is
	 * looked at again before it is served (I6), and a grace period later nobody is left who could make more. */
	atomic_fetch_add_explicit(&l->gen, 1, memory_order_relaxed);
	POINT("listener closed", &l->closed);
	atomic_store_explicit(&l->closed, true, memory_order_relaxed);
	for (unsigned i = 0; i < listener_ports(l); i++)
		l->nodes[i].position = ipht_unlisten(w->convs->ipht, &l->nodes[i].n);
	l->fence = 0;
	l->next = w->convs->closed;
	w->convs->closed = l;
}

int64_t
listener_convs(const struct listener *l)
{
	int64_t sum = 0;

	for (unsigned i = 0; i <= WORKER_MAX; i++)
		/* Acquire: pairs with listener_let_go. */
		sum += atomic_load_explicit(&l->cells[i].convs, memory_order_acquire);
	return sum;
}

static void
listener_free(struct worker *w, struct listener *l)
{
	for (unsigned i = 0; i < listener_ports(l); i++)
		ipht_free_listen_slot(w->convs->ipht, l->nodes[i].position);
	if (l->options != NULL && l->service->options_free != NULL)
		l->service->options_free(l->options);
	listener_destroy(l);
}

unsigned
listener_sweep(struct worker *w)
{
	struct listener **at = &w->convs->closed, *l;
	unsigned waiting = 0;

	while ((l = *at) != NULL) {
		if (l->fence == 0)
			l->fence = conv_fence(w);
		if (l->fence != 0 && conv_fence_passed(w, l->fence) && listener_convs(l) == 0) {
			*at = l->next;
			listener_free(w, l);
			continue;
		}
		waiting++;
		at = &l->next;
	}
	return waiting;
}

void
listener_free_closed(struct worker *w)
{
	struct listener *l;

	while ((l = w->convs->closed) != NULL) {
		w->convs->closed = l->next;
		listener_free(w, l);
	}
}

static bool
prefix_holds(const struct prefix *p, const uint8_t addr[16])
{
	unsigned bytes = p->len / 8, bits = p->len % 8;
	struct key k;

	/* An IPv6 prefix as short as ::/0 holds no IPv4 peers, mapped as they are. */
	memcpy(k.laddr, addr, sizeof(k.laddr));
	if (p->len < 96 && key_is_v4(&k))
		return false;
	if (memcmp(p->addr, addr, bytes) != 0)
		return false;
	return bits == 0 || ((p->addr[bytes] ^ addr[bytes]) & (0xff << (8 - bits)) & 0xff) == 0;
}

bool
listener_allows(const struct listener *l, const uint8_t raddr[16])
{
	for (unsigned i = 0; i < l->ndeny; i++)
		if (prefix_holds(&l->deny[i], raddr))
			return false;
	for (unsigned i = 0; i < l->nallow; i++)
		if (prefix_holds(&l->allow[i], raddr))
			return true;
	return l->nallow == 0;
}
