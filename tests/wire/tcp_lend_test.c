/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Segments that go out in the send queue's own buffer, over a port that lets go of it at once, late, or after the conversation.
 * What the port has never changes (wire_hold).
 */
#include "segments.h"
#include "util.h"

#define HLEN (wire_v6() ? 72u : 52u) /* IP, TCP, timestamps */

static struct wire_conf reads = {.service = {.read = true}},
			echoes = {.service = {.read = true, .echo = true}};

/** Let time pass until the retransmission timer has fired once more. */
static void
run_rto(struct wire *w)
{
	uint64_t fired = wire_stat(w, "rto_fired");

	for (unsigned t = 0; t < 5000 && wire_stat(w, "rto_fired") == fired; t++)
		wire_run(w, 1);
	assert_int_equal(wire_stat(w, "rto_fired"), fired + 1);
}

/* Neither for what is written nor for what is echoed is there need for a second buffer. */
static void
test_no_other_buffer(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&echoes, &k);

	(void)state;
	test_starve(wire_worker(w, 0)->mp_small);
	wire_send(&k, ACK, 1, 1, 1000);
	wire_expect(&k, ACK, 1, 1001, 1000);
	run_rto(w); /* the port is done with it */
	wire_expect(&k, ACK, 1, 1001, 1000);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_close(w);
	w = wire_open_one(&reads, &k);
	test_starve(wire_worker(w, 0)->mp_small);
	wire_write(&k, MSS);
	wire_expect(&k, ACK, 1, 1, MSS);
	run_rto(w);
	wire_expect(&k, ACK, 1, 1, MSS);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_close(w);
}

/* Sent again while the port has it: short, and long. The third time it has come back. */
static void
again_while_held(uint32_t len)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	wire_hold(w, true);
	wire_write(&k, len);
	wire_expect(&k, ACK, 1, 1, len);
	run_rto(w);
	wire_expect(&k, ACK, 1, 1, len);
	wire_hold(w, false);
	test_starve(wire_worker(w, 0)->mp_small);
	run_rto(w);
	wire_expect(&k, ACK, 1, 1, len);
	test_feed(wire_worker(w, 0)->mp_small);
	wire_send(&k, ACK, 1, 1 + len, 0);
	wire_silent(w);
	wire_close(w);
}

static void
test_again_while_held(void **state)
{
	(void)state;
	again_while_held(100);
	again_while_held(MSS);
}

/* No buffer for the header of what is sent again, and then none for its payload. */
static void
test_held_and_no_buffer(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	wire_hold(w, true);
	wire_write(&k, MSS);
	wire_expect(&k, ACK, 1, 1, MSS);
	for (unsigned left = 0; left < 2; left++) {
		test_starve_but(wire_worker(w, 0)->mp_small, left);
		run_rto(w);
		wire_silent(w);
		test_feed(wire_worker(w, 0)->mp_small);
	}
	assert_true(wire_stat(w, "no_mbuf") > 0);
	wire_run(w, 3000);
	wire_expect(&k, ACK, 1, 1, MSS);
	wire_discard(w);
	wire_close(w);
}

/* The peer has taken in a part, before and after the port has let go. */
static void
partial_ack(bool held)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	wire_hold(w, true);
	wire_write(&k, 1000);
	wire_expect(&k, ACK, 1, 1, 1000);
	wire_hold(w, held);
	wire_send(&k, ACK, 1, 401, 0);
	wire_send(&k, ACK, 1, 501, 0);
	run_rto(w);
	wire_expect(&k, ACK, 501, 1, 500);
	wire_hold(w, false);
	wire_send(&k, ACK, 1, 601, 0);
	run_rto(w);
	wire_expect(&k, ACK, 601, 1, 400);
	wire_close(w);
}

static void
test_partial_ack(void **state)
{
	(void)state;
	partial_ack(true);
	partial_ack(false);
}

/* The path turns out to be narrower: what the port has is cut in two all the same. */
static void
too_big(bool held)
{
	const uint32_t fits = 1400 - HLEN;
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	wire_hold(w, true);
	wire_write(&k, MSS);
	wire_expect(&k, ACK, 1, 1, MSS);
	wire_hold(w, held);
	wire_icmp(&k, WIRE_TOO_BIG, 1400, 1);
	wire_expect(&k, ACK, 1, 1, fits);
	wire_expect(&k, ACK, 1 + fits, 1, MSS - fits);
	wire_send(&k, ACK, 1, 101, 0);
	run_rto(w);
	wire_expect(&k, ACK, 101, 1, fits - 100);
	wire_discard(w);
	wire_close(w);
}

static void
test_too_big(void **state)
{
	(void)state;
	too_big(true);
	too_big(false);
}

/** The window is closed to what is written, and the port keeps the probe of it. */
static void
probed(struct wire_conn *k, uint32_t len)
{
	wire_hold(k->w, true);
	k->wnd = 0;
	wire_send(k, ACK, 1, 1, 0);
	wire_write(k, len);
	for (unsigned t = 0; t < 5000 && wire_pending(k->w) == 0; t++)
		wire_run(k->w, 1);
	wire_expect(k, ACK, 1, 1, 1);
}

/* A persist probe is one byte of an element; then all of it goes. */
static void
test_probe(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	probed(&k, 1000);
	k.wnd = 0xffff;
	wire_send(&k, ACK, 1, 2, 0);
	wire_expect(&k, ACK, 2, 1, 999);
	wire_close(w);
}

/* A persist probe that is all there is of its element, which is not sent for all that: more is written behind it. */
static void
probe_of_one(bool held)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	probed(&k, 1);
	wire_hold(w, held);
	wire_write(&k, 100);
	wire_write(&k, 1000);
	wire_silent(w);
	k.wnd = 0xffff;
	wire_send(&k, ACK, 1, 1, 0);
	if (held) {
		wire_expect(&k, ACK, 1, 1, 1);
		wire_expect(&k, WIRE_ANY, 2, 1, 1100);
	} else {
		wire_expect(&k, WIRE_ANY, 1, 1, 1101);
	}
	wire_silent(w);
	wire_close(w);
}

static void
test_probe_of_one(void **state)
{
	(void)state;
	probe_of_one(true);
	probe_of_one(false);
}

/* The port has it longer than the conversation lives. */
static void
test_hangup_while_held(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&reads, &k);

	(void)state;
	wire_hold(w, true);
	wire_write(&k, 3 * MSS);
	expect_segments(&k, 0, 3);
	wire_send(&k, RST, 1, 1, 0);
	assert_int_equal(k.hangups, 1);
	wire_silent(w);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_other_buffer),
		cmocka_unit_test(test_again_while_held),
		cmocka_unit_test(test_held_and_no_buffer),
		cmocka_unit_test(test_partial_ack),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_probe_of_one),
		cmocka_unit_test(test_hangup_while_held),
	};

	wire_args(argc, argv);
	test_eal("tcp_lend");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
