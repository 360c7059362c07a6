/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * http: requests in any pieces, answers byte for byte.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "services.h"
#include "svc_fake.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK_KA \
	"HTTP/1.1 200 OK\r\nServer: convd\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\nconvd\n"

static void
begin(void)
{
	svc_fake_open(IPPROTO_TCP, &svc_http, NULL);
}

static void
in(const char *s)
{
	svc_fake_in(s, strlen(s), 0, true);
}

/** The whole output is this, and is forgotten. */
static void
expect(const char *s)
{
	svc_fake.out[svc_fake.nout] = 0;
	assert_string_equal((const char *)svc_fake.out, s);
	svc_fake.nout = 0;
}

/** One answer: this status; the rest is looked at by others. @return the value of Connection */
static const char *
expect_status(unsigned code)
{
	static char conn[32];
	unsigned got = 0;
	const char *at;

	svc_fake.out[svc_fake.nout] = 0;
	assert_int_equal(sscanf((const char *)svc_fake.out, "HTTP/1.1 %u", &got), 1);
	assert_int_equal(got, code);
	at = strstr((const char *)svc_fake.out, "\r\nConnection: ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "\r\nConnection: %31s", conn), 1);
	/* Nothing behind it. */
	assert_null(strstr((const char *)svc_fake.out + 1, "HTTP/1.1 "));
	svc_fake.nout = 0;
	return conn;
}

static void
test_get(void **state)
{
	(void)state;
	begin();
	in(GET);
	expect(OK_KA);
	in(GET);
	expect(OK_KA);
	assert_false(svc_fake.closed || svc_fake.shut);
	svc_fake_close();
}

static void
test_split_at_every_byte(void **state)
{
	static const char two[] = GET "HEAD /?q HTTP/1.1\r\nX: y\r\nHOST:\r\n\r\n";

	(void)state;
	begin();
	for (size_t i = 1; i < sizeof(two) - 1; i++) {
		svc_fake_in(two, i, 0, true);
		svc_fake_in(two + i, sizeof(two) - 1 - i, 0, true);
		expect(OK_KA "HTTP/1.1 200 OK\r\nServer: convd\r\nContent-Type: text/plain\r\n"
			     "Content-Length: 6\r\nConnection: keep-alive\r\n\r\n");
		/* The same in two buffers of one packet. */
		svc_fake_in(two, sizeof(two) - 1, i, true);
		svc_fake.nout -= 6;
		assert_true(svc_fake.nout > 100);
		svc_fake.nout = 0;
	}
	for (size_t i = 0; i < sizeof(GET) - 1; i++) {
		expect("");
		svc_fake_in(&GET[i], 1, 0, true);
	}
	expect(OK_KA);
	svc_fake_close();
}

/* Whatever was asked last, by whomever: the same request gets the same answer, and another one its own. */
static void
test_like_the_last(void **state)
{
	static const char *const requests[] = {GET, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"};
	char said[2][RTE_DIM(requests)][512];
	bool ended[2][RTE_DIM(requests)];

	(void)state;
	/* Once with another request before each, and once with the same. */
	for (unsigned again = 0; again < 2; again++) {
		for (unsigned i = 0; i < RTE_DIM(requests); i++) {
			for (unsigned n = 0; n <= again; n++) {
				begin();
				in(requests[i]);
				svc_fake.out[svc_fake.nout] = 0;
				assert_true(
					svc_fake.nout > 0 && svc_fake.nout < sizeof(said[0][0]));
				strcpy(said[again][i], (const char *)svc_fake.out);
				ended[again][i] = svc_fake.closed || svc_fake.shut;
				svc_fake.nout = 0;
				svc_fake_close();
			}
			assert_string_equal(said[again][i], said[0][i]);
			assert_int_equal(ended[again][i], ended[0][i]);
		}
	}
	assert_null(strstr(said[1][1], "\r\n\r\nconvd"));
	assert_true(ended[1][2] && !ended[1][0]);
}

static void
test_pipelining(void **state)
{
	(void)state;
	begin();
	in(GET GET "GET /x HTTP/1.1\r\nHost: a\r\n\r\n" GET);
	expect(OK_KA OK_KA
		"HTTP/1.1 404 Not Found\r\nServer: convd\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n"
		"Connection: keep-alive\r\n\r\nNot Found" OK_KA);
	svc_fake_close();
}

/** Requests wait while the peer does not read; a buffer is held meanwhile, and no answer is lost. */
static void
test_back_pressure(void **state)
{
	(void)state;
	begin();
	svc_fake.room = 1;
	in(GET GET GET);
	in(GET);
	expect(OK_KA);
	assert_int_equal(svc_fake.writes, 1);
	svc_fake_room(1);
	expect(OK_KA);
	svc_fake_room(1000);
	expect(OK_KA OK_KA);
	svc_fake_close();
}

static void
test_held_requests_are_freed(void **state)
{
	(void)state;
	begin();
	svc_fake.room = 1;
	in(GET GET GET);
	svc_fake_close();
}

static void
test_targets(void **state)
{
	static const struct {
		const char *target;
		unsigned code;
	} t[] = {
		{"/", 200},
		{"/?", 200},
		{"/?a=b&c", 200},
		{"http://a/", 200},
		{"http://a", 200},
		{"http://a?x", 200},
		{"http://a:80/?x", 200},
		{"/index.html", 404},
		{"//", 404},
		{"/a/b?c", 404},
		{"http://a/b", 404},
		{"*", 404},
	};
	char req[512];

	(void)state;
	begin();
	for (unsigned i = 0; i < RTE_DIM(t); i++) {
		snprintf(req, sizeof(req), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", t[i].target);
		in(req);
		assert_string_equal(expect_status(t[i].code), "keep-alive");
	}
	memset(req, 'q', sizeof(req));
	svc_fake_in("GET /?", 6, 0, true);
	for (unsigned i = 0; i < 14; i++)
		svc_fake_in(req, sizeof(req), 0, true);
	in(" HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_status(200);
	svc_fake_close();
}

static void
test_versions(void **state)
{
	(void)state;
	begin();
	in("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_string_equal(expect_status(200), "keep-alive");
	assert_false(svc_fake.closed);
	in("GET / HTTP/1.0\r\n\r\n");
	assert_string_equal(expect_status(200), "close");
	assert_true(svc_fake.closed);
	assert_false(svc_fake.shut);
	svc_fake_close();
	begin();
	in("GET / HTTP/2.0\r\nHost: a\r\n\r\n");
	assert_string_equal(expect_status(505), "close");
	svc_fake_close();
}

static void
test_connection_close(void **state)
{
	(void)state;
	begin();
	in("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_string_equal(expect_status(200), "close");
	assert_true(svc_fake.closed);
	svc_fake_close();
	/* What the peer sends behind it is heard out, unanswered, so that no RST overtakes the answer. */
	begin();
	in("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET);
	assert_string_equal(expect_status(200), "close");
	assert_true(svc_fake.shut);
	assert_false(svc_fake.closed);
	in(GET);
	assert_int_equal(svc_fake.in_bytes, 0);
	svc_fake_fin();
	assert_true(svc_fake.closed);
	expect("");
	svc_fake_close();
}

static void
test_bad_requests(void **state)
{
	static const struct {
		const char *req;
		unsigned code;
		bool keep;
	} t[] = {
		{"\x16\x03\x01\x02", 501, false}, /* TLS */
		{"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, false},
		{"GET / HTTP/1.x\r\n", 400, false},
		{"GET /\x01 HTTP/1.1\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400, true},
		{"GET / HTTP/1.1\r\nHost: a\r\nX\"y: b\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\n\r\n", 400, true}, /* no Host */
		{"GET / HTTP/1.1\r\nHosts: a\r\nHos: t\r\n\r\n", 400, true},
		{"GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n", 400, true},
		{"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, false},
		{"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, true},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", 405, true},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
			405, true},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(t); i++) {
		const char *conn;

		begin();
		in(t[i].req);
		if (t[i].code == 405) {
			svc_fake.out[svc_fake.nout] = 0;
			assert_non_null(strstr((char *)svc_fake.out, "\r\nAllow: GET, HEAD\r\n"));
		}
		conn = expect_status(t[i].code);
		assert_string_equal(conn, t[i].keep ? "keep-alive" : "close");
		in(GET);
		expect(t[i].keep ? OK_KA : "");
		assert_int_equal(svc_fake.shut, !t[i].keep);
		svc_fake_fin();
		assert_true(svc_fake.closed);
		svc_fake_close();
	}
}

/** A body that is not here yet: a final answer at once, which is what Expect waits for, and no more. */
static void
test_body_outstanding(void **state)
{
	(void)state;
	begin();
	in("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n");
	assert_string_equal(expect_status(405), "close");
	assert_true(svc_fake.shut);
	in("some of the body");
	expect("");
	svc_fake_fin();
	assert_true(svc_fake.closed);
	svc_fake_close();
}

/** curl --http2 asks; who does not speak it goes on as if nothing had been said. */
static void
test_upgrade_is_ignored(void **state)
{
	(void)state;
	begin();
	in("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
	   "HTTP2-Settings: AAMAAABk\r\n\r\n" GET);
	expect(OK_KA OK_KA);
	svc_fake_close();
}

static void
test_head_too_large(void **state)
{
	static char req[9000];
	size_t n;

	(void)state;
	for (unsigned over = 0; over < 2; over++)
		for (unsigned one = 0; one < 2; one++) {
			begin();
			in(GET); /* it is counted for each request anew */
			svc_fake.nout = 0;
			n = (size_t)snprintf(req, sizeof(req), "GET / HTTP/1.1\r\nHost: a\r\nX: ");
			memset(req + n, 'x', 8192 - 4 - n + over);
			memcpy(req + 8192 - 4 + over, "\r\n\r\n", 5);
			for (size_t at = 0; at < 8192 + over; at += one ? 1 : 2000)
				svc_fake_in(req + at,
					one ? 1 : RTE_MIN(8192 + over - at, (size_t)2000), 0, true);
			assert_string_equal(
				expect_status(over ? 431 : 200), over ? "close" : "keep-alive");
			svc_fake_close();
		}
}

static void
test_peer_ends(void **state)
{
	(void)state;
	/* After a request: it is answered, then we end too. */
	begin();
	svc_fake.room = 1;
	svc_fake_in(GET GET, 2 * (sizeof(GET) - 1), 0, true);
	svc_fake_fin();
	assert_false(svc_fake.closed);
	expect(OK_KA);
	svc_fake_room(1000);
	expect(OK_KA);
	assert_true(svc_fake.closed);
	svc_fake_close();
	/* In the middle of one: there is nobody to answer. */
	begin();
	in("GET / HT");
	svc_fake_fin();
	assert_true(svc_fake.closed);
	expect("");
	svc_fake_close();
}

static void
test_no_buffers(void **state)
{
	(void)state;
	begin();
	svc_fake_in(GET, sizeof(GET) - 1, 0, false);
	test_starve(svc_net.net.mp);
	svc_http.recv(&svc_net.net.w[0], &svc_fake.c);
	test_feed(svc_net.net.mp);
	assert_true(svc_fake.hung);
	assert_int_equal(svc_fake.why, CONV_END_MEMORY);
	expect("");
	svc_fake_close();
}

/* ---- options ---- */

static void *
options(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);
	void *o = NULL;
	char fault[128] = "";

	assert_non_null(j);
	if (svc_http.options(j, &o, fault, sizeof(fault)) != 0)
		fail_msg("%s: %s", text, fault);
	json_decref(j);
	return o;
}

static void
test_options(void **state)
{
	static struct listener l;
	static char text[66000], want[66000];
	char fault[128];
	void *none = NULL;

	(void)state;
	l.options = options("{\"body\": \"<p>\\u00e9\", \"content_type\": \"text/html\"}");
	svc_fake_open(IPPROTO_TCP, &svc_http, &l);
	in(GET "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
	expect("HTTP/1.1 200 OK\r\nServer: convd\r\nContent-Type: text/html\r\nContent-Length: 5\r\n"
	       "Connection: keep-alive\r\n\r\n<p>\xc3\xa9"
	       "HTTP/1.1 404 Not Found\r\nServer: convd\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n"
	       "Connection: keep-alive\r\n\r\nNot Found");
	svc_fake_close();
	svc_http.options_free(l.options);

	/* The longest body: one write, many buffers. */
	memcpy(text, "{\"body\": \"", 10);
	memset(text + 10, 'b', 65536);
	memcpy(text + 10 + 65536, "\"}", 3);
	l.options = options(text);
	svc_fake_open(IPPROTO_TCP, &svc_http, &l);
	svc_fake.room = 1;
	in(GET);
	assert_int_equal(svc_fake.writes, 1);
	memset(want, 'b', 65536);
	assert_memory_equal(svc_fake.out + svc_fake.nout - 65536, want, 65536);
	assert_int_equal(svc_fake.out[svc_fake.nout - 65537], '\n');
	svc_fake_close();
	svc_http.options_free(l.options);

	assert_int_equal(svc_http.options(NULL, &none, fault, sizeof(fault)), 0);
	svc_http.options_free(none);
	svc_http.options_free(NULL);
}

static void
test_option_faults(void **state)
{
	static const char *const t[][2] = {
		{"{\"body\": 1}", "body: must be a string"},
		{"{\"body\": null}", "body: must be a string"},
		{"{\"content_type\": []}", "content_type: must be a string"},
		{"{\"content_type\": \"a\\r\\nX: y\"}", "content_type: control character in it"},
		{"{\"root\": \"/srv\"}", "root: not built yet: http serves one page so far"},
		{"{\"bodi\": \"\"}", "bodi: unknown option (known: body, content_type)"},
	};
	char fault[128];

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(t); i++) {
		json_t *j = json_loads(t[i][0], 0, NULL);
		void *o = NULL;

		assert_int_equal(svc_http.options(j, &o, fault, sizeof(fault)), -EINVAL);
		assert_string_equal(fault, t[i][1]);
		assert_null(o);
		json_decref(j);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_split_at_every_byte),
		cmocka_unit_test(test_like_the_last),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_held_requests_are_freed),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_connection_close),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_body_outstanding),
		cmocka_unit_test(test_upgrade_is_ignored),
		cmocka_unit_test(test_head_too_large),
		cmocka_unit_test(test_peer_ends),
		cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_option_faults),
	};

	test_eal("svc_http_test");
	return cmocka_run_group_tests_name("svc_http", tests, NULL, NULL);
}
