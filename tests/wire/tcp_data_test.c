/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Data: both ways, acknowledgements and their delay, out of order, windows, PAWS.
 */
#include "util.h"
#include "wire.h"

static struct wire_conf reads = {.service = {.read = true}};
static struct wire_conf echoes = {.service = {.echo = true, .close_on_fin = true}};
static struct wire_conf deaf = {.tcp = {.recv_max = 16384}};

static void
test_echo(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&echoes, &k);

	(void)state;
	wire_send(&k, ACK | PSH, 1, 1, 100);
	wire_expect(&k, ACK, 1, 101, 100);
	wire_silent(w);
	wire_send(&k, ACK, 101, 101, 1448);
	wire_expect(&k, ACK, 101, 1549, 1448);
	/* A burst is answered once, in full segments. */
	wire_queue(&k, ACK, 1549, 1549, 700);
	wire_queue(&k, ACK, 2249, 1549, 700);
	wire_queue(&k, ACK, 2949, 1549, 700);
	wire_turn(w);
	wire_expect(&k, ACK, 1549, 3649, 1448);
	wire_expect(&k, ACK, 2997, 3649, 652);
	wire_silent(w);
	wire_close(w);
}

static void
test_one_ack_per_burst(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		wire_queue(&k, ACK, 1 + i * 1448, 1, 1448);
	wire_turn(w);
	wire_expect(&k, ACK, 1, 14481, 0);
	wire_silent(w);
	assert_int_equal(k.recvs, 1);
	wire_close(w);
}

/* RFC 9293 section 3.8.6.3 */
static void
test_delayed_ack(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);
	struct wire_seg s;
	uint64_t at;

	(void)state;
	wire_send(&k, ACK, 1, 1, 1448);
	wire_silent(w);
	at = wire_now_us(w);
	wire_run(w, 60);
	s = wire_expect(&k, ACK, 1, 1449, 0);
	assert_in_range((s.at_us - at) / 1000, 38, 41);
	/* Every second full segment at once. */
	wire_send(&k, ACK, 1449, 1, 1448);
	wire_silent(w);
	wire_send(&k, ACK, 2897, 1, 1448);
	wire_expect(&k, ACK, 1, 4345, 0);
	/* The delay ends with the ACK. */
	wire_run(w, 100);
	wire_silent(w);
	wire_close(w);
}

/* RFC 2018 section 2: no SACK to a peer that did not ask for it. */
static void
test_out_of_order_plain(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	k.sack_ok = false;
	wire_accept(&k);
	wire_send(&k, ACK, 1001, 1, 1000);
	s = wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(s.nsack, 0);
	wire_send(&k, ACK, 1, 1, 1000);
	wire_expect(&k, ACK, 1, 2001, 0);
	wire_close(w);
}

/* RFC 2018 section 3: without timestamps four blocks have room; a segment with text is so much shorter, and no more. */
static void
test_text_beside_blocks(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	k.ts = false;
	wire_accept(&k);
	for (unsigned i = 1; i <= 6; i++) {
		wire_send(&k, ACK, 1 + 2000 * i, 1, 1000);
		s = wire_expect(&k, ACK, 1, 1, 0);
		assert_int_equal(s.nsack, RTE_MIN(i, 4u));
	}
	wire_write(&k, 3000);
	s = wire_expect(&k, ACK, 1, 1, 1460 - 36);
	assert_int_equal(s.nsack, 4);
	wire_discard(w);
	wire_close(w);
}

/* RFC 9293 section 3.4: a segment without text is acceptable up to the last byte of the window, not at its edge. */
static void
test_edge_of_the_window(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);
	uint32_t wnd;

	(void)state;
	wire_write(&k, 100);
	wire_discard(w);
	wnd = wire_status(&k).rcv_wnd;
	wire_send(&k, ACK, 1 + wnd, 101, 0);
	wire_expect(&k, ACK, 101, 1, 0);
	assert_int_equal(wire_drops(w, DROP_TCP_WINDOW), 1);
	assert_int_equal(wire_status(&k).send_queue, 100);
	wire_send(&k, ACK, wnd, 101, 0);
	wire_silent(w);
	assert_int_equal(wire_status(&k).send_queue, 0);
	wire_close(w);
}

