/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "control_text.h"

static void
endpoint(const char *addr, const char *zone, uint16_t port, const char *want)
{
	uint8_t bytes[16] = {0};
	char text[CONTROL_ENDPOINT_LEN];

	if (strchr(addr, ':') == NULL) {
		bytes[10] = bytes[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, addr, bytes + 12), 1);
	} else {
		assert_int_equal(inet_pton(AF_INET6, addr, bytes), 1);
	}
	control_endpoint_text(bytes, zone, port, text);
	assert_string_equal(text, want);
}

static void
endpoints_read_as_people_write_them(void **state)
{
	endpoint("10.0.0.1", NULL, 80, "10.0.0.1:80");
	endpoint("255.255.255.255", NULL, 65535, "255.255.255.255:65535");
	endpoint("fd77::2", NULL, 80, "[fd77::2]:80");
	endpoint("::", NULL, 0, "[::]:0");
	endpoint("fe80::1", "lan", 9, "[fe80::1%lan]:9");
	endpoint("1111:2222:3333:4444:5555:6666:7777:8888", "a-name-of-31-bytes-for-a-zone-..",
		65535,
		"[1111:2222:3333:4444:5555:6666:7777:8888%a-name-of-31-bytes-for-a-zone-.]:65535");
	/* An IPv4 address never takes a zone. */
	endpoint("10.0.0.1", "lan", 80, "10.0.0.1:80");
}

static void
ids_go_both_ways(void **state)
{
	static const struct conv_handle handles[] = {
		{0, 0}, {17, 3}, {UINT32_MAX, UINT32_MAX}, {1, 16777215}};
	char text[CONTROL_ID_LEN];

	for (unsigned i = 0; i < 4; i++) {
		struct conv_handle h = {5, 5};

		control_id_text(handles[i], text);
		assert_true(control_id_parse(text, &h));
		assert_int_equal(h.slot, handles[i].slot);
		assert_int_equal(h.gen, handles[i].gen);
	}
	control_id_text(handles[1], text);
	assert_string_equal(text, "17.3");
}

static void
what_is_no_id_is_refused(void **state)
{
	static const char *const bad[] = {"", ".", "17", "17.", ".3", "17.3.1", "-1.3", "+1.3",
		" 17.3", "17.3 ", "17,3", "0x11.3", "4294967296.1", "1.4294967296",
		"99999999999999999999999999999999.1", "17.three", "17.3\n"};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct conv_handle h = {5, 6};

		if (control_id_parse(bad[i], &h))
			fail_msg("taken for an id: \"%s\"", bad[i]);
		assert_int_equal(h.slot, 5);
		assert_int_equal(h.gen, 6);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_read_as_people_write_them),
		cmocka_unit_test(ids_go_both_ways),
		cmocka_unit_test(what_is_no_id_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
