/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "control_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
control_json_room(struct control_json *j, size_t n)
{
	size_t size = j->size == 0 ? 1024 : j->size;
	char *text;

	if (j->failed)
		return false;
	if (j->size - j->len >= n)
		return true;
	while (size - j->len < n)
		size *= 2;
	text = size <= CONTROL_JSON_MAX ? realloc(j->text, size) : NULL;
	if (text == NULL) {
		j->failed = true;
		return false;
	}
	j->text = text;
	j->size = size;
	return true;
}

static void
control_json_put(struct control_json *j, const char *s, size_t n)
{
	if (!control_json_room(j, n))
		return;
	memcpy(j->text + j->len, s, n);
	j->len += n;
}

/* Bytes of the well-formed UTF-8 sequence that starts at s; 0 if there is none (RFC 3629 section 4). */
static size_t
control_json_utf8(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (n == 0 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void
control_json_quoted(struct control_json *j, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	control_json_put(j, "\"", 1);
	while (*s != 0) {
		size_t n = control_json_utf8(s);
		char escape[8];

		if (n == 0) {
			control_json_put(j, "?", 1);
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			escape[0] = '\\';
			escape[1] = (char)*s;
			control_json_put(j, escape, 2);
		} else if (*s < 0x20 || *s == 0x7f) {
			control_json_put(
				j, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", *s));
		} else {
			control_json_put(j, (const char *)s, n);
		}
		s += n;
	}
	control_json_put(j, "\"", 1);
}

/* What stands before a value: a comma, the key. */
static void
control_json_begin(struct control_json *j, const char *key)
{
	if (j->comma)
		control_json_put(j, ",", 1);
	j->comma = true;
	if (key == NULL)
		return;
	control_json_quoted(j, key);
	control_json_put(j, ":", 1);
}

void
control_json_object(struct control_json *j, const char *key)
{
	control_json_begin(j, key);
	control_json_put(j, "{", 1);
	j->comma = false;
}

void
control_json_object_end(struct control_json *j)
{
	control_json_put(j, "}", 1);
	j->comma = true;
}

void
control_json_array(struct control_json *j, const char *key)
{
	control_json_begin(j, key);
	control_json_put(j, "[", 1);
	j->comma = false;
}

void
control_json_array_end(struct control_json *j)
{
	control_json_put(j, "]", 1);
	j->comma = true;
}

void
control_json_u64(struct control_json *j, const char *key, uint64_t value)
{
	char digits[24];

	control_json_begin(j, key);
	control_json_put(j, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, value));
}

void
control_json_i64(struct control_json *j, const char *key, int64_t value)
{
	char digits[24];

	control_json_begin(j, key);
	control_json_put(j, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, value));
}

void
control_json_bool(struct control_json *j, const char *key, bool value)
{
	control_json_begin(j, key);
	control_json_put(j, value ? "true" : "false", value ? 4 : 5);
}

void
control_json_null(struct control_json *j, const char *key)
{
	control_json_begin(j, key);
	control_json_put(j, "null", 4);
}

void
control_json_str(struct control_json *j, const char *key, const char *value)
{
	control_json_begin(j, key);
	control_json_quoted(j, value == NULL ? "" : value);
}

void
control_json_newline(struct control_json *j)
{
	control_json_put(j, "\n", 1);
	j->comma = false;
}

void
control_json_reset(struct control_json *j)
{
	j->len = 0;
	j->comma = false;
	j->failed = false;
}

void
control_json_free(struct control_json *j)
{
	free(j->text);
	*j = (struct control_json){0};
}
