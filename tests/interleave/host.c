/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "host.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "world.h"

#define NODES_MAX  6 /* few, so that slots are used again */
#define REST_TURNS 8 /* enough for grace periods, fences of listeners and kicks */
#define FRAMES     32 /* most that wait on a queue */
#define BEGIN_US \
	4096000 /* a schedule begins at a multiple of it, so that the timing wheel turns alike in all */

struct payload {
	uint16_t peer, life;
	uint32_t serial;
};
_Static_assert(sizeof(struct payload) == HOST_PAYLOAD, "it goes as it is");

static struct {
	uint64_t now_us;
	struct rte_mbuf *queue[HOST_WORKERS][2][FRAMES];
	unsigned n[HOST_WORKERS][2];
	char options; /* every listener's: its address says that a listener was complete */
} h = {.now_us = 1000000};

struct host_seen host_seen[HOST_PEERS];
struct stack *host;
struct listener *host_listener[HOST_LISTENERS];
void (*host_on_sent)(const struct host_peer *p);
void (*host_on_born)(struct worker *w, struct conv *c);
void (*host_on_recv)(struct worker *w, struct conv *c);
void (*host_on_kicked)(struct worker *w, struct conv *c);

/* ---- the witness: svc[0] the life, svc[1] how many are inside ---- */

static unsigned
peer_of(const struct conv *c)
{
	unsigned number = (unsigned)ntohs(c->cn.n.key.rport_be) - 1000;

	if (number >= HOST_PEERS)
		explore_fail("a conversation of nobody: port %u", ntohs(c->cn.n.key.rport_be));
	return number % HOST_PEERS;
}

static struct host_seen *
witness_enter(struct conv *c)
{
	if (c->svc[1]++ != 0)
		explore_fail("two are inside the conversation of peer %u", peer_of(c));
	return &host_seen[peer_of(c)];
}

static void
witness_leave(struct conv *c)
{
	explore_point("witness", &c->cn.n.word);
	c->svc[1]--;
}

static void
witness_born(struct conv *c)
{
	struct host_seen *s;

	if (c->svc[0] != 0 || c->svc[1] != 0 || c->svc[2] != 0)
		explore_fail("peer %u was born with the state of an earlier tenant", peer_of(c));
	s = witness_enter(c);
	c->svc[0] = ++s->lives;
}

static void
witness_listener(const struct conv *c)
{
	const struct listener *l = c->listener;
	uint16_t port = ntohs(c->cn.n.key.lport_be);

	if (l != NULL && (port < l->port_lo || port > l->port_hi))
		explore_fail("a call to port %u came to the listener of port %u", port, l->port_lo);
}

static void
witness_accept(struct worker *w, struct conv *c)
{
	const struct listener *l = c->listener;

	witness_born(c);
	witness_listener(c);
	if (l->options != &h.options)
		explore_fail("a call came to a listener that is not complete");
	if (atomic_load(&l->closed))
		explore_fail("a call was accepted by a closed listener");
	if (host_on_born != NULL)
		host_on_born(w, c);
	witness_leave(c);
}

static void
witness_connected(struct worker *w, struct conv *c)
{
	witness_born(c);
	host_seen[peer_of(c)].connected++;
	if (host_on_born != NULL)
		host_on_born(w, c);
	witness_leave(c);
}

static void
witness_failed(struct worker *w, struct conv *c, enum conv_end why)
{
	struct host_seen *s = witness_enter(c);

	(void)w;
	s->failed++;
	s->end = why;
	c->svc[1]--;
}

static void
witness_payload(unsigned peer, uint64_t life, struct rte_mbuf *m)
{
	struct payload b;
	const struct payload *p = rte_pktmbuf_read(m, 0, sizeof(b), &b);

	if (p == NULL)
		explore_fail("%u bytes of nobody came to peer %u", rte_pktmbuf_pkt_len(m), peer);
	else if (p->peer != peer)
		explore_fail(
			"payload %u of peer %u was delivered to peer %u", p->serial, p->peer, peer);
	else if (p->life != 0 && p->life != life)
		explore_fail("payload %u of life %u was delivered to life %lu of peer %u",
			p->serial, p->life, life, peer);
	else if (p->serial < HOST_SERIALS)
		host_seen[peer].got[p->serial] = (uint8_t)life;
	rte_pktmbuf_free(m);
}

