/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Neighbour discovery: RFC 4861, RFC 4862; MLD reports.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util.h"

static struct test_net net;
static struct test_frame f;
static uint8_t out[TEST_FRAME_MAX];
static struct test_addr us, peer, local, peer_local, any, all;
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 9};

static int
setup_net(bool accept_ra)
{
	struct ip_ifc_conf conf = {
		.name = "lan", .mtu = 1500, .accept_ra = accept_ra, .off = {.multi_segs = true}};

	us = test_addr("fd77::2");
	peer = test_addr("fd77::9");
	local = test_addr("fe80::ff:fe00:1");
	peer_local = test_addr("fe80::9");
	any = test_addr("::");
	all = test_addr("ff02::1");
	memcpy(&conf.mac, test_mac_us, 6);
	test_net_init(&net, 1);
	test_net_ip_ifc(&net, &conf);
	assert_int_equal(ip_address_add(net.ip, 0, us.b, 64), 0);
	return 0;
}

static int
setup(void **state)
{
	return setup_net(false);
}

static int
setup_ra(void **state)
{
	return setup_net(true);
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

/* A message with a target, flags and an option (type 0: none), from MAC mac. */
static void
message(struct test_addr src, struct test_addr dst, uint8_t type, uint8_t flags,
	struct test_addr target, uint8_t option, const uint8_t *mac)
{
	uint8_t b[32] = {type, 0, 0, 0, flags};

	memcpy(b + 8, target.b, 16);
	b[24] = option;
	b[25] = 1;
	if (option != 0)
		memcpy(b + 26, mac, 6);
	test_frame_icmp(&f, src, dst, 255, b, option != 0 ? 32 : 24);
	memcpy(f.b + 6, mac != NULL ? mac : test_mac_peer, 6);
	if (dst.b[0] == 0xff) {
		f.b[0] = f.b[1] = 0x33;
		memcpy(f.b + 2, dst.b + 12, 4);
	}
}

static void
solicit(struct test_addr src, struct test_addr dst, struct test_addr target, const uint8_t *mac)
{
	message(src, dst, 135, 0, target, mac != NULL, mac);
}

static void
advertise(struct test_addr target, struct test_addr dst, uint8_t flags, const uint8_t *mac)
{
	message(target, dst, 136, flags, target, mac != NULL ? 2 : 0, mac);
}

static struct test_addr
solicited_node(struct test_addr a)
{
	struct test_addr g = test_addr("ff02::1:ff00:0");

	memcpy(g.b + 13, a.b + 13, 3);
	return g;
}

/* The next packet sent is this message, from our MAC. */
static void
expect_message(struct test_addr src, struct test_addr dst, const uint8_t *dst_mac, uint8_t type,
	uint8_t flags, struct test_addr target, uint8_t option)
{
	size_t len = test_expect_sent(&net, out);

	message(src, dst, type, flags, target, option, test_mac_us);
	if (dst_mac != NULL)
		memcpy(f.b, dst_mac, 6);
	assert_int_equal(len, f.len);
	assert_memory_equal(out, f.b, len);
}

static void
expect_nothing(void)
{
	assert_null(test_net_sent(&net, NULL));
}

static int
send_udp(struct test_addr to, struct test_addr from)
{
	struct key k = {.proto = IPPROTO_UDP};
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};
	struct rte_mbuf *m = test_mbuf(net.mp, "\0\7\0\11\0\10\0\0", 8);

	memset(pkt_of(m), 0, sizeof(struct pkt));
	memcpy(k.raddr, to.b, 16);
	memcpy(k.laddr, from.b, 16);
	k.zone = to.b[0] == 0xfe || from.b[0] == 0xfe;
	return ip_output(&net.w[0], NULL, &k, m, &tx);
}

static void
expect_data_to(const uint8_t mac[6])
{
	assert_int_equal(test_expect_sent(&net, out), 62);
	assert_memory_equal(out, mac, 6);
	assert_true(test_l4_cksum_ok(out + 14, 48));
}

