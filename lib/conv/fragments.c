/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Joining of fragments (RFC 791 section 3.2, RFC 8200 section 4.5): a list of pieces, sorted by offset. Pieces that overlap
 * condemn their datagram (RFC 5722, for IPv4 as well); a piece that is there already is ignored.
 */
#include "fragments.h"

#include <errno.h>

#include "conv_priv.h"

#define PIECES_MAX     256 /* 64 kB at an MTU of 296, the smallest that is worth it */
#define DATAGRAM_MAX   65535
#define TIMEOUT_V4_MS  30000 /* RFC 1122 section 3.3.2 lets it be less than a minute */
#define TIMEOUT_V6_MS  60000 /* RFC 8200 section 4.5 */
#define POOL_FREE_PART 4 /* pieces are kept only while a quarter of the buffers is free */

#define FRAGS_TIMED    0x01 /* its timer is set */
#define FRAGS_CE       0x02 /* a piece had congestion experienced */

struct fragments {
	struct conv_node cn;
	struct rte_mbuf *first; /* by offset, through pkt->next */
	uint32_t have; /* bytes */
	uint32_t total; /* bytes of the whole; 0: the last piece has not come */
	uint16_t pieces;
	uint8_t flags;
};

static struct fragments *
fragments_of(struct conv_node *cn)
{
	return (struct fragments *)cn;
}

static void
fragments_drop_all(struct worker *w, struct fragments *f, enum drop_reason r)
{
	struct rte_mbuf *m = f->first, *next;

	for (f->first = NULL; m != NULL; m = next) {
		next = pkt_of(m)->next;
		w->c.held_out++;
		drop(w, m, r);
	}
	f->pieces = 0;
}

/** The datagram is condemned: all its pieces and m (which may be NULL) go. */
static void
fragments_end(struct worker *w, struct fragments *f, struct rte_mbuf *m, enum drop_reason r)
{
	if (m != NULL)
		drop(w, m, r);
	fragments_drop_all(w, f, r);
	conv_die(w, &f->cn);
}

enum place {
	PLACE_FREE,
	PLACE_TAKEN,
	PLACE_OVERLAP
};

/** Where a piece of len bytes at offset belongs. */
static enum place
fragments_place(struct fragments *f, uint32_t offset, uint32_t len, struct rte_mbuf ***ret_at)
{
	struct rte_mbuf **at = &f->first;

	for (; *at != NULL; at = &pkt_of(*at)->next) {
		const struct pkt *p = pkt_of(*at);

		if (p->frag.offset == offset && p->frag.len == len)
			return PLACE_TAKEN;
		if (p->frag.offset >= offset + len)
			break;
		if (p->frag.offset + p->frag.len > offset)
			return PLACE_OVERLAP;
	}
	*ret_at = at;
	return PLACE_FREE;
}

/** True if a piece agrees with what is known of the whole datagram's length. */
static bool
fragments_fits(struct fragments *f, const struct pkt *p)
{
	uint32_t end = p->frag.offset + p->frag.len;

	if (end > DATAGRAM_MAX)
		return false;
	if (p->frag.more)
		return f->total == 0 || end < f->total;
	if (f->total != 0)
		return end == f->total;
	/* The end has come: nothing may lie behind it. */
	for (const struct rte_mbuf *m = f->first; m != NULL;) {
		const struct pkt *q = pkt_of((struct rte_mbuf *)(uintptr_t)m);

		if (q->frag.offset + q->frag.len > end)
			return false;
		m = q->next;
	}
	f->total = end;
	return true;
}

