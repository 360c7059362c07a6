/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * One seed of the mix: opens what was drawn, wakes who waits, changes the link, and judges what became of it all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coverage.h"
#include "mix.h"
#include "services.h"

#define START_US 3000000 /* IPv6 addresses are tentative at first (RFC 4862) */

/* ---- listeners ---- */

static struct talk *
mix_call(void *arg, const struct key *k)
{
	struct mix *x = arg;
	unsigned i = ntohs(k->lport_be) - MIX_PORT_TALK;

	return i < MIX_TCP ? &x->conv[i].b : NULL;
}

static void
mix_listen(struct mix *x, unsigned host)
{
	struct prefix us[2] = {{.len = 96 + 24}, {.len = 64}};
	struct listener_conf lc[] = {
		{.name = "echo",
			.proto = IPPROTO_TCP,
			.port_lo = MIX_PORT_ECHO,
			.service = &svc_echo},
		{.name = "talk",
			.proto = IPPROTO_TCP,
			.port_lo = MIX_PORT_TALK,
			.port_hi = MIX_PORT_TALK + MIX_TCP - 1,
			.service = &talk_service,
			.options = &x->hall[host]},
		{.name = "denied",
			.proto = IPPROTO_TCP,
			.port_lo = MIX_PORT_DENIED,
			.service = &svc_echo,
			.deny = us,
			.ndeny = 2},
		{.name = "echo_u",
			.proto = IPPROTO_UDP,
			.port_lo = MIX_PORT_ECHO,
			.service = &svc_echo},
		{.name = "one",
			.proto = IPPROTO_UDP,
			.port_lo = MIX_PORT_ONE,
			.service = &svc_echo,
			.one = true},
		{.name = "lazy",
			.proto = IPPROTO_UDP,
			.port_lo = MIX_PORT_LAZY,
			.service = &mix_lazy},
	};

	key_map_v4(us[0].addr, inet_addr("10.9.0.0"));
	inet_pton(AF_INET6, "fd09::", us[1].addr);
	x->hall[host] = (struct talk_hall){mix_call, x, 0};
	for (unsigned i = 0; i < RTE_DIM(lc); i++) {
		if (lc[i].port_hi == 0)
			lc[i].port_hi = lc[i].port_lo;
		/* Past that many, SYN cookies. */
		lc[i].half_open = x->tight ? 1 : 64;
		if (stack_listen(sim_stack(x->s, host), &lc[i], NULL) != 0)
			abort();
	}
}

/* ---- what happens when ---- */

static uint64_t
mix_now(const struct mix *x)
{
	return sim_now_us(x->s) - x->start_us;
}

static unsigned
mix_seat(struct mix *x, unsigned host)
{
	return (unsigned)(sim_random(x->s) % stack_seats(sim_stack(x->s, host)));
}

static struct key
mix_key(const struct mix *x, const struct mix_conv *k)
{
	unsigned i = (unsigned)(k - x->conv);
	struct key key = sim_key_to(1 - k->host, k->v6, IPPROTO_TCP, (uint16_t)(MIX_PORT_TALK + i));

	if (k->open_at_once)
		key.rport_be = key.lport_be = htons((uint16_t)(MIX_PORT_OPEN + i));
	switch (k->kind) {
	case MIX_ECHO:
		key.rport_be = htons(MIX_PORT_ECHO);
		break;
	case MIX_REUSE:
		key.lport_be = htons((uint16_t)(MIX_PORT_REUSED + i));
		break;
	case MIX_REFUSED:
		key.rport_be = htons(MIX_PORT_CLOSED);
		break;
	case MIX_DENIED:
		key.rport_be = htons(MIX_PORT_DENIED);
		break;
	default:
		break;
	}
	return key;
}

static int
mix_open_side(struct mix *x, const struct mix_conv *k, unsigned host, struct talk *t)
{
	struct key key = mix_key(x, k);

	if (host != k->host)
		memcpy(key.raddr, sim_key_to(k->host, k->v6, 0, 0).raddr, 16);
	return talk_open(stack_seat(sim_stack(x->s, host), mix_seat(x, host)), t, &key);
}

static void
mix_open(struct mix *x, struct mix_conv *k)
{
	int err = mix_open_side(x, k, k->host, &k->a);

	if (err == 0 && k->open_at_once)
		err = mix_open_side(x, k, 1 - k->host, &k->b);
	if (err == 0) {
		k->open_us = 0;
		k->opens++;
	} else if (err == -ENOMEM || err == -EADDRINUSE) {
		/* The limit, or what is left of the last time: soon again. */
		k->open_us = mix_now(x) + 20000;
	} else {
		abort();
	}
}

static bool
mix_exact(const struct mix_conv *k)
{
	bool a = talk_exact(&k->a), b = k->kind == MIX_ECHO || talk_exact(&k->b);

	return (a && b) || (a && talk_unheard(&k->b)) || (b && talk_unheard(&k->a));
}

