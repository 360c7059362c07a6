/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A neighbour's states and times, step by step (RFC 4861 section 7.3), and who must go when the
 * table is full (RFC 6583).
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ip_priv.h"
#include "util.h"

static struct test_net net;
static struct test_frame f;
static uint8_t out[TEST_FRAME_MAX];
static struct test_addr us, peer, us6, peer6;
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 9};

static void
setup_size(uint32_t neighbours)
{
	struct ip_ifc_conf ifc = {.name = "lan", .mtu = 1500, .off = {.multi_segs = true}};
	struct ip_conf conf = {.name = "ns",
		.secret = {3, 4},
		.neighbours = neighbours,
		.workers = 1,
		.socket_id = SOCKET_ID_ANY};
	int err;

	us = test_addr("10.77.0.2");
	peer = test_addr("10.77.0.9");
	us6 = test_addr("fd77::2");
	peer6 = test_addr("fd77::9");
	test_net_init(&net, 1);
	net.ip = net.w[0].ip = ip_create(&conf, &err);
	assert_non_null(net.ip);
	for (unsigned i = 0; i < 2; i++) {
		ifc.name = i == 0 ? "lan" : "wan";
		memcpy(&ifc.mac, test_mac_us, 6);
		ifc.mac.addr_bytes[4] = (uint8_t)i;
		assert_int_equal(ip_ifc_add(net.ip, &ifc), i);
	}
	assert_int_equal(ip_address_add(net.ip, 0, us.b, 8), 0);
	assert_int_equal(ip_address_add(net.ip, 0, us6.b, 64), 0);
	assert_int_equal(ip_address_add(net.ip, 1, test_addr("192.0.2.2").b, 24), 0);
}

static int
setup(void **state)
{
	setup_size(0);
	return 0;
}

/* 16 entries in 2 buckets; 4 may be incomplete. */
static int
setup_small(void **state)
{
	setup_size(16);
	return 0;
}

static int
teardown(void **state)
{
	test_net_balance(&net);
	test_net_fini(&net);
	return 0;
}

static struct test_addr
host(uint32_t i)
{
	struct test_addr a = test_addr("10.1.0.0");

	a.b[14] = (uint8_t)(i >> 8);
	a.b[15] = (uint8_t)i;
	return a;
}

static struct neigh *
entry(struct test_addr a)
{
	uint32_t gen, at = neigh_find(net.ip, a.b[12] == 192, a.b, &gen);

	return at == NEIGH_NONE ? NULL : &net.ip->neigh.entries[at];
}

static enum neigh_state
state_of(struct test_addr a)
{
	struct neigh *e = entry(a);

	return e == NULL ? NEIGH_FREE : (enum neigh_state)(atomic_load(&e->word) & 0xff);
}

static int
send_udp(struct test_addr to)
{
	struct key k = {.proto = IPPROTO_UDP};
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};
	struct rte_mbuf *m = test_mbuf(net.mp, "\0\7\0\11\0\10\0\0", 8);
	struct test_addr from = to.b[0] != 0 ? us6 : to.b[12] == 192 ? test_addr("192.0.2.2") : us;

	memset(pkt_of(m), 0, sizeof(struct pkt));
	memcpy(k.raddr, to.b, 16);
	memcpy(k.laddr, from.b, 16);
	return ip_output(&net.w[0], NULL, &k, m, &tx);
}

static void
answer(struct test_addr of)
{
	test_frame_arp(&f, 2, of, test_mac_peer, us, test_mac_us);
	test_expect_consumed(&net, &f);
}

/* Somebody asks for us and is made known. */
static void
asked_by(struct test_addr a)
{
	test_frame_arp(&f, 1, a, test_mac_peer, us, test_mac_broadcast);
	test_expect_consumed(&net, &f);
	test_net_discard(&net);
}

static void
reachable(struct test_addr a)
{
	assert_int_equal(send_udp(a), 0);
	answer(a);
	test_net_discard(&net);
	assert_int_equal(state_of(a), NEIGH_REACHABLE);
}

