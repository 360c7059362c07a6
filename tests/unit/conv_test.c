/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Birth, death, bursts, busy nodes and listing of lib/conv.
 */
#include <stdlib.h>
#include <string.h>

#include "conv_toy.h"

/* ---- birth, death, reuse ---- */

static void
test_birth_and_death(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t;
	struct conv_handle h;

	(void)state;
	toy_input_one(w, 1, 100);
	assert_int_equal(toy_count(EV_MISS), 1);
	t = toy_born(w, 1);
	h = conv_handle(ct, &t->cn);
	toy_input_one(w, 1, 101);
	assert_int_equal(toy_count(EV_PACKET), 1);
	toy_check();
	toy_die(w, t);
	assert_int_equal(toy_count(EV_RETIRE), 1);
	assert_null(conv_by_handle(ct, h));
	toy_input_one(w, 1, 102);
	assert_int_equal(toy_count(EV_MISS), 2);
	assert_int_equal(conv_live(ct, NODE_CONV), 1); /* its grace period is not over */
}

/** Nothing is reused before every reader was quiescent; then the generation has grown. */
static void
test_grace_period(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_handle h = conv_handle(ct, &t->cn);
	uint64_t word;

	(void)state;
	toy_die(w, t);
	test_net_advance(&net, 2000);
	conv_turn_end(w);
	reclaim->ops->quiescent(reclaim, 0);
	reclaim->ops->quiescent(reclaim, 1);
	conv_turn(w);
	word = atomic_load(&t->cn.n.word);
	assert_int_equal(node_gen(word), h.gen);
	assert_int_equal(conv_live(ct, NODE_CONV), 1);
	reclaim->ops->quiescent(reclaim, 2);
	conv_turn(w);
	word = atomic_load(&t->cn.n.word);
	assert_int_equal(node_gen(word), h.gen + 1);
	assert_int_equal(node_refs(word), 0);
	assert_int_equal(conv_live(ct, NODE_CONV), 0);
	assert_null(conv_by_handle(ct, h));
}

static void
test_limit_is_exact(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t[NODES_MAX];
	struct key48 k = toy_key(9999);
	struct conv_counters c;

	(void)state;
	for (unsigned i = 0; i < NODES_MAX; i++)
		t[i] = toy_born(w, (uint16_t)(1 + i));
	assert_null(conv_alloc(w, NODE_CONV, &k.k, key_hash(&secret, &k.k)));
	conv_stats(ct, &c);
	assert_int_equal(c.refused[NODE_CONV], 1);
	for (unsigned i = 0; i < NODES_MAX; i++)
		toy_die(w, t[i]);
	for (unsigned i = 0; i < 4; i++)
		toy_turn(2000);
	toy_die(w, toy_born(w, 1));
}

/** A limit that seats take pieces of: never more nodes than it says, all of it for one seat, and what is given back can be had again. */
static void
test_limit_is_shared_out(void **state)
{
	struct slab s = {.limit = 102, .share = 8};
	_Atomic uint32_t a = 0, b = 0;
	uint32_t taken[2] = {0, 0};

	(void)state;
	while (taken[0] < 20 && slab_take(&s, &a))
		taken[0]++;
	while (slab_take(&s, &b))
		taken[1]++;
	assert_int_equal(taken[0], 20);
	assert_int_equal(s.given, 102);
	assert_int_equal(taken[1], 102 - 24); /* what the first has taken, and may take */
	assert_int_equal(a, 4);
	slab_give(&s, &b, taken[1]);
	assert_int_equal(b, 8);
	assert_int_equal(s.given, 24 + 8);
	while (slab_take(&s, &a))
		taken[0]++;
	assert_int_equal(taken[0], 102 - 8);
	slab_give(&s, &a, 5);
	assert_int_equal(a, 5); /* not worth the shared line */
	slab_give(&s, &a, taken[0] - 5);
	assert_int_equal(s.given, a + b);
	assert_true(a <= 16 && b <= 16);
}

/** A small one is not: it is exact whoever asks. */
static void
test_small_limit_is_not_shared_out(void **state)
{
	struct slab s = {.limit = 5, .share = 0};
	_Atomic uint32_t a = 0, b = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_true(slab_take(&s, i % 2 == 0 ? &a : &b));
	assert_false(slab_take(&s, &a));
	slab_give(&s, &b, 1);
	assert_int_equal(b, 0);
	assert_true(slab_take(&s, &a));
	assert_false(slab_take(&s, &b));
}

