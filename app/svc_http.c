/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * HTTP/1.0 and 1.1 (RFC 9110, 9112) in its smallest honest form: one page at "/", GET and HEAD, keep-alive, pipelining.
 * No Date: services have no wall clock (RFC 9110 section 6.6.1).
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

#define HEAD_MAX     8192 /* bytes of a request's head */
#define BODY_MAX     65536
#define SAME_MAX     256
#define HEAD_ROOM    512 /* for the head of an answer */

#define TYPE_DEFAULT "text/plain"
#define BODY_DEFAULT "convd\n"

struct http_options {
	char *type;
	char *body;
	size_t len;
	char *head[2]; /* of the page, made once: [1] for a conversation that goes on */
	size_t head_len[2];
};

struct http_verdict {
	unsigned code;
	const char *reason;
};

static const struct http_verdict ok = {200, "OK"};
static const struct http_verdict bad_request = {400, "Bad Request"};
static const struct http_verdict not_found = {404, "Not Found"};
static const struct http_verdict not_allowed = {405, "Method Not Allowed"};
static const struct http_verdict head_too_large = {431, "Request Header Fields Too Large"};
static const struct http_verdict not_implemented = {501, "Not Implemented"};
static const struct http_verdict bad_version = {505, "HTTP Version Not Supported"};

/** Where the request's target has come to; the parser has checked its characters (RFC 9112 section 3.2). */
enum http_target {
	TARGET_START,
	TARGET_SCHEME, /* absolute-form */
	TARGET_SLASH,
	TARGET_AUTHORITY, /* with an empty path, which is "/" */
	TARGET_ROOT, /* "/" */
	TARGET_QUERY, /* of "/" */
	TARGET_OTHER, /* any other path */
};

/** A conversation's request: made at accept, one pointer in its service state. */
struct http {
	http_parser parser;
	struct worker *w; /* the one inside, while the service runs */
	struct conv *c;
	struct rte_mbuf *rest; /* not yet parsed: the send queue was full */
	uint32_t head; /* bytes of this request's head so far */
	uint8_t target; /* enum http_target */
	uint8_t field_at; /* bytes of the field's name so far that spell "host"; HOST_LEN + 1: another */
	uint8_t hosts; /* Host fields so far; 2: too many */
	bool in_head;
	bool field_over; /* the name of a field is complete */
	bool field_bad; /* there was a space in one */
	bool done; /* the last answer is given */
	bool linger; /* the peer may be sending still: hear it out, or RST would take the answer away */
	bool ended; /* the peer has shut down */
};

/** What is said to a request. */
struct http_reply {
	const struct http_verdict *verdict;
	bool keep; /* the conversation goes on */
	bool bare; /* without the body (RFC 9110 section 9.3.2) */
};

/* The last request that this thread has seen, of any conversation, if it was short and came in one piece: one like it needs no
 * parser, as what is said to a request depends on nothing else. */
static _Thread_local struct {
	struct http_reply reply;
	uint16_t len; /* 0: none */
	char text[SAME_MAX];
} same;

#define HOST_LEN 4

static struct http *
http_of(struct conv *c)
{
	struct http *h;

	memcpy(&h, c->svc, sizeof(void *));
	return h;
}

/* ---- answers ---- */

/** Put len bytes behind the packet *m, which may be NULL still. @return false: no buffer */
static bool
http_append(struct worker *w, struct rte_mbuf **m, const char *text, size_t len)
{
	while (len > 0) {
		struct rte_mbuf *tail = *m == NULL ? NULL : rte_pktmbuf_lastseg(*m);
		size_t n = tail == NULL ? 0 : rte_pktmbuf_tailroom(tail);

		if (n == 0) {
			tail = rte_pktmbuf_alloc(w->mp);
			if (tail == NULL)
				return false;
			if (*m == NULL)
				*m = tail;
			else
				rte_pktmbuf_chain(*m, tail);
			n = rte_pktmbuf_tailroom(tail);
		}
		n = RTE_MIN(n, len);
		memcpy(rte_pktmbuf_append(*m, (uint16_t)n), text, n);
		text += n;
		len -= n;
	}
	return true;
}

