/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Conversations, protocols, listeners and services: the interfaces that
 * lib/tcp and lib/udp implement towards services, and services towards them.
 *
 * A service's callbacks run inside the conversation, on whichever worker entered; two calls for one
 * conversation never overlap, calls for different ones do, on all workers at once. A service keeps
 * its state in conv->svc and reads and writes packets without copying.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conv.h"
#include "ip.h"

struct conv;
struct listener;
struct conv_status;
struct service;
struct json_t;

#define CONV_SVC_BYTES 24 /* of service state inside a conversation; more: keep a pointer there */

/** Why a conversation ended, for the service and the counters. */
enum conv_end {
	CONV_END_CLOSED, /* both sides closed in order */
	CONV_END_RESET, /* the peer sent RST */
	CONV_END_TIMEOUT, /* the peer did not answer, or was idle too long (UDP) */
	CONV_END_UNREACHABLE, /* hard ICMP error while not yet synchronised (RFC 5927) */
	CONV_END_REFUSED, /* an active open was answered with RST */
	CONV_END_HANGUP, /* from our side, by hand or at shutdown */
	CONV_END_MEMORY, /* no memory to go on */
	CONV_END_MAX
};
const char *conv_end_name(enum conv_end e);

/** What a service may want to know although the conversation goes on (RFC 9293 section 3.9.1.8). */
enum conv_trouble {
	CONV_TROUBLE_ICMP, /* an ICMP error about a packet of it; detail: its type << 8 | code (ICMP or ICMPv6) */
	CONV_TROUBLE_SILENCE, /* TCP: the peer has not acknowledged anything for so many timeouts (R1); detail: how many */
};

/**
 * A transport protocol (Plan 9's struct Proto): the whole of it on one screen. The first half is
 * called by lib/conv and lib/stack, the second by services. All but connect, miss, retire, status and stats run inside the
 * conversation.
 */
struct proto {
	const char *name;
	uint8_t number; /* IPPROTO_* */
	uint32_t size; /* bytes of a conversation, struct conv included */
	uint32_t lines; /* what of that most packets need: see conv_lines_set */

	/** A packet for the conversation (kind PKT_TCP or PKT_UDP). Consumes m in all cases. */
	void (*iput)(struct worker *w, struct conv *c, struct rte_mbuf *m);
	/** An ICMP error about a packet of the conversation (PKT_ICMP_ERROR). Consumes m. */
	void (*advise)(struct worker *w, struct conv *c, struct rte_mbuf *m);
	/** Work that is no packet: NODE_TIMER, NODE_KICK, NODE_HANGUP. */
	void (*work)(struct worker *w, struct conv *c, uint64_t bits);
	/** Once per entering, after all packets and work: run the service, then send (Plan 9's kick). */
	void (*flush)(struct worker *w, struct conv *c);
	/** The last reference has gone; give back what it holds. Nobody is inside. */
	void (*retire)(struct worker *w, struct conv *c);
	/** A packet for which there is no node: find the listener, make a node, or refuse. Consumes m. Inside nothing. */
	void (*miss)(struct worker *w, struct rte_mbuf *m);
	/**
	 * Active open. k: raddr, rport; laddr all zero: chosen; lport 0: chosen (RFC 6056, insert-if-absent).
	 * On a worker, inside nothing (or a service's kicked or timer of another conversation: nothing is entered).
	 * svc: what conv->svc begins with, s->state_size bytes; NULL: zeroes. Any worker may be inside as soon as the
	 * conversation can be found, so its state can't be set afterwards (I6).
	 * The service's connected or failed follows.
	 * @return 0 and *ret_c referenced (conv_put it); -ENETUNREACH, -EADDRINUSE, -ENOMEM
	 */
	int (*connect)(struct worker *w, const struct service *s, const struct key *k,
		const void *svc, struct conv **ret_c);

	/** Next packet of data in order, or NULL: cut to its payload (pkt->data_off 0), datagram bounds kept on
	 * UDP, so that it can be given to write as it is. The caller owns it; taking it opens the window. */
	struct rte_mbuf *(*read)(struct worker *w, struct conv *c);
	/** Send m: payload only (all of m's bytes). Consumes m in all cases; one write may go past write_room, none may start at 0.
	 * @return 0; -EPIPE (sending side closed), -ENOBUFS */
	int (*write)(struct worker *w, struct conv *c, struct rte_mbuf *m);
	/** Bytes that may be written now. At 0, wait for drain. */
	uint32_t (*write_room)(const struct conv *c);
	/** Bytes of payload in one packet now: what is written in such pieces goes out as it is, and need not be cut. */
	uint32_t (*piece)(const struct conv *c);
	/** Bytes that can be read now. */
	uint32_t (*readable)(const struct conv *c);
	/** No more writes: FIN after what is queued. */
	void (*shutdown)(struct worker *w, struct conv *c);
	/** Done with it: FIN if not yet sent; unread or further data is answered with RST (RFC 2525 section 2.17). */
	void (*close)(struct worker *w, struct conv *c);
	/** Tear down at once: RST where the protocol has one. */
	void (*hangup)(struct worker *w, struct conv *c, enum conv_end why);

