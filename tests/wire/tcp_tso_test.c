/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Trains: new segments in one packet, over a port that cuts it (tso_cut, which also says what is wrong with one). What the peer
 * sees is what it would see otherwise. And the other way round: what was merged before it came.
 */
#include "segments.h"
#include "util.h"

static struct wire_conf cuts = {.tso = true, .service = {.read = true}},
			ecn = {.tso = true,
				.service = {.read = true},
				.tcp = {.congestion = TCP_NEWRENO, .ecn = TCP_ECN_ASK}};

/** Segments of so many bytes each from seq on, and `rest` more, the last one with these flags besides ACK. */
static void
expect_bytes(
	struct wire_conn *k, uint32_t seq, uint32_t full, unsigned n, uint32_t rest, uint8_t last)
{
	for (unsigned i = 0; i < n + (rest > 0); i++) {
		bool end = i + 1 == n + (rest > 0);
		struct wire_seg s = wire_expect(k, WIRE_ANY, seq, 1, i < n ? full : rest);

		assert_int_equal(s.flags, ACK | (end ? last : 0));
		seq += s.len;
	}
	wire_silent(k->w);
}

static void
test_train(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&cuts, &k);
	uint64_t segs = wire_stat(w, "segs_out");

	(void)state;
	wire_write(&k, 6 * MSS + 100);
	expect_bytes(&k, 1, MSS, 6, 100, PSH);
	assert_int_equal(wire_stat(w, "trains_out"), 1);
	assert_int_equal(wire_stat(w, "segs_out"), segs + 7);
	/* One alone is none, nor what is not full. */
	wire_send(&k, ACK, 1, 1 + 6 * MSS + 100, 0);
	wire_write(&k, MSS);
	wire_write(&k, 10);
	wire_discard(w);
	assert_int_equal(wire_stat(w, "trains_out"), 1);
	wire_close(w);
}

/* What the windows have room for, and no more. */
static void
test_windows(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&cuts);

	(void)state;
	wire_conn(w, &k);
	k.wnd = 3 * MSS + 10;
	wire_accept(&k);
	wire_write(&k, 8 * MSS);
	expect_bytes(&k, 1, MSS, 3, 0, 0);
	k.wnd = UINT16_MAX;
	ack_segments(&k, 3);
	expect_bytes(&k, seq_of(3), MSS, 5, 0, PSH);
	ack_segments(&k, 8);
	wire_write(&k, 40 * MSS);
	wire_discard(w);
	/* cwnd: the initial ten, and one for each that was acknowledged. */
	assert_int_equal(wire_status(&k).snd_nxt - wire_status(&k).snd_una,
		wire_status(&k).cwnd / MSS * MSS);
	wire_close(w);
}

/* Where the window, or cwnd, has room for one there is no train: it goes in its own buffer, as ever. A clone would leave no buffer
 * for its header. */
static void
test_room_for_one(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&cuts);

	(void)state;
	wire_conn(w, &k);
	k.wnd = MSS + 10;
	wire_accept(&k);
	test_starve_but(wire_worker(w, 0)->mp_small, 1);
	for (unsigned i = 0; i < 3; i++)
		wire_write(&k, MSS);
	expect_bytes(&k, 1, MSS, 1, 0, PSH);
	ack_segments(&k, 1);
	expect_bytes(&k, seq_of(1), MSS, 1, 0, 0);
	ack_segments(&k, 2);
	expect_bytes(&k, seq_of(2), MSS, 1, 0, PSH);
	test_feed(wire_worker(w, 0)->mp_small);
	assert_int_equal(wire_stat(w, "trains_out"), 0);
	wire_close(w);

	w = wire_open(&cuts);
	wire_conn(w, &k);
	k.wnd = 9 * MSS;
	wire_accept(&k);
	for (unsigned i = 0; i < 11; i++)
		wire_write(&k, MSS);
	wire_discard(w);
	test_starve_but(wire_worker(w, 0)->mp_small, 1);
	k.wnd = UINT16_MAX;
	ack_segments(&k, 0);
	expect_bytes(&k, seq_of(9), MSS, 1, 0, 0);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_close(w);
}

