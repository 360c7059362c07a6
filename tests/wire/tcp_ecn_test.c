/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Explicit congestion notification: agreed on, sent, echoed, answered (RFC 3168), and told exactly (DCTCP, RFC 8257).
 */
#include "util.h"
#include "wire.h"

#define MSS 1448
#define ECT 2 /* ECT(0) in the traffic class */

static struct wire_conf newreno = {
	.service = {.read = true}, .tcp = {.congestion = TCP_NEWRENO, .ecn = TCP_ECN_ASK}};
static struct wire_conf dctcp = {
	.service = {.read = true}, .tcp = {.congestion = TCP_DCTCP, .ecn = TCP_ECN_ASK}};

/** A conversation that the peer opens, with ECN. */
static struct wire *
open_ecn(const struct wire_conf *conf, struct wire_conn *k)
{
	struct wire *w = wire_open(conf);
	struct wire_seg s;

	wire_conn(w, k);
	k->wscale = 4;
	wire_send(k, SYN | ECE | CWR, 0, 0, 0);
	s = wire_expect(k, SYN | ACK | ECE, 0, 1, 0);
	assert_int_equal(s.tos, 0);
	wire_expect_accept(k);
	assert_true(wire_status(k).ecn);
	return w;
}

/** Take what was sent as data. @return how many segments */
static unsigned
take(struct wire *w, struct wire_conn *k, struct wire_seg *ret_last)
{
	unsigned n = 0;

	while (wire_next(w, k, ret_last))
		n += ret_last->len > 0;
	return n;
}

/* RFC 3168 section 6.1.1: only a SYN with both flags asks, and what was not agreed on is not used. */
static void
test_granted(void **state)
{
	static const uint8_t no[] = {0, ECE, CWR};
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);
	struct wire_seg s;

	(void)state;
	assert_int_equal(wire_stat(w, "ecn_agreed"), 1);
	wire_close(w);
	for (unsigned i = 0; i < RTE_DIM(no); i++) {
		w = wire_open(&newreno);
		wire_conn(w, &k);
		wire_send(&k, SYN | no[i], 0, 0, 0);
		wire_expect(&k, SYN | ACK, 0, 1, 0);
		wire_expect_accept(&k);
		assert_false(wire_status(&k).ecn);
		wire_write(&k, 100);
		s = wire_expect(&k, ACK, 1, 1, 100);
		assert_int_equal(s.tos, 0);
		k.ce = true;
		wire_send(&k, ACK, 1, 101, 10);
		wire_run(w, 50);
		wire_expect(&k, ACK, 101, 11, 0);
		wire_close(w);
	}
	assert_int_equal(wire_stat(w = open_ecn(&newreno, &k), "ecn_marks_in"), 0);
	wire_close(w);
}

static void
test_refused(void **state)
{
	struct wire_conf off = newreno;
	struct wire_conn k;
	struct wire *w;

	(void)state;
	off.tcp.ecn = TCP_ECN_OFF;
	w = wire_open(&off);
	wire_conn(w, &k);
	wire_send(&k, SYN | ECE | CWR, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_close(w);
}

/** An active open: is ECN agreed on when SYN-ACK comes with these flags, after so many SYNs? */
static bool
asked(uint8_t flags, unsigned syns)
{
	struct wire *w = wire_open(&newreno);
	struct wire_conn k;
	bool ecn;

	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN | ECE | CWR, 0, WIRE_ANY, 0);
	for (unsigned i = 1; i < syns; i++) {
		wire_run(w, 1100);
		/* Section 6.1.1.1: it may have been ECN that was not liked. */
		wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	}
	wire_send(&k, SYN | ACK | flags, 0, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	ecn = wire_status(&k).ecn;
	wire_close(w);
	return ecn;
}

static void
test_asked(void **state)
{
	struct wire_conf grant = newreno;
	struct wire_conn k;
	struct wire *w;

	(void)state;
	assert_true(asked(ECE, 1));
	assert_false(asked(0, 1));
	assert_false(asked(ECE | CWR, 1)); /* a peer that reflects what it does not know */
	assert_false(asked(ECE, 2));
	grant.tcp.ecn = TCP_ECN_GRANT;
	w = wire_open(&grant);
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_close(w);
}

static void
test_simultaneous(void **state)
{
	struct wire *w = wire_open(&newreno);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN | ECE | CWR, 0, WIRE_ANY, 0);
	wire_send(&k, SYN | ECE | CWR, 0, 0, 0);
	wire_expect(&k, SYN | ACK | ECE, 0, 1, 0);
	wire_send(&k, ACK, 1, 1, 0);
	wire_state(&k, "ESTABLISHED");
	assert_true(wire_status(&k).ecn);
	wire_close(w);
}

