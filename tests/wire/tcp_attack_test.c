/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What a peer, or somebody who can't see the conversation, must not achieve: RFC 5961, resets, flags, absurd segments.
 */
#include "util.h"
#include "wire.h"

static struct wire_conf reads = {.service = {.read = true}};

static struct wire *
open_one(struct wire_conn *k)
{
	struct wire *w = wire_open(&reads);

	wire_conn(w, k);
	wire_accept(k);
	return w;
}

/* RFC 5961 section 3.2 */
static void
test_rst(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_send(&k, RST, 2, 0, 0); /* in the window: challenged */
	wire_expect(&k, ACK, 1, 1, 0);
	wire_send(&k, RST, 0, 0, 0); /* outside: silent */
	wire_send(&k, RST, 300000, 0, 0);
	wire_silent(w);
	wire_state(&k, "ESTABLISHED");
	assert_int_equal(wire_drops(w, DROP_TCP_RST), 3);
	wire_send(&k, RST, 1, 0, 0); /* exact */
	wire_silent(w);
	wire_state(&k, "");
	assert_int_equal(k.why, CONV_END_RESET);
	assert_int_equal(k.hangups, 1);
	wire_close(w);
}

/* RFC 5961 section 4.2 */
static void
test_syn(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_send(&k, SYN, 1, 0, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_send(&k, SYN | ACK, 1, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_state(&k, "ESTABLISHED");
	assert_int_equal(wire_drops(w, DROP_TCP_SYN), 2);
	wire_close(w);
}

/* RFC 5961 section 5.2 */
static void
test_ack(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_write(&k, 100);
	wire_expect(&k, ACK, 1, 1, 100);
	wire_send(&k, ACK, 1, 102, 10); /* never sent */
	wire_expect(&k, ACK, 101, 1, 0);
	wire_send(&k, ACK, 1, 1 - 70000u, 10); /* too old */
	wire_expect(&k, ACK, 101, 1, 0);
	assert_int_equal(k.read, 0);
	assert_int_equal(wire_drops(w, DROP_TCP_ACK), 2);
	wire_send(&k, ACK, 1, 1, 10); /* old enough to be true */
	assert_int_equal(k.read, 10);
	wire_discard(w);
	wire_close(w);
}

/* RFC 5961 section 7, and nobody else's budget (CVE-2016-5696) */
static void
test_challenges_are_limited(void **state)
{
	struct wire_conn k, other;
	struct wire *w = open_one(&k);

	(void)state;
	wire_conn(w, &other);
	wire_accept(&other);
	for (unsigned i = 0; i < 1000; i++)
		wire_send(&k, RST, 2, 0, 0);
	assert_int_equal(wire_pending(w), 10);
	assert_int_equal(wire_stat(w, "challenges_limited"), 990);
	wire_discard(w);
	wire_send(&other, RST, 2, 0, 0);
	wire_expect(&other, ACK, 1, 1, 0);
	/* It fills up again. */
	wire_run(w, 1000);
	for (unsigned i = 0; i < 1000; i++)
		wire_send(&k, RST, 2, 0, 0);
	assert_int_equal(wire_pending(w), 5);
	wire_discard(w);
	wire_close(w);
}

static void
test_flags(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_send(&k, 0, 1, 0, 10); /* no ACK */
	wire_send(&k, FIN, 1, 0, 0);
	wire_send(&k, FIN | PSH | URG, 1, 0, 5); /* a Christmas tree without SYN */
	wire_silent(w);
	assert_int_equal(wire_drops(w, DROP_TCP_FLAGS), 3);
	assert_int_equal(k.read, 0);
	wire_state(&k, "ESTABLISHED");
	wire_send(&k, FIN | SYN | RST | PSH | ACK | URG, 5, 1, 5);
	wire_state(&k, "ESTABLISHED");
	wire_discard(w);
	wire_close(w);
}

/* SYN with FIN, data, or all that there is: RFC 9293 section 3.10.7.2 takes the SYN. */
static void
test_odd_syns(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k[3];
	static const uint8_t flags[] = {SYN | FIN, SYN | PSH | URG, SYN | FIN | PSH | URG};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		wire_conn(w, &k[i]);
		wire_send(&k[i], flags[i], 0, 0, i * 10);
		wire_expect(&k[i], SYN | ACK, 0, 1, 0);
		wire_state(&k[i], "SYN-RECEIVED");
	}
	wire_close(w);
}

/* RFC 5927: an error about a number that is not in flight, and a hard one about one that is. */
static void
test_icmp(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_write(&k, 100);
	wire_discard(w);
	wire_icmp(&k, WIRE_NO_PORT, 0, 1);
	wire_state(&k, "ESTABLISHED");
	assert_int_equal(wire_stat(w, "soft_errors"), 1);
	wire_icmp(&k, WIRE_TOO_BIG, 1300, 500000);
	assert_int_equal(wire_drops(w, DROP_ICMP_NO_CONV), 1);
	wire_icmp(&k, WIRE_TOO_BIG, 68, 1); /* the floor holds */
	assert_true(wire_status(&k).mss >= 512);
	wire_discard(w);
	wire_close(w);
}

/* RFC 9293 section 3.9.1.8 (MUST-47): the service hears of soft errors, and may have had enough of it; or not want to hear (SHLD-20). */
static void
test_soft_errors_are_told(void **state)
{
	struct wire_conf deaf = reads;
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_write(&k, 100);
	wire_discard(w);
	wire_icmp(&k, WIRE_NO_HOST, 0, 500000); /* nothing of ours */
	assert_int_equal(k.troubles, 0);
	wire_icmp(&k, WIRE_NO_HOST, 0, 1);
	assert_int_equal(k.troubles, 1);
	assert_int_equal(k.trouble, CONV_TROUBLE_ICMP);
	assert_int_equal(k.detail, wire_v6() ? 1 << 8 | 3 : 3 << 8 | 1);
	wire_state(&k, "ESTABLISHED");
	k.hangup_in_trouble = true;
	wire_icmp(&k, WIRE_NO_PORT, 0, 1);
	assert_int_equal(k.troubles, 2);
	assert_int_equal(k.hangups, 1);
	wire_expect(&k, RST | ACK, WIRE_ANY, WIRE_ANY, 0);
	wire_state(&k, "");
	wire_close(w);
	deaf.service.no_trouble = true;
	w = wire_open(&deaf);
	wire_conn(w, &k);
	wire_accept(&k);
	wire_write(&k, 100);
	wire_discard(w);
	wire_icmp(&k, WIRE_NO_HOST, 0, 1);
	assert_int_equal(wire_stat(w, "soft_errors"), 1);
	wire_state(&k, "ESTABLISHED");
	wire_close(w);
}

/* A half-open call ends with a hard error about its SYN-ACK only. */
static void
test_icmp_half_open(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_send(&k, SYN, 0, 0, 0);
	wire_expect(&k, SYN | ACK, 0, 1, 0);
	wire_icmp(&k, WIRE_NO_PORT, 0, 1);
	wire_state(&k, "SYN-RECEIVED");
	wire_icmp(&k, WIRE_NO_PORT, 0, 0);
	wire_state(&k, "");
	wire_close(w);
}

/* Whatever comes, it is counted once, and the conversation goes on. */
static void
test_noise(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);
	uint64_t x = 88172645463325252u;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k.wnd = (uint16_t)(x >> 48);
		k.ts_val = (x & 0x300) == 0 ? (uint32_t)(x >> 20) : 0;
		k.nsack = (unsigned)(x >> 10) % 3;
		for (unsigned b = 0; b < k.nsack; b++) {
			k.sack[b][0] = (uint32_t)(x >> 30) % 3000;
			k.sack[b][1] = k.sack[b][0] + (uint32_t)(x >> 33) % 500;
		}
		/* Neither an exact RST nor a FIN: those end it rightly. */
		wire_send(&k, (uint8_t)(x >> 40) & (SYN | PSH | ACK | URG),
			1 + (uint32_t)(x >> 3) % 400000, (uint32_t)(x >> 5) % 200,
			(uint32_t)(x >> 8) % 1400);
		wire_discard(w);
		if (i % 1000 == 0)
			wire_write(&k, 3);
		if (k.c == NULL)
			break;
	}
	assert_non_null(k.c);
	wire_state(&k, "ESTABLISHED");
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rst),
		cmocka_unit_test(test_syn),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_challenges_are_limited),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_odd_syns),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_soft_errors_are_told),
		cmocka_unit_test(test_icmp_half_open),
		cmocka_unit_test(test_noise),
	};

	wire_args(argc, argv);
	test_eal("tcp_attack");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
