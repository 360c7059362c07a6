/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "util.h"

#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <cmocka.h>

#include "pkt.h"

const uint8_t test_mac_us[6] = {2, 0, 0, 0, 0, 1};
const uint8_t test_mac_peer[6] = {2, 0, 0, 0, 0, 2};
const uint8_t test_mac_broadcast[6] = {255, 255, 255, 255, 255, 255};

void
test_eal(const char *file_prefix)
{
	char prefix[96];
	cpu_set_t cpus;
	char *argv[] = {"test", "--no-huge", "-m", "256", "--no-pci", "--no-shconf",
		"--no-telemetry", "--log-level=error", "-l", "0", prefix, NULL};

	snprintf(prefix, sizeof(prefix), "--file-prefix=convd-%s-%d", file_prefix, (int)getpid());
	CPU_ZERO(&cpus);
	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) < 0) {
		fprintf(stderr, "no EAL here: %s\n", rte_strerror(rte_errno));
		exit(77);
	}
	/* EAL pins the main thread, and with it all that come of it: threads are to meet on several cores. */
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void
test_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
test_put32(uint8_t *p, uint32_t v)
{
	test_put16(p, (uint16_t)(v >> 16));
	test_put16(p + 2, (uint16_t)v);
}

static uint16_t
test_tx_burst(void *arg, unsigned ifc, struct rte_mbuf **m, uint16_t count)
{
	struct test_net *n = ((void **)arg)[0];
	unsigned worker = (unsigned)(uintptr_t)((void **)arg)[1];

	for (uint16_t i = 0; i < count; i++) {
		if (n->ntx == TEST_TX_MAX ||
			(n->tx_refuse_from != 0 && n->ntx >= n->tx_refuse_from))
			return i;
		__rte_mbuf_sanity_check(m[i], 1);
		n->tx[n->ntx++] = (struct test_sent){worker, ifc, m[i]};
	}
	return count;
}

void
test_net_init(struct test_net *n, unsigned workers)
{
	static unsigned serial;
	static void *args[TEST_WORKERS_MAX][2];
	char name[32];

	assert_in_range(workers, 1, TEST_WORKERS_MAX);
	memset(n, 0, sizeof(*n));
	snprintf(name, sizeof(name), "mp%u", serial);
	n->mp = rte_pktmbuf_pool_create_by_ops(name, TEST_MBUFS, 0, PKT_PRIV_SIZE,
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, "lf_stack");
	snprintf(name, sizeof(name), "small%u", serial++);
	n->mp_small = rte_pktmbuf_pool_create_by_ops(name, TEST_MBUFS, 0, PKT_PRIV_SIZE,
		RTE_PKTMBUF_HEADROOM + 256, SOCKET_ID_ANY, "lf_stack");
	assert_non_null(n->mp);
	assert_non_null(n->mp_small);
	n->w = aligned_alloc(RTE_CACHE_LINE_SIZE, workers * sizeof(*n->w));
	assert_non_null(n->w);
	memset(n->w, 0, workers * sizeof(*n->w));
	n->nworkers = workers;
	for (unsigned i = 0; i < workers; i++) {
		struct worker *w = &n->w[i];

		args[i][0] = n;
		args[i][1] = (void *)(uintptr_t)i;
		w->id = i;
		w->mp = n->mp;
		w->mp_small = n->mp_small;
		w->tx_burst = test_tx_burst;
		w->tx_arg = args[i];
		worker_seed(w, i + 1);
	}
	test_net_advance(n, 1000000);
}

unsigned
test_in_use(struct rte_mempool *mp)
{
	return rte_mempool_in_use_count(mp);
}

void
test_net_fini(struct test_net *n)
{
	test_net_discard(n);
	if (n->ip != NULL)
		ip_free(n->ip);
	n->ip = NULL;
	assert_int_equal(test_in_use(n->mp), 0);
	assert_int_equal(test_in_use(n->mp_small), 0);
	rte_mempool_free(n->mp);
	rte_mempool_free(n->mp_small);
	free(n->w);
	n->w = NULL;
}

void
test_net_ip_ifc(struct test_net *n, const struct ip_ifc_conf *ifc)
{
	static unsigned serial;
	char name[16];
	struct ip_conf conf = {
		.name = name, .secret = {1, 2}, .workers = n->nworkers, .socket_id = SOCKET_ID_ANY};
	int err = 0;

	snprintf(name, sizeof(name), "ip%u", serial++);
	n->ip = ip_create(&conf, &err);
	assert_non_null(n->ip);
	for (unsigned i = 0; i < n->nworkers; i++)
		n->w[i].ip = n->ip;
	assert_int_equal(ip_ifc_add(n->ip, ifc), 0);
}

