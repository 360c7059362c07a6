/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The socket itself: who may take its place, and what clients that are rude, slow or many can do.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "control_fake.h"

#define STATUS      "{\"command\":\"status\"}\n"
#define CLIENTS_MAX 64 /* as docs/control.md says */
#define LINE_MAX_   4096

static int
setup(void **state)
{
	control_fake_open(4000);
	return 0;
}

static int
teardown(void **state)
{
	control_fake_close();
	return 0;
}

/* ---- opening ---- */

static int
open_at(const char *path, struct control **ret_ctl, char *fault, size_t len)
{
	struct control_conf conf = control_fake_conf(path);

	return control_open(&conf, ret_ctl, fault, len);
}

static void
refused_at(const char *path, int rc, const char *reason)
{
	struct control *ctl = NULL;
	char fault[256] = "";

	assert_int_equal(open_at(path, &ctl, fault, sizeof(fault)), rc);
	assert_null(ctl);
	assert_int_equal(strncmp(fault, path, strlen(path)), 0);
	if (strstr(fault, reason) == NULL)
		fail_msg("said \"%s\", not \"%s\"", fault, reason);
}

static void
the_socket_is_for_owner_and_group(void **state)
{
	struct stat st;

	assert_int_equal(lstat(control_fake_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void
a_living_daemon_keeps_its_socket(void **state)
{
	refused_at(control_fake_path, -EADDRINUSE, "another daemon listens on it");
	json_decref(control_fake_ask(STATUS));
}

/* Even one whose queue of callers is full. */
static void
a_busy_daemon_keeps_its_socket(void **state)
{
	int fd[200];
	unsigned n = 0;

	while (n < 200) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};

		fd[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		strcpy(sa.sun_path, control_fake_path);
		if (connect(fd[n++], (struct sockaddr *)&sa, sizeof(sa)) < 0)
			break;
	}
	assert_int_equal(errno, EAGAIN);
	refused_at(control_fake_path, -EADDRINUSE, "another daemon listens on it");
	while (n > 0)
		close(fd[--n]);
}

static void
a_dead_daemons_socket_is_replaced(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct control *ctl;
	char fault[256] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s2", control_fake_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(access(sa.sun_path, F_OK), 0);
	if (open_at(sa.sun_path, &ctl, fault, sizeof(fault)) < 0)
		fail_msg("%s", fault);
	control_close(ctl);
	assert_int_equal(access(sa.sun_path, F_OK), -1);
}

static void
what_is_no_socket_is_left_alone(void **state)
{
	char path[80], target[80];
	FILE *f;

	snprintf(path, sizeof(path), "%s.file", control_fake_path);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	refused_at(path, -EEXIST, "exists and is not a socket");
	assert_int_equal(access(path, F_OK), 0);
	snprintf(target, sizeof(target), "%s.link", control_fake_path);
	assert_int_equal(symlink(path, target), 0);
	refused_at(target, -EEXIST, "exists and is not a socket");
	unlink(target);
	unlink(path);
}

static void
paths_that_can_not_be_are_refused(void **state)
{
	char path[200];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	refused_at(path, -ENAMETOOLONG, "1-107 bytes");
	refused_at("", -ENAMETOOLONG, "1-107 bytes");
	refused_at("/tmp/convd-no-such-folder/nor-this/sock", -ENOENT, "can't make the folder");
	refused_at("/dev/null/sock", -ENOTDIR, "/dev/null");
}

static void
the_folder_is_made_if_need_be(void **state)
{
	char path[128], folder[96];
	struct control *ctl;
	char fault[256] = "";

	snprintf(folder, sizeof(folder), "%s.d", control_fake_path);
	snprintf(path, sizeof(path), "%s/sock", folder);
	if (open_at(path, &ctl, fault, sizeof(fault)) < 0)
		fail_msg("%s", fault);
	control_close(ctl);
	assert_int_equal(rmdir(folder), 0);
}

/* Somebody else's lock on the folder is waited for, not for ever. */
static void
a_locked_folder_does_not_hang_the_start(void **state)
{
	char path[128], folder[96];
	int fd;

	snprintf(folder, sizeof(folder), "%s.d", control_fake_path);
	snprintf(path, sizeof(path), "%s/sock", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	fd = open(folder, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	refused_at(path, -EBUSY, "keeps the folder");
	close(fd);
	assert_int_equal(rmdir(folder), 0);
}

/* Closing removes the socket that was opened, not one that has taken its place. */
static void
closing_removes_only_its_own(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct control *ctl;
	char fault[256] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s2", control_fake_path);
	assert_int_equal(open_at(sa.sun_path, &ctl, fault, sizeof(fault)), 0);
	assert_int_equal(unlink(sa.sun_path), 0);
	/* The inode number must not come back at once. */
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	control_close(ctl);
	assert_int_equal(access(sa.sun_path, F_OK), 0);
	close(fd);
	unlink(sa.sun_path);
	control_close(NULL);
}

/* ---- clients ---- */

static void
answered(int fd, bool ok)
{
	char *line = control_fake_line(fd);
	json_t *answer;

	assert_non_null(line);
	answer = json_loads(line, 0, NULL);
	assert_non_null(answer);
	assert_int_equal(json_is_true(json_object_get(answer, "ok")), ok);
	json_decref(answer);
	free(line);
}

static void
hung_up(int fd)
{
	assert_null(control_fake_line(fd));
	close(fd);
}

static void
one_connection_takes_many_requests(void **state)
{
	int fd = control_fake_connect();

	for (unsigned i = 0; i < 1000; i++) {
		assert_true(control_fake_send(fd, STATUS, strlen(STATUS)));
		answered(fd, true);
	}
	close(fd);
}

static void
requests_sent_at_once_are_answered_in_order(void **state)
{
	static const char *const wrong = "{\"command\":\"nonsense\"}\n";
	int fd = control_fake_connect();

	for (unsigned i = 0; i < 100; i++) {
		const char *text = i % 3 == 0 ? wrong : STATUS;

		assert_true(control_fake_send(fd, text, strlen(text)));
	}
	for (unsigned i = 0; i < 100; i++)
		answered(fd, i % 3 != 0);
	close(fd);
}

static void
a_request_may_come_byte_by_byte(void **state)
{
	int fd = control_fake_connect();

	for (const char *p = STATUS; *p != '\0'; p++) {
		assert_true(control_fake_send(fd, p, 1));
		control_run(control_fake_ctl);
	}
	answered(fd, true);
	close(fd);
}

/* As `echo ... | nc -U -N` does: the end of the questions is not the end of the answers. */
static void
half_closed_clients_get_their_answers(void **state)
{
	int fd = control_fake_connect();

	assert_true(control_fake_send(fd, STATUS STATUS, 2 * strlen(STATUS)));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	answered(fd, true);
	answered(fd, true);
	hung_up(fd);
}

/* Half a "hangup 1.12" must not hang up 1.1. */
static void
half_a_line_at_the_end_is_no_request(void **state)
{
	static const char *const half = "{\"command\":\"status\"}";
	int fd = control_fake_connect();

	assert_true(control_fake_send(fd, half, strlen(half)));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	hung_up(fd);
}

static void
a_client_that_goes_away_is_forgotten(void **state)
{
	json_t *answer;

	for (unsigned i = 0; i < 300; i++) {
		int fd = control_fake_connect();

		if (i % 3 > 0)
			assert_true(control_fake_send(fd, STATUS, strlen(STATUS)));
		if (i % 3 > 1)
			assert_true(control_fake_send(fd, "{\"comma", 7));
		close(fd);
		for (unsigned j = 0; j < 4; j++)
			control_run(control_fake_ctl);
	}
	answer = control_fake_ask(STATUS);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(answer, "status"), "clients")),
		1);
	json_decref(answer);
}

static void
the_longest_line_is_taken_and_one_more_is_not(void **state)
{
	char line[LINE_MAX_ + 2];
	int fd = control_fake_connect();

	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"command\":\"status\"}", 20);
	line[LINE_MAX_ - 1] = '\n';
	assert_true(control_fake_send(fd, line, LINE_MAX_));
	answered(fd, true);
	line[LINE_MAX_ - 1] = ' ';
	line[LINE_MAX_] = '\n';
	assert_true(control_fake_send(fd, line, LINE_MAX_ + 1));
	answered(fd, false);
	hung_up(fd);
	json_decref(control_fake_ask(STATUS));
}

