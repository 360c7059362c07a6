/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Interfaces, addresses, routes, paths, choice of the source address.
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
static uint8_t out[TEST_FRAME_MAX];
static const struct test_addr any6;

static void
add_ifc(const char *name, uint8_t mac, uint16_t mtu)
{
	struct ip_ifc_conf conf = {.name = name, .mtu = mtu, .off = {.multi_segs = true}};

	memcpy(&conf.mac, test_mac_us, 6);
	conf.mac.addr_bytes[5] = mac;
	assert_true(ip_ifc_add(net.ip, &conf) >= 0);
}

static int
add(unsigned ifc, const char *addr, uint8_t len)
{
	return ip_address_add(net.ip, ifc, test_addr(addr).b, len);
}

static int
route(const char *prefix, uint8_t len, const char *via)
{
	struct test_addr to = strcmp(prefix, "::") == 0 ? any6 : test_addr(prefix);

	return ip_route_add(net.ip, to.b, len, test_addr(via).b);
}

/* "lan" 10.77.0.2/24 fd77::2/64; "wan" 192.0.2.2/28 2001:db8::2/64, 198.51.100.5/32, MTU 1400. */
static int
setup(void **state)
{
	test_net_init(&net, 1);
	test_net_ip(&net, NULL);
	add_ifc("wan", 0x11, 1400);
	assert_int_equal(add(1, "192.0.2.2", 28), 0);
	assert_int_equal(add(1, "198.51.100.5", 32), 0);
	assert_int_equal(add(1, "2001:db8::2", 64), 0);
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static struct key
key(const char *from, const char *to)
{
	struct key k = {.proto = IPPROTO_UDP};

	memcpy(k.laddr, test_addr(from).b, 16);
	memcpy(k.raddr, test_addr(to).b, 16);
	return k;
}

/* Which interface a packet leaves by, and for whose MAC it asks; -errno if none. */
static int
leaves(const char *from, const char *to, const char *next_hop)
{
	struct key k = key(from, to);
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};
	struct rte_mbuf *m = test_mbuf(net.mp, "\0\7\0\11\0\10\0\0", 8);
	struct test_addr hop = test_addr(next_hop);
	unsigned ifc;
	int err;

	memset(pkt_of(m), 0, sizeof(struct pkt));
	err = ip_output(&net.w[0], NULL, &k, m, &tx);
	if (err < 0)
		return err;
	m = test_net_sent(&net, &ifc);
	assert_non_null(m);
	test_bytes(m, out);
	rte_pktmbuf_free(m);
	if (out[12] == 8)
		assert_memory_equal(out + 38, hop.b + 12, 4);
	else
		assert_memory_equal(out + 62, hop.b, 16);
	/* It waits for an answer; nobody will ever give one. */
	for (unsigned t = 0; t < 60; t++) {
		test_net_advance(&net, 100000);
		ip_tick(&net.w[0]);
	}
	test_net_discard(&net);
	return (int)ifc;
}

static void
longest_prefix_wins(void **state)
{
	assert_int_equal(route("198.18.0.0", 15, "192.0.2.1"), 0);
	assert_int_equal(route("198.18.5.0", 24, "10.77.0.5"), 0);
	assert_int_equal(route("198.18.5.7", 32, "192.0.2.7"), 0);
	assert_int_equal(route("2001:db8:5::", 48, "2001:db8::1"), 0);
	assert_int_equal(route("2001:db8:5:1::", 64, "fd77::5"), 0);
	assert_int_equal(leaves("10.77.0.2", "10.77.0.9", "10.77.0.9"), 0);
	assert_int_equal(leaves("192.0.2.2", "192.0.2.9", "192.0.2.9"), 1);
	assert_int_equal(leaves("192.0.2.2", "198.19.1.1", "192.0.2.1"), 1);
	assert_int_equal(leaves("10.77.0.2", "198.18.5.1", "10.77.0.5"), 0);
	assert_int_equal(leaves("192.0.2.2", "198.18.5.7", "192.0.2.7"), 1);
	assert_int_equal(leaves("10.77.0.2", "8.8.8.8", "10.77.0.1"), 0);
	assert_int_equal(leaves("2001:db8::2", "2001:db8::9", "2001:db8::9"), 1);
	assert_int_equal(leaves("2001:db8::2", "2001:db8:5:2::1", "2001:db8::1"), 1);
	assert_int_equal(leaves("fd77::2", "2001:db8:5:1::1", "fd77::5"), 0);
	assert_int_equal(leaves("fd77::2", "2600::1", "fd77::1"), 0);
}