/* What is sent within ms, tick by tick of 50 ms: the last one stays in out. */
static unsigned
sent_within(unsigned ms)
{
	unsigned n = 0;
	struct rte_mbuf *m;

	for (unsigned t = 0; t < ms; t += 50) {
		test_net_advance(&net, 50000);
		ip_tick(&net.w[0]);
		while ((m = test_net_sent(&net, NULL)) != NULL) {
			test_bytes(m, out);
			rte_pktmbuf_free(m);
			n++;
		}
	}
	return n;
}

/* RFC 4861 section 10, RFC 1122 section 2.3.2.1: three questions, a second or somewhat more apart. */
static void
three_questions(void **state)
{
	assert_int_equal(send_udp(peer), 0);
	assert_int_equal(test_net_discard(&net), 1);
	assert_int_equal(sent_within(950), 0);
	assert_int_equal(sent_within(600), 1);
	assert_memory_equal(out, test_mac_broadcast, 6);
	assert_int_equal(sent_within(400), 0);
	assert_int_equal(sent_within(1150), 1);
	assert_int_equal(state_of(peer), NEIGH_INCOMPLETE);
	assert_int_equal(sent_within(2000), 0);
	assert_int_equal(state_of(peer), NEIGH_FREE);
	assert_int_equal(test_ip_stat(&net, "neigh_failed"), 1);
	assert_int_equal(test_ip_stat(&net, "neigh_queued"), 1);
	assert_int_equal(net.ip->neigh.incomplete, 0);
	assert_int_equal(net.ip->neigh.count, 0);
	assert_int_equal(net.ip->neigh.queued, 0);
}

/* The tick comes by at each entry twice a second, whatever the steps of time and the table's size. */
static void
all_are_asked_in_time(void **state)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(send_udp(host(i)), 0);
	assert_int_equal(test_net_discard(&net), 200);
	for (unsigned us_passed = 0; us_passed < 1520000; us_passed += 1900) {
		test_net_advance(&net, 1900);
		ip_tick(&net.w[0]);
		n += test_net_discard(&net);
		assert_true(us_passed > 990000 || n == 0);
	}
	assert_int_equal(n, 200);
	/* Nobody looked for long: each is asked once, none is given up for that. */
	test_net_advance(&net, 20000000);
	ip_tick(&net.w[0]);
	assert_int_equal(test_net_discard(&net), 200);
	assert_int_equal(test_ip_stat(&net, "neigh_failed"), 0);
}

/* REACHABLE for 15 to 45 s, then STALE; used then: DELAY for 5 s, three unicast questions, the end. */
static void
life_of_an_entry(void **state)
{
	unsigned s = 0;

	reachable(peer);
	assert_int_equal(sent_within(14900), 0);
	assert_int_equal(state_of(peer), NEIGH_REACHABLE);
	for (; s < 40 && state_of(peer) == NEIGH_REACHABLE; s++)
		assert_int_equal(sent_within(1000), 0);
	assert_in_range(s, 1, 31);
	assert_int_equal(state_of(peer), NEIGH_STALE);
	assert_int_equal(sent_within(100000), 0);
	assert_int_equal(state_of(peer), NEIGH_STALE);
	assert_int_equal(send_udp(peer), 0);
	assert_int_equal(state_of(peer), NEIGH_DELAY);
	assert_int_equal(sent_within(4950), 1); /* what was sent */
	assert_int_equal(state_of(peer), NEIGH_DELAY);
	assert_int_equal(sent_within(600), 1);
	assert_int_equal(state_of(peer), NEIGH_PROBE);
	assert_memory_equal(out, test_mac_peer, 6);
	assert_int_equal(out[13], 6);
	assert_int_equal(sent_within(2550), 2);
	assert_memory_equal(out, test_mac_peer, 6);
	assert_int_equal(state_of(peer), NEIGH_PROBE);
	assert_int_equal(sent_within(2000), 0);
	assert_int_equal(state_of(peer), NEIGH_FREE);
	assert_int_equal(test_ip_stat(&net, "neigh_failed"), 1);
}

