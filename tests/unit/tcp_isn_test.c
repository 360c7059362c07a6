/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Timestamps of a conversation that workers with different clocks serve.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tcp_priv.h"
#include "util.h"

/* RFC 7323 section 5.4: a timestamp never goes back by what clocks may differ; by more, it is a new clock. */
static void
test_never_back(void **state)
{
	static const struct {
		int32_t by_ms;
		bool kept;
	} rows[] = {{-1, true}, {-TCP_CLOCK_SKEW_MS, true}, {-TCP_CLOCK_SKEW_MS - 1, false},
		{0, false}, {1, false}};
	struct test_net net;
	struct tcp *tcp = calloc(1, sizeof(*tcp));
	struct tcp_conv tc;

	(void)state;
	assert_non_null(tcp);
	test_net_init(&net, 1);
	net.w->tcp = tcp;
	memset(&tc, 0, sizeof(tc));
	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		uint32_t now = tcp_ts_now(net.w, &tc.c.cn.n.key), next;

		tc.ts_sent = now;
		net.w->now_ms += (uint32_t)rows[i].by_ms;
		next = tcp_ts_next(net.w, &tc);
		assert_int_equal(next, rows[i].kept ? now : now + (uint32_t)rows[i].by_ms);
		assert_int_equal(tc.ts_sent, next);
	}
	test_net_fini(&net);
	free(tcp);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_back),
	};

	test_eal("tcp_isn");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
