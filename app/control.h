/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The daemon's side of the control socket: a Unix stream socket on which many clients
 * ask, one JSON line per request, and get one JSON line per answer (docs/control.md).
 *
 * Belongs to the control thread, which polls control_fd with whatever else it waits for.
 * No call waits for a client, and what a client can make the daemon do or keep is bounded:
 * the length of a line, one answer in flight, rows and time per page, the number of clients.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct stack;
struct control;

/** What the stack does not know of an interface; in the order of stack_ifc_add. */
struct control_ifc {
	const char *device; /* as configured */
	const char *driver;
	unsigned rx_queues, tx_queues;
	const _Atomic uint64_t
		*tx_refused; /* frames that a shared transmit queue had no room for */
};

/** All that is pointed to must outlive the control. */
struct control_conf {
	struct stack *stack;
	const char *path; /* of the socket; copied */
	const char *version;
	const char *config; /* file name, for `status`; NULL: none */
	uint64_t start_us; /* CLOCK_MONOTONIC when the daemon started */
	const int *cores; /* of each worker (-1: anywhere); NULL: not known */
	const struct control_ifc *ifcs; /* NULL: not known */
	unsigned nifcs;
	unsigned workers_max;
	/** Have n workers run, 1 to workers_max, or say -errno. Must not wait. NULL: not for this daemon */
	int (*workers_set)(void *arg, unsigned n);
	void *arg;
};

/**
 * Open the socket, with mode 0660; the folder it is in is made if need be. The socket of a dead daemon
 * is replaced, one that somebody listens on is not.
 *
 * Control thread.
 *
 * @param fault on failure, one line that names the path
 * @return 0; -EADDRINUSE (a daemon listens there), -EEXIST (not a socket), -ENAMETOOLONG,
 *         -EBUSY (others kept the folder locked), or what the system said
 */
int control_open(
	const struct control_conf *conf, struct control **ret_ctl, char *fault, size_t fault_len);

/** An epoll descriptor: readable when control_run has something to do. */
int control_fd(const struct control *ctl);

/**
 * Serve all clients that are ready, at most one request each. Never blocks. Goes online as a
 * reader of the stack (stack_control_online) for a few ms per request.
 *
 * Control thread, after stack_control_join.
 */
void control_run(struct control *ctl);

/** What `status` calls the daemon's state, "running" at first; a string that stays. */
void control_set_state(struct control *ctl, const char *state);

/** Hang up on all clients and remove the socket. NULL is fine. */
void control_close(struct control *ctl);
