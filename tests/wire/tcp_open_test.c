/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Opening: passive, active, simultaneous; options; retransmitted SYNs; limits.
 */
#include <errno.h>

#include "util.h"
#include "wire.h"

static struct wire_conf plain = {.service = {.read = true}};

static void
test_passive(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	k.w = w;
	wire_accept(&k);
	wire_state(&k, "ESTABLISHED");
	assert_int_equal(listener_convs(wire_listener(w)), 1);
	wire_send(&k, ACK | PSH, 1, 1, 100);
	assert_int_equal(k.read, 100);
	wire_run(w, 50);
	s = wire_expect(&k, ACK, 1, 101, 0);
	assert_true(s.ts);
	wire_close(w);
}

static void
test_options_of_syn_ack(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k, bare;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	k.wscale = 9;
	wire_send(&k, SYN, 0, 0, 0);
	s = wire_expect(&k, SYN | ACK, 0, 1, 0);
	assert_int_equal(s.mss, 1460);
	assert_int_equal(s.wscale, 7); /* 4 MiB */
	assert_int_equal(s.wnd, 65535); /* not scaled on a SYN */
	assert_true(s.sack_ok);
	assert_true(s.ts);
	assert_int_equal(s.ts_ecr, (uint32_t)(wire_now_us(w) / 1000) + 77);

	/* What the peer does not offer is not answered. */
	wire_conn(w, &bare);
	bare.wscale = bare.mss = WIRE_NONE;
	bare.sack_ok = bare.ts = false;
	wire_send(&bare, SYN, 0, 0, 0);
	s = wire_expect(&bare, SYN | ACK, 0, 1, 0);
	assert_int_equal(s.mss, 1460);
	assert_int_equal(s.wscale, WIRE_NONE);
	assert_false(s.sack_ok);
	assert_false(s.ts);
	wire_expect_accept(&bare);
	assert_false(wire_status(&bare).timestamps);
	assert_false(wire_status(&bare).sack);
	wire_expect_accept(&k);
	assert_true(wire_status(&k).timestamps);
	assert_true(wire_status(&k).sack);
	wire_close(w);
}

static void
test_mss_default_and_floor(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn none, tiny;

	(void)state;
	wire_conn(w, &none);
	none.mss = WIRE_NONE;
	none.ts = false;
	wire_accept(&none);
	wire_write(&none, 2000);
	wire_expect(&none, ACK, 1, 1, wire_v6() ? 1220 : 536);
	wire_discard(w);
	wire_conn(w, &tiny);
	tiny.mss = 1;
	tiny.ts = false;
	wire_accept(&tiny);
	wire_write(&tiny, 2000);
	wire_expect(&tiny, ACK, 1, 1, 216);
	wire_discard(w);
	wire_close(w);
}

static void
test_syn_ack_again(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;
	struct wire_seg s;
	static const unsigned at[] = {1000, 3000, 7000, 15000};
	uint64_t start;

	(void)state;
	wire_conn(w, &k);
	start = wire_now_us(w);
	wire_send(&k, SYN, 0, 0, 0);
	s = wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_run(w, 32400);
	for (unsigned i = 0; i < 4; i++) {
		s = wire_expect(&k, SYN | ACK, 0, 1, 0);
		assert_in_range((s.at_us - start) / 1000, at[i], at[i] + 2);
	}
	wire_silent(w);
	assert_int_equal(wire_stat(w, "half_open_timeouts"), 1);
	wire_state(&k, "");
	wire_close(w);
}

/* What the peer's patience has moved, our timer follows: it does not fire when it first was to. */
static void
test_syn_again_moves_the_timer(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;
	struct wire_seg s;
	uint64_t at;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_run(w, 500);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	at = wire_now_us(w);
	wire_run(w, 2500);
	s = wire_expect(&k, SYN | ACK, 0, 1, 0);
	assert_in_range((s.at_us - at) / 1000, 2000, 2002);
	wire_silent(w);
	wire_close(w);
}

