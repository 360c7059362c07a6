/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "conv_net.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conv_priv.h"
#include "fragments.h"

static void
conv_net_icmp_miss(struct worker *w, struct rte_mbuf *m)
{
	drop(w, m, DROP_ICMP_NO_CONV);
}

static void
conv_net_table(struct conv_net *n, uint32_t limit)
{
	static unsigned made;
	char name[16];
	struct node_ops ops = conv_proto_ops;
	struct conv_table_conf conf = {
		.name = name,
		.seats = CONV_NET_WORKERS,
		.limit = {limit, 1, 1, CONV_NET_LIMIT},
		.listeners = 16,
		.secret = {1, 2}, /* test_net_ip's */
		.reclaim = n->reclaim,
		.socket_id = SOCKET_ID_ANY,
		.now_us = n->net.w[0].now_us,
	};
	int err = 0;

	snprintf(name, sizeof(name), "cn%u", made++);
	n->ct = conv_table_create(&conf, &err);
	assert_non_null(n->ct);
	ops.size = udp_proto.size;
	for (unsigned k = 0; k < NODE_KINDS; k++)
		conv_ops_set(n->ct, k, &ops);
	conv_ops_set(n->ct, NODE_FRAGMENTS, &fragments_ops);
	conv_miss_set(n->ct, PKT_UDP, udp_proto.miss);
	conv_miss_set(n->ct, PKT_FRAGMENT, fragments_miss);
	conv_miss_set(n->ct, PKT_ICMP_ERROR, conv_net_icmp_miss);
	assert_int_equal(conv_table_start(n->ct), 0);
}

void
conv_net_init(struct conv_net *n)
{
	conv_net_init_many(n, CONV_NET_LIMIT);
}

void
conv_net_init_many(struct conv_net *n, uint32_t limit)
{
	struct udp_conf uc = {
		.idle_ms = CONV_NET_IDLE_MS, .queue_max = 8, .workers = CONV_NET_WORKERS};
	int err = 0;

	memset(n, 0, sizeof(*n));
	test_net_init(&n->net, CONV_NET_WORKERS);
	test_net_ip(&n->net, NULL);
	n->reclaim = reclaim_virtual_create(CONV_NET_WORKERS + 1, CONV_NET_WORKERS + 1, &err);
	assert_non_null(n->reclaim);
	conv_net_table(n, limit);
	n->udp = udp_create(&uc, &err);
	assert_non_null(n->udp);
	for (unsigned i = 0; i < CONV_NET_WORKERS; i++) {
		n->net.w[i].convs = n->ct;
		n->net.w[i].udp = n->udp;
		conv_seat_take(&n->net.w[i], i);
		assert_int_equal(n->reclaim->ops->join(n->reclaim, i), 0);
	}
	n->control = (struct worker){.id = WORKER_MAX, .convs = n->ct};
	conv_seat_take(&n->control, CONV_NET_WORKERS);
	test_net_peer(&n->net, test_addr("10.77.0.1"), test_mac_peer);
	test_net_peer(&n->net, test_addr("10.77.0.9"), test_mac_peer);
	test_net_peer(&n->net, test_addr("fd77::9"), test_mac_peer);
}

struct listener *
conv_net_listen_conf(struct conv_net *n, const struct listener_conf *lc)
{
	struct listener *l = NULL;

	assert_int_equal(listener_open(&n->control, lc, &l), 0);
	n->l[n->nl++] = l;
	return l;
}

struct listener *
conv_net_listen(struct conv_net *n, uint16_t port, const struct service *s, bool one)
{
	const struct listener_conf lc = {
		.name = s->name,
		.proto = IPPROTO_UDP,
		.port_lo = port,
		.port_hi = port,
		.service = s,
		.one = one,
	};

	return conv_net_listen_conf(n, &lc);
}

void
conv_net_unlisten(struct conv_net *n, struct listener *l)
{
	listener_close(&n->control, l);
	for (unsigned i = 0; i < n->nl; i++)
		if (n->l[i] == l)
			n->l[i] = n->l[--n->nl];
}

