/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#pragma once

#include "explore.h"

/** All of them; the last has no name. */
extern const struct explore_scenario scenarios[];