/* Section 6.1.3: every ACK tells, until the peer says that it has heard. */
static void
test_echo(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);

	(void)state;
	k.ce = true;
	wire_send(&k, ACK, 1, 1, 100);
	wire_expect(&k, ACK | ECE, 1, 101, 0); /* at once */
	wire_send(&k, ACK, 101, 1, 100);
	wire_run(w, 50);
	wire_expect(&k, ACK | ECE, 1, 201, 0);
	/* What is ours to say goes on. */
	wire_write(&k, 10);
	wire_expect(&k, ACK | ECE, 1, 201, 10);
	wire_send(&k, ACK, 201, 11, 0);
	/* An ACK without data can't take it back: it is not reliable. */
	wire_send(&k, ACK | CWR, 201, 11, 0);
	wire_send(&k, ACK, 201, 11, 100);
	wire_run(w, 50);
	wire_expect(&k, ACK | ECE, 11, 301, 0);
	wire_send(&k, ACK | CWR, 301, 11, 100);
	wire_run(w, 50);
	wire_expect(&k, ACK, 11, 401, 0);
	/* CWR on a segment that was marked itself. */
	k.ce = true;
	wire_send(&k, ACK | CWR, 401, 11, 100);
	wire_expect(&k, ACK | ECE, 11, 501, 0);
	assert_int_equal(wire_stat(w, "ecn_marks_in"), 2);
	/* Section 6.1.5: data that is not acceptable counts for nothing. */
	wire_send(&k, ACK | CWR, 501, 11, 100);
	wire_run(w, 50);
	wire_expect(&k, ACK, 11, 601, 0);
	k.ce = true;
	wire_send(&k, ACK, 1, 11, 100);
	wire_expect(&k, ACK, 11, 601, 0);
	wire_close(w);
}

/* Section 6.1.2: as for a loss, once per window; CWR goes with the next new data. */
static void
test_reduction(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);
	static const unsigned sent[] = {1, 2, 3, 3, 5};
	struct wire_seg s;
	unsigned n = 0;

	(void)state;
	wire_write(&k, 60 * MSS);
	for (unsigned i = 0; i < 10; i++) {
		s = wire_expect(&k, ACK, 1 + i * MSS, 1, MSS);
		assert_int_equal(s.tos, ECT);
	}
	wire_silent(w);
	/* All ten have arrived, two acknowledged at a time; each ACK says that there were marks. */
	for (unsigned i = 2; i <= 10; i += 2) {
		wire_send(&k, ACK | ECE, 1, 1 + i * MSS, 0);
		assert_int_equal(wire_status(&k).ssthresh, 5 * MSS);
		while (wire_next(w, &k, &s)) {
			assert_int_equal(s.flags & CWR, n == 0 ? CWR : 0);
			assert_int_equal(s.seq, 1 + (10 + n) * MSS);
			assert_int_equal(s.tos, ECT);
			n++;
		}
		/* RFC 9937: 5 for 10 that come, until 5 are in flight; then it is over. */
		assert_int_equal(n, sent[i / 2 - 1]);
	}
	assert_int_equal(wire_stat(w, "ecn_reductions"), 1);
	assert_int_equal(wire_status(&k).cwnd, 5 * MSS);
	/* The window after: marks again, and an answer again. */
	wire_send(&k, ACK | ECE, 1, 1 + 11 * MSS, 0);
	assert_int_equal(wire_stat(w, "ecn_reductions"), 2);
	assert_int_equal(wire_status(&k).ssthresh, 2 * MSS + MSS / 2);
	assert_int_equal(wire_stat(w, "retransmits"), 0);
	wire_discard(w);
	wire_close(w);
}

