/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Closing: every order, half-close, unread data, TIME-WAIT and what it lets in, FIN-WAIT-2's limit.
 */
#include "util.h"
#include "wire.h"

static struct wire_conf plain = {
	.service = {.read = true}, .tcp = {.time_wait_ms = 2000, .fin_wait_2_ms = 3000}};
static struct wire_conf closing = {.service = {.read = true, .close_on_fin = true},
	.tcp = {.time_wait_ms = 2000, .fin_wait_2_ms = 3000}};
static struct wire_conf deaf = {.tcp = {.time_wait_ms = 2000, .fin_wait_2_ms = 3000}};

/* Figure 12: the peer closes first. */
static void
test_passive_close(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_send(&k, FIN | ACK, 1, 1, 0);
	wire_expect(&k, ACK, 1, 2, 0);
	wire_state(&k, "CLOSE-WAIT");
	assert_int_equal(k.shutdowns, 1);
	/* Half-closed: we may go on. */
	wire_write(&k, 50);
	wire_expect(&k, ACK, 1, 2, 50);
	wire_send(&k, ACK, 2, 51, 0);
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 51, 2, 0);
	wire_state(&k, "LAST-ACK");
	wire_send(&k, ACK, 2, 52, 0);
	assert_int_equal(k.hangups, 1);
	assert_int_equal(k.why, CONV_END_CLOSED);
	wire_state(&k, "");
	wire_silent(w);
	assert_int_equal(wire_stat(w, "state_listen_syn_received"), 1);
	assert_int_equal(wire_stat(w, "state_syn_received_established"), 1);
	assert_int_equal(wire_stat(w, "state_established_close_wait"), 1);
	assert_int_equal(wire_stat(w, "state_close_wait_last_ack"), 1);
	assert_int_equal(wire_stat(w, "state_last_ack_closed"), 1);
	wire_close(w);
}

/* Figure 12: we close first; TIME-WAIT answers the FIN that comes again. */
static void
test_active_close(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_state(&k, "FIN-WAIT-1");
	wire_send(&k, ACK, 1, 2, 0);
	wire_state(&k, "FIN-WAIT-2");
	wire_send(&k, FIN | ACK, 1, 2, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_state(&k, "TIME-WAIT");
	assert_int_equal(k.hangups, 1);
	assert_int_equal(k.why, CONV_END_CLOSED);
	wire_run(w, 1500);
	wire_send(&k, FIN | ACK, 1, 2, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_run(w, 1500); /* 2 MSL began anew */
	wire_state(&k, "TIME-WAIT");
	wire_run(w, 600);
	wire_state(&k, "");
	wire_silent(w);
	assert_int_equal(wire_stat(w, "state_established_fin_wait_1"), 1);
	assert_int_equal(wire_stat(w, "state_fin_wait_1_fin_wait_2"), 1);
	assert_int_equal(wire_stat(w, "state_fin_wait_2_time_wait"), 1);
	assert_int_equal(wire_stat(w, "state_time_wait_closed"), 1);
	wire_close(w);
}

static void
test_fin_with_ack_of_fin(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_send(&k, FIN | ACK, 1, 2, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_state(&k, "TIME-WAIT");
	wire_close(w);
}

/* Figure 13. */
static void
test_simultaneous_close(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_send(&k, FIN | ACK, 1, 1, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_state(&k, "CLOSING");
	wire_send(&k, ACK, 2, 2, 0);
	wire_state(&k, "TIME-WAIT");
	wire_silent(w);
	assert_int_equal(wire_stat(w, "state_fin_wait_1_closing"), 1);
	assert_int_equal(wire_stat(w, "state_closing_time_wait"), 1);
	wire_close(w);
}

static void
test_half_close(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&closing, &k);

	(void)state;
	wire_write(&k, 100);
	wire_shutdown(&k);
	wire_expect(&k, ACK, 1, 1, 100);
	wire_expect(&k, FIN | ACK, 101, 1, 0);
	wire_send(&k, ACK, 1, 102, 0);
	wire_state(&k, "FIN-WAIT-2");
	/* Ours is shut, theirs is not: no limit of time, and data is taken. */
	wire_run(w, 5000);
	wire_send(&k, ACK, 1, 102, 1000);
	wire_send(&k, ACK | FIN, 1001, 102, 500);
	wire_expect(&k, ACK, 102, 1502, 0);
	assert_int_equal(k.read, 1500);
	assert_int_equal(k.shutdowns, 1);
	wire_state(&k, "TIME-WAIT");
	wire_close(w);
}

static void
test_fin_with_data(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&closing, &k);

	(void)state;
	wire_send(&k, FIN | ACK | PSH, 1, 1, 10);
	wire_expect(&k, FIN | ACK, 1, 12, 0);
	assert_int_equal(k.read, 10);
	wire_send(&k, ACK, 12, 2, 0);
	wire_state(&k, "");
	wire_close(w);
}

static void
test_fin_carries_last_data(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 100);
	wire_do_close(&k);
	wire_silent(w);
	k.wnd = 1000;
	wire_send(&k, ACK, 1, 1, 0);
	wire_expect(&k, FIN | ACK, 1, 1, 100);
	wire_close(w);
}

static void
test_fin_out_of_order(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&closing, &k);

	(void)state;
	wire_send(&k, FIN | ACK, 101, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_state(&k, "ESTABLISHED");
	wire_send(&k, ACK, 1, 1, 100);
	wire_expect(&k, FIN | ACK, 1, 102, 0);
	assert_int_equal(k.read, 100);
	wire_close(w);
}

static void
test_fin_is_sent_again(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);
	struct wire_seg s;
	uint64_t first;

	(void)state;
	first = wire_now_us(w);
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_run(w, 700);
	s = wire_expect(&k, FIN | ACK, 1, 1, 0);
	assert_in_range((s.at_us - first) / 1000, 199, 203);
	s = wire_expect(&k, FIN | ACK, 1, 1, 0);
	assert_in_range((s.at_us - first) / 1000, 599, 606);
	wire_silent(w);
	wire_close(w);
}

