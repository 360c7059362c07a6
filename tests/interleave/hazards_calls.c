/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Hazards of births: calls that come while their listener goes, or is not there yet; conversations that are found
 * before they are complete; two for one tuple.
 */
#include <errno.h>
#include <netinet/in.h>

#include "host.h"
#include "scenarios.h"
#include "world.h"

#define R          0
#define Q          1
#define OTHER_PORT 81
#define SLOTS_SEEN 2 /* of each kind, from the one that is taken next */

static const struct host_peer x = {1, 1, true, IPPROTO_TCP, HOST_PORT};
static const struct host_peer y = {2, 0, false, IPPROTO_TCP, OTHER_PORT};
static const struct host_peer ux = {3, 0, false, IPPROTO_UDP, HOST_PORT};
static const struct host_peer uy = {4, 1, true, IPPROTO_UDP, OTHER_PORT};
static const struct host_peer far_x = {5, 0, true, IPPROTO_TCP, 2005};
static const struct host_peer far_u = {6, 1, false, IPPROTO_UDP, 2006};

static struct conv_handle handle;
static int result[HOST_WORKERS];
static uint32_t next_slot[NODE_KINDS];
static unsigned hangup_worker; /* who is asked to hang up what has the next slot */

static struct host_seen *
seen(const struct host_peer *p)
{
	return &host_seen[p->number];
}

static struct worker *
worker(unsigned i)
{
	return stack_seat(host, i);
}

static void
control_ticks(unsigned n)
{
	for (; n > 0; n--)
		host_control_tick();
}

/** Both workers look once more; outside of schedules. */
static void
settle(void)
{
	for (unsigned n = 0; n < 2; n++)
		for (unsigned w = 0; w < HOST_WORKERS; w++) {
			host_on(w);
			host_turns(w, 1);
			host_off(w);
		}
}

static void
one_udp(unsigned i, const struct host_peer *p, unsigned serial)
{
	host_on(i);
	host_udp(i, p, 0, serial);
	host_turns(i, 2);
	host_off(i);
}

static void
expect_got(const struct host_peer *p, unsigned serial)
{
	if (seen(p)->got[serial] == 0)
		explore_fail("payload %u of peer %u was not delivered", serial, p->number);
}

static void
setup_none(void)
{
	host_begin();
	for (unsigned k = 0; k < NODE_KINDS; k++)
		next_slot[k] = world_next_slot(stack_convs(host), k);
}

/** X has sent SYN and has SYN-ACK. */
static void
setup_half_open(void)
{
	host_begin();
	host_on(R);
	host_tcp(R, &x, TCP_SYN, HOST_IRS, 0);
	host_turns(R, 1);
	host_off(R);
	if (seen(&x)->syn_acks != 1)
		explore_fail("no SYN-ACK");
}

/** The last ACK of the handshake. */
static void
end_handshake(void)
{
	host_on(R);
	host_tcp(R, &x, TCP_ACK, HOST_IRS + 1, seen(&x)->seq + 1);
	host_turns(R, 2);
	host_off(R);
}

/* ---- a10: the listener that was found goes, and another takes its memory ---- */

static void
a10_call(void)
{
	host_on(R);
	host_tcp(R, &x, TCP_SYN, HOST_IRS, 0);
	host_turns(R, 1);
	if (seen(&x)->syn_acks > 0) {
		host_tcp(R, &x, TCP_ACK, HOST_IRS + 1, seen(&x)->seq + 1);
		host_turns(R, 1);
	}
	host_off(R);
}

static void
a10_close_and_listen(void)
{
	host_unlisten(HOST_TCP);
	control_ticks(2);
	host_listener[HOST_OTHER] = host_listen(IPPROTO_TCP, OTHER_PORT);
}

static void
a10_check(void)
{
	unsigned resets;

	settle();
	resets = seen(&x)->resets;
	host_on(Q);
	host_call(Q, &y);
	host_tcp(Q, &x, TCP_SYN, HOST_IRS + 5000, 0);
	host_turns(Q, 1);
	host_off(Q);
	if (seen(&y)->lives != 1)
		explore_fail("the listener of port %u takes no call", OTHER_PORT);
	if (seen(&x)->lives == 0 && seen(&x)->resets == resets)
		explore_fail("a call to a closed port is not refused");
	host_rest();
}