struct rte_mbuf *
conv_net_parse(struct conv_net *n, unsigned i, const struct test_frame *f)
{
	struct rte_mbuf *m = test_mbuf(n->net.mp, f->b, f->len), *up = NULL;

	return ip_input_burst(&n->net.w[i], 0, &m, 1, &up) == 1 ? up : NULL;
}

void
conv_net_in(struct conv_net *n, unsigned i, const struct test_frame *f)
{
	struct rte_mbuf *m = conv_net_parse(n, i, f);

	if (m != NULL)
		conv_input_burst(&n->net.w[i], &m, 1);
}

void
conv_net_turn(struct conv_net *n, unsigned ms)
{
	test_net_advance(&n->net, (uint64_t)ms * 1000);
	n->control.now_us = n->net.w[0].now_us;
	for (unsigned i = 0; i <= CONV_NET_WORKERS; i++) {
		struct worker *w = i == CONV_NET_WORKERS ? &n->control : &n->net.w[i];

		w->now_ms = (uint32_t)(w->now_us / 1000);
		conv_turn(w);
		conv_turn_end(w);
		assert_null(w->in);
		assert_null(w->again);
		n->reclaim->ops->quiescent(n->reclaim, i);
	}
}

static void
conv_net_hangup_all(struct conv_net *n)
{
	uint32_t slot = 0;

	while (slot < conv_slots(n->ct)) {
		struct conv_node *cn = conv_next(n->ct, &slot, UINT32_MAX);

		if (cn == NULL)
			break;
		conv_kick(&n->net.w[0], cn, NODE_HANGUP);
		conv_put(&n->net.w[0], cn);
	}
}

void
conv_net_fini(struct conv_net *n)
{
	char fault[256] = "";

	while (n->nl > 0)
		conv_net_unlisten(n, n->l[0]);
	conv_net_hangup_all(n);
	for (unsigned i = 0; i < 8; i++) {
		conv_net_turn(n, 2);
		listener_sweep(&n->control);
	}
	assert_int_equal(listener_sweep(&n->control), 0);
	if (conv_check(n->ct, fault, sizeof(fault)) != 0)
		fail_msg("%s", fault);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		assert_int_equal(conv_live(n->ct, k), 0);
	assert_int_equal(conv_net_held(n), 0);
	assert_int_equal(atomic_load(&n->ct->pieces), 0);
	assert_int_equal(atomic_load(&n->ct->joining), 0);
	test_net_balance(&n->net);
	conv_table_free(n->ct);
	udp_free(n->udp);
	n->reclaim->ops->free(n->reclaim);
	test_net_fini(&n->net);
}

uint64_t
conv_net_drops(struct conv_net *n, enum drop_reason r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CONV_NET_WORKERS; i++)
		sum += n->net.w[i].c.drops[r];
	return sum;
}

uint64_t
conv_net_delivered(struct conv_net *n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CONV_NET_WORKERS; i++)
		sum += n->net.w[i].c.delivered;
	return sum;
}

uint64_t
conv_net_consumed(struct conv_net *n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CONV_NET_WORKERS; i++)
		sum += n->net.w[i].c.consumed;
	return sum;
}

uint64_t
conv_net_held(struct conv_net *n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CONV_NET_WORKERS; i++)
		sum += n->net.w[i].c.held_in - n->net.w[i].c.held_out;
	return sum;
}

struct stat_ask {
	const char *name;
	uint64_t value;
	bool found;
};

static void
stat_each(void *arg, const char *name, uint64_t value)
{
	struct stat_ask *a = arg;

	if (strcmp(name, a->name) != 0)
		return;
	a->value = value;
	a->found = true;
}

uint64_t
conv_net_udp_stat(struct conv_net *n, const char *name)
{
	struct stat_ask a = {.name = name};

	udp_proto.stats(&n->net.w[0], stat_each, &a);
	assert_true(a.found);
	return a.value;
}

struct conv_node *
conv_net_find(struct conv_net *n, const struct key *k)
{
	struct key48 k48 = {.k = *k};
	struct node *found = ipht_look(conv_ipht(n->ct), &k48, ipht_hash(conv_ipht(n->ct), k));

	if (found != NULL)
		node_unref(found);
	return (struct conv_node *)found;
}