static void
solicitation_is_answered(void **state)
{
	solicit(peer, solicited_node(us), us, test_mac_peer);
	test_expect_consumed(&net, &f);
	expect_message(us, peer, test_mac_peer, 136, 0x60, us, 2);
	expect_nothing();
	assert_int_equal(send_udp(peer, us), 0);
	expect_data_to(test_mac_peer);
	/* Without an option, as a probe of reachability: to where it came from. */
	solicit(peer, us, us, NULL);
	test_expect_consumed(&net, &f);
	expect_message(us, peer, test_mac_peer, 136, 0x60, us, 2);
	/* For the link-local address. */
	solicit(peer_local, solicited_node(local), local, test_mac_peer);
	test_expect_consumed(&net, &f);
	expect_message(local, peer_local, test_mac_peer, 136, 0x60, local, 2);
	assert_int_equal(send_udp(peer_local, local), 0);
	expect_data_to(test_mac_peer);
}

static void
dad_of_others_is_answered(void **state)
{
	struct test_addr long_one = test_addr("fd77::4d:1234");

	solicit(any, solicited_node(us), us, NULL);
	test_expect_consumed(&net, &f);
	expect_message(us, all, NULL, 136, 0x20, us, 2);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
	assert_int_equal(ip_address_add(net.ip, 0, long_one.b, 64), 0);
	solicit(any, solicited_node(long_one), long_one, NULL);
	test_expect_consumed(&net, &f);
	expect_message(long_one, all, NULL, 136, 0x20, long_one, 2);
}

static void
others_are_not_answered(void **state)
{
	solicit(peer, solicited_node(us), test_addr("fd77::1:2"), test_mac_peer);
	test_expect_consumed(&net, &f);
	solicit(test_addr("2001:db8::9"), solicited_node(us), us, test_mac_peer);
	test_expect_consumed(&net, &f);
	expect_nothing();
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
}

static void
resolution(void **state)
{
	assert_int_equal(send_udp(peer, us), 0);
	expect_message(us, solicited_node(peer), NULL, 135, 0, peer, 1);
	expect_nothing();
	advertise(peer, us, 0x60, test_mac_peer);
	test_expect_consumed(&net, &f);
	expect_data_to(test_mac_peer);
	expect_nothing();
}

/* RFC 4861 section 7.2.5, row by row. */
static void
advertisements_teach(void **state)
{
	/* Unasked: no entry. */
	advertise(peer, all, 0x20, test_mac_peer);
	test_expect_consumed(&net, &f);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
	/* Incomplete: without a MAC it stays so; with one, unsolicited too, it resolves. */
	assert_int_equal(send_udp(peer, us), 0);
	assert_int_equal(test_net_discard(&net), 1);
	advertise(peer, us, 0x60, NULL);
	test_expect_consumed(&net, &f);
	expect_nothing();
	advertise(peer, all, 0, test_mac_peer);
	test_expect_consumed(&net, &f);
	expect_data_to(test_mac_peer);
	/* Another MAC without override: not taken. */
	advertise(peer, us, 0x40, other_mac);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(peer, us), 0);
	expect_data_to(test_mac_peer);
	/* With override: taken, at once. */
	advertise(peer, all, 0x20, other_mac);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(peer, us), 0);
	expect_data_to(other_mac);
}

static void
malformed(void **state)
{
	static const uint8_t group_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

	solicit(peer, us, us, test_mac_peer);
	f.b[21] = 254;
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* from off the link */
	solicit(peer, us, us, test_mac_peer);
	f.b[55] = 1;
	test_frame_l4_cksum(&f);
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* code */
	solicit(peer, us, all, test_mac_peer);
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* multicast target */
	solicit(any, us, us, NULL);
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* DAD, but to a host */
	solicit(any, solicited_node(us), us, test_mac_peer);
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* DAD with a MAC */
	solicit(peer, us, us, group_mac);
	memcpy(f.b + 6, test_mac_peer, 6);
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	solicit(peer, us, us, test_mac_peer);
	f.b[79] = 0;
	test_frame_l4_cksum(&f);
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* option without length */
	f.b[79] = 2;
	test_frame_l4_cksum(&f);
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* option past the end */
	advertise(peer, all, 0x60, test_mac_peer);
	test_expect_drop(&net, &f, DROP_NDP_BAD); /* solicited, but to all */
	advertise(all, us, 0x60, test_mac_peer);
	memcpy(f.b + 22, peer.b, 16);
	test_frame_l4_cksum(&f);
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
}

