/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the files of the control socket share: its state, and the commands. Control thread only.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#include "control.h"
#include "control_json.h"
#include "control_text.h"
#include "stack.h"

#define CONTROL_CLIENTS    64
#define CONTROL_LINE_MAX   4096 /* bytes of a request, the newline included */
#define CONTROL_PAGE_ROWS  1000 /* most rows of a page */
#define CONTROL_PAGE_SLOTS 4096 /* slots that are looked at between two looks at the clock */
#define CONTROL_PAGE_US    3000 /* a page ends after this time, full or not */
#define CONTROL_QUIET_US   10000000 /* a client that is quiet for so long makes room for a new one */

struct control_client {
	int fd; /* -1: free */
	uint32_t events; /* that epoll watches for */
	bool eof; /* it will ask no more */
	bool closing; /* hang up once the answer is out */
	uint64_t active_us; /* when it last asked, or took something */
	struct control_json out; /* the answer, while it is being sent; else empty */
	size_t sent; /* bytes of it */
	size_t in_len;
	char in[CONTROL_LINE_MAX];
};

struct control {
	struct control_conf conf; /* path is ours */
	const char *state;
	int epfd, fd;
	int spare_fd; /* given up for a moment when descriptors run out, to refuse a client */
	dev_t dev; /* of the socket file, so that no other one is removed */
	ino_t ino;
	unsigned nclients;
	struct control_client clients[CONTROL_CLIENTS];
};

/** Codes of failure; what a client goes by. */
#define CONTROL_INVALID   "invalid" /* the request is wrong */
#define CONTROL_GONE      "gone" /* there is no such conversation any more */
#define CONTROL_NOT_BUILT "not_built" /* a documented command whose code is not there yet */
#define CONTROL_LIMIT     "limit" /* too many clients */
#define CONTROL_FAILED    "failed" /* no memory */

/** What the kinds of node are called. */
extern const char *const control_kinds[NODE_KINDS];

/** CLOCK_MONOTONIC. */
uint64_t control_now_us(void);

/** control_socket.c: a listening socket at path; see control_open. */
int control_socket_open(const char *path, int *ret_fd, char *fault, size_t fault_len);

/** Answer one request (without its newline) with one line in out, empty before. */
void control_answer(struct control *ctl, const char *line, size_t len, struct control_json *out);
/** Make out the answer that says what went wrong; what it held is forgotten. @return -1 */
int control_fail(struct control_json *out, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The commands. Each writes its members into the answer's object and returns 0, or returns
 * control_fail's -1. The members of req are known keys of the right types. */
int control_cmd_status(struct control *ctl, const json_t *req, struct control_json *out);
int control_cmd_stats(struct control *ctl, const json_t *req, struct control_json *out);
int control_cmd_listeners(struct control *ctl, const json_t *req, struct control_json *out);
int control_cmd_interfaces(struct control *ctl, const json_t *req, struct control_json *out);
int control_cmd_workers(struct control *ctl, const json_t *req, struct control_json *out);
int control_cmd_convs(struct control *ctl, const json_t *req, struct control_json *out);
int control_cmd_conv(struct control *ctl, const json_t *req, struct control_json *out);
int control_cmd_hangup(struct control *ctl, const json_t *req, struct control_json *out);
