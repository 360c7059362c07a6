/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The convctl program as its users meet it: what it prints, and what it ends with.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "control_fake.h"
#include "convctl_run.h"

static int
setup(void **state)
{
	control_fake_open(5000);
	return 0;
}

static int
teardown(void **state)
{
	control_fake_close();
	return 0;
}

static void
serve(void)
{
	struct pollfd p = {.fd = control_fd(control_fake_ctl), .events = POLLIN};

	if (poll(&p, 1, 1) == 1)
		control_run(control_fake_ctl);
}

/* Run it; it must end with this status. Free the result. */
static struct convctl_ran
ran(const char *args, int status)
{
	struct convctl_ran r = convctl_run(control_fake_path, args, -1, serve);

	if (r.status != status)
		fail_msg("convctl %s: exit %d, not %d\n%s%s", args, r.status, status, r.out, r.err);
	return r;
}

/* It must print exactly this, and nothing on stderr. */
static void
prints(const char *args, const char *want)
{
	struct convctl_ran r = ran(args, 0);

	assert_string_equal(r.out, want);
	assert_string_equal(r.err, "");
	convctl_ran_free(&r);
}

/* It must fail with this status, say this on stderr, and print nothing. */
static void
fails(const char *args, int status, const char *says)
{
	struct convctl_ran r = ran(args, status);

	assert_string_equal(r.out, "");
	if (strstr(r.err, says) == NULL)
		fail_msg("convctl %s: said \"%s\", not \"%s\"", args, r.err, says);
	convctl_ran_free(&r);
}

static json_t *
json_of(const char *args)
{
	struct convctl_ran r = ran(args, 0);
	json_error_t error;
	json_t *value = json_loads(r.out, JSON_REJECT_DUPLICATES, &error);

	if (value == NULL)
		fail_msg("convctl %s: not JSON: %s", args, error.text);
	convctl_ran_free(&r);
	return value;
}

static void
wrong_usage_is_exit_2(void **state)
{
	fails("", 2, "usage: convctl");
	fails("nonsense", 2, "unknown command \"nonsense\"");
	fails("--nonsense status", 2, "unrecognized option");
	fails("status more", 2, "usage: convctl status");
	fails("conv", 2, "usage: convctl conv ID");
	fails("conv 1.1 2.1", 2, "usage: convctl conv ID");
	fails("conv 17", 2, "\"17\" is not SLOT.GENERATION");
	fails("hangup x.y", 2, "\"x.y\" is not SLOT.GENERATION");
	fails("convs tcp", 2, "filter: tcp is not KEY=VALUE");
	fails("convs local=10.0.0.1/33", 2, "filter: local: 10.0.0.1/33 is not");
	fails("-i 1 status", 2, "-i goes with stats only");
	fails("stats -i 0", 2, "0 is not in 0.1-86400");
	fails("stats -i 1x", 2, "1x is not in 0.1-86400");
	fails("stats -i nan", 2, "nan is not in 0.1-86400");
	fails("stats --dry-run", 2, "--dry-run goes with reload only");
	fails("workers 3", 2, "usage: convctl workers");
	fails("workers set 0", 2, "usage: convctl workers");
	fails("workers set 2x", 2, "usage: convctl workers");
	fails("--socket= status", 2, "--socket: a path of 1-107 bytes");
}

static void
a_filter_that_is_too_long_is_refused_here(void **state)
{
	char args[700] = "convs ";

	memset(args + 6, 'x', 600);
	args[606] = '\0';
	fails(args, 2, "the filter is longer than 512 bytes");
}

static void
help_and_version_need_no_daemon(void **state)
{
	struct convctl_ran r = ran("--help --socket /nowhere", 0);

	assert_non_null(strstr(r.out, "usage: convctl [--socket PATH]"));
	assert_non_null(strstr(r.out, "hangup ID"));
	convctl_ran_free(&r);
	r = ran("--version", 0);
	assert_int_equal(strncmp(r.out, "convctl ", 8), 0);
	convctl_ran_free(&r);
}

static void
no_daemon_is_exit_3(void **state)
{
	fails("--socket /tmp/convd-there-is-none status", 3,
		"/tmp/convd-there-is-none: no daemon listens there: No such file");
	fails("--json --socket /tmp/convd-there-is-none convs", 3, "no daemon listens there");
}

