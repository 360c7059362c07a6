/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Hosts, time, and the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcapng.h"
#include "sim_priv.h"
#include "tso.h"

#define QUIET_US 200000000 /* time that time-wait, idle UDP and reassembly get to end */

_Noreturn void
sim_fail(const char *what, int err)
{
	fprintf(stderr, "simulator: %s: %s\n", what, strerror(-err));
	abort();
}

uint64_t
sim_random(struct sim *s)
{
	return worker_random(&s->rng);
}

static uint64_t
sim_clock(void *arg)
{
	return ((struct sim_host *)arg)->sim->now_us;
}

uint64_t
sim_now_us(const struct sim *s)
{
	return s->now_us;
}

const struct sim_counters *
sim_counters(const struct sim *s)
{
	return &s->c;
}

uint64_t
sim_trace(const struct sim *s)
{
	return s->trace;
}

const char *
sim_fault(const struct sim *s)
{
	return s->fault[0] != 0 ? s->fault : NULL;
}

void
sim_link_set(struct sim *s, unsigned from, const struct sim_link *link)
{
	s->conf.link[from] = *link;
}

/* ---- a host's port ---- */

static void
sim_piece(void *arg, const uint8_t *frame, uint32_t len)
{
	struct sim_host *h = arg;

	if (len > SIM_FRAME_MAX)
		sim_fail("frame longer than any MTU", -EMSGSIZE);
	link_send(h->sim, h, frame, len);
}

static uint16_t
sim_tx(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct sim_host *h = arg;
	uint32_t mtu = h->sim->conf.mtu != 0 ? h->sim->conf.mtu : 1500;

	(void)worker;
	(void)ifc;
	for (uint16_t i = 0; i < n; i++) {
		const char *fault = tso_cut(m[i], mtu, sim_piece, h);

		if (fault != NULL)
			sim_fail(fault, -EINVAL);
		if (!h->sim->conf.tso[h->number] && (m[i]->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0)
			sim_fail("a packet to be cut, over a port that does not", -EINVAL);
		if (h->number == 1)
			rte_pktmbuf_free(m[i]);
		else if (!held_put(&h->held, m[i]))
			sim_fail("a frame has changed while the port had it", -EFAULT);
	}
	return n;
}

static uint16_t
sim_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct sim_host *h = arg;
	uint16_t i = 0;

	(void)ifc;
	(void)queue;
	/* Bursts of random length, so that grouping sees all sizes, and with a queue per worker each gets what it finds. */
	if (n > 1)
		n = (uint16_t)(1 + sim_random(h->sim) % n);
	while (i < n && h->inbox != NULL) {
		struct sim_frame *f = h->inbox;
		struct rte_mbuf *to = rte_pktmbuf_alloc(stack_mempool(h->stack));

		h->inbox = f->next;
		if (h->inbox == NULL)
			h->inbox_end = &h->inbox;
		if (to == NULL) {
			h->sim->c.no_mbuf++;
		} else {
			memcpy(rte_pktmbuf_append(to, (uint16_t)f->len), f->b, f->len);
			m[i++] = to;
			h->sim->c.delivered++;
		}
		free(f);
	}
	return i;
}

/* ---- hosts ---- */

static void
host_address(struct sim_host *h, unsigned ifc, const char *text, uint8_t prefix_len)
{
	uint8_t addr[16];
	struct in_addr v4;
	int err;

	if (inet_pton(AF_INET, text, &v4) == 1)
		key_map_v4(addr, v4.s_addr);
	else
		inet_pton(AF_INET6, text, addr);
	err = ip_address_add(stack_ip(h->stack), ifc, addr, prefix_len);
	if (err != 0)
		sim_fail(text, err);
}

static struct stack *
host_stack(struct sim_host *h, uint16_t mtu)
{
	const struct sim_conf *c = &h->sim->conf;
	uint32_t convs = c->conversations != 0 ? c->conversations : 256;
	static unsigned made;
	char name[9];
	struct stack_conf sc = {
		.name = name,
		.workers = h->workers,
		.seats = h->workers,
		.spread = c->spread,
		.limit_conversations = convs,
		.limit_half_open = convs,
		.limit_time_wait = c->time_wait != 0 ? c->time_wait : convs,
		.limit_fragments = c->fragments != 0 ? c->fragments : 64,
		.listeners = 512,
		.mbufs = c->mbufs != 0 ? c->mbufs : 4096,
		.mbuf_data_room = (uint16_t)(RTE_PKTMBUF_HEADROOM + RTE_MAX(mtu + 100, 2048)),
		.udp_idle_ms = c->udp_idle_ms,
		.tcp = c->tcp,
		.seed = sim_random(h->sim),
		.virtual_workers = true,
		.socket_id = SOCKET_ID_ANY,
		.io = {sim_rx, sim_tx, sim_clock, h, NULL},
	};
	struct stack *s;
	int err = 0;

	snprintf(name, sizeof(name), "s%u", made++ % SIM_MILLION);
	s = stack_create(&sc, &err);
	if (s == NULL)
		sim_fail("stack_create", err);
	return s;
}

