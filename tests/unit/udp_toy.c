/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "udp_toy.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct conv_net net;
struct test_frame f;
uint8_t out[TEST_FRAME_MAX];
struct udp_toy svc;

static void
toy_write(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	svc.written = c->proto->write(w, c, m);
}

static void
toy_accept(struct worker *w, struct conv *c)
{
	assert_true(conv_inside(w, &c->cn));
	svc.accepts++;
	svc.c = c;
	if (svc.mode == MODE_CLOSE_AT_ACCEPT)
		c->proto->close(w, c);
	if (svc.mode == MODE_SHUT_AT_ACCEPT) {
		assert_true(c->proto->write_room(c) > 0);
		c->proto->shutdown(w, c);
		assert_int_equal(c->proto->write_room(c), 0);
	}
}

static void
toy_connected(struct worker *w, struct conv *c)
{
	assert_true(conv_inside(w, &c->cn));
	svc.connects++;
	svc.c = c;
}

static void
toy_failed(struct worker *w, struct conv *c, enum conv_end why)
{
	(void)w;
	(void)c;
	svc.fails++;
	svc.end = why;
}

static void
toy_recv(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m;

	assert_true(conv_inside(w, &c->cn));
	svc.recvs++;
	if (svc.reenter) {
		svc.reenter = false;
		conv_net_in(&net, 1, &f);
	}
	if (svc.mode == MODE_CLOSE_AT_RECV)
		c->proto->close(w, c);
	if (svc.mode == MODE_KEEP || svc.mode == MODE_CLOSE_AT_RECV)
		return;
	while ((m = c->proto->read(w, c)) != NULL) {
		assert_int_equal(pkt_of(m)->data_off, 0);
		assert_int_equal(pkt_of(m)->data_len, m->pkt_len);
		svc.lens[svc.nlens++ % 64] = m->pkt_len;
		toy_write(w, c, m);
	}
}

static void
toy_kicked(struct worker *w, struct conv *c)
{
	(void)w;
	(void)c;
	svc.kicks++;
}

static void
toy_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	assert_true(conv_inside(w, &c->cn));
	svc.hangups++;
	svc.end = why;
}

static void
toy_trouble(struct worker *w, struct conv *c, enum conv_trouble what, unsigned detail)
{
	assert_true(conv_inside(w, &c->cn));
	assert_int_equal(what, CONV_TROUBLE_ICMP);
	svc.troubles++;
	svc.detail = detail;
	if (svc.close_in_trouble)
		c->proto->close(w, c);
}

static void
toy_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	struct key k = pkt_of(m)->key.k;

	assert_null(w->in);
	assert_int_equal(pkt_of(m)->data_off, 0);
	svc.datagrams++;
	svc.written = udp_reply(w, l, &k, m);
}

const struct service toy = {
	.name = "toy",
	.udp = true,
	.accept = toy_accept,
	.connected = toy_connected,
	.failed = toy_failed,
	.recv = toy_recv,
	.kicked = toy_kicked,
	.hangup = toy_hangup,
	.trouble = toy_trouble,
	.datagram = toy_datagram,
};

int
udp_toy_setup(void **state)
{
	(void)state;
	memset(&svc, 0, sizeof(svc));
	conv_net_init(&net);
	return 0;
}

int
udp_toy_teardown(void **state)
{
	(void)state;
	conv_net_fini(&net);
	return 0;
}

void
udp_toy_datagram(bool v6, uint16_t sport, uint16_t dport, const void *data, size_t len)
{
	test_frame_udp(&f, test_addr(v6 ? "fd77::9" : "10.77.0.9"),
		test_addr(v6 ? "fd77::2" : "10.77.0.2"), sport, dport, data, len);
}

struct key
udp_toy_tuple(bool v6, uint16_t rport, uint16_t lport)
{
	struct key k = {.rport_be = rte_cpu_to_be_16(rport),
		.lport_be = rte_cpu_to_be_16(lport),
		.proto = IPPROTO_UDP};

	memcpy(k.raddr, test_addr(v6 ? "fd77::9" : "10.77.0.9").b, 16);
	memcpy(k.laddr, test_addr(v6 ? "fd77::2" : "10.77.0.2").b, 16);
	return k;
}

void
udp_toy_expect(uint16_t sport, uint16_t dport, const void *data, size_t len)
{
	size_t n = test_expect_sent(&net.net, out), l4;
	bool v6 = out[12] == 0x86;

	l4 = 14 + (v6 ? 40 : 20);
	assert_int_equal(out[v6 ? 20 : 23], IPPROTO_UDP);
	assert_true(n >= l4 + 8 + len);
	assert_int_equal(out[l4] << 8 | out[l4 + 1], sport);
	assert_int_equal(out[l4 + 2] << 8 | out[l4 + 3], dport);
	assert_int_equal(out[l4 + 4] << 8 | out[l4 + 5], 8 + len);
	assert_memory_equal(out + l4 + 8, data, len);
	assert_true(test_l4_cksum_ok(out + 14, l4 - 14 + 8 + len));
}

void
udp_toy_silence(void)
{
	assert_int_equal(test_net_discard(&net.net), 0);
}

void
udp_toy_icmp(uint8_t type, uint8_t code, uint16_t mtu, uint16_t lport, uint16_t rport)
{
	static struct test_frame inner;
	uint8_t body[36] = {type, code, 0, 0, 0, 0, (uint8_t)(mtu >> 8), (uint8_t)mtu};

	test_frame_udp(&inner, test_addr("10.77.0.2"), test_addr("10.77.0.9"), lport, rport, "", 0);
	memcpy(body + 8, inner.b + inner.l3, 28);
	test_frame_icmp(&f, test_addr("10.77.0.9"), test_addr("10.77.0.2"), 64, body, sizeof(body));
}
