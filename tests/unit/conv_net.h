/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * For tests of what lives on lib/conv: a test_net whose workers share one table with UDP and reassembly
 * in it. One thread plays all workers; a frame goes to the worker the test names.
 */
#pragma once

#include "listener.h"
#include "udp.h"
#include "util.h"

#define CONV_NET_WORKERS 3
#define CONV_NET_LIMIT   64 /* nodes of each kind */
#define CONV_NET_IDLE_MS 5000

struct conv_net {
	struct test_net net;
	struct reclaim *reclaim;
	struct conv_table *ct;
	struct udp *udp;
	struct worker control;
	struct listener *l[8];
	unsigned nl;
};

void conv_net_init(struct conv_net *n);
/** With room for so many conversations. */
void conv_net_init_many(struct conv_net *n, uint32_t limit);
/** Hang everything up, wait for grace periods, and check that all is back and the sum of promise 1 is exact. */
void conv_net_fini(struct conv_net *n);

/** A UDP listener on a port of every address. */
struct listener *
conv_net_listen(struct conv_net *n, uint16_t port, const struct service *s, bool one);
/** The same, with all its settings. */
struct listener *conv_net_listen_conf(struct conv_net *n, const struct listener_conf *lc);
void conv_net_unlisten(struct conv_net *n, struct listener *l);

/** A frame for worker i, taken in and processed; what is sent stays in n->net. */
void conv_net_in(struct conv_net *n, unsigned i, const struct test_frame *f);
/** The same up to where it would be delivered. */
struct rte_mbuf *conv_net_parse(struct conv_net *n, unsigned i, const struct test_frame *f);
/** One turn of every worker, ms later. */
void conv_net_turn(struct conv_net *n, unsigned ms);

/** Of all workers. */
uint64_t conv_net_drops(struct conv_net *n, enum drop_reason r);
uint64_t conv_net_delivered(struct conv_net *n);
uint64_t conv_net_consumed(struct conv_net *n);
uint64_t conv_net_held(struct conv_net *n);
uint64_t conv_net_udp_stat(struct conv_net *n, const char *name);
/** The table's conversation (or datagram in pieces) for a key; NULL: none. Not referenced. */
struct conv_node *conv_net_find(struct conv_net *n, const struct key *k);
