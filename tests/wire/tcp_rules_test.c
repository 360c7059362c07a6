/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Requirements of RFC 9293 that no other test is about; docs/rfc.md names them all.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "util.h"
#include "wire.h"

static struct wire_conf reads = {.service = {.read = true}};
static struct wire_conf holds = {.tcp = {.recv_max = 2048}};

static struct wire *
open_one(struct wire_conf *conf, struct wire_conn *k)
{
	struct wire *w = wire_open(conf);

	wire_conn(w, k);
	wire_accept(k);
	return w;
}

/* MUST-1: the top bit of the window is a bit like any other. */
static void
test_window_is_unsigned(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	k.wnd = 0xfffe;
	wire_send(&k, ACK, 1, 1, 0);
	assert_int_equal(wire_status(&k).snd_wnd, 0xfffe);
	wire_close(w);
}

static uint32_t
isn_of(struct wire_conn *k)
{
	k->iss_known = false;
	wire_send(k, SYN, 0, 0, 0);
	wire_expect(k, SYN | ACK, 0, 1, 0);
	wire_send(k, RST, 1, 0, 0);
	wire_state(k, "");
	return k->iss;
}

/* MUST-8, MUST-9, SHLD-1: one clock of 4 us for a tuple, and another place to count from for each. */
static void
test_isn(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k[3];
	uint32_t a, b, c;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		wire_conn(w, &k[i]);
	a = isn_of(&k[0]);
	wire_run(w, 1000);
	assert_int_equal(isn_of(&k[0]) - a, 250000);
	b = isn_of(&k[1]);
	c = isn_of(&k[2]);
	assert_true(b - a - 250000 > 1000000 && a + 250000 - b > 1000000);
	assert_true(c - b > 1000000 && b - c > 1000000);
	assert_int_not_equal(c - b, b - a - 250000);
	wire_close(w);
}

/* MUST-11: an active open in SYN-RECEIVED ends, and its user hears of it; a passive one is as if it had never been. */
static void
test_syn_received_remembers(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn active, passive;

	(void)state;
	wire_conn(w, &active);
	wire_connect(&active);
	wire_expect(&active, SYN, 0, WIRE_ANY, 0);
	wire_send(&active, SYN, 0, 0, 0);
	wire_expect(&active, SYN | ACK, 0, 1, 0);
	wire_send(&active, RST, 1, 0, 0);
	assert_int_equal(active.failed, 1);
	assert_int_equal(active.why, CONV_END_REFUSED);
	wire_conn(w, &passive);
	wire_send(&passive, SYN, 0, 0, 0);
	wire_expect(&passive, SYN | ACK, 0, 1, 0);
	wire_send(&passive, RST, 1, 0, 0);
	wire_state(&passive, "");
	assert_int_equal(passive.failed + passive.hangups, 0);
	wire_silent(w);
	wire_close(w);
}

/* MUST-41, MUST-42: a port can listen while conversations stand on it, in whatever state, and they don't mind. */
static void
test_listen_beside_open(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn out, half, in, *self = &out;
	struct key key = {.rport_be = htons(1234), .lport_be = htons(WIRE_PORT)};
	struct conv *c;

	(void)state;
	wire_conn(w, &in);
	wire_accept(&in);
	wire_conn(w, &half);
	wire_send(&half, SYN, 0, 0, 0);
	wire_expect(&half, SYN | ACK, 0, 1, 0);
	wire_conn(w, &out);
	out.peer_port = 1234;
	memcpy(key.raddr, in.c->cn.n.key.raddr, 16);
	assert_int_equal(tcp_proto.connect(wire_worker(w, 0), in.c->service, &key, &self, &c), 0);
	out.c = c;
	wire_turn(w);
	wire_expect(&out, SYN, 0, WIRE_ANY, 0);
	wire_state(&out, "SYN-SENT");
	wire_expect_accept(&half);
	wire_state(&in, "ESTABLISHED");
	wire_send(&out, SYN | ACK, 0, 1, 0);
	wire_expect(&out, ACK, 1, 1, 0);
	wire_send(&in, ACK, 1, 1, 5);
	assert_int_equal(in.read, 5);
	wire_close(w);
}

