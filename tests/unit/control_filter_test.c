/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "control_filter.h"

static void
address(const char *text, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (strchr(text, ':') == NULL) {
		addr[10] = addr[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, addr + 12), 1);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
	}
}

/* A TCP conversation of laddr:lport with raddr:rport. */
static struct key
tuple(const char *laddr, uint16_t lport, const char *raddr, uint16_t rport)
{
	struct key k = {.proto = IPPROTO_TCP, .lport_be = htons(lport), .rport_be = htons(rport)};

	address(laddr, k.laddr);
	address(raddr, k.raddr);
	return k;
}

static bool
match(const char *text, const struct key *k, const char *state, const char *listener)
{
	const struct conv_status st = {.state = state, .listener = listener};
	struct control_filter f;
	char fault[200] = "";

	if (control_filter_parse(text, &f, fault, sizeof(fault)) < 0)
		fail_msg("%s: %s", text, fault);
	return control_filter_key(&f, k) && control_filter_status(&f, &st);
}

static bool
local4(const char *value)
{
	struct key k = tuple("10.77.0.2", 80, "10.0.0.9", 5000);
	char text[128];

	snprintf(text, sizeof(text), "local=%s", value);
	return match(text, &k, "ESTABLISHED", "web");
}

static bool
remote6(const char *value)
{
	struct key k = tuple("fd77::2", 80, "2001:db8:0:8000::1", 5000);
	char text[128];

	snprintf(text, sizeof(text), "remote=%s", value);
	return match(text, &k, "ESTABLISHED", "web");
}

static void
an_empty_filter_lets_all_through(void **state)
{
	struct key k = tuple("10.0.0.1", 1, "10.0.0.2", 2);

	assert_true(match("", &k, "ESTABLISHED", "echo"));
	assert_true(match(" \t ", &k, "ESTABLISHED", "echo"));
	assert_true(match("", &k, NULL, NULL));
}

static void
proto_state_and_listener(void **state)
{
	struct key k = tuple("10.0.0.1", 1, "10.0.0.2", 2);

	assert_true(match("proto=tcp", &k, "ESTABLISHED", "echo"));
	assert_false(match("proto=udp", &k, "ESTABLISHED", "echo"));
	assert_true(match("state=established", &k, "ESTABLISHED", "echo"));
	assert_true(match("state=fin_wait-1", &k, "FIN-WAIT-1", "echo"));
	assert_false(match("state=fin-wait-1", &k, "FIN-WAIT-2", "echo"));
	assert_false(match("state=fin-wait", &k, "FIN-WAIT-1", "echo"));
	assert_false(match("state=fin-wait-1", &k, "FIN-WAIT", "echo"));
	assert_false(match("state=established", &k, NULL, "echo"));
	assert_true(match("listener=echo", &k, "ESTABLISHED", "echo"));
	assert_false(match("listener=Echo", &k, "ESTABLISHED", "echo"));
	assert_false(match("listener=ech", &k, "ESTABLISHED", "echo"));
	assert_false(match("listener=echo", &k, "ESTABLISHED", NULL));
}

static void
all_tokens_must_hold(void **state)
{
	struct key k = tuple("10.0.0.1", 7, "10.0.0.2", 2);

	assert_true(match("proto=tcp state=established listener=echo local=:7 remote=10.0.0.0/8",
		&k, "ESTABLISHED", "echo"));
	assert_false(match("proto=tcp state=established listener=echo local=:8 remote=10.0.0.0/8",
		&k, "ESTABLISHED", "echo"));
	assert_false(match("proto=tcp state=closing local=:7", &k, "ESTABLISHED", "echo"));
}

static void
ipv4_addresses_prefixes_and_ports(void **state)
{
	assert_true(local4("10.77.0.2"));
	assert_false(local4("10.77.0.3"));
	assert_true(local4("10.77.0.2:80"));
	assert_false(local4("10.77.0.2:81"));
	assert_false(local4("10.77.0.3:80"));
	assert_true(local4(":80"));
	assert_true(local4("*:80"));
	assert_false(local4("*:8080"));
	assert_true(local4("*"));
	assert_true(local4("10.0.0.0/8"));
	assert_true(local4("10.76.0.0/15"));
	assert_false(local4("10.78.0.0/15"));
	assert_true(local4("10.77.0.3/31:80"));
	assert_false(local4("10.77.0.0/31:80"));
	assert_true(local4("10.77.0.2/32"));
	assert_true(local4("0.0.0.0/0"));
	/* No IPv6 prefix takes an IPv4 address in, though they share one table. */
	assert_false(local4("::/0"));
	assert_false(local4("[::]/0:80"));
	assert_false(local4("::/64"));
}