/** Head and body in one write. Half an answer is none: without buffers the conversation ends. */
static void
http_write(struct http *h, const char *head, size_t head_len, const char *body, size_t body_len)
{
	struct rte_mbuf *m = NULL;
	int err = -ENOBUFS;

	if (http_append(h->w, &m, head, head_len) && http_append(h->w, &m, body, body_len))
		err = h->c->proto->write(h->w, h->c, m);
	else
		rte_pktmbuf_free(m);
	if (err == 0)
		return;
	h->done = true;
	h->c->proto->hangup(h->w, h->c, CONV_END_MEMORY);
}

/** The head of an answer whose body has len bytes. @return its length */
static size_t
http_head(char *to, size_t room, const struct http_verdict *s, const char *type, size_t len,
	bool keep)
{
	return (size_t)snprintf(to, room,
		"HTTP/1.1 %u %s\r\nServer: convd\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
		"Connection: %s\r\n\r\n",
		s->code, s->reason, type, len, s == &not_allowed ? "Allow: GET, HEAD\r\n" : "",
		keep ? "keep-alive" : "close");
}

static void
http_answer(struct http *h, const struct http_reply *r)
{
	const struct http_options *o = h->c->listener != NULL ? h->c->listener->options : NULL;
	const struct http_verdict *s = r->verdict;
	const char *body = s == &ok ? BODY_DEFAULT : s->reason;
	size_t len = strlen(body);
	char head[HEAD_ROOM];

	if (likely(s == &ok && o != NULL)) {
		http_write(
			h, o->head[r->keep], o->head_len[r->keep], o->body, r->bare ? 0 : o->len);
		return;
	}
	http_write(h, head, http_head(head, sizeof(head), s, TYPE_DEFAULT, len, r->keep), body,
		r->bare ? 0 : len);
}

/** The method is known for sure once the target has begun. */
static bool
http_bare(const struct http *h)
{
	return h->target != TARGET_START && h->parser.method == HTTP_HEAD;
}

/** The last answer, while the peer may still be sending: hear no more of this conversation. */
static void
http_fail(struct http *h, const struct http_verdict *s)
{
	http_answer(h, &(struct http_reply){s, false, http_bare(h)});
	if (h->done)
		return;
	h->done = h->linger = true;
	h->c->proto->shutdown(h->w, h->c);
}

/* ---- the parser's callbacks ---- */

static int
http_on_begin(http_parser *p)
{
	struct http *h = p->data;

	h->target = TARGET_START;
	h->hosts = 0;
	h->field_at = 0;
	h->field_over = h->field_bad = false;
	return 0;
}

static uint8_t
http_target_next(uint8_t at, char c)
{
	switch (at) {
	case TARGET_START:
		return c == '/' ? TARGET_ROOT : c == '*' ? TARGET_OTHER : TARGET_SCHEME;
	case TARGET_SCHEME:
		return c == '/' ? TARGET_SLASH : TARGET_SCHEME;
	case TARGET_SLASH:
		return c == '/' ? TARGET_AUTHORITY : TARGET_OTHER;
	case TARGET_AUTHORITY:
		return c == '/' ? TARGET_ROOT : c == '?' ? TARGET_QUERY : TARGET_AUTHORITY;
	case TARGET_ROOT:
		return c == '?' || c == '#' ? TARGET_QUERY : TARGET_OTHER;
	default:
		return at;
	}
}

static int
http_on_url(http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	for (size_t i = 0; i < len && h->target < TARGET_QUERY; i++)
		h->target = http_target_next(h->target, at[i]);
	return 0;
}

/** A part of a field's name. */
static int
http_on_field(http_parser *p, const char *at, size_t len)
{
	static const char host[] = "host";
	struct http *h = p->data;

	if (h->field_over) {
		h->field_over = false;
		h->field_at = 0;
	}
	/* RFC 9112 section 5.1: no space before the colon; Debian's parser is built to let it pass. */
	h->field_bad |= memchr(at, ' ', len) != NULL;
	for (size_t i = 0; i < len && h->field_at <= HOST_LEN; i++)
		h->field_at = h->field_at < HOST_LEN && (at[i] | 0x20) == host[h->field_at]
			? h->field_at + 1
			: HOST_LEN + 1;
	return 0;
}