/* RFC 7323 section 2.3: the window goes down in steps of its scale as the buffer fills, and no edge is taken back. */
static void
test_window_steps(void **state)
{
	static const struct wire_conf keeps = {.service = {0}};
	struct wire *w = wire_open(&keeps);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	k.wscale = 0;
	wire_accept(&k);
	/* 64 KiB in steps of 128 bytes */
	for (unsigned i = 0; i < 8; i++) {
		wire_send(&k, ACK | PSH, 1 + 200 * i, 1, 200);
		wire_run(w, 250);
		s = wire_expect(&k, ACK, 1, 1 + 200 * (i + 1), 0);
		assert_int_equal(s.wnd, (65536 - 200 * (i + 1) + 127) / 128);
	}
	wire_close(w);
}

/* RFC 9293 section 3.8.6.2.2: who has read tells the peer at once when it has little left, an eighth of the buffer. */
static void
test_window_is_told(void **state)
{
	static const unsigned unread[] = {57000, 58000, 60000};
	static const struct wire_conf keeps = {.service = {0}};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(unread); i++) {
		struct wire *w = wire_open(&keeps);
		struct wire_conn k;
		struct wire_seg s;

		wire_conn(w, &k);
		wire_accept(&k);
		for (unsigned at = 0; at < unread[i]; at += 1000)
			wire_send(&k, ACK, 1 + at, 1, 1000);
		wire_run(w, 300);
		wire_discard(w);
		wire_read(&k);
		if (65536 - unread[i] < 65536 / 8) {
			s = wire_expect(&k, ACK, 1, 1 + unread[i], 0);
			assert_in_range(s.wnd, 512, UINT16_MAX);
		}
		wire_silent(w);
		wire_close(w);
	}
}

/* What was written in parts shares segments. */
static void
test_pieces_of_a_segment(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 10);
	for (unsigned i = 0; i < 2; i++)
		wire_write(&k, 543); /* too long to be copied together */
	for (unsigned i = 0; i < 2; i++)
		wire_write(&k, 600);
	wire_discard(w);
	k.wnd = UINT16_MAX;
	wire_send(&k, ACK, 11, 1, 0);
	wire_expect(&k, ACK, 1, WIRE_ANY, 1448);
	wire_expect(&k, ACK, 1449, WIRE_ANY, 2286 - 1448);
	wire_close(w);
}

static void
test_out_of_order(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);
	struct wire_seg s;

	(void)state;
	wire_send(&k, ACK, 1001, 1, 1000);
	s = wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(s.nsack, 1);
	assert_int_equal(s.sack[0][0], 1001);
	assert_int_equal(s.sack[0][1], 2001);
	wire_send(&k, ACK, 4001, 1, 1000);
	s = wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(s.nsack, 2);
	assert_int_equal(s.sack[0][0], 4001); /* the latest first */
	assert_int_equal(s.sack[1][0], 1001);
	wire_send(&k, ACK, 6001, 1, 1000);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_send(&k, ACK, 8001, 1, 1000);
	s = wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(s.nsack, 3); /* with timestamps there is room for three */
	assert_int_equal(s.sack[0][0], 8001);
	assert_int_equal(s.sack[1][0], 6001);
	assert_int_equal(s.sack[2][0], 4001);
	/* One that grows comes to the front again. */
	wire_send(&k, ACK, 2001, 1, 1000);
	s = wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(s.sack[0][0], 1001);
	assert_int_equal(s.sack[0][1], 3001);
	/* The gap is filled: told at once. */
	wire_send(&k, ACK, 1, 1, 1000);
	s = wire_expect(&k, ACK, 1, 3001, 0);
	assert_int_equal(s.nsack, 3);
	assert_int_equal(k.read, 3000);
	wire_send(&k, ACK, 3001, 1, 1000);
	wire_expect(&k, ACK, 1, 5001, 0);
	wire_send(&k, ACK, 7001, 1, 1000);
	wire_expect(&k, ACK, 1, 5001, 0);
	wire_send(&k, ACK, 5001, 1, 1000);
	s = wire_expect(&k, ACK, 1, 9001, 0);
	assert_int_equal(s.nsack, 0);
	assert_int_equal(k.read, 9000);
	wire_close(w);
}

