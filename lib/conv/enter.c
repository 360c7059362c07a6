/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The word: entering, leaving, backlog, kicks, references.
 *
 * All steps are compare-and-swaps (or fetch-and-ops) on one atomic word, so they
 * have one total order per node, and the rules below are about that order:
 *
 *  - INSIDE is set by the one who enters and cleared by the same.
 *  - A work bit is set only together with the knowledge of who will see it:
 *    either INSIDE is set in the same value (then leaving fails until the bit is
 *    gone), or QUEUED or POSTED is (then whoever unlinks the node clears that
 *    flag first and looks at the bits after), or the setter enters itself.
 *  - refs counts owners; the one who is inside owns one. 0 is final.
 */
#include <errno.h>

#include <rte_prefetch.h>

#include "conv_priv.h"

/* Rounds of work done for others before a worker leaves it standing and goes on. */
#define LEAVE_ROUNDS     4

#define PACK_MAX         15 /* packets that one brings along into a backlog */

#define BACKLOG_PTR_BITS 48
#define BACKLOG_PTR_MASK ((UINT64_C(1) << BACKLOG_PTR_BITS) - 1)

/** The newest packet of a backlog's head, or NULL. */
static struct rte_mbuf *
backlog_first(uint64_t head)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): pointer and count share one word */
	return (struct rte_mbuf *)(uintptr_t)(head & BACKLOG_PTR_MASK);
}

