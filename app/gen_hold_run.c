/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The stateless mode on a port: the way to the target by ARP, a loop on one core, and progress. One thread at a time: this one
 * until the loop is launched, and when it has ended.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <rte_arp.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_mempool.h>

#include "gen.h"
#include "gen_hold.h"
#include "port.h"

#define EXIT_RUNNING 1
#define EXIT_CONFIG  2
#define LCORE        1 /* as eal.c numbers them: the first core of the configuration */
#define MBUFS        8191
#define MBUF_CACHE   256
#define LINK_TRIES   1000
#define PAUSE_US     10000
#define ASK_US       100000 /* between ARP requests */
#define ASK_SECONDS  5
#define STUCK_US     100000
#define IDLE_SPIN    64 /* turns in which nothing came, before the core is offered to others */
#define CHURN_TUPLES (1u << 20) /* that take turns, where there are so many */

struct hold_run {
	const struct gen_conf *conf;
	const struct config *c;
	const volatile sig_atomic_t *interrupted;
	struct port port;
	struct rte_mempool *mp;
	struct gen_link link;
	uint32_t us, hop; /* our address, and of the way to the target; host order */
	bool known; /* link.them is */
	uint64_t sent_us; /* when the port took something last, or had nothing to take */
	struct gen_hold h;
};

static uint32_t
prefix_v4(const struct config_prefix *p)
{
	return rte_be_to_cpu_32(key_v4_be(p->addr));
}

static bool
prefix_has(const struct config_prefix *p, uint32_t addr)
{
	return p->version == 4 && (p->len == 0 || (prefix_v4(p) ^ addr) >> (32 - p->len) == 0);
}

/* ---- ARP ---- */

