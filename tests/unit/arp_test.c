/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * ARP: RFC 826, RFC 5227.
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
static struct test_addr us, peer, nobody;
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 9};
static const uint8_t no_mac[6];

static int
setup(void **state)
{
	test_net_init(&net, 1);
	test_net_ip(&net, NULL);
	us = test_addr("10.77.0.2");
	peer = test_addr("10.77.0.9");
	nobody = test_addr("0.0.0.0");
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static int
send_udp(struct test_addr to, const void *data, size_t n)
{
	struct key k = {.proto = IPPROTO_UDP};
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};
	struct rte_mbuf *m = test_mbuf(net.mp, "\0\7\0\11\0\0\0\0", 8);

	memset(pkt_of(m), 0, sizeof(struct pkt));
	memcpy(k.raddr, to.b, 16);
	memcpy(k.laddr, us.b, 16);
	if (n > 0)
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), data, n);
	rte_pktmbuf_mtod(m, uint8_t *)[5] = (uint8_t)(8 + n);
	return ip_output(&net.w[0], NULL, &k, m, &tx);
}

/* The next packet sent is an ARP packet with these fields. */
static void
expect_arp(uint16_t op, const uint8_t dst[6], struct test_addr spa, struct test_addr tpa,
	const uint8_t tha[6])
{
	size_t len = test_expect_sent(&net, out);

	test_frame_arp(&f, op, spa, test_mac_us, tpa, tha);
	memcpy(f.b, dst, 6);
	assert_int_equal(len, f.len);
	assert_memory_equal(out, f.b, len);
}

static void
expect_nothing(void)
{
	assert_null(test_net_sent(&net, NULL));
}

static void
request_is_answered(void **state)
{
	test_frame_arp(&f, 1, peer, test_mac_peer, us, no_mac);
	test_expect_consumed(&net, &f);
	expect_arp(2, test_mac_peer, us, peer, test_mac_peer);
	expect_nothing();
	/* And the asker is known now. */
	assert_int_equal(send_udp(peer, "x", 1), 0);
	assert_int_equal(test_expect_sent(&net, out), 43);
	assert_memory_equal(out, test_mac_peer, 6);
}

static void
probe_is_answered_and_not_learned(void **state)
{
	test_frame_arp(&f, 1, nobody, test_mac_peer, us, no_mac);
	test_expect_consumed(&net, &f);
	expect_arp(2, test_mac_peer, us, nobody, test_mac_peer);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
}

static void
others_are_not_answered(void **state)
{
	test_frame_arp(&f, 1, peer, test_mac_peer, test_addr("10.77.0.3"), no_mac);
	test_expect_consumed(&net, &f);
	expect_nothing();
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
}

/* No entry from an answer that nobody asked for, nor from an announcement. */
static void
unasked_answers_teach_nothing(void **state)
{
	test_frame_arp(&f, 2, peer, test_mac_peer, us, test_mac_us);
	test_expect_consumed(&net, &f);
	test_frame_arp(&f, 1, peer, test_mac_peer, peer, no_mac);
	test_expect_consumed(&net, &f);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
	assert_int_equal(send_udp(peer, "x", 1), 0);
	expect_arp(1, test_mac_broadcast, us, peer, no_mac);
	expect_nothing();
}

static void
resolution(void **state)
{
	assert_int_equal(send_udp(peer, "one", 3), 0);
	assert_int_equal(send_udp(peer, "two", 3), 0);
	expect_arp(1, test_mac_broadcast, us, peer, no_mac);
	expect_nothing();
	test_frame_arp(&f, 2, peer, test_mac_peer, us, test_mac_us);
	test_expect_consumed(&net, &f);
	assert_int_equal(test_expect_sent(&net, out), 45);
	assert_memory_equal(out, test_mac_peer, 6);
	assert_memory_equal(out + 42, "one", 3);
	assert_true(test_l4_cksum_ok(out + 14, 31));
	assert_int_equal(test_expect_sent(&net, out), 45);
	assert_memory_equal(out + 42, "two", 3);
	expect_nothing();
}

