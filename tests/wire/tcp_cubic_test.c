/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * CUBIC (RFC 9438): the window against the curve of section 4.2, round trip by round trip.
 */
#include <math.h>

#include "util.h"
#include "wire.h"

#define MSS 1448

static struct wire_conf cubic = {.service = {.read = true}, .tcp = {.send_max = 1 << 20}};

/** A sender that always has more, and a peer that acknowledges all once per round trip. */
struct flow {
	struct wire *w;
	struct wire_conn k;
	unsigned rtt_ms;
	unsigned acked, sent; /* segments */
};

static void
flow_fill(struct flow *f)
{
	while (f->k.written < (uint64_t)(f->sent + 400) * MSS)
		wire_write(&f->k, 50 * MSS);
}

/** See what was sent; those that are new are whole segments. */
static void
flow_look(struct flow *f)
{
	struct wire_seg s;

	while (wire_next(f->w, &f->k, &s)) {
		if (s.len == 0)
			continue;
		assert_int_equal((s.seq - 1) % MSS, 0);
		f->sent = RTE_MAX(f->sent, (s.seq - 1) / MSS + 1);
	}
}

static void
flow_ack(struct flow *f)
{
	f->acked = f->sent;
	wire_send(&f->k, ACK, 1, 1 + f->acked * MSS, 0);
	flow_look(f);
}

static void
flow_open(struct flow *f, unsigned rtt_ms)
{
	*f = (struct flow){.w = wire_open(&cubic), .rtt_ms = rtt_ms};
	wire_conn(f->w, &f->k);
	f->k.wscale = 4;
	wire_accept(&f->k);
	f->k.wnd = UINT16_MAX;
	/* Round trips are known before it matters: the curve looks one ahead. */
	for (unsigned i = 0; i < 50; i++) {
		wire_write(&f->k, MSS);
		wire_run(f->w, rtt_ms);
		flow_look(f);
		flow_ack(f);
	}
}

static void
flow_round(struct flow *f)
{
	flow_fill(f);
	wire_run(f->w, f->rtt_ms);
	flow_look(f);
	flow_ack(f);
}

static double
flow_cwnd(struct flow *f)
{
	return (double)wire_status(&f->k).cwnd / MSS;
}

/** Slow start until cwnd is so many segments: 10 times a power of 2. */
static void
flow_start(struct flow *f, unsigned segs)
{
	flow_fill(f);
	flow_look(f);
	while (flow_cwnd(f) < segs)
		flow_round(f);
	assert_true(flow_cwnd(f) == segs);
}

/** All that is in flight arrives but the first one. */
static void
flow_lose(struct flow *f)
{
	flow_fill(f);
	wire_run(f->w, f->rtt_ms);
	flow_look(f);
	f->k.sack[0][0] = 1 + (f->acked + 1) * MSS;
	f->k.sack[0][1] = 1 + f->sent * MSS;
	f->k.nsack = 1;
	wire_send(&f->k, ACK, 1, 1 + f->acked * MSS, 0);
}

/** One is lost, and sent again at once: congestion avoidance begins with the next acknowledgement. */
static void
flow_recover(struct flow *f)
{
	unsigned recover;

	flow_lose(f);
	recover = f->sent;
	flow_look(f);
	f->acked = recover;
	wire_send(&f->k, ACK, 1, 1 + recover * MSS, 0);
	flow_look(f);
}

static void
assert_near(double is, double should, double by)
{
	if (fabs(is - should) > by)
		fail_msg("%.2f segments, not %.2f within %.2f", is, should, by);
}

/* Section 4.2, equations 1 and 2: in segments and seconds. */
static double
curve(double w_max, double from, double s)
{
	return 0.4 * pow(s - cbrt((w_max - from) / 0.4), 3) + w_max;
}

/* Section 4.6: ssthresh and cwnd are 0.7 of what was in flight. */
static void
test_decrease(void **state)
{
	struct flow f;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_lose(&f);
	assert_near((double)wire_status(&f.k).ssthresh / MSS, 112, 0.1);
	assert_near(flow_cwnd(&f), 112, 0.1);
	wire_discard(f.w);
	wire_close(f.w);
}

