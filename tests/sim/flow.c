/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "flow.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX 1800 /* bytes per write; of all lengths up to here */

static uint8_t
flow_byte(const struct flow *f, uint64_t at)
{
	uint64_t x = (at + f->seed) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint8_t)(x >> 56);
}

static struct flow *
flow_of(struct conv *c)
{
	struct flow *f;

	memcpy(&f, c->svc, sizeof(f));
	return f;
}

static struct rte_mbuf *
flow_chunk(struct worker *w, struct flow *f, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
	uint8_t *to;

	if (m == NULL)
		return NULL;
	to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	for (uint32_t i = 0; i < len; i++)
		to[i] = flow_byte(f, f->sent + i);
	return m;
}

static void
flow_send(struct worker *w, struct conv *c)
{
	struct flow *f = flow_of(c);
	struct rte_mbuf *m;
	uint64_t len;

	while (f->sent < f->total && c->proto->write_room(c) > 0) {
		len = 1 + worker_random(w) % CHUNK_MAX;
		len = RTE_MIN(len, f->total - f->sent);
		m = flow_chunk(w, f, (uint32_t)len);
		if (m == NULL || c->proto->write(w, c, m) != 0)
			return;
		f->sent += len;
	}
	if (f->sent == f->total)
		c->proto->shutdown(w, c);
}

static void
flow_connected(struct worker *w, struct conv *c)
{
	flow_of(c)->connected = true;
	flow_send(w, c);
}

static void
flow_recv(struct worker *w, struct conv *c)
{
	struct flow *f = flow_of(c);
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		for (struct rte_mbuf *seg = m; seg != NULL; seg = seg->next) {
			const uint8_t *b = rte_pktmbuf_mtod(seg, const uint8_t *);

			for (uint32_t i = 0; i < seg->data_len; i++, f->received++)
				f->wrong += b[i] != flow_byte(f, f->received);
		}
		rte_pktmbuf_free(m);
	}
}

static void
flow_shutdown(struct worker *w, struct conv *c)
{
	flow_recv(w, c);
	flow_of(c)->eof = true;
	c->proto->close(w, c);
}

static void
flow_over(struct worker *w, struct conv *c, enum conv_end why)
{
	struct flow *f = flow_of(c);

	f->over = true;
	f->over_us = w->now_us;
	f->end = why;
}

const struct service flow_service = {
	.name = "flow",
	.tcp = true,
	.state_size = sizeof(struct flow *),
	.connected = flow_connected,
	.failed = flow_over,
	.recv = flow_recv,
	.drain = flow_send,
	.shutdown = flow_shutdown,
	.hangup = flow_over,
};

int
flow_open(struct worker *w, struct flow *f, const struct key *k)
{
	int err = tcp_proto.connect(w, &flow_service, k, &f, &f->c);

	if (err != 0)
		return err;
	f->opened_us = w->now_us;
	return 0;
}

bool
flow_ok(const struct flow *f)
{
	return f->over && f->end == CONV_END_CLOSED && f->eof && f->received == f->total &&
		f->wrong == 0;
}
