/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Loss that time tells of: RACK and tail loss probes (RFC 8985), and how much reordering there is.
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

/* RFC 8985 section 7: the last segments are lost; a probe finds it out, no timeout is needed. */
static void
test_tail_loss_probe(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 4 * MSS);
	expect_segments(&k, 0, 4);
	ack_segments(&k, 1);
	wire_silent(w);
	wire_run(w, 10);
	expect_segments(&k, 3, 4);
	wire_silent(w);
	sack_segments(&k, 1, 3, 4);
	wire_run(w, 10);
	expect_segments(&k, 1, 2); /* sent before what has arrived */
	wire_silent(w);
	ack_segments(&k, 2);
	expect_segments(&k, 2, 3); /* one for one (RFC 9937) */
	wire_silent(w);
	ack_segments(&k, 4);
	wire_run(w, 1000);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "tlp_probes"), 1);
	assert_int_equal(wire_stat(w, "tlp_repairs"), 0);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	assert_int_equal(wire_stat(w, "rto_fired"), 0);
	wire_close(w);
}

/* RFC 8985 section 7.3: new data makes the better probe. */
static void
test_tail_loss_probe_new(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 12 * MSS); /* more than the initial window */
	expect_segments(&k, 0, 10);
	wire_run(w, 10);
	expect_segments(&k, 10, 11);
	wire_silent(w);
	ack_segments(&k, 11);
	expect_segments(&k, 11, 12);
	ack_segments(&k, 12);
	assert_int_equal(wire_stat(w, "tlp_repairs"), 0);
	assert_int_equal(wire_stat(w, "retransmits"), 0);
	wire_close(w);
}

/* RFC 8985 section 7.4: the probe itself has mended the loss, which counts as one; unless it came twice. */
static void
tail_probe_repairs(bool twice)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	ack_segments(&k, 8);
	wire_run(w, 10);
	expect_segments(&k, 9, 10);
	if (twice) {
		k.nsack = 1;
		k.sack[0][0] = 1 + 9 * MSS;
		k.sack[0][1] = 1 + 10 * MSS;
	}
	ack_segments(&k, 10);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "tlp_repairs"), !twice);
	assert_int_equal(wire_status(&k).cwnd < 10 * MSS, !twice);
	wire_close(w);
}

static void
test_tail_loss_probe_repairs(void **state)
{
	(void)state;
	tail_probe_repairs(false);
	tail_probe_repairs(true);
}

/* RFC 8985 section 6.2: a retransmission is lost too; what was sent after it and has arrived says so. */
static void
test_lost_retransmission(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);
	struct wire_seg s;

	(void)state;
	wire_write(&k, 40 * MSS);
	expect_segments(&k, 0, 10);
	wire_run(w, 1);
	sack_segments(&k, 0, 1, 10);
	expect_segments(&k, 0, 1);
	s = wire_expect(&k, WIRE_ANY, 1 + 10 * MSS, 1, MSS); /* new data, after it */
	wire_discard(w);
	wire_run(w, 2);
	k.nsack = 1;
	k.sack[0][0] = 1 + MSS;
	k.sack[0][1] = s.seq + s.len;
	wire_send(&k, ACK, 1, 1, 0);
	wire_expect(&k, WIRE_ANY, 1, 1, MSS);
	assert_int_equal(wire_stat(w, "rto_fired"), 0);
	assert_int_equal(wire_stat(w, "rack_marked"), 1);
	wire_discard(w);
	wire_close(w);
}

/* RFC 8985 section 6.2 step 2: what is acknowledged sooner after it was sent again than a round trip takes is the original. */
static void
test_original_arrives_late(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&reads);

	(void)state;
	wire_conn(w, &k);
	accept_plain(&k, true);
	for (unsigned i = 0; i < 20; i++) { /* a round trip of 100 ms */
		wire_write(&k, MSS);
		expect_segments(&k, i, i + 1);
		wire_run(w, 100);
		wire_discard(w);
		ack_segments(&k, i + 1);
	}
	wire_write(&k, 60 * MSS); /* more than the window */
	wire_run(w, 100);
	wire_discard(w);
	sack_segments(&k, 20, 21, 24);
	assert_int_equal(wire_stat(w, "retransmits"), 1);
	wire_run(w, 20);
	ack_segments(&k, 24);
	wire_run(w, 1);
	assert_int_equal(wire_stat(w, "retransmits"), 1); /* the others are as old as before */
	wire_discard(w);
	wire_close(w);
}

