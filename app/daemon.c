/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Start and end of the daemon. Its running is in run.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon_priv.h"
#include "eal.h"
#include "workers.h"

#define MBUFS_MIN         8191
#define MBUFS_MAX         262143
#define MBUFS_SHARE       4 /* a quarter of the memory is for packet buffers */
#define MEMORY_USABLE     95 /* percent: EAL's heap has costs of its own */
#define CONVERSATIONS_MIN 64
#define FRAGMENTS_MAX     4096
#define LAST_ACK_MS       1000 /* longer than a packet waits in a ring or a backlog */
#define LINK_HEADERS      22 /* Ethernet, a VLAN tag, FCS */

void
daemon_fault(struct daemon *d, const char *path, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)fprintf(d->faults, "%s: %s: ", d->file, path);
	(void)vfprintf(d->faults, format, ap);
	(void)fputc('\n', d->faults);
	va_end(ap);
	d->nfaults++;
}

uint64_t
daemon_clock(void *arg)
{
	struct timespec ts;

	(void)arg;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint16_t
daemon_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	return port_rx(&((struct daemon *)arg)->ports[ifc], queue, m, n);
}

static uint16_t
daemon_tx(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	return port_tx(&((struct daemon *)arg)->ports[ifc], seat, m, n);
}

/* ---- memory ---- */

static uint16_t
daemon_data_room(const struct config *c)
{
	uint32_t mtu = 1500;

	for (unsigned i = 0; i < c->ninterfaces; i++)
		mtu = RTE_MAX(mtu, c->interfaces[i].mtu);
	return (uint16_t)RTE_MAX(
		RTE_PKTMBUF_HEADROOM + mtu + LINK_HEADERS, RTE_PKTMBUF_HEADROOM + 2048u);
}

static uint32_t
daemon_ports_of(const struct config *c)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < c->nlisteners; i++)
		n += (uint32_t)c->listeners[i].port_hi - c->listeners[i].port_lo + 1;
	return n;
}

/** Fit buffers and conversations into the memory that EAL was given. */
static int
daemon_budget(struct daemon *d, struct stack_conf *sc)
{
	uint64_t usable = ((uint64_t)d->c->eal.memory_mb << 20) * MEMORY_USABLE / 100;
	struct stack_memory one;
	uint64_t fits;

	sc->mbufs = 1;
	stack_memory(sc, &one);
	sc->mbufs =
		(uint32_t)RTE_MIN(RTE_MAX(usable / MBUFS_SHARE / one.mbufs, (uint64_t)MBUFS_MIN),
			(uint64_t)MBUFS_MAX);
	sc->limit_conversations = CONVERSATIONS_MIN;
	stack_memory(sc, &one);
	if (one.total > usable) {
		daemon_fault(d, "eal.memory_mb",
			"%u is too little: %lu are needed for buffers and %u conversations",
			d->c->eal.memory_mb, (one.total * 100 / MEMORY_USABLE >> 20) + 1,
			CONVERSATIONS_MIN);
		return -ENOMEM;
	}
	/* The table's share grows in powers of two: be on the safe side. */
	fits = (usable - one.total) / (one.per_conversation + one.per_conversation / 4);
	sc->limit_conversations = d->c->limits.conversations;
	if (sc->limit_conversations == 0)
		sc->limit_conversations =
			(uint32_t)RTE_MIN(fits, (uint64_t)CONFIG_CONVERSATIONS_MAX);
	stack_memory(sc, &d->memory);
	if (d->memory.total > usable) {
		daemon_fault(d, "limits.conversations",
			"%u take %lu MB, eal.memory_mb is %u: raise that to %lu, or lower this to %lu",
			sc->limit_conversations, d->memory.total >> 20, d->c->eal.memory_mb,
			(d->memory.total * 100 / MEMORY_USABLE >> 20) + 1, fits);
		return -ENOMEM;
	}
	d->conversations = sc->limit_conversations;
	d->mbufs = sc->mbufs;
	return 0;
}

