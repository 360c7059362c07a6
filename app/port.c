/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "port.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#define RX_DESC     1024
#define TX_DESC     1024
#define PORT_RING   1024 /* frames that wait for a shared transmit queue */
#define PORT_BURST  64
#define PORT_ROUNDS 4 /* bursts that a worker sends for others before it goes on */

static const struct {
	uint64_t bit;
	const char *name;
	size_t field; /* of struct ip_offloads */
} tx_offloads[] = {
	{RTE_ETH_TX_OFFLOAD_MULTI_SEGS, "tx multi-segs", offsetof(struct ip_offloads, multi_segs)},
	{RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, "tx ipv4-cksum", offsetof(struct ip_offloads, tx_ip_cksum)},
	{RTE_ETH_TX_OFFLOAD_TCP_CKSUM, "tx tcp-cksum", offsetof(struct ip_offloads, tx_tcp_cksum)},
	{RTE_ETH_TX_OFFLOAD_UDP_CKSUM, "tx udp-cksum", offsetof(struct ip_offloads, tx_udp_cksum)},
};

#define RX_L4_CKSUM (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)

static int
port_fault(char *fault, size_t len, int err, const char *what)
{
	(void)snprintf(fault, len, "%s: %s", what, strerror(-err));
	return err;
}

/** The name of the device that a string makes: "net_tap0" of "net_tap0,iface=convd0". */
static void
port_name(char *name, size_t size, const char *device)
{
	size_t n = strcspn(device, ",");

	(void)snprintf(name, size, "%.*s", (int)n, device);
}

int
port_probe(struct port *p, const char *device, char *fault, size_t len)
{
	int err;

	memset(p, 0, sizeof(*p));
	port_name(p->device, sizeof(p->device), device);
	if (rte_eth_dev_get_port_by_name(p->device, &p->id) == 0)
		return 0;
	err = rte_dev_probe(device);
	if (err != 0) {
		(void)snprintf(fault, len, "EAL can't make \"%s\": %s", device, strerror(-err));
		return err;
	}
	if (rte_eth_dev_get_port_by_name(p->device, &p->id) == 0)
		return 0;
	(void)snprintf(fault, len, "\"%s\" is no Ethernet device", device);
	return -ENODEV;
}

static void
port_why(struct port *p, const char *name, const char *why)
{
	size_t n = strlen(p->off_why);

	(void)snprintf(
		p->off_why + n, sizeof(p->off_why) - n, "%s%s (%s)", n > 0 ? ", " : "", name, why);
}

/** TSO, on top of what it needs. */
static void
port_tso(
	struct port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *ec, bool emulated)
{
	uint16_t most = info->tx_desc_lim.nb_seg_max;

	if ((info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO) == 0 || !p->off.multi_segs ||
		!(p->off.tx_tcp_cksum || emulated)) {
		port_why(p, "tx tso", "not offered");
	} else if (emulated) {
		port_why(p, "tx tso", "emulated");
	} else {
		ec->txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
		p->off.tso_segs = (uint8_t)(most == 0 ? IP_TSO_SEGS : RTE_MIN(most, IP_TSO_SEGS));
	}
}

