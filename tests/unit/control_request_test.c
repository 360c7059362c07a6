/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Each command, asked over the socket, of a stack whose every figure is known.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "control_fake.h"

static int
setup(void **state)
{
	control_fake_open(100);
	return 0;
}

static int
teardown(void **state)
{
	control_fake_close();
	return 0;
}

static json_t *
ask(const char *line)
{
	json_t *answer = control_fake_ask(line);

	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s: %s", line, json_string_value(json_object_get(answer, "error")));
	return answer;
}

static const char *
str(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	if (text == NULL)
		fail_msg("no string \"%s\"", key);
	return text;
}

static json_int_t
num(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_integer(value))
		fail_msg("no number \"%s\"", key);
	return json_integer_value(value);
}

static void
wrong_requests_are_refused_by_name(void **state)
{
	static const char *const wrong[][2] = {{"", "not JSON"}, {"{", "not JSON"},
		{"nonsense", "not JSON"}, {"{\"command\":\"status\"} x", "not JSON"},
		{"{\"command\":\"status\",\"command\":\"stats\"}", "not JSON"},
		{"{\"command\":\"a\\u0000b\"}", "not JSON"}, {"\"\xff\"", "not JSON"},
		{"[]", "not an object"}, {"[\"command\"]", "not an object"}, {"{}", "\"command\""},
		{"{\"command\":7}", "\"command\""}, {"{\"command\":null}", "\"command\""},
		{"{\"command\":\"\"}", "unknown command \"\""},
		{"{\"command\":\"Status\"}", "unknown command \"Status\""},
		{"{\"command\":\"status\",\"id\":\"1.1\"}", "status: unknown member \"id\""},
		{"{\"command\":\"status\",\"\":1}", "status: unknown member \"\""},
		{"{\"command\":\"convs\",\"curs\":1}", "convs: unknown member \"curs\""},
		{"{\"command\":\"convs\",\"cursor \":1}", "convs: unknown member \"cursor \""},
		{"{\"command\":\"convs\",\"cursor\":\"1\"}", "convs: cursor: is not an integer"},
		{"{\"command\":\"convs\",\"cursor\":1.0}", "convs: cursor: is not an integer"},
		{"{\"command\":\"convs\",\"cursor\":-1}",
			"convs: cursor: -1 is not in 0-4294967295"},
		{"{\"command\":\"convs\",\"cursor\":4294967296}",
			"convs: cursor: 4294967296 is not in"},
		{"{\"command\":\"convs\",\"limit\":0}", "convs: limit: 0 is not in 1-1000"},
		{"{\"command\":\"convs\",\"limit\":1001}", "convs: limit: 1001 is not in 1-1000"},
		{"{\"command\":\"convs\",\"filter\":5}", "convs: filter: is not a string"},
		{"{\"command\":\"convs\",\"filter\":\"x\"}", "filter: x is not KEY=VALUE"},
		{"{\"command\":\"conv\"}", "conv: id: is missing"},
		{"{\"command\":\"conv\",\"id\":17}", "conv: id: is not a string such as"},
		{"{\"command\":\"conv\",\"id\":\"17\"}", "conv: id: \"17\" is not SLOT.GENERATION"},
		{"{\"command\":\"hangup\"}", "hangup: id: is missing"},
		{"{\"command\":\"hangup\",\"id\":\"\"}", "hangup: id: \"\" is not"},
		{"{\"command\":\"reload\",\"dry_run\":1}", "reload: dry_run: is not true or false"},
		{"{\"command\":\"workers\",\"set\":\"2\"}", "workers: set: is not an integer"}};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		control_fake_refused(wrong[i][0], "invalid", wrong[i][1]);
	assert_int_equal(control_fake.online, 0);
}

static void
what_is_not_built_says_so(void **state)
{
	control_fake_refused("{\"command\":\"reload\"}", "not_built", "reload: not built yet");
	control_fake_refused("{\"command\":\"reload\",\"dry_run\":true}", "not_built", "reload:");
	control_fake_refused("{\"command\":\"top\"}", "not_built", "top: not built yet");
	control_fake_refused("{\"command\":\"doctor\"}", "not_built", "doctor: not built yet");
	control_fake_refused("{\"command\":\"trace\"}", "not_built", "trace: not built yet");
	control_fake_refused("{\"command\":\"capture\"}", "not_built", "capture: not built yet");
}

