/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Frames that a port has sent and keeps, as a NIC does until its ring comes round. Meanwhile they must not change.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define HELD_MAX 64

struct held {
	struct rte_mbuf *m[HELD_MAX];
	uint32_t sum[HELD_MAX];
	unsigned n, at; /* how many, and where the oldest is */
};

/** Keep one more, and let go of the oldest if there is no room. @return false: that one has changed */
bool held_put(struct held *h, struct rte_mbuf *m);
/** Let go of all. @return false: one has changed */
bool held_free(struct held *h);
