/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * convgen's stateless mode: opens and keeps so many TCP conversations that their state would not fit, by having none. A
 * conversation is a number: its tuple and initial sequence number follow from that, the rest (the peer's sequence numbers,
 * timestamps) from each packet that comes. What is remembered of each are two bits. Some are asked, and only then what is outstanding
 * has a place in a small table.
 *
 * One thread. Time is an argument; frames go in by gen_hold_input and come out in `out`, whose owner sends and empties it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "gen_frame.h"
#include "gen_hist.h"
#include "gen_space.h"

#define GEN_HOLD_OUT       256 /* frames that wait to be sent */
#define GEN_HOLD_INPUT     32 /* frames taken in at once; each is answered by two at most */
#define GEN_HOLD_SLOT_BITS 12
#define GEN_HOLD_SLOTS     (1u << GEN_HOLD_SLOT_BITS) /* places for requests */
#define GEN_HOLD_PASSES    6 /* SYNs sent at most for one conversation */
#define GEN_HOLD_SIZE      1024 /* most bytes of a request */

/** What it does now, one after the other. */
enum gen_hold_phase {
	GEN_HOLD_OPEN,
	GEN_HOLD_KEEP,
	GEN_HOLD_SAMPLE,
	GEN_HOLD_END,
	GEN_HOLD_DONE
};

struct gen_hold_conf {
	struct gen_space space; /* count: held and churned ones */
	uint32_t held; /* numbers below it; those from it on are opened and closed over and over */
	uint32_t sample; /* conversations that are asked */
	uint32_t size; /* bytes of a request */
	double open_rate, churn; /* per second; open_rate 0: as fast as answers come */
	double keep; /* seconds of GEN_HOLD_KEEP */
	bool options; /* SYNs have them */
	bool reset; /* end by RST: what is churned, and at the end all */
	uint64_t seed; /* of the order in which conversations are asked */
	struct rte_mempool *mp;
	struct gen_link link;
};

#define GEN_HOLD_COUNTS(X)                                                   \
	X(syns) /* of conversations to be held, repeated ones included */    \
	X(established) /* held: SYN-ACK has come */                          \
	X(refused) /* .. RST */                                              \
	X(ended) /* .. by the peer, after it was established */              \
	X(retries) /* SYNs that were sent again */                           \
	X(churn_syns)                                                        \
	X(churn_opened)                                                      \
	X(churn_closed)                                                      \
	X(churn_lost) /* its number came around, and it was not closed */    \
	X(asked)                                                             \
	X(correct)                                                           \
	X(wrong)                                                             \
	X(missing)                                                           \
	X(asked_again)                                                       \
	X(keepalives) /* probes of the peer's, answered */                   \
	X(unasked) /* segments with data that nothing was sent for */        \
	X(resets_out)                                                        \
	X(received)                                                          \
	X(sent)                                                              \
	X(bad) /* checksums, lengths */                                      \
	X(strange) /* of no conversation of ours, or nothing that we know */ \
	X(no_buffer)                                                         \
	X(unsent) /* the port had no room for too long */

struct gen_hold_counts {
#define X(name) uint64_t name;
	GEN_HOLD_COUNTS(X)
#undef X
};

enum gen_slot_stage {
	GEN_SLOT_FREE,
	GEN_SLOT_PROBE, /* a segment that is out of the window is on its way; the answer says where both sides stand */
	GEN_SLOT_ASKED, /* so is the request, or its answer */
};

struct gen_slot {
	uint32_t index;
	uint8_t stage, tries;
	bool ts, wrong;
	uint32_t got; /* bytes of the answer */
	uint32_t seq, ack; /* of the request */
	uint32_t ts_ecr;
	uint64_t due_us; /* to be sent again */
	uint64_t asked_us;
};

/** So many per second, by schedule: what was late is caught up with. */
struct gen_pace {
	uint64_t from_us, done;
};

struct gen_hold {
	struct gen_hold_conf conf;
	struct gen_hold_counts c;
	struct gen_hist hist; /* ns from request to answer */
	enum gen_hold_phase phase;
	uint64_t now_us;
	uint64_t began_us[GEN_HOLD_DONE + 1]; /* phases */
	struct gen_hold_counts at[GEN_HOLD_DONE + 1]; /* counts when they began */
	uint64_t *seen,
		*over; /* a bit each: SYN-ACK has come; the conversation has ended, or was refused */
	struct rte_mbuf *out[GEN_HOLD_OUT];
	unsigned nout;
	uint32_t next; /* number that is looked at next: to be opened, asked, ended */
	uint32_t drawn; /* numbers of the order in which they are asked that have had their turn */
	unsigned pass; /* over all numbers, while they are opened */
	uint64_t pass_us; /* the next one begins then; 0: this one is not through */
	uint32_t inflight; /* SYNs unanswered */
	uint64_t heard_us; /* when something came last */
	uint64_t end_us; /* the end may be waited for until then */
	uint32_t churned; /* next number of those, from 0 */
	struct gen_pace open, churn;
	uint32_t nslots, sweep;
	struct gen_slot slots[GEN_HOLD_SLOTS];
};

/** @return 0, -ENOMEM */
int gen_hold_make(struct gen_hold *h, const struct gen_hold_conf *conf, uint64_t now_us);
void gen_hold_free(struct gen_hold *h);
/** Take n frames in, at most GEN_HOLD_INPUT, with as many places and as many again free in out. Consumes them. ARP is none of them. */
void gen_hold_input(struct gen_hold *h, struct rte_mbuf **m, unsigned n, uint64_t now_us);
/** What is due by now: opens, requests, closes, the next phase. Sends nothing while a quarter of out is full. @return is it done? */
bool gen_hold_turn(struct gen_hold *h, uint64_t now_us);
/** Stop early: what was asked of it is left as it is. */
void gen_hold_stop(struct gen_hold *h, uint64_t now_us);
const char *gen_hold_phase_name(enum gen_hold_phase p);
/** Bytes that it keeps for all of its conversations. */
uint64_t gen_hold_bytes(const struct gen_hold *h);

/* ---- what its files share ---- */

static inline bool
gen_bit(const uint64_t *bits, uint32_t i)
{
	return (bits[i / 64] >> i % 64 & 1) != 0;
}

static inline void
gen_bit_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= UINT64_C(1) << i % 64;
}

static inline void
gen_bit_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(UINT64_C(1) << i % 64);
}

/** Queue a segment; addresses, ports and, with s->ts, our timestamp are filled in by tuple and clock. */
void gen_hold_send(struct gen_hold *h, const struct gen_tuple *t, const struct gen_seg *s);
/** Our clock of timestamps. */
uint32_t gen_hold_ts(const struct gen_hold *h);

/* gen_sample.c: requests */
/** @return the request that conversation i has outstanding, or NULL */
struct gen_slot *gen_sample_find(struct gen_hold *h, uint32_t i);
/** A segment of a conversation that is asked. */
void gen_sample_input(struct gen_hold *h, struct gen_slot *slot, const struct gen_tuple *t,
	const struct gen_seg *s);
/** Its conversation has ended, or is given up. */
void gen_sample_ended(struct gen_hold *h, struct gen_slot *slot);
/** Ask, and ask again. @return all have been asked, and have answered or are given up */
bool gen_sample_turn(struct gen_hold *h);
