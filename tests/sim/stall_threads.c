/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * One worker of four stands still for 5 s, inside a conversation, and owns one receive queue of four; real threads and
 * liburcu. Lanes of short conversations, each on one queue, show who is served meanwhile. Expected: the alarm within a second,
 * the other queues' lanes go on, memory stays within its limits, and all is well again soon after.
 *
 * Twice: with room for all that is retired during the stall, and without, while the workers are told to change as well.
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

#include "flow.h"
#include "services.h"
#include "util.h"

#define QUEUES     4 /* and workers, of the server */
#define LATE_MS    1000 /* that this thread may wake up too late by, on a busy machine */
#define STALLED    1 /* the queue whose worker stands still */
#define LANES      12
#define LANE_BYTES 5000
#define PAUSE_US   5000 /* between two conversations of a lane */
#define ECHO       7
#define SLEEPER    8
#define LINK       1024 /* frames that a queue holds; what doesn't fit is lost */
#define STALL_US   UINT64_C(5000000)
#define WARM_US    UINT64_C(1000000)
#define ALARM_US   UINT64_C(1000000)
#define WELL_US    UINT64_C(5000000)
#define PATIENCE   60 /* seconds; on a machine that is busy with other things */

struct host {
	struct stack *stack;
	struct rte_ring *in[QUEUES];
	struct host *peer;
	unsigned workers, number;
	_Atomic uint64_t lost;
};

struct thread {
	struct host *host;
	unsigned worker;
	pthread_t id;
};

/** Worker 0 of host 0 opens one after the other; all else is its. */
struct lane {
	struct flow flow;
	bool open;
	uint64_t next_us;
	uint16_t port;
	_Atomic uint64_t done, bad, last_us;
};

static struct host hosts[2];
static struct lane lanes[LANES + 1]; /* the last one calls the sleeper */
static _Atomic bool stop, stop_control, drain, armed;
static _Atomic uint64_t asleep_us, awake_us; /* when it fell asleep, when it woke; 0: not yet */
static pthread_barrier_t ready;

static void
fail(const char *what, int err)
{
	(void)fprintf(stderr, "stall_threads: %s: %s\n", what, strerror(-err));
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

static void
wait_ms(unsigned ms)
{
	const struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	(void)nanosleep(&ts, NULL);
}

/* ---- the service that stands still ---- */

static void
sleeper_recv(struct worker *w, struct conv *c)
{
	if (atomic_exchange(&armed, false)) {
		atomic_store(&asleep_us, link_clock(NULL));
		wait_ms(STALL_US / 1000);
		atomic_store(&awake_us, link_clock(NULL));
	}
	svc_echo.recv(w, c);
}

static struct service sleeper;

/* ---- the link ---- */

static uint16_t
link_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	struct host *h = arg;

	(void)ifc;
	return (uint16_t)rte_ring_dequeue_burst(h->in[queue], (void **)m, n, NULL);
}

/** The server's side: by the client's port, as a NIC does by its hash. IPv4 without options. */
static unsigned
link_queue(const struct host *to, const struct rte_mbuf *m)
{
	const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);

	if (to->number == 0 || m->data_len < 38 || b[12] != 8 || b[13] != 0)
		return 0;
	return (unsigned)(b[34] << 8 | b[35]) % QUEUES;
}

