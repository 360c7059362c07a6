/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "control_fake.h"

struct control *control_fake_ctl;
char control_fake_path[64];
static char control_fake_folder[32];

void
control_fake_open(uint32_t slots)
{
	struct control_conf conf;
	char fault[256] = "";

	control_fake_init(slots);
	strcpy(control_fake_folder, "/tmp/convd-control-XXXXXX");
	assert_non_null(mkdtemp(control_fake_folder));
	snprintf(control_fake_path, sizeof(control_fake_path), "%s/sock", control_fake_folder);
	conf = control_fake_conf(control_fake_path);
	if (control_open(&conf, &control_fake_ctl, fault, sizeof(fault)) < 0)
		fail_msg("%s", fault);
}

void
control_fake_close(void)
{
	control_close(control_fake_ctl);
	control_fake_ctl = NULL;
	assert_int_equal(rmdir(control_fake_folder), 0);
	control_fake_fini();
}

int
control_fake_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(sa.sun_path, control_fake_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

bool
control_fake_send(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
		control_run(control_fake_ctl);
	}
	return true;
}

/* What the control does when epoll says so, and only then: a control_fd that stays dumb fails. */
static void
control_fake_turn(time_t until)
{
	struct pollfd p = {.fd = control_fd(control_fake_ctl), .events = POLLIN};

	if (time(NULL) > until)
		fail_msg("no answer within 10 s");
	if (poll(&p, 1, 10) == 1)
		control_run(control_fake_ctl);
}

char *
control_fake_line(int fd)
{
	time_t until = time(NULL) + 10;
	size_t len = 0, size = 4096;
	char *line = malloc(size);

	for (;;) {
		ssize_t n;

		assert_non_null(line);
		n = recv(fd, line + len, 1, 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			free(line);
			return NULL;
		}
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			control_fake_turn(until);
			continue;
		}
		if (line[len] == '\n') {
			line[len] = '\0';
			return line;
		}
		if (++len == size)
			line = realloc(line, size *= 2);
	}
}

json_t *
control_fake_ask(const char *line)
{
	int fd = control_fake_connect();
	json_error_t error;
	json_t *answer;
	char *text;

	assert_true(control_fake_send(fd, line, strlen(line)));
	assert_true(control_fake_send(fd, "\n", 1));
	text = control_fake_line(fd);
	assert_non_null(text);
	answer = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (answer == NULL)
		fail_msg("not JSON: %s: %s", error.text, text);
	free(text);
	close(fd);
	return answer;
}

void
control_fake_refused(const char *line, const char *code, const char *reason)
{
	json_t *answer = control_fake_ask(line);
	const char *error = json_string_value(json_object_get(answer, "error"));

	assert_true(json_is_false(json_object_get(answer, "ok")));
	assert_string_equal(json_string_value(json_object_get(answer, "code")), code);
	assert_non_null(error);
	if (strstr(error, reason) == NULL)
		fail_msg("%s: said \"%s\", not \"%s\"", line, error, reason);
	assert_int_equal(json_object_size(answer), 3);
	json_decref(answer);
}