static void
a_line_without_end_is_cut_off(void **state)
{
	char block[1000];
	int fd = control_fake_connect();
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	while (sent < 100000000 && control_fake_send(fd, block, sizeof(block)))
		sent += sizeof(block);
	/* No more than a buffer of the kernel's went in before it hung up. */
	assert_true(sent < 2000000);
	answered(fd, false);
	hung_up(fd);
}

/* A client asks for pages and takes none: it waits, nobody else does, and nothing piles up. */
static void
a_client_that_does_not_read_holds_nobody_up(void **state)
{
	static const char *const page = "{\"command\":\"convs\"}\n";
	unsigned online, asked = 0;
	int slow = control_fake_connect();

	for (uint32_t slot = 0; slot < 4000; slot++)
		control_fake_add(slot, IPPROTO_UDP);
	for (unsigned i = 0; i < 1000; i++) {
		if (send(slow, page, strlen(page), MSG_NOSIGNAL) > 0)
			asked++;
		control_run(control_fake_ctl);
	}
	assert_true(asked > 20);
	/* It was served until its buffer was full: one answer waits, and the rest has not been begun. */
	online = control_fake.online;
	assert_in_range(online, 1, 4);
	for (unsigned i = 0; i < 200; i++)
		json_decref(control_fake_ask(STATUS));
	assert_int_equal(control_fake.online, online);
	control_run(control_fake_ctl); /* sees the last of them go */
	/* Nor does it keep epoll ready, which would make the loop spin. */
	assert_int_equal(
		poll(&(struct pollfd){.fd = control_fd(control_fake_ctl), .events = POLLIN}, 1, 0),
		0);
	/* Once it reads it gets all that it asked for. */
	for (unsigned i = 0; i < 20; i++)
		answered(slow, true);
	close(slow);
}

