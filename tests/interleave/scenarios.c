/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The steps of a node's life, two or three threads at a time. Names of hazards are those of docs/hazards.md.
 */
#include "scenarios.h"

#include <string.h>

#include "world.h"

#define R          0 /* receiving workers */
#define Q          1
#define C          2 /* the one that closes */

#define SLOTS_SEEN 3 /* of the slab, from the one that is taken next */

static struct world_node *node;
static struct conv_handle handle;

static bool
got(uint32_t serial)
{
	return world_got[serial] != 0;
}

/** Where a serial stands in the order of delivery. */
static unsigned
place_of(uint32_t serial)
{
	for (unsigned i = 0; i < world_ngot; i++)
		if (world_order[i] == serial)
			return i;
	return ~0u;
}

static void
expect_order(uint32_t first, uint32_t second)
{
	if (got(first) && got(second) && place_of(first) > place_of(second))
		explore_fail("packet %u overtook packet %u", second, first);
}

static void
expect_got(uint32_t serial)
{
	if (!got(serial))
		explore_fail("packet %u was not delivered", serial);
}

static void
setup_one(void)
{
	world_on(R);
	node = world_born(world_worker(R), 1, 1);
	handle = conv_handle(ct, &node->cn);
	world_off(world_worker(R));
}

static void
turns(struct worker *w, unsigned n)
{
	for (; n > 0; n--)
		world_turn(w, 2000);
}

/* ---- a1: found, then closed and its slot used again for another tuple ---- */

static void
a1_receive(void)
{
	struct worker *w = world_on(R);

	world_input(w, 1, 1, 1);
	turns(w, 1);
	world_off(w);
}

static void
a1_close_and_reuse(void)
{
	struct worker *w = world_on(C);

	if (world_kill(w, node)) {
		turns(w, 2);
		world_born(w, 2, 2);
		world_input(w, 2, 2, 2);
	}
	world_off(w);
}

static void
a1_check(void)
{
	if (!got(1) && world_missed == 0)
		explore_fail("packet 1 is lost");
	world_rest();
}

/* ---- a2: the same tuple is opened anew ---- */

static void
a2_close_and_reopen(void)
{
	struct worker *w = world_on(C);

	if (world_kill(w, node))
		world_born(w, 1, 2);
	turns(w, 1);
	world_off(w);
}

static void
a2_receive(void)
{
	struct worker *w = world_on(R);

	world_input(w, 1, 0, 1);
	world_input(w, 1, 0, 2);
	turns(w, 1);
	world_off(w);
}

static void
a2_check(void)
{
	if (world_got[1] > world_got[2] && got(2))
		explore_fail("packet 2 was delivered to an older conversation than packet 1");
	world_rest();
}

/* ---- backlog: two bring packets for one node ---- */

static void
backlog_r(void)
{
	struct worker *w = world_on(R);

	world_input(w, 1, 1, 1);
	world_input(w, 1, 1, 2);
	world_off(w);
}

static void
backlog_q(void)
{
	struct worker *w = world_on(Q);

	world_input(w, 1, 1, 3);
	world_input(w, 1, 1, 4);
	world_off(w);
}

static void
backlog_check(void)
{
	for (uint32_t s = 1; s <= 4; s++)
		expect_got(s);
	expect_order(1, 2);
	expect_order(3, 4);
	world_rest();
}

/* ---- death: one packet is the node's last, another comes at the same time ---- */

static void
death_setup(void)
{
	setup_one();
	node->echo_dead = true;
}

static void
death_r(void)
{
	struct worker *w = world_on(R);

	world_input(w, 1, 1, 1);
	world_off(w);
}

static void
death_q(void)
{
	struct worker *w = world_on(Q);

	world_input(w, 1, 1, 2);
	world_off(w);
}

static void
death_check(void)
{
	if (world_ngot != 1 || world_missed != 1)
		explore_fail(
			"%u delivered, %u met nobody: 1 and 1 is right", world_ngot, world_missed);
	world_rest();
}

/* ---- c7: the first packets of one tuple race ---- */

