/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "ring.h"

#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_gro.h>
#include <rte_gso.h>
#include <rte_ring.h>

#include "frame.h"
#include "program.h"
#include "services.h"

uint64_t
ring_now(void *arg)
{
	struct timespec ts;

	(void)arg;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/** Make one of those of n packets that belong together. @return how many they are now */
static uint16_t
ring_gro(struct rte_mbuf **m, uint16_t n)
{
	const struct rte_gro_param how = {.gro_types = RTE_GRO_TCP_IPV4,
		.max_flow_num = RING_BURST,
		.max_item_per_flow = RING_BURST};

	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(m[i], const uint8_t *);

		m[i]->packet_type = 0;
		if (p[12] != 0x08 || p[13] != 0 || p[FRAME_L3 + 9] != IPPROTO_TCP)
			continue;
		/* What a NIC says, or a parser before it. */
		m[i]->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP;
		m[i]->l2_len = FRAME_L3;
		m[i]->l3_len = FRAME_L4 - FRAME_L3;
		m[i]->l4_len = (p[FRAME_L4 + 12] >> 4) * 4u;
	}
	return rte_gro_reassemble_burst(m, n, &how);
}

static uint16_t
ring_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	const struct ring *r = arg;

	(void)ifc;
	n = rte_eth_rx_burst(r->port, (uint16_t)queue, m, n);
	return r->way == RING_GRO ? ring_gro(m, n) : n;
}

/** Send m, or what rte_gso cuts it into. Consumes m. */
static void
ring_gso(const struct ring *r, uint16_t queue, struct rte_mbuf *m)
{
	const struct worker *w = stack_seat(r->s, 0);
	struct rte_gso_ctx ctx = {.direct_pool = w->mp_small,
		.indirect_pool = w->mp_small,
		.gso_types = RTE_ETH_TX_OFFLOAD_TCP_TSO,
		.gso_size = (uint16_t)(m->l2_len + m->l3_len + m->l4_len + m->tso_segsz)};
	struct rte_mbuf *out[2 * IP_TSO_SEGS] = {m};
	int n = 1;

	if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0) {
		n = rte_gso_segment(m, &ctx, out, RTE_DIM(out));
		must(n > 1, "rte_gso_segment");
		rte_pktmbuf_free(m);
	}
	must(rte_eth_tx_burst(r->port, queue, out, (uint16_t)n) == n, "rte_eth_tx_burst");
}

static uint16_t
ring_tx(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	const struct ring *r = arg;

	(void)ifc;
	if (r->way == RING_GSO) {
		for (uint16_t i = 0; i < n; i++)
			ring_gso(r, (uint16_t)seat, m[i]);
		return n;
	}
	return rte_eth_tx_burst(r->port, (uint16_t)seat, m, n);
}

