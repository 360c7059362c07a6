/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Echo through a hostile link: sim_echo [SEEDS [FIRST_SEED]]. Each seed chooses workers, spread, IP version and link; a
 * failing seed is printed with the command that runs it again.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "services.h"
#include "sim.h"
#include "util.h"

#define BYTES    100000
#define FLOWS    4
#define PORT     7
#define LIMIT_US UINT64_C(300000000)

struct run {
	struct flow flow[FLOWS];
	unsigned n;
};

struct totals {
	uint64_t frames, lost, reordered, duplicated, corrupted, backlog, remote_timers, virtual_us,
		worst_us;
};

static struct sim_conf
conf_of(uint64_t seed)
{
	struct worker r;
	struct sim_conf c = {.seed = seed};

	worker_seed(&r, seed ^ 0x5eed);
	c.workers[0] = 1 + (unsigned)(worker_random(&r) % 4);
	c.workers[1] = 1 + (unsigned)(worker_random(&r) % 4);
	c.spread = worker_random(&r) % 3 == 0 ? STACK_SPREAD_FLOW : STACK_SPREAD_PACKET;
	c.deal = seed % 2 != 0;
	for (unsigned h = 0; h < 2; h++)
		c.tso[h] = seed % 3 == h;
	c.link[0].loss = 50000;
	c.link[0].reorder = 20000;
	c.link[0].duplicate = 10000;
	c.link[0].corrupt = worker_random(&r) % 2 == 0 ? 2000 : 0;
	c.link[0].delay_us = 50 + worker_random(&r) % 20000;
	c.link[0].jitter_us = worker_random(&r) % 1000;
	c.link[1] = c.link[0];
	c.check_every = 8;
	return c;
}

static bool
run_over(void *arg)
{
	struct run *r = arg;

	for (unsigned i = 0; i < r->n; i++)
		if (!r->flow[i].over)
			return false;
	return true;
}

static void
run_listen(struct sim *s)
{
	struct listener_conf lc = {
		.name = "echo",
		.proto = IPPROTO_TCP,
		.port_lo = PORT,
		.port_hi = PORT,
		.service = &svc_echo,
		.half_open = 64,
	};

	if (stack_listen(sim_stack(s, 1), &lc, NULL) != 0)
		abort();
}

static void
run_count(struct sim *s, const struct run *r, struct totals *t)
{
	const struct sim_counters *c = sim_counters(s);

	t->frames += c->delivered;
	t->lost += c->lost;
	t->reordered += c->reordered;
	t->duplicated += c->duplicated;
	t->corrupted += c->corrupted;
	for (unsigned h = 0; h < 2; h++) {
		struct stack_stats st;

		stack_stats(sim_stack(s, h), &st);
		t->backlog += st.conv.backlog_pushes;
		t->remote_timers += st.conv.timers_moved_remote;
	}
	for (unsigned i = 0; i < r->n; i++) {
		uint64_t us = r->flow[i].over_us - r->flow[i].opened_us;

		t->virtual_us += us;
		t->worst_us = RTE_MAX(t->worst_us, us);
	}
}

static int
run_seed(uint64_t seed, struct totals *t)
{
	struct sim_conf conf = conf_of(seed);
	struct sim *s = sim_create(&conf);
	struct run r = {.n = FLOWS};
	char fault[512] = "";
	int err = 0;

	run_listen(s);
	sim_run(s, 3000000, NULL, NULL); /* IPv6 addresses are tentative at first (RFC 4862) */
	for (unsigned i = 0; i < FLOWS; i++) {
		struct key k = sim_key(i % 2 == 1, IPPROTO_TCP, PORT);

		r.flow[i].seed = seed * FLOWS + i;
		r.flow[i].total = BYTES;
		if (flow_open(stack_seat(sim_stack(s, 0), i % conf.workers[0]), &r.flow[i], &k) !=
			0)
			abort();
	}
	if (!sim_run(s, LIMIT_US, run_over, &r))
		snprintf(fault, sizeof(fault), "flows not over");
	for (unsigned i = 0; i < FLOWS; i++) {
		const struct flow *f = &r.flow[i];

		if (!flow_ok(f)) {
			printf("seed %lu flow %u: sent %lu received %lu wrong %lu eof %d over %d end %s\n",
				seed, i, f->sent, f->received, f->wrong, f->eof, f->over,
				f->over ? conv_end_name(f->end) : "-");
			err = -1;
		}
		conv_put(stack_seat(sim_stack(s, 0), 0), &f->c->cn);
	}
	run_count(s, &r, t);
	stack_drain(sim_stack(s, 1));
	if (sim_free(s, fault, sizeof(fault)) != 0 || fault[0] != 0) {
		printf("seed %lu: %s\n", seed, fault);
		err = -1;
	}
	if (err != 0)
		printf("again: sim_echo 1 %lu\n", seed);
	return err;
}

int
main(int argc, char **argv)
{
	uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 0) : 20;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	struct totals t = {0};
	unsigned failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	test_eal("sim_echo");
	for (uint64_t seed = first; seed < first + seeds; seed++)
		failed += run_seed(seed, &t) != 0;
	printf("%lu seeds, %u failed; %lu flows of %u bytes; frames %lu, lost %lu, reordered %lu, duplicated %lu, "
	       "corrupted %lu; backlog pushes %lu, timers armed for another worker %lu; mean %.2f s, worst %.2f s\n",
		seeds, failed, seeds * FLOWS, BYTES, t.frames, t.lost, t.reordered, t.duplicated,
		t.corrupted, t.backlog, t.remote_timers,
		(double)t.virtual_us / 1e6 / (double)(seeds * FLOWS), (double)t.worst_us / 1e6);
	return failed != 0;
}
