/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "coverage.h"

#include <stdio.h>
#include <string.h>

/** Counters that the simulator does not meet, and what does. */
static const struct {
	const char *name, *shown_by;
} coverage_elsewhere[] = {
	{"state_syn_received_fin_wait_1",
		"no test: a service hears of a simultaneous open when it is ESTABLISHED, so its FIN waits for that "
		"(RFC 9293 section 3.10.4 allows it)"},
	{"sack_reneges", "tests/wire/tcp_loss_test.c"}, /* our stack never does */
	/* Our stack has timestamps, and they tell it sooner. */
	{"frto_spurious", "tests/wire/tcp_recovery_test.c"},
	{"no_mbuf", "tests/wire/tcp_loss_test.c"},
};

struct drop_mark {
	const char *name, *shown_by;
};

static const struct drop_mark drop_marks[DROP_MAX] = {
#define DROP(id, name, help, ...) [DROP_##id] = {name, "" __VA_ARGS__},
#include "drop.def"
#undef DROP
};

static void
coverage_count(void *arg, const char *name, uint64_t v)
{
	struct coverage *c = arg;
	unsigned i = 0;

	while (i < c->n && strcmp(c->row[i].name, name) != 0)
		i++;
	if (i == COVERAGE_ROWS)
		return;
	if (i == c->n) {
		snprintf(c->row[i].name, sizeof(c->row[i].name), "%s", name);
		c->n++;
	}
	c->row[i].v += v;
}

void
coverage_add(struct coverage *c, struct stack *s)
{
	struct stack_stats st;

	tcp_proto.stats(stack_seat(s, 0), coverage_count, c);
	stack_stats(s, &st);
	for (unsigned r = 0; r < DROP_MAX; r++)
		c->drops[r] += st.sum.drops[r];
}

void
coverage_merge(struct coverage *to, const struct coverage *from)
{
	for (unsigned i = 0; i < from->n; i++)
		coverage_count(to, from->row[i].name, from->row[i].v);
	for (unsigned r = 0; r < DROP_MAX; r++)
		to->drops[r] += from->drops[r];
}

static const char *
coverage_shown_by(const char *name)
{
	for (unsigned i = 0; i < RTE_DIM(coverage_elsewhere); i++)
		if (strcmp(coverage_elsewhere[i].name, name) == 0)
			return coverage_elsewhere[i].shown_by;
	return "";
}

/** @return 1 if it should have been met, and was not */
static unsigned
coverage_line(const char *what, const char *name, uint64_t v, const char *shown_by)
{
	bool missing = v == 0 && shown_by[0] == 0;

	if (v != 0)
		printf("  %-10s %-32s %lu\n", what, name, v);
	else
		printf("  %-10s %-32s %s %s\n", what, name, missing ? "NEVER" : "-", shown_by);
	return missing;
}

unsigned
coverage_report(const struct coverage *c)
{
	unsigned missing = 0;

	printf("coverage:\n");
	for (unsigned i = 0; i < c->n; i++) {
		const char *name = c->row[i].name;
		bool edge = strncmp(name, "state_", 6) == 0;

		missing += coverage_line(edge ? "edge" : "counter", edge ? name + 6 : name,
			c->row[i].v, coverage_shown_by(name));
	}
	for (unsigned r = 0; r < DROP_MAX; r++)
		missing += coverage_line(
			"drop", drop_marks[r].name, c->drops[r], drop_marks[r].shown_by);
	printf("coverage: %u of %u never met\n", missing, c->n + DROP_MAX);
	return missing;
}
