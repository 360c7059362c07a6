/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The classic design: conversations are slots of an array, the table holds bare pointers, and a slot that
 * is closed is used again at once. A core finds X; another closes X and takes its slot for Y; the first
 * goes on, and Y gets X's packet. And the cures that come to mind (docs/race.md): none suffices.
 *
 *   (none)         n1: bare pointers
 *   -DN2           n2: one lock over all a packet does, let go and taken again to send
 *   -DN2 -DNO_SEND the same, never let go: cured, and one core works at a time
 *   -DN3           n3: a lock in each conversation
 *   -DN4           n4: counted references, and no 0 rises; no grace period
 *   -DN4 -DGRACE   a grace period as well: cured, and nobody waits
 */
#define PACKETS 2 /* for each of two cores */
#define NIL 7
#define GO assert(true); goto /* so that a choice that is never taken shows */

typedef slot {
	byte tuple, refs; /* 0: free */
	bit locked;
	byte need /* cores in the middle of a packet since it was freed */
}

slot S; /* all slots but one are taken */
byte table[2] = NIL; /* ipht */
bit protocol; /* n2's lock */
byte reading; /* cores in the middle of a packet, a bit each */

inline take_protocol()
{
#ifdef N2
	atomic { !protocol -> protocol = 1 }
#else
	skip
#endif
}

/* A packet's reference. The last one frees the slot. */
inline put()
{
	S.refs--;
#ifdef GRACE
	if
	:: S.refs == 0 -> S.need = reading
	:: else
	fi
#endif
}

proctype core(byte me)
{
	byte tuple, left = PACKETS, n;

next:	atomic {
		if
		:: left == 0 -> GO finished
		:: left > 0 -> left--; if :: tuple = 0 :: tuple = 1 fi
		fi;
		reading = reading | 1 << me
	}
	take_protocol();
	n = table[tuple]; /* iphtlook */
	if
	:: n != NIL
	:: else -> atomic { /* Fsnewcall, under the table's lock */
		if
		:: table[tuple] == NIL && S.refs == 0 && S.need == 0 -> S.tuple = tuple; S.refs = 1; table[tuple] = 0
		:: else /* no slot, or another core was first */
		fi }
		goto consumed
	fi;
#ifdef N4
	atomic { if :: S.refs > 0 -> S.refs++ :: else -> GO consumed fi } /* get-not-zero */
#endif
#ifdef N3
	atomic { !S.locked -> S.locked = 1 } /* qlock(s) */
#endif
	assert(S.tuple == tuple); /* the packet goes into the conversation's queue */
#ifndef NO_SEND
#ifdef N2
	protocol = 0; /* output: sending may sleep */
#endif
	take_protocol();
	assert(S.tuple == tuple); /* and its answer comes from the conversation's state */
#endif
	if /* localclose, by some of the packets */
	:: skip
	:: atomic { if :: table[tuple] == 0 -> table[tuple] = NIL; S.refs-- :: else fi }
	fi;
#ifdef N3
	S.locked = 0;
#endif
#ifdef N4
	atomic { put() };
#endif
consumed:
#ifdef N2
	protocol = 0;
#endif
	atomic {
		reading = reading & ~(1 << me);
		S.need = S.need & ~(1 << me);
		tuple = 0; n = 0;
		goto next
	}
finished: skip
}

init { atomic { run core(0); run core(1) } }