static void
bad_routes(void **state)
{
	assert_int_equal(route("0.0.0.0", 0, "10.77.0.3"), -EEXIST);
	assert_int_equal(route("::", 0, "fd77::3"), -EEXIST);
	assert_int_equal(route("198.18.0.0", 15, "203.0.113.1"), -ENETUNREACH);
	assert_int_equal(route("198.18.0.0", 15, "10.77.0.2"), -ENETUNREACH); /* ourselves */
	assert_int_equal(route("198.18.0.0", 33, "10.77.0.1"), -EINVAL);
	assert_int_equal(route("198.18.0.0", 15, "fd77::1"), -EINVAL);
	/* A link-local gateway could be on either link. */
	assert_int_equal(route("2600::", 12, "fe80::1"), -ENETUNREACH);
	/* Host bits don't make another prefix. */
	assert_int_equal(route("198.18.0.0", 15, "10.77.0.1"), 0);
	assert_int_equal(route("198.18.1.1", 15, "10.77.0.1"), -EEXIST);
}

static void
unreachable(void **state)
{
	static const char *const nowhere[] = {"224.0.0.1", "255.255.255.255", "10.77.0.255",
		"10.77.0.0", "127.0.0.1", "0.0.0.0", "192.0.2.2", "10.77.0.2", "192.0.2.15"};

	for (unsigned i = 0; i < RTE_DIM(nowhere); i++)
		assert_int_equal(leaves("10.77.0.2", nowhere[i], "10.77.0.1"), -ENETUNREACH);
	assert_int_equal(leaves("fd77::2", "ff02::1", "fd77::1"), -ENETUNREACH);
	assert_int_equal(leaves("fd77::2", "fd77::2", "fd77::1"), -ENETUNREACH);
	/* Link-local without its zone. */
	assert_int_equal(leaves("fe80::ff:fe00:1", "fe80::9", "fe80::9"), -ENETUNREACH);
}

static void
no_route(void **state)
{
	struct ip_ifc_conf conf = {.name = "lan", .mtu = 1500};

	test_net_fini(&net);
	test_net_init(&net, 1);
	memcpy(&conf.mac, test_mac_us, 6);
	test_net_ip_ifc(&net, &conf);
	assert_int_equal(add(0, "10.77.0.2", 24), 0);
	assert_int_equal(leaves("10.77.0.2", "10.78.0.1", "10.77.0.1"), -ENETUNREACH);
}

static void
link_local_by_zone(void **state)
{
	struct key k = key("fe80::ff:fe00:11", "fe80::9");
	struct path p = {0};

	k.zone = 2;
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.ifc, 1);
	assert_int_equal(p.mtu, 1400);
	/* Our address of the other link. */
	k.zone = 1;
	assert_int_equal(ip_path(&net.w[0], &k, &p), -EADDRNOTAVAIL);
	k.zone = 3;
	assert_int_equal(ip_path(&net.w[0], &k, &p), -ENETUNREACH);
}

static void
source(const char *peer, const char *want)
{
	uint8_t got[16];

	if (want == NULL) {
		assert_int_equal(ip_source(&net.w[0], test_addr(peer).b, got), -ENETUNREACH);
		return;
	}
	assert_int_equal(ip_source(&net.w[0], test_addr(peer).b, got), 0);
	assert_memory_equal(got, test_addr(want).b, 16);
}