void
test_net_ip(struct test_net *n, const struct ip_offloads *off)
{
	struct ip_ifc_conf conf = {.name = "lan", .mtu = 1500, .off = {.multi_segs = true}};
	static const uint8_t any6[16];

	memcpy(&conf.mac, test_mac_us, 6);
	if (off != NULL)
		conf.off = *off;
	test_net_ip_ifc(n, &conf);
	assert_int_equal(ip_address_add(n->ip, 0, test_addr("10.77.0.2").b, 24), 0);
	assert_int_equal(ip_address_add(n->ip, 0, test_addr("fd77::2").b, 64), 0);
	assert_int_equal(
		ip_route_add(n->ip, test_addr("0.0.0.0").b, 0, test_addr("10.77.0.1").b), 0);
	assert_int_equal(ip_route_add(n->ip, any6, 0, test_addr("fd77::1").b), 0);
}

struct rte_mbuf *
test_input(struct test_net *n, const struct test_frame *f)
{
	struct rte_mbuf *m = test_mbuf(n->mp, f->b, f->len), *up = NULL;

	return ip_input_burst(&n->w[0], 0, &m, 1, &up) == 1 ? up : NULL;
}

struct rte_mbuf *
test_expect_up(struct test_net *n, const struct test_frame *f, enum pkt_kind kind)
{
	struct rte_mbuf *m = test_input(n, f);

	assert_non_null(m);
	assert_int_equal(pkt_of(m)->kind, kind);
	n->w[0].c.delivered++;
	return m;
}

void
test_expect_drop(struct test_net *n, const struct test_frame *f, enum drop_reason r)
{
	uint64_t before[DROP_MAX];

	memcpy(before, n->w[0].c.drops, sizeof(before));
	assert_null(test_input(n, f));
	for (unsigned i = 0; i < DROP_MAX; i++)
		if (n->w[0].c.drops[i] != before[i] + (i == r))
			fail_msg("expected %s, but %s: %+d", drop_name(r), drop_name(i),
				(int)(n->w[0].c.drops[i] - before[i]));
	test_net_flush(n);
	assert_int_equal(n->ntx, 0);
}

void
test_expect_consumed(struct test_net *n, const struct test_frame *f)
{
	uint64_t before = n->w[0].c.consumed;

	assert_null(test_input(n, f));
	assert_int_equal(n->w[0].c.consumed, before + 1);
}

size_t
test_expect_sent(struct test_net *n, uint8_t *buf)
{
	struct rte_mbuf *m = test_net_sent(n, NULL);
	size_t len;

	assert_non_null(m);
	len = test_bytes(m, buf);
	rte_pktmbuf_free(m);
	return len;
}

struct test_stat {
	const char *name;
	uint64_t value;
	bool found;
};

static void
test_stat_each(void *arg, const char *name, uint64_t value)
{
	struct test_stat *s = arg;

	if (strcmp(name, s->name) != 0)
		return;
	s->value = value;
	s->found = true;
}

uint64_t
test_ip_stat(struct test_net *n, const char *name)
{
	struct test_stat s = {.name = name};

	ip_stats(n->ip, test_stat_each, &s);
	assert_true(s.found);
	return s.value;
}

void
test_frame_arp(struct test_frame *f, uint16_t op, struct test_addr spa, const uint8_t sha[6],
	struct test_addr tpa, const uint8_t tha[6])
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
	uint8_t *p;

	test_frame_eth(f, op == 1 ? test_mac_broadcast : tha, sha, 0x0806);
	p = f->b + f->len;
	memcpy(p, head, 6);
	test_put16(p + 6, op);
	memcpy(p + 8, sha, 6);
	memcpy(p + 14, spa.b + 12, 4);
	memcpy(p + 18, tha, 6);
	memcpy(p + 24, tpa.b + 12, 4);
	f->len += 28;
}

void
test_net_peer(struct test_net *n, struct test_addr addr, const uint8_t mac[6])
{
	static struct test_frame f;
	uint8_t ns[32] = {135};
	struct test_addr us = test_addr("fd77::2");

	if (addr.b[10] == 0xff && addr.b[11] == 0xff && addr.b[0] == 0) {
		test_frame_arp(&f, 1, addr, mac, test_addr("10.77.0.2"), (const uint8_t[6]){0});
	} else {
		memcpy(ns + 8, us.b, 16);
		ns[24] = 1;
		ns[25] = 1;
		memcpy(ns + 26, mac, 6);
		test_frame_icmp(&f, addr, us, 255, ns, sizeof(ns));
		memcpy(f.b + 6, mac, 6);
	}
	assert_null(test_input(n, &f));
	assert_int_equal(test_net_discard(n), 1);
}

