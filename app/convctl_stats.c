/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Every counter, once or again and again. All that the daemon counts is shown by the names it
 * gives, so a counter that is new there needs nothing here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "convctl.h"

/* What a walk over the counters carries along. */
struct convctl_walk {
	struct convctl_table table;
	double seconds; /* since the counters before; 0: there are none */
};

static void
convctl_stats_row(
	struct convctl_walk *walk, const char *name, const json_t *value, const json_t *before)
{
	json_int_t now = json_integer_value(value), then = json_integer_value(before);
	char text[32];

	if (walk->seconds > 0 && now == then)
		return;
	convctl_table_cell(&walk->table, name);
	(void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, now);
	convctl_table_cell(&walk->table, text);
	if (walk->seconds <= 0)
		return;
	(void)snprintf(text, sizeof(text), "%.1f", (double)(now - then) / walk->seconds);
	convctl_table_cell(&walk->table, text);
}

/* All counters below value, named by the way to them: "conv.half_open.born", "workers.0.received". */
static void
convctl_stats_walk(
	struct convctl_walk *walk, const char *name, const json_t *value, const json_t *before)
{
	const char *key;
	char path[128];
	json_t *member;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, member) {
			(void)snprintf(
				path, sizeof(path), "%s%s%s", name, *name != '\0' ? "." : "", key);
			convctl_stats_walk(walk, path, member, json_object_get(before, key));
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, member) {
			(void)snprintf(path, sizeof(path), "%s.%zu", name, i);
			convctl_stats_walk(walk, path, member, json_array_get(before, i));
		}
	} else if (json_is_boolean(value)) {
		json_t *number = json_integer(json_is_true(value) ? 1 : 0);
		json_t *number_before = json_integer(json_is_true(before) ? 1 : 0);

		convctl_stats_row(walk, name, number, number_before);
		json_decref(number);
		json_decref(number_before);
	} else {
		convctl_stats_row(walk, name, value, before);
	}
}

/* The sum over received packets, as product.md promises it. */
static void
convctl_stats_sum(const json_t *stats)
{
	json_int_t missing = json_integer_value(json_object_get(stats, "missing"));
	uint64_t drops = 0;
	const char *reason;
	json_t *value;

	json_object_foreach(json_object_get(stats, "drops"), reason, value) {
		drops += (uint64_t)json_integer_value(value);
	}
	(void)printf("received %" PRIu64 " = delivered %" PRIu64 " + consumed %" PRIu64
		     " + drops %" PRIu64 " + held %" PRIu64,
		convctl_u64(stats, "received"), convctl_u64(stats, "delivered"),
		convctl_u64(stats, "consumed"), drops, convctl_u64(stats, "held"));
	if (missing == 0)
		(void)printf(": exact\n");
	else
		(void)printf(": %" JSON_INTEGER_FORMAT
			     " missing (exact only while the workers are at rest)\n",
			missing);
}

static void
convctl_stats_print(const json_t *stats, const json_t *before, double seconds)
{
	static const struct convctl_column columns[] = {
		{"COUNTER", false}, {"VALUE", true}, {"PER-SECOND", true}};
	struct convctl_walk walk = {.seconds = seconds};

	convctl_stats_sum(stats);
	convctl_table_init(&walk.table, columns, seconds > 0 ? 3 : 2);
	convctl_stats_walk(&walk, "", stats, before);
	convctl_table_flush(&walk.table);
	convctl_table_free(&walk.table);
}

static double
convctl_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
convctl_sleep_until(double until_s)
{
	struct timespec ts = {.tv_sec = (time_t)until_s};

	ts.tv_nsec = (long)((until_s - (double)ts.tv_sec) * 1e9);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void
convctl_stats_show(
	const struct convctl *cc, const json_t *answer, const json_t *before, double seconds)
{
	const json_t *stats = json_object_get(answer, "stats");

	if (!cc->json) {
		if (before != NULL)
			(void)putchar('\n');
		convctl_stats_print(stats, json_object_get(before, "stats"), seconds);
		return;
	}
	(void)json_dumpf(stats, stdout, cc->interval_s > 0 ? JSON_COMPACT : JSON_INDENT(2));
	(void)putchar('\n');
}

int
convctl_stats(struct convctl *cc)
{
	json_t *before = NULL;
	double next_s = convctl_now_s(), before_s = 0;

	for (;;) {
		json_t *answer;
		int rc = convctl_ask(cc, json_pack("{s:s}", "command", "stats"), &answer);
		double now_s = convctl_now_s();

		if (rc != CONVCTL_OK) {
			json_decref(before);
			return rc;
		}
		convctl_stats_show(cc, answer, before, before == NULL ? 0 : now_s - before_s);
		json_decref(before);
		if (cc->interval_s <= 0 || fflush(stdout) != 0) {
			json_decref(answer);
			return CONVCTL_OK;
		}
		before = answer;
		before_s = now_s;
		next_s += cc->interval_s;
		convctl_sleep_until(next_s);
	}
}
