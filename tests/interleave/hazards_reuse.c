/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Hazards A: a worker has found the conversation of one peer, and stops; meanwhile it is closed, and another one takes
 * its slot, or its tuple. Whole stacks: X over IPv4 on one interface, Y over IPv6 on the other.
 */
#include <netinet/in.h>

#include "host.h"
#include "scenarios.h"

#define R 0 /* who has found it */
#define Q 1 /* who closes it, and opens the next */

static const struct host_peer x = {1, 0, false, IPPROTO_TCP, HOST_PORT};
static const struct host_peer y = {2, 1, true, IPPROTO_TCP, HOST_PORT};
static const struct host_peer ux = {3, 0, false, IPPROTO_UDP, HOST_PORT};
static const struct host_peer uy = {4, 1, true, IPPROTO_UDP, HOST_PORT};
/* Peers that we call. */
static const struct host_peer far_x = {5, 0, true, IPPROTO_TCP, 2005};
static const struct host_peer far_y = {6, 1, false, IPPROTO_TCP, 2006};

static struct conv *held; /* a reference of the scenario's own, or NULL */
static uint32_t forged_ack; /* lies in Y's window */
static struct conv_handle handle;

static struct host_seen *
seen(const struct host_peer *p)
{
	return &host_seen[p->number];
}

static void
expect_untouched(const struct host_peer *p)
{
	const struct host_seen *s = seen(p);

	if (s->lives > 0 && s->hangups + s->failed > 0)
		explore_fail(
			"peer %u did nothing and was ended (%s)", p->number, conv_end_name(s->end));
}

static void
expect_got(const struct host_peer *p, unsigned serial)
{
	if (seen(p)->got[serial] == 0)
		explore_fail("payload %u of peer %u was not delivered", serial, p->number);
}

static struct worker *
worker(unsigned i)
{
	return stack_seat(host, i);
}

/** Give back what the scenario holds, on worker i. */
static void
let_go(unsigned i)
{
	struct conv *c = held;

	held = NULL;
	if (c != NULL)
		conv_put(worker(i), &c->cn);
}

static void
setup_tcp(void)
{
	struct key k = host_key(&y);

	host_begin();
	host_on(Q);
	host_call(Q, &x);
	handle = conv_handle(stack_convs(host), host_node(&x));
	forged_ack = tcp_isn(worker(Q), &k) + 1;
	host_off(Q);
}

/** Timers are Q's, too: none of them keeps the slot from being free. */
static void
setup_udp(void)
{
	host_begin();
	host_on(Q);
	host_udp(Q, &ux, 1, 0);
	host_turns(Q, 1);
	host_off(Q);
}

/** The conversation of p ends by its peer's RST. */
static void
reset(unsigned i, const struct host_peer *p)
{
	host_tcp(i, p, TCP_RST, HOST_IRS + 1, 0);
	host_turns(i, 3); /* and its slot is free, if nobody looks at it */
}

/* ---- a1: TCP, the race that convd is made against ---- */

static void
a1_receive(void)
{
	host_on(R);
	/* In X, and in Y, behind what Y says first. */
	host_tcp_data(R, &x, HOST_IRS + 1 + HOST_PAYLOAD, forged_ack, 1, 1);
	host_turns(R, 1);
	host_off(R);
}

static void
a1_close_and_reuse(void)
{
	host_on(Q);
	reset(Q, &x);
	host_call(Q, &y);
	host_tcp_data(Q, &y, HOST_IRS + 1, seen(&y)->seq + 1, 1, 2);
	host_turns(Q, 1);
	host_off(Q);
}

static void
a1_check(void)
{
	expect_got(&y, 2);
	expect_untouched(&y);
	host_rest();
}

/* ---- a2: UDP, where nothing is asked but the tuple ---- */

static void
a2_receive(void)
{
	host_on(R);
	host_udp(R, &ux, 0, 1);
	host_udp(R, &ux, 0, 2);
	host_turns(R, 1);
	host_off(R);
}

