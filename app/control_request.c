/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * From a line to a command: what is let through to the commands has the right members, of the
 * right types, and nothing else.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control_priv.h"

struct control_command {
	const char *name;
	/** NULL: documented, but not built yet */
	int (*run)(struct control *ctl, const json_t *req, struct control_json *out);
	const char *members; /* that it takes besides "command", each followed by a blank */
};

static const struct control_command control_commands[] = {
	{"status", control_cmd_status, ""},
	{"convs", control_cmd_convs, "cursor limit filter "},
	{"conv", control_cmd_conv, "id "},
	{"stats", control_cmd_stats, ""},
	{"listeners", control_cmd_listeners, ""},
	{"interfaces", control_cmd_interfaces, ""},
	{"workers", control_cmd_workers, "set "},
	{"hangup", control_cmd_hangup, "id "},
	{"reload", NULL, "dry_run "},
	{"top", NULL, ""},
	{"doctor", NULL, ""},
	{"trace", NULL, ""},
	{"capture", NULL, ""},
};

struct control_member {
	const char *name;
	json_type type;
	const char *wants;
};

static const struct control_member control_members[] = {
	{"cursor", JSON_INTEGER, "an integer"},
	{"limit", JSON_INTEGER, "an integer"},
	{"filter", JSON_STRING, "a string"},
	{"id", JSON_STRING, "a string such as \"17.3\""},
	{"set", JSON_INTEGER, "an integer"},
	{"dry_run", JSON_TRUE, "true or false"},
};

#define CONTROL_COUNT(a) (sizeof(a) / sizeof((a)[0]))

int
control_fail(struct control_json *out, const char *code, const char *format, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	control_json_reset(out);
	control_json_object(out, NULL);
	control_json_bool(out, "ok", false);
	control_json_str(out, "code", code);
	control_json_str(out, "error", text);
	control_json_object_end(out);
	control_json_newline(out);
	return -1;
}

static const struct control_command *
control_command_find(const char *name)
{
	for (size_t i = 0; i < CONTROL_COUNT(control_commands); i++) {
		if (strcmp(control_commands[i].name, name) == 0)
			return &control_commands[i];
	}
	return NULL;
}

/* The command takes the member. */
static bool
control_command_takes(const struct control_command *cmd, const char *member)
{
	size_t len = strlen(member);
	const char *p = cmd->members;

	while ((p = strchr(p, member[0])) != NULL) {
		if ((p == cmd->members || p[-1] == ' ') && strncmp(p, member, len) == 0 &&
			p[len] == ' ')
			return true;
		p++;
	}
	return false;
}

static bool
control_member_type_ok(const struct control_member *m, const json_t *value)
{
	if (m->type == JSON_TRUE)
		return json_is_boolean(value);
	return json_typeof(value) == m->type;
}

/* @return 0, or -1 with what is wrong in out */
static int
control_member_check(const struct control_command *cmd, const char *name, const json_t *value,
	struct control_json *out)
{
	const struct control_member *m = NULL;

	if (strcmp(name, "command") == 0)
		return 0;
	for (size_t i = 0; i < CONTROL_COUNT(control_members); i++) {
		if (strcmp(control_members[i].name, name) == 0)
			m = &control_members[i];
	}
	if (m == NULL || !control_command_takes(cmd, name))
		return control_fail(
			out, CONTROL_INVALID, "%s: unknown member \"%.40s\"", cmd->name, name);
	if (!control_member_type_ok(m, value))
		return control_fail(
			out, CONTROL_INVALID, "%s: %s: is not %s", cmd->name, name, m->wants);
	return 0;
}

static int
control_request(struct control *ctl, json_t *req, struct control_json *out)
{
	const char *name = json_string_value(json_object_get(req, "command"));
	const struct control_command *cmd;
	const char *member;
	json_t *value;

	if (name == NULL)
		return control_fail(out, CONTROL_INVALID,
			"request: is not an object with a string \"command\"");
	cmd = control_command_find(name);
	if (cmd == NULL)
		return control_fail(out, CONTROL_INVALID, "unknown command \"%.40s\"", name);
	json_object_foreach(req, member, value) {
		if (control_member_check(cmd, member, value, out) < 0)
			return -1;
	}
	if (cmd->run == NULL)
		return control_fail(out, CONTROL_NOT_BUILT, "%s: not built yet", cmd->name);
	control_json_object(out, NULL);
	control_json_bool(out, "ok", true);
	if (cmd->run(ctl, req, out) < 0)
		return -1;
	control_json_object_end(out);
	control_json_newline(out);
	return 0;
}

void
control_answer(struct control *ctl, const char *line, size_t len, struct control_json *out)
{
	json_error_t error;
	json_t *req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);

	if (req == NULL)
		control_fail(out, CONTROL_INVALID, "request: not JSON: %.120s (byte %d)",
			error.text, error.position);
	else
		control_request(ctl, req, out);
	json_decref(req);
}