/* An existing entry follows its owner to another MAC, from any ARP packet of his. */
static void
known_neighbours_are_updated(void **state)
{
	test_net_peer(&net, peer, test_mac_peer);
	test_frame_arp(&f, 1, peer, other_mac, peer, no_mac);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(peer, "x", 1), 0);
	test_expect_sent(&net, out);
	assert_memory_equal(out, other_mac, 6);
	test_frame_arp(&f, 2, peer, test_mac_peer, us, test_mac_us);
	test_expect_consumed(&net, &f);
	assert_int_equal(send_udp(peer, "x", 1), 0);
	test_expect_sent(&net, out);
	assert_memory_equal(out, test_mac_peer, 6);
}

static void
off_link_senders_are_not_learned(void **state)
{
	static const char *const senders[] = {
		"10.78.0.9", "10.77.0.255", "224.0.0.1", "127.0.0.1", "255.255.255.255"};

	for (unsigned i = 0; i < RTE_DIM(senders); i++) {
		test_frame_arp(&f, 1, test_addr(senders[i]), test_mac_peer, us, no_mac);
		test_expect_consumed(&net, &f);
		assert_int_equal(test_net_discard(&net), 1); /* RFC 826 answers anybody */
	}
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
}

static void
group_macs_are_refused(void **state)
{
	static const uint8_t macs[3][6] = {
		{255, 255, 255, 255, 255, 255}, {1, 0, 0x5e, 0, 0, 1}, {0}};

	for (unsigned i = 0; i < 3; i++) {
		test_frame_arp(&f, 1, peer, macs[i], us, no_mac);
		test_expect_drop(&net, &f, DROP_ARP_SPOOF);
	}
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 0);
}

static void
malformed(void **state)
{
	static const struct {
		unsigned off;
		uint8_t value;
	} faults[] = {{15, 6}, {14, 1}, {16, 0x86}, {18, 8}, {19, 16}, {21, 3}, {21, 0}, {20, 1}};

	for (unsigned i = 0; i < RTE_DIM(faults); i++) {
		test_frame_arp(&f, 1, peer, test_mac_peer, us, no_mac);
		f.b[faults[i].off] = faults[i].value;
		test_expect_drop(&net, &f, DROP_ARP_BAD);
	}
	test_frame_arp(&f, 1, peer, test_mac_peer, us, no_mac);
	for (f.len = 14; f.len < 42; f.len++)
		test_expect_drop(&net, &f, DROP_ARP_BAD);
}

static void
split_at_every_byte(void **state)
{
	test_frame_arp(&f, 1, peer, test_mac_peer, us, no_mac);
	for (size_t cut = 0; cut <= f.len; cut++) {
		struct rte_mbuf *m = test_mbuf_cut(net.mp, f.b, f.len, &cut, 1), *up = NULL;

		assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
		assert_int_equal(test_expect_sent(&net, out), 42);
		assert_int_equal(out[21], 2);
	}
}

/* RFC 5227 section 2.4: somebody claims our address; we say once in 10 s that it is ours. */
static void
conflicts_are_defended(void **state)
{
	test_frame_arp(&f, 1, us, other_mac, us, no_mac);
	assert_null(test_input(&net, &f));
	expect_arp(1, test_mac_broadcast, us, us, no_mac);
	for (unsigned i = 0; i < 99; i++) {
		test_net_advance(&net, 100000);
		test_frame_arp(&f, 2, us, other_mac, us, test_mac_us);
		test_expect_drop(&net, &f, DROP_ARP_SPOOF);
	}
	test_net_advance(&net, 200000);
	test_frame_arp(&f, 2, us, other_mac, us, test_mac_us);
	assert_null(test_input(&net, &f));
	expect_arp(1, test_mac_broadcast, us, us, no_mac);
	assert_int_equal(test_ip_stat(&net, "arp_conflicts"), 101);
	/* Our own, come back by a loop: no conflict. */
	test_net_advance(&net, 20000000);
	test_frame_arp(&f, 1, us, test_mac_us, us, no_mac);
	test_expect_drop(&net, &f, DROP_ARP_SPOOF);
	assert_int_equal(test_ip_stat(&net, "arp_conflicts"), 101);
}

