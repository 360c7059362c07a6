/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The network layer: Ethernet, VLAN, ARP, NDP, IPv4, IPv6, ICMP, routes,
 * neighbours, paths. Shared by all workers; each call says what it may touch.
 *
 * Set-up calls (ip_create, ip_ifc_add, ip_address_add, ip_route_add) run on the
 * control thread before the workers start. Neighbours are written by any worker
 * under one short lock and read without one (a sequence count per entry;
 * entries are never freed, so no grace period is needed).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "key.h"
#include "pkt.h"
#include "worker.h"

struct ip;

struct ip_conf {
	const char *name; /* unique in the process */
	struct key_secret secret; /* for the keys' hash, the neighbour table's, identifications */
	uint32_t neighbours; /* most entries; 0: the default, 4096 */
	unsigned workers; /* workers that will call */
	uint32_t icmp_rate; /* ICMP errors and RSTs without a conversation, per second; 0: 1000.
			     * One peer gets a tenth of it in errors; echo replies are limited
			     * to 100 times as many. */
	int socket_id;
};

struct ip *ip_create(const struct ip_conf *conf, int *ret_err);
void ip_free(struct ip *ip);

/* The most buffers of a packet that a port cuts: what the least capable driver takes (net_vmxnet3). */
#define IP_TSO_SEGS 24

/** What a port can do for us; all false on a port that can do nothing. */
struct ip_offloads {
	bool rx_ip_cksum, rx_l4_cksum; /* marks bad checksums in ol_flags */
	bool tx_ip_cksum, tx_tcp_cksum, tx_udp_cksum;
	bool multi_segs; /* can send chains; else they are linearised */
	bool vlan_insert; /* unused frames are tagged in software */
	uint8_t tso_segs; /* TSO: buffers of a packet that it cuts, headers included; 0: it can't */
};

struct ip_ifc_conf {
	const char *name;
	struct rte_ether_addr mac;
	uint16_t mtu; /* of IP packets, >= 1280 where there is IPv6 */
	uint16_t vlan; /* 0: untagged */
	struct ip_offloads off;
	bool accept_ra; /* take a default route from router advertisements */
};

/** Add an interface. @return its number (>= 0), -ENOSPC, -EEXIST (name) */
int ip_ifc_add(struct ip *ip, const struct ip_ifc_conf *conf);

/** Give an interface an address (IPv4-mapped or IPv6) with its prefix length in 0-32 or 0-128.
 * IPv6 link-local addresses (EUI-64) are added by ip_ifc_add itself.
 * @return 0, -EEXIST, -ENOSPC, -EINVAL */
int ip_address_add(struct ip *ip, unsigned ifc, const uint8_t addr[16], uint8_t prefix_len);

/** Route a prefix (length in 0-32 for IPv4-mapped, 0-128 for IPv6) through a gateway that is
 * on the link of one of our interfaces.
 * @return 0, -EEXIST, -ENETUNREACH (gateway on no link), -ENOSPC */
int
ip_route_add(struct ip *ip, const uint8_t prefix[16], uint8_t prefix_len, const uint8_t via[16]);

/** True if addr is an address of ours. Any thread. */
bool ip_is_ours(const struct ip *ip, const uint8_t addr[16]);

/** Announce all addresses: gratuitous ARP (RFC 5227), unsolicited neighbour
 * advertisements, DAD probes (RFC 4862: IPv6 addresses can be used a second later). Interfaces whose
 * link is down follow when it comes up. Once, by one worker, when ports are up. */
void ip_announce(struct worker *w);

/** The link of an interface went up or down. Any worker or the control thread. Routes, paths and
 * conversations stay; when it comes back, neighbours are verified anew and our addresses announced
 * again. An interface counts as up until it is said to be down. */
void ip_ifc_link(struct ip *ip, unsigned ifc, bool up);

/** Age neighbours, retry resolution, DAD, router life times. By one worker, at least every 100 ms. */
void ip_tick(struct worker *w);

/**
 * Take in n frames that arrived on interface ifc's port.
 *
 * Checks lengths, then checksums (RFC 1122, 8200) before anything is believed; answers ARP, NDP and ICMP
 * queries; drops what is not for us. Counts each frame in w->c.received and each
 * one that ends here as consumed or dropped. Wraps foreign mbufs.
 *
 * @param ret_m room for n: packets of kind TCP, UDP, ICMP_ERROR or FRAGMENT, with
 *        struct pkt filled, key and hash included; the caller owns them
 * @return how many
 */
unsigned ip_input_burst(
	struct worker *w, unsigned ifc, struct rte_mbuf **m, unsigned n, struct rte_mbuf **ret_m);

/**
 * Take in a datagram that was joined from fragments: m is its first fragment (offset 0) as
 * ip_input_burst gave it, pkt included, with the other pieces' payloads chained behind, in order
 * and without their headers. Its header is made the datagram's here. PKT_CE may have been set in
 * its flags for another piece that carried it (RFC 3168 section 5.3). Not counted as received again.
 * Consumes m.
 * @return a packet of kind TCP, UDP or ICMP_ERROR to be looked up (m or what took its place);
 *         NULL if it ended here (consumed or dropped, and counted so)
 */
struct rte_mbuf *ip_input_joined(struct worker *w, struct rte_mbuf *m);