static void
test_overlaps(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	wire_send(&k, ACK, 101, 1, 100);
	wire_send(&k, ACK, 151, 1, 100); /* [101, 251) */
	wire_send(&k, ACK, 81, 1, 50); /* [81, 251) */
	wire_send(&k, ACK, 301, 1, 10);
	wire_send(&k, ACK, 241, 1, 100); /* the gap up to 301 */
	wire_send(&k, ACK, 121, 1, 10); /* nothing new */
	wire_send(&k, ACK, 1, 1, 90);
	assert_int_equal(k.read, 310);
	wire_discard(w);
	/* A retransmission that was cut differently. */
	wire_send(&k, ACK, 201, 1, 200);
	assert_int_equal(k.read, 400);
	wire_send(&k, ACK, 1, 1, 400);
	wire_expect(&k, ACK, 1, 401, 0);
	assert_int_equal(k.read, 400);
	wire_close(w);
}

/* Small segments share buffers, and there is a limit to those out of order (CVE-2018-5390). */
static void
test_tiny_segments(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&(struct wire_conf){0}, &k);
	struct stack_stats st;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		wire_send(&k, ACK, 1 + i, 1, 1);
	stack_stats(wire_stack(w), &st);
	assert_in_range(st.mbufs_in_use, 1, 3);
	for (uint32_t i = 0; i < 2000; i++)
		wire_send(&k, ACK, 1003 + 2 * i, 1, 1);
	stack_stats(wire_stack(w), &st);
	assert_in_range(st.mbufs_in_use, 50, 260);
	assert_in_range(wire_drops(w, DROP_TCP_MEMORY), 1700, 1999);
	wire_discard(w);
	wire_read(&k);
	assert_int_equal(k.read, 1000);
	/* It goes on: what was refused is sent again. */
	for (uint32_t i = 0; i < 20; i++)
		wire_send(&k, ACK, 1001 + 200 * i, 1, 200);
	wire_read(&k);
	assert_int_equal(k.read, 5000);
	wire_discard(w);
	wire_close(w);
}

static void
test_duplicate_is_acknowledged(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);
	uint64_t before;

	(void)state;
	wire_send(&k, ACK, 1, 1, 100);
	wire_run(w, 50);
	wire_discard(w);
	before = wire_delivered(w);
	wire_send(&k, ACK, 1, 1, 100);
	wire_expect(&k, ACK, 1, 101, 0);
	assert_int_equal(wire_delivered(w), before + 1);
	assert_int_equal(k.read, 100);
	wire_close(w);
}

/* RFC 2883 */
static void
test_dsack(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);
	struct wire_seg s;

	(void)state;
	wire_send(&k, ACK, 1, 1, 100);
	wire_send(&k, ACK, 1, 1, 100);
	s = wire_expect(&k, ACK, 1, 101, 0);
	assert_int_equal(s.nsack, 1);
	assert_int_equal(s.sack[0][0], 1);
	assert_int_equal(s.sack[0][1], 101);
	/* Part of one, and out of order: the block that holds it comes next. */
	wire_send(&k, ACK, 51, 1, 100);
	wire_run(w, 50);
	s = wire_expect(&k, ACK, 1, 151, 0);
	wire_send(&k, ACK, 301, 1, 100);
	wire_send(&k, ACK, 501, 1, 100);
	wire_discard(w);
	wire_send(&k, ACK, 321, 1, 30);
	s = wire_expect(&k, ACK, 1, 151, 0);
	assert_int_equal(s.nsack, 3);
	assert_int_equal(s.sack[0][0], 321);
	assert_int_equal(s.sack[0][1], 351);
	assert_int_equal(s.sack[1][0], 301);
	assert_int_equal(s.sack[1][1], 401);
	/* Told once. */
	wire_send(&k, ACK, 701, 1, 100);
	s = wire_expect(&k, ACK, 1, 151, 0);
	assert_int_equal(s.sack[0][0], 701);
	wire_close(w);
}

