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

#include "gen_space.h"

/* 10.64.0.0/28, 5 source ports, 3 of the target: 240 tuples. */
static struct gen_space
small(void)
{
	return (struct gen_space){
		.saddr = 0x0a400000,
		.addresses = 16,
		.daddr = 0x0a4d0002,
		.sport = 65531,
		.sports = 5,
		.dport = 7,
		.dports = 3,
		.count = 240,
		.secret = {1, 2},
	};
}

/** Each number has a tuple of its own, within the ranges, and comes back. */
static void
test_round(void **state)
{
	struct gen_space s = small();
	uint8_t seen[16][5][3] = {0};

	(void)state;
	assert_int_equal(gen_space_room(&s), 240);
	for (uint32_t i = 0; i < s.count; i++) {
		struct gen_tuple t = gen_space_tuple(&s, i);
		uint32_t back = UINT32_MAX;

		assert_in_range(t.saddr, 0x0a400000, 0x0a40000f);
		assert_in_range(t.sport, 65531, 65535);
		assert_in_range(t.dport, 7, 9);
		assert_int_equal(t.daddr, s.daddr);
		assert_int_equal(seen[t.saddr & 15][t.sport - 65531][t.dport - 7]++, 0);
		assert_true(gen_space_index(&s, &t, &back));
		assert_int_equal(back, i);
	}
}

/** What lies just outside of each range, or past the count, is nobody's. */
static void
test_outside(void **state)
{
	struct gen_space s = small();
	struct gen_tuple in = gen_space_tuple(&s, 100), t;
	uint32_t i = 77;

	(void)state;
#define OUTSIDE(field, value) \
	t = in;               \
	t.field = (value);    \
	assert_false(gen_space_index(&s, &t, &i))
	OUTSIDE(saddr, s.saddr - 1);
	OUTSIDE(saddr, s.saddr + 16);
	OUTSIDE(daddr, s.daddr + 1);
	OUTSIDE(sport, 65530);
	OUTSIDE(sport, 0);
	OUTSIDE(dport, 6);
	OUTSIDE(dport, 10);
#undef OUTSIDE
	t = gen_space_tuple(&s, 200);
	s.count = 200;
	assert_false(gen_space_index(&s, &t, &i));
	assert_int_equal(i, 77);
	s.count = 201;
	assert_true(gen_space_index(&s, &t, &i));
	assert_int_equal(i, 200);
}

/** As large as it gets: all of IPv4's ports behind a /8 do not overflow. */
static void
test_large(void **state)
{
	struct gen_space s = {.saddr = 0x0a000000,
		.addresses = 1 << 24,
		.daddr = 1,
		.sport = 0,
		.sports = 65536,
		.dport = 0,
		.dports = 65536,
		.count = UINT32_MAX};
	struct gen_tuple t = gen_space_tuple(&s, UINT32_MAX - 1);
	uint32_t i;

	(void)state;
	assert_true(gen_space_room(&s) == UINT64_C(1) << 56);
	assert_true(gen_space_index(&s, &t, &i));
	assert_int_equal(i, UINT32_MAX - 1);
	t.sport = 65535;
	t.saddr = 0x0affffff;
	assert_false(gen_space_index(&s, &t, &i));
}

/** A sequence number is the same each time, another for each tuple, and for each secret. */
static void
test_iss(void **state)
{
	struct gen_space s = small(), other = small();
	uint32_t iss[240];

	(void)state;
	other.secret.k1 = 3;
	for (uint32_t i = 0; i < s.count; i++) {
		struct gen_tuple t = gen_space_tuple(&s, i);

		iss[i] = gen_space_iss(&s, &t);
		assert_int_equal(iss[i], gen_space_iss(&s, &t));
		assert_int_not_equal(iss[i], gen_space_iss(&other, &t));
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(iss[i], iss[j]);
	}
}

/** Bytes of a conversation: a prefix of more of them, unlike another's. */
static void
test_bytes(void **state)
{
	struct gen_space s = small();
	uint8_t a[64], b[64], c[13] = {0};

	(void)state;
	gen_space_bytes(&s, 5, a, 64);
	gen_space_bytes(&s, 6, b, 64);
	gen_space_bytes(&s, 5, c, 12);
	assert_memory_equal(a, c, 12);
	assert_int_equal(c[12], 0);
	for (unsigned at = 0; at < 64; at += 8)
		assert_memory_not_equal(a + at, b + at, 8);
}

/** Each number comes once, whatever n is; the seed decides when. */
static void
test_shuffle(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 1000, 65536, 65537, 1000003};

	(void)state;
	for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		uint32_t n = sizes[k], same = 0, fixed = 0;
		uint8_t *seen = calloc(n, 1);

		assert_non_null(seen);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t at = gen_space_shuffle(1, i, n);

			assert_true(at < n);
			assert_int_equal(seen[at]++, 0);
			fixed += at == i;
			same += at == gen_space_shuffle(2, i, n);
		}
		free(seen);
		if (n >= 1000) {
			assert_true(fixed < 20);
			assert_true(same < 20);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_iss),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_shuffle),
	};

	return cmocka_run_group_tests_name("gen_space", tests, NULL, NULL);
}