/** All pieces are there: chain the payloads of the others behind the first, and pass it on. */
static void
fragments_join(struct worker *w, struct fragments *f)
{
	struct rte_mbuf *whole = f->first, *m = pkt_of(whole)->next, *next;

	f->first = NULL;
	pkt_of(whole)->next = NULL;
	w->c.held_out++;
	conv_die(w, &f->cn);
	for (; m != NULL; m = next) {
		next = pkt_of(m)->next;
		w->c.held_out++;
		w->c.consumed++;
		if (rte_pktmbuf_adj(m, pkt_of(m)->data_off) == NULL ||
			rte_pktmbuf_chain(whole, m) != 0) {
			/* Longer than a chain may be. The rest goes with it. */
			rte_pktmbuf_free(m);
			for (m = next; m != NULL; m = next) {
				next = pkt_of(m)->next;
				w->c.held_out++;
				drop(w, m, DROP_FRAG_LIMIT);
			}
			drop(w, whole, DROP_FRAG_LIMIT);
			return;
		}
	}
	if ((f->flags & FRAGS_CE) != 0)
		pkt_of(whole)->flags |= PKT_CE;
	whole = ip_input_joined(w, whole);
	if (whole != NULL)
		conv_again(w, whole);
}

static bool
fragments_room(const struct worker *w, const struct fragments *f)
{
	return f->pieces < PIECES_MAX &&
		rte_mempool_avail_count(w->mp) > w->mp->size / POOL_FREE_PART;
}

static void
fragments_input(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	struct fragments *f = fragments_of(cn);
	struct pkt *p = pkt_of(m);
	struct rte_mbuf **at = NULL;
	enum place place;

	if ((f->flags & FRAGS_TIMED) == 0) {
		f->flags |= FRAGS_TIMED;
		conv_timer_set(w, cn,
			w->now_ms + ((p->flags & PKT_V6) != 0 ? TIMEOUT_V6_MS : TIMEOUT_V4_MS));
	}
	place = fragments_place(f, p->frag.offset, p->frag.len, &at);
	if (place == PLACE_TAKEN) {
		consume(w, m);
		return;
	}
	if (place == PLACE_OVERLAP || !fragments_fits(f, p)) {
		fragments_end(w, f, m, DROP_FRAG_OVERLAP);
		return;
	}
	if (!fragments_room(w, f)) {
		fragments_end(w, f, m, DROP_FRAG_LIMIT);
		return;
	}
	if ((p->flags & PKT_CE) != 0)
		f->flags |= FRAGS_CE;
	w->c.held_in++;
	p->next = *at;
	*at = m;
	f->pieces++;
	f->have += p->frag.len;
	if (f->total != 0 && f->have == f->total)
		fragments_join(w, f);
}

static void
fragments_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	struct fragments *f = fragments_of(cn);

	if ((bits & NODE_HANGUP) != 0) {
		fragments_end(w, f, NULL, DROP_SHUTDOWN);
		return;
	}
	if ((bits & NODE_TIMER) == 0)
		return;
	/* RFC 1122 section 3.3.2, RFC 8200 section 4.5: told only if the first piece is here. */
	if (f->first != NULL && pkt_of(f->first)->frag.offset == 0)
		ip_send_error(w, f->first, IP_ERROR_REASSEMBLY);
	fragments_end(w, f, NULL, DROP_FRAG_TIMEOUT);
}

static void
fragments_retire(struct worker *w, struct conv_node *cn)
{
	fragments_drop_all(w, fragments_of(cn), DROP_SHUTDOWN);
}

const struct node_ops fragments_ops = {
	.name = "fragments",
	.size = sizeof(struct fragments),
	.input = fragments_input,
	.work = fragments_work,
	.retire = fragments_retire,
};

void
fragments_miss(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct conv_node *cn = conv_alloc(w, NODE_FRAGMENTS, &p->key.k, p->hash);
	struct conv_node *winner = NULL;
	int err;

	if (cn == NULL) {
		drop(w, m, DROP_FRAG_LIMIT);
		return;
	}
	err = conv_publish(w, cn, 0, &winner);
	if (err != 0)
		conv_abandon(w, cn);
	if (err == -EEXIST)
		conv_put(w, winner);
	else if (err != 0) {
		drop(w, m, DROP_FRAG_LIMIT);
		return;
	}
	conv_again(w, m);
}
