/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "convctl_run.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CONVCTL_RUN_ARGS    32
#define CONVCTL_RUN_SECONDS 60

/* What a pipe has to say, as far as it goes. @return false at its end */
static bool
convctl_run_drain(int fd, char **text, size_t *len)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		*text = realloc(*text, *len + (size_t)n + 1);
		assert_non_null(*text);
		memcpy(*text + *len, buf, (size_t)n);
		*len += (size_t)n;
		(*text)[*len] = '\0';
	}
	return n < 0 && errno == EAGAIN;
}

static int
convctl_run_lines(const char *text)
{
	int n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

/* By posix_spawn: a fork would make the whole of our memory copy-on-write, and our next writes slow. */
static pid_t
convctl_run_child(const char *path, const char *args, int out, int err)
{
	char *argv[CONVCTL_RUN_ARGS] = {getenv("CONVCTL"), "--socket", (char *)(uintptr_t)path};
	char *copy = strdup(args), *save = NULL;
	posix_spawn_file_actions_t actions;
	unsigned n = 3;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, err, 2);
	for (char *arg = strtok_r(copy, " ", &save); arg != NULL;
		arg = strtok_r(NULL, " ", &save)) {
		for (char *blank = arg; (blank = strchr(blank, '~')) != NULL;)
			*blank = ' ';
		if (*arg == '>')
			posix_spawn_file_actions_addopen(&actions, 1, arg + 1, O_WRONLY, 0);
		else
			argv[n++] = arg;
	}
	if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) != 0)
		fail_msg("can't run %s", argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	free(copy);
	return pid;
}

struct convctl_ran
convctl_run(const char *path, const char *args, int lines, void (*serve)(void))
{
	struct convctl_ran r = {.out = strdup(""), .err = strdup("")};
	size_t out_len = 0, err_len = 0;
	time_t until = time(NULL) + CONVCTL_RUN_SECONDS;
	int out[2], err[2], status;
	bool more = true;
	pid_t pid;

	if (getenv("CONVCTL") == NULL)
		fail_msg("the environment's CONVCTL must name the program");
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC | O_NONBLOCK), 0);
	/* Only our ends must not block. */
	assert_int_equal(fcntl(out[1], F_SETFL, 0), 0);
	assert_int_equal(fcntl(err[1], F_SETFL, 0), 0);
	pid = convctl_run_child(path, args, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	while (more) {
		bool more_err = convctl_run_drain(err[0], &r.err, &err_len);

		more = convctl_run_drain(out[0], &r.out, &out_len) || more_err;
		if (lines >= 0 && convctl_run_lines(r.out) >= lines) {
			kill(pid, SIGTERM);
			lines = -1;
		}
		if (time(NULL) > until) {
			kill(pid, SIGKILL);
			fail_msg("convctl %s: runs for over %d s", args, CONVCTL_RUN_SECONDS);
		}
		serve();
	}
	close(out[0]);
	close(err[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return r;
}

void
convctl_ran_free(struct convctl_ran *r)
{
	free(r->out);
	free(r->err);
}
