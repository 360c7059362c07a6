/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * UDP on the real table and the real network layer: frames in, frames out, three workers in one thread.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conv_net.h"

#define PORT 5007

static struct conv_net net;
static struct test_frame f;
static uint8_t out[TEST_FRAME_MAX];

/* ---- a service that writes down what is done to it ---- */

enum mode {
	MODE_ECHO,
	MODE_KEEP, /* reads nothing */
	MODE_CLOSE_AT_RECV,
	MODE_CLOSE_AT_ACCEPT,
	MODE_SHUT_AT_ACCEPT,
};

static struct {
	enum mode mode;
	unsigned accepts, connects, fails, recvs, kicks, hangups, datagrams;
	enum conv_end end;
	struct conv *c; /* the last one that was opened, not referenced */
	int written;
	size_t lens[64];
	unsigned nlens;
	bool reenter; /* while the service runs, the same datagram comes again, on worker 1 */
} svc;

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
toy_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	struct key k = pkt_of(m)->key.k;

	assert_null(w->in);
	assert_int_equal(pkt_of(m)->data_off, 0);
	svc.datagrams++;
	svc.written = udp_reply(w, l, &k, m);
}

static const struct service toy = {
	.name = "toy",
	.udp = true,
	.accept = toy_accept,
	.connected = toy_connected,
	.failed = toy_failed,
	.recv = toy_recv,
	.kicked = toy_kicked,
	.hangup = toy_hangup,
	.datagram = toy_datagram,
};

/* ---- helpers ---- */

static int
setup(void **state)
{
	(void)state;
	memset(&svc, 0, sizeof(svc));
	conv_net_init(&net);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conv_net_fini(&net);
	return 0;
}

static void
datagram(bool v6, uint16_t sport, uint16_t dport, const void *data, size_t len)
{
	test_frame_udp(&f, test_addr(v6 ? "fd77::9" : "10.77.0.9"),
		test_addr(v6 ? "fd77::2" : "10.77.0.2"), sport, dport, data, len);
}

static struct key
tuple(bool v6, uint16_t rport, uint16_t lport)
{
	struct key k = {.rport_be = rte_cpu_to_be_16(rport),
		.lport_be = rte_cpu_to_be_16(lport),
		.proto = IPPROTO_UDP};

	memcpy(k.raddr, test_addr(v6 ? "fd77::9" : "10.77.0.9").b, 16);
	memcpy(k.laddr, test_addr(v6 ? "fd77::2" : "10.77.0.2").b, 16);
	return k;
}

/** The next packet that was sent is a datagram with these ports and this payload. */
static void
expect_datagram(uint16_t sport, uint16_t dport, const void *data, size_t len)
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

static void
expect_silence(void)
{
	assert_int_equal(test_net_discard(&net.net), 0);
}

/** An ICMP error about a datagram from our lport to the peer's rport. */
static void
icmp_about(uint8_t type, uint8_t code, uint16_t mtu, uint16_t lport, uint16_t rport)
{
	static struct test_frame inner;
	uint8_t body[36] = {type, code, 0, 0, 0, 0, (uint8_t)(mtu >> 8), (uint8_t)mtu};

	test_frame_udp(&inner, test_addr("10.77.0.2"), test_addr("10.77.0.9"), lport, rport, "", 0);
	memcpy(body + 8, inner.b + inner.l3, 28);
	test_frame_icmp(&f, test_addr("10.77.0.9"), test_addr("10.77.0.2"), 64, body, sizeof(body));
}

/* ---- per peer ---- */

static void
echo_at(bool v6)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, false);

	for (unsigned i = 0; i < 5; i++) {
		uint8_t data[5] = {'h', 'e', 'l', 'l', (uint8_t)i};

		datagram(v6, 4000, PORT, data, i);
		conv_net_in(&net, i % CONV_NET_WORKERS, &f);
		expect_datagram(PORT, 4000, data, i);
	}
	assert_int_equal(svc.accepts, 1);
	assert_int_equal(svc.recvs, 5);
	assert_int_equal(conv_live(net.ct, NODE_CONV), 1);
	assert_int_equal(conv_net_delivered(&net), 5);
	assert_int_equal(listener_convs(l), 1);
	assert_int_equal(conv_net_udp_stat(&net, "datagrams_in"), 5);
	assert_int_equal(conv_net_udp_stat(&net, "bytes_out"), 0 + 1 + 2 + 3 + 4);
}