static void
a2_close_and_reuse(void)
{
	host_on(Q);
	host_unreachable(Q, &ux, 0); /* a hard error ends it */
	host_turns(Q, 3);
	host_udp(Q, &uy, 1, 3);
	host_turns(Q, 1);
	host_off(Q);
}

static void
a2_check(void)
{
	expect_got(&ux, 1);
	expect_got(&ux, 2);
	expect_got(&uy, 3);
	expect_untouched(&uy);
	if (seen(&ux)->got[1] > seen(&ux)->got[2])
		explore_fail("a datagram overtook another into an older conversation");
	host_rest();
}

/* ---- a4, a5: an ICMP error meant for X ---- */

static void
call_far_x(unsigned i)
{
	host_begin();
	host_on(i);
	if (host_connect(i, &far_x, &held) != 0)
		explore_fail("no way to peer %u", far_x.number);
	host_turns(i, 1);
	let_go(i);
	host_turns(i, 1);
	host_off(i);
}

static void
a4_setup(void)
{
	call_far_x(Q);
}

/** The error that X is due, and others that would be about Y, whenever it calls (RFC 5927 asks for a right number). */
static void
a4_advise(void)
{
	struct worker then = *worker(Q);
	struct key k = host_key(&far_y);

	host_on(R);
	host_unreachable(R, &far_x, seen(&far_x)->seq);
	for (unsigned n = 0; n < 8; n++, then.now_us += HOST_TURN_US)
		host_unreachable(R, &far_x, tcp_isn(&then, &k));
	host_turns(R, 1);
	host_off(R);
}

static void
a4_close_and_reuse(void)
{
	struct conv *c;

	host_on(Q);
	host_tcp(Q, &far_x, TCP_RST | TCP_ACK, 0, seen(&far_x)->seq + 1);
	host_turns(Q, 3);
	if (host_connect(Q, &far_y, &c) == 0) {
		host_turns(Q, 1);
		host_tcp(Q, &far_y, TCP_SYN | TCP_ACK, HOST_IRS, seen(&far_y)->seq + 1);
		host_turns(Q, 1);
		conv_put(worker(Q), &c->cn);
	}
	host_off(Q);
}

static void
a4_check(void)
{
	if (seen(&far_y)->connected != 1)
		explore_fail("the call to peer %u did not come about", far_y.number);
	if (seen(&far_x)->failed != 1)
		explore_fail(
			"the call to peer %u failed %u times", far_x.number, seen(&far_x)->failed);
	expect_untouched(&far_y);
	host_rest();
}

static void
a5_advise(void)
{
	host_on(R);
	host_unreachable(R, &ux, 0);
	host_turns(R, 1);
	host_off(R);
}

static void
a5_check(void)
{
	expect_got(&uy, 3);
	expect_untouched(&uy);
	host_rest();
}

/* ---- a7: a kick, asked for while it lived ---- */

static void
a7_setup(void)
{
	setup_tcp();
	held = conv_of(host_node(&x));
	conv_hold(&held->cn);
}

/** One that is paired with X wants it to run: its reference is all that it has. */
static void
a7_kick(void)
{
	host_on(R);
	conv_kick(worker(R), &held->cn, NODE_KICK);
	let_go(R);
	host_turns(R, 2);
	host_off(R);
}

static void
a7_check(void)
{
	expect_got(&y, 2);
	if (seen(&y)->kicked != 0)
		explore_fail("a kick for peer 1 came to peer 2");
	expect_untouched(&y);
	host_rest();
}

/* ---- a8: it is closed with much to send, and reset meanwhile ---- */

static void
a8_write_and_close(struct worker *w, struct conv *c)
{
	for (unsigned i = 0; i < 3; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);

		if (m == NULL || rte_pktmbuf_append(m, 1400) == NULL)
			explore_fail("no buffer left: one was lost");
		c->proto->write(w, c, m);
	}
	c->proto->close(w, c);
}

static void
a8_setup(void)
{
	setup_tcp();
	host_on_recv = a8_write_and_close;
}

static void
a8_close(void)
{
	host_on(R);
	host_tcp_data(R, &x, HOST_IRS + 1, seen(&x)->seq + 1, 1, 1);
	host_turns(R, 2);
	host_off(R);
}