/* Section 4.4, 4.5: up to W_max slower and slower, then past it faster and faster. */
static void
test_curve(void **state)
{
	struct flow f;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_recover(&f);
	for (unsigned i = 1; i <= 95; i++) {
		flow_round(&f);
		assert_near(flow_cwnd(&f), curve(160, 112, i * 0.1), 1.2);
	}
	wire_discard(f.w);
	wire_close(f.w);
}

/* RFC 5681 section 3.1: slow start ends at ssthresh, though one ACK may tell of more. */
static void
test_slow_start_ends(void **state)
{
	struct flow f;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	wire_run(f.w, 2000);
	flow_look(&f);
	for (unsigned i = 0; i < 20; i++) {
		flow_round(&f);
		if (flow_cwnd(&f) > 111)
			break;
	}
	assert_near(flow_cwnd(&f), 112, 2);
	wire_discard(f.w);
	wire_close(f.w);
}

/* Section 4.3: where round trips are short, no slower than Reno would be: 9/17 of a segment each, then 1. */
static void
test_reno_friendly(void **state)
{
	struct flow f;

	(void)state;
	flow_open(&f, 10);
	flow_start(&f, 40);
	flow_recover(&f);
	for (unsigned i = 1; i <= 20; i++)
		flow_round(&f);
	assert_near(flow_cwnd(&f), 28 + 20 * 9.0 / 17, 1);
	for (unsigned i = 1; i <= 3; i++)
		flow_round(&f);
	for (double was = flow_cwnd(&f); flow_cwnd(&f) < 50; was = flow_cwnd(&f)) {
		flow_round(&f);
		assert_near(flow_cwnd(&f) - was, 1, 0.1);
	}
	wire_discard(f.w);
	wire_close(f.w);
}

/* Section 4.7: a second loss before the first one's window was reached. */
static void
test_fast_convergence(void **state)
{
	struct flow f;
	double was;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_recover(&f);
	for (unsigned i = 0; i < 10; i++)
		flow_round(&f);
	was = flow_cwnd(&f);
	flow_recover(&f);
	assert_near(flow_cwnd(&f), was * 0.7, 1);
	for (unsigned i = 1; i <= 40; i++) {
		flow_round(&f);
		assert_near(flow_cwnd(&f),
			RTE_MAX(curve(was * 0.85, was * 0.7, i * 0.1), was * 0.7 + i * 9.0 / 17),
			2);
	}
	wire_discard(f.w);
	wire_close(f.w);
}

/* A pause forgets nothing: who left room for others leaves it still. */
static void
test_fast_convergence_after_pause(void **state)
{
	struct flow f;
	double was, from;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_recover(&f);
	for (unsigned i = 0; i < 10; i++)
		flow_round(&f);
	was = flow_cwnd(&f);
	flow_recover(&f);
	while (f.k.written > (uint64_t)f.acked * MSS) {
		wire_run(f.w, 100);
		flow_look(&f);
		flow_ack(&f);
	}
	for (unsigned i = 0; i < 3; i++) { /* a little: the window is not what holds it back */
		wire_write(&f.k, MSS);
		wire_run(f.w, 100);
		flow_look(&f);
		flow_ack(&f);
	}
	from = flow_cwnd(&f);
	flow_fill(&f);
	flow_look(&f);
	for (unsigned i = 1; i <= 15; i++) {
		flow_round(&f);
		assert_near(flow_cwnd(&f), curve(was * 0.85, from, i * 0.1), 3);
	}
	wire_discard(f.w);
	wire_close(f.w);
}