static void
make_on_miss(struct worker *w, struct rte_mbuf *m)
{
	struct world_node *n = world_made(w, pkt_of(m)->key.k.rport_be, w->id + 1);
	struct conv_node *winner;

	if (conv_publish(w, &n->cn, 0, &winner) != 0) {
		conv_put(w, winner);
		conv_abandon(w, &n->cn);
	}
	conv_again(w, m);
}

static void
publish_setup(void)
{
	world_on_miss = make_on_miss;
}

static void
publish_r(void)
{
	struct worker *w = world_on(R);

	world_input(w, 3, 0, 1);
	world_off(w);
}

static void
publish_q(void)
{
	struct worker *w = world_on(Q);

	world_input(w, 3, 0, 2);
	world_off(w);
}

static void
publish_check(void)
{
	expect_got(1);
	expect_got(2);
	if (world_got[1] != world_got[2] || ipht_count(conv_ipht(ct)) != 1)
		explore_fail("two conversations of one tuple");
	world_rest();
}

/* ---- replace: half-open becomes a conversation ---- */

static void
replace_by(struct worker *w, struct world_node *n, struct rte_mbuf *m)
{
	struct world_node *young;

	if (n->life != 1 || pkt_of(m)->tcp.seq != 1)
		return;
	young = world_made(w, n->port, 2);
	if (conv_replace(w, &n->cn, &young->cn, 0) != 0)
		explore_fail("the node that we are inside of is not in the table");
}

static void
replace_setup(void)
{
	setup_one();
	world_on_input = replace_by;
}

static void
replace_r(void)
{
	struct worker *w = world_on(R);

	world_input(w, 1, 0, 1);
	world_off(w);
}

static void
replace_q(void)
{
	struct worker *w = world_on(Q);

	world_input(w, 1, 0, 2);
	world_input(w, 1, 0, 3);
	world_off(w);
}

static void
replace_check(void)
{
	for (uint32_t s = 1; s <= 3; s++)
		expect_got(s);
	if (world_missed != 0)
		explore_fail("for a moment the tuple was unknown");
	world_rest();
}

/* ---- timers: armed here, moved there ---- */

static unsigned fired;

static void
count_timer(struct worker *w, struct world_node *n, uint64_t bits)
{
	(void)w;
	(void)n;
	fired += (bits & NODE_TIMER) != 0;
}

static void
timer_setup(void)
{
	struct worker *w = world_worker(R);

	setup_one();
	fired = 0;
	world_on_work = count_timer;
	if (conv_enter(w, &node->cn) != CONV_IN)
		explore_fail("nobody else is here");
	conv_timer_set(w, &node->cn, w->now_ms + 100);
	conv_leave(w, &node->cn);
}

static void
timer_owner(void)
{
	struct worker *w = world_on(R);

	turns(w, 2);
	world_off(w);
}

static void
timer_mover(void)
{
	struct worker *w = world_on(Q);

	if (conv_enter(w, &node->cn) == CONV_IN) { /* else the timer is faster */
		conv_timer_set(w, &node->cn, w->now_ms + 1);
		conv_leave(w, &node->cn);
	}
	world_off(w);
}

static void
timer_check(void)
{
	for (unsigned i = 0; i < 3; i++)
		turns(world_worker(R), 1);
	if (fired != 1)
		explore_fail("the timer fired %u times", fired);
	world_rest();
}

/* Its owner stops it while another moves it: who was inside last has his way. */
static bool stopped_last, was_set;

static void
timer_stopper(void)
{
	struct worker *w = world_on(R);

	if (conv_enter(w, &node->cn) == CONV_IN) {
		conv_timer_stop(w, &node->cn);
		stopped_last = true;
		conv_leave(w, &node->cn);
	}
	turns(w, 1);
	world_off(w);
}

static void
timer_setter(void)
{
	struct worker *w = world_on(Q);

	if (conv_enter(w, &node->cn) == CONV_IN) {
		conv_timer_set(w, &node->cn, w->now_ms + 1);
		was_set = true;
		stopped_last = false;
		conv_leave(w, &node->cn);
	}
	turns(w, 1);
	world_off(w);
}