static void
ipv6_addresses_prefixes_and_ports(void **state)
{
	assert_true(remote6("2001:db8:0:8000::1"));
	assert_false(remote6("2001:db8:0:8000::2"));
	assert_true(remote6("[2001:db8:0:8000::1]"));
	assert_true(remote6("[2001:db8:0:8000::1]:5000"));
	assert_false(remote6("[2001:db8:0:8000::1]:5001"));
	assert_true(remote6("2001:db8::/48"));
	assert_false(remote6("2001:db8::/49"));
	assert_true(remote6("2001:db8:0:8000::/49"));
	assert_true(remote6("[2001:db8::/48]:5000"));
	assert_true(remote6("[2001:db8::]/48:5000"));
	assert_true(remote6("[2001:db8::]/48"));
	assert_false(remote6("[2001:db8::]/49"));
	assert_true(remote6("::/0"));
	assert_false(remote6("0.0.0.0/0"));
	assert_true(remote6("*:5000"));
}

static void
what_is_wrong_is_named(void **state)
{
	static const char *const bad[][2] = {
		{"tcp", "tcp is not KEY=VALUE"},
		{"protocol=tcp", "unknown key protocol"},
		{"proto=sctp", "proto: sctp is not tcp or udp"},
		{"proto=", "proto:  is not tcp or udp"},
		{"proto=tcp proto=udp", "proto is given twice"},
		{"local=:1 remote=:2 local=:3", "local is given twice"},
		{"state=", "state:"},
		{"state=a-state-whose-name-is-too-long", "state:"},
		{"listener=a-name-of-32-bytes-is-one-too-many", "listener:"},
		{"local=", "local:"},
		{"local=10.0.0.1:", "local:"},
		{"local=10.0.0.1:0", "local:"},
		{"local=10.0.0.1:65536", "local:"},
		{"local=10.0.0.1:http", "local:"},
		{"local=10.0.0.1:-1", "local:"},
		{"local=10.0.0.1/33", "local:"},
		{"local=10.0.0.1/", "local:"},
		{"local=10.0.0.256", "local:"},
		{"local=10.0.0", "local:"},
		{"local=*/8", "local:"},
		{"local=/8", "local:"},
		{"remote=fd77::2::", "remote:"},
		{"remote=fd77::/129", "remote:"},
		{"remote=[fd77::2", "remote:"},
		{"remote=[fd77::2]80", "remote:"},
		{"remote=[fd77::2]:", "remote:"},
		{"remote=[fd77::2]/:80", "remote:"},
		{"remote=[fd77::2]/129", "remote:"},
		{"remote=[10.0.0.1]:80", "remote:"},
		{"remote=[]:80", "remote:"},
		{"remote=[fe80::1%lan]:80", "remote:"},
		{"local=1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:"
		 "1111:2222:3333:4444",
			"local:"},
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct control_filter f = {.proto = 99};
		char fault[200] = "";

		if (control_filter_parse(bad[i][0], &f, fault, sizeof(fault)) != -EINVAL)
			fail_msg("taken for a filter: %s", bad[i][0]);
		if (strncmp(fault, "filter: ", 8) != 0 || strstr(fault, bad[i][1]) == NULL)
			fail_msg("%s: said \"%s\", not \"%s\"", bad[i][0], fault, bad[i][1]);
		assert_int_equal(f.proto, 99);
	}
}

static void
the_length_is_bounded(void **state)
{
	char text[CONTROL_FILTER_TEXT_MAX + 2];
	struct control_filter f;
	char fault[200];

	memset(text, ' ', sizeof(text));
	text[CONTROL_FILTER_TEXT_MAX] = '\0';
	memcpy(text, "proto=tcp", 9);
	assert_int_equal(control_filter_parse(text, &f, fault, sizeof(fault)), 0);
	text[CONTROL_FILTER_TEXT_MAX] = ' ';
	text[CONTROL_FILTER_TEXT_MAX + 1] = '\0';
	assert_int_equal(control_filter_parse(text, &f, fault, sizeof(fault)), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_filter_lets_all_through),
		cmocka_unit_test(proto_state_and_listener),
		cmocka_unit_test(all_tokens_must_hold),
		cmocka_unit_test(ipv4_addresses_prefixes_and_ports),
		cmocka_unit_test(ipv6_addresses_prefixes_and_ports),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(the_length_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
