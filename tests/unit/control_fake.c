/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "control_fake.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tcp.h"
#include "udp.h"

struct control_fake control_fake;

static struct worker control_fake_worker;
static struct rte_mempool control_fake_pool = {.size = 4095};
/* Opaque to all but the stack: only their addresses are used. */
static char control_fake_stack, control_fake_table, control_fake_ip;

void
control_fake_init(uint32_t slots)
{
	control_fake = (struct control_fake){.slots = slots};
	control_fake.convs = calloc(slots, sizeof(*control_fake.convs));
	assert_non_null(control_fake.convs);
}

void
control_fake_fini(void)
{
	for (uint32_t i = 0; i < control_fake.slots; i++)
		assert_int_equal(control_fake.convs[i].refs, 0);
	assert_false(control_fake.is_online);
	free(control_fake.convs);
	control_fake.convs = NULL;
}

struct control_fake_conv *
control_fake_add(uint32_t slot, uint8_t proto)
{
	struct control_fake_conv *c = &control_fake.convs[slot];

	assert_true(slot < control_fake.slots);
	c->used = true;
	c->gen++;
	c->state = "ESTABLISHED";
	c->listener = "echo";
	c->cn.n.id = (uint32_t)NODE_CONV << NODE_ID_KIND_SHIFT | slot;
	c->cn.n.word = 0;
	c->cn.n.key = (struct key){.proto = proto, .lport_be = htons(7), .rport_be = htons(5000)};
	key_map_v4(c->cn.n.key.laddr, htonl(0x0a000002));
	key_map_v4(c->cn.n.key.raddr, htonl(0x0a010000 | (slot & 0xffff)));
	return c;
}

static int
control_fake_workers_set(void *arg, unsigned n)
{
	assert_ptr_equal(arg, &control_fake);
	assert_in_range(n, 1, 4);
	control_fake.workers_set = n;
	return 0;
}

struct control_conf
control_fake_conf(const char *path)
{
	static const int cores[] = {0, -1};
	static _Atomic uint64_t refused = 5;
	static const struct control_ifc ifcs[] = {
		{"net_tap0,iface=convd0", "net_tap", 2, 2, &refused}};

	return (struct control_conf){.stack = (struct stack *)&control_fake_stack,
		.path = path,
		.version = "1.2.3",
		.config = "/etc/convd.json",
		.start_us = 0,
		.cores = cores,
		.ifcs = ifcs,
		.nifcs = 1,
		.workers_max = 4,
		.workers_set = control_fake_workers_set,
		.arg = &control_fake};
}

/* ---- what the product calls ---- */

struct conv_table *
stack_convs(struct stack *s)
{
	assert_ptr_equal(s, &control_fake_stack);
	return (struct conv_table *)&control_fake_table;
}

struct ip *
stack_ip(struct stack *s)
{
	return (struct ip *)&control_fake_ip;
}

struct worker *
stack_control(struct stack *s)
{
	return &control_fake_worker;
}

struct worker *
stack_seat(struct stack *s, unsigned w)
{
	assert_true(w < 2);
	return &control_fake_worker;
}

struct rte_mempool *
stack_mempool(struct stack *s)
{
	return &control_fake_pool;
}

unsigned
stack_workers(const struct stack *s)
{
	return 2;
}

unsigned
stack_seats(const struct stack *s)
{
	return 3;
}

unsigned
stack_worker_seats(const struct stack *s, unsigned w, uint8_t *ret)
{
	/* Worker 0 has 0 and 2, worker 1 has 1. */
	assert_true(w < 2);
	ret[0] = (uint8_t)w;
	ret[1] = 2;
	return w == 0 ? 2 : 1;
}

bool
stack_worker_up(const struct stack *s, unsigned w)
{
	return w < 2;
}

enum stack_spread
stack_spread(const struct stack *s)
{
	return STACK_SPREAD_PACKET;
}

const char *
stack_spread_name(enum stack_spread s)
{
	return s == STACK_SPREAD_PACKET ? "packet" : "?";
}

void
stack_control_online(struct stack *s)
{
	assert_false(control_fake.is_online);
	control_fake.is_online = true;
	control_fake.online++;
}

void
stack_control_offline(struct stack *s)
{
	assert_true(control_fake.is_online);
	control_fake.is_online = false;
}

uint32_t
conv_slots(const struct conv_table *ct)
{
	return control_fake.slots;
}

struct conv_node *
conv_next(struct conv_table *ct, uint32_t *slot, uint32_t most)
{
	assert_ptr_equal(ct, &control_fake_table);
	assert_true(control_fake.is_online);
	if (control_fake.churn != NULL)
		control_fake.churn(*slot);
	for (; *slot < control_fake.slots && most > 0; most--) {
		struct control_fake_conv *c = &control_fake.convs[(*slot)++];

		if (c->used) {
			c->refs++;
			return &c->cn;
		}
	}
	return NULL;
}

