/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The inside of TCP: the state of a conversation, of a half-open call and of a
 * time-wait remain, and what the files of this folder ask of each other.
 *
 * Unless said otherwise all of it belongs to the worker that is inside the node.
 * Names are those of RFC 9293 section 3.3.1. Sequence numbers are in host order,
 * times in ms of the stack's clock (32 bits, they wrap), 0 for "no time".
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "conv.h"
#include "listener.h"
#include "pkt.h"
#include "proto.h"
#include "tcp.h"
#include "tcp_seq.h"

enum tcp_state {
	TCP_CLOSED,
	TCP_LISTEN, /* of a listener: only the start and end of changes */
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED, /* of a simultaneous open; passive opens are half-open nodes */
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT, /* only until what was received has been read */
	TCP_STATES
};

/* Header flags. */
#define TCP_FIN      0x01
#define TCP_SYN      0x02
#define TCP_RST      0x04
#define TCP_PSH      0x08
#define TCP_ACK      0x10
#define TCP_URG      0x20
#define TCP_ECE      0x40 /* ECN (RFC 3168) */
#define TCP_CWR      0x80

#define TCP_HLEN     20
#define TCP_HLEN_MAX 60
#define TCP_SACK_MAX 4 /* blocks in one segment */

/* Options that a segment carried (pkt->tcp.opts). */
#define TCP_OPT_MSS         0x01
#define TCP_OPT_WSCALE      0x02
#define TCP_OPT_SACK_OK     0x04
#define TCP_OPT_TS          0x08
#define TCP_OPT_ECN         0x10 /* no option, but agreed on like one */

#define TCP_MSS_V4_DEFAULT  536 /* RFC 9293 section 3.7.1 */
#define TCP_MSS_V6_DEFAULT  1220
#define TCP_MSS_MIN         216 /* what a peer can make us use at the least */
#define TCP_WSCALE_MAX      14 /* RFC 7323 section 2.3 */
#define TCP_TS_LEN          12 /* the option with its padding */

#define TCP_RTO_INIT_MS     1000 /* RFC 6298 section 2 */
#define TCP_RTO_MAX_MS      60000
#define TCP_RTO_AFTER_SYN   3000 /* RFC 6298 section 5.7 */
#define TCP_R1              3 /* RFC 9293 section 3.8.3: timeouts in a row, then the path is asked */
#define TCP_R2_SYN_MS       180000 /* RFC 9293 section 3.8.3 (MUST-23) */
#define TCP_KEEP_GAP_MS     75000 /* between keepalive probes, or less: the silence before the first */
#define TCP_KEEP_PROBES     9 /* unanswered in a row */
#define TCP_DELACK_MS       40
#define TCP_SYNACK_SENDS    5 /* the first and 4 more: at 1, 3, 7 and 15 s */
#define TCP_SYNACK_GAP_MS   200 /* a repeated SYN is answered this often */
#define TCP_PAWS_IDLE_MS    (24u * 24 * 3600 * 1000) /* RFC 7323 section 5.5 */
#define TCP_CLOCK_SKEW_MS   60000 /* workers' clocks never differ by more */
#define TCP_DUPTHRESH       3 /* RFC 5681 */
#define TCP_REORDER_MAX     127
#define TCP_CHALLENGE_MS    200 /* one challenge ACK in so many ms, ... */
#define TCP_CHALLENGE_BURST 2000 /* ... saved up for this long (RFC 5961 section 7) */
#define TCP_OOO_MAX         4095 /* most segments kept out of order; each may hold a buffer */
#define TCP_OOO_SMALL       255 /* .. when short ones come no more (CVE-2018-5390) */
#define TCP_OOO_RUNS_MAX    100
#define TCP_BUF_INIT        (64u << 10) /* buffers of a conversation begin with so much, */
#define TCP_BUF_HIGH        (16u << 10) /* may fall back to this, and to */
#define TCP_BUF_FULL        (4u << 10) /* this: see enum tcp_pressure */
#define TCP_SENDQ_MAX       2048 /* most segments queued to be sent, sent ones included */
#define TCP_UNSENT_MAX      (128u << 10) /* most that is queued and not sent yet: it is hot then */
#define TCP_COPY_MAX        192 /* payloads up to this are copied behind their header */
#define TCP_MERGE_MAX       512 /* payloads up to this are copied into the buffer before them */
#define TCP_FRAME_SEGS      8 /* most pieces of one segment's payload */

