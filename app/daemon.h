/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The daemon: ports, stack, listeners, worker threads and the control thread's loop, from one configuration.
 */
#pragma once

#include "config.h"

struct daemon;
struct service;

/** What makes another program of the daemon. */
struct daemon_hooks {
	const struct service *const *services; /* that listeners may name; the last entry is NULL */
	/** Runs on each worker's thread after each of its turns. @return 0: it had nothing to do. May be NULL */
	unsigned (*turn)(void *arg, unsigned worker);
	void *arg;
};

/** Check what a configuration asks of this host without starting anything; one line per fault. @return how many faults */
unsigned daemon_check(const char *file, const struct config *c, FILE *faults);

/**
 * Keep the signals that daemon_run waits for. Before EAL starts: its threads inherit the mask, and one that did
 * not would be where the kernel delivers SIGTERM to, which ends the process on the spot.
 * @return 0 or -errno
 */
int daemon_signals_block(void);

/**
 * Start everything. EAL runs already. On failure all faults are written, each as a line, and nothing is left half-started.
 * @return the daemon, or NULL
 */
struct daemon *daemon_start(
	const char *file, const struct config *c, const struct daemon_hooks *hooks, FILE *faults);
/** Serve until SIGTERM or SIGINT, and drain. @return 0, or -errno when it failed while running */
int daemon_run(struct daemon *d);
void daemon_free(struct daemon *d);