static void
a_row_has_all_columns(void **state)
{
	json_t *answer, *row;

	control_fake_add(17, IPPROTO_TCP);
	answer = ask("{\"command\":\"convs\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "convs")), 1);
	assert_true(json_is_null(json_object_get(answer, "next")));
	row = json_array_get(json_object_get(answer, "convs"), 0);
	assert_string_equal(str(row, "id"), "17.1");
	assert_string_equal(str(row, "proto"), "tcp");
	assert_string_equal(str(row, "state"), "ESTABLISHED");
	assert_string_equal(str(row, "local"), "10.0.0.2:7");
	assert_string_equal(str(row, "remote"), "10.1.0.17:5000");
	assert_string_equal(str(row, "listener"), "echo");
	assert_int_equal(num(row, "recv_queue"), 11);
	assert_int_equal(num(row, "send_queue"), 22);
	assert_int_equal(num(row, "srtt_us"), 231);
	assert_int_equal(num(row, "cwnd"), 14600);
	assert_int_equal(num(row, "age_us"), 1500000);
	assert_int_equal(json_object_size(row), 11);
	json_decref(answer);
	assert_int_equal(control_fake.online, 1);
}

static void
link_local_rows_name_their_interface(void **state)
{
	struct control_fake_conv *c = control_fake_add(3, IPPROTO_UDP);
	json_t *answer, *row;

	memset(c->cn.n.key.laddr, 0, 16);
	memset(c->cn.n.key.raddr, 0, 16);
	c->cn.n.key.laddr[0] = c->cn.n.key.raddr[0] = 0xfe;
	c->cn.n.key.laddr[1] = c->cn.n.key.raddr[1] = 0x80;
	c->cn.n.key.laddr[15] = 1;
	c->cn.n.key.raddr[15] = 2;
	c->cn.n.key.zone = 1;
	answer = ask("{\"command\":\"convs\"}");
	row = json_array_get(json_object_get(answer, "convs"), 0);
	assert_string_equal(str(row, "local"), "[fe80::1%lan]:7");
	assert_string_equal(str(row, "remote"), "[fe80::2%lan]:5000");
	json_decref(answer);
}

/* All pages of a listing. @return how many there were; seen[slot]++ for each row */
static unsigned
pages(const char *filter, unsigned limit, unsigned *seen)
{
	json_int_t cursor = 0;
	unsigned n = 0;

	for (;;) {
		char line[200];
		json_t *answer, *row, *next;
		size_t i;

		snprintf(line, sizeof(line),
			"{\"command\":\"convs\",\"cursor\":%" JSON_INTEGER_FORMAT
			",\"limit\":%u,\"filter\":\"%s\"}",
			cursor, limit, filter);
		answer = ask(line);
		n++;
		assert_true(json_array_size(json_object_get(answer, "convs")) <= limit);
		json_array_foreach(json_object_get(answer, "convs"), i, row)
			seen[strtoul(str(row, "id"), NULL, 10)]++;
		next = json_object_get(answer, "next");
		if (json_is_null(next)) {
			json_decref(answer);
			return n;
		}
		assert_true(json_integer_value(next) > cursor);
		cursor = json_integer_value(next);
		json_decref(answer);
	}
}

static void
pages_show_each_row_once(void **state)
{
	unsigned seen[100] = {0};

	for (uint32_t slot = 0; slot < 100; slot += 3)
		control_fake_add(slot, IPPROTO_TCP);
	for (unsigned limit = 1; limit <= 40; limit++) {
		unsigned n;

		memset(seen, 0, sizeof(seen));
		n = pages("", limit, seen);
		for (uint32_t slot = 0; slot < 100; slot++)
			assert_int_equal(seen[slot], slot % 3 == 0);
		/* The row in the last slot ends the last page. */
		assert_int_equal(n, (34 + limit - 1) / limit);
	}
}

static void
a_cursor_past_the_end_is_an_empty_page(void **state)
{
	json_t *answer;

	control_fake_add(99, IPPROTO_TCP);
	answer = ask("{\"command\":\"convs\",\"cursor\":4294967295}");
	assert_int_equal(json_array_size(json_object_get(answer, "convs")), 0);
	assert_true(json_is_null(json_object_get(answer, "next")));
	json_decref(answer);
	answer = ask("{\"command\":\"convs\",\"cursor\":99}");
	assert_int_equal(json_array_size(json_object_get(answer, "convs")), 1);
	json_decref(answer);
}

static void
filters_choose_rows(void **state)
{
	unsigned seen[100] = {0};

	for (uint32_t slot = 0; slot < 100; slot++) {
		struct control_fake_conv *c =
			control_fake_add(slot, slot % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP);

		if (slot % 5 == 0)
			c->state = "CLOSE-WAIT";
		if (slot >= 50)
			c->listener = "web";
	}
	pages("proto=tcp state=close-wait listener=web", 7, seen);
	for (uint32_t slot = 0; slot < 100; slot++)
		assert_int_equal(seen[slot], slot % 10 == 0 && slot >= 50);
	memset(seen, 0, sizeof(seen));
	control_fake.statuses = 0;
	pages("remote=10.1.0.32/27 local=:7", 1000, seen);
	for (uint32_t slot = 0; slot < 100; slot++)
		assert_int_equal(seen[slot], slot / 32 == 1);
	/* The key alone settles it for the others: they are not looked into. */
	assert_int_equal(control_fake.statuses, 32);
}

static void
the_dead_and_the_fragments_are_not_listed(void **state)
{
	unsigned seen[100] = {0};

	control_fake_add(1, IPPROTO_TCP);
	control_fake_add(2, IPPROTO_TCP)->cn.n.word = NODE_DEAD;
	control_fake_add(3, IPPROTO_UDP)->cn.n.id = (uint32_t)NODE_FRAGMENTS << NODE_ID_KIND_SHIFT;
	control_fake_add(4, IPPROTO_TCP)->cn.n.id = (uint32_t)NODE_TIME_WAIT << NODE_ID_KIND_SHIFT;
	pages("", 1000, seen);
	assert_int_equal(seen[1], 1);
	assert_int_equal(seen[2], 0);
	assert_int_equal(seen[3], 0);
	assert_int_equal(seen[4], 1);
	control_fake_refused("{\"command\":\"conv\",\"id\":\"2.1\"}", "gone", "conv: 2.1 is gone");
}

/* Two of three come and go; slots that the cursor has passed are filled too. */
static void
churn(uint32_t slot)
{
	for (uint32_t i = 0; i < 7; i++) {
		uint32_t other = (slot * 31 + i * 977) % control_fake.slots;

		if (other % 3 == 0)
			continue;
		if (control_fake.convs[other].used)
			control_fake.convs[other].used = control_fake.convs[other].refs > 0;
		else
			control_fake_add(other, IPPROTO_UDP);
	}
}

static void
no_survivor_is_missed_while_others_churn(void **state)
{
	unsigned *seen = calloc(5000, sizeof(*seen));

	control_fake_close();
	control_fake_open(5000);
	for (uint32_t slot = 0; slot < 5000; slot++)
		control_fake_add(slot, IPPROTO_UDP);
	control_fake.churn = churn;
	for (unsigned limit = 1000; limit > 100; limit -= 99) {
		memset(seen, 0, 5000 * sizeof(*seen));
		pages("", limit, seen);
		for (uint32_t slot = 0; slot < 5000; slot++) {
			if (slot % 3 == 0)
				assert_int_equal(seen[slot], 1);
			else
				assert_in_range(seen[slot], 0, 1);
		}
	}
	control_fake.churn = NULL;
	free(seen);
}

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* One page that is asked for on fd. @return the next cursor, or -1 at the end */
static json_int_t
timed_page(int fd, json_int_t cursor, const char *filter, size_t *rows, double *ms)
{
	char line[200];
	double start;
	char *text;
	json_t *answer;

	snprintf(line, sizeof(line),
		"{\"command\":\"convs\",\"cursor\":%" JSON_INTEGER_FORMAT ",\"filter\":\"%s\"}\n",
		cursor, filter);
	start = now_ms();
	assert_true(control_fake_send(fd, line, strlen(line)));
	*ms = now_ms() - start;
	text = control_fake_line(fd);
	answer = json_loads(text, 0, NULL);
	assert_non_null(answer);
	*rows += json_array_size(json_object_get(answer, "convs"));
	cursor = json_is_null(json_object_get(answer, "next")) ? -1 : num(answer, "next");
	json_decref(answer);
	free(text);
	return cursor;
}

/* A filter that lets one row of a million through looks at them all, and still ends its pages in time. */
static void
pages_of_a_million_slots_end_in_time(void **state)
{
	unsigned n = 0;
	json_int_t cursor = 0;
	double slow = 0;
	size_t rows = 0;
	int fd;

	control_fake_close();
	control_fake_open(1000000);
	for (uint32_t slot = 0; slot < 1000000; slot++)
		control_fake_add(slot, IPPROTO_UDP);
	control_fake.convs[999999].listener = "rare";
	fd = control_fake_connect();
	while (cursor >= 0) {
		double ms;

		cursor = timed_page(fd, cursor, "listener=rare", &rows, &ms);
		if (ms > 50)
			slow++;
		n++;
	}
	close(fd);
	assert_int_equal(rows, 1);
	/* The machine may stop us for longer than a page takes; not often. */
	print_message("%u pages, %.0f of them over 50 ms\n", n, slow);
	assert_true(n >= 3);
	assert_true(slow <= 1 + n / 20);
}

static void
one_conversation_shows_all_of_itself(void **state)
{
	json_t *answer, *conv;

	control_fake_add(17, IPPROTO_TCP);
	answer = ask("{\"command\":\"conv\",\"id\":\"17.1\"}");
	conv = json_object_get(answer, "conv");
	assert_string_equal(str(conv, "id"), "17.1");
	assert_string_equal(str(conv, "service"), "echo");
	assert_int_equal(num(conv, "snd_nxt"), UINT32_MAX);
	assert_int_equal(num(conv, "mss"), 1460);
	assert_true(json_is_true(json_object_get(conv, "sack")));
	assert_true(json_is_false(json_object_get(conv, "ecn")));
	assert_int_equal(json_object_size(conv), 30);
	json_decref(answer);
}

static void
a_stale_id_is_gone_and_never_another(void **state)
{
	json_t *answer;

	control_fake_add(17, IPPROTO_TCP);
	control_fake_refused("{\"command\":\"conv\",\"id\":\"17.2\"}", "gone", "17.2 is gone");
	control_fake_refused("{\"command\":\"hangup\",\"id\":\"17.2\"}", "gone", "17.2 is gone");
	control_fake_refused("{\"command\":\"conv\",\"id\":\"18.1\"}", "gone", "18.1 is gone");
	control_fake_refused(
		"{\"command\":\"conv\",\"id\":\"4294967295.1\"}", "gone", "4294967295.1 is gone");
	/* The slot is used again. */
	control_fake_add(17, IPPROTO_TCP);
	control_fake_refused("{\"command\":\"conv\",\"id\":\"17.1\"}", "gone", "17.1 is gone");
	control_fake_refused("{\"command\":\"hangup\",\"id\":\"17.1\"}", "gone", "17.1 is gone");
	assert_int_equal(control_fake.hangups, 0);
	answer = ask("{\"command\":\"hangup\",\"id\":\"17.2\"}");
	assert_string_equal(str(json_object_get(answer, "hangup"), "id"), "17.2");
	json_decref(answer);
	assert_int_equal(control_fake.hangups, 1);
	assert_int_equal(control_fake.hung_up.slot, 17);
	assert_int_equal(control_fake.hung_up.gen, 2);
}

static void
stats_are_one_object_with_every_reason(void **state)
{
	json_t *answer, *stats, *drops, *worker;

	control_fake.stats.sum.received = 1000;
	control_fake.stats.sum.delivered = 600;
	control_fake.stats.sum.consumed = 300;
	control_fake.stats.sum.drops[DROP_TCP_PAWS] = 90;
	control_fake.stats.held = 11;
	control_fake.stats.missing = -1;
	control_fake.stats.mbufs_in_use = 12;
	control_fake.stats.mbufs_small_in_use = 13;
	control_fake.stats.conv.backlog_pushes = 14;
	control_fake.stats.conv.born[NODE_HALF_OPEN] = 15;
	control_fake.stats.spread_full = 16;
	control_fake.worker[1].received = 77;
	control_fake.worker[1].drops[DROP_UDP_LOOP] = 5;
	answer = ask("{\"command\":\"stats\"}");
	stats = json_object_get(answer, "stats");
	assert_int_equal(num(stats, "received"), 1000);
	assert_int_equal(num(stats, "delivered"), 600);
	assert_int_equal(num(stats, "consumed"), 300);
	assert_int_equal(num(stats, "held"), 11);
	assert_int_equal(num(stats, "missing"), -1);
	drops = json_object_get(stats, "drops");
	assert_int_equal(json_object_size(drops), DROP_MAX);
	for (unsigned r = 0; r < DROP_MAX; r++)
		assert_int_equal(num(drops, drop_name(r)), r == DROP_TCP_PAWS ? 90 : 0);
	assert_int_equal(json_array_size(json_object_get(stats, "workers")), 3);
	worker = json_array_get(json_object_get(stats, "workers"), 1);
	assert_int_equal(num(worker, "worker"), 1);
	assert_int_equal(num(worker, "received"), 77);
	assert_int_equal(json_object_size(json_object_get(worker, "drops")), 1);
	assert_int_equal(num(json_object_get(worker, "drops"), "udp_loop"), 5);
	assert_int_equal(num(json_object_get(stats, "tcp"), "segments_in"), 42);
	assert_int_equal(num(json_object_get(stats, "udp"), "datagrams_in"), 43);
	assert_int_equal(num(json_object_get(stats, "ip"), "arp_in"), 17);
	assert_int_equal(num(json_object_get(stats, "conv"), "backlog_pushes"), 14);
	assert_int_equal(
		num(json_object_get(json_object_get(stats, "conv"), "half_open"), "born"), 15);
	assert_int_equal(num(json_object_get(stats, "spread"), "full"), 16);
	assert_int_equal(num(json_object_get(stats, "mbufs"), "size"), 4095);
	assert_int_equal(num(json_object_get(stats, "mbufs"), "in_use"), 12);
	assert_int_equal(num(json_object_get(stats, "mbufs"), "small_in_use"), 13);
	json_decref(answer);
}

static void
status_says_what_runs(void **state)
{
	json_t *answer, *status, *half_open;

	control_fake.stats.live[NODE_HALF_OPEN] = 3;
	control_fake.stats.limit[NODE_HALF_OPEN] = 64;
	control_fake.stats.stalled = true;
	control_fake.stats.stalls = 2;
	control_fake.stats.stuck_us = 700000;
	control_fake.stats.stuck_worker = 1;
	control_fake.stats.conv.get_failed = 11;
	control_fake.stats.conv.backlog_pushes = 12;
	control_fake.stats.conv.backlog_full = 13;
	control_set_state(control_fake_ctl, "draining");
	answer = ask("{\"command\":\"status\"}");
	status = json_object_get(answer, "status");
	assert_string_equal(str(status, "state"), "draining");
	assert_string_equal(str(status, "version"), "1.2.3");
	assert_string_equal(str(status, "config"), "/etc/convd.json");
	assert_string_equal(str(status, "spread"), "packet");
	assert_int_equal(num(status, "workers"), 2);
	assert_int_equal(num(status, "interfaces"), 1);
	assert_int_equal(num(status, "listeners"), 0);
	assert_int_equal(num(status, "pid"), getpid());
	assert_int_equal(num(status, "clients"), 1);
	assert_true(num(status, "uptime_us") > 0);
	half_open = json_object_get(json_object_get(status, "nodes"), "half_open");
	assert_int_equal(num(half_open, "live"), 3);
	assert_int_equal(num(half_open, "limit"), 64);
	assert_true(json_is_true(json_object_get(status, "reclaim_stalled")));
	assert_int_equal(num(status, "workers_max"), 3);
	assert_int_equal(num(status, "stalls"), 2);
	assert_int_equal(num(status, "stuck_us"), 700000);
	assert_int_equal(num(status, "stuck_worker"), 1);
	assert_int_equal(num(status, "get_failed"), 11);
	assert_int_equal(num(status, "recheck_failed"), 0);
	assert_int_equal(num(status, "backlog_pushes"), 12);
	assert_int_equal(num(status, "backlog_full"), 13);
	json_decref(answer);
	control_fake.stats.stuck_us = 0;
	answer = ask("{\"command\":\"status\"}");
	assert_int_equal(num(json_object_get(answer, "status"), "stuck_worker"), -1);
	json_decref(answer);
}

static struct listener *
listener(const char *name, uint8_t proto, uint16_t lo, uint16_t hi)
{
	static const struct service echo = {.name = "echo"};
	struct listener *l = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*l));

	assert_non_null(l);
	memset(l, 0, sizeof(*l));
	strcpy(l->name, name);
	l->proto = proto;
	l->port_lo = lo;
	l->port_hi = hi;
	l->service = &echo;
	control_fake.listeners[control_fake.nlisteners++] = l;
	return l;
}