void
test_net_advance(struct test_net *n, uint64_t us)
{
	for (unsigned i = 0; i < n->nworkers; i++) {
		n->w[i].now_us += us;
		n->w[i].now_ms = (uint32_t)(n->w[i].now_us / 1000);
	}
}

void
test_net_flush(struct test_net *n)
{
	for (unsigned i = 0; i < n->nworkers; i++)
		worker_flush(&n->w[i]);
}

struct rte_mbuf *
test_net_sent(struct test_net *n, unsigned *ret_ifc)
{
	struct rte_mbuf *m;

	test_net_flush(n);
	if (n->ntx == 0)
		return NULL;
	m = n->tx[0].m;
	if (ret_ifc != NULL)
		*ret_ifc = n->tx[0].ifc;
	n->ntx--;
	memmove(&n->tx[0], &n->tx[1], n->ntx * sizeof(n->tx[0]));
	return m;
}

unsigned
test_net_discard(struct test_net *n)
{
	unsigned count;

	test_net_flush(n);
	count = n->ntx;
	for (unsigned i = 0; i < count; i++)
		rte_pktmbuf_free(n->tx[i].m);
	n->ntx = 0;
	return count;
}

void
test_net_balance(struct test_net *n)
{
	uint64_t in = 0, out = 0;

	for (unsigned i = 0; i < n->nworkers; i++) {
		struct worker_counters *c = &n->w[i].c;

		in += c->received;
		out += c->delivered + c->consumed + c->held_in - c->held_out;
		for (unsigned r = 0; r < DROP_MAX; r++)
			out += c->drops[r];
	}
	assert_int_equal(in, out);
}

static struct rte_mbuf *test_hoard[2][2 * TEST_MBUFS];
static unsigned test_hoarded[2];
static struct rte_mempool *test_hoard_of[2];

void
test_starve(struct rte_mempool *mp)
{
	unsigned slot = test_hoard_of[0] == NULL ? 0 : 1;
	struct rte_mbuf *m;

	assert_null(test_hoard_of[slot]);
	test_hoard_of[slot] = mp;
	while ((m = rte_pktmbuf_alloc(mp)) != NULL)
		test_hoard[slot][test_hoarded[slot]++] = m;
}

void
test_starve_but(struct rte_mempool *mp, unsigned n)
{
	unsigned slot = test_hoard_of[0] == NULL ? 0 : 1;

	test_starve(mp);
	while (n-- > 0 && test_hoarded[slot] > 0)
		rte_pktmbuf_free(test_hoard[slot][--test_hoarded[slot]]);
}

void
test_feed(struct rte_mempool *mp)
{
	unsigned slot = test_hoard_of[0] == mp ? 0 : 1;

	assert_ptr_equal(test_hoard_of[slot], mp);
	while (test_hoarded[slot] > 0)
		rte_pktmbuf_free(test_hoard[slot][--test_hoarded[slot]]);
	test_hoard_of[slot] = NULL;
}

struct test_addr
test_addr(const char *text)
{
	struct test_addr a = {{0}};

	if (strchr(text, ':') == NULL) {
		a.b[10] = a.b[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, a.b + 12), 1);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	}
	return a;
}