/** It began in the conversation of this peer's life; it must not go on in another. */
static void
witness_same(const struct conv *c, unsigned peer, uint64_t life)
{
	if (peer_of(c) != peer || c->svc[0] != life)
		explore_fail("what began in life %lu of peer %u goes on in life %lu of peer %u",
			life, peer, c->svc[0], peer_of(c));
}

static void
witness_recv(struct worker *w, struct conv *c)
{
	unsigned peer = peer_of(c);
	uint64_t life = c->svc[0];
	struct rte_mbuf *m;

	witness_enter(c);
	witness_listener(c);
	if (life == 0)
		explore_fail("data before accept: peer %u", peer);
	while ((m = c->proto->read(w, c)) != NULL) {
		witness_payload(peer, life, m);
		if (host_on_recv != NULL)
			host_on_recv(w, c);
		witness_same(c, peer, life);
	}
	witness_leave(c);
	witness_same(c, peer, life);
}

static void
witness_kicked(struct worker *w, struct conv *c)
{
	struct host_seen *s = witness_enter(c);

	s->kicked++;
	if (host_on_kicked != NULL)
		host_on_kicked(w, c);
	witness_leave(c);
}

static void
witness_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	struct host_seen *s = witness_enter(c);

	(void)w;
	s->hangups++;
	s->end = why;
	c->svc[1]--;
}

static const struct service witness = {
	.name = "witness",
	.tcp = true,
	.udp = true,
	.state_size = CONV_SVC_BYTES,
	.accept = witness_accept,
	.connected = witness_connected,
	.failed = witness_failed,
	.recv = witness_recv,
	.kicked = witness_kicked,
	.hangup = witness_hangup,
};

/* ---- frames ---- */

static struct test_addr
address(unsigned ifc, bool v6, bool ours)
{
	char text[16];

	snprintf(text, sizeof(text), v6 ? "fd%02u::%u" : "10.%u.0.%u", ifc + 1, ours ? 1 : 9);
	return test_addr(text);
}

static void
host_frame(unsigned i, unsigned ifc, struct test_frame *f)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(stack_mempool(host));
	unsigned *n = &h.n[i][ifc];

	if (m == NULL || *n == FRAMES) {
		explore_fail("no buffer left: one was lost");
		abort();
	}
	if ((f->b[0] & 1) == 0)
		f->b[5] = (uint8_t)(0x11 + ifc); /* our MAC, if it is not to all */
	memcpy(rte_pktmbuf_append(m, (uint16_t)f->len), f->b, f->len);
	h.queue[i][ifc][(*n)++] = m;
}

static struct test_frame frame;

static void
host_segment(
	unsigned i, const struct host_peer *p, const struct test_tcp *t, const struct payload *data)
{
	test_frame_tcp(&frame, address(p->ifc, p->v6, false), address(p->ifc, p->v6, true), t, data,
		data != NULL ? sizeof(*data) : 0);
	host_frame(i, p->ifc, &frame);
}

static struct test_tcp
segment(const struct host_peer *p, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct test_tcp){
		.sport = (uint16_t)(1000 + p->number),
		.dport = p->lport,
		.seq = seq,
		.ack = ack,
		.wnd = 65535,
		.flags = flags,
	};
}

void
host_tcp(unsigned i, const struct host_peer *p, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct test_tcp t = segment(p, flags, seq, ack);

	host_segment(i, p, &t, NULL);
}

void
host_tcp_data(unsigned i, const struct host_peer *p, uint32_t seq, uint32_t ack, unsigned life,
	unsigned serial)
{
	struct test_tcp t = segment(p, TCP_ACK | TCP_PSH, seq, ack);
	struct payload d = {(uint16_t)p->number, (uint16_t)life, serial};

	host_segment(i, p, &t, &d);
}

