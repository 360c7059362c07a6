/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the files of lib/ip share. Interfaces, addresses and routes are written before the
 * workers start and only read afterwards; what changes later is atomic, or says which lock
 * it is under. struct ip_worker belongs to its worker.
 */
#pragma once

#include <stdatomic.h>

/* <rte_ip.h> includes it, and its struct ip is not ours. */
#define ip netinet_ip /* NOLINT(readability-identifier-naming) */
#include <netinet/ip.h>
#undef ip

#include <rte_ip.h>
#include <rte_spinlock.h>

#include "ip.h"

struct rte_fib;
struct rte_fib6;

#define IP_IFC_ADDRS   16 /* as many as ip_ifc_info lists */
#define IP_OURS_SLOTS  2048 /* >= 2 * WORKER_IFC_MAX * IP_IFC_ADDRS, a power of 2 */
#define IP_IDENTS      1024 /* counters for identifications, a power of 2 */
#define IP6_MTU_MIN    1280 /* RFC 8200 section 5 */
#define IP_PEERS       256 /* per-peer rate buckets of one worker, a power of 2 */
#define IP_ECHO_FACTOR 100 /* echo replies per second, as a multiple of icmp_rate */
#define IP_TTL_DEFAULT 64 /* RFC 1700 */
#define IP_PATH_TRIES  3 /* optimistic reads before a reader gives up */

#define IP_ETH_LEN     14
#define IP_VLAN_LEN    4

/* Protocol counters, in the order of listings. */
#define IP_STATS(X)                     \
	X(foreign_wrapped)              \
	X(headers_pulled)               \
	X(arp_requests_in)              \
	X(arp_replies_in)               \
	X(arp_requests_out)             \
	X(arp_replies_out)              \
	X(arp_announcements_out)        \
	X(arp_conflicts)                \
	X(ndp_solicitations_in)         \
	X(ndp_advertisements_in)        \
	X(ndp_solicitations_out)        \
	X(ndp_advertisements_out)       \
	X(ndp_dad_failures)             \
	X(ndp_router_solicitations_out) \
	X(ndp_router_advertisements_in) \
	X(mld_reports_out)              \
	X(neigh_created)                \
	X(neigh_evicted)                \
	X(neigh_failed)                 \
	X(neigh_refused)                \
	X(neigh_queued)                 \
	X(neigh_queue_drops)            \
	X(icmp_echoes)                  \
	X(icmp_errors_in)               \
	X(icmp_errors_out)              \
	X(icmp_errors_limited)          \
	X(fragments_in)                 \
	X(atomic_fragments_in)          \
	X(joined_in)                    \
	X(fragments_out)                \
	X(fragmented_out)               \
	X(out_no_route)                 \
	X(out_too_big)                  \
	X(out_linearised)

enum ip_stat {
#define X(name) IP_STAT_##name,
	IP_STATS(X)
#undef X
	IP_STAT_MAX
};

/* A token bucket; counts in millionths of a token. Its owner's thread only. */
struct ip_bucket {
	uint64_t at_us; /* filled up to then */
	uint64_t tokens;
	uint64_t size; /* drawn anew whenever it is full */
	uint32_t price; /* of the next token; drawn anew whenever it was paid */
};

struct ip_ifc_count {
	_Atomic uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};

/* The path that a worker has made last: who opens a conversation has often opened one just now, or is behind the same router. */
struct ip_last {
	uint8_t raddr[16], laddr[16], hop[16];
	uint16_t zone;
	struct path path; /* gen 0: there is none */
};

struct ip_worker {
	struct ip_bucket errors, echoes;
	struct ip_last last;
	_Atomic uint64_t stat[IP_STAT_MAX];
	struct ip_ifc_count ifc[WORKER_IFC_MAX];
	struct ip_bucket peers[IP_PEERS];
} __rte_cache_aligned;

enum ip_addr_state {
	IP_ADDR_PREFERRED,
	IP_ADDR_TENTATIVE, /* RFC 4862 section 5.4 */
	IP_ADDR_DUPLICATE
};

struct ip_addr {
	uint8_t addr[16];
	uint8_t prefix_len; /* as given: 0-32 for IPv4 */
	uint8_t ifc;
	_Atomic uint8_t state; /* enum ip_addr_state */
	uint8_t announces; /* announcements still to be sent; tick_lock */
	uint32_t next_ms; /* when; tick_lock */
	_Atomic uint32_t defended_ms; /* last defence (RFC 5227 section 2.4), 0: never */
};

