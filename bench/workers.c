/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_workers udp|tcp|udp-one|tcp-one|udp-both FLOWS [MS [RUNS]] [EAL options, two lcores]
 *
 * One worker against two, each on an lcore of its own. What a worker receives is made in its own receive callback, and what it sends
 * is taken back in its own transmit callback (gen.h): it is generator and worker in turn. udp, tcp: echo through conversations that
 * only one worker has, each with a queue of its own (spread rss). udp-one, tcp-one: one conversation (echo; a stream to discard),
 * whose queue one worker polls, and whose packets take turns on both (spread packet). udp-both: one conversation whose packets
 * come on the queues of both, which keep them (spread rss). Runs alternate, and those with one worker take turns on the lcores.
 *
 * Counted are packets that were answered (echo; with each of TCP's comes an ACK that is not counted) or acknowledged (discard). Prints
 * one line of JSON:
 *
 *   one, two    packets per second with one and with two workers
 *   ratio       of each pair of runs
 *   generator   cycles that it takes of each packet
 *   cpus        what both CPUs give in a loop of arithmetic, over what one gives
 *   backlog     the share of two workers' packets that came while the other one was inside
 *   lost        packets given up
 *   share       the least part of its CPU that a worker had in a run; one in which somebody else had more than a little is done
 *               again, a few times
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "gen.h"
#include "program.h"
#include "ring.h"

#define MAX        GEN_QUEUES /* workers */
#define TRIES      6 /* of a run in which somebody else had the CPU */
#define SHARE      0.98
#define WARM_MS    50
#define REST_MS    20 /* for what is under way at the end */
#define SPARE      4096
#define SPIN_MS    20
#define SPIN_LOOP  1000
#define NAP_NS     50000
#define IDLE_SLEEP 1024
#define OPEN_S     60 /* by then every conversation is there */

struct run;

/** A worker in a run. */
struct turner {
	struct run *run;
	unsigned number;
	uint64_t packets, tsc, made; /* in the time that counts */
	unsigned idle; /* turns without work, in a row */
	uint64_t slept; /* TSC */
	double share; /* of its CPU, what it slept included */
	uint64_t cycles; /* of the generator */
};

struct run {
	struct gen gen;
	struct stack *s;
	unsigned workers, first; /* lcore of worker 0, as an index */
	_Atomic unsigned joined, done;
	_Atomic uint64_t start, end; /* TSC; 0: not known yet */
	struct turner turner[MAX];
};

struct outcome {
	double pps, cycles, share;
	double backlog; /* share of the packets that came while somebody else was inside */
	uint64_t lost;
};

static const char *const kinds[] = {[GEN_UDP] = "udp",
	[GEN_TCP] = "tcp",
	[GEN_UDP_ONE] = "udp-one",
	[GEN_TCP_ONE] = "tcp-one",
	[GEN_UDP_BOTH] = "udp-both"};

/* ---- a worker ---- */

static double
cpu_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/** A turn; without work for long it sleeps as convd's workers do, whose devices wake nobody. */
static void
turner_turn(struct turner *t)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t start;

	t->idle = stack_turn(t->run->s, t->number) > 0 ? 0 : t->idle + 1;
	if (t->idle == 0)
		return;
	if (t->idle < IDLE_SLEEP) {
		rte_pause();
		return;
	}
	start = rte_rdtsc();
	if (stack_worker_doze(t->run->s, t->number, 1) == 0)
		return;
	(void)nanosleep(&nap, NULL);
	stack_worker_woke(t->run->s, t->number);
	t->slept += rte_rdtsc() - start;
}

/** Worker 0 says when it counts, once every conversation is there. */
static void
run_schedule(struct run *r, uint64_t ms)
{
	uint64_t hz = rte_get_tsc_hz(), start;

	if (!gen_opened(&r->gen))
		return;
	start = rte_rdtsc() + hz / 1000 * WARM_MS;
	atomic_store(&r->end, start + hz / 1000 * ms);
	atomic_store(&r->start, start);
}

static uint64_t run_ms;