static void
source_address(void **state)
{
	assert_int_equal(add(0, "10.77.0.200", 24), 0);
	assert_int_equal(add(0, "fd77::8000:0:0:2", 64), 0);
	source("10.77.0.9", "10.77.0.2");
	source("10.77.0.201", "10.77.0.200"); /* longest match */
	source("8.8.8.8", "10.77.0.2");
	source("192.0.2.9", "192.0.2.2");
	source("fd77::9", "fd77::2");
	source("fd77::8000:0:0:9", "fd77::8000:0:0:2");
	source("2001:db8::9", "2001:db8::2");
	source("2600::1", "fd77::2"); /* not the link-local one */
	source("fe80::9", "fe80::ff:fe00:1");
	source("224.0.0.1", NULL);
	source("10.77.0.2", NULL);
}

static void
path_mtu(void **state)
{
	struct key k4 = key("192.0.2.2", "192.0.2.9"), k6 = key("2001:db8::2", "2001:db8::9");
	struct path p4 = {0}, p6 = {0};

	assert_int_equal(ip_path(&net.w[0], &k4, &p4), 0);
	assert_int_equal(ip_path(&net.w[0], &k6, &p6), 0);
	assert_int_equal(p4.mtu, 1400);
	assert_int_equal(ip_path_room(&p4, &k4), 1380);
	assert_int_equal(ip_path_room(&p6, &k6), 1360);
	assert_false(ip_path_mtu(&p4, &k4, 1500)); /* never grows */
	assert_false(ip_path_mtu(&p4, &k4, 1400));
	assert_true(ip_path_mtu(&p4, &k4, 1000));
	assert_int_equal(p4.mtu, 1000);
	assert_true(ip_path_mtu(&p4, &k4, 68)); /* RFC 1191's least is an attack today */
	assert_int_equal(p4.mtu, 552);
	assert_false(ip_path_mtu(&p4, &k4, 0));
	assert_true(ip_path_mtu(&p6, &k6, 0));
	assert_int_equal(p6.mtu, 1280);
	/* What was learned outlives a refresh, as long as the way is the same. */
	p4.gen = UINT32_MAX;
	assert_int_equal(ip_path(&net.w[0], &k4, &p4), 0);
	assert_int_equal(p4.mtu, 552);
	p4.gen = UINT32_MAX;
	memcpy(k4.raddr, test_addr("10.77.0.9").b, 16);
	memcpy(k4.laddr, test_addr("10.77.0.2").b, 16);
	assert_int_equal(ip_path(&net.w[0], &k4, &p4), 0);
	assert_int_equal(p4.mtu, 1500);
}

/* Paths notice that addresses or routes changed. */
static void
generation(void **state)
{
	struct key k = key("fd77::2", "fd77::9");
	struct path p = {0};
	uint32_t gen;

	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	gen = p.gen;
	assert_true(gen != 0);
	ip_announce(&net.w[0]);
	test_net_discard(&net);
	assert_int_equal(ip_path(&net.w[0], &k, &p), -EADDRNOTAVAIL);
	test_net_advance(&net, 1100000);
	ip_tick(&net.w[0]);
	test_net_discard(&net);
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_true(p.gen != gen);
}

/* A path that is made like the last one is as good as one that is looked for. */
static void
path_again(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	struct key k = key("10.77.0.2", "10.77.0.9"), behind = key("10.77.0.2", "8.8.8.8");
	struct key other = key("192.0.2.2", "192.0.2.9"), not_ours = key("10.77.0.3", "10.77.0.9");
	struct path first = {0}, p = {.dscp = 5, .ttl = 9}, r = {0}, s = {0}, t = {0}, none = {0};

	assert_int_equal(route("8.0.0.0", 8, "10.77.0.9"), 0);
	test_net_peer(&net, test_addr("10.77.0.9"), mac);
	assert_int_equal(ip_path(&net.w[0], &k, &first), 0);
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.dscp, 5);
	assert_int_equal(p.ttl, 9);
	p.dscp = p.ttl = 0;
	assert_memory_equal(&p, &first, sizeof(p));
	/* What is learned about one is not known of the next. */
	assert_true(ip_path_mtu(&p, &k, 1000));
	assert_int_equal(ip_path(&net.w[0], &k, &r), 0);
	assert_memory_equal(&r, &first, sizeof(r));
	assert_int_equal(ip_path(&net.w[0], &not_ours, &none), -EADDRNOTAVAIL);
	assert_int_equal(ip_path(&net.w[0], &behind, &s), 0);
	assert_memory_equal(&s, &first, sizeof(s));
	assert_int_equal(ip_path(&net.w[0], &other, &t), 0);
	assert_int_equal(t.ifc, 1);
	assert_int_equal(t.mtu, 1400);
	assert_true(t.neigh != first.neigh);
	test_net_discard(&net);
}

