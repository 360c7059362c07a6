/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Options: written and read back, and read from what nobody should have written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tcp_priv.h"
#include "util.h"

static struct test_net n;

static int
setup(void **state)
{
	(void)state;
	test_net_init(&n, 1);
	n.w->tcp = calloc(1, sizeof(*n.w->tcp));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(n.w->tcp);
	test_net_fini(&n);
	return 0;
}

/** A header with these options, and what was made of it. */
static bool
parse(uint8_t flags, const uint8_t *opts, size_t len, unsigned data_off, struct pkt *ret)
{
	uint8_t b[TCP_HLEN_MAX + 8] = {0};
	struct rte_mbuf *m;
	bool ok;

	b[12] = (uint8_t)(data_off << 4);
	b[13] = flags;
	memcpy(b + TCP_HLEN, opts, len);
	m = test_mbuf(n.mp, b, TCP_HLEN + len);
	memset(pkt_of(m), 0, sizeof(struct pkt));
	pkt_of(m)->data_off = (uint16_t)(TCP_HLEN + len);
	ok = tcp_parse(m);
	*ret = *pkt_of(m);
	rte_pktmbuf_free(m);
	return ok;
}

static void
test_round_trip(void **state)
{
	struct key k = {.rport_be = 0x3412, .lport_be = 0x7856};
	struct tcp_sack_block got[TCP_SACK_MAX];

	(void)state;
	for (unsigned x = 0; x < 64; x++) {
		struct tcp_out out = {
			.k = &k,
			.seq = 0x01020304,
			.ack = 0x05060708,
			.wnd = 0x090a,
			.flags = (x & 8) != 0 ? TCP_SYN : TCP_ACK,
			.mss = (x & 8) != 0 && (x & 1) != 0 ? 1460 : 0,
			.opts = (uint8_t)((x & 2 ? TCP_OPT_TS : 0) |
				(x & 8 && x & 4 ? TCP_OPT_SACK_OK | TCP_OPT_WSCALE : 0)),
			.ts_val = 0x11223344,
			.ts_ecr = 0x55667788,
			.wscale = 9,
			.nsack = (x & 8) != 0 ? 0 : x >> 4,
		};
		struct rte_mbuf *m;
		struct pkt *p;

		for (unsigned i = 0; i < out.nsack; i++)
			out.sack[i] = (struct tcp_sack_block){i * 100, i * 100 + 50};
		m = tcp_header(n.w, &out);
		assert_int_equal(m->pkt_len, tcp_header_len(&out));
		assert_int_equal(m->pkt_len % 4, 0);
		p = pkt_of(m);
		p->data_off = (uint16_t)m->pkt_len;
		assert_true(tcp_parse(m));
		assert_int_equal(p->tcp.seq, out.seq);
		assert_int_equal(p->tcp.ack, out.ack);
		assert_int_equal(p->tcp.wnd, out.wnd);
		assert_int_equal(p->tcp.flags, out.flags);
		assert_int_equal(p->tcp.opts, out.opts | (out.mss != 0 ? TCP_OPT_MSS : 0));
		assert_int_equal(p->tcp.mss, out.mss);
		assert_int_equal(p->tcp.wscale, out.opts & TCP_OPT_WSCALE ? 9 : 0);
		assert_int_equal(p->tcp.ts_ecr, out.opts & TCP_OPT_TS ? out.ts_ecr : 0);
		assert_int_equal(tcp_parse_sack(m, got), out.nsack);
		assert_memory_equal(got, out.sack, out.nsack * sizeof(*got));
		rte_pktmbuf_free(m);
	}
}