static void
test_window_shuts_and_opens(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&deaf, &k);
	struct wire_seg s = {0};
	uint32_t at = 1;

	(void)state;
	for (; at < 16385; at += 1024)
		wire_send(&k, ACK, at, 1, 1024);
	while (wire_next(w, &k, &s))
		;
	assert_int_equal(s.ack, 16385);
	assert_int_equal(s.wnd, 0);
	/* A probe of one byte is refused, and answered. */
	wire_send(&k, ACK, 16385, 1, 1);
	s = wire_expect(&k, ACK, 1, 16385, 0);
	assert_int_equal(s.wnd, 0);
	assert_int_equal(wire_drops(w, DROP_TCP_WINDOW), 1);
	/* Reading opens it, and that is told. */
	wire_read(&k);
	assert_int_equal(k.read, 16384);
	s = wire_expect(&k, ACK, 1, 16385, 0);
	assert_int_equal(s.wnd, 16384);
	wire_send(&k, ACK, 16385, 1, 1);
	wire_run(w, 50);
	wire_expect(&k, ACK, 1, 16386, 0);
	wire_close(w);
}

static void
test_beyond_the_window(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&deaf, &k);

	(void)state;
	wire_send(&k, ACK, 1 + 16384, 1, 10);
	wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(wire_drops(w, DROP_TCP_WINDOW), 1);
	/* What sticks out is cut off, if only a byte. */
	wire_send(&k, ACK, 1, 1, 1000);
	for (uint32_t at = 1001; at < 16001; at += 1000)
		wire_send(&k, ACK, at, 1, 1000);
	wire_send(&k, ACK, 16001, 1, 385);
	wire_discard(w);
	wire_read(&k);
	assert_int_equal(k.read, 16384);
	wire_discard(w);
	wire_close(w);
}

static void
test_window_scale(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	k.wscale = 7;
	k.wnd = 1; /* 128 bytes */
	wire_accept(&k);
	wire_send(&k, ACK, 1, 1, 1448);
	wire_send(&k, ACK, 1449, 1, 1448);
	s = wire_expect(&k, ACK, 1, 2897, 0);
	assert_in_range((uint32_t)s.wnd << 7, 65536 - 128, 65536);
	wire_write(&k, 1000);
	/* Half of the greatest window seen, at the least. */
	wire_expect(&k, ACK, 1, 2897, 128);
	wire_silent(w);
	k.wnd = 7;
	wire_send(&k, ACK, 2897, 129, 0);
	wire_expect(&k, ACK, 129, 2897, 872);
	wire_close(w);
}

/* RFC 9293 section 3.8.6.1 */
static void
test_zero_window_probes(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);
	struct wire_seg s;
	uint64_t last, gap = 200;

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 500);
	wire_silent(w);
	last = wire_now_us(w);
	for (unsigned i = 0; i < 12; i++) {
		for (unsigned t = 0; t < 70000 && wire_pending(w) == 0; t++)
			wire_run(w, 1);
		s = wire_expect(&k, ACK, 1, 1, 1);
		assert_in_range((s.at_us - last) / 1000, gap - 2, gap + 3);
		last = s.at_us;
		gap = gap * 2 > 60000 ? 60000 : gap * 2;
		wire_send(&k, ACK, 1, 1, 0);
		wire_silent(w);
	}
	/* Our ACKs are good in a closed window, probe or not. */
	wire_send(&k, ACK, 1, 1, 10);
	wire_send(&k, ACK, 1, 1, 10);
	wire_expect(&k, ACK, 1, 11, 0);
	/* It opens: all at once, and the probed byte with it. */
	k.wnd = 65535;
	wire_send(&k, ACK, 11, 1, 0);
	wire_expect(&k, ACK, 1, 11, 500);
	wire_send(&k, ACK, 11, 501, 0);
	wire_run(w, 3000);
	wire_silent(w);
	wire_close(w);
}

static void
test_probe_is_taken(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 500);
	wire_run(w, 205);
	wire_expect(&k, ACK, 1, 1, 1);
	k.wnd = 1000;
	wire_send(&k, ACK, 1, 2, 0);
	wire_expect(&k, ACK, 2, 1, 499);
	wire_send(&k, ACK, 1, 501, 0);
	wire_run(w, 3000);
	wire_silent(w);
	wire_close(w);
}