static void
addresses(void **state)
{
	struct ip_ifc_info info;

	assert_true(ip_is_ours(net.ip, test_addr("192.0.2.2").b));
	assert_true(ip_is_ours(net.ip, test_addr("fe80::ff:fe00:11").b));
	assert_false(ip_is_ours(net.ip, test_addr("192.0.2.3").b));
	assert_false(ip_is_ours(net.ip, any6.b));
	assert_int_equal(add(0, "10.77.0.2", 24), -EEXIST);
	assert_int_equal(add(1, "10.77.0.2", 24), -EEXIST);
	assert_int_equal(add(9, "10.1.0.2", 24), -EINVAL);
	assert_int_equal(add(0, "10.1.0.2", 33), -EINVAL);
	assert_int_equal(add(0, "fd00::1", 129), -EINVAL);
	assert_int_equal(add(0, "127.0.0.1", 8), -EINVAL);
	assert_int_equal(add(0, "224.0.0.1", 8), -EINVAL);
	assert_int_equal(add(0, "0.0.0.0", 8), -EINVAL);
	assert_int_equal(add(0, "::1", 128), -EINVAL);
	assert_int_equal(add(0, "ff02::1", 128), -EINVAL);
	assert_int_equal(ip_address_add(net.ip, 0, any6.b, 64), -EINVAL);
	for (unsigned i = 0; i < 13; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.99.0.%u", i + 1);
		assert_int_equal(add(0, text, 24), 0);
	}
	assert_int_equal(add(0, "10.99.0.99", 24), -ENOSPC);
	assert_int_equal(ip_ifc_count(net.ip), 2);
	ip_ifc_info(net.ip, 1, &info);
	assert_string_equal(info.name, "wan");
	assert_int_equal(info.mtu, 1400);
	assert_int_equal(info.mac.addr_bytes[5], 0x11);
	assert_int_equal(info.naddrs, 4);
	assert_memory_equal(info.addrs[0].addr, test_addr("fe80::ff:fe00:11").b, 16);
	assert_int_equal(info.addrs[0].prefix_len, 64);
	assert_int_equal(info.addrs[1].prefix_len, 28);
	assert_true(info.up);
	ip_ifc_link(net.ip, 1, false);
	ip_ifc_info(net.ip, 1, &info);
	assert_false(info.up);
}

static void
interfaces(void **state)
{
	struct ip_ifc_conf conf = {.name = "lan", .mtu = 1500};

	memcpy(&conf.mac, test_mac_us, 6);
	assert_int_equal(ip_ifc_add(net.ip, &conf), -EEXIST);
	conf.name = "x";
	conf.mtu = 575;
	assert_int_equal(ip_ifc_add(net.ip, &conf), -EINVAL);
	conf.mtu = 1500;
	conf.vlan = 4095;
	assert_int_equal(ip_ifc_add(net.ip, &conf), -EINVAL);
	conf.vlan = 0;
	memcpy(&conf.mac, test_mac_broadcast, 6);
	assert_int_equal(ip_ifc_add(net.ip, &conf), -EINVAL);
	memset(&conf.mac, 0, 6);
	assert_int_equal(ip_ifc_add(net.ip, &conf), -EINVAL);
	memcpy(&conf.mac, test_mac_us, 6);
	/* Under 1280 there is no IPv6. */
	conf.mtu = 1279;
	assert_int_equal(ip_ifc_add(net.ip, &conf), 2);
	assert_int_equal(add(2, "fd99::1", 64), -EINVAL);
	assert_int_equal(add(2, "10.99.0.1", 24), 0);
	for (unsigned i = 3; i < WORKER_IFC_MAX; i++) {
		char name[8];

		snprintf(name, sizeof(name), "i%u", i);
		conf.name = name;
		assert_int_equal(ip_ifc_add(net.ip, &conf), i);
	}
	conf.name = "last";
	assert_int_equal(ip_ifc_add(net.ip, &conf), -ENOSPC);
}

