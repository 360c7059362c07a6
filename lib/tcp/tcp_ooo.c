/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Data that came before its turn: a list of runs without gaps, sorted, apart from each other.
 * Bounded by the window in bytes, and in segments and runs, so that small segments
 * can't make us hold much or search long (CVE-2018-5390).
 *
 * A run's first packet describes it in the place of its key; ->next and ->tail make it a queue.
 */
#include "tcp_priv.h"

struct run {
	struct rte_mbuf *next; /* first packet of the next run */
	uint32_t start, end;
	uint16_t stamp; /* when it last grew: RFC 2018 wants the latest first */
};
_Static_assert(sizeof(struct run) <= sizeof(struct key48), "takes the place of the key");

static struct run *
run_of(struct rte_mbuf *first)
{
	return (struct run *)(void *)&pkt_of(first)->key;
}

/** Cut m, which is payload only, to [start, end) of its sequence numbers. */
static struct rte_mbuf *
ooo_cut(struct rte_mbuf *m, uint32_t start, uint32_t end)
{
	uint32_t seq = pkt_of(m)->tcp.seq;

	tcp_mbuf_trim(m, end - seq);
	if (start != seq)
		m = tcp_mbuf_front(m, start - seq);
	pkt_of(m)->tcp.seq = start;
	return m;
}

/** Where the run that could take in `seq` hangs: the last one that starts at or before it, or the root. */
static struct rte_mbuf **
ooo_find(struct tcp_conv *tc, uint32_t seq)
{
	struct rte_mbuf **at = &tc->ooo;

	while (*at != NULL && seq_lt(run_of(*at)->end, seq))
		at = &run_of(*at)->next;
	return at;
}

/** A new run before *at, of m alone. */
static void
ooo_insert(struct tcp_conv *tc, struct rte_mbuf **at, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	struct run *r = run_of(m);

	p->next = NULL;
	p->tail = m;
	*r = (struct run){
		.next = *at,
		.start = p->tcp.seq,
		.end = p->tcp.seq + m->pkt_len,
		.stamp = ++tc->ooo_stamp,
	};
	*at = m;
	tc->ooo_runs++;
	tc->ooo_segs++;
}

/** m goes behind the last packet of the run; small ones are copied into its buffer. */
static void
ooo_append(struct tcp_conv *tc, struct rte_mbuf *first, struct rte_mbuf *m)
{
	struct rte_mbuf *last = pkt_of(first)->tail;
	struct run *r = run_of(first);

	r->end += m->pkt_len;
	r->stamp = ++tc->ooo_stamp;
	if (tcp_mbuf_merge(last, m, TCP_MERGE_MAX)) {
		rte_pktmbuf_free(m);
		return;
	}
	pkt_of(m)->next = NULL;
	pkt_of(last)->next = m;
	pkt_of(first)->tail = m;
	tc->ooo_segs++;
}

/** m goes before the first packet of the run at *at, which it becomes. */
static void
ooo_prepend(struct tcp_conv *tc, struct rte_mbuf **at, struct rte_mbuf *m)
{
	struct rte_mbuf *first = *at;
	struct run r = *run_of(first);

	pkt_of(m)->next = first;
	pkt_of(m)->tail = pkt_of(first)->tail;
	r.start = pkt_of(m)->tcp.seq;
	r.stamp = ++tc->ooo_stamp;
	*run_of(m) = r;
	*at = m;
	tc->ooo_segs++;
}

/** The run after `first` touches it now: make them one. */
static void
ooo_join_next(struct tcp_conv *tc, struct rte_mbuf *first)
{
	struct run *r = run_of(first);
	struct rte_mbuf *next = r->next;

	if (next == NULL || r->end != run_of(next)->start)
		return;
	r->end = run_of(next)->end;
	r->next = run_of(next)->next;
	pkt_of(pkt_of(first)->tail)->next = next;
	pkt_of(first)->tail = pkt_of(next)->tail;
	tc->ooo_runs--;
}

/**
 * Keep a segment that lies in the window but beyond rcv_nxt (m: payload only, pkt->tcp.seq its first byte). What is there already
 * stays: the first copy that came is the one that counts. Consumes m and counts it.
 */
