/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the stack says by itself, and when: announcements, probes, router solicitations.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ip_priv.h"
#include "util.h"

static struct test_net net;
static uint8_t out[TEST_FRAME_MAX];

enum said {
	ARP,
	SOLICITATION,
	ADVERTISEMENT,
	MLD,
	ROUTER,
	SAIDS
};

/* When each was last said, in ms since the beginning, and how often; one of two interfaces. */
struct log {
	unsigned n[SAIDS], at_ms[SAIDS][8];
};

static int
setup(void **state)
{
	test_net_init(&net, 1);
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static void
with(uint16_t mtu, bool accept_ra)
{
	struct ip_ifc_conf conf = {.name = "one", .mtu = mtu, .accept_ra = accept_ra};

	memcpy(&conf.mac, test_mac_us, 6);
	test_net_ip_ifc(&net, &conf);
	assert_int_equal(ip_address_add(net.ip, 0, test_addr("10.77.0.2").b, 24), 0);
	conf.name = "two";
	conf.mac.addr_bytes[5] = 0x11;
	assert_int_equal(ip_ifc_add(net.ip, &conf), 1);
	assert_int_equal(ip_address_add(net.ip, 1, test_addr("192.0.2.2").b, 24), 0);
}

static enum said
what_was_said(void)
{
	if (out[13] == 6)
		return ARP;
	if (out[20] == 0)
		return MLD;
	return out[54] == 133 ? ROUTER : out[54] == 135 ? SOLICITATION : ADVERTISEMENT;
}

/* Listen for ms, with a tick every 50. */
static void
listen_for(unsigned ms, struct log *logs)
{
	struct rte_mbuf *m;
	unsigned ifc;

	memset(logs, 0, 2 * sizeof(*logs));
	for (unsigned t = 0; t <= ms; t += 50) {
		ip_tick(&net.w[0]);
		while ((m = test_net_sent(&net, &ifc)) != NULL) {
			enum said s;

			test_bytes(m, out);
			rte_pktmbuf_free(m);
			s = what_was_said();
			assert_true(logs[ifc].n[s] < 8);
			logs[ifc].at_ms[s][logs[ifc].n[s]++] = t;
		}
		test_net_advance(&net, 50000);
	}
}

static void
said_at(const struct log *l, enum said s, unsigned n, const unsigned *at_ms)
{
	assert_int_equal(l->n[s], n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(l->at_ms[s][i], at_ms[i]);
}

/* RFC 4862 section 5.4 and RFC 4861 section 6.3.7, on each interface: the groups joined, a probe, a second
 * later the groups and the address and a question for routers; two more of those, 4 s apart. RFC 5227: ARP twice. */
static void
both_versions(void **state)
{
	struct log logs[2];

	with(1500, true);
	ip_announce(&net.w[0]);
	listen_for(30000, logs);
	for (unsigned i = 0; i < 2; i++) {
		said_at(&logs[i], ARP, 2, (unsigned[]){0, 2000});
		said_at(&logs[i], MLD, 2, (unsigned[]){0, 1000});
		said_at(&logs[i], SOLICITATION, 1, (unsigned[]){0});
		said_at(&logs[i], ADVERTISEMENT, 2, (unsigned[]){1000, 3000});
		said_at(&logs[i], ROUTER, 3, (unsigned[]){1000, 5000, 9000});
	}
	/* The link was away: the address is still ours, and all hear of it. */
	ip_ifc_link(net.ip, 1, false);
	ip_ifc_link(net.ip, 1, true);
	listen_for(30000, logs);
	said_at(&logs[0], ARP, 0, NULL);
	said_at(&logs[1], ARP, 2, (unsigned[]){0, 2000});
	said_at(&logs[1], MLD, 1, (unsigned[]){0});
	said_at(&logs[1], SOLICITATION, 0, NULL);
	said_at(&logs[1], ADVERTISEMENT, 2, (unsigned[]){0, 2000});
	said_at(&logs[1], ROUTER, 3, (unsigned[]){1000, 5000, 9000});
}

/* An interface without IPv6 speaks of nothing but ARP; one that wants no routers asks for none. */
static void
one_version(void **state)
{
	struct log logs[2];

	with(1279, true);
	ip_announce(&net.w[0]);
	listen_for(20000, logs);
	for (unsigned i = 0; i < 2; i++) {
		said_at(&logs[i], ARP, 2, (unsigned[]){0, 2000});
		for (enum said s = SOLICITATION; s < SAIDS; s++)
			said_at(&logs[i], s, 0, NULL);
	}
}

static void
no_routers_wanted(void **state)
{
	struct log logs[2];

	with(1500, false);
	ip_announce(&net.w[0]);
	listen_for(20000, logs);
	for (unsigned i = 0; i < 2; i++) {
		said_at(&logs[i], ADVERTISEMENT, 2, (unsigned[]){1000, 3000});
		said_at(&logs[i], ROUTER, 0, NULL);
	}
}

/* One worker ticks at a time: who comes meanwhile leaves it to him. */
static void
one_at_a_time(void **state)
{
	struct log logs[2];

	with(1500, false);
	ip_ifc_link(net.ip, 0, false);
	ip_ifc_link(net.ip, 0, true);
	rte_spinlock_lock(&net.ip->tick_lock);
	listen_for(1000, logs);
	said_at(&logs[0], ARP, 0, NULL);
	rte_spinlock_unlock(&net.ip->tick_lock);
	listen_for(1000, logs);
	said_at(&logs[0], ARP, 1, (unsigned[]){0});
	assert_int_equal(rte_spinlock_is_locked(&net.ip->tick_lock), 0);
}

/* A message about an IPv6 address of the first interface comes in by interface ifc. */
static void
hear(unsigned ifc, uint8_t type)
{
	static struct test_frame f;
	struct test_addr ours = test_addr("fd77::2"), all = test_addr("ff02::1:ff00:2");
	uint8_t b[24] = {type, 0, 0, 0, type == 136 ? 0x20 : 0};
	struct rte_mbuf *m, *up = NULL;

	memcpy(b + 8, ours.b, 16);
	test_frame_icmp(&f, type == 136 ? test_addr("fd77::9") : test_addr("::"), all, 255, b, 24);
	memcpy(f.b, "\x33\x33\xff\0\0\2", 6);
	m = test_mbuf(net.mp, f.b, f.len);
	assert_int_equal(ip_input_burst(&net.w[0], ifc, &m, 1, &up), 0);
}

/* RFC 4862 section 5.4: a duplicate is one on the same link, nowhere else. */
static void
duplicates_of_a_link(void **state)
{
	static const uint8_t types[] = {135, 136};

	for (unsigned i = 0; i < 4; i++) {
		struct ip_ifc_info info;

		teardown(state);
		setup(state);
		with(1500, false);
		assert_int_equal(ip_address_add(net.ip, 0, test_addr("fd77::2").b, 64), 0);
		assert_int_equal(ip_address_add(net.ip, 1, test_addr("fd88::2").b, 64), 0);
		ip_announce(&net.w[0]);
		hear(i & 1, types[i >> 1]);
		ip_ifc_info(net.ip, 0, &info);
		assert_int_equal(info.addrs[2].duplicate, (i & 1) == 0);
		assert_int_equal(info.addrs[2].tentative, (i & 1) != 0);
		assert_int_equal(net.w[0].c.consumed, 1);
		/* Once it is ours nobody on another link hears of it, either. */
		test_net_advance(&net, 1000000);
		ip_tick(&net.w[0]);
		test_net_discard(&net);
		hear(1, 135);
		assert_int_equal(test_net_discard(&net), 0);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_versions),
		T(one_version),
		T(no_routers_wanted),
		T(one_at_a_time),
		T(duplicates_of_a_link),
	};

	test_eal("ip_tick");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
