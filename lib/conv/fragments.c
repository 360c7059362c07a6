/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Joining of fragments (RFC 791 section 3.2, RFC 8200 section 4.5): the pieces of a datagram wait in a list, sorted by
 * offset, until they are whole. Pieces that overlap condemn the datagram (RFC 5722; for IPv4 as well: nobody
 * sends them in good faith); a piece that is there already is ignored (RFC 8200: exact duplicates).
 *
 * What a flood can take is bounded four ways: datagrams by their slab, pieces of one datagram, duplicates of one
 * datagram, and the pieces of all by a part of the packet buffers. When half of datagrams or pieces is in use, those
 * that have waited for FRAGMENTS_PATIENCE_MS give way, so that joining works again soon after a flood.
 */
#include "fragments.h"

#include <errno.h>

#include "conv_priv.h"

/*
 * 65,535 bytes in packets of 576 bytes, which every IPv4 host must take and no path of today is narrower than,
 * are 119 pieces; of IPv6's 1,280 bytes, 54. It is also what bounds the walk along the list.
 */
#define FRAGMENTS_PIECES_MAX 128
#define FRAGMENTS_TIMEOUT_V4 \
	30000 /* ms; RFC 1122 section 3.3.2 asks for 60 to 120 s, Linux takes 30 */
#define FRAGMENTS_TIMEOUT_V6  60000 /* ms; RFC 8200 section 4.5 */
#define FRAGMENTS_PATIENCE_MS 5000 /* what is always waited for */
#define FRAGMENTS_POOL_PART   4 /* all pieces together take at most a quarter of the packet buffers */
#define FRAGMENTS_DATA_MAX    65535

#define FRAGF_CE              0x01 /* a piece had congestion experienced */

/** A datagram that is being joined. */
struct fragments {
	struct conv_node cn;
	struct rte_mbuf *first, *last; /* by offset, through pkt->next */
	uint32_t born_ms;
	uint32_t have; /* bytes */
	uint32_t total; /* bytes of the whole; 0: the last piece has not come */
	uint8_t pieces, duplicates;
	uint8_t flags;
};
_Static_assert(sizeof(struct fragments) <= 128, "two cache lines");

static struct fragments *
fragments_of(struct conv_node *cn)
{
	return (struct fragments *)cn;
}

static uint32_t
fragments_end_of(const struct pkt *p)
{
	return p->frag.offset + p->frag.len;
}

/** n pieces leave the list. Relaxed: a count, nothing is handed over by it. */
static void
fragments_release(struct worker *w, struct fragments *f, unsigned n)
{
	w->c.held_out += n;
	f->pieces -= (uint8_t)n;
	atomic_fetch_sub_explicit(&w->convs->pieces, n, memory_order_relaxed);
}

/** Whole or condemned: over. */
static void
fragments_die(struct worker *w, struct fragments *f)
{
	atomic_fetch_sub_explicit(&w->convs->joining, 1, memory_order_relaxed);
	conv_die(w, &f->cn);
}

/** The datagram is condemned: its pieces, and m (which may be NULL), go. */
static void
fragments_abandon(struct worker *w, struct fragments *f, struct rte_mbuf *m, enum drop_reason r)
{
	struct rte_mbuf *at = f->first, *next;

	if (m != NULL)
		drop(w, m, r);
	fragments_release(w, f, f->pieces);
	f->first = f->last = NULL;
	for (; at != NULL; at = next) {
		next = pkt_of(at)->next;
		drop(w, at, r);
	}
	fragments_die(w, f);
}

/** More than half of all that may be in pieces is. */
static bool
fragments_pressed(const struct worker *w)
{
	struct conv_table *ct = w->convs;
	uint32_t pieces = atomic_load_explicit(&ct->pieces, memory_order_relaxed);

	uint32_t joining = atomic_load_explicit(&ct->joining, memory_order_relaxed);

	return joining > conv_limit(ct, NODE_FRAGMENTS) / 2 ||
		pieces > w->mp->size / FRAGMENTS_POOL_PART / 2;
}

