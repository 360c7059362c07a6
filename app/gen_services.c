/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What convgen's conversations do: the other side of echo, of http, and of nothing at all.
 */
#include <string.h>

#include "gen.h"

/* ---- connect: open and end ---- */

static void
connect_connected(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);
	struct gen_worker *gw = gen_worker_of(k, w);
	uint64_t now = gen_now_ns(k->g);

	gw->c.connects++;
	gen_met(k->g);
	if (atomic_load_explicit(&k->g->measure, memory_order_relaxed))
		gen_hist_add(&gw->hist, now > k->next_due_ns ? now - k->next_due_ns : 0);
	gen_close(w, c);
}

static void
ignore_recv(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL)
		rte_pktmbuf_free(m);
}

const struct service gen_svc_connect = {
	.name = "connect",
	.tcp = true,
	.state_size = sizeof(void *),
	.connected = connect_connected,
	.failed = gen_failed,
	.recv = ignore_recv,
	.hangup = gen_hangup,
};

/* ---- request: what was sent comes back ---- */

/** The bytes of m are those that were sent. */
static bool
request_same(struct gen_conn *k, const struct rte_mbuf *m)
{
	bool same = true;

	for (; m != NULL; m = m->next) {
		const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
		uint32_t left = m->data_len;

		while (left > 0) {
			uint32_t n = RTE_MIN(left, (uint32_t)GEN_PATTERN);

			same = same && memcmp(at, k->g->pattern + k->in_at, n) == 0;
			k->in_at = (k->in_at + n) % GEN_PATTERN;
			at += n;
			left -= n;
		}
	}
	return same;
}

static void
request_recv(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);
	struct gen_worker *gw = gen_worker_of(k, w);
	struct rte_mbuf *m;

	while (!k->closing && (m = c->proto->read(w, c)) != NULL) {
		gw->c.bytes_in += m->pkt_len;
		k->got += m->pkt_len;
		if (!request_same(k, m)) {
			gw->c.mismatch++;
			gen_close(w, c);
		}
		rte_pktmbuf_free(m);
		while (!k->closing && k->got >= k->g->conf.size) {
			k->got -= k->g->conf.size;
			if (atomic_load_explicit(&k->outstanding, memory_order_relaxed) == 0) {
				gw->c.mismatch++; /* more than was asked for */
				gen_close(w, c);
			} else {
				gen_answered(w, c);
			}
		}
	}
}

/** The peer ends it, which was not asked of it. */
static void
request_shutdown(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);

	request_recv(w, c);
	if (!k->closing) {
		gen_worker_of(k, w)->c.reset++;
		gen_close(w, c);
	}
}

const struct service gen_svc_request = {
	.name = "request",
	.tcp = true,
	.state_size = sizeof(void *),
	.connected = gen_connected,
	.failed = gen_failed,
	.recv = request_recv,
	.kicked = gen_kicked,
	.shutdown = request_shutdown,
	.hangup = gen_hangup,
};

/* ---- http: GET, with keep-alive or without ---- */

static void
http_answered(struct gen_worker *gw, unsigned status)
{
	if (atomic_load_explicit(&gen_conn_of(gw->in)->outstanding, memory_order_relaxed) == 0) {
		gw->c.mismatch++; /* more than was asked for */
		gen_close(gw->w, gw->in);
		return;
	}
	if (status / 100 != 2)
		gw->c.status++;
	gen_answered(gw->w, gw->in);
}

static int
http_begin(http_parser *p)
{
	struct gen_worker *gw = p->data;

	gen_conn_of(gw->in)->within = true;
	return 0;
}

static int
http_complete(http_parser *p)
{
	struct gen_worker *gw = p->data;

	gen_conn_of(gw->in)->within = false;
	http_answered(gw, p->status_code);
	return 0;
}

static void
http_connected(struct worker *w, struct conv *c)
{
	gen_conn_of(c)->within = false;
	http_parser_init(&gen_conn_of(c)->http, HTTP_RESPONSE);
	gen_connected(w, c);
}

/** Answers like the last one, as many as there are at the front of len bytes. @return bytes that they take */
static size_t
http_same(struct gen_worker *gw, struct gen_conn *k, const char *at, size_t len)
{
	size_t n = 0;

	while (gw->same_len > 0 && !k->within && len - n >= gw->same_len && !k->closing &&
		atomic_load_explicit(&k->outstanding, memory_order_relaxed) > 0 &&
		memcmp(at + n, gw->same, gw->same_len) == 0) {
		n += gw->same_len;
		http_answered(gw, gw->same_status);
	}
	return n;
}

