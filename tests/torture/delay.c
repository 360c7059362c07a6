/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What happens at the points: mostly nothing, sometimes a pause, seldom the core is given away in the middle of a step.
 * And a node that comes back after its grace period is poisoned: whoever still looks at it finds nonsense.
 */
#include <sched.h>
#include <string.h>
#include <time.h>

#include <rte_pause.h>

#include "conv.h"
#include "tcp_priv.h"
#include "torture.h"

#define POISON 0xdb

static _Thread_local struct {
	uint64_t random;
} self;

/** xorshift64 (Marsaglia 2003). */
static uint64_t
delay_random(void)
{
	uint64_t x = self.random;

	if (x == 0)
		x = (uint64_t)(uintptr_t)&self | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return self.random = x;
}

static void
delay_some(void)
{
	uint64_t x = delay_random();
	const struct timespec ts = {0, (long)(x >> 48)};

	if (x % (1 << 18) == 0)
		nanosleep(&ts, NULL);
	else if (x % 4096 == 0)
		sched_yield();
	else if (x % 256 == 0)
		for (uint64_t i = x >> 58; i > 0; i--)
			rte_pause();
}

/** Long enough for what was found to be closed, to outlast a grace period if there were none, and to be used again. */
static void
delay_found(void)
{
	uint64_t x = delay_random();
	const struct timespec ts = {0, (long)(x >> 42)};

	if (x % (1 << 13) == 0)
		nanosleep(&ts, NULL);
}

/** Nobody may look at what lies behind the head of a node that is in the slab. */
static void
delay_poison(struct conv_node *cn)
{
	static const size_t size[NODE_KINDS] = {
		[NODE_CONV] = sizeof(struct tcp_conv),
		[NODE_HALF_OPEN] = sizeof(struct tcp_half_open),
		[NODE_TIME_WAIT] = sizeof(struct tcp_time_wait),
	};
	size_t n = size[conv_kind(cn)];

	if (n > sizeof(*cn))
		memset(cn + 1, POISON, n - sizeof(*cn));
}

void
torture_point(enum torture_place place, const volatile void *where)
{
	delay_some();
	if (place == TORTURE_FOUND)
		delay_found();
	if (torture_poisons && place == TORTURE_BACK)
		delay_poison((struct conv_node *)(uintptr_t)((uintptr_t)where -
			offsetof(struct conv_node, n.word)));
}

void
torture_wait(void)
{
	sched_yield();
}