/** Ask for what the device reports, and no more: a request that it does not know fails the whole port. */
static void
port_offloads(struct port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *ec)
{
	/* Its driver computes checksums with the CPU, after the frame has left our hands: no gain. */
	bool emulated = strcmp(info->driver_name, "net_tap") == 0;

	for (unsigned i = 0; i < RTE_DIM(tx_offloads); i++) {
		bool cksum = tx_offloads[i].bit != RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

		if ((info->tx_offload_capa & tx_offloads[i].bit) == 0) {
			port_why(p, tx_offloads[i].name, "not offered");
		} else if (cksum && emulated) {
			port_why(p, tx_offloads[i].name, "emulated");
		} else {
			ec->txmode.offloads |= tx_offloads[i].bit;
			*((bool *)&p->off + tx_offloads[i].field) = true;
		}
	}
	port_tso(p, info, ec, emulated);
	if (emulated) {
		port_why(p, "rx cksum", "emulated");
		return;
	}
	if ((info->rx_offload_capa & RX_L4_CKSUM) == RX_L4_CKSUM) {
		ec->rxmode.offloads |= RX_L4_CKSUM;
		p->off.rx_l4_cksum = true;
	} else {
		port_why(p, "rx l4-cksum", "not offered");
	}
	if ((info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0) {
		ec->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
		p->off.rx_ip_cksum = true;
	} else {
		port_why(p, "rx ipv4-cksum", "not offered");
	}
}

static int
port_queues(struct port *p, const struct port_conf *conf, const struct rte_eth_dev_info *info,
	char *fault, size_t len)
{
	bool tap = strcmp(info->driver_name, "net_tap") == 0;
	uint16_t most = RTE_MIN(info->max_rx_queues, PORT_QUEUES_MAX);

	/* At its start net_tap puts the descriptors of all queues, both ways, into a message that has room for
	 * so many, and does not look whether they fit (DPDK 22.11, tap_mp_req_on_rxtx). */
	if (tap)
		most = RTE_MIN(most, RTE_MP_MAX_FD_NUM / 2);
	if (conf->rx_queues > most) {
		(void)snprintf(fault, len, "rx_queues: %u, but %s has at most %u", conf->rx_queues,
			p->device, most);
		return -EINVAL;
	}
	p->nrx = conf->rx_queues != 0 ? conf->rx_queues : (uint16_t)RTE_MIN(most, conf->seats);
	p->ntx = (uint16_t)RTE_MIN(
		(unsigned)RTE_MIN(info->max_tx_queues, PORT_QUEUES_MAX), conf->seats);
	/* net_tap makes its queues in pairs. */
	if (tap)
		p->ntx = p->nrx;
	p->shared = p->ntx < conf->seats;
	return 0;
}

static int
port_setup_queues(struct port *p, const struct port_conf *conf, const struct rte_eth_dev_info *info,
	const struct rte_eth_conf *ec, char *fault, size_t len)
{
	struct rte_eth_txconf tx = info->default_txconf;
	struct rte_eth_rxconf rx = info->default_rxconf;
	uint16_t nrx = RX_DESC, ntx = TX_DESC;
	int err = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &nrx, &ntx);

	tx.offloads = ec->txmode.offloads;
	rx.offloads = ec->rxmode.offloads;
	for (uint16_t q = 0; err == 0 && q < p->nrx; q++)
		err = rte_eth_rx_queue_setup(
			p->id, q, nrx, (unsigned)conf->socket_id, &rx, conf->mp);
	for (uint16_t q = 0; err == 0 && q < p->ntx; q++)
		err = rte_eth_tx_queue_setup(p->id, q, ntx, (unsigned)conf->socket_id, &tx);
	return err == 0 ? 0 : port_fault(fault, len, err, "can't set up its queues");
}

/**
 * Descriptors of queues to wait on. Only net_tap's are what they seem to be, readable as long as a frame waits.
 * Others signal by interrupts, which would have to be armed and cleared around each sleep.
 */
static void
port_wait_fds(struct port *p)
{
	for (uint16_t q = 0; q < p->nrx; q++)
		p->wait_fd[q] = strcmp(p->driver, "net_tap") == 0
			? rte_eth_dev_rx_intr_ctl_q_get_fd(p->id, q)
			: -1;
}

int
port_wait_fd(const struct port *p, unsigned queue)
{
	return p->wait_fd[queue];
}

/** Receive what neighbour discovery needs; not all devices filter, or can be told. */
static void
port_filters(struct port *p)
{
	if (rte_eth_allmulticast_enable(p->id) != 0)
		(void)rte_eth_promiscuous_enable(p->id);
}

