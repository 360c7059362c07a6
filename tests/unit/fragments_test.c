/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Joining of fragments that arrive in any order, on any worker; and what floods and liars get.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conv_net.h"
#include "conv_priv.h"
#include "fragments.h"

#define PORT 9

static struct conv_net net;
static struct test_frame whole, piece;
static uint8_t data[65507], out[TEST_FRAME_MAX];

/* ---- a service that checks what it gets against data[] ---- */

static unsigned got;
static size_t got_len;
static unsigned got_flags;

static void
sink_datagram(struct worker *w, struct listener *l, struct rte_mbuf *m)
{
	static uint8_t buf[TEST_FRAME_MAX];
	size_t len = test_bytes(m, buf);

	(void)w;
	(void)l;
	assert_int_equal(len, pkt_of(m)->data_len);
	assert_memory_equal(buf, data, len);
	got++;
	got_len = len;
	got_flags = pkt_of(m)->flags;
	rte_pktmbuf_free(m);
}

static const struct service sink = {.name = "sink", .udp = true, .datagram = sink_datagram};

static int
setup(void **state)
{
	(void)state;
	got = 0;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 256);
	conv_net_init(&net);
	conv_net_listen(&net, PORT, &sink, true);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conv_net_fini(&net);
	return 0;
}

/* ---- pieces ---- */

static bool v6;
static uint32_t id;

/** A datagram of len bytes of data[], to be cut. */
static void
datagram(bool is_v6, uint32_t ident, size_t len)
{
	v6 = is_v6;
	id = ident;
	test_frame_udp(&whole, test_addr(v6 ? "fd77::9" : "10.77.0.9"),
		test_addr(v6 ? "fd77::2" : "10.77.0.2"), 4000, PORT, data, len);
}

static size_t
payload_len(void)
{
	return whole.len - whole.l4;
}

/** The piece of len bytes at off, as it is sent; more says what its header says. */
static void
cut(size_t off, size_t len, bool more)
{
	struct test_addr src = test_addr(v6 ? "fd77::9" : "10.77.0.9");
	struct test_addr dst = test_addr(v6 ? "fd77::2" : "10.77.0.2");
	const uint8_t *from = whole.b + whole.l4 + off;
	static uint8_t b[TEST_FRAME_MAX];
	uint16_t field;

	if (!v6) {
		test_frame_ip(&piece, src, dst, IPPROTO_UDP, from, len);
		field = (uint16_t)(off / 8) | (more ? 0x2000 : 0);
		piece.b[18] = (uint8_t)(id >> 8);
		piece.b[19] = (uint8_t)id;
		piece.b[20] = (uint8_t)(field >> 8);
		piece.b[21] = (uint8_t)field;
		test_frame_ip4_cksum(&piece);
		return;
	}
	field = (uint16_t)(off | more);
	b[0] = IPPROTO_UDP;
	b[1] = 0;
	b[2] = (uint8_t)(field >> 8);
	b[3] = (uint8_t)field;
	b[4] = (uint8_t)(id >> 24);
	b[5] = (uint8_t)(id >> 16);
	b[6] = (uint8_t)(id >> 8);
	b[7] = (uint8_t)id;
	memcpy(b + 8, from, len);
	test_frame_ip(&piece, src, dst, IPPROTO_FRAGMENT, b, len + 8);
}

/** The nth of the pieces of at most size bytes; the last says so. */
static void
send_nth(unsigned worker, size_t n, size_t size)
{
	size_t off = n * size, len = RTE_MIN(size, payload_len() - off);

	cut(off, len, off + len < payload_len());
	conv_net_in(&net, worker, &piece);
}

static size_t
count(size_t size)
{
	return (payload_len() + size - 1) / size;
}

static void
expect_got(unsigned n, size_t len)
{
	assert_int_equal(got, n);
	assert_int_equal(got_len, len);
	assert_true((got_flags & PKT_JOINED) != 0);
	assert_int_equal(conv_net_held(&net), 0);
	assert_int_equal(atomic_load(&net.ct->pieces), 0);
}

/** Nobody hears of it, and nothing of it is kept. */
static void
expect_condemned(enum drop_reason r, unsigned n)
{
	assert_int_equal(got, 0);
	assert_int_equal(conv_net_drops(&net, r), n);
	assert_int_equal(conv_net_held(&net), 0);
	assert_int_equal(atomic_load(&net.ct->pieces), 0);
}

/* ---- joining ---- */