/* ---- a11, f5: the listener goes before its call is complete ---- */

static void
a11_close(void)
{
	host_unlisten(HOST_TCP);
	control_ticks(2);
}

static void
a11_check(void)
{
	struct conv_node *cn;

	settle();
	cn = host_node(&x);
	if (seen(&x)->lives == 0 && cn != NULL)
		explore_fail("a call of a closed listener goes on, and nobody has accepted it");
	if (seen(&x)->lives == 0 && seen(&x)->resets == 0)
		explore_fail("nobody has told the peer");
	if (seen(&x)->lives > 0 && cn == NULL)
		explore_fail("an accepted call went with its listener");
	host_rest();
}

static void
f5_born(struct worker *w, struct conv *c)
{
	(void)w;
	if (c->listener == host_listener[HOST_TCP] && host_seen[7].lives != 0)
		explore_fail("a new listener inherits the handshake of the one before");
}

static void
f5_setup(void)
{
	setup_half_open();
	host_on_born = f5_born;
}

static void
f5_close_and_listen(void)
{
	host_unlisten(HOST_TCP);
	host_listener[HOST_TCP] = host_listen(IPPROTO_TCP, HOST_PORT);
	host_seen[7].lives = 1; /* from now on it is the new one */
	control_ticks(2);
}

static void
a11_udp_close(void)
{
	host_unlisten(HOST_UDP);
	control_ticks(2);
}

static void
a11_udp_call(void)
{
	one_udp(R, &ux, 1);
}

static void
a11_udp_check(void)
{
	settle();
	if (seen(&ux)->got[1] == 0 && host_seen[0].unreachables != 1)
		explore_fail("neither delivered nor refused");
	host_rest();
}

static void
f5_syn_again(void)
{
	host_on(R);
	host_late(1100); /* SYN-ACK is due again, too */
	host_tcp(R, &x, TCP_SYN, HOST_IRS, 0);
	host_turns(R, 1);
	host_off(R);
}

static void
f5_syn_check(void)
{
	unsigned resets;

	settle();
	resets = seen(&x)->resets;
	host_late(1100);
	f5_syn_again();
	if (seen(&x)->resets == resets)
		explore_fail("a half-open call goes on without its listener");
	host_rest();
}

/* ---- a12: a call for a listener that is announced and not open ---- */

static void
a12_call(void)
{
	one_udp(R, &uy, 1);
}

static void
a12_listen(void)
{
	host_listener[HOST_OTHER] = host_listen(IPPROTO_UDP, OTHER_PORT);
}

static void
a12_check(void)
{
	if (seen(&uy)->got[1] == 0 && host_seen[0].unreachables != 1)
		explore_fail("neither delivered nor refused");
	one_udp(Q, &uy, 2);
	expect_got(&uy, 2);
	host_rest();
}

/* ---- b1: data for a conversation that is just being born ---- */

static void
b1_data(void)
{
	host_on(Q);
	host_tcp_data(Q, &x, HOST_IRS + 1, seen(&x)->seq + 1, 1, 1);
	host_turns(Q, 1);
	host_off(Q);
}

static void
b1_check(void)
{
	settle();
	expect_got(&x, 1);
	if (seen(&x)->lives != 1 || seen(&x)->resets != 0)
		explore_fail("%u conversations, %u resets", seen(&x)->lives, seen(&x)->resets);
	host_rest();
}

/* ---- b3: hung up at once, and nothing is left in the table ---- */

static void
b3_call(void)
{
	one_udp(R, &ux, 1);
}

static void
b3_hang_up(void)
{
	uint32_t slot = next_slot[NODE_CONV];
	struct conv_node *cn;

	stack_control_online(host);
	cn = conv_next(stack_convs(host), &slot, SLOTS_SEEN);
	if (cn != NULL) {
		(void)stack_hangup(host, conv_handle(stack_convs(host), cn));
		conv_put(stack_control(host), cn);
	}
	stack_control_offline(host);
	control_ticks(1);
}

