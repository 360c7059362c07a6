/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#pragma once

#include "control.h"
#include "daemon.h"
#include "port.h"

struct daemon {
	const char *file;
	const struct config *c;
	struct daemon_hooks hooks;
	FILE *faults;
	unsigned nfaults;
	struct stack *stack;
	struct stack_memory memory;
	uint32_t conversations; /* the limit in force */
	uint32_t mbufs;
	struct port ports[WORKER_IFC_MAX];
	struct control *control;
	struct control_ifc control_ifcs[WORKER_IFC_MAX];
	int cores[WORKER_MAX];
	uint64_t start_us;
	bool joined; /* this thread is a reader of the stack */
	struct daemon_worker *workers; /* workers.max of them */
	unsigned workers_wanted;
	bool alarm; /* the log has it */
};

__attribute__((format(printf, 3, 4))) void
daemon_fault(struct daemon *d, const char *path, const char *format, ...);
uint64_t daemon_clock(void *arg);
/** What the control thread does every 100 ms: links, the stack's housekeeping, the watch for stalls. */
void daemon_tick(struct daemon *d);

/* banner.c */
void banner_print(const struct daemon *d, FILE *to);
