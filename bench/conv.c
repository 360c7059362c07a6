/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_conv [LIVE [BURSTS [RUNS]]] [EAL options]
 *
 * What lib/conv costs without a protocol: nodes as large as TCP's conversations, of which so many live, and packets that are
 * delivered and do nothing. Through the public interface only. Prints one line of JSON: TSC cycles of
 *
 *   open_close     a node allocated and published, another one entered, ended, and given back after its grace period; the lines of
 *                  the one that ends are fetched in a burst, as a look-up does
 *   enter          entered and left: the difference between a burst for 32 nodes and one for a single node, which is looked up as often
 *   timer_later    per packet, its timer moved a millisecond later, the wheel's share included: the difference to packets that set none
 *   timer_again    per packet, armed anew, stopped, and let go by the wheel: the same
 *
 * the last three with 32 nodes, and timers (_random) with all that live; and bytes per node, of EAL's heap and by what lib/stack says.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "frame.h"
#include "program.h"
#include "stack.h"

#define BURST         32
#define SPARE         65536 /* nodes that may wait for a grace period */
#define FEW           64 /* most nodes of the kinds that are not used */
#define LINES_FETCHED 5 /* of a conversation, its head included */
#define LATER_MS      600000
#define LATER_TURNS   32 /* turns to a ms: as many as there are with 1 M packets/s */
#define AGAIN_MS      1
#define AGAIN_TURN    2 /* ms from turn to turn: the timer is due by the next one */
#define FIRST_KEY     0x64400000u
#define PORTS         32768
#define WAIT_ROUNDS   2000000000ul

enum does {
	DOES_NOTHING,
	DOES_LATER,
	DOES_AGAIN
};

/* What a node's callbacks see of the bench: they get a worker and a node only. */
static enum does does;

struct bench {
	struct worker *w;
	struct conv_table *ct;
	struct reclaim *reclaim;
	struct conv_node **live;
	struct rte_mempool *mp;
	struct rte_mbuf *m[BURST];
	uint32_t nlive, bursts;
	uint32_t key; /* the next one's number */
	uint32_t lines;
	uint64_t state; /* of the order */
	double table_bytes; /* per node of its limit */
};

/* ---- a kind of node that does nothing ---- */

/** The packet is the bench's still: it is sent again and again. */
static void
bench_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	(void)m;
	if (does == DOES_NOTHING)
		return;
	conv_timer_set(w, cn, w->now_ms + (does == DOES_LATER ? LATER_MS : AGAIN_MS));
	if (does == DOES_AGAIN)
		conv_timer_stop(w, cn);
}

static void
bench_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	if ((bits & NODE_KICK) != 0)
		conv_die(w, cn);
}

static void
bench_miss(struct worker *w, struct rte_mbuf *m)
{
	(void)w;
	(void)m;
	must(false, "finding a node");
}

/* ---- making them ---- */

static void
bench_table(struct bench *b)
{
	struct conv_table_conf conf = {.name = "bench",
		.seats = 1,
		.limit = {b->nlive + SPARE, FEW, FEW, FEW},
		.listeners = 1,
		.secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908},
		.socket_id = SOCKET_ID_ANY,
		.now_us = 1000000};
	struct node_ops ops = {.name = "bench",
		.size = RTE_MAX(tcp_proto.size, udp_proto.size),
		.input = bench_input,
		.work = bench_work};
	double before = heap_bytes();
	int err = 0;

	/* Its thread is to have the other CPU. */
	program_unpin();
	b->reclaim = reclaim_urcu_create(2, &err);
	program_pin(rte_lcore_id());
	must(b->reclaim != NULL, "reclaim_urcu_create");
	conf.reclaim = b->reclaim;
	b->ct = conv_table_create(&conf, &err);
	must(b->ct != NULL, "conv_table_create");
	for (unsigned k = 0; k < NODE_KINDS; k++)
		conv_ops_set(b->ct, (enum node_kind)k, &ops);
	conv_miss_set(b->ct, PKT_TCP, bench_miss);
	conv_lines_set(b->ct, PKT_TCP, tcp_proto.lines);
	must(conv_table_start(b->ct) == 0, "conv_table_start");
	b->table_bytes = (heap_bytes() - before) / conf.limit[NODE_CONV];
}

static void
bench_worker(struct bench *b)
{
	struct worker *w = rte_zmalloc("bench_worker", sizeof(*w), RTE_CACHE_LINE_SIZE);

	must(w != NULL, "rte_zmalloc");
	b->w = w;
	b->mp = rte_pktmbuf_pool_create_by_ops("bench", 4 * BURST, 0, PKT_PRIV_SIZE,
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, "lf_stack");
	must(b->mp != NULL && rte_pktmbuf_alloc_bulk(b->mp, b->m, BURST) == 0, "making packets");
	w->mp = w->mp_small = b->mp;
	w->convs = b->ct;
	w->now_us = 1000000;
	w->now_ms = 1000;
	worker_seed(w, 1);
	conv_seat_take(w, 0);
	must(b->reclaim->ops->join(b->reclaim, 0) == 0, "joining");
}

