/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Making the control socket: who dares to take the place of an older one.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control_priv.h"

static int __attribute__((format(printf, 4, 5)))
control_socket_fault(char *fault, size_t len, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(fault, len, format, ap);
	va_end(ap);
	return rc;
}

/* Somebody accepts on it: a connection is made, or waits for its turn (EAGAIN). */
static bool
control_socket_alive(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return false;
	alive = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN;
	close(fd);
	return alive;
}

/* Nothing is at the path when this succeeds. */
static int
control_socket_clear(const struct sockaddr_un *sa, char *fault, size_t len)
{
	const char *path = sa->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return control_socket_fault(fault, len, -errno, "%s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return control_socket_fault(fault, len, -EEXIST,
			"%s: exists and is not a socket; remove it, or set control.socket", path);
	if (control_socket_alive(sa))
		return control_socket_fault(fault, len, -EADDRINUSE,
			"%s: another daemon listens on it; stop that one, or set control.socket",
			path);
	if (unlink(path) < 0 && errno != ENOENT)
		return control_socket_fault(fault, len, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

/* The mode is set before listen, so at no time can anybody connect whom it keeps out. */
static int
control_socket_bind(int fd, const struct sockaddr_un *sa, char *fault, size_t len)
{
	int rc = control_socket_clear(sa, fault, len);

	if (rc < 0)
		return rc;
	if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ||
		chmod(sa->sun_path, 0660) < 0 || listen(fd, CONTROL_CLIENTS) < 0)
		return control_socket_fault(
			fault, len, -errno, "%s: %s", sa->sun_path, strerror(errno));
	return 0;
}

/*
 * The folder, locked: of two daemons that start at once and both find a dead one's socket, the
 * second must not remove what the first has just made. Nothing is left behind for a crash to keep.
 */
static int
control_socket_lock(const char *path, char *fault, size_t len)
{
	char copy[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const struct timespec pause = {.tv_nsec = 10000000};
	const char *folder;
	int fd;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	folder = dirname(copy);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return control_socket_fault(fault, len, -errno, "%s: can't make the folder %s: %s",
			path, folder, strerror(errno));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return control_socket_fault(
			fault, len, -errno, "%s: %s: %s", path, folder, strerror(errno));
	for (unsigned i = 0; i < 100; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		nanosleep(&pause, NULL);
	}
	close(fd);
	return control_socket_fault(
		fault, len, -EBUSY, "%s: another process keeps the folder %s locked", path, folder);
}

int
control_socket_open(const char *path, int *ret_fd, char *fault, size_t fault_len)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd, lock, rc;

	if (len == 0 || len >= sizeof(sa.sun_path))
		return control_socket_fault(fault, fault_len, -ENAMETOOLONG,
			"%s: the path of a socket has 1-%zu bytes", path, sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return control_socket_fault(
			fault, fault_len, -errno, "%s: %s", path, strerror(errno));
	lock = control_socket_lock(path, fault, fault_len);
	if (lock < 0) {
		close(fd);
		return lock;
	}
	rc = control_socket_bind(fd, &sa, fault, fault_len);
	close(lock);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}
