/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "svc_pair.h"

#include <stdlib.h>
#include <string.h>

#include "listener.h"

/** One of the two conversations. */
struct side {
	_Atomic(struct conv *) c; /* referenced until both are over; NULL: not taken yet */
	_Atomic(struct rte_mbuf *)
		inlet; /* put in by the other side, newest first, through pkt->next */
	_Atomic uint32_t bytes; /* put in and not yet written */
	_Atomic bool want_room; /* the other side stands still until there is room */
	_Atomic bool fin; /* the other side's peer has shut down; all it sent is in the inlet */
	_Atomic bool gone; /* this conversation is over */
	_Atomic unsigned worker; /* that took out last */
	/* For who is inside: */
	struct pktq out; /* taken out of the inlet, in order */
	bool eof; /* its peer has shut down */
	bool fin_sent, shut;
};

struct svc_pair {
	struct svc_pair_hall *hall;
	struct side side[2];
	_Atomic unsigned refs; /* sides that are not over */
};

/** What a conversation keeps. */
struct seat_of {
	struct svc_pair *p;
	uint64_t side;
};
_Static_assert(sizeof(struct seat_of) <= CONV_SVC_BYTES, "fits a conversation");

static struct seat_of
pair_seat(const struct conv *c)
{
	struct seat_of s;

	memcpy(&s, c->svc, sizeof(s));
	return s;
}

static void
pair_sit(struct conv *c, struct svc_pair *p, unsigned side)
{
	struct seat_of s = {p, side};

	memcpy(c->svc, &s, sizeof(s));
	conv_hold(&c->cn);
	/* Release: who sees the conversation sees its seat. In one order with gone: see pair_accept. */
	atomic_store_explicit(&p->side[side].c, c, memory_order_seq_cst);
}

/** Pairs with pair_sit. */
static struct conv *
pair_other(const struct seat_of *s)
{
	return atomic_load_explicit(&s->p->side[1 - s->side].c, memory_order_seq_cst);
}

static void
pair_kick_other(struct worker *w, const struct seat_of *s)
{
	struct conv *other = pair_other(s);

	if (other != NULL)
		conv_kick(w, &other->cn, NODE_KICK);
}

static struct svc_pair *
pair_new(struct svc_pair_hall *hall)
{
	struct svc_pair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->hall = hall;
	atomic_init(&p->refs, 2);
	return p;
}

/** Nobody can look at it any more. */
static void
pair_free(struct worker *w, struct svc_pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct conv *c = atomic_load_explicit(&p->side[i].c, memory_order_relaxed);
		struct rte_mbuf *m = atomic_load_explicit(&p->side[i].inlet, memory_order_relaxed);

		for (struct rte_mbuf *next; m != NULL; m = next) {
			next = pkt_of(m)->next;
			rte_pktmbuf_free(m);
		}
		pktq_free(&p->side[i].out);
		if (c != NULL)
			conv_put(w, &c->cn);
	}
	free(p);
}

/** A call: the second of the pair that waits, or the first of a new one. */
static void
pair_accept(struct worker *w, struct conv *c)
{
	struct svc_pair_hall *hall = c->listener->options;
	struct svc_pair *p, *none = NULL, *mine = NULL;

	for (;;) {
		/* Acquire: pairs with the release below. Taken by one only. */
		p = atomic_exchange_explicit(&hall->waiting, NULL, memory_order_acq_rel);
		if (p != NULL)
			break;
		if (mine == NULL) {
			mine = pair_new(hall);
			if (mine == NULL) {
				c->proto->hangup(w, c, CONV_END_MEMORY);
				return;
			}
			pair_sit(c, mine, 0);
		}
		none = NULL;
		if (atomic_compare_exchange_strong_explicit(&hall->waiting, &none, mine,
			    memory_order_acq_rel, memory_order_relaxed))
			return;
	}
	if (mine != NULL) {
		/* Another one was quicker to wait: sit down with him instead. */
		conv_put(w, &c->cn);
		free(mine);
	}
	atomic_fetch_add_explicit(&hall->pairs, 1, memory_order_relaxed);
	pair_sit(c, p, 1);
	conv_kick(w, &atomic_load_explicit(&p->side[0].c, memory_order_acquire)->cn, NODE_KICK);
	/* He may have left just now, when he had nobody to tell. One of the two sees the other: each has
	 * stored his own (c, gone) before he looks at the other's, sequentially consistent. */
	if (atomic_load_explicit(&p->side[0].gone, memory_order_seq_cst))
		c->proto->close(w, c);
}

static void
pair_push(struct side *to, struct rte_mbuf *m)
{
	struct rte_mbuf *head = atomic_load_explicit(&to->inlet, memory_order_relaxed);

	/* Sequentially consistent: see pair_has_room. */
	atomic_fetch_add_explicit(&to->bytes, m->pkt_len, memory_order_seq_cst);
	/* Release: who takes it out sees it whole. One producer, and all are taken at once: no ABA. */
	do {
		pkt_of(m)->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&to->inlet, &head, m, memory_order_release, memory_order_relaxed));
}

/**
 * Producer: says that it wants room, then looks at the bytes again. Consumer: takes bytes away, then looks whether room is
 * wanted. Both sequentially consistent, so one of them sees the other.
 */