static void
b3_check(void)
{
	unsigned refused = host_seen[0].unreachables;

	settle();
	expect_got(&ux, 1);
	one_udp(Q, &uy, 2); /* nobody listens there */
	if (host_seen[0].unreachables != refused + 1)
		explore_fail("a datagram for a closed port was not refused");
	one_udp(Q, &ux, 3);
	expect_got(&ux, 3);
	host_rest();
}

/* ---- b4: a listing meets only what is complete ---- */

static void
b4_births(void)
{
	host_on(R);
	host_udp(R, &ux, 0, 1);
	host_tcp(R, &x, TCP_SYN, HOST_IRS, 0);
	host_turns(R, 1);
	host_tcp(R, &x, TCP_ACK, HOST_IRS + 1, seen(&x)->seq + 1);
	host_turns(R, 1);
	host_off(R);
}

static void
b4_look(struct conv_node *cn)
{
	struct key tcp = host_key(&x), udp = host_key(&ux);
	struct conv_status st;

	stack_conv_status(host, cn, &st);
	if (!key_equal(&st.key, &tcp) && !key_equal(&st.key, &udp))
		explore_fail("a listing shows a tuple that nobody has");
	if (st.proto[0] == 0 || st.state[0] == 0)
		explore_fail("a listing shows what is not built");
	if (conv_kind(cn) == NODE_CONV && (st.service[0] == 0 || st.listener[0] == 0))
		explore_fail("a listing shows a conversation that is not built");
}

static void
b4_list(void)
{
	struct conv_table *t = stack_convs(host);

	stack_control_online(host);
	for (unsigned k = NODE_CONV; k <= NODE_HALF_OPEN; k++) {
		uint32_t slot = next_slot[k], end = slot + SLOTS_SEEN;
		struct conv_node *cn;

		while (slot < end && (cn = conv_next(t, &slot, end - slot)) != NULL) {
			b4_look(cn);
			conv_put(stack_control(host), cn);
		}
	}
	stack_control_offline(host);
}

static void
b4_check(void)
{
	if (seen(&x)->lives != 1)
		explore_fail("the call did not come about");
	expect_got(&ux, 1);
	host_rest();
}

/* ---- b5: an answer as fast as can be ---- */

static void
b5_say(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);

	if (m != NULL && rte_pktmbuf_append(m, 16) != NULL)
		c->proto->write(w, c, m);
}

static void
b5_answer(const struct host_peer *p)
{
	if (p->number == far_u.number && seen(&far_u)->sent == 1)
		host_udp(Q, &far_u, 1, 1);
}

static void
b5_setup(void)
{
	host_begin();
	host_on_born = b5_say;
	host_on_sent = b5_answer;
}

static void
b5_connect(void)
{
	struct conv *c;

	host_on(R);
	if (host_connect(R, &far_u, &c) == 0) {
		host_turns(R, 1);
		conv_put(worker(R), &c->cn);
	}
	host_off(R);
}

static void
b5_receive(void)
{
	host_on(Q);
	host_turns(Q, 2);
	host_off(Q);
}

static void
b5_check(void)
{
	settle();
	expect_got(&far_u, 1);
	if (host_seen[0].unreachables != 0)
		explore_fail("the answer to our datagram was refused");
	host_rest();
}

/* ---- b6: a handle that is guessed, before the conversation is in the table ---- */

static void
b6_setup(void)
{
	const struct conv_table *t = stack_convs(host);
	uint32_t slot;

	setup_none();
	/* What is taken next: its generation grew when it was given back. */
	slot = next_slot[NODE_CONV] - t->slab[NODE_CONV].first;
	handle = conv_handle(t, conv_node_at(t, (uint32_t)NODE_CONV << NODE_ID_KIND_SHIFT | slot));
	hangup_worker = slot % HOST_WORKERS;
}

/** The hang-up is another worker's work than the birth. */
static void
b6_call(void)
{
	one_udp(1 - hangup_worker, &ux, 1);
}