static void
ring_port(struct ring *r)
{
	struct rte_eth_conf conf = {0};
	int id;

	r->in = rte_ring_create(
		"bench_in", RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	r->out = rte_ring_create(
		"bench_out", RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	must(r->in != NULL && r->out != NULL, "rte_ring_create");
	id = rte_eth_from_rings("bench", &r->in, 1, &r->out, 1, 0);
	must(id >= 0, "rte_eth_from_rings");
	r->port = (uint16_t)id;
	must(rte_eth_dev_configure(r->port, 1, 1, &conf) == 0, "rte_eth_dev_configure");
	must(rte_eth_rx_queue_setup(
		     r->port, 0, RING_SIZE, SOCKET_ID_ANY, NULL, stack_mempool(r->s)) == 0,
		"rte_eth_rx_queue_setup");
	must(rte_eth_tx_queue_setup(r->port, 0, RING_SIZE, SOCKET_ID_ANY, NULL) == 0,
		"rte_eth_tx_queue_setup");
	must(rte_eth_dev_start(r->port) == 0, "rte_eth_dev_start");
}

static void
v4_mapped(uint8_t addr[16], uint32_t v4)
{
	memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	for (unsigned i = 0; i < 4; i++)
		addr[12 + i] = (uint8_t)(v4 >> (24 - 8 * i));
}

void
ring_alloc(struct ring *r, struct rte_mbuf **m, unsigned n)
{
	must(rte_pktmbuf_alloc_bulk(stack_mempool(r->s), m, n) == 0, "rte_pktmbuf_alloc_bulk");
}

__rte_noinline uint64_t
ring_turn(struct ring *r, struct rte_mbuf **m, unsigned n)
{
	uint64_t start;

	must(rte_ring_sp_enqueue_bulk(r->in, (void **)m, n, NULL) == n, "rte_ring_enqueue");
	start = rte_rdtsc_precise();
	stack_turn(r->s, 0);
	return rte_rdtsc_precise() - start;
}

/** The router asks for our address, by which it is known itself, or answers when it is asked whether it is there still. */
static void
ring_router(struct ring *r, uint8_t op)
{
	struct rte_mbuf *m;

	ring_alloc(r, &m, 1);
	frame_arp(m, op);
	if (rte_ring_sp_enqueue(r->in, m) != 0)
		rte_pktmbuf_free(m);
}

void
ring_stack(struct stack *s, bool offload, bool tso, unsigned queues)
{
	struct ip_ifc_conf ifc = {.name = "ring", .mtu = 1500};
	uint8_t us[16], them[16], all[16];

	memcpy(ifc.mac.addr_bytes, frame_mac_us, 6);
	ifc.off = (struct ip_offloads){
		.rx_ip_cksum = offload,
		.rx_l4_cksum = offload,
		.tx_ip_cksum = offload,
		.tx_tcp_cksum = offload,
		.tx_udp_cksum = offload,
		.multi_segs = true,
		.tso_segs = tso ? IP_TSO_SEGS : 0,
	};
	must(stack_ifc_add(s, &ifc, queues) == 0, "stack_ifc_add");
	v4_mapped(us, FRAME_US);
	v4_mapped(them, FRAME_US - 1);
	v4_mapped(all, 0);
	must(ip_address_add(stack_ip(s), 0, us, 24) == 0, "ip_address_add");
	must(ip_route_add(stack_ip(s), all, 0, them) == 0, "ip_route_add");
	for (unsigned i = 0; services[i] != NULL; i++)
		must(stack_service_add(s, services[i]) == 0, "stack_service_add");
	must(stack_start(s) == 0, "stack_start");
}

void
ring_open(struct ring *r, uint32_t conversations, bool offload, enum ring_way way)
{
	struct stack_conf conf = {
		.name = "bench",
		.workers = 1,
		.seats = 1,
		.spread = STACK_SPREAD_RSS,
		.limit_conversations = conversations,
		.limit_half_open = 4096,
		.limit_time_wait = 4096,
		.limit_fragments = 64,
		.listeners = 8,
		.mbufs = 16383,
		.udp_idle_ms = UINT32_MAX / 4,
		.seed = 1,
		.socket_id = SOCKET_ID_ANY,
		.io = {ring_rx, ring_tx, ring_now, r, NULL},
	};
	int err = 0;

	memset(r, 0, sizeof(*r));
	r->offload = offload;
	r->way = way;
	r->s = stack_create(&conf, &err);
	must(r->s != NULL, "stack_create");
	ring_port(r);
	ring_stack(r->s, offload, way == RING_TSO || way == RING_GSO, 1);
	must(stack_worker_join(r->s, 0) == 0, "stack_worker_join");
	ring_router(r, 1);
	ring_rest(r, 50);
}

void
ring_close(struct ring *r)
{
	stack_worker_leave(r->s, 0);
	stack_free(r->s);
	rte_eth_dev_stop(r->port);
	rte_eth_dev_close(r->port);
	rte_ring_free(r->in);
	rte_ring_free(r->out);
}

void
ring_listen(struct stack *s, const char *service, uint8_t proto)
{
	struct listener_conf conf = {.name = service,
		.proto = proto,
		.port_lo = 7,
		.port_hi = 7,
		.half_open = 4096,
		.service = stack_service(s, service)};
	struct listener *l;

	must(conf.service != NULL && stack_listen(s, &conf, &l) == 0, "stack_listen");
}

unsigned
ring_sent(struct ring *r, struct rte_mbuf **m, unsigned n)
{
	unsigned got = rte_ring_sc_dequeue_burst(r->out, (void **)m, n, NULL), kept = 0;
	bool asked = false;

	for (unsigned i = 0; i < got; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(m[i], const uint8_t *);

		if (p[12] == 0x08 && p[13] == 0x00) {
			m[kept++] = m[i];
		} else {
			asked |= frame_asks(m[i]);
			rte_pktmbuf_free(m[i]);
		}
	}
	if (asked)
		ring_router(r, 2);
	return kept;
}

void
ring_rest(struct ring *r, unsigned ms)
{
	uint64_t end = ring_now(NULL) + 1000 * (uint64_t)ms;
	struct rte_mbuf *m[RING_BURST];

	while (ring_now(NULL) < end) {
		stack_turn(r->s, 0);
		rte_pktmbuf_free_bulk(m, ring_sent(r, m, RING_BURST));
	}
}
