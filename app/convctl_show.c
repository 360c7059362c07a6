/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Answers as people read them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "convctl.h"

#define CONVCTL_COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *
convctl_str(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text == NULL ? "" : text;
}

uint64_t
convctl_u64(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

void
convctl_age_text(uint64_t us, char *buf, size_t len)
{
	uint64_t s = us / 1000000, m = s / 60, h = m / 60;

	if (s < 60)
		(void)snprintf(buf, len, "%.1fs", (double)us / 1e6);
	else if (m < 60)
		(void)snprintf(buf, len, "%" PRIu64 "m%02" PRIu64 "s", m, s % 60);
	else if (h < 24)
		(void)snprintf(buf, len, "%" PRIu64 "h%02" PRIu64 "m", h, m % 60);
	else
		(void)snprintf(buf, len, "%" PRIu64 "d%02" PRIu64 "h", h / 24, h % 24);
}

void
convctl_rtt_text(uint64_t us, char *buf, size_t len)
{
	if (us == 0)
		buf[0] = '\0';
	else if (us < 1000000)
		(void)snprintf(buf, len, "%.3fms", (double)us / 1000);
	else
		(void)snprintf(buf, len, "%.2fs", (double)us / 1000000);
}

/* One line "name  value" of a listing by lines. */
static void __attribute__((format(printf, 2, 3)))
convctl_line(const char *name, const char *format, ...)
{
	va_list ap;

	(void)printf("%-16s  ", name);
	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	(void)putchar('\n');
}

static void
convctl_show_nodes(const json_t *nodes)
{
	static const char *const kinds[][2] = {{"conversations", "conversations"},
		{"half_open", "half-open"}, {"time_wait", "time-wait"}, {"fragments", "fragments"}};

	for (size_t i = 0; i < CONVCTL_COUNT(kinds); i++) {
		const json_t *kind = json_object_get(nodes, kinds[i][0]);

		convctl_line(kinds[i][1], "%" PRIu64 " of %" PRIu64, convctl_u64(kind, "live"),
			convctl_u64(kind, "limit"));
	}
}

void
convctl_show_status(const json_t *status)
{
	char age[32];

	convctl_age_text(convctl_u64(status, "uptime_us"), age, sizeof(age));
	convctl_line("state", "%s", convctl_str(status, "state"));
	convctl_line("version", "%s", convctl_str(status, "version"));
	convctl_line("pid", "%" PRIu64, convctl_u64(status, "pid"));
	convctl_line("uptime", "%s", age);
	convctl_line("configuration", "%s", convctl_str(status, "config"));
	convctl_line("workers", "%" PRIu64 " of %" PRIu64 ", spread %s",
		convctl_u64(status, "workers"), convctl_u64(status, "workers_max"),
		convctl_str(status, "spread"));
	convctl_line("interfaces", "%" PRIu64, convctl_u64(status, "interfaces"));
	convctl_line("listeners", "%" PRIu64, convctl_u64(status, "listeners"));
	convctl_show_nodes(json_object_get(status, "nodes"));
	convctl_line("packets held", "%" PRIu64, convctl_u64(status, "held"));
	convctl_line("reclamation", "%s, oldest batch %" PRIu64 " us, stalls %" PRIu64,
		json_is_true(json_object_get(status, "reclaim_stalled")) ? "STALLED" : "well",
		convctl_u64(status, "oldest_batch_us"), convctl_u64(status, "stalls"));
	if (convctl_u64(status, "stuck_us") > 0)
		convctl_line("stuck", "worker %" PRIu64 ", %" PRIu64 " us in one turn",
			convctl_u64(status, "stuck_worker"), convctl_u64(status, "stuck_us"));
	convctl_line("races", "lost %" PRIu64 ", re-check failures %" PRIu64,
		convctl_u64(status, "get_failed"), convctl_u64(status, "recheck_failed"));
	convctl_line("backlog", "%" PRIu64 " packets, %" PRIu64 " over its bound",
		convctl_u64(status, "backlog_pushes"), convctl_u64(status, "backlog_full"));
	convctl_line("control clients", "%" PRIu64, convctl_u64(status, "clients"));
}

/* The prefixes of a list, with commas. */
static void
convctl_prefixes(const json_t *list, char *buf, size_t len)
{
	size_t i, n = 0;
	json_t *prefix;

	buf[0] = '\0';
	json_array_foreach(list, i, prefix) {
		n += (size_t)snprintf(
			buf + n, len - n, "%s%s", n > 0 ? "," : "", json_string_value(prefix));
		if (n >= len - 4) {
			memcpy(buf + len - 4, "...", 4);
			return;
		}
	}
}

void
convctl_show_listeners(const json_t *listeners)
{
	static const struct convctl_column columns[] = {{"NAME", false}, {"PROTO", false},
		{"LOCAL", false}, {"SERVICE", false}, {"CONVS", true}, {"HALF-OPEN", true},
		{"ACCEPTED", true}, {"REFUSED", true}, {"DENIED", true}, {"BYTES-IN", true},
		{"BYTES-OUT", true}, {"ALLOW", false}, {"DENY", false}};
	static const char *const counts[] = {
		"accepted", "refused", "denied", "bytes_in", "bytes_out"};
	struct convctl_table t;
	char prefixes[120];
	json_t *l;
	size_t i;

	convctl_table_init(&t, columns, CONVCTL_COUNT(columns));
	json_array_foreach(listeners, i, l) {
		convctl_table_cell(&t, convctl_str(l, "name"));
		convctl_table_cell(&t, convctl_str(l, "proto"));
		convctl_table_cell(&t, convctl_str(l, "local"));
		convctl_table_cell(&t, convctl_str(l, "service"));
		convctl_table_u64(&t, convctl_u64(l, "conversations"));
		if (json_object_get(l, "half_open") != NULL)
			convctl_table_u64(&t, convctl_u64(l, "half_open"));
		else
			convctl_table_cell(&t, "");
		for (size_t c = 0; c < CONVCTL_COUNT(counts); c++)
			convctl_table_u64(&t, convctl_u64(l, counts[c]));
		convctl_prefixes(json_object_get(l, "allow"), prefixes, sizeof(prefixes));
		convctl_table_cell(&t, prefixes);
		convctl_prefixes(json_object_get(l, "deny"), prefixes, sizeof(prefixes));
		convctl_table_cell(&t, prefixes);
	}
	convctl_table_flush(&t);
	convctl_table_free(&t);
}

static void
convctl_show_interface(const json_t *ifc)
{
	const json_t *addresses = json_object_get(ifc, "addresses");
	const json_t *address;
	size_t i;

	(void)printf("%s: %s, mac %s, mtu %" PRIu64, convctl_str(ifc, "name"),
		json_is_true(json_object_get(ifc, "up")) ? "up" : "down", convctl_str(ifc, "mac"),
		convctl_u64(ifc, "mtu"));
	if (convctl_u64(ifc, "vlan") != 0)
		(void)printf(", vlan %" PRIu64, convctl_u64(ifc, "vlan"));
	(void)putchar('\n');
	if (json_object_get(ifc, "device") != NULL)
		(void)printf("    device   %s (%s), %" PRIu64 " rx and %" PRIu64 " tx queues\n",
			convctl_str(ifc, "device"), convctl_str(ifc, "driver"),
			convctl_u64(ifc, "rx_queues"), convctl_u64(ifc, "tx_queues"));
	json_array_foreach(addresses, i, address) {
		const char *state = convctl_str(address, "state");

		(void)printf("    address  %s%s%s\n", convctl_str(address, "address"),
			strcmp(state, "valid") == 0 ? "" : " ",
			strcmp(state, "valid") == 0 ? "" : state);
	}
	(void)printf("    rx       %" PRIu64 " packets, %" PRIu64 " bytes\n",
		convctl_u64(ifc, "rx_packets"), convctl_u64(ifc, "rx_bytes"));
	(void)printf("    tx       %" PRIu64 " packets, %" PRIu64 " bytes\n",
		convctl_u64(ifc, "tx_packets"), convctl_u64(ifc, "tx_bytes"));
}

void
convctl_show_interfaces(const json_t *interfaces)
{
	const json_t *ifc;
	size_t i;

	json_array_foreach(interfaces, i, ifc) {
		convctl_show_interface(ifc);
	}
}

/* The numbers of a list, with commas. */
static void
convctl_seats(const json_t *list, char *buf, size_t len)
{
	size_t i, n = 0;
	const json_t *seat;

	buf[0] = '\0';
	json_array_foreach((json_t *)list, i, seat) {
		if (n < len)
			n += (size_t)snprintf(buf + n, len - n, "%s%" JSON_INTEGER_FORMAT,
				i > 0 ? "," : "", json_integer_value(seat));
	}
}

void
convctl_show_workers(const json_t *workers)
{
	static const struct convctl_column columns[] = {{"WORKER", true}, {"CORE", true},
		{"SEATS", false}, {"ASLEEP", true}, {"BUSY-TURNS", true}, {"TURNS", true},
		{"RECEIVED", true}, {"DELIVERED", true}, {"CONSUMED", true}, {"SENT", true}};
	static const char *const counts[] = {"turns", "received", "delivered", "consumed", "sent"};
	struct convctl_table t;
	const json_t *w;
	char text[32], seats[256];
	size_t i;

	convctl_table_init(&t, columns, CONVCTL_COUNT(columns));
	json_array_foreach(workers, i, w) {
		uint64_t turns = convctl_u64(w, "turns"), idle = convctl_u64(w, "idle_turns");
		uint64_t up = convctl_u64(w, "up_us");
		json_int_t core = json_integer_value(json_object_get(w, "core"));

		convctl_table_u64(&t, convctl_u64(w, "worker"));
		(void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, core);
		convctl_table_cell(&t, json_object_get(w, "core") == NULL || core < 0 ? "" : text);
		convctl_seats(json_object_get(w, "seats"), seats, sizeof(seats));
		convctl_table_cell(&t, seats);
		(void)snprintf(text, sizeof(text), "%.1f%%",
			up > 0 ? 100.0 * (double)convctl_u64(w, "slept_us") / (double)up : 0.0);
		convctl_table_cell(&t, text);
		/* Read while they move: idle may be ahead. */
		(void)snprintf(text, sizeof(text), "%.1f%%",
			turns > idle ? 100.0 * (double)(turns - idle) / (double)turns : 0.0);
		convctl_table_cell(&t, text);
		for (size_t c = 0; c < CONVCTL_COUNT(counts); c++)
			convctl_table_u64(&t, convctl_u64(w, counts[c]));
	}
	convctl_table_flush(&t);
	convctl_table_free(&t);
}

/* Every member of a conversation by its name; what ends in _us as a time too. */
void
convctl_show_conv(const json_t *conv)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)conv, name, value) {
		size_t len = strlen(name);
		char text[32];

		if (json_is_string(value)) {
			convctl_line(name, "%s",
				json_string_length(value) > 0 ? json_string_value(value) : "-");
		} else if (json_is_boolean(value)) {
			convctl_line(name, "%s", json_is_true(value) ? "yes" : "no");
		} else if (strcmp(name, "age_us") == 0 || strcmp(name, "idle_us") == 0) {
			convctl_age_text((uint64_t)json_integer_value(value), text, sizeof(text));
			convctl_line(strcmp(name, "age_us") == 0 ? "age" : "idle", "%s", text);
		} else if (len > 3 && strcmp(name + len - 3, "_us") == 0) {
			convctl_rtt_text((uint64_t)json_integer_value(value), text, sizeof(text));
			convctl_line(name, "%s", text[0] != '\0' ? text : "-");
		} else {
			convctl_line(name, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		}
	}
}

void
convctl_show_hangup(const json_t *hangup)
{
	(void)printf("%s: hangup is under way\n", convctl_str(hangup, "id"));
}