static int
daemon_stack(struct daemon *d)
{
	const struct config *c = d->c;
	struct stack_conf sc = {
		.name = "convd",
		.workers = c->workers.count,
		.seats = c->workers.max,
		.spread = c->workers.spread,
		.limit_half_open = c->limits.half_open,
		.limit_time_wait = c->limits.time_wait,
		.limit_fragments = FRAGMENTS_MAX,
		.listeners = RTE_MAX(daemon_ports_of(c), 64u),
		.mbuf_data_room = daemon_data_room(c),
		.udp_idle_ms = c->limits.udp_idle_seconds * 1000,
		.tcp.keepalive_ms = c->tcp.keepalive_seconds * 1000,
		.tcp.user_timeout_ms = c->tcp.user_timeout_seconds * 1000,
		.tcp.time_wait_ms = c->tcp.time_wait_seconds * 1000,
		.tcp.congestion = c->tcp.congestion_control,
		.tcp.ecn = c->tcp.ecn,
		.tcp.last_ack_ms = c->workers.spread == STACK_SPREAD_PACKET ? LAST_ACK_MS : 0,
		.socket_id = SOCKET_ID_ANY,
		.io = {daemon_rx, daemon_tx, daemon_clock, d, workers_wake},
	};
	int err;

	if (getrandom(&sc.seed, sizeof(sc.seed), 0) != (ssize_t)sizeof(sc.seed)) {
		daemon_fault(d, "eal", "no randomness: %s", strerror(errno));
		return -errno;
	}
	err = daemon_budget(d, &sc);
	if (err != 0)
		return err;
	d->stack = stack_create(&sc, &err);
	if (d->stack == NULL) {
		daemon_fault(d, "eal.memory_mb", "%u: can't make the stack: %s", c->eal.memory_mb,
			strerror(-err));
		return err;
	}
	for (unsigned i = 0; d->hooks.services[i] != NULL && err == 0; i++)
		err = stack_service_add(d->stack, d->hooks.services[i]);
	return err;
}

/* ---- interfaces ---- */

static int
daemon_port(struct daemon *d, unsigned i)
{
	const struct config_interface *ci = &d->c->interfaces[i];
	struct port *p = &d->ports[i];
	struct port_conf pc = {
		.device = ci->device,
		.rx_queues = ci->rx_queues,
		.mtu = ci->mtu,
		.vlan = ci->vlan != 0,
		.seats = d->c->workers.max,
		.mp = stack_mempool(d->stack),
		.socket_id = SOCKET_ID_ANY,
	};
	char path[64], fault[256] = "";
	const char *said;
	int err;

	(void)snprintf(path, sizeof(path), "interfaces[%u].device", i);
	(void)eal_complaint();
	err = port_probe(p, ci->device, fault, sizeof(fault));
	if (err == 0)
		err = port_open(p, &pc, fault, sizeof(fault));
	if (err == 0)
		return 0;
	said = eal_complaint();
	daemon_fault(d, path, "%s%s%s%s", fault, said[0] != 0 ? " (" : "", said,
		said[0] != 0 ? ")" : "");
	return err;
}

static int
daemon_interface(struct daemon *d, unsigned i)
{
	const struct config_interface *ci = &d->c->interfaces[i];
	struct ip_ifc_conf ic = {
		.name = ci->name, .mtu = ci->mtu, .vlan = ci->vlan, .accept_ra = ci->accept_ra};
	char path[64];
	int err = daemon_port(d, i), n;

	if (err != 0)
		return err;
	ic.mac = d->ports[i].mac;
	ic.off = d->ports[i].off;
	n = stack_ifc_add(d->stack, &ic, d->ports[i].nrx);
	if (n < 0) {
		(void)snprintf(path, sizeof(path), "interfaces[%u]", i);
		daemon_fault(d, path, "can't be added: %s", strerror(-n));
		return n;
	}
	for (unsigned a = 0; a < ci->naddresses; a++) {
		err = ip_address_add(stack_ip(d->stack), (unsigned)n, ci->addresses[a].addr,
			ci->addresses[a].len);
		if (err == 0)
			continue;
		(void)snprintf(path, sizeof(path), "interfaces[%u].addresses[%u]", i, a);
		daemon_fault(d, path, "can't be added: %s", strerror(-err));
		return err;
	}
	d->control_ifcs[i] = (struct control_ifc){ci->device, d->ports[i].driver, d->ports[i].nrx,
		d->ports[i].ntx, &d->ports[i].tx_refused};
	return 0;
}

