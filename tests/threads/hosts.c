/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_lcore.h>
#include <rte_ring.h>

#define LINK 4096 /* frames under way */

struct host {
	struct stack *stack;
	struct rte_ring *in; /* frames for it, of its own pool */
	struct host *peer;
	unsigned workers, number;
	pthread_t control;
};

struct host_worker {
	struct host *host;
	unsigned worker;
	pthread_t thread;
};

static struct hosts_conf conf;
static struct host hosts[2];
static struct host_worker threads[2 * WORKER_MAX];
static unsigned nthreads;
static _Atomic bool stop, stop_control, drain;
static _Atomic uint64_t lost;
static pthread_barrier_t ready;

static void
hosts_fail(const char *what, int err)
{
	(void)fprintf(stderr, "%s: %s: %s\n", conf.name, what, strerror(-err));
	exit(1);
}

void
hosts_wait_ms(unsigned ms)
{
	const struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

struct stack *
hosts_stack(unsigned host)
{
	return hosts[host].stack;
}

/* ---- the link ---- */

static uint64_t
link_clock(void *arg)
{
	struct timespec ts;

	(void)arg;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint16_t
link_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct host *h = arg;

	(void)ifc;
	(void)queue;
	return (uint16_t)rte_ring_dequeue_burst(h->in, (void **)m, n, NULL);
}

/** A frame crosses by a copy, as on a wire; what doesn't fit is lost. */
static uint16_t
link_tx(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct host *to = ((struct host *)arg)->peer;

	(void)worker;
	(void)ifc;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *copy =
			rte_pktmbuf_copy(m[i], stack_mempool(to->stack), 0, UINT32_MAX);

		if (copy == NULL || rte_ring_enqueue(to->in, copy) != 0) {
			rte_pktmbuf_free(copy);
			atomic_fetch_add(&lost, 1);
		}
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

uint64_t
hosts_lost(void)
{
	return atomic_load(&lost);
}

/* ---- a host ---- */

static void
host_address(struct host *h, unsigned ifc, const char *text, uint8_t len)
{
	uint8_t addr[16];
	struct in_addr v4;
	int err;

	if (inet_pton(AF_INET, text, &v4) == 1)
		key_map_v4(addr, v4.s_addr);
	else
		(void)inet_pton(AF_INET6, text, addr);
	err = ip_address_add(stack_ip(h->stack), ifc, addr, len);
	if (err != 0)
		hosts_fail(text, err);
}

static void
host_start(struct host *h)
{
	struct ip_ifc_conf ifc = {.name = "link",
		.mac = {{2, 0, 0, 0, 9, (uint8_t)(1 + h->number)}},
		.mtu = 1500,
		.off.multi_segs = true};
	char name[16], ring[24];
	struct stack_conf sc = {.name = name,
		.workers = h->workers,
		.seats = h->workers,
		.spread = STACK_SPREAD_PACKET,
		.limit_conversations = conf.conversations,
		.limit_half_open = conf.conversations,
		.limit_time_wait = conf.time_wait,
		.limit_fragments = 64,
		.listeners = 16,
		.mbufs = conf.mbufs != 0 ? conf.mbufs : 8191,
		.seed = 1 + h->number,
		.udp_idle_ms = conf.udp_idle_ms,
		.tcp = conf.tcp,
		.socket_id = SOCKET_ID_ANY,
		.io = {link_rx, link_tx, link_clock, h, NULL}};
	int err = 0, n;

	(void)snprintf(name, sizeof(name), "%.6s%u", conf.name, h->number);
	(void)snprintf(ring, sizeof(ring), "to_%s", name);
	h->peer = &hosts[1 - h->number];
	h->in = rte_ring_create(ring, LINK, SOCKET_ID_ANY, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
	h->stack = stack_create(&sc, &err);
	if (h->stack == NULL || h->in == NULL)
		hosts_fail("stack", err);
	n = stack_ifc_add(h->stack, &ifc, 1);
	if (n < 0)
		hosts_fail("interface", n);
	host_address(h, (unsigned)n, h->number == 0 ? "10.9.0.1" : "10.9.0.2", 24);
	host_address(h, (unsigned)n, h->number == 0 ? "fd09::1" : "fd09::2", 64);
	ip_ifc_link(stack_ip(h->stack), (unsigned)n, true);
	err = stack_start(h->stack);
	if (err != 0)
		hosts_fail("start", err);
}

static void *
worker_main(void *arg)
{
	struct host_worker *t = arg;
	struct stack *s = t->host->stack;

	if (rte_thread_register() != 0 || stack_worker_join(s, t->worker) != 0)
		hosts_fail("worker", -EAGAIN);
	while (!atomic_load(&stop)) {
		if (conf.turn != NULL && !atomic_load(&drain))
			conf.turn(t->host->number, stack_seat(s, t->worker));
		if (stack_turn(s, t->worker) == 0)
			sched_yield();
	}
	stack_worker_leave(s, t->worker);
	rte_thread_unregister();
	return NULL;
}

/** Every host has its control thread; a thread is a reader of one stack. */
static void *
control_main(void *arg)
{
	struct host *h = arg;

	if (rte_thread_register() != 0 || stack_control_join(h->stack) != 0)
		hosts_fail("control", -EAGAIN);
	if (conf.tick != NULL)
		conf.tick(h->number, h->stack);
	pthread_barrier_wait(&ready);
	while (!atomic_load(&stop_control)) {
		hosts_wait_ms(10);
		if (atomic_load(&drain) && h->number == 1)
			stack_drain(h->stack);
		else if (conf.tick != NULL && !atomic_load(&drain))
			conf.tick(h->number, h->stack);
		stack_control_tick(h->stack);
	}
	stack_control_leave(h->stack);
	rte_thread_unregister();
	return NULL;
}

static void
thread_start(pthread_t *t, void *(*run)(void *arg), void *arg)
{
	if (pthread_create(t, NULL, run, arg) != 0)
		hosts_fail("thread", -EAGAIN);
}

void
hosts_start(const struct hosts_conf *c)
{
	conf = *c;
	pthread_barrier_init(&ready, NULL, 3);
	for (unsigned h = 0; h < 2; h++) {
		hosts[h].number = h;
		hosts[h].workers = conf.workers[h];
		host_start(&hosts[h]);
	}
	for (unsigned h = 0; h < 2; h++)
		thread_start(&hosts[h].control, control_main, &hosts[h]);
	pthread_barrier_wait(&ready);
	for (unsigned h = 0; h < 2; h++)
		for (unsigned w = 0; w < hosts[h].workers; w++, nthreads++) {
			threads[nthreads] = (struct host_worker){.host = &hosts[h], .worker = w};
			thread_start(&threads[nthreads].thread, worker_main, &threads[nthreads]);
		}
	hosts_wait_ms(2500); /* IPv6 addresses are tentative at first (RFC 4862) */
}

static bool
host_at_baseline(struct host *h)
{
	struct stack_stats st;

	stack_stats(h->stack, &st);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		if (st.live[k] != 0)
			return false;
	return st.table == 0 && st.mbufs_in_use == 0 && st.mbufs_small_in_use == 0 &&
		st.missing == 0;
}

bool
hosts_at_baseline(void)
{
	return host_at_baseline(&hosts[0]) && host_at_baseline(&hosts[1]);
}

static void
host_not_at_baseline(struct host *h, const char *fault)
{
	struct stack_stats st;

	stack_stats(h->stack, &st);
	printf("host %u: not at baseline: %s; %u in the table, %u and %u mbufs, %" PRId64
	       " packets missing; alive",
		h->number, fault, st.table, st.mbufs_in_use, st.mbufs_small_in_use, st.missing);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		printf(" %u", st.live[k]);
	printf("\n");
}

static bool
host_end(struct host *h)
{
	char fault[256] = "";
	bool ok = host_at_baseline(h) && stack_check(h->stack, fault, sizeof(fault)) == 0;

	if (!ok)
		host_not_at_baseline(h, fault);
	stack_free(h->stack);
	rte_ring_free(h->in);
	return ok;
}

bool
hosts_stop(unsigned seconds)
{
	bool ok = true;

	atomic_store(&drain, true);
	for (unsigned i = 0; i < seconds * 100; i++) {
		hosts_wait_ms(10);
		if (hosts_at_baseline())
			break;
	}
	atomic_store(&stop, true);
	while (nthreads > 0)
		pthread_join(threads[--nthreads].thread, NULL);
	atomic_store(&stop_control, true);
	for (unsigned h = 0; h < 2; h++)
		pthread_join(hosts[h].control, NULL);
	for (unsigned h = 0; h < 2; h++)
		ok = host_end(&hosts[h]) && ok;
	return ok;
}
