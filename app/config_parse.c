/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * From JSON to fields, by the table: members are stored in the order of the
 * file, then those that are absent get their defaults, which are JSON too and take the same way.
 */
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"

static const char *const config_json_names[] = {
	[JSON_OBJECT] = "an object",
	[JSON_ARRAY] = "an array",
	[JSON_STRING] = "a string",
	[JSON_INTEGER] = "an integer",
	[JSON_REAL] = "a number with a fraction",
	[JSON_TRUE] = "true",
	[JSON_FALSE] = "false",
	[JSON_NULL] = "null",
};

/* "a string or an integer", for the JSON types that are taken. */
static void
config_takes_text(unsigned takes, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < sizeof(config_json_names) / sizeof(*config_json_names); i++) {
		if ((takes & CONFIG_TAKES(i)) == 0 || used >= len)
			continue;
		used += (size_t)snprintf(buf + used, len - used, "%s%s", used > 0 ? " or " : "",
			config_json_names[i]);
	}
}

void
config_parse_value(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	char wanted[64];

	if ((k->type->takes & CONFIG_TAKES(json_typeof(v))) == 0) {
		config_takes_text(k->type->takes, wanted, sizeof(wanted));
		config_fault(x, "must be %s, not %s", wanted, config_json_names[json_typeof(v)]);
	} else if (!config_unbuilt(x, v)) {
		k->type->parse(x, k, v, base);
	}
}

static const struct config_key *
config_key_find(const struct config_object *keys, const char *name)
{
	for (unsigned i = 0; i < keys->nkeys; i++)
		if (strcmp(keys->keys[i].name, name) == 0)
			return &keys->keys[i];
	return NULL;
}

static void
config_unknown_key(struct config_ctx *x, const struct config_object *keys, const char *name)
{
	struct config_guess guess = {.word = name};
	char hint[64];

	for (unsigned i = 0; i < keys->nkeys; i++)
		config_guess(&guess, keys->keys[i].name);
	config_fault(x, "unknown key \"%s\"%s", name, config_guessed(&guess, hint, sizeof(hint)));
}

static void
config_parse_default(struct config_ctx *x, const struct config_key *k, void *base)
{
	json_t *v = json_loads(k->def, JSON_DECODE_ANY, NULL);

	if (v == NULL) {
		config_no_memory(x);
		return;
	}
	config_parse_value(x, k, v, base);
	json_decref(v);
}

static void
config_parse_member(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	size_t here = config_push(x, "%s%s", x->path_len > 0 ? "." : "", k->name);

	if (v != NULL)
		config_parse_value(x, k, v, base);
	else
		config_parse_default(x, k, base);
	config_pop(x, here);
}

static void
config_parse_absent(struct config_ctx *x, const struct config_object *keys, json_t *o, void *base)
{
	for (unsigned i = 0; i < keys->nkeys; i++) {
		const struct config_key *k = &keys->keys[i];

		if (json_object_get(o, k->name) != NULL || k->late)
			continue;
		if (k->def != NULL)
			config_parse_member(x, k, NULL, base);
		else
			config_fault(x, "key \"%s\" is missing", k->name);
	}
}

void
config_parse_object(struct config_ctx *x, const struct config_object *keys, json_t *o, void *base)
{
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v) {
		const struct config_key *k = config_key_find(keys, name);

		if (k != NULL)
			config_parse_member(x, k, v, base);
		else
			config_unknown_key(x, keys, name);
	}
	config_parse_absent(x, keys, o, base);
}

void
config_free_object(const struct config_object *keys, void *base)
{
	for (unsigned i = 0; i < keys->nkeys; i++)
		if (keys->keys[i].type->free != NULL)
			keys->keys[i].type->free(&keys->keys[i], base);
}
