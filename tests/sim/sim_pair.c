/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Conversations on different workers that write to each other: sim_pair [SEEDS [FIRST_SEED]]. Clients of one host call a
 * listener of the other, which pairs them; each sends its number and a stream that follows from it, and checks
 * what it gets against its partner's. In some seeds some clients hang up in the middle, and in all
 * of them every node, reference and buffer must be back at the end.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "svc_pair.h"
#include "util.h"

#define CLIENTS   8
#define HEAD      8 /* bytes that say who is speaking */
#define CHUNK_MAX 1700
#define PORT      7000
#define LIMIT_US  UINT64_C(400000000)

struct client {
	uint64_t number; /* from 1 */
	uint64_t total, sent, received, wrong;
	uint64_t hangup_at; /* bytes received; 0: never */
	uint8_t head[HEAD];
	uint64_t partner; /* 0: not heard yet */
	bool eof, over;
	enum conv_end end;
	struct conv *c;
};

static struct client client[CLIENTS];
static uint64_t run_total;

static uint8_t
stream_byte(uint64_t number, uint64_t at)
{
	if (at < HEAD)
		return (uint8_t)(number >> 8 * at);
	return (uint8_t)((at + number * 1000003) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static struct client *
client_of(struct conv *c)
{
	struct client *k;

	memcpy(&k, c->svc, sizeof(k));
	return k;
}

static void
client_send(struct worker *w, struct conv *c)
{
	struct client *k = client_of(c);

	while (k->sent < k->total && c->proto->write_room(c) > 0) {
		uint64_t len = RTE_MIN(1 + worker_random(w) % CHUNK_MAX, k->total - k->sent);
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
		uint8_t *to;

		if (m == NULL) {
			conv_kick(w, &c->cn, NODE_KICK);
			return;
		}
		to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
		for (uint64_t i = 0; i < len; i++)
			to[i] = stream_byte(k->number, k->sent + i);
		if (c->proto->write(w, c, m) != 0)
			return;
		k->sent += len;
	}
	if (k->sent == k->total)
		c->proto->shutdown(w, c);
}

static void
client_check(struct client *k, uint8_t b)
{
	if (k->received < HEAD) {
		k->partner |= (uint64_t)b << 8 * k->received;
		k->received++;
		return;
	}
	k->wrong += b != stream_byte(k->partner, k->received);
	k->received++;
}

static void
client_recv(struct worker *w, struct conv *c)
{
	struct client *k = client_of(c);
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		for (struct rte_mbuf *seg = m; seg != NULL; seg = seg->next)
			for (uint32_t i = 0; i < seg->data_len; i++)
				client_check(k, rte_pktmbuf_mtod(seg, const uint8_t *)[i]);
		rte_pktmbuf_free(m);
	}
	if (k->hangup_at != 0 && k->received >= k->hangup_at)
		c->proto->hangup(w, c, CONV_END_HANGUP);
}

static void
client_shutdown(struct worker *w, struct conv *c)
{
	struct client *k = client_of(c);

	client_recv(w, c);
	k->eof = true;
	if (k->sent == k->total)
		c->proto->close(w, c);
	else
		c->proto->hangup(w, c, CONV_END_HANGUP); /* the partner has left */
}

static void
client_over(struct worker *w, struct conv *c, enum conv_end why)
{
	struct client *k = client_of(c);

	(void)w;
	k->over = true;
	k->end = why;
}

static const struct service client_service = {
	.name = "client",
	.tcp = true,
	.state_size = sizeof(struct client *),
	.connected = client_send,
	.failed = client_over,
	.recv = client_recv,
	.drain = client_send,
	.kicked = client_send,
	.shutdown = client_shutdown,
	.hangup = client_over,
};

/* ---- runs ---- */

static struct sim_conf
conf_of(uint64_t seed)
{
	struct worker r;
	struct sim_conf c = {.seed = seed};

	worker_seed(&r, seed ^ 0x9a12);
	c.workers[0] = 1 + (unsigned)(worker_random(&r) % 3);
	c.workers[1] = 2 + (unsigned)(worker_random(&r) % 3);
	c.spread = worker_random(&r) % 2 == 0 ? STACK_SPREAD_FLOW : STACK_SPREAD_PACKET;
	c.link.delay_us = 50 + worker_random(&r) % 5000;
	c.link.jitter_us = worker_random(&r) % 500;
	c.link.loss = worker_random(&r) % 2 == 0 ? 20000 : 0;
	c.link.reorder = worker_random(&r) % 2 == 0 ? 20000 : 0;
	run_total = HEAD + 20000 + worker_random(&r) % 180000;
	return c;
}

static bool
run_over(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < CLIENTS; i++)
		if (!client[i].over)
			return false;
	return true;
}

