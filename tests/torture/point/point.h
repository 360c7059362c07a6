/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The points of lib/point, for the torture: each may take a while.
 */
#pragma once

#include <string.h>

/* Where a node was found and not yet entered; and where it comes back after its grace period. */
enum torture_place {
	TORTURE_ANY,
	TORTURE_FOUND,
	TORTURE_BACK
};

void torture_point(enum torture_place place, const volatile void *where);
void torture_wait(void);

/* The names are constants: so is the place. */
#define POINT(what, where)                                               \
	torture_point(strcmp((what), "pre_enter") == 0   ? TORTURE_FOUND \
			: strcmp((what), "reclaim") == 0 ? TORTURE_BACK  \
							 : TORTURE_ANY,  \
		(where))
#define POINT_WAIT(what, where) torture_wait()