/** All 120 orders of five pieces, each piece on the next worker. */
static void
test_every_order(void **state)
{
	size_t order[5] = {0, 1, 2, 3, 4}, c[5] = {0}, i = 1;
	unsigned n = 0;

	(void)state;
	for (unsigned k = 0; k < 240; k++) {
		datagram(k % 2 == 1, k, 4 * 104 + 40);
		assert_int_equal(count(104), 5);
		for (unsigned j = 0; j < 5; j++)
			send_nth((j + k) % CONV_NET_WORKERS, order[j], 104);
		expect_got(++n, 4 * 104 + 40);
		conv_net_turn(&net, 2);
		if (k % 2 == 0)
			continue;
		/* Heap's algorithm: the next order. */
		while (i < 5 && c[i] >= i) {
			c[i] = 0;
			i++;
		}
		if (i < 5) {
			size_t a = i % 2 == 0 ? 0 : c[i], t = order[a];

			order[a] = order[i];
			order[i] = t;
			c[i]++;
			i = 1;
		}
	}
	assert_int_equal(conv_net_consumed(&net), 240 * 4 + 3);
	assert_int_equal(conv_net_delivered(&net), 240);
}

static void
largest(bool is_v6, size_t len, size_t size)
{
	datagram(is_v6, 7, len);
	for (size_t n = count(size); n-- > 0;)
		send_nth((unsigned)n % CONV_NET_WORKERS, n, size);
	expect_got(1, len);
}

static void
test_largest_v4(void **state)
{
	(void)state;
	largest(false, 65507, 552);
}

static void
test_largest_v6(void **state)
{
	(void)state;
	largest(true, 65507, 1232);
}

/** Two datagrams at once do not mix: other identification, other version. */
static void
test_datagrams_do_not_mix(void **state)
{
	(void)state;
	for (size_t n = 0; n < 3; n++)
		for (unsigned d = 0; d < 4; d++) {
			datagram(d % 2 == 1, 1 + d / 2, 300 + d);
			send_nth(d % CONV_NET_WORKERS, n, 104);
			if (n < 2)
				assert_int_equal(
					conv_live(net.ct, NODE_FRAGMENTS), n == 0 ? d + 1 : 4);
		}
	assert_int_equal(got, 4);
	assert_int_equal(conv_net_held(&net), 0);
}

static void
test_exact_duplicates_are_ignored(void **state)
{
	(void)state;
	datagram(false, 1, 300);
	send_nth(0, 0, 104);
	send_nth(1, 0, 104);
	send_nth(0, 2, 104);
	send_nth(2, 2, 104);
	assert_int_equal(conv_net_consumed(&net), 2 + 3);
	send_nth(0, 1, 104);
	expect_got(1, 300);
}

static void
test_duplicates_are_bounded(void **state)
{
	unsigned before;

	(void)state;
	datagram(false, 1, 300);
	send_nth(0, 0, 104);
	for (before = 0; conv_net_drops(&net, DROP_FRAG_LIMIT) == 0 && before < 1000; before++)
		send_nth(0, 0, 104);
	assert_int_equal(before, 129);
	expect_condemned(DROP_FRAG_LIMIT, 2);
}

/** RFC 3168 section 5.3: one that met congestion speaks for all. */
static void
test_congestion_experienced(void **state)
{
	(void)state;
	datagram(false, 1, 300);
	send_nth(0, 0, 104);
	cut(104, 104, true);
	piece.b[15] |= 3;
	test_frame_ip4_cksum(&piece);
	conv_net_in(&net, 0, &piece);
	send_nth(0, 2, 104);
	expect_got(1, 300);
	assert_true((got_flags & PKT_CE) != 0);
}

/* ---- liars ---- */

struct lie {
	size_t off, len;
	bool more;
	enum drop_reason r;
};