static void
timer_stop_setup(void)
{
	stopped_last = was_set = false;
	timer_setup();
}

static void
timer_stop_check(void)
{
	for (unsigned i = 0; i < 3; i++) {
		turns(world_worker(R), 1);
		turns(world_worker(Q), 1);
	}
	/* The 100 ms of the start are not over: nobody who was busy left it to fire. */
	if (fired > 1 || (fired == 0 && was_set && !stopped_last))
		explore_fail("the timer fired %u times", fired);
	world_rest();
}

static void
timer_killer(void)
{
	struct worker *w = world_on(C);

	world_kill(w, node);
	world_off(w);
}

static void
timer_dead_check(void)
{
	if (fired > 1)
		explore_fail("the timer fired %u times", fired);
	world_rest();
}

/* ---- kicks, and a hang-up from the control thread ---- */

static void
control_hangs_up(void)
{
	struct worker *w = world_on(WORLD_CONTROL);
	struct conv_node *cn = conv_by_handle(ct, handle);

	if (cn != NULL) {
		conv_post(ct, Q, cn, NODE_HANGUP);
		conv_put(w, cn);
	}
	world_off(w);
}

static void
kicker(void)
{
	struct worker *w = world_on(Q);
	struct conv_node *cn = conv_by_handle(ct, handle);

	if (cn != NULL) {
		conv_kick(w, cn, NODE_KICK);
		conv_put(w, cn);
	}
	turns(w, 2);
	world_off(w);
}

static void
hangup_check(void)
{
	if (conv_live(ct, NODE_CONV) != 0)
		turns(world_worker(Q), 2);
	for (unsigned i = 0; i <= WORLD_WORKERS; i++)
		turns(world_worker(i), 2);
	if (conv_by_handle(ct, handle) != NULL)
		explore_fail("the hang-up was forgotten");
	world_rest();
}

/* ---- d3: a handle of the past ---- */

static void
handle_user(void)
{
	struct worker *w = world_on(WORLD_CONTROL);
	struct world_node *n = (struct world_node *)conv_by_handle(ct, handle);

	if (n != NULL) {
		if (n->life != 1)
			explore_fail("a handle of life 1 gave life %u", n->life);
		conv_put(w, &n->cn);
	}
	world_off(w);
}

/* ---- listing while nodes come and go ---- */

static uint32_t first_slot;

static void
listing_setup(void)
{
	first_slot = world_next_slot(ct, NODE_CONV);
	setup_one();
}

static void
lister(void)
{
	struct worker *w = world_on(WORLD_CONTROL);
	uint32_t slot = first_slot, end = first_slot + SLOTS_SEEN;
	struct conv_node *cn;

	while (slot < end && (cn = conv_next(ct, &slot, end - slot)) != NULL) {
		if (((struct world_node *)cn)->life == 0)
			explore_fail("a node that is not built was listed");
		conv_put(w, cn);
	}
	world_off(w);
}

static void
birth_and_death(void)
{
	struct worker *w = world_on(Q);
	struct world_node *n = world_born(w, 5, 5);

	turns(w, 1);
	world_kill(w, n);
	turns(w, 2);
	world_off(w);
}

/* ---- e4: two timers are due, and somebody is inside one's node ---- */

static struct world_node *other;

static void
e4_setup(void)
{
	struct worker *w = world_on(Q);
	struct world_node *n[2];

	n[0] = node = world_born(w, 1, 1);
	n[1] = other = world_born(w, 2, 2);
	for (unsigned i = 0; i < 2; i++) {
		if (conv_enter(w, &n[i]->cn) != CONV_IN)
			explore_fail("nobody else is here");
		conv_timer_set(w, &n[i]->cn, w->now_ms + 1);
		conv_leave(w, &n[i]->cn);
	}
	world_off(w);
}

static void
e4_owner(void)
{
	struct worker *w = world_on(Q);

	turns(w, 1);
	if (other->timers != 1)
		explore_fail("a timer waited for another node's");
	turns(w, 1);
	world_off(w);
}