/* The ACK that tells of marks is the last one: the window comes down, and the next data says so. */
static void
test_reduction_at_end(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);

	(void)state;
	wire_write(&k, 8 * MSS);
	wire_discard(w);
	wire_send(&k, ACK | ECE, 1, 1 + 8 * MSS, 0);
	assert_int_equal(wire_status(&k).cwnd, 4 * MSS);
	wire_write(&k, 10);
	wire_expect(&k, ACK | CWR, 1 + 8 * MSS, 1, 10);
	wire_close(w);
}

/* Nothing is sent on which CWR could go, and the peer repeats itself with each segment: it was answered already. */
static void
test_reduction_once(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);

	(void)state;
	wire_write(&k, 8 * MSS);
	wire_discard(w);
	wire_send(&k, ACK | ECE, 1, 1 + 8 * MSS, 0);
	for (unsigned i = 0; i < 4; i++) {
		wire_send(&k, ACK | ECE, 1 + i * 100, 1 + 8 * MSS, 100);
		assert_int_equal(wire_status(&k).cwnd, 4 * MSS);
	}
	assert_int_equal(wire_stat(w, "ecn_reductions"), 1);
	wire_discard(w);
	wire_write(&k, 10);
	wire_expect(&k, ACK | CWR, 1 + 8 * MSS, 401, 10);
	wire_close(w);
}

/* Marks are told of when all has been acknowledged before: half of what may go, not of nothing. */
static void
test_reduction_idle(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);
	uint32_t cwnd;

	(void)state;
	wire_write(&k, 8 * MSS);
	wire_discard(w);
	wire_send(&k, ACK, 1, 1 + 8 * MSS, 0);
	cwnd = wire_status(&k).cwnd;
	wire_send(&k, ACK | ECE, 1, 1 + 8 * MSS, 100);
	assert_int_equal(wire_status(&k).cwnd, cwnd / 2);
	assert_int_equal(wire_status(&k).ssthresh, cwnd / 2);
	wire_discard(w);
	wire_close(w);
}

/* A loss in a window that has come down for its marks is no second reason. */
static void
test_loss_among_marks(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);
	struct wire_seg s;

	(void)state;
	wire_write(&k, 40 * MSS);
	wire_discard(w);
	wire_send(&k, ACK | ECE, 1, 1 + 2 * MSS, 0);
	assert_int_equal(wire_status(&k).ssthresh, 5 * MSS);
	wire_discard(w);
	k.nsack = 1;
	k.sack[0][0] = 1 + 3 * MSS;
	k.sack[0][1] = 1 + 8 * MSS;
	wire_send(&k, ACK | ECE, 1, 1 + 2 * MSS, 0);
	s = wire_expect(&k, ACK, 1 + 2 * MSS, 1, MSS);
	assert_int_equal(s.tos, 0); /* section 6.1.5: not what is sent again */
	assert_int_equal(wire_stat(w, "fast_recoveries"), 1);
	assert_int_equal(wire_stat(w, "ecn_reductions"), 1);
	assert_int_equal(wire_status(&k).ssthresh, 5 * MSS);
	wire_discard(w);
	wire_close(w);
}

/* Section 6.1.2: what a loss has reduced is told of with the next new data, too: without SACK or time the peer could not know. */
static void
test_loss_is_told(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);
	struct wire_seg s;

	(void)state;
	wire_write(&k, 30 * MSS);
	wire_discard(w);
	k.nsack = 1;
	k.sack[0][0] = 1 + MSS;
	k.sack[0][1] = 1 + 9 * MSS;
	wire_send(&k, ACK, 1, 1, 0);
	s = wire_expect(&k, ACK, 1, 1, MSS);
	assert_int_equal(s.tos, 0);
	s = wire_expect(&k, ACK | CWR, 1 + 10 * MSS, 1, MSS);
	assert_int_equal(s.tos, ECT);
	wire_discard(w);
	wire_send(&k, ACK, 1, 1 + 10 * MSS, 0);
	assert_true(wire_next(w, &k, &s));
	assert_int_equal(s.flags & CWR, 0); /* once */
	wire_discard(w);
	wire_close(w);
}