static void
test_echo_v4(void **state)
{
	(void)state;
	echo_at(false);
}

static void
test_echo_v6(void **state)
{
	(void)state;
	echo_at(true);
}

static void
test_conversation_per_peer(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	for (unsigned i = 0; i < 10; i++) {
		datagram(i % 2 == 1, (uint16_t)(4000 + i), PORT, "x", 1);
		conv_net_in(&net, 0, &f);
		expect_datagram(PORT, (uint16_t)(4000 + i), "x", 1);
	}
	assert_int_equal(svc.accepts, 10);
	assert_int_equal(conv_live(net.ct, NODE_CONV), 10);
}

/** Two workers hold a peer's first datagrams at once: one conversation, both delivered, in one place. */
static void
test_first_datagrams_race(void **state)
{
	struct rte_mbuf *a, *b;

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "a", 1);
	a = conv_net_parse(&net, 0, &f);
	datagram(false, 4000, PORT, "b", 1);
	b = conv_net_parse(&net, 1, &f);
	/* Both have looked up already, and found nothing. */
	udp_proto.miss(&net.net.w[0], a);
	udp_proto.miss(&net.net.w[1], b);
	assert_int_equal(conv_net_udp_stat(&net, "open_races"), 1);
	conv_turn(&net.net.w[1]);
	expect_datagram(PORT, 4000, "b", 1);
	conv_turn(&net.net.w[0]);
	expect_datagram(PORT, 4000, "a", 1);
	assert_int_equal(svc.accepts, 1);
	assert_int_equal(conv_net_delivered(&net), 2);
	assert_int_equal(conv_net_udp_stat(&net, "passive_opens"), 1);
	conv_net_turn(&net, 5);
	conv_net_turn(&net, 5);
	assert_int_equal(conv_live(net.ct, NODE_CONV), 1);
}

/** A datagram that comes on another worker while the service runs is taken by the one inside. */
static void
test_datagram_while_inside(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	svc.reenter = true;
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.recvs, 2);
	assert_int_equal(net.net.w[0].c.delivered, 2);
	assert_int_equal(net.net.w[1].c.delivered, 0);
	expect_datagram(PORT, 4000, "x", 1);
	expect_datagram(PORT, 4000, "x", 1);
}

static void
test_limit(void **state)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, false);

	(void)state;
	svc.mode = MODE_KEEP;
	for (unsigned i = 0; i < CONV_NET_LIMIT + 3; i++) {
		datagram(false, (uint16_t)(4000 + i), PORT, "x", 1);
		conv_net_in(&net, 0, &f);
	}
	assert_int_equal(svc.accepts, CONV_NET_LIMIT);
	assert_int_equal(conv_net_drops(&net, DROP_CONV_LIMIT), 3);
	assert_int_equal(l->cells[0].refused, 3);
	assert_int_equal(l->cells[0].accepted, CONV_NET_LIMIT);
	/* The living go on. */
	svc.mode = MODE_ECHO;
	datagram(false, 4000, PORT, "y", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.nlens, 2);
	test_net_discard(&net.net);
}

static void
test_queue_is_bounded(void **state)
{
	struct conv_status st = {0};

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	svc.mode = MODE_KEEP;
	for (unsigned i = 0; i < 11; i++) {
		datagram(false, 4000, PORT, "abc", 3);
		conv_net_in(&net, 0, &f);
	}
	assert_int_equal(conv_net_drops(&net, DROP_UDP_QUEUE), 3);
	assert_int_equal(conv_net_delivered(&net), 8);
	assert_int_equal(udp_proto.readable(svc.c), 24);
	udp_proto.status(svc.c, &st);
	assert_string_equal(st.state, "OPEN");
	assert_int_equal(st.recv_queue, 24);
	assert_int_equal(st.bytes_in, 24);
}

static void
test_idle_timeout(void **state)
{
	struct key k = tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	/* Heard again in the middle, on another worker: the end moves. */
	conv_net_turn(&net, CONV_NET_IDLE_MS - 1000);
	conv_net_in(&net, 1, &f);
	for (unsigned i = 0; i < CONV_NET_IDLE_MS - 1; i++)
		conv_net_turn(&net, 1);
	assert_int_equal(svc.hangups, 0);
	assert_non_null(conv_net_find(&net, &k));
	conv_net_turn(&net, 1);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.hangups, 1);
	assert_int_equal(svc.end, CONV_END_TIMEOUT);
	assert_null(conv_net_find(&net, &k));
	assert_int_equal(conv_net_udp_stat(&net, "idle_ends"), 1);
	/* The peer can come again. */
	conv_net_in(&net, 2, &f);
	assert_int_equal(svc.accepts, 2);
}