/** All SYN-ACKs, or ACKs of them, were lost: the call is over, and its client finds out when it speaks. */
static bool
mix_lost_call(const struct mix_conv *k)
{
	return k->kind < MIX_EXACT_KINDS && k->kind != MIX_ECHO && k->a.open && !k->b.open &&
		k->a.received == 0 &&
		(!k->a.over || k->a.why == CONV_END_RESET || k->a.why == CONV_END_HANGUP);
}

static void
mix_kill(struct mix *x, struct mix_conv *k)
{
	struct talk *t = k->kill_host == k->host ? &k->a : &k->b;

	if (t->c == NULL && !t->over && !k->a.over)
		return; /* not there yet */
	k->kill_us = 0;
	if (t->c != NULL)
		conv_post(stack_convs(sim_stack(x->s, k->kill_host)), mix_seat(x, k->kill_host),
			&t->c->cn, NODE_HANGUP);
}

static void
mix_conv_tick(struct mix *x, struct mix_conv *k, uint64_t now)
{
	if (k->open_us != 0 && k->open_us <= now)
		mix_open(x, k);
	if (k->a.wake_us != 0 && k->a.wake_us <= sim_now_us(x->s))
		talk_wake(sim_stack(x->s, k->host), mix_seat(x, k->host), &k->a);
	if (k->b.wake_us != 0 && k->b.wake_us <= sim_now_us(x->s))
		talk_wake(sim_stack(x->s, 1 - k->host), mix_seat(x, 1 - k->host), &k->b);
	if (k->kill_us != 0 && k->kill_us <= now && k->open_us == 0)
		mix_kill(x, k);
	talk_release(sim_stack(x->s, k->host), &k->a);
	talk_release(sim_stack(x->s, 1 - k->host), &k->b);
	if (k->rounds > 0 && mix_exact(k)) {
		k->rounds--;
		talk_renew(&k->a);
		talk_renew(&k->b);
		k->open_us = now;
	}
}

/** Others have all the room and keep it: who has not come in by now never will. */
static bool
mix_no_room(const struct mix *x)
{
	return x->tight && mix_now(x) > 60000000;
}

static bool
mix_conv_over(const struct mix *x, const struct mix_conv *k)
{
	if (mix_no_room(x) && k->open_us != 0)
		return true;
	if (k->open_us != 0 || k->kill_us != 0)
		return false;
	if (k->kind == MIX_ORPHAN || k->kind == MIX_REFUSED)
		return k->a.over;
	/* Of one that was torn a side may never hear of it. */
	if (k->kind >= MIX_EXACT_KINDS)
		return k->a.over || k->b.over;
	if (k->a.over)
		return k->kind == MIX_ECHO || k->b.over || !k->b.open;
	/* The last ACK of its handshake was lost each time; a client that only listens never hears of it. */
	return k->a.open && !k->b.open && k->kind != MIX_ECHO &&
		sim_now_us(x->s) > k->a.opened_us + 100000000;
}

static bool
mix_tick(void *arg)
{
	struct mix *x = arg;
	uint64_t now = mix_now(x);
	bool over = true;

	for (unsigned i = 0; i < x->nevents; i++)
		if (x->event[i].at_us != 0 && x->event[i].at_us <= now) {
			x->event[i].at_us = 0;
			sim_link_set(x->s, x->event[i].from, &x->event[i].link);
		}
	for (unsigned i = 0; i < MIX_TCP; i++) {
		mix_conv_tick(x, &x->conv[i], now);
		over &= mix_conv_over(x, &x->conv[i]);
	}
	for (unsigned i = 0; i < MIX_UDP; i++) {
		struct mix_udp *u = &x->udp[i];

		if (u->over) {
			if (u->c != NULL)
				conv_put(stack_control(sim_stack(x->s, u->host)), &u->c->cn);
			u->c = NULL;
		} else if (u->c == NULL && u->wake_us <= now) {
			/* Somebody else has the port that it asked for. */
			if (mix_udp_open(x, u) != 0)
				u->wake_us = now + 500000;
		} else if (u->c != NULL && u->wake_us != 0 && u->wake_us <= sim_now_us(x->s)) {
			mix_udp_wake(x, u);
		}
		over &= u->over || (u->sent == 0 && mix_no_room(x));
	}
	return over;
}

/* ---- the end ---- */

static bool
mix_conv_ok(const struct mix *x, const struct mix_conv *k)
{
	uint64_t wrong = k->a.wrong + k->b.wrong;

	/* An ACK that overtakes the first one is none of a cookie's, and is answered with RST. */
	if (x->tight && k->a.over && k->a.why == CONV_END_RESET && k->a.received == 0)
		return true;
	if (x->tight && (k->a.over || k->opens == 0) && k->a.received == 0 && !k->b.open)
		return true;
	if (x->tight && k->open_us != 0)
		return true; /* and so does a later round */
	if (k->kind < MIX_EXACT_KINDS)
		return mix_lost_call(k) || (k->rounds == 0 && mix_exact(k));
	if (!k->a.over || (k->b.open && !k->b.over) || wrong != 0)
		return false;
	switch (k->kind) {
	case MIX_REFUSED:
		return !k->a.open && (k->a.why == CONV_END_REFUSED || k->a.why == CONV_END_TIMEOUT);
	case MIX_DENIED:
		return !k->a.open;
	case MIX_ORPHAN:
		return k->a.why == CONV_END_TIMEOUT && k->b.received == k->b.plan.peer_total;
	case MIX_HANGUP:
		return k->a.left && k->a.why == CONV_END_HANGUP;
	default:
		return true;
	}
}

