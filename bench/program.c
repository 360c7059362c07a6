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
