/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The neighbour table: retries, ageing, bounds, queue; many threads at one entry.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "util.h"

static struct test_net net;
static struct test_frame f;
static uint8_t out[TEST_FRAME_MAX];
static struct test_addr us, peer;
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 9};

/* A network layer with room for so many neighbours, on 10.0.0.2/8. */
static int
setup_size(uint32_t neighbours, unsigned workers)
{
	struct ip_ifc_conf ifc = {.name = "lan", .mtu = 1500, .off = {.multi_segs = true}};
	struct ip_conf conf = {.name = "n",
		.secret = {3, 4},
		.neighbours = neighbours,
		.workers = workers,
		.socket_id = SOCKET_ID_ANY};
	int err;

	us = test_addr("10.77.0.2");
	peer = test_addr("10.77.0.9");
	test_net_init(&net, workers);
	net.ip = ip_create(&conf, &err);
	assert_non_null(net.ip);
	for (unsigned i = 0; i < workers; i++)
		net.w[i].ip = net.ip;
	memcpy(&ifc.mac, test_mac_us, 6);
	assert_int_equal(ip_ifc_add(net.ip, &ifc), 0);
	assert_int_equal(ip_address_add(net.ip, 0, us.b, 8), 0);
	return 0;
}

static int
setup(void **state)
{
	return setup_size(0, 1);
}

static int
setup_small(void **state)
{
	return setup_size(64, 1);
}

static int
setup_workers(void **state)
{
	return setup_size(0, 4);
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

	a.b[13] = (uint8_t)(1 + (i >> 16));
	a.b[14] = (uint8_t)(i >> 8);
	a.b[15] = (uint8_t)i;
	return a;
}

static int
send_by(unsigned worker, struct path *p, struct test_addr to, uint32_t mark)
{
	struct key k = {.proto = IPPROTO_UDP};
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};
	uint8_t b[12] = {0, 7, 0, 9, 0, 12};
	struct rte_mbuf *m;

	memcpy(b + 8, &mark, 4);
	m = test_mbuf(net.mp, b, sizeof(b));
	memset(pkt_of(m), 0, sizeof(struct pkt));
	memcpy(k.raddr, to.b, 16);
	memcpy(k.laddr, us.b, 16);
	return ip_output(&net.w[worker], p, &k, m, &tx);
}

static int
send_udp(struct test_addr to)
{
	return send_by(0, NULL, to, 0);
}

/* Of what was sent, how many were ARP requests, and how many data; the last one's bytes are in out. */
static void
sort_sent(unsigned *ret_arp, unsigned *ret_data)
{
	struct rte_mbuf *m;

	*ret_arp = *ret_data = 0;
	while ((m = test_net_sent(&net, NULL)) != NULL) {
		test_bytes(m, out);
		rte_pktmbuf_free(m);
		++*(out[13] == 6 ? ret_arp : ret_data);
	}
}

static void
answer(struct test_addr of, const uint8_t mac[6])
{
	test_frame_arp(&f, 2, of, mac, us, test_mac_us);
	test_expect_consumed(&net, &f);
}

/* Let time pass in steps of 100 ms, with ticks; returns the requests sent. */
static unsigned
pass(unsigned ms)
{
	unsigned sum = 0, arp, data;

	for (unsigned t = 0; t < ms; t += 100) {
		test_net_advance(&net, 100000);
		ip_tick(&net.w[0]);
		sort_sent(&arp, &data);
		sum += arp;
	}
	return sum;
}

/* At most one request a second, three in all; then what waited is dropped, and a new packet asks anew. */
static void
retries(void **state)
{
	unsigned arp, data, sum = 0;
	uint64_t last_us = 0;

	assert_int_equal(send_udp(peer), 0);
	for (unsigned t = 0; t < 60; t++) {
		assert_int_equal(send_udp(peer), 0);
		ip_tick(&net.w[0]);
		sort_sent(&arp, &data);
		assert_int_equal(data, 0);
		if (arp > 0) {
			assert_int_equal(arp, 1);
			assert_true(last_us == 0 || net.w[0].now_us - last_us >= 1000000);
			last_us = net.w[0].now_us;
			sum++;
		}
		test_net_advance(&net, 100000);
	}
	assert_in_range(sum, 4, 6); /* 6 s, one to one and a half each */
	assert_int_equal(test_ip_stat(&net, "neigh_failed"), 1);
	pass(10000);
	assert_int_equal(test_in_use(net.mp), 0);
	assert_int_equal(net.w[0].c.tx_drops, 61);
	assert_int_equal(test_ip_stat(&net, "neigh_queue_drops"), 61);
}

