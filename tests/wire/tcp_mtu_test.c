/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the path carries: told (RFC 1191, 8201, believed as RFC 5927 says), guessed (RFC 4821 section 7.7), and
 * tried anew.
 */
#include "util.h"
#include "wire.h"

#define MSS   1448
#define HLEN  (wire_v6() ? 72u : 52u) /* IP, TCP, timestamps */
#define AGE_S 600

static struct wire_conf reads = {.service = {.read = true}};

static struct wire *
open_one(struct wire_conn *k)
{
	struct wire *w = wire_open(&reads);

	wire_conn(w, k);
	wire_accept(k);
	return w;
}

/** Take what was sent, and acknowledge it. @return the longest segment */
static uint32_t
take(struct wire_conn *k, uint32_t *ret_nxt)
{
	uint32_t longest = 0;
	struct wire_seg s;

	while (wire_next(k->w, k, &s)) {
		longest = RTE_MAX(longest, s.len);
		if ((int32_t)(s.seq + s.len - *ret_nxt) > 0)
			*ret_nxt = s.seq + s.len;
	}
	wire_send(k, ACK, 1, *ret_nxt, 0);
	return longest;
}

/** Write so much, and tell how long the segments are. */
static uint32_t
length(struct wire_conn *k, uint32_t *nxt)
{
	uint32_t end = *nxt + 6000, longest = 0;

	wire_write(k, 6000);
	while (*nxt != end)
		longest = RTE_MAX(longest, take(k, nxt));
	return longest;
}

/** Time passes, and a path that swallows what is longer than mtu. @return true once the first byte gets through */
static bool
swallow(struct wire_conn *k, uint32_t mtu, unsigned ms)
{
	struct wire_seg s;

	for (; ms > 0; ms--) {
		wire_run(k->w, 1);
		while (wire_next(k->w, k, &s))
			if (s.seq == 1 && s.len + HLEN <= mtu)
				return true;
	}
	return false;
}

/* RFC 1191 section 6.4: only what does not fit is sent again; what is just as long as the path carries does. */
static void
test_told_exactly(void **state)
{
	const uint32_t fits = 1400 - 52;
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_write(&k, MSS);
	wire_expect(&k, ACK, 1, 1, MSS);
	wire_write(&k, fits);
	wire_expect(&k, ACK, 1 + MSS, 1, fits);
	wire_icmp(&k, WIRE_TOO_BIG, (uint16_t)(fits + HLEN), 1);
	wire_expect(&k, ACK, 1, 1, fits);
	wire_expect(&k, ACK, 1 + fits, 1, MSS - fits);
	wire_silent(w);
	wire_close(w);
}

/* RFC 4821 section 7.7: a segment that is as long as a step is no shorter for it: the next step. */
static void
test_step_must_shorten(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_write(&k, 1280 - HLEN);
	for (unsigned t = 0; t < 20000 && wire_stat(w, "rto_fired") < 4; t++)
		wire_run(w, 1);
	wire_discard(w);
	/* IPv6 has no path narrower than that (RFC 8200 section 5). */
	assert_int_equal(wire_status(&k).mss, wire_v6() ? 1460 : 1024 - 40);
	assert_int_equal(wire_stat(w, "black_holes"), !wire_v6());
	wire_close(w);
}

static void
test_told(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);
	uint32_t nxt = 1;

	(void)state;
	wire_write(&k, MSS);
	wire_expect(&k, ACK, 1, 1, MSS);
	wire_icmp(&k, WIRE_TOO_BIG, 1400, 1);
	/* RFC 1191 section 6.4: at once, in two pieces. */
	wire_expect(&k, ACK, 1, 1, 1400 - HLEN);
	wire_expect(&k, ACK, 1 + 1400 - HLEN, 1, WIRE_ANY);
	nxt = 1 + MSS;
	wire_send(&k, ACK, 1, nxt, 0);
	assert_int_equal(length(&k, &nxt), 1400 - HLEN);
	assert_int_equal(wire_stat(w, "path_mtu_falls"), 1);
	/* Not for a longer one, nor about what is not in flight (RFC 5927 section 4). */
	wire_icmp(&k, WIRE_TOO_BIG, 1300, nxt);
	wire_icmp(&k, WIRE_TOO_BIG, 1300, nxt - 1);
	wire_icmp(&k, WIRE_TOO_BIG, 1450, nxt);
	assert_int_equal(length(&k, &nxt), 1400 - HLEN);
	assert_int_equal(wire_stat(w, "path_mtu_falls"), 1);
	wire_close(w);
}