/* What a conversation is like, and what it has to do (conv.flags). */
#define TCPF_BORN        0x00000001u /* work has not run yet */
#define TCPF_ACTIVE      0x00000002u /* our side opened it */
#define TCPF_OPENING     0x00000004u /* the service has been told neither accept nor connected */
#define TCPF_ACCEPT      0x00000008u /* to do: service->accept */
#define TCPF_CONNECTED   0x00000010u /* to do: service->connected */
#define TCPF_RECV        0x00000020u /* to do: service->recv */
#define TCPF_KICKED      0x00000040u /* to do: service->kicked */
#define TCPF_BLOCKED     0x00000080u /* write_room was 0: service->drain when there is room */
#define TCPF_PEER_FIN    0x00000100u /* the peer's FIN was taken in, in order */
#define TCPF_PEER_FIN_AT 0x00000200u /* it was seen, and its place is rcv_fin */
#define TCPF_SHUT_TOLD   0x00000400u /* service->shutdown was called */
#define TCPF_FIN_QUEUED  0x00000800u /* no more writes: FIN behind what is queued */
#define TCPF_FIN_SENT    0x00001000u
#define TCPF_FIN_LOST    0x00002000u /* to do: send it again */
#define TCPF_CLOSED      0x00004000u /* the service is done with it */
#define TCPF_OVER        0x00008000u /* nothing but the last call is left */
#define TCPF_CALLING     0x00010000u /* a callback of the service is running */
#define TCPF_ACK_NOW     0x00020000u
#define TCPF_TS          0x00040000u /* timestamps agreed on (RFC 7323) */
#define TCPF_SACK        0x00080000u /* SACK agreed on (RFC 2018) */
#define TCPF_WSCALE      0x00100000u /* window scale agreed on */
#define TCPF_RECOVERY    0x00200000u /* fast recovery, up to flight->recover */
#define TCPF_LOSS        0x00400000u /* after a retransmission timeout, up to flight->recover */
#define TCPF_PERSIST     0x00800000u /* rto_at is the persist timer */
#define TCPF_CWND_LTD    0x01000000u /* the congestion window held us back since the last ACK */
#define TCPF_NAGLE       0x02000000u
#define TCPF_WINDOW      0x04000000u /* something was read: look whether the window should be told */
#define TCPF_SYN_RESENT \
	0x08000000u /* SYN or SYN-ACK was lost: small start (RFC 5681 section 3.1) */
#define TCPF_V4   0x10000000u /* IPv4 */
#define TCPF_ECN  0x20000000u /* ECN agreed on (RFC 3168) */
#define TCPF_SENT 0x40000000u /* a segment with an ACK went out in this flush */
#define TCPF_CWR  0x80000000u /* cwnd comes down, as the peer saw marks, up to flight->recover */

/* None of these: there is nothing to be told to the service. */
#define TCPF_SERVE      (TCPF_OPENING | TCPF_KICKED | TCPF_RECV | TCPF_BLOCKED | TCPF_PEER_FIN)

#define TCP_RACK_RTT_US 64u /* what 4 s have room for in 16 bits */

/* What goes on in a flight (tcp_flight.flags). */
#define TCP_FLIGHT_FAST     0x01 /* one lost segment goes whatever cwnd says: fast retransmit */
#define TCP_FLIGHT_RESCUED  0x02 /* the one rescue retransmission of this recovery is spent */
#define TCP_FLIGHT_FRTO     0x04 /* F-RTO: the timeout's retransmission is not yet acknowledged, */
#define TCP_FLIGHT_FRTO_NEW 0x08 /* it is: new data goes, and what the next ACK says decides */

/* Flags of an element of the send queue (pkt->tx.flags). */
#define TCP_TX_SACKED  0x01
#define TCP_TX_LOST    0x02
#define TCP_TX_RETRANS 0x04 /* sent again since it was marked lost */
#define TCP_TX_LENT    0x08 /* the mbuf was lent to a port: tcp_lend.c */

/* What the flight's timer is for. */
#define TCP_TIMER_RTO  0
#define TCP_TIMER_TLP  1
#define TCP_TIMER_RACK 2

/* A tail loss probe that is out. */
#define TCP_TLP_NONE  0
#define TCP_TLP_NEW   1 /* it was new data */
#define TCP_TLP_AGAIN 2 /* it was the last segment again */

struct tcp_cc;

/** The state of one conversation. */
struct tcp_conv {
	struct conv c;

	struct pktq sndq; /* to snd_end; the first one holds the struct tcp_flight */
	struct pktq rcvq; /* in order, to be read */
	struct rte_mbuf *ooo; /* out of order: the first run */
	uint64_t bytes_in, bytes_out;

	/* Send sequence space; snd_end is behind the last queued byte. */
	uint32_t snd_una, snd_nxt, snd_end;
	uint32_t snd_wl1;
	uint32_t cwnd, ssthresh; /* bytes */
	uint32_t
		cc_acked; /* the congestion control's own: what was acknowledged, or CUBIC's W_est */
	uint32_t srtt_us, rttvar_us; /* times 8, times 4 (RFC 6298); srtt 0: no sample yet */