static void
cut_and_split_at_every_byte(void **state)
{
	solicit(peer, us, us, test_mac_peer);
	for (size_t cut = 0; cut <= f.len; cut++) {
		struct rte_mbuf *m = test_mbuf_cut(net.mp, f.b, f.len, &cut, 1), *up = NULL;

		assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
		assert_int_equal(test_expect_sent(&net, out), 86);
		assert_int_equal(out[54], 136);
	}
	for (f.len = 54 + 8; f.len < 86; f.len++) {
		f.b[19] = (uint8_t)(f.len - 54);
		test_frame_l4_cksum(&f);
		if (f.len != 54 + 24) /* that is whole, without an option */
			test_expect_drop(&net, &f, DROP_NDP_BAD);
	}
}

static bool
tentative(struct test_addr a, bool *ret_duplicate)
{
	struct ip_ifc_info info;

	ip_ifc_info(net.ip, 0, &info);
	for (unsigned i = 0; i < info.naddrs; i++) {
		if (memcmp(info.addrs[i].addr, a.b, 16) == 0) {
			*ret_duplicate = info.addrs[i].duplicate;
			return info.addrs[i].tentative;
		}
	}
	fail();
	return false;
}

/* RFC 4862 section 5.4: one probe, a second of silence; meanwhile the address is not used. */
static void
duplicate_address_detection(void **state)
{
	static const uint8_t report_mac[6] = {0x33, 0x33, 0, 0, 0, 0x16};
	uint8_t echo[8] = {128};
	bool duplicate;

	ip_announce(&net.w[0]);
	/* MLD first: or a snooping switch keeps the answers from us. */
	assert_int_equal(test_expect_sent(&net, out), 14 + 40 + 8 + 8 + 2 * 20);
	assert_memory_equal(out, report_mac, 6);
	assert_int_equal(out[20], 0);
	assert_int_equal(out[21], 1);
	assert_memory_equal(out + 54, "\x3a\0\5\2\0\0\1\0", 8);
	assert_int_equal(out[62], 143);
	assert_memory_equal(out + 22, any.b, 16);
	expect_message(any, solicited_node(local), NULL, 135, 0, local, 0);
	expect_message(any, solicited_node(us), NULL, 135, 0, us, 0);
	expect_nothing();
	assert_true(tentative(us, &duplicate));
	assert_false(ip_is_ours(net.ip, us.b));
	test_frame_icmp(&f, peer, us, 64, echo, 8);
	test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
	assert_int_equal(send_udp(peer, us), -EADDRNOTAVAIL);
	/* A solicitation for it is not answered. */
	solicit(peer, solicited_node(us), us, test_mac_peer);
	test_expect_consumed(&net, &f);
	expect_nothing();
	test_net_advance(&net, 999000);
	ip_tick(&net.w[0]);
	assert_true(tentative(us, &duplicate));
	test_net_advance(&net, 2000);
	ip_tick(&net.w[0]);
	assert_false(tentative(us, &duplicate));
	assert_false(duplicate);
	assert_true(ip_is_ours(net.ip, us.b));
	/* RFC 3590: now the report has a source. */
	assert_int_equal(test_expect_sent(&net, out), 14 + 40 + 8 + 8 + 2 * 20);
	assert_memory_equal(out + 22, local.b, 16);
	expect_message(local, all, NULL, 136, 0x20, local, 2);
	expect_message(us, all, NULL, 136, 0x20, us, 2);
	expect_nothing();
	solicit(peer, solicited_node(us), us, test_mac_peer);
	test_expect_consumed(&net, &f);
	expect_message(us, peer, test_mac_peer, 136, 0x60, us, 2);
}

