/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Between a conversation and its service: birth, who is called when, and the end. All of it runs inside.
 */
#include "udp_priv.h"

/** Tell the service, for the last time, and die. No callback is running. */
static void
udp_finish(struct worker *w, struct udp_conv *uc)
{
	const struct service *s = uc->c.service;

	uc->c.flags |= UDPF_CALLING;
	if ((uc->c.flags & UDPF_BORN) != 0) {
		if (s->hangup != NULL)
			s->hangup(w, &uc->c, uc->end);
	} else if ((uc->c.flags & UDPF_ACTIVE) != 0 && s->failed != NULL) {
		s->failed(w, &uc->c, uc->end);
	}
	UDP_COUNT(w, closed);
	conv_die(w, &uc->c.cn);
}

/** @see struct proto: hangup. At once; from a callback, as soon as that has returned. */
void
udp_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	struct udp_conv *uc = udp_conv(c);

	if ((uc->c.flags & UDPF_OVER) != 0)
		return;
	uc->c.flags |= UDPF_OVER;
	uc->end = (uint8_t)why;
	if ((uc->c.flags & UDPF_CALLING) == 0)
		udp_finish(w, uc);
}

/** @see struct proto: close. There is no way to tell the peer. */
void
udp_close(struct worker *w, struct conv *c)
{
	udp_hangup(w, c, CONV_END_CLOSED);
}

/** @see struct proto: shutdown */
void
udp_shutdown(struct worker *w, struct conv *c)
{
	(void)w;
	c->flags |= UDPF_SHUT;
}

/** A callback has returned. @return false: the conversation is over, and gone */
static bool
udp_called(struct worker *w, struct udp_conv *uc)
{
	uc->c.flags &= ~UDPF_CALLING;
	if ((uc->c.flags & UDPF_OVER) == 0)
		return true;
	udp_finish(w, uc);
	return false;
}

/** Call the service, if it has this callback. @return false: the conversation is over, and gone */
static bool
udp_call(struct worker *w, struct udp_conv *uc, void (*f)(struct worker *w, struct conv *c))
{
	if (f == NULL)
		return true;
	uc->c.flags |= UDPF_CALLING;
	f(w, &uc->c);
	return udp_called(w, uc);
}

/** A datagram for a service that takes each at once. Consumes m. */
void
udp_take(struct worker *w, struct udp_conv *uc, struct rte_mbuf *m)
{
	uc->c.flags |= UDPF_CALLING;
	uc->c.service->take(w, &uc->c, m);
	udp_called(w, uc);
}

/** An ICMP error that ends nothing. A call that has not been taken yet is no business of the service. */
void
udp_trouble(struct worker *w, struct conv *c, unsigned detail)
{
	struct udp_conv *uc = udp_conv(c);

	if (c->service->trouble == NULL || (uc->c.flags & (UDPF_BORN | UDPF_ACTIVE)) == 0 ||
		(uc->c.flags & UDPF_OVER) != 0)
		return;
	uc->c.flags |= UDPF_CALLING;
	c->service->trouble(w, c, CONV_TROUBLE_ICMP, detail);
	udp_called(w, uc);
}

/**
 * The first entering: accept or connected, and the one timer. A listener that has closed meanwhile
 * takes no more calls (I6): what came is looked up again and finds nobody.
 * @return false: over
 */
static bool
udp_born(struct worker *w, struct udp_conv *uc)
{
	const struct service *s = uc->c.service;
	bool active = (uc->c.flags & UDPF_ACTIVE) != 0;

	conv_timer_set(w, &uc->c.cn, uc->c.active_ms + w->udp->conf.idle_ms);
	if (!active)
		POINT("look at closed", &uc->c.listener->closed);
	/* Last of all, so that nothing lies between this look and accept. Relaxed: see listener_close. */
	if (!active && atomic_load_explicit(&uc->c.listener->closed, memory_order_relaxed)) {
		udp_hangup(w, &uc->c, CONV_END_HANGUP);
		return false;
	}
	uc->c.flags |= UDPF_BORN;
	return udp_call(w, uc, active ? s->connected : s->accept);
}

static void
udp_kicked(struct worker *w, struct udp_conv *uc)
{
	if ((uc->c.flags & UDPF_BORN) == 0) {
		if (!udp_born(w, uc))
			return;
		/* Nobody else can know a call before it is taken; of an active open the bits of birth
		 * and of a kick that came before it are one. */
		if ((uc->c.flags & UDPF_ACTIVE) == 0)
			return;
	}
	udp_call(w, uc, uc->c.service->kicked);
}

/** The timer is set once and looks at what has happened since: traffic costs it nothing. */
static void
udp_timer(struct worker *w, struct udp_conv *uc)
{
	uint32_t ends = uc->c.active_ms + w->udp->conf.idle_ms;

	if ((int32_t)(w->now_ms - ends) < 0) {
		conv_timer_set(w, &uc->c.cn, ends);
		return;
	}
	UDP_COUNT(w, idle_ends);
	udp_hangup(w, &uc->c, CONV_END_TIMEOUT);
}

/** @see struct proto: work */
void
udp_work(struct worker *w, struct conv *c, uint64_t bits)
{
	struct udp_conv *uc = udp_conv(c);

	if ((bits & NODE_HANGUP) != 0) {
		udp_hangup(w, c, CONV_END_HANGUP);
		return;
	}
	if ((bits & NODE_KICK) != 0) {
		udp_kicked(w, uc);
		if ((uc->c.flags & UDPF_OVER) != 0)
			return;
	}
	if ((bits & NODE_TIMER) != 0)
		udp_timer(w, uc);
}

/** @see struct proto: flush */
void
udp_flush(struct worker *w, struct conv *c)
{
	struct udp_conv *uc = udp_conv(c);

	if ((uc->c.flags & UDPF_RECV) != 0) {
		uc->c.flags &= ~UDPF_RECV;
		if (uc->rcvq_n > 0 && !udp_call(w, uc, c->service->recv))
			return;
	}
	if ((uc->c.flags & UDPF_GONE) != 0)
		udp_hangup(w, c, CONV_END_UNREACHABLE);
}

/** @see struct proto: read */
struct rte_mbuf *
udp_read(struct worker *w, struct conv *c)
{
	struct udp_conv *uc = udp_conv(c);
	struct rte_mbuf *m = pktq_pop(&uc->rcvq);

	(void)w;
	if (m == NULL)
		return NULL;
	uc->rcvq_n--;
	uc->rcvq_bytes -= m->pkt_len;
	return m;
}

uint32_t
udp_readable(const struct conv *c)
{
	return ((const struct udp_conv *)c)->rcvq_bytes;
}

/** @see struct proto: retire. Also of one that was never published. */
void
udp_retire(struct worker *w, struct conv *c)
{
	struct udp_conv *uc = udp_conv(c);

	pktq_free(&uc->rcvq);
	uc->rcvq_n = 0;
	uc->rcvq_bytes = 0;
	if (c->listener != NULL)
		listener_let_go(w, c->listener);
	c->listener = NULL;
}