static void
a8_reset_and_connect(void)
{
	struct conv *c;

	host_on(Q);
	host_tcp(Q, &x, TCP_RST, HOST_IRS + 1, 0);
	host_turns(Q, 3);
	if (host_connect(Q, &far_y, &c) == 0) {
		host_turns(Q, 1);
		host_tcp(Q, &far_y, TCP_SYN | TCP_ACK, HOST_IRS, seen(&far_y)->seq + 1);
		host_turns(Q, 1);
		conv_put(worker(Q), &c->cn);
	}
	host_off(Q);
}

static void
a8_check(void)
{
	if (seen(&far_y)->connected != 1)
		explore_fail("the call to peer %u did not come about", far_y.number);
	expect_untouched(&far_y);
	host_rest();
}

/* ---- a9: what comes late for X must not poison a fresh Y ---- */

static void
a9_receive(void)
{
	host_on(R);
	host_tcp(R, &x, TCP_RST, HOST_IRS + 1, 0);
	host_tcp(R, &x, TCP_ACK, HOST_IRS + 1, forged_ack);
	host_turns(R, 1);
	host_off(R);
}

/* ---- a13: Y takes the slot in the middle of what is done for X ---- */

static void
a13_answer(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);

	if (m != NULL && rte_pktmbuf_append(m, 64) != NULL)
		c->proto->write(w, c, m);
}

static void
a13_setup(void)
{
	setup_udp();
	host_on_recv = a13_answer;
}

static void
a13_check(void)
{
	if (seen(&ux)->got[1] != seen(&ux)->got[2])
		explore_fail("a burst was delivered to two conversations");
	a2_check();
}

/* ---- d3: a handle outlives its conversation ---- */

static void
d3_control(void)
{
	host_hangup(handle);
	host_control_tick();
}

static void
d3_check(void)
{
	expect_got(&y, 2);
	expect_untouched(&y);
	host_rest();
	if (host_hangup(handle) == 0)
		explore_fail("a handle of the past names something");
}

/* ---- h5: nothing of X is found in Y ---- */

static void
h5_clean(struct worker *w, struct conv *c)
{
	const struct tcp_conv *tc = (const struct tcp_conv *)c;

	(void)w;
	if (tc->rcvq.head != NULL || tc->sndq.head != NULL || tc->bytes_in + tc->bytes_out != 0 ||
		tc->retransmits != 0)
		explore_fail("bytes of an earlier tenant");
}

static void
h5_setup(void)
{
	setup_tcp();
	host_on_born = h5_clean;
}

static void
h5_receive(void)
{
	host_on(R);
	host_tcp_data(R, &x, HOST_IRS + 1, seen(&x)->seq + 1, 1, 1);
	host_turns(R, 1);
	host_off(R);
}

/* ---- e1: X's timer is due, and Y has its slot ---- */

static void
e1_setup(void)
{
	call_far_x(R);
}

static void
e1_timer(void)
{
	host_on(R);
	host_late(1100); /* SYN-SENT: to be sent again after a second */
	host_turns(R, 1);
	host_off(R);
}

static void
e1_check(void)
{
	if (seen(&far_y)->sent > 2) /* SYN, ACK */
		explore_fail("a timer of peer %u made peer %u hear %u segments", far_x.number,
			far_y.number, seen(&far_y)->sent);
	a4_check();
}

/* ---- g6: who waits for a call to come about is told, once ---- */

static void
g6_setup(void)
{
	a4_setup();
	handle = conv_handle(stack_convs(host), host_node(&far_x));
}

static void
g6_control(void)
{
	host_hangup(handle);
	host_control_tick();
}

static void
g6_answer(void)
{
	host_on(Q);
	host_tcp(Q, &far_x, TCP_SYN | TCP_ACK, HOST_IRS, seen(&far_x)->seq + 1);
	host_turns(Q, 2);
	host_off(Q);
}

