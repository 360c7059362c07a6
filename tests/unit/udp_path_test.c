/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * UDP, the rest: no conversation, one for all, long and chained datagrams, ICMP, active opens.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "udp_toy.h"

/* ---- nobody there; loops; groups ---- */

static void
test_port_unreachable(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		udp_toy_datagram(v6, 4000, 99, "hello", 5);
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
		udp_toy_datagram(i % 2 == 1, bad[i], (uint16_t)(PORT + i % 2), "x", 1);
		conv_net_in(&net, 0, &f);
	}
	assert_int_equal(conv_net_drops(&net, DROP_UDP_LOOP), RTE_DIM(bad));
	assert_int_equal(conv_live(net.ct, NODE_CONV), 0);
	udp_toy_silence();
	udp_toy_datagram(false, 1023, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	udp_toy_expect(PORT, 1023, "x", 1);
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
	udp_toy_silence();
}

static void
test_no_answer_to_port_0(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 0, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.written, -EDESTADDRREQ);
	udp_toy_silence();
}

/* ---- one for all ---- */

static void
test_one_for_all(void **state)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, true);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		udp_toy_datagram(i % 2 == 1, (uint16_t)(4000 + i), PORT, "one", 3);
		conv_net_in(&net, i % CONV_NET_WORKERS, &f);
		udp_toy_expect(PORT, (uint16_t)(4000 + i), "one", 3);
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
	udp_toy_datagram(false, 4000, PORT, data, sizeof(data));
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
	udp_toy_silence();
	assert_int_equal(conv_net_delivered(&net), 1);
	assert_int_equal(conv_net_consumed(&net), 2 + 3); /* two pieces, and three neighbours */
}

/** The header split from its payload, as some ports do, and buffers that somebody else holds, too. */
static void
test_chained_input(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 4000, PORT, "chained payload", 15);
	for (size_t cut = 1; cut < f.len; cut++) {
		struct rte_mbuf *m = test_mbuf_cut(net.net.mp, f.b, f.len, &cut, 1), *up = NULL;

		assert_int_equal(ip_input_burst(&net.net.w[0], 0, &m, 1, &up), 1);
		conv_input_burst(&net.net.w[0], &up, 1);
		udp_toy_expect(PORT, 4000, "chained payload", 15);
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
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	assert_int_equal(write_shared(&net.net.w[0], svc.c, &m), 0);
	off = m->data_off;
	udp_toy_expect(PORT, 4000, "keep", 4);
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
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	test_starve(net.net.mp_small);
	assert_int_equal(write_shared(&net.net.w[0], svc.c, &m), -ENOBUFS);
	test_feed(net.net.mp_small);
	rte_pktmbuf_free(m);
	assert_int_equal(conv_net_udp_stat(&net, "out_failed"), 1);
	udp_toy_silence();
}

static void
test_write_too_long(void **state)
{
	struct rte_mbuf *m = NULL, *seg;

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 4000, PORT, "x", 1);
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
	udp_toy_silence();
}

/* ---- ICMP ---- */

static void
test_advice_unreachable(void **state)
{
	struct key k = udp_toy_tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	/* About another conversation. */
	udp_toy_icmp(3, 3, 0, PORT, 4001);
	conv_net_in(&net, 0, &f);
	assert_int_equal(conv_net_drops(&net, DROP_ICMP_NO_CONV), 1);
	assert_int_equal(svc.hangups, 0);
	/* Host unreachable is soft (RFC 1122 section 4.2.3.9). */
	udp_toy_icmp(3, 1, 0, PORT, 4000);
	conv_net_in(&net, 1, &f);
	assert_int_equal(svc.hangups, 0);
	assert_int_equal(svc.troubles, 1);
	assert_int_equal(svc.detail, 3 << 8 | 1);
	assert_int_equal(conv_net_udp_stat(&net, "soft_errors"), 1);
	udp_toy_icmp(3, 3, 0, PORT, 4000);
	conv_net_in(&net, 1, &f);
	assert_int_equal(svc.troubles, 1);
	assert_int_equal(svc.hangups, 1);
	assert_int_equal(svc.end, CONV_END_UNREACHABLE);
	assert_null(conv_net_find(&net, &k));
}

/* The service may close while it is being told. */
static void
test_advice_closes(void **state)
{
	struct key k = udp_toy_tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	svc.close_in_trouble = true;
	udp_toy_icmp(3, 1, 0, PORT, 4000);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.troubles, 1);
	assert_int_equal(svc.hangups, 1);
	assert_int_equal(svc.end, CONV_END_CLOSED);
	assert_null(conv_net_find(&net, &k));
}

static void
test_advice_path_mtu(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	test_net_discard(&net.net);
	udp_toy_icmp(3, 4, 1000, PORT, 4000);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.c->path.mtu, 1000);
	assert_int_equal(conv_net_udp_stat(&net, "path_mtu_falls"), 1);
	/* Absurdly little: the floor. */
	udp_toy_icmp(3, 4, 68, PORT, 4000);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.c->path.mtu, 552);
	assert_int_equal(svc.hangups, 0);
}

/* ---- active open ---- */

