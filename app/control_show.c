/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the daemon is, and what it serves: status, listeners, interfaces, workers.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control_priv.h"

const char *const control_kinds[NODE_KINDS] = {
	[NODE_CONV] = "conversations",
	[NODE_HALF_OPEN] = "half_open",
	[NODE_TIME_WAIT] = "time_wait",
	[NODE_FRAGMENTS] = "fragments",
};

static void
control_status_counts(const struct stack_stats *st, struct control_json *out)
{
	control_json_object(out, "nodes");
	for (unsigned kind = 0; kind < NODE_KINDS; kind++) {
		control_json_object(out, control_kinds[kind]);
		control_json_u64(out, "live", st->live[kind]);
		control_json_u64(out, "limit", st->limit[kind]);
		control_json_object_end(out);
	}
	control_json_object_end(out);
	control_json_u64(out, "table", st->table);
	control_json_u64(out, "held", st->held);
	control_json_bool(out, "reclaim_stalled", st->stalled);
	control_json_u64(out, "oldest_batch_us", st->oldest_batch_us);
	control_json_u64(out, "stuck_us", st->stuck_us);
	control_json_i64(out, "stuck_worker", st->stuck_us > 0 ? (int64_t)st->stuck_worker : -1);
	control_json_u64(out, "stalls", st->stalls);
	control_json_u64(out, "get_failed", st->conv.get_failed);
	control_json_u64(out, "recheck_failed", st->conv.recheck_failed);
	control_json_u64(out, "backlog_pushes", st->conv.backlog_pushes);
	control_json_u64(out, "backlog_full", st->conv.backlog_full);
}

int
control_cmd_status(struct control *ctl, const json_t *req, struct control_json *out)
{
	struct stack *s = ctl->conf.stack;
	struct stack_stats st;
	unsigned listeners = 0;

	(void)req;
	stack_stats(s, &st);
	for (struct listener *l = stack_listener_next(s, NULL); l != NULL;
		l = stack_listener_next(s, l))
		listeners++;
	control_json_object(out, "status");
	control_json_str(out, "state", ctl->state);
	control_json_str(out, "version", ctl->conf.version);
	control_json_u64(out, "pid", (uint64_t)getpid());
	control_json_u64(out, "uptime_us", control_now_us() - ctl->conf.start_us);
	control_json_str(out, "config", ctl->conf.config);
	control_json_u64(out, "workers", stack_workers(s));
	control_json_u64(out, "workers_max", stack_seats(s));
	control_json_str(out, "spread", stack_spread_name(stack_spread(s)));
	control_json_u64(out, "interfaces", ip_ifc_count(stack_ip(s)));
	control_json_u64(out, "listeners", listeners);
	control_status_counts(&st, out);
	control_json_u64(out, "clients", ctl->nclients);
	control_json_object_end(out);
	return 0;
}

/* "*:7" for every address, "0.0.0.0:7" for every IPv4 one, "[::]:7" for every IPv6 one; "*:8000-8100". */
static void
control_listener_address(const struct listener *l, char *buf, size_t len)
{
	static const uint8_t any[16];
	char text[CONTROL_ENDPOINT_LEN];
	size_t n;

	if (memcmp(l->laddr, any, sizeof(any)) == 0 && l->zone != IPHT_ZONE_ANY6)
		(void)snprintf(text, sizeof(text), "*:%u", l->port_lo);
	else
		control_endpoint_text(l->laddr, NULL, l->port_lo, text);
	n = (size_t)snprintf(buf, len, "%s", text);
	if (l->port_hi > l->port_lo && n < len)
		(void)snprintf(buf + n, len - n, "-%u", l->port_hi);
}

static void
control_prefixes(struct control_json *out, const char *name, const struct prefix *list, unsigned n)
{
	char addr[CONTROL_ADDR_LEN], text[CONTROL_ADDR_LEN + 8];

	control_json_array(out, name);
	for (unsigned i = 0; i < n; i++) {
		control_addr_text(list[i].addr, addr);
		(void)snprintf(text, sizeof(text), "%s/%d", addr,
			strchr(addr, ':') == NULL ? list[i].len - 96 : list[i].len);
		control_json_str(out, NULL, text);
	}
	control_json_array_end(out);
}