	/* Receive sequence space. */
	uint32_t rcv_nxt;
	uint32_t rcv_adv; /* right edge of the window that was promised */
	union {
		uint32_t rcv_fin; /* where the peer's FIN stands, with TCPF_PEER_FIN_AT */
		uint32_t rcv_from; /* before: first byte not read when a round trip began */
	};
	uint32_t last_ack; /* rcv_nxt when the last ACK was sent (RFC 7323 Last.ACK.sent) */
	uint32_t rcvq_bytes;
	uint32_t ts_recent;

	uint32_t rto_at, delack_at,
		misc_at; /* deadlines; misc: FIN-WAIT-2, TIME-WAIT, else keepalive */
	uint32_t challenge_at; /* challenge ACKs are paid for up to here */
	uint32_t ts_sent; /* last timestamp sent: never goes back, though workers' clocks differ */

	uint16_t snd_wnd, snd_wnd_max; /* as in the header: to be shifted by snd_wscale */
	uint16_t mss; /* the peer's: most bytes behind a header of 20, options count; see tcp_mss */
	uint16_t rcv_mss; /* longest payload seen: what a full segment is */
	uint16_t send_max_kib; /* most that is queued to be sent, now */
	uint16_t retransmits; /* saturates */
	uint16_t ooo_stamp;
	uint16_t rcv_from_ms; /* .. and when that was: low bits */
	uint16_t ooo_segs : 12, recv_grown : 4; /* recv_grown: doublings of the receive buffer */
	uint8_t ooo_runs;
	uint8_t snd_wscale : 4, rcv_wscale : 4;
	uint8_t backoff; /* of the retransmission or persist timer */
	uint8_t retries; /* timeouts since the peer was last heard to make progress */
	uint8_t reorder : 7; /* segments that may overtake one that is not lost */
	uint8_t ece : 1; /* ECN: our ACKs say that marks were seen */
	uint8_t end : 3; /* enum conv_end, with TCPF_OVER */
	uint8_t cc : 2; /* congestion control: its place in the table */
	uint8_t w_max : 2; /* CUBIC's W_max: how it follows from ssthresh */
	uint8_t cwr : 1; /* cwnd was reduced: with ECN the next new data tells the peer */
};
_Static_assert(sizeof(struct tcp_conv) <= 320, "an idle conversation is 5 cache lines");
_Static_assert(CONV_END_MAX <= 8, "end has 3 bits");

/**
 * What is needed only while data is queued: lent from the private area of the send
 * queue's first packet, in place of what parsing found, which means nothing there.
 */
struct tcp_flight {
	struct rte_mbuf *next; /* first element that was never sent, NULL: all were */
	uint32_t pipe; /* bytes that are on their way (RFC 6675) */
	uint32_t sacked; /* bytes in SACKed elements; without SACK: duplicate ACKs, times mss */
	uint32_t recover; /* recovery and loss end when this is acknowledged */
	uint32_t undo_cwnd, undo_ssthresh; /* before the last episode of loss; 0: nothing to undo */
	uint32_t undo_ts; /* our timestamp when the first one was sent again in it */
	uint16_t undo_sent; /* segments sent again in it, less those that came twice */
	uint16_t segs; /* elements */
	uint16_t rack_rtt; /* RACK.rtt (RFC 8985 section 5.2), in steps of TCP_RACK_RTT_US */
	uint8_t dupacks;
	uint8_t timer : 2; /* what rto_at is for: TCP_TIMER_ */
	uint8_t tlp : 2; /* TCP_TLP_: a tail loss probe is out, up to recover */
	uint8_t flags : 4; /* TCP_FLIGHT_ */
	uint32_t
		rack_us; /* RACK.xmit_ts (RFC 8985 section 5.2), low bits; 0: nothing delivered yet */
	/* Proportional rate reduction (RFC 9937), while TCPF_RECOVERY or TCPF_CWR: */
	uint32_t prr_delivered,
		prr_out; /* bytes that came to the peer, and that were sent, since */
	union {
		uint32_t recover_fs; /* bytes in flight when it began: RecoverFS */
		uint32_t out_una; /* at other times: SND.UNA when output was made last */
	};
	union {
		uint32_t cubic_ms; /* when CUBIC's curve passes W_max; 0: no epoch */
		struct { /* of DCTCP's observation window: */
			uint32_t end; /* sequence number at which it is over */
			uint32_t acked, marked; /* bytes */
			uint32_t credit; /* bytes acknowledged since cwnd grew */
		} dctcp;
	};
};
_Static_assert(sizeof(struct tcp_flight) <= offsetof(struct pkt, next), "what parsing found");

