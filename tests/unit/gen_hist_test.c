/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gen_hist.h"

static struct gen_hist h;

static int
empty(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	return 0;
}

/** Each time alone comes back to 0.8 %, or to 8 ns where that is more. */
static void
test_exact(void **state)
{
	(void)state;
	for (uint64_t ns = 1; ns < UINT64_C(1) << 36; ns += 1 + ns / 7) {
		uint64_t got;

		empty(NULL);
		gen_hist_add(&h, ns);
		gen_hist_add(&h, UINT64_C(1) << 36); /* else the largest one is known exactly */
		got = gen_hist_quantile(&h, 500000);
		assert_true(got >= ns);
		assert_true(got - ns <= 8 || (got - ns) * 128 <= ns);
	}
}

static int
ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/** Quantiles are those of the sorted list. */
static void
test_quantiles(void **state)
{
	static const uint32_t asked[] = {0, 1, 500000, 900000, 990000, 999000, 999999, 1000000};
	static uint64_t v[10000];
	uint64_t x = 1;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		v[i] = 1000 + (x >> 34) % (UINT64_C(1) << (x >> 60 << 1));
		gen_hist_add(&h, v[i]);
	}
	qsort(v, 10000, sizeof(v[0]), ascending);
	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		uint64_t at = ((uint64_t)asked[i] * 10000 + 999999) / 1000000;
		uint64_t want = v[at > 0 ? at - 1 : 0], got = gen_hist_quantile(&h, asked[i]);

		assert_true(got >= want && got - want <= 8 + want / 128);
	}
	assert_int_equal(gen_hist_quantile(&h, 1000000), v[9999]);
}

static void
test_merge_and_limits(void **state)
{
	static struct gen_hist other;

	(void)state;
	assert_int_equal(gen_hist_quantile(&h, 500000), 0);
	gen_hist_add(&h, 5000);
	gen_hist_add(&other, 0);
	gen_hist_add(&other, UINT64_MAX / 4); /* longer than there are buckets */
	gen_hist_merge(&h, &other);
	assert_int_equal(h.count, 3);
	assert_int_equal(h.max_ns, UINT64_MAX / 4);
	assert_int_equal(h.sum_ns, 5000 + UINT64_MAX / 4);
	assert_true(gen_hist_quantile(&h, 1) <= 8);
	assert_in_range(gen_hist_quantile(&h, 500000), 5000, 5040);
	assert_in_range(gen_hist_quantile(&h, 1000000), UINT64_C(1) << 36, UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_exact, empty),
		cmocka_unit_test_setup(test_quantiles, empty),
		cmocka_unit_test_setup(test_merge_and_limits, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