static void
test_connect(void **state)
{
	struct key k = udp_toy_tuple(false, 53, 0);
	struct worker *w = &net.net.w[0];
	struct conv *c = NULL;
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.net.mp);
	uint16_t port;

	(void)state;
	memset(k.laddr, 0, sizeof(k.laddr));
	assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &c), 0);
	assert_memory_equal(c->cn.n.key.laddr, test_addr("10.77.0.2").b, 16);
	port = rte_be_to_cpu_16(c->cn.n.key.lport_be);
	assert_true(port >= 32768);
	assert_int_equal(svc.connects, 0);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.connects, 1);
	memcpy(rte_pktmbuf_append(m, 5), "query", 5);
	assert_int_equal(udp_proto.write(w, c, m), 0);
	udp_toy_expect(port, 53, "query", 5);
	/* An answer from a responder to what we asked it is no loop. */
	udp_toy_datagram(false, 53, port, "answer", 6);
	conv_net_in(&net, 1, &f);
	assert_int_equal(svc.nlens, 1);
	assert_int_equal(svc.lens[0], 6);
	test_net_discard(&net.net);
	conv_put(w, &c->cn);
}

static uint64_t known_at_birth;

static void
knows(struct worker *w, struct conv *c)
{
	(void)w;
	known_at_birth = c->svc[0];
}

/* I6: another worker may be inside as soon as the tuple is in the table; what the service needs is there by then. */
static void
test_connect_is_whole(void **state)
{
	static const struct service knowing = {
		.name = "knowing", .udp = true, .state_size = 8, .connected = knows};
	const uint64_t mine = 0x600d;
	struct key k = udp_toy_tuple(false, 53, 40001);
	struct conv *c = NULL;

	(void)state;
	known_at_birth = 0;
	assert_int_equal(udp_proto.connect(&net.net.w[0], &knowing, &k, &mine, &c), 0);
	udp_toy_datagram(false, 53, 40001, "late", 4);
	conv_net_in(&net, 1, &f);
	assert_int_equal(known_at_birth, mine);
	conv_kick(&net.net.w[0], &c->cn, NODE_HANGUP);
	conv_net_turn(&net, 1);
	conv_put(&net.net.w[0], &c->cn);
}

static void
test_connect_ports_differ(void **state)
{
	struct key k = udp_toy_tuple(true, 53, 0);
	struct worker *w = &net.net.w[0];
	struct conv *c[32];
	unsigned near = 0;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(c); i++) {
		assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &c[i]), 0);
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

/** A peer meets a port again only after all the others: by then its TIME-WAIT can tell old from new (RFC 6191). */
static void
test_connect_ports_come_round(void **state)
{
	static uint8_t met[65536];
	struct worker *w = &net.net.w[0];

	(void)state;
	for (unsigned i = 0; i < 28000; i++) {
		struct key k = udp_toy_tuple(false, 53, 0);
		struct conv *c = NULL;

		assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &c), 0);
		assert_in_range(rte_be_to_cpu_16(c->cn.n.key.lport_be), 32768, 60999);
		assert_int_equal(met[c->cn.n.key.lport_be]++, 0);
		conv_kick(w, &c->cn, NODE_HANGUP);
		conv_put(w, &c->cn);
		conv_net_turn(&net, 1);
	}
}

#define PORTS_ALL 28229 /* as lib/conv/connect.c has them */

static int
many_setup(void **state)
{
	(void)state;
	memset(&svc, 0, sizeof(svc));
	conv_net_init_many(&net, PORTS_ALL + 71);
	return 0;
}

/** All ports are taken; those that are given back last stand far from where the next one is looked for. */
static void
test_connect_ports_taken(void **state)
{
	static struct conv *c[PORTS_ALL];
	struct key k = udp_toy_tuple(true, 53, 0);
	struct worker *w = &net.net.w[0];
	struct conv *one = NULL;

	(void)state;
	for (unsigned i = 0; i < PORTS_ALL; i++)
		assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &c[i]), 0);
	assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &one), -EADDRINUSE);
	for (unsigned i = 0; i < PORTS_ALL; i++) {
		if (i >= PORTS_ALL - 1000)
			conv_kick(w, &c[i]->cn, NODE_HANGUP);
		conv_put(w, &c[i]->cn);
	}
	for (unsigned i = 0; i < 4; i++)
		conv_net_turn(&net, 1);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &one), 0);
		conv_put(w, &one->cn);
	}
}

static void
test_connect_refusals(void **state)
{
	struct key k = udp_toy_tuple(false, 53, 40000), far = k;
	struct worker *w = &net.net.w[0];
	struct conv *c = NULL, *d = NULL;

	(void)state;
	assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &c), 0);
	assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &d), -EADDRINUSE);
	memcpy(far.laddr, test_addr("10.77.0.77").b, 16);
	assert_int_equal(udp_proto.connect(w, &toy, &far, NULL, &d), -EADDRNOTAVAIL);
	assert_null(d);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.connects, 1);
	assert_int_equal(svc.fails, 0);
	conv_put(w, &c->cn);
}

static void
test_connect_hung_up_before_birth(void **state)
{
	struct key k = udp_toy_tuple(false, 53, 40000);
	struct worker *w = &net.net.w[0];
	struct conv *c = NULL;

	(void)state;
	assert_int_equal(udp_proto.connect(w, &toy, &k, NULL, &c), 0);
	conv_kick(w, &c->cn, NODE_HANGUP);
	conv_net_turn(&net, 1);
	assert_int_equal(svc.connects, 0);
	assert_int_equal(svc.fails, 1);
	assert_int_equal(svc.end, CONV_END_HANGUP);
	conv_put(w, &c->cn);
}

#define T(name) cmocka_unit_test_setup_teardown(name, udp_toy_setup, udp_toy_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
		T(test_advice_closes),
		T(test_advice_path_mtu),
		T(test_connect),
		T(test_connect_is_whole),
		T(test_connect_ports_differ),
		T(test_connect_ports_come_round),
		cmocka_unit_test_setup_teardown(
			test_connect_ports_taken, many_setup, udp_toy_teardown),
		T(test_connect_refusals),
		T(test_connect_hung_up_before_birth),
	};

	test_eal("udp_path_test");
	return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
