/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the tests share: an EAL without huge pages, buffer pools, workers whose
 * output is caught in an array, a virtual clock, and builders of frames.
 *
 * A test program calls test_eal() once, then for each test test_net_init() and
 * test_net_fini(); the latter fails the test if a buffer was not given back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "ip.h"
#include "worker.h"

#define TEST_TX_MAX      8192
#define TEST_WORKERS_MAX 8
#define TEST_FRAME_MAX   66000
#define TEST_MBUFS       4095

/** Bring EAL up: no huge pages, no devices. Skips the program (exit 77) where it can't. */
void test_eal(const char *file_prefix);

struct test_frame;
struct test_addr {
	uint8_t b[16];
};

struct test_sent {
	unsigned worker;
	unsigned ifc;
	struct rte_mbuf *m;
};

struct test_net {
	struct rte_mempool *mp, *mp_small;
	struct worker *w; /* nworkers of them */
	unsigned nworkers;
	struct test_sent tx[TEST_TX_MAX]; /* what was sent, oldest first */
	unsigned ntx;
	unsigned tx_refuse_from; /* the port takes no packet once ntx is this; 0: takes all */
	struct ip *ip; /* test_net_ip's */
};

/** Pools, and workers at time 1 s whose random sources are seeded with 1, 2, ... */
void test_net_init(struct test_net *n, unsigned workers);

/** Give the workers a network layer: interface 0 "lan", MAC test_mac_us, with the addresses 10.77.0.2/24
 * and fd77::2/64 (not announced, so in use at once), default gateways 10.77.0.1 and fd77::1. */
void test_net_ip(struct test_net *n, const struct ip_offloads *off);

/** The same with all settings given; its addresses and routes are the caller's. */
void test_net_ip_ifc(struct test_net *n, const struct ip_ifc_conf *conf);

/** Take a frame in on interface 0 by worker 0; what is handed up, or NULL. */
struct rte_mbuf *test_input(struct test_net *n, const struct test_frame *f);

/** Take it in and expect it to be handed up as kind; counted as delivered. The caller frees it. */
struct rte_mbuf *test_expect_up(struct test_net *n, const struct test_frame *f, enum pkt_kind kind);

/** Take it in and expect it to be dropped for r, and nothing to be sent. */
void test_expect_drop(struct test_net *n, const struct test_frame *f, enum drop_reason r);

/** Take it in and expect the stack to handle it itself. What is sent stays to be looked at. */
void test_expect_consumed(struct test_net *n, const struct test_frame *f);

/** Expect a packet to have been sent: its bytes; fails the test if there is none. */
size_t test_expect_sent(struct test_net *n, uint8_t *buf);

/** A counter of lib/ip by name. */
uint64_t test_ip_stat(struct test_net *n, const char *name);

/** An ARP packet from MAC sha; op 1 or 2. */
void test_frame_arp(struct test_frame *f, uint16_t op, struct test_addr spa, const uint8_t sha[6],
	struct test_addr tpa, const uint8_t tha[6]);

/** Let the peer at addr answer for its MAC: an ARP or ND exchange that leaves a neighbour entry. */
void test_net_peer(struct test_net *n, struct test_addr addr, const uint8_t mac[6]);

/** Free what was sent and check that every buffer came home. */
void test_net_fini(struct test_net *n);

/** Let us microseconds pass on all workers' clocks. */
void test_net_advance(struct test_net *n, uint64_t us);

/** Flush all workers. */
void test_net_flush(struct test_net *n);

/** Flush, then take the oldest packet that was sent, or NULL. The caller frees it. */
struct rte_mbuf *test_net_sent(struct test_net *n, unsigned *ret_ifc);

/** Flush, free everything that was sent, and return how many there were. */
unsigned test_net_discard(struct test_net *n);

/** received == delivered + consumed + drops + held, over all workers (I10). */
void test_net_balance(struct test_net *n);

/** Buffers of a pool that are in use. */
unsigned test_in_use(struct rte_mempool *mp);

/** Make every allocation from mp fail, or work again: takes all buffers, or gives them back. */
void test_starve(struct rte_mempool *mp);
void test_feed(struct rte_mempool *mp);

/** As test_starve, but leave n buffers. */
void test_starve_but(struct rte_mempool *mp, unsigned n);

/* Frames. Addresses are 16 bytes; IPv4 is mapped, and both versions are built by the same calls. */

/** Parse "10.0.0.1" or "fd00::1"; fails the test if it can't. */
struct test_addr test_addr(const char *text);

extern const uint8_t test_mac_us[6]; /* 02:00:00:00:00:01 */
extern const uint8_t test_mac_peer[6]; /* 02:00:00:00:00:02 */
extern const uint8_t test_mac_broadcast[6];

struct test_frame {
	size_t len;
	size_t l3, l4; /* offsets */
	uint8_t b[TEST_FRAME_MAX];
};

/** Start a frame: Ethernet header from the peer to us, IPv4's or IPv6's type by src. */
void
test_frame_eth(struct test_frame *f, const uint8_t dst[6], const uint8_t src[6], uint16_t type);

/** Put an 802.1Q tag into a frame made before. */
void test_frame_tag(struct test_frame *f, uint16_t vlan);

/** A whole frame: Ethernet, IP, and len bytes of payload as they are. ttl 64, v4: id 0x1234. */
void test_frame_ip(struct test_frame *f, struct test_addr src, struct test_addr dst, uint8_t proto,
	const void *payload, size_t len);

/** UDP with its checksum. */
void test_frame_udp(struct test_frame *f, struct test_addr src, struct test_addr dst,
	uint16_t sport, uint16_t dport, const void *data, size_t len);

struct test_tcp {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	const void *opts;
	size_t opts_len; /* a multiple of 4 */
};

/** TCP with its checksum. */
void test_frame_tcp(struct test_frame *f, struct test_addr src, struct test_addr dst,
	const struct test_tcp *t, const void *data, size_t len);

/** ICMP or ICMPv6 (by the addresses): body starts at the type byte; the checksum is filled in. */
void test_frame_icmp(struct test_frame *f, struct test_addr src, struct test_addr dst, uint8_t ttl,
	const void *body, size_t len);

/** Put the IPv4 header checksum of a frame right after it was changed. */
void test_frame_ip4_cksum(struct test_frame *f);

/** Put the transport checksum right (TCP, UDP, ICMP, ICMPv6; IPv6: without extension headers). */
void test_frame_l4_cksum(struct test_frame *f);

/** The sum of the transport is right. For frames that were sent, no extension headers. */
bool test_l4_cksum_ok(const uint8_t *ip, size_t len);

/** A one-buffer (or, where it does not fit, chained) packet with the frame's bytes. */
struct rte_mbuf *test_mbuf(struct rte_mempool *mp, const void *b, size_t len);

/** The same bytes in a chain that is cut at the given offsets (ascending, n of them). */
struct rte_mbuf *
test_mbuf_cut(struct rte_mempool *mp, const void *b, size_t len, const size_t *cut, unsigned n);

/** The same in heap buffers that end where each segment does: ASan sees whoever reads past it. */
struct rte_mbuf *
test_mbuf_exact(struct rte_mempool *mp, const void *b, size_t len, const size_t *cut, unsigned n);

/** Copy a packet's bytes out; returns its length. buf has room for TEST_FRAME_MAX. */
size_t test_bytes(const struct rte_mbuf *m, uint8_t *buf);