static int
http_on_value(http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	(void)at;
	(void)len;
	if (!h->field_over && h->field_at == HOST_LEN && h->hosts < 2)
		h->hosts++;
	h->field_over = true;
	return 0;
}

static int
http_on_head(http_parser *p)
{
	struct http *h = p->data;

	h->in_head = false;
	return 0;
}

/** Stop here: one request at a time, so that what follows can wait for room. */
static int
http_on_complete(http_parser *p)
{
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = http_on_begin,
	.on_url = http_on_url,
	.on_header_field = http_on_field,
	.on_header_value = http_on_value,
	.on_headers_complete = http_on_head,
	.on_message_complete = http_on_complete,
};

/** What to say to a request whose head is complete. */
static const struct http_verdict *
http_judge(const struct http *h)
{
	if (h->parser.http_major != 1)
		return &bad_version;
	/* RFC 9112 section 3.2: exactly one Host, but for HTTP/1.0, which may have none. */
	if (h->field_bad || h->hosts > 1 || (h->hosts == 0 && h->parser.http_minor > 0))
		return &bad_request;
	if (h->parser.method != HTTP_GET && h->parser.method != HTTP_HEAD)
		return &not_allowed;
	return h->target >= TARGET_AUTHORITY && h->target <= TARGET_QUERY ? &ok : &not_found;
}

static void
http_reply(struct http *h, const struct http_reply *r)
{
	http_answer(h, r);
	h->done |= !r->keep;
}

/** A request is complete: answer, and make ready for the next one. */
static void
http_complete(struct http *h, struct http_reply *ret)
{
	const struct http_verdict *s = http_judge(h);

	*ret = (struct http_reply){
		s, s != &bad_version && http_should_keep_alive(&h->parser) != 0, http_bare(h)};
	http_parser_pause(&h->parser, 0);
	http_reply(h, ret);
	h->in_head = true;
	h->head = 0;
}

/* ---- the service ---- */

/**
 * Feed the parser from the front of a packet's first buffer, up to the end of a request.
 * @param ret what was said, if that has come; else untouched
 * @return bytes taken; h->done: no more
 */
static uint16_t
http_feed(struct http *h, const struct rte_mbuf *m, struct http_reply *ret)
{
	size_t most = h->in_head ? RTE_MIN(m->data_len, HEAD_MAX - h->head) : m->data_len;
	size_t n =
		http_parser_execute(&h->parser, &settings, rte_pktmbuf_mtod(m, const char *), most);

	if (h->in_head)
		h->head += (uint32_t)n;
	switch (HTTP_PARSER_ERRNO(&h->parser)) {
	case HPE_OK:
		if (h->in_head && h->head == HEAD_MAX)
			http_fail(h, &head_too_large);
		break;
	case HPE_PAUSED:
		http_complete(h, ret);
		break;
	case HPE_INVALID_METHOD:
		http_fail(h, &not_implemented);
		break;
	default:
		http_fail(h, &bad_request);
		break;
	}
	return (uint16_t)n;
}

/** The packet begins with the last request once more: answer as before. @return bytes taken */
static uint16_t
http_again(struct http *h, const struct rte_mbuf *m)
{
	if (same.len == 0 || h->head != 0 || !h->in_head || m->data_len < same.len ||
		memcmp(rte_pktmbuf_mtod(m, const char *), same.text, same.len) != 0)
		return 0;
	http_reply(h, &same.reply);
	return same.len;
}

/** Parse what the packet begins with, and keep it in mind if it is a request as a whole. @return as http_feed */
static uint16_t
http_feed_new(struct http *h, const struct rte_mbuf *m)
{
	bool whole = h->in_head && h->head == 0;
	struct http_reply r = {.verdict = NULL};
	uint16_t n = http_feed(h, m, &r);

	if (whole && r.verdict != NULL && n <= SAME_MAX) {
		memcpy(same.text, rte_pktmbuf_mtod(m, const char *), n);
		same.reply = r;
		same.len = n;
	}
	return n;
}

