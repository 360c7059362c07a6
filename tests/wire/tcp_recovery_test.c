/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * How much goes out while loss is repaired (PRR, RFC 9937), and whether a timeout was one (F-RTO, RFC 5682).
 */
#include "segments.h"
#include "util.h"

static const struct wire_conf reads = {
	.service = {.read = true}, .tcp = {.congestion = TCP_NEWRENO}};

/** No timestamps: the Eifel detection has nothing to go by. */
static struct wire *
open_plain(struct wire_conn *k, bool sack)
{
	struct wire *w = wire_open(&reads);

	wire_conn(w, k);
	accept_plain(k, sack);
	return w;
}

/* ---- RFC 9937 ---- */

/** 20 segments are out, in slow start up to then. */
static struct wire *
twenty(struct wire_conn *k)
{
	struct wire *w = open_plain(k, true);

	wire_write(k, 60 * MSS);
	expect_segments(k, 0, 10);
	ack_segments(k, 10);
	expect_segments(k, 10, 30);
	wire_silent(w);
	return w;
}

/* One loss of twenty: one goes out for two that come, all the way, and in the end it is ssthresh. */
static void
test_prr_proportional(void **state)
{
	struct wire_conn k;
	struct wire *w = twenty(&k);
	unsigned sent = 0;

	(void)state;
	for (unsigned i = 1; i < 20; i++) {
		sack_segments(&k, 10, 11, 11 + i);
		while (wire_pending(w) > 0) {
			wire_expect(&k, ACK,
				sent < 2            ? seq_of(30 + sent) /* limited transmit */
					: sent == 2 ? seq_of(10)
						    : seq_of(29 + sent),
				1, MSS);
			sent++;
		}
		/* Limited transmit lets one go for each of the first two; then 22 are out, and ssthresh is 11:
		 * once no more than that are in flight, one goes for one. */
		if (i >= 3)
			assert_int_equal(
				sent, 2 + (i < 17 ? RTE_MAX(1u, (i - 2) * 11 / 20) : i - 10));
	}
	assert_int_equal(wire_status(&k).ssthresh, 11 * MSS);
	ack_segments(&k, 30);
	assert_int_equal(wire_status(&k).cwnd, 11 * MSS);
	wire_discard(w);
	wire_close(w);
}

/* Most of a window is lost: less is in flight than ssthresh, and it grows by a segment per ACK that goes well. */
static void
test_prr_slow_start(void **state)
{
	struct wire_conn k;
	struct wire *w = twenty(&k);

	(void)state;
	/* 25 to 29 have come; 10 to 24 are lost. ssthresh 10. */
	sack_segments(&k, 10, 25, 30);
	/* None of them is in flight: one for one. */
	expect_segments(&k, 10, 15);
	wire_silent(w);
	/* In order, and nothing new is lost: one more than came. */
	sack_segments(&k, 11, 25, 30);
	expect_segments(&k, 15, 17);
	wire_silent(w);
	sack_segments(&k, 12, 25, 30);
	expect_segments(&k, 17, 19);
	wire_silent(w);
	/* A duplicate: something came, nothing went on: no more than one for one. */
	k.sack[1][0] = seq_of(13);
	k.sack[1][1] = seq_of(14);
	k.sack[0][0] = seq_of(25);
	k.sack[0][1] = seq_of(30);
	k.nsack = 2;
	wire_send(&k, ACK, 1, seq_of(12), 0);
	expect_segments(&k, 19, 20);
	wire_silent(w);
	wire_discard(w);
	wire_close(w);
}

/* What the ACKs of one burst acknowledge before one of them tells of a loss was in flight, too. */
static void
test_flight_of_a_burst(void **state)
{
	struct wire_conn k;
	struct wire *w = twenty(&k);

	(void)state;
	wire_queue(&k, ACK, 1, seq_of(24), 0);
	k.sack[0][0] = seq_of(25);
	k.sack[0][1] = seq_of(30);
	k.nsack = 1;
	wire_queue(&k, ACK, 1, seq_of(24), 0);
	wire_turn(w);
	assert_int_equal(wire_status(&k).ssthresh, 10 * MSS);
	wire_expect(&k, ACK, seq_of(24), 1, MSS);
	wire_discard(w);
	ack_segments(&k, 30);
	assert_int_equal(wire_status(&k).cwnd, 10 * MSS);
	wire_discard(w);
	wire_close(w);
}

/* An ACK that brings nothing lets nothing out. */
static void
test_prr_nothing_delivered(void **state)
{
	struct wire_conn k;
	struct wire *w = twenty(&k);
	uint32_t cwnd;

	(void)state;
	sack_segments(&k, 10, 11, 14);
	wire_discard(w);
	cwnd = wire_status(&k).cwnd;
	for (unsigned i = 0; i < 10; i++)
		sack_segments(&k, 10, 11, 14);
	wire_silent(w);
	assert_int_equal(wire_status(&k).cwnd, cwnd);
	wire_close(w);
}