/* No more buffers than the port takes: the next ones are in the next packet. */
static void
test_long(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&cuts, &k);
	unsigned sent = 0;

	(void)state;
	for (unsigned n = 10; n <= 20; sent += n, n *= 2) {
		for (unsigned i = 0; i < n; i++)
			wire_write(&k, MSS);
		wire_discard(w);
		ack_segments(&k, sent + n);
	}
	assert_true(wire_status(&k).cwnd >= 40 * MSS);
	k.wnd = 0;
	ack_segments(&k, sent);
	for (unsigned i = 0; i < 40; i++)
		wire_write(&k, MSS);
	wire_silent(w);
	k.wnd = UINT16_MAX;
	ack_segments(&k, sent);
	expect_bytes(&k, seq_of(sent), MSS, 40, 0, PSH);
	assert_int_equal(wire_stat(w, "trains_out"), 2);
	wire_close(w);
}

static void
test_fin(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&cuts);

	(void)state;
	wire_conn(w, &k);
	k.wnd = 4 * MSS;
	wire_accept(&k);
	wire_write(&k, 4 * MSS);
	expect_bytes(&k, 1, MSS, 4, 0, PSH);
	wire_write(&k, 2 * MSS + 5);
	wire_shutdown(&k);
	wire_silent(w);
	ack_segments(&k, 4);
	expect_bytes(&k, seq_of(4), MSS, 2, 5, PSH | FIN);
	wire_state(&k, "FIN-WAIT-1");
	wire_send(&k, ACK, 1, seq_of(6) + 5 + 1, 0);
	wire_state(&k, "FIN-WAIT-2");
	assert_int_equal(wire_stat(w, "trains_out"), 2);
	wire_close(w);
}

/* Each segment has its own fate: one is lost, acknowledged in part, and sent again, alone. */
static void
test_lost(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&cuts, &k);

	(void)state;
	wire_write(&k, 8 * MSS);
	expect_bytes(&k, 1, MSS, 8, 0, PSH);
	sack_segments(&k, 2, 3, 8);
	wire_expect(&k, ACK, seq_of(2), 1, MSS);
	wire_silent(w);
	wire_send(&k, ACK, 1, seq_of(2) + 100, 0);
	ack_segments(&k, 8);
	assert_int_equal(wire_stat(w, "retransmits"), 1);
	assert_int_equal(wire_stat(w, "trains_out"), 1);
	wire_close(w);
}

/* The port has it still when all of it is acknowledged, and when the conversation is over. */
static void
test_held(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&cuts, &k);

	(void)state;
	wire_hold(w, true);
	wire_write(&k, 4 * MSS);
	expect_bytes(&k, 1, MSS, 4, 0, PSH);
	ack_segments(&k, 4);
	wire_write(&k, 4 * MSS);
	expect_bytes(&k, seq_of(4), MSS, 4, 0, PSH);
	wire_hangup(&k);
	wire_discard(w);
	wire_hold(w, false);
	wire_close(w);
}

/* Without a buffer for clones each goes in its own (tcp_lend). */
static void
test_no_buffer(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&cuts);

	(void)state;
	wire_conn(w, &k);
	k.wnd = MSS;
	wire_accept(&k);
	for (unsigned i = 0; i < 4; i++)
		wire_write(&k, MSS);
	expect_bytes(&k, 1, MSS, 1, 0, PSH);
	k.wnd = UINT16_MAX;
	test_starve(wire_worker(w, 0)->mp_small);
	ack_segments(&k, 1);
	expect_bytes(&k, seq_of(1), MSS, 3, 0, PSH);
	test_feed(wire_worker(w, 0)->mp_small);
	assert_int_equal(wire_stat(w, "trains_out"), 0);
	wire_close(w);
}

