/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "program.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench: %s failed\n", what);
	exit(1);
}

void
program_start(int argc, char **argv, int first, uint64_t *ret, unsigned n)
{
	int eal = first;

	for (unsigned i = 0; i < n && eal < argc && argv[eal][0] != '-'; i++)
		ret[i] = strtoull(argv[eal++], NULL, 0);
	eal--;
	argv[eal] = argv[0];
	must(rte_eal_init(argc - eal, argv + eal) >= 0, "rte_eal_init");
}

void
program_unpin(void)
{
	cpu_set_t all;

	CPU_ZERO(&all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		CPU_SET(i, &all);
	must(pthread_setaffinity_np(pthread_self(), sizeof(all), &all) == 0, "setaffinity");
}

void
program_pin(unsigned lcore)
{
	rte_cpuset_t set = rte_lcore_cpuset(lcore);

	must(pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0, "setaffinity");
}

double
heap_bytes(void)
{
	struct rte_malloc_socket_stats stats;
	double bytes = 0;

	for (unsigned i = 0; i < rte_socket_count(); i++)
		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0)
			bytes += (double)stats.heap_allocsz_bytes;
	return bytes;
}

static int
fewer(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void
bursts_add(struct bursts *b, uint64_t cycles)
{
	if (b->n == b->room) {
		b->room = b->room == 0 ? 1024 : 2 * b->room;
		b->cycles = realloc(b->cycles, b->room * sizeof(b->cycles[0]));
		must(b->cycles != NULL, "realloc");
	}
	b->cycles[b->n++] = cycles;
}

double
bursts_mean(struct bursts *b)
{
	uint32_t kept = b->n - b->n / 100;
	double sum = 0;

	must(b->n > 0, "a burst");
	qsort(b->cycles, b->n, sizeof(b->cycles[0]), fewer);
	for (uint32_t i = 0; i < kept; i++)
		sum += (double)b->cycles[i];
	free(b->cycles);
	*b = (struct bursts){.n = 0};
	return sum / kept;
}

void
runs_add(struct runs *r, double v)
{
	must(r->n < RUNS_MAX, "room for one run more");
	r->v[r->n++] = v;
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void
runs_print(const char *name, struct runs *r, const char *after)
{
	must(r->n > 0, "a run");
	qsort(r->v, r->n, sizeof(r->v[0]), ascending);
	printf("\"%s\": {\"min\": %.4g, \"median\": %.4g, \"max\": %.4g}%s", name, r->v[0],
		r->v[r->n / 2], r->v[r->n - 1], after);
}