/* Without SACK duplicates stand for segments, and partial ACKs count them out: no burst. */
static void
test_prr_reno(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);
	unsigned sent;

	(void)state;
	wire_write(&k, 60 * MSS);
	expect_segments(&k, 0, 10);
	for (unsigned i = 0; i < 2; i++)
		ack_segments(&k, 0);
	expect_segments(&k, 10, 12);
	ack_segments(&k, 0);
	expect_segments(&k, 0, 1);
	wire_silent(w);
	for (unsigned i = 0; i < 8; i++)
		ack_segments(&k, 0);
	sent = wire_pending(w);
	/* 12 were out, 11 have come, ssthresh is 6: 6 may be out, the repeated one among them. */
	assert_in_range(sent, 4, 6);
	wire_discard(w);
	ack_segments(&k, 12);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	wire_discard(w);
	wire_close(w);
}

/* Without SACK, too, what is acknowledged leaves nothing behind: the window has room for what cwnd says, to the byte. */
static void
test_reno_window_to_the_byte(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);

	(void)state;
	wire_write(&k, 12 * MSS + 1);
	expect_segments(&k, 0, 10);
	ack_segments(&k, 1);
	expect_segments(&k, 10, 12);
	assert_int_equal(wire_status(&k).cwnd, 11 * MSS);
	wire_silent(w);
	ack_segments(&k, 2);
	wire_expect(&k, ACK, seq_of(12), 1, 1);
	wire_close(w);
}

/* RFC 5681 section 3.1: after a timeout the window is one segment, not a segment and a byte. */
static void
test_loss_window_to_the_byte(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);

	(void)state;
	wire_write(&k, MSS);
	expect_segments(&k, 0, 1);
	wire_write(&k, 1);
	wire_expect(&k, ACK, seq_of(1), 1, 1);
	wire_run(w, 300);
	expect_segments(&k, 0, 1);
	wire_silent(w);
	ack_segments(&k, 1);
	wire_expect(&k, ACK, seq_of(1), 1, 1);
	wire_close(w);
}

/* RFC 7661's aim: at ssthresh congestion avoidance begins, and there only a window that was full grows. */
static void
test_no_growth_unused(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, true);

	(void)state;
	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	sack_segments(&k, 0, 1, 4);
	expect_segments(&k, 0, 1);
	ack_segments(&k, 10);
	assert_int_equal(wire_status(&k).cwnd, 5 * MSS);
	for (unsigned at = 10; at < 22; at += 4) {
		wire_write(&k, 4 * MSS);
		expect_segments(&k, at, at + 4);
		ack_segments(&k, at + 4);
		assert_int_equal(wire_status(&k).cwnd, 5 * MSS);
	}
	wire_write(&k, 6 * MSS);
	expect_segments(&k, 22, 27);
	ack_segments(&k, 27);
	assert_int_equal(wire_status(&k).cwnd, 6 * MSS);
	expect_segments(&k, 27, 28);
	wire_close(w);
}

/* ---- RFC 6298 ---- */

/* Section 2.3, 2.4: the variance of a steady path goes to 0; the clock's granularity is what remains: RTO = 300 + 1 ms. */
static void
test_rto_of_steady_path(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);
	struct wire_seg s;
	uint64_t at = 0;

	(void)state;
	for (unsigned i = 0; i < 80; i++) {
		wire_write(&k, 10);
		at = wire_now_us(w);
		wire_expect(&k, ACK, 1 + 10 * i, 1, 10);
		if (i == 79)
			break;
		wire_run(w, 300);
		wire_discard(w);
		wire_send(&k, ACK, 1, 1 + 10 * (i + 1), 0);
	}
	wire_run(w, 350);
	s = wire_expect(&k, ACK, 1 + 790, 1, 10);
	assert_in_range(s.at_us - at, 301000, 302000);
	wire_discard(w);
	wire_close(w);
}

/* A timeout forgets what duplicates stood for: one segment goes, not one for each of them (RFC 5681 section 3.1). */
static void
test_timeout_forgets_duplicates(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);

	(void)state;
	wire_write(&k, 12 * MSS);
	expect_segments(&k, 0, 10);
	ack_segments(&k, 0);
	ack_segments(&k, 0);
	expect_segments(&k, 10, 12);
	for (unsigned t = 0; t < 2000 && wire_stat(w, "rto_fired") == 0; t++)
		wire_run(w, 1);
	expect_segments(&k, 0, 1);
	wire_silent(w);
	wire_close(w);
}