/** A path to the peer that knows its entry. */
static struct path
path_to_peer(void)
{
	struct path p = {0};
	struct key k = {.proto = IPPROTO_UDP};
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};
	struct rte_mbuf *m = test_mbuf(net.mp, "\0\7\0\11\0\10\0\0", 8);

	memset(pkt_of(m), 0, sizeof(struct pkt));
	memcpy(k.raddr, peer.b, 16);
	memcpy(k.laddr, us.b, 16);
	assert_int_equal(ip_path(&net.w[0], &k, &p), 0);
	assert_int_equal(ip_output(&net.w[0], &p, &k, m, &tx), 0);
	test_net_discard(&net);
	return p;
}

/* Who is not answered doubts (RFC 1122 section 2.3.2.1): the neighbour is asked at once, and goes if it is silent. */
static void
doubt(void **state)
{
	struct path p = {0};

	(void)state;
	ip_path_doubt(&net.w[0], &p); /* of a path that was not made yet */
	reachable(peer);
	p = path_to_peer();
	ip_path_doubt(&net.w[0], &p);
	assert_int_equal(state_of(peer), NEIGH_PROBE);
	assert_int_equal(sent_within(600), 1);
	assert_memory_equal(out, test_mac_peer, 6);
	/* Doubting again starts nothing anew. */
	ip_path_doubt(&net.w[0], &p);
	assert_int_equal(sent_within(2950), 2);
	assert_int_equal(sent_within(1500), 0);
	assert_int_equal(state_of(peer), NEIGH_FREE);
	/* The path's entry is nobody's, or somebody else's: nothing happens. */
	ip_path_doubt(&net.w[0], &p);
	ip_path_confirm(&net.w[0], &p);
	assert_int_equal(state_of(peer), NEIGH_FREE);
}

/* Progress further up confirms (RFC 4861 section 7.3.1): nobody needs to be asked. */
static void
progress_confirms(void **state)
{
	struct path p = {0};

	(void)state;
	ip_path_confirm(&net.w[0], &p);
	asked_by(peer);
	assert_int_equal(state_of(peer), NEIGH_STALE);
	p = path_to_peer();
	assert_int_equal(state_of(peer), NEIGH_DELAY);
	ip_path_confirm(&net.w[0], &p);
	assert_int_equal(state_of(peer), NEIGH_REACHABLE);
	assert_int_equal(sent_within(10000), 0);
	/* In PROBE, too. */
	ip_path_doubt(&net.w[0], &p);
	ip_path_confirm(&net.w[0], &p);
	assert_int_equal(state_of(peer), NEIGH_REACHABLE);
	assert_int_equal(sent_within(10000), 0);
	/* But not what nobody had doubts about: a stale entry that is not used stays so. */
	for (unsigned s = 0; s < 40 && state_of(peer) == NEIGH_REACHABLE; s++)
		sent_within(1000);
	assert_int_equal(state_of(peer), NEIGH_STALE);
	ip_path_confirm(&net.w[0], &p);
	assert_int_equal(state_of(peer), NEIGH_STALE);
}

/* The time for which a neighbour counts as reachable differs (RFC 4861 section 10): 0.5 to 1.5 times 30 s. */
static void
reachable_times_differ(void **state)
{
	uint32_t least = UINT32_MAX, most = 0, left;

	for (uint32_t i = 0; i < 200; i++) {
		reachable(host(i));
		left = entry(host(i))->next_ms - net.w[0].now_ms;
		least = RTE_MIN(least, left);
		most = RTE_MAX(most, left);
	}
	assert_in_range(least, 15000, 16000);
	assert_in_range(most, 44000, 45000);
}

static void
advertise(const uint8_t *mac, uint8_t flags)
{
	uint8_t b[32] = {136, 0, 0, 0, flags};

	memcpy(b + 8, peer6.b, 16);
	b[24] = 2;
	b[25] = 1;
	if (mac != NULL)
		memcpy(b + 26, mac, 6);
	test_frame_icmp(&f, peer6, us6, 255, b, mac != NULL ? 32 : 24);
	test_expect_consumed(&net, &f);
	test_net_discard(&net);
}

