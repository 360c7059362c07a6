/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * echo, discard, chargen (RFC 862-864).
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conv_priv.h"
#include "services.h"
#include "svc_fake.h"

/* ---- echo ---- */

static void
test_echo(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	svc_fake_open(IPPROTO_TCP, &svc_echo, NULL);
	m = svc_fake_in("hello", 5, 0, true);
	assert_ptr_equal(svc_fake.last_write, m); /* no copy */
	svc_fake_in(" world", 6, 3, true);
	assert_int_equal(svc_fake.nout, 11);
	assert_memory_equal(svc_fake.out, "hello world", 11);
	svc_fake_close();
}

static void
test_echo_reads_only_what_it_can_write(void **state)
{
	(void)state;
	svc_fake_open(IPPROTO_TCP, &svc_echo, NULL);
	svc_fake.room = 3;
	svc_fake_in("aaaa", 4, 0, false);
	svc_fake_in("bbbb", 4, 0, true);
	assert_int_equal(svc_fake.nout, 4);
	assert_int_equal(svc_fake.in_bytes, 4);
	/* The peer ends; all that it sent goes back before we do. */
	svc_fake_fin();
	assert_false(svc_fake.closed);
	svc_fake_room(100);
	assert_memory_equal(svc_fake.out, "aaaabbbb", 8);
	assert_true(svc_fake.closed);
	svc_fake_close();
}

static void
test_echo_ends(void **state)
{
	(void)state;
	svc_fake_open(IPPROTO_TCP, &svc_echo, NULL);
	svc_fake_in("last", 4, 0, false);
	svc_fake_fin();
	assert_int_equal(svc_fake.nout, 4);
	assert_true(svc_fake.closed);
	svc_fake_close();
}

/* ---- discard ---- */

static void
test_discard(void **state)
{
	(void)state;
	svc_fake_open(IPPROTO_TCP, &svc_discard, NULL);
	for (unsigned i = 0; i < 10; i++)
		svc_fake_in("gone", 4, 2, true);
	assert_int_equal(svc_fake.in_bytes, 0);
	assert_int_equal(svc_fake.writes, 0);
	assert_false(svc_fake.closed);
	svc_fake_in("and this", 8, 0, false);
	svc_fake_fin();
	assert_int_equal(svc_fake.in_bytes, 0);
	assert_true(svc_fake.closed);
	svc_fake_close();
}

/* ---- chargen ---- */

/** RFC 864, word by word: the characters in a ring, line n has those from n to n + 71. */
static size_t
rfc864(char *to, size_t lines)
{
	char ring[95];
	size_t n = 0;

	for (int i = 0; i < 95; i++)
		ring[i] = (char)(0x20 + i);
	for (size_t line = 0; line < lines; line++) {
		for (size_t i = 0; i < 72; i++)
			to[n++] = ring[(line + i) % 95];
		to[n++] = 13;
		to[n++] = 10;
	}
	return n;
}

static char pattern[800000];

static void
test_chargen_stream(void **state)
{
	size_t n = rfc864(pattern, 10000), at = 0;
	static const uint32_t rooms[] = {1, 2, 71, 72, 73, 74, 75, 1000, 7029, 7030, 7031, 30000};

	(void)state;
	svc_fake_open(IPPROTO_TCP, &svc_chargen, NULL);
	/* At accept, as much as there is room for. */
	assert_int_equal(svc_fake.room, 0);
	for (unsigned i = 0; svc_fake.nout + SVC_FAKE_OUT / 2 < SVC_FAKE_OUT; i++)
		svc_fake_room(rooms[i % RTE_DIM(rooms)]);
	for (; at + n <= svc_fake.nout; at += 95 * 74)
		assert_memory_equal(svc_fake.out + at, pattern, 95 * 74);
	assert_memory_equal(svc_fake.out, pattern, RTE_MIN(n, svc_fake.nout));
	assert_memory_equal(pattern,
		" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n!\"#",
		77);
	svc_fake_close();
}