/* Section 6.1.2: after a loss, too, new data says that the window is smaller. Section 6.1.6: no probe is ECN-capable. */
static void
test_what_is_marked(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&newreno, &k);
	struct wire_seg s;

	(void)state;
	wire_write(&k, 100);
	s = wire_expect(&k, ACK, 1, 1, 100);
	assert_int_equal(s.tos, ECT);
	for (unsigned t = 0; t < 1000 && wire_stat(w, "rto_fired") == 0; t++)
		wire_run(w, 1);
	take(w, &k, &s);
	assert_int_equal(s.tos, 0);
	assert_int_equal(s.flags & CWR, 0);
	k.wnd = 0;
	wire_send(&k, ACK, 1, 101, 0);
	wire_write(&k, 100);
	wire_silent(w);
	wire_run(w, 500);
	s = wire_expect(&k, ACK, 101, 1, 1);
	assert_int_equal(s.tos, 0);
	wire_discard(w);
	k.wnd = 65535;
	wire_send(&k, ACK, 1, 101, 0);
	wire_expect(&k, ACK, 101, 1, 100); /* its first byte was there before */
	wire_send(&k, ACK, 1, 201, 0);
	wire_write(&k, 100);
	s = wire_expect(&k, ACK | CWR, 201, 1, 100);
	assert_int_equal(s.tos, ECT);
	wire_send(&k, ACK, 1, 301, 0);
	wire_shutdown(&k);
	s = wire_expect(&k, FIN | ACK, 301, 1, 0);
	assert_int_equal(s.tos, 0);
	wire_close(w);
}

/* SYN cookies keep it in the timestamp. */
static void
test_cookie(void **state)
{
	struct wire_conf few = newreno;
	struct wire_conn other, k[2];
	struct wire *w;

	(void)state;
	few.listener_half_open = 1;
	w = wire_open(&few);
	for (unsigned ecn = 0; ecn < 2; ecn++) {
		wire_conn(w, &other);
		wire_send(&other, SYN, 0, 0, 0);
		wire_expect(&other, SYN | ACK, 0, 1, 0);
		wire_conn(w, &k[ecn]);
		wire_send(&k[ecn], SYN | (ecn ? ECE | CWR : 0), 0, 0, 0);
		wire_expect(&k[ecn], SYN | ACK | (ecn ? ECE : 0), 0, 1, 0);
		wire_expect_accept(&k[ecn]);
		assert_int_equal(wire_stat(w, "cookies_ok"), ecn + 1);
		assert_int_equal(wire_status(&k[ecn]).ecn, ecn);
		wire_send(&other, RST, 1, 0, 0);
	}
	wire_close(w);
}

/* RFC 8257 section 3.2: ECE is what the last segment said, and each change of it is told exactly. */
static void
test_dctcp_echo(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&dctcp, &k);

	(void)state;
	/* Three without, two with, one without a mark, in one burst. */
	for (unsigned i = 0; i < 6; i++) {
		k.ce = i == 3 || i == 4;
		wire_queue(&k, ACK, 1 + 100 * i, 1, 100);
	}
	wire_turn(w);
	wire_expect(&k, ACK, 1, 301, 0);
	wire_expect(&k, ACK | ECE, 1, 501, 0);
	wire_expect(&k, ACK, 1, 601, 0);
	wire_silent(w);
	wire_close(w);
}

/** One window of data: all acknowledged, the first `marked` of `n` segments with ECE. */
static void
dctcp_round(struct wire *w, struct wire_conn *k, uint32_t *una, unsigned marked, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		*una += MSS;
		wire_send(k, ACK | (i < marked ? ECE : 0), 1, *una, 0);
	}
	wire_discard(w);
}