/* A datagram for an address of ours that is not on the link it came by is taken (the weak host
 * model of RFC 1122 section 3.3.4.2), but for link-local ones, and ARP is not answered there. */
static void
weak_host_model(void **state)
{
	test_frame_udp(&f, test_addr("10.77.0.9"), test_addr("198.51.100.5"), 1, 2, NULL, 0);
	rte_pktmbuf_free(test_expect_up(&net, &f, PKT_UDP));
	test_frame_udp(&f, test_addr("fe80::9"), test_addr("fe80::ff:fe00:11"), 1, 2, NULL, 0);
	test_expect_drop(&net, &f, DROP_IP_NOT_OURS);
	test_frame_arp(
		&f, 1, test_addr("10.77.0.9"), test_mac_peer, test_addr("192.0.2.2"), test_mac_us);
	test_expect_consumed(&net, &f);
	assert_int_equal(test_net_discard(&net), 0);
}

static void
bad_configurations(void **state)
{
	struct ip_conf conf = {.name = "bad", .workers = 1, .socket_id = SOCKET_ID_ANY};
	struct ip *ip;
	int err = 0;

	conf.workers = 0;
	assert_null(ip_create(&conf, &err));
	assert_int_equal(err, -EINVAL);
	conf.workers = WORKER_MAX + 1;
	assert_null(ip_create(&conf, &err));
	assert_int_equal(err, -EINVAL);
	conf.workers = 1;
	conf.name = "a name that is far too long";
	assert_null(ip_create(&conf, &err));
	assert_int_equal(err, -EINVAL);
	conf.name = "bad";
	ip = ip_create(&conf, &err);
	assert_non_null(ip);
	assert_null(ip_create(&conf, &err)); /* the name is taken */
	assert_int_equal(err, -EEXIST);
	ip_free(ip);
	ip_free(NULL);
	conf.workers = WORKER_MAX;
	ip = ip_create(&conf, &err);
	assert_non_null(ip);
	ip_free(ip);
}

/* Many gateways, each his own: the table of hops grows, and none is taken for another. */
static void
many_gateways(void **state)
{
	char prefix[32], via[32];

	for (unsigned i = 0; i < 200; i++) {
		snprintf(prefix, sizeof(prefix), "198.18.%u.0", i);
		snprintf(via, sizeof(via), "10.77.0.%u", 10 + i);
		assert_int_equal(route(prefix, 24, via), 0);
		snprintf(prefix, sizeof(prefix), "198.19.%u.0", i); /* shares the hop */
		assert_int_equal(route(prefix, 24, via), 0);
	}
	assert_int_equal(net.ip->nhops, 200 + 4); /* default gateways, on-link of both interfaces */
	for (unsigned i = 0; i < 200; i++) {
		struct key k = key("10.77.0.2", "198.18.0.9");
		struct ip_hop hop;

		k.raddr[14] = (uint8_t)i;
		assert_true(ip_route_look(&net.w[0], k.raddr, 0, &hop));
		assert_int_equal(hop.ifc, 0);
		assert_int_equal(hop.addr[15], 10 + i);
		k.raddr[13] = 19;
		assert_true(ip_route_look(&net.w[0], k.raddr, 0, &hop));
		assert_int_equal(hop.addr[15], 10 + i);
	}
}

