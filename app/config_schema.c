/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The table of keys as a JSON Schema (draft-07), for editors and other tools.
 */
#include <string.h>

#include "config_priv.h"

/* Take over value, as json_object_set_new; true if it is there. */
static bool
config_set(json_t *o, const char *name, json_t *value)
{
	return json_object_set_new(o, name, value) == 0;
}

static bool
config_schema_range(json_t *s, const struct config_key *k, const char *min, const char *max)
{
	return config_set(s, min, json_integer(k->min)) && config_set(s, max, json_integer(k->max));
}

static json_t *
config_schema_words(const struct config_word *words)
{
	json_t *list = json_array();

	for (const struct config_word *w = words; w->name != NULL; w++)
		if (json_array_append_new(list, json_string(w->name)) < 0)
			break;
	return list;
}

static json_t *config_schema_key(const struct config_key *k, const char *path);

/* The keys of an object, at a path such as "listeners[]". */
static bool
config_schema_members(json_t *s, const struct config_object *keys, const char *path)
{
	json_t *properties = json_object(), *required = json_array();
	bool ok = true;
	char sub[128];

	for (unsigned i = 0; i < keys->nkeys; i++) {
		const struct config_key *k = &keys->keys[i];

		(void)snprintf(
			sub, sizeof(sub), "%s%s%s", path, path[0] != '\0' ? "." : "", k->name);
		ok &= config_set(properties, k->name, config_schema_key(k, sub));
		if (k->def == NULL && !k->late)
			ok &= json_array_append_new(required, json_string(k->name)) == 0;
	}
	ok &= config_set(s, "properties", properties);
	if (json_array_size(required) > 0)
		ok &= config_set(s, "required", required);
	else
		json_decref(required);
	return ok & config_set(s, "additionalProperties", json_false());
}

static bool
config_schema_string(json_t *s, const struct config_key *k)
{
	bool numbers = (k->type->takes & CONFIG_TAKES(JSON_INTEGER)) != 0;

	if (k->words != NULL)
		return config_set(s, "enum", config_schema_words(k->words));
	/* Where numbers are taken too, the range is theirs. */
	return (numbers || config_schema_range(s, k, "minLength", "maxLength")) &&
		(k->type->pattern == NULL ||
			config_set(s, "pattern", json_string(k->type->pattern)));
}

static bool
config_schema_array(json_t *s, const struct config_key *k, const char *path)
{
	char sub[128];

	(void)snprintf(sub, sizeof(sub), "%s[]", path);
	return config_schema_range(s, k, "minItems", "maxItems") &&
		config_set(s, "items", config_schema_key(k->items, sub));
}

/* Fill s with what a value of one JSON type may be. */
static bool
config_schema_type(json_t *s, const struct config_key *k, json_type type, const char *path)
{
	switch (type) {
	case JSON_OBJECT:
		return config_set(s, "type", json_string("object")) &&
			(k->object == NULL || config_schema_members(s, k->object, path));
	case JSON_ARRAY:
		return config_set(s, "type", json_string("array")) &&
			config_schema_array(s, k, path);
	case JSON_STRING:
		return config_set(s, "type", json_string("string")) && config_schema_string(s, k);
	case JSON_INTEGER:
		return config_set(s, "type", json_string("integer")) &&
			config_schema_range(s, k, "minimum", "maximum");
	default:
		return config_set(s, "type", json_string("boolean"));
	}
}

/* One type goes into the key's own object, two become its anyOf. */
static bool
config_schema_types(json_t *s, const struct config_key *k, const char *path)
{
	unsigned takes = k->type->takes & ~CONFIG_TAKES(JSON_FALSE);
	json_t *any, *one;

	if ((takes & (takes - 1)) == 0)
		return config_schema_type(s, k, (json_type)__builtin_ctz(takes), path);
	any = json_array();
	for (; takes != 0; takes &= takes - 1) {
		one = json_object();
		if (!config_schema_type(one, k, (json_type)__builtin_ctz(takes), path) ||
			json_array_append_new(any, one) < 0)
			break;
	}
	return config_set(s, "anyOf", any) && takes == 0;
}

static bool
config_schema_words_about(json_t *s, const struct config_key *k, const char *path)
{
	char note[256];

	config_unbuilt_note(path, note, sizeof(note));
	return config_set(s, "description",
		json_sprintf("%s%s%s%s%s%s", k->help, k->unit != NULL ? " Unit: " : "",
			k->unit != NULL ? k->unit : "", k->unit != NULL ? "." : "", note,
			note[0] != '\0' ? "." : ""));
}

static json_t *
config_schema_key(const struct config_key *k, const char *path)
{
	json_t *s = json_object();
	bool ok = config_schema_words_about(s, k, path) && config_schema_types(s, k, path);

	if (ok && k->def != NULL)
		ok = config_set(s, "default", json_loads(k->def, JSON_DECODE_ANY, NULL));
	if (ok)
		return s;
	json_decref(s);
	return NULL;
}

json_t *
config_schema(void)
{
	json_t *s = json_object();
	bool ok =
		config_set(s, "$schema", json_string("http://json-schema.org/draft-07/schema#")) &&
		config_set(s, "title", json_string("Configuration of convd")) &&
		config_set(s, "description",
			json_string("Made from the table of keys in app/config_table.c.")) &&
		config_set(s, "type", json_string("object")) &&
		config_schema_members(s, &config_top, "");

	if (ok)
		return s;
	json_decref(s);
	return NULL;
}