static void
duplicate(bool by_advertisement)
{
	bool is_duplicate;

	ip_announce(&net.w[0]);
	test_net_discard(&net);
	/* Our own probe, come back: no conflict. */
	message(any, solicited_node(us), 135, 0, us, 0, test_mac_us);
	test_expect_consumed(&net, &f);
	assert_true(tentative(us, &is_duplicate));
	if (by_advertisement)
		advertise(us, all, 0x20, test_mac_peer);
	else
		solicit(any, solicited_node(us), us, NULL);
	test_expect_consumed(&net, &f);
	assert_false(tentative(us, &is_duplicate));
	assert_true(is_duplicate);
	test_net_advance(&net, 5000000);
	ip_tick(&net.w[0]);
	assert_false(ip_is_ours(net.ip, us.b));
	assert_true(ip_is_ours(net.ip, local.b));
	assert_int_equal(send_udp(peer, us), -EADDRNOTAVAIL);
	assert_int_equal(test_ip_stat(&net, "ndp_dad_failures"), 1);
	/* When the link comes back it is tried again. */
	ip_ifc_link(net.ip, 0, false);
	ip_ifc_link(net.ip, 0, true);
	ip_tick(&net.w[0]);
	assert_true(tentative(us, &is_duplicate));
	assert_true(ip_is_ours(net.ip, local.b));
	test_net_advance(&net, 1100000);
	ip_tick(&net.w[0]);
	assert_true(ip_is_ours(net.ip, us.b));
}

static void
duplicate_by_advertisement(void **state)
{
	duplicate(true);
}

static void
duplicate_by_probe(void **state)
{
	duplicate(false);
}

/* A link that is down when all begins: everything follows when it comes up. */
static void
announcing_waits_for_the_link(void **state)
{
	bool is_duplicate;

	ip_ifc_link(net.ip, 0, false);
	ip_announce(&net.w[0]);
	test_net_advance(&net, 3000000);
	ip_tick(&net.w[0]);
	expect_nothing();
	ip_ifc_link(net.ip, 0, true);
	ip_tick(&net.w[0]);
	assert_true(tentative(us, &is_duplicate));
	assert_int_equal(test_net_discard(&net), 3);
	test_net_advance(&net, 1100000);
	ip_tick(&net.w[0]);
	assert_true(ip_is_ours(net.ip, us.b));
}

/* A router advertisement; lifetime in seconds. */
static void
router(struct test_addr src, uint16_t lifetime, const uint8_t *mac)
{
	uint8_t b[24] = {134, 0, 0, 0, 64, 0, (uint8_t)(lifetime >> 8), (uint8_t)lifetime};

	b[16] = 1;
	b[17] = 1;
	if (mac != NULL)
		memcpy(b + 18, mac, 6);
	test_frame_icmp(&f, src, all, 255, b, mac != NULL ? 24 : 16);
	memcpy(f.b, "\x33\x33\0\0\0\1", 6);
}

static void
router_is_used_as_long_as_it_lives(void **state)
{
	struct test_addr far = test_addr("2001:db8::1");

	assert_int_equal(send_udp(far, us), -ENETUNREACH);
	router(peer_local, 1800, test_mac_peer);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(far, us), 0);
	expect_data_to(test_mac_peer);
	/* Another one does not push it aside. */
	router(test_addr("fe80::8"), 1800, other_mac);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(far, us), 0);
	expect_data_to(test_mac_peer);
	/* It says that it is none any more. */
	router(peer_local, 0, test_mac_peer);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(far, us), -ENETUNREACH);
	/* Its time runs out. */
	router(test_addr("fe80::8"), 30, other_mac);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(far, us), 0);
	expect_data_to(other_mac);
	test_net_advance(&net, 29000000);
	ip_tick(&net.w[0]);
	test_net_discard(&net);
	assert_int_equal(send_udp(far, us), 0);
	test_net_advance(&net, 1100000);
	ip_tick(&net.w[0]);
	assert_int_equal(send_udp(far, us), -ENETUNREACH);
}