/* RFC 8985 section 6.2: until something has been delivered nothing can be said of what has not, whatever the clock shows. */
static void
test_nothing_delivered_yet(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&reads);

	(void)state;
	wire_conn(w, &k);
	accept_plain(&k, true);
	wire_run(w, 2200000); /* past the middle of 32 bits of microseconds */
	wire_write(&k, 2 * MSS);
	expect_segments(&k, 0, 2);
	wire_run(w, 5);
	wire_discard(w);
	sack_segments(&k, 0, 7, 8); /* of what was never sent */
	wire_silent(w);
	assert_int_equal(wire_stat(w, "rack_marked"), 0);
	wire_close(w);
}

/* What arrives late is not lost: from then on more is allowed for (RFC 4653). */
static void
test_reordering_is_learnt(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 10 * MSS);
	expect_segments(&k, 0, 10);
	/* 0 comes after 1 and 2. */
	sack_segments(&k, 0, 1, 2);
	sack_segments(&k, 0, 1, 3);
	ack_segments(&k, 3);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 0);
	assert_int_equal(wire_stat(w, "reorder_seen"), 0);
	/* 3 comes after 4 to 8, and both are told in one burst: not lost, though it looked so. */
	k.sack[0][0] = seq_of(4);
	k.sack[0][1] = seq_of(9);
	k.nsack = 1;
	wire_queue(&k, ACK, 1, seq_of(3), 0);
	wire_queue(&k, ACK, 1, seq_of(9), 0);
	wire_turn(w);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "reorder_seen"), 1);
	assert_int_equal(wire_stat(w, "retransmits"), 0);
	ack_segments(&k, 10);
	/* From now on six must have overtaken one. */
	wire_write(&k, 10 * MSS);
	wire_discard(w);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	assert_int_equal(wire_stat(w, "undos"), 1);
	sack_segments(&k, 10, 11, 16);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	sack_segments(&k, 10, 11, 17);
	assert_int_equal(wire_stat(w, "fast_recoveries"), 2);
	wire_discard(w);
	wire_close(w);
}

/* RFC 8985 section 6.2: a single byte that has overtaken what went before it says as much as a segment. */
static void
test_rack_by_a_byte(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&reads);

	(void)state;
	wire_conn(w, &k);
	accept_plain(&k, true);
	wire_write(&k, MSS);
	wire_write(&k, 1);
	expect_segments(&k, 0, 1);
	wire_expect(&k, ACK, seq_of(1), 1, 1);
	k.nsack = 1;
	k.sack[0][0] = seq_of(1);
	k.sack[0][1] = seq_of(1) + 1;
	wire_send(&k, ACK, 1, 1, 0);
	wire_run(w, 50);
	expect_segments(&k, 0, 1);
	assert_int_equal(wire_stat(w, "rack_marked"), 1);
	assert_int_equal(wire_stat(w, "rto_fired"), 0);
	wire_discard(w);
	wire_close(w);
}

/* RFC 8985 section 6.2 step 2: only of what was sent again is it in doubt which one arrived; an answer that comes much
 * sooner than ever is one all the same. Step 5: what it has overtaken is lost a round trip and a quarter after it was sent. */
static void
test_rack_of_a_fast_answer(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		wire_write(&k, MSS);
		expect_segments(&k, i, i + 1);
		wire_run(w, 160);
		ack_segments(&k, i + 1);
	}
	wire_write(&k, 2 * MSS);
	expect_segments(&k, 20, 22);
	wire_run(w, 2);
	sack_segments(&k, 20, 21, 22);
	wire_run(w, 170);
	wire_silent(w);
	wire_run(w, 35);
	expect_segments(&k, 20, 21);
	ack_segments(&k, 22);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tail_loss_probe),
		cmocka_unit_test(test_tail_loss_probe_new),
		cmocka_unit_test(test_tail_loss_probe_repairs),
		cmocka_unit_test(test_lost_retransmission),
		cmocka_unit_test(test_original_arrives_late),
		cmocka_unit_test(test_nothing_delivered_yet),
		cmocka_unit_test(test_reordering_is_learnt),
		cmocka_unit_test(test_rack_by_a_byte),
		cmocka_unit_test(test_rack_of_a_fast_answer),
	};

	wire_args(argc, argv);
	test_eal("tcp_loss");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