/* The default router that an interface learned. Written under lock, read by sequence. */
struct ip_router {
	_Atomic uint32_t seq; /* odd while it is written */
	_Atomic uint32_t until_ms;
	_Atomic uint64_t addr[2];
	_Atomic bool valid;
	rte_spinlock_t lock;
};

/*
 * What plain packets have in common (ip_plain.c, ip_output.c), as it lies in the frame; 0 where they differ.
 * On its own line: read for every packet, and not written.
 */
struct ip_plain {
	uint64_t dst; /* bytes 0-7: our MAC */
	uint32_t type; /* bytes 12-15: IPv4, no options */
	uint32_t to_be; /* the destination's address, */
	const struct ip_addr *addr; /* .. our first of IPv4; NULL: no packet is plain */
	uint64_t rx_flags; /* ol_flags if the port has found both checksums right */
	uint8_t eth[8]; /* on the way out, bytes 6-13: our MAC, IPv4 */
	uint64_t tx_flags[2]; /* .. ol_flags: [0] of UDP, [1] of TCP */
} __rte_cache_aligned;

struct ip_ifc {
	struct ip_plain plain;
	char name[32];
	struct rte_ether_addr mac;
	uint16_t mtu;
	_Atomic uint16_t mtu6; /* of IPv6: mtu, or less if a router says so */
	uint16_t vlan;
	uint16_t l2_len; /* 14, or 18 with a tag */
	struct ip_offloads off;
	bool accept_ra;
	_Atomic bool up;
	_Atomic bool announce; /* link came up: announce again */
	bool announced; /* for the first time; tick_lock */
	unsigned naddrs;
	struct ip_addr addrs[IP_IFC_ADDRS];
	unsigned nsubnets; /* IPv4, of those that have a broadcast address */
	struct {
		uint32_t first_be, last_be;
	} subnets[IP_IFC_ADDRS];
	uint8_t rs_left; /* router solicitations still to be sent; tick_lock */
	uint32_t rs_next_ms; /* tick_lock */
	struct ip_router router;
};

/* Where a route leads. */
struct ip_hop {
	uint8_t addr[16]; /* all zero in the table: on link, the destination itself */
	uint8_t ifc;
};

#define NEIGH_WAYS    16
#define NEIGH_NONE    0x01ffffffu /* what struct path has room for */
#define NEIGH_USED_MS 1000 /* an entry knows when it was last used: to so much */

enum neigh_state {
	NEIGH_FREE,
	NEIGH_INCOMPLETE, /* asked for, no answer yet */
	NEIGH_REACHABLE, /* confirmed a short while ago */
	NEIGH_STALE, /* not confirmed for a while: usable, verified when used */
	NEIGH_DELAY, /* used: will be probed unless confirmed */
	NEIGH_PROBE /* being probed; still usable */
};

static inline enum neigh_state
neigh_state(uint64_t word)
{
	return (enum neigh_state)(word & 0xff);
}

/*
 * One neighbour. gen is its identity's sequence count: odd while the entry is given to
 * another address, and different ever after; so a path that remembers (entry, gen) needs
 * no lock and no look-up, and sees a new MAC with the next packet.
 */
struct neigh {
	_Atomic uint32_t gen;
	_Atomic uint32_t used_ms; /* last sent to, to the second */
	_Atomic uint64_t word; /* MAC << 16 | state */
	_Atomic uint64_t addr[2];
	_Atomic uint8_t ifc;
	_Atomic bool used; /* was ever sent to */
	/* From here on under the table's lock. */
	uint8_t tries; /* solicitations sent in this state */
	uint8_t nqueue; /* packets in queue */
	uint32_t next_ms; /* end of the state: next try, or no longer reachable */
	struct pktq queue; /* whole frames without their destination MAC */
} __rte_cache_aligned;

struct neigh_bucket {
	_Atomic uint32_t tag[NEIGH_WAYS]; /* of the hash, | 1; 0: free */
} __rte_cache_aligned;

struct neigh_table {
	struct neigh_bucket *buckets;
	struct neigh *entries; /* NEIGH_WAYS for each bucket */
	uint32_t mask; /* buckets - 1 */
	uint32_t limit, limit_incomplete, limit_queued;
	rte_spinlock_t lock;
	uint32_t count, incomplete, queued; /* under lock */
	uint32_t hand; /* tick: next bucket */
	uint64_t hand_us; /* tick: up to when it has moved */
};

