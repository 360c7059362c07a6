/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * For tests of services: one conversation of a protocol that is two arrays. The test says what comes,
 * in which buffers, and how much room there is; what the service writes and does is kept.
 */
#pragma once

#include "conv_net.h"

#define SVC_FAKE_OUT   (1u << 20)
#define SVC_FAKE_PIECE 1448

struct svc_fake {
	struct conv c; /* first */
	struct pktq in;
	uint32_t in_bytes;
	uint32_t room;
	bool shut, closed, hung;
	enum conv_end why;
	unsigned writes;
	const struct rte_mbuf *last_write; /* not to be looked into */
	uint8_t out[SVC_FAKE_OUT + SVC_FAKE_PIECE];
	size_t nout;
};

extern struct conv_net svc_net;
extern struct svc_fake svc_fake;

/** A conversation of number (IPPROTO_*) with s, accepted. */
void svc_fake_open(uint8_t number, const struct service *s, struct listener *l);
/** Over: hangup is called, and every buffer must be back. */
void svc_fake_close(void);
/** Bytes come in one buffer, or cut in two at cut; recv is called if call. */
struct rte_mbuf *svc_fake_in(const void *b, size_t len, size_t cut, bool call);
/** There is room again: as a protocol calls, drain and then recv if something is unread. */
void svc_fake_room(uint32_t room);
/** The peer has shut down. */
void svc_fake_fin(void);
/** Run a kick, if the service asked for one. */
bool svc_fake_kicked(void);