/** A call that is not complete: SYN-RECEIVED of a passive open. */
struct tcp_half_open {
	struct conv_node cn;
	struct listener *l; /* counted */
	uint32_t irs, iss;
	uint32_t ts_recent;
	uint32_t sent_ms; /* SYN-ACK, last */
	uint16_t gen; /* of the listener: low bits */
	uint16_t mss; /* the peer's */
	uint16_t wnd;
	uint8_t opts; /* TCP_OPT_* of the SYN */
	uint8_t wscale : 4, sends : 4; /* sends 0, in a conversation's birth: not known (cookie) */
};
_Static_assert(sizeof(struct tcp_half_open) <= 128, "two cache lines");

/** What is left of a closed conversation. */
struct tcp_time_wait {
	struct conv_node cn;
	uint32_t rcv_nxt, snd_nxt;
	uint32_t ts_recent;
	uint32_t until;
	uint32_t challenge_at;
	uint16_t wnd; /* as in the header */
	bool ts;
};
_Static_assert(sizeof(struct tcp_time_wait) <= 128, "two cache lines");

/** Congestion control: decides cwnd and ssthresh, in bytes, nothing else. */
struct tcp_cc {
	const char *name;
	void (*init)(struct tcp_conv *tc);
	/** `bytes` were newly acknowledged while cwnd was the limit, outside of fast recovery. */
	void (*acked)(struct worker *w, struct tcp_conv *tc, uint32_t bytes);
	/** Loss: the new ssthresh for `flight` bytes outstanding. */
	uint32_t (*ssthresh)(struct worker *w, struct tcp_conv *tc, uint32_t flight);
	/** The same when the peer saw marks (ECN). NULL: as for loss. */
	uint32_t (*marked)(struct worker *w, struct tcp_conv *tc, uint32_t flight);
	/** With ECN, before everything else: `ack` acknowledges something new, and says that it was marked, or not. May be NULL. */
	void (*echo)(struct tcp_conv *tc, uint32_t ack, bool ece);
	/** cwnd was not the limit when something was acknowledged; undone: it was put back, as nothing was lost. May be NULL. */
	void (*resume)(struct tcp_conv *tc, bool undone);
};
uint32_t tcp_slow_start(struct tcp_conv *tc, uint32_t bytes);
extern const struct tcp_cc tcp_cc_newreno;
extern const struct tcp_cc tcp_cc_cubic;
extern const struct tcp_cc tcp_cc_dctcp;
const struct tcp_cc *tcp_cc(const struct tcp_conv *tc);

struct tcp_sack_block {
	uint32_t start, end;
};

/* ---- counters: one row per worker, written by it alone ---- */

#define TCP_STATS(X)          \
	X(segs_in)            \
	X(segs_out)           \
	X(trains_out)         \
	X(bytes_in)           \
	X(bytes_out)          \
	X(half_opens)         \
	X(half_open_resets)   \
	X(half_open_timeouts) \
	X(syn_acks_resent)    \
	X(cookies_sent)       \
	X(cookies_ok)         \
	X(cookies_bad)        \
	X(passive_opens)      \
	X(active_opens)       \
	X(established)        \
	X(failed_opens)       \
	X(closed)             \
	X(resets_in)          \
	X(resets_out)         \
	X(timeouts)           \
	X(retransmits)        \
	X(rto_fired)          \
	X(fast_recoveries)    \
	X(rescues)            \
	X(rack_marked)        \
	X(tlp_probes)         \
	X(tlp_repairs)        \
	X(undos)              \
	X(frto_spurious)      \
	X(ecn_agreed)         \
	X(ecn_marks_in)       \
	X(ecn_reductions)     \
	X(dsacks_in)          \
	X(sack_reneges)       \
	X(reorder_seen)       \
	X(dup_acks_in)        \
	X(dup_segs_in)        \
	X(ooo_segs_in)        \
	X(paws)               \
	X(challenge_acks)     \
	X(challenges_limited) \
	X(delayed_acks)       \
	X(window_updates)     \
	X(persist_probes)     \
	X(keepalive_probes)   \
	X(time_waits)         \
	X(time_wait_full)     \
	X(time_wait_reused)   \
	X(recv_grown)         \
	X(send_grown)         \
	X(pressure_high)      \
	X(path_mtu_falls)     \
	X(black_holes)        \
	X(soft_errors)        \
	X(no_mbuf)

enum tcp_stat {
#define X(name) TCP_STAT_##name,
	TCP_STATS(X)
#undef X
	TCP_STAT_MAX
};