/** @return false: these bytes are no answers */
static bool
http_parse(struct gen_worker *gw, struct gen_conn *k, const char *at, size_t len)
{
	static const http_parser_settings settings = {
		.on_message_begin = http_begin, .on_message_complete = http_complete};
	uint64_t was = gw->c.requests;
	bool whole = !k->within;

	if (http_parser_execute(&k->http, &settings, at, len) != len)
		return false;
	/* Only if the parser stands where it stood before, or no more is to come. */
	if (whole && !k->within && gw->c.requests == was + 1 && len <= GEN_SAME_MAX &&
		(http_should_keep_alive(&k->http) != 0 || k->g->conf.close)) {
		memcpy(gw->same, at, len);
		gw->same_len = (uint32_t)len;
		gw->same_status = k->http.status_code;
	}
	return true;
}

static void
http_recv(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);
	struct gen_worker *gw = gen_worker_of(k, w);
	struct rte_mbuf *m;

	gw->w = w;
	gw->in = c;
	k->http.data = gw;
	while (!k->closing && (m = c->proto->read(w, c)) != NULL) {
		gw->c.bytes_in += m->pkt_len;
		for (const struct rte_mbuf *s = m; s != NULL && !k->closing; s = s->next) {
			const char *at = rte_pktmbuf_mtod(s, const char *);
			size_t n = http_same(gw, k, at, s->data_len);

			if (n < s->data_len && !k->closing &&
				!http_parse(gw, k, at + n, s->data_len - n)) {
				gw->c.mismatch++;
				gen_close(w, c);
			}
		}
		rte_pktmbuf_free(m);
	}
}

static void
http_shutdown(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);

	http_recv(w, c);
	if (k->closing)
		return;
	if (!k->g->conf.close || atomic_load_explicit(&k->outstanding, memory_order_relaxed) > 0)
		gen_worker_of(k, w)->c.reset++;
	gen_close(w, c);
}

const struct service gen_svc_http = {
	.name = "http",
	.tcp = true,
	.state_size = sizeof(void *),
	.connected = http_connected,
	.failed = gen_failed,
	.recv = http_recv,
	.kicked = gen_kicked,
	.shutdown = http_shutdown,
	.hangup = gen_hangup,
};

/* ---- udp: echo, one datagram outstanding in a flow ---- */

static void
udp_take(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct gen_conn *k = gen_conn_of(c);
	struct gen_worker *gw = gen_worker_of(k, w);
	uint32_t size = k->g->conf.size;

	gw->c.bytes_in += m->pkt_len;
	/* What was sent last, or else the answer to one that counts as lost. */
	k->in_at = (k->out_at + GEN_PATTERN - size) % GEN_PATTERN;
	if (m->pkt_len == size && request_same(k, m)) {
		if (atomic_load_explicit(&k->outstanding, memory_order_relaxed) > 0)
			gen_answered(w, c);
	} else if (m->pkt_len != size) {
		gw->c.mismatch++;
	}
	rte_pktmbuf_free(m);
}

const struct service gen_svc_udp = {
	.name = "udp",
	.udp = true,
	.state_size = sizeof(void *),
	.connected = gen_connected,
	.failed = gen_failed,
	.recv = ignore_recv,
	.take = udp_take,
	.kicked = gen_kicked,
	.hangup = gen_hangup,
};

/* ---- bulk: as much as goes, one way ---- */

static void
bulk_fill(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);
	uint32_t n = rte_pktmbuf_data_room_size(w->mp) - RTE_PKTMBUF_HEADROOM;

	n = RTE_MIN(n, c->proto->piece(c));
	while (k->g->conf.send && c->proto->write_room(c) > 0) {
		if (!gen_write(w, c, k->g->pattern + k->out_at, n)) {
			conv_kick_next(w, &c->cn); /* for want of a buffer */
			return;
		}
		k->out_at = (k->out_at + n) % GEN_PATTERN;
	}
}

static void
bulk_connected(struct worker *w, struct conv *c)
{
	gen_worker_of(gen_conn_of(c), w)->c.connects++;
	gen_met(gen_conn_of(c)->g);
	bulk_fill(w, c);
}

static void
bulk_recv(struct worker *w, struct conv *c)
{
	struct gen_worker *gw = gen_worker_of(gen_conn_of(c), w);
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		gw->c.bytes_in += m->pkt_len;
		rte_pktmbuf_free(m);
	}
}

const struct service gen_svc_bulk = {
	.name = "bulk",
	.tcp = true,
	.state_size = sizeof(void *),
	.connected = bulk_connected,
	.failed = gen_failed,
	.recv = bulk_recv,
	.drain = bulk_fill,
	.kicked = bulk_fill,
	.hangup = gen_hangup,
};