/* RFC 2525 section 2.17 */
static void
test_close_with_unread_data(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&deaf, &k);

	(void)state;
	wire_send(&k, ACK, 1, 1, 100);
	wire_discard(w);
	wire_do_close(&k);
	wire_expect(&k, RST | ACK, 1, 101, 0);
	assert_int_equal(k.hangups, 1);
	wire_state(&k, "");
	wire_close(w);
}

static void
test_data_after_close(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_send(&k, ACK, 1, 2, 0);
	wire_send(&k, ACK, 1, 2, 100);
	wire_expect(&k, RST | ACK, 2, WIRE_ANY, 0);
	assert_int_equal(k.hangups, 1);
	assert_int_equal(wire_drops(w, DROP_TCP_CLOSED), 1);
	wire_state(&k, "");
	wire_close(w);
}

static void
test_data_after_fin_is_ignored(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_send(&k, FIN | ACK, 1, 1, 0);
	wire_expect(&k, ACK, 1, 2, 0);
	wire_send(&k, ACK, 2, 1, 10);
	wire_expect(&k, ACK, 1, 2, 0);
	assert_int_equal(k.read, 0);
	assert_int_equal(wire_drops(w, DROP_TCP_CLOSED), 1);
	wire_close(w);
}

static void
test_service_without_shutdown(void **state)
{
	struct wire_conf conf = {.service = {.read = true, .no_shutdown = true}};
	struct wire_conn k;
	struct wire *w = wire_open_one(&conf, &k);

	(void)state;
	wire_send(&k, FIN | ACK, 1, 1, 10);
	wire_expect(&k, FIN | ACK, 1, 12, 0);
	wire_close(w);
}

static void
test_fin_wait_2_limit(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_send(&k, ACK, 1, 2, 0);
	wire_run(w, 2900);
	wire_state(&k, "FIN-WAIT-2");
	wire_run(w, 200);
	wire_state(&k, "");
	assert_int_equal(k.why, CONV_END_TIMEOUT);
	wire_discard(w);
	wire_close(w);
}

