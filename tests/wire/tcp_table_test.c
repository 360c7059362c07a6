/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * State by event: what RFC 9293 section 3.10.7 (with RFC 5961 and RFC 1337) says to each kind of segment in each state:
 * 12 rows (SYN-RECEIVED twice: of a passive and of a simultaneous open) x 8 segments x 4 places of the sequence number x
 * 4 acknowledgements, over IPv4 and IPv6. What is expected is told by the text of the RFC, step by step, below; not by the code.
 */
#include <stdio.h>
#include <string.h>

#include "util.h"
#include "wire.h"

#define WND    2048 /* our receive window */
#define UNSENT 100 /* bytes of ours that are outstanding where data may be */
#define TEXT   5 /* bytes in a segment with data */
#define DELAY_MS \
	60 /* a delayed ACK is there by then (RFC 9293 section 3.8.6.3), a retransmission is not yet */

enum row {
	CLOSED,
	LISTEN,
	SYN_SENT,
	SYN_RECEIVED, /* of a passive open */
	SYN_RECEIVED_ACTIVE, /* of a simultaneous open */
	ESTABLISHED,
	FIN_WAIT_1,
	FIN_WAIT_2,
	CLOSE_WAIT,
	CLOSING,
	LAST_ACK,
	TIME_WAIT,
	ROWS
};
static const char *const state_name[ROWS] = {"", "", "SYN-SENT", "SYN-RECEIVED", "SYN-RECEIVED",
	"ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK",
	"TIME-WAIT"};

enum event {
	EV_SYN,
	EV_RST,
	EV_FIN,
	EV_ACK,
	EV_DATA,
	EV_DATA_FIN,
	EV_SYN_ACK,
	EV_PROBE, /* a byte for a window that is closed, where there can be one */
	EVENTS
};
static const char *const event_name[EVENTS] = {
	"SYN", "RST", "FIN", "ACK", "data", "data+FIN", "SYN-ACK", "probe"};

enum place {
	EXACT,
	IN_WINDOW,
	BELOW,
	ABOVE,
	PLACES
};
static const char *const place_name[PLACES] = {"exact", "in window", "below", "above"};

enum ack {
	ACCEPTABLE,
	OLD,
	FUTURE,
	ABSENT,
	ACKS
};
static const char *const ack_name[ACKS] = {"acceptable", "old", "future", "absent"};

enum answer {
	NOTHING,
	ANSWER_ACK, /* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, at once */
	ANSWER_ACK_SOON, /* the same, perhaps delayed */
	ANSWER_SYN_ACK,
	ANSWER_RST, /* <SEQ=SEG.ACK><CTL=RST> */
	ANSWER_RST_ACK, /* <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> */
};
static const char *const answer_name[] = {
	"nothing", "ACK", "ACK (may be delayed)", "SYN-ACK", "RST", "RST,ACK"};

/** One case: the segment, where we stand, and what should come of it. */
struct run {
	struct wire *w;
	struct wire_conn k;
	enum row row;
	enum event ev;
	enum place place;
	enum ack ack;
	/* Relative numbers, before the segment. */
	uint32_t rcv_nxt, snd_una, snd_nxt, wnd;
	/* The segment. */
	uint8_t flags;
	uint32_t seq, seg_ack, len;
};

struct outcome {
	enum answer answer;
	enum row next;
	uint32_t taken; /* RCV.NXT moves by so much */
};

/* ---- what the RFC says ---- */

static uint32_t
seg_len(const struct run *r)
{
	return r->len + ((r->flags & SYN) != 0) + ((r->flags & FIN) != 0);
}

/** Section 3.10.7.1. */
static struct outcome
expect_closed(const struct run *r)
{
	if ((r->flags & RST) != 0)
		return (struct outcome){NOTHING, r->row, 0};
	return (struct outcome){(r->flags & ACK) != 0 ? ANSWER_RST : ANSWER_RST_ACK, r->row, 0};
}

