/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Loss: retransmission timer and its backoff, Karn, fast retransmit, SACK, NewReno,
 * congestion window, path MTU.
 */
#include "segments.h"
#include "util.h"

/* Figures are those of RFC 5681. */
static struct wire_conf reads = {.service = {.read = true}, .tcp = {.congestion = TCP_NEWRENO}};

static struct wire *
open_one(const struct wire_conf *conf, struct wire_conn *k)
{
	struct wire *w = wire_open(conf);

	wire_conn(w, k);
	k->wscale = 4;
	wire_accept(k);
	return w;
}

static struct wire *
open_plain(struct wire_conn *k, bool sack)
{
	struct wire *w = wire_open(&reads);

	wire_conn(w, k);
	accept_plain(k, sack);
	return w;
}

/* RFC 6928, RFC 5681: ten segments, then two more for each that is acknowledged. */
static void
test_slow_start(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 60 * MSS);
	expect_segments(&k, 0, 10);
	wire_silent(w);
	ack_segments(&k, 2);
	expect_segments(&k, 10, 14);
	wire_silent(w);
	ack_segments(&k, 14);
	expect_segments(&k, 14, 38);
	wire_silent(w);
	assert_int_equal(wire_status(&k).cwnd, 24 * MSS);
	wire_discard(w);
	wire_close(w);
}

/* RFC 6298: 5.4 - 5.6, minimum 200 ms, doubling, at most 60 s. R2 ends it after 100 s at the soonest. */
static void
test_timeout_backoff(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);
	struct wire_seg s;
	uint64_t last, gap = 200, sum = 0;
	unsigned n = 0;

	(void)state;
	wire_write(&k, 100);
	s = wire_expect(&k, ACK, 1, 1, 100);
	last = s.at_us;
	while (k.hangups == 0) {
		for (unsigned t = 0; t < 130000 && wire_pending(w) == 0 && k.hangups == 0; t++)
			wire_run(w, 1);
		s = wire_expect(&k, WIRE_ANY, WIRE_ANY, 1, WIRE_ANY);
		if ((s.flags & RST) != 0)
			break;
		assert_int_equal(s.len, 100);
		assert_in_range((s.at_us - last) / 1000, gap - 1, gap + gap / 20 + 3);
		sum += (s.at_us - last) / 1000;
		last = s.at_us;
		gap = gap * 2 > 60000 ? 60000 : gap * 2;
		n++;
	}
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	assert_in_range(n, 8, 10);
	/* SHLD-9, 10: from the third (R1) on the service hears of it. */
	assert_int_equal(k.troubles, n - 2);
	assert_int_equal(k.trouble, CONV_TROUBLE_SILENCE);
	assert_int_equal(k.detail, n);
	assert_in_range(sum, 51000, 160000);
	wire_close(w);
}

/* RFC 6298: SRTT and RTTVAR from the first sample on. */
static void
test_rto_follows_rtt(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	struct wire_seg s;
	uint64_t at;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_run(w, 300);
	(void)state;
	w = k.w;
	wire_close(w);
	/* With us as client: the handshake took 300 ms: RTO = 300 + 4 * 150. */
	w = wire_open(&reads);
	wire_conn(w, &k);
	k.sack_ok = false; /* else a probe comes first (RFC 8985) */
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_run(w, 300);
	wire_send(&k, SYN | ACK, 0, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_write(&k, 10);
	at = wire_now_us(w);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_run(w, 950);
	s = wire_expect(&k, ACK, 1, 1, 10);
	assert_in_range((s.at_us - at) / 1000, 899, 905);
	wire_close(w);
}

/* Karn: the ACK of a segment that was sent twice says nothing of the round trip, and the backoff stays. */
static void
test_karn(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, true);
	struct wire_seg s;
	uint64_t at;

	(void)state;
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_run(w, 210);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_send(&k, ACK, 1, 11, 0);
	assert_in_range(wire_status(&k).srtt_us, 0, 1000);
	wire_write(&k, 10);
	at = wire_now_us(w);
	wire_expect(&k, ACK, 11, 1, 10);
	wire_run(w, 500);
	s = wire_expect(&k, ACK, 11, 1, 10);
	assert_in_range((s.at_us - at) / 1000, 399, 404);
	wire_discard(w);
	wire_close(w);
}