enum fragments_place {
	FRAGMENTS_FREE,
	FRAGMENTS_TAKEN, /* this very piece is there */
	FRAGMENTS_OVERLAP
};

/** Where a piece belongs: behind *ret_after (NULL: first). In order of sending it costs no walk. */
static enum fragments_place
fragments_place(struct fragments *f, const struct pkt *p, struct rte_mbuf **ret_after)
{
	struct rte_mbuf *after = NULL, *at = f->first;

	if (at != NULL && fragments_end_of(pkt_of(f->last)) <= p->frag.offset) {
		after = f->last;
		at = NULL;
	}
	for (; at != NULL; after = at, at = pkt_of(at)->next) {
		const struct pkt *q = pkt_of(at);

		if (q->frag.offset == p->frag.offset && q->frag.len == p->frag.len &&
			q->frag.more == p->frag.more)
			return FRAGMENTS_TAKEN;
		if (q->frag.offset >= fragments_end_of(p))
			break;
		if (fragments_end_of(q) > p->frag.offset)
			return FRAGMENTS_OVERLAP;
	}
	*ret_after = after;
	return FRAGMENTS_FREE;
}

/** True if a piece that overlaps no other agrees with what is known of the datagram's end; sets it. */
static bool
fragments_fits(struct fragments *f, const struct pkt *p)
{
	uint32_t end = fragments_end_of(p);

	if (end > FRAGMENTS_DATA_MAX)
		return false;
	if (p->frag.more)
		return f->total == 0 || end < f->total;
	/* A second end, or one with pieces behind it. */
	if (f->total != 0 || (f->last != NULL && fragments_end_of(pkt_of(f->last)) > end))
		return false;
	f->total = end;
	return true;
}

/** Room for one piece more, taken. */
static bool
fragments_room(struct worker *w, struct fragments *f)
{
	uint32_t most = w->mp->size / FRAGMENTS_POOL_PART;

	if (f->pieces == FRAGMENTS_PIECES_MAX)
		return false;
	/* Relaxed: a count, nothing is handed over by it. */
	if (atomic_fetch_add_explicit(&w->convs->pieces, 1, memory_order_relaxed) < most)
		return true;
	atomic_fetch_sub_explicit(&w->convs->pieces, 1, memory_order_relaxed);
	return false;
}

static void
fragments_insert(struct worker *w, struct fragments *f, struct rte_mbuf *after, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	struct rte_mbuf **link = after == NULL ? &f->first : &pkt_of(after)->next;

	p->next = *link;
	*link = m;
	if (p->next == NULL)
		f->last = m;
	f->pieces++;
	f->have += p->frag.len;
	/* RFC 3168 section 5.3 */
	if ((p->flags & PKT_CE) != 0)
		f->flags |= FRAGF_CE;
	w->c.held_in++;
}

/** The payloads of all pieces, in order, chained behind the first piece as it came. */
static struct rte_mbuf *
fragments_chain(struct fragments *f)
{
	struct rte_mbuf *whole = f->first, *m = pkt_of(whole)->next, *next;
	struct rte_mbuf *tail = rte_pktmbuf_lastseg(whole);

	for (; m != NULL; m = next) {
		next = pkt_of(m)->next;
		pkt_of(m)->next = NULL;
		/* Contiguous up to there: lib/ip has read all of it. */
		rte_pktmbuf_adj(m, pkt_of(m)->data_off);
		whole->pkt_len += m->pkt_len;
		whole->nb_segs = (uint16_t)(whole->nb_segs + m->nb_segs);
		tail->next = m;
		tail = rte_pktmbuf_lastseg(m);
		/* Of a chain only the first buffer speaks for the packet. */
		m->pkt_len = m->data_len;
		m->nb_segs = 1;
	}
	pkt_of(whole)->next = NULL;
	return whole;
}