/** Three are written while the window is shut, the second of two buffers; so many buffers are left as it opens. */
static struct wire *
open_short_of(struct wire_conn *k, unsigned buffers)
{
	struct wire *w = wire_open(&cuts);

	wire_conn(w, k);
	k->wnd = MSS;
	wire_accept(k);
	wire_write(k, MSS);
	wire_expect(k, WIRE_ANY, 1, 1, MSS);
	wire_write(k, MSS);
	wire_write(k, MSS - 600);
	wire_write(k, 600);
	wire_write(k, MSS);
	test_starve_but(wire_worker(w, 0)->mp_small, buffers);
	k->wnd = UINT16_MAX;
	ack_segments(k, 1);
	return w;
}

/* One clone and no header: what was to go is taken for lost. No clone for the second: the first goes as any other. */
static void
test_few_buffers(void **state)
{
	struct wire_conn k;
	struct wire *w = open_short_of(&k, 1);

	(void)state;
	wire_silent(w);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_run(w, 2000);
	wire_expect(&k, WIRE_ANY, seq_of(1), 1, MSS);
	ack_segments(&k, 2);
	wire_discard(w);
	wire_close(w);

	w = open_short_of(&k, 2);
	wire_expect(&k, ACK, seq_of(1), 1, MSS);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "trains_out"), 0);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_discard(w);
	wire_close(w);
}

/* A peer that wants short segments gets them, though several would fit into one of ours. */
static void
test_short(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&cuts);

	(void)state;
	wire_conn(w, &k);
	k.mss = 536;
	wire_accept(&k);
	wire_write(&k, 2 * 524 + 10);
	expect_bytes(&k, 1, 524, 2, 10, PSH);
	assert_int_equal(wire_stat(w, "trains_out"), 1);
	wire_close(w);
}

/* CWR is on one segment, which no port can be trusted with (RFC 3168 section 6.1.2): it goes alone. */
static void
test_cwr(void **state)
{
	struct wire *w = wire_open(&ecn);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, SYN | ECE | CWR, 0, 0, 0);
	wire_expect(&k, SYN | ACK | ECE, 0, 1, 0);
	wire_expect_accept(&k);
	wire_write(&k, 8 * MSS);
	expect_bytes(&k, 1, MSS, 8, 0, PSH);
	wire_send(&k, ACK | ECE, 1, seq_of(8), 0);
	wire_write(&k, 3 * MSS);
	s = wire_expect(&k, WIRE_ANY, seq_of(8), 1, MSS);
	assert_int_equal(s.flags, ACK | CWR);
	expect_bytes(&k, seq_of(9), MSS, 2, 0, PSH);
	assert_int_equal(wire_stat(w, "trains_out"), 2);
	wire_close(w);
}

/* Segments that were merged on their way count as several: their ACK is not delayed (RFC 9293 section 3.8.6.3). */
static void
test_merged(void **state)
{
	struct wire_conf narrow = {.service = {.read = true}};
	struct wire_conn k;
	struct wire *w;

	(void)state;
	narrow.mtu = wire_v6() ? 1260 : 700; /* of packets that are 20 bytes longer with IPv6 */
	w = wire_open_one(&narrow, &k);
	if (wire_v6()) { /* two of such do not fit into a frame here */
		wire_close(w);
		skip();
	}
	wire_send(&k, ACK, 1, 1, 2 * 648);
	wire_expect(&k, ACK, 1, 1 + 2 * 648, 0);
	wire_send(&k, ACK, 1 + 2 * 648, 1, 648);
	wire_silent(w);
	wire_run(w, 50);
	wire_expect(&k, ACK, 1, 1 + 3 * 648, 0);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_train),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_room_for_one),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_fin),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_no_buffer),
		cmocka_unit_test(test_few_buffers),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_cwr),
		cmocka_unit_test(test_merged),
	};

	wire_args(argc, argv);
	test_eal("tcp_tso");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
