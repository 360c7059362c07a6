/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What is wrong with a configuration, without a daemon around it; and the
 * schema as the table of keys makes it:
 *
 *     config_check FILE...         faults on stderr; exit 0, or 2 if there are any
 *     config_check --schema        config/convd.schema.json on stdout
 */
#include <stdlib.h>

#include "config_services.h"

static int
config_print_schema(void)
{
	json_t *schema = config_schema();
	int err = schema == NULL ? -1 : json_dumpf(schema, stdout, JSON_INDENT(2));

	json_decref(schema);
	putchar('\n');
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct config *c;
	int exit_code = argc > 1 ? 0 : 2;

	if (argc == 2 && strcmp(argv[1], "--schema") == 0)
		return config_print_schema();
	for (int i = 1; i < argc; i++) {
		if (config_load(argv[i], &test_config_services, &c, stderr) < 0)
			exit_code = 2;
		else
			config_free(c);
	}
	return exit_code;
}