static void
host_create(struct sim *s, unsigned number)
{
	struct sim_host *h = &s->host[number];
	struct ip_ifc_conf ifc = {
		.name = "sim",
		.mac = {{2, 0, 0, 0, 9, (uint8_t)(1 + number)}},
		.mtu = s->conf.mtu != 0 ? s->conf.mtu : 1500,
		.off = {.multi_segs = true, .tso_segs = s->conf.tso[number] ? IP_TSO_SEGS : 0},
	};
	int err, n;

	h->sim = s;
	h->number = number;
	h->workers = s->conf.workers[number];
	h->inbox_end = &h->inbox;
	h->stack = host_stack(h, ifc.mtu);
	n = stack_ifc_add(h->stack, &ifc, s->conf.spread == STACK_SPREAD_RSS ? h->workers : 1);
	if (n < 0)
		sim_fail("stack_ifc_add", n);
	host_address(h, (unsigned)n, number == 0 ? "10.9.0.1" : "10.9.0.2", 24);
	host_address(h, (unsigned)n, number == 0 ? "fd09::1" : "fd09::2", 64);
	ip_ifc_link(stack_ip(h->stack), (unsigned)n, true);
	err = stack_start(h->stack);
	if (err != 0)
		sim_fail("stack_start", err);
	for (unsigned w = 0; w < h->workers; w++)
		stack_worker_join(h->stack, w);
	stack_control_join(h->stack);
}

struct sim *
sim_create(const struct sim_conf *conf)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (s == NULL)
		sim_fail("simulator", -ENOMEM);
	s->conf = *conf;
	s->now_us = 1000000;
	worker_seed(&s->rng, conf->seed);
	worker_seed(&s->deals, ~conf->seed);
	if (conf->pcapng != NULL) {
		s->pcapng = pcapng_open(conf->pcapng);
		if (s->pcapng == NULL)
			sim_fail(conf->pcapng, -errno);
	}
	host_create(s, 0);
	host_create(s, 1);
	return s;
}

struct stack *
sim_stack(struct sim *s, unsigned host)
{
	return s->host[host].stack;
}

/* ---- time ---- */

static void
sim_arrive(struct sim *s)
{
	struct sim_frame *f;

	while ((f = link_arrived(s)) != NULL) {
		struct sim_host *h = &s->host[f->host];

		if (s->pcapng != NULL)
			pcapng_packet(s->pcapng, h->number, PCAPNG_IN, f->at_us, f->b, f->len);
		f->next = NULL;
		*h->inbox_end = f;
		h->inbox_end = &f->next;
	}
}

/** Workers of both hosts, in random order; some are late by a step. @return events handled */
static unsigned
sim_turns(struct sim *s)
{
	unsigned order[2 * WORKER_MAX], n = 0, done = 0;

	for (unsigned h = 0; h < 2; h++)
		for (unsigned w = 0; w < s->host[h].workers; w++)
			order[n++] = h * WORKER_MAX + w;
	for (unsigned i = n; i > 1; i--) {
		unsigned j = (unsigned)(sim_random(s) % i), t = order[i - 1];

		order[i - 1] = order[j];
		order[j] = t;
	}
	for (unsigned i = 0; i < n; i++) {
		if (n > 2 && sim_random(s) % 8 == 0)
			continue;
		done += stack_turn(s->host[order[i] / WORKER_MAX].stack, order[i] % WORKER_MAX);
		/* Clocks of workers differ. */
		if (done > 0)
			s->now_us += sim_random(s) % 3;
	}
	return done;
}

/** How long nothing will happen: until the next frame or timer. */
static uint64_t
sim_quiet_us(struct sim *s)
{
	uint64_t quiet = 100000;

	if (s->nflying > 0) {
		if (s->flying[0]->at_us <= s->now_us)
			return 1;
		quiet = RTE_MIN(quiet, s->flying[0]->at_us - s->now_us);
	}
	for (unsigned h = 0; h < 2; h++) {
		if (s->host[h].inbox != NULL)
			return 1;
		for (unsigned w = 0; w < s->host[h].workers; w++) {
			uint64_t ms = stack_worker_idle_ms(s->host[h].stack, w, 100);

			/* 0: what has retired waits to be a batch, or the worker is late. */
			quiet = RTE_MIN(quiet, ms != 0 ? ms * 1000 : 1 + sim_random(s) % 100);
		}
	}
	return quiet;
}

/** After every step: each packet is accounted for (I10), no packet reached a node of another key (I5). */
static int
sim_check_sums(struct stack *stack, char *what, size_t len)
{
	struct stack_stats st;

	stack_stats(stack, &st);
	if (st.missing == 0 && st.conv.recheck_failed == 0)
		return 0;
	snprintf(what, len, "I10, I5: %ld of %lu received packets are missing, %lu were astray",
		st.missing, st.sum.received, st.conv.recheck_failed);
	return -1;
}