/** Cut n bytes off the front; NULL: nothing is left. */
static struct rte_mbuf *
http_cut(struct rte_mbuf *m, uint16_t n)
{
	rte_pktmbuf_adj(m, n);
	while (m != NULL && m->data_len == 0) {
		struct rte_mbuf *next = m->next;

		if (next != NULL) {
			next->pkt_len = m->pkt_len;
			next->nb_segs = (uint16_t)(m->nb_segs - 1);
		}
		rte_pktmbuf_free_seg(m);
		m = next;
	}
	return m;
}

/** Parse h->rest, while there is room for answers. */
static void
http_parse(struct http *h)
{
	while (h->rest != NULL && !h->done && h->c->proto->write_room(h->c) > 0) {
		uint16_t n = http_again(h, h->rest);

		h->rest = http_cut(h->rest, n > 0 ? n : http_feed_new(h, h->rest));
	}
	/* RFC 9110 section 10.1.1: whoever keeps his body back until he is told gets his final answer; a body that is on
	 * its way is for nobody, and the next request can't be told from it. */
	if (h->rest == NULL && !h->done && !h->in_head)
		http_fail(h, http_judge(h));
}

/** Nothing more will be said. */
static void
http_hear_out(struct http *h)
{
	struct rte_mbuf *m;

	h->linger |= h->rest != NULL || h->c->proto->readable(h->c) > 0;
	rte_pktmbuf_free(h->rest);
	h->rest = NULL;
	while ((m = h->c->proto->read(h->w, h->c)) != NULL)
		rte_pktmbuf_free(m);
	if (h->linger)
		h->c->proto->shutdown(h->w, h->c);
	else
		h->c->proto->close(h->w, h->c);
}

static void
http_recv(struct worker *w, struct conv *c)
{
	struct http *h = http_of(c);

	if (h == NULL)
		return;
	h->w = w;
	h->c = c;
	http_parse(h);
	while (!h->done && h->rest == NULL && c->proto->write_room(c) > 0) {
		h->rest = c->proto->read(w, c);
		if (h->rest == NULL)
			break;
		h->rest = http_cut(h->rest, 0);
		http_parse(h);
	}
	if (h->done)
		http_hear_out(h);
	if (h->ended && h->rest == NULL && c->proto->readable(c) == 0)
		c->proto->close(w, c);
}

static void
http_accept(struct worker *w, struct conv *c)
{
	struct http *h = malloc(sizeof(*h));

	if (h == NULL) {
		c->proto->hangup(w, c, CONV_END_MEMORY);
		return;
	}
	/* Not zeroed whole: gcc makes calloc of that, which passes by the thread's cache of free pieces in glibc. */
	*h = (struct http){.in_head = true};
	http_parser_init(&h->parser, HTTP_REQUEST);
	h->parser.data = h;
	memcpy(c->svc, &h, sizeof(void *));
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
	memset(c->svc, 0, sizeof(void *));
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
	free(o->head[0]);
	free(o->head[1]);
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

/** What was not given, and what follows from all. @return 0, -ENOMEM */
static int
http_options_complete(struct http_options *o)
{
	const char *type = o->type != NULL ? o->type : TYPE_DEFAULT;
	char head[HEAD_ROOM];

	if (o->body == NULL)
		o->body = strdup(BODY_DEFAULT);
	if (o->body == NULL)
		return -ENOMEM;
	o->len = strlen(o->body);
	for (unsigned keep = 0; keep < 2; keep++) {
		o->head_len[keep] = http_head(head, sizeof(head), &ok, type, o->len, keep);
		o->head[keep] = strdup(head);
		if (o->head[keep] == NULL)
			return -ENOMEM;
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

	/* NOLINTNEXTLINE(performance-no-int-to-ptr): only read */
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
	if (err == 0)
		err = http_options_complete(o);
	if (err != 0) {
		http_options_free(o);
		return err;
	}
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