/* MUST-43, MUST-44: our address is the user's choice, or else the network layer's; and it must be ours. MUST-46: no groups. */
static void
test_addresses_of_open(void **state)
{
	static const char *const refused[2][5] = {
		{"224.0.0.1", "255.255.255.255", "10.5.0.255", "10.5.0.1", "0.0.0.0"},
		{"ff02::1", "ff05::2", "ff0e::1", "fd05::1", "::"}};
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);
	struct key key = k.c->cn.n.key;
	struct conv *c;

	(void)state;
	key.lport_be = 0;
	key.rport_be = htons(80);
	memcpy(key.laddr, test_addr(wire_v6() ? "fd05::3" : "10.5.0.3").b, 16);
	assert_int_equal(
		tcp_proto.connect(wire_worker(w, 0), k.c->service, &key, NULL, &c), -EADDRNOTAVAIL);
	memset(key.laddr, 0, 16);
	for (unsigned i = 0; i < 5; i++) {
		memcpy(key.raddr, test_addr(refused[wire_v6()][i]).b, 16);
		assert_int_equal(tcp_proto.connect(wire_worker(w, 0), k.c->service, &key, NULL, &c),
			-ENETUNREACH);
	}
	wire_turn(w);
	wire_silent(w);
	struct wire_conn out;

	wire_conn(w, &out);
	wire_connect(&out);
	assert_memory_equal(out.c->cn.n.key.laddr, k.c->cn.n.key.laddr, 16);
	wire_discard(w);
	wire_close(w);
}

/* MUST-48, MUST-49, SHLD-21: a service says how its segments are marked, from the SYN on, and may change its mind. */
static void
test_dscp_and_ttl(void **state)
{
	struct wire_conn k, out, *self = &out;
	struct wire *w = open_one(&reads, &k);
	struct key key = k.c->cn.n.key;
	struct wire_seg s;

	(void)state;
	wire_write(&k, 10);
	s = wire_expect(&k, ACK, 1, 1, 10);
	assert_int_equal(s.tos >> 2, 0);
	assert_int_equal(s.ttl, 64);
	k.c->path.dscp = 46;
	k.c->path.ttl = 5;
	wire_write(&k, 10);
	s = wire_expect(&k, ACK, 11, 1, 10);
	assert_int_equal(s.tos >> 2, 46);
	assert_int_equal(s.ttl, 5);
	k.c->path.dscp = 10;
	wire_hangup(&k);
	s = wire_expect(&k, RST | ACK, 21, 1, 0);
	assert_int_equal(s.tos >> 2, 10);

	wire_conn(w, &out);
	key.lport_be = 0;
	key.rport_be = htons(out.peer_port);
	assert_int_equal(tcp_proto.connect(
				 wire_worker(w, 0), wire_listener(w)->service, &key, &self, &out.c),
		0);
	out.c->path.dscp = 63;
	out.c->path.ttl = 255;
	wire_turn(w);
	s = wire_expect(&out, SYN, 0, WIRE_ANY, 0);
	assert_int_equal(s.tos >> 2, 63);
	assert_int_equal(s.ttl, 255);
	wire_close(w);
}

/* MUST-31: urgent data of any length is data like any other here, at its place (RFC 6093 section 6). */
static void
test_urgent_in_line(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_send(&k, ACK | URG, 1, 1, 1);
	wire_send(&k, ACK | URG, 2, 1, 1400);
	wire_send(&k, ACK | URG | PSH, 2802, 1, 1400); /* before what it follows */
	wire_send(&k, ACK | URG, 1402, 1, 1400);
	assert_int_equal(k.read, 1 + 3 * 1400);
	wire_discard(w);
	wire_close(w);
}

/* MUST-5, MUST-14, MUST-65: MSS in every SYN, and in nothing else. */
static void
test_mss_in_syn_only(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	struct wire_seg s;

	(void)state;
	wire_conn(w, &k);
	wire_connect(&k);
	s = wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	assert_int_equal(s.mss, 1460);
	wire_send(&k, SYN | ACK, 0, 1, 0);
	s = wire_expect(&k, ACK, 1, 1, 0);
	assert_int_equal(s.mss, WIRE_NONE);
	wire_write(&k, 10);
	wire_shutdown(&k);
	s = wire_expect(&k, ACK, 1, 1, 10);
	assert_int_equal(s.mss, WIRE_NONE);
	s = wire_expect(&k, FIN | ACK, 11, 1, 0);
	assert_int_equal(s.mss, WIRE_NONE);
	wire_hangup(&k);
	s = wire_expect(&k, RST | ACK, 12, 1, 0);
	assert_int_equal(s.mss, WIRE_NONE);
	wire_close(w);
}

