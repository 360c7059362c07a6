/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   interleave [NAME ...] [--bound N] [--random COUNT] [--seed N] [--replay SCHEDULE] [--no-places]
 *
 * Explores the scenarios named (all), systematically up to --bound preemptions (3), then --random schedules. The first that fails
 * is printed as a step list, and ends the program: what it left behind is no ground for another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "scenarios.h"
#include "world.h"

struct options {
	unsigned bound;
	uint64_t random, seed;
	const char *replay;
	bool no_places;
	const char *name[64];
	unsigned names;
};

static const struct explore_scenario *const groups[] = {scenarios, hazards_reuse, hazards_calls};

static void
options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){.bound = 3, .seed = 1};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--bound") == 0)
			o->bound = (unsigned)strtoul(value, NULL, 0), i++;
		else if (strcmp(argv[i], "--random") == 0)
			o->random = strtoull(value, NULL, 0), i++;
		else if (strcmp(argv[i], "--seed") == 0)
			o->seed = strtoull(value, NULL, 0), i++;
		else if (strcmp(argv[i], "--replay") == 0)
			o->replay = value, i++;
		else if (strcmp(argv[i], "--no-places") == 0)
			o->no_places = true;
		else if (o->names < 64)
			o->name[o->names++] = argv[i];
	}
}

static bool
wanted(const struct options *o, const char *name)
{
	for (unsigned i = 0; i < o->names; i++)
		if (strcmp(o->name[i], name) == 0)
			return true;
	return o->names == 0;
}

static void
fail(const struct explore_scenario *s)
{
	explore_print(s);
	exit(1);
}

static void
run(const struct options *o, const struct explore_scenario *s, uint64_t *sum)
{
	struct explore_result r;

	explore_places(!o->no_places);
	if (o->replay != NULL) {
		if (!explore_replay(s, o->replay, &r)) {
			fprintf(stderr, "interleave: %s is no schedule\n", o->replay);
			exit(2);
		}
		if (r.failed)
			fail(s);
		printf("%-14s replayed, %u steps, no fault\n", s->name, r.longest);
		return;
	}
	r = explore_all(s, o->bound);
	if (r.failed)
		fail(s);
	*sum += r.schedules;
	printf("%-14s %s: %lu schedules of up to %u steps, bound %u, 0 violations\n", s->name,
		s->what, r.schedules, r.longest, o->bound);
	if (o->random == 0)
		return;
	r = explore_random(s, o->random, 3, o->seed);
	if (r.failed)
		fail(s);
	*sum += r.schedules;
}

int
main(int argc, char **argv)
{
	struct options o;
	uint64_t sum = 0;
	unsigned n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	options_read(&o, argc, argv);
	test_eal("interleave");
	world_open();
	host_open();
	for (unsigned g = 0; g < RTE_DIM(groups); g++)
		for (const struct explore_scenario *s = groups[g]; s->name != NULL; s++)
			if (wanted(&o, s->name)) {
				run(&o, s, &sum);
				n++;
			}
	if (n == 0) {
		fprintf(stderr, "interleave: no scenario of that name\n");
		return 2;
	}
	printf("%u scenarios, %lu schedules, 0 violations\n", n, sum);
	return 0;
}
