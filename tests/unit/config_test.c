/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The configuration: the values that come out of a file, every fault of the
 * files in tests/config word for word, and the schema against the table of keys.
 */
#include <arpa/inet.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_services.h"
#include "ipht.h"

#define MUTATIONS 20000 /* of the good file: a few seconds under ASan */

/* What config_load writes, as one string; the caller frees it. */
static char *
test_faults(const char *file, int *ret_err)
{
	struct config *c = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	*ret_err = config_load(file, &test_config_services, &c, out);
	fclose(out);
	assert_true((c != NULL) == (*ret_err == 0));
	config_free(c);
	return text;
}

static struct config *
test_load(const char *file)
{
	struct config *c = NULL;

	assert_int_equal(config_load(file, &test_config_services, &c, stderr), 0);
	assert_non_null(c);
	return c;
}

static char *
test_read(const char *file)
{
	FILE *f = fopen(file, "r");
	char *text = calloc(1, 1 << 16);

	if (f == NULL)
		fail_msg("%s is missing", file);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
	assert_true(feof(f));
	fclose(f);
	return text;
}

/* Every broken file says exactly what NAME.expect says; a file without one is good. */
static void
test_folder(void **state)
{
	unsigned broken = 0, good = 0, wrong = 0;
	char expect[256];
	glob_t g;

	assert_int_equal(glob("*.json", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *file = g.gl_pathv[i];
		char *want = NULL, *faults;
		int err;

		snprintf(expect, sizeof(expect), "%.*s.expect", (int)strlen(file) - 5, file);
		if (access(expect, F_OK) == 0)
			want = test_read(expect);
		faults = test_faults(file, &err);
		if (strcmp(faults, want != NULL ? want : "") != 0)
			print_error("%s says\n%s.. and should say\n%s", file, faults,
				want != NULL ? want : "(nothing)\n");
		if (strcmp(faults, want != NULL ? want : "") != 0 ||
			err != (want != NULL ? -EINVAL : 0))
			wrong++;
		*(want != NULL ? &broken : &good) += 1;
		free(want);
		free(faults);
	}
	globfree(&g);
	assert_int_equal(wrong, 0);
	assert_true(broken >= 45);
	assert_true(good >= 2);
	assert_int_equal(glob("*.expect", 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, broken);
	globfree(&g);
}

static void
test_samples(void **state)
{
	glob_t g;

	assert_int_equal(glob("../../config/*.json", 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 5);
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (strstr(g.gl_pathv[i], "schema.json") == NULL)
			config_free(test_load(g.gl_pathv[i]));
	globfree(&g);
}

static void
test_file_faults(void **state)
{
	char big[] = "/tmp/config_test_XXXXXX";
	int err, fd = mkstemp(big);
	char *faults, want[128];

	faults = test_faults("absent.json", &err);
	assert_string_equal(faults, "absent.json: can't be read: No such file or directory\n");
	assert_int_equal(err, -ENOENT);
	free(faults);
	faults = test_faults(".", &err);
	assert_string_equal(faults, ".: can't be read: Is a directory\n");
	assert_int_equal(err, -EISDIR);
	free(faults);
	assert_int_equal(ftruncate(fd, (16 << 20) + 1), 0);
	faults = test_faults(big, &err);
	snprintf(want, sizeof(want), "%s: can't be read: File too large\n", big);
	assert_string_equal(faults, want);
	assert_int_equal(err, -EFBIG);
	free(faults);
	close(fd);
	unlink(big);
}

/* Bytes that can't stand in a .json file of the folder without upsetting editors. */
static void
test_odd_bytes(void **state)
{
	static const char utf8[] = "{ \"eal\": \"\xff\" }", nul[] = "{ \"eal\": \"a\\u0000b\" }";
	struct config *c;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(config_parse("x", utf8, sizeof(utf8) - 1, NULL, &c, out), -EINVAL);
	assert_int_equal(config_parse("y", nul, sizeof(nul) - 1, NULL, &c, out), -EINVAL);
	assert_int_equal(config_parse("a\nb", "", 0, NULL, &c, out), -EINVAL);
	fclose(out);
	assert_string_equal(text,
		"x:1:10: unable to decode byte 0xff near '\"'\n"
		"y:1:19: a string can't hold \\u0000\n"
		"a\\x0ab:1:0: '[' or '{' expected near end of file\n");
	free(text);
}

/* A service that the daemon does not have: it can't do what the listener wants. */
static void
test_service_one(void **state)
{
	static const char text[] =
		"{ \"interfaces\": [{ \"name\": \"a\", \"device\": \"net_null0\", \"addresses\": [\"10.0.0.1/8\"] }],"
		"  \"listeners\": [{ \"name\": \"a\", \"protocol\": \"udp\", \"port\": 7, \"service\": \"solo\","
		"    \"conversation\": \"one\" }] }";
	struct config *c;
	char *faults;
	size_t len;
	FILE *out = open_memstream(&faults, &len);

	assert_int_equal(
		config_parse("f", text, strlen(text), &test_config_services, &c, out), -EINVAL);
	fclose(out);
	assert_string_equal(faults,
		"f: listeners[0].conversation: \"one\" is more than service \"solo\" can do\n");
	free(faults);
}

static void
test_address(const uint8_t got[16], const char *want)
{
	uint8_t addr[16];

	assert_int_equal(inet_pton(AF_INET6, want, addr), 1);
	assert_memory_equal(got, addr, sizeof(addr));
}

static void
test_defaults(void **state)
{
	struct config *c = test_load("good_minimal.json");

	assert_false(c->eal.hugepages);
	assert_int_equal(c->eal.memory_mb, 1024);
	assert_int_equal(c->eal.nargs, 0);
	assert_int_equal(c->workers.count, 1);
	assert_int_equal(c->workers.max, 1);
	assert_true(c->workers.ncores >= 1);
	assert_non_null(c->workers.cores);
	assert_int_equal(c->workers.spread, STACK_SPREAD_AUTO);
	assert_int_equal(c->workers.idle, CONFIG_IDLE_ADAPTIVE);
	assert_int_equal(c->ninterfaces, 1);
	assert_string_equal(c->interfaces[0].name, "lan");
	assert_string_equal(c->interfaces[0].device, "net_null0");
	assert_int_equal(c->interfaces[0].rx_queues, 0);
	assert_int_equal(c->interfaces[0].mtu, 1500);
	assert_int_equal(c->interfaces[0].vlan, 0);
	assert_false(c->interfaces[0].accept_ra);
	assert_int_equal(c->nroutes, 0);
	assert_int_equal(c->nlisteners, 0);
	assert_int_equal(c->limits.conversations, 0); /* what the memory has room for */
	assert_int_equal(c->limits.half_open, 65536);
	assert_int_equal(c->limits.time_wait, 262144);
	assert_int_equal(c->limits.udp_idle_seconds, 60);
	assert_int_equal(c->limits.drain_seconds, 10);
	assert_int_equal(c->tcp.congestion_control, TCP_CUBIC);
	assert_int_equal(c->tcp.keepalive_seconds, 0);
	assert_int_equal(c->tcp.user_timeout_seconds, 100);
	assert_int_equal(c->tcp.time_wait_seconds, 60);
	assert_string_equal(c->control.socket, "/run/convd/control.sock");
	assert_null(c->control.metrics);
	config_free(c);
}

static void
test_values(void **state)
{
	struct config *c = test_load("good_every_key.json");
	const struct config_interface *lan = &c->interfaces[0], *wan = &c->interfaces[1];

	assert_true(c->eal.hugepages);
	assert_int_equal(c->eal.memory_mb, 64);
	assert_int_equal(c->eal.nargs, 2);
	assert_string_equal(c->eal.args[0], "--no-pci");
	assert_string_equal(c->eal.args[1], "--log-level=error");
	assert_int_equal(c->workers.count, 3);
	assert_int_equal(c->workers.max, 64);
	assert_int_equal(c->workers.ncores, 1);
	assert_int_equal(c->workers.cores[0], 0);
	assert_int_equal(c->workers.spread, STACK_SPREAD_FLOW);
	assert_int_equal(c->ninterfaces, 2);
	assert_int_equal(lan->rx_queues, 4);
	assert_int_equal(lan->mtu, 9600);
	assert_int_equal(lan->vlan, 4094);
	assert_true(lan->accept_ra);
	assert_int_equal(lan->naddresses, 5);
	test_address(lan->addresses[0].addr, "::ffff:10.77.0.2");
	assert_int_equal(lan->addresses[0].len, 24);
	assert_int_equal(lan->addresses[0].version, 4);
	test_address(lan->addresses[1].addr, "fd77::2");
	assert_int_equal(lan->addresses[1].len, 64);
	assert_int_equal(lan->addresses[1].version, 6);
	assert_string_equal(wan->name, "wan-1.a_b");
	assert_string_equal(wan->device, "0000:03:00.0");
	assert_int_equal(wan->rx_queues, 0);
	assert_int_equal(wan->mtu, 576);
	assert_int_equal(c->nroutes, 3);
	test_address(c->routes[0].to.addr, "::ffff:0.0.0.0");
	assert_int_equal(c->routes[0].to.len, 0);
	test_address(c->routes[1].to.addr, "::ffff:10.8.0.0");
	assert_int_equal(c->routes[1].to.len, 13);
	test_address(c->routes[1].via.addr, "::ffff:192.0.2.5");
	test_address(c->routes[2].to.addr, "::");
	test_address(c->routes[2].via.addr, "fd77::1");
	assert_int_equal(c->limits.conversations, 33554432);
	assert_int_equal(c->limits.drain_seconds, 0);
	assert_int_equal(c->tcp.time_wait_seconds, 600);
	assert_int_equal(c->tcp.keepalive_seconds, 7200);
	assert_int_equal(c->tcp.user_timeout_seconds, 300);
	config_free(c);
}

static void
test_listeners(void **state)
{
	struct config *c = test_load("good_every_key.json");
	const struct config_listener *l = c->listeners;

	assert_int_equal(c->nlisteners, 10);
	assert_int_equal(l[0].listen, CONFIG_LISTEN_ANY);
	test_address(l[0].laddr, "::");
	assert_int_equal(l[0].zone, 0);
	assert_int_equal(l[0].proto, IPPROTO_TCP);
	assert_int_equal(l[0].conversation, CONFIG_CONVERSATION_NONE);
	assert_int_equal(l[1].listen, CONFIG_LISTEN_ANY4);
	test_address(l[1].laddr, "::ffff:0.0.0.0");
	assert_int_equal(l[1].zone, 0);
	assert_int_equal(l[2].listen, CONFIG_LISTEN_ANY6);
	test_address(l[2].laddr, "::");
	assert_int_equal(l[2].zone, IPHT_ZONE_ANY6);
	assert_int_equal(l[3].listen, CONFIG_LISTEN_ONE);
	test_address(l[3].laddr, "::ffff:10.77.0.2");
	assert_int_equal(l[4].listen, CONFIG_LISTEN_ONE);
	test_address(l[4].laddr, "fd77::2");
	assert_int_equal(l[4].port_lo, 7);
	assert_int_equal(l[4].port_hi, 7);
	assert_int_equal(l[6].proto, IPPROTO_UDP);
	assert_int_equal(l[6].conversation, CONFIG_CONVERSATION_PER_PEER);
	assert_null(l[6].options);
	assert_int_equal(l[7].conversation, CONFIG_CONVERSATION_ONE);
	assert_string_equal(l[8].service, "http");
	assert_int_equal(l[8].port_lo, 8000);
	assert_int_equal(l[8].port_hi, 8100);
	assert_string_equal(json_string_value(json_object_get(l[8].options, "body")), "hello");
	assert_int_equal(l[8].nallow, 2);
	test_address(l[8].allow[0].addr, "::ffff:10.0.0.0");
	assert_int_equal(l[8].allow[0].len, 96 + 8);
	test_address(l[8].allow[1].addr, "fd77::");
	assert_int_equal(l[8].allow[1].len, 64);
	assert_int_equal(l[8].ndeny, 3);
	test_address(l[8].deny[0].addr, "::ffff:10.77.0.99");
	assert_int_equal(l[8].deny[0].len, 128);
	assert_int_equal(l[8].deny[1].len, 96);
	assert_int_equal(l[8].deny[2].len, 0);
	assert_int_equal(l[9].port_hi, 65535);
	config_free(c);
}

/* A UDP listener that says nothing of conversations has one per peer. */
static void
test_conversation_default(void **state)
{
	struct config *c = test_load("../../config/tap.json");

	assert_int_equal(c->listeners[0].conversation, CONFIG_CONVERSATION_NONE);
	assert_int_equal(c->listeners[1].proto, IPPROTO_UDP);
	assert_int_equal(c->listeners[1].conversation, CONFIG_CONVERSATION_PER_PEER);
	config_free(c);
}

/* The committed schema is what the table of keys says, to the letter. */
static void
test_schema(void **state)
{
	json_t *schema = config_schema();
	char *text = json_dumps(schema, JSON_INDENT(2));
	char *file = test_read("../../config/convd.schema.json");

	assert_non_null(text);
	if (strncmp(file, text, strlen(text)) != 0 || strcmp(file + strlen(text), "\n") != 0)
		fail_msg("config/convd.schema.json is stale: write it anew with "
			 "build/tests/unit/config_check --schema");
	free(file);
	free(text);
	json_decref(schema);
}

/* The n-th allocation from now on fails, and all after it; 0: none does. */
static unsigned test_fail_at;
static bool test_failed;

static bool
test_fails(void)
{
	if (test_fail_at > 1)
		test_fail_at--;
	else if (test_fail_at == 1)
		test_failed = true;
	return test_failed;
}

/* The linker puts these before the C library's, for the configuration's objects. */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
int __real_vasprintf(char **ret, const char *format, va_list args);
int __wrap_vasprintf(char **ret, const char *format, va_list args);

void *
__wrap_calloc(size_t n, size_t size)
{
	return test_fails() ? NULL : __real_calloc(n, size);
}

char *
__wrap_strdup(const char *s)
{
	return test_fails() ? NULL : __real_strdup(s);
}

int
__wrap_vasprintf(char **ret, const char *format, va_list args)
{
	return test_fails() ? -1 : __real_vasprintf(ret, format, args);
}

static void *
test_json_malloc(size_t size)
{
	return test_fails() ? NULL : malloc(size);
}

/* One run in which the n-th allocation fails. @return true: there were not that many */
static bool
test_memory_run(const char *text, unsigned n)
{
	struct config *c = NULL;
	char *faults;
	size_t len;
	FILE *out = open_memstream(&faults, &len);
	bool through;
	int err;

	assert_non_null(out);
	test_fail_at = n;
	err = config_parse("f", text, strlen(text), &test_config_services, &c, out);
	through = !test_failed;
	test_fail_at = 0;
	test_failed = false;
	fclose(out);
	if (!through) {
		assert_int_equal(err, -ENOMEM);
		assert_string_equal(faults, "f: out of memory\n");
	} else {
		assert_int_equal(err, 0);
	}
	config_free(c);
	free(faults);
	return through;
}

/* Wherever memory runs out: that is said, once, and nothing else; nothing leaks (ASan looks). */
static void
test_memory(void **state)
{
	char *text = test_read("good_every_key.json");
	unsigned n = 1;

	json_set_alloc_funcs(test_json_malloc, free);
	while (!test_memory_run(text, n))
		n++;
	json_set_alloc_funcs(malloc, free);
	assert_true(n > 100);
	free(text);
}

static uint64_t
test_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Whatever stands in the file: no crash, no leak, and all faults are lines with the file's name. */
static void
test_mutations(void **state)
{
	char *good = test_read("good_every_key.json"), *text, *faults;
	size_t n = strlen(good), len;
	uint64_t random = 0x636f6e7664; /* any number but 0 */
	struct config *c;

	text = malloc(n);
	assert_non_null(text);
	for (unsigned i = 0; i < MUTATIONS; i++) {
		FILE *out = open_memstream(&faults, &len);
		unsigned changes = 1 + test_random(&random) % 3;
		int err;

		memcpy(text, good, n);
		for (unsigned j = 0; j < changes; j++) {
			char other = good[test_random(&random) % n];

			text[test_random(&random) % n] =
				i % 8 == 0 ? (char)test_random(&random) : other;
		}
		err = config_parse("f", text, n, &test_config_services, &c, out);
		fclose(out);
		if (err == 0)
			config_free(c);
		assert_true(err == 0 ? len == 0 : err == -EINVAL && len > 3);
		for (char *line = faults; *line != '\0'; line = strchr(line, '\n') + 1)
			assert_true(strncmp(line, "f:", 2) == 0 && strchr(line, '\n') != NULL);
		free(faults);
	}
	free(text);
	free(good);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_file_faults),
		cmocka_unit_test(test_odd_bytes),
		cmocka_unit_test(test_service_one),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_conversation_default),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_mutations),
	};

	if (argc != 2 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: config_test FOLDER (tests/config)\n");
		return EXIT_FAILURE;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