/* RFC 5681 section 2: what acknowledges a single byte is no duplicate, and what came before it counts no more. */
static void
test_one_byte_is_progress(void **state)
{
	struct wire_conn k;
	struct wire *w = open_plain(&k, false);

	(void)state;
	wire_write(&k, 12 * MSS);
	expect_segments(&k, 0, 10);
	ack_segments(&k, 0);
	ack_segments(&k, 0);
	wire_discard(w);
	wire_send(&k, ACK, 1, 2, 0);
	wire_send(&k, ACK, 1, 2, 0);
	wire_send(&k, ACK, 1, 2, 0);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 0);
	wire_send(&k, ACK, 1, 2, 0);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	wire_discard(w);
	wire_close(w);
}

/* ---- RFC 5682 ---- */

/** Ten segments are out, and the timer has fired: the first went again. There is more to send. */
static struct wire *
timed_out(struct wire_conn *k, bool sack)
{
	struct wire *w = open_plain(k, sack);

	/* A window of 12 segments: no probe of new data. */
	k->wnd = 12 * MSS;
	ack_segments(k, 0);
	wire_write(k, 10 * MSS);
	expect_segments(k, 0, 10);
	for (unsigned t = 0; t < 3000 && wire_stat(w, "rto_fired") == 0; t++)
		wire_run(w, 1);
	if (sack && wire_stat(w, "tlp_probes") > 0)
		expect_segments(k, 9, 10);
	expect_segments(k, 0, 1);
	wire_silent(w);
	assert_int_equal(wire_status(k).cwnd, MSS);
	wire_write(k, 10 * MSS);
	wire_silent(w);
	return w;
}

/** The same with SACK, no probe having gone before: a new one has, and is out. */
static struct wire *
timed_out_sack(struct wire_conn *k)
{
	struct wire *w = open_plain(k, true);

	k->wnd = 30 * MSS;
	ack_segments(k, 0);
	wire_write(k, 11 * MSS);
	expect_segments(k, 0, 10);
	for (unsigned t = 0; t < 3000 && wire_stat(w, "rto_fired") == 0; t++)
		wire_run(w, 1);
	expect_segments(k, 10, 11); /* the probe */
	expect_segments(k, 0, 1);
	wire_silent(w);
	assert_int_equal(wire_status(k).cwnd, MSS);
	wire_write(k, 10 * MSS);
	wire_silent(w);
	return w;
}

/* Section 2.1 step 3 (b): the second ACK speaks of what was not sent again: it was late, not lost. */
static void
test_frto_spurious(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	ack_segments(&k, 1);
	expect_segments(&k, 10, 12); /* new data, and none of what is marked lost */
	wire_silent(w);
	ack_segments(&k, 2);
	assert_int_equal(wire_stat(w, "frto_spurious"), 1);
	assert_int_equal(wire_stat(w, "undos"), 1);
	assert_int_equal(wire_status(&k).cwnd, 10 * MSS);
	wire_discard(w);
	ack_segments(&k, 12);
	wire_discard(w);
	assert_int_equal(wire_stat(w, "retransmits"), 1);
	wire_close(w);
}

/* What was believed lost is in flight again: new data goes for what has come, and no more. */
static void
test_undo_fills_no_more_than_the_window(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	k.wnd = 40 * MSS; /* not what holds it back */
	wire_write(&k, 20 * MSS);
	ack_segments(&k, 1);
	expect_segments(&k, 10, 12);
	wire_silent(w);
	ack_segments(&k, 2);
	assert_int_equal(wire_status(&k).cwnd, 10 * MSS);
	expect_segments(&k, 12, 12 + 10 - 10);
	wire_silent(w);
	ack_segments(&k, 3);
	assert_in_range(wire_pending(w), 1, 2);
	wire_discard(w);
	wire_close(w);
}

/* A window update between the two ACKs proves nothing. */
static void
test_frto_window_update(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	ack_segments(&k, 1);
	expect_segments(&k, 10, 12);
	k.wnd = 13 * MSS;
	ack_segments(&k, 1);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	wire_discard(w);
	ack_segments(&k, 2);
	assert_int_equal(wire_stat(w, "frto_spurious"), 1);
	wire_discard(w);
	wire_close(w);
}

/* The same, when it is a byte more. */
static void
test_frto_spurious_byte(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	ack_segments(&k, 1);
	wire_discard(w);
	wire_send(&k, ACK, 1, seq_of(1) + 1, 0);
	assert_int_equal(wire_stat(w, "frto_spurious"), 1);
	wire_discard(w);
	wire_close(w);
}

