/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The clients of the control socket. Each has one request in work and one answer in flight: while
 * an answer is being sent nothing more is read from that client, so what it is owed never
 * piles up here, and the kernel's buffers make it wait.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control_priv.h"

#define CONTROL_LISTENER CONTROL_CLIENTS /* epoll data: not a client */

uint64_t
control_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int
control_watch(struct control *ctl, int op, int fd, uint32_t events, uint32_t number)
{
	struct epoll_event ev = {.events = events, .data.u32 = number};

	return epoll_ctl(ctl->epfd, op, fd, &ev) < 0 ? -errno : 0;
}

static void
control_client_close(struct control *ctl, struct control_client *c)
{
	close(c->fd);
	c->fd = -1;
	control_json_free(&c->out);
	ctl->nclients--;
}

/* Send what fits. @return false if the client has gone */
static bool
control_client_send(struct control_client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.text + c->sent, c->out.len - c->sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->sent += (size_t)n;
		c->active_us = control_now_us();
	}
	control_json_free(&c->out);
	c->sent = 0;
	return true;
}

/* Read once. @return false if the client has gone */
static bool
control_client_read(struct control_client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		c->eof = true;
	c->in_len += (size_t)n;
	return true;
}

static bool
control_client_has_line(const struct control_client *c)
{
	return memchr(c->in, '\n', c->in_len) != NULL;
}

/* Answer the first line, if one is complete. Half a line before the end is no request. */
static void
control_client_answer(struct control *ctl, struct control_client *c)
{
	char *end = memchr(c->in, '\n', c->in_len);
	size_t len;

	if (end == NULL) {
		if (c->in_len == sizeof(c->in)) {
			control_fail(&c->out, CONTROL_INVALID, "request: longer than %d bytes",
				CONTROL_LINE_MAX);
			c->closing = true;
		}
		return;
	}
	len = (size_t)(end - c->in);
	c->active_us = control_now_us();
	control_answer(ctl, c->in, len, &c->out);
	if (c->out.failed) {
		control_json_free(&c->out);
		control_fail(&c->out, CONTROL_FAILED, "no memory for the answer");
	}
	c->in_len -= len + 1;
	memmove(c->in, end + 1, c->in_len);
}

/* @return false if the client has gone, or has no more to ask */
static bool
control_client_serve(struct control *ctl, struct control_client *c, uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP))
		return false;
	if (c->out.len == 0) {
		if (!c->eof && !control_client_has_line(c) && !control_client_read(c))
			return false;
		control_client_answer(ctl, c);
		if (c->out.failed)
			return false;
	}
	if (!control_client_send(c))
		return false;
	if (c->out.len > 0 || control_client_has_line(c))
		return true;
	return !c->closing && !c->eof;
}

/* A line that is there already is waited for like room to send: it comes in the next run. */
static void
control_client_ready(struct control *ctl, struct control_client *c, uint32_t events)
{
	uint32_t want;

	if (!control_client_serve(ctl, c, events)) {
		control_client_close(ctl, c);
		return;
	}
	want = c->out.len > 0 || control_client_has_line(c) ? EPOLLOUT : EPOLLIN;
	if (want == c->events)
		return;
	if (control_watch(ctl, EPOLL_CTL_MOD, c->fd, want, (uint32_t)(c - ctl->clients)) < 0)
		control_client_close(ctl, c);
	else
		c->events = want;
}

/* A free place; if there is none, that of the client that has been quiet for longest. */
static struct control_client *
control_client_place(struct control *ctl)
{
	uint64_t now_us = control_now_us();
	struct control_client *quiet = &ctl->clients[0];

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *c = &ctl->clients[i];

		if (c->fd < 0)
			return c;
		if (c->active_us < quiet->active_us)
			quiet = c;
	}
	if (now_us - quiet->active_us < CONTROL_QUIET_US)
		return NULL;
	control_client_close(ctl, quiet);
	return quiet;
}

