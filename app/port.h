/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Ports: the only place that calls rte_eth_*. Opened and closed by the control thread;
 * port_rx and port_tx are called by workers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_spinlock.h>

#include "ip.h"

#define PORT_QUEUES_MAX 64

struct port_conf {
	const char *device; /* PCI address or vdev string, as configured */
	uint16_t rx_queues; /* 0: as many as the device has, up to seats */
	uint16_t mtu; /* of IP packets */
	bool vlan; /* frames carry a tag: 4 bytes more */
	unsigned seats; /* most workers ever: queues wanted */
	struct rte_mempool *mp;
	int socket_id;
};

struct port {
	uint16_t id;
	bool open;
	char device[64]; /* name of the device: what stands before the first comma */
	char driver[32];
	uint16_t nrx, ntx;
	struct rte_ether_addr mac;
	struct ip_offloads off;
	char off_why[256]; /* offloads that are off, and why */
	char rss[96]; /* how the device spreads over its receive queues; empty: it has one */
	int wait_fd[PORT_QUEUES_MAX]; /* of receive queues; -1: has none */
	bool up;
	bool shared; /* fewer transmit queues than seats: frames go through rings, and who gets the token sends */
	struct rte_ring *ring[PORT_QUEUES_MAX];
	rte_spinlock_t token[PORT_QUEUES_MAX];
	_Atomic uint64_t tx_refused; /* frames that the device had no room for, behind a ring */
};

/** Make EAL know the device of a configuration's string. @return 0, or -errno with one line in fault */
int port_probe(struct port *p, const char *device, char *fault, size_t len);
/** Configure and start a probed port. @return 0, or -errno with one line in fault */
int port_open(struct port *p, const struct port_conf *conf, char *fault, size_t len);
/** Stop and remove it. Fine on one that was never opened. */
void port_close(struct port *p);

/** A descriptor that is readable while frames wait in a queue; -1: it has none. */
int port_wait_fd(const struct port *p, unsigned queue);
/** Take up to n frames from a queue. One worker at a time for each queue. */
uint16_t port_rx(struct port *p, unsigned queue, struct rte_mbuf **m, uint16_t n);
/** Send n frames from a seat; takes ownership of as many as it returns. */
uint16_t port_tx(struct port *p, unsigned seat, struct rte_mbuf **m, uint16_t n);
/** Send what waits in rings for want of somebody to send it. Workers, once per turn. */
void port_flush(struct port *p);
/** Look at the link; true if it has changed since last time. Control thread. */
bool port_link_changed(struct port *p);
