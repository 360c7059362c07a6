/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * svc_pair under real threads and liburcu: pair_threads [ROUNDS]. Two stacks in one process, joined by rings, spread "packet": the
 * two conversations of a pair live on whatever workers their packets meet, and write to each other.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_lcore.h>
#include <rte_ring.h>

#include "pair_client.h"
#include "stack.h"
#include "svc_pair.h"
#include "util.h"

#define PORT     7000
#define CALLERS  2 /* workers of host 0 */
#define SERVERS  3 /* workers of host 1 */
#define LINK     4096 /* frames under way */
#define PATIENCE 60 /* seconds for one round on a machine that is busy with other things */

struct host {
	struct stack *stack;
	struct rte_ring *in; /* frames for it, of its own pool */
	struct host *peer;
	unsigned workers, number;
};

struct seat {
	struct host *host;
	unsigned worker;
	pthread_t thread;
};

static struct host hosts[2] = {{.workers = CALLERS}, {.workers = SERVERS, .number = 1}};
static struct pair_client client[PAIR_CLIENTS];
static struct svc_pair_hall hall;
static const struct listener_conf listen_conf = {
	.name = "pair",
	.proto = IPPROTO_TCP,
	.port_lo = PORT,
	.port_hi = PORT,
	.service = &svc_pair,
	.options = &hall,
	.half_open = 64,
};
static _Atomic unsigned opened,
	to_open; /* clients, by worker 0 of host 0: calls are made on a worker's own thread */
static _Atomic bool stop, stop_control, drain;
static pthread_barrier_t ready;

static void
fail(const char *what, int err)
{
	(void)fprintf(stderr, "pair_threads: %s: %s\n", what, strerror(-err));
	exit(1);
}

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

		if (copy != NULL && rte_ring_enqueue(to->in, copy) != 0)
			rte_pktmbuf_free(copy);
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

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
		fail(text, err);
}