/** A cached way to a peer: where to send, from whom, how much at a time. Plain value; its owner's. */
struct path {
	uint32_t gen; /* of routes and addresses when it was made; 0: not made yet */
	uint32_t neigh : 25; /* entry of the neighbour table */
	uint32_t plain : 1; /* IPv4, untagged */
	uint32_t dscp : 6; /* of what is sent; a service may set it (RFC 9293 MUST-48), like ttl */
	uint32_t neigh_gen; /* of that entry when it was found */
	uint16_t mtu; /* what may be sent in one packet, IP header included */
	uint8_t ifc;
	uint8_t ttl; /* 0: the default, 64; RFC 9293 MUST-49 */
};

/**
 * Make or refresh the path to k->raddr.
 * @return 0, -ENETUNREACH (no route), -EADDRNOTAVAIL (k->laddr is not ours)
 */
int ip_path(struct worker *w, const struct key *k, struct path *p);

/** Buffers that a packet may have which the port cuts into TCP segments (struct ip_tx: tso); 0: it can't, or the path is to be
 * made anew first. */
unsigned ip_path_tso(const struct worker *w, const struct path *p);

/** Choose our address for a peer: on the outgoing interface, same scope (RFC 6724 rules 1, 2, 8).
 * @return 0, -ENETUNREACH */
int ip_source(struct worker *w, const uint8_t raddr[16], uint8_t ret_laddr[16]);

/** Note a smaller path MTU (RFC 1191, 8201); the floor is 552 or 1280. @return true if p->mtu fell */
bool ip_path_mtu(struct path *p, const struct key *k, uint32_t mtu);

/** What is sent this way is not answered (RFC 1122 section 2.3.2.1, 4.2.3.5): ask the next hop whether it is there still. */
void ip_path_doubt(struct worker *w, const struct path *p);
/** New data was acknowledged: the next hop is there, and need not be asked (RFC 4861 section 7.3.1). */
void ip_path_confirm(struct worker *w, const struct path *p);

/** Largest transport message (TCP or UDP header included) that fits one packet of the path. */
static inline uint16_t
ip_path_room(const struct path *p, const struct key *k)
{
	return p->mtu - (key_is_v4(k) ? 20 : 40);
}

#define IP_ECT_0 0x02 /* ECN-capable transport (RFC 3168 section 5) */

struct ip_tx {
	uint8_t proto; /* IPPROTO_* */
	uint8_t tos; /* DSCP and ECN bits: IP_ECT_0 */
	uint8_t ttl; /* 0: the path's, or the default */
	bool df; /* IPv4: do not fragment */
	uint16_t l4_len; /* length of the transport header at the start of m */
	int16_t cksum_off; /* where in m the transport checksum goes; < 0: none is wanted */
	uint16_t tso; /* payload of each TCP segment that the port is to make of m; 0: it is one */
};

/**
 * Send a transport message: header(s) at the start of m, checksum field zero.
 *
 * Fills in the checksum (by the port where it can, RFC 768's zero rule kept), puts IP
 * and Ethernet headers in front (m's headroom if m is ours alone: refcnt 1 and direct;
 * else a fresh header mbuf), fragments where the path asks for it and df is not
 * set, linearises where the port can't send chains, queues the packet while the
 * neighbour is being resolved, and puts it on w's output burst.
 * k: raddr is where it goes, laddr is whence. p may be NULL: looked up for this packet.
 *
 * Consumes m in all cases. @return 0; -ENETUNREACH, -ENOBUFS, -EMSGSIZE (df, and too long)
 */
int ip_output(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx);

/**
 * Lend m to the port: as ip_output, but m stays the caller's, and is the port's too until it has one reference again
 * (m is ours alone before: refcnt 1 and direct). Until then nothing of m may be changed. The headers are in front of
 * it then, and m's data is the frame. Taken is what can go at once as it is: one buffer with room for the headers in front,
 * its path made and wide enough, its neighbour known, a checksum wanted.
 *
 * @return false: m is not like that, nothing was done but to write to the headroom
 */
bool ip_output_lent(struct worker *w, struct path *p, const struct key *k, struct rte_mbuf *m,
	const struct ip_tx *tx);

/** ICMP errors that transports ask for. */
enum ip_error {
	IP_ERROR_PORT, /* port unreachable (RFC 1122 section 4.1.3.1, RFC 4443 section 3.1) */
	IP_ERROR_REASSEMBLY /* time exceeded while joining fragments */
};

/** Answer the received packet m (whole, as ip_input_burst gave it) with an ICMP error, if RFC 1122 section
 * 3.2.2 and RFC 4443 section 2.4 allow one and the rate limit has room. m stays the caller's. */
void ip_send_error(struct worker *w, struct rte_mbuf *m, enum ip_error e);

/** One token of the worker's share of the limit for answers to nobody (RSTs, ICMP errors), jittered. */
bool ip_rate_ok(struct worker *w);

/** A fresh small mbuf for headers, its pkt zeroed; NULL (counted in tx_no_mbuf) if none is left. */
struct rte_mbuf *ip_header_mbuf(struct worker *w);

/** Statistics of one interface, summed over workers, and its settings; for listings. Any thread. */
struct ip_ifc_info {
	char name[32];
	struct rte_ether_addr mac;
	uint16_t mtu, vlan;
	bool up;
	unsigned naddrs;
	struct {
		uint8_t addr[16];
		uint8_t prefix_len;
		bool tentative, duplicate;
	} addrs[16];
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};
unsigned ip_ifc_count(const struct ip *ip);
void ip_ifc_info(const struct ip *ip, unsigned ifc, struct ip_ifc_info *ret_info);

/** Protocol counters, summed over workers: name and value pairs for listings. */
void
ip_stats(const struct ip *ip, void (*each)(void *arg, const char *name, uint64_t value), void *arg);