struct conv_node *
conv_by_handle(struct conv_table *ct, struct conv_handle h)
{
	struct control_fake_conv *c;

	assert_true(control_fake.is_online);
	if (h.slot >= control_fake.slots)
		return NULL;
	c = &control_fake.convs[h.slot];
	if (!c->used || c->gen != h.gen)
		return NULL;
	c->refs++;
	return &c->cn;
}

struct conv_handle
conv_handle(const struct conv_table *ct, const struct conv_node *cn)
{
	const struct control_fake_conv *c = (const struct control_fake_conv *)cn;

	assert_true(c->refs > 0);
	return (struct conv_handle){(uint32_t)(c - control_fake.convs), c->gen};
}

void
conv_put(struct worker *w, struct conv_node *cn)
{
	struct control_fake_conv *c = (struct control_fake_conv *)cn;

	assert_ptr_equal(w, &control_fake_worker);
	assert_true(c->refs > 0);
	c->refs--;
}

bool
stack_conv_status(struct stack *s, struct conv_node *cn, struct conv_status *ret)
{
	struct control_fake_conv *c = (struct control_fake_conv *)cn;

	assert_true(c->refs > 0);
	assert_true(control_fake.is_online);
	control_fake.statuses++;
	if (!c->used)
		return false;
	*ret = (struct conv_status){.proto = c->cn.n.key.proto == IPPROTO_TCP ? "tcp" : "udp",
		.state = c->state,
		.key = c->cn.n.key,
		.service = "echo",
		.listener = c->listener,
		.age_us = 1500000,
		.recv_queue = 11,
		.send_queue = 22,
		.srtt_us = 231,
		.cwnd = 14600,
		.snd_nxt = UINT32_MAX,
		.mss = 1460,
		.sack = true};
	return true;
}

int
stack_hangup(struct stack *s, struct conv_handle h)
{
	assert_true(control_fake.is_online);
	if (h.slot >= control_fake.slots || !control_fake.convs[h.slot].used ||
		control_fake.convs[h.slot].gen != h.gen)
		return -ENOENT;
	control_fake.hangups++;
	control_fake.hung_up = h;
	return 0;
}

void
stack_stats(struct stack *s, struct stack_stats *ret)
{
	*ret = control_fake.stats;
}

void
stack_seat_counters(struct stack *s, unsigned seat, struct worker_counters *ret)
{
	assert_true(seat < 3);
	*ret = control_fake.worker[seat];
}

void
stack_worker_counters(const struct stack *s, unsigned w, struct stack_worker_counters *ret)
{
	const struct worker_counters *c = &control_fake.worker[w];

	assert_true(w < 2);
	*ret = (struct stack_worker_counters){
		.turns = c->turns,
		.idle_turns = c->idle_turns,
		.received = c->received,
		.delivered = c->delivered,
		.consumed = c->consumed,
		.sent = c->sent,
		.sleeps = 3,
		.slept_us = 4000,
		.up_us = 10000,
		.seats_given = w,
	};
}

struct listener *
stack_listener_next(struct stack *s, struct listener *l)
{
	unsigned i = 0;

	while (l != NULL && control_fake.listeners[i++] != l)
		assert_true(i < control_fake.nlisteners);
	return i < control_fake.nlisteners ? control_fake.listeners[i] : NULL;
}

int64_t
listener_convs(const struct listener *l)
{
	return 5;
}

unsigned
ip_ifc_count(const struct ip *ip)
{
	assert_ptr_equal(ip, &control_fake_ip);
	return 1;
}

void
ip_ifc_info(const struct ip *ip, unsigned ifc, struct ip_ifc_info *ret_info)
{
	assert_int_equal(ifc, 0);
	*ret_info = (struct ip_ifc_info){.name = "lan",
		.mac = {{2, 0, 0, 0, 0, 0xff}},
		.mtu = 1500,
		.vlan = 12,
		.up = true,
		.naddrs = 2,
		.rx_packets = 1,
		.rx_bytes = UINT64_C(1) << 40,
		.tx_packets = 3,
		.tx_bytes = 4};
	key_map_v4(ret_info->addrs[0].addr, htonl(0x0a4d0002));
	ret_info->addrs[0].prefix_len = 24;
	ret_info->addrs[1].addr[0] = 0xfd;
	ret_info->addrs[1].addr[15] = 2;
	ret_info->addrs[1].prefix_len = 64;
	ret_info->addrs[1].tentative = true;
}

void
ip_stats(const struct ip *ip, void (*each)(void *arg, const char *name, uint64_t value), void *arg)
{
	each(arg, "arp_in", 17);
}

static void
control_fake_tcp_stats(const struct worker *w,
	void (*each)(void *arg, const char *name, uint64_t value), void *arg)
{
	each(arg, "segments_in", 42);
}

static void
control_fake_udp_stats(const struct worker *w,
	void (*each)(void *arg, const char *name, uint64_t value), void *arg)
{
	each(arg, "datagrams_in", 43);
}

const struct proto tcp_proto = {.name = "tcp", .stats = control_fake_tcp_stats};
const struct proto udp_proto = {.name = "udp", .stats = control_fake_udp_stats};
