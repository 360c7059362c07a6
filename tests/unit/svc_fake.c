/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "svc_fake.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "conv_priv.h"

struct conv_net svc_net;
struct svc_fake svc_fake;

static struct rte_mbuf *
fake_read(struct worker *w, struct conv *c)
{
	struct rte_mbuf *m = pktq_pop(&svc_fake.in);

	(void)w;
	assert_ptr_equal(c, &svc_fake.c);
	if (m != NULL)
		svc_fake.in_bytes -= m->pkt_len;
	return m;
}

static int
fake_write(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	size_t len = m->pkt_len;

	(void)w;
	(void)c;
	svc_fake.last_write = m;
	if (svc_fake.shut || svc_fake.hung || svc_fake.closed) {
		rte_pktmbuf_free(m);
		return -EPIPE;
	}
	assert_true(svc_fake.room > 0);
	assert_true(svc_fake.nout + len <= SVC_FAKE_OUT + SVC_FAKE_PIECE);
	test_bytes(m, svc_fake.out + svc_fake.nout);
	svc_fake.nout += len;
	svc_fake.writes++;
	svc_fake.room -= RTE_MIN(svc_fake.room, (uint32_t)len);
	rte_pktmbuf_free(m);
	return 0;
}

static uint32_t
fake_piece(const struct conv *c)
{
	(void)c;
	return SVC_FAKE_PIECE;
}

static uint32_t
fake_write_room(const struct conv *c)
{
	(void)c;
	return svc_fake.shut || svc_fake.hung || svc_fake.closed ? 0 : svc_fake.room;
}

static uint32_t
fake_readable(const struct conv *c)
{
	(void)c;
	return svc_fake.in_bytes;
}

static void
fake_shutdown(struct worker *w, struct conv *c)
{
	(void)w;
	(void)c;
	svc_fake.shut = true;
}

static void
fake_close(struct worker *w, struct conv *c)
{
	(void)w;
	(void)c;
	svc_fake.closed = true;
}

static void
fake_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	(void)w;
	(void)c;
	svc_fake.hung = true;
	svc_fake.why = why;
}

static struct proto fake_proto = {
	.name = "fake",
	.read = fake_read,
	.write = fake_write,
	.write_room = fake_write_room,
	.piece = fake_piece,
	.readable = fake_readable,
	.shutdown = fake_shutdown,
	.close = fake_close,
	.hangup = fake_hangup,
};

void
svc_fake_open(uint8_t number, const struct service *s, struct listener *l)
{
	conv_net_init(&svc_net);
	memset(&svc_fake, 0, sizeof(svc_fake));
	fake_proto.number = number;
	svc_fake.c.proto = &fake_proto;
	svc_fake.c.service = s;
	svc_fake.c.listener = l;
	svc_fake.room = SVC_FAKE_OUT;
	/* The worker is inside, so that a kick is a bit. */
	atomic_store(&svc_fake.c.cn.n.word, NODE_GEN_ONE | 2 * NODE_REF | NODE_INSIDE);
	svc_net.net.w[0].in = &svc_fake.c.cn;
	if (s->accept != NULL)
		s->accept(&svc_net.net.w[0], &svc_fake.c);
}

void
svc_fake_close(void)
{
	const struct service *s = svc_fake.c.service;

	if (s->hangup != NULL)
		s->hangup(&svc_net.net.w[0], &svc_fake.c, CONV_END_CLOSED);
	pktq_free(&svc_fake.in);
	svc_net.net.w[0].in = NULL;
	conv_net_fini(&svc_net);
}

struct rte_mbuf *
svc_fake_in(const void *b, size_t len, size_t cut, bool call)
{
	struct rte_mbuf *m = cut == 0 || cut >= len
		? test_mbuf(svc_net.net.mp, b, len)
		: test_mbuf_cut(svc_net.net.mp, b, len, &cut, 1);
	const struct service *s = svc_fake.c.service;

	pkt_of(m)->data_off = 0;
	pkt_of(m)->data_len = (uint16_t)len;
	pktq_push(&svc_fake.in, m);
	svc_fake.in_bytes += (uint32_t)len;
	if (call && !svc_fake.closed && !svc_fake.hung && s->recv != NULL)
		s->recv(&svc_net.net.w[0], &svc_fake.c);
	return m;
}

void
svc_fake_room(uint32_t room)
{
	const struct service *s = svc_fake.c.service;

	svc_fake.room = room;
	if (room == 0 || svc_fake.closed || svc_fake.hung)
		return;
	if (s->drain != NULL)
		s->drain(&svc_net.net.w[0], &svc_fake.c);
	if (svc_fake.in.head != NULL && !svc_fake.closed && !svc_fake.hung)
		s->recv(&svc_net.net.w[0], &svc_fake.c);
}

void
svc_fake_fin(void)
{
	const struct service *s = svc_fake.c.service;

	assert_non_null(s->shutdown);
	s->shutdown(&svc_net.net.w[0], &svc_fake.c);
}

bool
svc_fake_kicked(void)
{
	uint64_t was = atomic_fetch_and(&svc_fake.c.cn.n.word, ~NODE_KICK);
	bool next = svc_net.net.w[0].in_next;

	svc_net.net.w[0].in_next = false;
	if ((was & NODE_KICK) == 0 && !next)
		return false;
	svc_fake.c.service->kicked(&svc_net.net.w[0], &svc_fake.c);
	return true;
}
