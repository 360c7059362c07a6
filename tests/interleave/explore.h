/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The interleaving explorer: threads of a scenario are coroutines of one thread, and at each point (lib/point) a
 * schedule decides who goes on.
 *
 * Systematic: all schedules with at most so many preemptions (Musuvathi, Qadeer 2007: iterative context bounding), fewest
 * first, so that the first failure has as few as possible. A switch away from a thread that has ended or waits is none. Points
 * whose memory only one thread ever touches in any schedule seen so far are no places to preempt.
 * Random: priorities with a few random changes (Burckhardt et al. 2010: PCT).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EXPLORE_THREADS 4
#define EXPLORE_STEPS   4096 /* most steps of one schedule; more is a livelock */

struct explore_scenario {
	const char *name; /* "a1" and so on */
	const char *what; /* one line */
	unsigned threads;
	void (*setup)(void); /* before each schedule; everything at rest after the one before */
	void (*thread[EXPLORE_THREADS])(void);
	const char *label[EXPLORE_THREADS]; /* for printing */
	/** After each schedule, all threads ended. Faults are told by explore_fail. */
	void (*check)(void);
	/** Stop places that must have been met in some schedule; NULL ends. */
	const char *must_meet[8];
};

struct explore_result {
	uint64_t schedules, steps;
	unsigned longest; /* steps of one schedule */
	bool failed;
	char fault[256];
};

/** All schedules with at most `bound` preemptions. */
struct explore_result explore_all(const struct explore_scenario *s, unsigned bound);
/** `count` random schedules of PCT with `depth` changes of priority. */
struct explore_result
explore_random(const struct explore_scenario *s, uint64_t count, unsigned depth, uint64_t seed);
/** Whether a scenario fails if one of its places is not met: yes, but for lifetime policies that do not have them all. */
void explore_places(bool required);
/** The schedule that failed, as a step list, and as one line for explore_replay. */
void explore_print(const struct explore_scenario *s);
/** A schedule as explore_print gave it: "0x5,1x3,..." @return false: it can't be followed */
bool
explore_replay(const struct explore_scenario *s, const char *schedule, struct explore_result *ret);

/** The schedule that runs now has shown a fault; does not return when a thread calls it. */
__attribute__((format(printf, 1, 2))) void explore_fail(const char *format, ...);
/** A place of a scenario's own. */
void explore_place(const char *what);
/** The thread that runs, or -1 outside of schedules. */
int explore_thread(void);