static void
test_close_from_recv(void **state)
{
	struct key k = tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	svc.mode = MODE_CLOSE_AT_RECV;
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.hangups, 1);
	assert_int_equal(svc.end, CONV_END_CLOSED);
	assert_null(conv_net_find(&net, &k));
}

/** What comes for a conversation that its service closes at once opens the next one; it ends, as each closes one more. */
static void
test_close_from_accept(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	svc.mode = MODE_CLOSE_AT_ACCEPT;
	datagram(false, 4000, PORT, "x", 1);
	m = conv_net_parse(&net, 0, &f);
	udp_proto.miss(&net.net.w[0], m);
	svc.mode = MODE_ECHO;
	conv_turn(&net.net.w[0]);
	assert_int_equal(svc.accepts, 1);
	expect_datagram(PORT, 4000, "x", 1);
}

static void
test_shutdown_ends_writing(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	svc.mode = MODE_SHUT_AT_ACCEPT;
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.written, -EPIPE);
	assert_int_equal(svc.hangups, 0);
	expect_silence();
}

static void
test_kick_and_hangup(void **state)
{
	struct key k = tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	conv_kick(&net.net.w[2], &svc.c->cn, NODE_KICK);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.kicks, 1);
	conv_post(net.ct, 1, &svc.c->cn, NODE_HANGUP);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.hangups, 1);
	assert_int_equal(svc.end, CONV_END_HANGUP);
	assert_null(conv_net_find(&net, &k));
}

/** I6: a call that was made for a listener which closes before it is taken finds nobody. */
static void
test_listener_closes_before_accept(void **state)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, false);
	struct rte_mbuf *m;

	(void)state;
	datagram(false, 4000, PORT, "x", 1);
	m = conv_net_parse(&net, 0, &f);
	udp_proto.miss(&net.net.w[0], m);
	conv_net_unlisten(&net, l);
	conv_turn(&net.net.w[0]);
	assert_int_equal(svc.accepts, 0);
	assert_int_equal(svc.hangups, 0);
	assert_int_equal(conv_net_drops(&net, DROP_UDP_NO_CONV), 1);
	test_net_discard(&net.net);
}

/** Conversations of a closed listener keep it, and it is freed after the last one. */
static void
test_listener_closes_under_conversation(void **state)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, false);

	(void)state;
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	conv_net_unlisten(&net, l);
	for (unsigned i = 0; i < 8; i++)
		conv_net_turn(&net, 2);
	assert_int_equal(listener_sweep(&net.control), 1);
	conv_net_in(&net, 1, &f);
	assert_int_equal(svc.recvs, 2);
	conv_net_turn(&net, CONV_NET_IDLE_MS + 1);
	for (unsigned i = 0; i < 8; i++)
		conv_net_turn(&net, 2);
	assert_int_equal(svc.hangups, 1);
	assert_int_equal(listener_sweep(&net.control), 0);
	test_net_discard(&net.net);
}

static void
test_allow_and_deny(void **state)
{
	struct prefix deny = {.len = 96 + 24};
	struct listener_conf lc = {.name = "toy",
		.proto = IPPROTO_UDP,
		.port_lo = PORT,
		.port_hi = PORT,
		.service = &toy,
		.deny = &deny,
		.ndeny = 1};
	struct listener *l;

	(void)state;
	memcpy(deny.addr, test_addr("10.77.0.0").b, 16);
	l = conv_net_listen_conf(&net, &lc);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(conv_net_drops(&net, DROP_DENIED), 1);
	assert_int_equal(l->cells[0].denied, 1);
	expect_silence();
	datagram(true, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	expect_datagram(PORT, 4000, "x", 1);
}

/* ---- nobody there; loops; groups ---- */

static void
test_port_unreachable(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		datagram(v6, 4000, 99, "hello", 5);
		conv_net_in(&net, 0, &f);
		test_expect_sent(&net.net, out);
		if (v6) {
			assert_int_equal(out[20], IPPROTO_ICMPV6);
			assert_int_equal(out[54], 1);
			assert_int_equal(out[55], 4);
			assert_memory_equal(out + 62, f.b + 14, f.len - 14);
		} else {
			assert_int_equal(out[23], IPPROTO_ICMP);
			assert_int_equal(out[34], 3);
			assert_int_equal(out[35], 3);
			assert_memory_equal(out + 42, f.b + 14, f.len - 14);
		}
	}
	assert_int_equal(conv_net_drops(&net, DROP_UDP_NO_CONV), 2);
	assert_int_equal(conv_net_udp_stat(&net, "no_ports"), 2);
}