static void
sim_check(struct sim *s)
{
	bool whole = s->conf.check_every != 0 && s->c.steps % s->conf.check_every == 0;

	if (s->conf.check_every == 0 || s->fault[0] != 0)
		return;
	s->c.checks += whole;
	for (unsigned h = 0; h < 2; h++) {
		struct stack *stack = s->host[h].stack;
		char what[200];

		if ((whole ? stack_check : sim_check_sums)(stack, what, sizeof(what)) == 0)
			continue;
		snprintf(s->fault, sizeof(s->fault), "host %u at %lu us: %s", h, s->now_us, what);
		if (s->pcapng != NULL && pcapng_close(s->pcapng) != 0)
			sim_fail(s->conf.pcapng, -EIO);
		s->pcapng = NULL;
		return;
	}
}

/** Workers come and go: some, perhaps all, of a host's are to serve its seats from now on. */
static void
sim_deal(struct sim *s)
{
	for (unsigned h = 0; h < 2; h++) {
		const struct sim_host *host = &s->host[h];
		int err;

		if (worker_random(&s->deals) % 50 != 0)
			continue;
		err = stack_workers_set(
			host->stack, 1 + (unsigned)(worker_random(&s->deals) % host->workers));
		if (err != 0)
			sim_fail("stack_workers_set", err);
		s->c.deals++;
	}
}

void
sim_step(struct sim *s, uint64_t limit_us)
{
	uint64_t forward;

	if (s->conf.deal)
		sim_deal(s);
	sim_arrive(s);
	if (sim_turns(s) > 0)
		forward = 1 + sim_random(s) % 20;
	else
		forward = RTE_MAX(sim_quiet_us(s), UINT64_C(1));
	s->c.steps++;
	sim_check(s);
	s->now_us = RTE_MIN(s->now_us + forward, RTE_MAX(limit_us, s->now_us + 1));
}

bool
sim_run(struct sim *s, uint64_t us, bool (*done)(void *arg), void *arg)
{
	uint64_t end = s->now_us + us;

	while (s->now_us < end && s->fault[0] == 0) {
		if (done != NULL && done(arg))
			return true;
		sim_step(s, end);
	}
	return done != NULL && done(arg);
}

struct key
sim_key_to(unsigned host, bool v6, uint8_t proto, uint16_t port)
{
	struct key k = {.rport_be = htons(port), .proto = proto};

	if (v6)
		inet_pton(AF_INET6, host == 0 ? "fd09::1" : "fd09::2", k.raddr);
	else
		key_map_v4(k.raddr, inet_addr(host == 0 ? "10.9.0.1" : "10.9.0.2"));
	return k;
}

struct key
sim_key(bool v6, uint8_t proto, uint16_t port)
{
	return sim_key_to(1, v6, proto, port);
}

/* ---- the end ---- */

static bool
sim_at_baseline(void *arg)
{
	struct sim *s = arg;

	if (s->nflying > 0)
		return false;
	for (unsigned h = 0; h < 2; h++) {
		struct stack_stats st;

		if (!held_free(&s->host[h].held))
			sim_fail("a frame has changed while the port had it", -EFAULT);
		stack_control_tick(s->host[h].stack);
		stack_stats(s->host[h].stack, &st);
		if (s->host[h].inbox != NULL || st.table != 0 || st.mbufs_in_use != 0 ||
			st.mbufs_small_in_use != 0)
			return false;
		for (unsigned k = 0; k < NODE_KINDS; k++)
			if (st.live[k] != 0)
				return false;
	}
	return true;
}

static void
sim_describe(struct sim *s, char *fault, size_t len)
{
	struct stack_stats a, b;

	stack_stats(s->host[0].stack, &a);
	stack_stats(s->host[1].stack, &b);
	snprintf(fault, len,
		"not at baseline: table %u/%u, conversations %u/%u, half-open %u/%u, time-wait %u/%u, "
		"mbufs %u/%u, small mbufs %u/%u",
		a.table, b.table, a.live[NODE_CONV], b.live[NODE_CONV], a.live[NODE_HALF_OPEN],
		b.live[NODE_HALF_OPEN], a.live[NODE_TIME_WAIT], b.live[NODE_TIME_WAIT],
		a.mbufs_in_use, b.mbufs_in_use, a.mbufs_small_in_use, b.mbufs_small_in_use);
}

static void
sim_frames_free(struct sim *s)
{
	for (unsigned i = 0; i < s->nflying; i++)
		free(s->flying[i]);
	free(s->flying);
	for (unsigned h = 0; h < 2; h++)
		for (struct sim_frame *f = s->host[h].inbox, *next; f != NULL; f = next) {
			next = f->next;
			free(f);
		}
}

int
sim_free(struct sim *s, char *fault, size_t len)
{
	int err = 0;

	if (!sim_run(s, QUIET_US, sim_at_baseline, s)) {
		sim_describe(s, fault, len);
		err = -1;
	}
	for (unsigned h = 0; h < 2; h++) {
		if (err == 0)
			err = stack_check(s->host[h].stack, fault, len);
		stack_free(s->host[h].stack);
	}
	if (s->fault[0] != 0) {
		snprintf(fault, len, "%s", s->fault);
		err = -1;
	}
	if (s->pcapng != NULL && pcapng_close(s->pcapng) != 0)
		sim_fail(s->conf.pcapng, -EIO);
	sim_frames_free(s);
	free(s);
	return err;
}
