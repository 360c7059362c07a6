/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A worker: what it does in a turn, from each list a node can stand on, to the end of its turn.
 */
proctype worker(byte me)
{
	byte n, young = NIL, key, gen, at, bits, bring, p, pgen, again[KEYS], left = PACKETS;
	bit in; /* w->in is n */
	bit taken; /* the timer's reference, by who lets its node die */
	bit boxed; /* after the timer's part, n's work is to be looked at with the inbox's reference */

end_idle: /* stack_turn_seat: its parts in any order, each a turn of its own */
idle:	if
	:: atomic { left > 0 -> left--; held++; BEGIN(0); if :: key = 0 :: key = KEYS - 1 fi; goto lookup }
	PARTS(0)
	PARTS(SLOTS - 1)
	fi;

look:	atomic {
		skip;
lookup:		n = table[key]; /* ipht_look_burst */
		if
		:: n == NIL -> GO alloc
		:: else -> gen = C.gen
		fi
	}
	atomic { /* conv_enter */
		if
		:: !LIVE(n) && HAS(NOT_ZERO) -> assert(table[key] != n); again[key]++; goto done
		:: (LIVE(n) || !HAS(NOT_ZERO)) && C.inside && HAS(HOLD) -> GO busy
		:: else -> hold(n); C.inside = 1; in = 1; bring = OWN; bits = C.work; C.work = 0; goto work
		fi
	}
busy:	atomic { /* conv_backlog_input: conv_get_live */
		if
		:: !LIVE(n) -> again[key]++; goto done
		:: else -> hold(n)
		fi
	}
	atomic { /* conv_backlog_push */
		if
		:: C.packet == NIL -> C.packet = key; C.found = gen
		:: else -> held-- /* DROP_BACKLOG_FULL */
		fi;
		bring = PACKET
	}
enter_or: /* conv_enter_or, with a reference that is ours */
	atomic {
		assert(!in && C.refs > 0);
		if
		:: C.inside || (bring == PACKET && !HAS(LATE_LOOK)) ->
			C.work = C.work | (bring == TIMER && !HAS(TIMER_BIT) -> 0 : bring);
			bring = 0; goto put
		:: else -> C.inside = 1; in = 1; bits = C.work; C.work = 0; goto work
		fi
	}

round:	atomic { bits = C.work; assert(bits != 0) } /* conv_work_round */
	atomic {
		C.work = C.work & ~bits;
work:		assert(in && C.inside);
		if :: young != NIL -> GO kick :: else fi;
		if
		:: bits & HANGUP && MAY_WORK -> bits = bits & ~(HANGUP | KICK); goto die
		:: !(bits & HANGUP) && bits & KICK && MAY_WORK -> bits = bits & ~KICK; at = LATE; goto set
		:: else -> bits = bits & ~(HANGUP | KICK)
		fi;
		if
		:: bits & PACKET -> bits = bits & ~PACKET; goto drain
		:: !(bits & PACKET) && bits & TIMER && MAY_WORK -> bits = 0; C.fired = 0; goto die
		:: else -> bits = 0
		fi;
		if
		:: bring == OWN && C.dead -> bring = 0; again[key]++; goto leave /* conv_input_group */
		:: bring == OWN && !C.dead -> bring = 0; p = key; pgen = gen; assert(C.key == key || !HAS(RECHECK)); goto input /* I5 */
		:: bring == PACKET || bring == TIMER -> bits = bring; bring = 0; goto work
		:: else -> GO leave
		fi
	}

drain:	atomic { /* conv_backlog_drain */
		p = C.packet; pgen = C.found; C.packet = NIL; C.found = 0;
		if
		:: p == NIL -> p = 0; goto work
		:: p != NIL && C.dead -> again[p]++; p = 0; pgen = 0; goto work
		:: else
		fi;
input:		assert(C.inside && C.key == p); /* never another conversation's packet */
		assert(C.gen == pgen || !GRACE_PERIOD); /* what was found at look-up, nothing later */
		p = 0; pgen = 0; held--;
		if /* what a protocol may do */
		:: at = SOON; goto set
		:: at = LATE; goto set
		:: GO stop
		:: GO die
		:: GO alloc /* conv_replace, by time-wait */
		fi
	}

set:	atomic { /* conv_timer_set */
		if
		:: C.deadline == UNARMED -> C.refs = C.refs + HAS(TIMER_REF)
		:: else -> C.deadline = at; goto moved
		fi
	}
	atomic { C.owner = me; C.when = at; C.linked = 1; C.deadline = at; goto work } /* timer_arm */
moved:	atomic {
		if
		:: at >= C.when || (C.owner != me && !HAS(TELL_OWNER)) -> GO work
		:: at < C.when && C.owner == me -> C.when = at; goto work
		:: else -> GO post
		fi
	}
stop:	atomic { /* conv_timer_stop */
		if :: C.deadline != UNARMED -> C.deadline = NONE :: else fi;
		goto work
	}

die:	atomic { /* conv_die: ipht_rem */
		assert(table[C.key] == n);
		table[C.key] = (HAS(TABLE_FIRST) -> NIL : n);
		C.dead = !HAS(TABLE_FIRST)
	}
dead:	atomic { /* conv_timer_take */
		if
		:: C.deadline != UNARMED && C.owner == me && HAS(CANCEL) -> C.deadline = UNARMED; C.linked = 0; taken = HAS(TIMER_REF)
		:: else
		fi
	}
	atomic { /* conv_mark_dead */
		C.dead = 1; C.refs = C.refs - taken; taken = 0; unhold(n); assert(C.refs > 0);
		table[C.key] = (HAS(TABLE_FIRST) -> table[C.key] : NIL)
	}
	atomic { /* conv_timer_cancel */
		if
		:: C.deadline == UNARMED || !HAS(CANCEL) -> GO work
		:: else -> assert(C.owner != me); C.deadline = SOON; goto post
		fi
	}

post:	atomic { /* conv_post_timer */
		if
		:: C.posted -> GO told
		:: else -> C.posted = 1; hold(n)
		fi
	}
	atomic {
		assert(C.box == NIL);
		C.box = C.owner; /* conv_inbox_push */
told:		if :: in -> GO work :: else -> GO standing fi
	}

leave:	atomic { /* conv_leave; how many rounds it does is left open */
		if
		:: C.work == 0 || !HAS(LATE_WORK) -> C.inside = 0; in = 0; goto drop_ref
		:: C.work != 0 -> GO round
		:: C.work != 0 -> C.inside = 0; in = 0; /* conv_leave_standing */
			if :: C.queue != NIL || !HAS(STANDING) -> assert(C.refs > 1 || !HAS(STANDING)); goto drop_ref
			:: else -> C.queue = me; goto done fi
		fi
	}

inboxed: atomic { C.posted = 0; boxed = 1 } /* conv_run_inbox */
	atomic { /* conv_timer_posted */
		if
		:: C.deadline == UNARMED -> GO standing
		:: C.deadline != UNARMED && C.owner != me -> GO post
		:: C.deadline != UNARMED && C.owner == me && C.deadline != NONE && C.deadline < C.when -> C.linked = 0
		:: else -> GO standing
		fi
	}
look_timer:
	atomic { /* timer_look */
		at = C.deadline;
judge:		if :: at == NONE || at <= clock :: else -> GO put_off fi
	}
	atomic {
		if
		:: C.deadline != at -> at = C.deadline; goto judge
		:: else -> C.deadline = UNARMED; C.refs = C.refs + !HAS(TIMER_REF)
		fi;
		if :: at == NONE -> GO put :: else -> C.fired = 1; bring = TIMER; goto enter_or fi /* timer_fire */
	}
put_off: atomic { C.when = at; C.linked = 1 }
	atomic {
		if
		:: C.deadline == NONE || C.deadline >= at || !HAS(OWNER_LOOK) -> GO done
		:: else -> C.linked = 0; at = C.deadline; goto judge
		fi
	}

standing: /* conv_enter_standing, with the list's reference */
	atomic { boxed = 0; if :: C.work == 0 -> GO put :: else -> GO enter_or fi }

kick:	atomic { /* conv_kick: the young one's, from inside the old */
		Y.work = Y.work | KICK;
		if
		:: !Y.inside && Y.queue == NIL -> Y.queue = me; hold(young)
		:: else
		fi
	}
	atomic { put_ref(young); young = NIL; goto work }

put:	atomic {
		skip;
drop_ref:	put_ref(n);
done:		at = 0;
		if
		:: young != NIL -> n = young; young = NIL; goto put /* conv_abandon */
		:: young == NIL && boxed -> GO standing
		:: young == NIL && !boxed && again[0] > 0 -> again[0]--; key = 0; goto look /* conv_run_again */
		:: young == NIL && !boxed && again[0] == 0 && again[KEYS - 1] > 0 -> key = KEYS - 1; again[key]--; goto look
		:: else -> quiescent(n); key = 0; gen = 0; goto idle
		fi
	}

alloc:
	atomic { /* conv_alloc; conv_reclaimed may as well wait until here */
		if
		:: FREE(0) -> young = 0
		:: FREE(SLOTS - 1) -> young = SLOTS - 1
		:: else -> if :: in -> GO die :: else -> held--; goto done fi /* refused */
		fi;
		assert(Y.refs == 0);
		if :: in -> Y.key = C.key :: else -> Y.key = key fi;
		Y.retired = 0; Y.gen++; Y.refs = 1; Y.dead = 1; Y.listed = 0
	}
	atomic { Y.dead = !Y.dead; Y.work = Y.work ^ KICK } /* conv_publish, conv_replace */
	atomic {
		if
		:: in -> assert(table[C.key] == n); table[C.key] = young; hold(young) /* ipht_replace */
		:: !in && (table[key] == NIL || !HAS(ABSENT)) -> table[key] = young; again[key]++ /* ipht_add; conv_newcall */
		:: else -> n = table[key]; hold(n); again[key]++; goto lost
		fi
	}
	atomic { /* conv_mark_listed */
		Y.listed = 1;
		if :: in -> GO dead :: else -> young = NIL; goto done fi
	}
lost:	atomic { Y.dead = !Y.dead; Y.work = Y.work ^ KICK; goto put }
}
