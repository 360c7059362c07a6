/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The plain kinds of values: numbers, words, strings, arrays, objects. Those
 * that know about addresses and CPUs are in config_net.c and config_cpus.c.
 */
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"

static void *
config_field(const struct config_key *k, void *base)
{
	return (char *)base + k->offset;
}

static void
config_store(const struct config_key *k, void *base, int64_t value)
{
	void *field = config_field(k, base);

	switch (k->size) {
	case 1:
		*(uint8_t *)field = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)field = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)field = (uint32_t)value;
		break;
	default:
		assert(k->size == 8);
		*(uint64_t *)field = (uint64_t)value;
	}
}

static void
config_parse_ignored(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
}

const struct config_type config_type_ignored = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.parse = config_parse_ignored,
};

static void
config_parse_bool(
	__rte_unused struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	*(bool *)config_field(k, base) = json_is_true(v);
}

const struct config_type config_type_bool = {
	.takes = CONFIG_TAKES(JSON_TRUE) | CONFIG_TAKES(JSON_FALSE),
	.parse = config_parse_bool,
};

bool
config_number_scan(const char **s, unsigned *ret_value)
{
	unsigned value = 0;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++)
		if (value < CONFIG_NUMBER_MAX)
			value = value * 10 + (unsigned)(**s - '0');
	*ret_value = value;
	return true;
}

static void
config_parse_uint(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	int64_t value = json_integer_value(v);

	if (value < k->min || value > k->max)
		config_fault(
			x, "%" PRId64 " is not in %" PRId64 "-%" PRId64, value, k->min, k->max);
	else
		config_store(k, base, value);
}

const struct config_type config_type_uint = {
	.takes = CONFIG_TAKES(JSON_INTEGER),
	.parse = config_parse_uint,
};

/* Say which words there are, and which one was perhaps meant. */
static void
config_not_a_word(struct config_ctx *x, const struct config_key *k, const char *word)
{
	struct config_guess guess = {.word = word};
	char list[256], hint[64];
	size_t used = 0;

	list[0] = '\0';
	for (const struct config_word *w = k->words; w->name != NULL; w++) {
		config_guess(&guess, w->name);
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s\"%s\"",
				used == 0 ? "" : ", ", w->name);
	}
	if ((k->type->takes & CONFIG_TAKES(JSON_INTEGER)) != 0)
		config_fault(x, "\"%s\" is neither %s nor in %" PRId64 "-%" PRId64 "%s", word, list,
			k->min, k->max, config_guessed(&guess, hint, sizeof(hint)));
	else
		config_fault(x, "\"%s\" is not one of %s%s", word, list,
			config_guessed(&guess, hint, sizeof(hint)));
}

static void
config_parse_enum(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	const char *word = json_string_value(v);

	for (const struct config_word *w = k->words; w->name != NULL; w++) {
		if (strcmp(w->name, word) == 0) {
			config_store(k, base, w->value);
			return;
		}
	}
	config_not_a_word(x, k, word);
}

const struct config_type config_type_enum = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.parse = config_parse_enum,
};

static void
config_parse_uint_or_word(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	if (json_is_integer(v))
		config_parse_uint(x, k, v, base);
	else
		config_parse_enum(x, k, v, base);
}

const struct config_type config_type_uint_or_word = {
	.takes = CONFIG_TAKES(JSON_STRING) | CONFIG_TAKES(JSON_INTEGER),
	.parse = config_parse_uint_or_word,
};

static void
config_parse_string(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	const char *s = json_string_value(v);
	int64_t len = (int64_t)json_string_length(v);
	char *copy;

	if (len < k->min) {
		config_fault(x, "must not be empty");
		return;
	}
	if (len > k->max) {
		config_fault(x, "is %" PRId64 " bytes long, more than %" PRId64, len, k->max);
		return;
	}
	copy = strdup(s);
	if (copy == NULL)
		config_no_memory(x);
	*(char **)config_field(k, base) = copy;
}

static void
config_free_string(const struct config_key *k, void *base)
{
	free(*(char **)config_field(k, base));
}

const struct config_type config_type_string = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.parse = config_parse_string,
	.free = config_free_string,
};

/* Names appear in listings, filters and metrics: one word each. */
static void
config_parse_name(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	for (const char *s = json_string_value(v); *s != '\0'; s++) {
		if (!isalnum((unsigned char)*s) && strchr("_.-", *s) == NULL) {
			config_fault(x,
				"\"%s\" has more in it than letters, digits, '_', '.' and '-'",
				json_string_value(v));
			return;
		}
	}
	config_parse_string(x, k, v, base);
}

const struct config_type config_type_name = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^[A-Za-z0-9_.-]+$",
	.parse = config_parse_name,
	.free = config_free_string,
};

static void
config_parse_path(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	if (json_string_length(v) > 0 && json_string_value(v)[0] != '/')
		config_fault(x, "\"%s\" is not an absolute path", json_string_value(v));
	else
		config_parse_string(x, k, v, base);
}

const struct config_type config_type_path = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^/",
	.parse = config_parse_path,
	.free = config_free_string,
};

static void
config_parse_members(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	config_parse_object(x, k->object, v, config_field(k, base));
}

static void
config_free_members(const struct config_key *k, void *base)
{
	config_free_object(k->object, config_field(k, base));
}

const struct config_type config_type_object = {
	.takes = CONFIG_TAKES(JSON_OBJECT),
	.parse = config_parse_members,
	.free = config_free_members,
};

/* The field is a pointer to so many items, a second one their number. */
static void
config_parse_array(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	size_t n = json_array_size(v);
	char *items;

	if ((int64_t)n < k->min) {
		config_fault(x, "must not be empty");
		return;
	}
	if ((int64_t)n > k->max) {
		config_fault(x, "has %zu items, more than %" PRId64, n, k->max);
		return;
	}
	if (n == 0)
		return;
	items = calloc(n, k->items->size);
	if (items == NULL) {
		config_no_memory(x);
		return;
	}
	*(void **)config_field(k, base) = items;
	*(unsigned *)((char *)base + k->offset2) = (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		size_t here = config_push(x, "[%zu]", i);

		config_parse_value(x, k->items, json_array_get(v, i), items + i * k->items->size);
		config_pop(x, here);
	}
}

static void
config_free_array(const struct config_key *k, void *base)
{
	char *items = *(char **)config_field(k, base);
	unsigned n = *(unsigned *)((char *)base + k->offset2);

	if (k->items->type->free != NULL)
		for (unsigned i = 0; i < n; i++)
			k->items->type->free(k->items, items + i * k->items->size);
	free(items);
}

const struct config_type config_type_array = {
	.takes = CONFIG_TAKES(JSON_ARRAY),
	.parse = config_parse_array,
	.free = config_free_array,
};

/* Kept as it is: the service reads it. */
static void
config_parse_options(
	__rte_unused struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	*(json_t **)config_field(k, base) = json_incref(v);
}

static void
config_free_options(const struct config_key *k, void *base)
{
	json_decref(*(json_t **)config_field(k, base));
}

const struct config_type config_type_options = {
	.takes = CONFIG_TAKES(JSON_OBJECT),
	.parse = config_parse_options,
	.free = config_free_options,
};
