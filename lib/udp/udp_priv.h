/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of UDP.
 */
#pragma once

#include "udp.h"

#define UDP_HLEN       8
#define UDP_DATA_MAX   65507 /* RFC 768: 65535 less the headers */
#define UDP_PORT_TRIES 64 /* of an active open that may choose its port */

/* What a conversation has to do, or has done. */
#define UDPF_BORN   0x01 /* accept or connected has been called */
#define UDPF_ACTIVE 0x02 /* our side opened it */
#define UDPF_OVER   0x04 /* hangup, then death, at the end of this entering */
#define UDPF_RECV   0x08 /* something new to read */

/** The state of one conversation. */
struct udp_conv {
	struct conv c;
	struct pktq rcvq; /* unread datagrams, each trimmed to its payload */
	uint32_t rcvq_bytes;
	uint16_t rcvq_n;
	uint8_t flags; /* UDPF_* */
	uint8_t end; /* enum conv_end, with UDPF_OVER */
	uint64_t bytes_in, bytes_out;
};

#define UDP_STATS(X)      \
	X(datagrams_in)   \
	X(datagrams_out)  \
	X(bytes_in)       \
	X(bytes_out)      \
	X(passive_opens)  \
	X(active_opens)   \
	X(open_races)     \
	X(idle_ends)      \
	X(no_ports)       \
	X(queue_full)     \
	X(path_mtu_falls) \
	X(unreachables)   \
	X(out_failed)

enum udp_stat {
#define X(name) UDP_STAT_##name,
	UDP_STATS(X)
#undef X
	UDP_STAT_MAX
};

struct udp_stats {
	uint64_t v[UDP_STAT_MAX];
} __rte_cache_aligned;

struct udp {
	struct udp_conf conf; /* defaults filled in */
	struct udp_stats stats[WORKER_MAX + 1];
};

static inline void
udp_count(struct worker *w, enum udp_stat s, uint64_t n)
{
	w->udp->stats[w->id].v[s] += n;
}

static inline struct udp_conv *
udp_conv(struct conv *c)
{
	return (struct udp_conv *)c;
}

/* udp_input.c */
void udp_iput(struct worker *w, struct conv *c, struct rte_mbuf *m);
void udp_advise(struct worker *w, struct conv *c, struct rte_mbuf *m);
void udp_miss(struct worker *w, struct rte_mbuf *m);

/* udp_output.c */
int udp_send(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m);