static void
test_publish_is_insert_if_absent(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *a = toy_born(w, 1), *b = toy_new(&net.w[1], 1);
	struct conv_node *winner = NULL;

	(void)state;
	assert_int_equal(conv_publish(&net.w[1], &b->cn, NODE_KICK, &winner), -EEXIST);
	assert_ptr_equal(winner, &a->cn);
	conv_put(w, winner);
	conv_abandon(&net.w[1], &b->cn);
	assert_int_equal(toy_count(EV_RETIRE), 1);
	toy_check();
	toy_die(w, a);
}

static void
test_unpublished_is_invisible(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_new(w, 1);
	uint32_t slot = 0;

	(void)state;
	assert_null(conv_next(ct, &slot, UINT32_MAX));
	assert_null(conv_by_handle(ct, conv_handle(ct, &t->cn)));
	conv_abandon(w, &t->cn);
}

static void
test_work_at_birth(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_new(w, 1);

	(void)state;
	assert_int_equal(conv_publish(w, &t->cn, NODE_KICK, NULL), 0);
	toy_input_one(w, 1, 5);
	assert_int_equal(logbook[0].ev, EV_KICK);
	assert_int_equal(logbook[1].ev, EV_PACKET);
	assert_int_equal(logbook[2].ev, EV_FLUSH);
	toy_die(w, t);
}

/* ---- bursts ---- */

static void
test_burst_groups(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *a = toy_born(w, 1), *b = toy_born(w, 2);
	struct rte_mbuf *m[WORKER_BURST];
	uint32_t last[3] = {0};

	(void)state;
	for (unsigned i = 0; i < WORKER_BURST; i++)
		m[i] = toy_packet(w, (uint16_t)(1 + i % 3), i + 1);
	conv_input_burst(w, m, WORKER_BURST);
	assert_int_equal(toy_count(EV_FLUSH), 2); /* each entered once */
	assert_int_equal(toy_count(EV_PACKET) + toy_count(EV_MISS), WORKER_BURST);
	for (unsigned i = 0; i < nlog; i++) {
		unsigned which = (logbook[i].serial - 1) % 3;

		if (logbook[i].ev != EV_PACKET && logbook[i].ev != EV_MISS)
			continue;
		assert_true(logbook[i].serial > last[which]);
		last[which] = logbook[i].serial;
	}
	toy_die(w, a);
	toy_die(w, b);
}

static void
make_on_miss(struct worker *w, struct rte_mbuf *m)
{
	toy_note(w, EV_MISS, NULL, m);
	toy_born(w, pkt_of(m)->key.k.rport_be);
	conv_again(w, m);
}

/** Trap (a): an earlier packet of the burst makes the node that a later one belongs to. */
static void
test_burst_makes_node(void **state)
{
	struct worker *w = &net.w[0];
	struct rte_mbuf *m[4];
	struct node *n;
	struct key48 k = toy_key(1);

	(void)state;
	conv_miss_set(ct, PKT_TCP, make_on_miss);
	for (unsigned i = 0; i < 4; i++)
		m[i] = toy_packet(w, 1, i);
	conv_input_burst(w, m, 4);
	assert_int_equal(toy_count(EV_MISS), 1);
	assert_int_equal(toy_count(EV_PACKET), 4);
	n = ipht_look(conv_ipht(ct), &k, key_hash(&secret, &k.k));
	assert_non_null(n);
	toy_die(w, (struct toy *)n);
	conv_put(w, (struct conv_node *)n);
}

static void
die_on_two(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	if (pkt_of(m)->tcp.seq == 2)
		conv_die(w, &t->cn);
}

/** Trap (b): an earlier packet closes it; the rest is looked up again, and has no match. */
static void
test_burst_closes_node(void **state)
{
	struct worker *w = &net.w[0];
	struct rte_mbuf *m[5];

	(void)state;
	toy_born(w, 1);
	on_input = die_on_two;
	for (unsigned i = 0; i < 5; i++)
		m[i] = toy_packet(w, 1, i);
	conv_input_burst(w, m, 5);
	assert_int_equal(toy_count(EV_PACKET), 3);
	assert_int_equal(toy_count(EV_MISS), 2);
	assert_int_equal(toy_count(EV_RETIRE), 1);
}

/* ---- busy nodes ---- */

static unsigned burst_size;

static void
others_come(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	(void)t;
	if (w->id != 0 || pkt_of(m)->tcp.seq != 0)
		return;
	for (unsigned i = 1; i <= burst_size; i++)
		toy_input_one(&net.w[1 + i % 2], 1, i);
}

