/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_flood FLOWS SECONDS WINDOW [EAL options, one --vdev]
 *   bench_flood send|receive SECONDS BYTES [EAL options, one --vdev]
 *
 * The first sends datagrams of 18 bytes from as many peers to port 7 of 10.77.0.2, so many at a time, and counts those that
 * come back: the same for an echo service and for testpmd's 5tswap. The others are the two ends of a stream one way, of frames
 * that carry so many bytes of TCP each: what the link alone can carry. Prints one line of JSON.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include "frame.h"

#define BYTES       18
#define BURST       32
#define QUEUE       1024
#define MBUFS       8191
#define LINK_TRIES  1000
#define QUIET_MS    20 /* nothing came for so long: what is outstanding is lost */
#define WARMUP_MS   500
#define ARP_LEN     42
#define ROUNDS_LEFT 1000 /* of polling, for what is still on its way at the end */
#define HEADERS     66 /* Ethernet, IP, TCP with timestamps */
#define HEAD_START \
	2 /* seconds that a stream's sender goes on for longer than its receiver listens */

struct flood {
	uint32_t flows, window;
	struct rte_mempool *mp;
	uint64_t state; /* of the order */
	uint32_t next, outstanding;
	uint64_t sent, back, lost, heard; /* heard: TSC when something came last */
};

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "bench: %s failed\n", what);
	exit(1);
}

static void
port_start(struct flood *f)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_link link = {0};

	must(rte_eth_dev_count_avail() == 1, "one --vdev");
	f->mp = rte_pktmbuf_pool_create(
		"flood", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	must(f->mp != NULL, "rte_pktmbuf_pool_create");
	must(rte_eth_dev_configure(0, 1, 1, &conf) == 0, "rte_eth_dev_configure");
	must(rte_eth_rx_queue_setup(0, 0, QUEUE, SOCKET_ID_ANY, NULL, f->mp) == 0,
		"rx_queue_setup");
	must(rte_eth_tx_queue_setup(0, 0, QUEUE, SOCKET_ID_ANY, NULL) == 0, "tx_queue_setup");
	must(rte_eth_dev_start(0) == 0, "rte_eth_dev_start");
	for (int i = 0; i < LINK_TRIES && link.link_status == 0; i++) {
		rte_delay_ms(5);
		(void)rte_eth_link_get_nowait(0, &link);
	}
	must(link.link_status != 0, "waiting for the link");
}

