/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What a node is, who may have it, and which protections can be taken out (-DWITHOUT=...).
 */
#define HAS(protection) (WITHOUT != protection)
#define NOT_ZERO 1 /* who has found a node enters it, dead or not */
#define HOLD 2 /* ... though somebody is inside */
#define GRACE 3 /* a retired slot is free at once */
#define LATE_WORK 4 /* who leaves does not look for work that came meanwhile */
#define LATE_LOOK 5 /* who leaves a packet for the one inside does not look whether he has gone */
#define STANDING 6 /* who leaves with work standing does not come back for it */
#define TABLE_FIRST 7 /* a node is dead before it has left the table */
#define ABSENT 8 /* the last of two births has the tuple */
#define DEAD_IS_DEAD 9 /* work is done for a node that has died */
#define TIMER_REF 10 /* a wheel holds bare pointers */
#define TELL_OWNER 11 /* who moves a deadline to earlier does not tell its owner */
#define OWNER_LOOK 12 /* who puts a timer off does not look at the deadline again */
#define CANCEL 13 /* a death does not tell the timer's owner */
#define TIMER_BIT 14 /* a timer that finds somebody inside is forgotten */
#define LISTED 15 /* a listing finds what the table has not had */
#define GENERATION 16 /* a handle names whoever has the slot */
#define RECHECK 17 /* with the grace period out as well, nobody compares the tuple after entering */
#ifndef WITHOUT
#define WITHOUT 0
#endif

#define WORKERS 2
#define CONTROL WORKERS /* the control thread, as a reader */
#define NIL 7 /* no node, no seat, no packet */

#define KICK 1 /* work that waits, in the word */
#define HANGUP 2
#define PACKET 4
#define TIMER 8
#define OWN 16 /* no bit of the word: the packet that the worker brings */

#define UNARMED 0 /* deadlines: SOON is always due, LATE when the clock says so */
#define NONE 1
#define SOON 2
#define LATE 3

typedef node {
	byte refs, work, gen; /* refs to posted: the word (lib/ipht/node.h) */
	bit inside, dead, listed, posted;
	byte queue = NIL; /* QUEUED, and the seat on whose kick list */
	byte box = NIL; /* the seat in whose inbox */
	byte key, packet = NIL, found; /* the backlog: room for one packet, and the generation it found */
	byte deadline, when, owner; /* the timer */
	bit linked; /* in its owner's wheel */
	bit fired; /* it has, and its work is not done */
	bit retired = 1;
	byte need /* readers whose turn is not over since it retired */
}

node N[SLOTS];
byte table[KEYS] = NIL;
byte reading; /* readers in the middle of a turn, a bit each */
byte clock = SOON;
byte held; /* packets received, neither delivered nor dropped */

#define GO assert(true); goto /* a choice that is never taken shows: as a statement that is never reached */
#define C N[n]
#define Y N[young]
#define LIVE(i) (!N[i].dead && N[i].refs > 0)
#define MAY_WORK (!C.dead || !HAS(DEAD_IS_DEAD))
#define IS_LISTED (C.listed || !HAS(LISTED))
#define GRACE_PERIOD (HAS(GRACE) && HAS(RECHECK))
#define FREE(i) (N[i].retired && N[i].need == 0)
#define BEGIN(i) reading = reading | 1 << me; n = i

/* A part of a turn for each list a node can stand on: conv_run_inbox, conv_run_kicks, conv_run_timers. */
#define PARTS(i) \
	:: atomic { N[i].box == me -> BEGIN(i); C.box = NIL; goto inboxed } \
	:: atomic { N[i].queue == me -> BEGIN(i); C.queue = NIL; goto standing } \
	:: atomic { N[i].linked && N[i].owner == me && N[i].when <= clock -> BEGIN(i); C.linked = 0; goto look_timer }

inline hold(i) { assert(N[i].refs > 0); N[i].refs++ } /* 0 never rises */
inline unhold(i) { assert(N[i].refs > 0); N[i].refs-- }

/* conv_put, the end of conv_leave; conv_retire: it is in no list, holds nothing, and waits for all who are
 * in a turn now. That is the earliest that conv_turn_end and reclaim_urcu.c may begin to wait. */
inline put_ref(i)
{
	unhold(i);
	if
	:: N[i].refs == 0 ->
		assert(N[i].dead && !N[i].retired && !N[i].inside && N[i].work == 0 && N[i].packet == NIL);
		assert(N[i].queue == NIL && !N[i].posted && N[i].deadline == UNARMED && !N[i].linked);
		assert(table[N[i].key] != i);
		N[i].retired = 1;
		N[i].fired = 0;
		N[i].need = (GRACE_PERIOD -> reading : 0)
	:: else
	fi
}

inline quiescent(i) /* reclaim_ops.quiescent */
{
	reading = reading & ~(1 << me);
	for (i : 0 .. SLOTS - 1) { N[i].need = N[i].need & ~(1 << me) }
	i = 0
}