/** After the pieces 0-104 and 208-308 (the end), each of these condemns the datagram: three drops. */
static void
test_liars(void **state)
{
	static const struct lie lies[] = {
		{0, 96, true, DROP_FRAG_OVERLAP},
		{0, 112, true, DROP_FRAG_OVERLAP},
		{8, 8, true, DROP_FRAG_OVERLAP},
		{96, 16, true, DROP_FRAG_OVERLAP},
		{200, 16, true, DROP_FRAG_OVERLAP},
		{104, 112, true, DROP_FRAG_OVERLAP},
		{208, 104, true, DROP_FRAG_OVERLAP},
		{208, 50, false, DROP_FRAG_OVERLAP},
		{104, 104, false, DROP_FRAG_BAD}, /* a second end */
		{312, 8, true, DROP_FRAG_BAD}, /* behind the end */
		{312, 8, false, DROP_FRAG_BAD},
	};

	(void)state;
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < RTE_DIM(lies); i++) {
			unsigned before = (unsigned)conv_net_drops(&net, lies[i].r);

			datagram(k == 1, 100 + i, 300);
			send_nth(0, 0, 104);
			send_nth(1, 2, 104);
			assert_int_equal(conv_net_held(&net), 2);
			cut(lies[i].off, lies[i].len, lies[i].more);
			conv_net_in(&net, 2, &piece);
			expect_condemned(lies[i].r, before + 3);
			/* RFC 5722: what comes later does not complete it. */
			send_nth(0, 1, 104);
			assert_int_equal(got, 0);
			assert_int_equal(conv_net_held(&net), 1);
			conv_net_turn(&net, 61000);
			conv_net_turn(&net, 5);
		}
	test_net_discard(&net.net);
}

/** The end comes before a piece that lies behind it. */
static void
test_end_before_what_is_there(void **state)
{
	(void)state;
	datagram(false, 1, 400);
	send_nth(0, 2, 104);
	cut(104, 96, false);
	conv_net_in(&net, 0, &piece);
	expect_condemned(DROP_FRAG_BAD, 2);
}

/** The same bytes again, but now they are the last. */
static void
test_duplicate_that_is_the_end(void **state)
{
	(void)state;
	datagram(false, 1, 400);
	send_nth(0, 1, 104);
	cut(104, 104, false);
	conv_net_in(&net, 0, &piece);
	expect_condemned(DROP_FRAG_OVERLAP, 2);
}

static void
test_too_many_pieces(void **state)
{
	(void)state;
	datagram(false, 1, 2000);
	for (size_t n = 0; n < 129; n++)
		send_nth(0, n, 8);
	expect_condemned(DROP_FRAG_LIMIT, 129);
}

/* ---- time ---- */

/** Wait until it is given up, in steps of 100 ms. @return ms */
static unsigned
wait_for_timeout(enum drop_reason r, unsigned most)
{
	uint64_t before = conv_net_drops(&net, r);
	unsigned ms = 0;

	while (conv_net_drops(&net, r) == before && ms < most) {
		conv_net_turn(&net, 100);
		ms += 100;
	}
	return ms;
}

static void
test_timeout_v4(void **state)
{
	unsigned ms;

	(void)state;
	datagram(false, 1, 300);
	send_nth(0, 0, 104);
	send_nth(1, 1, 104);
	ms = wait_for_timeout(DROP_FRAG_TIMEOUT, 100000);
	assert_in_range(ms, 30000, 30200);
	expect_condemned(DROP_FRAG_TIMEOUT, 2);
	/* Time exceeded, about the first piece. */
	cut(0, 104, true);
	test_expect_sent(&net.net, out);
	assert_int_equal(out[34], 11);
	assert_int_equal(out[35], 1);
	assert_memory_equal(out + 42, piece.b + 14, piece.len - 14);
}

static void
test_timeout_v6(void **state)
{
	unsigned ms;

	(void)state;
	datagram(true, 1, 300);
	send_nth(0, 0, 104);
	ms = wait_for_timeout(DROP_FRAG_TIMEOUT, 100000);
	assert_in_range(ms, 60000, 60200);
	test_expect_sent(&net.net, out);
	assert_int_equal(out[54], 3);
	assert_int_equal(out[55], 1);
}

/** Without the first piece nobody is told (RFC 1122 section 3.3.2). */
static void
test_timeout_is_silent_without_first(void **state)
{
	(void)state;
	datagram(false, 1, 300);
	send_nth(0, 1, 104);
	wait_for_timeout(DROP_FRAG_TIMEOUT, 100000);
	expect_condemned(DROP_FRAG_TIMEOUT, 1);
	assert_int_equal(test_net_discard(&net.net), 0);
}

/* ---- floods ---- */

