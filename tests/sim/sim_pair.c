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

#include "pair_client.h"
#include "sim.h"
#include "svc_pair.h"
#include "util.h"

#define PORT     7000
#define LIMIT_US UINT64_C(400000000)

static struct pair_client client[PAIR_CLIENTS];
static uint64_t run_total;

static struct sim_conf
conf_of(uint64_t seed)
{
	struct worker r;
	struct sim_conf c = {.seed = seed};

	worker_seed(&r, seed ^ 0x9a12);
	c.workers[0] = 1 + (unsigned)(worker_random(&r) % 3);
	c.workers[1] = 2 + (unsigned)(worker_random(&r) % 3);
	c.spread = worker_random(&r) % 2 == 0 ? STACK_SPREAD_FLOW : STACK_SPREAD_PACKET;
	c.deal = seed % 2 != 0;
	for (unsigned h = 0; h < 2; h++)
		c.tso[h] = seed % 3 == h;
	c.link[0].delay_us = 50 + worker_random(&r) % 5000;
	c.link[0].jitter_us = worker_random(&r) % 500;
	c.link[0].loss = worker_random(&r) % 2 == 0 ? 20000 : 0;
	c.link[0].reorder = worker_random(&r) % 2 == 0 ? 20000 : 0;
	run_total = PAIR_HEAD + 20000 + worker_random(&r) % 180000;
	c.link[1] = c.link[0];
	c.check_every = 8;
	c.tcp.keepalive_ms =
		10000; /* who has nothing in flight does not hear of a reset that was lost */
	return c;
}

static bool
run_over(void *arg)
{
	return pair_clients_over(arg);
}

static void
run_open(struct sim *s, const struct sim_conf *conf)
{
	bool deaths = conf->seed % 3 == 0;

	memset(client, 0, sizeof(client));
	for (unsigned i = 0; i < PAIR_CLIENTS; i++) {
		struct worker *w = stack_seat(sim_stack(s, 0), i % conf->workers[0]);
		struct key key = sim_key(i % 2 == 1, IPPROTO_TCP, PORT);

		if (deaths && sim_random(s) % 3 == 0)
			client[i].hangup_at = 1 + sim_random(s) % run_total;
		pair_client_open(&client[i], w, &key, i + 1, run_total);
	}
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
	char fault[512] = "", name[32];
	int err = 0;

	if (stack_listen(sim_stack(s, 1), &lc, NULL) != 0)
		abort();
	sim_run(s, 3000000, NULL, NULL); /* addresses are ours after DAD */
	run_open(s, &conf);
	if (!sim_run(s, LIMIT_US, run_over, client)) {
		printf("seed %lu: not over\n", seed);
		err = -1;
	}
	(void)snprintf(name, sizeof(name), "seed %lu", seed);
	if (!pair_clients_ok(client, name))
		err = -1;
	for (unsigned i = 0; i < PAIR_CLIENTS; i++)
		conv_put(stack_seat(sim_stack(s, 0), 0), &client[i].c->cn);
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