static void
arp_send(struct hold_run *r, uint16_t op, uint32_t spa, const struct gen_arp *to)
{
	const struct gen_arp a = {.op = op, .sha = r->link.us, .spa = spa};
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->mp);

	if (m == NULL)
		return;
	gen_frame_arp(m, &a, to != NULL ? &to->sha : NULL, to != NULL ? to->spa : r->hop);
	if (port_tx(&r->port, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

/** An address of the interface's, or one that conversations come from. */
static bool
arp_ours(const struct hold_run *r, uint32_t addr)
{
	const struct config_interface *ifc = &r->c->interfaces[0];
	const struct gen_space *s = &r->h.conf.space;

	for (unsigned i = 0; i < ifc->naddresses; i++)
		if (ifc->addresses[i].version == 4 && prefix_v4(&ifc->addresses[i]) == addr)
			return true;
	return addr - s->saddr < s->addresses;
}

/** Learn where the way leads, and answer for our addresses. @return it was ARP, and is consumed */
static bool
arp_take(struct hold_run *r, struct rte_mbuf *m)
{
	struct gen_seg seg;
	struct gen_arp a;

	if (gen_frame_read(m, &seg) != GEN_FRAME_ARP)
		return false;
	if (gen_frame_read_arp(m, &a)) {
		if (a.spa == r->hop) {
			r->link.them = r->h.conf.link.them = a.sha;
			r->known = true;
		}
		if (a.op == RTE_ARP_OP_REQUEST && arp_ours(r, a.tpa))
			arp_send(r, RTE_ARP_OP_REPLY, a.tpa, &a);
	}
	rte_pktmbuf_free(m);
	return true;
}

/* ---- the loop ---- */

/** Take in what has come. @return frames */
static unsigned
run_input(struct hold_run *r, uint64_t now)
{
	struct rte_mbuf *m[GEN_HOLD_INPUT];
	unsigned n = port_rx(&r->port, 0, m, GEN_HOLD_INPUT), kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (!arp_take(r, m[i]))
			m[kept++] = m[i];
	gen_hold_input(&r->h, m, kept, now);
	return n;
}

/** What the port has no room for now goes first next time; what it has had none for too long is lost, as on a dead link. */
static void
run_output(struct hold_run *r, uint64_t now)
{
	struct gen_hold *h = &r->h;
	unsigned n = h->nout == 0 ? 0 : port_tx(&r->port, 0, h->out, (uint16_t)h->nout);

	if (n > 0 || h->nout == 0)
		r->sent_us = now;
	h->nout -= n;
	for (unsigned i = 0; n > 0 && i < h->nout; i++)
		h->out[i] = h->out[i + n];
	if (now - r->sent_us < STUCK_US)
		return;
	rte_pktmbuf_free_bulk(h->out, h->nout);
	h->c.unsent += h->nout;
	h->nout = 0;
}

static int
run_loop(void *arg)
{
	struct hold_run *r = arg;
	uint64_t now = daemon_clock(NULL), every = (uint64_t)(r->conf->progress * 1e6), shown = now;
	struct gen_hold was = {.now_us = now};
	unsigned idle = 0;
	bool done = false;

	r->sent_us = now;
	while (!done && *r->interrupted == 0) {
		now = daemon_clock(NULL);
		idle++;
		if (r->h.nout <= GEN_HOLD_OUT - 2 * GEN_HOLD_INPUT && run_input(r, now) > 0)
			idle = 0;
		done = gen_hold_turn(&r->h, now);
		run_output(r, now);
		/* The target may be waiting for this core. */
		if (idle >= IDLE_SPIN)
			(void)sched_yield();
		if (every > 0 && now - shown >= every) {
			gen_hold_progress(&r->h, &was);
			shown = now;
		}
	}
	gen_hold_stop(&r->h, now);
	return 0;
}

/* ---- start ---- */

static bool
run_link(struct hold_run *r)
{
	for (int i = 0; i < LINK_TRIES && *r->interrupted == 0; i++) {
		(void)port_link_changed(&r->port);
		if (r->port.up)
			return true;
		(void)usleep(PAUSE_US);
	}
	(void)fprintf(stderr, "convgen: the port has no link\n");
	return false;
}

/** Ask for the way's MAC until it is known. */
static bool
run_ask(struct hold_run *r)
{
	uint64_t start = daemon_clock(NULL), next = start, now = start;
	struct rte_mbuf *m;

	while (!r->known && *r->interrupted == 0 && now < start + ASK_SECONDS * UINT64_C(1000000)) {
		now = daemon_clock(NULL);
		if (now >= next) {
			arp_send(r, RTE_ARP_OP_REQUEST, r->us, NULL);
			next = now + ASK_US;
		}
		if (port_rx(&r->port, 0, &m, 1) == 0)
			(void)sched_yield();
		else if (!arp_take(r, m))
			rte_pktmbuf_free(m);
	}
	if (!r->known)
		(void)fprintf(stderr, "convgen: %u.%u.%u.%u does not answer ARP\n", r->hop >> 24,
			r->hop >> 16 & 0xff, r->hop >> 8 & 0xff, r->hop & 0xff);
	return r->known;
}

/** Our address, and whom the target is behind. @return false: said why */
static bool
run_way(struct hold_run *r, uint32_t target)
{
	const struct config_interface *ifc = &r->c->interfaces[0];
	const struct config_prefix *us = NULL;
	const struct config_route *way = NULL;

	for (unsigned i = 0; i < ifc->naddresses; i++) {
		const struct config_prefix *a = &ifc->addresses[i];

		if (a->version == 4 &&
			(us == NULL || (!prefix_has(us, target) && prefix_has(a, target))))
			us = a;
	}
	if (us == NULL) {
		(void)fprintf(stderr, "convgen: no address of ours is of the target's version\n");
		return false;
	}
	r->us = prefix_v4(us);
	r->hop = target;
	if (prefix_has(us, target))
		return true;
	for (unsigned i = 0; i < r->c->nroutes; i++) {
		const struct config_route *to = &r->c->routes[i];

		if (prefix_has(&to->to, target) && (way == NULL || to->to.len > way->to.len))
			way = to;
	}
	if (way == NULL)
		(void)fprintf(stderr, "convgen: no way to the target: --gateway\n");
	else
		r->hop = prefix_v4(&way->via);
	return way != NULL;
}

/** The tuples: those held, and some more that come and go. @return false: there are not enough, or no randomness */
static bool
run_space(struct hold_run *r, uint32_t target, struct gen_space *s)
{
	const struct gen_conf *conf = r->conf;
	uint64_t room, left;

	*s = (struct gen_space){
		.saddr = conf->nsources == 0 ? r->us : conf->sources,
		.addresses = conf->nsources == 0 ? 1 : conf->nsources,
		.daddr = target,
		.sport = conf->sport_lo,
		.sports = conf->sport_hi - conf->sport_lo + 1u,
		.dport = conf->port_lo,
		.dports = conf->port_hi - conf->port_lo + 1u,
	};
	room = gen_space_room(s);
	left = room - RTE_MIN(room, (uint64_t)conf->connections);
	s->count = conf->connections;
	if (conf->churn > 0)
		s->count += (uint32_t)RTE_MIN(left, (uint64_t)CHURN_TUPLES);
	if (target - s->saddr < s->addresses) {
		(void)fprintf(stderr, "convgen: --sources: the target is one of them\n");
		return false;
	}
	/* None comes again within a second. */
	if (room < conf->connections || (conf->churn > 0 && (double)left < conf->churn)) {
		(void)fprintf(stderr,
			"convgen: %lu tuples are too few for %u connections%s: more --sources, or more ports\n",
			room, conf->connections, conf->churn > 0 ? " and --churn" : "");
		return false;
	}
	if (getrandom(&s->secret, sizeof(s->secret), 0) != (ssize_t)sizeof(s->secret)) {
		(void)fprintf(stderr, "convgen: no randomness: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static bool
run_port(struct hold_run *r)
{
	const struct config_interface *ifc = &r->c->interfaces[0];
	struct port_conf pc = {
		.device = ifc->device,
		.rx_queues = 1,
		.mtu = ifc->mtu,
		.seats = 1,
		.socket_id = SOCKET_ID_ANY,
	};
	char fault[256] = "";

	r->mp = rte_pktmbuf_pool_create(
		"hold", MBUFS, MBUF_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (r->mp == NULL) {
		(void)fprintf(
			stderr, "convgen: no memory for packets: %s\n", rte_strerror(rte_errno));
		return false;
	}
	pc.mp = r->mp;
	if (port_probe(&r->port, ifc->device, fault, sizeof(fault)) != 0 ||
		port_open(&r->port, &pc, fault, sizeof(fault)) != 0) {
		(void)fprintf(stderr, "convgen: %s: %s\n", ifc->device, fault);
		return false;
	}
	r->link.us = r->port.mac;
	return true;
}

/** Run the loop on its core. This thread sleeps meanwhile: EAL's own wait would spin on the target's. @return has it run? */
static bool
run_core(struct hold_run *r)
{
	if (rte_eal_remote_launch(run_loop, r, LCORE) != 0)
		return false;
	while (rte_eal_get_lcore_state(LCORE) == RUNNING)
		(void)usleep(PAUSE_US);
	return rte_eal_wait_lcore(LCORE) == 0;
}

/** @return the exit status */
static int
run_hold(struct hold_run *r, struct gen_hold_conf *hc)
{
	int status;

	/* While it asks it answers, too: of its addresses. */
	r->h.conf.space = hc->space;
	if (!run_link(r) || !run_ask(r))
		return EXIT_RUNNING;
	hc->mp = r->mp;
	hc->link = r->link;
	if (gen_hold_make(&r->h, hc, daemon_clock(NULL)) != 0) {
		(void)fprintf(stderr, "convgen: out of memory\n");
		return EXIT_RUNNING;
	}
	status = run_core(r) ? gen_hold_report(&r->h, r->conf) : EXIT_RUNNING;
	gen_hold_free(&r->h);
	return status;
}

int
gen_hold_run(const struct gen_conf *conf, const struct config *c,
	const volatile sig_atomic_t *interrupted)
{
	uint32_t target = rte_be_to_cpu_32(key_v4_be(conf->key.raddr));
	struct gen_hold_conf hc = {
		.held = conf->connections,
		.sample = conf->sample,
		.size = conf->size,
		.open_rate = conf->open_rate,
		.churn = conf->churn,
		.keep = conf->duration,
		.options = !conf->plain,
		.reset = conf->reset,
		.seed = conf->seed,
	};
	struct hold_run *r = calloc(1, sizeof(*r));
	int status = EXIT_CONFIG;

	if (r == NULL) {
		(void)fprintf(stderr, "convgen: out of memory\n");
		return EXIT_RUNNING;
	}
	r->conf = conf;
	r->c = c;
	r->interrupted = interrupted;
	if (run_way(r, target) && run_space(r, target, &hc.space) && run_port(r))
		status = run_hold(r, &hc);
	port_close(&r->port);
	rte_mempool_free(r->mp);
	free(r);
	return status;
}
