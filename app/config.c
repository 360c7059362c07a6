/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Reading the file, and the order of things: syntax, then value by value, then
 * what values must be to each other, then what follows from them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_priv.h"

#define CONFIG_FILE_MAX \
	(16 << 20) /* bytes; a configuration is never that long, a device or a log may be */

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	config_free_object(&config_top, c);
	free(c);
}

/* A fault of syntax has a line and a column, and no path. */
static void
config_syntax(struct config_ctx *x, const json_error_t *e)
{
	const char *text = e->text;

	/* Without a word of what is wrong, jansson had no memory left to say it. */
	if (json_error_code(e) == json_error_out_of_memory || text[0] == '\0') {
		config_no_memory(x);
		return;
	}
	if (json_error_code(e) == json_error_null_character)
		text = "a string can't hold \\u0000";
	x->line = e->line;
	x->column = e->column;
	config_fault(x, "%s", text);
}

static void
config_fill(struct config_ctx *x, json_t *root, struct config *c)
{
	static const struct config_key whole = {.type = &config_type_object, .object = &config_top};

	config_parse_value(x, &whole, root, c);
	if (!x->no_memory)
		config_check(x, c);
	if (x->nfaults == 0)
		config_derive(x, c);
}

static int
config_result(const struct config_ctx *x)
{
	if (x->no_memory)
		return -ENOMEM;
	return x->nfaults > 0 ? -EINVAL : 0;
}

int
config_parse(const char *file, const char *text, size_t len, const struct config_services *services,
	struct config **ret_config, FILE *faults)
{
	struct config_ctx x = {.file = file, .out = faults, .services = services};
	struct config *c = calloc(1, sizeof(*c));
	json_error_t e;
	json_t *root;
	int err;

	if (c == NULL) {
		config_no_memory(&x);
		return -ENOMEM;
	}
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (root == NULL)
		config_syntax(&x, &e);
	else
		config_fill(&x, root, c);
	json_decref(root);
	err = config_result(&x);
	if (err < 0)
		config_free(c);
	else
		*ret_config = c;
	return err;
}

/* All of a file, of whatever kind, into memory. @return 0 or -errno */
static int
config_slurp(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, room = 1 << 16;
	char *text = malloc(room), *more;
	ssize_t n = 1;

	while (text != NULL && n > 0 && len <= CONFIG_FILE_MAX) {
		if (len == room) {
			more = realloc(text, room *= 2);
			if (more == NULL)
				free(text);
			text = more;
			continue;
		}
		n = read(fd, text + len, room - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (text == NULL)
		return -ENOMEM;
	if (n < 0 || len > CONFIG_FILE_MAX) {
		int err = n < 0 ? -errno : -EFBIG;

		free(text);
		return err;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int
config_read(const char *file, char **ret_text, size_t *ret_len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = config_slurp(fd, ret_text, ret_len);
	close(fd);
	return err;
}

int
config_load(const char *file, const struct config_services *services, struct config **ret_config,
	FILE *faults)
{
	struct config_ctx x = {.file = file, .out = faults};
	size_t len = 0;
	char *text = NULL;
	int err = config_read(file, &text, &len);

	if (err < 0) {
		config_fault(&x, "can't be read: %s", strerror(-err));
		return err;
	}
	err = config_parse(file, text, len, services, ret_config, faults);
	free(text);
	return err;
}