static void
test_responders_are_not_answered(void **state)
{
	static const uint16_t bad[] = {7, 11, 13, 17, 19, 37, 53, 69, 123, 161, 389};

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	conv_net_listen(&net, PORT + 1, &toy, true);
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		datagram(i % 2 == 1, bad[i], (uint16_t)(PORT + i % 2), "x", 1);
		conv_net_in(&net, 0, &f);
	}
	assert_int_equal(conv_net_drops(&net, DROP_UDP_LOOP), RTE_DIM(bad));
	assert_int_equal(conv_live(net.ct, NODE_CONV), 0);
	expect_silence();
	datagram(false, 1023, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	expect_datagram(PORT, 1023, "x", 1);
}

/** Fraggle: what was sent to all is answered by nobody. */
static void
test_groups_are_not_answered(void **state)
{
	static const char *const to[] = {"10.77.0.255", "255.255.255.255", "224.0.0.1"};

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	conv_net_listen(&net, PORT + 1, &toy, true);
	for (unsigned i = 0; i < 2 * RTE_DIM(to); i++) {
		test_frame_udp(&f, test_addr("10.77.0.9"), test_addr(to[i / 2]), 4000,
			(uint16_t)(PORT + i % 2), "x", 1);
		memcpy(f.b, test_mac_broadcast, 6);
		conv_net_in(&net, 0, &f);
	}
	assert_int_equal(svc.accepts + svc.datagrams, 0);
	assert_int_equal(conv_net_drops(&net, DROP_UDP_NO_CONV), 2 * RTE_DIM(to));
	expect_silence();
}

static void
test_no_answer_to_port_0(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 0, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.written, -EDESTADDRREQ);
	expect_silence();
}

/* ---- one for all ---- */

static void
test_one_for_all(void **state)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, true);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		datagram(i % 2 == 1, (uint16_t)(4000 + i), PORT, "one", 3);
		conv_net_in(&net, i % CONV_NET_WORKERS, &f);
		expect_datagram(PORT, (uint16_t)(4000 + i), "one", 3);
	}
	assert_int_equal(svc.datagrams, 20);
	assert_int_equal(svc.accepts, 0);
	assert_int_equal(conv_live(net.ct, NODE_CONV), 0);
	assert_int_equal(conv_net_delivered(&net), 20);
	assert_int_equal(l->cells[0].bytes_out + l->cells[1].bytes_out + l->cells[2].bytes_out, 60);
}

/* ---- large, chained, shared ---- */

/** 4000 bytes in pieces, echoed in pieces: joined, handed to the service as one, sent as fragments with the same bytes. */
static void
test_long_datagram_leaves_in_pieces(void **state)
{
	static uint8_t data[4000], back[4200];
	static struct test_frame whole;
	size_t payload, got = 0;

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	datagram(false, 4000, PORT, data, sizeof(data));
	whole = f;
	payload = whole.len - 34;
	for (size_t off = 0; off < payload; off += 1480) {
		size_t len = RTE_MIN(payload - off, (size_t)1480);
		uint16_t field = (uint16_t)(off / 8) | (off + len < payload ? 0x2000 : 0);

		test_frame_ip(&f, test_addr("10.77.0.9"), test_addr("10.77.0.2"), IPPROTO_UDP,
			whole.b + 34 + off, len);
		f.b[20] = (uint8_t)(field >> 8);
		f.b[21] = (uint8_t)field;
		test_frame_ip4_cksum(&f);
		conv_net_in(&net, (unsigned)(off / 1480) % CONV_NET_WORKERS, &f);
	}
	assert_int_equal(svc.nlens, 1);
	assert_int_equal(svc.lens[0], sizeof(data));
	while (got < 8 + sizeof(data)) {
		size_t n = test_expect_sent(&net.net, out);
		size_t off = (size_t)((out[20] & 0x1f) << 8 | out[21]) * 8;

		assert_true(off + n - 34 <= sizeof(back));
		memcpy(back + off, out + 34, n - 34);
		got += n - 34;
	}
	assert_int_equal(got, 8 + sizeof(data));
	assert_memory_equal(back + 8, data, sizeof(data));
	expect_silence();
	assert_int_equal(conv_net_delivered(&net), 1);
	assert_int_equal(conv_net_consumed(&net), 2 + 3); /* two pieces, and three neighbours */
}