/* RFC 5227 section 2.3: two announcements, 2 s apart; and again when the link comes back. */
static void
announcements(void **state)
{
	unsigned arps = 0;

	ip_announce(&net.w[0]);
	for (unsigned t = 0; t < 100; t++) {
		struct rte_mbuf *m;

		ip_tick(&net.w[0]);
		while ((m = test_net_sent(&net, NULL)) != NULL) {
			test_bytes(m, out);
			rte_pktmbuf_free(m);
			if (out[12] == 8 && out[13] == 6) {
				assert_int_equal(t, arps == 0 ? 0 : 20);
				test_frame_arp(&f, 1, us, test_mac_us, us, no_mac);
				assert_memory_equal(out, f.b, 42);
				arps++;
			}
		}
		test_net_advance(&net, 100000);
	}
	assert_int_equal(arps, 2);
	ip_ifc_link(net.ip, 0, false);
	ip_tick(&net.w[0]);
	expect_nothing();
	ip_ifc_link(net.ip, 0, true);
	ip_tick(&net.w[0]);
	assert_true(test_net_discard(&net) > 0);
	assert_int_equal(test_ip_stat(&net, "arp_announcements_out"), 3);
}

/* Who was asked is reachable; an answer to somebody else, or for somebody else, confirms nothing. */
static void
only_answers_to_us_confirm(void **state)
{
	static const struct {
		uint8_t tha;
		const char *tpa;
		bool confirms;
	} cases[] = {{1, "10.77.0.2", true}, {9, "10.77.0.2", false}, {1, "10.77.0.3", false}};

	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		uint8_t tha[6] = {2, 0, 0, 0, 0, cases[i].tha};
		uint64_t failed = test_ip_stat(&net, "neigh_failed");
		struct test_addr who = test_addr("10.77.0.20");

		who.b[15] += (uint8_t)i;
		test_net_peer(&net, who, test_mac_peer);
		test_frame_arp(&f, 2, who, test_mac_peer, test_addr(cases[i].tpa), tha);
		memcpy(f.b, test_mac_us, 6);
		test_expect_consumed(&net, &f);
		/* Not confirmed it is probed soon, and found to be gone; confirmed it stays 15 s at least. */
		for (unsigned t = 0; t < 140; t++) {
			assert_int_equal(send_udp(who, "x", 1), 0);
			test_net_advance(&net, 100000);
			ip_tick(&net.w[0]);
			test_net_discard(&net);
		}
		assert_int_equal(test_ip_stat(&net, "neigh_failed") > failed, !cases[i].confirms);
	}
}

/* Requests and answers are counted as what they are; the sender's address decides who is learned. */
static void
counted(void **state)
{
	test_frame_arp(&f, 1, peer, test_mac_peer, us, no_mac);
	test_expect_consumed(&net, &f);
	test_frame_arp(&f, 2, peer, test_mac_peer, us, test_mac_us);
	test_expect_consumed(&net, &f);
	test_expect_consumed(&net, &f);
	assert_int_equal(test_ip_stat(&net, "arp_requests_in"), 1);
	assert_int_equal(test_ip_stat(&net, "arp_replies_in"), 2);
	assert_int_equal(test_ip_stat(&net, "arp_replies_out"), 1);
	test_net_discard(&net);
	assert_int_equal(send_udp(test_addr("10.77.0.10"), "x", 1), 0);
	test_net_flush(&net);
	assert_int_equal(test_ip_stat(&net, "arp_requests_out"), 1);
}

