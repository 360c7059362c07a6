/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The client's end of the control socket: one line out, one line in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "convctl.h"

int
convctl_connect(struct convctl *cc)
{
	const struct timeval timeout = {.tv_sec = CONVCTL_TIMEOUT_S};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(cc->path);

	if (len == 0 || len >= sizeof(sa.sun_path)) {
		convctl_say("--socket: a path of 1-%zu bytes is wanted", sizeof(sa.sun_path) - 1);
		return CONVCTL_USAGE;
	}
	memcpy(sa.sun_path, cc->path, len + 1);
	cc->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (cc->fd < 0 ||
		setsockopt(cc->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
		setsockopt(cc->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0) {
		convctl_say("socket: %s", strerror(errno));
		return CONVCTL_REFUSED;
	}
	if (connect(cc->fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return CONVCTL_OK;
	if (errno == EACCES) {
		convctl_say("%s: %s", cc->path, strerror(errno));
		return CONVCTL_REFUSED;
	}
	convctl_say("%s: no daemon listens there: %s", cc->path, strerror(errno));
	return CONVCTL_NO_DAEMON;
}

void
convctl_disconnect(struct convctl *cc)
{
	if (cc->fd >= 0)
		close(cc->fd);
	cc->fd = -1;
	free(cc->line);
	cc->line = NULL;
	cc->len = cc->size = 0;
}

static int
convctl_lost(const struct convctl *cc)
{
	if (errno == EAGAIN)
		convctl_say("%s: no answer within %d s", cc->path, CONVCTL_TIMEOUT_S);
	else
		convctl_say("%s: the daemon has gone: %s", cc->path,
			errno == 0 ? "end of connection" : strerror(errno));
	return CONVCTL_NO_DAEMON;
}

static int
convctl_send(struct convctl *cc, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(cc->fd, text, len, MSG_NOSIGNAL);

		/* It may have hung up with a last word, such as that it has too many clients. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return CONVCTL_OK;
		if (n < 0 && errno != EINTR)
			return convctl_lost(cc);
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return CONVCTL_OK;
}

static bool
convctl_room(struct convctl *cc)
{
	size_t size = cc->size == 0 ? 65536 : 2 * cc->size;
	char *line;

	if (cc->len < cc->size)
		return true;
	line = size <= CONVCTL_LINE_MAX ? realloc(cc->line, size) : NULL;
	if (line == NULL)
		return false;
	cc->line = line;
	cc->size = size;
	return true;
}

/* Wait for a whole line; its newline is at *ret_end. */
static int
convctl_receive(struct convctl *cc, size_t *ret_end)
{
	cc->len = 0;
	for (;;) {
		char *end;
		ssize_t n;

		if (!convctl_room(cc)) {
			convctl_say("%s: the answer is longer than %u bytes", cc->path,
				CONVCTL_LINE_MAX);
			return CONVCTL_REFUSED;
		}
		errno = 0;
		n = recv(cc->fd, cc->line + cc->len, cc->size - cc->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return convctl_lost(cc);
		end = memchr(cc->line + cc->len, '\n', (size_t)n);
		cc->len += (size_t)n;
		if (end != NULL) {
			*ret_end = (size_t)(end - cc->line);
			return CONVCTL_OK;
		}
	}
}

/* What a refusal comes to. */
static int
convctl_refused(const json_t *answer)
{
	const char *code = json_string_value(json_object_get(answer, "code"));
	const char *error = json_string_value(json_object_get(answer, "error"));

	convctl_say("%s", error != NULL ? error : "refused without a reason");
	return code != NULL && strcmp(code, "invalid") == 0 ? CONVCTL_USAGE : CONVCTL_REFUSED;
}

int
convctl_ask(struct convctl *cc, json_t *req, json_t **ret_answer)
{
	char *text = req == NULL ? NULL : json_dumps(req, JSON_COMPACT);
	json_t *answer;
	size_t end = 0;
	int rc;

	json_decref(req);
	if (text == NULL) {
		convctl_say("the request is no UTF-8, or there is no memory");
		return CONVCTL_USAGE;
	}
	rc = convctl_send(cc, text, strlen(text));
	if (rc == CONVCTL_OK)
		rc = convctl_send(cc, "\n", 1);
	free(text);
	if (rc == CONVCTL_OK)
		rc = convctl_receive(cc, &end);
	if (rc != CONVCTL_OK)
		return rc;
	answer = json_loadb(cc->line, end, 0, NULL);
	if (answer == NULL) {
		convctl_say("%s: the answer is not JSON", cc->path);
		return CONVCTL_REFUSED;
	}
	if (!json_is_true(json_object_get(answer, "ok"))) {
		rc = convctl_refused(answer);
		json_decref(answer);
		return rc;
	}
	*ret_answer = answer;
	return CONVCTL_OK;
}