/* An advertisement with an MTU option. */
static void
router_mtu(uint32_t mtu)
{
	uint8_t b[24] = {134, 0, 0, 0, 64, 0, 7, 8, [16] = 5, [17] = 1};

	for (unsigned i = 0; i < 4; i++)
		b[20 + i] = (uint8_t)(mtu >> (24 - 8 * i));
	test_frame_icmp(&f, peer_local, all, 255, b, sizeof(b));
	memcpy(f.b, "\x33\x33\0\0\0\1", 6);
	test_expect_consumed(&net, &f);
}

static uint16_t
path_mtu(const struct key *k, struct path *p)
{
	assert_int_equal(ip_path(&net.w[0], k, p), 0);
	return p->mtu;
}

/* RFC 4861 section 6.3.4: what the router says of the link goes for all IPv6 paths over it, and for no others. */
static void
router_tells_the_mtu(void **state)
{
	struct key k6 = {.proto = 17}, k4 = {.proto = 17};
	struct test_addr our4 = test_addr("10.77.0.2");
	struct path p6 = {0}, p4 = {0}, fresh = {0};

	memcpy(k6.laddr, us.b, 16);
	memcpy(k6.raddr, peer.b, 16);
	assert_int_equal(ip_address_add(net.ip, 0, our4.b, 24), 0);
	memcpy(k4.laddr, our4.b, 16);
	memcpy(k4.raddr, test_addr("10.77.0.9").b, 16);
	assert_int_equal(path_mtu(&k6, &p6), 1500);
	router_mtu(1279); /* less than IPv6 can do with */
	router_mtu(1501); /* more than the link takes */
	assert_int_equal(path_mtu(&k6, &p6), 1500);
	router_mtu(1400);
	assert_int_equal(path_mtu(&k6, &p6), 1400);
	assert_int_equal(path_mtu(&k4, &p4), 1500);
	router_mtu(1500);
	assert_int_equal(path_mtu(&k6, &fresh), 1500);
	router_mtu(1280);
	assert_int_equal(path_mtu(&k6, &p6), 1280);
}

static void
bad_router_advertisements(void **state)
{
	router(peer, 1800, test_mac_peer); /* not link-local */
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	router(peer_local, 1800, test_mac_peer);
	f.b[21] = 64;
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	assert_int_equal(send_udp(test_addr("2001:db8::1"), us), -ENETUNREACH);
}

static void
routers_are_ignored_unless_asked_for(void **state)
{
	router(peer_local, 1800, test_mac_peer);
	test_expect_drop(&net, &f, DROP_ICMP_TYPE);
	assert_int_equal(send_udp(test_addr("2001:db8::1"), us), -ENETUNREACH);
}

/* RFC 4861 section 6.3.7: three, 4 s apart, until there is an answer. */
static void
router_solicitations(void **state)
{
	static const uint8_t mac[6] = {0x33, 0x33, 0, 0, 0, 2};
	unsigned seen = 0;

	ip_announce(&net.w[0]);
	for (unsigned t = 0; t < 300; t++) {
		struct rte_mbuf *m;

		ip_tick(&net.w[0]);
		while ((m = test_net_sent(&net, NULL)) != NULL) {
			test_bytes(m, out);
			rte_pktmbuf_free(m);
			if (out[54] != 133 || out[20] != 58)
				continue;
			seen++;
			assert_memory_equal(out, mac, 6);
			assert_memory_equal(out + 22, local.b, 16);
			assert_memory_equal(out + 38, test_addr("ff02::2").b, 16);
			assert_int_equal(out[21], 255);
			assert_true(test_l4_cksum_ok(out + 14, 56));
		}
		if (t == 60) {
			assert_int_equal(seen, 2);
			router(peer_local, 1800, test_mac_peer);
			test_expect_consumed(&net, &f);
		}
		test_net_advance(&net, 100000);
	}
	assert_int_equal(seen, 2);
}

