/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What is documented and not there yet. It is refused by name, so nobody
 * believes that it works; whoever builds it takes its line out here.
 */
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"

struct config_unbuilt_key {
	const char *path; /* indexes as [] */
	const char *value; /* the JSON value that is refused; NULL: any */
	const char *except; /* .. but this one */
	const char *instead; /* what to write; may be NULL */
};

static const struct config_unbuilt_key config_unbuilt_keys[] = {
	{"workers.idle", "\"adaptive\"", NULL, "\"poll\""},
	{"listeners[].service", "\"proxy\"", NULL, NULL},
	{"listeners[].service", "\"unix\"", NULL, NULL},
	{"tcp.congestion_control", "\"cubic\"", NULL, "\"newreno\""},
	{"tcp.keepalive_seconds", NULL, "0", "0"},
	{"control.metrics", NULL, NULL, NULL},
};

static const struct {
	const char *service, *key;
} config_unbuilt_options[] = {
	{"http", "root"},
};

#define CONFIG_COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Is path the pattern, with a number in each []? */
static bool
config_path_is(const char *path, const char *pattern)
{
	for (; *pattern != '\0'; pattern++, path++) {
		if (*pattern != *path)
			return false;
		if (*pattern == '[')
			path += strspn(path + 1, "0123456789");
	}
	return *path == '\0';
}

static bool
config_is(const json_t *v, const char *text)
{
	json_t *other = json_loads(text, JSON_DECODE_ANY, NULL);
	bool equal = other != NULL && json_equal(v, other);

	json_decref(other);
	return equal;
}

static void
config_refuse(struct config_ctx *x, const json_t *v, const char *instead)
{
	char *text = v != NULL ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	config_fault(x, "%s%sis not built yet%s%s%s", text != NULL ? text : "",
		text != NULL ? " " : "", instead != NULL ? " (use " : "",
		instead != NULL ? instead : "", instead != NULL ? ")" : "");
	free(text);
}

bool
config_unbuilt(struct config_ctx *x, const json_t *v)
{
	for (size_t i = 0; i < CONFIG_COUNT(config_unbuilt_keys); i++) {
		const struct config_unbuilt_key *u = &config_unbuilt_keys[i];

		if (!config_path_is(x->path, u->path) ||
			(u->value != NULL && !config_is(v, u->value)) ||
			(u->except != NULL && config_is(v, u->except)))
			continue;
		config_refuse(x, u->value != NULL || u->except != NULL ? v : NULL, u->instead);
		return true;
	}
	return false;
}

bool
config_unbuilt_option(struct config_ctx *x, const char *service, const char *key)
{
	for (size_t i = 0; i < CONFIG_COUNT(config_unbuilt_options); i++) {
		if (strcmp(config_unbuilt_options[i].service, service) != 0 ||
			strcmp(config_unbuilt_options[i].key, key) != 0)
			continue;
		config_refuse(x, NULL, NULL);
		return true;
	}
	return false;
}

static void
config_note_add(char *buf, size_t len, const char *what)
{
	size_t used = strlen(buf);

	snprintf(buf + used, len - used, "%s%s", used == 0 ? " Not built yet: " : ", ", what);
}

const char *
config_unbuilt_note(const char *path, char *buf, size_t len)
{
	char what[64];

	buf[0] = '\0';
	for (size_t i = 0; i < CONFIG_COUNT(config_unbuilt_keys); i++) {
		const struct config_unbuilt_key *u = &config_unbuilt_keys[i];

		if (strcmp(u->path, path) != 0)
			continue;
		snprintf(what, sizeof(what), "%s%s%s", u->value != NULL ? u->value : "any value",
			u->except != NULL ? " but " : "", u->except != NULL ? u->except : "");
		config_note_add(buf, len, what);
	}
	for (size_t i = 0; i < CONFIG_COUNT(config_unbuilt_options); i++) {
		if (strcmp(path, "listeners[].options") != 0)
			continue;
		snprintf(what, sizeof(what), "%s of service %s", config_unbuilt_options[i].key,
			config_unbuilt_options[i].service);
		config_note_add(buf, len, what);
	}
	if (buf[0] != '\0' && strlen(buf) + 2 <= len)
		strcat(buf, ".");
	return buf;
}
