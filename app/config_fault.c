/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Saying what is wrong with a configuration: the place, one line, and where a
 * word is nearly right, which was probably meant.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"

#define CONFIG_GUESS_MAX 64 /* bytes of the longest word that is guessed at */

/* What comes from the file must not break the line, nor play with the terminal. */
static void
config_put(FILE *out, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			(void)fprintf(out, "\\x%02x", c);
		else
			(void)fputc(c, out);
	}
}

void
config_fault(struct config_ctx *x, const char *format, ...)
{
	char *message;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&message, format, args);
	va_end(args);
	if (len < 0) {
		config_no_memory(x);
		return;
	}
	x->nfaults++;
	config_put(x->out, x->file);
	if (x->line != 0)
		(void)fprintf(x->out, ":%d:%d", x->line, x->column);
	(void)fputs(": ", x->out);
	if (x->path_len > 0) {
		config_put(x->out, x->path);
		(void)fputs(": ", x->out);
	}
	config_put(x->out, message);
	(void)fputc('\n', x->out);
	free(message);
}

void
config_no_memory(struct config_ctx *x)
{
	x->nfaults++;
	if (x->no_memory)
		return;
	x->no_memory = true;
	config_put(x->out, x->file);
	(void)fputs(": out of memory\n", x->out);
}

static void
config_path_add(struct config_ctx *x, const char *format, va_list args)
{
	size_t room = sizeof(x->path) - x->path_len;
	int len = vsnprintf(x->path + x->path_len, room, format, args);

	if (len > 0)
		x->path_len += (size_t)len < room ? (size_t)len : room - 1;
}

void
config_at(struct config_ctx *x, const char *format, ...)
{
	va_list args;

	config_pop(x, 0);
	va_start(args, format);
	config_path_add(x, format, args);
	va_end(args);
}

size_t
config_push(struct config_ctx *x, const char *format, ...)
{
	size_t path_len = x->path_len;
	va_list args;

	va_start(args, format);
	config_path_add(x, format, args);
	va_end(args);
	return path_len;
}

void
config_pop(struct config_ctx *x, size_t path_len)
{
	x->path_len = path_len;
	x->path[path_len] = '\0';
}

static unsigned
config_min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, deletions, changes and swaps of neighbours that turn a into b
 * (optimal string alignment; Damerau, "A technique for computer detection and correction of spelling
 * errors", 1964). */
static unsigned
config_distance(const char *a, const char *b)
{
	unsigned row[3][CONFIG_GUESS_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > CONFIG_GUESS_MAX || nb > CONFIG_GUESS_MAX)
		return CONFIG_GUESS_MAX;
	for (unsigned j = 0; j <= nb; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			now[j] = config_min3(
				last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return row[na % 3][nb];
}

void
config_guess(struct config_guess *g, const char *candidate)
{
	unsigned distance = config_distance(g->word, candidate);

	/* Up to a third of the word may be wrong: more is another word. */
	if (distance > (strlen(candidate) + 2) / 3)
		return;
	if (g->best == NULL || distance < g->distance) {
		g->best = candidate;
		g->distance = distance;
	}
}

const char *
config_guessed(const struct config_guess *g, char *buf, size_t len)
{
	buf[0] = '\0';
	if (g->best != NULL)
		(void)snprintf(buf, len, " (did you mean \"%s\"?)", g->best);
	return buf;
}
