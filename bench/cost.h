/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the worker's code costs, in TSC cycles per packet.
 */
#pragma once

#include "ring.h"

struct cost_conf {
	uint32_t flows;
	bool random; /* which flow is next; else one after the other */
	unsigned runs;
	uint32_t packets; /* of a run */
};

/** Open the flows, and echo through them. ret: cycles per packet, one for each run. @return 0, or -1: an answer was wrong or missing */
int cost_udp(struct ring *r, const struct cost_conf *c, double *ret);
int cost_tcp(struct ring *r, const struct cost_conf *c, double *ret);