/* A timestamp that was not agreed on measures nothing (RFC 7323 section 3.2). */
static void
test_timestamp_not_agreed_on(void **state)
{
	struct wire_conn agreed, k;
	struct wire *w = open_one(&reads, &agreed);

	(void)state;
	wire_conn(w, &k);
	accept_plain(&k, true);
	wire_discard(w);
	wire_write(&agreed, 10);
	wire_expect(&agreed, ACK, 1, 1, 10); /* our clock, as this peer is shown it */
	wire_send(&agreed, ACK, 1, 11, 0);
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_run(w, 210);
	wire_expect(&k, ACK, 1, 1, 10);
	k.ts = true;
	k.ts_val = 1;
	k.ts_ecr = agreed.ts_ecr + 160;
	wire_send(&k, ACK, 1, 11, 0);
	assert_in_range(wire_status(&k).srtt_us, 0, 1000);
	wire_close(w);
}

/* With timestamps every ACK measures. */
static void
test_timestamps_measure_retransmissions(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_run(w, 205);
	wire_expect(&k, ACK, 1, 1, 10); /* its timestamp is echoed */
	wire_run(w, 80);
	wire_send(&k, ACK, 1, 11, 0);
	assert_in_range(wire_status(&k).srtt_us, 9000, 81000);
	wire_close(w);
}

/* RFC 5681 section 3.1: after a timeout one segment, then slow start; what was SACKed is not sent again. */
static void
test_timeout_with_sack(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 5 * MSS);
	expect_segments(&k, 0, 5);
	sack_segments(&k, 0, 1, 2);
	sack_segments(&k, 0, 1, 3);
	wire_silent(w);
	wire_run(w, 5);
	expect_segments(&k, 0, 1); /* RACK; it is lost again */
	assert_int_equal(wire_stat(w, "rack_marked"), 1);
	wire_run(w, 210);
	expect_segments(&k, 0, 1);
	wire_silent(w);
	assert_int_equal(wire_status(&k).cwnd, MSS);
	ack_segments(&k, 3);
	expect_segments(&k, 3, 5);
	wire_silent(w);
	ack_segments(&k, 5);
	wire_run(w, 1000);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "rto_fired"), 1);
	wire_close(w);
}

/* RFC 6675 */
static void
test_fast_retransmit_sack(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 40 * MSS);
	expect_segments(&k, 0, 10);
	sack_segments(&k, 0, 1, 2);
	expect_segments(&k, 10, 11); /* limited transmit (RFC 3042) */
	sack_segments(&k, 0, 1, 3);
	expect_segments(&k, 11, 12);
	sack_segments(&k, 0, 1, 4);
	/* Three above it: the first is lost. 12 outstanding: ssthresh 6. */
	expect_segments(&k, 0, 1);
	assert_int_equal(wire_status(&k).ssthresh, 6 * MSS);
	/* RFC 9937: 8 are in flight, and for 1 of 10 that came 6 / 10 may go. */
	assert_int_equal(wire_status(&k).cwnd, 8 * MSS + (6 * MSS + 9) / 10);
	wire_silent(w);
	/* pipe: 12 - 1 lost - 3 SACKed + 1 again = 9; each SACK takes one off. */
	sack_segments(&k, 0, 1, 6);
	wire_silent(w);
	sack_segments(&k, 0, 1, 8);
	expect_segments(&k, 12, 13);
	wire_silent(w);
	/* All of it arrives: recovery ends, no second cut. */
	ack_segments(&k, 12);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	assert_int_equal(wire_stat(w, "retransmits"), 1);
	wire_discard(w);
	wire_close(w);
}

static void
test_two_losses_in_one_window(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	/* 0 and 4 are lost. */
	k.sack[0][0] = seq_of(1);
	k.sack[0][1] = seq_of(4);
	k.sack[1][0] = seq_of(5);
	k.sack[1][1] = seq_of(10);
	k.nsack = 2;
	wire_send(&k, ACK, 1, 1, 0);
	expect_segments(&k, 0, 1);
	expect_segments(&k, 4, 5);
	wire_silent(w);
	sack_segments(&k, 4, 5, 10);
	wire_silent(w); /* once is enough */
	ack_segments(&k, 10);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	assert_int_equal(wire_stat(w, "rto_fired"), 0);
	wire_run(w, 1000);
	wire_silent(w);
	wire_close(w);
}