static int
daemon_interfaces(struct daemon *d)
{
	char path[64];
	int err;

	for (unsigned i = 0; i < d->c->ninterfaces; i++) {
		err = daemon_interface(d, i);
		if (err != 0)
			return err;
	}
	for (unsigned i = 0; i < d->c->nroutes; i++) {
		const struct config_route *r = &d->c->routes[i];

		err = ip_route_add(stack_ip(d->stack), r->to.addr, r->to.len, r->via.addr);
		if (err == 0)
			continue;
		(void)snprintf(path, sizeof(path), "routes[%u]", i);
		daemon_fault(d, path, "can't be added: %s", strerror(-err));
		return err;
	}
	err = stack_start(d->stack);
	if (err != 0)
		daemon_fault(d, "interfaces", "can't start: %s", strerror(-err));
	return err;
}

/* ---- listeners ---- */

static int
daemon_listener(struct daemon *d, unsigned i)
{
	const struct config_listener *cl = &d->c->listeners[i];
	struct listener_conf lc = {
		.name = cl->name,
		.proto = cl->proto,
		.zone = cl->zone,
		.port_lo = cl->port_lo,
		.port_hi = cl->port_hi,
		.service = stack_service(d->stack, cl->service),
		.one = cl->conversation == CONFIG_CONVERSATION_ONE,
		.allow = cl->allow,
		.deny = cl->deny,
		.nallow = cl->nallow,
		.ndeny = cl->ndeny,
		.half_open = d->c->limits.half_open,
	};
	char path[64], fault[256] = "";
	int err = 0;

	(void)snprintf(path, sizeof(path), "listeners[%u]", i);
	memcpy(lc.laddr, cl->laddr, sizeof(lc.laddr));
	if (lc.service->options != NULL)
		err = lc.service->options(cl->options, &lc.options, fault, sizeof(fault));
	if (err == 0) {
		err = stack_listen(d->stack, &lc, NULL);
		if (err != 0 && lc.service->options_free != NULL)
			lc.service->options_free(lc.options);
	}
	if (err != 0)
		daemon_fault(d, path, "%s", fault[0] != 0 ? fault : strerror(-err));
	return err;
}

static int
daemon_control(struct daemon *d)
{
	struct control_conf cc = {
		.stack = d->stack,
		.path = d->c->control.socket,
		.version = CONVD_VERSION,
		.config = d->file,
		.start_us = d->start_us,
		.cores = d->cores,
		.ifcs = d->control_ifcs,
		.nifcs = d->c->ninterfaces,
		.workers_max = d->c->workers.max,
		.workers_set = workers_set,
		.arg = d,
	};
	char fault[256];
	int err = control_open(&cc, &d->control, fault, sizeof(fault));

	if (err != 0)
		daemon_fault(d, "control.socket", "%s", fault);
	return err;
}

static int
daemon_workers(struct daemon *d)
{
	int err = workers_open(d);

	if (err != 0)
		daemon_fault(d, "workers.max", "%u: %s", d->c->workers.max, strerror(-err));
	return err;
}

static int
daemon_bring_up(struct daemon *d)
{
	int err = daemon_stack(d);

	if (err == 0)
		err = daemon_interfaces(d);
	if (err == 0)
		err = daemon_workers(d);
	for (unsigned i = 0; i < d->c->nlisteners && err == 0; i++)
		err = daemon_listener(d, i);
	if (err == 0)
		err = stack_control_join(d->stack);
	if (err != 0)
		return err;
	d->joined = true;
	return daemon_control(d);
}

struct daemon *
daemon_start(
	const char *file, const struct config *c, const struct daemon_hooks *hooks, FILE *faults)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		(void)fprintf(faults, "%s: out of memory\n", file);
		return NULL;
	}
	d->file = file;
	d->c = c;
	d->hooks = *hooks;
	d->faults = faults;
	d->start_us = daemon_clock(NULL);
	for (unsigned i = 0; i < c->workers.max; i++)
		d->cores[i] = c->workers.cores[i % c->workers.ncores];
	if (daemon_bring_up(d) != 0) {
		daemon_free(d);
		return NULL;
	}
	return d;
}

void
daemon_free(struct daemon *d)
{
	if (d == NULL)
		return;
	control_close(d->control);
	if (d->joined)
		stack_control_leave(d->stack);
	for (unsigned i = 0; i < d->c->ninterfaces; i++)
		port_close(&d->ports[i]);
	stack_free(d->stack);
	workers_close(d);
	free(d);
}
