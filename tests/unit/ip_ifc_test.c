/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Interfaces and our addresses: what may be one, what is told of them, which one speaks to whom.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ip_priv.h"
#include "util.h"

static struct test_net net;
static struct test_frame f;
static const struct test_addr any6;

static int
setup(void **state)
{
	test_net_init(&net, 2);
	test_net_ip(&net, NULL);
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static struct ip_ifc_conf
conf(const char *name)
{
	struct ip_ifc_conf c = {.name = name, .mtu = 1500, .off = {.multi_segs = true}};

	memcpy(&c.mac, "\xa4\x12\x34\x56\x78\x9a", 6);
	return c;
}

static int
add(unsigned ifc, const char *addr, uint8_t len)
{
	return ip_address_add(net.ip, ifc, test_addr(addr).b, len);
}

/* RFC 4291 appendix A: fe80::/64, the MAC with its universal bit turned and fffe in the middle. */
static void
link_local_from_mac(void **state)
{
	struct ip_ifc_conf c = conf("wan");
	struct ip_ifc_info info;

	assert_int_equal(ip_ifc_add(net.ip, &c), 1);
	ip_ifc_info(net.ip, 1, &info);
	assert_int_equal(info.naddrs, 1);
	assert_memory_equal(info.addrs[0].addr, test_addr("fe80::a612:34ff:fe56:789a").b, 16);
	assert_int_equal(info.addrs[0].prefix_len, 64);
	/* RFC 8200 section 5: IPv6 from 1280 on. */
	c.name = "least";
	c.mtu = 1280;
	assert_int_equal(ip_ifc_add(net.ip, &c), 2);
	ip_ifc_info(net.ip, 2, &info);
	assert_int_equal(info.naddrs, 1);
	assert_int_equal(add(2, "fd99::1", 64), 0);
	c.name = "less";
	c.mtu = 1279;
	assert_int_equal(ip_ifc_add(net.ip, &c), 3);
	ip_ifc_info(net.ip, 3, &info);
	assert_int_equal(info.naddrs, 0);
	assert_int_equal(add(3, "fd98::1", 64), -EINVAL);
}

static void
limits_of_an_interface(void **state)
{
	struct ip_ifc_conf c = conf("a name that is 31 characters ok");
	struct ip_ifc_info info;

	assert_int_equal(strlen(c.name), 31);
	c.mtu = 576; /* RFC 791: every host takes so much */
	c.vlan = 4094;
	assert_int_equal(ip_ifc_add(net.ip, &c), 1);
	ip_ifc_info(net.ip, 1, &info);
	assert_string_equal(info.name, c.name);
	assert_int_equal(info.mtu, 576);
	assert_int_equal(info.vlan, 4094);
	assert_memory_equal(&info.mac, &c.mac, 6);
	assert_true(info.up);
	assert_int_equal(ip_ifc_add(net.ip, &c), -EEXIST);
	c = conf("a name that is 32 characters, no");
	assert_int_equal(strlen(c.name), 32);
	assert_int_equal(ip_ifc_add(net.ip, &c), -EINVAL);
	c = conf("x");
	c.vlan = 4095;
	assert_int_equal(ip_ifc_add(net.ip, &c), -EINVAL);
	c = conf("x");
	c.mac.addr_bytes[0] = 1;
	assert_int_equal(ip_ifc_add(net.ip, &c), -EINVAL);
	assert_int_equal(ip_ifc_count(net.ip), 2);
}

/* RFC 1122 section 3.2.1.3, RFC 4291: what can be a host's address. */
static void
limits_of_an_address(void **state)
{
	static const struct {
		const char *addr;
		uint8_t len;
		int want;
	} cases[] = {{"1.0.0.1", 8, 0}, {"0.255.255.255", 8, -EINVAL}, {"126.0.0.1", 8, 0},
		{"127.1.2.3", 8, -EINVAL}, {"128.0.0.1", 16, 0}, {"223.255.255.254", 24, 0},
		{"224.0.0.1", 24, -EINVAL}, {"255.255.255.255", 32, -EINVAL}, {"10.1.0.1", 32, 0},
		{"10.1.0.2", 33, -EINVAL}, {"10.1.0.3", 0, 0}, {"2001:db8::1", 128, 0},
		{"2001:db8::2", 129, -EINVAL}, {"::1", 128, -EINVAL}, {"::2", 128, 0},
		{"ff05::1", 64, -EINVAL}, {"feff::1", 64, 0}, {"fd77:ff00::1", 64, 0}};

	for (unsigned i = 0; i < RTE_DIM(cases); i++)
		assert_int_equal(add(0, cases[i].addr, cases[i].len), cases[i].want);
	assert_int_equal(ip_address_add(net.ip, 0, any6.b, 64), -EINVAL);
	assert_int_equal(add(1, "10.2.0.1", 24), -EINVAL); /* there is no such interface */
}

static void
udp_to(struct test_addr dst)
{
	test_frame_udp(&f, test_addr("10.78.0.9"), dst, 1, 2, NULL, 0);
}

static void
is_group(const char *addr, bool want)
{
	struct rte_mbuf *m;

	udp_to(test_addr(addr));
	if (!want) {
		test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
		return;
	}
	m = test_expect_up(&net, &f, PKT_UDP);
	assert_int_equal(pkt_of(m)->flags, PKT_GROUP);
	rte_pktmbuf_free(m);
}

/* RFC 1122 section 3.3.6; /31 and /32 have no broadcast address (RFC 3021). */
static void
broadcast_addresses(void **state)
{
	assert_int_equal(add(0, "10.80.0.5", 30), 0);
	assert_int_equal(add(0, "10.81.0.4", 31), 0);
	assert_int_equal(add(0, "10.82.0.4", 32), 0);
	assert_int_equal(add(0, "10.83.64.1", 18), 0);
	is_group("10.80.0.4", true);
	is_group("10.80.0.7", true);
	is_group("10.80.0.3", false);
	is_group("10.80.0.8", false);
	is_group("10.80.0.6", false);
	is_group("10.81.0.5", false);
	is_group("10.82.0.5", false);
	is_group("10.83.64.0", true);
	is_group("10.83.127.255", true);
	is_group("10.83.63.255", false);
	is_group("10.83.127.254", false);
	is_group("10.77.0.255", true);
	is_group("255.255.255.255", true);
	is_group("255.255.255.254", false);
}

/* All places of the table of our addresses, collisions too: each is ours, no other is. */
static void
hundreds_of_addresses(void **state)
{
	char text[32];

	for (unsigned i = 1; i < WORKER_IFC_MAX; i++) {
		struct ip_ifc_conf c = conf(text);

		snprintf(text, sizeof(text), "i%u", i);
		c.mac.addr_bytes[5] = (uint8_t)i;
		assert_int_equal(ip_ifc_add(net.ip, &c), i);
		for (unsigned a = 1; a < 16; a++) {
			snprintf(text, sizeof(text), a % 2 != 0 ? "10.%u.0.%u" : "fd%02x::%x:1",
				100 + i, a);
			assert_int_equal(add(i, text, a % 2 != 0 ? 24 : 64), 0);
		}
		assert_int_equal(add(i, "10.3.0.1", 24), -ENOSPC);
	}
	for (unsigned i = 1; i < WORKER_IFC_MAX; i++) {
		for (unsigned a = 1; a < 18; a++) {
			snprintf(text, sizeof(text), a % 2 != 0 ? "10.%u.0.%u" : "fd%02x::%x:1",
				100 + i, a);
			assert_int_equal(ip_is_ours(net.ip, test_addr(text).b), a < 16);
		}
		snprintf(text, sizeof(text), "fe80::a612:34ff:fe56:78%02x", i);
		assert_true(ip_is_ours(net.ip, test_addr(text).b));
		/* A link-local address is one interface's. */
		assert_non_null(ip_addr_find(net.ip, test_addr(text).b, i));
		assert_null(ip_addr_find(net.ip, test_addr(text).b, i - 1));
	}
	assert_true(ip_is_ours(net.ip, test_addr("10.77.0.2").b));
	assert_true(ip_is_ours(net.ip, test_addr("fe80::ff:fe00:1").b));
	assert_false(ip_is_ours(net.ip, test_addr("fe80::a612:34ff:fe56:78ff").b));
}

/* An address of ours is found whatever its last byte, which most others are told by. */
static void
any_last_byte(void **state)
{
	static const char *const ours[] = {
		"10.77.0.39", "10.77.0.128", "10.77.0.255", "fd77::ff3f"};

	for (unsigned i = 0; i < RTE_DIM(ours); i++) {
		assert_null(ip_addr_find(net.ip, test_addr(ours[i]).b, 0));
		assert_int_equal(add(0, ours[i], strchr(ours[i], ':') != NULL ? 64 : 16), 0);
		assert_non_null(ip_addr_find(net.ip, test_addr(ours[i]).b, 0));
	}
}

/* The same link-local address on two interfaces, tentative on the first: it is ours by the second. */
static void
link_local_of_any_interface(void **state)
{
	struct ip_ifc_conf c = conf("twin");
	struct test_addr local = test_addr("fe80::ff:fe00:1");

	memcpy(&c.mac, test_mac_us, 6);
	assert_int_equal(ip_ifc_add(net.ip, &c), 1);
	ip_ifc_link(net.ip, 1, false);
	ip_announce(&net.w[0]);
	test_net_discard(&net);
	assert_false(ip_addr_usable(net.ip, local.b, 0));
	assert_true(ip_addr_usable(net.ip, local.b, 1));
	assert_true(ip_is_ours(net.ip, local.b));
	assert_false(ip_is_ours(net.ip, test_addr("fd77::2").b));
}

static void
common_bits(void **state)
{
	struct test_addr a = test_addr("fd77::5a"), b;

	assert_int_equal(ip_common_bits(a.b, a.b), 128);
	for (unsigned bit = 0; bit < 128; bit++) {
		b = a;
		b.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		assert_int_equal(ip_common_bits(a.b, b.b), bit);
		if (bit + 8 < 128)
			b.b[bit / 8 + 1] ^= 0xff; /* what comes later does not count */
		assert_int_equal(ip_common_bits(a.b, b.b), bit);
	}
}

static void
on_link(void **state)
{
	const struct ip_ifc *ifc = &net.ip->ifcs[0];

	assert_true(ip_on_link(ifc, test_addr("10.77.0.0").b));
	assert_true(ip_on_link(ifc, test_addr("10.77.0.255").b));
	assert_false(ip_on_link(ifc, test_addr("10.77.1.0").b));
	assert_false(ip_on_link(ifc, test_addr("10.76.255.255").b));
	assert_true(ip_on_link(ifc, test_addr("fd77::ffff:ffff:ffff:ffff").b));
	assert_false(ip_on_link(ifc, test_addr("fd77:0:0:1::").b));
	assert_true(ip_on_link(ifc, test_addr("fe80::99").b));
	assert_false(ip_on_link(ifc, test_addr("fe80:0:0:1::99").b));
	/* A short IPv6 prefix does not take in the mapped addresses. */
	assert_int_equal(add(0, "::5", 8), 0);
	assert_false(ip_on_link(ifc, test_addr("10.79.0.1").b));
	assert_true(ip_on_link(ifc, test_addr("ff::1").b));
	assert_int_equal(add(0, "10.99.0.7", 32), 0);
	assert_true(ip_on_link(ifc, test_addr("10.99.0.7").b));
	assert_false(ip_on_link(ifc, test_addr("10.99.0.6").b));
}

static void
speaks_to(const char *to, const char *want)
{
	const struct ip_addr *a = ip_ifc_source(&net.ip->ifcs[0], test_addr(to).b);

	assert_non_null(a);
	assert_memory_equal(a->addr, test_addr(want).b, 16);
}

/* RFC 6724 rules 2 (scope) and 8 (longest match). */
static void
source_by_scope_and_match(void **state)
{
	struct ip_ifc_conf c = conf("v6 only");

	assert_int_equal(add(0, "fd88::2", 64), 0);
	assert_int_equal(add(0, "10.88.0.2", 24), 0);
	assert_int_equal(add(0, "febf::2", 64), 0);
	speaks_to("fe80::9", "fe80::ff:fe00:1");
	speaks_to("febf::9", "febf::2");
	speaks_to("ff02::1", "fe80::ff:fe00:1"); /* of this link: from an address of this link */
	speaks_to("ff12::1", "fe80::ff:fe00:1");
	speaks_to("ff05::1", "fd77::2"); /* of the site */
	speaks_to("fe00::9", "fd77::2"); /* shares more bits with link-local ones, but is none */
	speaks_to("fd88::9", "fd88::2");
	speaks_to("fd77::9", "fd77::2");
	speaks_to("10.88.0.9", "10.88.0.2");
	speaks_to("10.77.0.9", "10.77.0.2");
	/* Nothing else there: link-local even for a far peer; nothing at all for IPv4. */
	assert_int_equal(ip_ifc_add(net.ip, &c), 1);
	assert_non_null(ip_ifc_source(&net.ip->ifcs[1], test_addr("2600::1").b));
	assert_null(ip_ifc_source(&net.ip->ifcs[1], test_addr("10.0.0.1").b));
}

/* Sums over all workers, the control thread's share among them. */
static void
counters(void **state)
{
	struct rte_mbuf *m, *up = NULL;
	struct ip_ifc_info info;

	udp_to(test_addr("10.77.0.2"));
	for (unsigned i = 0; i < 2; i++) {
		m = test_mbuf(net.mp, f.b, f.len);
		assert_int_equal(ip_input_burst(&net.w[i], 0, &m, 1, &up), 1);
		net.w[i].c.delivered++;
		rte_pktmbuf_free(up);
	}
	test_frame_arp(&f, 1, test_addr("10.77.0.9"), test_mac_peer, test_addr("10.77.0.2"),
		test_mac_broadcast);
	test_expect_consumed(&net, &f);
	worker_flush(&net.w[0]); /* sent is what the port was given */
	ip_ifc_info(net.ip, 0, &info);
	assert_int_equal(info.rx_packets, 3);
	assert_int_equal(info.rx_bytes, 42 * 3);
	assert_int_equal(info.tx_packets, 1);
	assert_int_equal(info.tx_bytes, 42);
	net.w[1].id = 2; /* as the control thread's */
	udp_to(test_addr("10.77.0.2"));
	m = test_mbuf(net.mp, f.b, f.len);
	net.w[1].id = WORKER_MAX;
	assert_int_equal(ip_input_burst(&net.w[1], 0, &m, 1, &up), 1);
	net.w[1].c.delivered++;
	rte_pktmbuf_free(up);
	ip_ifc_info(net.ip, 0, &info);
	assert_int_equal(info.rx_packets, 4);
	assert_int_equal(info.rx_bytes, 42 * 4);
}

static void
states_of_addresses(void **state)
{
	struct ip_ifc_info info;

	ip_ifc_info(net.ip, 0, &info);
	assert_int_equal(info.naddrs, 3);
	assert_memory_equal(info.addrs[1].addr, test_addr("10.77.0.2").b, 16);
	assert_int_equal(info.addrs[1].prefix_len, 24);
	assert_false(info.addrs[2].tentative);
	assert_false(info.addrs[2].duplicate);
	ip_announce(&net.w[0]);
	test_net_discard(&net);
	ip_ifc_info(net.ip, 0, &info);
	assert_false(info.addrs[1].tentative); /* IPv4 is not probed for */
	assert_true(info.addrs[2].tentative);
	assert_false(info.addrs[2].duplicate);
}

/* Only a link that was down comes up: then all is announced again. */
static void
link_changes(void **state)
{
	ip_ifc_link(net.ip, 0, true);
	ip_tick(&net.w[0]);
	assert_int_equal(test_net_discard(&net), 0);
	ip_ifc_link(net.ip, 0, false);
	ip_ifc_link(net.ip, 0, false);
	ip_tick(&net.w[0]);
	assert_int_equal(test_net_discard(&net), 0);
	ip_ifc_link(net.ip, 0, true);
	ip_tick(&net.w[0]);
	assert_true(test_net_discard(&net) > 0);
	ip_tick(&net.w[0]);
	assert_int_equal(test_net_discard(&net), 0);
}

/* A path that was never made has number 0, so no change may be counted as 0. */
static void
changes_are_never_number_zero(void **state)
{
	struct key k = {.proto = IPPROTO_UDP};
	struct path p = {0};

	memcpy(k.laddr, test_addr("10.77.0.2").b, 16);
	memcpy(k.raddr, test_addr("10.77.0.9").b, 16);
	atomic_store(&net.ip->gen, UINT32_MAX - 1);
	assert_int_equal(add(0, "10.90.0.1", 24), 0);
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.gen, UINT32_MAX);
	assert_int_equal(add(0, "10.91.0.1", 24), 0);
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.gen, 1);
	assert_int_equal(add(0, "10.92.0.1", 24), 0);
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.gen, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(link_local_from_mac),
		T(any_last_byte),
		T(limits_of_an_interface),
		T(limits_of_an_address),
		T(broadcast_addresses),
		T(hundreds_of_addresses),
		T(link_local_of_any_interface),
		T(common_bits),
		T(on_link),
		T(source_by_scope_and_match),
		T(counters),
		T(states_of_addresses),
		T(link_changes),
		T(changes_are_never_number_zero),
	};

	test_eal("ip_ifc");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