static void
test_syn_again(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	/* A duplicate at once is silent, one of a peer that waited is answered. */
	wire_send(&k, SYN, 0, 0, 0);
	wire_silent(w);
	wire_run(w, 500);
	wire_send(&k, SYN, 0, 0, 0);
	s = wire_expect(&k, SYN | ACK, 0, 1, 0);
	/* The echo is the last SYN's, and ours measures the last SYN-ACK. */
	assert_int_equal(s.ts_ecr, (uint32_t)(wire_now_us(w) / 1000) + 77);
	wire_run(w, 30);
	wire_expect_accept(&k);
	assert_in_range(wire_status(&k).srtt_us, 29000, 31000);
	assert_int_equal(wire_status(&k).rto_us, 200000); /* the least there is */
	wire_close(w);
}

static void
test_no_listener(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	k.our_port = 99;
	wire_send(&k, SYN, 0, 0, 0);
	s = wire_expect(&k, RST | ACK, WIRE_ANY, 1, 0);
	assert_int_equal(s.raw_seq, 0);
	wire_send(&k, ACK, 5, 1234, 10);
	s = wire_expect(&k, RST, WIRE_ANY, WIRE_ANY, 0);
	assert_int_equal(s.raw_seq, k.iss + 1234);
	wire_send(&k, RST, 5, 0, 0);
	wire_silent(w);
	assert_int_equal(wire_drops(w, DROP_TCP_NO_CONV), 3);
	wire_close(w);
}

static void
test_listen_ignores(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, RST, 0, 0, 0);
	wire_silent(w);
	wire_send(&k, 0, 0, 0, 5);
	wire_silent(w);
	wire_send(&k, FIN, 0, 0, 0);
	wire_silent(w);
	assert_int_equal(wire_drops(w, DROP_TCP_LISTEN), 3);
	wire_send(&k, ACK, 0, 77, 0);
	wire_expect(&k, RST, 77, WIRE_ANY, 0);
	wire_send(&k, SYN | ACK, 0, 77, 0);
	wire_expect(&k, RST, 77, WIRE_ANY, 0);
	wire_close(w);
}

static void
test_bad_ack_in_syn_received(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	w = k.w;
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_send(&k, ACK, 1, 2, 0);
	wire_expect(&k, RST, 2, WIRE_ANY, 0);
	wire_state(&k, "SYN-RECEIVED");
	/* RST in the window but not exact: the call lives; exact: it goes. */
	wire_send(&k, RST, 2, 0, 0);
	wire_state(&k, "SYN-RECEIVED");
	wire_send(&k, RST, 1, 0, 0);
	wire_state(&k, "");
	wire_discard(w);
	wire_close(w);
}

/* RFC 7323 section 5.2: a RST has no timestamp to be judged by. */
static void
test_old_reset_in_syn_received(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	k.ts_val = 1000;
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	k.ts_val = 1;
	wire_send(&k, RST, 1, 0, 0);
	wire_state(&k, "");
	wire_silent(w);
	wire_close(w);
}

static uint64_t
refused(struct wire *w)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= WORKER_MAX; i++)
		sum += atomic_load(&wire_listener(w)->cells[i].refused);
	return sum;
}

static void
test_conversation_limit(void **state)
{
	struct wire_conf conf = {.conversations = 2, .service = {.read = true}};
	struct wire *w = wire_open(&conf);
	struct wire_conn k[3], late;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		wire_conn(w, &k[i]);
	wire_send(&k[2], SYN, 0, 0, 0);
	wire_expect(&k[2], SYN | ACK, 0, 1, 0);
	wire_accept(&k[0]);
	wire_accept(&k[1]);
	/* A SYN is refused, and gets no cookie either. */
	wire_conn(w, &late);
	wire_send(&late, SYN, 0, 0, 0);
	wire_silent(w);
	assert_int_equal(wire_drops(w, DROP_TCP_BACKLOG), 1);
	/* The last ACK finds no room: refused, and the call stays half open; then there is. */
	wire_send(&k[2], ACK, 1, 1, 0);
	assert_int_equal(wire_drops(w, DROP_CONV_LIMIT), 1);
	assert_int_equal(refused(w), 2); /* the SYN was, too */
	wire_state(&k[2], "SYN-RECEIVED");
	wire_send(&k[0], RST, 1, 0, 0);
	wire_run(w, 10);
	w = k[2].w;
	k[2].accepted = 0;
	wire_discard(w);
	wire_close(w);
}

