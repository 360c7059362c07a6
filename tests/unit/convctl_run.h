/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Runs the real convctl against a control in this process: while the child lives, the caller's
 * loop serves its requests.
 */
#pragma once

#include <stdbool.h>

struct convctl_ran {
	int status; /* exit code; -1: a signal ended it */
	char *out, *err;
};

/**
 * Run convctl --socket PATH with the arguments, split at blanks ('~' stands for a blank inside one).
 * ">FILE" among them sends its output there. The program is named by the environment's CONVCTL.
 * @param serve called over and over while the child lives; must not block for long
 * @param lines >= 0: end it (SIGTERM) once it has printed so many lines
 */
struct convctl_ran convctl_run(const char *path, const char *args, int lines, void (*serve)(void));
void convctl_ran_free(struct convctl_ran *r);
