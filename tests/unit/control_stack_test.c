/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The control socket on a real stack: four virtual workers in the worst spread, thirty thousand UDP
 * conversations that hear datagrams all the time, some of them coming and going, and the convctl
 * program asking meanwhile.
 */
#include <arpa/inet.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "control.h"
#include "convctl_run.h"
#include "stack.h"
#include "util.h"

#define WORKERS 4
#define PEERS   30000
#define EXTRA   1000 /* room for others */
#define CHURN   3 /* one peer in so many comes and goes while there is churn */
#define PORT    9
#define QUEUE   8192

static struct {
	struct stack *s;
	struct control *ctl;
	struct listener *l;
	char folder[32], path[64];
	uint64_t now_us;
	struct rte_mbuf *queue[QUEUE]; /* frames that wait to be received */
	unsigned head, n;
	uint64_t injected, read;
	uint32_t random;
	bool churn;
	unsigned pages, slow_pages; /* control_run calls over 1 ms, over 50 ms */
	double worst_ms;
} world;

/* ---- the world around the stack ---- */

static uint16_t
world_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n && world.n > 0; i++, world.n--)
		m[i] = world.queue[world.head++ % QUEUE];
	return i;
}

static uint16_t
world_tx(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

static uint64_t
world_now_us(void *arg)
{
	return world.now_us;
}

static uint32_t
world_random(void)
{
	world.random = world.random * 1664525 + 1013904223;
	return world.random >> 8;
}

/* Peer i is 10.1.0.0 + i, port 1024 + i % 1000. */
static void
world_inject(uint32_t peer)
{
	static struct test_frame f;
	struct test_addr src = {{0}};
	struct rte_mbuf *m;

	key_map_v4(src.b, htonl(0x0a010000 + peer));
	test_frame_udp(
		&f, src, test_addr("10.0.0.1"), (uint16_t)(1024 + peer % 1000), PORT, "hello", 5);
	m = test_mbuf(stack_mempool(world.s), f.b, f.len);
	assert_non_null(m);
	assert_true(world.n < QUEUE);
	world.queue[(world.head + world.n++) % QUEUE] = m;
	world.injected++;
}

/* Until every worker says that it has nothing to do. */
static void
world_turn(void)
{
	unsigned done, turns = 0;

	do {
		done = 0;
		world.now_us += 10;
		for (unsigned w = 0; w < WORKERS; w++)
			done += stack_turn(world.s, w);
		assert_true(++turns < 10000);
	} while (done > 0);
	stack_control_tick(world.s);
}

/* Time enough for what was retired to be handed over, outlive a grace period and come back. */
static void
world_settle(void)
{
	for (unsigned i = 0; i < 20; i++) {
		world.now_us += 10000;
		world_turn();
	}
}

/* What a service that reads everything does. */
static void
hold_recv(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		world.read++;
		rte_pktmbuf_free(m);
	}
}
static const struct service hold = {.name = "hold", .udp = true, .recv = hold_recv};

static void
world_stack(void)
{
	const struct ip_ifc_conf ifc = {
		.name = "lan", .mac = {{2, 0, 0, 0, 0, 1}}, .mtu = 1500, .off.multi_segs = true};
	const struct stack_conf conf = {.name = "ctl",
		.workers = WORKERS,
		.seats = WORKERS,
		.spread = STACK_SPREAD_PACKET,
		.limit_conversations = PEERS + EXTRA,
		.limit_half_open = 64,
		.limit_time_wait = 64,
		.limit_fragments = 64,
		.listeners = 4,
		.mbufs = 16383,
		.udp_idle_ms = 3600000,
		.seed = 42,
		.virtual_workers = true,
		.socket_id = SOCKET_ID_ANY,
		.io = {world_rx, world_tx, world_now_us, NULL, NULL}};
	int err = 0;

	world.now_us = 1000000;
	world.s = stack_create(&conf, &err);
	assert_int_equal(err, 0);
	assert_non_null(world.s);
	assert_int_equal(stack_service_add(world.s, &hold), 0);
	assert_int_equal(stack_ifc_add(world.s, &ifc, 1), 0);
	assert_int_equal(ip_address_add(stack_ip(world.s), 0, test_addr("10.0.0.1").b, 8), 0);
	assert_int_equal(stack_start(world.s), 0);
	for (unsigned w = 0; w < WORKERS; w++)
		assert_int_equal(stack_worker_join(world.s, w), 0);
	assert_int_equal(stack_control_join(world.s), 0);
}