static void
make_stale(void)
{
	uint8_t b[32] = {135};

	memcpy(b + 8, us6.b, 16);
	b[24] = b[25] = 1;
	memcpy(b + 26, test_mac_peer, 6);
	test_frame_icmp(&f, peer6, us6, 255, b, 32);
	test_expect_consumed(&net, &f);
	test_net_discard(&net);
	assert_int_equal(state_of(peer6), NEIGH_STALE);
}

/* RFC 4861 appendix C: what an advertisement does to an entry. S: solicited, O: override. */
static void
advertisements(void **state)
{
	enum {
		S = 0x40,
		O = 0x20
	};
	static const struct {
		enum neigh_state from;
		const uint8_t *mac;
		uint8_t flags;
		enum neigh_state to;
		bool new_mac;
	} rows[] = {{NEIGH_INCOMPLETE, other_mac, 0, NEIGH_STALE, true},
		{NEIGH_INCOMPLETE, other_mac, O, NEIGH_STALE, true},
		{NEIGH_INCOMPLETE, other_mac, S, NEIGH_REACHABLE, true},
		{NEIGH_INCOMPLETE, NULL, S, NEIGH_INCOMPLETE, false},
		{NEIGH_STALE, test_mac_peer, S, NEIGH_REACHABLE, false},
		{NEIGH_STALE, NULL, S, NEIGH_REACHABLE, false},
		{NEIGH_STALE, NULL, 0, NEIGH_STALE, false},
		{NEIGH_STALE, test_mac_peer, O, NEIGH_STALE, false},
		{NEIGH_STALE, other_mac, S, NEIGH_STALE, false},
		{NEIGH_STALE, other_mac, O, NEIGH_STALE, true},
		{NEIGH_STALE, other_mac, S | O, NEIGH_REACHABLE, true},
		{NEIGH_REACHABLE, other_mac, 0, NEIGH_STALE, false},
		{NEIGH_REACHABLE, other_mac, S, NEIGH_STALE, false},
		{NEIGH_REACHABLE, other_mac, O, NEIGH_STALE, true},
		{NEIGH_REACHABLE, other_mac, S | O, NEIGH_REACHABLE, true},
		{NEIGH_REACHABLE, test_mac_peer, 0, NEIGH_REACHABLE, false},
		{NEIGH_REACHABLE, test_mac_peer, O, NEIGH_REACHABLE, false}};

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_ether_addr mac;
		uint64_t word;

		teardown(state);
		setup(state);
		if (rows[i].from == NEIGH_INCOMPLETE)
			assert_int_equal(send_udp(peer6), 0);
		else
			make_stale();
		if (rows[i].from == NEIGH_REACHABLE)
			advertise(test_mac_peer, S);
		assert_int_equal(state_of(peer6), rows[i].from);
		advertise(rows[i].mac, rows[i].flags);
		assert_int_equal(state_of(peer6), rows[i].to);
		word = atomic_load(&entry(peer6)->word) >> 16;
		memcpy(&mac, &word, 6);
		if (rows[i].to != NEIGH_INCOMPLETE)
			assert_memory_equal(&mac, rows[i].new_mac ? other_mac : test_mac_peer, 6);
		assert_int_equal(net.ip->neigh.incomplete, rows[i].to == NEIGH_INCOMPLETE);
	}
}

