/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * One timer per node, in the wheel of the seat that armed it first: its owner.
 *
 * deadline is what the node wants, `when` is when the owner looks at it next.
 *
 *   UNARMED           in no wheel. Only who is inside the node leaves this state: he becomes the owner.
 *   NONE, or a time   in the owner's wheel, with a reference. Only the owner leaves this state, to UNARMED,
 *                     and only by a compare-and-swap on the deadline it has judged: due, or NONE.
 *
 * So links and owner change only by the owner's thread while armed, and by the one inside while not.
 * Stopping takes a node out of the own seat's wheel, and leaves it in another's to be found there; or in its own, if it is one that is
 * set again and again (CONV_TIMER_BUSY): to look at it once in vain is less than to link and unlink it each time.
 *
 * Moving a deadline later is a store (a swap that nothing waits for). Moving it earlier than `when` needs the owner: the mover
 * posts the node to the owner's inbox. The owner, when it puts a node off, writes `when` and then reads the deadline
 * again; the mover writes the deadline and then reads `when`. Both are sequentially consistent (store, then load of the
 * other's variable), so at least one of the two sees the other: no earlier deadline is lost.
 */
#include "conv_priv.h"

void
wheel_init(struct wheel *wh, uint32_t now_ms)
{
	wh->now = now_ms;
	wh->armed = 0;
	for (unsigned i = 0; i < RTE_DIM(wh->head); i++)
		wh->head[i] = NODE_ID_NONE;
}

/** The slot for a time: level by distance, place by the time's own digits. */
static uint32_t
wheel_slot(const struct wheel *wh, uint32_t at)
{
	uint32_t distance = at - wh->now;

	for (uint32_t level = 0; level < WHEEL_LEVELS - 1; level++)
		if (distance < 1u << WHEEL_BITS * (level + 1))
			return level * WHEEL_SLOTS + (at >> WHEEL_BITS * level & (WHEEL_SLOTS - 1));
	return (WHEEL_LEVELS - 1) * WHEEL_SLOTS + (at >> WHEEL_BITS * (WHEEL_LEVELS - 1));
}

/** Link cn to be looked at at `at`, or at the next tick if that is past. */
static void
wheel_link(struct seat *s, struct conv_node *cn, uint32_t at)
{
	struct wheel *wh = &s->wheel;
	uint32_t *head;

	if ((int32_t)(at - wh->now) <= 0)
		at = wh->now + 1;
	cn->slot = (uint16_t)wheel_slot(wh, at);
	head = &wh->head[cn->slot];
	cn->timer.prev = NODE_ID_NONE;
	cn->timer.next = *head;
	if (*head != NODE_ID_NONE)
		conv_node_at(s->ct, *head)->timer.prev = cn->n.id;
	*head = cn->n.id;
	wh->armed++;
}

static void
wheel_unlink(struct seat *s, struct conv_node *cn)
{
	struct conv_timer *t = &cn->timer;

	if (t->prev == NODE_ID_NONE)
		s->wheel.head[cn->slot] = t->next;
	else
		conv_node_at(s->ct, t->prev)->timer.next = t->next;
	if (t->next != NODE_ID_NONE)
		conv_node_at(s->ct, t->next)->timer.prev = t->prev;
	s->wheel.armed--;
}

/** The seat in whose wheel an armed timer stands. Relaxed: read after an acquire of an armed deadline, or inside. */
static unsigned
timer_owner(const struct conv_node *cn)
{
	return atomic_load_explicit(&cn->owner, memory_order_relaxed) & ~CONV_TIMER_BUSY;
}

/** Fetch what taking a node out of the own seat's wheel writes to. Not inside: an armed node of this seat is moved by nobody else. */
void
conv_timer_prefetch(const struct worker *w, const struct conv_node *cn)
{
	const struct conv_timer *t = &cn->timer;

	/* Acquire: an armed timer's owner and links are seen with it. */
	if (atomic_load_explicit(&t->deadline, memory_order_acquire) == CONV_TIMER_UNARMED ||
		timer_owner(cn) != w->seat->number)
		return;
	if (t->prev != NODE_ID_NONE)
		__builtin_prefetch(&conv_node_at(w->convs, t->prev)->timer, 1);
	if (t->next != NODE_ID_NONE)
		__builtin_prefetch(&conv_node_at(w->convs, t->next)->timer, 1);
}

/** Times that would be mistaken for the two states are put off by up to 2 ms, once in 49 days. */
static uint32_t
timer_encode(uint32_t at_ms)
{
	return at_ms <= CONV_TIMER_NONE ? CONV_TIMER_NONE + 1 : at_ms;
}

/** A timer has fired and its reference is the caller's: enter, or leave TIMER to the one inside. */
static void
timer_fire(struct worker *w, struct conv_node *cn)
{
	POINT("timer_fire", &cn->n.word);
	w->seat->c.timers_fired++;
	if (!conv_enter_or(w, cn, NODE_TIMER)) {
		conv_put(w, cn);
		return;
	}
	if (!conv_dead(cn))
		conv_ops(w->convs, cn)->work(w, cn, NODE_TIMER);
	conv_leave(w, cn);
}

/** The owner judges a node that it has just unlinked: fire, forget, or put off. */
static void
timer_look(struct worker *w, struct conv_node *cn)
{
	struct seat *s = w->seat;
	struct conv_timer *t = &cn->timer;
	uint32_t at;

	POINT("timer_ready", &t->deadline);
	/* Relaxed: the swap or the second look confirms it. */
	at = atomic_load_explicit(&t->deadline, memory_order_relaxed);
	for (;;) {
		if (at == CONV_TIMER_NONE || (int32_t)(at - s->wheel.now) <= 0) {
			POINT("let go", &t->deadline);
			/* Release: the unlinking is seen by who arms it next. */
			if (!atomic_compare_exchange_strong_explicit(&t->deadline, &at,
				    CONV_TIMER_UNARMED, memory_order_release, memory_order_relaxed))
				continue;
			if (at == CONV_TIMER_NONE)
				conv_put(w, cn);
			else
				timer_fire(w, cn);
			return;
		}
		POINT("put off", &t->when);
		atomic_store_explicit(&t->when, at, memory_order_seq_cst);
		wheel_link(s, cn, at);
		POINT("look again", &t->deadline);
		uint32_t now_at = atomic_load_explicit(&t->deadline, memory_order_seq_cst);

		if (now_at == CONV_TIMER_NONE || (int32_t)(now_at - at) >= 0)
			return;
		wheel_unlink(s, cn);
		at = now_at;
	}
}

/** The inbox brought a node: if its timer is ours, it may have moved earlier; if it is another's, pass it on. */
void
conv_timer_posted(struct worker *w, struct conv_node *cn)
{
	struct seat *s = w->seat;
	struct conv_timer *t = &cn->timer;
	uint32_t at;
	unsigned owner;

	POINT("posted timer", &t->deadline);
	/* Acquire: an armed timer's owner and links are seen with it. */
	at = atomic_load_explicit(&t->deadline, memory_order_seq_cst);
	owner = timer_owner(cn);
	if (at == CONV_TIMER_UNARMED)
		return;
	if (owner != s->number) {
		conv_post_timer(s->ct, owner, cn);
		return;
	}
	if (at == CONV_TIMER_NONE ||
		(int32_t)(at - atomic_load_explicit(&t->when, memory_order_relaxed)) >= 0)
		return;
	wheel_unlink(s, cn);
	timer_look(w, cn);
}

/**
 * Out of the wheel, if it is the own seat's, by who is inside, or has a node that was never published. Relaxed: nobody but the
 * owner, which is us, leaves the armed state, and the word's release hands over what was done.
 * @return true: the timer's reference is the caller's now
 */
bool
conv_timer_take(struct worker *w, struct conv_node *cn)
{
	uint32_t at = atomic_load_explicit(&cn->timer.deadline, memory_order_relaxed);

	POINT("take timer", &cn->timer.deadline);
	if (at == CONV_TIMER_UNARMED || timer_owner(cn) != w->seat->number)
		return false;
	wheel_unlink(w->seat, cn);
	atomic_store_explicit(&cn->timer.deadline, CONV_TIMER_UNARMED, memory_order_relaxed);
	return true;
}

/** With a reference for it: into the own seat's wheel. */
static void
timer_arm(struct worker *w, struct conv_node *cn, uint32_t at)
{
	struct seat *s = w->seat;
	uint32_t last = atomic_load_explicit(&cn->timer.when, memory_order_relaxed);
	bool busy = last != 0 && (int32_t)(last - w->now_ms) > 0;

	atomic_store_explicit(&cn->owner, (uint8_t)(s->number | (busy ? CONV_TIMER_BUSY : 0)),
		memory_order_relaxed);
	atomic_store_explicit(&cn->timer.when, at, memory_order_relaxed);
	wheel_link(s, cn, at);
	POINT("arm", &cn->timer.deadline);
	/* Release: whoever sees it armed sees its owner. */
	atomic_store_explicit(&cn->timer.deadline, at, memory_order_release);
	s->c.timers_armed++;
}

void
conv_timer_preset(struct worker *w, struct conv_node *cn, uint32_t at_ms)
{
	uint64_t word = atomic_load_explicit(&cn->n.word, memory_order_relaxed);

	assert((word & (NODE_DEAD | NODE_LISTED)) == NODE_DEAD);
	/* Relaxed: nobody else knows it; the insert publishes it, with release. */
	atomic_store_explicit(&cn->n.word, word + NODE_REF, memory_order_relaxed);
	timer_arm(w, cn, timer_encode(at_ms));
}

void
conv_timer_set(struct worker *w, struct conv_node *cn, uint32_t at_ms)
{
	struct conv_timer *t = &cn->timer;
	uint32_t at = timer_encode(at_ms);
	uint32_t was;
	unsigned owner;

	assert(conv_inside(w, cn) && !conv_dead(cn));
	POINT("look at deadline", &t->deadline);
	/* Acquire: if the owner has let go of it, its unlinking is done. */
	was = atomic_load_explicit(&t->deadline, memory_order_acquire);
	do {
		if (was == at)
			return; /* armed, and looked at by then */
		if (was == CONV_TIMER_UNARMED) {
			conv_hold(cn);
			timer_arm(w, cn, at);
			return;
		}
		POINT("move deadline", &t->deadline);
	} while (!atomic_compare_exchange_weak_explicit(
		&t->deadline, &was, at, memory_order_seq_cst, memory_order_acquire));
	POINT("look at when", &t->when);
	if ((int32_t)(at - atomic_load_explicit(&t->when, memory_order_seq_cst)) >= 0)
		return;
	owner = timer_owner(cn);
	if (owner == w->seat->number) {
		wheel_unlink(w->seat, cn);
		atomic_store_explicit(&t->when, at, memory_order_relaxed);
		wheel_link(w->seat, cn, at);
		return;
	}
	w->seat->c.timers_moved_remote++;
	conv_post_timer(w->convs, owner, cn);
}

void
conv_timer_stop(struct worker *w, struct conv_node *cn)
{
	struct conv_timer *t = &cn->timer;
	uint32_t was;
	uint8_t owner;

	assert(conv_inside(w, cn));
	POINT("stop", &t->deadline);
	was = atomic_load_explicit(&t->deadline, memory_order_relaxed);
	if (was == CONV_TIMER_UNARMED)
		return;
	/* Armed: nobody but the owner changes that, and we are inside, so this is the owner still. */
	owner = atomic_load_explicit(&cn->owner, memory_order_relaxed);
	if (owner == w->seat->number) {
		/* Not the last reference: the caller is inside. */
		if (conv_timer_take(w, cn))
			node_unref(&cn->n);
		return;
	}
	if ((owner & CONV_TIMER_BUSY) != 0)
		return;
	while (was != CONV_TIMER_UNARMED && was != CONV_TIMER_NONE)
		/* Relaxed: nothing but the value is handed over. */
		if (atomic_compare_exchange_weak_explicit(&t->deadline, &was, CONV_TIMER_NONE,
			    memory_order_relaxed, memory_order_relaxed))
			break;
}

/** The node has died (DEAD is set): its timer's reference must not pin it. Another seat's owner is told by a deadline of now. */
void
conv_timer_cancel(struct worker *w, struct conv_node *cn)
{
	struct conv_timer *t = &cn->timer;
	uint32_t now = timer_encode(w->now_ms), was;

	POINT("cancel", &t->deadline);
	was = atomic_load_explicit(&t->deadline, memory_order_relaxed);
	do {
		if (was == CONV_TIMER_UNARMED)
			return;
		POINT("deadline now", &t->deadline);
	} while (!atomic_compare_exchange_weak_explicit(
		&t->deadline, &was, now, memory_order_seq_cst, memory_order_relaxed));
	w->seat->c.timers_moved_remote++;
	conv_post_timer(w->convs, timer_owner(cn), cn);
}

/** Take a slot's nodes down one by one: they go to lower levels, or are judged. */
static unsigned
wheel_empty(struct worker *w, uint32_t slot)
{
	struct seat *s = w->seat;
	unsigned n = 0;

	while (s->wheel.head[slot] != NODE_ID_NONE) {
		struct conv_node *cn = conv_node_at(s->ct, s->wheel.head[slot]);

		wheel_unlink(s, cn);
		timer_look(w, cn);
		n++;
	}
	return n;
}

unsigned
conv_run_timers(struct worker *w)
{
	struct wheel *wh = &w->seat->wheel;
	unsigned n = 0;

	if (wh->armed == 0) {
		wh->now = w->now_ms;
		return 0;
	}
	while ((int32_t)(w->now_ms - wh->now) > 0) {
		wh->now++;
		for (uint32_t level = 1; level < WHEEL_LEVELS; level++) {
			if ((wh->now & ((1u << WHEEL_BITS * level) - 1)) != 0)
				break;
			n += wheel_empty(w,
				level * WHEEL_SLOTS +
					(wh->now >> WHEEL_BITS * level & (WHEEL_SLOTS - 1)));
		}
		n += wheel_empty(w, wh->now & (WHEEL_SLOTS - 1));
	}
	return n;
}

uint32_t
wheel_next_ms(const struct wheel *wh, uint32_t most)
{
	uint32_t ms;

	if (wh->armed == 0)
		return most;
	for (ms = 1; ms < most && ms < WHEEL_SLOTS; ms++) {
		uint32_t at = wh->now + ms;

		/* A slot of this tick, or the turn of a higher level, which may hold earlier ones. */
		if (wh->head[at & (WHEEL_SLOTS - 1)] != NODE_ID_NONE ||
			(at & (WHEEL_SLOTS - 1)) == 0)
			break;
	}
	return ms;
}