static void
listeners_add_up_their_workers(void **state)
{
	static struct prefix prefixes[2] = {{.len = 96 + 8}, {.addr = {0xfd, 0x77}, .len = 64}};
	struct listener *l;
	json_t *answer, *row;

	key_map_v4(prefixes[0].addr, htonl(0x0a000000));
	l = listener("echo", IPPROTO_TCP, 7, 7);
	l->allow = prefixes;
	l->nallow = 2;
	l->half_open = 6;
	l->half_open_max = 100;
	l->cells[0].accepted = 1;
	l->cells[1].accepted = 2;
	l->cells[WORKER_MAX].accepted = 4;
	l->cells[1].bytes_in = UINT64_C(1) << 40;
	l->cells[0].denied = 9;
	l = listener("range", IPPROTO_UDP, 8000, 8100);
	key_map_v4(l->laddr, htonl(0x0a000002));
	l->one = true;
	l = listener("six", IPPROTO_UDP, 53, 53);
	l->zone = IPHT_ZONE_ANY6;
	answer = ask("{\"command\":\"listeners\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "listeners")), 3);
	row = json_array_get(json_object_get(answer, "listeners"), 0);
	assert_string_equal(str(row, "name"), "echo");
	assert_string_equal(str(row, "proto"), "tcp");
	assert_string_equal(str(row, "local"), "*:7");
	assert_string_equal(str(row, "service"), "echo");
	assert_int_equal(num(row, "conversations"), 5);
	assert_int_equal(num(row, "half_open"), 6);
	assert_int_equal(num(row, "half_open_limit"), 100);
	assert_int_equal(num(row, "accepted"), 7);
	assert_int_equal(num(row, "denied"), 9);
	assert_int_equal(num(row, "bytes_in"), INT64_C(1) << 40);
	row = json_object_get(row, "allow");
	assert_string_equal(json_string_value(json_array_get(row, 0)), "10.0.0.0/8");
	assert_string_equal(json_string_value(json_array_get(row, 1)), "fd77::/64");
	row = json_array_get(json_object_get(answer, "listeners"), 1);
	assert_string_equal(str(row, "local"), "10.0.0.2:8000-8100");
	assert_string_equal(str(row, "conversation"), "one");
	assert_null(json_object_get(row, "half_open"));
	row = json_array_get(json_object_get(answer, "listeners"), 2);
	assert_string_equal(str(row, "local"), "[::]:53");
	assert_string_equal(str(row, "conversation"), "per_peer");
	json_decref(answer);
	while (control_fake.nlisteners > 0)
		free(control_fake.listeners[--control_fake.nlisteners]);
}

static void
interfaces_and_workers(void **state)
{
	json_t *answer, *row, *address;

	answer = ask("{\"command\":\"interfaces\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "interfaces")), 1);
	row = json_array_get(json_object_get(answer, "interfaces"), 0);
	assert_string_equal(str(row, "name"), "lan");
	assert_string_equal(str(row, "mac"), "02:00:00:00:00:ff");
	assert_string_equal(str(row, "device"), "net_tap0,iface=convd0");
	assert_string_equal(str(row, "driver"), "net_tap");
	assert_int_equal(num(row, "vlan"), 12);
	assert_int_equal(num(row, "rx_bytes"), INT64_C(1) << 40);
	address = json_array_get(json_object_get(row, "addresses"), 0);
	assert_string_equal(str(address, "address"), "10.77.0.2/24");
	assert_string_equal(str(address, "state"), "valid");
	address = json_array_get(json_object_get(row, "addresses"), 1);
	assert_string_equal(str(address, "address"), "fd00::2/64");
	assert_string_equal(str(address, "state"), "tentative");
	assert_int_equal(num(row, "tx_refused"), 5);
	json_decref(answer);

	control_fake.worker[0].turns = 10;
	control_fake.worker[1].idle_turns = 9;
	answer = ask("{\"command\":\"workers\"}");
	row = json_array_get(json_object_get(answer, "workers"), 0);
	assert_int_equal(num(row, "worker"), 0);
	assert_int_equal(num(row, "core"), 0);
	assert_int_equal(num(row, "turns"), 10);
	assert_int_equal(json_array_size(json_object_get(row, "seats")), 2);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(row, "seats"), 1)), 2);
	assert_int_equal(num(row, "sleeps"), 3);
	assert_int_equal(num(row, "slept_us"), 4000);
	assert_int_equal(num(row, "up_us"), 10000);
	row = json_array_get(json_object_get(answer, "workers"), 1);
	assert_int_equal(num(row, "core"), -1);
	assert_int_equal(num(row, "idle_turns"), 9);
	json_decref(answer);
}