static int
port_share(struct port *p, const struct port_conf *conf, char *fault, size_t len)
{
	char name[RTE_RING_NAMESIZE];

	for (uint16_t q = 0; p->shared && q < p->ntx; q++) {
		(void)snprintf(name, sizeof(name), "convd_p%u_t%u", p->id, q);
		rte_spinlock_init(&p->token[q]);
		p->ring[q] = rte_ring_create(
			name, PORT_RING, conf->socket_id, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
		if (p->ring[q] == NULL)
			return port_fault(fault, len, -rte_errno, "has no memory for its queues");
	}
	return 0;
}

static int
port_set_mtu(struct port *p, const struct port_conf *conf, char *fault, size_t len)
{
	int err = rte_eth_dev_set_mtu(p->id, conf->mtu);
	uint16_t mtu;

	if (err == 0 || (err == -ENOTSUP && conf->mtu <= RTE_ETHER_MTU))
		return 0;
	/* Some devices can't be told, but have it already. */
	if (rte_eth_dev_get_mtu(p->id, &mtu) == 0 && mtu >= conf->mtu)
		return 0;
	(void)snprintf(
		fault, len, "mtu: %s does not take %u: %s", p->device, conf->mtu, strerror(-err));
	return err;
}

/* ---- RSS: which core a packet comes to is a matter of speed only, so nothing here is an error ---- */

static void
port_rss_says(struct port *p, const char *what, int err)
{
	size_t n = strlen(p->rss);

	(void)snprintf(p->rss + n, sizeof(p->rss) - n, "%s%s%s%s", n > 0 ? ", " : "", what,
		err != 0 ? ": " : "", err != 0 ? strerror(-err) : "");
}

/** Ask for a hash over addresses and ports, or as much of that as there is. */
static void
port_rss_ask(struct port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *ec)
{
	uint64_t hf =
		info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);

	if (p->nrx < 2)
		return;
	if (hf == 0) {
		port_rss_says(p, "not offered", 0);
		return;
	}
	ec->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	ec->rx_adv_conf.rss_conf.rss_hf = hf;
}

/** Configure the device, without RSS if it can't be had. */
static int
port_configure(struct port *p, struct rte_eth_conf *ec)
{
	int err = rte_eth_dev_configure(p->id, p->nrx, p->ntx, ec);

	if (err == 0 || ec->rxmode.mq_mode != RTE_ETH_MQ_RX_RSS)
		return err;
	port_rss_says(p, "refused", err);
	ec->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	ec->rx_adv_conf.rss_conf.rss_hf = 0;
	return rte_eth_dev_configure(p->id, p->nrx, p->ntx, ec);
}

/** Have the entries of the device's table lead to each queue in turn. @return how many there are, or -errno */
static int
port_rss_table(struct port *p)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE];
	struct rte_eth_dev_info info;
	int err = rte_eth_dev_info_get(p->id, &info); /* again: some know their table only now */

	if (err == 0 && (info.reta_size == 0 || info.reta_size > RTE_ETH_RSS_RETA_SIZE_512))
		err = -ENOTSUP;
	if (err != 0)
		return err;
	memset(reta, 0, sizeof(reta));
	for (unsigned i = 0; i < info.reta_size; i++) {
		struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];

		group->mask |= UINT64_C(1) << i % RTE_ETH_RETA_GROUP_SIZE;
		group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)(i % p->nrx);
	}
	err = rte_eth_dev_rss_reta_update(p->id, reta, info.reta_size);
	return err == 0 ? info.reta_size : err;
}

static void
port_rss(struct port *p, const struct rte_eth_conf *ec)
{
	uint64_t hf = ec->rx_adv_conf.rss_conf.rss_hf;
	char text[48];
	int entries;

	if (ec->rxmode.mq_mode != RTE_ETH_MQ_RX_RSS)
		return;
	(void)snprintf(text, sizeof(text), "by%s%s%s", (hf & RTE_ETH_RSS_IP) != 0 ? " ip" : "",
		(hf & RTE_ETH_RSS_TCP) != 0 ? " tcp" : "",
		(hf & RTE_ETH_RSS_UDP) != 0 ? " udp" : "");
	port_rss_says(p, text, 0);
	entries = port_rss_table(p);
	if (entries < 0) {
		port_rss_says(p, "table as the driver has it", entries);
		return;
	}
	(void)snprintf(text, sizeof(text), "table of %d entries over %u queues", entries, p->nrx);
	port_rss_says(p, text, 0);
}

