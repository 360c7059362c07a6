/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Making a stack, and taking it apart.
 */
#include "stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "fragments.h"
#include "stack_priv.h"

#define SMALL_ROOM   (RTE_PKTMBUF_HEADROOM + 256) /* headers, and payloads short enough to copy */
#define PAYLOAD_ROOM (RTE_PKTMBUF_HEADROOM + 2048)
#define MBUF_CACHE   256
#define FIXED_BYTES  (16 << 20) /* neighbours, workers, counters */

static struct rte_mempool *
stack_pool(struct stack *s, const char *suffix, uint16_t room)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	(void)snprintf(name, sizeof(name), "%s_%s", s->name, suffix);
	/* lf_stack: see slab_populate. */
	return rte_pktmbuf_pool_create_by_ops(name, s->conf.mbufs, MBUF_CACHE, PKT_PRIV_SIZE, room,
		s->conf.socket_id, "lf_stack");
}

static struct key_secret
stack_secret(struct worker *w)
{
	return (struct key_secret){worker_random(w), worker_random(w)};
}

/** Conversations of all protocols share one slab, sized for the largest. */
static struct node_ops
stack_conv_ops(void)
{
	struct node_ops ops = conv_proto_ops;

	ops.size = RTE_MAX(tcp_proto.size, udp_proto.size);
	return ops;
}

static void
stack_conv_conf(const struct stack_conf *conf, struct conv_table_conf *cc)
{
	cc->seats = conf->seats;
	cc->limit[NODE_CONV] = conf->limit_conversations;
	cc->limit[NODE_HALF_OPEN] = conf->limit_half_open;
	cc->limit[NODE_TIME_WAIT] = conf->limit_time_wait;
	cc->limit[NODE_FRAGMENTS] = conf->limit_fragments;
	cc->listeners = conf->listeners;
	cc->socket_id = conf->socket_id;
}

static void
stack_wake(void *arg, unsigned seat)
{
	struct stack *s = arg;

	if (seat < s->conf.seats)
		stack_seat_wake(s, seat);
}

static int
stack_make_convs(struct stack *s)
{
	struct conv_table_conf cc = {
		.name = s->name,
		.secret = s->hash,
		.reclaim = s->reclaim,
		.wake = s->conf.io.wake != NULL ? stack_wake : NULL,
		.wake_arg = s,
		.now_us = s->conf.io.now_us(s->conf.io.arg),
	};
	struct node_ops conv_ops = stack_conv_ops();
	int err = 0;

	stack_conv_conf(&s->conf, &cc);
	s->convs = conv_table_create(&cc, &err);
	if (s->convs == NULL)
		return err;
	conv_ops_set(s->convs, NODE_CONV, &conv_ops);
	conv_ops_set(s->convs, NODE_HALF_OPEN, &tcp_half_open_ops);
	conv_ops_set(s->convs, NODE_TIME_WAIT, &tcp_time_wait_ops);
	conv_ops_set(s->convs, NODE_FRAGMENTS, &fragments_ops);
	conv_miss_set(s->convs, PKT_TCP, tcp_proto.miss);
	conv_miss_set(s->convs, PKT_UDP, udp_proto.miss);
	conv_lines_set(s->convs, PKT_TCP, tcp_proto.lines);
	conv_lines_set(s->convs, PKT_UDP, udp_proto.lines);
	conv_miss_set(s->convs, PKT_FRAGMENT, fragments_miss);
	conv_miss_set(s->convs, PKT_ICMP_ERROR, stack_icmp_miss);
	return conv_table_start(s->convs);
}

static int
stack_make_protocols(struct stack *s, struct worker *seed)
{
	struct ip_conf ic = {
		.name = s->name,
		.secret = s->hash,
		.workers = s->conf.seats,
		.socket_id = s->conf.socket_id,
	};
	struct tcp_conf tc = s->conf.tcp;
	struct udp_conf uc = {.idle_ms = s->conf.udp_idle_ms, .workers = s->conf.seats};
	int err = 0;

	tc.secret = stack_secret(seed);
	tc.workers = s->conf.seats;
	s->ip = ip_create(&ic, &err);
	if (s->ip == NULL)
		return err;
	s->tcp = tcp_create(&tc, &err);
	if (s->tcp == NULL)
		return err;
	s->udp = udp_create(&uc, &err);
	return s->udp == NULL ? err : 0;
}