static void
test_listener_gone(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	stack_unlisten(wire_stack(w), wire_listener(w));
	wire_send(&k, ACK, 1, 1, 0);
	wire_expect(&k, RST, 1, WIRE_ANY, 0);
	assert_int_equal(k.accepted, 0);
	wire_state(&k, "");
	wire_close(w);
}

/* Data, and even FIN, may come with the ACK that completes the handshake. */
static void
test_data_with_last_ack(void **state)
{
	struct wire_conf conf = {.service = {.echo = true, .close_on_fin = true}};
	struct wire *w = wire_open(&conf);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_state(&k, "SYN-RECEIVED");
	assert_int_equal(k.accepted, 0);
	wire_accepting(&k);
	wire_send(&k, ACK | PSH | FIN, 1, 1, 100);
	assert_int_equal(k.accepted, 1);
	wire_expect(&k, ACK | FIN, 1, 102, 100);
	wire_close(w);
}

/* RFC 7323 section 2.2: the window of a SYN-ACK is not scaled, those after it are. */
static void
test_active_window_scale(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	k.wscale = 4;
	k.wnd = 160;
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_send(&k, SYN | ACK, 0, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_write(&k, 2000);
	wire_expect(&k, ACK, 1, 1, 160);
	wire_silent(w);
	k.wnd = 100;
	wire_send(&k, ACK, 1, 161, 0);
	wire_expect(&k, ACK, 161, 1, 1448);
	wire_discard(w);
	wire_close(w);
}

static void
test_active(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	s = wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	assert_int_equal(s.raw_ack, 0);
	assert_int_equal(s.mss, 1460);
	assert_int_equal(s.wscale, 7);
	assert_true(s.sack_ok && s.ts);
	wire_state(&k, "SYN-SENT");
	wire_send(&k, SYN | ACK, 0, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(k.connected, 1);
	wire_state(&k, "ESTABLISHED");
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_send(&k, ACK, 1, 11, 5);
	assert_int_equal(k.read, 5);
	wire_close(w);
}

static void
test_active_refused(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	/* RST without an acceptable ACK is nothing. */
	wire_send(&k, RST, 0, 0, 0);
	wire_send(&k, RST | ACK, 0, 2, 0);
	wire_state(&k, "SYN-SENT");
	wire_silent(w);
	wire_send(&k, SYN | ACK, 0, 2, 0);
	wire_expect(&k, RST, 2, WIRE_ANY, 0);
	wire_send(&k, RST | ACK, 0, 1, 0);
	assert_int_equal(k.failed, 1);
	assert_int_equal(k.why, CONV_END_REFUSED);
	wire_state(&k, "");
	wire_close(w);
}

/* RFC 9293 section 3.10.7.3: data that comes with the SYN-ACK is taken in, and the service told. */
static void
test_active_with_data(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_send(&k, SYN | ACK, 0, 1, 10);
	wire_expect(&k, ACK, 1, 11, 0);
	assert_int_equal(k.connected, 1);
	assert_int_equal(k.read, 10);
	wire_close(w);
}

static void
test_active_unreachable(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	/* A soft error, and a hard one about another number, are not believed. */
	wire_icmp(&k, WIRE_NO_HOST, 0, 0);
	wire_icmp(&k, WIRE_NO_PORT, 0, 1);
	wire_state(&k, "SYN-SENT");
	assert_int_equal(k.troubles, 1);
	assert_int_equal(k.trouble, CONV_TROUBLE_ICMP);
	assert_int_equal(k.detail, wire_v6() ? 1 << 8 | 3 : 3 << 8 | 1);
	wire_icmp(&k, WIRE_NO_PORT, 0, 0);
	assert_int_equal(k.failed, 1);
	assert_int_equal(k.why, CONV_END_UNREACHABLE);
	wire_close(w);
}

static void
test_active_timeout(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;
	struct wire_seg s;
	static const unsigned at[] = {0, 1, 3, 7, 15, 31, 63, 123};
	uint64_t start;

	(void)state;
	wire_conn(w, &k);
	start = wire_now_us(w);
	wire_connect(&k);
	for (unsigned i = 0; i < 200; i++)
		wire_run(w, 1000);
	for (unsigned i = 0; i < 8; i++) {
		s = wire_expect(&k, SYN, 0, WIRE_ANY, 0);
		assert_in_range((s.at_us - start) / 1000, at[i] * 1000, at[i] * 1000 + 10);
	}
	wire_silent(w);
	assert_int_equal(k.failed, 1);
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	/* R1 is the third: told from then on. */
	assert_int_equal(k.troubles, 5);
	assert_int_equal(k.trouble, CONV_TROUBLE_SILENCE);
	assert_int_equal(k.detail, 7);
	wire_close(w);
}

static void
test_simultaneous(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_state(&k, "SYN-RECEIVED");
	assert_int_equal(k.connected, 0);
	wire_send(&k, SYN | ACK, 0, 1, 0);
	wire_state(&k, "ESTABLISHED");
	assert_int_equal(k.connected, 1);
	wire_send(&k, ACK, 1, 1, 7);
	assert_int_equal(k.read, 7);
	wire_close(w);
}

/* RFC 7323 section 2.2, RFC 2018 section 2: what the other SYN did not offer is not in ours when it goes again, with ACK. */
static void
test_simultaneous_options(void **state)
{
	(void)state;
	for (unsigned offers = 0; offers < 2; offers++) {
		struct wire *w = wire_open(&plain);
		struct wire_conn k;
		struct wire_seg s;

		wire_conn(w, &k);
		k.wscale = offers ? 5 : WIRE_NONE;
		k.sack_ok = k.ts = offers;
		wire_connect(&k);
		s = wire_expect(&k, SYN, 0, WIRE_ANY, 0);
		assert_true(s.sack_ok && s.ts && s.wscale == 7);
		wire_send(&k, SYN, 0, 0, 0);
		s = wire_expect(&k, SYN | ACK, 0, 1, 0);
		assert_int_equal(s.sack_ok, offers);
		assert_int_equal(s.ts, offers);
		assert_int_equal(s.wscale, offers ? 7 : WIRE_NONE);
		wire_close(w);
	}
}

static void
test_write_before_connected(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_write(&k, 300);
	wire_silent(w);
	wire_send(&k, SYN | ACK, 0, 1, 0);
	wire_expect(&k, ACK, 1, 1, 300);
	wire_close(w);
}

static void
test_ports_differ(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		wire_conn(w, &k[i]);
		k[i].peer_port = 80;
		wire_connect(&k[i]);
		assert_true(k[i].our_port >= 32768);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(k[i].our_port, k[j].our_port);
	}
	/* A port that was asked for is used, or refused. */
	struct key key = k[0].c->cn.n.key;
	struct conv *c;

	assert_int_equal(
		tcp_proto.connect(wire_worker(w, 0), k[0].c->service, &key, NULL, &c), -EADDRINUSE);
	wire_close(w);
}

static void
test_two_workers_one_syn(void **state)
{
	struct wire_conf conf = {.workers = 2, .service = {.read = true}};
	struct wire *w = wire_open(&conf);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_to(w, 0);
	wire_queue(&k, SYN, 0, 0, 0);
	wire_to(w, 1);
	wire_queue(&k, SYN, 0, 0, 0);
	wire_turn(w);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_silent(w);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passive),
		cmocka_unit_test(test_options_of_syn_ack),
		cmocka_unit_test(test_mss_default_and_floor),
		cmocka_unit_test(test_syn_ack_again),
		cmocka_unit_test(test_syn_again),
		cmocka_unit_test(test_syn_again_moves_the_timer),
		cmocka_unit_test(test_no_listener),
		cmocka_unit_test(test_listen_ignores),
		cmocka_unit_test(test_bad_ack_in_syn_received),
		cmocka_unit_test(test_old_reset_in_syn_received),
		cmocka_unit_test(test_conversation_limit),
		cmocka_unit_test(test_listener_gone),
		cmocka_unit_test(test_data_with_last_ack),
		cmocka_unit_test(test_active),
		cmocka_unit_test(test_active_window_scale),
		cmocka_unit_test(test_active_refused),
		cmocka_unit_test(test_active_with_data),
		cmocka_unit_test(test_active_unreachable),
		cmocka_unit_test(test_active_timeout),
		cmocka_unit_test(test_simultaneous),
		cmocka_unit_test(test_simultaneous_options),
		cmocka_unit_test(test_write_before_connected),
		cmocka_unit_test(test_ports_differ),
		cmocka_unit_test(test_two_workers_one_syn),
	};

	wire_args(argc, argv);
	test_eal("tcp_open");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
