/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * convctl [--socket PATH] [--json] COMMAND: what a running convd does. See convctl(1).
 */
#include "convctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONVCTL_FILTER_MAX  512 /* as the daemon's */
#define CONVCTL_WORKERS_MAX 64 /* WORKER_MAX */

struct convctl_command {
	const char *name;
	const char *usage;
	int args; /* how many; -1: any */
	/** Print the member of the answer that has the command's name; NULL: asks by itself */
	void (*show)(const json_t *payload);
	const char *help;
};

static const struct convctl_command convctl_commands[] = {
	{"status", "", 0, convctl_show_status, "the daemon in a few lines"},
	{"convs", "[FILTER]", -1, NULL,
		"conversations; FILTER: proto= state= listener= local= remote="},
	{"conv", "ID", 1, convctl_show_conv, "all of one conversation"},
	{"stats", "[-i SECONDS]", 0, NULL, "every counter; again and again, with rates"},
	{"listeners", "", 0, convctl_show_listeners, "listeners and what they count"},
	{"interfaces", "", 0, convctl_show_interfaces, "interfaces and their addresses"},
	{"workers", "[set N]", -1, convctl_show_workers, "workers; set N: run so many"},
	{"hangup", "ID", 1, convctl_show_hangup, "tear a conversation down"},
	{"reload", "[--dry-run]", 0, NULL, "not built yet"},
	{"top", "", 0, NULL, "not built yet"},
	{"doctor", "", 0, NULL, "not built yet"},
	{"trace", "", -1, NULL, "not built yet"},
	{"capture", "", -1, NULL, "not built yet"},
};

#define CONVCTL_COMMANDS (sizeof(convctl_commands) / sizeof(convctl_commands[0]))

void
convctl_say(const char *format, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fputs("convctl: ", stderr);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

static void
convctl_help(FILE *f)
{
	(void)fprintf(f,
		"usage: convctl [--socket PATH] [--json] COMMAND\n"
		"       convctl --help | --version\n\n");
	for (size_t i = 0; i < CONVCTL_COMMANDS; i++) {
		const struct convctl_command *c = &convctl_commands[i];
		int width = 22 - (int)strlen(c->name);

		(void)fprintf(f, "  %s %-*s %s\n", c->name, width, c->usage, c->help);
	}
	(void)fprintf(f,
		"\nThe socket is %s unless told otherwise.\n"
		"Exit: 0; 1 refused or gone; 2 usage; 3 no daemon.\n",
		CONVCTL_SOCKET);
}

static const struct convctl_command *
convctl_command_find(const char *name)
{
	for (size_t i = 0; i < CONVCTL_COMMANDS; i++) {
		if (strcmp(convctl_commands[i].name, name) == 0)
			return &convctl_commands[i];
	}
	return NULL;
}

/* The tokens of a filter, joined by blanks. */
static int
convctl_filter(char **args, int n, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < n; i++) {
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i > 0 ? " " : "", args[i]);
		if (len >= size) {
			convctl_say("convs: the filter is longer than %zu bytes", size - 1);
			return CONVCTL_USAGE;
		}
	}
	return CONVCTL_OK;
}

/* A decimal number in 1-most that is all of text; else 0. */
static long
convctl_number(const char *text, long most)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value > most)
		return 0;
	return value;
}

/* The request of a command that is one question. */
static json_t *
convctl_request(const struct convctl_command *cmd, char **args, int n, bool dry_run)
{
	json_t *req = json_pack("{s:s}", "command", cmd->name);
	json_t *value = NULL;
	const char *key = NULL;

	if (cmd->args == 1) {
		key = "id";
		value = json_string(args[0]);
	} else if (dry_run) {
		key = "dry_run";
		value = json_true();
	} else if (strcmp(cmd->name, "workers") == 0 && n == 2) {
		key = "set";
		value = json_integer(convctl_number(args[1], CONVCTL_WORKERS_MAX));
	}
	if (key != NULL && json_object_set_new(req, key, value) < 0) {
		json_decref(req);
		return NULL;
	}
	return req;
}