static void
test_bad_lengths(void **state)
{
	static const uint8_t zero[] = {2, 0, 5, 180, 1, 1, 1, 1};
	static const uint8_t one[] = {2, 1, 5, 180, 3, 3, 7, 1};
	static const uint8_t past[] = {1, 1, 1, 1, 1, 2, 4, 5};
	static const uint8_t last[] = {1, 1, 1, 8};
	static const uint8_t unknown[] = {77, 4, 9, 9, 2, 4, 5, 180};
	static const uint8_t wrong[] = {2, 3, 5, 3, 4, 5, 180, 7};
	static const uint8_t end[] = {0, 2, 4, 5};
	static const uint8_t scale[] = {1, 3, 3, 200};
	static const uint8_t three[] = {77, 3, 7, 1};
	struct pkt p;

	(void)state;
	assert_true(parse(TCP_SYN, zero, 8, 7, &p));
	assert_int_equal(p.tcp.opts, 0);
	assert_true(parse(TCP_SYN, one, 8, 7, &p));
	assert_int_equal(p.tcp.opts, 0);
	assert_true(parse(TCP_SYN, past, 8, 7, &p));
	assert_int_equal(p.tcp.opts, 0);
	assert_true(parse(TCP_SYN, last, 4, 6, &p));
	assert_int_equal(p.tcp.opts, 0);
	assert_true(parse(TCP_SYN, unknown, 8, 7, &p));
	assert_int_equal(p.tcp.opts, TCP_OPT_MSS);
	assert_int_equal(p.tcp.mss, 1460);
	assert_true(parse(TCP_SYN, wrong, 8, 7, &p));
	assert_int_equal(p.tcp.opts & TCP_OPT_MSS, 0);
	assert_true(parse(TCP_SYN, end, 4, 6, &p));
	assert_int_equal(p.tcp.opts, 0);
	assert_true(parse(TCP_SYN, scale, 4, 6, &p));
	assert_int_equal(p.tcp.wscale, TCP_WSCALE_MAX);
	/* As long as a window scale, and none. */
	assert_true(parse(TCP_SYN, three, 4, 6, &p));
	assert_int_equal(p.tcp.opts, 0);
	/* Behind the header stands the payload, whatever it looks like. */
	assert_true(parse(TCP_SYN, unknown + 4, 4, 5, &p));
	assert_int_equal(p.tcp.opts, 0);
	/* Only a SYN says how the conversation is to be. */
	assert_true(parse(TCP_ACK, unknown, 8, 7, &p));
	assert_int_equal(p.tcp.opts, 0);
	/* Data offset: too small, past the packet. */
	assert_false(parse(TCP_ACK, unknown, 8, 4, &p));
	assert_false(parse(TCP_ACK, unknown, 8, 8, &p));
	assert_false(parse(TCP_ACK, unknown, 8, 0, &p));
}

/* RFC 9293 MUST-64: an option may begin at any byte. */
static void
test_alignment(void **state)
{
	static const uint8_t opts[] = {2, 4, 5, 180, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 7};
	struct pkt p;

	(void)state;
	for (unsigned shift = 0; shift < 4; shift++) {
		uint8_t b[20 + 4];

		memset(b, 1, sizeof(b));
		memcpy(b + shift, opts, sizeof(opts));
		assert_true(parse(TCP_SYN, b, 20, 10, &p));
		assert_int_equal(p.tcp.opts, TCP_OPT_MSS | TCP_OPT_TS | TCP_OPT_WSCALE);
		assert_int_equal(p.tcp.mss, 1460);
		assert_int_equal(p.tcp.ts_val, 0x01020304);
		assert_int_equal(p.tcp.ts_ecr, 0x05060708);
		assert_int_equal(p.tcp.wscale, 7);
	}
}

static void
test_random_options(void **state)
{
	struct pkt p;
	uint8_t opts[40];

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 50000; i++) {
		for (unsigned j = 0; j < sizeof(opts); j++)
			opts[j] = (uint8_t)(rand() % (i % 2 == 0 ? 12 : 256));
		assert_true(parse((uint8_t)rand(), opts, sizeof(opts), 15, &p));
		assert_true(p.tcp.nsack <= TCP_SACK_MAX);
		assert_true(p.tcp.nsack == 0 || p.tcp.sack_off + 8u * p.tcp.nsack <= 60);
		assert_true(p.tcp.wscale <= TCP_WSCALE_MAX);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alignment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_options, setup, teardown),
	};

	test_eal("tcp_opt");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
