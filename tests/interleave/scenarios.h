/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#pragma once

#include "explore.h"

/* The last of each has no name. */
extern const struct explore_scenario scenarios[]; /* lib/conv with nodes of the tests' own */
extern const struct explore_scenario hazards_calls[]; /* whole stacks: births */
extern const struct explore_scenario hazards_reuse[]; /* whole stacks: found, closed, used again */