/* Sender's silly window avoidance: little room is used only when the persist timer says so. */
static void
test_silly_window_of_peer(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	k.wnd = 10;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 500);
	wire_silent(w);
	wire_run(w, 205);
	wire_expect(&k, ACK, 1, 1, 10);
	/* It is a segment like any other now: its timer is the retransmission's. */
	wire_run(w, 190);
	wire_silent(w);
	wire_run(w, 20);
	wire_expect(&k, ACK, 1, 1, 10);
	assert_int_equal(wire_stat(w, "rto_fired"), 1);
	wire_close(w);
}

/* Nobody answers the probes: it ends with the user timeout, by a reset, and that is the last of it. */
static void
test_probes_without_answer(void **state)
{
	struct wire_conf conf = {.service = {.read = true}, .tcp = {.user_timeout_ms = 3000}};
	struct wire_conn k;
	struct wire *w = wire_open_one(&conf, &k);
	struct wire_seg s, last = {0};

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 500);
	wire_run(w, 10000);
	while (wire_next(w, &k, &s))
		last = s;
	assert_true((last.flags & RST) != 0);
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	wire_close(w);
}

/* A closed window does not keep a conversation that its service has left. */
static void
test_persist_of_orphan(void **state)
{
	struct wire_conf conf = {.service = {.read = true}, .tcp = {.fin_wait_2_ms = 5000}};
	struct wire_conn k;
	struct wire *w = wire_open_one(&conf, &k);

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 500);
	wire_do_close(&k);
	for (unsigned i = 0; i < 70 && k.hangups == 0; i++) {
		wire_run(w, 100);
		wire_discard(w);
		if (k.hangups == 0)
			wire_send(&k, ACK, 1, 1, 0);
	}
	assert_int_equal(k.hangups, 1);
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	wire_discard(w);
	wire_close(w);
}

static void
test_write_room_and_drain(void **state)
{
	struct wire_conf conf = {.service = {.read = true}, .tcp = {.send_max = 65536}};
	struct wire_conn k;
	struct wire *w = wire_open_one(&conf, &k);
	struct wire_seg s = {0};

	(void)state;
	assert_int_equal(tcp_proto.write_room(k.c), 65536);
	k.wnd = 5000;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 70000);
	assert_int_equal(tcp_proto.write_room(k.c), 0);
	assert_int_equal(k.drains, 0);
	for (uint32_t acked = 1; k.drains == 0; acked = s.seq + s.len) {
		assert_true(acked < 70001);
		while (wire_next(w, &k, &s))
			;
		wire_send(&k, ACK, 1, s.seq + s.len, 0);
	}
	assert_true(tcp_proto.write_room(k.c) >= 16384);
	assert_int_equal(k.drains, 1);
	wire_discard(w);
	wire_close(w);
}

static void
test_small_writes_share_segments(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 0);
	for (unsigned i = 0; i < 50; i++)
		wire_write(&k, 20);
	k.wnd = 65535;
	wire_send(&k, ACK, 1, 1, 0);
	wire_expect(&k, ACK, 1, 1, 1000);
	wire_silent(w);
	wire_close(w);
}

static void
test_nagle(void **state)
{
	struct wire_conf conf = {.service = {.read = true}, .tcp = {.nagle = true}};
	struct wire_conn k;
	struct wire *w = wire_open_one(&conf, &k);

	(void)state;
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_write(&k, 10);
	wire_write(&k, 10);
	wire_silent(w);
	wire_send(&k, ACK, 1, 11, 0);
	wire_expect(&k, ACK, 11, 1, 20);
	wire_write(&k, 5);
	wire_silent(w);
	wire_shutdown(&k);
	wire_expect(&k, FIN | ACK, 31, 1, 5);
	wire_close(w);
}

/* RFC 7323 section 5 */
static void
test_paws(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	k.ts_val = 100000;
	wire_send(&k, ACK, 1, 1, 10);
	k.ts_val = 99999;
	wire_send(&k, ACK, 11, 1, 10);
	assert_int_equal(k.read, 10);
	wire_expect(&k, ACK, 1, 11, 0);
	assert_int_equal(wire_drops(w, DROP_TCP_PAWS), 1);
	/* Without a timestamp: silence, unless it is RST. */
	k.ts = false;
	wire_send(&k, ACK, 11, 1, 10);
	wire_silent(w);
	assert_int_equal(wire_drops(w, DROP_TCP_PAWS), 2);
	wire_send(&k, RST, 11, 0, 0);
	wire_state(&k, "");
	assert_int_equal(k.why, CONV_END_RESET);
	wire_close(w);
}

