/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * SYN cookies (RFC 4987 section 3.6): past the watermark of half-open calls nothing is kept, and yet calls are taken.
 */
#include "util.h"
#include "wire.h"

#define WATERMARK 2

static struct wire_conf conf = {.listener_half_open = WATERMARK, .service = {.read = true}};

/** So many half-open calls that all others get cookies. */
static struct wire *
open_full(struct wire_conf *c)
{
	struct wire *w = wire_open(c);
	struct wire_conn k;

	for (unsigned i = 0; i < WATERMARK; i++) {
		wire_conn(w, &k);
		wire_send(&k, SYN, 0, 0, 0);
		wire_expect(&k, SYN | ACK, 0, 1, 0);
		wire_state(&k, "SYN-RECEIVED");
	}
	assert_int_equal(wire_stat(w, "cookies_sent"), 0);
	return w;
}

/** A SYN that gets one. */
static struct wire_seg
get_cookie(struct wire *w, struct wire_conn *k)
{
	uint64_t sent = wire_stat(w, "cookies_sent");
	struct wire_seg s;

	wire_send(k, SYN, 0, 0, 0);
	s = wire_expect(k, SYN | ACK, 0, 1, 0);
	assert_int_equal(wire_stat(w, "cookies_sent"), sent + 1);
	wire_state(k, ""); /* nothing is kept */
	return s;
}

static uint32_t
half_open(struct wire *w)
{
	struct stack_stats st;

	stack_stats(wire_stack(w), &st);
	return st.live[NODE_HALF_OPEN];
}

static void
test_options_come_back(void **state)
{
	struct wire *w = open_full(&conf);
	struct wire_conn k;
	struct wire_seg s;
	struct conv_status st;

	(void)state;
	wire_conn(w, &k);
	k.wscale = 9;
	k.mss = 1450;
	k.wnd = 2000;
	s = get_cookie(w, &k);
	assert_int_equal(s.mss, 1460);
	assert_true(s.sack_ok && s.ts && s.wscale >= 0);
	assert_int_equal(s.ts_ecr, (uint32_t)(wire_now_us(w) / 1000) + 77);
	wire_run(w, 70);
	wire_expect_accept(&k);
	assert_int_equal(wire_stat(w, "cookies_ok"), 1);
	st = wire_status(&k);
	assert_string_equal(st.state, "ESTABLISHED");
	assert_true(st.sack && st.timestamps);
	assert_int_equal(st.snd_wscale, 9);
	assert_int_equal(st.snd_wnd, 2000u << 9);
	assert_int_equal(st.mss, 1440); /* of the table, not above the peer's */
	/* Timestamps do not go back. */
	wire_write(&k, 100);
	assert_true((int32_t)(wire_expect(&k, ACK, 1, 1, 100).ts_val - s.ts_val) >= 70);
	wire_send(&k, ACK, 1, 101, 50);
	assert_int_equal(k.read, 50);
	wire_discard(w);
	wire_close(w);
}

/* Every combination of what a SYN can offer with its timestamp. */
static void
test_each_option(void **state)
{
	struct wire *w = open_full(&conf);

	(void)state;
	for (int i = 0; i < 32; i++) {
		struct wire_conn k;
		struct conv_status st;

		wire_conn(w, &k);
		k.sack_ok = i & 1;
		k.wscale = i / 2 == 15 ? WIRE_NONE : i / 2;
		wire_run(w, 13); /* the low bits of the clock differ */
		get_cookie(w, &k);
		wire_expect_accept(&k);
		st = wire_status(&k);
		assert_int_equal(st.sack, k.sack_ok);
		assert_int_equal(st.snd_wscale, k.wscale == WIRE_NONE ? 0 : k.wscale);
		assert_int_equal(st.rcv_wscale > 0, k.wscale != WIRE_NONE);
		wire_send(&k, RST, 1, 0, 0);
	}
	wire_close(w);
}

