/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * UDP (RFC 768): conversations per peer, and listeners that hear all peers with one.
 * Shared by all workers.
 */
#pragma once

#include "listener.h"
#include "proto.h"

#define UDP_QUEUE_BYTES (256u << 10) /* most unread bytes of a conversation */

struct udp_conf {
	uint32_t idle_ms; /* a conversation that heard nothing for so long ends; 0: 60 s */
	uint32_t queue_max; /* unread datagrams per conversation; 0: 64 */
	unsigned workers;
	bool answer_responders; /* answer source ports of well-known responders (loop attack, CVE-2024-2169) */
};

/**
 * read: one datagram at a time, which may be empty. write: one datagram, sent at once (what is longer than the path's packet,
 * in fragments); also -EMSGSIZE, -ENETUNREACH, and -EDESTADDRREQ for a peer whose port is 0. What is lost on
 * the way out is lost as on any link: a service need not end the conversation for it.
 */
extern const struct proto udp_proto;

struct udp *udp_create(const struct udp_conf *conf, int *ret_err);
void udp_free(struct udp *u);

/** Answer a datagram of a `one` listener: m is the payload to send, key that of the datagram. Consumes m.
 * @return 0 or what write returns */
int udp_reply(struct worker *w, struct listener *l, const struct key *k, struct rte_mbuf *m);