void
tcp_ooo_add(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m)
{
	uint32_t start = pkt_of(m)->tcp.seq, end = start + m->pkt_len;
	struct rte_mbuf **at = ooo_find(tc, start), *first = *at;
	unsigned most;

	/* Overlap with the run that starts at or before us, then with those behind. */
	if (first != NULL && seq_le(run_of(first)->start, start)) {
		start = seq_max(start, run_of(first)->end);
		if (run_of(first)->next != NULL && seq_lt(run_of(run_of(first)->next)->start, end))
			end = run_of(run_of(first)->next)->start;
	} else if (first != NULL && seq_lt(run_of(first)->start, end)) {
		end = run_of(first)->start;
	}
	if (seq_le(end, start)) {
		/* The run that holds it is to be the next block (RFC 2883 section 4). */
		run_of(first)->stamp = ++tc->ooo_stamp;
		tcp_note_dup(w, pkt_of(m)->tcp.seq, pkt_of(m)->tcp.seq + m->pkt_len);
		TCP_COUNT(w, dup_segs_in);
		w->c.delivered++;
		rte_pktmbuf_free(m);
		return;
	}
	most = m->pkt_len <= TCP_MERGE_MAX ? TCP_OOO_SMALL : TCP_OOO_MAX;
	if (tc->ooo_segs >= most || tc->ooo_runs >= TCP_OOO_RUNS_MAX ||
		tcp_pressure(w) >= TCP_PRESSURE_HIGH) {
		drop(w, m, DROP_TCP_MEMORY);
		return;
	}
	TCP_COUNT(w, ooo_segs_in);
	w->c.delivered++;
	m = ooo_cut(m, start, end);
	if (first != NULL && run_of(first)->end == start) {
		ooo_append(tc, first, m);
		ooo_join_next(tc, first);
	} else if (first != NULL && run_of(first)->start == end) {
		ooo_prepend(tc, at, m);
	} else {
		ooo_insert(tc, at, m);
	}
}

/** The next packet that rcv_nxt has reached, cut to what is new; NULL: none. */
struct rte_mbuf *
tcp_ooo_take(struct tcp_conv *tc)
{
	struct rte_mbuf *m, *next;
	struct run r;

	while ((m = tc->ooo) != NULL && seq_le(run_of(m)->start, tc->rcv_nxt)) {
		uint32_t end = pkt_of(m)->tcp.seq + m->pkt_len;

		r = *run_of(m);
		next = pkt_of(m)->next;
		tc->ooo_segs--;
		if (next != NULL) {
			pkt_of(next)->tail = pkt_of(m)->tail;
			r.start = end;
			*run_of(next) = r;
			tc->ooo = next;
		} else {
			tc->ooo = r.next;
			tc->ooo_runs--;
		}
		pkt_of(m)->next = NULL;
		if (seq_lt(tc->rcv_nxt, end))
			return ooo_cut(m, tc->rcv_nxt, end);
		rte_pktmbuf_free(m);
	}
	return NULL;
}

/** SACK blocks: the latest run first, then the others by age (RFC 2018 section 4). @return how many */
unsigned
tcp_ooo_blocks(const struct tcp_conv *tc, struct tcp_sack_block *ret, unsigned most)
{
	uint16_t age[TCP_SACK_MAX];
	unsigned n = 0;

	for (struct rte_mbuf *m = tc->ooo; m != NULL; m = run_of(m)->next) {
		const struct run *r = run_of(m);
		uint16_t a = (uint16_t)(tc->ooo_stamp - r->stamp);
		unsigned i = n;

		while (i > 0 && a < age[i - 1])
			i--;
		if (i == most)
			continue;
		if (n < most)
			n++;
		for (unsigned j = n - 1; j > i; j--) {
			age[j] = age[j - 1];
			ret[j] = ret[j - 1];
		}
		age[i] = a;
		ret[i] = (struct tcp_sack_block){r->start, r->end};
	}
	return n;
}

void
tcp_ooo_free(struct tcp_conv *tc)
{
	struct rte_mbuf *m, *next_run, *next;

	for (m = tc->ooo; m != NULL; m = next_run) {
		next_run = run_of(m)->next;
		for (; m != NULL; m = next) {
			next = pkt_of(m)->next;
			rte_pktmbuf_free(m);
		}
	}
	tc->ooo = NULL;
	tc->ooo_segs = tc->ooo_runs = 0;
}
