/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The hostile mix: some fifty conversations of many kinds between two stacks, over a link whose character, like all
 * else, is drawn from the seed.
 */
#pragma once

#include "sim.h"
#include "talk.h"

#define MIX_TCP      60
#define MIX_UDP      15
#define MIX_LIMIT_US UINT64_C(400000000)

/* Ports: of the conversation with number i it is the base plus i. */
#define MIX_PORT_TALK   2000 /* listened at, on both hosts */
#define MIX_PORT_DENIED 2500 /* listened at, but not for us */
#define MIX_PORT_OPEN   3000 /* nobody listens: simultaneous open */
#define MIX_PORT_CLOSED 3500 /* nobody listens, ever */
#define MIX_PORT_REUSED 4000 /* the opener's own, where it is the same each time */
#define MIX_PORT_ECHO   7
#define MIX_PORT_ONE    8 /* UDP, one conversation for all */
#define MIX_PORT_LAZY   9 /* UDP, reads nothing */

enum mix_kind {
	MIX_ECHO, /* the product's own echo */
	MIX_UPLOAD,
	MIX_DOWNLOAD,
	MIX_REQUESTS,
	MIX_HALF_CLOSE, /* one side speaks long after the other has shut down */
	MIX_BOTH, /* both send, and shut down as they are done */
	MIX_CLOSE_AT_ONCE, /* both shut down at the same time */
	MIX_SLOW_READER,
	MIX_IDLE,
	MIX_OPEN_AT_ONCE, /* simultaneous open */
	MIX_REUSE, /* the same tuple again, while its time-wait remain stands */
	MIX_EXACT_KINDS, /* those above end in order and byte-exact, those below are torn */
	MIX_HANGUP = MIX_EXACT_KINDS,
	MIX_UNREAD, /* close with data unread */
	MIX_CLOSE_EARLY, /* close while the peer sends */
	MIX_KILLED, /* hung up by hand, at any time, on any side */
	MIX_ORPHAN, /* closed, and the peer never closes: FIN-WAIT-2 */
	MIX_REFUSED, /* nobody listens */
	MIX_DENIED,
	MIX_ABANDONED, /* closed before it was open */
	MIX_KINDS
};
const char *mix_kind_name(enum mix_kind k);

/** A TCP conversation. */
struct mix_conv {
	enum mix_kind kind;
	bool v6, open_at_once;
	unsigned host; /* who opens */
	uint64_t open_us; /* when */
	unsigned rounds; /* still to come */
	unsigned opens; /* so often */
	uint64_t kill_us; /* hung up by hand then; 0: not */
	unsigned kill_host;
	struct talk a, b; /* of the opener, of the other side */
};

enum mix_udp_kind {
	MIX_UDP_ECHO,
	MIX_UDP_ONE,
	MIX_UDP_LAZY,
	MIX_UDP_CLOSED,
	MIX_UDP_LOOP,
	MIX_UDP_KINDS
};

/** A UDP client; its server echoes. */
struct mix_udp {
	enum mix_udp_kind kind;
	bool v6;
	unsigned host;
	uint32_t seed;
	unsigned total, sent, came;
	uint64_t gap_us, wake_us;
	uint32_t longest;
	uint64_t wrong;
	bool left, over;
	enum conv_end why;
	struct conv *c;
};

/** A change of the link on the way. */
struct mix_event {
	uint64_t at_us; /* from the start; 0: none */
	unsigned from; /* direction */
	struct sim_link link;
};
#define MIX_EVENTS 8

struct mix {
	struct sim_conf conf;
	struct sim *s;
	struct worker rng; /* of the drawing */
	struct mix_conv conv[MIX_TCP];
	struct mix_udp udp[MIX_UDP];
	struct mix_event event[MIX_EVENTS];
	unsigned nevents;
	bool tight; /* not room for all: some are turned away, and that is all that may happen to them */
	struct talk_hall hall[2];
	uint64_t start_us;
	uint64_t unheard;
};

/** Everything that the seed decides beforehand. */
void mix_draw(struct mix *x, uint64_t seed);

/* ---- mix_udp.c ---- */

extern const struct service mix_lazy;
int mix_udp_open(struct mix *x, struct mix_udp *u);
void mix_udp_wake(struct mix *x, struct mix_udp *u);
/** @return false and a line in what: it went wrong */
bool mix_udp_ok(const struct mix_udp *u, char *what, size_t len);

/* ---- mix_run.c ---- */

struct coverage;

/** Sums over seeds, but for the trace. */
struct mix_result {
	uint64_t trace; /* see sim_trace */
	uint64_t frames, steps;
	uint64_t
		unheard; /* lost each time: the last ACK of a handshake, or that of a FIN with each RST */
};

/** Run one seed; what was met is added to cov. @return 0, or -1: told on stdout why */
int mix_seed(uint64_t seed, const char *pcapng, struct coverage *cov, struct mix_result *ret);
