/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Seats and who serves them: dealing, changing hands between turns and not before, sleeping and being woken; and what
 * becomes of packets for one that nobody serves.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stack.h"
#include "util.h"

#define SEATS 5
#define RING  2047 /* what a ring of 2048 between workers holds */

struct port {
	struct stack *s;
	unsigned left; /* frames to come, on queue 0 */
	unsigned polled[SEATS]; /* how often each queue was */
	uint64_t now_us;
	unsigned woken[SEATS];
	struct test_frame frame, frame2;
	unsigned other; /* one of so many frames is frame2 */
};

static uint16_t
port_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct port *p = arg;
	uint16_t i = 0;

	(void)ifc;
	p->polled[queue]++;
	for (; queue == 0 && i < n && p->left > 0; i++, p->left--) {
		const struct test_frame *f =
			p->other != 0 && i % p->other == p->other / 2 ? &p->frame2 : &p->frame;

		m[i] = test_mbuf(stack_mempool(p->s), f->b, f->len);
		assert_non_null(m[i]);
	}
	return i;
}

static uint16_t
port_tx(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	(void)arg;
	(void)seat;
	(void)ifc;
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

static uint64_t
port_now(void *arg)
{
	return ((struct port *)arg)->now_us;
}

static void
port_wake(void *arg, unsigned worker)
{
	((struct port *)arg)->woken[worker]++;
}

static void
port_open(
	struct port *p, enum stack_spread spread, unsigned seats, unsigned workers, unsigned queues)
{
	struct stack_conf conf = {
		.name = "seats",
		.workers = workers,
		.seats = seats,
		.spread = spread,
		.limit_conversations = 8,
		.limit_half_open = 8,
		.limit_time_wait = 8,
		.limit_fragments = 8,
		.listeners = 8,
		.mbufs = 4095,
		.seed = 1,
		.virtual_workers = true,
		.socket_id = SOCKET_ID_ANY,
		.io = {port_rx, port_tx, port_now, p, port_wake},
	};
	struct ip_ifc_conf ifc = {.name = "lan", .mtu = 1500};
	int err;

	memcpy(ifc.mac.addr_bytes, test_mac_us, 6);
	memset(p, 0, sizeof(*p));
	p->now_us = 1000000;
	p->s = stack_create(&conf, &err);
	assert_non_null(p->s);
	assert_int_equal(stack_ifc_add(p->s, &ifc, queues), 0);
	assert_int_equal(ip_address_add(stack_ip(p->s), 0, test_addr("10.77.0.2").b, 24), 0);
	assert_int_equal(stack_start(p->s), 0);
	for (unsigned w = 0; w < workers; w++)
		assert_int_equal(stack_worker_join(p->s, w), 0);
	assert_int_equal(stack_control_join(p->s), 0);
	test_frame_udp(
		&p->frame, test_addr("10.77.0.9"), test_addr("10.77.0.2"), 5000, 5001, "x", 1);
	test_frame_udp(
		&p->frame2, test_addr("10.77.0.9"), test_addr("10.77.0.2"), 5002, 5001, "x", 1);
}

static void
port_close(struct port *p)
{
	char fault[256];

	assert_int_equal(stack_check(p->s, fault, sizeof(fault)), 0);
	stack_free(p->s);
}

/** Worker w's seats are these, as a string of digits. */
static void
assert_seats(struct port *p, unsigned w, const char *want)
{
	uint8_t seats[WORKER_MAX];
	char text[WORKER_MAX + 1];
	unsigned n = stack_worker_seats(p->s, w, seats);

	assert_int_equal(n, stack_worker_seats(p->s, w, NULL));
	for (unsigned i = 0; i < n; i++)
		text[i] = (char)('0' + seats[i]);
	text[n] = '\0';
	assert_string_equal(text, want);
}

/** Polls of each queue in one turn of worker w, as a string of digits. */
static void
assert_turn_polls(struct port *p, unsigned w, const char *want)
{
	char text[SEATS + 1];

	memset(p->polled, 0, sizeof(p->polled));
	stack_turn(p->s, w);
	for (unsigned q = 0; q < SEATS; q++)
		text[q] = (char)('0' + p->polled[q]);
	text[SEATS] = '\0';
	assert_string_equal(text, want);
}

/* Every queue is polled by exactly one worker, whoever is asked to serve it; a seat that was dealt anew is polled by
 * the old worker no more once its turn has come, and by the new one no sooner. */
static void
test_deal(void **state)
{
	struct stack_worker_counters c;
	struct port p;

	(void)state;
	port_open(&p, STACK_SPREAD_RSS, SEATS, 2, SEATS);
	assert_seats(&p, 0, "024");
	assert_seats(&p, 1, "13");
	assert_turn_polls(&p, 0, "10101");
	assert_turn_polls(&p, 1, "01010");

	assert_int_equal(stack_worker_join(p.s, 2), 0);
	assert_true(stack_worker_up(p.s, 2));
	assert_false(stack_worker_up(p.s, 3));
	assert_int_equal(stack_workers_set(p.s, 3), 0);
	assert_int_equal(stack_workers(p.s), 3);
	assert_turn_polls(&p, 2, "00000"); /* wanted there, not given yet */
	assert_turn_polls(&p, 1, "01000"); /* seat 3 goes to worker 0, which has not seen it */
	assert_turn_polls(&p, 0, "10010"); /* takes 3, gives 2 and 4 away */
	assert_turn_polls(&p, 2, "00100");
	assert_turn_polls(&p, 1, "01001");
	stack_worker_counters(p.s, 0, &c);
	assert_int_equal(c.seats_given, 2);

	assert_int_equal(stack_workers_set(p.s, 1), 0);
	assert_turn_polls(&p, 0, "10010");
	assert_turn_polls(&p, 1, "00000");
	assert_seats(&p, 1, ""); /* it may leave */
	assert_seats(&p, 2, "2"); /* stuck in a turn, say: it keeps what it has */
	assert_turn_polls(&p, 0, "11011");
	assert_turn_polls(&p, 2, "00000");
	assert_seats(&p, 2, "");
	assert_turn_polls(&p, 0, "11111");
	stack_worker_leave(p.s, 1);
	stack_worker_leave(p.s, 2);
	assert_false(stack_worker_up(p.s, 1));
	assert_int_equal(stack_workers_set(p.s, 0), -EINVAL);
	assert_int_equal(stack_workers_set(p.s, SEATS + 1), -EINVAL);
	assert_int_equal(stack_workers(p.s), 1);
	port_close(&p);
}

/* auto: rss if there is a queue for each worker that there may ever be; it stays so, whoever comes or goes. */
static void
test_auto(void **state)
{
	struct port p;

	(void)state;
	for (unsigned queues = SEATS - 1; queues <= SEATS; queues++) {
		enum stack_spread want = queues == SEATS ? STACK_SPREAD_RSS : STACK_SPREAD_FLOW;

		port_open(&p, STACK_SPREAD_AUTO, SEATS, 2, queues);
		assert_int_equal(stack_spread(p.s), want);
		assert_int_equal(stack_workers_set(p.s, SEATS), 0);
		assert_int_equal(stack_spread(p.s), want);
		assert_int_equal(stack_workers_set(p.s, 1), 0);
		assert_int_equal(stack_spread(p.s), want);
		port_close(&p);
	}
}

static void
assert_unreachable(struct port *p, uint64_t packets, uint64_t held)
{
	struct stack_stats st;

	stack_stats(p->s, &st);
	assert_int_equal(st.missing, 0);
	assert_int_equal(st.held, held);
	assert_int_equal(st.sum.drops[DROP_UDP_NO_CONV], packets);
}

/* What stands in a seat's ring goes with the seat. */
static void
test_ring_moves(void **state)
{
	struct stack_worker_counters c;
	struct port p;

	(void)state;
	port_open(&p, STACK_SPREAD_PACKET, SEATS, 3, 1);
	p.left = 50;
	assert_seats(&p, 1, "14");
	stack_turn(p.s, 0); /* serves seats 0 and 3, in that order, so 10 and 10 of 50 are done */
	assert_unreachable(&p, 20, 30);
	assert_int_equal(stack_workers_set(p.s, 1), 0);
	stack_turn(p.s, 1);
	stack_turn(p.s, 2);
	assert_unreachable(&p, 20, 30);
	stack_turn(p.s, 0);
	assert_unreachable(&p, 50, 0);
	stack_worker_counters(p.s, 0, &c);
	assert_int_equal(c.received, 50);
	stack_worker_counters(p.s, 1, &c);
	assert_int_equal(c.received, 0);
	assert_int_equal(c.idle_turns, 1);
	port_close(&p);
}

/* A worker that wants to sleep does not while there is work; what comes later ends its sleep, once. */
static void
test_sleep(void **state)
{
	struct stack_worker_counters c;
	struct port p;

	(void)state;
	port_open(&p, STACK_SPREAD_PACKET, SEATS, 2, 1);
	assert_int_equal(stack_worker_doze(p.s, 1, 100), 0); /* has not looked at its seats yet */
	stack_turn(p.s, 0);
	stack_turn(p.s, 1);
	assert_int_equal(stack_worker_doze(p.s, 1, 100), 100);
	p.left = 5;
	stack_turn(p.s, 0);
	stack_turn(p.s, 0);
	assert_int_equal(p.woken[1], 1);
	assert_int_equal(p.woken[0], 0);
	p.now_us += 1700;
	stack_worker_woke(p.s, 1);
	stack_worker_counters(p.s, 1, &c);
	assert_int_equal(c.sleeps, 1);
	assert_int_equal(c.slept_us, 1700);
	assert_int_equal(stack_worker_doze(p.s, 1, 100), 0); /* there is work */
	stack_turn(p.s, 1);
	assert_unreachable(&p, 5, 0);

	/* A seat that is dealt anew wakes who gives it, then who gets it. */
	assert_int_equal(stack_worker_join(p.s, 2), 0);
	stack_turn(p.s, 2);
	assert_int_equal(stack_worker_doze(p.s, 1, 100), 100);
	assert_int_equal(stack_worker_doze(p.s, 2, 100), 100);
	memset(p.woken, 0, sizeof(p.woken));
	assert_int_equal(stack_workers_set(p.s, 3), 0);
	assert_int_equal(p.woken[1], 1);
	assert_int_equal(p.woken[2], 0);
	stack_turn(p.s, 0); /* gives seat 2 to worker 2 */
	assert_int_equal(p.woken[2], 1);
	stack_worker_woke(p.s, 1);
	stack_worker_woke(p.s, 2);
	assert_int_equal(stack_worker_doze(p.s, 2, 100), 0);
	stack_turn(p.s, 1);
	stack_turn(p.s, 2);

	/* A packet for a seat wakes the new owner, not the old one. */
	assert_seats(&p, 2, "2");
	assert_int_equal(stack_worker_doze(p.s, 2, 100), 100);
	memset(p.woken, 0, sizeof(p.woken));
	p.left = 5;
	stack_turn(p.s, 0);
	assert_int_equal(p.woken[2], 1);
	stack_worker_woke(p.s, 2);
	for (unsigned w = 0; w < 3; w++)
		stack_turn(p.s, w);
	assert_unreachable(&p, 10, 0);
	port_close(&p);
}

/* Who is in one turn for more than half a second is named; who sleeps is not. */
static void
test_stall(void **state)
{
	struct stack_stats st;
	struct port p;

	(void)state;
	port_open(&p, STACK_SPREAD_RSS, SEATS, 3, 1);
	for (unsigned w = 0; w < 3; w++)
		stack_turn(p.s, w);
	assert_int_equal(stack_worker_doze(p.s, 2, 100), 100);
	for (unsigned tick = 0; tick < 10; tick++) {
		stack_control_tick(p.s);
		stack_stats(p.s, &st);
		assert_int_equal(st.stalled, tick > 5);
		assert_int_equal(st.stalls, tick > 5);
		p.now_us += 100000;
		stack_turn(p.s, 0);
	}
	assert_int_equal(st.stuck_worker, 1);
	assert_int_equal(st.stuck_us, 900000);
	stack_turn(p.s, 1);
	stack_control_tick(p.s);
	stack_stats(p.s, &st);
	assert_false(st.stalled);
	assert_int_equal(st.stuck_us, 0);
	assert_int_equal(st.stalls, 1);
	stack_worker_woke(p.s, 2);
	port_close(&p);
}

/* A ring that is full loses what does not fit, under a name, and nothing else: every other packet is for a worker that
 * does not run. */
static void
test_ring_full(void **state)
{
	struct stack_stats st;
	struct port p;

	(void)state;
	port_open(&p, STACK_SPREAD_PACKET, 2, 2, 1);
	p.left = 2 * (RING + 100);
	while (p.left > 0)
		stack_turn(p.s, 0);
	stack_stats(p.s, &st);
	assert_int_equal(st.sum.drops[DROP_SPREAD_FULL], 100);
	assert_int_equal(st.spread_full, 100);
	assert_int_equal(st.held, RING);
	assert_int_equal(st.missing, 0);
	/* It wakes up: all that was kept is processed. */
	while (stack_turn(p.s, 1) > 0)
		;
	stack_stats(p.s, &st);
	assert_int_equal(st.held, 0);
	assert_int_equal(st.missing, 0);
	assert_int_equal(st.sum.drops[DROP_UDP_NO_CONV], 2 * (RING + 100) - 100);
	port_close(&p);
}

/* ---- spread packet: the elephant ---- */

/** While seat `inside` is inside a conversation, the other one has some turns, a burst in each if it polls. */
static struct {
	struct port *p;
	unsigned inside, turns;
} meeting;

static void
meet_recv(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct port *p = meeting.p;

	(void)c;
	rte_pktmbuf_free(m);
	if (p == NULL || w->id != meeting.inside)
		return;
	meeting.p = NULL;
	for (unsigned i = 0; i < meeting.turns; i++, p->now_us += 10) {
		p->left = meeting.inside == 1 ? 32 : 0;
		stack_turn(p->s, 1 - meeting.inside);
	}
}

static const struct service meet = {.name = "meet", .udp = true, .take = meet_recv};

static void
elephant_open(struct port *p)
{
	struct listener_conf conf = {.name = "meet",
		.proto = IPPROTO_UDP,
		.port_lo = 5001,
		.port_hi = 5001,
		.service = &meet};
	struct listener *l;

	port_open(p, STACK_SPREAD_PACKET, 2, 2, 1);
	assert_int_equal(stack_service_add(p->s, &meet), 0);
	assert_int_equal(stack_listen(p->s, &conf, &l), 0);
}

static void
elephant_close(struct port *p)
{
	meeting.p = NULL;
	port_close(p);
}

/** Bursts of n frames each come, every 10 us, and are processed by all. */
static void
elephant_bursts(struct port *p, unsigned bursts, unsigned n)
{
	for (; bursts > 0; bursts--) {
		p->left = n;
		for (; p->left > 0; p->now_us += 10) {
			stack_turn(p->s, 0);
			stack_turn(p->s, 1);
		}
	}
}

/** @return packets that were kept so far; all of them were delivered. */
static uint64_t
elephant_kept(struct port *p)
{
	struct stack_stats st;

	stack_stats(p->s, &st);
	assert_int_equal(st.missing, 0);
	assert_int_equal(st.sum.received, st.sum.delivered);
	assert_int_equal(2 * st.spread_pushed, st.sum.received - st.spread_kept);
	return st.spread_kept;
}

static void
elephant_meet(struct port *p, unsigned inside, unsigned turns)
{
	meeting.p = p;
	meeting.inside = inside;
	meeting.turns = turns;
}

/** Two long bursts, and the seats meet in the first: then seat 0 waits. What was dealt of the second is in the ring of seat 1. */
static void
elephant_show(struct port *p)
{
	elephant_meet(p, 0, 1);
	p->left = 32;
	stack_turn(p->s, 0);
	meeting.p = NULL;
	p->left = 32;
	stack_turn(p->s, 0);
	assert_int_equal(p->left, 0);
}

/* A conversation in which seats meet while its packets fill bursts is kept by who polls it, once the others had time to be done with it. */
static void
test_elephant(void **state)
{
	unsigned polled;
	struct port p;

	(void)state;
	elephant_open(&p);
	elephant_bursts(&p, 8, 32);
	assert_int_equal(elephant_kept(&p), 0);
	elephant_show(&p);
	stack_turn(p.s, 1);
	assert_int_equal(elephant_kept(&p), 0);
	polled = p.polled[0];
	stack_turn(p.s, 0);
	assert_int_equal(p.polled[0], polled);
	p.now_us += 20;
	elephant_bursts(&p, 10, 32);
	assert_int_equal(elephant_kept(&p), 320);
	/* Its short bursts, too, but what comes of others is dealt. */
	elephant_bursts(&p, 10, 4);
	assert_int_equal(elephant_kept(&p), 360);
	p.other = 2;
	elephant_bursts(&p, 10, 4);
	assert_int_equal(elephant_kept(&p), 360);
	p.other = 0;
	/* It ends when long bursts no longer come. */
	p.now_us += 10000;
	elephant_bursts(&p, 10, 4);
	assert_int_equal(elephant_kept(&p), 360);
	elephant_close(&p);
}

/* Short bursts, and conversations that take turns, are dealt though seats meet in them. */
static void
test_no_elephant(void **state)
{
	struct port p;

	(void)state;
	elephant_open(&p);
	for (unsigned i = 0; i < 200; i++) {
		p.other = i < 100 ? 0 : 2;
		elephant_meet(&p, 0, 1);
		elephant_bursts(&p, 1, i < 100 ? 15 : 30);
	}
	assert_int_equal(elephant_kept(&p), 0);
	elephant_close(&p);
}

/* A seat that does not get on with what was dealt to it is not waited for long, nor soon again. */
static void
test_elephant_in_vain(void **state)
{
	struct port p;

	(void)state;
	elephant_open(&p);
	for (unsigned i = 0; i < 3; i++) {
		elephant_show(&p);
		p.left = 32;
		p.now_us += 199;
		stack_turn(p.s, 0);
		assert_int_equal(p.left, 32);
		p.now_us++;
		stack_turn(p.s, 0);
		assert_int_equal(p.left, 0);
		/* It shows again 1 us too early. */
		p.now_us += (10000 << i) - 11;
		elephant_show(&p);
		stack_turn(p.s, 1);
		assert_int_equal(elephant_kept(&p), 0);
		p.now_us++;
	}
	elephant_close(&p);
}

/* Somebody stays inside with what was dealt to him: he gets one burst too much. */
static void
test_elephant_has_somebody_inside(void **state)
{
	struct port p;

	(void)state;
	elephant_open(&p);
	elephant_show(&p);
	elephant_meet(&p, 1, 12);
	for (unsigned i = 0; i < 20; i++)
		stack_turn(p.s, 1);
	assert_int_equal(elephant_kept(&p), 32);
	elephant_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_full),
		cmocka_unit_test(test_elephant),
		cmocka_unit_test(test_no_elephant),
		cmocka_unit_test(test_elephant_in_vain),
		cmocka_unit_test(test_elephant_has_somebody_inside),
		cmocka_unit_test(test_deal),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_ring_moves),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_stall),
	};

	test_eal("stack_seats_test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