int
port_open(struct port *p, const struct port_conf *conf, char *fault, size_t len)
{
	struct rte_eth_conf ec = {.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE};
	struct rte_eth_dev_info info;
	int err = rte_eth_dev_info_get(p->id, &info);

	if (err != 0)
		return port_fault(fault, len, err, "tells nothing about itself");
	(void)snprintf(p->driver, sizeof(p->driver), "%s", info.driver_name);
	err = port_queues(p, conf, &info, fault, len);
	if (err != 0)
		return err;
	port_offloads(p, &info, &ec);
	ec.intr_conf.rxq = strcmp(p->driver, "net_tap") == 0; /* see port_wait_fds */
	port_rss_ask(p, &info, &ec);
	err = port_configure(p, &ec);
	if (err != 0)
		return port_fault(fault, len, err, "can't be configured");
	err = port_set_mtu(p, conf, fault, len);
	if (err == 0)
		err = port_setup_queues(p, conf, &info, &ec, fault, len);
	if (err == 0)
		err = port_share(p, conf, fault, len);
	if (err != 0)
		return err;
	err = rte_eth_dev_start(p->id);
	if (err != 0)
		return port_fault(fault, len, err, "can't be started");
	p->open = true;
	port_rss(p, &ec);
	port_wait_fds(p);
	port_filters(p);
	err = rte_eth_macaddr_get(p->id, &p->mac);
	return err == 0 ? 0 : port_fault(fault, len, err, "has no MAC address");
}

static void
port_rings_free(struct port *p)
{
	struct rte_mbuf *m;

	for (uint16_t q = 0; q < p->ntx; q++) {
		while (p->ring[q] != NULL && rte_ring_dequeue(p->ring[q], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(p->ring[q]);
		p->ring[q] = NULL;
	}
}

void
port_close(struct port *p)
{
	port_rings_free(p);
	if (!p->open)
		return;
	p->open = false;
	(void)rte_eth_dev_stop(p->id);
	(void)rte_eth_dev_close(p->id);
}

uint16_t
port_rx(struct port *p, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	return rte_eth_rx_burst(p->id, (uint16_t)queue, m, n);
}

/**
 * Send what is in a shared queue's ring, if nobody else is at it, and for so many rounds.
 *
 * Nobody waits for the token, and nothing is left behind: frames are in the ring before the token is tried, and who had it
 * looks at the ring again after letting go. Sequentially consistent fences: one of the two sees the other. What
 * is left after the last round is sent in somebody's next turn, the latest in this worker's (port_flush).
 */
static void
port_drain(struct port *p, uint16_t q)
{
	struct rte_mbuf *m[PORT_BURST];
	unsigned n, sent;

	for (unsigned rounds = 0; rounds < PORT_ROUNDS; rounds++) {
		atomic_thread_fence(memory_order_seq_cst);
		if (rte_ring_empty(p->ring[q]) || !rte_spinlock_trylock(&p->token[q]))
			return;
		n = rte_ring_sc_dequeue_burst(p->ring[q], (void **)m, PORT_BURST, NULL);
		sent = rte_eth_tx_burst(p->id, q, m, (uint16_t)n);
		rte_spinlock_unlock(&p->token[q]);
		if (sent == n)
			continue;
		/* Relaxed: a count. */
		atomic_fetch_add_explicit(&p->tx_refused, n - sent, memory_order_relaxed);
		rte_pktmbuf_free_bulk(&m[sent], n - sent);
	}
}

/** Into the ring; when it is full, help, or let others. */
static void
port_tx_shared(struct port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	for (;;) {
		unsigned done = rte_ring_enqueue_burst(p->ring[q], (void **)m, n, NULL);

		port_drain(p, q);
		m += done;
		n -= (uint16_t)done;
		if (n == 0)
			return;
		(void)sched_yield();
	}
}

uint16_t
port_tx(struct port *p, unsigned seat, struct rte_mbuf **m, uint16_t n)
{
	uint16_t q = (uint16_t)(seat % p->ntx);

	if (!p->shared)
		return rte_eth_tx_burst(p->id, q, m, n);
	port_tx_shared(p, q, m, n);
	return n;
}

void
port_flush(struct port *p)
{
	for (uint16_t q = 0; p->shared && q < p->ntx; q++)
		port_drain(p, q);
}

bool
port_link_changed(struct port *p)
{
	struct rte_eth_link link = {0};
	bool up;

	if (!p->open || rte_eth_link_get_nowait(p->id, &link) != 0)
		return false;
	up = link.link_status == RTE_ETH_LINK_UP;
	if (up == p->up)
		return false;
	p->up = up;
	return true;
}