/* Changes of state that are counted: from, to, name. */
#define TCP_EDGES(X)                                                   \
	X(CLOSED, SYN_SENT, "closed_syn_sent")                         \
	X(LISTEN, SYN_RECEIVED, "listen_syn_received")                 \
	X(SYN_SENT, SYN_RECEIVED, "syn_sent_syn_received")             \
	X(SYN_SENT, ESTABLISHED, "syn_sent_established")               \
	X(SYN_SENT, CLOSED, "syn_sent_closed")                         \
	X(SYN_RECEIVED, ESTABLISHED, "syn_received_established")       \
	X(SYN_RECEIVED, FIN_WAIT_1, "syn_received_fin_wait_1")         \
	X(SYN_RECEIVED, LISTEN, "syn_received_listen")                 \
	X(SYN_RECEIVED, CLOSED, "syn_received_closed")                 \
	X(ESTABLISHED, FIN_WAIT_1, "established_fin_wait_1")           \
	X(ESTABLISHED, CLOSE_WAIT, "established_close_wait")           \
	X(ESTABLISHED, CLOSED, "established_closed")                   \
	X(FIN_WAIT_1, FIN_WAIT_2, "fin_wait_1_fin_wait_2")             \
	X(FIN_WAIT_1, CLOSING, "fin_wait_1_closing")                   \
	X(FIN_WAIT_1, CLOSED, "fin_wait_1_closed")                     \
	X(FIN_WAIT_2, TIME_WAIT, "fin_wait_2_time_wait")               \
	X(FIN_WAIT_2, CLOSED, "fin_wait_2_closed")                     \
	X(CLOSE_WAIT, LAST_ACK, "close_wait_last_ack")                 \
	X(CLOSE_WAIT, CLOSED, "close_wait_closed")                     \
	X(CLOSING, TIME_WAIT, "closing_time_wait")                     \
	X(CLOSING, CLOSED, "closing_closed")                           \
	X(LAST_ACK, TIME_WAIT, "last_ack_time_wait") /* last_ack_ms */ \
	X(LAST_ACK, CLOSED, "last_ack_closed")                         \
	X(TIME_WAIT, SYN_RECEIVED, "time_wait_syn_received")           \
	X(TIME_WAIT, CLOSED, "time_wait_closed")

/** How short packet buffers are: what conversations may hold follows. */
enum tcp_pressure {
	TCP_PRESSURE_NONE,
	TCP_PRESSURE_SOME, /* half is in use: no buffer of a conversation grows */
	TCP_PRESSURE_HIGH, /* three quarters: TCP_BUF_HIGH for each, nothing out of order */
	TCP_PRESSURE_FULL, /* seven eighths: TCP_BUF_FULL, even if more was promised */
};

/** What TCP keeps per worker: written by it alone. */
struct tcp_worker {
	uint64_t v[TCP_STAT_MAX];
	uint64_t edges[TCP_STATES][TCP_STATES]; /* changes of state: from, to */
	/* The last duplicate that came to the conversation that the worker is inside of; empty: none.
	 * Told by its next ACK (RFC 2883), forgotten when the worker leaves it. */
	struct tcp_sack_block dup;
	uint32_t pressure_ms; /* when it was looked up */
	enum tcp_pressure pressure;
} __rte_cache_aligned;

struct tcp {
	struct tcp_conf conf; /* defaults filled in */
	uint8_t rcv_wscale; /* what recv_max needs */
	_Atomic uint32_t cookie_ms; /* when a SYN cookie went out, to the second; 0: never */
	struct tcp_worker workers[WORKER_MAX + 1];
};

static inline void
tcp_count(struct worker *w, enum tcp_stat s, uint64_t n)
{
	w->tcp->workers[w->id].v[s] += n;
}
#define TCP_COUNT(w, name) tcp_count((w), TCP_STAT_##name, 1)

/* ---- little helpers ---- */

/** A time ms from now, never 0. */
static inline uint32_t
tcp_deadline(const struct worker *w, uint32_t ms)
{
	uint32_t at = w->now_ms + ms;

	return at == 0 ? 1 : at;
}

/** No retransmission timeout is shorter. */
static inline uint32_t
tcp_rto_least(const struct worker *w)
{
	return RTE_MIN(w->tcp->conf.rto_min_ms, (uint32_t)TCP_RTO_INIT_MS);
}

/** Bytes [start, end) came twice. Inside the conversation they came to. */
static inline void
tcp_note_dup(struct worker *w, uint32_t start, uint32_t end)
{
	w->tcp->workers[w->id].dup = (struct tcp_sack_block){start, end};
}

static inline bool
tcp_due(const struct worker *w, uint32_t at)
{
	return at != 0 && (int32_t)(w->now_ms - at) >= 0;
}

/** Ms since the last segment in or out, up to 49 days; other workers' clocks may be a little ahead. */
static inline uint32_t
tcp_idle_ms(const struct worker *w, const struct tcp_conv *tc)
{
	uint32_t ms = w->now_ms - tc->c.active_ms;

	return ms > UINT32_MAX - TCP_CLOCK_SKEW_MS ? 0 : ms;
}

static inline struct tcp_conv *
tcp_conv(struct conv *c)
{
	return (struct tcp_conv *)c;
}