static void
mld_query_is_answered(void **state)
{
	uint8_t query[28] = {130, 0, 0, 0, 0, 10};

	test_frame_icmp(&f, peer_local, all, 1, query, sizeof(query));
	test_expect_consumed(&net, &f);
	assert_int_equal(test_expect_sent(&net, out), 14 + 40 + 8 + 8 + 2 * 20);
	assert_int_equal(out[62], 143);
	assert_int_equal(out[69], 2);
	assert_memory_equal(out + 74, solicited_node(local).b, 16);
	assert_memory_equal(out + 94, solicited_node(us).b, 16);
	assert_memory_equal(out + 22, local.b, 16);
	/* Its sum, without the option in front. */
	memmove(out + 54, out + 62, 48);
	out[18] = 0;
	out[19] = 48;
	out[20] = 58;
	assert_true(test_l4_cksum_ok(out + 14, 88));
	test_frame_icmp(&f, peer, all, 1, query, sizeof(query));
	test_expect_drop(&net, &f, DROP_ICMP_TYPE);
	test_frame_icmp(&f, peer_local, all, 2, query, sizeof(query));
	test_expect_drop(&net, &f, DROP_ICMP_TYPE);
}

/* RFC 4861 sections 6.1.2, 7.1.1: the shortest message there can be, and one byte less. */
static void
shortest_messages(void **state)
{
	static const struct {
		uint8_t type;
		size_t least;
	} cases[] = {{135, 24}, {136, 24}, {134, 16}};

	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		uint8_t b[24] = {cases[i].type, 0, 0, 0, 0x40};

		memcpy(b + 8, cases[i].type == 135 ? us.b : peer.b, 16);
		test_frame_icmp(&f, peer_local, local, 255, b, cases[i].least);
		test_expect_consumed(&net, &f);
		test_net_discard(&net);
		test_frame_icmp(&f, peer_local, local, 255, b, cases[i].least - 1);
		test_expect_drop(&net, &f, DROP_NDP_BAD);
	}
	assert_int_equal(test_ip_stat(&net, "ndp_solicitations_in"), 1);
	assert_int_equal(test_ip_stat(&net, "ndp_advertisements_in"), 1);
	assert_int_equal(test_ip_stat(&net, "ndp_router_advertisements_in"), 1);
	assert_int_equal(test_ip_stat(&net, "ndp_advertisements_out"), 1);
}

/* A solicitation with these options. */
static void
solicit_with(const uint8_t *options, size_t n)
{
	uint8_t b[24 + 1600] = {135};

	memcpy(b + 8, us.b, 16);
	memcpy(b + 24, options, n);
	test_frame_icmp(&f, peer, us, 255, b, 24 + n);
}

/* RFC 4861 section 4.6: unknown options are skipped; a MAC is taken from an option of 8 bytes only. */
static void
options(void **state)
{
	static uint8_t many[1600];
	static const uint8_t after_unknown[] = {14, 1, 1, 2, 3, 4, 5, 6, 13, 2, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 2};
	static const uint8_t longer[16] = {1, 2, 2, 0, 0, 0, 0, 2};
	static const uint8_t target[8] = {2, 1, 2, 0, 0, 0, 0, 2};
	static const uint8_t none[8] = {1, 1}, group[8] = {2, 1, 1};

	solicit_with(longer, 16);
	test_expect_consumed(&net, &f);
	solicit_with(target, 8);
	test_expect_consumed(&net, &f);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
	solicit_with(none, 8);
	f.b[0] = 2;
	test_net_discard(&net);
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	solicit_with(group, 8);
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	/* Half an option at the end. */
	solicit_with(target, 1);
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	solicit_with(after_unknown, sizeof(after_unknown));
	test_expect_consumed(&net, &f);
	expect_message(us, peer, test_mac_peer, 136, 0x60, us, 2);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 1);
	/* Up to 1500 bytes, which is more than any router or host says. */
	for (size_t i = 0; i < sizeof(many); i += 8) {
		many[i] = 14;
		many[i + 1] = 1;
	}
	solicit_with(many, 1472);
	test_expect_consumed(&net, &f);
	test_net_discard(&net);
	solicit_with(many, 1480);
	test_expect_drop(&net, &f, DROP_NDP_BAD);
}