/* Step 3 (a): a duplicate: it was a loss; go on as ever, no faster than three segments. */
static void
test_frto_loss(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	ack_segments(&k, 1);
	expect_segments(&k, 10, 12);
	ack_segments(&k, 1);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	expect_segments(&k, 1, 2);
	assert_in_range(wire_status(&k).cwnd, MSS, 3 * MSS);
	wire_discard(w);
	wire_close(w);
}

/* Step 2 (a): the first ACK is a duplicate: no new data. */
static void
test_frto_duplicate_first(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	ack_segments(&k, 0);
	expect_segments(
		&k, 1, 2); /* the duplicate stands for a segment that has left the network */
	ack_segments(&k, 1);
	expect_segments(&k, 2, 3);
	wire_silent(w);
	ack_segments(&k, 2);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	wire_discard(w);
	wire_close(w);
}

/* Step 2 (b): nothing new may be sent: the window is full, or there is nothing. */
static void
test_frto_no_new_data(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	k.wnd = 9 * MSS;
	ack_segments(&k, 1);
	expect_segments(&k, 1, 3);
	wire_silent(w);
	ack_segments(&k, 2);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	wire_discard(w);
	wire_close(w);
}

/* Everything is acknowledged by the first ACK: nothing to find out. */
static void
test_frto_all(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	ack_segments(&k, 10);
	expect_segments(&k, 10, 12);
	ack_segments(&k, 12);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	wire_discard(w);
	wire_close(w);
}

/* A second timeout for the same: no F-RTO (step 1). */
static void
test_frto_second_timeout(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, false);

	(void)state;
	wire_run(w, 2500);
	wire_discard(w);
	assert_true(wire_stat(w, "rto_fired") >= 2);
	ack_segments(&k, 1);
	expect_segments(&k, 1, 3);
	ack_segments(&k, 2);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	wire_discard(w);
	wire_close(w);
}

/* Section 3 (with SACK): SACKed is something that was not sent again, below what was new: spurious. */
static void
test_frto_sack_spurious(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out_sack(&k);

	(void)state;
	ack_segments(&k, 1);
	expect_segments(&k, 11, 13);
	wire_silent(w);
	sack_segments(&k, 1, 3, 5);
	assert_int_equal(wire_stat(w, "frto_spurious"), 1);
	assert_true(wire_status(&k).cwnd >= 10 * MSS);
	wire_discard(w);
	wire_close(w);
}

/* New data is SACKed, and nothing below it came meanwhile: it was lost. */
static void
test_frto_sack_loss(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out_sack(&k);

	(void)state;
	/* Late news while the retransmission is out change nothing yet. */
	sack_segments(&k, 0, 8, 9);
	wire_silent(w);
	ack_segments(&k, 1);
	expect_segments(&k, 11, 13);
	sack_segments(&k, 1, 11, 12);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	expect_segments(&k, 1, 2);
	wire_discard(w);
	ack_segments(&k, 4);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	wire_discard(w);
	wire_close(w);
}

/* The probe before the timeout was the last segment again: what is said of that one proves nothing. */
static void
test_frto_after_probe(void **state)
{
	struct wire_conn k;
	struct wire *w = timed_out(&k, true);

	(void)state;
	assert_int_equal(wire_stat(w, "tlp_probes"), 1);
	ack_segments(&k, 1);
	expect_segments(&k, 1, 3);
	wire_silent(w);
	sack_segments(&k, 1, 9, 10);
	assert_int_equal(wire_stat(w, "frto_spurious"), 0);
	wire_discard(w);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prr_proportional),
		cmocka_unit_test(test_prr_slow_start),
		cmocka_unit_test(test_flight_of_a_burst),
		cmocka_unit_test(test_prr_nothing_delivered),
		cmocka_unit_test(test_prr_reno),
		cmocka_unit_test(test_reno_window_to_the_byte),
		cmocka_unit_test(test_loss_window_to_the_byte),
		cmocka_unit_test(test_no_growth_unused),
		cmocka_unit_test(test_rto_of_steady_path),
		cmocka_unit_test(test_timeout_forgets_duplicates),
		cmocka_unit_test(test_one_byte_is_progress),
		cmocka_unit_test(test_frto_spurious),
		cmocka_unit_test(test_frto_spurious_byte),
		cmocka_unit_test(test_undo_fills_no_more_than_the_window),
		cmocka_unit_test(test_frto_window_update),
		cmocka_unit_test(test_frto_loss),
		cmocka_unit_test(test_frto_duplicate_first),
		cmocka_unit_test(test_frto_no_new_data),
		cmocka_unit_test(test_frto_all),
		cmocka_unit_test(test_frto_second_timeout),
		cmocka_unit_test(test_frto_sack_spurious),
		cmocka_unit_test(test_frto_sack_loss),
		cmocka_unit_test(test_frto_after_probe),
	};

	wire_args(argc, argv);
	test_eal("tcp_recovery");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