/* Section 4.8: after a timeout the curve begins where slow start ends. */
static void
test_timeout(void **state)
{
	struct flow f;
	unsigned i;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_fill(&f);
	flow_look(&f);
	wire_run(f.w, 2000);
	flow_look(&f);
	assert_true(wire_stat(f.w, "rto_fired") > 0);
	assert_near((double)wire_status(&f.k).ssthresh / MSS, 112, 0.1);
	for (i = 0; i < 20 && flow_cwnd(&f) < 112; i++)
		flow_round(&f);
	assert_near(flow_cwnd(&f), 112, 20);
	for (i = 0; i < 30; i++)
		flow_round(&f);
	assert_true(flow_cwnd(&f) < 145); /* 160 remembered: 158 */
	wire_discard(f.w);
	wire_close(f.w);
}

/* Section 4.9: the loss was none: cwnd is as it was, and so is the curve. */
static void
test_undone(void **state)
{
	struct flow f;
	double was;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_recover(&f);
	for (unsigned i = 0; i < 10; i++)
		flow_round(&f);
	was = flow_cwnd(&f);
	flow_lose(&f);
	assert_near(flow_cwnd(&f), was * 0.7, 1);
	flow_look(&f);
	/* It came twice. */
	f.k.sack[0][0] = 1 + f.acked * MSS;
	f.k.sack[0][1] = 1 + (f.acked + 1) * MSS;
	f.k.nsack = 1;
	flow_ack(&f);
	assert_int_equal(wire_stat(f.w, "undos"), 1);
	assert_near(flow_cwnd(&f), curve(160, was, 0.1), 1);
	for (unsigned i = 1; i <= 30; i++) {
		flow_round(&f);
		assert_near(flow_cwnd(&f), curve(160, was, (i + 1) * 0.1), 1.5);
	}
	wire_discard(f.w);
	wire_close(f.w);
}

/* Section 5.8: time in which there was nothing to send is none in which the window grows; the curve goes on. */
static void
test_pause(void **state)
{
	struct flow f;
	double was, s;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_recover(&f);
	for (unsigned i = 0; i < 10; i++)
		flow_round(&f);
	/* Little by little, for 20 s, and never idle for long. */
	while (f.k.written > (uint64_t)f.acked * MSS) {
		wire_run(f.w, 100);
		flow_look(&f);
		flow_ack(&f);
	}
	was = flow_cwnd(&f);
	for (unsigned i = 0; i < 200; i++) {
		wire_write(&f.k, MSS);
		wire_run(f.w, 100);
		flow_look(&f);
		flow_ack(&f);
	}
	assert_true(flow_cwnd(&f) == was);
	flow_fill(&f);
	flow_look(&f);
	for (unsigned i = 1; i <= 20; i++) {
		s = i * 0.1;
		flow_round(&f);
		assert_near(flow_cwnd(&f), curve(160, was, s), 1.5);
	}
	wire_discard(f.w);
	wire_close(f.w);
}

/* RFC 5681 section 4.1: after a long silence slow start begins again; the curve, whose end no timeout put in doubt, is
 * still there where it ends. */
static void
test_silence(void **state)
{
	struct flow f;
	double was;

	(void)state;
	flow_open(&f, 100);
	flow_start(&f, 160);
	flow_recover(&f);
	while (f.k.written > (uint64_t)f.acked * MSS) {
		wire_run(f.w, 100);
		flow_look(&f);
		flow_ack(&f);
	}
	wire_run(f.w, 2000);
	flow_fill(&f);
	flow_look(&f);
	assert_true(flow_cwnd(&f) == 10);
	while (flow_cwnd(&f) < 112)
		flow_round(&f);
	was = flow_cwnd(&f);
	for (unsigned i = 1; i <= 20; i++) {
		flow_round(&f);
		assert_near(flow_cwnd(&f), curve(160, was, i * 0.1), 2);
	}
	wire_discard(f.w);
	wire_close(f.w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decrease),
		cmocka_unit_test(test_curve),
		cmocka_unit_test(test_slow_start_ends),
		cmocka_unit_test(test_reno_friendly),
		cmocka_unit_test(test_fast_convergence),
		cmocka_unit_test(test_fast_convergence_after_pause),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_undone),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_silence),
	};

	wire_args(argc, argv);
	test_eal("tcp_cubic");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