/** All is there: the pieces become one packet, which is looked up under its own tuple after leaving. */
static void
fragments_join(struct worker *w, struct fragments *f)
{
	struct rte_mbuf *whole;
	unsigned n = f->pieces;

	whole = fragments_chain(f);
	if ((f->flags & FRAGF_CE) != 0)
		pkt_of(whole)->flags |= PKT_CE;
	f->first = f->last = NULL;
	fragments_release(w, f, n);
	/* One packet goes on; the others are part of it. */
	w->c.consumed += n - 1;
	fragments_die(w, f);
	whole = ip_input_joined(w, whole);
	if (whole != NULL)
		conv_again(w, whole);
}

static void
fragments_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct fragments *f = fragments_of(cn);
	const struct pkt *p = pkt_of(m);
	struct rte_mbuf *after = NULL;

	switch (fragments_place(f, p, &after)) {
	case FRAGMENTS_TAKEN:
		/* They may not make us walk for ever. */
		if (f->duplicates++ == FRAGMENTS_PIECES_MAX)
			fragments_abandon(w, f, m, DROP_FRAG_LIMIT);
		else
			consume(w, m);
		return;
	case FRAGMENTS_OVERLAP:
		fragments_abandon(w, f, m, DROP_FRAG_OVERLAP);
		return;
	case FRAGMENTS_FREE:
		break;
	}
	if (!fragments_fits(f, p)) {
		fragments_abandon(w, f, m, DROP_FRAG_BAD);
		return;
	}
	if (!fragments_room(w, f)) {
		fragments_abandon(w, f, m, DROP_FRAG_LIMIT);
		return;
	}
	fragments_insert(w, f, after, m);
	if (f->have == f->total)
		fragments_join(w, f);
}

static void
fragments_timer(struct worker *w, struct fragments *f)
{
	uint32_t most = key_is_v4(&f->cn.n.key) ? FRAGMENTS_TIMEOUT_V4 : FRAGMENTS_TIMEOUT_V6;
	uint32_t age = w->now_ms - f->born_ms;
	uint32_t wait = age < FRAGMENTS_PATIENCE_MS ? FRAGMENTS_PATIENCE_MS
		: fragments_pressed(w)              ? 0
						    : most;

	if (age < wait) {
		conv_timer_set(w, &f->cn, f->born_ms + wait);
		return;
	}
	/* RFC 792, RFC 8200 section 4.5: told only if the first piece is here. */
	if (f->first != NULL && pkt_of(f->first)->frag.offset == 0)
		ip_send_error(w, f->first, IP_ERROR_REASSEMBLY);
	fragments_abandon(w, f, NULL, age < most ? DROP_FRAG_LIMIT : DROP_FRAG_TIMEOUT);
}

static void
fragments_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	struct fragments *f = fragments_of(cn);

	if ((bits & NODE_HANGUP) != 0)
		fragments_abandon(w, f, NULL, DROP_SHUTDOWN);
	else if ((bits & (NODE_KICK | NODE_TIMER)) != 0)
		fragments_timer(w, f);
}

const struct node_ops fragments_ops = {
	.name = "fragments",
	.size = sizeof(struct fragments),
	.input = fragments_input,
	.work = fragments_work,
};

void
fragments_miss(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct conv_node *cn = conv_alloc(w, NODE_FRAGMENTS, &p->key.k, p->hash);

	if (cn == NULL) {
		drop(w, m, DROP_FRAG_LIMIT);
		return;
	}
	fragments_of(cn)->born_ms = w->now_ms;
	/* Before it can be found: whoever finds it may count it out again. Relaxed: a count. */
	atomic_fetch_add_explicit(&w->convs->joining, 1, memory_order_relaxed);
	/* KICK: whoever enters it first sets its timer. */
	if (conv_newcall(w, cn, m, DROP_FRAG_LIMIT) != 0)
		atomic_fetch_sub_explicit(&w->convs->joining, 1, memory_order_relaxed);
}