/* MUST-61: PSH where what was written ends, and not before. MUST-60, SHLD-27: none of ours needs one of the peer's. */
static void
test_push(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);
	struct wire_seg s;

	(void)state;
	wire_write(&k, 3000);
	s = wire_expect(&k, ACK, 1, 1, 1448);
	assert_int_equal(s.flags & PSH, 0);
	s = wire_expect(&k, ACK, 1449, 1, 1448);
	assert_int_equal(s.flags & PSH, 0);
	s = wire_expect(&k, ACK, 2897, 1, 104);
	assert_int_equal(s.flags & PSH, PSH);
	wire_send(&k, ACK, 1, 3001, 7);
	assert_int_equal(k.read, 7);
	wire_close(w);
}

/* MUST-66: RST counts at a closed window, too. SHLD-2: and with text. */
static void
test_reset_at_closed_window(void **state)
{
	struct wire_conn k, other;
	struct wire *w = open_one(&holds, &k);

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		wire_send(&k, ACK, 1 + i * 1024, 1, 1024);
	assert_int_equal(wire_status(&k).rcv_wnd, 0);
	wire_discard(w);
	wire_conn(w, &other);
	wire_accept(&other);
	wire_send(&k, RST, 1 + 2048, 0, 0);
	wire_state(&k, "");
	assert_int_equal(k.why, CONV_END_RESET);
	wire_send(&other, RST, 1, 0, 9);
	wire_state(&other, "");
	assert_int_equal(other.why, CONV_END_RESET);
	wire_silent(w);
	wire_close(w);
}

/* MUST-34, SHLD-15, SHLD-16, SHLD-17: a peer takes back what it has promised. */
static void
test_shrinking_window(void **state)
{
	struct wire_conn k;
	struct wire *w = open_one(&reads, &k);

	(void)state;
	wire_write(&k, 2 * 1448);
	wire_expect(&k, ACK, 1, 1, 1448);
	wire_expect(&k, ACK, 1449, 1, 1448);
	k.wnd = 1448;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, 1448);
	wire_silent(w); /* nothing new */
	wire_run(w, 1500);
	wire_expect(&k, ACK, 1, 1, 1448); /* old data again */
	wire_discard(w);
	k.wnd = 0;
	wire_send(&k, ACK, 1, 1449, 0); /* the rest lies beyond the edge now */
	for (unsigned i = 0; i < 40; i++) {
		wire_run(w, 10000);
		wire_discard(w);
		wire_send(&k, ACK, 1, 1449, 0);
	}
	wire_state(&k, "ESTABLISHED");
	k.wnd = 65535;
	wire_send(&k, ACK, 1, 1449, 0);
	wire_run(w, 65000);
	wire_discard(w);
	wire_send(&k, ACK, 1, 1 + 2 * 1448, 0);
	wire_expect(&k, ACK, 1 + 2 * 1448, 1, 1448);
	wire_close(w);
}

/* RFC 6298 section 5.7: after a SYN that was lost, and without a sample, data waits for 3 s. */
static void
test_rto_after_lost_syn(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	k.ts = false;
	wire_connect(&k);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_run(w, 1100);
	wire_expect(&k, SYN, 0, WIRE_ANY, 0);
	wire_send(&k, SYN | ACK, 0, 1, 0);
	wire_expect(&k, ACK, 1, 1, 0);
	wire_write(&k, 10);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_run(w, 2900);
	wire_silent(w);
	wire_run(w, 200);
	wire_expect(&k, ACK, 1, 1, 10);
	wire_close(w);
}

static void
stat_named(void *arg, const char *name, uint64_t value)
{
	unsigned *n = arg;

	(void)value;
	assert_true(strlen(name) > 0);
	if (*n == 0)
		assert_string_equal(name, "segs_in");
	(*n)++;
}

/* Every counter is told, by its name. */
static void
test_all_counters_are_told(void **state)
{
	struct wire *w = wire_open(&reads);
	unsigned n = 0;

	(void)state;
	tcp_proto.stats(wire_worker(w, 0), stat_named, &n);
	assert_true(n > 50);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_is_unsigned),
		cmocka_unit_test(test_isn),
		cmocka_unit_test(test_syn_received_remembers),
		cmocka_unit_test(test_listen_beside_open),
		cmocka_unit_test(test_addresses_of_open),
		cmocka_unit_test(test_dscp_and_ttl),
		cmocka_unit_test(test_urgent_in_line),
		cmocka_unit_test(test_mss_in_syn_only),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_reset_at_closed_window),
		cmocka_unit_test(test_shrinking_window),
		cmocka_unit_test(test_rto_after_lost_syn),
		cmocka_unit_test(test_all_counters_are_told),
	};

	wire_args(argc, argv);
	test_eal("tcp_rules");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