static void
what_is_not_built_is_exit_1_by_name(void **state)
{
	fails("reload", 1, "convctl: reload: not built yet");
	fails("reload --dry-run", 1, "convctl: reload: not built yet");
	fails("top", 1, "convctl: top: not built yet");
	fails("doctor", 1, "convctl: doctor: not built yet");
	fails("trace 1.1", 1, "convctl: trace: not built yet");
	fails("capture", 1, "convctl: capture: not built yet");
	fails("workers set 5", 2, "convctl: workers set: 5 is not in 1-4 (workers.max)");
}

static void
convs_are_a_table(void **state)
{
	struct control_fake_conv *c;

	prints("convs",
		"ID  STATE  PROTO  LOCAL  REMOTE  RECV-Q  SEND-Q  RTT  CWND  LISTENER  AGE\n");
	control_fake_add(17, IPPROTO_TCP);
	c = control_fake_add(4999, IPPROTO_UDP);
	c->listener = "";
	c->state = "OPEN";
	memset(c->cn.n.key.laddr, 0, 16);
	c->cn.n.key.laddr[0] = 0xfd;
	c->cn.n.key.laddr[1] = 0x77;
	c->cn.n.key.laddr[15] = 2;
	prints("convs",
		"ID      STATE        PROTO  LOCAL        REMOTE            RECV-Q  SEND-Q      "
		"RTT   CWND  LISTENER   AGE\n"
		"17.1    ESTABLISHED  tcp    10.0.0.2:7   10.1.0.17:5000        11      22  "
		"0.231ms  14600  echo      1.5s\n"
		"4999.1  OPEN         udp    [fd77::2]:7  10.1.19.135:5000      11      22  "
		"0.231ms  14600  -         1.5s\n");
}

static void
convs_of_many_pages_show_each_once(void **state)
{
	unsigned *seen = calloc(5000, sizeof(*seen));
	struct convctl_ran r;
	char *save = NULL;
	json_t *rows, *row;
	size_t i;

	for (uint32_t slot = 0; slot < 5000; slot++)
		control_fake_add(slot, slot % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP);
	r = ran("convs", 0);
	strtok_r(r.out, "\n", &save); /* the head line */
	for (char *line; (line = strtok_r(NULL, "\n", &save)) != NULL;)
		seen[strtoul(line, NULL, 10)]++;
	for (uint32_t slot = 0; slot < 5000; slot++)
		assert_int_equal(seen[slot], 1);
	convctl_ran_free(&r);
	rows = json_of("--json convs proto=udp remote=10.1.0.0/21");
	json_array_foreach(rows, i, row) {
		assert_string_equal(json_string_value(json_object_get(row, "proto")), "udp");
		seen[strtoul(json_string_value(json_object_get(row, "id")), NULL, 10)]++;
	}
	for (uint32_t slot = 0; slot < 5000; slot++)
		assert_int_equal(seen[slot], 1 + (slot % 2 == 1 && slot < 2048));
	assert_int_equal(json_array_size(rows), 1024);
	json_decref(rows);
	rows = json_of("convs listener=nobody --json");
	assert_int_equal(json_array_size(rows), 0);
	json_decref(rows);
	free(seen);
}

static void
conv_and_hangup(void **state)
{
	struct convctl_ran r;
	json_t *conv;

	control_fake_add(17, IPPROTO_TCP);
	r = ran("conv 17.1", 0);
	assert_non_null(strstr(r.out, "id                17.1\n"));
	assert_non_null(strstr(r.out, "state             ESTABLISHED\n"));
	assert_non_null(strstr(r.out, "age               1.5s\n"));
	assert_non_null(strstr(r.out, "srtt_us           0.231ms\n"));
	assert_non_null(strstr(r.out, "sack              yes\n"));
	assert_non_null(strstr(r.out, "snd_nxt           4294967295\n"));
	convctl_ran_free(&r);
	conv = json_of("--json conv 17.1");
	assert_int_equal(json_integer_value(json_object_get(conv, "age_us")), 1500000);
	json_decref(conv);
	fails("conv 17.2", 1, "convctl: conv: 17.2 is gone");
	fails("hangup 17.2", 1, "convctl: hangup: 17.2 is gone");
	assert_int_equal(control_fake.hangups, 0);
	prints("hangup 17.1", "17.1: hangup is under way\n");
	assert_int_equal(control_fake.hangups, 1);
	assert_int_equal(control_fake.hung_up.slot, 17);
}

static void
sums(void)
{
	control_fake.stats.sum.received = 1000;
	control_fake.stats.sum.delivered = 600;
	control_fake.stats.sum.consumed = 300;
	control_fake.stats.sum.drops[DROP_TCP_PAWS] = 60;
	control_fake.stats.sum.drops[DROP_UDP_LOOP] = 30;
	control_fake.stats.held = 10;
}