static struct key
bench_key(uint32_t i)
{
	struct key k = {.proto = IPPROTO_TCP,
		.lport_be = htons(7),
		.rport_be = htons((uint16_t)(1024 + i % PORTS))};

	key_map_v4(k.raddr, htonl(FIRST_KEY + i / PORTS));
	key_map_v4(k.laddr, htonl(FRAME_US));
	return k;
}

static void
bench_turn(struct bench *b, uint32_t ms)
{
	b->w->now_ms += ms;
	b->w->now_us += 1000 * (uint64_t)ms;
	(void)conv_turn(b->w);
	conv_turn_end(b->w);
	b->reclaim->ops->quiescent(b->reclaim, 0);
}

static struct conv_node *
bench_open(struct bench *b, const struct key *k, uint32_t hash)
{
	struct conv_node *cn = conv_alloc(b->w, NODE_CONV, k, hash);

	must(cn != NULL && conv_publish(b->w, cn, 0, NULL) == 0, "opening a conversation");
	return cn;
}

static void
bench_fill(struct bench *b)
{
	b->live = rte_malloc("bench_live", b->nlive * sizeof(struct conv_node *), 0);
	must(b->live != NULL, "rte_malloc");
	for (uint32_t i = 0; i < b->nlive; i++) {
		struct key k = bench_key(b->key++);

		b->live[i] = bench_open(b, &k, ipht_hash(conv_ipht(b->ct), &k));
	}
}

/* ---- opened and closed ---- */

/** Turns until there is room: the thread that waits for grace periods has no CPU of its own here. Not timed. */
static void
bench_room(struct bench *b)
{
	for (uint64_t i = 0; conv_live(b->ct, NODE_CONV) > b->nlive + SPARE / 2; i++) {
		must(i < WAIT_ROUNDS, "waiting for a grace period");
		bench_turn(b, 0);
	}
}

/** One burst: `end` goes, and what comes takes its place in the list. @return cycles */
static uint64_t
bench_churn(struct bench *b, const uint32_t *end, const struct key *k, const uint32_t *hash)
{
	uint64_t start = rte_rdtsc_precise();

	for (unsigned i = 0; i < BURST; i++)
		for (unsigned line = 0; line < LINES_FETCHED; line++)
			if (line == 0 || (b->lines >> line & 1) != 0)
				__builtin_prefetch((uint8_t *)b->live[end[i]] +
						(size_t)line * RTE_CACHE_LINE_SIZE,
					1);
	/* One reader alone, so the table's reference is one that stays until it has been entered. */
	for (unsigned i = 0; i < BURST; i++)
		conv_kick(b->w, b->live[end[i]], NODE_KICK);
	for (unsigned i = 0; i < BURST; i++)
		b->live[end[i]] = bench_open(b, &k[i], hash[i]);
	bench_turn(b, 1);
	return rte_rdtsc_precise() - start;
}

static double
bench_open_close(struct bench *b)
{
	struct bursts bursts = {.n = 0};

	for (uint32_t n = 0; n < b->bursts; n++) {
		uint32_t end[BURST], hash[BURST];
		struct key k[BURST];

		/* The live ones in BURST equal parts, one of each: all different. */
		for (unsigned i = 0; i < BURST; i++) {
			end[i] = b->nlive / BURST * i + frame_random(&b->state, b->nlive / BURST);
			k[i] = bench_key(b->key++);
			hash[i] = ipht_hash(conv_ipht(b->ct), &k[i]);
		}
		bench_room(b);
		bursts_add(&bursts, bench_churn(b, end, k, hash));
	}
	return bursts_mean(&bursts) / BURST;
}

/* ---- packets ---- */

static void
bench_packet(struct bench *b, unsigned i, uint32_t at)
{
	struct pkt *p = pkt_of(b->m[i]);

	p->key = (struct key48){.k = b->live[at]->n.key};
	p->hash = b->live[at]->n.hash;
	p->kind = PKT_TCP;
}

/** Ms that pass before burst n. */
static uint32_t
bench_ms(uint32_t n, enum does what)
{
	if (what == DOES_AGAIN)
		return AGAIN_TURN;
	return n % LATER_TURNS == 0;
}

/** Deliver a burst, for so many nodes or for any that live (0), `ms` after the one before. @return cycles */
static uint64_t
bench_deliver(struct bench *b, unsigned nodes, enum does what, uint32_t ms)
{
	uint64_t start;

	for (unsigned i = 0; i < BURST; i++)
		bench_packet(b, i, nodes > 0 ? i % nodes : frame_random(&b->state, b->nlive));
	does = what;
	start = rte_rdtsc_precise();
	conv_input_burst(b->w, b->m, BURST);
	bench_turn(b, ms);
	start = rte_rdtsc_precise() - start;
	does = DOES_NOTHING;
	return start;
}

