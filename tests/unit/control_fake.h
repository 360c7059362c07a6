/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A stack made of an array of conversations, for tests of what is asked of one: what it answers is
 * known to the last figure, and it fails the test if it is asked while offline, if a
 * reference is not given back, or if a status is asked for without one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "stack.h"

struct control_fake_conv {
	struct conv_node cn; /* first: what the product holds */
	bool used;
	uint32_t gen;
	const char *state, *listener;
	unsigned refs;
};

struct control_fake {
	struct control_fake_conv *convs;
	uint32_t slots;
	unsigned online; /* times it has been */
	bool is_online;
	unsigned hangups;
	struct conv_handle hung_up; /* the last one */
	unsigned statuses; /* stack_conv_status calls */
	struct stack_stats stats;
	struct worker_counters worker[3]; /* by seat; the workers say the same */
	struct listener *listeners[4];
	unsigned nlisteners;
	unsigned workers_set; /* what was asked for last; 4 at most */
	/** Called in each conv_next: the world goes on between two looks. May be NULL. */
	void (*churn)(uint32_t slot);
};
extern struct control_fake control_fake;

/** All slots empty. */
void control_fake_init(uint32_t slots);
/** Every reference has come back, and the reader is offline. */
void control_fake_fini(void);
/** A conversation of 10.0.0.2:7 with 10.1.x.y:5000, x.y from the slot; ESTABLISHED, "echo". */
struct control_fake_conv *control_fake_add(uint32_t slot, uint8_t proto);

/** A configuration for a control on the fake at path. */
struct control_conf control_fake_conf(const char *path);

/* ---- a control on the fake, and clients of it, all in one thread ---- */

extern struct control *control_fake_ctl;
extern char control_fake_path[64];

/** The fake with so many slots, and a control open in a folder of its own. */
void control_fake_open(uint32_t slots);
/** Close it all; the folder must be empty then. */
void control_fake_close(void);
/** A connected client, non-blocking. */
int control_fake_connect(void);
/** Send all of it, running the control while it does not fit. @return false if it hung up on us */
bool control_fake_send(int fd, const char *text, size_t len);
/** The next line of the answers, without its newline (free it); NULL: the control hung up. Fails the test after 10 s. */
char *control_fake_line(int fd);
/** Ask one request on a connection of its own. The caller owns the answer. */
struct json_t *control_fake_ask(const char *line);
/** Ask what must be refused, with this code, and with this text in the reason. */
void control_fake_refused(const char *line, const char *code, const char *reason);
