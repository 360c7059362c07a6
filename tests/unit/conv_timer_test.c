/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Timers and listeners of lib/conv.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conv_toy.h"

/* ---- timers ---- */

static void
timer_set_by(struct worker *w, struct toy *t, uint32_t at_ms)
{
	w->now_ms = (uint32_t)(w->now_us / 1000);
	assert_int_equal(conv_enter(w, &t->cn), CONV_IN);
	conv_timer_set(w, &t->cn, at_ms);
	conv_leave(w, &t->cn);
}

static uint32_t
ms_now(void)
{
	return (uint32_t)(net.w[0].now_us / 1000);
}

static void
test_timer_fires_once(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	uint32_t start = ms_now();

	(void)state;
	timer_set_by(w, t, start + 10);
	for (unsigned i = 0; i < 9; i++)
		toy_turn(1000);
	assert_int_equal(toy_count(EV_TIMER), 0);
	toy_turn(1000);
	assert_int_equal(toy_count(EV_TIMER), 1);
	for (unsigned i = 0; i < 300; i++)
		toy_turn(1000);
	assert_int_equal(toy_count(EV_TIMER), 1);
	toy_check();
	toy_die(w, t);
}

static void
test_timer_later_is_lazy(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	uint32_t start = ms_now();

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		timer_set_by(&net.w[i % WORKERS], t, ms_now() + 10);
		toy_turn(1000);
	}
	assert_int_equal(toy_count(EV_TIMER), 0);
	for (unsigned i = 0; i < 20; i++)
		toy_turn(1000);
	assert_int_equal(toy_count(EV_TIMER), 1);
	for (unsigned i = 0; i < nlog; i++)
		if (logbook[i].ev == EV_TIMER)
			assert_in_range(logbook[i].now_ms, start + 59, start + 60);
	toy_die(w, t);
}

/** An earlier deadline set on another worker reaches the owner, who fires it in time. */
static void
test_timer_earlier_elsewhere(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_counters c;
	uint32_t start = ms_now();

	(void)state;
	timer_set_by(w, t, start + 100000);
	timer_set_by(&net.w[2], t, start + 5);
	timer_set_by(&net.w[1], t, start + 4);
	for (unsigned i = 0; i < 4; i++)
		toy_turn(1000);
	assert_int_equal(toy_count(EV_TIMER), 1);
	for (unsigned i = 0; i < nlog; i++)
		if (logbook[i].ev == EV_TIMER)
			assert_int_equal(logbook[i].worker, 0);
	conv_stats(ct, &c);
	assert_true(c.timers_moved_remote >= 1);
	for (unsigned i = 0; i < 400; i++)
		toy_turn(500000);
	assert_int_equal(toy_count(EV_TIMER), 1);
	toy_die(w, t);
}

static void
test_timer_stop_and_death(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1), *u = toy_born(w, 2);

	(void)state;
	timer_set_by(w, t, ms_now() + 5);
	timer_set_by(w, u, ms_now() + 1000000);
	assert_int_equal(conv_enter(&net.w[1], &t->cn), CONV_IN);
	conv_timer_stop(&net.w[1], &t->cn);
	conv_leave(&net.w[1], &t->cn);
	for (unsigned i = 0; i < 10; i++)
		toy_turn(1000);
	assert_int_equal(toy_count(EV_TIMER), 0);
	toy_check();
	toy_die(&net.w[1], t);
	/* Died on another worker than its timer's: the owner lets go within a turn. */
	toy_die(&net.w[1], u);
	assert_int_equal(toy_count(EV_RETIRE), 1);
	toy_turn(0);
	assert_int_equal(toy_count(EV_RETIRE), 2);
}

/** Armed before the node was published: it fires once, goes with a node that never was, and with one that another worker lets die. */
static void
test_timer_preset(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_new(w, 1), *u = toy_new(w, 2), *v = toy_new(w, 3);

	(void)state;
	conv_timer_preset(w, &t->cn, ms_now() + 5);
	conv_timer_preset(w, &u->cn, ms_now() + 5);
	conv_timer_preset(w, &v->cn, ms_now() + 1000000);
	assert_int_equal(conv_publish(w, &t->cn, 0, NULL), 0);
	conv_abandon(w, &u->cn);
	assert_int_equal(toy_count(EV_RETIRE), 1);
	assert_int_equal(conv_publish(w, &v->cn, 0, NULL), 0);
	toy_check();
	for (unsigned i = 0; i < 300; i++)
		toy_turn(1000);
	assert_int_equal(toy_count(EV_TIMER), 1);
	toy_die(w, t);
	toy_die(&net.w[1], v);
	toy_turn(0);
	assert_int_equal(toy_count(EV_RETIRE), 3);
}