struct ip {
	char name[16];
	struct key_secret secret;
	unsigned nworkers;
	uint32_t icmp_rate;
	struct ip_worker *workers; /* one each, and the control thread's */
	_Atomic uint32_t gen; /* of addresses and routes; never 0 */
	unsigned nifcs;
	uint64_t ours_filter; /* a bit for the low 6 bits of each of our addresses */
	struct ip_addr *ours[IP_OURS_SLOTS];
	struct rte_fib *fib4;
	struct rte_fib6 *fib6;
	struct ip_hop *hops;
	uint32_t nhops, hops_room;
	struct neigh_table neigh;
	rte_spinlock_t tick_lock; /* announcements, DAD, router solicitations */
	_Atomic uint32_t idents[IP_IDENTS];
	struct ip_ifc ifcs[WORKER_IFC_MAX];
};

static inline struct ip_worker *
ip_self(const struct worker *w)
{
	return &w->ip->workers[RTE_MIN(w->id, w->ip->nworkers)];
}

/* Add to a counter that only this thread writes: relaxed, readers want no order. */
static inline void
ip_add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(
		c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/* A burst of n frames goes to the port, or is lost there. */
static inline void
ip_ifc_sent(const struct worker *w, unsigned ifc, unsigned n, uint32_t bytes)
{
	struct ip_ifc_count *c;

	if (w->ip == NULL)
		return;
	c = &ip_self(w)->ifc[ifc];
	ip_add(&c->tx_packets, n);
	ip_add(&c->tx_bytes, bytes);
}

static inline void
ip_count(const struct worker *w, enum ip_stat s)
{
	ip_add(&ip_self(w)->stat[s], 1);
}

static inline uint16_t
ip_get16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t
ip_get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return rte_be_to_cpu_32(v);
}

static inline void
ip_put16(void *p, uint16_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void
ip_put32(void *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, 4);
}

