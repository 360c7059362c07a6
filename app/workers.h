/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Worker threads: they come and go while the daemon runs, sleep when they have nothing to do, and serve the seats
 * that the stack deals them. All but workers_wake is the control thread's.
 */
#pragma once

#include <stdbool.h>

struct daemon;

/** Make what workers need, for as many as there may be. @return 0, -ENOMEM, -EMFILE */
int workers_open(struct daemon *d);
/** Start the first ones, and wait until all have joined. @return 0 or -errno */
int workers_start(struct daemon *d);
/** Ask for n workers (struct control_conf.workers_set). workers_step makes it so. @return 0, -EINVAL */
int workers_set(void *arg, unsigned n);
/** One step towards the number that was asked for. Waits for nothing. @return true: it is reached */
bool workers_step(struct daemon *d);
/** End all workers. */
void workers_stop(struct daemon *d);
void workers_close(struct daemon *d);

/** End a worker's sleep (struct stack_io.wake). Any thread. */
void workers_wake(void *arg, unsigned worker);