static void
turner_count(struct turner *t)
{
	struct run *r = t->run;
	struct gen_queue *q = &r->gen.q[t->number];
	uint64_t end = atomic_load(&r->end), start, packets = gen_back(&r->gen, t->number);
	uint64_t cycles = q->cycles, slept = t->slept;
	double cpu = cpu_s();

	start = rte_rdtsc();
	while (rte_rdtsc() < end)
		turner_turn(t);
	t->tsc = rte_rdtsc() - start;
	t->packets = gen_back(&r->gen, t->number) - packets;
	t->cycles = q->cycles - cycles;
	t->share = (cpu_s() - cpu) /
		((double)(t->tsc - (t->slept - slept)) / (double)rte_get_tsc_hz());
}

/** What is under way comes to its end. */
static void
turner_rest(struct turner *t)
{
	struct run *r = t->run;
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * REST_MS;

	atomic_store(&r->gen.quiet, true);
	atomic_fetch_add(&r->done, 1);
	while (rte_rdtsc() < end || atomic_load(&r->done) < r->workers)
		turner_turn(t);
}

static int
turner_main(void *arg)
{
	struct turner *t = arg;
	struct run *r = t->run;
	uint64_t hz = rte_get_tsc_hz(), late = rte_rdtsc() + OPEN_S * hz, start;

	must(stack_worker_join(r->s, t->number) == 0, "stack_worker_join");
	atomic_fetch_add(&r->joined, 1);
	while (atomic_load(&r->joined) < r->workers)
		;
	while ((start = atomic_load(&r->start)) == 0 || rte_rdtsc() < start) {
		must(rte_rdtsc() < late, "opening the conversations");
		if (start == 0 && t->number == 0)
			run_schedule(r, run_ms);
		turner_turn(t);
	}
	turner_count(t);
	turner_rest(t);
	stack_worker_leave(r->s, t->number);
	return 0;
}

/* ---- what the CPUs give ---- */

/** How often a loop of arithmetic, which no memory and no other thread can hold up, ran in SPIN_MS. */
static int
spin(void *arg)
{
	uint64_t *ret = arg, x = 1, end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * SPIN_MS;

	for (*ret = 0; rte_rdtsc() < end; (*ret)++)
		for (unsigned i = 0; i < SPIN_LOOP; i++) {
			x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			__asm__ volatile("" : "+r"(x));
		}
	return 0;
}

/** What two CPUs do of it at once, over what one does. Less than 2: they share a core, or with somebody else. */
static double
spin_ratio(void)
{
	uint64_t alone, both[MAX];

	(void)spin(&alone);
	must(rte_eal_remote_launch(spin, &both[1], rte_get_next_lcore(-1, true, false)) == 0,
		"launching");
	(void)spin(&both[0]);
	rte_eal_mp_wait_lcore();
	return (double)(both[0] + both[1]) / (double)alone;
}

/* ---- a run ---- */

static void
run_open(struct run *r, enum gen_kind kind, uint32_t flows)
{
	struct stack_conf conf = {
		.name = "workers",
		.workers = r->workers,
		.seats = r->workers,
		.limit_conversations = flows + SPARE,
		.limit_half_open = flows + SPARE,
		.limit_time_wait = SPARE,
		.limit_fragments = 64,
		.listeners = 8,
		.mbufs = 16383,
		.udp_idle_ms = UINT32_MAX / 4,
		.seed = 1,
		.socket_id = SOCKET_ID_ANY,
		.io = {gen_rx, gen_tx, ring_now, &r->gen, NULL},
	};
	bool tcp = kind == GEN_TCP || kind == GEN_TCP_ONE;
	int err = 0;

	gen_init(&r->gen, kind, flows, r->workers);
	conf.spread =
		kind == GEN_UDP_ONE || kind == GEN_TCP_ONE ? STACK_SPREAD_PACKET : STACK_SPREAD_RSS;
	/* The thread that waits for grace periods is bound to neither worker's CPU. */
	program_unpin();
	r->s = r->gen.s = stack_create(&conf, &err);
	program_pin(rte_lcore_id());
	must(r->s != NULL, "stack_create");
	ring_stack(r->s, true, false, r->gen.queues);
	ring_listen(
		r->s, kind == GEN_TCP_ONE ? "discard" : "echo", tcp ? IPPROTO_TCP : IPPROTO_UDP);
}

/** The workers' threads: the lcores in turn, from the first one on. */
static void
run_threads(struct run *r)
{
	unsigned lcore[MAX] = {rte_get_main_lcore(), rte_get_next_lcore(-1, true, false)};
	struct turner *mine = NULL;

	for (unsigned i = 0; i < r->workers; i++) {
		struct turner *t = &r->turner[i];
		unsigned on = lcore[(r->first + i) % MAX];

		t->run = r;
		t->number = i;
		if (on == rte_get_main_lcore())
			mine = t;
		else
			must(rte_eal_remote_launch(turner_main, t, on) == 0, "launching");
	}
	if (mine != NULL)
		(void)turner_main(mine);
	rte_eal_mp_wait_lcore();
}