/** Section 3.10.7.2. */
static struct outcome
expect_listen(const struct run *r)
{
	if ((r->flags & RST) != 0)
		return (struct outcome){NOTHING, LISTEN, 0};
	if ((r->flags & ACK) != 0)
		return (struct outcome){ANSWER_RST, LISTEN, 0};
	if ((r->flags & SYN) != 0)
		return (struct outcome){ANSWER_SYN_ACK, SYN_RECEIVED, 0};
	return (struct outcome){NOTHING, LISTEN, 0};
}

/** Section 3.10.7.3. */
static struct outcome
expect_syn_sent(const struct run *r)
{
	if (r->ack == OLD || r->ack == FUTURE)
		return (struct outcome){(r->flags & RST) != 0 ? NOTHING : ANSWER_RST, SYN_SENT, 0};
	if ((r->flags & RST) != 0)
		return (struct outcome){NOTHING, r->ack == ABSENT ? SYN_SENT : CLOSED, 0};
	if ((r->flags & SYN) == 0)
		return (struct outcome){NOTHING, SYN_SENT, 0};
	if (r->ack == ABSENT)
		return (struct outcome){ANSWER_SYN_ACK, SYN_RECEIVED_ACTIVE, 0};
	return (struct outcome){ANSWER_ACK, ESTABLISHED, 0};
}

/** TIME-WAIT: a new call (section 3.6.1), the FIN again; RST is ignored (RFC 1337 section 3 (a)). */
static struct outcome
expect_time_wait(const struct run *r)
{
	if ((r->flags & RST) != 0)
		return (struct outcome){NOTHING, TIME_WAIT, 0};
	if ((r->flags & (SYN | ACK)) == SYN && (r->place == IN_WINDOW || r->place == ABOVE))
		return (struct outcome){ANSWER_SYN_ACK, SYN_RECEIVED, 0};
	/* A bare ACK is not answered, though it may be out of place: it could be an answer to ours. */
	return (struct outcome){seg_len(r) > 0 ? ANSWER_ACK : NOTHING, TIME_WAIT, 0};
}

/** First: table 6 of section 3.4. */
static bool
acceptable(const struct run *r)
{
	uint32_t at = r->seq - r->rcv_nxt, last = at + seg_len(r) - 1;

	if (seg_len(r) == 0)
		return r->wnd == 0 ? at == 0 : at < r->wnd;
	return r->wnd > 0 && (at < r->wnd || last < r->wnd);
}

/** Second and fourth: RST and SYN, by RFC 5961 where it is stricter. @return true if that was all */
static bool
expect_rst_syn(const struct run *r, struct outcome *o)
{
	if ((r->flags & RST) != 0) {
		if (r->place == EXACT)
			*o = (struct outcome){NOTHING, CLOSED, 0};
		return true;
	}
	if ((r->flags & SYN) == 0)
		return false;
	/* "Return to the LISTEN state": the same segment is looked at there, as its retransmission would be. */
	if (r->row == SYN_RECEIVED)
		*o = expect_listen(r);
	return true;
}

/** Fifth: ACK. @return true if that was all */
static bool
expect_ack(const struct run *r, struct outcome *o)
{
	if (r->ack == ABSENT) {
		*o = (struct outcome){NOTHING, r->row, 0};
		return true;
	}
	if (r->row == SYN_RECEIVED || r->row == SYN_RECEIVED_ACTIVE) {
		*o = (struct outcome){r->ack == ACCEPTABLE ? NOTHING : ANSWER_RST,
			r->ack == ACCEPTABLE ? ESTABLISHED : r->row, 0};
		return r->ack != ACCEPTABLE;
	}
	*o = (struct outcome){NOTHING, r->row, 0};
	if (r->ack == FUTURE) {
		o->answer = ANSWER_ACK;
		return true;
	}
	if (r->ack == OLD)
		return false;
	if (r->row == FIN_WAIT_1)
		o->next = FIN_WAIT_2;
	if (r->row == CLOSING)
		o->next = TIME_WAIT;
	if (r->row == LAST_ACK) {
		o->next = CLOSED;
		return true;
	}
	return false;
}