static void
b6_other(void)
{
	host_on(hangup_worker);
	host_turns(hangup_worker, 2);
	host_off(hangup_worker);
}

static void
b6_hang_up(void)
{
	host_hangup(handle);
}

static void
b6_check(void)
{
	settle();
	expect_got(&ux, 1);
	one_udp(Q, &ux, 2);
	expect_got(&ux, 2);
	host_rest();
}

/* ---- c6: two want one tuple ---- */

static void
c6_connect(unsigned i, const struct host_peer *p)
{
	struct conv *c;

	host_on(i);
	result[i] = host_connect(i, p, &c);
	host_turns(i, 1);
	if (result[i] == 0)
		conv_put(worker(i), &c->cn);
	host_off(i);
}

static void
c6_r(void)
{
	c6_connect(R, &far_x);
}

static void
c6_q(void)
{
	c6_connect(Q, &far_x);
}

static void
c6_check(void)
{
	if (result[R] + result[Q] != -EADDRINUSE || (result[R] != 0 && result[Q] != 0))
		explore_fail("two connects gave %d and %d", result[R], result[Q]);
	if (seen(&far_x)->sent != 1)
		explore_fail("%u SYNs went out", seen(&far_x)->sent);
	host_rest();
}

static void
c6_called(void)
{
	host_on(R);
	host_tcp(R, &x, TCP_SYN, HOST_IRS, 0);
	host_turns(R, 1);
	host_off(R);
}

static void
c6_calls(void)
{
	c6_connect(Q, &x);
}

static void
c6_child_check(void)
{
	if (result[Q] != 0 && result[Q] != -EADDRINUSE)
		explore_fail("connect gave %d", result[Q]);
	if (ipht_count(conv_ipht(stack_convs(host))) != 1)
		explore_fail("%u nodes for one tuple", ipht_count(conv_ipht(stack_convs(host))));
	if (seen(&x)->syn_acks == 0)
		explore_fail("the SYN of peer %u was not answered", x.number);
	host_rest();
}

/* ---- c7: the first packets of one tuple, on two workers ---- */

static void
c7_r(void)
{
	one_udp(R, &ux, 1);
}

static void
c7_q(void)
{
	one_udp(Q, &ux, 2);
}

static void
c7_check(void)
{
	if (seen(&ux)->got[1] != 1 || seen(&ux)->got[2] != 1 || seen(&ux)->lives != 1 ||
		ipht_count(conv_ipht(stack_convs(host))) != 1)
		explore_fail("two conversations of one tuple: lives %u and %u", seen(&ux)->got[1],
			seen(&ux)->got[2]);
	host_rest();
}

static void
c7_syn_q(void)
{
	host_on(Q);
	host_tcp(Q, &x, TCP_SYN, HOST_IRS, 0);
	host_turns(Q, 1);
	host_off(Q);
}

static void
c7_syn_check(void)
{
	if (ipht_count(conv_ipht(stack_convs(host))) != 1 || seen(&x)->syn_acks == 0)
		explore_fail("%u calls of one tuple, %u SYN-ACKs",
			ipht_count(conv_ipht(stack_convs(host))), seen(&x)->syn_acks);
	end_handshake();
	if (seen(&x)->lives != 1)
		explore_fail("the call did not come about");
	host_rest();
}

/* ---- d5: what a conversation has of its listener lives as long as it does ---- */

static void
d5_setup(void)
{
	host_begin();
	one_udp(Q, &ux, 1);
}

static void
d5_receive(void)
{
	one_udp(R, &ux, 2);
}

static void
d5_close_and_listen(void)
{
	host_unlisten(HOST_UDP);
	control_ticks(3);
	host_listener[HOST_OTHER] = host_listen(IPPROTO_UDP, OTHER_PORT);
}

static void
d5_check(void)
{
	one_udp(Q, &ux, 3);
	expect_got(&ux, 2);
	expect_got(&ux, 3);
	host_rest();
}

#define TWO(a, b)      .threads = 2, .thread = {a, b}
#define THREE(a, b, c) .threads = 3, .thread = {a, b, c}