static int
world_init(void **state)
{
	const struct listener_conf lc = {.name = "hold",
		.proto = IPPROTO_UDP,
		.port_lo = PORT,
		.port_hi = PORT,
		.service = &hold};
	struct control_conf cc = {.version = "test", .path = world.path};
	char fault[256] = "";

	world_stack();
	assert_int_equal(stack_listen(world.s, &lc, &world.l), 0);
	strcpy(world.folder, "/tmp/convd-stack-XXXXXX");
	assert_non_null(mkdtemp(world.folder));
	snprintf(world.path, sizeof(world.path), "%s/sock", world.folder);
	cc.stack = world.s;
	if (control_open(&cc, &world.ctl, fault, sizeof(fault)) < 0)
		fail_msg("%s", fault);
	for (uint32_t peer = 0; peer < PEERS; peer++) {
		world_inject(peer);
		if (peer % 64 == 63)
			world_turn();
	}
	world_turn();
	return 0;
}

static int
world_fini(void **state)
{
	struct stack_stats st;
	char fault[256] = "";

	control_close(world.ctl);
	assert_int_equal(rmdir(world.folder), 0);
	stack_drain(world.s);
	stack_control_online(world.s);
	stack_hangup_all(world.s);
	stack_control_offline(world.s);
	for (unsigned i = 0; i < 50; i++)
		world_settle();
	stack_stats(world.s, &st);
	assert_int_equal(st.live[NODE_CONV], 0);
	assert_int_equal(st.mbufs_in_use, 0);
	assert_int_equal(st.mbufs_small_in_use, 0);
	assert_int_equal(st.missing, 0);
	if (stack_check(world.s, fault, sizeof(fault)) != 0)
		fail_msg("%s", fault);
	stack_free(world.s);
	return 0;
}

static bool
world_slot_used(uint32_t slot)
{
	struct conv_node *cn;

	stack_control_online(world.s);
	cn = conv_next(stack_convs(world.s), &slot, 1);
	if (cn != NULL)
		conv_put(stack_control(world.s), cn);
	stack_control_offline(world.s);
	return cn != NULL;
}

/* One of the peers that come and go: a new one speaks, an old one is hung up. */
static void
world_churn(void)
{
	uint32_t slot = world_random() % conv_slots(stack_convs(world.s));
	struct conv_node *cn;
	uint32_t peer;

	world_inject(world_random() % (PEERS / CHURN) * CHURN);
	stack_control_online(world.s);
	cn = conv_next(stack_convs(world.s), &slot, 100);
	if (cn != NULL) {
		peer = ntohl(key_v4_be(cn->n.key.raddr)) - 0x0a010000;
		if (peer % CHURN == 0)
			stack_hangup(world.s, conv_handle(stack_convs(world.s), cn));
		conv_put(stack_control(world.s), cn);
	}
	stack_control_offline(world.s);
}

/* What this thread has used of a processor, so that nobody else's load makes a page slow. */
static double
used_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Between two looks at the control socket the world goes on: datagrams for everyone, and churn. */
static void
serve(void)
{
	struct pollfd p = {.fd = control_fd(world.ctl), .events = POLLIN};

	for (unsigned i = 0; i < 64; i++) {
		world_inject(world_random() % (PEERS / CHURN) * CHURN + 1);
		if (world.churn)
			world_churn();
	}
	world_turn();
	if (poll(&p, 1, 0) == 1) {
		double start = used_ms(), ms;

		control_run(world.ctl);
		ms = used_ms() - start;
		world.pages += ms > 1;
		world.slow_pages += ms > 50;
		if (ms > world.worst_ms)
			world.worst_ms = ms;
	}
}

/* ---- convctl on it ---- */