static void
a_client_too_many_is_told_so(void **state)
{
	int fd[CLIENTS_MAX], more;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		fd[i] = control_fake_connect();
		control_run(control_fake_ctl);
	}
	more = control_fake_connect();
	answered(more, false);
	hung_up(more);
	/* The others are served, and a place that is given up is taken. */
	assert_true(control_fake_send(fd[63], STATUS, strlen(STATUS)));
	answered(fd[63], true);
	close(fd[5]);
	control_run(control_fake_ctl);
	json_decref(control_fake_ask(STATUS));
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (i != 5)
			close(fd[i]);
	}
}

/* 64 that say nothing lock nobody out for long. */
static void
a_quiet_client_makes_room_after_a_while(void **state)
{
	int fd[CLIENTS_MAX];

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		fd[i] = control_fake_connect();
		control_run(control_fake_ctl);
	}
	sleep(11);
	assert_true(control_fake_send(fd[0], STATUS, strlen(STATUS)));
	answered(fd[0], true);
	json_decref(control_fake_ask(STATUS));
	/* It was the one that had been quiet for longest: not 0, which has just asked. */
	hung_up(fd[1]);
	assert_true(control_fake_send(fd[0], STATUS, strlen(STATUS)));
	answered(fd[0], true);
	assert_true(control_fake_send(fd[2], STATUS, strlen(STATUS)));
	answered(fd[2], true);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (i != 1)
			close(fd[i]);
	}
}

/* A daemon without a descriptor left sends callers away, and its loop does not spin. */
static void
without_descriptors_callers_are_sent_away(void **state)
{
	struct rlimit before, now;
	struct pollfd p = {.fd = control_fd(control_fake_ctl), .events = POLLIN};
	int fd[3];

	for (unsigned i = 0; i < 3; i++)
		fd[i] = control_fake_connect();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)fd[0];
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	for (unsigned i = 0; i < 10 && poll(&p, 1, 0) == 1; i++)
		control_run(control_fake_ctl);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		hung_up(fd[i]);
	json_decref(control_fake_ask(STATUS));
}

/* Anything may come; whatever it is gets an error or is cut off, and the next client is served. */
static void
noise_is_survived(void **state)
{
	unsigned seed = 12345;

	for (unsigned round = 0; round < 300; round++) {
		char noise[600];
		int fd = control_fake_connect();

		for (size_t i = 0; i < sizeof(noise); i++) {
			seed = seed * 1103515245 + 12345;
			noise[i] = (char)(seed >> 16);
			if (seed >> 28 == 0)
				noise[i] = "{}[]\":,\n"[seed >> 20 & 7];
		}
		noise[sizeof(noise) - 1] = '\n';
		assert_true(control_fake_send(fd, noise, sizeof(noise)));
		answered(fd, false);
		close(fd);
	}
	json_decref(control_fake_ask(STATUS));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_socket_is_for_owner_and_group),
		TEST(a_living_daemon_keeps_its_socket),
		TEST(a_busy_daemon_keeps_its_socket),
		TEST(a_dead_daemons_socket_is_replaced),
		TEST(what_is_no_socket_is_left_alone),
		TEST(paths_that_can_not_be_are_refused),
		TEST(the_folder_is_made_if_need_be),
		TEST(a_locked_folder_does_not_hang_the_start),
		TEST(closing_removes_only_its_own),
		TEST(one_connection_takes_many_requests),
		TEST(requests_sent_at_once_are_answered_in_order),
		TEST(a_request_may_come_byte_by_byte),
		TEST(half_closed_clients_get_their_answers),
		TEST(half_a_line_at_the_end_is_no_request),
		TEST(a_client_that_goes_away_is_forgotten),
		TEST(the_longest_line_is_taken_and_one_more_is_not),
		TEST(a_line_without_end_is_cut_off),
		TEST(a_client_that_does_not_read_holds_nobody_up),
		TEST(a_client_too_many_is_told_so),
		TEST(a_quiet_client_makes_room_after_a_while),
		TEST(without_descriptors_callers_are_sent_away),
		TEST(noise_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