static void
e4_check(void)
{
	turns(world_worker(Q), 1);
	if (node->timers != 1 || other->timers != 1)
		explore_fail("timers fired %u and %u times", node->timers, other->timers);
	world_rest();
}

/* ---- e2_put_off: a deadline that is put off moves earlier ---- */

static uint32_t base_ms;

static void
put_off_setup(void)
{
	struct worker *w = world_worker(R);

	timer_setup();
	base_ms = w->now_ms;
	if (conv_enter(w, &node->cn) != CONV_IN)
		explore_fail("nobody else is here");
	conv_timer_set(w, &node->cn, base_ms + 2);
	conv_timer_set(w, &node->cn, base_ms + 100); /* later: R looks at it at 2 nevertheless */
	conv_leave(w, &node->cn);
}

static void
put_off_mover(void)
{
	struct worker *w = world_on(Q);

	if (conv_enter(w, &node->cn) == CONV_IN) {
		conv_timer_set(w, &node->cn, base_ms + 4);
		conv_leave(w, &node->cn);
	}
	world_off(w);
}

/* ---- kicks: two want one node to run ---- */

static void
kick_and_turn(unsigned i)
{
	struct worker *w = world_on(i);

	conv_kick(w, &node->cn, NODE_KICK);
	turns(w, 1);
	world_off(w);
}

static void
kicks_r(void)
{
	kick_and_turn(R);
}

static void
kicks_q(void)
{
	kick_and_turn(Q);
}

static void
kicks_check(void)
{
	char fault[256] = "";

	turns(world_worker(R), 1);
	turns(world_worker(Q), 1);
	if (conv_check(ct, fault, sizeof(fault)) != 0)
		explore_fail("a kick was forgotten: %s", fault);
	if (node->kicks == 0)
		explore_fail("a kick was forgotten");
	world_rest();
}

/* ---- next: who is inside wants to come back, and others come meanwhile ---- */

static void
next_kick(struct worker *w, struct world_node *n, struct rte_mbuf *m)
{
	(void)m;
	conv_kick_next(w, &n->cn);
}

static void
next_input(unsigned i, uint32_t serial)
{
	struct worker *w = world_on(i);

	world_input(w, 1, 1, serial);
	turns(w, 1);
	world_off(w);
}

static void
next_r(void)
{
	next_input(R, 1);
}

static void
next_q(void)
{
	next_input(Q, 2);
}

static void
next_setup(void)
{
	setup_one();
	world_on_input = next_kick;
}

/* ---- g1: two are inside one node each, and want the other's to run ---- */

static void
g1_kick_other(struct worker *w, struct world_node *n, struct rte_mbuf *m)
{
	(void)m;
	conv_kick(w, n == node ? &other->cn : &node->cn, NODE_KICK);
}

static void
g1_setup(void)
{
	struct worker *w = world_on(R);

	node = world_born(w, 1, 1);
	other = world_born(w, 2, 2);
	world_off(w);
	world_on_input = g1_kick_other;
}

static void
g1_r(void)
{
	struct worker *w = world_on(R);

	world_input(w, 1, 1, 1);
	turns(w, 1);
	world_off(w);
}

static void
g1_q(void)
{
	struct worker *w = world_on(Q);

	world_input(w, 2, 2, 2);
	turns(w, 1);
	world_off(w);
}

static void
g1_check(void)
{
	turns(world_worker(R), 1);
	turns(world_worker(Q), 1);
	if (node->kicks != 1 || other->kicks != 1)
		explore_fail("kicked %u and %u times", node->kicks, other->kicks);
	world_rest();
}

#define TWO(a, b)      .threads = 2, .thread = {a, b}
#define THREE(a, b, c) .threads = 3, .thread = {a, b, c}