static void
run_open(struct sim *s, const struct sim_conf *conf)
{
	bool deaths = conf->seed % 3 == 0;

	memset(client, 0, sizeof(client));
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *k = &client[i];
		struct worker *w = stack_worker(sim_stack(s, 0), i % conf->workers[0]);
		struct key key = sim_key(i % 2 == 1, IPPROTO_TCP, PORT);

		k->number = i + 1;
		k->total = run_total;
		if (deaths && sim_random(s) % 3 == 0)
			k->hangup_at = 1 + sim_random(s) % run_total;
		if (tcp_proto.connect(w, &client_service, &key, &k->c) != 0)
			abort();
		memcpy(k->c->svc, &k, sizeof(k));
	}
}

static bool
client_deaths(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (client[i].hangup_at != 0)
			return true;
	return false;
}

static bool
client_ok(const struct client *k)
{
	const struct client *p;

	if (k->wrong != 0 || k->partner > CLIENTS || k->partner == k->number)
		return false;
	p = k->partner == 0 ? NULL : &client[k->partner - 1];
	/* One that left early takes its partner with it, and nobody else. */
	if (k->hangup_at != 0 || (p != NULL && p->hangup_at != 0))
		return k->over;
	/* Its partner left before it said who it was. */
	if (p == NULL && k->received < HEAD && client_deaths())
		return k->over;
	return p != NULL && p->partner == k->number && k->received == k->total && k->eof &&
		k->end == CONV_END_CLOSED;
}

static int
run_seed(uint64_t seed, uint64_t sums[4])
{
	struct sim_conf conf = conf_of(seed);
	struct sim *s = sim_create(&conf);
	struct svc_pair_hall hall = {.waiting = NULL};
	struct listener_conf lc = {.name = "pair",
		.proto = IPPROTO_TCP,
		.port_lo = PORT,
		.port_hi = PORT,
		.service = &svc_pair,
		.options = &hall,
		.half_open = 64};
	struct stack_stats st;
	char fault[512] = "";
	int err = 0;

	if (stack_listen(sim_stack(s, 1), &lc, NULL) != 0)
		abort();
	sim_run(s, 3000000, NULL, NULL); /* addresses are ours after DAD */
	run_open(s, &conf);
	if (!sim_run(s, LIMIT_US, run_over, NULL)) {
		printf("seed %lu: not over\n", seed);
		err = -1;
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *k = &client[i];

		if (!client_ok(k)) {
			printf("seed %lu client %lu: partner %lu sent %lu received %lu of %lu wrong %lu eof %d over %d end %s\n",
				seed, k->number, k->partner, k->sent, k->received, k->total,
				k->wrong, k->eof, k->over, k->over ? conv_end_name(k->end) : "-");
			err = -1;
		}
		conv_put(stack_worker(sim_stack(s, 0), 0), &k->c->cn);
	}
	stack_stats(sim_stack(s, 1), &st);
	sums[0] += hall.pairs;
	sums[1] += hall.crossings;
	sums[2] += hall.blocked;
	sums[3] += st.conv.kicks;
	stack_drain(sim_stack(s, 1));
	if (sim_free(s, fault, sizeof(fault)) != 0) {
		printf("seed %lu: %s\n", seed, fault);
		err = -1;
	}
	if (err != 0)
		printf("again: sim_pair 1 %lu\n", seed);
	return err;
}

int
main(int argc, char **argv)
{
	uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 0) : 20;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	uint64_t sums[4] = {0};
	unsigned failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	test_eal("sim_pair");
	for (uint64_t seed = first; seed < first + seeds; seed++)
		failed += run_seed(seed, sums) != 0;
	printf("%lu seeds, %u failed; pairs %lu, packets put in from another worker %lu, inlets full %lu, kicks %lu\n",
		seeds, failed, sums[0], sums[1], sums[2], sums[3]);
	/* Else it was no test of what it is about. */
	return failed != 0 || (seeds >= 10 && (sums[1] == 0 || sums[2] == 0));
}