static inline bool
ip_v4(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

static inline bool
ip_zero(const uint8_t addr[16])
{
	static const uint8_t none[16];

	return memcmp(addr, none, 16) == 0;
}

/* fe80::/10, RFC 4291 section 2.5.6 */
static inline bool
ip_link_local(const uint8_t addr[16])
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/* Which interface an address is bound to as a key's zone (RFC 4007), 0 if none. */
static inline uint16_t
ip_zone(const uint8_t a[16], const uint8_t b[16], unsigned ifc)
{
	return ip_link_local(a) || ip_link_local(b) ? (uint16_t)(ifc + 1) : 0;
}

/* True once now is at or past t; 32-bit milliseconds wrap. */
static inline bool
ip_past(uint32_t now_ms, uint32_t t_ms)
{
	return (int32_t)(now_ms - t_ms) >= 0;
}

/* The buffer is ours alone and its bytes may be changed. */
static inline bool
ip_exclusive(const struct rte_mbuf *m)
{
	return rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
}

/* ip.c */
bool ip_bucket_take(struct worker *w, struct ip_bucket *b, uint32_t rate);
bool ip_peer_ok(struct worker *w, const uint8_t peer[16]);
bool ip_echo_ok(struct worker *w);
void ip_changed(struct ip *ip);

/* ip_ifc.c */
struct ip_addr *ip_addr_look(const struct ip *ip, const uint8_t addr[16], unsigned ifc);
bool ip_addr_usable(const struct ip *ip, const uint8_t addr[16], unsigned ifc);

/* The address of ours that equals addr. A link-local one counts on its own interface only. */
static inline struct ip_addr *
ip_addr_find(const struct ip *ip, const uint8_t addr[16], unsigned ifc)
{
	/* Most sources are told from ours by six bits. */
	if ((ip->ours_filter >> (addr[15] & 63) & 1) == 0)
		return NULL;
	return ip_addr_look(ip, addr, ifc);
}

/* 255.255.255.255, or a subnet's broadcast address or its network address (RFC 1122 section 3.3.6). */
static inline bool
ip4_is_broadcast(const struct ip_ifc *ifc, uint32_t addr_be)
{
	bool is = addr_be == UINT32_MAX;

	for (unsigned i = 0; i < ifc->nsubnets; i++)
		is |= addr_be == ifc->subnets[i].first_be || addr_be == ifc->subnets[i].last_be;
	return is;
}

const struct ip_addr *ip_ifc_source(const struct ip_ifc *ifc, const uint8_t peer[16]);
unsigned ip_common_bits(const uint8_t a[16], const uint8_t b[16]);
bool ip_on_link(const struct ip_ifc *ifc, const uint8_t addr[16]);

/* ip_plain.c */
void ip_plain_init(struct ip_ifc *ifc);
void ip_plain_address(struct ip_ifc *ifc, const struct ip_addr *a);

/* ip_route.c */
int ip_route_init(struct ip *ip, int socket_id);
void ip_route_fini(struct ip *ip);
int ip_route_connected(struct ip *ip, const struct ip_addr *a);
bool ip_route_look(
	const struct worker *w, const uint8_t raddr[16], unsigned zone, struct ip_hop *ret_hop);
void ip_router_set(struct worker *w, unsigned ifc, const uint8_t addr[16], uint32_t seconds);
void ip_router_tick(struct worker *w, struct ip_ifc *ifc);

/* ip_mbuf.c: packets in pieces. All consume m where they return another one. */
struct rte_mbuf *ip_adopt(struct worker *w, struct rte_mbuf *m);
struct rte_mbuf *ip_pull_slow(struct worker *w, struct rte_mbuf *m, uint16_t len);
void ip_trim(struct rte_mbuf *m, uint32_t len);
struct rte_mbuf *ip_cut(struct rte_mbuf *m, uint32_t len);
struct rte_mbuf *ip_unshare(struct worker *w, struct rte_mbuf *m, uint16_t len);
struct rte_mbuf *ip_linear(struct worker *w, struct rte_mbuf *m);

/* The first len bytes in one piece; len <= pkt_len. NULL: no buffer, m was dropped. */
static inline struct rte_mbuf *
ip_pull(struct worker *w, struct rte_mbuf *m, uint16_t len)
{
	return likely(m->data_len >= len) ? m : ip_pull_slow(w, m, len);
}

/* Inputs: each consumes m, or gives it (or what took its place) back to be handed up. */
bool ip_plain_input(struct worker *w, unsigned ifc, struct rte_mbuf *m);
struct rte_mbuf *ip4_input(struct worker *w, struct rte_mbuf *m);
struct rte_mbuf *ip6_input(struct worker *w, struct rte_mbuf *m);
struct rte_mbuf *ip_l4_input(struct worker *w, struct rte_mbuf *m, uint8_t proto);
struct rte_mbuf *icmp_input(struct worker *w, struct rte_mbuf *m);
struct rte_mbuf *icmp6_input(struct worker *w, struct rte_mbuf *m);
struct rte_mbuf *icmp_advice(struct worker *w, struct rte_mbuf *m, uint16_t off, uint8_t proto);
void arp_input(struct worker *w, struct rte_mbuf *m);
void ndp_input(struct worker *w, struct rte_mbuf *m);

/* As key_map_v4, in two stores as wide as the loads that follow, which then need not wait. */
static inline void
ip_map_v4(uint8_t addr[16], uint32_t v4_be)
{
	uint32_t halves[2] = {rte_cpu_to_be_32(0xffff), v4_be};
	uint64_t words[2] = {0};

	/* By words of 8 bytes, as it is read next. */
	memcpy(&words[1], halves, 8);
	memcpy(addr, &words[0], 8);
	memcpy(addr + 8, &words[1], 8);
}

/* Complete the key of a packet whose addresses, ports and protocol stand in it: kind and zone.
 * The last 8 bytes are written as one word, since that is how they are read next. */
static inline void
ip_key_done(struct pkt *p, enum key_kind kind)
{
	struct key *k = &p->key.k;
	uint64_t tail = (uint64_t)rte_be_to_cpu_16(k->rport_be) << 48 |
		(uint64_t)rte_be_to_cpu_16(k->lport_be) << 32 | (uint64_t)k->proto << 24 |
		(uint64_t)kind << 16 | rte_be_to_cpu_16(ip_zone(k->raddr, k->laddr, p->ifc));

	tail = rte_cpu_to_be_64(tail);
	memcpy(&k->rport_be, &tail, 8);
	p->key.pad = 0;
}

/* icmp.c */
struct icmp_what {
	uint8_t type, code;
	uint32_t param; /* the second word of the ICMP header */
};
void icmp_send_error(struct worker *w, struct rte_mbuf *m, struct icmp_what what);
bool icmp6_is_error(const struct rte_mbuf *m, const struct pkt *p);
void icmp_echo_reply(struct worker *w, struct rte_mbuf *m, uint8_t type);

/* arp.c */
void arp_solicit(
	struct worker *w, unsigned ifc, const uint8_t target[16], const struct rte_ether_addr *to);
void arp_announce(struct worker *w, const struct ip_addr *a);

/* ndp.c */
void ndp_solicit(
	struct worker *w, unsigned ifc, const uint8_t target[16], const struct rte_ether_addr *to);
void ndp_announce(struct worker *w, const struct ip_addr *a);
void ndp_dad_probe(struct worker *w, const struct ip_addr *a);
void ndp_router_solicit(struct worker *w, unsigned ifc);
void ndp_mld_report(struct worker *w, unsigned ifc);

/* neigh.c */
#define NEIGH_CREATE    0x1 /* make an entry if there is none */
#define NEIGH_OVERRIDE  0x2 /* a different MAC replaces the known one */
#define NEIGH_SOLICITED 0x4 /* an answer to us: the neighbour can be reached */
int neigh_init(struct ip *ip, uint32_t neighbours, int socket_id);
void neigh_fini(struct ip *ip);
uint32_t neigh_find(const struct ip *ip, unsigned ifc, const uint8_t addr[16], uint32_t *ret_gen);
void neigh_learn(struct worker *w, unsigned ifc, const uint8_t addr[16],
	const struct rte_ether_addr *mac, unsigned flags);
int neigh_output(struct worker *w, struct path *p, const struct ip_hop *hop, struct rte_mbuf *m);
void neigh_used(struct worker *w, struct neigh *e, uint32_t gen, uint64_t word);

/* The word of the neighbour that the path remembers, with its MAC; 0: it is not (or no longer) known. */
static inline uint64_t
neigh_known(struct worker *w, const struct path *p)
{
	uint32_t at = p->neigh;
	struct neigh *e = &w->ip->neigh.entries[at == NEIGH_NONE ? 0 : at];
	/* Acquire twice: gen, then word, then gen again; see the top of neigh.c. */
	uint32_t gen = atomic_load_explicit(&e->gen, memory_order_acquire);
	uint64_t word = atomic_load_explicit(&e->word, memory_order_acquire);

	if (at == NEIGH_NONE || gen != p->neigh_gen || neigh_state(word) <= NEIGH_INCOMPLETE ||
		atomic_load_explicit(&e->gen, memory_order_relaxed) != gen)
		return 0;
	if (unlikely(neigh_state(word) == NEIGH_STALE ||
		    w->now_ms - atomic_load_explicit(&e->used_ms, memory_order_relaxed) >=
			    NEIGH_USED_MS))
		neigh_used(w, e, gen, word);
	return word;
}

/* Write the MAC of a neighbour's word to the front of a frame. */
static inline void
neigh_put_mac(uint8_t *eth, uint64_t word)
{
	uint64_t mac = word >> 16;

	memcpy(eth, &mac, 6);
}
void neigh_tick(struct worker *w);
void neigh_link_up(struct ip *ip, unsigned ifc);

/* ip_output.c */
/* One packet on its way out. */
struct ip_out {
	const struct key *k;
	const struct ip_tx *tx;
	const struct ip_ifc *ifc;
	struct path *p;
	bool v4;
};

/* Which part of a datagram a fragment is. */
struct ip_part {
	uint32_t id;
	uint32_t offset; /* bytes */
	bool more;
};

int ip_l4_cksum(struct worker *w, const struct ip_out *o, struct rte_mbuf **m, bool offload);
void ip_l3_header(struct worker *w, const struct ip_out *o, struct rte_mbuf *m, uint16_t payload,
	const struct ip_part *part);
int ip_send(struct worker *w, const struct ip_out *o, struct rte_mbuf *m);
void ip_eth_header(
	const struct ip_ifc *ifc, uint8_t *eth, const struct rte_ether_addr *dst, uint16_t type);

/* ip_frag_out.c */
int ip_frag_output(struct worker *w, const struct ip_out *o, struct rte_mbuf *m);
