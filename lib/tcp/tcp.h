/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * TCP (RFC 9293). Shared by all workers; the state of one conversation belongs to whoever is inside it.
 */
#pragma once

#include "listener.h"
#include "proto.h"

/** Congestion control. */
enum tcp_congestion {
	TCP_CUBIC, /* RFC 9438 */
	TCP_NEWRENO, /* RFC 5681, 6582 */
	TCP_DCTCP, /* RFC 8257 */
};

/** Explicit congestion notification (RFC 3168). */
enum tcp_ecn {
	TCP_ECN_GRANT, /* where the peer asks for it */
	TCP_ECN_ASK, /* and ask for it */
	TCP_ECN_OFF,
};

struct tcp_conf {
	struct key_secret secret; /* for ISNs (RFC 6528), timestamp offsets, cookies */
	uint32_t time_wait_ms; /* 0: 60 s */
	uint32_t recv_max,
		send_max; /* bytes that buffers of a conversation may grow to; 0: 4 MiB each */
	uint32_t fin_wait_2_ms; /* orphan limit; 0: 60 s */
	uint32_t rto_min_ms; /* 0: 200 */
	uint32_t
		user_timeout_ms; /* give up when nothing was acknowledged for so long (R2, RFC 5482), up to 4 h; 0: 100 s */
	uint32_t keepalive_ms; /* probe a peer that was silent for so long; 0: never */
	/* Where workers overtake each other, what the peer sent before its last ACK may come after it: remembered for so
	 * long, it is not answered with RST, which would cut the peer's TIME-WAIT short (RFC 1337). 0: not at all */
	uint32_t last_ack_ms;
	enum tcp_congestion congestion;
	enum tcp_ecn ecn;
	bool nagle; /* RFC 9293 section 3.7.4; off: what a service wrote in one go is sent at once */
	unsigned workers;
};

extern const struct proto tcp_proto;

struct tcp *tcp_create(const struct tcp_conf *conf, int *ret_err);
void tcp_free(struct tcp *t);

/** What half-open calls and time-wait remains do. */
extern const struct node_ops tcp_half_open_ops;
extern const struct node_ops tcp_time_wait_ops;
/** Names of their states for listings; "SYN-RECEIVED", "TIME-WAIT". Racy peek. */
void tcp_half_open_status(const struct conv_node *cn, struct conv_status *ret);
void tcp_time_wait_status(const struct conv_node *cn, struct conv_status *ret);