static char *
ran(const char *args, int status)
{
	struct convctl_ran r = convctl_run(world.path, args, -1, serve);

	if (r.status != status)
		fail_msg("convctl %s: exit %d, not %d\n%.500s%s", args, r.status, status, r.out,
			r.err);
	if (status != 0) {
		free(r.out);
		return r.err;
	}
	free(r.err);
	return r.out;
}

static json_t *
json_of(const char *args)
{
	char *text = ran(args, 0);
	json_error_t error;
	json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (value == NULL)
		fail_msg("convctl %s: %s at %d", args, error.text, error.position);
	free(text);
	return value;
}

static const char *
str(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return text;
}

static json_int_t
num(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

/* Which peer a row is of. */
static uint32_t
peer_of(const json_t *row)
{
	unsigned a, b, c, d, port;
	uint32_t peer;

	assert_int_equal(sscanf(str(row, "remote"), "%u.%u.%u.%u:%u", &a, &b, &c, &d, &port), 5);
	peer = (a << 24 | b << 16 | c << 8 | d) - 0x0a010000;
	assert_true(peer < PEERS + EXTRA);
	assert_int_equal(port, 1024 + peer % 1000);
	return peer;
}

static unsigned
listed(const char *args, unsigned *seen)
{
	json_t *rows = json_of(args), *row;
	unsigned n = (unsigned)json_array_size(rows);
	size_t i;

	memset(seen, 0, (PEERS + EXTRA) * sizeof(*seen));
	json_array_foreach(rows, i, row) {
		assert_string_equal(str(row, "proto"), "udp");
		assert_string_equal(str(row, "local"), "10.0.0.1:9");
		assert_string_equal(str(row, "listener"), "hold");
		/* Younger than the world is. */
		assert_in_range(num(row, "age_us"), 0, world.now_us);
		seen[peer_of(row)]++;
	}
	json_decref(rows);
	malloc_trim(0); /* or the next page pays for putting this heap of small pieces together */
	return n;
}

static void
all_conversations_are_listed_by_pages(void **state)
{
	unsigned *seen = calloc(PEERS + EXTRA, sizeof(*seen));

	assert_int_equal(listed("--json convs", seen), PEERS);
	for (uint32_t peer = 0; peer < PEERS; peer++)
		assert_int_equal(seen[peer], 1);
	assert_int_equal(listed("--json convs remote=10.1.1.0/24 proto=udp", seen), 256);
	assert_int_equal(
		listed("--json convs remote=10.1.0.0/16:1029 listener=hold", seen), PEERS / 1000);
	assert_int_equal(listed("--json convs proto=tcp", seen), 0);
	free(seen);
}

static void
no_survivor_is_missed_while_others_churn(void **state)
{
	unsigned *seen = calloc(PEERS + EXTRA, sizeof(*seen));
	unsigned churned = 0;

	world.churn = true;
	for (unsigned round = 0; round < 3; round++) {
		struct stack_stats st;

		listed("--json convs", seen);
		for (uint32_t peer = 0; peer < PEERS; peer++) {
			if (peer % CHURN != 0)
				assert_int_equal(seen[peer], 1);
			else
				churned += seen[peer] != 1;
		}
		stack_stats(world.s, &st);
		assert_true(st.conv.reused[NODE_CONV] > 0);
	}
	world.churn = false;
	assert_true(churned > 0);
	print_message("%u answers over 1 ms, %u over 50 ms, the worst %.1f ms; %u rows came or "
		      "went\n",
		world.pages, world.slow_pages, world.worst_ms, churned);
	assert_true(world.pages > 60);
	assert_int_equal(world.slow_pages, 0);
	free(seen);
}

static void
one_is_shown_hung_up_and_gone_for_good(void **state)
{
	/* A peer that hears nothing between: its conversation does not come back by itself. */
	json_t *rows = json_of("--json convs remote=10.1.0.8"), *conv;
	char id[32], args[64];
	struct stack_stats before, after;
	uint32_t slot;
	char *text;

	assert_int_equal(json_array_size(rows), 1);
	snprintf(id, sizeof(id), "%s", str(json_array_get(rows, 0), "id"));
	json_decref(rows);
	slot = (uint32_t)strtoul(id, NULL, 10);
	assert_true(world_slot_used(slot));
	snprintf(args, sizeof(args), "--json conv %s", id);
	conv = json_of(args);
	assert_string_equal(str(conv, "id"), id);
	assert_int_equal(peer_of(conv), 8);
	assert_true(num(conv, "bytes_in") >= 5);
	json_decref(conv);
	stack_stats(world.s, &before);
	snprintf(args, sizeof(args), "hangup %s", id);
	free(ran(args, 0));
	world_settle();
	stack_stats(world.s, &after);
	assert_int_equal(after.live[NODE_CONV] + 1, before.live[NODE_CONV]);
	text = ran(args, 1);
	assert_non_null(strstr(text, "is gone"));
	free(text);
	/* Others come until the slot is used again: the old number stays gone. */
	for (uint32_t i = 0; i < EXTRA && !world_slot_used(slot); i++) {
		world_inject(PEERS + i);
		world_turn();
	}
	assert_true(world_slot_used(slot));
	snprintf(args, sizeof(args), "conv %s", id);
	text = ran(args, 1);
	assert_non_null(strstr(text, "is gone"));
	free(text);
	world_inject(8); /* as all the others */
	world_turn();
}

static void
stats_add_up(void **state)
{
	json_t *stats = json_of("--json stats"), *value;
	json_int_t sum;
	const char *reason;

	sum = num(stats, "delivered") + num(stats, "consumed") + num(stats, "held");
	json_object_foreach(json_object_get(stats, "drops"), reason, value)
		sum += json_integer_value(value);
	assert_int_equal(num(stats, "received"), sum);
	assert_int_equal(num(stats, "missing"), 0);
	assert_true(num(stats, "received") >= PEERS);
	assert_int_equal(json_array_size(json_object_get(stats, "workers")), WORKERS);
	sum = 0;
	for (size_t i = 0; i < WORKERS; i++)
		sum += num(json_array_get(json_object_get(stats, "workers"), i), "received");
	assert_int_equal(sum, num(stats, "received"));
	assert_int_equal(num(json_object_get(stats, "conv"), "recheck_failed"), 0);
	assert_true(json_object_size(json_object_get(stats, "udp")) > 0);
	assert_true(json_object_size(json_object_get(stats, "tcp")) > 0);
	assert_true(json_object_size(json_object_get(stats, "ip")) > 0);
	json_decref(stats);
}

static void
status_listeners_interfaces_and_workers(void **state)
{
	struct stack_stats st;
	json_t *answer = json_of("--json status"), *row;

	stack_stats(world.s, &st);
	row = json_object_get(json_object_get(answer, "nodes"), "conversations");
	assert_int_equal(num(row, "live"), st.live[NODE_CONV]);
	assert_int_equal(num(row, "limit"), PEERS + EXTRA);
	assert_string_equal(str(answer, "spread"), "packet");
	json_decref(answer);
	answer = json_of("--json listeners");
	row = json_array_get(answer, 0);
	assert_string_equal(str(row, "name"), "hold");
	assert_string_equal(str(row, "local"), "*:9");
	assert_int_equal(num(row, "conversations"), st.live[NODE_CONV]);
	assert_true(num(row, "accepted") >= PEERS);
	json_decref(answer);
	answer = json_of("--json interfaces");
	row = json_array_get(answer, 0);
	assert_string_equal(str(row, "mac"), "02:00:00:00:00:01");
	assert_true(num(row, "rx_packets") >= PEERS);
	json_decref(answer);
	answer = json_of("--json workers");
	assert_int_equal(json_array_size(answer), WORKERS);
	json_decref(answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_conversations_are_listed_by_pages),
		cmocka_unit_test(one_is_shown_hung_up_and_gone_for_good),
		cmocka_unit_test(stats_add_up),
		cmocka_unit_test(status_listeners_interfaces_and_workers),
		cmocka_unit_test(no_survivor_is_missed_while_others_churn),
		cmocka_unit_test(stats_add_up),
	};

	test_eal("control_stack");
	return cmocka_run_group_tests(tests, world_init, world_fini);
}