static void
control_refuse(int fd)
{
	struct control_json out = {0};

	control_fail(&out, CONTROL_LIMIT, "too many clients: %d are connected", CONTROL_CLIENTS);
	/* A socket that was just made takes this much; if not, the client sees the end alone. */
	if (!out.failed && send(fd, out.text, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		errno = 0;
	control_json_free(&out);
	close(fd);
}

static void
control_client_open(struct control *ctl, int fd)
{
	struct control_client *c = control_client_place(ctl);

	if (c == NULL) {
		control_refuse(fd);
		return;
	}
	if (control_watch(ctl, EPOLL_CTL_ADD, fd, EPOLLIN, (uint32_t)(c - ctl->clients)) < 0) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->events = EPOLLIN;
	c->eof = c->closing = false;
	c->in_len = c->sent = 0;
	c->active_us = control_now_us();
	ctl->nclients++;
}

/* Out of descriptors: a client that waits would keep epoll ready for ever, so it is sent away. */
static void
control_shed(struct control *ctl)
{
	if (ctl->spare_fd < 0)
		return;
	close(ctl->spare_fd);
	ctl->spare_fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC);
	if (ctl->spare_fd >= 0)
		close(ctl->spare_fd);
	ctl->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
control_accept(struct control *ctl)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			control_client_open(ctl, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE)
			control_shed(ctl);
		return;
	}
}

void
control_run(struct control *ctl)
{
	struct epoll_event ev[CONTROL_CLIENTS + 1];
	bool accept = false;
	int n = epoll_wait(ctl->epfd, ev, CONTROL_CLIENTS + 1, 0);

	/* New clients last: a place that is freed and taken again must not get an old event. */
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 == CONTROL_LISTENER)
			accept = true;
		else
			control_client_ready(ctl, &ctl->clients[ev[i].data.u32], ev[i].events);
	}
	if (accept)
		control_accept(ctl);
}

int
control_fd(const struct control *ctl)
{
	return ctl->epfd;
}

void
control_set_state(struct control *ctl, const char *state)
{
	ctl->state = state;
}

static int
control_start(struct control *ctl)
{
	struct stat st;

	if (lstat(ctl->conf.path, &st) < 0)
		return -errno;
	ctl->dev = st.st_dev;
	ctl->ino = st.st_ino;
	ctl->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (ctl->epfd < 0)
		return -errno;
	ctl->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return control_watch(ctl, EPOLL_CTL_ADD, ctl->fd, EPOLLIN, CONTROL_LISTENER);
}

int
control_open(
	const struct control_conf *conf, struct control **ret_ctl, char *fault, size_t fault_len)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	int rc = -ENOMEM;

	if (ctl == NULL)
		goto fail;
	ctl->conf = *conf;
	ctl->conf.path = strdup(conf->path);
	ctl->state = "running";
	ctl->epfd = ctl->fd = ctl->spare_fd = -1;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		ctl->clients[i].fd = -1;
	if (ctl->conf.path == NULL)
		goto fail;
	rc = control_socket_open(ctl->conf.path, &ctl->fd, fault, fault_len);
	if (rc < 0)
		goto free_ctl;
	rc = control_start(ctl);
	if (rc < 0)
		goto fail;
	*ret_ctl = ctl;
	return 0;

fail:
	(void)snprintf(fault, fault_len, "%s: %s", conf->path, strerror(-rc));
free_ctl:
	control_close(ctl);
	return rc;
}

static void
control_unlink(const struct control *ctl)
{
	struct stat st;

	if (ctl->ino != 0 && lstat(ctl->conf.path, &st) == 0 && st.st_dev == ctl->dev &&
		st.st_ino == ctl->ino)
		unlink(ctl->conf.path);
}

void
control_close(struct control *ctl)
{
	if (ctl == NULL)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		if (ctl->clients[i].fd >= 0)
			control_client_close(ctl, &ctl->clients[i]);
	}
	control_unlink(ctl);
	if (ctl->fd >= 0)
		close(ctl->fd);
	if (ctl->epfd >= 0)
		close(ctl->epfd);
	if (ctl->spare_fd >= 0)
		close(ctl->spare_fd);
	free((char *)ctl->conf.path);
	free(ctl);
}