	/** The protocol's part of a listing (a racy peek; any thread with a reference). */
	void (*status)(const struct worker *w, const struct conv *c, struct conv_status *ret);
	/** Its counters, summed over workers. Any thread; w is any worker of the stack. */
	void (*stats)(const struct worker *w,
		void (*each)(void *arg, const char *name, uint64_t value), void *arg);
};

/** What NODE_CONV nodes do: pass everything on to their protocol, ICMP errors to advise. */
extern const struct node_ops conv_proto_ops;

/** One row of a listing: what `convctl convs` and `conv ID` show. Times in us, sizes in bytes. */
struct conv_status {
	const char *proto;
	const char *state;
	struct key key;
	const char *service; /* or "" */
	const char *listener;
	uint64_t age_us, idle_us;
	uint32_t recv_queue, send_queue; /* bytes */
	uint32_t srtt_us, rttvar_us, rto_us;
	uint32_t cwnd, ssthresh, snd_wnd, rcv_wnd;
	uint32_t snd_una, snd_nxt, rcv_nxt;
	uint16_t mss;
	uint8_t snd_wscale, rcv_wscale;
	uint32_t retransmits;
	bool timestamps, sack, ecn;
	uint64_t bytes_in, bytes_out;
};

/** A conversation: what all protocols share. Protocols put their own state behind it. */
struct conv {
	struct conv_node cn;
	uint64_t svc[CONV_SVC_BYTES / 8];
	uint32_t born_ms;
	uint32_t mtu_at; /* TCP: when the path's MTU may have grown again; 0: it never fell */
	/* The third cache line: what every packet needs; the protocol goes on with it. */
	const struct proto *proto;
	struct listener
		*listener; /* whose configuration it has; counted, see listener.h. NULL: none */
	const struct service *service;
	struct path path;
	uint32_t active_ms; /* TCP: last packet in or out; UDP: last one that the peer sent */
	uint32_t flags; /* the protocol's own: what it is like, and what it has to do */
};
_Static_assert(offsetof(struct conv, proto) == 128, "on a line of its own");

/** A service: what is done with conversations. All pointers but name and recv (or datagram) may be NULL. */
struct service {
	const char *name;
	bool tcp, udp; /* protocols it can serve */
	size_t state_size; /* <= CONV_SVC_BYTES, checked at registration */

	/** Parse a listener's "options" object (may be NULL). @return 0 and *ret_options (owned by the
	 * listener until options_free), or -EINVAL with one line in fault: "key: what is wrong" */
	int (*options)(const struct json_t *json, void **ret_options, char *fault, size_t len);
	void (*options_free)(void *options);

	/** A call was taken; conv->svc is zeroed. Runs before any recv. */
	void (*accept)(struct worker *w, struct conv *c);
	/** An active open is complete, or has failed (then the conversation is over). */
	void (*connected)(struct worker *w, struct conv *c);
	void (*failed)(struct worker *w, struct conv *c, enum conv_end why);
	/** There is data to read. Once per burst; also after drain if data was left unread. */
	void (*recv)(struct worker *w, struct conv *c);
	/** There is room to write again. */
	void (*drain)(struct worker *w, struct conv *c);
	/** Somebody kicked it (conv_kick). May come once without cause. */
	void (*kicked)(struct worker *w, struct conv *c);
	/** The peer will send no more; all it sent has been read, or stands to be read. A service
	 * without it is closed when all has been read. */
	void (*shutdown)(struct worker *w, struct conv *c);
	/** It is over; last call, and the only one after close. */
	void (*hangup)(struct worker *w, struct conv *c, enum conv_end why);

	/** Trouble that ends nothing. Of an active open it may come before connected. Without it they are only counted. */
	void (*trouble)(struct worker *w, struct conv *c, enum conv_trouble what, unsigned detail);

	/** UDP: a datagram, trimmed to its payload, for a service that takes each at once and never leaves one unread: then none is
	 * queued and recv is not called. Consumes m. */
	void (*take)(struct worker *w, struct conv *c, struct rte_mbuf *m);

	/** UDP listeners with one conversation for all peers: a datagram, whole, with its peer in pkt->key.
	 * Not inside anything; runs on many workers at once. Consumes m. Answer with udp_reply. */
	void (*datagram)(struct worker *w, struct listener *l, struct rte_mbuf *m);
};

static inline struct conv *
conv_of(struct conv_node *cn)
{
	return (struct conv *)cn;
}

/** What a protocol adds to conv_connect. */
struct conv_opening {
	const struct proto *proto;
	void (*fill)(
		struct worker *w, struct conv *c); /* its own state, but what depends on our port */
	void (*numbered)(
		struct worker *w, struct conv *c); /* that; may be called again. May be NULL */
};

/** Active open, see struct proto: connect. The node's first work is NODE_KICK, in this turn. */
int conv_connect(struct worker *w, const struct conv_opening *o, const struct service *s,
	const struct key *k, const void *svc, struct conv **ret_c);