/** The header split from its payload, as some ports do, and buffers that somebody else holds, too. */
static void
test_chained_input(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "chained payload", 15);
	for (size_t cut = 1; cut < f.len; cut++) {
		struct rte_mbuf *m = test_mbuf_cut(net.net.mp, f.b, f.len, &cut, 1), *up = NULL;

		assert_int_equal(ip_input_burst(&net.net.w[0], 0, &m, 1, &up), 1);
		conv_input_burst(&net.net.w[0], &up, 1);
		expect_datagram(PORT, 4000, "chained payload", 15);
	}
}

static int
write_shared(struct worker *w, struct conv *c, struct rte_mbuf **ret_m)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);

	memcpy(rte_pktmbuf_append(m, 4), "keep", 4);
	rte_mbuf_refcnt_update(m, 1);
	*ret_m = m;
	return udp_proto.write(w, c, m);
}

/** A buffer that the service still holds is sent as it is, and not written to. */
static void
test_shared_payload(void **state)
{
	struct rte_mbuf *m;
	uint16_t off;

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	assert_int_equal(write_shared(&net.net.w[0], svc.c, &m), 0);
	off = m->data_off;
	expect_datagram(PORT, 4000, "keep", 4);
	assert_int_equal(m->data_off, off);
	assert_int_equal(m->pkt_len, 4);
	assert_memory_equal(rte_pktmbuf_mtod(m, char *), "keep", 4);
	rte_pktmbuf_free(m);
}

static void
test_no_buffers(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	test_starve(net.net.mp_small);
	assert_int_equal(write_shared(&net.net.w[0], svc.c, &m), -ENOBUFS);
	test_feed(net.net.mp_small);
	rte_pktmbuf_free(m);
	assert_int_equal(conv_net_udp_stat(&net, "out_failed"), 1);
	expect_silence();
}

static void
test_write_too_long(void **state)
{
	struct rte_mbuf *m = NULL, *seg;

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	for (unsigned i = 0; i < 33; i++) {
		seg = rte_pktmbuf_alloc(net.net.mp);
		assert_non_null(rte_pktmbuf_append(seg, i < 32 ? 2000 : 1508));
		if (m == NULL)
			m = seg;
		else
			assert_int_equal(rte_pktmbuf_chain(m, seg), 0);
	}
	assert_int_equal(m->pkt_len, 65508); /* one more than fits */
	assert_int_equal(udp_proto.write(&net.net.w[0], svc.c, m), -EMSGSIZE);
	expect_silence();
}

/* ---- ICMP ---- */

static void
test_advice_unreachable(void **state)
{
	struct key k = tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	/* About another conversation. */
	icmp_about(3, 3, 0, PORT, 4001);
	conv_net_in(&net, 0, &f);
	assert_int_equal(conv_net_drops(&net, DROP_ICMP_NO_CONV), 1);
	assert_int_equal(svc.hangups, 0);
	/* Host unreachable is soft (RFC 1122 section 4.2.3.9). */
	icmp_about(3, 1, 0, PORT, 4000);
	conv_net_in(&net, 1, &f);
	assert_int_equal(svc.hangups, 0);
	icmp_about(3, 3, 0, PORT, 4000);
	conv_net_in(&net, 1, &f);
	assert_int_equal(svc.hangups, 1);
	assert_int_equal(svc.end, CONV_END_UNREACHABLE);
	assert_null(conv_net_find(&net, &k));
}

static void
test_advice_path_mtu(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	icmp_about(3, 4, 1000, PORT, 4000);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.c->path.mtu, 1000);
	assert_int_equal(conv_net_udp_stat(&net, "path_mtu_falls"), 1);
	/* Absurdly little: the floor. */
	icmp_about(3, 4, 68, PORT, 4000);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.c->path.mtu, 552);
	assert_int_equal(svc.hangups, 0);
}

/* ---- active open ---- */