const struct explore_scenario hazards_calls[] = {
	{"a10", "a listener goes while it is looked at, and another takes its memory",
		TWO(a10_call, a10_close_and_listen), .setup = setup_none,
		.label = {"call", "control"}, .check = a10_check,
		.must_meet = {"pre_newcall", "close listener", "half_open_evict"}},
	{"a11", "a listener goes before its call is accepted", TWO(end_handshake, a11_close),
		.setup = setup_half_open, .label = {"call", "control"}, .check = a11_check,
		.must_meet = {"close listener", "half_open_evict", "post_newcall_pre_init"}},
	{"a11_udp", "the same for a datagram", TWO(a11_udp_call, a11_udp_close),
		.setup = setup_none, .label = {"call", "control"}, .check = a11_udp_check,
		.must_meet = {"close listener", "pre_newcall", "post_newcall_pre_init"}},
	{"a12", "a call for a listener that is announced and not open", TWO(a12_call, a12_listen),
		.setup = setup_none, .label = {"call", "control"}, .check = a12_check,
		.must_meet = {"announced_not_open", "pre_newcall"}},
	{"b1", "data for a conversation that is being born", TWO(end_handshake, b1_data),
		.setup = setup_half_open, .label = {"handshake", "data"}, .check = b1_check,
		.must_meet = {"post_newcall_pre_init"}},
	{"b3", "a conversation is hung up as it is born", TWO(b3_call, b3_hang_up),
		.setup = setup_none, .label = {"call", "control"}, .check = b3_check,
		.must_meet = {"pre_table_insert", "mark listed", "get by handle"}},
	{"b4", "a listing while conversations are born", TWO(b4_births, b4_list),
		.setup = setup_none, .label = {"births", "list"}, .check = b4_check,
		.must_meet = {"post_newcall_pre_init", "look at generation"}},
	{"b5", "the answer comes as soon as the question is out", TWO(b5_connect, b5_receive),
		.setup = b5_setup, .label = {"connect", "receive"}, .check = b5_check,
		.must_meet = {"pre_table_insert", "output_mid"}},
	{"b6", "hung up by a guessed handle before it is in the table",
		THREE(b6_call, b6_other, b6_hang_up), .setup = b6_setup,
		.label = {"call", "other", "control"}, .check = b6_check,
		.must_meet = {"post_newcall_pre_init", "look at generation", "get by handle"}},
	{"c6", "two connect to one peer from one port", TWO(c6_r, c6_q), .setup = setup_none,
		.label = {"connect", "connect too"}, .check = c6_check,
		.must_meet = {"pre_table_insert"}},
	{"c6_child", "a call comes from whom we call", TWO(c6_called, c6_calls),
		.setup = setup_none, .label = {"called", "calls"}, .check = c6_child_check,
		.must_meet = {"pre_table_insert", "post_newcall_pre_init"}},
	{"c7", "UDP: a peer's first two datagrams on two workers", TWO(c7_r, c7_q),
		.setup = setup_none, .label = {"receive", "receive too"}, .check = c7_check,
		.must_meet = {"pre_newcall", "pre_table_insert"}},
	{"c7_syn", "TCP: one SYN twice on two workers", TWO(c6_called, c7_syn_q),
		.setup = setup_none, .label = {"receive", "receive too"}, .check = c7_syn_check,
		.must_meet = {"pre_newcall", "pre_table_insert"}},
	{"d5", "a listener goes while its conversation lives", TWO(d5_receive, d5_close_and_listen),
		.setup = d5_setup, .label = {"receive", "control"}, .check = d5_check,
		.must_meet = {"close listener", "pre_enter"}},
	{"f5", "a listener goes and comes while a call is half open",
		TWO(end_handshake, f5_close_and_listen), .setup = f5_setup,
		.label = {"call", "control"}, .check = a11_check,
		.must_meet = {"close listener", "half_open_evict"}},
	{"f5_syn", "a listener goes, and a half-open call's SYN comes again",
		TWO(f5_syn_again, a11_close), .setup = setup_half_open,
		.label = {"call", "control"}, .check = f5_syn_check,
		.must_meet = {"close listener", "half_open_evict"}},
	{.name = NULL},
};
