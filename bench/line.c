/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_line CPU CPU
 *
 * How long a cache line takes from one core to another: two threads write to it in turn. Prints one line of JSON: TSC cycles of
 * one way; between cores that share a cache it is little, through memory much, and what two processes can hand over follows.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#define ROUNDS 100000
#define RUNS   9

static struct {
	_Atomic unsigned turn;
} line __attribute__((aligned(128)));

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
		fprintf(stderr, "bench: can't run on CPU %d\n", cpu);
		exit(1);
	}
}

/** Wait for odd or even turns, and end each. */
static void
play(unsigned side)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		while (atomic_load_explicit(&line.turn, memory_order_acquire) % 2 != side)
			;
		atomic_fetch_add_explicit(&line.turn, 1, memory_order_release);
	}
}

static void *
other(void *arg)
{
	pin(*(const int *)arg);
	for (unsigned i = 0; i < RUNS; i++)
		play(1);
	return NULL;
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	double run[RUNS];
	pthread_t thread;
	int there;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_line CPU CPU\n");
		return 2;
	}
	there = atoi(argv[2]);
	pin(atoi(argv[1]));
	if (pthread_create(&thread, NULL, other, &there) != 0)
		return 1;
	for (unsigned i = 0; i < RUNS; i++) {
		uint64_t start = rte_rdtsc_precise();

		play(0);
		run[i] = (double)(rte_rdtsc_precise() - start) / (2.0 * ROUNDS);
	}
	pthread_join(thread, NULL);
	qsort(run, RUNS, sizeof(run[0]), ascending);
	printf("{\"min\": %.0f, \"median\": %.0f, \"max\": %.0f}\n", run[0], run[RUNS / 2],
		run[RUNS - 1]);
	return 0;
}