/** Seventh and eighth: text and FIN. */
static void
expect_text(const struct run *r, struct outcome *o)
{
	bool open = o->next == ESTABLISHED || o->next == FIN_WAIT_1 || o->next == FIN_WAIT_2;

	if (seg_len(r) == 0)
		return;
	o->answer = ANSWER_ACK;
	if (!open || r->place != EXACT || r->wnd == 0)
		return; /* ignored, or it waits for what is missing: the ACK says where we stand */
	o->taken = seg_len(r);
	if ((r->flags & FIN) == 0) {
		o->answer = ANSWER_ACK_SOON;
		return;
	}
	if (o->next == ESTABLISHED)
		o->next = CLOSE_WAIT;
	else if (o->next == FIN_WAIT_1)
		o->next = CLOSING;
	else
		o->next = TIME_WAIT;
}

/** Section 3.10.7.4, in its order. */
static struct outcome
expect(const struct run *r)
{
	struct outcome o = {ANSWER_ACK, r->row, 0};

	switch (r->row) {
	case CLOSED:
		return expect_closed(r);
	case LISTEN:
		return expect_listen(r);
	case SYN_SENT:
		return expect_syn_sent(r);
	case TIME_WAIT:
		return expect_time_wait(r);
	default:
		break;
	}
	/* "Special allowance" for the ACK of a probe of a closed window. */
	if (!acceptable(r) && !(r->wnd == 0 && r->place == EXACT)) {
		if ((r->flags & RST) != 0)
			o.answer = NOTHING;
		return o;
	}
	if (expect_rst_syn(r, &o) || expect_ack(r, &o))
		return o;
	expect_text(r, &o);
	return o;
}

/* ---- how to get there ---- */

static void
to_established(struct run *r)
{
	wire_accept(&r->k);
	r->rcv_nxt = r->snd_una = r->snd_nxt = 1;
}

static void
to_close_wait(struct run *r)
{
	to_established(r);
	wire_send(&r->k, FIN | ACK, 1, 1, 0);
	r->rcv_nxt = 2;
}

static void
to_fin_sent(struct run *r)
{
	wire_shutdown(&r->k);
	r->snd_nxt = 2;
}

static void
to_time_wait(struct run *r)
{
	to_established(r);
	to_fin_sent(r);
	wire_send(&r->k, FIN | ACK, 1, 1, 0);
	wire_send(&r->k, ACK, 2, 2, 0);
	r->rcv_nxt = r->snd_una = 2;
}

static void
outstanding(struct run *r)
{
	wire_write(&r->k, UNSENT);
	r->snd_nxt = 1 + UNSENT;
}

/** Into the row's state, with numbers known and nothing of ours unseen. */
static void
enter(struct run *r)
{
	r->wnd = WND;
	switch (r->row) {
	case CLOSED:
		r->k.our_port = WIRE_PORT + 1;
		break;
	case LISTEN:
	case ROWS:
		break;
	case SYN_SENT:
	case SYN_RECEIVED_ACTIVE:
		wire_connect(&r->k);
		wire_expect(&r->k, SYN, 0, WIRE_ANY, 0);
		r->snd_nxt = r->rcv_nxt = 1;
		if (r->row == SYN_RECEIVED_ACTIVE)
			wire_send(&r->k, SYN, 0, 0, 0);
		break;
	case SYN_RECEIVED:
		wire_send(&r->k, SYN, 0, 0, 0);
		wire_expect(&r->k, SYN | ACK, 0, 1, 0);
		r->snd_nxt = r->rcv_nxt = 1;
		wire_run(r->w, 250); /* it answers so often, and not more */
		break;
	case ESTABLISHED:
		to_established(r);
		outstanding(r);
		break;
	case FIN_WAIT_1:
		to_established(r);
		to_fin_sent(r);
		break;
	case FIN_WAIT_2:
		to_established(r);
		to_fin_sent(r);
		wire_send(&r->k, ACK, 1, 2, 0);
		r->snd_una = 2;
		break;
	case CLOSE_WAIT:
		to_close_wait(r);
		outstanding(r);
		break;
	case CLOSING:
		to_established(r);
		to_fin_sent(r);
		wire_send(&r->k, FIN | ACK, 1, 1, 0);
		r->rcv_nxt = 2;
		break;
	case LAST_ACK:
		to_close_wait(r);
		to_fin_sent(r);
		break;
	case TIME_WAIT:
		to_time_wait(r);
		break;
	}
	if (r->ev == EV_PROBE && r->row >= ESTABLISHED && r->row <= FIN_WAIT_2) {
		for (unsigned i = 0; i < 2; i++)
			wire_send(&r->k, ACK, 1 + i * WND / 2, r->snd_una, WND / 2);
		r->rcv_nxt = 1 + WND;
		r->wnd = 0;
	}
	wire_discard(r->w);
	wire_state(&r->k, state_name[r->row]);
}