/* The queue of one entry is bounded: the latest 64 are kept, in order. */
static void
queue_is_bounded(void **state)
{
	uint32_t mark;

	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(send_by(0, NULL, peer, i), 0);
	assert_int_equal(test_in_use(net.mp), 64);
	assert_int_equal(net.w[0].c.tx_drops, 36);
	assert_int_equal(test_net_discard(&net), 1);
	answer(peer, test_mac_peer);
	for (uint32_t i = 36; i < 100; i++) {
		assert_int_equal(test_expect_sent(&net, out), 46);
		memcpy(&mark, out + 42, 4);
		assert_int_equal(mark, i);
	}
	assert_null(test_net_sent(&net, NULL));
}

/* So are all queues together, but each entry keeps its latest. */
static void
queues_together_are_bounded(void **state)
{
	for (uint32_t i = 0; i < 100; i++)
		for (uint32_t j = 0; j < 20; j++)
			assert_int_equal(send_by(0, NULL, host(i), j), 0);
	test_net_flush(&net);
	assert_true(test_in_use(net.mp) <= 1024 + 100);
	test_net_discard(&net);
	answer(host(99), test_mac_peer);
	assert_true(test_expect_sent(&net, out) > 0);
	assert_int_equal(out[42], 19);
}

/* RFC 6583: those without an answer are limited apart, and never push out those that work. */
static void
scan_does_not_hurt(void **state)
{
	struct path paths[32] = {{0}};
	unsigned arp, data, refused = 0;

	for (unsigned i = 0; i < 32; i++) {
		test_net_peer(&net, host(i), test_mac_peer);
		assert_int_equal(send_by(0, &paths[i], host(i), 0), 0);
		test_net_discard(&net);
	}
	for (unsigned t = 0; t < 50; t++) {
		for (uint32_t i = 0; i < 400; i++)
			refused += send_udp(host(1000 + t * 400 + i)) == -ENOBUFS;
		ip_tick(&net.w[0]);
		sort_sent(&arp, &data);
		assert_true(arp <= 16 + 16);
		assert_int_equal(data, 0);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(send_by(0, &paths[i], host(i), 0), 0);
		sort_sent(&arp, &data);
		assert_int_equal(data, 32);
		assert_true(test_in_use(net.mp) <= 16);
		test_net_advance(&net, 100000);
	}
	assert_true(refused > 19000);
	/* And soon afterwards somebody new is found. */
	pass(5000);
	assert_int_equal(send_udp(peer), 0);
	sort_sent(&arp, &data);
	assert_int_equal(arp, 1);
	answer(peer, test_mac_peer);
	sort_sent(&arp, &data);
	assert_int_equal(data, 1);
}

/* Askers by the thousand fill the table with entries that are never used; those in use stay. */
static void
flood_of_requests_is_bounded(void **state)
{
	struct path p = {0};

	test_net_peer(&net, peer, test_mac_peer);
	assert_int_equal(send_by(0, &p, peer, 0), 0);
	test_net_discard(&net);
	for (uint32_t i = 0; i < 5000; i++)
		test_net_peer(&net, host(i), other_mac);
	assert_true(
		test_ip_stat(&net, "neigh_created") - test_ip_stat(&net, "neigh_evicted") <= 64);
	test_net_discard(&net);
	assert_int_equal(send_by(0, &p, peer, 0), 0);
	assert_int_equal(test_expect_sent(&net, out), 46);
	assert_memory_equal(out, test_mac_peer, 6);
	/* A new one finds room. */
	assert_int_equal(send_udp(host(100000)), 0);
	assert_int_equal(test_expect_sent(&net, out), 42);
}

