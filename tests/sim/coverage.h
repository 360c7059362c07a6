/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What many runs have met: changes of TCP's state, its other counters, and reasons for dropping. Plain values without
 * pointers, so that processes can share and add them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stack.h"

#define COVERAGE_ROWS 256

struct coverage {
	unsigned n;
	struct {
		char name[48];
		uint64_t v;
	} row[COVERAGE_ROWS];
	uint64_t drops[DROP_MAX];
};

/** Add what a stack has counted. */
void coverage_add(struct coverage *c, struct stack *s);
void coverage_merge(struct coverage *to, const struct coverage *from);
/** Print it. @return how many rows that should have been met were not */
unsigned coverage_report(const struct coverage *c);