/* RFC 6582: without SACK, three duplicates; a partial ACK sends the next. */
static void
test_newreno(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);

	(void)state;
	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	ack_segments(&k, 0);
	ack_segments(&k, 0);
	wire_silent(w);
	ack_segments(&k, 0);
	expect_segments(&k, 0, 1);
	wire_silent(w);
	for (unsigned i = 0; i < 5; i++)
		ack_segments(&k, 0);
	wire_silent(w);
	ack_segments(&k, 4); /* partial: 4 is lost, too */
	expect_segments(&k, 4, 5);
	ack_segments(&k, 10);
	wire_run(w, 1000);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	assert_int_equal(wire_stat(w, "rto_fired"), 0);
	wire_close(w);
}

/* A window update, or data, is no duplicate ACK (RFC 5681 section 2). */
static void
test_not_duplicates(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);

	(void)state;
	wire_write(&k, 5 * MSS);
	expect_segments(&k, 0, 5);
	for (unsigned i = 0; i < 5; i++) {
		k.wnd--;
		ack_segments(&k, 0);
	}
	for (uint32_t i = 0; i < 5; i++)
		wire_send(&k, ACK, 1 + i * 10, 1, 10);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 0);
	wire_discard(w);
	wire_close(w);
}

/* Eifel (RFC 3522, 4015): the echoed timestamp is the original's, so nothing was lost. */
static void
test_spurious_timeout(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);
	uint32_t ts;

	(void)state;
	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	ts = k.ts_ecr;
	wire_run(w, 10);
	expect_segments(&k, 9, 10); /* tail loss probe */
	wire_run(w, 210);
	expect_segments(&k, 0, 1);
	assert_int_equal(wire_status(&k).cwnd, MSS);
	k.ts_ecr = ts;
	ack_segments(&k, 2);
	wire_silent(w);
	assert_true(wire_status(&k).cwnd >= 10 * MSS);
	assert_int_equal(wire_stat(w, "undos"), 1);
	ack_segments(&k, 10);
	wire_silent(w);
	wire_close(w);
}

/* RFC 2883, 3708: the peer got it twice, so it was sent again in vain. */
static void
test_undo_by_dsack(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&reads);

	(void)state;
	wire_conn(w, &k);
	k.ts = false;
	k.mss = MSS;
	wire_accept(&k);
	wire_write(&k, 30 * MSS); /* more than cwnd: no rescue */
	expect_segments(&k, 0, 10);
	sack_segments(&k, 0, 1, 4);
	expect_segments(&k, 0, 1);
	assert_int_equal(wire_status(&k).ssthresh, 5 * MSS);
	ack_segments(&k, 6);
	k.sack[0][0] = seq_of(0);
	k.sack[0][1] = seq_of(1);
	k.nsack = 1;
	wire_send(&k, ACK, 1, seq_of(6), 0);
	assert_int_equal(wire_stat(w, "dsacks_in"), 1);
	assert_int_equal(wire_stat(w, "undos"), 1);
	assert_true(wire_status(&k).cwnd >= 10 * MSS);
	wire_discard(w);
	wire_close(w);
}

/* RFC 2883 section 4: what says that something came twice, and what says nothing. */
static void
test_what_is_dsack(void **state)
{
	static const struct {
		int nsack;
		unsigned b[4][2];
		bool twice;
	} rows[] = {
		{1, {{2, 3}}, true}, /* below the ACK */
		{1, {{2, 2}}, false}, /* empty */
		{1, {{3, 2}}, false}, /* its end before its start */
		{1, {{3, 4}}, true}, /* up to the ACK */
		{2, {{6, 7}, {5, 8}}, true}, /* inside the second */
		{2, {{7, 8}, {5, 8}}, true}, /* up to its end */
		{2, {{5, 8}, {5, 8}}, true}, /* all of it */
		{2, {{5, 7}, {6, 8}}, false}, /* across it */
		{2, {{6, 8}, {5, 7}}, false},
		{3, {{6, 7}, {9, 10}, {5, 8}}, false}, /* the third counts for nothing */
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct wire_conn k;
		struct wire *w = open_one(&reads, &k);

		wire_write(&k, 30 * MSS);
		ack_segments(&k, 4);
		wire_discard(w);
		k.nsack = (unsigned)rows[i].nsack;
		for (unsigned n = 0; n < k.nsack; n++) {
			k.sack[n][0] = seq_of(rows[i].b[n][0]);
			k.sack[n][1] = seq_of(rows[i].b[n][1]);
		}
		wire_send(&k, ACK, 1, seq_of(4), 0);
		assert_int_equal(wire_stat(w, "dsacks_in"), rows[i].twice);
		wire_discard(w);
		wire_close(w);
	}
}