/** More datagrams than there are places: refused and counted; after 5 s those that are over half give way. */
static void
test_flood_of_datagrams(void **state)
{
	unsigned ms;

	(void)state;
	for (unsigned i = 0; i < CONV_NET_LIMIT + 10; i++) {
		datagram(i % 2 == 1, i, 300);
		send_nth(i % CONV_NET_WORKERS, 1, 104);
	}
	assert_int_equal(conv_net_drops(&net, DROP_FRAG_LIMIT), 10);
	assert_int_equal(conv_net_held(&net), CONV_NET_LIMIT);
	ms = wait_for_timeout(DROP_FRAG_LIMIT, 10000);
	assert_in_range(ms, 5000, 5200);
	for (unsigned i = 0; i < 3; i++)
		conv_net_turn(&net, 5);
	assert_int_equal(conv_net_held(&net), CONV_NET_LIMIT / 2);
	/* And joining works again. */
	datagram(true, 5000, 300);
	for (unsigned i = 0; i < 3; i++)
		send_nth(i, i, 104);
	assert_int_equal(got, 1);
	/* The others have their full time. */
	ms = wait_for_timeout(DROP_FRAG_TIMEOUT, 100000);
	assert_in_range(ms, 24000, 25200);
	test_net_discard(&net.net);
}

/** Pieces take at most a quarter of the buffers, whatever they belong to. */
static void
test_flood_of_pieces(void **state)
{
	unsigned most = net.net.mp->size / 4, sent = 0;

	(void)state;
	for (unsigned d = 0; conv_net_drops(&net, DROP_FRAG_LIMIT) == 0; d++) {
		datagram(false, d, 2000);
		for (size_t n = 0; n < 100 && conv_net_drops(&net, DROP_FRAG_LIMIT) == 0;
			n++, sent++)
			send_nth(0, n, 8);
		assert_true(d < CONV_NET_LIMIT);
	}
	assert_int_equal(sent, most + 1);
	assert_true(conv_net_held(&net) <= most);
	assert_int_equal(atomic_load(&net.ct->pieces), conv_net_held(&net));
	conv_net_turn(&net, 5100);
	assert_true(conv_net_held(&net) <= most / 2);
	test_net_discard(&net.net);
}

/** A worker brings the last piece while another is inside: its backlog is drained, and the datagram goes on. */
static void
test_racing_first_pieces(void **state)
{
	struct rte_mbuf *a, *b;

	(void)state;
	datagram(false, 1, 150);
	cut(0, 104, true);
	a = conv_net_parse(&net, 0, &piece);
	cut(104, payload_len() - 104, false);
	b = conv_net_parse(&net, 1, &piece);
	/* Both looked up already, and found nothing. */
	fragments_miss(&net.net.w[0], a);
	fragments_miss(&net.net.w[1], b);
	conv_turn(&net.net.w[1]);
	assert_int_equal(conv_net_held(&net), 1);
	conv_turn(&net.net.w[0]);
	expect_got(1, 150);
}

/** Joining takes no buffer more. */
static void
test_no_buffer_is_needed(void **state)
{
	(void)state;
	datagram(false, 1, 300);
	send_nth(0, 0, 104);
	send_nth(0, 1, 104);
	cut(208, payload_len() - 208, false);
	{
		struct rte_mbuf *m = conv_net_parse(&net, 0, &piece);

		test_starve(net.net.mp_small);
		test_starve(net.net.mp);
		conv_input_burst(&net.net.w[0], &m, 1);
		test_feed(net.net.mp);
		test_feed(net.net.mp_small);
	}
	expect_got(1, 300);
}

static void
test_hangup(void **state)
{
	struct conv_node *cn;
	uint32_t slot = 0;

	(void)state;
	datagram(false, 1, 300);
	send_nth(0, 0, 104);
	cn = conv_next(net.ct, &slot, UINT32_MAX);
	assert_non_null(cn);
	assert_int_equal(conv_kind(cn), NODE_FRAGMENTS);
	conv_kick(&net.net.w[1], cn, NODE_HANGUP);
	conv_put(&net.net.w[1], cn);
	conv_net_turn(&net, 1);
	expect_condemned(DROP_SHUTDOWN, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_every_order),
		T(test_largest_v4),
		T(test_largest_v6),
		T(test_datagrams_do_not_mix),
		T(test_exact_duplicates_are_ignored),
		T(test_duplicates_are_bounded),
		T(test_congestion_experienced),
		T(test_liars),
		T(test_end_before_what_is_there),
		T(test_duplicate_that_is_the_end),
		T(test_too_many_pieces),
		T(test_timeout_v4),
		T(test_timeout_v6),
		T(test_timeout_is_silent_without_first),
		T(test_flood_of_datagrams),
		T(test_flood_of_pieces),
		T(test_racing_first_pieces),
		T(test_no_buffer_is_needed),
		T(test_hangup),
	};

	test_eal("fragments_test");
	return cmocka_run_group_tests_name("fragments", tests, NULL, NULL);
}