void
host_udp(unsigned i, const struct host_peer *p, unsigned life, unsigned serial)
{
	struct payload d = {(uint16_t)p->number, (uint16_t)life, serial};

	test_frame_udp(&frame, address(p->ifc, p->v6, false), address(p->ifc, p->v6, true),
		(uint16_t)(1000 + p->number), p->lport, &d, sizeof(d));
	host_frame(i, p->ifc, &frame);
}

void
host_unreachable(unsigned i, const struct host_peer *p, uint32_t seq)
{
	static struct test_frame inner;
	struct test_addr us = address(p->ifc, p->v6, true), peer = address(p->ifc, p->v6, false);
	uint8_t body[128] = {p->v6 ? 1 : 3, p->v6 ? 4 : 3};
	uint16_t rport = (uint16_t)(1000 + p->number);
	struct test_tcp t = {.sport = p->lport, .dport = rport, .seq = seq, .flags = TCP_SYN};
	size_t quote;

	if (p->proto == IPPROTO_TCP)
		test_frame_tcp(&inner, us, peer, &t, NULL, 0);
	else
		test_frame_udp(&inner, us, peer, p->lport, rport, NULL, 0);
	quote = inner.len - inner.l3;
	memcpy(body + 8, inner.b + inner.l3, quote);
	test_frame_icmp(&frame, peer, us, 64, body, 8 + quote);
	host_frame(i, p->ifc, &frame);
}

/** A peer says which MAC it has: it asks for ours, or answers (RFC 826, RFC 4861). */
static void
neighbour(unsigned ifc, bool v6, bool answers)
{
	struct test_addr us = address(ifc, v6, true), peer = address(ifc, v6, false);
	uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(0x11 + ifc)};
	uint8_t nd[32] = {answers ? 136 : 135};

	if (v6) {
		nd[4] = answers ? 0x60 : 0;
		memcpy(nd + 8, answers ? peer.b : us.b, 16);
		nd[24] = answers ? 2 : 1;
		nd[25] = 1;
		memcpy(nd + 26, test_mac_peer, 6);
		test_frame_icmp(&frame, peer, us, 255, nd, sizeof(nd));
	} else {
		test_frame_arp(&frame, answers ? 2 : 1, peer, test_mac_peer, us, mac);
	}
	host_frame(0, ifc, &frame);
}

/* ---- the outside ---- */

static uint64_t
host_now(void *arg)
{
	(void)arg;
	return h.now_us;
}

static uint16_t
host_rx(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n)
{
	unsigned have = h.n[queue][ifc];

	(void)arg;
	assert(have <= n);
	(void)n;
	memcpy(m, h.queue[queue][ifc], have * sizeof(*m));
	h.n[queue][ifc] = 0;
	return (uint16_t)have;
}