static void
stats_show_the_sum_and_every_counter(void **state)
{
	struct convctl_ran r;
	json_t *stats;

	sums();
	r = ran("stats", 0);
	assert_int_equal(strncmp(r.out,
				 "received 1000 = delivered 600 + consumed 300 + drops 90 + held "
				 "10: exact\nCOUNTER ",
				 81),
		0);
	for (unsigned d = 0; d < DROP_MAX; d++) {
		char name[64];

		snprintf(name, sizeof(name), "\ndrops.%s ", drop_name(d));
		assert_non_null(strstr(r.out, name));
	}
	assert_non_null(strstr(r.out, "\nconv.half_open.born "));
	assert_non_null(strstr(r.out, "\nworkers.1.received "));
	assert_non_null(strstr(r.out, "\nip.arp_in "));
	convctl_ran_free(&r);
	control_fake.stats.missing = 7;
	r = ran("stats", 0);
	assert_non_null(strstr(r.out, "held 10: 7 missing (exact only while"));
	convctl_ran_free(&r);
	stats = json_of("--json stats");
	assert_int_equal(json_integer_value(json_object_get(stats, "received")), 1000);
	assert_int_equal(json_integer_value(json_object_get(stats, "missing")), 7);
	assert_null(json_object_get(stats, "ok"));
	json_decref(stats);
}

static void
serve_and_count(void)
{
	control_fake.stats.sum.received += 10;
	serve();
}

static void
stats_repeat_with_rates(void **state)
{
	struct convctl_ran r =
		convctl_run(control_fake_path, "--json stats -i 0.1", 3, serve_and_count);
	json_int_t last = 0;
	char *save = NULL;
	unsigned n = 0;

	assert_int_equal(r.status, -1);
	for (char *line = strtok_r(r.out, "\n", &save); line != NULL && n < 3;
		line = strtok_r(NULL, "\n", &save), n++) {
		json_t *stats = json_loads(line, 0, NULL);
		json_int_t received = json_integer_value(json_object_get(stats, "received"));

		assert_true(received > last);
		last = received;
		json_decref(stats);
	}
	assert_int_equal(n, 3);
	convctl_ran_free(&r);
	/* The first table is long; later ones hold only what moved. */
	r = convctl_run(control_fake_path, "stats -i 0.1", 200, serve_and_count);
	save = strstr(r.out, "\n\nreceived ");
	assert_non_null(save);
	assert_int_equal(strncmp(strchr(save + 2, '\n'), "\nCOUNTER   ", 10), 0);
	assert_non_null(strstr(save, "PER-SECOND\nreceived  "));
	assert_null(strstr(save, "drops."));
	convctl_ran_free(&r);
}

static unsigned served;

static void
serve_then_die(void)
{
	serve();
	if (++served == 300) {
		control_close(control_fake_ctl);
		control_fake_ctl = NULL;
	}
	if (served > 300)
		poll(NULL, 0, 1);
}

static void
serve_until_dead(void)
{
	if (control_fake_ctl != NULL)
		serve_then_die();
	else
		poll(NULL, 0, 1);
}

static void
a_daemon_that_goes_away_is_exit_3(void **state)
{
	struct convctl_ran r = convctl_run(control_fake_path, "stats -i 0.1", -1, serve_until_dead);

	assert_int_equal(r.status, 3);
	assert_non_null(strstr(r.err, "the daemon has gone"));
	convctl_ran_free(&r);
}

static void
output_that_fails_is_exit_1(void **state)
{
	static const char *const commands[] = {
		"status", "convs", "--json convs", "stats", "--json stats", "stats -i 0.1"};

	for (uint32_t slot = 0; slot < 5000; slot++)
		control_fake_add(slot, IPPROTO_UDP);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char args[64];

		snprintf(args, sizeof(args), ">/dev/full %s", commands[i]);
		fails(args, 1, "standard output: write error");
	}
}