/* A minute each, if nothing else is configured. */
static void
test_default_waits(void **state)
{
	static const struct wire_conf conf = {.service = {.read = true}};
	struct wire_conn k, waits;
	struct wire *w = wire_open_one(&conf, &k);

	(void)state;
	wire_conn(w, &waits);
	wire_accept(&waits);
	wire_discard(w);
	wire_do_close(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_send(&k, FIN | ACK, 1, 2, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_do_close(&waits);
	wire_expect(&waits, FIN | ACK, 1, 1, 0);
	wire_send(&waits, ACK, 1, 2, 0);
	wire_run(w, 59900);
	wire_state(&k, "TIME-WAIT");
	wire_state(&waits, "FIN-WAIT-2");
	wire_run(w, 200);
	wire_state(&k, "");
	wire_state(&waits, "");
	wire_discard(w);
	wire_close(w);
}

static void
test_hangup(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_hangup(&k);
	wire_expect(&k, RST | ACK, 11, 1, 0);
	assert_int_equal(k.hangups, 1);
	assert_int_equal(k.why, CONV_END_HANGUP);
	wire_state(&k, "");
	wire_send(&k, ACK, 1, 11, 0);
	wire_expect(&k, RST, 11, WIRE_ANY, 0);
	wire_close(w);
}

/* What was received before the end is read before the end, however slow the service is. */
static void
test_time_wait_waits_for_reader(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&deaf, &k);

	(void)state;
	wire_shutdown(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_send(&k, ACK | FIN, 1, 2, 300);
	wire_expect(&k, ACK, 2, 302, 0);
	assert_int_equal(k.hangups, 0);
	wire_run(w, 3000);
	assert_int_equal(k.hangups, 0);
	wire_read(&k);
	assert_int_equal(k.read, 300);
	assert_int_equal(k.hangups, 1);
	assert_int_equal(k.why, CONV_END_CLOSED);
	wire_close(w);
}

/* LAST-ACK, too, leaves what was received to be read; a late RST (RFC 1337) does not take it away. */
static void
test_last_ack_waits_for_reader(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&deaf, &k);

	(void)state;
	wire_send(&k, ACK | FIN, 1, 1, 300);
	wire_expect(&k, ACK, 1, 302, 0);
	wire_shutdown(&k);
	wire_expect(&k, FIN | ACK, 1, 302, 0);
	wire_state(&k, "LAST-ACK");
	wire_send(&k, ACK, 302, 2, 0);
	assert_int_equal(k.hangups, 0);
	wire_send(&k, RST, 302, 0, 0);
	wire_run(w, 100000);
	assert_int_equal(k.hangups, 0);
	wire_read(&k);
	assert_int_equal(k.read, 300);
	assert_int_equal(k.hangups, 1);
	assert_int_equal(k.why, CONV_END_CLOSED);
	wire_state(&k, "");
	wire_silent(w);
	wire_close(w);
}

static void
go_time_wait(struct wire_conn *k)
{
	wire_do_close(k);
	wire_expect(k, FIN | ACK, 1, 1, 0);
	wire_send(k, FIN | ACK, 1, 2, 0);
	wire_expect(k, ACK, 2, 2, 0);
	wire_state(k, "TIME-WAIT");
}

/* RFC 6191: a later timestamp reopens, whatever the sequence number; ours is above the old one. */
static void
test_time_wait_reuse_by_timestamp(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);
	uint32_t old_iss = k.iss;
	struct wire_seg s;

	(void)state;
	go_time_wait(&k);
	wire_run(w, 10);
	k.isn -= 5000;
	k.iss_known = false;
	k.accepted = 0;
	wire_send(&k, SYN, 0, 0, 0);
	s = wire_expect(&k, SYN | ACK, 0, 1, 0);
	assert_true((int32_t)(s.raw_seq - (old_iss + 2)) > 0);
	wire_send(&k, ACK, 1, 1, 20);
	assert_int_equal(k.accepted, 1);
	assert_int_equal(k.read, 20);
	assert_int_equal(wire_stat(w, "time_wait_reused"), 1);
	k.hangups = 0;
	wire_discard(w);
	assert_int_equal(wire_stat(w, "state_time_wait_syn_received"), 1);
	wire_close(w);
}

