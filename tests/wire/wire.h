/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A stack on a wire: segments in, segments out, a clock that moves when told. The
 * test plays the peer, byte by byte; our side is a service that the test steers.
 *
 * Sequence numbers are relative: seq 0 is a side's SYN, its first byte is 1. The bytes
 * of both streams follow a pattern of their place, so that what comes back can be checked.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stack.h"

#define FIN         0x01
#define SYN         0x02
#define RST         0x04
#define PSH         0x08
#define ACK         0x10
#define URG         0x20
#define ECE         0x40
#define CWR         0x80

#define WIRE_PORT   7 /* where our listener is */
#define WIRE_ANY    (-1)
#define WIRE_NONE   (-1) /* option that is not sent, or was not there */
#define WIRE_OUTBOX 4096

struct wire;

/** What the service does by itself. */
struct wire_service {
	bool read; /* takes what it gets, and checks the pattern */
	bool echo; /* and writes it back */
	bool fills; /* writes as much as there is room for when it is told of room */
	bool close_on_fin; /* closes when the peer has shut down */
	bool no_shutdown; /* has no shutdown callback at all */
	bool no_trouble; /* nor one for trouble */
};

struct wire_conf {
	unsigned workers; /* 0: 1 */
	struct tcp_conf tcp;
	struct wire_service service;
	uint32_t conversations, half_open, time_wait; /* 0: 64 each */
	uint32_t listener_half_open; /* 0: 64 */
	uint16_t mtu; /* 0: 1500 */
	bool tso; /* the port cuts packets into TCP segments */
	bool v6; /* fd05::1 and the peer fd05::2, else 10.5.0.1 and .2 */
};

/** One conversation, seen from the test: peer's numbers, and what became of it on our side. */
struct wire_conn {
	struct wire *w;
	uint16_t peer_port, our_port;
	uint32_t isn, iss; /* the peer's (chosen), ours (seen) */
	bool iss_known;
	uint16_t wnd; /* field of what the peer sends */
	bool ts; /* send the timestamps option */
	uint32_t ts_val, ts_ecr; /* ts_val 0: the peer's clock */
	int mss, wscale; /* of the next SYN */
	bool sack_ok;
	unsigned nsack; /* of the next segment, relative to our iss */
	uint32_t sack[4][2];
	bool ce; /* the next segment is marked on its way (RFC 3168) */

	/* our side */
	struct conv *c; /* referenced from accept or connect on */
	unsigned accepted, connected, failed, shutdowns, hangups, recvs, drains;
	unsigned troubles, detail; /* of the last: what it was, see struct service */
	enum conv_trouble trouble;
	bool hangup_in_trouble;
	enum conv_end why;
	uint64_t read, written; /* bytes */
	void (*todo)(struct worker *w, struct wire_conn *k); /* run by the next kick */
	uint32_t todo_n;
	int result;
};

enum wire_icmp {
	WIRE_NO_HOST, /* a soft error */
	WIRE_NO_PORT, /* a hard one */
	WIRE_TOO_BIG
};

/** A segment that we sent. */
struct wire_seg {
	uint8_t flags;
	uint32_t seq, ack; /* relative; raw in a reset to nobody */
	uint32_t raw_seq, raw_ack;
	uint16_t wnd;
	uint32_t len;
	int mss, wscale;
	bool sack_ok, ts;
	uint32_t ts_val, ts_ecr;
	unsigned nsack;
	uint32_t sack[4][2]; /* relative to the peer's isn */
	uint16_t peer_port;
	uint8_t tos, ttl;
	uint8_t data[2048];
	uint64_t at_us;
};

/** Arguments of a test program: "v6" makes every wire one of IPv6, with an MTU that leaves segments as long. */
void wire_args(int argc, char **argv);
/** IPv6 by argument: types and codes of ICMP, and figures, differ. */
bool wire_v6(void);
struct wire *wire_open(const struct wire_conf *conf);
/** End of a test: the rest of what was sent is thrown away, conversations are hung up, and everything must come back. */
void wire_close(struct wire *w);
struct stack *wire_stack(struct wire *w);
struct worker *wire_worker(struct wire *w, unsigned i);
struct listener *wire_listener(struct wire *w);
/** The next frames go to this worker. */
void wire_to(struct wire *w, unsigned worker);
uint64_t wire_now_us(const struct wire *w);

/** Let ms pass, in steps of 1 ms, all workers turning. */
void wire_run(struct wire *w, unsigned ms);
/** Turn until nobody has anything to do, without time passing. */
void wire_turn(struct wire *w);

/**
 * From here on the port keeps what it is given to send, as a NIC does until its ring comes round; hold false: it lets go of it, and
 * of what comes. The test fails if a frame has changed meanwhile.
 */
void wire_hold(struct wire *w, bool hold);

/** A peer with fresh numbers; sack_ok, timestamps, mss 1460, wscale 0. */
void wire_conn(struct wire *w, struct wire_conn *k);

/** Put a segment on the wire and let it be processed. */
void wire_send(struct wire_conn *k, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len);
/** Several in one burst: queue, then wire_turn. */
void wire_queue(struct wire_conn *k, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len);
/** An ICMP error about a segment of ours with this relative sequence number; mtu: of WIRE_TOO_BIG. */
void wire_icmp(struct wire_conn *k, enum wire_icmp what, uint16_t mtu, uint32_t seq);

/** The next segment that was sent; the test fails if there is none. WIRE_ANY: not looked at. */
struct wire_seg wire_expect(struct wire_conn *k, int flags, int64_t seq, int64_t ack, int64_t len);
/** Nothing was sent. */
void wire_silent(struct wire *w);
/** Segments that were sent and not looked at yet. */
unsigned wire_pending(struct wire *w);
void wire_discard(struct wire *w);
/** Lose what is waiting to be looked at, and tell how many there were, with the time of the first. */
bool wire_next(struct wire *w, struct wire_conn *k, struct wire_seg *ret);

/** Handshake with us as server. k->c is set. */
void wire_accept(struct wire_conn *k);
/** The next call that is accepted is this one. */
void wire_accepting(struct wire_conn *k);
/** The last ACK of a handshake; k->c is set. */
void wire_expect_accept(struct wire_conn *k);
/** A wire, with one call on it that was accepted. */
struct wire *wire_open_one(const struct wire_conf *conf, struct wire_conn *k);
/** Handshake with us as client. */
void wire_connect(struct wire_conn *k);

/* What our side does, from inside. */
void wire_write(struct wire_conn *k, uint32_t len);
void wire_read(struct wire_conn *k);
void wire_shutdown(struct wire_conn *k);
void wire_do_close(struct wire_conn *k);
void wire_hangup(struct wire_conn *k);

/** State by name: "ESTABLISHED"; "" when there is no node of any kind any more. */
const char *wire_state_name(struct wire_conn *k);
void wire_state(struct wire_conn *k, const char *state);
struct conv_status wire_status(struct wire_conn *k);
/** A counter of TCP. */
uint64_t wire_stat(struct wire *w, const char *name);
uint64_t wire_drops(struct wire *w, enum drop_reason r);
uint64_t wire_delivered(struct wire *w);