/* Each cell is written by its worker alone and stands by itself, so relaxed loads will do. */
#define CONTROL_CELLS(l, field) control_cells((l), offsetof(struct listener_cell, field))
static uint64_t
control_cells(const struct listener *l, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= WORKER_MAX; i++) {
		const _Atomic uint64_t *cell = (const void *)((const char *)&l->cells[i] + offset);

		sum += atomic_load_explicit(cell, memory_order_relaxed);
	}
	return sum;
}

static void
control_listener(const struct listener *l, struct control_json *out)
{
	char address[CONTROL_ENDPOINT_LEN + 8];
	int64_t convs = listener_convs(l);

	control_listener_address(l, address, sizeof(address));
	control_json_object(out, NULL);
	control_json_str(out, "name", l->name);
	control_json_str(out, "proto", l->proto == IPPROTO_TCP ? "tcp" : "udp");
	control_json_str(out, "local", address);
	control_json_str(out, "service", l->service != NULL ? l->service->name : NULL);
	if (l->proto == IPPROTO_UDP)
		control_json_str(out, "conversation", l->one ? "one" : "per_peer");
	control_json_u64(out, "conversations", convs > 0 ? (uint64_t)convs : 0);
	if (l->proto == IPPROTO_TCP) {
		control_json_u64(out, "half_open",
			atomic_load_explicit(&l->half_open, memory_order_relaxed));
		control_json_u64(out, "half_open_limit", l->half_open_max);
	}
	control_json_u64(out, "accepted", CONTROL_CELLS(l, accepted));
	control_json_u64(out, "refused", CONTROL_CELLS(l, refused));
	control_json_u64(out, "denied", CONTROL_CELLS(l, denied));
	control_json_u64(out, "bytes_in", CONTROL_CELLS(l, bytes_in));
	control_json_u64(out, "bytes_out", CONTROL_CELLS(l, bytes_out));
	control_prefixes(out, "allow", l->allow, l->nallow);
	control_prefixes(out, "deny", l->deny, l->ndeny);
	control_json_object_end(out);
}

int
control_cmd_listeners(struct control *ctl, const json_t *req, struct control_json *out)
{
	struct stack *s = ctl->conf.stack;

	(void)req;
	control_json_array(out, "listeners");
	for (struct listener *l = stack_listener_next(s, NULL); l != NULL;
		l = stack_listener_next(s, l))
		control_listener(l, out);
	control_json_array_end(out);
	return 0;
}

static void
control_addresses(const struct ip_ifc_info *info, struct control_json *out)
{
	char addr[CONTROL_ADDR_LEN], text[CONTROL_ADDR_LEN + 8];

	control_json_array(out, "addresses");
	for (unsigned i = 0; i < info->naddrs; i++) {
		const char *state = info->addrs[i].duplicate ? "duplicate"
			: info->addrs[i].tentative           ? "tentative"
							     : "valid";

		control_addr_text(info->addrs[i].addr, addr);
		(void)snprintf(text, sizeof(text), "%s/%u", addr, info->addrs[i].prefix_len);
		control_json_object(out, NULL);
		control_json_str(out, "address", text);
		control_json_str(out, "state", state);
		control_json_object_end(out);
	}
	control_json_array_end(out);
}

