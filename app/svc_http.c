/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * HTTP/1.0 and 1.1 (RFC 9110, 9112) in its smallest honest form: one page at "/", GET and HEAD, keep-alive, pipelining.
 * No Date: services have no wall clock (RFC 9110 section 6.6.1 allows that).
 *
 * Options: "body" (string), "content_type" (string).
 */
#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "listener.h"
#include "services.h"

#define HEAD_MAX 8192 /* bytes of a request's head */
#define URL_MAX  256
#define BODY_MAX 65536

struct http_options {
	char *type;
	char *body;
	size_t len;
};

struct http_answer_status {
	unsigned code;
	const char *reason;
};

static const struct http_answer_status ok = {200, "OK"};
static const struct http_answer_status bad_request = {400, "Bad Request"};
static const struct http_answer_status not_found = {404, "Not Found"};
static const struct http_answer_status not_allowed = {405, "Method Not Allowed"};
static const struct http_answer_status uri_too_long = {414, "URI Too Long"};
static const struct http_answer_status head_too_large = {431, "Request Header Fields Too Large"};
static const struct http_answer_status not_implemented = {501, "Not Implemented"};

/** A conversation's request: made at accept, one pointer in its service state. */
struct http {
	http_parser parser;
	struct worker *w; /* the one inside, while the parser runs */
	struct conv *c;
	struct rte_mbuf *rest; /* not yet parsed: the send queue was full */
	uint32_t head; /* bytes of this request's head so far */
	uint16_t url_len;
	bool failed; /* answered with an error: close when that is sent */
	bool ended; /* the peer has shut down */
	char url[URL_MAX];
};

static struct http *
http_of(struct conv *c)
{
	struct http *h;

	memcpy(&h, c->svc, sizeof(h));
	return h;
}

/* ---- answers ---- */

static void
http_write(struct http *h, const char *text, size_t len)
{
	const uint16_t most = 1400; /* less than any buffer holds */

	while (len > 0) {
		uint16_t n = (uint16_t)RTE_MIN(len, (size_t)most);
		struct rte_mbuf *m = rte_pktmbuf_alloc(h->w->mp);

		if (m == NULL) {
			/* Half an answer is none. */
			h->c->proto->hangup(h->w, h->c, CONV_END_MEMORY);
			return;
		}
		memcpy(rte_pktmbuf_append(m, n), text, n);
		if (h->c->proto->write(h->w, h->c, m) != 0)
			return;
		text += n;
		len -= n;
	}
}

static void
http_answer(struct http *h, const struct http_answer_status *s, bool keep)
{
	static const char page[] = "convd\n", type[] = "text/plain";
	const struct http_options *o = h->c->listener != NULL ? h->c->listener->options : NULL;
	const char *body = o != NULL && o->body != NULL ? o->body : page;
	size_t len = o != NULL && o->body != NULL ? o->len : sizeof(page) - 1;
	char head[512];
	int n;

	if (s != &ok) {
		body = s->reason;
		len = strlen(body);
	}
	n = snprintf(head, sizeof(head),
		"HTTP/1.1 %u %s\r\nServer: convd\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
		"Connection: %s\r\n\r\n",
		s->code, s->reason, s == &ok && o != NULL && o->type != NULL ? o->type : type, len,
		s == &not_allowed ? "Allow: GET, HEAD\r\n" : "", keep ? "keep-alive" : "close");
	http_write(h, head, RTE_MIN((size_t)n, sizeof(head) - 1));
	if (h->parser.method != HTTP_HEAD || s == &bad_request)
		http_write(h, body, len);
}

/** Answer, and hear no more of this conversation: what follows can't be told apart. */
static void
http_fail(struct http *h, const struct http_answer_status *s)
{
	if (h->failed)
		return;
	h->failed = true;
	http_answer(h, s, false);
	h->c->proto->shutdown(h->w, h->c);
}

/* ---- the parser's callbacks ---- */

static int
http_on_begin(http_parser *p)
{
	struct http *h = p->data;

	h->url_len = 0;
	h->head = 0;
	return 0;
}

static int
http_on_url(http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	if (h->url_len + len >= URL_MAX) {
		http_fail(h, &uri_too_long);
		return -1;
	}
	memcpy(h->url + h->url_len, at, len);
	h->url_len += (uint16_t)len;
	return 0;
}

static int
http_on_header(http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	(void)at;
	h->head += (uint32_t)len;
	if (h->head <= HEAD_MAX)
		return 0;
	http_fail(h, &head_too_large);
	return -1;
}

static const struct http_answer_status *
http_judge(const struct http *h)
{
	struct http_parser_url u;

	if (h->parser.method != HTTP_GET && h->parser.method != HTTP_HEAD)
		return h->parser.method == HTTP_CONNECT || h->parser.method > HTTP_UNLINK
			? &not_implemented
			: &not_allowed;
	http_parser_url_init(&u);
	if (http_parser_parse_url(h->url, h->url_len, 0, &u) != 0)
		return &bad_request;
	if ((u.field_set & (1 << UF_PATH)) != 0 &&
		(u.field_data[UF_PATH].len != 1 || h->url[u.field_data[UF_PATH].off] != '/'))
		return &not_found;
	return &ok;
}