/* RFC 4862 section 5.4.3: a probe goes to the solicited-node group of its target; each byte counts. */
static void
probes_go_to_their_group(void **state)
{
	for (unsigned i = 0; i < 13; i++) {
		solicit(any, solicited_node(us), us, NULL);
		f.b[38 + i] ^= 0x20;
		test_frame_l4_cksum(&f);
		assert_null(test_input(&net, &f));
	}
	/* To all nodes, which we hear: it is malformed. */
	solicit(any, all, us, NULL);
	test_expect_drop(&net, &f, DROP_NDP_BAD);
	expect_nothing();
	assert_int_equal(test_ip_stat(&net, "ndp_solicitations_in"), 0);
}

/* RFC 3810 section 5.2: one record for each group, the number of them, nothing else. */
static void
mld_report_bytes(void **state)
{
	uint8_t query[28] = {130}, want[48] = {143, [7] = 2, [8] = 4, [28] = 4};

	memcpy(want + 12, solicited_node(local).b, 16);
	memcpy(want + 32, solicited_node(us).b, 16);
	assert_int_equal(ip_address_add(net.ip, 0, test_addr("10.77.0.2").b, 24), 0);
	test_frame_icmp(&f, peer_local, all, 1, query, sizeof(query));
	test_expect_consumed(&net, &f);
	assert_int_equal(test_expect_sent(&net, out), 14 + 40 + 8 + 48);
	assert_memory_equal(out + 14, "\x60\0\0\0\0\x38\0\1", 8);
	want[2] = out[64];
	want[3] = out[65];
	assert_memory_equal(out + 62, want, 48);
	assert_memory_equal(out + 38, test_addr("ff02::16").b, 16);
	assert_memory_equal(out, "\x33\x33\0\0\0\x16", 6);
	assert_int_equal(test_ip_stat(&net, "mld_reports_out"), 1);
}

/* RFC 4862 section 5.4.5: two announcements follow, 2 s apart (RFC 4861 section 7.2.6). */
static void
announced_twice(void **state)
{
	unsigned at_ms[8], n = 0;

	ip_announce(&net.w[0]);
	test_net_discard(&net);
	for (unsigned t = 0; t < 200; t++) {
		struct rte_mbuf *m;

		test_net_advance(&net, 50000);
		ip_tick(&net.w[0]);
		while ((m = test_net_sent(&net, NULL)) != NULL) {
			test_bytes(m, out);
			rte_pktmbuf_free(m);
			if (out[54] != 136)
				continue;
			if (memcmp(out + 62, us.b, 16) != 0)
				continue;
			assert_true(n < 8);
			at_ms[n++] = (t + 1) * 50;
		}
	}
	assert_int_equal(n, 2);
	assert_int_equal(at_ms[0], 1000);
	assert_int_equal(at_ms[1], 3000);
}

/* Once an address is ours, somebody else's advertisement takes it from us no more. */
static void
advertisement_of_our_address(void **state)
{
	bool is_duplicate;

	message(peer, all, 136, 0x20, us, 2, other_mac);
	test_expect_consumed(&net, &f);
	assert_false(tentative(us, &is_duplicate));
	assert_false(is_duplicate);
	assert_int_equal(test_ip_stat(&net, "ndp_dad_failures"), 0);
}

#define T(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TR(name) cmocka_unit_test_setup_teardown(name, setup_ra, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(solicitation_is_answered),
		T(dad_of_others_is_answered),
		T(others_are_not_answered),
		T(resolution),
		T(advertisements_teach),
		T(malformed),
		T(cut_and_split_at_every_byte),
		T(duplicate_address_detection),
		T(duplicate_by_advertisement),
		T(duplicate_by_probe),
		T(announcing_waits_for_the_link),
		TR(router_is_used_as_long_as_it_lives),
		TR(router_tells_the_mtu),
		TR(bad_router_advertisements),
		T(routers_are_ignored_unless_asked_for),
		TR(router_solicitations),
		T(mld_query_is_answered),
		TR(shortest_messages),
		T(options),
		T(probes_go_to_their_group),
		T(mld_report_bytes),
		T(announced_twice),
		T(advertisement_of_our_address),
	};

	test_eal("ndp");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