/* RFC 8257 section 3.3: alpha begins at 1; with g = 1/16 it falls to 15/16 of it per window without marks. */
static void
test_dctcp_alpha(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&dctcp, &k);
	uint32_t una = 1, was;
	double alpha = 1;

	(void)state;
	/* Slow start ends with the first marks; alpha of 1 halves the window as a loss does. */
	wire_write(&k, 200 * MSS);
	wire_discard(w);
	dctcp_round(w, &k, &una, 10, 10);
	assert_int_equal(wire_status(&k).ssthresh, 5 * MSS);
	/* Ten windows without any. */
	for (unsigned i = 0; i < 10; i++) {
		unsigned n = (wire_status(&k).snd_nxt - wire_status(&k).snd_una) / MSS;

		if (wire_status(&k).send_queue < 100 * MSS)
			wire_write(&k, 100 * MSS);
		dctcp_round(w, &k, &una, 0, n);
		alpha *= 15.0 / 16;
	}
	/* The next mark: cwnd * (1 - alpha / 2). */
	was = wire_status(&k).cwnd;
	una += MSS;
	wire_send(&k, ACK | ECE, 1, una, 0);
	assert_in_range(wire_status(&k).ssthresh, (uint32_t)(was * (1 - alpha / 2) * 0.97),
		(uint32_t)(was * (1 - alpha / 2) * 1.03));
	/* A loss is a loss (section 3.5). */
	wire_discard(w);
	wire_close(w);
}

/* RFC 3168 section 6.1.2, RFC 5681 section 3.1: marks alone, and still two segments may be out. */
static void
test_dctcp_least(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&dctcp, &k);
	uint32_t una = 1, least = UINT32_MAX;

	(void)state;
	wire_write(&k, 200 * MSS);
	wire_discard(w);
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = (wire_status(&k).snd_nxt - wire_status(&k).snd_una) / MSS;

		dctcp_round(w, &k, &una, n, n);
		least = RTE_MIN(least, wire_status(&k).ssthresh);
	}
	assert_int_equal(least, 2 * MSS);
	wire_close(w);
}

/* Short exchanges teach alpha, too: the window is over when all is acknowledged. */
static void
test_dctcp_short(void **state)
{
	struct wire_conn k;
	struct wire *w = open_ecn(&dctcp, &k);
	uint32_t una = 1;
	double alpha = 1;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		wire_write(&k, MSS);
		wire_discard(w);
		dctcp_round(w, &k, &una, 0, 1);
		alpha *= 15.0 / 16;
	}
	wire_write(&k, 10 * MSS);
	wire_discard(w);
	una += MSS;
	wire_send(&k, ACK | ECE, 1, una, 0);
	assert_in_range(wire_status(&k).ssthresh, (uint32_t)(10 * MSS * (1 - alpha / 2) * 0.97),
		(uint32_t)(10 * MSS * (1 - alpha / 2) * 1.03));
	wire_discard(w);
	wire_close(w);
}

/* Without ECN it is NewReno. */
static void
test_dctcp_loss(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open(&dctcp);

	(void)state;
	wire_conn(w, &k);
	wire_accept(&k);
	assert_false(wire_status(&k).ecn);
	wire_write(&k, 20 * MSS);
	wire_discard(w);
	k.nsack = 1;
	k.sack[0][0] = 1 + MSS;
	k.sack[0][1] = 1 + 5 * MSS;
	wire_send(&k, ACK, 1, 1, 0);
	assert_int_equal(wire_status(&k).ssthresh, 5 * MSS);
	wire_discard(w);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_granted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_simultaneous),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_reduction),
		cmocka_unit_test(test_reduction_at_end),
		cmocka_unit_test(test_reduction_once),
		cmocka_unit_test(test_reduction_idle),
		cmocka_unit_test(test_loss_among_marks),
		cmocka_unit_test(test_loss_is_told),
		cmocka_unit_test(test_what_is_marked),
		cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_dctcp_echo),
		cmocka_unit_test(test_dctcp_alpha),
		cmocka_unit_test(test_dctcp_least),
		cmocka_unit_test(test_dctcp_short),
		cmocka_unit_test(test_dctcp_loss),
	};

	wire_args(argc, argv);
	test_eal("tcp_ecn");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
