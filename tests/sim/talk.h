/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * One side of a TCP conversation that follows a plan: what it sends and when, when it reads, how it ends. Every byte of
 * a stream follows from its place and the stream's seed, so each that comes is checked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stack.h"

enum talk_end {
	TALK_SHUT_FIRST, /* shut down when all is sent; close when the peer has, too */
	TALK_SHUT_LAST, /* close when the peer has shut down and all is sent */
	TALK_CLOSE, /* close when all is sent and all has come, whatever the peer does */
	TALK_CLOSE_AT, /* close when stop_at bytes have come: the peer may be sending still */
	TALK_CLOSE_UNREAD, /* read nothing, close when stop_at bytes stand unread */
	TALK_HANGUP_AT, /* tear down when stop_at bytes have come */
	TALK_LINGER, /* never close: it is over when the peer or the test ends it */
};

struct talk_plan {
	uint64_t seed, total; /* what it sends */
	uint64_t peer_seed, peer_total; /* what it expects */
	uint64_t first, ask,
		answer; /* ask != 0: `first` bytes, and `answer` more for each `ask` that came */
	uint32_t chunk; /* longest write */
	uint64_t pause_at,
		pause_us; /* stops reading when so much has come, for so long; 0: never */
	uint64_t start_us; /* sends nothing for so long */
	uint64_t end_us; /* does not end sooner, counted from the opening */
	uint64_t stop_at;
	enum talk_end end;
};

struct talk {
	struct talk_plan plan;
	uint64_t sent, received;
	uint64_t wrong; /* bytes that were not what the other side sent */
	uint64_t opened_us, paused_us, over_us;
	uint64_t wake_us; /* somebody should kick it then; 0: no need */
	bool open, eof, shut, left, over;
	enum conv_end why;
	struct conv *c; /* referenced from the opening on, until talk_release */
};

/** Calls of a listener whose options are a struct talk_hall. */
struct talk_hall {
	/** Whose call it is; NULL: nobody's. */
	struct talk *(*of)(void *arg, const struct key *k);
	void *arg;
	uint64_t strays; /* calls of nobody, or of one that has had it */
};

extern const struct service talk_service;

/** Open it from a worker. @return 0 or what connect says */
int talk_open(struct worker *w, struct talk *t, const struct key *k);
/** Somebody's wake_us has come: kick it, on any seat. */
void talk_wake(struct stack *s, unsigned seat, struct talk *t);
/** Give the reference of one that is over back. Control thread. */
void talk_release(struct stack *s, struct talk *t);
/** Make it new for another round with the same plan. */
void talk_renew(struct talk *t);
/** It ended in order, and all that the other side sent has come. */
bool talk_exact(const struct talk *t);
/** The same, but that the answer to its FIN never came: the last ACK is lost, and then each RST (R2). */
bool talk_unheard(const struct talk *t);