/* RFC 1191 section 6.3: not before 10 minutes, then the interface's again. */
static void
test_age(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);
	uint32_t nxt = 1;

	(void)state;
	wire_write(&k, MSS);
	wire_icmp(&k, WIRE_TOO_BIG, 1400, 1);
	take(&k, &nxt);
	wire_run(w, (AGE_S - 1) * 1000);
	wire_discard(w);
	assert_int_equal(length(&k, &nxt), 1400 - HLEN);
	wire_run(w, 2000);
	wire_discard(w);
	assert_int_equal(length(&k, &nxt), MSS);
	wire_close(w);
}

/* Long segments vanish and nobody says why: shorter ones are tried. */
static void
test_black_hole(void **state)
{
	static const struct {
		uint32_t mtu, found;
	} paths[] = {{1300, 1280}, {1280, 1280}, {1100, 1024}, {576, 552}};

	(void)state;
	for (unsigned i = 0; i < (wire_v6() ? 2 : RTE_DIM(paths)); i++) {
		struct wire_conn k;
		struct wire *w = open_one(&k);
		uint32_t nxt = 1;

		wire_write(&k, 3 * MSS);
		assert_true(swallow(&k, paths[i].mtu, 20000));
		assert_int_equal(wire_status(&k).mss, paths[i].found - HLEN + 12);
		assert_true(wire_stat(w, "black_holes") > 0);
		/* All of it arrives. */
		for (unsigned ms = 0; ms < 10000 && nxt != 1 + 3 * MSS; ms++) {
			wire_run(w, 1);
			if (wire_pending(w) > 0)
				assert_true(take(&k, &nxt) + HLEN <= paths[i].mtu);
		}
		wire_discard(w);
		wire_send(&k, ACK, 1, 1 + 3 * MSS, 0);
		nxt = 1 + 3 * MSS;
		wire_discard(w);
		/* .. and later it is tried whether that is still so. */
		assert_int_equal(length(&k, &nxt), paths[i].found - HLEN);
		wire_run(w, AGE_S * 1000);
		wire_discard(w);
		assert_int_equal(length(&k, &nxt), MSS);
		wire_close(w);
	}
}

/* The first step down from a path of more than Ethernet's: Ethernet's. */
static void
test_step_to_ethernet(void **state)
{
	static const struct wire_conf wide = {.service = {.read = true}, .mtu = 1900};
	struct wire *w = wire_open(&wide);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	k.mss = 1860;
	wire_accept(&k);
	wire_write(&k, 3 * 1848);
	wire_expect(&k, ACK, 1, 1, 1848);
	wire_discard(w);
	assert_true(swallow(&k, wire_v6() ? 1520 : 1500, 20000));
	assert_int_equal(wire_status(&k).mss, 1500 - (HLEN - 12));
	wire_discard(w);
	wire_close(w);
}

/* A FIN is all that is in flight: what a router says of it is believed, and there is no segment to be sent shorter. */
static void
test_told_of_fin(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_shutdown(&k);
	wire_expect(&k, FIN | ACK, 1, 1, 0);
	wire_icmp(&k, WIRE_TOO_BIG, 1400, 1);
	wire_silent(w);
	assert_int_equal(wire_stat(w, "path_mtu_falls"), 1);
	wire_close(w);
}

/* A peer that is just gone, and short segments, say nothing about the path. */
static void
test_no_black_hole(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&k);

	(void)state;
	wire_write(&k, 400);
	swallow(&k, 0, 30000);
	assert_int_equal(wire_stat(w, "black_holes"), 0);
	assert_true(wire_stat(w, "rto_fired") > 4);
	wire_close(w);
	/* Two timeouts are no proof. */
	w = open_one(&k);
	wire_write(&k, MSS);
	swallow(&k, 0, 200 + 400 + 300);
	assert_int_equal(wire_stat(w, "rto_fired"), 2);
	assert_int_equal(wire_stat(w, "black_holes"), 0);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_told_exactly),
		cmocka_unit_test(test_step_must_shorten),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_step_to_ethernet),
		cmocka_unit_test(test_told_of_fin),
		cmocka_unit_test(test_no_black_hole),
	};

	wire_args(argc, argv);
	test_eal("tcp_mtu");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