/* Host routes and the longest prefixes; two addresses of one prefix share its route. */
static void
prefix_lengths(void **state)
{
	assert_int_equal(route("198.18.0.1", 32, "10.77.0.1"), 0);
	assert_int_equal(route("198.18.0.1", 32, "10.77.0.1"), -EEXIST);
	assert_int_equal(route("2600::1", 128, "fd77::1"), 0);
	assert_int_equal(route("2600::1", 129, "fd77::1"), -EINVAL);
	assert_int_equal(route("2600::", 12, "2001:db8::1"), 0);
	assert_int_equal(route("2600::", 12, "2001:db8::1"), -EEXIST);
	assert_int_equal(add(0, "10.77.0.3", 24), 0);
	assert_int_equal(add(0, "fd77::3", 64), 0);
	assert_int_equal(leaves("fd77::2", "2600::1", "fd77::1"), 0);
	assert_int_equal(leaves("2001:db8::2", "2600::2", "2001:db8::1"), 1);
}

/* RFC 1122 section 3.2.1.3: hosts begin at 1, end below 224, and are not in 127. */
static void
edges_of_hosts(void **state)
{
	static const struct {
		const char *addr;
		bool host;
	} cases[] = {{"0.255.255.255", false}, {"1.0.0.0", true}, {"126.255.255.255", true},
		{"127.0.0.0", false}, {"127.255.255.255", false}, {"128.0.0.1", true},
		{"223.255.255.255", true}, {"224.0.0.0", false}, {"240.0.0.1", false},
		{"::2", true}, {"feff::1", true}, {"ff00::1", false}, {"ffff::1", false}};
	struct ip_hop hop;

	for (unsigned i = 0; i < RTE_DIM(cases); i++)
		assert_int_equal(ip_route_look(&net.w[0], test_addr(cases[i].addr).b, 0, &hop),
			cases[i].host);
	assert_false(ip_route_look(&net.w[0], any6.b, 0, &hop));
	/* By their link only. */
	assert_false(ip_route_look(&net.w[0], test_addr("fe80::9").b, 0, &hop));
	assert_true(ip_route_look(&net.w[0], test_addr("fe80::9").b, 1, &hop));
	assert_int_equal(hop.ifc, 0);
	assert_memory_equal(hop.addr, test_addr("fe80::9").b, 16);
	assert_true(ip_route_look(&net.w[0], test_addr("fe80::9").b, 2, &hop));
	assert_int_equal(hop.ifc, 1);
	assert_false(ip_route_look(&net.w[0], test_addr("fe80::9").b, 3, &hop));
	assert_false(ip_route_look(&net.w[0], test_addr("fe80::ff:fe00:1").b, 1, &hop));
	assert_true(ip_route_look(&net.w[0], test_addr("fe80::ff:fe00:1").b, 2, &hop));
}

/* A link-local gateway is found where there is one link only; the hop is on that link. */
static void
link_local_gateway(void **state)
{
	struct ip_ifc_conf conf = {.name = "v4 only", .mtu = 1000};
	struct key k = key("fd99::2", "2600::1");
	struct path p = {0};

	test_net_fini(&net);
	test_net_init(&net, 1);
	memcpy(&conf.mac, test_mac_us, 6);
	test_net_ip_ifc(&net, &conf);
	add_ifc("v6", 0x11, 1500);
	assert_int_equal(add(1, "fd99::2", 64), 0);
	assert_int_equal(route("::", 0, "fe80::1"), 0);
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.ifc, 1);
}

static struct ip_router *
router(void)
{
	return &net.ip->ifcs[1].router;
}