/* Those in use stay, however many ask: neither the answer to an asker nor a packet makes room. */
static void
those_in_use_stay(void **state)
{
	for (uint32_t i = 0; i < 16; i++)
		reachable(host(i));
	for (uint32_t i = 100; i < 200; i++) {
		asked_by(host(i));
		assert_int_equal(send_udp(host(i)), -ENOBUFS);
	}
	assert_int_equal(test_ip_stat(&net, "neigh_refused"), 200);
	assert_int_equal(test_ip_stat(&net, "neigh_evicted"), 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(state_of(host(i)), NEIGH_REACHABLE);
	/* Not long after they were last used, they still do. */
	for (unsigned t = 0; t < 14; t++) {
		for (uint32_t i = 0; i < 16; i++)
			assert_int_equal(send_udp(host(i)), 0);
		sent_within(1000);
	}
	sent_within(28500);
	for (uint32_t i = 100; i < 200; i++)
		asked_by(host(i));
	assert_int_equal(test_ip_stat(&net, "neigh_evicted"), 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_not_equal(state_of(host(i)), NEIGH_FREE);
	/* Half a minute later, those that are stale may go. */
	sent_within(32000);
	for (uint32_t i = 100; i < 200; i++)
		asked_by(host(i));
	assert_true(test_ip_stat(&net, "neigh_evicted") > 0);
}

/* Which of the entries first .. first + n - 1 are gone. */
static unsigned
gone(uint32_t first, uint32_t n)
{
	unsigned sum = 0;

	for (uint32_t i = first; i < first + n; i++)
		sum += entry(host(i)) == NULL;
	return sum;
}

/* Who only ever asked goes before all others, the one who asked longest ago first. */
static void
askers_go_first(void **state)
{
	bool was[16], bucket1[16];

	for (uint32_t i = 0; i < 16; i++) {
		asked_by(host(i));
		test_net_advance(&net, 10000);
		bucket1[i] = entry(host(i)) - net.ip->neigh.entries >= NEIGH_WAYS;
		was[i] = true;
	}
	for (uint32_t n = 100; n < 110; n++) {
		asked_by(host(n));
		assert_non_null(entry(host(n)));
		assert_int_equal(net.ip->neigh.count, 16);
		for (uint32_t i = 0; i < 16; i++) {
			if (!was[i] || entry(host(i)) != NULL)
				continue;
			was[i] = false;
			/* Of its bucket nobody older is left. */
			for (uint32_t j = 0; j < i; j++)
				assert_false(was[j] && bucket1[j] == bucket1[i]);
		}
		test_net_advance(&net, 10000);
	}
	assert_int_equal(gone(0, 16), 10);
	assert_int_equal(test_ip_stat(&net, "neigh_evicted"), 10);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 26);
	/* One that is used now stays, whoever comes. */
	assert_int_equal(send_udp(host(109)), 0);
	for (uint32_t n = 200; n < 260; n++)
		asked_by(host(n));
	assert_int_equal(gone(109, 1), 0);
}

/* Of those that wait for an answer only so many; one who was asked a second ago makes room for the next. */
static void
incomplete_ones_are_limited(void **state)
{
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(send_udp(host(i)), 0);
	assert_int_equal(net.ip->neigh.incomplete, 4);
	for (uint32_t i = 10; i < 30; i++)
		assert_int_equal(send_udp(host(i)), -ENOBUFS);
	test_net_advance(&net, 999000);
	for (uint32_t i = 10; i < 30; i++)
		assert_int_equal(send_udp(host(i)), -ENOBUFS);
	assert_int_equal(gone(0, 4), 0);
	assert_int_equal(test_ip_stat(&net, "neigh_refused"), 40);
	test_net_advance(&net, 1000);
	for (uint32_t i = 10; i < 30; i++)
		send_udp(host(i));
	assert_int_equal(test_ip_stat(&net, "neigh_evicted"), 4);
	assert_int_equal(gone(0, 4), 4);
	assert_int_equal(net.ip->neigh.incomplete, 4);
	assert_int_equal(net.ip->neigh.count, 4);
	assert_int_equal(test_ip_stat(&net, "neigh_queue_drops"), 4 + 56);
	/* Askers are another matter. */
	asked_by(host(50));
	assert_non_null(entry(host(50)));
	assert_int_equal(net.ip->neigh.incomplete, 4);
}

/* 256 packets wait in common, and the latest one for each. */
static void
waiting_packets_are_limited(void **state)
{
	for (uint32_t j = 0; j < 70; j++)
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(send_udp(host(i)), 0);
	assert_int_equal(net.ip->neigh.queued, 3 * 64);
	for (uint32_t j = 0; j < 64; j++)
		assert_int_equal(send_udp(host(3)), 0);
	assert_int_equal(net.ip->neigh.queued, 256);
	teardown(NULL);
	setup_size(32);
	for (uint32_t i = 0; i < 8; i++)
		for (uint32_t j = 0; j < 60; j++)
			assert_int_equal(send_udp(host(i)), 0);
	assert_int_equal(net.ip->neigh.queued, 256 + 3);
	test_net_discard(&net);
	for (uint32_t i = 0; i < 8; i++) {
		answer(host(i));
		assert_int_equal(test_net_discard(&net), i < 4 ? 60 : i == 4 ? 16 : 1);
	}
	assert_int_equal(net.ip->neigh.queued, 0);
}

/* Tags are hints: another address in the place, another interface, or an entry that is just being
 * given away, is not the one that was looked for. */
static void
look_ups_compare_all(void **state)
{
	struct neigh *e;
	uint64_t addr;
	uint32_t gen;

	asked_by(peer);
	e = entry(peer);
	assert_non_null(e);
	addr = atomic_load(&e->addr[1]);
	atomic_store(&e->addr[1], addr ^ 1);
	assert_null(entry(peer));
	atomic_store(&e->addr[1], addr);
	atomic_store(&e->addr[0], 1);
	assert_null(entry(peer));
	atomic_store(&e->addr[0], 0);
	atomic_store(&e->ifc, 1);
	assert_null(entry(peer));
	atomic_store(&e->ifc, 0);
	gen = atomic_load(&e->gen);
	assert_int_equal(gen % 2, 0);
	atomic_store(&e->gen, gen + 1);
	assert_null(entry(peer));
	atomic_store(&e->gen, gen);
	assert_non_null(entry(peer));
}

/* When a link comes back, those of this link that were reachable must be asked again. */
static void
link_comes_back(void **state)
{
	struct test_addr wan = test_addr("192.0.2.9");
	struct rte_mbuf *m, *up = NULL;

	for (uint32_t i = 0; i < 12; i++)
		reachable(host(i));
	assert_int_equal(send_udp(peer), 0);
	assert_int_equal(send_udp(wan), 0);
	test_frame_arp(&f, 2, wan, test_mac_peer, test_addr("192.0.2.2"), test_mac_us);
	f.b[4] = f.b[36] = 1;
	m = test_mbuf(net.mp, f.b, f.len);
	assert_int_equal(ip_input_burst(&net.w[0], 1, &m, 1, &up), 0);
	assert_int_equal(state_of(wan), NEIGH_REACHABLE);
	ip_ifc_link(net.ip, 0, false);
	ip_ifc_link(net.ip, 0, true);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(state_of(host(i)), NEIGH_STALE);
	assert_int_equal(state_of(peer), NEIGH_INCOMPLETE);
	assert_int_equal(state_of(wan), NEIGH_REACHABLE);
}

/* An entry knows to the second when it was last used; being asked is no use. */
static void
last_use(void **state)
{
	uint32_t at;

	reachable(peer);
	at = atomic_load(&entry(peer)->used_ms);
	test_net_advance(&net, 999000);
	assert_int_equal(send_udp(peer), 0);
	assert_int_equal(atomic_load(&entry(peer)->used_ms), at);
	test_net_advance(&net, 1000);
	asked_by(peer);
	assert_int_equal(atomic_load(&entry(peer)->used_ms), at);
	assert_int_equal(send_udp(peer), 0);
	assert_int_equal(atomic_load(&entry(peer)->used_ms), at + 1000);
}

/* Who was only ever heard of becomes one that we have sent to. */
static void
first_use(void **state)
{
	asked_by(peer);
	assert_false(atomic_load(&entry(peer)->used));
	assert_int_equal(send_udp(peer), 0);
	assert_true(atomic_load(&entry(peer)->used));
	test_net_discard(&net);
}

static void
too_many_neighbours(void **state)
{
	struct ip_conf conf = {.name = "many",
		.workers = 1,
		.neighbours = (1 << 20) + 1,
		.socket_id = SOCKET_ID_ANY};
	int err = 0;

	assert_null(ip_create(&conf, &err));
	assert_int_equal(err, -EINVAL);
}

/* The limits of a large table and of the smallest one. */
static void
limits_by_size(void **state)
{
	for (uint32_t i = 0; i < 100; i++)
		for (uint32_t j = 0; j < 20; j++)
			assert_int_equal(send_udp(host(i)), 0);
	/* 1024 in common; the hosts after the first 51 keep one or what was left. */
	assert_int_equal(net.ip->neigh.queued, 1024 + 48);
	teardown(state);
	setup_size(1);
	assert_int_equal(send_udp(host(0)), 0);
	assert_int_equal(send_udp(host(1)), -ENOBUFS);
	answer(host(0));
	asked_by(host(2));
	assert_int_equal(net.ip->neigh.count, 1);
	assert_int_equal(state_of(host(0)), NEIGH_REACHABLE);
}

/* Of two places that an address can have, each is looked at for somebody who may go. */
static void
either_bucket_is_searched(void **state)
{
	struct test_addr idle = host(0);
	unsigned refused;

	for (uint32_t i = 1; i < 16; i++)
		reachable(host(i));
	asked_by(idle);
	for (uint32_t i = 100; i < 200; i++) {
		asked_by(host(i));
		for (uint32_t j = 1; j < 16; j++)
			assert_int_equal(state_of(host(j)), NEIGH_REACHABLE);
		assert_int_equal(net.ip->neigh.count, 16);
	}
	/* A quarter of the addresses has both places in the bucket where nobody may go. */
	refused = (unsigned)test_ip_stat(&net, "neigh_refused");
	assert_in_range(refused, 10, 38);
	assert_int_equal(test_ip_stat(&net, "neigh_evicted"), 100 - refused);
}

/* Paths that were made before anybody knew the neighbour find him when they are used. */
static void
older_paths_find_him(void **state)
{
	struct key k = {.proto = IPPROTO_UDP};
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};
	struct path p[2] = {{0}};
	struct rte_mbuf *m;

	memcpy(k.laddr, us.b, 16);
	memcpy(k.raddr, peer.b, 16);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ip_path(&net.w[0], &k, &p[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		m = test_mbuf(net.mp, "\0\7\0\11\0\10\0\0", 8);
		assert_int_equal(ip_output(&net.w[0], &p[i], &k, m, &tx), 0);
		assert_int_equal(test_net_discard(&net), 1);
		if (i == 0)
			answer(peer);
		assert_int_equal(test_net_discard(&net), i == 0);
	}
}

/* Who was asked for less than a second ago is waited for, though the table is full. */
static void
just_asked_ones_stay(void **state)
{
	for (uint32_t i = 0; i < 12; i++)
		reachable(host(i));
	for (uint32_t i = 12; i < 16; i++)
		assert_int_equal(send_udp(host(i)), 0);
	test_net_discard(&net);
	for (uint32_t i = 100; i < 140; i++)
		asked_by(host(i));
	assert_int_equal(gone(0, 16), 0);
}

#define T(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TS(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(three_questions),
		T(all_are_asked_in_time),
		T(life_of_an_entry),
		T(doubt),
		T(progress_confirms),
		T(reachable_times_differ),
		T(advertisements),
		TS(those_in_use_stay),
		TS(askers_go_first),
		TS(incomplete_ones_are_limited),
		TS(waiting_packets_are_limited),
		T(look_ups_compare_all),
		TS(link_comes_back),
		T(last_use),
		T(first_use),
		T(too_many_neighbours),
		T(limits_by_size),
		TS(either_bucket_is_searched),
		T(older_paths_find_him),
		TS(just_asked_ones_stay),
	};

	test_eal("neigh_state");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