/** Seq, ack and flags of the segment. */
static void
make(struct run *r)
{
	static const uint8_t flags[EVENTS] = {SYN, RST, FIN, 0, PSH, PSH | FIN, SYN, PSH};
	static const uint32_t len[EVENTS] = {
		[EV_DATA] = TEXT, [EV_DATA_FIN] = TEXT, [EV_PROBE] = 1};
	const uint32_t place[PLACES] = {0, 10, (uint32_t)-20, r->wnd + 10};
	const uint32_t ack[ACKS] = {r->snd_nxt, r->snd_una - 1, r->snd_nxt + 1, 0};

	r->flags = (uint8_t)(flags[r->ev] | (r->ack != ABSENT ? ACK : 0));
	r->len = len[r->ev];
	r->seq = r->rcv_nxt + place[r->place];
	r->seg_ack = ack[r->ack];
	/* Before the handshake is complete nothing below our SYN was ever sent: ISS itself is old. */
	if (r->row == SYN_SENT || r->row == SYN_RECEIVED || r->row == SYN_RECEIVED_ACTIVE)
		r->seg_ack = r->ack == OLD ? 0 : r->seg_ack;
}

/* ---- what came of it ---- */

/** All that is wrong is told, and then the row fails. */
static unsigned complaints;

static void
complain(const struct run *r, const struct outcome *o, const char *what)
{
	print_error("%s: %s, seq %s, ack %s%s: %s; the RFC says: answer %s, state %s\n",
		state_name[r->row], event_name[r->ev], place_name[r->place], ack_name[r->ack],
		r->wnd == 0 ? ", window closed" : "", what, answer_name[o->answer],
		state_name[o->next]);
	complaints++;
}

static enum answer
kind_of(const struct wire_seg *s)
{
	switch (s->flags & ~PSH) {
	case ACK:
		return s->len == 0 ? ANSWER_ACK : NOTHING;
	case SYN | ACK:
		return ANSWER_SYN_ACK;
	case RST:
		return ANSWER_RST;
	case RST | ACK:
		return ANSWER_RST_ACK;
	default:
		return NOTHING;
	}
}

static bool
numbers_right(const struct run *r, const struct outcome *o, const struct wire_seg *s)
{
	uint32_t seq = r->seq + ((r->flags & SYN) != 0);

	switch (o->answer) {
	case ANSWER_RST:
		return s->raw_seq == r->k.iss + r->seg_ack;
	case ANSWER_RST_ACK:
		return s->raw_seq == 0 && s->ack == r->seq + seg_len(r);
	case ANSWER_SYN_ACK:
		return s->ack == seq;
	case ANSWER_ACK:
	case ANSWER_ACK_SOON:
		if (r->row == SYN_SENT)
			return s->seq == 1 && s->ack == seq;
		return s->seq == r->snd_nxt && s->ack == r->rcv_nxt + o->taken;
	default:
		return true;
	}
}