static bool
pair_has_room(struct svc_pair *p, struct side *to)
{
	if (atomic_load_explicit(&to->bytes, memory_order_seq_cst) < SVC_PAIR_INLET)
		return true;
	atomic_store_explicit(&to->want_room, true, memory_order_seq_cst);
	if (atomic_load_explicit(&to->bytes, memory_order_seq_cst) < SVC_PAIR_INLET)
		return true;
	atomic_fetch_add_explicit(&p->hall->blocked, 1, memory_order_relaxed);
	return false;
}

/** What our peer has sent goes into the other's inlet. */
static void
pair_forward(struct worker *w, struct conv *c, const struct seat_of *s)
{
	struct side *me = &s->p->side[s->side], *to = &s->p->side[1 - s->side];
	struct rte_mbuf *m;
	bool told = false;

	if (pair_other(s) == NULL)
		return; /* unread, it shuts the window */
	while (c->proto->readable(c) > 0 && pair_has_room(s->p, to) &&
		(m = c->proto->read(w, c)) != NULL) {
		pair_push(to, m);
		told = true;
		if (atomic_load_explicit(&to->worker, memory_order_relaxed) != w->id)
			atomic_fetch_add_explicit(&s->p->hall->crossings, 1, memory_order_relaxed);
	}
	if (me->eof && !me->fin_sent && c->proto->readable(c) == 0) {
		me->fin_sent = told = true;
		/* Release: who sees it finds all packets in the inlet. */
		atomic_store_explicit(&to->fin, true, memory_order_release);
	}
	if (told)
		pair_kick_other(w, s);
}

/** The inlet's packets, oldest first, behind those that were taken before. */
static void
pair_take(struct side *me)
{
	/* Acquire: pairs with pair_push. */
	struct rte_mbuf *m = atomic_exchange_explicit(&me->inlet, NULL, memory_order_acquire);
	struct rte_mbuf *first = NULL, *next;

	for (; m != NULL; m = next) {
		next = pkt_of(m)->next;
		pkt_of(m)->next = first;
		first = m;
	}
	for (m = first; m != NULL; m = next) {
		next = pkt_of(m)->next;
		pktq_push(&me->out, m);
	}
}

/** What the other has put into our inlet goes to our peer. @return false: over */
static bool
pair_write(struct worker *w, struct conv *c, const struct seat_of *s)
{
	struct side *me = &s->p->side[s->side], *from = &s->p->side[1 - s->side];
	/* Acquire, and before the inlet: what came before these is seen in it. */
	bool fin = atomic_load_explicit(&me->fin, memory_order_acquire);
	bool gone = atomic_load_explicit(&from->gone, memory_order_acquire);
	struct rte_mbuf *m;

	atomic_store_explicit(&me->worker, w->id, memory_order_relaxed);
	pair_take(me);
	while (c->proto->write_room(c) > 0 && (m = pktq_pop(&me->out)) != NULL) {
		uint32_t len = m->pkt_len;

		if (c->proto->write(w, c, m) != 0) {
			c->proto->hangup(w, c, CONV_END_MEMORY);
			return false;
		}
		atomic_fetch_sub_explicit(&me->bytes, len, memory_order_seq_cst);
	}
	if (atomic_load_explicit(&me->bytes, memory_order_seq_cst) < SVC_PAIR_INLET / 2 &&
		atomic_exchange_explicit(&me->want_room, false, memory_order_seq_cst))
		pair_kick_other(w, s);
	if (me->out.head != NULL)
		return true;
	if (gone) {
		c->proto->close(w, c);
		return false;
	}
	if (fin && !me->shut) {
		me->shut = true;
		c->proto->shutdown(w, c);
	}
	return true;
}

static void
pair_run(struct worker *w, struct conv *c)
{
	struct seat_of s = pair_seat(c);
	struct side *me;

	if (s.p == NULL)
		return;
	me = &s.p->side[s.side];
	if (!pair_write(w, c, &s))
		return;
	pair_forward(w, c, &s);
	if (me->fin_sent && me->shut)
		c->proto->close(w, c);
}

static void
pair_shutdown(struct worker *w, struct conv *c)
{
	struct seat_of s = pair_seat(c);

	if (s.p == NULL)
		return;
	s.p->side[s.side].eof = true;
	pair_run(w, c);
}

static void
pair_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	struct seat_of s = pair_seat(c);
	struct svc_pair *p = s.p;
	unsigned over = 1;

	(void)why;
	if (p == NULL)
		return;
	/* Nobody has come yet, and now nobody will. */
	if (s.side == 0 &&
		atomic_compare_exchange_strong_explicit(
			&p->hall->waiting, &p, NULL, memory_order_acq_rel, memory_order_relaxed))
		over = 2;
	p = s.p;
	/* Release: who sees it finds in its inlet all that came. */
	atomic_store_explicit(&p->side[s.side].gone, true, memory_order_seq_cst);
	pair_kick_other(w, &s);
	memset(c->svc, 0, sizeof(s));
	/* Acquire: the last one sees all that the other did. */
	if (atomic_fetch_sub_explicit(&p->refs, over, memory_order_acq_rel) == over)
		pair_free(w, p);
}

const struct service svc_pair = {
	.name = "pair",
	.tcp = true,
	.state_size = sizeof(struct seat_of),
	.accept = pair_accept,
	.recv = pair_run,
	.drain = pair_run,
	.kicked = pair_run,
	.shutdown = pair_shutdown,
	.hangup = pair_hangup,
};