static struct outcome
run_once(enum gen_kind kind, uint32_t flows, unsigned workers, unsigned first)
{
	static struct run r;
	struct outcome o = {.share = 1};
	struct stack_stats stats;
	uint64_t packets = 0, cycles = 0;

	memset(&r, 0, sizeof(r));
	r.workers = workers;
	r.first = first;
	run_open(&r, kind, flows);
	run_threads(&r);
	for (unsigned i = 0; i < workers; i++) {
		const struct turner *t = &r.turner[i];

		o.pps += (double)t->packets / (double)t->tsc * (double)rte_get_tsc_hz();
		o.share = RTE_MIN(o.share, t->share);
		o.lost += r.gen.q[i].given_up;
		packets += t->packets;
		cycles += t->cycles;
		must(r.gen.q[i].bad == 0, "checking what was sent");
	}
	if (packets > 0)
		o.cycles = (double)cycles / (double)packets;
	else
		o.share = 0; /* nobody had the CPU at all */
	stack_stats(r.s, &stats);
	o.backlog = (double)stats.conv.backlog_pushes / (double)stats.sum.received;
	stack_free(r.s);
	gen_free(&r.gen);
	return o;
}

/** Again while somebody else had the CPU; the best of them, if that never ends. */
static struct outcome
run_alone(enum gen_kind kind, uint32_t flows, unsigned workers, unsigned first)
{
	struct outcome best = {.share = -1};

	for (unsigned i = 0; i < TRIES && best.share < SHARE; i++) {
		struct outcome o = run_once(kind, flows, workers, first);

		if (o.share > best.share)
			best = o;
	}
	must(best.pps > 0, "a packet");
	return best;
}

int
main(int argc, char **argv)
{
	uint64_t args[] = {0, 500, 5};
	struct runs one = {.n = 0}, two = {.n = 0}, ratio = {.n = 0}, cycles = {.n = 0},
		    cpus = {.n = 0}, backlog = {.n = 0};
	double share = 1;
	uint64_t lost = 0;
	unsigned kind = 0;

	while (argc > 1 && kind < RTE_DIM(kinds) && strcmp(argv[1], kinds[kind]) != 0)
		kind++;
	if (argc < 3 || kind == RTE_DIM(kinds)) {
		fprintf(stderr,
			"usage: bench_workers udp|tcp|udp-one|tcp-one|udp-both FLOWS [MS [RUNS]] [EAL options]\n");
		return 2;
	}
	program_start(argc, argv, 2, args, RTE_DIM(args));
	must(args[0] > 0 && args[1] > 0 && args[2] > 0 && args[2] <= RUNS_MAX,
		"looking at the arguments");
	must(rte_lcore_count() >= MAX, "having two lcores");
	run_ms = args[1];
	for (unsigned i = 0; i < args[2]; i++) {
		struct outcome o1 = run_alone(kind, (uint32_t)args[0], 1, i % MAX);
		struct outcome o2 = run_alone(kind, (uint32_t)args[0], MAX, i % MAX);

		runs_add(&cpus, spin_ratio());
		runs_add(&one, o1.pps);
		runs_add(&two, o2.pps);
		runs_add(&ratio, o2.pps / o1.pps);
		runs_add(&cycles, (o1.cycles + o2.cycles) / 2);
		runs_add(&backlog, o2.backlog);
		share = RTE_MIN(share, RTE_MIN(o1.share, o2.share));
		lost += o1.lost + o2.lost;
	}
	printf("{\"what\": \"%s\", \"flows\": %lu, ", kinds[kind], args[0]);
	runs_print("one", &one, ", ");
	runs_print("two", &two, ", ");
	runs_print("ratio", &ratio, ", ");
	runs_print("generator", &cycles, ", ");
	runs_print("cpus", &cpus, ", ");
	runs_print("backlog", &backlog, ", ");
	printf("\"lost\": %lu, \"share\": %.3f, \"tsc_hz\": %lu}\n", lost, share, rte_get_tsc_hz());
	rte_eal_cleanup();
	return 0;
}
