/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * convctl, the command that asks a running convd: what its files share. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define CONVCTL_SOCKET    "/run/convd/control.sock"
#define CONVCTL_TIMEOUT_S 10 /* the daemon answers within this, or is taken for dead */
#define CONVCTL_LINE_MAX  (16U << 20) /* bytes of an answer */

/** What the command ends with; see convctl(1). */
enum convctl_exit {
	CONVCTL_OK = 0,
	CONVCTL_REFUSED = 1, /* refused, gone, not built yet */
	CONVCTL_USAGE = 2,
	CONVCTL_NO_DAEMON = 3,
};

struct convctl {
	const char *path;
	bool json;
	double interval_s; /* of stats; 0: once */
	int fd; /* -1: not connected */
	char *line; /* what has come, from the start of an answer */
	size_t len, size;
};

/** Say on stderr what is wrong: "convctl: ...". */
void convctl_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- convctl_client.c ---- */

/** Connect to the daemon. @return CONVCTL_OK, or what to end with; the reason has been said */
int convctl_connect(struct convctl *cc);
/**
 * Ask, and wait for the answer. Takes the reference to req (NULL: no memory).
 * @return CONVCTL_OK and *ret_answer, whose "ok" is true (json_decref it); else what to end with
 */
int convctl_ask(struct convctl *cc, json_t *req, json_t **ret_answer);
void convctl_disconnect(struct convctl *cc);

/* ---- convctl_table.c ---- */

#define CONVCTL_COLUMNS 16

struct convctl_column {
	const char *head;
	bool right; /* numbers */
};

/** Rows wait until they are printed together, as wide as the widest. Later ones keep at least that width. */
struct convctl_table {
	const struct convctl_column *columns;
	unsigned n;
	size_t width[CONVCTL_COLUMNS];
	bool headed; /* the head line has been printed */
	char **cells;
	size_t ncells, room;
};

void convctl_table_init(struct convctl_table *t, const struct convctl_column *columns, unsigned n);
/** The next cell, row by row. NULL or "": shown as "-". */
void convctl_table_cell(struct convctl_table *t, const char *text);
void convctl_table_u64(struct convctl_table *t, uint64_t value);
/** Print the rows, under the head if that is the first time; then there are none. */
void convctl_table_flush(struct convctl_table *t);
void convctl_table_free(struct convctl_table *t);

/* ---- convctl_show.c: answers as people read them ---- */

const char *convctl_str(const json_t *o, const char *key);
uint64_t convctl_u64(const json_t *o, const char *key);
/** "7.2s", "3m12s", "2h05m", "4d03h". */
void convctl_age_text(uint64_t us, char *buf, size_t len);
/** "0.231ms", "1.20s"; "" for 0: not measured. */
void convctl_rtt_text(uint64_t us, char *buf, size_t len);

void convctl_show_status(const json_t *status);
void convctl_show_listeners(const json_t *listeners);
void convctl_show_interfaces(const json_t *interfaces);
void convctl_show_workers(const json_t *workers);
void convctl_show_conv(const json_t *conv);
void convctl_show_hangup(const json_t *hangup);

/* ---- convctl_convs.c, convctl_stats.c: the commands that ask more than once ---- */

int convctl_convs(struct convctl *cc, const char *filter);
int convctl_stats(struct convctl *cc);