const struct explore_scenario scenarios[] = {
	{"reuse", "found, closed, its slot used again for another tuple",
		TWO(a1_receive, a1_close_and_reuse), .setup = setup_one,
		.label = {"receive", "close"}, .check = a1_check,
		.must_meet = {"pre_enter", "retire_pre_grace", "reclaim"}},
	{"reopen", "found, closed, the same tuple opened anew",
		TWO(a2_receive, a2_close_and_reopen), .setup = setup_one,
		.label = {"receive", "close"}, .check = a2_check,
		.must_meet = {"pre_enter", "close_pre_unhash"}},
	{"backlog", "two workers bring packets for one node", TWO(backlog_r, backlog_q),
		.setup = setup_one, .label = {"receive", "receive too"}, .check = backlog_check,
		.must_meet = {"push", "drain"}},
	{"death", "a node's last packet, and another at the same time", TWO(death_r, death_q),
		.setup = death_setup, .label = {"receive", "receive too"}, .check = death_check,
		.must_meet = {"close_post_unhash", "push"}},
	{"births", "the first two packets of a tuple", TWO(publish_r, publish_q),
		.setup = publish_setup, .label = {"receive", "receive too"}, .check = publish_check,
		.must_meet = {"pre_table_insert"}},
	{"replace", "a node takes another's place while packets come", TWO(replace_r, replace_q),
		.setup = replace_setup, .label = {"receive", "receive too"}, .check = replace_check,
		.must_meet = {"close_post_unhash"}},
	{"e2", "a deadline moves earlier on another worker", TWO(timer_owner, timer_mover),
		.setup = timer_setup, .label = {"owner", "mover"}, .check = timer_check,
		.must_meet = {"post timer", "timer_fire"}},
	{"e7_stop", "a timer is stopped by its owner and moved by another",
		TWO(timer_stopper, timer_setter), .setup = timer_stop_setup,
		.label = {"stop", "set"}, .check = timer_stop_check, .must_meet = {"stop"}},
	{"e7", "a timer fires while its node dies", TWO(timer_owner, timer_killer),
		.setup = timer_setup, .label = {"owner", "close"}, .check = timer_dead_check,
		.must_meet = {"cancel"}},
	{"e4", "two timers are due, and somebody is inside one's node", TWO(a1_receive, e4_owner),
		.setup = e4_setup, .label = {"inside", "owner"}, .check = e4_check,
		.must_meet = {"timer_ready", "timer_fire"}},
	{"e2_put_off", "a timer is put off, and its deadline moves earlier",
		TWO(timer_owner, put_off_mover), .setup = put_off_setup,
		.label = {"owner", "mover"}, .check = timer_check,
		.must_meet = {"put off", "look again"}},
	{"kicks", "two want one node to run", TWO(kicks_r, kicks_q), .setup = setup_one,
		.label = {"kick", "kick too"}, .check = kicks_check,
		.must_meet = {"kick", "unlink kick"}},
	{"next", "two want to come back to the node that they are inside of", TWO(next_r, next_q),
		.setup = next_setup, .label = {"receive", "receive too"}, .check = kicks_check,
		.must_meet = {"leave work standing", "unlink kick", "push"}},
	{"next_hangup", "control hangs up what a worker wants to come back to",
		TWO(next_r, control_hangs_up), .setup = next_setup, .label = {"receive", "control"},
		.check = hangup_check, .must_meet = {"leave work standing", "post"}},
	{"g1", "two are inside one node each, and kick the other's", TWO(g1_r, g1_q),
		.setup = g1_setup, .label = {"first", "second"}, .check = g1_check,
		.must_meet = {"kick"}},
	{"hangup", "control hangs up what is kicked and receives",
		THREE(backlog_r, kicker, control_hangs_up), .setup = setup_one,
		.label = {"receive", "kick", "control"}, .check = hangup_check,
		.must_meet = {"post", "kick"}},
	{"d1", "a handle outlives its conversation and its slot's next",
		TWO(handle_user, a1_close_and_reuse), .setup = setup_one,
		.label = {"control", "close"}, .check = world_rest,
		.must_meet = {"get by handle", "reclaim"}},
	{"listing", "the slab is walked while nodes come and go", TWO(lister, birth_and_death),
		.setup = listing_setup, .label = {"control", "worker"}, .check = world_rest,
		.must_meet = {"mark listed", "look at generation", "get by handle"}},
	{.name = NULL},
};