static void
sent_tcp(struct host_seen *s, const uint8_t *t)
{
	s->seq = (uint32_t)t[4] << 24 | (uint32_t)t[5] << 16 | (uint32_t)t[6] << 8 | t[7];
	s->syn_acks += (t[13] & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	s->resets += (t[13] & TCP_RST) != 0;
}

/** What goes out to a peer is noted; questions for its MAC are answered. */
static void
host_sent(const struct rte_mbuf *m, unsigned ifc)
{
	struct host_peer p = {.ifc = ifc};
	uint8_t b[256];
	uint32_t len = RTE_MIN(rte_pktmbuf_pkt_len(m), (uint32_t)sizeof(b));
	const uint8_t *f = rte_pktmbuf_read(m, 0, len, b), *l4;

	p.v6 = f[12] == 0x86;
	if (f[12] == 8 && f[13] == 6) {
		if (f[21] == 1 && f[41] == 9)
			neighbour(ifc, false, true);
		return;
	}
	p.proto = p.v6 ? f[14 + 6] : f[14 + 9];
	l4 = f + 14 + (p.v6 ? 40 : 20);
	if (p.proto == IPPROTO_ICMP || (p.proto == IPPROTO_ICMPV6 && l4[0] < 128)) {
		host_seen[0].unreachables += l4[0] == (p.v6 ? 1 : 3);
		return;
	}
	if (p.proto == IPPROTO_ICMPV6 && l4[0] == 135 && l4[23] == 9)
		neighbour(ifc, true, true);
	if (p.proto != IPPROTO_TCP && p.proto != IPPROTO_UDP)
		return;
	p.lport = (uint16_t)(l4[0] << 8 | l4[1]);
	p.number = (unsigned)(l4[2] << 8 | l4[3]) - 1000;
	if (p.number >= HOST_PEERS)
		return;
	host_seen[p.number].sent++;
	if (p.proto == IPPROTO_TCP)
		sent_tcp(&host_seen[p.number], l4);
	if (host_on_sent != NULL)
		host_on_sent(&p);
}

static uint16_t
host_tx(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n)
{
	(void)arg;
	(void)worker;
	for (uint16_t i = 0; i < n; i++) {
		host_sent(m[i], ifc);
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

/* ---- the stack ---- */

static void
must(int err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "interleave: %s: %s\n", what, strerror(-err));
	abort();
}

static void
interface(unsigned i)
{
	struct ip_ifc_conf conf = {
		.name = i == 0 ? "left" : "right",
		.mac = {{2, 0, 0, 0, 0, (uint8_t)(0x11 + i)}},
		.mtu = 1500,
		.off.multi_segs = true,
	};

	must(stack_ifc_add(host, &conf, HOST_WORKERS), "interface");
	must(ip_address_add(stack_ip(host), i, address(i, false, true).b, 24), "address");
	must(ip_address_add(stack_ip(host), i, address(i, true, true).b, 64), "address");
	ip_ifc_link(stack_ip(host), i, true);
}

void
host_open(void)
{
	struct stack_conf conf = {
		.name = "host",
		.workers = HOST_WORKERS,
		.seats = HOST_WORKERS,
		.spread = STACK_SPREAD_RSS,
		.limit_conversations = NODES_MAX,
		.limit_half_open = NODES_MAX,
		.limit_time_wait = NODES_MAX,
		.limit_fragments = 2,
		.listeners = 16,
		.mbufs = 512,
		.virtual_workers = true,
		.seed = 1,
		.socket_id = SOCKET_ID_ANY,
		.io = {.rx = host_rx, .tx = host_tx, .now_us = host_now},
	};
	int err = 0;

	host = stack_create(&conf, &err);
	must(err, "stack");
	must(stack_service_add(host, &witness), "service");
	interface(0);
	interface(1);
	must(stack_start(host), "start");
	for (unsigned w = 0; w < HOST_WORKERS; w++)
		must(stack_worker_join(host, w), "worker");
	must(stack_control_join(host), "control");
	/* Announcements; and IPv6 addresses are good after a second (RFC 4862). */
	for (unsigned i = 0; i < 4; i++) {
		h.now_us += 1000000;
		host_turns(0, 1);
	}
	for (unsigned ifc = 0; ifc < 2; ifc++) {
		neighbour(ifc, false, false);
		neighbour(ifc, true, false);
	}
	host_turns(0, 1);
	for (unsigned w = 0; w < HOST_WORKERS; w++)
		stack_worker_offline(host, w);
}

void
host_on(unsigned i)
{
	stack_worker_online(host, i);
}

void
host_off(unsigned i)
{
	stack_worker_offline(host, i);
}

void
host_turns(unsigned i, unsigned n)
{
	for (; n > 0; n--) {
		h.now_us += HOST_TURN_US;
		stack_turn(host, i);
	}
}

void
host_late(unsigned ms)
{
	h.now_us += ms * UINT64_C(1000);
}

void
host_control_tick(void)
{
	stack_control_tick(host);
}

struct listener *
host_listen(uint8_t proto, uint16_t port)
{
	struct listener_conf conf = {
		.name = "witness",
		.proto = proto,
		.port_lo = port,
		.port_hi = port,
		.service = &witness,
		.options = &h.options,
		.half_open = NODES_MAX,
	};
	struct listener *l = NULL;

	stack_control_online(host);
	if (stack_listen(host, &conf, &l) != 0)
		explore_fail("port %u is taken, or there is no memory", port);
	stack_control_offline(host);
	return l;
}

void
host_unlisten(enum host_listeners i)
{
	struct listener *l = host_listener[i];

	host_listener[i] = NULL;
	stack_control_online(host);
	stack_unlisten(host, l);
	stack_control_offline(host);
}

void
host_begin(void)
{
	h.now_us = (h.now_us / BEGIN_US + 1) * BEGIN_US;
	world_sort_slots(stack_convs(host));
	if (host_listener[HOST_TCP] == NULL)
		host_listener[HOST_TCP] = host_listen(IPPROTO_TCP, HOST_PORT);
	if (host_listener[HOST_UDP] == NULL)
		host_listener[HOST_UDP] = host_listen(IPPROTO_UDP, HOST_PORT);
	memset(host_seen, 0, sizeof(host_seen));
	host_on_sent = NULL;
	host_on_born = host_on_recv = host_on_kicked = NULL;
}

static void
host_check(void)
{
	char fault[200] = "";
	struct stack_stats st;
	unsigned queued = 0; /* answers about MACs */

	if (stack_check(host, fault, sizeof(fault)) != 0)
		explore_fail("%s", fault);
	stack_stats(host, &st);
	for (unsigned k = 0; k < NODE_KINDS; k++)
		if (st.live[k] != 0)
			explore_fail("%u nodes of kind %u are left", st.live[k], k);
	for (unsigned w = 0; w < HOST_WORKERS; w++)
		queued += h.n[w][0] + h.n[w][1];
	if (st.table != 0 || st.mbufs_in_use != queued || st.mbufs_small_in_use != 0)
		explore_fail("left: %u in the table, %u and %u buffers", st.table, st.mbufs_in_use,
			st.mbufs_small_in_use);
	if (st.conv.recheck_failed != 0)
		explore_fail("I5: %lu packets found a node of another key", st.conv.recheck_failed);
	if (stack_convs(host)->closed != NULL)
		explore_fail("a closed listener is still waiting for somebody");
}

void
host_rest(void)
{
	if (host_listener[HOST_OTHER] != NULL)
		host_unlisten(HOST_OTHER);
	for (unsigned t = 0; t < REST_TURNS; t++) {
		for (unsigned w = 0; w < HOST_WORKERS; w++) {
			host_on(w);
			host_turns(w, 1);
			host_off(w);
		}
		if (t == 1) {
			stack_control_online(host);
			stack_hangup_all(host);
			stack_control_offline(host);
		}
		host_control_tick();
	}
	host_check();
}

/* ---- peers ---- */

struct key
host_key(const struct host_peer *p)
{
	struct key k = {
		.rport_be = htons((uint16_t)(1000 + p->number)),
		.lport_be = htons(p->lport),
		.proto = p->proto,
	};

	memcpy(k.raddr, address(p->ifc, p->v6, false).b, 16);
	memcpy(k.laddr, address(p->ifc, p->v6, true).b, 16);
	return k;
}

void
host_call(unsigned i, const struct host_peer *p)
{
	unsigned before = host_seen[p->number].syn_acks;

	host_tcp(i, p, TCP_SYN, HOST_IRS, 0);
	host_turns(i, 1);
	if (host_seen[p->number].syn_acks == before)
		explore_fail("no SYN-ACK for peer %u", p->number);
	host_tcp(i, p, TCP_ACK, HOST_IRS + 1, host_seen[p->number].seq + 1);
	host_turns(i, 1);
}

struct conv_node *
host_node(const struct host_peer *p)
{
	struct key48 k = {.k = host_key(p)};
	struct ipht *t = conv_ipht(stack_convs(host));
	uint32_t hash = ipht_hash(t, &k.k);
	const struct key48 *keys = &k;
	struct node *n = NULL;

	ipht_look_burst(t, &keys, &hash, 1, &n);
	return (struct conv_node *)n;
}

int
host_connect(unsigned i, const struct host_peer *p, struct conv **ret_c)
{
	struct key k = host_key(p);
	const struct proto *proto = p->proto == IPPROTO_TCP ? &tcp_proto : &udp_proto;

	return proto->connect(stack_seat(host, i), &witness, &k, NULL, ret_c);
}

int
host_hangup(struct conv_handle handle)
{
	int err;

	stack_control_online(host);
	err = stack_hangup(host, handle);
	stack_control_offline(host);
	return err;
}