/** Random sets, moves and stops on random workers against a model: never late, never lost, never early. */
static void
test_timer_model(void **state)
{
	enum {
		N = 32,
		STEPS = 20000
	};
	struct toy *t[N];
	uint32_t want[N]; /* 0: none */
	bool fired[N], may[N]; /* may: was stopped, and may have been left where it was */
	unsigned seed = 12345;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		t[i] = toy_born(&net.w[0], (uint16_t)(1 + i));
		want[i] = 0;
		may[i] = false;
	}
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand_r(&seed) % N, kind = (unsigned)rand_r(&seed) % 8;
		struct worker *w = &net.w[(unsigned)rand_r(&seed) % WORKERS];

		if (kind < 6) {
			uint32_t ms = 1u << (unsigned)rand_r(&seed) % 18;

			want[i] = ms_now() + 1 + (uint32_t)rand_r(&seed) % ms;
			timer_set_by(w, t[i], want[i]);
			may[i] = false;
		} else {
			assert_int_equal(conv_enter(w, &t[i]->cn), CONV_IN);
			conv_timer_stop(w, &t[i]->cn);
			conv_leave(w, &t[i]->cn);
			may[i] |= want[i] != 0;
			want[i] = 0;
		}
		nlog = 0;
		memset(fired, 0, sizeof(fired));
		toy_turn((uint64_t)rand_r(&seed) % 4000);
		for (unsigned j = 0; j < nlog; j++)
			if (logbook[j].ev == EV_TIMER)
				for (unsigned k = 0; k < N; k++)
					fired[k] |= t[k]->cn.n.id == logbook[j].id;
		for (unsigned k = 0; k < N; k++) {
			bool due = want[k] != 0 && (int32_t)(ms_now() - want[k]) >= 0;

			if (fired[k] != due && !(fired[k] && may[k]))
				fail_msg("seed 12345 step %u: node %u %s", step, k,
					due ? "did not fire" : "fired early");
			if (fired[k])
				may[k] = false;
			if (due)
				want[k] = 0;
		}
	}
	for (unsigned i = 0; i < N; i++)
		toy_die(&net.w[0], t[i]);
}

/* ---- listeners ---- */

static const struct service nothing = {.name = "nothing", .tcp = true};

static void
test_listener(void **state)
{
	struct worker *w = &net.w[0];
	struct prefix deny = {.len = 96 + 8}, allow = {.len = 96 + 16};
	struct listener_conf conf = {.name = "l",
		.proto = 6,
		.port_lo = 80,
		.port_hi = 82,
		.service = &nothing,
		.allow = &allow,
		.nallow = 1,
		.deny = &deny,
		.ndeny = 1};
	struct listener *l = NULL, *again = NULL;
	struct key k = toy_key(1).k;
	struct test_addr a;
	struct node *n;

	(void)state;
	deny.addr[10] = deny.addr[11] = allow.addr[10] = allow.addr[11] = 0xff;
	deny.addr[12] = 9;
	allow.addr[12] = 10;
	allow.addr[13] = 1;
	assert_int_equal(listener_open(w, &conf, &l), 0);
	conf.port_lo = 79;
	assert_int_equal(listener_open(w, &conf, &again), -EADDRINUSE);
	assert_false(l->closed);
	conf.one = true; /* and nobody who would take its datagrams */
	conf.port_lo = conf.port_hi = 90;
	assert_int_equal(listener_open(w, &conf, &again), -EINVAL);
	for (uint16_t port = 79; port <= 83; port++) {
		k.lport_be = (uint16_t)(port << 8);
		n = ipht_match(conv_ipht(ct), &k);
		assert_int_equal(n != NULL, port >= 80 && port <= 82);
		if (n != NULL)
			assert_ptr_equal(listener_of(n), l);
	}
	a = test_addr("10.1.2.3");
	assert_true(listener_allows(l, a.b));
	a = test_addr("10.2.2.3");
	assert_false(listener_allows(l, a.b));
	a = test_addr("9.1.2.3");
	assert_false(listener_allows(l, a.b));
	l->deny[0] = (struct prefix){.len = 0}; /* ::/0 */
	a = test_addr("10.1.2.3");
	assert_true(listener_allows(l, a.b));
	l->allow[0] = (struct prefix){.len = 0};
	assert_false(listener_allows(l, a.b));
	a = test_addr("fd00::1");
	assert_false(listener_allows(l, a.b));
	LISTENER_ADD(&net.w[1], l, convs, 1);
	listener_close(w, l);
	k.lport_be = (uint16_t)(80 << 8);
	assert_null(ipht_match(conv_ipht(ct), &k));
	assert_int_equal(listener_sweep(w), 2);
	for (unsigned i = 0; i < 4; i++) {
		toy_turn(2000);
		listener_sweep(w);
	}
	assert_int_equal(listener_sweep(w), 1); /* it is held by a conversation */
	LISTENER_ADD(&net.w[2], l, convs, -1);
	assert_int_equal(listener_sweep(w), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, toy_setup, toy_teardown)
		T(test_timer_fires_once),
		T(test_timer_later_is_lazy),
		T(test_timer_earlier_elsewhere),
		T(test_timer_stop_and_death),
		T(test_timer_preset),
		T(test_timer_model),
		T(test_listener),
#undef T
	};

	test_eal("conv_timer_test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