static void
status_is_a_list(void **state)
{
	struct convctl_ran r;

	control_fake.stats.live[NODE_CONV] = 3;
	control_fake.stats.limit[NODE_CONV] = 5000;
	r = ran("status", 0);
	assert_non_null(strstr(r.out, "state             running\n"));
	assert_non_null(strstr(r.out, "version           1.2.3\n"));
	assert_non_null(strstr(r.out, "configuration     /etc/convd.json\n"));
	assert_non_null(strstr(r.out, "workers           2 of 3, spread packet\n"));
	assert_non_null(strstr(r.out, "conversations     3 of 5000\n"));
	assert_non_null(strstr(r.out, "reclamation       well, oldest batch 0 us, stalls 0\n"));
	assert_null(strstr(r.out, "stuck"));
	convctl_ran_free(&r);
	control_fake.stats.stalled = true;
	control_fake.stats.stuck_us = 700000;
	control_fake.stats.stuck_worker = 1;
	control_fake.stats.conv.get_failed = 11;
	control_fake.stats.conv.backlog_pushes = 12;
	control_fake.stats.conv.backlog_full = 13;
	r = ran("status", 0);
	assert_non_null(strstr(r.out, "stuck             worker 1, 700000 us in one turn\n"));
	assert_non_null(strstr(r.out, "races             lost 11, re-check failures 0\n"));
	assert_non_null(strstr(r.out, "backlog           12 packets, 13 over its bound\n"));
	assert_non_null(strstr(r.out, "reclamation       STALLED,"));
	convctl_ran_free(&r);
}

static void
interfaces_and_workers_are_shown(void **state)
{
	prints("interfaces",
		"lan: up, mac 02:00:00:00:00:ff, mtu 1500, vlan 12\n"
		"    device   net_tap0,iface=convd0 (net_tap), 2 rx and 2 tx queues\n"
		"    address  10.77.0.2/24\n"
		"    address  fd00::2/64 tentative\n"
		"    rx       1 packets, 1099511627776 bytes\n"
		"    tx       3 packets, 4 bytes\n");
	control_fake.worker[0] = (struct worker_counters){.turns = 1000,
		.idle_turns = 750,
		.received = 123456,
		.delivered = 5,
		.consumed = 6,
		.sent = 7};
	prints("workers",
		"WORKER  CORE  SEATS  ASLEEP  BUSY-TURNS  TURNS  RECEIVED  DELIVERED  CONSUMED  SENT\n"
		"     0     0  0,2     40.0%       25.0%   1000    123456          5         6     7\n"
		"     1     -  1       40.0%        0.0%      0         0          0         0     0\n");
	prints("listeners",
		"NAME  PROTO  LOCAL  SERVICE  CONVS  HALF-OPEN  ACCEPTED  REFUSED  DENIED  "
		"BYTES-IN  BYTES-OUT  ALLOW  DENY\n");
}

static void
listeners_are_a_table(void **state)
{
	static const struct service echo = {.name = "echo"};
	static struct prefix prefixes[2] = {{.len = 96 + 8}, {.addr = {0xfd, 0x77}, .len = 64}};
	struct listener *l = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*l));

	key_map_v4(prefixes[0].addr, htonl(0x0a000000));
	assert_non_null(l);
	memset(l, 0, sizeof(*l));
	strcpy(l->name, "echo");
	l->proto = IPPROTO_TCP;
	l->port_lo = l->port_hi = 7;
	l->service = &echo;
	l->cells[0].accepted = 1234567;
	l->allow = prefixes;
	l->nallow = 2;
	control_fake.listeners[control_fake.nlisteners++] = l;
	prints("listeners",
		"NAME  PROTO  LOCAL  SERVICE  CONVS  HALF-OPEN  ACCEPTED  REFUSED  DENIED  "
		"BYTES-IN  BYTES-OUT  ALLOW                 DENY\n"
		"echo  tcp    *:7    echo         5          0   1234567        0       0  "
		"       0          0  10.0.0.0/8,fd77::/64  -\n");
	control_fake.nlisteners = 0;
	free(l);
}

static void
a_client_too_many_is_exit_1(void **state)
{
	int fd[64];

	for (unsigned i = 0; i < 64; i++) {
		fd[i] = control_fake_connect();
		control_run(control_fake_ctl);
	}
	fails("status", 1, "too many clients: 64 are connected");
	for (unsigned i = 0; i < 64; i++)
		close(fd[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wrong_usage_is_exit_2),
		TEST(a_filter_that_is_too_long_is_refused_here),
		TEST(help_and_version_need_no_daemon),
		TEST(no_daemon_is_exit_3),
		TEST(what_is_not_built_is_exit_1_by_name),
		TEST(convs_are_a_table),
		TEST(convs_of_many_pages_show_each_once),
		TEST(conv_and_hangup),
		TEST(stats_show_the_sum_and_every_counter),
		TEST(stats_repeat_with_rates),
		TEST(a_daemon_that_goes_away_is_exit_3),
		TEST(output_that_fails_is_exit_1),
		TEST(status_is_a_list),
		TEST(interfaces_and_workers_are_shown),
		TEST(listeners_are_a_table),
		TEST(a_client_too_many_is_exit_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