static uint16_t
link_tx(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	struct host *to = ((struct host *)arg)->peer;

	(void)seat;
	(void)ifc;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *copy =
			rte_pktmbuf_copy(m[i], stack_mempool(to->stack), 0, UINT32_MAX);

		if (copy != NULL && rte_ring_enqueue(to->in[link_queue(to, copy)], copy) != 0) {
			rte_pktmbuf_free(copy);
			atomic_fetch_add(&to->lost, 1);
		}
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

static void
host_start(struct host *h, uint32_t limit)
{
	struct ip_ifc_conf ifc = {.name = "link",
		.mac = {{2, 0, 0, 0, 9, (uint8_t)(1 + h->number)}},
		.mtu = 1500,
		.off.multi_segs = true};
	struct stack_conf conf = {.name = h->number == 0 ? "st0" : "st1",
		.workers = h->workers,
		.seats = h->workers,
		.spread = STACK_SPREAD_RSS,
		.limit_conversations = h->number == 0 ? 16384 : limit,
		.limit_half_open = 256,
		.limit_time_wait = 16384,
		.limit_fragments = 64,
		.listeners = 4,
		.mbufs = 8191,
		.seed = 1 + h->number,
		.tcp.time_wait_ms = 100,
		.socket_id = SOCKET_ID_ANY,
		.io = {link_rx, link_tx, link_clock, h, NULL}};
	char name[16];
	uint8_t addr[16];
	int err = 0, n;

	for (unsigned q = 0; q < QUEUES; q++) {
		(void)snprintf(name, sizeof(name), "st%u_q%u", h->number, q);
		h->in[q] = rte_ring_create(
			name, LINK, SOCKET_ID_ANY, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
		if (h->in[q] == NULL)
			fail("ring", -ENOMEM);
	}
	h->stack = stack_create(&conf, &err);
	if (h->stack == NULL)
		fail("stack", err);
	n = stack_ifc_add(h->stack, &ifc, h->number == 0 ? 1 : QUEUES);
	if (n < 0)
		fail("interface", n);
	key_map_v4(addr, inet_addr(h->number == 0 ? "10.9.0.1" : "10.9.0.2"));
	err = ip_address_add(stack_ip(h->stack), (unsigned)n, addr, 24);
	ip_ifc_link(stack_ip(h->stack), (unsigned)n, true);
	if (err == 0)
		err = stack_start(h->stack);
	if (err != 0)
		fail("start", err);
}

/* ---- lanes: on the thread of worker 0 of host 0 ---- */

static void
lane_open(struct lane *l, unsigned number, struct worker *w)
{
	struct key key = {.proto = IPPROTO_TCP};

	/* A port of its own for each conversation, and all of a lane on one queue. */
	l->port = (uint16_t)(l->port + QUEUES * (LANES + 1));
	if (l->port < 10000)
		l->port = (uint16_t)(10000 + QUEUES * number);
	key.lport_be = htons((uint16_t)(l->port + (number == LANES ? STALLED : number % QUEUES)));
	key.rport_be = htons(number == LANES ? SLEEPER : ECHO);
	key_map_v4(key.raddr, inet_addr("10.9.0.2"));
	l->flow = (struct flow){.seed = w->now_us + number, .total = LANE_BYTES};
	if (flow_open(w, &l->flow, &key) != 0)
		return; /* the port is in its time-wait: the next one */
	conv_put(w, &l->flow.c->cn); /* nobody but its own callbacks will look at it */
	l->open = true;
}

static void
lane_run(struct lane *l, unsigned number, struct worker *w)
{
	if (l->open && l->flow.over) {
		l->open = false;
		l->next_us = w->now_us + PAUSE_US;
		atomic_fetch_add(flow_ok(&l->flow) ? &l->done : &l->bad, 1);
		atomic_store(&l->last_us, w->now_us);
	}
	if (!l->open && !atomic_load(&drain) && w->now_us >= l->next_us)
		lane_open(l, number, w);
}

static void *
worker_main(void *arg)
{
	struct thread *t = arg;
	struct stack *stack = t->host->stack;

	if (rte_thread_register() != 0 || stack_worker_join(stack, t->worker) != 0)
		fail("worker", -EAGAIN);
	while (!atomic_load(&stop)) {
		for (unsigned i = 0; t->host->number == 0 && i <= LANES; i++)
			lane_run(&lanes[i], i, stack_seat(stack, 0));
		if (stack_turn(stack, t->worker) == 0)
			wait_ms(0);
	}
	stack_worker_leave(stack, t->worker);
	rte_thread_unregister();
	return NULL;
}

/* ---- control, and what it sees ---- */

/** Of the server. */
struct seen {
	uint64_t alarm_us, well_us; /* when the alarm was first seen, and last */
	unsigned worker;
	uint32_t most; /* conversations */
	uint32_t most_mbufs;
	uint64_t stalls;
};
static struct seen seen;
static unsigned change_to; /* workers, in the middle of the stall; 0: no change */

static void
control_look(struct stack *s)
{
	struct stack_stats st;
	uint64_t now_us = link_clock(NULL);

	stack_stats(s, &st);
	if (st.stuck_us > 0) {
		if (seen.alarm_us == 0)
			seen.alarm_us = now_us;
		seen.well_us = now_us;
		seen.worker = st.stuck_worker;
	}
	seen.most = RTE_MAX(seen.most, st.live[NODE_CONV]);
	seen.most_mbufs = RTE_MAX(seen.most_mbufs, st.mbufs_in_use);
	seen.stalls = st.stalls;
}

static void
control_change(struct stack *s)
{
	uint64_t since_us = atomic_load(&asleep_us), now_us = link_clock(NULL);

	if (change_to == 0 || since_us == 0 || now_us - since_us < STALL_US / 4)
		return;
	if (now_us - since_us < STALL_US / 2)
		(void)stack_workers_set(s, change_to);
	else
		(void)stack_workers_set(s, QUEUES);
}

static void
control_listen(struct stack *s, uint16_t port, const struct service *svc)
{
	const struct listener_conf conf = {
		.name = svc->name,
		.proto = IPPROTO_TCP,
		.port_lo = port,
		.port_hi = port,
		.service = svc,
		.half_open = 256,
	};
	int err = stack_listen(s, &conf, NULL);

	if (err != 0)
		fail(svc->name, err);
}

static void *
control_main(void *arg)
{
	struct host *h = arg;

	if (rte_thread_register() != 0 || stack_control_join(h->stack) != 0)
		fail("control", -EAGAIN);
	if (h->number == 1) {
		control_listen(h->stack, ECHO, &svc_echo);
		control_listen(h->stack, SLEEPER, &sleeper);
	}
	pthread_barrier_wait(&ready);
	while (!atomic_load(&stop_control)) {
		wait_ms(50);
		stack_control_tick(h->stack);
		if (h->number == 0)
			continue;
		control_look(h->stack);
		control_change(h->stack);
	}
	stack_control_leave(h->stack);
	rte_thread_unregister();
	return NULL;
}

/* ---- the run ---- */

static bool
expect(bool ok, const char *what)
{
	if (!ok)
		printf("FAILED: %s\n", what);
	return ok;
}

/** Wait until each lane has ended a conversation after a time. */
static bool
lanes_done_since(uint64_t us)
{
	for (unsigned i = 0; i <= LANES; i++)
		if (atomic_load(&lanes[i].last_us) < us)
			return false;
	return true;
}

static bool
lanes_until(uint64_t us)
{
	for (unsigned i = 0; i < PATIENCE * 100 && !lanes_done_since(us); i++)
		wait_ms(10);
	return lanes_done_since(us);
}

/** During the stall: what each lane got done, in its second half too. @return true if it is as it should be */
static bool
lanes_stalled(bool served)
{
	uint64_t before[LANES], half[LANES];
	bool ok = true;

	for (unsigned i = 0; i < LANES; i++)
		before[i] = atomic_load(&lanes[i].done);
	wait_ms(STALL_US / 2000);
	for (unsigned i = 0; i < LANES; i++)
		half[i] = atomic_load(&lanes[i].done);
	wait_ms(STALL_US / 2000 - LATE_MS);
	ok = expect(atomic_load(&awake_us) == 0, "the stall is over before we have looked") && ok;
	printf("conversations during the stall, first and second half, by lane:");
	for (unsigned i = 0; i < LANES; i++) {
		uint64_t a = half[i] - before[i], b = atomic_load(&lanes[i].done) - half[i];

		printf(" %lu+%lu", a, b);
		if (i % QUEUES == STALLED)
			ok = expect(a + b <= 1, "a lane of the queue that stands still") && ok;
		else if (served)
			ok = expect(a > 10 && b > 10, "a lane of another queue") && ok;
	}
	printf("\n");
	return ok;
}

static bool
stall(uint32_t limit, bool served)
{
	uint64_t bad = 0, well_us;
	struct stack_stats st;
	bool ok = expect(lanes_until(link_clock(NULL)), "all lanes run before it");

	wait_ms(WARM_US / 1000);
	atomic_store(&armed, true);
	for (unsigned i = 0; i < PATIENCE * 100 && atomic_load(&asleep_us) == 0; i++)
		wait_ms(10);
	ok = lanes_stalled(served) && ok;
	while (atomic_load(&awake_us) == 0)
		wait_ms(1);
	ok = expect(lanes_until(atomic_load(&awake_us)), "all lanes run after it") && ok;
	well_us = link_clock(NULL) - atomic_load(&awake_us);
	wait_ms(200);
	for (unsigned i = 0; i <= LANES; i++)
		bad += atomic_load(&lanes[i].bad);
	stack_stats(hosts[1].stack, &st);
	printf("limit %u: alarm after %lu ms, for worker %u, %lu times; over %lu ms after the stall; all lanes well after %lu ms; "
	       "at most %u conversations and %u buffers; refused %lu; frames lost on the way %lu\n",
		limit, (seen.alarm_us - atomic_load(&asleep_us)) / 1000, seen.worker, seen.stalls,
		seen.well_us > atomic_load(&awake_us)
			? (seen.well_us - atomic_load(&awake_us)) / 1000
			: 0,
		well_us / 1000, seen.most, seen.most_mbufs,
		(st.sum.drops[DROP_CONV_LIMIT] + st.sum.drops[DROP_TCP_BACKLOG]),
		hosts[0].lost + hosts[1].lost);
	ok = expect(bad == 0, "a conversation that did not end well") && ok;
	ok = expect(seen.alarm_us != 0 && seen.alarm_us - atomic_load(&asleep_us) <= ALARM_US,
		     "the alarm in time") &&
		ok;
	ok = expect(seen.worker == STALLED && seen.stalls == 1, "the alarm names the worker") && ok;
	ok = expect(!st.stalled && seen.well_us < atomic_load(&awake_us) + ALARM_US,
		     "the alarm is over") &&
		ok;
	ok = expect(well_us <= WELL_US, "well again in time") && ok;
	ok = expect(seen.most <= limit &&
			     (served ||
				     (st.sum.drops[DROP_CONV_LIMIT] +
					     st.sum.drops[DROP_TCP_BACKLOG]) > 0),
		     "memory within its limit") &&
		ok;
	return expect(st.conv.recheck_failed == 0 && st.mbufs_in_use < 8191, "I5") && ok;
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

static bool
host_stop(struct host *h)
{
	char fault[256] = "";
	bool ok = expect(host_at_baseline(h) && stack_check(h->stack, fault, sizeof(fault)) == 0,
		"back to baseline");

	stack_free(h->stack);
	for (unsigned q = 0; q < QUEUES; q++)
		rte_ring_free(h->in[q]);
	return ok;
}

static void
thread_start(struct thread *t, void *(*run)(void *arg), void *arg)
{
	if (pthread_create(&t->id, NULL, run, arg) != 0)
		fail("thread", -EAGAIN);
}

static bool
run(uint32_t limit, bool served, unsigned change)
{
	struct thread workers[1 + QUEUES], control[2];
	unsigned n = 0;
	bool ok;

	stop = stop_control = drain = armed = false;
	asleep_us = awake_us = 0;
	memset(&seen, 0, sizeof(seen));
	memset(lanes, 0, sizeof(lanes));
	change_to = change;
	for (unsigned h = 0; h < 2; h++)
		hosts[h] = (struct host){
			.number = h, .workers = h == 0 ? 1 : QUEUES, .peer = &hosts[1 - h]};
	for (unsigned h = 0; h < 2; h++)
		host_start(&hosts[h], limit);
	for (unsigned h = 0; h < 2; h++)
		thread_start(&control[h], control_main, &hosts[h]);
	pthread_barrier_wait(&ready);
	for (unsigned h = 0; h < 2; h++)
		for (unsigned w = 0; w < hosts[h].workers; w++, n++) {
			workers[n] = (struct thread){.host = &hosts[h], .worker = w};
			thread_start(&workers[n], worker_main, &workers[n]);
		}
	ok = stall(limit, served);
	atomic_store(&drain, true);
	for (unsigned i = 0; i < PATIENCE * 100; i++) {
		wait_ms(10);
		if (host_at_baseline(&hosts[0]) && host_at_baseline(&hosts[1]))
			break;
	}
	atomic_store(&stop, true);
	while (n > 0)
		pthread_join(workers[--n].id, NULL);
	atomic_store(&stop_control, true);
	for (unsigned h = 0; h < 2; h++)
		pthread_join(control[h].id, NULL);
	for (unsigned h = 0; h < 2; h++)
		ok = host_stop(&hosts[h]) && ok;
	return ok;
}

int
main(void)
{
	bool ok;

	test_eal("stall_threads");
	sleeper = svc_echo;
	sleeper.name = "sleeper";
	sleeper.recv = sleeper_recv;
	pthread_barrier_init(&ready, NULL, 3);
	ok = run(16384, true, 0);
	ok = run(64, false, 2) && ok;
	return !ok;
}
