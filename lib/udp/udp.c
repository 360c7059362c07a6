/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_malloc.h>

#include "udp_priv.h"

#define IDLE_MS_DEFAULT   60000
#define QUEUE_MAX_DEFAULT 64

/* Dynamic ports as Linux has them; IANA's 49152-65535 is a part of it. */
#define PORT_LO 32768
#define PORT_N  28232

struct udp *
udp_create(const struct udp_conf *conf, int *ret_err)
{
	struct udp *u = rte_zmalloc("udp", sizeof(*u), RTE_CACHE_LINE_SIZE);

	if (u == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	u->conf = *conf;
	if (conf->idle_ms == 0)
		u->conf.idle_ms = IDLE_MS_DEFAULT;
	if (conf->queue_max == 0)
		u->conf.queue_max = QUEUE_MAX_DEFAULT;
	return u;
}

void
udp_free(struct udp *u)
{
	rte_free(u);
}

/* ---- towards services ---- */

static struct rte_mbuf *
udp_read(struct worker *w, struct conv *c)
{
	struct udp_conv *uc = udp_conv(c);
	struct rte_mbuf *m = pktq_pop(&uc->rcvq);

	(void)w;
	if (m != NULL) {
		uc->rcvq_n--;
		uc->rcvq_bytes -= m->pkt_len;
	}
	return m;
}

static int
udp_write(struct worker *w, struct conv *c, struct rte_mbuf *m)
{
	struct udp_conv *uc = udp_conv(c);
	uint32_t bytes = m->pkt_len;
	int err;

	if ((uc->flags & UDPF_OVER) != 0) {
		rte_pktmbuf_free(m);
		return -EPIPE;
	}
	err = udp_send(w, &c->path, &c->cn.n.key, m);
	if (err != 0)
		return err;
	c->active_ms = w->now_ms;
	uc->bytes_out += bytes;
	if (c->listener != NULL)
		LISTENER_ADD(w, c->listener, bytes_out, bytes);
	return 0;
}

/** A datagram is sent at once or not at all. */
static uint32_t
udp_write_room(const struct conv *c)
{
	(void)c;
	return UDP_DATA_MAX;
}

static uint32_t
udp_readable(const struct conv *c)
{
	return ((const struct udp_conv *)c)->rcvq_bytes;
}

/** There is no way to tell the peer. */
static void
udp_shutdown(struct worker *w, struct conv *c)
{
	(void)w;
	(void)c;
}

static void
udp_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	struct udp_conv *uc = udp_conv(c);

	(void)w;
	if ((uc->flags & UDPF_OVER) != 0)
		return;
	uc->flags |= UDPF_OVER;
	uc->end = (uint8_t)why;
}

static void
udp_close(struct worker *w, struct conv *c)
{
	udp_hangup(w, c, CONV_END_CLOSED);
}

/* ---- inside ---- */

static void
udp_born(struct worker *w, struct conv *c)
{
	struct udp_conv *uc = udp_conv(c);
	void (*told)(struct worker *, struct conv *) =
		(uc->flags & UDPF_ACTIVE) != 0 ? c->service->connected : c->service->accept;

	uc->flags |= UDPF_BORN;
	conv_timer_set(w, &c->cn, w->now_ms + w->udp->conf.idle_ms);
	if (told != NULL)
		told(w, c);
}

/** The timer is set once and looks at what has happened since: traffic costs it nothing. */
static void
udp_timer(struct worker *w, struct conv *c)
{
	uint32_t ends = c->active_ms + w->udp->conf.idle_ms;

	if ((int32_t)(w->now_ms - ends) < 0) {
		conv_timer_set(w, &c->cn, ends);
		return;
	}
	udp_count(w, UDP_STAT_idle_ends, 1);
	udp_hangup(w, c, CONV_END_TIMEOUT);
}

static void
udp_work(struct worker *w, struct conv *c, uint64_t bits)
{
	struct udp_conv *uc = udp_conv(c);

	if ((bits & NODE_KICK) != 0) {
		if ((uc->flags & UDPF_BORN) == 0)
			udp_born(w, c);
		else if (c->service->kicked != NULL)
			c->service->kicked(w, c);
	}
	if ((bits & NODE_HANGUP) != 0)
		udp_hangup(w, c, CONV_END_HANGUP);
	if ((bits & NODE_TIMER) != 0)
		udp_timer(w, c);
}