static void
judge_answer(struct run *r, const struct outcome *o)
{
	enum answer want = o->answer == ANSWER_ACK_SOON ? ANSWER_ACK : o->answer;
	bool at_once = wire_pending(r->w) > 0;
	struct wire_seg s;

	wire_run(r->w, DELAY_MS);
	if (wire_pending(r->w) != (o->answer != NOTHING)) {
		complain(r, o, wire_pending(r->w) == 0 ? "no answer" : "an answer too many");
		return;
	}
	if (o->answer == NOTHING)
		return;
	wire_next(r->w, &r->k, &s);
	if (o->answer != ANSWER_ACK_SOON && !at_once)
		complain(r, o, "the answer was late");
	if (kind_of(&s) != want)
		complain(r, o, "another kind of answer");
	else if (!numbers_right(r, o, &s))
		complain(r, o, "wrong numbers in the answer");
}

static void
judge(struct run *r, const struct outcome *o)
{
	char what[64];

	judge_answer(r, o);
	if (strcmp(wire_state_name(&r->k), state_name[o->next]) == 0)
		return;
	(void)snprintf(what, sizeof(what), "state %s", wire_state_name(&r->k));
	complain(r, o, what);
}

/** Nothing of it is left but what times out. */
static void
leave(struct run *r)
{
	if (r->k.c != NULL)
		wire_hangup(&r->k);
	else if (strcmp(wire_state_name(&r->k), "SYN-RECEIVED") == 0)
		wire_send(&r->k, RST, wire_status(&r->k).rcv_nxt - r->k.isn, 0, 0);
	wire_run(r->w, 3);
	wire_discard(r->w);
}

static void
run_one(struct wire *w, enum row row, enum event ev, enum place place, enum ack ack)
{
	struct run r = {.w = w, .row = row, .ev = ev, .place = place, .ack = ack};
	struct outcome o;

	wire_conn(w, &r.k);
	r.k.ts = false; /* PAWS would decide before the table does */
	wire_accepting(&r.k);
	enter(&r);
	make(&r);
	o = expect(&r);
	wire_accepting(&r.k);
	wire_send(&r.k, r.flags, r.seq, r.seg_ack, r.len);
	judge(&r, &o);
	leave(&r);
}

static void
run_row(enum row row, bool v6)
{
	struct wire_conf conf = {
		.v6 = v6,
		.conversations = 1024,
		.half_open = 1024,
		.time_wait = 1024,
		.listener_half_open = 1024,
		.tcp = {.recv_max = WND, .time_wait_ms = 300},
	};
	struct wire *w = wire_open(&conf);

	complaints = 0;
	for (unsigned ev = 0; ev < EVENTS; ev++)
		for (unsigned place = 0; place < PLACES; place++)
			for (unsigned ack = 0; ack < ACKS; ack++)
				run_one(w, row, ev, place, ack);
	wire_close(w);
	assert_int_equal(complaints, 0);
}

struct which {
	enum row row;
	bool v6;
};

static void
test_row(void **state)
{
	const struct which *which = *state;

	run_row(which->row, which->v6);
}

#define ROW(name, r, six)                                   \
	{                                                   \
		name, test_row, NULL, NULL, &(struct which) \
		{                                           \
			.row = (r), .v6 = (six)             \
		}                                           \
	}
#define BOTH(name, r) ROW(name " v4", r, false), ROW(name " v6", r, true)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH("CLOSED", CLOSED),
		BOTH("LISTEN", LISTEN),
		BOTH("SYN-SENT", SYN_SENT),
		BOTH("SYN-RECEIVED", SYN_RECEIVED),
		BOTH("SYN-RECEIVED of a simultaneous open", SYN_RECEIVED_ACTIVE),
		BOTH("ESTABLISHED", ESTABLISHED),
		BOTH("FIN-WAIT-1", FIN_WAIT_1),
		BOTH("FIN-WAIT-2", FIN_WAIT_2),
		BOTH("CLOSE-WAIT", CLOSE_WAIT),
		BOTH("CLOSING", CLOSING),
		BOTH("LAST-ACK", LAST_ACK),
		BOTH("TIME-WAIT", TIME_WAIT),
	};

	test_eal("tcp_table_test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