/** Packets that come while worker 0 is inside are done by worker 0, in their order, before it leaves. */
static void
test_backlog(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_counters c;
	uint32_t next = 0;

	(void)state;
	burst_size = 6;
	on_input = others_come;
	toy_input_one(w, 1, 0);
	assert_int_equal(toy_count(EV_PACKET), 7);
	for (unsigned i = 0; i < nlog; i++) {
		if (logbook[i].ev != EV_PACKET)
			continue;
		assert_int_equal(logbook[i].serial, next++);
		assert_int_equal(logbook[i].worker, 0);
	}
	conv_stats(ct, &c);
	assert_int_equal(c.backlog_pushes, 6);
	assert_int_equal(c.backlog_drained, 6);
	toy_die(w, t);
}

static void
test_backlog_is_bounded(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);

	(void)state;
	burst_size = 11;
	on_input = others_come;
	toy_input_one(w, 1, 0);
	assert_int_equal(toy_count(EV_PACKET), 9);
	assert_int_equal(
		net.w[1].c.drops[DROP_BACKLOG_FULL] + net.w[2].c.drops[DROP_BACKLOG_FULL], 3);
	toy_die(w, t);
}

static void
come_and_die(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	others_come(w, t, m);
	if (w->id == 0)
		conv_die(w, &t->cn);
}

/** What waits in the backlog of a node that dies is looked up again, never lost. */
static void
test_backlog_of_the_dead(void **state)
{
	struct worker *w = &net.w[0];

	(void)state;
	toy_born(w, 1);
	burst_size = 4;
	on_input = come_and_die;
	toy_input_one(w, 1, 0);
	assert_int_equal(toy_count(EV_PACKET), 1);
	assert_int_equal(toy_count(EV_MISS), 4);
}

static struct toy *young;

static void
come_and_replace(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	if (w->id != 0 || young != NULL)
		return;
	others_come(w, t, m);
	young = toy_new(w, 1);
	assert_int_equal(conv_replace(w, &t->cn, &young->cn, NODE_KICK), 0);
	conv_again(w, toy_packet(w, 1, 50));
}

/** Replacing leaves no gap: the backlog of the old one reaches the young one. */
static void
test_replace(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *old = toy_born(w, 1);

	(void)state;
	young = NULL;
	burst_size = 3;
	on_input = come_and_replace;
	toy_input_one(w, 1, 0);
	assert_int_equal(toy_count(EV_MISS), 0);
	assert_int_equal(old->inputs, 1);
	assert_int_equal(young->inputs, 4);
	assert_int_equal(toy_count(EV_KICK), 1);
	toy_check();
	toy_die(w, young);
}

static void
kick_self(struct worker *w, struct toy *t, uint64_t bits)
{
	if ((bits & NODE_KICK) != 0 && t->inputs < 100)
		conv_kick(w, &t->cn, NODE_KICK);
	t->inputs++;
}

/** A node that makes work for itself does not keep its worker: the rest comes in later turns. */
static void
test_leaving_has_a_budget(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	unsigned first;

	(void)state;
	on_work = kick_self;
	conv_kick(w, &t->cn, NODE_KICK);
	toy_turn(0);
	first = t->inputs;
	assert_true(first >= 1 && first < 20);
	for (unsigned i = 0; i < 100; i++)
		toy_turn(0);
	assert_int_equal(t->inputs, 101);
	on_work = NULL;
	toy_die(w, t);
}

static void
kick_self_next(struct worker *w, struct toy *t, uint64_t bits)
{
	assert_int_equal(bits, NODE_KICK);
	if (++t->inputs < 5) {
		conv_kick_next(w, &t->cn);
		conv_kick_next(w, &t->cn);
	}
}

/** "Next" is one round in each turn, whatever else there is to be done. */
static void
test_kick_next(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_counters was, now;

	(void)state;
	conv_stats(ct, &was);
	on_work = kick_self_next;
	conv_kick(w, &t->cn, NODE_KICK);
	for (unsigned i = 1; i <= 5; i++) {
		toy_turn(0);
		assert_int_equal(t->inputs, i);
		assert_int_equal(toy_count(EV_KICK), i);
		toy_check();
	}
	toy_turn(0);
	assert_int_equal(t->inputs, 5);
	conv_stats(ct, &now);
	assert_int_equal(now.leave_budget, was.leave_budget);
	assert_int_equal(now.kicks - was.kicks, 5);
	on_work = NULL;
	toy_die(w, t);
}

static void
kick_self_and_die(struct worker *w, struct toy *t, uint64_t bits)
{
	(void)bits;
	conv_kick_next(w, &t->cn);
	conv_die(w, &t->cn);
}

