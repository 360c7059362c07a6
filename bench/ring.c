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

static uint16_t
ring_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	const struct ring *r = arg;

	(void)ifc;
	return rte_eth_rx_burst(r->port, (uint16_t)queue, m, n);
}

static uint16_t
ring_tx(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	const struct ring *r = arg;

	(void)ifc;
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
ring_stack(struct stack *s, bool offload, unsigned queues)
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
ring_open(struct ring *r, uint32_t conversations, bool offload)
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
	r->s = stack_create(&conf, &err);
	must(r->s != NULL, "stack_create");
	ring_port(r);
	ring_stack(r->s, offload, 1);
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
