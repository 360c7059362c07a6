/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A node's life as convd has it: word, table, backlog, kicks, inbox, timer, grace period. The C function
 * is named beside each step; README.md has the table, what is left out, and why that may be.
 *
 * A step is one access to shared memory, and what only its worker can see is done with it: an atomic
 * block. A goto to a label before a block starts the next step; to one within a block it goes on with
 * this step. A compare-and-swap with its retries is one step: a try that fails has changed nothing.
 *
 * Sizes: SLOTS, KEYS, PACKETS (per worker), HANGUPS. WITHOUT: node.pml.
 */
#include "node.pml"
#include "worker.pml"

/* conv_next, or conv_by_handle with what it gave some time ago; conv_post(HANGUP). */
proctype control(byte n)
{
	byte gen, to, me = CONTROL;

end:	atomic { LIVE(n) && IS_LISTED -> gen = C.gen; if :: to = 0 :: to = 1 fi }
	atomic { /* conv_get_gen */
		reading = reading | 1 << me;
		if
		:: LIVE(n) && IS_LISTED && (C.gen == gen || !HAS(GENERATION)) -> hold(n); assert(C.gen == gen)
		:: else -> GO quiet
		fi
	}
	atomic { /* conv_post */
		C.work = C.work | HANGUP;
		if
		:: !C.inside && !C.posted -> C.posted = 1; hold(n)
		:: else -> GO put
		fi
	}
	C.box = to; /* conv_inbox_push */
put:	atomic {
		put_ref(n);
quiet:		quiescent(n)
	}
}

init {
	byte n;

	atomic {
		run worker(0); run worker(1);
		do
		:: n < HANGUPS -> run control(n); n++
		:: else -> n = 0; break
		od
	}
	if
	:: clock = LATE
	:: skip -> timeout -> /* at rest: no deadline that has come waits, no timer pins the dead */
		for (n : 0 .. SLOTS - 1) { assert(!C.linked || (C.deadline != SOON && !C.dead)) }
		clock = LATE
	fi;
	timeout; /* no packet is held; what lives is in the table, and has nothing to do */
	assert(held == 0);
	for (n : 0 .. SLOTS - 1) {
		if
		:: C.refs > 0 -> assert(C.refs == 1 && table[C.key] == n && C.work == 0 && !C.fired); run control(n)
		:: else
		fi
	}
	timeout; /* all are back */
	for (n : 0 .. SLOTS - 1) { assert(FREE(n)) }
}