static void
talk_print(const char *side, const struct talk *t)
{
	printf("    %s: open %d sent %lu of %lu received %lu of %lu wrong %lu eof %d left %d over %d (%s) opened %lu over %lu\n",
		side, t->open, t->sent, t->plan.total, t->received, t->plan.peer_total, t->wrong,
		t->eof, t->left, t->over, t->over ? conv_end_name(t->why) : "-", t->opened_us,
		t->over_us);
}

static int
mix_judge(struct mix *x)
{
	int err = 0;

	for (unsigned i = 0; i < MIX_TCP; i++) {
		const struct mix_conv *k = &x->conv[i];

		x->unheard += talk_unheard(&k->a) + talk_unheard(&k->b);
		x->unheard += !x->tight && mix_lost_call(k);
		if (mix_conv_ok(x, k))
			continue;
		err = -1;
		printf("  %u: %s IPv%c from host %u, opened %u times, port %u\n", i,
			mix_kind_name(k->kind), k->v6 ? '6' : '4', k->host, k->opens,
			MIX_PORT_TALK + i);
		talk_print("a", &k->a);
		talk_print("b", &k->b);
	}
	for (unsigned i = 0; i < MIX_UDP; i++) {
		char what[160];

		if ((x->tight && x->udp[i].sent == 0) || mix_udp_ok(&x->udp[i], what, sizeof(what)))
			continue;
		err = -1;
		printf("  %s\n", what);
	}
	for (unsigned h = 0; h < 2; h++)
		/* A cookie is good for more than one conversation: an old ACK that comes again makes another. */
		if (x->hall[h].strays != 0 && !x->tight) {
			err = -1;
			printf("  host %u: %lu calls of nobody\n", h, x->hall[h].strays);
		}
	return err;
}

/** Those whose other side was torn away hear of it now. */
static void
mix_hangup(struct mix *x)
{
	for (unsigned i = 0; i < MIX_TCP; i++) {
		struct mix_conv *k = &x->conv[i];

		if (k->kind < MIX_EXACT_KINDS && !x->tight && !mix_lost_call(k))
			continue;
		k->kill_host = k->host;
		mix_kill(x, k);
		k->kill_host = 1 - k->host;
		if (k->b.c != NULL)
			mix_kill(x, k);
	}
}

static void
mix_forget(struct mix *x)
{
	for (unsigned i = 0; i < MIX_TCP; i++) {
		struct mix_conv *k = &x->conv[i];

		talk_release(sim_stack(x->s, k->host), &k->a);
		talk_release(sim_stack(x->s, 1 - k->host), &k->b);
	}
	for (unsigned i = 0; i < MIX_UDP; i++)
		if (x->udp[i].c != NULL)
			conv_put(stack_control(sim_stack(x->s, x->udp[i].host)), &x->udp[i].c->cn);
}

int
mix_seed(uint64_t seed, const char *pcapng, struct coverage *cov, struct mix_result *ret)
{
	static struct mix mix;
	struct mix *x = &mix;
	char fault[512];
	int err = 0;

	mix_draw(x, seed);
	x->conf.pcapng = pcapng;
	x->s = sim_create(&x->conf);
	mix_listen(x, 0);
	mix_listen(x, 1);
	sim_run(x->s, START_US, NULL, NULL);
	x->start_us = sim_now_us(x->s);
	if (!sim_run(x->s, MIX_LIMIT_US, mix_tick, x)) {
		printf("seed %lu: not over after %lu s\n", seed, MIX_LIMIT_US / 1000000);
		err = -1;
	}
	mix_hangup(x);
	sim_run(x->s, 1000000, NULL, NULL);
	if (mix_judge(x) != 0)
		err = -1;
	if (sim_fault(x->s) !=
		NULL) { /* nothing can be trusted any more, the way to the end neither */
		printf("seed %lu: %s\n", seed, sim_fault(x->s));
		abort();
	}
	for (unsigned h = 0; h < 2; h++) {
		stack_drain(sim_stack(x->s, h));
		if (err != 0)
			stack_hangup_all(sim_stack(x->s, h));
	}
	sim_run(x->s, 1000000, NULL, NULL);
	mix_forget(x);
	if (cov != NULL)
		for (unsigned h = 0; h < 2; h++)
			coverage_add(cov, sim_stack(x->s, h));
	ret->trace = sim_trace(x->s);
	ret->unheard += x->unheard;
	ret->frames += sim_counters(x->s)->sent;
	ret->steps += sim_counters(x->s)->steps;
	if (sim_free(x->s, fault, sizeof(fault)) != 0) {
		printf("seed %lu: %s\n", seed, fault);
		err = -1;
	}
	return err;
}