/* RFC 6298 section 3: of what one ACK covers, the first measures; the wait for the second is no part of its round trip. */
static void
test_rtt_is_of_the_first(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	for (unsigned i = 0; i < 60; i += 2) {
		wire_write(&k, MSS);
		expect_segments(&k, i, i + 1);
		wire_run(w, 1);
		wire_write(&k, MSS);
		expect_segments(&k, i + 1, i + 2);
		wire_run(w, 1);
		ack_segments(&k, i + 2);
	}
	assert_in_range(wire_status(&k).srtt_us, 1900, 2100);
	wire_close(w);
}

/* RFC 7323 section 3.2: an echo of 0 echoes nothing: it measures nothing, and undoes nothing. */
static void
test_no_echo(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) { /* timestamps begin anywhere */
		struct wire_conn k;
		struct wire *w = open_one(&reads, &k);
		uint32_t srtt;

		wire_write(&k, 2 * MSS);
		wire_discard(w);
		for (unsigned t = 0; t < 2000 && wire_stat(w, "rto_fired") == 0; t++)
			wire_run(w, 1);
		wire_discard(w);
		srtt = wire_status(&k).srtt_us;
		k.ts_ecr = 0;
		ack_segments(&k, 1);
		assert_int_equal(wire_stat(w, "undos"), 0);
		assert_int_equal(wire_status(&k).srtt_us, srtt);
		wire_discard(w);
		wire_close(w);
	}
}

/* RFC 2018 section 8 */
static void
test_sack_reneging(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 4 * MSS);
	expect_segments(&k, 0, 4);
	sack_segments(&k, 0, 1, 3);
	ack_segments(&k, 1); /* and forgets 1 and 2 */
	wire_run(w, 250);
	assert_int_equal(wire_stat(w, "sack_reneges"), 1);
	expect_segments(&k, 1, 2);
	ack_segments(&k, 2);
	expect_segments(&k, 2, 4);
	ack_segments(&k, 4);
	wire_silent(w);
	wire_close(w);
}

/* SACK blocks that make no sense. */
static void
test_bad_sack(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	for (uint32_t i = 0; i < 300; i++) {
		k.nsack = 1 + i % 3;
		for (unsigned b = 0; b < k.nsack; b++) {
			k.sack[b][0] = i * 2654435761u + b * 40503u;
			k.sack[b][1] = i * 40503u * (b + 1);
		}
		wire_send(&k, ACK, 1, 1, 0);
	}
	k.sack[0][0] = seq_of(5);
	k.sack[0][1] = seq_of(11); /* past SND.NXT */
	k.nsack = 1;
	wire_send(&k, ACK, 1, 1, 0);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 0);
	wire_discard(w);
	ack_segments(&k, 10);
	wire_run(w, 1000);
	wire_silent(w);
	wire_close(w);
}

/* The end of a window that is lost is sent once more in recovery (RFC 6675 NextSeg 4). */
static void
test_rescue(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	sack_segments(&k, 0, 1, 8); /* 0, 8 and 9 are lost */
	expect_segments(&k, 0, 1);
	expect_segments(&k, 9, 10);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "rescues"), 1);
	wire_discard(w);
	wire_close(w);
}