static void
udp_flush(struct worker *w, struct conv *c)
{
	struct udp_conv *uc = udp_conv(c);

	if ((uc->flags & (UDPF_RECV | UDPF_OVER)) == UDPF_RECV) {
		uc->flags &= (uint8_t)~UDPF_RECV;
		if (c->service->recv != NULL)
			c->service->recv(w, c);
	}
	if ((uc->flags & UDPF_OVER) == 0)
		return;
	if (c->service->hangup != NULL)
		c->service->hangup(w, c, uc->end);
	conv_die(w, &c->cn);
}

static void
udp_retire(struct worker *w, struct conv *c)
{
	pktq_free(&udp_conv(c)->rcvq);
	if (c->listener != NULL)
		LISTENER_ADD(w, c->listener, convs, -1);
}

/* ---- active open ---- */

/** Find a port that makes the tuple new: random start, then on (RFC 6056 section 3.3.1), insert-if-absent. */
static int
udp_publish(struct worker *w, struct udp_conv *uc, bool choose)
{
	struct node *n = &uc->c.cn.n;
	uint32_t start = (uint32_t)(worker_random(w) % PORT_N);
	int err = -EADDRINUSE;

	for (unsigned i = 0; i < (choose ? UDP_PORT_TRIES : 1); i++) {
		if (choose)
			n->key.lport_be = htons((uint16_t)(PORT_LO + (start + i) % PORT_N));
		n->hash = ipht_hash(conv_ipht(w->convs), &n->key);
		err = conv_publish(w, &uc->c.cn, NODE_KICK, NULL);
		if (err != -EEXIST)
			return err == -ENOSPC ? -ENOMEM : err;
	}
	return -EADDRINUSE;
}

static int
udp_connect(struct worker *w, const struct service *s, const struct key *k, struct conv **ret_c)
{
	struct key key = *k;
	struct udp_conv *uc;
	struct conv_node *cn;
	int err = 0;

	static const uint8_t any[16];

	if (memcmp(k->laddr, any, sizeof(any)) == 0)
		err = ip_source(w, k->raddr, key.laddr);
	if (err != 0)
		return err;
	key.proto = IPPROTO_UDP;
	cn = conv_alloc(w, NODE_CONV, &key, 0);
	if (cn == NULL)
		return -ENOMEM;
	uc = udp_conv(conv_of(cn));
	uc->c.proto = &udp_proto;
	uc->c.service = s;
	uc->c.born_ms = uc->c.active_ms = w->now_ms;
	uc->flags = UDPF_ACTIVE;
	err = ip_path(w, &key, &uc->c.path);
	conv_hold(cn); /* the caller's */
	if (err == 0)
		err = udp_publish(w, uc, k->lport_be == 0);
	if (err != 0) {
		conv_put(w, cn);
		conv_abandon(w, cn);
		return err;
	}
	udp_count(w, UDP_STAT_active_opens, 1);
	conv_kick(w, cn, NODE_KICK);
	*ret_c = &uc->c;
	return 0;
}

/* ---- looking in ---- */

static void
udp_status(const struct conv *c, struct conv_status *ret)
{
	const struct udp_conv *uc = (const struct udp_conv *)c;

	ret->state = (uc->flags & UDPF_OVER) != 0 ? "CLOSED" : "OPEN";
	ret->recv_queue = uc->rcvq_bytes;
	ret->bytes_in = uc->bytes_in;
	ret->bytes_out = uc->bytes_out;
}

static void
udp_stats(const struct worker *w, void (*each)(void *arg, const char *name, uint64_t value),
	void *arg)
{
	static const char *const names[] = {
#define X(name) #name,
		UDP_STATS(X)
#undef X
	};

	for (unsigned i = 0; i < UDP_STAT_MAX; i++) {
		uint64_t sum = 0;

		for (unsigned j = 0; j <= WORKER_MAX; j++)
			sum += *(const volatile uint64_t *)&w->udp->stats[j].v[i];
		each(arg, names[i], sum);
	}
}

const struct proto udp_proto = {
	.name = "udp",
	.number = IPPROTO_UDP,
	.size = sizeof(struct udp_conv),
	.iput = udp_iput,
	.advise = udp_advise,
	.work = udp_work,
	.flush = udp_flush,
	.retire = udp_retire,
	.miss = udp_miss,
	.connect = udp_connect,
	.read = udp_read,
	.write = udp_write,
	.write_room = udp_write_room,
	.readable = udp_readable,
	.shutdown = udp_shutdown,
	.close = udp_close,
	.hangup = udp_hangup,
	.status = udp_status,
	.stats = udp_stats,
};
