/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Writes one JSON text into memory, member by member. A listing of a thousand rows is written
 * without one allocation per value, and running out of memory is one flag that is looked at
 * once, at the end. Belongs to its user.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_JSON_MAX (8U << 20) /* no answer is longer; one that were is a failure, not cut */

/** Start with all zero. */
struct control_json {
	char *text; /* not terminated; free it */
	size_t len, size;
	bool comma; /* a value stands before the next one */
	bool failed; /* no memory: the text is worth nothing */
};

/* key: NULL inside arrays and outside everything. */
void control_json_object(struct control_json *j, const char *key);
void control_json_object_end(struct control_json *j);
void control_json_array(struct control_json *j, const char *key);
void control_json_array_end(struct control_json *j);
void control_json_u64(struct control_json *j, const char *key, uint64_t value);
void control_json_i64(struct control_json *j, const char *key, int64_t value);
void control_json_bool(struct control_json *j, const char *key, bool value);
void control_json_null(struct control_json *j, const char *key);
/** NULL is written as "". Bytes that are no UTF-8 become '?'. */
void control_json_str(struct control_json *j, const char *key, const char *value);

/** The end of the line: one newline after the text. */
void control_json_newline(struct control_json *j);
/** Forget what was written; the memory stays. */
void control_json_reset(struct control_json *j);
void control_json_free(struct control_json *j);