/* Without timestamps only the MSS can be remembered: no other option is offered. */
static void
test_no_timestamps(void **state)
{
	static const int mss[][2] = {{1, 216}, {535, 216}, {536, 536}, {1219, 536}, {1220, 1220},
		{1460, 1460}, {9000, 1460}};
	struct wire *w = open_full(&conf);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(mss); i++) {
		wire_conn(w, &k);
		k.ts = false;
		k.mss = mss[i][0];
		s = get_cookie(w, &k);
		assert_false(s.sack_ok || s.ts);
		assert_int_equal(s.wscale, WIRE_NONE);
		wire_expect_accept(&k);
		assert_int_equal(wire_status(&k).mss, mss[i][1]);
		assert_false(wire_status(&k).sack);
		wire_send(&k, RST, 1, 0, 0);
	}
	wire_conn(w, &k);
	k.ts = false;
	k.mss = WIRE_NONE;
	get_cookie(w, &k);
	wire_expect_accept(&k);
	assert_int_equal(wire_status(&k).mss, wire_v6() ? 1220 : 536);
	wire_close(w);
}

/* The ACK was lost: the first text brings the cookie. */
static void
test_text_ends_handshake(void **state)
{
	struct wire *w = open_full(&conf);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	get_cookie(w, &k);
	wire_accepting(&k);
	/* The second segment has overtaken the first: no RST, it comes again. */
	wire_send(&k, ACK, 101, 1, 100);
	wire_silent(w);
	assert_int_equal(wire_drops(w, DROP_TCP_LISTEN), 1);
	wire_send(&k, ACK, 1, 1, 100);
	assert_int_equal(k.accepted, 1);
	wire_send(&k, ACK, 101, 1, 100);
	assert_int_equal(k.read, 200);
	wire_discard(w);
	wire_close(w);
}

/** An ACK that is no answer to a cookie: RST, and no conversation. */
static void
refused(struct wire *w, struct wire_conn *k, uint32_t seq, uint32_t ack)
{
	uint64_t bad = wire_stat(w, "cookies_bad");

	wire_send(k, ACK, seq, ack, 0);
	wire_expect(k, RST, ack, WIRE_ANY, 0);
	wire_silent(w);
	wire_state(k, "");
	assert_int_equal(wire_stat(w, "cookies_bad"), bad + 1);
}

static void
test_forged(void **state)
{
	struct wire *w = open_full(&conf);
	struct wire_conn k, other;

	(void)state;
	wire_conn(w, &k);
	get_cookie(w, &k);
	for (uint32_t bit = 0; bit < 32; bit++)
		refused(w, &k, 1, 1 + (1u << bit));
	refused(w, &k, 2, 1); /* another ISN of the peer */
	/* Another port. */
	other = k;
	other.peer_port++;
	refused(w, &other, 1, 1);
	/* The echo of no timestamp of ours. */
	k.ts_ecr -= 100000;
	refused(w, &k, 1, 1);
	k.ts_ecr += 200000;
	refused(w, &k, 1, 1);
	k.ts_ecr -= 100000;
	/* With SYN or RST it is none. */
	wire_send(&k, SYN | ACK, 1, 1, 0);
	wire_expect(&k, RST, 1, WIRE_ANY, 0);
	wire_send(&k, RST | ACK, 1, 1, 0);
	wire_silent(w);
	wire_expect_accept(&k);
	wire_close(w);
}

/* Good for one to two periods of 32 s. */
static void
test_age(void **state)
{
	struct wire *w = open_full(&conf);
	struct wire_conn k[2];

	(void)state;
	wire_conn(w, &k[0]);
	wire_conn(w, &k[1]);
	get_cookie(w, &k[0]);
	get_cookie(w, &k[1]);
	wire_run(w, 31900);
	wire_discard(w);
	wire_expect_accept(&k[0]);
	wire_run(w, 33000);
	wire_send(&k[1], ACK, 1, 1, 0);
	wire_expect(&k[1], RST, 1, WIRE_ANY, 0);
	wire_state(&k[1], "");
	wire_close(w);
}