static int
http_on_complete(http_parser *p)
{
	struct http *h = p->data;
	bool keep = http_should_keep_alive(p) != 0;

	http_answer(h, http_judge(h), keep);
	if (!keep) {
		h->failed = true;
		h->c->proto->shutdown(h->w, h->c);
	} else if (h->c->proto->write_room(h->c) == 0) {
		http_parser_pause(p, 1);
	}
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = http_on_begin,
	.on_url = http_on_url,
	.on_header_field = http_on_header,
	.on_header_value = http_on_header,
	.on_message_complete = http_on_complete,
};

/* ---- the service ---- */

/** Parse one packet; what is left of it when the send queue is full stays in h->rest. @return false: stop */
static bool
http_parse(struct http *h, struct rte_mbuf *m)
{
	while (m != NULL) {
		size_t len = m->data_len, done;
		struct rte_mbuf *next;

		done = http_parser_execute(&h->parser, &settings, rte_pktmbuf_mtod(m, char *), len);
		if (HTTP_PARSER_ERRNO(&h->parser) == HPE_PAUSED) {
			rte_pktmbuf_adj(m, (uint16_t)done);
			h->rest = m;
			return false;
		}
		if (HTTP_PARSER_ERRNO(&h->parser) != HPE_OK || h->parser.upgrade) {
			http_fail(h, &bad_request);
			rte_pktmbuf_free(m);
			return false;
		}
		next = m->next;
		rte_pktmbuf_free_seg(m);
		m = next;
	}
	return true;
}

static void
http_recv(struct worker *w, struct conv *c)
{
	struct http *h = http_of(c);
	struct rte_mbuf *m;

	if (h == NULL)
		return;
	h->w = w;
	h->c = c;
	while (c->proto->write_room(c) > 0) {
		m = h->rest;
		h->rest = NULL;
		if (m != NULL)
			http_parser_pause(&h->parser, 0);
		else
			m = c->proto->read(w, c);
		if (m == NULL)
			break;
		if (h->failed)
			rte_pktmbuf_free(m);
		else if (!http_parse(h, m))
			break;
	}
	if (h->ended && h->rest == NULL && c->proto->readable(c) == 0)
		c->proto->close(w, c);
}

static void
http_accept(struct worker *w, struct conv *c)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		c->proto->hangup(w, c, CONV_END_MEMORY);
		return;
	}
	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = h;
	memcpy(c->svc, &h, sizeof(h));
}

static void
http_shutdown(struct worker *w, struct conv *c)
{
	struct http *h = http_of(c);

	if (h != NULL)
		h->ended = true;
	http_recv(w, c);
}

static void
http_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	struct http *h = http_of(c);

	(void)w;
	(void)why;
	if (h == NULL)
		return;
	rte_pktmbuf_free(h->rest);
	free(h);
	memset(c->svc, 0, sizeof(h));
}

/* ---- options ---- */

static void
http_options_free(void *options)
{
	struct http_options *o = options;

	if (o == NULL)
		return;
	free(o->type);
	free(o->body);
	free(o);
}

/** Take a string option. @return 0, or -errno with one line in fault */
static int
http_option(const char *key, const json_t *value, size_t most, char **ret, char *fault, size_t len)
{
	if (!json_is_string(value)) {
		(void)snprintf(fault, len, "%s: must be a string", key);
		return -EINVAL;
	}
	if (json_string_length(value) > most) {
		(void)snprintf(fault, len, "%s: longer than %zu bytes", key, most);
		return -EINVAL;
	}
	*ret = strdup(json_string_value(value));
	return *ret == NULL ? -ENOMEM : 0;
}

static int
http_type_check(const char *type, char *fault, size_t len)
{
	for (const char *p = type; *p != 0; p++) {
		if ((unsigned char)*p >= ' ' && *p != 0x7f)
			continue;
		(void)snprintf(fault, len, "content_type: control character in it");
		return -EINVAL;
	}
	return 0;
}

static int
http_options(const json_t *json, void **ret_options, char *fault, size_t len)
{
	struct http_options *o = calloc(1, sizeof(*o));
	const char *key;
	json_t *value;
	int err = o == NULL ? -ENOMEM : 0;

	json_object_foreach((json_t *)(uintptr_t)json, key, value) {
		if (err != 0)
			break;
		if (strcmp(key, "body") == 0) {
			err = http_option(key, value, BODY_MAX, &o->body, fault, len);
		} else if (strcmp(key, "content_type") == 0) {
			err = http_option(key, value, 128, &o->type, fault, len);
			if (err == 0)
				err = http_type_check(o->type, fault, len);
		} else if (strcmp(key, "root") == 0) {
			(void)snprintf(
				fault, len, "root: not built yet: http serves one page so far");
			err = -EINVAL;
		} else {
			(void)snprintf(
				fault, len, "%s: unknown option (known: body, content_type)", key);
			err = -EINVAL;
		}
	}
	if (err != 0) {
		http_options_free(o);
		return err;
	}
	if (o->body != NULL)
		o->len = strlen(o->body);
	*ret_options = o;
	return 0;
}

const struct service svc_http = {
	.name = "http",
	.tcp = true,
	.state_size = sizeof(struct http *),
	.options = http_options,
	.options_free = http_options_free,
	.accept = http_accept,
	.recv = http_recv,
	.drain = http_recv,
	.shutdown = http_shutdown,
	.hangup = http_hangup,
};