/* RFC 4861 section 6.3.4: paths are made anew when a default router comes or goes, and only then. */
static void
learned_router(void **state)
{
	struct test_addr one = test_addr("fe80::1"), two = test_addr("fe80::2");
	struct worker *w = &net.w[0];
	struct ip_hop hop;
	uint32_t gen;

	test_net_fini(&net);
	test_net_init(&net, 1);
	w = &net.w[0];
	test_net_ip_ifc(&net, &(struct ip_ifc_conf){.name = "lan", .mtu = 1500, .mac = {{2}}});
	add_ifc("wan", 0x11, 1400);
	assert_int_equal(add(1, "2001:db8::2", 64), 0);
	gen = atomic_load(&net.ip->gen);
	ip_router_set(w, 1, one.b, 0); /* he never was one */
	assert_int_equal(atomic_load(&net.ip->gen), gen);
	assert_false(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	ip_router_set(w, 1, one.b, 1);
	assert_int_equal(atomic_load(&net.ip->gen), gen + 1);
	assert_true(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	assert_int_equal(hop.ifc, 1);
	assert_memory_equal(hop.addr, one.b, 16);
	assert_false(ip_route_look(w, test_addr("8.8.8.8").b, 0, &hop));
	/* Again: his time begins anew, nothing else changes. */
	test_net_advance(&net, 900000);
	ip_router_set(w, 1, one.b, 1);
	test_net_advance(&net, 900000);
	ip_router_tick(w, &net.ip->ifcs[1]);
	ip_router_set(w, 1, two.b, 1); /* not while there is one */
	ip_router_set(w, 1, two.b, 0);
	assert_true(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	assert_memory_equal(hop.addr, one.b, 16);
	assert_int_equal(atomic_load(&net.ip->gen), gen + 1);
	test_net_advance(&net, 100000);
	assert_false(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	ip_router_tick(w, &net.ip->ifcs[1]);
	assert_int_equal(atomic_load(&net.ip->gen), gen + 2);
	ip_router_tick(w, &net.ip->ifcs[1]);
	assert_int_equal(atomic_load(&net.ip->gen), gen + 2);
	/* He says himself that he is none any more. */
	ip_router_set(w, 1, two.b, 1800);
	assert_int_equal(atomic_load(&net.ip->gen), gen + 3);
	ip_router_set(w, 1, two.b, 0);
	assert_int_equal(atomic_load(&net.ip->gen), gen + 4);
	assert_false(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	/* 65535 s are the longest time there is. */
	ip_router_set(w, 1, two.b, 65535);
	test_net_advance(&net, 65534000000);
	assert_true(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	/* While another worker writes, there is none for a moment. */
	atomic_fetch_add(&router()->seq, 1);
	assert_false(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	atomic_fetch_add(&router()->seq, 1);
	assert_true(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
	test_net_advance(&net, 1000000);
	assert_false(ip_route_look(w, test_addr("2600::1").b, 0, &hop));
}

/* What a refresh keeps: the path's MTU as long as it leaves by the same interface and fits it. */
static void
refreshed_paths(void **state)
{
	struct key k = key("192.0.2.2", "192.0.2.9");
	struct path p = {0};

	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_true(ip_path_mtu(&p, &k, 1399));
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.mtu, 1399);
	p.mtu = 1401;
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.mtu, 1400);
	p.mtu = 600;
	p.gen = 0;
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(p.mtu, 1400);
	assert_true(ip_path_mtu(&p, &k, 552));
	assert_false(ip_path_mtu(&p, &k, 551));
	assert_int_equal(p.mtu, 552);
	assert_int_equal(test_ip_stat(&net, "out_no_route"), 0);
	k = key("192.0.2.2", "224.0.0.1");
	assert_int_equal(ip_path(&net.w[0], &k, &p), -ENETUNREACH);
	assert_int_equal(test_ip_stat(&net, "out_no_route"), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(longest_prefix_wins),
		T(bad_routes),
		T(unreachable),
		T(no_route),
		T(link_local_by_zone),
		T(source_address),
		T(path_mtu),
		T(generation),
		T(path_again),
		T(addresses),
		T(interfaces),
		T(weak_host_model),
		T(bad_configurations),
		T(many_gateways),
		T(prefix_lengths),
		T(edges_of_hosts),
		T(link_local_gateway),
		T(learned_router),
		T(refreshed_paths),
	};

	test_eal("ip_route");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