static int
convctl_once(struct convctl *cc, const struct convctl_command *cmd, json_t *req)
{
	const json_t *payload;
	json_t *answer;
	int rc = convctl_ask(cc, req, &answer);

	if (rc != CONVCTL_OK)
		return rc;
	payload = json_object_get(answer, cmd->name);
	if (cc->json || cmd->show == NULL) {
		(void)json_dumpf(payload, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	} else {
		cmd->show(payload);
	}
	json_decref(answer);
	return CONVCTL_OK;
}

/* What stands behind the command, looked at before the daemon is asked. */
static bool
convctl_args_ok(const struct convctl *cc, const struct convctl_command *cmd, char **args, int n,
	bool dry_run)
{
	if (cc->interval_s > 0 && strcmp(cmd->name, "stats") != 0) {
		convctl_say("%s: -i goes with stats only", cmd->name);
		return false;
	}
	if (dry_run && strcmp(cmd->name, "reload") != 0) {
		convctl_say("%s: --dry-run goes with reload only", cmd->name);
		return false;
	}
	if (strcmp(cmd->name, "workers") == 0) {
		if (n == 0 ||
			(n == 2 && strcmp(args[0], "set") == 0 &&
				convctl_number(args[1], CONVCTL_WORKERS_MAX) > 0))
			return true;
	} else if (cmd->args < 0 || cmd->args == n) {
		return true;
	}
	convctl_say("usage: convctl %s %s", cmd->name, cmd->usage);
	return false;
}

static int
convctl_run(struct convctl *cc, char **args, int n, bool dry_run)
{
	const struct convctl_command *cmd = convctl_command_find(args[0]);
	char filter[CONVCTL_FILTER_MAX + 1];
	int rc;

	if (cmd == NULL) {
		convctl_say("unknown command \"%s\" (convctl --help lists them)", args[0]);
		return CONVCTL_USAGE;
	}
	args++;
	n--;
	if (!convctl_args_ok(cc, cmd, args, n, dry_run))
		return CONVCTL_USAGE;
	if (strcmp(cmd->name, "convs") == 0 &&
		convctl_filter(args, n, filter, sizeof(filter)) != CONVCTL_OK)
		return CONVCTL_USAGE;
	rc = convctl_connect(cc);
	if (rc != CONVCTL_OK)
		return rc;
	if (strcmp(cmd->name, "convs") == 0)
		return convctl_convs(cc, filter);
	if (strcmp(cmd->name, "stats") == 0)
		return convctl_stats(cc);
	return convctl_once(cc, cmd, convctl_request(cmd, args, n, dry_run));
}

static bool
convctl_interval(const char *text, double *ret_seconds)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= 0.1 && seconds <= 86400)) {
		convctl_say("-i: %s is not in 0.1-86400 seconds", text);
		return false;
	}
	*ret_seconds = seconds;
	return true;
}

/* @return an exit code, or -1 to go on with the command at argv[optind] */
static int
convctl_options(struct convctl *cc, int argc, char **argv, bool *dry_run)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, {"dry-run", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}, {0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "i:", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			cc->path = optarg;
			break;
		case 'j':
			cc->json = true;
			break;
		case 'n':
			*dry_run = true;
			break;
		case 'i':
			if (!convctl_interval(optarg, &cc->interval_s))
				return CONVCTL_USAGE;
			break;
		case 'h':
			convctl_help(stdout);
			return CONVCTL_OK;
		case 'v':
			(void)puts("convctl " CONVD_VERSION);
			return CONVCTL_OK;
		default:
			return CONVCTL_USAGE;
		}
	}
	if (optind == argc) {
		convctl_help(stderr);
		return CONVCTL_USAGE;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct convctl cc = {.path = CONVCTL_SOCKET, .fd = -1};
	bool dry_run = false;
	int rc = convctl_options(&cc, argc, argv, &dry_run);

	if (rc < 0)
		rc = convctl_run(&cc, argv + optind, argc - optind, dry_run);
	convctl_disconnect(&cc);
	if ((fflush(stdout) != 0 || ferror(stdout)) && rc == CONVCTL_OK) {
		convctl_say("standard output: write error");
		rc = CONVCTL_REFUSED;
	}
	return rc;
}
