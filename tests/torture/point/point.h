/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The points of lib/point, for the torture: each may take a while.
 */
#pragma once

void torture_point(const char *what, const volatile void *where);
void torture_wait(void);

#define POINT(what, where)      torture_point((what), (where))
#define POINT_WAIT(what, where) torture_wait()