/** Who is dead by then is not asked. */
static void
test_kick_next_of_the_dead(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);

	(void)state;
	on_work = kick_self_and_die;
	conv_kick(w, &t->cn, NODE_KICK);
	for (unsigned i = 0; i < 4; i++)
		toy_turn(0);
	on_work = NULL;
	assert_int_equal(toy_count(EV_KICK), 1);
	assert_int_equal(toy_count(EV_RETIRE), 1);
	toy_check();
}

static struct toy *other;

static void
kick_other(struct worker *w, struct toy *t, struct rte_mbuf *m)
{
	(void)m;
	if (t != other)
		conv_kick(w, &other->cn, NODE_KICK);
}

/** Kicking a second node from inside a first (I7): not entered before the first is left. */
static void
test_kick_from_inside(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);

	(void)state;
	other = toy_born(w, 2);
	on_input = kick_other;
	toy_input_one(w, 1, 0);
	toy_input_one(w, 1, 1);
	assert_int_equal(toy_count(EV_KICK), 0);
	toy_turn(0);
	assert_int_equal(toy_count(EV_KICK), 1); /* two kicks, one run */
	toy_die(w, t);
	toy_die(w, other);
}

static void
test_hangup_from_control(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);

	(void)state;
	conv_post(ct, 1, &t->cn, NODE_HANGUP);
	conv_post(ct, 2, &t->cn, NODE_HANGUP);
	toy_turn(0);
	assert_int_equal(toy_count(EV_HANGUP), 1);
	assert_int_equal(logbook[0].worker, 1);
	toy_check();
	toy_die(w, t);
}

/** A reference keeps the slot, not the conversation. */
static void
test_handle_outlives_death(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_node *cn = conv_by_handle(ct, conv_handle(ct, &t->cn));

	(void)state;
	assert_ptr_equal(cn, &t->cn);
	toy_die(w, t);
	assert_int_equal(toy_count(EV_RETIRE), 0);
	for (unsigned i = 0; i < 4; i++)
		toy_turn(2000);
	assert_int_equal(conv_live(ct, NODE_CONV), 1);
	assert_null(conv_by_handle(ct, conv_handle(ct, cn))); /* D3 */
	conv_put(&net.w[2], cn);
	assert_int_equal(toy_count(EV_RETIRE), 1);
}

/** Hazard D10: no number that is cut to fewer bits names a slot. */
static void
test_handle_beyond_the_slots(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t = toy_born(w, 1);
	struct conv_handle h = conv_handle(ct, &t->cn);

	(void)state;
	assert_null(conv_by_handle(ct, (struct conv_handle){conv_slots(ct), h.gen}));
	for (unsigned bit = 12; bit < 32; bit++)
		assert_null(conv_by_handle(ct, (struct conv_handle){h.slot | 1u << bit, h.gen}));
	for (unsigned bit = 0; bit < 32; bit++)
		assert_null(conv_by_handle(ct, (struct conv_handle){h.slot, h.gen ^ 1u << bit}));
	toy_die(w, t);
}

static void
test_listing(void **state)
{
	struct worker *w = &net.w[0];
	struct toy *t[8];
	struct conv_node *cn;
	uint32_t slot = 0, seen = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		t[i] = toy_born(w, (uint16_t)(1 + i));
	while (slot < conv_slots(ct)) {
		cn = conv_next(ct, &slot, 3);
		if (cn == NULL)
			continue;
		seen |= 1u << (((struct toy *)cn)->marker - 1);
		conv_put(w, cn);
	}
	assert_int_equal(seen, 0xff);
	for (unsigned i = 0; i < 8; i++)
		toy_die(w, t[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, toy_setup, toy_teardown)
		T(test_birth_and_death),
		T(test_grace_period),
		T(test_limit_is_exact),
		T(test_limit_is_shared_out),
		T(test_small_limit_is_not_shared_out),
		T(test_publish_is_insert_if_absent),
		T(test_unpublished_is_invisible),
		T(test_work_at_birth),
		T(test_burst_groups),
		T(test_burst_makes_node),
		T(test_burst_closes_node),
		T(test_backlog),
		T(test_backlog_is_bounded),
		T(test_backlog_of_the_dead),
		T(test_replace),
		T(test_leaving_has_a_budget),
		T(test_kick_next),
		T(test_kick_next_of_the_dead),
		T(test_kick_from_inside),
		T(test_hangup_from_control),
		T(test_handle_outlives_death),
		T(test_handle_beyond_the_slots),
		T(test_listing),
#undef T
	};

	test_eal("conv_test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