/* A plain sum of its own (RFC 1071), so the product's is checked against another. */
static uint32_t
test_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (uint32_t)(p[len - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static bool
test_is_v4(struct test_addr a)
{
	return a.b[10] == 0xff && a.b[11] == 0xff && a.b[0] == 0;
}

void
test_frame_eth(struct test_frame *f, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	memcpy(f->b, dst, 6);
	memcpy(f->b + 6, src, 6);
	test_put16(f->b + 12, type);
	f->len = f->l3 = f->l4 = 14;
}

void
test_frame_tag(struct test_frame *f, uint16_t vlan)
{
	memmove(f->b + 16, f->b + 12, f->len - 12);
	test_put16(f->b + 12, 0x8100);
	test_put16(f->b + 14, vlan);
	f->len += 4;
	f->l3 += 4;
	f->l4 += 4;
}

void
test_frame_ip4_cksum(struct test_frame *f)
{
	uint8_t *ip = f->b + f->l3;

	test_put16(ip + 10, 0);
	test_put16(ip + 10, (uint16_t)~test_sum(ip, (size_t)(ip[0] & 15) * 4, 0));
}

void
test_frame_ip(struct test_frame *f, struct test_addr src, struct test_addr dst, uint8_t proto,
	const void *payload, size_t len)
{
	bool v4 = test_is_v4(src);
	uint8_t *ip;

	test_frame_eth(f, test_mac_us, test_mac_peer, v4 ? 0x0800 : 0x86dd);
	f->l4 = f->l3 + (v4 ? 20 : 40);
	assert_true(f->l4 + len <= TEST_FRAME_MAX);
	ip = f->b + f->l3;
	memset(ip, 0, f->l4 - f->l3);
	if (v4) {
		ip[0] = 0x45;
		test_put16(ip + 2, (uint16_t)(20 + len));
		test_put16(ip + 4, 0x1234);
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, src.b + 12, 4);
		memcpy(ip + 16, dst.b + 12, 4);
		test_frame_ip4_cksum(f);
	} else {
		ip[0] = 0x60;
		test_put16(ip + 4, (uint16_t)len);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, src.b, 16);
		memcpy(ip + 24, dst.b, 16);
	}
	if (len > 0)
		memcpy(f->b + f->l4, payload, len);
	f->len = f->l4 + len;
}

/* Where the checksum of a transport stands in its header; < 0: there is none known here. */
static int
test_cksum_off(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return -1;
	}
}

/* The sum over pseudo header and payload; a right packet's is 0xffff. */
static uint32_t
test_l4_sum(const uint8_t *ip, size_t hlen, size_t len, uint8_t proto)
{
	uint32_t sum = (uint32_t)(len >> 16) + (uint32_t)(len & 0xffff) + proto;

	if (ip[0] >> 4 == 6)
		sum = test_sum(ip + 8, 32, sum);
	else if (proto == IPPROTO_ICMP)
		sum = 0;
	else
		sum = test_sum(ip + 12, 8, sum);
	return test_sum(ip + hlen, len, sum);
}

void
test_frame_l4_cksum(struct test_frame *f)
{
	uint8_t *ip = f->b + f->l3;
	bool v4 = ip[0] >> 4 == 4;
	uint8_t proto = v4 ? ip[9] : ip[6];
	int off = test_cksum_off(proto);
	uint16_t sum;

	assert_true(off >= 0);
	test_put16(f->b + f->l4 + off, 0);
	sum = (uint16_t)~test_l4_sum(ip, f->l4 - f->l3, f->len - f->l4, proto);
	if (proto == IPPROTO_UDP && sum == 0)
		sum = 0xffff;
	test_put16(f->b + f->l4 + off, sum);
}

bool
test_l4_cksum_ok(const uint8_t *ip, size_t len)
{
	bool v4 = ip[0] >> 4 == 4;
	size_t hlen = v4 ? (size_t)(ip[0] & 15) * 4 : 40;
	size_t total = v4 ? (size_t)(ip[2] << 8 | ip[3]) : 40 + (size_t)(ip[4] << 8 | ip[5]);

	if (total > len || (v4 && test_sum(ip, hlen, 0) != 0xffff))
		return false;
	return test_l4_sum(ip, hlen, total - hlen, v4 ? ip[9] : ip[6]) == 0xffff;
}

void
test_frame_udp(struct test_frame *f, struct test_addr src, struct test_addr dst, uint16_t sport,
	uint16_t dport, const void *data, size_t len)
{
	uint8_t *u;

	test_frame_ip(f, src, dst, IPPROTO_UDP, NULL, 0);
	f->len = f->l4 + 8 + len;
	assert_true(f->len <= TEST_FRAME_MAX);
	u = f->b + f->l4;
	test_put16(u, sport);
	test_put16(u + 2, dport);
	test_put16(u + 4, (uint16_t)(8 + len));
	if (len > 0)
		memcpy(u + 8, data, len);
	if (test_is_v4(src)) {
		test_put16(f->b + f->l3 + 2, (uint16_t)(28 + len));
		test_frame_ip4_cksum(f);
	} else {
		test_put16(f->b + f->l3 + 4, (uint16_t)(8 + len));
	}
	test_frame_l4_cksum(f);
}