/** The router, behind which the peers are, asks or answers: so it is known (RFC 826). */
static void
arp_send(struct flood *f, uint8_t op)
{
	const uint8_t fixed[] = {0, 1, 8, 0, 6, 4, 0, op};
	struct rte_mbuf *m = rte_pktmbuf_alloc(f->mp);
	uint8_t *p;

	must(m != NULL, "rte_pktmbuf_alloc");
	p = (uint8_t *)rte_pktmbuf_append(m, ARP_LEN);
	memcpy(p, frame_mac_us, 6);
	memcpy(p + 6, frame_mac_them, 6);
	p[12] = 0x08;
	p[13] = 0x06;
	memcpy(p + 14, fixed, 8);
	memcpy(p + 22, frame_mac_them, 6);
	put32(p + 28, FRAME_US - 1);
	memcpy(p + 32, frame_mac_us, 6);
	put32(p + 38, FRAME_US);
	if (rte_eth_tx_burst(0, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

static void
flood_send(struct flood *f, unsigned n)
{
	struct rte_mbuf *m[BURST];
	uint16_t sent;

	if (rte_pktmbuf_alloc_bulk(f->mp, m, n) != 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		uint32_t peer =
			f->flows > 4096 ? frame_random(&f->state, f->flows) : f->next++ % f->flows;
		uint8_t *p = rte_pktmbuf_mtod(m[i], uint8_t *) + FRAME_L4;

		frame_head(m[i], peer, IPPROTO_UDP, 7, 8 + BYTES);
		put16(p + 4, 8 + BYTES);
		put16(p + 6, 0);
		memset(p + 8, 0x55, BYTES);
		frame_done(m[i], false);
	}
	sent = rte_eth_tx_burst(0, 0, m, (uint16_t)n);
	rte_pktmbuf_free_bulk(m + sent, n - sent);
	f->sent += sent;
	f->outstanding += sent;
}

static void
flood_poll(struct flood *f)
{
	struct rte_mbuf *m[BURST];
	unsigned n = rte_eth_rx_burst(0, 0, m, BURST), got = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(m[i], const uint8_t *);

		if (p[12] == 0x08 && p[13] == 0x00)
			got++;
		else if (p[12] == 0x08 && p[13] == 0x06 && p[21] == 1)
			arp_send(f, 2);
	}
	rte_pktmbuf_free_bulk(m, n);
	if (got == 0)
		return;
	f->back += got;
	f->outstanding -= RTE_MIN(f->outstanding, got);
	f->heard = rte_rdtsc();
}

/** @return seconds that it took */
static double
flood_run(struct flood *f, double seconds)
{
	uint64_t hz = rte_get_tsc_hz(), start = rte_rdtsc(),
		 end = start + (uint64_t)(seconds * (double)hz), now;

	f->heard = start;
	while ((now = rte_rdtsc()) < end) {
		if (f->outstanding + BURST <= f->window)
			flood_send(f, BURST);
		flood_poll(f);
		if (now > f->heard + hz / 1000 * QUIET_MS) {
			f->lost += f->outstanding;
			f->outstanding = 0;
			f->heard = now;
		}
	}
	return (double)(rte_rdtsc() - start) / (double)hz;
}

/** What the link takes of frames of so many bytes. The receiver has ended when nothing is taken any more. */
static void
stream_send(struct flood *f, double seconds, uint16_t bytes)
{
	uint64_t hz = rte_get_tsc_hz();
	uint64_t end = rte_rdtsc() + (uint64_t)((seconds + HEAD_START) * (double)hz);
	struct rte_mbuf *m[BURST];
	uint16_t sent;

	while (rte_rdtsc() < end) {
		if (rte_pktmbuf_alloc_bulk(f->mp, m, BURST) != 0)
			continue;
		for (unsigned i = 0; i < BURST; i++)
			m[i]->data_len = (uint16_t)(m[i]->pkt_len = HEADERS + bytes);
		sent = rte_eth_tx_burst(0, 0, m, BURST);
		rte_pktmbuf_free_bulk(m + sent, BURST - sent);
		f->sent += sent;
	}
	printf("{\"sent\": %lu}\n", f->sent);
}

/** From the first frame on. */
static void
stream_receive(struct flood *f, double seconds, uint16_t bytes)
{
	uint64_t hz = rte_get_tsc_hz(), start = 0, end = UINT64_MAX, now;
	struct rte_mbuf *m[BURST];
	unsigned n;

	while ((now = rte_rdtsc()) < end) {
		n = rte_eth_rx_burst(0, 0, m, BURST);
		if (n > 0 && start == 0) {
			start = now;
			end = now + (uint64_t)(seconds * (double)hz);
		}
		rte_pktmbuf_free_bulk(m, n);
		f->back += n;
	}
	printf("{\"gbits_per_second\": %.3f}\n", (double)f->back * bytes * 8 / seconds / 1e9);
}

static void
flood_echo(struct flood *f, double seconds)
{
	double took;

	must(f->flows > 0 && f->window >= BURST, "arguments");
	arp_send(f, 1);
	rte_delay_ms(WARMUP_MS / 5);
	(void)flood_run(f, WARMUP_MS / 1e3);
	f->back = f->lost = f->sent = 0;
	took = flood_run(f, seconds);
	printf("{\"flows\": %u, \"seconds\": %.3f, \"sent\": %lu, \"back\": %lu, \"lost\": %lu, \"pps\": %.0f}\n",
		f->flows, took, f->sent, f->back, f->lost, (double)f->back / took);
	for (int i = 0; i < ROUNDS_LEFT; i++)
		flood_poll(f);
	must(f->back > 0, "waiting for an answer");
}

int
main(int argc, char **argv)
{
	struct flood f = {.state = 0x9e3779b97f4a7c15};
	const char *what = argv[1];
	double seconds;

	if (argc < 4) {
		(void)fprintf(stderr,
			"usage: bench_flood FLOWS SECONDS WINDOW [EAL options]\n"
			"       bench_flood send|receive SECONDS BYTES [EAL options]\n");
		return 2;
	}
	f.flows = (uint32_t)strtoul(what, NULL, 0);
	seconds = strtod(argv[2], NULL);
	f.window = (uint32_t)strtoul(argv[3], NULL, 0);
	argv[3] = argv[0];
	must(seconds > 0, "arguments");
	must(rte_eal_init(argc - 3, argv + 3) >= 0, "rte_eal_init");
	port_start(&f);
	if (strcmp(what, "send") == 0)
		stream_send(&f, seconds, (uint16_t)f.window);
	else if (strcmp(what, "receive") == 0)
		stream_receive(&f, seconds, (uint16_t)f.window);
	else
		flood_echo(&f, seconds);
	rte_eth_dev_stop(0);
	rte_eal_cleanup();
	return 0;
}
