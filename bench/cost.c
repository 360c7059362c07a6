/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_cost udp|tcp FLOWS [PACKETS [RUNS]] [EAL options]
 *
 * Echo through so many conversations by one worker over net_ring, generator and worker in turn in one thread. Prints
 * one line of JSON: TSC cycles per packet of the worker's part alone.
 */
#include "cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#define RUNS_MAX 99

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	struct cost_conf c = {.runs = 9, .packets = 1 << 20};
	struct ring r;
	double run[RUNS_MAX];
	bool tcp, offload = getenv("BENCH_NO_OFFLOAD") == NULL;
	int err, eal = 3;

	if (argc < 3 || (strcmp(argv[1], "udp") != 0 && strcmp(argv[1], "tcp") != 0)) {
		fprintf(stderr, "usage: bench_cost udp|tcp FLOWS [PACKETS [RUNS]] [EAL options]\n");
		return 2;
	}
	tcp = strcmp(argv[1], "tcp") == 0;
	c.flows = (uint32_t)strtoul(argv[2], NULL, 0) / RING_BURST * RING_BURST;
	c.random = c.flows > 4096;
	if (eal < argc && argv[eal][0] != '-')
		c.packets = (uint32_t)strtoul(argv[eal++], NULL, 0);
	if (eal < argc && argv[eal][0] != '-')
		c.runs = RTE_MIN((unsigned)strtoul(argv[eal++], NULL, 0), (unsigned)RUNS_MAX);
	eal--;
	argv[eal] = argv[0];
	if (rte_eal_init(argc - eal, argv + eal) < 0)
		return 1;
	ring_open(&r, c.flows + 4096, offload, getenv("BENCH_GRO") == NULL ? RING_PLAIN : RING_GRO);
	err = tcp ? cost_tcp(&r, &c, run) : cost_udp(&r, &c, run);
	if (err == 0) {
		qsort(run, c.runs, sizeof(run[0]), ascending);
		printf("{\"what\": \"%s\", \"flows\": %u, \"offload\": %s, \"min\": %.1f, \"median\": %.1f, \"max\": %.1f, \"tsc_hz\": %lu}\n",
			argv[1], c.flows, offload ? "true" : "false", run[0], run[c.runs / 2],
			run[c.runs - 1], rte_get_tsc_hz());
	}
	ring_close(&r);
	rte_eal_cleanup();
	return err == 0 ? 0 : 1;
}