/* RFC 7323 section 4.3: the echo is that of the segment that the ACK is for. */
static void
test_timestamp_echo(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);
	struct wire_seg s;

	(void)state;
	k.ts_val = 100000;
	wire_send(&k, ACK, 1, 1, 10);
	k.ts_val = 100007;
	wire_send(&k, ACK, 11, 1, 10);
	wire_run(w, 50);
	s = wire_expect(&k, ACK, 1, 21, 0);
	assert_int_equal(s.ts_ecr, 100000); /* delayed: the first's */
	k.ts_val = 100010;
	wire_send(&k, ACK, 121, 1, 10);
	s = wire_expect(&k, ACK, 1, 21, 0);
	assert_int_equal(s.ts_ecr, 100000); /* a gap: not the one beyond it */
	k.ts_val = 100012;
	wire_send(&k, ACK, 21, 1, 100);
	s = wire_expect(&k, ACK, 1, 131, 0);
	assert_int_equal(s.ts_ecr, 100012); /* the one that filled it */
	wire_close(w);
}

/* RFC 7323 section 5.5 */
static void
test_paws_after_24_days(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	k.ts_val = 100000;
	wire_send(&k, ACK, 1, 1, 10);
	wire_run(w, 50);
	wire_discard(w);
	k.c->active_ms -= 25u * 24 * 3600 * 1000;
	k.ts_val = 5;
	wire_send(&k, ACK, 11, 1, 10);
	assert_int_equal(k.read, 20);
	wire_discard(w);
	wire_close(w);
}

static void
test_many_workers(void **state)
{
	struct wire_conf conf = {.workers = 4, .service = {.echo = true, .close_on_fin = true}};
	struct wire *w = wire_open(&conf);
	struct wire_conn k;
	struct wire_seg s;
	uint32_t at = 1, got = 1;

	(void)state;
	wire_conn(w, &k);
	wire_accept(&k);
	/* Every segment on another worker: they arrive rotated. */
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 4; i++) {
			wire_to(w, (round + i) % 4);
			wire_queue(&k, ACK, at, got, 500);
			at += 500;
		}
		wire_turn(w);
		while (wire_next(w, &k, &s))
			got = RTE_MAX(got, s.seq + s.len);
	}
	wire_run(w, 100);
	assert_int_equal(k.read, 100000);
	while (wire_next(w, &k, &s))
		got = RTE_MAX(got, s.seq + s.len);
	assert_int_equal(got, 100001);
	wire_send(&k, FIN | ACK, at, got, 0);
	wire_expect(&k, FIN | ACK, got, at + 1, 0);
	wire_send(&k, ACK, at + 1, got + 1, 0);
	wire_state(&k, "");
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_one_ack_per_burst),
		cmocka_unit_test(test_delayed_ack),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_out_of_order_plain),
		cmocka_unit_test(test_text_beside_blocks),
		cmocka_unit_test(test_edge_of_the_window),
		cmocka_unit_test(test_window_steps),
		cmocka_unit_test(test_window_is_told),
		cmocka_unit_test(test_pieces_of_a_segment),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_tiny_segments),
		cmocka_unit_test(test_duplicate_is_acknowledged),
		cmocka_unit_test(test_dsack),
		cmocka_unit_test(test_window_shuts_and_opens),
		cmocka_unit_test(test_beyond_the_window),
		cmocka_unit_test(test_window_scale),
		cmocka_unit_test(test_zero_window_probes),
		cmocka_unit_test(test_probe_is_taken),
		cmocka_unit_test(test_silly_window_of_peer),
		cmocka_unit_test(test_probes_without_answer),
		cmocka_unit_test(test_persist_of_orphan),
		cmocka_unit_test(test_write_room_and_drain),
		cmocka_unit_test(test_small_writes_share_segments),
		cmocka_unit_test(test_nagle),
		cmocka_unit_test(test_paws),
		cmocka_unit_test(test_timestamp_echo),
		cmocka_unit_test(test_paws_after_24_days),
		cmocka_unit_test(test_many_workers),
	};

	wire_args(argc, argv);
	test_eal("tcp_data");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
