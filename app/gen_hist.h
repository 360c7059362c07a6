/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A histogram of times: log-linear, 128 steps for each power of two, so that a value is known to 0.8 %, from 1 us on.
 * Its writer's alone; sums are made when nobody writes.
 */
#pragma once

#include <stdint.h>

#define GEN_HIST_STEPS   128
#define GEN_HIST_FIRST   10 /* up to 2^10 ns steps are 8 ns */
#define GEN_HIST_LAST    37 /* 2^37 ns are 137 s: what is longer counts as that */
#define GEN_HIST_BUCKETS ((GEN_HIST_LAST - GEN_HIST_FIRST + 1) * GEN_HIST_STEPS)

struct gen_hist {
	uint64_t count, sum_ns, max_ns;
	uint64_t bucket[GEN_HIST_BUCKETS];
};

void gen_hist_add(struct gen_hist *h, uint64_t ns);
void gen_hist_merge(struct gen_hist *to, const struct gen_hist *from);
/** The time in ns that so many of a million (0 to 1,000,000) do not exceed, to 0.8 %; 0 of an empty one. */
uint64_t gen_hist_quantile(const struct gen_hist *h, uint32_t millionths);