static uint16_t
stack_tx(void *arg, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct stack_seat *seat = arg;
	const struct stack_io *io = &seat->s->conf.io;

	return io->tx(io->arg, seat->w.id, ifc, m, n);
}

static int
stack_make_seat(struct stack *s, unsigned i, uint64_t seed)
{
	struct stack_seat *seat = &s->seats[i];
	bool control = i == s->conf.seats;
	char name[RTE_RING_NAMESIZE];

	seat->s = s;
	seat->w.id = control ? WORKER_MAX : i;
	seat->w.mp = s->mp;
	seat->w.mp_small = s->mp_small;
	seat->w.ip = s->ip;
	seat->w.convs = s->convs;
	seat->w.tcp = s->tcp;
	seat->w.udp = s->udp;
	seat->w.tx_burst = stack_tx;
	seat->w.tx_arg = seat;
	seat->w.now_us = s->conf.io.now_us(s->conf.io.arg);
	seat->w.now_ms = (uint32_t)(seat->w.now_us / 1000);
	worker_seed(&seat->w, seed);
	conv_seat_take(&seat->w, i);
	if (control)
		return 0;
	(void)snprintf(name, sizeof(name), "%s_s%u", s->name, i);
	seat->ring = rte_ring_create(
		name, STACK_RING, s->conf.socket_id, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	return seat->ring == NULL ? -rte_errno : 0;
}

static int
stack_make(struct stack *s)
{
	struct worker seed = {0};
	unsigned readers = s->conf.seats + 1;
	int err = 0;

	worker_seed(&seed, s->conf.seed);
	s->hash = stack_secret(&seed);
	s->seats = rte_zmalloc_socket(
		"stack_seats", readers * sizeof(*s->seats), RTE_CACHE_LINE_SIZE, s->conf.socket_id);
	s->threads = rte_zmalloc_socket("stack_threads", s->conf.seats * sizeof(*s->threads),
		RTE_CACHE_LINE_SIZE, s->conf.socket_id);
	s->mp = stack_pool(
		s, "mp", s->conf.mbuf_data_room != 0 ? s->conf.mbuf_data_room : PAYLOAD_ROOM);
	s->mp_small = stack_pool(s, "small", SMALL_ROOM);
	if (s->seats == NULL || s->threads == NULL || s->mp == NULL || s->mp_small == NULL)
		return -ENOMEM;
	s->reclaim = s->conf.virtual_workers ? reclaim_virtual_create(readers, readers, &err)
					     : reclaim_urcu_create(readers, &err);
	if (s->reclaim == NULL)
		return err;
	err = stack_make_protocols(s, &seed);
	if (err == 0)
		err = stack_make_convs(s);
	for (unsigned i = 0; i < readers && err == 0; i++)
		err = stack_make_seat(s, i, worker_random(&seed));
	stack_seats_init(s);
	return err;
}

struct stack *
stack_create(const struct stack_conf *conf, int *ret_err)
{
	struct stack *s;

	if (conf->workers == 0 || conf->seats < conf->workers || conf->seats > WORKER_MAX ||
		strlen(conf->name) > 8) {
		*ret_err = -EINVAL;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	s->conf = *conf;
	(void)snprintf(s->name, sizeof(s->name), "%s", conf->name);
	*ret_err = stack_make(s);
	if (*ret_err != 0) {
		stack_free(s);
		return NULL;
	}
	return s;
}

/** Free the listeners that are left: nobody is a reader any more, so every fence passes. */
static void
stack_free_listeners(struct stack *s)
{
	if (s->convs == NULL || s->seats == NULL || s->seats[s->conf.seats].w.convs == NULL)
		return;
	while (s->nlisteners > 0)
		stack_unlisten(s, s->listeners[0]);
	listener_free_closed(stack_control_worker(s));
	free(s->listeners);
}

void
stack_free(struct stack *s)
{
	if (s == NULL)
		return;
	stack_free_listeners(s);
	if (s->seats != NULL)
		for (unsigned i = 0; i < s->conf.seats; i++)
			rte_ring_free(s->seats[i].ring);
	conv_table_free(s->convs);
	tcp_free(s->tcp);
	udp_free(s->udp);
	ip_free(s->ip);
	if (s->reclaim != NULL)
		s->reclaim->ops->free(s->reclaim);
	rte_mempool_free(s->mp);
	rte_mempool_free(s->mp_small);
	rte_free(s->threads);
	rte_free(s->seats);
	free(s);
}

int
stack_service_add(struct stack *s, const struct service *svc)
{
	if (svc->state_size > CONV_SVC_BYTES)
		return -E2BIG;
	if (stack_service(s, svc->name) != NULL)
		return -EEXIST;
	if (s->nservices == STACK_SERVICES_MAX)
		return -ENOSPC;
	s->services[s->nservices++] = svc;
	return 0;
}

const struct service *
stack_service(const struct stack *s, const char *name)
{
	for (unsigned i = 0; i < s->nservices; i++)
		if (strcmp(s->services[i]->name, name) == 0)
			return s->services[i];
	return NULL;
}

int
stack_ifc_add(struct stack *s, const struct ip_ifc_conf *conf, unsigned queues)
{
	int ifc = queues == 0 ? -EINVAL : ip_ifc_add(s->ip, conf);

	if (ifc < 0)
		return ifc;
	s->ifcs[ifc].queues = queues;
	s->nifcs = (unsigned)ifc + 1;
	return ifc;
}

int
stack_start(struct stack *s)
{
	if (s->nifcs == 0)
		return -EINVAL;
	s->spread = s->conf.spread;
	if (s->spread == STACK_SPREAD_AUTO) {
		/* For good: with another way, later packets of a conversation could overtake what stands in a ring. */
		s->spread = STACK_SPREAD_RSS;
		for (unsigned i = 0; i < s->nifcs; i++)
			if (s->ifcs[i].queues < s->conf.seats)
				s->spread = STACK_SPREAD_FLOW;
	}
	s->started = true;
	return 0;
}

const char *
stack_spread_name(enum stack_spread spread)
{
	static const char *const names[] = {
		[STACK_SPREAD_AUTO] = "auto",
		[STACK_SPREAD_RSS] = "rss",
		[STACK_SPREAD_FLOW] = "flow",
		[STACK_SPREAD_PACKET] = "packet",
	};

	return names[spread];
}

struct rte_mempool *
stack_mempool(struct stack *s)
{
	return s->mp;
}

struct ip *
stack_ip(struct stack *s)
{
	return s->ip;
}

struct conv_table *
stack_convs(struct stack *s)
{
	return s->convs;
}

struct worker *
stack_seat(struct stack *s, unsigned seat)
{
	return &s->seats[seat].w;
}

unsigned
stack_seats(const struct stack *s)
{
	return s->conf.seats;
}

enum stack_spread
stack_spread(const struct stack *s)
{
	return s->spread;
}

/** Bytes of one packet buffer. Without huge pages none may cross a page (rte_mempool_op_calc_mem_size_helper). */
static uint64_t
stack_mbuf_bytes(uint16_t room)
{
	uint64_t bytes = RTE_CACHE_LINE_SIZE + sizeof(struct rte_mbuf) + PKT_PRIV_SIZE + room;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!rte_eal_has_hugepages() && bytes < page)
		bytes = page / (page / bytes);
	return bytes + 2 * sizeof(void *); /* its place in the pool's stack */
}

void
stack_memory(const struct stack_conf *conf, struct stack_memory *ret)
{
	const struct node_ops conv_ops = stack_conv_ops();
	const struct node_ops *const ops[NODE_KINDS] = {
		[NODE_CONV] = &conv_ops,
		[NODE_HALF_OPEN] = &tcp_half_open_ops,
		[NODE_TIME_WAIT] = &tcp_time_wait_ops,
		[NODE_FRAGMENTS] = &fragments_ops,
	};
	uint16_t room = conf->mbuf_data_room != 0 ? conf->mbuf_data_room : PAYLOAD_ROOM;
	struct conv_table_conf cc = {0}, more;

	stack_conv_conf(conf, &cc);
	more = cc;
	more.limit[NODE_CONV] += 1 << 20;
	*ret = (struct stack_memory){
		.nodes = conv_memory(&cc, ops),
		.mbufs = conf->mbufs * (stack_mbuf_bytes(room) + stack_mbuf_bytes(SMALL_ROOM)),
	};
	ret->per_conversation = (conv_memory(&more, ops) - ret->nodes) >> 20;
	ret->total = ret->nodes + ret->mbufs + FIXED_BYTES;
}