void
test_frame_tcp(struct test_frame *f, struct test_addr src, struct test_addr dst,
	const struct test_tcp *t, const void *data, size_t len)
{
	size_t hlen = 20 + t->opts_len;
	uint8_t *h;

	assert_true(hlen <= 60 && t->opts_len % 4 == 0);
	test_frame_ip(f, src, dst, IPPROTO_TCP, NULL, 0);
	f->len = f->l4 + hlen + len;
	assert_true(f->len <= TEST_FRAME_MAX);
	h = f->b + f->l4;
	test_put16(h, t->sport);
	test_put16(h + 2, t->dport);
	test_put32(h + 4, t->seq);
	test_put32(h + 8, t->ack);
	h[12] = (uint8_t)(hlen / 4 << 4);
	h[13] = t->flags;
	test_put16(h + 14, t->wnd);
	test_put16(h + 16, 0);
	test_put16(h + 18, 0);
	if (t->opts_len > 0)
		memcpy(h + 20, t->opts, t->opts_len);
	if (len > 0)
		memcpy(h + hlen, data, len);
	if (test_is_v4(src)) {
		test_put16(f->b + f->l3 + 2, (uint16_t)(20 + hlen + len));
		test_frame_ip4_cksum(f);
	} else {
		test_put16(f->b + f->l3 + 4, (uint16_t)(hlen + len));
	}
	test_frame_l4_cksum(f);
}

void
test_frame_icmp(struct test_frame *f, struct test_addr src, struct test_addr dst, uint8_t ttl,
	const void *body, size_t len)
{
	bool v4 = test_is_v4(src);

	test_frame_ip(f, src, dst, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, body, len);
	f->b[f->l3 + (v4 ? 8 : 7)] = ttl;
	if (v4)
		test_frame_ip4_cksum(f);
	if (len >= 4)
		test_frame_l4_cksum(f);
}

struct rte_mbuf *
test_mbuf_cut(struct rte_mempool *mp, const void *b, size_t len, const size_t *cut, unsigned n)
{
	const uint8_t *p = b;
	struct rte_mbuf *head = NULL;
	size_t at = 0;

	for (unsigned i = 0; i <= n; i++) {
		size_t end = i < n ? cut[i] : len;
		struct rte_mbuf *m = rte_pktmbuf_alloc(mp);

		assert_non_null(m);
		assert_true(end >= at && end - at <= rte_pktmbuf_tailroom(m));
		memset(rte_mbuf_to_priv(m), 0xa5, rte_pktmbuf_priv_size(mp));
		if (end > at)
			memcpy(rte_pktmbuf_append(m, (uint16_t)(end - at)), p + at, end - at);
		at = end;
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

struct test_exact {
	struct rte_mbuf_ext_shared_info shared;
	void *bytes;
};

static void
test_exact_free(void *bytes, void *opaque)
{
	free(bytes);
	free(opaque);
}

static struct rte_mbuf *
test_exact_segment(struct rte_mempool *mp, const void *b, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mp);
	struct test_exact *e = malloc(sizeof(*e));

	assert_non_null(m);
	assert_non_null(e);
	e->bytes = malloc(RTE_MAX(len, (size_t)1));
	assert_non_null(e->bytes);
	e->shared.free_cb = test_exact_free;
	e->shared.fcb_opaque = e;
	rte_mbuf_ext_refcnt_set(&e->shared, 1);
	rte_pktmbuf_attach_extbuf(m, e->bytes, 0, (uint16_t)len, &e->shared);
	if (len > 0)
		memcpy(e->bytes, b, len);
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	return m;
}

struct rte_mbuf *
test_mbuf_exact(struct rte_mempool *mp, const void *b, size_t len, const size_t *cut, unsigned n)
{
	const uint8_t *p = b;
	struct rte_mbuf *head = NULL;
	size_t at = 0;

	for (unsigned i = 0; i <= n; i++) {
		size_t end = i < n ? cut[i] : len;
		struct rte_mbuf *m = test_exact_segment(mp, p + at, end - at);

		at = end;
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

struct rte_mbuf *
test_mbuf(struct rte_mempool *mp, const void *b, size_t len)
{
	size_t room = rte_pktmbuf_data_room_size(mp) - RTE_PKTMBUF_HEADROOM;
	size_t cut[TEST_FRAME_MAX / 64];
	unsigned n = 0;

	while ((n + 1) * room < len) {
		assert_true(n < TEST_FRAME_MAX / 64);
		cut[n] = (n + 1) * room;
		n++;
	}
	return test_mbuf_cut(mp, b, len, cut, n);
}

size_t
test_bytes(const struct rte_mbuf *m, uint8_t *buf)
{
	size_t at = 0;

	assert_true(m->pkt_len <= TEST_FRAME_MAX);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		memcpy(buf + at, rte_pktmbuf_mtod(s, const void *), s->data_len);
		at += s->data_len;
	}
	assert_int_equal(at, m->pkt_len);
	return at;
}