static void
host_start(struct host *h)
{
	struct ip_ifc_conf ifc = {.name = "link",
		.mac = {{2, 0, 0, 0, 9, (uint8_t)(1 + h->number)}},
		.mtu = 1500,
		.off.multi_segs = true};
	struct stack_conf conf = {.name = h->number == 0 ? "p0" : "p1",
		.workers = h->workers,
		.seats = h->workers,
		.spread = STACK_SPREAD_PACKET,
		.limit_conversations = 64,
		.limit_half_open = 64,
		.limit_time_wait = 1024,
		.limit_fragments = 64,
		.listeners = 4,
		.mbufs = 8191,
		.seed = 1 + h->number,
		.tcp.time_wait_ms = 100,
		.tcp.last_ack_ms = 100,
		.socket_id = SOCKET_ID_ANY,
		.io = {link_rx, link_tx, link_clock, h}};
	int err = 0, n;

	h->peer = &hosts[1 - h->number];
	h->in = rte_ring_create(h->number == 0 ? "to_p0" : "to_p1", LINK, SOCKET_ID_ANY,
		RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
	h->stack = stack_create(&conf, &err);
	if (h->stack == NULL || h->in == NULL)
		fail("stack", err);
	n = stack_ifc_add(h->stack, &ifc, 1);
	if (n < 0)
		fail("interface", n);
	host_address(h, (unsigned)n, h->number == 0 ? "10.9.0.1" : "10.9.0.2", 24);
	host_address(h, (unsigned)n, h->number == 0 ? "fd09::1" : "fd09::2", 64);
	ip_ifc_link(stack_ip(h->stack), (unsigned)n, true);
	err = stack_start(h->stack);
	if (err != 0)
		fail("start", err);
}

/** Open what is to be opened; what was opened before is let go. */
static void
worker_open(struct worker *w)
{
	struct key key = {.rport_be = htons(PORT), .proto = IPPROTO_TCP};
	struct pair_client *k;

	if (opened >= to_open)
		return;
	k = &client[opened];
	if (opened % 2 == 1)
		(void)inet_pton(AF_INET6, "fd09::2", key.raddr);
	else
		key_map_v4(key.raddr, inet_addr("10.9.0.2"));
	pair_client_open(k, w, &key, opened + 1, k->total);
	conv_put(w, &k->c->cn); /* nobody but its own callbacks will look at it */
	opened++;
}

static void
wait_ms(unsigned ms)
{
	const struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

static void *
worker_main(void *arg)
{
	struct seat *s = arg;
	struct stack *stack = s->host->stack;
	bool opens = s->host->number == 0 && s->worker == 0;

	if (rte_thread_register() != 0 || stack_worker_join(stack, s->worker) != 0)
		fail("worker", -EAGAIN);
	while (!atomic_load(&stop)) {
		if (opens)
			worker_open(stack_worker(stack, 0));
		if (stack_turn(stack, s->worker) == 0)
			sched_yield();
	}
	stack_worker_leave(stack, s->worker);
	rte_thread_unregister();
	return NULL;
}

/** Every host has its control thread; a thread is a reader of one stack. */
static void *
control_main(void *arg)
{
	struct host *h = arg;

	if (rte_thread_register() != 0 || stack_control_join(h->stack) != 0)
		fail("control", -EAGAIN);
	if (h->number == 1) {
		int err = stack_listen(h->stack, &listen_conf, NULL);

		if (err != 0)
			fail("listen", err);
	}
	pthread_barrier_wait(&ready);
	while (!atomic_load(&stop_control)) {
		wait_ms(10);
		if (atomic_load(&drain) && h->number == 1)
			stack_drain(h->stack);
		stack_control_tick(h->stack);
	}
	stack_control_leave(h->stack);
	rte_thread_unregister();
	return NULL;
}

/** A round: all call, all talk, all end; every third time some leave early. */
static bool
round_run(unsigned number, struct worker *random)
{
	char name[32];
	unsigned i;

	(void)snprintf(name, sizeof(name), "round %u", number);
	memset(client, 0, sizeof(client));
	for (i = 0; i < PAIR_CLIENTS; i++) {
		client[i].total = PAIR_HEAD + 200000;
		if (number % 3 == 2 && worker_random(random) % 3 == 0)
			client[i].hangup_at = 1 + worker_random(random) % client[i].total;
	}
	atomic_store(&opened, 0);
	atomic_store(&to_open, PAIR_CLIENTS);
	for (i = 0; i < PATIENCE * 100; i++) {
		wait_ms(10);
		if (opened == PAIR_CLIENTS && pair_clients_over(client))
			break;
	}
	if (i == PATIENCE * 100)
		printf("%s: not over\n", name);
	atomic_store(&to_open, 0);
	return pair_clients_ok(client, name);
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

static void
host_stop(struct host *h, bool *ok)
{
	char fault[256] = "";

	if (!host_at_baseline(h) || stack_check(h->stack, fault, sizeof(fault)) != 0) {
		printf("host %u: not at baseline: %s\n", h->number, fault);
		*ok = false;
	}
	stack_free(h->stack);
	rte_ring_free(h->in);
}

static void
seat_start(struct seat *s, void *(*run)(void *arg), void *arg)
{
	if (pthread_create(&s->thread, NULL, run, arg) != 0)
		fail("thread", -EAGAIN);
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 6, n = 0;
	struct seat seats[CALLERS + SERVERS], control[2];
	struct worker random;
	bool ok = true;

	test_eal("pair_threads");
	worker_seed(&random, 1);
	pthread_barrier_init(&ready, NULL, 3);
	for (unsigned h = 0; h < 2; h++)
		host_start(&hosts[h]);
	for (unsigned h = 0; h < 2; h++)
		seat_start(&control[h], control_main, &hosts[h]);
	pthread_barrier_wait(&ready);
	for (unsigned h = 0; h < 2; h++)
		for (unsigned w = 0; w < hosts[h].workers; w++, n++) {
			seats[n] = (struct seat){.host = &hosts[h], .worker = w};
			seat_start(&seats[n], worker_main, &seats[n]);
		}
	wait_ms(2500); /* IPv6 addresses are tentative at first (RFC 4862) */
	for (unsigned i = 0; i < rounds; i++)
		ok = round_run(i, &random) && ok;
	atomic_store(&drain, true);
	for (unsigned i = 0; i < PATIENCE * 100; i++) {
		wait_ms(10);
		if (host_at_baseline(&hosts[0]) && host_at_baseline(&hosts[1]))
			break;
	}
	atomic_store(&stop, true);
	while (n > 0)
		pthread_join(seats[--n].thread, NULL);
	atomic_store(&stop_control, true);
	for (unsigned h = 0; h < 2; h++)
		pthread_join(control[h].thread, NULL);
	for (unsigned h = 0; h < 2; h++)
		host_stop(&hosts[h], &ok);
	printf("%u rounds, %s; pairs %lu, packets put in from another worker %lu, inlets full %lu\n",
		rounds, ok ? "ok" : "FAILED", hall.pairs, hall.crossings, hall.blocked);
	/* Else it was no test of what it is about. */
	return !ok || hall.crossings == 0;
}
