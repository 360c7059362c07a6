/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * UDP, a conversation for each peer: frames in, frames out.
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

/* ---- per peer ---- */

static void
echo_at(bool v6)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, false);

	for (unsigned i = 0; i < 5; i++) {
		uint8_t data[5] = {'h', 'e', 'l', 'l', (uint8_t)i};

		udp_toy_datagram(v6, 4000, PORT, data, i);
		conv_net_in(&net, i % CONV_NET_WORKERS, &f);
		udp_toy_expect(PORT, 4000, data, i);
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
		udp_toy_datagram(i % 2 == 1, (uint16_t)(4000 + i), PORT, "x", 1);
		conv_net_in(&net, 0, &f);
		udp_toy_expect(PORT, (uint16_t)(4000 + i), "x", 1);
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
	udp_toy_datagram(false, 4000, PORT, "a", 1);
	a = conv_net_parse(&net, 0, &f);
	udp_toy_datagram(false, 4000, PORT, "b", 1);
	b = conv_net_parse(&net, 1, &f);
	/* Both have looked up already, and found nothing. */
	udp_proto.miss(&net.net.w[0], a);
	udp_proto.miss(&net.net.w[1], b);
	assert_int_equal(conv_net_udp_stat(&net, "open_races"), 1);
	conv_turn(&net.net.w[1]);
	udp_toy_expect(PORT, 4000, "b", 1);
	conv_turn(&net.net.w[0]);
	udp_toy_expect(PORT, 4000, "a", 1);
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
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.recvs, 2);
	assert_int_equal(net.net.w[0].c.delivered, 2);
	assert_int_equal(net.net.w[1].c.delivered, 0);
	udp_toy_expect(PORT, 4000, "x", 1);
	udp_toy_expect(PORT, 4000, "x", 1);
}

static void
test_limit(void **state)
{
	struct listener *l = conv_net_listen(&net, PORT, &toy, false);

	(void)state;
	svc.mode = MODE_KEEP;
	for (unsigned i = 0; i < CONV_NET_LIMIT + 3; i++) {
		udp_toy_datagram(false, (uint16_t)(4000 + i), PORT, "x", 1);
		conv_net_in(&net, 0, &f);
	}
	assert_int_equal(svc.accepts, CONV_NET_LIMIT);
	assert_int_equal(conv_net_drops(&net, DROP_CONV_LIMIT), 3);
	assert_int_equal(l->cells[0].refused, 3);
	assert_int_equal(l->cells[0].accepted, CONV_NET_LIMIT);
	/* The living go on. */
	svc.mode = MODE_ECHO;
	udp_toy_datagram(false, 4000, PORT, "y", 1);
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
		udp_toy_datagram(false, 4000, PORT, "abc", 3);
		conv_net_in(&net, 0, &f);
	}
	assert_int_equal(conv_net_drops(&net, DROP_UDP_QUEUE), 3);
	assert_int_equal(conv_net_delivered(&net), 8);
	assert_int_equal(udp_proto.readable(svc.c), 24);
	udp_proto.status(&net.net.w[0], svc.c, &st);
	assert_string_equal(st.state, "OPEN");
	assert_int_equal(st.recv_queue, 24);
	assert_int_equal(st.bytes_in, 24);
}

static void
test_idle_timeout(void **state)
{
	struct key k = udp_toy_tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 4000, PORT, "x", 1);
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
	struct key k = udp_toy_tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	svc.mode = MODE_CLOSE_AT_RECV;
	udp_toy_datagram(false, 4000, PORT, "x", 1);
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
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	m = conv_net_parse(&net, 0, &f);
	udp_proto.miss(&net.net.w[0], m);
	svc.mode = MODE_ECHO;
	conv_turn(&net.net.w[0]);
	assert_int_equal(svc.accepts, 1);
	udp_toy_expect(PORT, 4000, "x", 1);
}

static void
test_shutdown_ends_writing(void **state)
{
	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	svc.mode = MODE_SHUT_AT_ACCEPT;
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(svc.written, -EPIPE);
	assert_int_equal(svc.hangups, 0);
	udp_toy_silence();
}

static void
test_kick_and_hangup(void **state)
{
	struct key k = udp_toy_tuple(false, 4000, PORT);

	(void)state;
	conv_net_listen(&net, PORT, &toy, false);
	udp_toy_datagram(false, 4000, PORT, "x", 1);
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
	udp_toy_datagram(false, 4000, PORT, "x", 1);
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
	udp_toy_datagram(false, 4000, PORT, "x", 1);
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
	udp_toy_datagram(false, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	assert_int_equal(conv_net_drops(&net, DROP_DENIED), 1);
	assert_int_equal(l->cells[0].denied, 1);
	udp_toy_silence();
	udp_toy_datagram(true, 4000, PORT, "x", 1);
	conv_net_in(&net, 0, &f);
	udp_toy_expect(PORT, 4000, "x", 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, udp_toy_setup, udp_toy_teardown)

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
	};

	test_eal("udp_test");
	return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