static void
workers_are_set_within_bounds(void **state)
{
	static const char *const wrong[] = {"0", "5", "-1", "4294967297"};
	json_t *answer;

	for (unsigned n = 1; n <= 4; n++) {
		char request[64];

		snprintf(request, sizeof(request), "{\"command\":\"workers\",\"set\":%u}", n);
		answer = ask(request);
		assert_int_equal(json_array_size(json_object_get(answer, "workers")), 2);
		assert_int_equal(control_fake.workers_set, n);
		json_decref(answer);
	}
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char request[64], reason[64];

		snprintf(
			request, sizeof(request), "{\"command\":\"workers\",\"set\":%s}", wrong[i]);
		snprintf(reason, sizeof(reason), "workers set: %s is not in 1-4", wrong[i]);
		control_fake_refused(request, "invalid", reason);
		assert_int_equal(control_fake.workers_set, 4);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wrong_requests_are_refused_by_name),
		TEST(what_is_not_built_says_so),
		TEST(a_row_has_all_columns),
		TEST(link_local_rows_name_their_interface),
		TEST(pages_show_each_row_once),
		TEST(a_cursor_past_the_end_is_an_empty_page),
		TEST(filters_choose_rows),
		TEST(the_dead_and_the_fragments_are_not_listed),
		TEST(no_survivor_is_missed_while_others_churn),
		TEST(pages_of_a_million_slots_end_in_time),
		TEST(one_conversation_shows_all_of_itself),
		TEST(a_stale_id_is_gone_and_never_another),
		TEST(stats_are_one_object_with_every_reason),
		TEST(status_says_what_runs),
		TEST(listeners_add_up_their_workers),
		TEST(interfaces_and_workers),
		TEST(workers_are_set_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
