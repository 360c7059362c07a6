/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What convd says of itself when it has started: one screen.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <rte_malloc.h>

#include "daemon_priv.h"

static void
address_text(const uint8_t addr[16], char *to, size_t len)
{
	struct key k;

	memcpy(k.laddr, addr, 16);
	if (key_is_v4(&k))
		(void)inet_ntop(AF_INET, addr + 12, to, (socklen_t)len);
	else
		(void)inet_ntop(AF_INET6, addr, to, (socklen_t)len);
}

static void
banner_port(const struct daemon *d, unsigned i, FILE *to)
{
	const struct config_interface *ifc = &d->c->interfaces[i];
	const struct port *p = &d->ports[i];
	char mac[RTE_ETHER_ADDR_FMT_SIZE], text[INET6_ADDRSTRLEN];

	rte_ether_format_addr(mac, sizeof(mac), &p->mac);
	(void)fprintf(to, "  %-8s %s  driver %s  mac %s  mtu %u  queues rx %u tx %u%s", ifc->name,
		ifc->device, p->driver, mac, ifc->mtu, p->nrx, p->ntx,
		p->shared ? " (shared)" : "");
	if (ifc->vlan != 0)
		(void)fprintf(to, "  vlan %u", ifc->vlan);
	(void)fprintf(to, "\n          ");
	for (unsigned a = 0; a < ifc->naddresses; a++) {
		address_text(ifc->addresses[a].addr, text, sizeof(text));
		(void)fprintf(to, " %s/%u", text, ifc->addresses[a].len);
	}
	(void)fprintf(to, "\n           offloads on:%s%s%s%s%s%s%s\n",
		p->off.multi_segs ? " multi-segs" : "", p->off.tx_ip_cksum ? " tx-ip" : "",
		p->off.tx_tcp_cksum ? " tx-tcp" : "", p->off.tx_udp_cksum ? " tx-udp" : "",
		p->off.tso_segs != 0 ? " tx-tso" : "", p->off.rx_ip_cksum ? " rx-ip" : "",
		p->off.rx_l4_cksum ? " rx-l4" : "");
	if (p->off_why[0] != 0)
		(void)fprintf(to, "           off: %s\n", p->off_why);
	if (p->rss[0] != 0)
		(void)fprintf(to, "           rss: %s\n", p->rss);
}

static void
banner_listener(const struct config_listener *l, FILE *to)
{
	char text[INET6_ADDRSTRLEN] = "*";
	char ports[16];

	if (l->listen == CONFIG_LISTEN_ANY4)
		(void)snprintf(text, sizeof(text), "0.0.0.0");
	else if (l->listen == CONFIG_LISTEN_ANY6)
		(void)snprintf(text, sizeof(text), "::");
	else if (l->listen == CONFIG_LISTEN_ONE)
		address_text(l->laddr, text, sizeof(text));
	if (l->port_lo == l->port_hi)
		(void)snprintf(ports, sizeof(ports), "%u", l->port_lo);
	else
		(void)snprintf(ports, sizeof(ports), "%u-%u", l->port_lo, l->port_hi);
	(void)fprintf(to, "  %-12s %s %s port %s  %s%s\n", l->name,
		l->proto == IPPROTO_TCP ? "tcp" : "udp", text, ports, l->service,
		l->conversation == CONFIG_CONVERSATION_ONE ? " (one conversation for all peers)"
							   : "");
}

/** What EAL's heaps have given away, in bytes. */
static uint64_t
memory_in_use(void)
{
	struct rte_malloc_socket_stats stats;
	uint64_t bytes = 0;

	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++)
		if (rte_malloc_get_socket_stats(socket, &stats) == 0)
			bytes += stats.heap_allocsz_bytes;
	return bytes;
}

void
banner_print(const struct daemon *d, FILE *to)
{
	const struct config *c = d->c;

	(void)fprintf(to, "convd %s, configuration %s\n", CONVD_VERSION, d->file);
	(void)fprintf(to, "ports:\n");
	for (unsigned i = 0; i < c->ninterfaces; i++)
		banner_port(d, i, to);
	(void)fprintf(to, "workers: %u (max %u), spread %s, on cores", c->workers.count,
		c->workers.max, stack_spread_name(stack_spread(d->stack)));
	for (unsigned i = 0; i < c->workers.count; i++)
		(void)fprintf(to, " %d", d->cores[i]);
	(void)fprintf(to,
		"\nmemory: %lu of %u MB%s in use; %u conversations at %lu bytes, %u packet buffers\n",
		memory_in_use() >> 20, c->eal.memory_mb,
		c->eal.hugepages ? " of huge pages" : " without huge pages", d->conversations,
		d->memory.per_conversation, d->mbufs);
	(void)fprintf(to, "listeners:\n");
	for (unsigned i = 0; i < c->nlisteners; i++)
		banner_listener(&c->listeners[i], to);
}