static void
test_connect(void **state)
{
	struct key k = tuple(false, 53, 0);
	struct worker *w = &net.net.w[0];
	struct conv *c = NULL;
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.net.mp);
	uint16_t port;

	(void)state;
	memset(k.laddr, 0, sizeof(k.laddr));
	assert_int_equal(udp_proto.connect(w, &toy, &k, &c), 0);
	assert_memory_equal(c->cn.n.key.laddr, test_addr("10.77.0.2").b, 16);
	port = rte_be_to_cpu_16(c->cn.n.key.lport_be);
	assert_true(port >= 32768);
	assert_int_equal(svc.connects, 0);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.connects, 1);
	memcpy(rte_pktmbuf_append(m, 5), "query", 5);
	assert_int_equal(udp_proto.write(w, c, m), 0);
	expect_datagram(port, 53, "query", 5);
	/* An answer from a responder to what we asked it is no loop. */
	datagram(false, 53, port, "answer", 6);
	conv_net_in(&net, 1, &f);
	assert_int_equal(svc.nlens, 1);
	assert_int_equal(svc.lens[0], 6);
	test_net_discard(&net.net);
	conv_put(w, &c->cn);
}

static void
test_connect_ports_differ(void **state)
{
	struct key k = tuple(true, 53, 0);
	struct worker *w = &net.net.w[0];
	struct conv *c[32];
	unsigned near = 0;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(c); i++) {
		assert_int_equal(udp_proto.connect(w, &toy, &k, &c[i]), 0);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(c[i]->cn.n.key.lport_be, c[j]->cn.n.key.lport_be);
		if (i > 0)
			near += abs(rte_be_to_cpu_16(c[i]->cn.n.key.lport_be) -
					rte_be_to_cpu_16(c[i - 1]->cn.n.key.lport_be)) < 16;
	}
	/* Not one after the other: a guess is of no use (RFC 6056). */
	assert_true(near < 4);
	for (unsigned i = 0; i < RTE_DIM(c); i++)
		conv_put(w, &c[i]->cn);
}

static void
test_connect_refusals(void **state)
{
	struct key k = tuple(false, 53, 40000), far = k;
	struct worker *w = &net.net.w[0];
	struct conv *c = NULL, *d = NULL;

	(void)state;
	assert_int_equal(udp_proto.connect(w, &toy, &k, &c), 0);
	assert_int_equal(udp_proto.connect(w, &toy, &k, &d), -EADDRINUSE);
	memcpy(far.laddr, test_addr("10.77.0.77").b, 16);
	assert_int_equal(udp_proto.connect(w, &toy, &far, &d), -EADDRNOTAVAIL);
	assert_null(d);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.connects, 1);
	assert_int_equal(svc.fails, 0);
	conv_put(w, &c->cn);
}

static void
test_connect_hung_up_before_birth(void **state)
{
	struct key k = tuple(false, 53, 40000);
	struct worker *w = &net.net.w[0];
	struct conv *c = NULL;

	(void)state;
	assert_int_equal(udp_proto.connect(w, &toy, &k, &c), 0);
	conv_kick(w, &c->cn, NODE_HANGUP);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.connects, 0);
	assert_int_equal(svc.fails, 1);
	assert_int_equal(svc.end, CONV_END_HANGUP);
	conv_put(w, &c->cn);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_echo_v4),
		T(test_echo_v6),
		T(test_conversation_per_peer),
		T(test_first_datagrams_race),
		T(test_datagram_while_inside),
		T(test_limit),
		T(test_queue_is_bounded),
		T(test_idle_timeout),
		T(test_close_from_recv),
		T(test_close_from_accept),
		T(test_shutdown_ends_writing),
		T(test_kick_and_hangup),
		T(test_listener_closes_before_accept),
		T(test_listener_closes_under_conversation),
		T(test_allow_and_deny),
		T(test_port_unreachable),
		T(test_responders_are_not_answered),
		T(test_groups_are_not_answered),
		T(test_no_answer_to_port_0),
		T(test_one_for_all),
		T(test_long_datagram_leaves_in_pieces),
		T(test_chained_input),
		T(test_shared_payload),
		T(test_no_buffers),
		T(test_write_too_long),
		T(test_advice_unreachable),
		T(test_advice_path_mtu),
		T(test_connect),
		T(test_connect_ports_differ),
		T(test_connect_refusals),
		T(test_connect_hung_up_before_birth),
	};

	test_eal("udp_test");
	return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
