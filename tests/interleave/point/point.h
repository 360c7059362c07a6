/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The points of lib/point, for the explorer: each is a step of a schedule.
 */
#pragma once

void explore_point(const char *what, const volatile void *where);
void explore_wait(const char *what, const volatile void *where);

#define POINT(what, where)      explore_point((what), (where))
#define POINT_WAIT(what, where) explore_wait((what), (where))