/* An entry that was given to somebody else is noticed by the path that remembers it. */
static void
path_notices_that_its_entry_went(void **state)
{
	struct path p = {0};
	unsigned arp, data;

	test_net_peer(&net, peer, test_mac_peer);
	assert_int_equal(send_by(0, &p, peer, 0), 0);
	test_net_discard(&net);
	/* Confirmed by nobody: delay, three probes, gone. */
	pass(20000);
	assert_int_equal(test_ip_stat(&net, "neigh_failed"), 1);
	assert_int_equal(send_by(0, &p, peer, 0), 0);
	sort_sent(&arp, &data);
	assert_int_equal(arp, 1);
	assert_int_equal(data, 0);
	answer(peer, other_mac);
	sort_sent(&arp, &data);
	assert_int_equal(data, 1);
	assert_memory_equal(out, other_mac, 6);
	assert_int_equal(send_by(0, &p, peer, 0), 0);
	test_expect_sent(&net, out);
	assert_memory_equal(out, other_mac, 6);
}

/* All paths see a new MAC with their next packet, on every worker. */
static void
new_mac_is_seen_by_all(void **state)
{
	struct path p[4] = {{0}};

	test_net_peer(&net, peer, test_mac_peer);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(send_by(i, &p[i], peer, 0), 0);
	test_net_discard(&net);
	test_frame_arp(&f, 1, peer, other_mac, peer, test_mac_broadcast);
	test_expect_consumed(&net, &f);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(send_by(i, &p[i], peer, 0), 0);
		test_expect_sent(&net, out);
		assert_memory_equal(out, other_mac, 6);
	}
}

/* RFC 4861 section 7.3: reachable, stale, and when used again delay and unicast probes. */
static void
unreachability_detection(void **state)
{
	struct path p = {0};
	unsigned arp, data, probes = 0, after = 0;

	assert_int_equal(send_by(0, &p, peer, 0), 0);
	answer(peer, test_mac_peer);
	test_net_discard(&net);
	/* Confirmed for at least 15 s: used all the time, and nothing is asked. */
	for (unsigned t = 0; t < 140; t++) {
		assert_int_equal(send_by(0, &p, peer, 0), 0);
		test_net_advance(&net, 100000);
		ip_tick(&net.w[0]);
		sort_sent(&arp, &data);
		assert_int_equal(arp, 0);
		assert_int_equal(data, 1);
	}
	/* Idle: stale at last, and nobody is asked about an idle neighbour. */
	assert_int_equal(pass(40000), 0);
	/* Used: 5 s of grace, then unicast probes, and it goes on working. */
	for (unsigned t = 0; t < 100 && probes == 0; t++) {
		assert_int_equal(send_by(0, &p, peer, 0), 0);
		test_net_advance(&net, 100000);
		ip_tick(&net.w[0]);
		sort_sent(&arp, &data);
		assert_int_equal(data, 1);
		probes += arp;
		after = t;
	}
	assert_int_equal(probes, 1);
	assert_in_range(after, 49, 56);
	test_net_advance(&net, 2000000);
	ip_tick(&net.w[0]);
	assert_int_equal(test_expect_sent(&net, out), 42);
	assert_memory_equal(out, test_mac_peer, 6); /* unicast */
	/* Answered: quiet again. */
	answer(peer, test_mac_peer);
	assert_int_equal(pass(14000), 0);
	assert_int_equal(test_ip_stat(&net, "neigh_failed"), 0);
}

static void
every_hash_place_is_usable(void **state)
{
	/* As many as the limit: none may be refused for want of a place in its buckets. */
	for (uint32_t i = 0; i < 4096; i++)
		test_net_peer(&net, host(i), other_mac);
	assert_int_equal(test_ip_stat(&net, "neigh_created"), 4096);
	assert_int_equal(test_ip_stat(&net, "neigh_evicted"), 0);
	for (uint32_t i = 0; i < 4096; i++) {
		assert_int_equal(send_udp(host(i)), 0);
		assert_int_equal(test_expect_sent(&net, out), 46);
	}
}

static void
solicit_without_buffers(void **state)
{
	struct rte_mbuf *m = test_mbuf(net.mp, "\0\7\0\11\0\10\0\0", 8);
	struct key k = {.proto = IPPROTO_UDP};
	struct ip_tx tx = {.proto = IPPROTO_UDP, .l4_len = 8, .cksum_off = 6};

	memset(pkt_of(m), 0, sizeof(struct pkt));
	memcpy(k.raddr, peer.b, 16);
	memcpy(k.laddr, us.b, 16);
	test_starve(net.mp_small);
	assert_int_equal(ip_output(&net.w[0], NULL, &k, m, &tx), 0);
	test_feed(net.mp_small);
	assert_int_equal(net.w[0].c.tx_no_mbuf, 1);
	assert_int_equal(test_net_discard(&net), 0);
	/* It waits, and is asked for again. */
	assert_in_range(pass(2000), 1, 2);
}

