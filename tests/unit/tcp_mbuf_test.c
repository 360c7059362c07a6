/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Payload cut, split and merged: no byte lost, none changed, none written where others may read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tcp_priv.h"
#include "util.h"

static struct test_net net;
static struct tcp *tcp;

static int
setup(void **state)
{
	(void)state;
	test_net_init(&net, 1);
	tcp = calloc(1, sizeof(*tcp));
	net.w->tcp = tcp;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	test_net_fini(&net);
	free(tcp);
	return 0;
}

static uint8_t
byte_at(uint32_t at)
{
	return (uint8_t)(at * 7 + 1);
}

/** A packet of `segs` pieces of n bytes each, counted through. */
static struct rte_mbuf *
packet(unsigned segs, uint32_t n)
{
	struct rte_mbuf *head = NULL;

	for (unsigned s = 0; s < segs; s++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(net.mp);
		uint8_t *b = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)n);

		for (uint32_t i = 0; i < n; i++)
			b[i] = byte_at(s * n + i);
		memset(pkt_of(m), 0, sizeof(struct pkt));
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

/** It holds the bytes [from, from + n), and its lengths agree. */
static void
holds(const struct rte_mbuf *m, uint32_t from, uint32_t n)
{
	uint8_t b[4096];
	const char *why;

	assert_int_equal(m->pkt_len, n);
	assert_int_equal(rte_mbuf_check(m, 1, &why), 0);
	tcp_mbuf_copy_out(m, b);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(b[i], byte_at(from + i));
}

static void
test_front(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 300; n++) {
		struct rte_mbuf *m = packet(3, 100);

		pkt_of(m)->tx.seq = 77;
		m = tcp_mbuf_front(m, n);
		holds(m, n, 300 - n);
		assert_int_equal(m->nb_segs, 3 - n / 100);
		assert_int_equal(pkt_of(m)->tx.seq, 77); /* what is known goes along */
		rte_pktmbuf_free(m);
	}
}

static void
test_trim(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 310; n++) {
		struct rte_mbuf *m = packet(3, 100);

		tcp_mbuf_trim(m, n);
		holds(m, 0, RTE_MIN(n, 300u));
		assert_int_equal(m->nb_segs, RTE_MIN((n + 99) / 100, 3u));
		rte_pktmbuf_free(m);
	}
}

static void
test_split(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 300; n++) {
		struct rte_mbuf *m = packet(3, 100), *rest = tcp_mbuf_split(net.w, m, n);

		assert_non_null(rest);
		holds(m, 0, n);
		holds(rest, n, 300 - n);
		/* Between two pieces nothing needs to be shared. */
		assert_int_equal(RTE_MBUF_DIRECT(rest), n % 100 == 0);
		assert_int_equal(m->nb_segs + rest->nb_segs, n % 100 == 0 ? 3 : 4);
		rte_pktmbuf_free(m);
		holds(rest, n, 300 - n);
		rte_pktmbuf_free(rest);
	}
}

static void
test_split_without_buffer(void **state)
{
	struct rte_mbuf *m = packet(2, 100), *all[8192], *rest;
	unsigned n = 0;

	(void)state;
	while ((all[n] = rte_pktmbuf_alloc(net.mp_small)) != NULL)
		n++;
	rest = tcp_mbuf_split(net.w, m, 50);
	assert_null(rest);
	holds(m, 0, 200);
	assert_int_equal(m->nb_segs, 2);
	assert_int_equal(tcp->workers[net.w->id].v[TCP_STAT_no_mbuf], 1);
	rte_pktmbuf_free_bulk(all, n);
	rte_pktmbuf_free(m);
}

/** What comes behind the first 100 bytes. */
static struct rte_mbuf *
more(uint32_t n)
{
	struct rte_mbuf *m = packet(1, 100 + n);

	rte_pktmbuf_adj(m, 100);
	return m;
}

static void
test_merge(void **state)
{
	struct rte_mbuf *to = packet(1, 100), *m = more(50);

	(void)state;
	assert_true(tcp_mbuf_merge(to, m, 50));
	holds(to, 0, 150);
	holds(m, 100, 50); /* the caller's still */
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(to);
}

/* Never into what is too long, in pieces, shared, another's, or full: and then nothing has changed. */
static void
test_merge_refused(void **state)
{
	struct rte_mbuf *to = packet(1, 100), *pieces = packet(2, 50), *m = more(50), *clone;
	uint16_t room = rte_pktmbuf_tailroom(to);
	struct rte_mbuf *full = packet(1, 100);

	(void)state;
	assert_false(tcp_mbuf_merge(to, m, 49));
	assert_false(tcp_mbuf_merge(pieces, m, 50));
	holds(pieces, 0, 100);
	clone = rte_pktmbuf_clone(to, net.mp_small);
	assert_false(tcp_mbuf_merge(to, m, 50)); /* somebody else reads it */
	assert_false(tcp_mbuf_merge(clone, m, 50)); /* its bytes are not its own */
	holds(to, 0, 100);
	rte_pktmbuf_free(clone);
	rte_pktmbuf_append(full, (uint16_t)(room - 49));
	assert_false(tcp_mbuf_merge(full, m, 50));
	rte_pktmbuf_trim(full, 1);
	assert_true(tcp_mbuf_merge(full, m, 50));
	rte_pktmbuf_free(full);
	rte_pktmbuf_free(pieces);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(to);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_front),
		T(test_trim),
		T(test_split),
		T(test_split_without_buffer),
		T(test_merge),
		T(test_merge_refused),
	};

	test_eal("tcp_mbuf");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
