/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Peers that say nothing: keepalive (RFC 9293 section 3.8.4), the user timeout (section 3.8.3, RFC 5482), and a
 * closed window behind which nobody is any more (section 3.8.6.1).
 */
#include "util.h"
#include "wire.h"

#define KEEP_MS 20000 /* shorter than the gap of 75 s: it is the gap too */
#define PROBES  9

static struct wire_conf keep = {.service = {.read = true}, .tcp = {.keepalive_ms = KEEP_MS}};

static struct wire *
open_one(struct wire_conf *conf, struct wire_conn *k)
{
	struct wire *w = wire_open(conf);

	wire_conn(w, k);
	wire_accept(k);
	return w;
}

/** Let time pass, and lose what is sent. */
static void
lose(struct wire_conn *k, unsigned ms)
{
	for (; ms > 0 && k->c != NULL; ms -= RTE_MIN(ms, 100u)) {
		wire_run(k->w, 100);
		wire_discard(k->w);
	}
}

/* MUST-25: off unless asked for. */
static void
test_off(void **state)
{
	struct wire_conf off = {.service = {.read = true}};
	struct wire_conn k;
	struct wire *w = open_one(&off, &k);

	(void)state;
	wire_run(w, 100000);
	wire_silent(w);
	wire_close(w);
}

static void
test_probes(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&keep, &k);
	uint64_t start = wire_now_us(w);
	struct wire_seg s;

	(void)state;
	for (unsigned i = 0; i < PROBES; i++) {
		wire_run(w, KEEP_MS);
		s = wire_expect(&k, ACK, 0, 1, 0); /* SND.NXT - 1, no data (SHLD-12) */
		assert_in_range(
			(s.at_us - start) / 1000, KEEP_MS * (i + 1), KEEP_MS * (i + 1) + 10);
		wire_silent(w);
		assert_int_equal(k.hangups, 0); /* MUST-29 */
	}
	wire_run(w, KEEP_MS + 10);
	wire_expect(&k, RST | ACK, 1, 1, 0);
	assert_int_equal(k.hangups, 1);
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	assert_int_equal(wire_stat(w, "keepalive_probes"), PROBES);
	wire_close(w);
}

/* An answer starts it anew; so does a word of either side, before the first probe. */
static void
test_answer(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&keep, &k);

	(void)state;
	for (unsigned i = 0; i < 15; i++) {
		wire_run(w, KEEP_MS + 10);
		wire_expect(&k, ACK, 0, 1, 0);
		wire_run(w, 1000);
		wire_send(&k, ACK, 1, 1, 0);
	}
	wire_silent(w);
	wire_run(w, KEEP_MS - 1000);
	wire_send(&k, ACK, 1, 1, 10);
	wire_run(w, KEEP_MS - 1000);
	wire_expect(&k, ACK, 1, 11, 0);
	wire_silent(w);
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 11, 10);
	wire_send(&k, ACK, 11, 11, 0);
	wire_run(w, KEEP_MS - 1000);
	wire_silent(w);
	wire_run(w, 1010);
	wire_expect(&k, ACK, 10, 11, 0);
	wire_close(w);
}

/* A peer that was started anew answers with RST. */
static void
test_reset(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&keep, &k);

	(void)state;
	wire_run(w, KEEP_MS + 10);
	wire_expect(&k, ACK, 0, 1, 0);
	wire_send(&k, RST, 1, 0, 0);
	assert_int_equal(k.why, CONV_END_RESET);
	wire_close(w);
}

/* MUST-26: with data in flight retransmissions are probes enough. */
static void
test_not_in_flight(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&keep, &k);

	(void)state;
	wire_write(&k, 10);
	lose(&k, 90000);
	assert_int_equal(wire_stat(w, "keepalive_probes"), 0);
	assert_in_range(wire_stat(w, "retransmits"), 5, 10);
	wire_close(w);
}

/* In CLOSE-WAIT and FIN-WAIT-2 the service still wants to know; one that has closed has a limit of its own. */
static void
test_half_closed(void **state)
{
	struct wire_conn k, f;
	struct wire *w = open_one(&keep, &k);

	(void)state;
	wire_send(&k, FIN | ACK, 1, 1, 0);
	wire_expect(&k, ACK, 1, 2, 0);
	wire_conn(w, &f);
	wire_accept(&f);
	wire_shutdown(&f);
	wire_expect(&f, FIN | ACK, 1, 1, 0);
	wire_send(&f, ACK, 1, 2, 0);
	wire_state(&f, "FIN-WAIT-2");
	wire_run(w, KEEP_MS + 10);
	wire_expect(&k, ACK, 0, 2, 0);
	wire_expect(&f, ACK, 1, 1, 0);
	wire_send(&f, ACK, 1, 2, 0);
	wire_do_close(&f);
	lose(&f, 55000);
	wire_state(&f, "FIN-WAIT-2");
	lose(&f, 6000);
	assert_int_equal(f.why, CONV_END_TIMEOUT);
	wire_close(w);
}

/* Active opens too. */
static void
test_active(void **state)
{
	struct wire *w = wire_open(&keep);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_send(&k, SYN | ACK, 0, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_run(w, KEEP_MS + 10);
	wire_expect(&k, ACK, 0, 1, 0);
	wire_close(w);
}

/** How long data that nobody acknowledges is sent again, in s. */
static unsigned
patience(uint32_t timeout_ms)
{
	struct wire_conf conf = {.service = {.read = true}, .tcp = {.user_timeout_ms = timeout_ms}};
	struct wire_conn k;
	struct wire *w = open_one(&conf, &k);
	uint64_t start = wire_now_us(w);

	wire_write(&k, 10);
	lose(&k, 400000);
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	start = (wire_now_us(w) - start) / 1000000;
	wire_close(w);
	return (unsigned)start;
}

/* RFC 9293 section 3.8.3: R2 can be set (MUST-21), and is at least 100 s otherwise (SHLD-11). */
static void
test_user_timeout(void **state)
{
	(void)state;
	assert_in_range(patience(0), 100, 170);
	assert_in_range(patience(5000), 5, 10);
	assert_in_range(patience(200000), 200, 270);
}

/* MUST-37: as long as probes are answered it stays, longer than R2; but not for one that is gone. */
static void
test_persist(void **state)
{
	struct wire_conf conf = {.service = {.read = true}};
	struct wire_conn k;
	struct wire *w = open_one(&conf, &k);

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 500);
	for (unsigned i = 0; i < 3000; i++) {
		wire_run(w, 100);
		if (wire_pending(w) > 0)
			wire_send(&k, ACK, 1, 1, 0);
		wire_discard(w);
	}
	wire_state(&k, "ESTABLISHED");
	lose(&k, 90000);
	wire_state(&k, "ESTABLISHED");
	lose(&k, 700000); /* the pauses are 60 s by now */
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_not_in_flight),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_active),
		cmocka_unit_test(test_user_timeout),
		cmocka_unit_test(test_persist),
	};

	wire_args(argc, argv);
	test_eal("tcp_keep");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