static void
g6_refuse(void)
{
	host_on(R);
	host_unreachable(R, &far_x, seen(&far_x)->seq);
	host_turns(R, 2);
	host_off(R);
}

static void
g6_check(void)
{
	const struct host_seen *s = seen(&far_x);

	host_rest();
	if (s->connected + s->failed != 1 || s->hangups != s->connected)
		explore_fail("told %u times of success, %u of failure, %u of the end", s->connected,
			s->failed, s->hangups);
}

#define TWO(a, b)      .threads = 2, .thread = {a, b}
#define THREE(a, b, c) .threads = 3, .thread = {a, b, c}

const struct explore_scenario hazards_reuse[] = {
	{"a1", "TCP: found, closed, its slot used again for another tuple",
		TWO(a1_receive, a1_close_and_reuse), .setup = setup_tcp,
		.label = {"receive", "reuse"}, .check = a1_check,
		.must_meet = {"pre_enter", "close_post_unhash", "retire_pre_grace", "reclaim"}},
	{"a2", "UDP: found, closed, its slot used again for another tuple",
		TWO(a2_receive, a2_close_and_reuse), .setup = setup_udp,
		.label = {"receive", "reuse"}, .check = a2_check,
		.must_meet = {"pre_enter", "close_pre_unhash", "retire_pre_grace", "reclaim"}},
	{"a4", "an ICMP error for a call in SYN-SENT, and another one in its slot",
		TWO(a4_advise, a4_close_and_reuse), .setup = a4_setup, .label = {"advise", "reuse"},
		.check = a4_check, .must_meet = {"advise_match", "pre_enter", "reclaim"}},
	{"a5", "an ICMP error for a UDP conversation, and another one in its slot",
		TWO(a5_advise, a2_close_and_reuse), .setup = setup_udp,
		.label = {"advise", "reuse"}, .check = a5_check,
		.must_meet = {"advise_match", "pre_enter", "reclaim"}},
	{"a7", "a kick for what has been closed", TWO(a7_kick, a1_close_and_reuse),
		.setup = a7_setup, .label = {"kick", "reuse"}, .check = a7_check,
		.must_meet = {"kick", "unlink kick", "reclaim"}},
	{"a8", "reset in the middle of close's output", TWO(a8_close, a8_reset_and_connect),
		.setup = a8_setup, .label = {"close", "reset"}, .check = a8_check,
		.must_meet = {"output_mid", "close_pre_unhash", "reclaim"}},
	{"a9", "a late RST and ACK, and a fresh conversation", TWO(a9_receive, a1_close_and_reuse),
		.setup = setup_tcp, .label = {"receive", "reuse"}, .check = a1_check,
		.must_meet = {"pre_enter", "reclaim"}},
	{"a13", "its slot used again in the middle of its output",
		TWO(a2_receive, a2_close_and_reuse), .setup = a13_setup,
		.label = {"receive", "reuse"}, .check = a13_check,
		.must_meet = {"output_mid", "close_pre_unhash", "reclaim"}},
	{"d3", "a handle outlives its conversation and meets its slot's next",
		TWO(d3_control, a1_close_and_reuse), .setup = setup_tcp,
		.label = {"control", "reuse"}, .check = d3_check,
		.must_meet = {"look at generation", "get by handle", "reclaim"}},
	{"e1", "a timer of one that is closed, and another one in its slot",
		TWO(e1_timer, a4_close_and_reuse), .setup = e1_setup, .label = {"timer", "reuse"},
		.check = e1_check, .must_meet = {"timer_ready", "timer_fire", "cancel", "reclaim"}},
	{"g6", "an active open: answered, refused and hung up at once",
		THREE(g6_refuse, g6_answer, g6_control), .setup = g6_setup,
		.label = {"refuse", "answer", "control"}, .check = g6_check,
		.must_meet = {"advise_match", "post"}},
	{"h5", "nothing of one tenant is left to the next", TWO(h5_receive, a1_close_and_reuse),
		.setup = h5_setup, .label = {"receive", "reuse"}, .check = a1_check,
		.must_meet = {"pre_enter", "reclaim"}},
	{.name = NULL},
};