/** Our window, in bytes, while it cannot be scaled yet. */
static inline uint16_t
tcp_syn_window(const struct worker *w)
{
	return (uint16_t)RTE_MIN(w->tcp->conf.recv_max, (uint32_t)UINT16_MAX);
}

/** Only while something is queued. */
static inline struct tcp_flight *
tcp_flight(const struct tcp_conv *tc)
{
	assert(tc->sndq.head != NULL);
	return (struct tcp_flight *)(void *)&pkt_of(tc->sndq.head)->key;
}

/** All has been sent that may be, so what is acknowledged from here on makes room. There is a flight. */
static inline void
tcp_flight_sent(struct tcp_conv *tc)
{
	if ((tc->c.flags & (TCPF_RECOVERY | TCPF_CWR)) == 0)
		tcp_flight(tc)->out_una = tc->snd_una;
}

static inline uint32_t
tcp_snd_wnd(const struct tcp_conv *tc)
{
	return (uint32_t)tc->snd_wnd << tc->snd_wscale;
}

static inline uint32_t
tcp_rcv_wnd(const struct tcp_conv *tc)
{
	return tc->rcv_adv - tc->rcv_nxt;
}

static inline unsigned
tcp_opts_len(const struct tcp_conv *tc)
{
	return (tc->c.flags & TCPF_TS) != 0 ? TCP_TS_LEN : 0;
}

/** Most bytes behind a header of 20 now: the peer's limit, or the path's (RFC 9293 section 3.7.1). */
static inline uint32_t
tcp_mss(const struct tcp_conv *tc)
{
	uint32_t path = tc->c.path.mtu - ((tc->c.flags & TCPF_V4) != 0 ? 40u : 60u);

	return RTE_MIN((uint32_t)tc->mss, path);
}

/** Most payload of a segment without SACK blocks. */
static inline uint32_t
tcp_payload_max(const struct tcp_conv *tc)
{
	return tcp_mss(tc) - tcp_opts_len(tc);
}

/** RFC 6928 section 2. */
static inline uint32_t
tcp_initial_window(const struct tcp_conv *tc)
{
	uint32_t mss = tcp_payload_max(tc);

	return RTE_MIN(10 * mss, RTE_MAX(2 * mss, 14600u));
}

static inline bool
tcp_fin_acked(const struct tcp_conv *tc)
{
	return (tc->c.flags & TCPF_FIN_SENT) != 0 && tc->snd_una == tc->snd_end + 1;
}

/* ---- tcp_mbuf.c ---- */

struct rte_mbuf *tcp_mbuf_front(struct rte_mbuf *m, uint32_t n);
void tcp_mbuf_trim(struct rte_mbuf *m, uint32_t len);
struct rte_mbuf *tcp_mbuf_split(struct worker *w, struct rte_mbuf *m, uint32_t n);
bool tcp_mbuf_merge(struct rte_mbuf *to, const struct rte_mbuf *m, uint32_t most);
void tcp_mbuf_copy_out(const struct rte_mbuf *m, void *to);

/* ---- tcp_opt.c ---- */

bool tcp_parse(struct rte_mbuf *m);
unsigned tcp_parse_sack(const struct rte_mbuf *m, struct tcp_sack_block ret[TCP_SACK_MAX]);

/** A header to be sent. */
struct tcp_out {
	const struct key *k;
	struct path *path; /* NULL: looked up */
	uint32_t seq, ack;
	uint32_t ts_val, ts_ecr;
	uint16_t wnd;
	uint16_t mss; /* 0: no option */
	uint8_t flags;
	uint8_t opts; /* TCP_OPT_WSCALE, _SACK_OK, _TS */
	uint8_t wscale;
	uint8_t nsack;
	bool ect; /* an ECN-capable packet (RFC 3168 section 5: ECT(0)) */
	uint16_t tso; /* see struct ip_tx */
	struct tcp_sack_block sack[TCP_SACK_MAX];
};
unsigned tcp_header_len(const struct tcp_out *o);
void tcp_header_put(uint8_t *p, const struct tcp_out *o, unsigned hlen);
struct rte_mbuf *tcp_header(struct worker *w, const struct tcp_out *o);
struct ip_tx tcp_ip_tx(const struct tcp_out *o, unsigned hlen);
int tcp_transmit(struct worker *w, const struct tcp_out *o, struct rte_mbuf *h);
int tcp_transmit_bare(struct worker *w, const struct tcp_out *o);

/* ---- tcp_lend.c ---- */

bool tcp_lent(struct rte_mbuf *m);
const uint8_t *tcp_tx_bytes(struct rte_mbuf *m);
struct rte_mbuf *tcp_lent_clone(struct worker *w, struct rte_mbuf *m, uint32_t from, uint32_t n);
bool tcp_lend(struct worker *w, const struct tcp_out *o, struct rte_mbuf *m);

