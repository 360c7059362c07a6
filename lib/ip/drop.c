/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Names and help texts of the drop reasons, from their one table.
 */
#include <stddef.h>

#include "worker.h"

struct drop_text {
	const char *name;
	const char *help;
};

static const struct drop_text drop_texts[DROP_MAX] = {
#define DROP(id, name, help, ...) [DROP_##id] = {name, help},
#include "drop.def"
#undef DROP
};

const char *
drop_name(enum drop_reason r)
{
	return (unsigned)r < DROP_MAX ? drop_texts[r].name : NULL;
}

const char *
drop_help(enum drop_reason r)
{
	return (unsigned)r < DROP_MAX ? drop_texts[r].help : NULL;
}