static void
test_time_wait_reuse_by_sequence(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	k.ts = false;
	wire_accept(&k);
	go_time_wait(&k);
	/* An old SYN gets an ACK, a new one an answer. */
	wire_send(&k, SYN, (uint32_t)-10, 0, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_state(&k, "TIME-WAIT");
	k.isn += 10;
	k.iss_known = false;
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_close(w);
}

/* RFC 6191 section 2: a SYN without a timestamp is judged by its sequence number, though the old call had timestamps. */
static void
test_time_wait_reuse_without_timestamp(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	go_time_wait(&k);
	k.ts = false;
	wire_send(&k, SYN, (uint32_t)-10, 0, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_state(&k, "TIME-WAIT");
	k.isn += 10;
	k.iss_known = false;
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_close(w);
}

/* RFC 6191 section 2: timestamps are new with this call, so they protect it, and the sequence number may be any. */
static void
test_time_wait_reuse_by_first_timestamp(void **state)
{
	struct wire *w = wire_open(&plain);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	k.ts = false;
	wire_accept(&k);
	go_time_wait(&k);
	k.isn -= 5000;
	k.iss_known = false;
	k.ts = true;
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_close(w);
}

static void
test_time_wait_old_timestamp(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	go_time_wait(&k);
	k.ts_val = 5;
	wire_send(&k, SYN, 1000, 0, 0);
	wire_expect(&k, ACK, 2, 2, 0);
	wire_state(&k, "TIME-WAIT");
	wire_close(w);
}

/* RFC 1337 */
static void
test_time_wait_ignores(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	go_time_wait(&k);
	wire_send(&k, RST, 2, 0, 0);
	wire_send(&k, ACK, 2, 2, 0);
	wire_silent(w);
	wire_state(&k, "TIME-WAIT");
	/* ACKs to garbage are limited. */
	for (unsigned i = 0; i < 100; i++)
		wire_send(&k, ACK, 2, 2, 10);
	assert_in_range(wire_pending(w), 1, 11);
	wire_discard(w);
	wire_close(w);
}

static void
test_time_wait_full(void **state)
{
	struct wire_conf conf = {.time_wait = 1, .service = {.read = true}};
	struct wire *w = wire_open(&conf);
	struct wire_conn k[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		wire_conn(w, &k[i]);
		wire_accept(&k[i]);
	}
	go_time_wait(&k[0]);
	wire_do_close(&k[1]);
	wire_expect(&k[1], FIN | ACK, 1, 1, 0);
	wire_send(&k[1], FIN | ACK, 1, 2, 0);
	wire_expect(&k[1], ACK, 2, 2, 0);
	wire_state(&k[1], "");
	assert_int_equal(k[1].why, CONV_END_CLOSED);
	assert_int_equal(wire_stat(w, "time_wait_full"), 1);
	wire_close(w);
}

static void
test_write_after_shutdown(void **state)
{
	struct wire_conn k;
	struct wire *w = wire_open_one(&plain, &k);

	(void)state;
	wire_shutdown(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	assert_int_equal(tcp_proto.write_room(k.c), 0);
	wire_write(&k, 10);
	assert_int_equal(k.result, -32); /* EPIPE */
	wire_silent(w);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passive_close),
		cmocka_unit_test(test_active_close),
		cmocka_unit_test(test_fin_with_ack_of_fin),
		cmocka_unit_test(test_simultaneous_close),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_fin_with_data),
		cmocka_unit_test(test_fin_carries_last_data),
		cmocka_unit_test(test_fin_out_of_order),
		cmocka_unit_test(test_fin_is_sent_again),
		cmocka_unit_test(test_close_with_unread_data),
		cmocka_unit_test(test_data_after_close),
		cmocka_unit_test(test_data_after_fin_is_ignored),
		cmocka_unit_test(test_service_without_shutdown),
		cmocka_unit_test(test_fin_wait_2_limit),
		cmocka_unit_test(test_default_waits),
		cmocka_unit_test(test_hangup),
		cmocka_unit_test(test_time_wait_waits_for_reader),
		cmocka_unit_test(test_last_ack_waits_for_reader),
		cmocka_unit_test(test_time_wait_reuse_by_timestamp),
		cmocka_unit_test(test_time_wait_reuse_by_sequence),
		cmocka_unit_test(test_time_wait_reuse_without_timestamp),
		cmocka_unit_test(test_time_wait_reuse_by_first_timestamp),
		cmocka_unit_test(test_time_wait_old_timestamp),
		cmocka_unit_test(test_time_wait_ignores),
		cmocka_unit_test(test_time_wait_full),
		cmocka_unit_test(test_write_after_shutdown),
	};

	wire_args(argc, argv);
	test_eal("tcp_close");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
