/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convctl.h"

void
convctl_table_init(struct convctl_table *t, const struct convctl_column *columns, unsigned n)
{
	*t = (struct convctl_table){.columns = columns, .n = n};
	for (unsigned i = 0; i < n; i++)
		t->width[i] = strlen(columns[i].head);
}

static void
convctl_table_no_memory(void)
{
	convctl_say("no memory");
	exit(CONVCTL_REFUSED);
}

void
convctl_table_cell(struct convctl_table *t, const char *text)
{
	unsigned column = (unsigned)(t->ncells % t->n);
	char *cell = strdup(text == NULL || *text == '\0' ? "-" : text);

	if (t->ncells == t->room) {
		size_t room = t->room == 0 ? 256 : 2 * t->room;
		char **cells = realloc(t->cells, room * sizeof(*cells));

		if (cells == NULL)
			convctl_table_no_memory();
		t->cells = cells;
		t->room = room;
	}
	if (cell == NULL)
		convctl_table_no_memory();
	if (strlen(cell) > t->width[column])
		t->width[column] = strlen(cell);
	t->cells[t->ncells++] = cell;
}

void
convctl_table_u64(struct convctl_table *t, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	convctl_table_cell(t, text);
}

static void
convctl_table_print(const struct convctl_table *t, unsigned column, const char *text)
{
	int width = (int)t->width[column];
	bool last = column + 1 == t->n;

	if (t->columns[column].right)
		(void)printf("%*s%s", width, text, last ? "\n" : "  ");
	else if (last)
		(void)printf("%s\n", text);
	else
		(void)printf("%-*s  ", width, text);
}

void
convctl_table_flush(struct convctl_table *t)
{
	unsigned column = 0;

	if (!t->headed) {
		for (unsigned i = 0; i < t->n; i++)
			convctl_table_print(t, i, t->columns[i].head);
		t->headed = true;
	}
	for (size_t i = 0; i < t->ncells; i++) {
		convctl_table_print(t, column, t->cells[i]);
		free(t->cells[i]);
		column = column + 1 == t->n ? 0 : column + 1;
	}
	t->ncells = 0;
}

void
convctl_table_free(struct convctl_table *t)
{
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i]);
	free(t->cells);
}