/* ---- tcp_isn.c ---- */

uint32_t tcp_isn(const struct worker *w, const struct key *k);
uint32_t tcp_ts_now(const struct worker *w, const struct key *k);
uint32_t tcp_ts_next(const struct worker *w, struct tcp_conv *tc);

/* ---- tcp.c ---- */

void tcp_setup(struct worker *w, struct tcp_conv *tc, uint16_t peer_mss, uint8_t opts);
uint16_t tcp_mss_ours(const struct path *p, const struct key *k);
uint16_t tcp_mss_peer(const struct key *k, uint8_t opts, uint16_t mss);
bool tcp_may_challenge(struct worker *w, uint32_t *at);
enum tcp_pressure tcp_pressure_look(const struct worker *w);

/** How short of packet buffers the worker is; looked up once in a ms. */
static inline enum tcp_pressure
tcp_pressure(const struct worker *w)
{
	const struct tcp_worker *tw = &w->tcp->workers[w->id];

	return likely(tw->pressure_ms == w->now_ms) ? tw->pressure : tcp_pressure_look(w);
}

/* ---- tcp_reset.c ---- */

void tcp_reset_reply(struct worker *w, struct rte_mbuf *m);
void tcp_reset_conv(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_cookie.c ---- */

void tcp_cookie_send(struct worker *w, const struct pkt *p);
bool tcp_cookie_time(const struct worker *w);
bool tcp_cookie_ok(const struct worker *w, const struct pkt *p, struct tcp_half_open *ret_h);

/* ---- tcp_listen.c ---- */

void tcp_miss(struct worker *w, struct rte_mbuf *m);
struct listener *tcp_listener(struct worker *w, const struct key *k);
struct conv_node *tcp_half_open_make(struct worker *w, struct rte_mbuf *m, struct listener *l);

/* ---- tcp_connect.c ---- */

int tcp_connect(struct worker *w, const struct service *s, const struct key *k, const void *svc,
	struct conv **ret_c);
void tcp_syn_sent_input(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m);
void tcp_send_syn(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_input.c ---- */

void tcp_iput(struct worker *w, struct conv *c, struct rte_mbuf *m);
void tcp_advise(struct worker *w, struct conv *c, struct rte_mbuf *m);
void tcp_input_text(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m);
void tcp_establish(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_mtu.c ---- */

void tcp_mtu_told(struct worker *w, struct tcp_conv *tc, uint32_t mtu);
void tcp_mtu_lost(struct worker *w, struct tcp_conv *tc);
void tcp_mtu_again(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_recv.c ---- */

void tcp_recv(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m);
struct rte_mbuf *tcp_read(struct worker *w, struct conv *c);
uint32_t tcp_readable(const struct conv *c);
uint32_t tcp_window(const struct worker *w, const struct tcp_conv *tc);
bool tcp_window_worth(const struct worker *w, const struct tcp_conv *tc);
void tcp_recv_free(struct tcp_conv *tc);

/* ---- tcp_ooo.c ---- */

void tcp_ooo_add(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m);
struct rte_mbuf *tcp_ooo_take(struct tcp_conv *tc);
unsigned tcp_ooo_blocks(const struct tcp_conv *tc, struct tcp_sack_block *ret, unsigned most);
void tcp_ooo_free(struct tcp_conv *tc);

/* ---- tcp_ack.c ---- */

void tcp_ack(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m);
void tcp_rtt_sample(struct tcp_conv *tc, uint32_t us);
uint32_t tcp_rto_ms(const struct worker *w, const struct tcp_conv *tc);

/* ---- tcp_sack.c ---- */

bool tcp_sack_update(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m);
bool tcp_sack_mark_lost(struct tcp_conv *tc);

/* ---- tcp_recovery.c ---- */

/** What an ACK has brought. */
struct tcp_news {
	uint32_t acked; /* bytes newly acknowledged */
	uint32_t was_sacked; /* flight->sacked before */
	bool dup; /* it was a duplicate (RFC 5681 section 2) */
	bool ece; /* and says that marks were seen (RFC 3168) */
};
void tcp_recovery_ack(struct worker *w, struct tcp_conv *tc, const struct tcp_news *n);
void tcp_recovery_timeout(struct worker *w, struct tcp_conv *tc);
void tcp_recovery_echo(struct worker *w, struct tcp_conv *tc, uint32_t ts_ecr);
void tcp_recovery_dsack(struct worker *w, struct tcp_conv *tc);
void tcp_mark_lost(struct tcp_conv *tc, struct rte_mbuf *m);
void tcp_recovery_late(struct worker *w, struct tcp_conv *tc);
void tcp_recovery_undo(struct worker *w, struct tcp_conv *tc);
uint32_t tcp_pipe(const struct tcp_conv *tc);

/* ---- tcp_prr.c ---- */

void tcp_prr_start(struct tcp_conv *tc, uint32_t flight);
void tcp_prr(struct tcp_conv *tc, uint32_t delivered, bool safe);

/* ---- tcp_frto.c ---- */

void tcp_frto_ack(struct worker *w, struct tcp_conv *tc, const struct tcp_news *n);
bool tcp_frto_holds(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_ecn.c ---- */

bool tcp_ecn_asked(const struct worker *w, const struct pkt *p);
bool tcp_ecn_granted(const struct worker *w, const struct tcp_conv *tc, const struct pkt *p);
void tcp_ecn_input(struct worker *w, struct tcp_conv *tc, const struct pkt *p);
void tcp_ecn_reduce(struct worker *w, struct tcp_conv *tc, uint32_t acked);

/* ---- tcp_rack.c ---- */

void tcp_rack_delivered(
	struct worker *w, const struct tcp_conv *tc, const struct pkt *p, const struct pkt *ack);
uint32_t tcp_rack_edge(const struct tcp_conv *tc);
bool tcp_rack_mark(struct worker *w, struct tcp_conv *tc);
void tcp_rack_fired(struct worker *w, struct tcp_conv *tc);
void tcp_flight_timer(struct worker *w, struct tcp_conv *tc, uint8_t why, uint32_t ms);
void tcp_tlp_arm(struct worker *w, struct tcp_conv *tc, uint32_t rto);
void tcp_tlp_sent(struct worker *w, struct tcp_conv *tc);
void tcp_tlp_fired(struct worker *w, struct tcp_conv *tc);
void tcp_tlp_acked(struct worker *w, struct tcp_conv *tc, uint8_t was, bool twice);

/* ---- tcp_send.c: the send queue ---- */

int tcp_write(struct worker *w, struct conv *c, struct rte_mbuf *m);
uint32_t tcp_write_room(const struct conv *c);
uint32_t tcp_piece(const struct conv *c);
uint32_t tcp_ack_seq(const struct tcp_conv *tc);
void tcp_send_pop(struct tcp_conv *tc);
struct rte_mbuf *tcp_send_trim(struct tcp_conv *tc, uint32_t n);
bool tcp_send_split(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m, uint32_t n);
void tcp_send_fill(struct worker *w, struct tcp_conv *tc, struct rte_mbuf *m, uint32_t most);
void tcp_send_free(struct tcp_conv *tc);

/* ---- tcp_output.c ---- */

void tcp_output(struct worker *w, struct tcp_conv *tc);
void tcp_send_new(struct worker *w, struct tcp_conv *tc);
void tcp_idle_restart(struct worker *w, struct tcp_conv *tc);
void tcp_send_ack(struct worker *w, struct tcp_conv *tc);
int tcp_emit(struct worker *w, struct tcp_conv *tc, uint32_t seq, struct rte_mbuf *payload,
	uint32_t len, uint8_t flags);
void tcp_challenge(struct worker *w, struct tcp_conv *tc);
void tcp_probe(struct worker *w, struct tcp_conv *tc);
bool tcp_send_probe(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_timer.c ---- */

void tcp_timer(struct worker *w, struct tcp_conv *tc);
void tcp_timer_arm(struct worker *w, struct tcp_conv *tc);
void tcp_keepalive_start(struct worker *w, struct tcp_conv *tc);
void tcp_rto_start(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_service.c ---- */

void tcp_work(struct worker *w, struct conv *c, uint64_t bits);
void tcp_flush(struct worker *w, struct conv *c);
void tcp_retire(struct worker *w, struct conv *c);
void tcp_shutdown(struct worker *w, struct conv *c);
void tcp_close(struct worker *w, struct conv *c);
void tcp_hangup(struct worker *w, struct conv *c, enum conv_end why);
void tcp_end(struct worker *w, struct tcp_conv *tc, enum conv_end why);
void tcp_last_call(struct worker *w, struct tcp_conv *tc);
void tcp_trouble(struct worker *w, struct tcp_conv *tc, enum conv_trouble what, unsigned detail);

/* ---- tcp_timewait.c ---- */

void tcp_time_wait_enter(struct worker *w, struct tcp_conv *tc);

/* ---- tcp_state.c ---- */

const char *tcp_state_name(unsigned state);
void tcp_state_step(struct worker *w, enum tcp_state from, enum tcp_state to);
void tcp_state_stats(const struct worker *w,
	void (*each)(void *arg, const char *name, uint64_t value), void *arg);

/** Every change of a conversation's state goes through here. */
static inline void
tcp_state_set(struct worker *w, struct tcp_conv *tc, enum tcp_state to)
{
	tcp_state_step(w, (enum tcp_state)tc->c.cn.state, to);
	tc->c.cn.state = to;
}
