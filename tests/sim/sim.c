/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "sim.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>

#define FRAME_MAX 9216
#define QUEUE     1000
#define INBOX_MAX 4096
#define QUIET_US  200000000 /* time that time-wait, idle UDP and reassembly get to end */
#define MILLION   1000000

struct frame {
	struct frame *next;
	uint64_t at_us; /* when it arrives */
	unsigned host; /* where */
	uint32_t len;
	uint8_t b[];
};

struct host {
	struct sim *sim;
	unsigned number;
	struct stack *stack;
	unsigned workers;
	struct frame *inbox, **inbox_end; /* arrived, not yet polled */
	uint64_t link_free_us; /* when the outgoing link has sent what it was given */
};

struct sim {
	struct sim_conf conf;
	struct worker rng;
	uint64_t now_us;
	struct frame *flying; /* by time of arrival */
	struct host host[2];
	struct sim_counters c;
};

static void
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

static bool
sim_chance(struct sim *s, uint32_t parts)
{
	return parts != 0 && sim_random(s) % MILLION < parts;
}

static uint64_t
sim_clock(void *arg)
{
	return ((struct host *)arg)->sim->now_us;
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

void
sim_link_set(struct sim *s, const struct sim_link *link)
{
	s->conf.link = *link;
}

/* ---- the link ---- */

/** Time of arrival by rate, delay, jitter and reordering; 0: the link's queue is full. */
static uint64_t
link_arrival(struct sim *s, struct host *from, uint32_t len)
{
	const struct sim_link *l = &s->conf.link;
	uint64_t at = s->now_us;

	if (l->rate_bps != 0) {
		uint64_t us = (uint64_t)len * 8 * MILLION / l->rate_bps + 1;
		uint32_t queue = l->queue != 0 ? l->queue : QUEUE;

		if (from->link_free_us < s->now_us)
			from->link_free_us = s->now_us;
		if (from->link_free_us - s->now_us > us * queue) {
			s->c.queue_drops++;
			return 0;
		}
		from->link_free_us += us;
		at = from->link_free_us;
	}
	at += l->delay_us + 1;
	if (l->jitter_us != 0)
		at += sim_random(s) % l->jitter_us;
	if (sim_chance(s, l->reorder)) {
		s->c.reordered++;
		at += sim_random(s) % (4 * (l->delay_us + l->jitter_us) + 100);
	}
	return at;
}

static void
link_put(struct sim *s, struct host *from, const uint8_t *b, uint32_t len)
{
	uint64_t at = link_arrival(s, from, len);
	struct frame *f, **p = &s->flying;

	if (at == 0)
		return;
	f = malloc(sizeof(*f) + len);
	if (f == NULL)
		sim_fail("frame", -ENOMEM);
	f->at_us = at;
	f->host = 1 - from->number;
	f->len = len;
	memcpy(f->b, b, len);
	if (sim_chance(s, s->conf.link.corrupt)) {
		s->c.corrupted++;
		f->b[sim_random(s) % len] ^= (uint8_t)(1 + sim_random(s) % 255);
	}
	while (*p != NULL && (*p)->at_us <= at)
		p = &(*p)->next;
	f->next = *p;
	*p = f;
}

static uint16_t
sim_tx(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct host *h = arg;
	struct sim *s = h->sim;
	uint8_t buf[FRAME_MAX];

	(void)worker;
	(void)ifc;
	for (uint16_t i = 0; i < n; i++) {
		uint32_t len = rte_pktmbuf_pkt_len(m[i]);
		const void *b = rte_pktmbuf_read(m[i], 0, len, buf);

		s->c.sent++;
		if (b == NULL || len > FRAME_MAX)
			sim_fail("frame longer than any MTU", -EMSGSIZE);
		if (sim_chance(s, s->conf.link.loss))
			s->c.lost++;
		else
			link_put(s, h, b, len);
		if (sim_chance(s, s->conf.link.duplicate)) {
			s->c.duplicated++;
			link_put(s, h, b, len);
		}
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

static uint16_t
sim_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct host *h = arg;
	uint16_t i = 0;

	(void)ifc;
	(void)queue;
	/* Bursts of random length, so that grouping sees all sizes. */
	if (n > 1)
		n = (uint16_t)(1 + sim_random(h->sim) % n);
	while (i < n && h->inbox != NULL) {
		struct frame *f = h->inbox;
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
host_address(struct host *h, unsigned ifc, const char *text, uint8_t prefix_len)
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

static void
host_create(struct sim *s, unsigned number)
{
	struct host *h = &s->host[number];
	struct ip_ifc_conf ifc = {
		.name = "sim",
		.mac = {{2, 0, 0, 0, 9, (uint8_t)(1 + number)}},
		.mtu = s->conf.link.mtu != 0 ? s->conf.link.mtu : 1500,
		.off.multi_segs = true,
	};
	static unsigned made;
	char name[9];
	uint32_t convs = s->conf.conversations != 0 ? s->conf.conversations : 256;
	struct stack_conf sc = {
		.name = name,
		.workers = s->conf.workers[number],
		.seats = s->conf.workers[number],
		.spread = s->conf.spread,
		.limit_conversations = convs,
		.limit_half_open = convs,
		.limit_time_wait = convs,
		.limit_fragments = 64,
		.listeners = 64,
		.mbufs = s->conf.mbufs != 0 ? s->conf.mbufs : 4096,
		.mbuf_data_room = RTE_PKTMBUF_HEADROOM + FRAME_MAX,
		.seed = sim_random(s),
		.virtual_workers = true,
		.socket_id = SOCKET_ID_ANY,
		.io = {sim_rx, sim_tx, sim_clock, h},
	};
	int err = 0, n;

	snprintf(name, sizeof(name), "s%u", made++ % MILLION);
	h->sim = s;
	h->number = number;
	h->workers = sc.workers;
	h->inbox_end = &h->inbox;
	h->stack = stack_create(&sc, &err);
	if (h->stack == NULL)
		sim_fail("stack_create", err);
	n = stack_ifc_add(h->stack, &ifc, 1);
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
	while (s->flying != NULL && s->flying->at_us <= s->now_us) {
		struct frame *f = s->flying;
		struct host *h = &s->host[f->host];

		s->flying = f->next;
		f->next = NULL;
		*h->inbox_end = f;
		h->inbox_end = &f->next;
	}
}

/** Every worker of both hosts once, in random order. @return events handled */
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
	for (unsigned i = 0; i < n; i++)
		done += stack_turn(s->host[order[i] / WORKER_MAX].stack, order[i] % WORKER_MAX);
	return done;
}

/** How long nothing will happen: until the next frame or timer. */
static uint64_t
sim_quiet_us(struct sim *s)
{
	uint64_t quiet = 100000;

	if (s->flying != NULL) {
		if (s->flying->at_us <= s->now_us)
			return 1;
		quiet = RTE_MIN(quiet, s->flying->at_us - s->now_us);
	}
	for (unsigned h = 0; h < 2; h++) {
		if (s->host[h].inbox != NULL)
			return 1;
		for (unsigned w = 0; w < s->host[h].workers; w++) {
			uint64_t ms = stack_worker_idle_ms(s->host[h].stack, w, 100);

			quiet = RTE_MIN(quiet, ms * 1000);
		}
	}
	return quiet;
}

void
sim_step(struct sim *s, uint64_t limit_us)
{
	uint64_t forward;

	sim_arrive(s);
	if (sim_turns(s) > 0)
		forward = 1 + sim_random(s) % 20;
	else
		forward = RTE_MAX(sim_quiet_us(s), UINT64_C(1));
	s->now_us = RTE_MIN(s->now_us + forward, RTE_MAX(limit_us, s->now_us + 1));
}

bool
sim_run(struct sim *s, uint64_t us, bool (*done)(void *arg), void *arg)
{
	uint64_t end = s->now_us + us;

	while (s->now_us < end) {
		if (done != NULL && done(arg))
			return true;
		sim_step(s, end);
	}
	return done != NULL && done(arg);
}

struct key
sim_key(bool v6, uint8_t proto, uint16_t port)
{
	struct key k = {.rport_be = htons(port), .proto = proto};

	if (v6)
		inet_pton(AF_INET6, "fd09::2", k.raddr);
	else
		key_map_v4(k.raddr, inet_addr("10.9.0.2"));
	return k;
}

/* ---- the end ---- */

static bool
sim_at_baseline(void *arg)
{
	struct sim *s = arg;

	if (s->flying != NULL)
		return false;
	for (unsigned h = 0; h < 2; h++) {
		struct stack_stats st;

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
frames_free(struct frame *f)
{
	struct frame *next;

	for (; f != NULL; f = next) {
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
		frames_free(s->host[h].inbox);
	}
	frames_free(s->flying);
	free(s);
	return err;
}