/* A link of 1.0.0.0 to 223.255.255.255: whoever has an address there is learned, groups are not. */
static void
edges_of_what_is_learned(void **state)
{
	static const struct {
		const char *addr;
		bool learned;
	} cases[] = {{"1.0.0.1", true}, {"0.0.0.1", false}, {"126.0.0.1", true},
		{"127.0.0.1", false}, {"128.0.0.1", true}, {"223.0.0.1", true},
		{"224.0.0.1", false}, {"254.0.0.1", false}};

	assert_int_equal(ip_address_add(net.ip, 0, test_addr("10.0.0.1").b, 0), 0);
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		uint64_t before = test_ip_stat(&net, "neigh_created");

		test_frame_arp(&f, 1, test_addr(cases[i].addr), test_mac_peer, us, no_mac);
		test_expect_consumed(&net, &f);
		test_net_discard(&net);
		assert_int_equal(test_ip_stat(&net, "neigh_created"), before + cases[i].learned);
	}
}

/* RFC 5227 section 2.4: the first conflict is defended at once, even in the first milliseconds. */
static void
defence_interval(void **state)
{
	static const unsigned at_ms[] = {0, 9900, 10100, 19000, 21000};
	static const bool defended[] = {true, false, true, false, true};
	unsigned now = 0;

	for (unsigned i = 0; i < RTE_DIM(at_ms); i++) {
		test_net_advance(&net, (at_ms[i] - now) * UINT64_C(1000));
		now = at_ms[i];
		test_frame_arp(&f, 1, us, other_mac, us, no_mac);
		assert_null(test_input(&net, &f));
		assert_int_equal(test_net_discard(&net), defended[i]);
	}
}

/* Our address of another interface, claimed on this link: dropped, and not defended here. */
static void
address_of_another_link(void **state)
{
	struct ip_ifc_conf conf = {.name = "wan", .mtu = 1500};

	memcpy(&conf.mac, test_mac_us, 6);
	conf.mac.addr_bytes[5] = 0x11;
	assert_int_equal(ip_ifc_add(net.ip, &conf), 1);
	assert_int_equal(ip_address_add(net.ip, 1, test_addr("192.0.2.2").b, 24), 0);
	test_frame_arp(&f, 1, test_addr("192.0.2.2"), other_mac, us, no_mac);
	test_expect_drop(&net, &f, DROP_ARP_SPOOF);
	assert_int_equal(test_ip_stat(&net, "arp_conflicts"), 0);
}

/* Without buffers nothing is sent, and nothing is counted as sent. */
static void
without_buffers(void **state)
{
	test_frame_arp(&f, 1, peer, test_mac_peer, us, no_mac);
	{
		struct rte_mbuf *m = test_mbuf(net.mp, f.b, f.len), *up = NULL;

		test_starve(net.mp_small);
		assert_int_equal(ip_input_burst(&net.w[0], 0, &m, 1, &up), 0);
		ip_announce(&net.w[0]);
		test_feed(net.mp_small);
	}
	assert_int_equal(test_ip_stat(&net, "arp_replies_out"), 0);
	assert_int_equal(test_ip_stat(&net, "arp_announcements_out"), 0);
	assert_int_equal(net.w[0].c.tx_no_mbuf, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(request_is_answered),
		T(probe_is_answered_and_not_learned),
		T(others_are_not_answered),
		T(unasked_answers_teach_nothing),
		T(resolution),
		T(known_neighbours_are_updated),
		T(off_link_senders_are_not_learned),
		T(group_macs_are_refused),
		T(malformed),
		T(split_at_every_byte),
		T(conflicts_are_defended),
		T(announcements),
		T(only_answers_to_us_confirm),
		T(counted),
		T(edges_of_what_is_learned),
		T(defence_interval),
		T(address_of_another_link),
		T(without_buffers),
	};

	test_eal("arp");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