/* RFC 5681 section 4.1 */
static void
test_idle_restart(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);
	unsigned acked = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		wire_write(&k, 60 * MSS);
		while (wire_pending(w) > 0) {
			unsigned n = wire_pending(w);

			wire_discard(w);
			acked += n;
			wire_send(&k, ACK, 1, RTE_MIN(seq_of(acked), 1 + k.written), 0);
		}
	}
	assert_true(wire_status(&k).cwnd > 40 * MSS);
	wire_run(w, 1000);
	wire_write(&k, 60 * MSS);
	assert_int_equal(wire_pending(w), 10);
	wire_discard(w);
	wire_close(w);
}

/* RFC 1191, with the sequence check of RFC 5927 */
static void
test_path_mtu(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);
	uint32_t narrow = wire_v6() ? 1300 - 72 : 1300 - 52;

	(void)state;
	wire_write(&k, 3 * MSS);
	expect_segments(&k, 0, 3);
	wire_icmp(&k, WIRE_TOO_BIG, 1300, seq_of(3)); /* never sent */
	wire_silent(w);
	wire_icmp(&k, WIRE_TOO_BIG, 1300, seq_of(0));
	for (uint32_t at = 1; at < 1 + 3 * MSS;) {
		struct wire_seg s = wire_expect(&k, ACK, at, 1, WIRE_ANY);

		assert_in_range(s.len, 1, narrow);
		at += s.len;
	}
	wire_silent(w);
	assert_int_equal(wire_status(&k).cwnd, 10 * MSS);
	wire_send(&k, ACK, 1, 1 + 3 * MSS, 0);
	wire_write(&k, 2000);
	wire_expect(&k, ACK, 1 + 3 * MSS, 1, narrow);
	wire_discard(w);
	wire_close(w);
}

/* The peer may acknowledge half of a segment. */
static void
test_partial_ack_of_segment(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 1000);
	wire_expect(&k, ACK, 1, 1, 1000);
	wire_send(&k, ACK, 1, 401, 0);
	wire_run(w, 250);
	wire_expect(&k, ACK, 401, 1, 600);
	wire_send(&k, ACK, 1, 1001, 0);
	wire_run(w, 1000);
	wire_silent(w);
	wire_close(w);
}

/* No buffers: nothing is lost for good. */
static void
test_no_buffers(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	test_starve(wire_worker(w, 0)->mp_small);
	wire_write(&k, 5 * MSS);
	wire_silent(w);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_run(w, 250);
	assert_true(wire_pending(w) > 0);
	expect_segments(&k, 0, 1);
	for (unsigned i = 1; i < 5; i++) {
		ack_segments(&k, i);
		wire_run(w, 2);
	}
	wire_discard(w);
	ack_segments(&k, 5);
	wire_run(w, 3000);
	wire_silent(w);
	wire_close(w);
}

/* No buffer for an ACK: what came is not lost, and the peer, who asks again, gets its answer. */
static void
test_no_buffer_for_ack(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	test_starve(wire_worker(w, 0)->mp_small);
	wire_send(&k, ACK, 1, 1, MSS);
	wire_send(&k, ACK, 1 + MSS, 1, MSS);
	wire_silent(w);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_send(&k, ACK, 1, 1, MSS);
	wire_expect(&k, ACK, 1, 1 + 2 * MSS, 0);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_timeout_backoff),
		cmocka_unit_test(test_rto_follows_rtt),
		cmocka_unit_test(test_karn),
		cmocka_unit_test(test_timestamp_not_agreed_on),
		cmocka_unit_test(test_timestamps_measure_retransmissions),
		cmocka_unit_test(test_timeout_with_sack),
		cmocka_unit_test(test_fast_retransmit_sack),
		cmocka_unit_test(test_two_losses_in_one_window),
		cmocka_unit_test(test_newreno),
		cmocka_unit_test(test_not_duplicates),
		cmocka_unit_test(test_spurious_timeout),
		cmocka_unit_test(test_undo_by_dsack),
		cmocka_unit_test(test_what_is_dsack),
		cmocka_unit_test(test_rtt_is_of_the_first),
		cmocka_unit_test(test_no_echo),
		cmocka_unit_test(test_sack_reneging),
		cmocka_unit_test(test_bad_sack),
		cmocka_unit_test(test_rescue),
		cmocka_unit_test(test_idle_restart),
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_partial_ack_of_segment),
		cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_no_buffer_for_ack),
	};

	wire_args(argc, argv);
	test_eal("tcp_loss");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