/* Real threads: three send to neighbours while one changes MACs and evicts. A frame must carry the
 * MAC of the host it is for, whichever of his two. */
struct runner {
	unsigned worker;
	_Atomic bool *stop;
	_Atomic uint64_t sent;
	uint64_t wrong;
};

#define HOSTS 48

static uint16_t
checking_tx(void *arg, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct runner *r = arg;

	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *b = rte_pktmbuf_mtod(m[i], const uint8_t *);

		/* MAC: 2, version, and the last bytes of the address. */
		if (b[12] == 8 && b[13] == 0) {
			atomic_fetch_add_explicit(&r->sent, 1, memory_order_relaxed);
			r->wrong += b[4] != b[32] || b[5] != b[33];
		}
	}
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

static void *
sender(void *arg)
{
	struct runner *r = arg;
	struct path p[HOSTS] = {{0}};

	rte_thread_register();
	for (unsigned i = 0; !atomic_load_explicit(r->stop, memory_order_relaxed); i++) {
		send_by(r->worker, &p[i % HOSTS], host(i % HOSTS), i);
		worker_flush(&net.w[r->worker]);
	}
	rte_thread_unregister();
	return NULL;
}

static uint64_t
total(struct runner *r)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < 4; i++)
		sum += atomic_load_explicit(&r[i].sent, memory_order_relaxed);
	return sum;
}

static void
threads_never_send_to_a_wrong_mac(void **state)
{
	struct runner r[4];
	pthread_t t[4];
	_Atomic bool stop = false;
	time_t end = time(NULL) + 10;

	for (unsigned i = 0; i < 4; i++) {
		r[i] = (struct runner){.worker = i, .stop = &stop};
		net.w[i].tx_burst = checking_tx;
		net.w[i].tx_arg = &r[i];
	}
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, sender, &r[i]), 0);
	for (uint32_t round = 0; round < 3000 || (total(r) < 30000 && time(NULL) < end); round++) {
		/* More hosts than the table holds, each with a MAC that tells whose it is. */
		struct test_addr a = host(round * 7 % 200);
		uint8_t mac[6] = {2, 0, 0, (uint8_t)(round & 1), a.b[14], a.b[15]};
		struct rte_mbuf *m, *up = NULL;

		test_frame_arp(&f, 1, a, mac, us, test_mac_us);
		m = rte_pktmbuf_alloc(net.mp);
		if (m == NULL)
			continue;
		memcpy(rte_pktmbuf_append(m, (uint16_t)f.len), f.b, f.len);
		ip_input_burst(&net.w[0], 0, &m, 1, &up);
		worker_flush(&net.w[0]);
		if (round % 16 == 0) {
			net.w[0].now_us += 50000;
			net.w[0].now_ms = (uint32_t)(net.w[0].now_us / 1000);
			ip_tick(&net.w[0]);
		}
	}
	atomic_store(&stop, true);
	for (unsigned i = 1; i < 4; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(r[i].wrong, 0);
	}
	assert_true(total(r) >= 1000);
}

static int
setup_threads(void **state)
{
	return setup_size(64, 4);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(retries),
		T(queue_is_bounded),
		T(queues_together_are_bounded),
		cmocka_unit_test_setup_teardown(scan_does_not_hurt, setup_small, teardown),
		cmocka_unit_test_setup_teardown(
			flood_of_requests_is_bounded, setup_small, teardown),
		T(path_notices_that_its_entry_went),
		cmocka_unit_test_setup_teardown(new_mac_is_seen_by_all, setup_workers, teardown),
		T(unreachability_detection),
		T(every_hash_place_is_usable),
		T(solicit_without_buffers),
		cmocka_unit_test_setup_teardown(
			threads_never_send_to_a_wrong_mac, setup_threads, teardown),
	};

	test_eal("neigh");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