static void
control_interface(struct control *ctl, unsigned ifc, struct control_json *out)
{
	struct ip_ifc_info info;
	char mac[24];

	memset(&info, 0, sizeof(info));
	ip_ifc_info(stack_ip(ctl->conf.stack), ifc, &info);
	(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", info.mac.addr_bytes[0],
		info.mac.addr_bytes[1], info.mac.addr_bytes[2], info.mac.addr_bytes[3],
		info.mac.addr_bytes[4], info.mac.addr_bytes[5]);
	control_json_object(out, NULL);
	control_json_str(out, "name", info.name);
	control_json_bool(out, "up", info.up);
	if (ctl->conf.ifcs != NULL && ifc < ctl->conf.nifcs) {
		const struct control_ifc *more = &ctl->conf.ifcs[ifc];

		control_json_str(out, "device", more->device);
		control_json_str(out, "driver", more->driver);
		control_json_u64(out, "rx_queues", more->rx_queues);
		control_json_u64(out, "tx_queues", more->tx_queues);
	}
	control_json_str(out, "mac", mac);
	control_json_u64(out, "mtu", info.mtu);
	control_json_u64(out, "vlan", info.vlan);
	control_addresses(&info, out);
	control_json_u64(out, "rx_packets", info.rx_packets);
	control_json_u64(out, "rx_bytes", info.rx_bytes);
	control_json_u64(out, "tx_packets", info.tx_packets);
	control_json_u64(out, "tx_bytes", info.tx_bytes);
	if (ctl->conf.ifcs != NULL && ifc < ctl->conf.nifcs &&
		ctl->conf.ifcs[ifc].tx_refused != NULL)
		control_json_u64(out, "tx_refused",
			atomic_load_explicit(ctl->conf.ifcs[ifc].tx_refused, memory_order_relaxed));
	control_json_object_end(out);
}

int
control_cmd_interfaces(struct control *ctl, const json_t *req, struct control_json *out)
{
	unsigned n = ip_ifc_count(stack_ip(ctl->conf.stack));

	(void)req;
	control_json_array(out, "interfaces");
	for (unsigned ifc = 0; ifc < n; ifc++)
		control_interface(ctl, ifc, out);
	control_json_array_end(out);
	return 0;
}

static void
control_worker(struct control *ctl, unsigned number, struct control_json *out)
{
	struct stack_worker_counters c;
	uint8_t seats[WORKER_MAX];
	unsigned nseats = stack_worker_seats(ctl->conf.stack, number, seats);

	stack_worker_counters(ctl->conf.stack, number, &c);
	control_json_object(out, NULL);
	control_json_u64(out, "worker", number);
	if (ctl->conf.cores != NULL)
		control_json_i64(out, "core", ctl->conf.cores[number]);
	control_json_array(out, "seats");
	for (unsigned i = 0; i < nseats; i++)
		control_json_u64(out, NULL, seats[i]);
	control_json_array_end(out);
	control_json_u64(out, "turns", c.turns);
	control_json_u64(out, "idle_turns", c.idle_turns);
	control_json_u64(out, "up_us", c.up_us);
	control_json_u64(out, "sleeps", c.sleeps);
	control_json_u64(out, "slept_us", c.slept_us);
	control_json_u64(out, "received", c.received);
	control_json_u64(out, "delivered", c.delivered);
	control_json_u64(out, "consumed", c.consumed);
	control_json_u64(out, "sent", c.sent);
	control_json_u64(out, "seats_given", c.seats_given);
	control_json_object_end(out);
}

static int
control_workers_set(struct control *ctl, json_int_t n, struct control_json *out)
{
	if (ctl->conf.workers_set == NULL)
		return control_fail(out, CONTROL_INVALID, "workers set: not here");
	if (n < 1 || n > ctl->conf.workers_max ||
		ctl->conf.workers_set(ctl->conf.arg, (unsigned)n) != 0)
		return control_fail(out, CONTROL_INVALID,
			"workers set: %" JSON_INTEGER_FORMAT " is not in 1-%u (workers.max)", n,
			ctl->conf.workers_max);
	return 0;
}

int
control_cmd_workers(struct control *ctl, const json_t *req, struct control_json *out)
{
	const json_t *set = json_object_get(req, "set");
	struct stack *s = ctl->conf.stack;

	if (set != NULL && control_workers_set(ctl, json_integer_value(set), out) != 0)
		return -1;
	control_json_array(out, "workers");
	for (unsigned w = 0; w < stack_seats(s); w++)
		if (w < stack_workers(s) || stack_worker_up(s, w))
			control_worker(ctl, w, out);
	control_json_array_end(out);
	return 0;
}
