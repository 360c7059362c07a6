/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "control_json.h"

static void
is(struct control_json *j, const char *want)
{
	assert_false(j->failed);
	assert_int_equal(j->len, strlen(want));
	assert_memory_equal(j->text, want, j->len);
	control_json_free(j);
	assert_null(j->text);
}

static void
every_kind_of_value(void **state)
{
	struct control_json j = {0};

	control_json_object(&j, NULL);
	control_json_u64(&j, "u", UINT64_MAX);
	control_json_i64(&j, "i", INT64_MIN);
	control_json_bool(&j, "t", true);
	control_json_bool(&j, "f", false);
	control_json_null(&j, "n");
	control_json_str(&j, "s", "x");
	control_json_str(&j, "null", NULL);
	control_json_array(&j, "a");
	control_json_u64(&j, NULL, 1);
	control_json_object(&j, NULL);
	control_json_object_end(&j);
	control_json_array(&j, NULL);
	control_json_array_end(&j);
	control_json_str(&j, NULL, "");
	control_json_array_end(&j);
	control_json_bool(&j, "last", true);
	control_json_object_end(&j);
	control_json_newline(&j);
	is(&j,
		"{\"u\":18446744073709551615,\"i\":-9223372036854775808,\"t\":true,\"f\":false,"
		"\"n\":null,\"s\":\"x\",\"null\":\"\",\"a\":[1,{},[],\"\"],\"last\":true}\n");
}

/* Each byte that there is, between two letters, comes back as itself or as '?'. */
static void
any_bytes_make_a_string(void **state)
{
	for (int byte = 1; byte < 256; byte++) {
		char raw[4] = {'a', (char)byte, 'b', '\0'};
		struct control_json j = {0};
		json_t *back;

		control_json_array(&j, NULL);
		control_json_str(&j, NULL, raw);
		control_json_array_end(&j);
		assert_null(memchr(j.text, '\n', j.len));
		back = json_loadb(j.text, j.len, 0, NULL);
		assert_non_null(back);
		if (byte >= 0x80)
			raw[1] = '?';
		assert_string_equal(json_string_value(json_array_get(back, 0)), raw);
		json_decref(back);
		control_json_free(&j);
	}
}

static void
utf8_is_kept_and_the_rest_is_not(void **state)
{
	static const char *const pairs[][2] = {{"\xc3\xa9", "\xc3\xa9"},
		{"\xe2\x82\xac", "\xe2\x82\xac"}, {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"\xc0\x80", "??"}, {"\xc3", "?"}, {"\xe2\x82", "??"}, {"\xe0\x80\x80", "???"},
		{"\xed\xa0\x80", "???"}, {"\xf4\x90\x80\x80", "????"}, {"\xf0\x80\x80\x80", "????"},
		{"\xf5\x80\x80\x80", "????"}, {"\xc3\"", "?\""}};

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct control_json j = {0};
		json_t *back;

		control_json_array(&j, NULL);
		control_json_str(&j, NULL, pairs[i][0]);
		control_json_array_end(&j);
		back = json_loadb(j.text, j.len, 0, NULL);
		assert_non_null(back);
		assert_string_equal(json_string_value(json_array_get(back, 0)), pairs[i][1]);
		json_decref(back);
		control_json_free(&j);
	}
}

static void
it_grows_to_its_limit_and_then_fails(void **state)
{
	struct control_json j = {0};
	char text[1001];

	memset(text, 'x', 1000);
	text[1000] = '\0';
	control_json_array(&j, NULL);
	for (unsigned i = 0; i < 8000; i++)
		control_json_str(&j, NULL, text);
	assert_false(j.failed);
	assert_int_equal(j.len, 1 + 8000 * 1003 - 1);
	for (unsigned i = 0; i < 500; i++)
		control_json_str(&j, NULL, text);
	assert_true(j.failed);
	assert_true(j.size <= CONTROL_JSON_MAX);
	control_json_reset(&j);
	control_json_u64(&j, NULL, 7);
	is(&j, "7");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value),
		cmocka_unit_test(any_bytes_make_a_string),
		cmocka_unit_test(utf8_is_kept_and_the_rest_is_not),
		cmocka_unit_test(it_grows_to_its_limit_and_then_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
