/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of UDP. The state of one conversation belongs to whoever is inside it; the counters of a
 * worker to that worker.
 */
#pragma once

#include "udp.h"

#define UDP_HLEN     8
#define UDP_DATA_MAX 65507 /* most that fits an IPv4 packet without options (RFC 768, RFC 791) */

/* What a conversation has to do, or has done (conv.flags). */
#define UDPF_BORN   0x01 /* accept or connected has been called */
#define UDPF_ACTIVE 0x02 /* our side opened it */
#define UDPF_OVER \
	0x04 /* the last call to the service has been made, or follows the one that runs */
#define UDPF_CALLING 0x08 /* the service is running */
#define UDPF_RECV    0x10 /* something new to read */
#define UDPF_GONE    0x20 /* ICMP said that nobody is there: over, once what came before is read */
#define UDPF_SHUT    0x40 /* no more writes */

/** One conversation. */
struct udp_conv {
	struct conv c;
	uint64_t bytes_in, bytes_out; /* still on the line that every packet needs */
	struct pktq rcvq; /* unread datagrams, each trimmed to its payload */
	uint32_t rcvq_bytes;
	uint16_t rcvq_n;
	uint8_t end; /* enum conv_end, with UDPF_OVER */
};
_Static_assert(offsetof(struct udp_conv, rcvq) == 192, "on the fourth line");

#define UDP_STATS(X)          \
	X(datagrams_in)       \
	X(datagrams_out)      \
	X(bytes_in)           \
	X(bytes_out)          \
	X(passive_opens)      \
	X(active_opens)       \
	X(open_races)         \
	X(closed)             \
	X(idle_ends)          \
	X(no_ports)           \
	X(responders_ignored) \
	X(queue_full)         \
	X(path_mtu_falls)     \
	X(unreachables)       \
	X(soft_errors)        \
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

/** This worker's counters. */
static inline uint64_t *
udp_stats(struct worker *w)
{
	return w->udp->stats[w->id].v;
}

static inline void
udp_count(struct worker *w, enum udp_stat s, uint64_t n)
{
	udp_stats(w)[s] += n;
}
#define UDP_COUNT(w, name) udp_count((w), UDP_STAT_##name, 1)

static inline struct udp_conv *
udp_conv(struct conv *c)
{
	return (struct udp_conv *)c;
}

/* udp_input.c */
void udp_iput(struct worker *w, struct conv *c, struct rte_mbuf *m);
void udp_advise(struct worker *w, struct conv *c, struct rte_mbuf *m);
void udp_miss(struct worker *w, struct rte_mbuf *m);
struct listener *udp_listener(struct worker *w, const struct key *k);

/* udp_output.c */
int udp_write(struct worker *w, struct conv *c, struct rte_mbuf *m);
uint32_t udp_write_room(const struct conv *c);
uint32_t udp_piece(const struct conv *c);

/* udp_connect.c */
int udp_connect(struct worker *w, const struct service *s, const struct key *k, const void *svc,
	struct conv **ret_c);

/* udp_service.c */
void udp_work(struct worker *w, struct conv *c, uint64_t bits);
void udp_trouble(struct worker *w, struct conv *c, unsigned detail);
void udp_take(struct worker *w, struct udp_conv *uc, struct rte_mbuf *m);
void udp_flush(struct worker *w, struct conv *c);
void udp_retire(struct worker *w, struct conv *c);
struct rte_mbuf *udp_read(struct worker *w, struct conv *c);
uint32_t udp_readable(const struct conv *c);
void udp_shutdown(struct worker *w, struct conv *c);
void udp_close(struct worker *w, struct conv *c);
void udp_hangup(struct worker *w, struct conv *c, enum conv_end why);
