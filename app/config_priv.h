/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Inside the configuration: one table describes every key; parser, defaults,
 * freeing and the JSON Schema all work by it. A key has a type, a type
 * knows which JSON it takes, how to store it and how to free what it stored.
 */
#pragma once

#include "config.h"

/** One reading of one file: where we are in it, and what was wrong so far. */
struct config_ctx {
	const char *file;
	FILE *out;
	const struct config_services *services;
	unsigned nfaults;
	bool no_memory;
	int line, column; /* of a fault of syntax; 0: the path says where */
	size_t path_len;
	char path[256]; /* of the value at hand, such as listeners[2].port; empty: the whole file */
};

/** A word that a key may have, and what it stands for. */
struct config_word {
	const char *name;
	int value;
};

struct config_key;

/** A kind of value. */
struct config_type {
	unsigned takes; /* CONFIG_TAKES() of each JSON type that it can be */
	const char *
		pattern; /* of its strings, an ECMA regular expression for the schema; may be NULL */
	/** Store v, whose JSON type is right, in the field; or say what is wrong, and leave it zero. */
	void (*parse)(struct config_ctx *x, const struct config_key *k, json_t *v, void *base);
	void (*free)(const struct config_key *k, void *base);
};
#define CONFIG_TAKES(json_type) (1U << (json_type))

/** Where in the file, what it may be, and where it goes. */
struct config_key {
	const char *name;
	const struct config_type *type;
	size_t offset; /* of the field in the struct that its object fills */
	size_t offset2; /* of a second field: an array's count, a range's end; unused: 0 */
	size_t size; /* of the field */
	int64_t min, max; /* of an integer; of a string's bytes or an array's items otherwise */
	const char *def; /* default, as JSON; NULL: none, the key is a must unless late */
	bool late; /* absent is fine: NULL or 0 means it, or config_derive fills it in */
	const struct config_word *words; /* ends with a NULL name */
	const struct config_object *object; /* the keys of an object */
	const struct config_key *items; /* what an array holds */
	const char *unit;
	const char *help;
};

struct config_object {
	const struct config_key *keys;
	unsigned nkeys;
};

/** The whole file. */
extern const struct config_object config_top;

extern const struct config_type config_type_ignored, config_type_bool, config_type_uint,
	config_type_string, config_type_name, config_type_path, config_type_enum,
	config_type_uint_or_word, config_type_object, config_type_array, config_type_options,
	config_type_cpus, config_type_ports, config_type_listen, config_type_own,
	config_type_prefix, config_type_filter, config_type_gateway;

/* config_fault.c */

/** Write one fault of the value at x->path. */
void
config_fault(struct config_ctx *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Say that memory ran out, once. */
void config_no_memory(struct config_ctx *x);
/** Go to a place in the file. */
void config_at(struct config_ctx *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Go deeper. @return what config_pop takes to come back */
size_t
config_push(struct config_ctx *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
void config_pop(struct config_ctx *x, size_t path_len);
/** Keeps the candidate nearest to word, as long as it is a likely slip of the fingers. */
struct config_guess {
	const char *word, *best;
	unsigned distance;
};
void config_guess(struct config_guess *g, const char *candidate);
/** ' (did you mean "x"?)', or nothing, into buf. @return buf */
const char *config_guessed(const struct config_guess *g, char *buf, size_t len);

/* config_parse.c */

/** Fill base from the members of o; absent ones by their defaults. */
void
config_parse_object(struct config_ctx *x, const struct config_object *keys, json_t *o, void *base);
void config_parse_value(struct config_ctx *x, const struct config_key *k, json_t *v, void *base);
void config_free_object(const struct config_object *keys, void *base);

/* config_type.c */

#define CONFIG_NUMBER_MAX 1000000 /* beyond all that is written as text */

/** Take decimal digits off *s, without sign, space or any other grace. What is too large comes out as
 * something above CONFIG_NUMBER_MAX. @return false: there are none */
bool config_number_scan(const char **s, unsigned *ret_value);

/* config_unbuilt.c */

/** True if v at x->path is documented, but its code is not there yet; it has been refused by name. */
bool config_unbuilt(struct config_ctx *x, const json_t *v);
/** The same for a member of a service's options, whose path is x->path. */
bool config_unbuilt_option(struct config_ctx *x, const char *service, const char *key);
/** What the schema says of a key (path with [] for indexes): ' Not built yet: ...' or nothing, into buf. @return buf */
const char *config_unbuilt_note(const char *path, char *buf, size_t len);

/* config_net.c */

#define CONFIG_ADDRESS_TEXT 64 /* bytes for an address or prefix as text */

/** @return false: text is no address. p->len becomes 32 or 128 */
bool config_address_scan(const char *text, struct config_prefix *p);
const char *config_address_text(const struct config_prefix *p, char buf[CONFIG_ADDRESS_TEXT]);
const char *config_prefix_text(const struct config_prefix *p, char buf[CONFIG_ADDRESS_TEXT]);
/** True if both are of one version and their first len bits agree. */
bool
config_prefix_match(const struct config_prefix *a, const struct config_prefix *b, unsigned len);
bool config_prefix_equal(const struct config_prefix *a, const struct config_prefix *b);

/* config_cpus.c, config_check.c */

/** Fill in the defaults that depend on other keys or on the host. */
void config_derive(struct config_ctx *x, struct config *c);
/** All that one key alone can't tell. c may hold zeroes where values were faulty. */
void config_check(struct config_ctx *x, const struct config *c);
/** p is none of our addresses, as far as they could be read. */
bool config_is_foreign(const struct config *c, const struct config_prefix *p);
void config_check_listeners(struct config_ctx *x, const struct config *c);
