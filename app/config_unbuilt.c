/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What is documented and not there yet. It is refused by name, so nobody
 * believes that it works; whoever builds it takes its line out here.
 */
#include <string.h>

#include "config_priv.h"

struct config_unbuilt_key {
	const char *path; /* indexes as [] */
	const char *word; /* the value that is refused; NULL: any */
	const char *instead; /* what to write, as JSON; may be NULL */
};

static const struct config_unbuilt_key config_unbuilt_keys[] = {
	{"listeners[].service", "proxy", NULL},
	{"listeners[].service", "unix", NULL},
	{"control.metrics", NULL, NULL},
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
config_unbuilt_is(const struct config_unbuilt_key *u, const json_t *v)
{
	return u->word == NULL || (json_is_string(v) && strcmp(json_string_value(v), u->word) == 0);
}

static void
config_unbuilt_fault(struct config_ctx *x, const struct config_unbuilt_key *u)
{
	char hint[64] = "";

	if (u->instead != NULL)
		(void)snprintf(hint, sizeof(hint), " (use %s)", u->instead);
	if (u->word != NULL)
		config_fault(x, "\"%s\" is not built yet%s", u->word, hint);
	else
		config_fault(x, "is not built yet%s", hint);
}

bool
config_unbuilt(struct config_ctx *x, const json_t *v)
{
	for (size_t i = 0; i < CONFIG_COUNT(config_unbuilt_keys); i++) {
		const struct config_unbuilt_key *u = &config_unbuilt_keys[i];

		if (!config_path_is(x->path, u->path) || !config_unbuilt_is(u, v))
			continue;
		config_unbuilt_fault(x, u);
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
		config_fault(x, "is not built yet");
		return true;
	}
	return false;
}

static void
config_note_add(char *buf, size_t len, const char *what)
{
	size_t used = strlen(buf);

	(void)snprintf(buf + used, len - used, "%s%s", used == 0 ? " Not built yet: " : ", ", what);
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
		(void)snprintf(what, sizeof(what), "%s", u->word != NULL ? u->word : "any value");
		config_note_add(buf, len, what);
	}
	for (size_t i = 0; i < CONFIG_COUNT(config_unbuilt_options); i++) {
		if (strcmp(path, "listeners[].options") != 0)
			continue;
		(void)snprintf(what, sizeof(what), "%s of service %s",
			config_unbuilt_options[i].key, config_unbuilt_options[i].service);
		config_note_add(buf, len, what);
	}
	return buf;
}
