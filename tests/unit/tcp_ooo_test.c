/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The out-of-order queue against a model: one flag per byte of sequence space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tcp_priv.h"
#include "util.h"

#define SPACE 4096
#define BASE  (UINT32_MAX - SPACE / 2) /* wraps in the middle */

struct world {
	struct test_net n;
	struct tcp *tcp;
	struct tcp_conv tc;
	bool held[SPACE];
};

static struct world o;

static uint8_t
byte_at(uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 8));
}

static int
setup(void **state)
{
	(void)state;
	memset(&o, 0, sizeof(o));
	test_net_init(&o.n, 1);
	o.tcp = calloc(1, sizeof(*o.tcp));
	o.n.w->tcp = o.tcp;
	o.tc.rcv_nxt = BASE;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tcp_ooo_free(&o.tc);
	assert_int_equal(o.tc.ooo_segs, 0);
	test_net_fini(&o.n);
	free(o.tcp);
	return 0;
}

/** A payload at a place, as a packet that is in one piece, or cut into two. */
static void
add_cut(uint32_t at, uint32_t len, size_t cut)
{
	uint8_t b[SPACE];
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < len; i++)
		b[i] = byte_at(at + i);
	m = cut > 0 ? test_mbuf_cut(o.n.mp, b, len, &cut, 1) : test_mbuf(o.n.mp, b, len);
	pkt_of(m)->tcp.seq = BASE + at;
	tcp_ooo_add(o.n.w, &o.tc, m);
}

/** The same, cut at random. */
static void
add(uint32_t at, uint32_t len)
{
	add_cut(at, len, len > 1 && rand() % 2 == 0 ? 1 + (size_t)rand() % (len - 1) : 0);
}

static uint32_t
blocks_bytes(void)
{
	struct tcp_sack_block b[TCP_OOO_RUNS_MAX];
	unsigned n = tcp_ooo_blocks(&o.tc, b, TCP_SACK_MAX);
	uint32_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_true(seq_lt(b[i].start, b[i].end));
		for (uint32_t s = b[i].start; s != b[i].end; s++)
			assert_true(o.held[s - BASE]);
		/* As long as can be: what touches is one. */
		assert_true(b[i].start == BASE || !o.held[b[i].start - BASE - 1]);
		assert_true(b[i].end - BASE == SPACE || !o.held[b[i].end - BASE]);
		sum += b[i].end - b[i].start;
	}
	return sum;
}

static void
take_all(uint32_t *at)
{
	struct rte_mbuf *m;
	uint8_t b[SPACE];

	while ((m = tcp_ooo_take(&o.tc)) != NULL) {
		size_t len = test_bytes(m, b);

		assert_int_equal(pkt_of(m)->tcp.seq, o.tc.rcv_nxt);
		for (size_t i = 0; i < len; i++, (*at)++) {
			assert_true(o.held[*at]);
			o.held[*at] = false;
			assert_int_equal(b[i], byte_at(*at));
		}
		o.tc.rcv_nxt += (uint32_t)len;
		rte_pktmbuf_free(m);
	}
}

/** Runs of the model, for what one add can keep: see tcp_ooo_add. */
static void
model_add(uint32_t at, uint32_t len)
{
	uint32_t i = at;

	while (i < at + len && o.held[i])
		i++;
	for (; i < at + len && !o.held[i]; i++)
		o.held[i] = true;
}

static void
test_model(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		uint32_t at = 0;

		srand(seed);
		o.tc.rcv_nxt = BASE;
		memset(o.held, 0, sizeof(o.held));
		for (unsigned i = 0; i < 60; i++) {
			uint32_t from = 1 + at + (uint32_t)rand() % 1000;
			uint32_t len = 1 + (uint32_t)rand() % (seed % 2 == 0 ? 20 : 300);

			if (from + len > SPACE)
				break;
			add(from, len);
			model_add(from, len);
			blocks_bytes();
			if (rand() % 5 == 0) {
				/* The gap in front is filled. */
				while (!o.held[at] && at < SPACE - 1) {
					at++;
					o.tc.rcv_nxt++;
				}
				take_all(&at);
				assert_true(at == SPACE || !o.held[at]);
			}
		}
		tcp_ooo_free(&o.tc);
	}
}

static void
test_latest_first(void **state)
{
	struct tcp_sack_block b[TCP_SACK_MAX];

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		add(100 * (i + 1), 10);
	add(310, 5); /* the third grows */
	assert_int_equal(tcp_ooo_blocks(&o.tc, b, 4), 4);
	assert_int_equal(b[0].start, BASE + 300);
	assert_int_equal(b[0].end, BASE + 315);
	assert_int_equal(b[1].start, BASE + 600);
	assert_int_equal(b[2].start, BASE + 500);
	assert_int_equal(b[3].start, BASE + 400);
	assert_int_equal(tcp_ooo_blocks(&o.tc, b, 1), 1);
	assert_int_equal(b[0].start, BASE + 300);
	assert_int_equal(tcp_ooo_blocks(&o.tc, b, 0), 0);
}

static void
test_bounds(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		add(1 + 2 * i, 1);
	assert_int_equal(o.tc.ooo_runs, TCP_OOO_RUNS_MAX);
	assert_int_equal(o.n.w->c.drops[DROP_TCP_MEMORY], 1000 - TCP_OOO_RUNS_MAX);
	assert_int_equal(o.n.w->c.delivered, TCP_OOO_RUNS_MAX);
}

/* Half a KiB is copied to where there is room; a full segment keeps its own buffer. */
static void
test_small_share_a_buffer(void **state)
{
	(void)state;
	add_cut(1, 100, 0);
	add_cut(101, 512, 0);
	assert_int_equal(o.tc.ooo_segs, 1);
	add_cut(613, 513, 0);
	assert_int_equal(o.tc.ooo_segs, 2);
	assert_int_equal(o.tc.ooo_runs, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_share_a_buffer, setup, teardown),
	};

	test_eal("tcp_ooo");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
