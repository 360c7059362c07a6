/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "gen_hist.h"

#define STEP_BITS 7

static unsigned
hist_bucket(uint64_t ns)
{
	unsigned e;

	if (ns < UINT64_C(1) << GEN_HIST_FIRST)
		return (unsigned)(ns >> (GEN_HIST_FIRST - STEP_BITS));
	if (ns >= UINT64_C(1) << GEN_HIST_LAST)
		return GEN_HIST_BUCKETS - 1;
	e = 63 - (unsigned)__builtin_clzll(ns);
	return (e - GEN_HIST_FIRST + 1) * GEN_HIST_STEPS +
		(unsigned)(ns >> (e - STEP_BITS) & (GEN_HIST_STEPS - 1));
}

/** The largest time that falls into a bucket. */
static uint64_t
hist_edge(unsigned b)
{
	unsigned row = b / GEN_HIST_STEPS, shift = GEN_HIST_FIRST - STEP_BITS;
	uint64_t step = b % GEN_HIST_STEPS;

	if (row > 0) {
		shift += row - 1;
		step += GEN_HIST_STEPS;
	}
	return ((step + 1) << shift) - 1;
}

void
gen_hist_add(struct gen_hist *h, uint64_t ns)
{
	h->count++;
	h->sum_ns += ns;
	if (ns > h->max_ns)
		h->max_ns = ns;
	h->bucket[hist_bucket(ns)]++;
}

void
gen_hist_merge(struct gen_hist *to, const struct gen_hist *from)
{
	to->count += from->count;
	to->sum_ns += from->sum_ns;
	if (from->max_ns > to->max_ns)
		to->max_ns = from->max_ns;
	for (unsigned i = 0; i < GEN_HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t
gen_hist_quantile(const struct gen_hist *h, uint32_t millionths)
{
	uint64_t want = (h->count * millionths + 999999) / 1000000, seen = 0;

	for (unsigned i = 0; i < GEN_HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want && seen > 0)
			return hist_edge(i) < h->max_ns ? hist_edge(i) : h->max_ns;
	}
	return h->max_ns;
}