/** Take a reference on a node that is not DEAD. Relaxed: who has it looks at nothing before conv_enter_or has let him in. */
bool
conv_get_live(struct worker *w, struct conv_node *cn)
{
	uint64_t word;

	POINT("tryget", &cn->n.word);
	word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	do {
		if ((word & NODE_DEAD) != 0 || node_refs(word) == 0) {
			w->seat->c.get_failed++;
			atomic_thread_fence(memory_order_acquire);
			return false;
		}
		POINT("get live", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(
		&cn->n.word, &word, word + NODE_REF, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void
conv_deliver(struct worker *w, struct conv_node *cn, struct rte_mbuf *m)
{
	if (conv_dead(cn)) {
		conv_again(w, m);
	} else if (!key_equal(&cn->n.key, &pkt_of(m)->key.k)) {
		/* I5. Never seen; if it were, the packet must not be delivered here. */
		w->seat->c.recheck_failed++;
		conv_again(w, m);
	} else {
		conv_ops(w->convs, cn)->input(w, cn, m);
	}
}

/** Where a pack's leader has the others: in the room in front of its frame, which is nobody's until it is sent. */
static inline struct rte_mbuf **
pack_members(const struct rte_mbuf *leader)
{
	return leader->buf_addr;
}

/** Deliver a pack, whose lines another core has, so they are all asked for before the first is needed. */
static void
conv_pack_deliver(struct worker *w, struct conv_node *cn, struct rte_mbuf *leader)
{
	struct rte_mbuf *m[PACK_MAX + 1] = {leader};
	unsigned n = 1u + pkt_of(leader)->pack;

	for (unsigned i = 1; i < n; i++) {
		m[i] = pack_members(leader)[i - 1];
		pkt_prefetch(m[i]);
	}
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	w->c.held_out += n;
	w->seat->c.backlog_drained += n;
	for (unsigned i = 0; i < n; i++)
		conv_deliver(w, cn, m[i]);
}

/** Put the backlog's packets, oldest first, into the node. */
static void
conv_backlog_drain(struct worker *w, struct conv_node *cn)
{
	struct rte_mbuf *m, *first = NULL, *next;

	POINT("drain", &cn->n.backlog);
	/* Acquire: pairs with the pushers' release; their packets are seen whole. */
	m = backlog_first(atomic_exchange_explicit(&cn->n.backlog, 0, memory_order_acquire));
	for (; m != NULL; m = next) {
		rte_prefetch0(m->buf_addr);
		next = pkt_of(m)->next;
		pkt_of(m)->next = first;
		first = m;
	}
	for (m = first; m != NULL; m = next) {
		next = pkt_of(m)->next;
		conv_pack_deliver(w, cn, m);
	}
}

static void
conv_work(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	if (bits != 0 && !conv_dead(cn))
		conv_ops(w->convs, cn)->work(w, cn, bits);
}

/** Do the work that the caller has taken out of the word. Inside. */
static void
conv_work_taken(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	/* Birth and hangup come before packets; a timer after them, as they may make it needless. */
	conv_work(w, cn, bits & (NODE_KICK | NODE_HANGUP));
	if ((bits & NODE_PACKET) != 0)
		conv_backlog_drain(w, cn);
	conv_work(w, cn, bits & NODE_TIMER);
}

/** Inside, after the step that took a word's work along: what stood then is done before what the caller brings, which keeps the order
 * of packets. */
static inline void
conv_came_in(struct worker *w, struct conv_node *cn, uint64_t word)
{
	w->in = cn;
	w->seat->c.entered++;
	if (unlikely((word & NODE_WORK) != 0))
		conv_work_taken(w, cn, word & NODE_WORK);
}

/**
 * Enter a candidate: reference, hold and the work that stands in one step; that work is done.
 *
 * Memory order: acquire on success, pairing with the release of the last
 * conv_leave (its writes to the node), of the publisher (the node's making), and of those who set the bits.
 */
enum conv_entered
conv_enter(struct worker *w, struct conv_node *cn)
{
	uint64_t word;

	assert(w->in == NULL);
	POINT("pre_enter", &cn->n.word);
	word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	do {
		if ((word & NODE_DEAD) != 0 || node_refs(word) == 0) {
			w->seat->c.get_failed++;
			/* Pairs with conv_die's release: the table no longer leads here. */
			atomic_thread_fence(memory_order_acquire);
			return CONV_GONE;
		}
		if ((word & NODE_INSIDE) != 0) {
			w->seat->c.busy++;
			return CONV_BUSY;
		}
		POINT("enter", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(&cn->n.word, &word,
		((word & ~NODE_WORK) | NODE_INSIDE) + NODE_REF, memory_order_acquire,
		memory_order_relaxed));
	conv_came_in(w, cn, word);
	return CONV_IN;
}

/**
 * With a reference in hand: enter, as conv_enter does, or, if somebody is inside, leave bits of work to him.
 *
 * Also for DEAD nodes, whose backlog must be emptied by somebody.
 *
 * Memory order: acquire to enter (as conv_enter); release to leave the bits, so
 * that who finds them finds what they speak of (backlog, a service's queue).
 *
 * @return true: inside, and the caller's reference is now the hold's; false: bits are
 *         set, and the reference is still the caller's
 */
bool
conv_enter_or(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	uint64_t next;

	assert(w->in == NULL);
	do {
		assert(node_refs(word) > 0);
		next = (word & NODE_INSIDE) != 0 ? word | bits : (word & ~NODE_WORK) | NODE_INSIDE;
		POINT("enter or leave bits", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(
		&cn->n.word, &word, next, memory_order_acq_rel, memory_order_relaxed));
	if ((word & NODE_INSIDE) != 0) {
		w->seat->c.busy++;
		return false;
	}
	conv_came_in(w, cn, word);
	return true;
}

/** Take the bits of work that were seen to stand, and do it. Inside. */
static void
conv_work_round(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	POINT("take work", &cn->n.word);
	/* Acquire: pairs with the release of those who set the bits. */
	atomic_fetch_and_explicit(&cn->n.word, ~bits, memory_order_acquire);
	conv_work_taken(w, cn, bits);
}

static void
conv_flush(struct worker *w, struct conv_node *cn)
{
	const struct node_ops *ops = conv_ops(w->convs, cn);

	if (ops->flush != NULL && !conv_dead(cn))
		ops->flush(w, cn);
}

static void
conv_kick_link(struct seat *s, struct conv_node *cn)
{
	cn->kick_next = NODE_ID_NONE;
	if (s->kick_head == NODE_ID_NONE)
		s->kick_head = cn->n.id;
	else
		conv_node_at(s->ct, s->kick_tail)->kick_next = cn->n.id;
	s->kick_tail = cn->n.id;
}

/**
 * Leave with work standing, or to be kicked in the next turn: the hold's reference becomes the kick's, unless the
 * node stands on a kick list already (its owner will see the bits). Release: as conv_leave; never the last reference.
 */
static void
conv_leave_standing(struct worker *w, struct conv_node *cn)
{
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	uint64_t next, bits = w->in_next ? NODE_KICK : 0;

	do {
		next = (word & NODE_QUEUED) != 0 ? (word & ~NODE_INSIDE) - NODE_REF
						 : (word & ~NODE_INSIDE) | NODE_QUEUED;
		next |= bits;
		POINT("leave work standing", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(
		&cn->n.word, &word, next, memory_order_release, memory_order_relaxed));
	w->in = NULL;
	w->in_next = false;
	POINT("left_before_kick", &cn->n.word);
	if ((word & NODE_QUEUED) == 0)
		conv_kick_link(w->seat, cn);
}

/**
 * Leave: hold and reference in one step, which fails while work stands.
 *
 * Memory order: release, so that the next one inside sees all that was done here;
 * acquire, so that the last owner of all sees it too before it retires the node.
 */
void
conv_leave(struct worker *w, struct conv_node *cn)
{
	unsigned rounds = 0;
	uint64_t word, next;

	assert(w->in == cn);
	conv_flush(w, cn);
	word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	for (;;) {
		if ((word & NODE_WORK) != 0) {
			if (rounds++ == LEAVE_ROUNDS) {
				w->seat->c.leave_budget++;
				conv_leave_standing(w, cn);
				return;
			}
			conv_work_round(w, cn, word & NODE_WORK);
			conv_flush(w, cn);
			word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
			continue;
		}
		if (unlikely(w->in_next)) {
			conv_leave_standing(w, cn);
			return;
		}
		assert((word & NODE_INSIDE) != 0 && node_refs(word) > 0);
		next = (word & ~NODE_INSIDE) - NODE_REF;
		POINT("leave", &cn->n.word);
		if (atomic_compare_exchange_weak_explicit(
			    &cn->n.word, &word, next, memory_order_acq_rel, memory_order_relaxed))
			break;
	}
	w->in = NULL;
	if (node_refs(next) == 0)
		conv_retire(w, cn);
}

/**
 * Make m[0] the leader of a pack, with as many of those behind it as fit into the room in front of it. Nothing is written to these: their
 * lines stay with whoever has read them.
 * @return how many they are, the leader included
 */
static unsigned
pack_make(struct rte_mbuf **m, unsigned n)
{
	struct rte_mbuf *leader = m[0];
	size_t most = 0;

	if (RTE_MBUF_DIRECT(leader) && rte_mbuf_refcnt_read(leader) == 1)
		most = RTE_MIN(leader->data_off / sizeof(*m), (size_t)PACK_MAX);
	n = (unsigned)RTE_MIN((size_t)n, most + 1);
	for (unsigned i = 1; i < n; i++)
		pack_members(leader)[i - 1] = m[i];
	pkt_of(leader)->pack = (uint8_t)(n - 1);
	return n;
}

/** The backlog has no room for the last n packets of a pack: they are dropped. */
static void
pack_cut(struct worker *w, struct rte_mbuf *leader, unsigned n)
{
	struct pkt *p = pkt_of(leader);

	w->c.held_in -= n;
	w->seat->c.backlog_full += n;
	for (; n > 0 && p->pack > 0; n--)
		drop(w, pack_members(leader)[--p->pack], DROP_BACKLOG_FULL);
	if (n > 0)
		drop(w, leader, DROP_BACKLOG_FULL);
}

/**
 * Push n packets onto the backlog, in packs, newest first, as many as fit. Who drains it follows a pointer for each pack,
 * through lines that it must fetch from this core one after the other; a pack's own it fetches all at once.
 *
 * The head holds pointer and count of packets together, so the bound is exact. Pushes race
 * with pushes and with the one exchange that takes all: nothing is ever taken
 * from the middle, so a head that comes back (ABA) is still a true head.
 *
 * Memory order: release, so that who takes the chain sees the packets.
 */
static void
conv_backlog_push(struct worker *w, struct conv_node *cn, struct rte_mbuf **packets, unsigned left)
{
	uint32_t most = w->convs->conf.backlog_max, room, n;
	struct rte_mbuf *m;
	uint64_t head, next;

	for (unsigned size; left > 0; packets += size, left -= size) {
		m = packets[0];
		n = size = pack_make(packets, left);
		head = atomic_load_explicit(&cn->n.backlog, memory_order_relaxed);
		w->c.held_in += n; /* before they can be taken out */
		do {
			room = most - RTE_MIN(most, (uint32_t)(head >> BACKLOG_PTR_BITS));
			if (n > room) {
				pack_cut(w, m, n - room);
				n = room;
			}
			if (n == 0)
				break;
			pkt_of(m)->next = backlog_first(head);
			next = (uint64_t)(uintptr_t)m |
				((head >> BACKLOG_PTR_BITS) + n) << BACKLOG_PTR_BITS;
			POINT("push", &cn->n.backlog);
		} while (!atomic_compare_exchange_weak_explicit(
			&cn->n.backlog, &head, next, memory_order_release, memory_order_relaxed));
		w->seat->c.backlog_pushes += n;
	}
}

/** Somebody is inside: leave the packets to him; enter after all if he has gone meanwhile. Consumes all. */
void
conv_backlog_input(struct worker *w, struct conv_node *cn, struct rte_mbuf **m, unsigned n)
{
	if (!conv_get_live(w, cn)) {
		for (unsigned i = 0; i < n; i++)
			conv_again(w, m[i]);
		return;
	}
	POINT("post_tryget", &cn->n.word);
	conv_backlog_push(w, cn, m, n);
	if (conv_enter_or(w, cn, NODE_PACKET)) {
		conv_backlog_drain(w, cn);
		conv_leave(w, cn);
	} else {
		conv_put(w, cn);
	}
}

void
conv_hold(struct conv_node *cn)
{
	POINT("hold", &cn->n.word);
	/* Relaxed: the caller's own reference keeps it alive, nothing is learnt from it. */
	atomic_fetch_add_explicit(&cn->n.word, NODE_REF, memory_order_relaxed);
}

void
conv_put(struct worker *w, struct conv_node *cn)
{
	if (node_unref(&cn->n))
		conv_retire(w, cn);
}

void
conv_kick(struct worker *w, struct conv_node *cn, uint64_t bits)
{
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	uint64_t next;

	/* Release: what the bits speak of is seen by who takes them. */
	do {
		next = word | bits;
		if ((word & (NODE_INSIDE | NODE_QUEUED)) == 0)
			next = (next | NODE_QUEUED) + NODE_REF;
		POINT("kick", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(
		&cn->n.word, &word, next, memory_order_release, memory_order_relaxed));
	w->seat->c.kicks++;
	if ((word & (NODE_INSIDE | NODE_QUEUED)) == 0)
		conv_kick_link(w->seat, cn);
}

void
conv_kick_next(struct worker *w, struct conv_node *cn)
{
	assert(conv_inside(w, cn));
	w->seat->c.kicks += !w->in_next;
	w->in_next = true;
}

/**
 * Enter a node that was unlinked from a list whose reference is now the caller's,
 * and do what stands; or leave it to the one inside.
 */
static void
conv_enter_standing(struct worker *w, struct conv_node *cn)
{
	uint64_t word;

	POINT("unlinked", &cn->n.word);
	word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	if ((word & NODE_WORK) == 0 || !conv_enter_or(w, cn, 0)) {
		conv_put(w, cn);
		return;
	}
	conv_leave(w, cn);
}

/** Kicks that stood on the list when the turn came to them; new ones wait for the next turn. */
void
conv_run_kicks(struct worker *w, unsigned *ret_n)
{
	struct seat *s = w->seat;
	uint32_t last = s->kick_tail;

	while (s->kick_head != NODE_ID_NONE) {
		struct conv_node *cn = conv_node_at(s->ct, s->kick_head);
		bool end = s->kick_head == last;

		s->kick_head = cn->kick_next;
		POINT("unlink kick", &cn->n.word);
		/* Bits set before this are seen by the load that follows, of the same word; bits set
		 * after it find QUEUED clear and queue the node anew. Relaxed: who takes the bits acquires. */
		atomic_fetch_and_explicit(&cn->n.word, ~NODE_QUEUED, memory_order_relaxed);
		conv_enter_standing(w, cn);
		(*ret_n)++;
		if (end)
			break;
	}
}

/** Push a node whose POSTED the caller has just set, with a reference, onto a seat's inbox. */
void
conv_inbox_push(struct seat *to, struct conv_node *cn)
{
	uint32_t head = atomic_load_explicit(&to->inbox, memory_order_relaxed);

	/* Release: the link is seen by who takes the chain. Pushes and one take-all: no ABA. */
	do {
		atomic_store_explicit(&cn->post_next, head, memory_order_relaxed);
		POINT("push to inbox", &to->inbox);
	} while (!atomic_compare_exchange_weak_explicit(
		&to->inbox, &head, cn->n.id, memory_order_release, memory_order_relaxed));
	if (to->ct->conf.wake != NULL)
		to->ct->conf.wake(to->ct->conf.wake_arg, to->number);
}

void
conv_post(struct conv_table *ct, unsigned seat, struct conv_node *cn, uint64_t bits)
{
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);
	uint64_t next;

	do {
		next = word | bits;
		if ((word & (NODE_INSIDE | NODE_POSTED)) == 0)
			next = (next | NODE_POSTED) + NODE_REF;
		POINT("post", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(
		&cn->n.word, &word, next, memory_order_release, memory_order_relaxed));
	if ((word & (NODE_INSIDE | NODE_POSTED)) == 0)
		conv_inbox_push(&ct->seats[seat], cn);
}

/**
 * Tell the owner of a timer that its deadline has moved earlier. The caller, who
 * is inside or is the inbox's reader, keeps its reference.
 *
 * Memory order: the load is sequentially consistent. The deadline was stored before; if POSTED is seen
 * set, the reader of the inbox has yet to clear it, and reads the deadline after that. The swap is relaxed: what it sees is no
 * older, and the inbox hands the node over.
 */
void
conv_post_timer(struct conv_table *ct, unsigned owner, struct conv_node *cn)
{
	uint64_t word;

	POINT("look at posted", &cn->n.word);
	word = atomic_load_explicit(&cn->n.word, memory_order_seq_cst);
	do {
		if ((word & NODE_POSTED) != 0)
			return;
		POINT("post timer", &cn->n.word);
	} while (!atomic_compare_exchange_weak_explicit(&cn->n.word, &word,
		(word | NODE_POSTED) + NODE_REF, memory_order_relaxed, memory_order_relaxed));
	conv_inbox_push(&ct->seats[owner], cn);
}

unsigned
conv_run_inbox(struct worker *w)
{
	struct seat *s = w->seat;
	uint32_t id, next;
	unsigned n = 0;

	POINT("look at inbox", &s->inbox);
	if (atomic_load_explicit(&s->inbox, memory_order_relaxed) == NODE_ID_NONE)
		return 0;
	POINT("take inbox", &s->inbox);
	/* Acquire: pairs with conv_inbox_push. */
	id = atomic_exchange_explicit(&s->inbox, NODE_ID_NONE, memory_order_acquire);
	for (; id != NODE_ID_NONE; id = next) {
		struct conv_node *cn = conv_node_at(s->ct, id);

		next = atomic_load_explicit(&cn->post_next, memory_order_relaxed);
		POINT("unlink post", &cn->n.word);
		/* From here on it may be posted again; what was posted before is seen below. */
		atomic_fetch_and_explicit(&cn->n.word, ~NODE_POSTED, memory_order_seq_cst);
		conv_timer_posted(w, cn);
		conv_enter_standing(w, cn);
		s->c.posts++;
		n++;
	}
	return n;
}

/** Put a node, which is in no inbox any more, on the chain of those that wait for a grace period. */
static void
conv_retired_push(struct seat *s, struct conv_node *cn, uint64_t now_us)
{
	uint32_t *ago = &s->retired_ago[s->retired.n % RETIRED_AHEAD];

	atomic_store_explicit(&cn->post_next, s->retired.n < RETIRED_AHEAD ? NODE_ID_NONE : *ago,
		memory_order_relaxed);
	*ago = cn->n.id;
	cn->kick_next = s->retired.head;
	s->retired.head = cn->n.id;
	if (s->retired.n++ == 0)
		s->retired.born_us = now_us;
}

/** The last reference has gone: give back what it holds and queue it for the reclaimer. */
void
conv_retire(struct worker *w, struct conv_node *cn)
{
	struct seat *s = w->seat;
	const struct node_ops *ops = conv_ops(w->convs, cn);

	assert((atomic_load(&cn->n.word) & ~(NODE_GEN_MASK | NODE_LISTED)) == NODE_DEAD);
	assert(atomic_load(&cn->n.backlog) == 0);
	assert(atomic_load(&cn->timer.deadline) == CONV_TIMER_UNARMED);
	if (ops->retire != NULL)
		ops->retire(w, cn);
	s->c.retired[conv_kind(cn)]++;
	conv_retired_push(s, cn, w->now_us);
}

void
conv_again(struct worker *w, struct rte_mbuf *m)
{
	pkt_of(m)->next = NULL;
	if (w->again == NULL)
		w->again = m;
	else
		pkt_of(w->again_tail)->next = m;
	w->again_tail = m;
}

int
conv_newcall(struct worker *w, struct conv_node *cn, struct rte_mbuf *m, enum drop_reason why)
{
	struct conv_node *winner = NULL;
	int err = -ENOSPC;

	if (cn != NULL)
		err = conv_publish(w, cn, NODE_KICK, &winner);
	if (winner != NULL)
		conv_put(w, winner);
	if (err != 0 && cn != NULL)
		conv_abandon(w, cn);
	if (err == 0 || err == -EEXIST)
		conv_again(w, m);
	else
		drop(w, m, why);
	return err;
}