/** Bursts of two kinds by turns. @return cycles that one of the second takes more than one of the first */
static double
bench_compare(struct bench *b, unsigned nodes1, unsigned nodes2, enum does what)
{
	struct bursts first = {.n = 0}, second = {.n = 0};

	for (uint32_t n = 0; n < b->bursts; n++) {
		bursts_add(&first, bench_deliver(b, nodes1, DOES_NOTHING, bench_ms(n, what)));
		bursts_add(&second, bench_deliver(b, nodes2, what, bench_ms(n, what)));
	}
	return bursts_mean(&second) - bursts_mean(&first);
}

static double
bench_enter(struct bench *b)
{
	return bench_compare(b, 1, BURST, DOES_NOTHING) / (BURST - 1);
}

/** Per packet, what `what` costs more than doing nothing. */
static double
bench_timer(struct bench *b, unsigned nodes, enum does what)
{
	return bench_compare(b, nodes, nodes, what) / BURST;
}

/** Every timer is armed, so that from now on it is moved. */
static void
bench_arm(struct bench *b)
{
	does = DOES_LATER;
	for (uint32_t at = 0; at < b->nlive; at += BURST) {
		for (unsigned i = 0; i < BURST; i++)
			bench_packet(b, i, (at + i) % b->nlive);
		conv_input_burst(b->w, b->m, BURST);
		bench_turn(b, 0);
	}
	does = DOES_NOTHING;
}

/* ---- the end ---- */

static void
bench_end(struct bench *b)
{
	char fault[256] = "";

	if (conv_check(b->ct, fault, sizeof(fault)) != 0)
		fprintf(stderr, "bench: %s\n", fault);
	must(fault[0] == '\0', "checking the table");
	for (uint32_t i = 0; i < b->nlive; i++)
		conv_kick(b->w, b->live[i], NODE_KICK);
	for (uint64_t i = 0; conv_live(b->ct, NODE_CONV) > 0; i++) {
		must(i < WAIT_ROUNDS, "waiting for a grace period");
		bench_turn(b, 0);
	}
	b->reclaim->ops->leave(b->reclaim, 0);
	conv_table_free(b->ct);
	b->reclaim->ops->free(b->reclaim);
	rte_pktmbuf_free_bulk(b->m, BURST);
	rte_mempool_free(b->mp);
	rte_free(b->live);
	rte_free(b->w);
}

/** Bytes that lib/stack says one TCP conversation more takes. */
static uint64_t
stack_says(uint32_t conversations)
{
	const struct stack_conf conf = {.seats = 1,
		.limit_conversations = conversations,
		.limit_half_open = 4096,
		.limit_time_wait = 4096,
		.limit_fragments = FEW,
		.listeners = 1,
		.mbufs = 16383};
	struct stack_memory memory;

	stack_memory(&conf, &memory);
	return memory.per_conversation;
}

/** A measurement, several times. */
static void
bench_runs(struct bench *b, unsigned runs, const char *name, unsigned nodes, enum does what)
{
	struct runs r = {.n = 0};

	for (unsigned i = 0; i < runs; i++)
		runs_add(&r, bench_timer(b, nodes, what));
	runs_print(name, &r, ", ");
}

int
main(int argc, char **argv)
{
	uint64_t args[] = {500000, 1 << 12, 9};
	struct bench b = {.state = 0x9e3779b97f4a7c15, .lines = tcp_proto.lines};
	struct runs opened = {.n = 0}, entered = {.n = 0};

	program_start(argc, argv, 1, args, RTE_DIM(args));
	b.nlive = (uint32_t)args[0] / BURST * BURST;
	b.bursts = (uint32_t)args[1];
	must(b.nlive >= BURST && b.bursts > 0 && args[2] > 0 && args[2] <= RUNS_MAX,
		"looking at the arguments");
	bench_table(&b);
	bench_worker(&b);
	bench_fill(&b);
	for (unsigned i = 0; i < args[2]; i++) {
		runs_add(&opened, bench_open_close(&b));
		runs_add(&entered, bench_enter(&b));
	}
	printf("{\"live\": %u, ", b.nlive);
	runs_print("open_close", &opened, ", ");
	runs_print("enter", &entered, ", ");
	bench_runs(&b, (unsigned)args[2], "timer_again", BURST, DOES_AGAIN);
	bench_runs(&b, (unsigned)args[2], "timer_again_random", 0, DOES_AGAIN);
	bench_runs(&b, (unsigned)args[2], "timer_later", BURST, DOES_LATER);
	bench_arm(&b);
	bench_runs(&b, (unsigned)args[2], "timer_later_random", 0, DOES_LATER);
	printf("\"table_bytes\": %.1f, \"stack_bytes\": %lu, \"tsc_hz\": %lu}\n", b.table_bytes,
		stack_says(1 << 20), rte_get_tsc_hz());
	bench_end(&b);
	rte_eal_cleanup();
	return 0;
}
