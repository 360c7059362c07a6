/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the scenarios of whole stacks play in: one stack with real TCP and UDP, two workers, a control thread, two
 * interfaces with IPv4 and IPv6 each, and peers made of forged frames. Made once; each schedule begins and ends with
 * all at rest.
 *
 * Every payload carries its peer's number, the life of the conversation that it is for, and a serial number. The one service,
 * "witness", looks at what reaches it: a payload of another peer or life, a conversation that is not clean at
 * its birth, two inside at once, a call of a closed listener: all are told at once.
 */
#pragma once

#include <assert.h>

#include "conv_priv.h"
#include "explore.h"
#include "stack.h"
#include "tcp_priv.h"

#define HOST_WORKERS 2
#define HOST_PEERS   8
#define HOST_IRS \
	1000 /* the peers' initial sequence number: all the same, so that what is meant for one fits another */
#define HOST_PORT    80
#define HOST_TURN_US 2000 /* from turn to turn */
#define HOST_PAYLOAD 8 /* bytes of each */
#define HOST_SERIALS 32

/** Listeners: TCP and UDP on HOST_PORT, always open at the start; and one more that a scenario may open. */
enum host_listeners {
	HOST_TCP,
	HOST_UDP,
	HOST_OTHER,
	HOST_LISTENERS
};

/** One who talks to us: a forged tuple. The peer's port is 1000 + number. */
struct host_peer {
	unsigned number, ifc;
	bool v6;
	uint8_t proto;
	uint16_t lport;
};

/** What became of a peer's conversations in this schedule. */
struct host_seen {
	unsigned lives; /* accepted or connected */
	unsigned connected, failed, hangups, kicked;
	enum conv_end end;
	uint8_t got[HOST_SERIALS]; /* the life that had it; 0: not delivered */
	/* What we sent to it. */
	unsigned sent; /* segments or datagrams */
	unsigned syn_acks, resets, unreachables;
	uint32_t seq; /* of the last segment */
};

extern struct host_seen host_seen[HOST_PEERS];
extern struct stack *host;
extern struct listener *host_listener[HOST_LISTENERS]; /* NULL: closed */

/* What a scenario may add; NULL at the start of each. */
extern void (*host_on_sent)(const struct host_peer *p);
extern void (*host_on_born)(struct worker *w, struct conv *c);
extern void (*host_on_recv)(struct worker *w, struct conv *c);
extern void (*host_on_kicked)(struct worker *w, struct conv *c);

/** The stack; once per program, after EAL. */
void host_open(void);
/** For a scenario's setup: neighbours are known, listeners are open, nothing was seen yet. */
void host_begin(void);
/** For a scenario's check: all ends, all is back (I1-I10). */
void host_rest(void);

/** A listener on all addresses, with the witness behind it. */
struct listener *host_listen(uint8_t proto, uint16_t port);
void host_unlisten(enum host_listeners i);

/** A thread of a scenario begins and ends as worker i. */
void host_on(unsigned i);
void host_off(unsigned i);
/** n turns of worker i, 2 ms apart. */
void host_turns(unsigned i, unsigned n);
/** Time passes, and nobody looks. */
void host_late(unsigned ms);
/** The control thread's part, once. */
void host_control_tick(void);

struct key host_key(const struct host_peer *p);
/** Frames that worker i will find in its next turn. */
void host_tcp(unsigned i, const struct host_peer *p, uint8_t flags, uint32_t seq, uint32_t ack);
void host_tcp_data(unsigned i, const struct host_peer *p, uint32_t seq, uint32_t ack, unsigned life,
	unsigned serial);
void host_udp(unsigned i, const struct host_peer *p, unsigned life, unsigned serial);
/** A hard ICMP error (port unreachable) about a packet of ours to p that had this sequence number. */
void host_unreachable(unsigned i, const struct host_peer *p, uint32_t seq);

/** A TCP call of p, whole, on worker i: SYN, SYN-ACK, ACK. */
void host_call(unsigned i, const struct host_peer *p);
/** The conversation of p, without a reference, or NULL. In setup and check only, or where nobody else can end it. */
struct conv_node *host_node(const struct host_peer *p);
/** An active open to p from worker i; *ret_c is referenced. @return as struct proto's connect */
int host_connect(unsigned i, const struct host_peer *p, struct conv **ret_c);
/** The control thread hangs the conversation up. @return 0, -ENOENT */
int host_hangup(struct conv_handle h);
