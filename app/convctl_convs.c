/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The listing of conversations: page after page, printed as it comes, so a million rows take
 * no more memory here than a thousand.
 */
#include <stdio.h>

#include "convctl.h"

static void
convctl_convs_rows(struct convctl_table *t, const json_t *convs)
{
	const json_t *row;
	char text[32];
	size_t i;

	json_array_foreach(convs, i, row) {
		convctl_table_cell(t, convctl_str(row, "id"));
		convctl_table_cell(t, convctl_str(row, "state"));
		convctl_table_cell(t, convctl_str(row, "proto"));
		convctl_table_cell(t, convctl_str(row, "local"));
		convctl_table_cell(t, convctl_str(row, "remote"));
		convctl_table_u64(t, convctl_u64(row, "recv_queue"));
		convctl_table_u64(t, convctl_u64(row, "send_queue"));
		convctl_rtt_text(convctl_u64(row, "srtt_us"), text, sizeof(text));
		convctl_table_cell(t, text);
		if (convctl_u64(row, "cwnd") > 0)
			convctl_table_u64(t, convctl_u64(row, "cwnd"));
		else
			convctl_table_cell(t, "");
		convctl_table_cell(t, convctl_str(row, "listener"));
		convctl_age_text(convctl_u64(row, "age_us"), text, sizeof(text));
		convctl_table_cell(t, text);
	}
	convctl_table_flush(t);
}

/* The rows of one page, each on a line of its own, inside the one array that is being printed. */
static void
convctl_convs_json(const json_t *convs, bool *first)
{
	const json_t *row;
	size_t i;

	json_array_foreach(convs, i, row) {
		(void)fputs(*first ? "\n" : ",\n", stdout);
		*first = false;
		if (json_dumpf(row, stdout, JSON_COMPACT) < 0)
			return; /* main says that the output failed */
	}
}

static int
convctl_convs_page(struct convctl *cc, const char *filter, json_int_t cursor, json_t **ret_answer)
{
	json_t *req = json_pack("{s:s, s:I}", "command", "convs", "cursor", cursor);

	if (req != NULL && *filter != '\0' &&
		json_object_set_new(req, "filter", json_string(filter)) < 0) {
		json_decref(req);
		req = NULL;
	}
	return convctl_ask(cc, req, ret_answer);
}

int
convctl_convs(struct convctl *cc, const char *filter)
{
	static const struct convctl_column columns[] = {{"ID", false}, {"STATE", false},
		{"PROTO", false}, {"LOCAL", false}, {"REMOTE", false}, {"RECV-Q", true},
		{"SEND-Q", true}, {"RTT", true}, {"CWND", true}, {"LISTENER", false},
		{"AGE", true}};
	struct convctl_table t;
	bool more = true, first = true;
	json_int_t cursor = 0;
	int rc = CONVCTL_OK;

	convctl_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	while (more) {
		json_t *answer, *next;

		rc = convctl_convs_page(cc, filter, cursor, &answer);
		if (rc != CONVCTL_OK)
			break;
		if (cc->json && cursor == 0)
			(void)putchar('[');
		if (cc->json)
			convctl_convs_json(json_object_get(answer, "convs"), &first);
		else
			convctl_convs_rows(&t, json_object_get(answer, "convs"));
		next = json_object_get(answer, "next");
		more = json_is_integer(next) && json_integer_value(next) > cursor;
		cursor = json_integer_value(next);
		json_decref(answer);
	}
	if (cc->json && rc == CONVCTL_OK)
		(void)fputs(first ? "]\n" : "\n]\n", stdout);
	convctl_table_free(&t);
	return rc;
}
