/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the programs of the benchmark share: their arguments, and the values of several runs. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RUNS_MAX 99

/** Ends the program with a line that names what failed. */
void must(bool ok, const char *what);

/**
 * Start EAL with what follows the program's own arguments: argv[first] and on may be numbers, up to the first that starts
 * with '-'; the i-th of them goes to ret[i], and what is not given stays as it is. Ends the program if it can't.
 */
void program_start(int argc, char **argv, int first, uint64_t *ret, unsigned n);

/** Let this thread, and those that it makes, run on every CPU: EAL has bound it to one. */
void program_unpin(void);
/** On that one only again. */
void program_pin(unsigned lcore);

/** What EAL's heaps have given away, in bytes. */
double heap_bytes(void);

/** How long each burst of a run took. */
struct bursts {
	uint64_t *cycles;
	uint32_t n, room;
};

void bursts_add(struct bursts *b, uint64_t cycles);
/**
 * The mean, without the slowest hundredth, in which somebody else had the core for a while. Empties it.
 * @return cycles per burst
 */
double bursts_mean(struct bursts *b);

/** What several runs of one measurement gave. */
struct runs {
	double v[RUNS_MAX];
	unsigned n;
};

void runs_add(struct runs *r, double v);
/** Print `"name": {"min": ..., "median": ..., "max": ...}` and what follows. Sorts the values. */
void runs_print(const char *name, struct runs *r, const char *after);