/* Before any was sent, nothing is taken for one. */
static void
test_none_sent(void **state)
{
	struct wire *w = wire_open(&conf);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, ACK, 1, 1, 5);
	wire_expect(&k, RST, 1, WIRE_ANY, 0);
	assert_int_equal(wire_stat(w, "cookies_bad"), 0);
	wire_close(w);
}

/* A flood keeps no more than the watermark, and who means it gets through. */
static void
test_flood(void **state)
{
	struct wire *w = open_full(&conf);
	struct wire_conn k;
	struct stack_stats before, after;

	(void)state;
	stack_stats(wire_stack(w), &before);
	for (unsigned i = 0; i < 5000; i++) {
		wire_conn(w, &k);
		k.peer_port = (uint16_t)(i + 1);
		wire_send(&k, SYN, 0, 0, 0);
		wire_discard(w);
	}
	assert_int_equal(half_open(w), WATERMARK);
	assert_int_equal(wire_stat(w, "cookies_sent"), 5000);
	stack_stats(wire_stack(w), &after);
	assert_int_equal(before.mbufs_in_use, after.mbufs_in_use);
	wire_conn(w, &k);
	get_cookie(w, &k);
	wire_expect_accept(&k);
	/* Over: calls are half open again. */
	wire_run(w, 35000);
	wire_discard(w);
	wire_conn(w, &k);
	wire_send(&k, SYN, 0, 0, 0);
	wire_state(&k, "SYN-RECEIVED");
	wire_discard(w);
	wire_close(w);
}

static void
test_two_workers_one_ack(void **state)
{
	struct wire_conf two = conf;
	struct wire_conn k;
	struct wire *w;

	(void)state;
	two.workers = 2;
	w = open_full(&two);
	wire_conn(w, &k);
	get_cookie(w, &k);
	wire_accepting(&k);
	wire_queue(&k, ACK, 1, 1, 10);
	wire_to(w, 1);
	wire_queue(&k, ACK, 1, 1, 10);
	wire_turn(w);
	assert_int_equal(k.accepted, 1);
	assert_int_equal(k.read, 10);
	assert_int_equal(wire_stat(w, "cookies_ok"), 1);
	wire_discard(w);
	wire_close(w);
}

static void
test_listener_gone(void **state)
{
	struct wire *w = open_full(&conf);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	get_cookie(w, &k);
	stack_control_online(wire_stack(w));
	stack_unlisten(wire_stack(w), wire_listener(w));
	stack_control_offline(wire_stack(w));
	wire_send(&k, ACK, 1, 1, 0);
	wire_expect(&k, RST, 1, WIRE_ANY, 0);
	wire_state(&k, "");
	wire_close(w);
}

static void
test_no_room_for_conversation(void **state)
{
	struct wire_conf one = conf;
	struct wire_conn k[2];
	struct wire *w;

	(void)state;
	one.conversations = 1;
	w = open_full(&one);
	wire_conn(w, &k[0]);
	wire_conn(w, &k[1]);
	get_cookie(w, &k[0]);
	get_cookie(w, &k[1]);
	wire_expect_accept(&k[0]);
	wire_send(&k[1], ACK, 1, 1, 0);
	wire_silent(w);
	assert_int_equal(wire_drops(w, DROP_CONV_LIMIT), 1);
	assert_int_equal(k[1].accepted, 0);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_come_back),
		cmocka_unit_test(test_each_option),
		cmocka_unit_test(test_no_timestamps),
		cmocka_unit_test(test_text_ends_handshake),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_none_sent),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_two_workers_one_ack),
		cmocka_unit_test(test_listener_gone),
		cmocka_unit_test(test_no_room_for_conversation),
	};

	wire_args(argc, argv);
	test_eal("tcp_cookie");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