static void
test_chargen_goes_on(void **state)
{
	size_t before;

	(void)state;
	svc_fake_open(IPPROTO_TCP, &svc_chargen, NULL);
	svc_fake.nout = 0;
	/* What comes is thrown away, and a peer that sends no more still listens. */
	svc_fake_in("quiet", 5, 0, true);
	assert_int_equal(svc_fake.in_bytes, 0);
	svc_fake_fin();
	assert_false(svc_fake.closed);
	svc_fake_room(4 * SVC_FAKE_PIECE - 1);
	assert_int_equal(svc_fake.nout, 4 * SVC_FAKE_PIECE);
	/* Without buffers it tries again, and goes on where it was. */
	test_starve(svc_net.net.mp);
	svc_fake_room(4 * SVC_FAKE_PIECE - 1);
	assert_int_equal(svc_fake.nout, 4 * SVC_FAKE_PIECE);
	assert_true(svc_fake_kicked());
	test_feed(svc_net.net.mp);
	before = svc_fake.nout;
	assert_true(svc_fake_kicked());
	assert_int_equal(svc_fake.nout, before + 4 * SVC_FAKE_PIECE);
	assert_false(svc_fake_kicked());
	rfc864(pattern, 10000);
	assert_non_null(memmem(pattern, 700000, svc_fake.out, 10000));
	svc_fake_close();
}

/** One datagram for each, of 0 to 512 characters. */
static void
test_chargen_datagrams(void **state)
{
	size_t least = SIZE_MAX, most = 0;

	(void)state;
	rfc864(pattern, 10);
	svc_fake_open(IPPROTO_UDP, &svc_chargen, NULL);
	assert_int_equal(svc_fake.writes, 0);
	for (unsigned i = 0; i < 5000; i++) {
		svc_fake.nout = 0;
		svc_fake_in("?", 1, 0, true);
		assert_int_equal(svc_fake.writes, i + 1);
		assert_memory_equal(svc_fake.out, pattern, svc_fake.nout);
		least = RTE_MIN(least, svc_fake.nout);
		most = RTE_MAX(most, svc_fake.nout);
		svc_fake.room = 1000;
	}
	assert_true(least < 5 && most <= 512 && most > 507);
	svc_fake_close();
}

/* ---- all three over real UDP: with a conversation per peer, and with one for all ---- */

static void
udp_round(bool one, bool v6)
{
	static struct test_frame f;
	static uint8_t b[TEST_FRAME_MAX];
	const struct service *const all[] = {&svc_echo, &svc_discard, &svc_chargen};
	struct test_addr from = test_addr(v6 ? "fd77::9" : "10.77.0.9");
	struct test_addr to = test_addr(v6 ? "fd77::2" : "10.77.0.2");
	size_t at = v6 ? 62 : 42;

	rfc864(pattern, 10);
	for (uint16_t i = 0; i < 3; i++)
		conv_net_listen(&svc_net, (uint16_t)(7000 + i), all[i], one);
	for (uint16_t i = 0; i < 3; i++) {
		test_frame_udp(&f, from, to, 4000, (uint16_t)(7000 + i), "datagram", 8);
		conv_net_in(&svc_net, i, &f);
		if (i == 1) {
			assert_int_equal(test_net_discard(&svc_net.net), 0);
			continue;
		}
		size_t n = test_expect_sent(&svc_net.net, b);
		size_t len = (size_t)(b[at - 4] << 8 | b[at - 3]) - 8;

		assert_true(n >= at + len);
		if (i == 0)
			assert_int_equal(len, 8);
		assert_memory_equal(b + at, i == 0 ? "datagram" : pattern, len);
	}
	assert_int_equal(conv_live(svc_net.ct, NODE_CONV), one ? 0 : 3);
	assert_int_equal(conv_net_delivered(&svc_net), 3);
}

static void
test_over_udp(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		conv_net_init(&svc_net);
		udp_round(i / 2 == 1, i % 2 == 1);
		conv_net_fini(&svc_net);
	}
}

static void
test_table(void **state)
{
	unsigned n = 0;

	(void)state;
	for (; services[n] != NULL; n++) {
		assert_true(services[n]->state_size <= CONV_SVC_BYTES);
		assert_true(services[n]->tcp || services[n]->udp);
		if (n > 0)
			assert_true(strcmp(services[n - 1]->name, services[n]->name) < 0);
	}
	assert_true(n >= 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_reads_only_what_it_can_write),
		cmocka_unit_test(test_echo_ends),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_chargen_stream),
		cmocka_unit_test(test_chargen_goes_on),
		cmocka_unit_test(test_chargen_datagrams),
		cmocka_unit_test(test_over_udp),
		cmocka_unit_test(test_table),
	};

	test_eal("svc_small_test");
	return cmocka_run_group_tests_name("svc_small", tests, NULL, NULL);
}
