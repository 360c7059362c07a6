/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Nodes that live: the slab they come from, the word, entering and leaving,
 * backlog, kicks, timers, retirement. Four kinds of node share it all:
 * conversations, half-open calls, time-wait remains, and datagrams being joined.
 *
 * "Inside" is the one lock-like state: a worker that has entered a node may
 * read and write all of it; nobody else may touch more than the word, the backlog
 * and the atomics of the timer. A worker is inside at most one node at a
 * time (I7) and never waits for one (I8).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipht.h"
#include "node.h"
#include "pkt.h"
#include "reclaim.h"
#include "worker.h"

enum node_kind {
	NODE_CONV, /* struct conv: a conversation of any protocol */
	NODE_HALF_OPEN, /* lib/tcp: a call not yet complete */
	NODE_TIME_WAIT, /* lib/tcp: what is left of a closed conversation */
	NODE_FRAGMENTS, /* lib/conv: a datagram that is being joined */
	NODE_KINDS
};

#define NODE_ID_KIND_SHIFT 29
#define NODE_ID_NONE       UINT32_MAX

/** Timer of a node. Links belong to the owning seat's thread; deadline and owner see timer.c. */
#define CONV_TIMER_UNARMED 0 /* in no wheel; holds no reference */
#define CONV_TIMER_NONE    1 /* stopped, but still in its owner's wheel, with a reference */
#define CONV_TIMER_BUSY \
	0x80 /* with the owner: set again before it would have fired, so stopping leaves it where it is */

struct conv_timer {
	uint32_t next, prev; /* node ids: neighbours in a slot of the wheel */
	_Atomic uint32_t deadline; /* ms of the stack's clock, or CONV_TIMER_UNARMED or _NONE */
	_Atomic uint32_t when; /* when the owner will look at it next; <= deadline */
};

/** What every node has: its head and what lib/conv needs. A kind's own state follows. */
struct conv_node {
	struct node n;
	struct conv_timer timer;
	uint32_t kick_next; /* next id on a kick list; valid while QUEUED */
	_Atomic uint32_t post_next; /* next id in an inbox; valid while POSTED */
	int32_t position; /* what the table wants back of it after a grace period (ipht_free_slot), else -1 */
	_Atomic uint8_t owner; /* seat whose wheel holds the timer; CONV_TIMER_BUSY */
	uint8_t state; /* the kind's own; TCP's state for listings */
	uint16_t slot; /* of the wheel, while the timer stands in it */
};
_Static_assert(sizeof(struct conv_node) == 96, "a line and a half");

/** What a kind of node does. All run inside the node, on the worker that entered. */
struct node_ops {
	const char *name;
	uint32_t size; /* bytes, sizeof of the struct that starts with struct conv_node */

	/** One packet. Consumes m in all cases. May call conv_die. */
	void (*input)(struct worker *w, struct conv_node *cn, struct rte_mbuf *m);
	/** Work other than packets: NODE_TIMER, NODE_KICK and NODE_HANGUP bits. */
	void (*work)(struct worker *w, struct conv_node *cn, uint64_t bits);
	/** Once per entering, after packets and work: run the service, send. May be NULL. */
	void (*flush)(struct worker *w, struct conv_node *cn);
	/** The last reference has gone: give back buffers, counts and what else is held. Nobody is
	 * inside; key and word may still be looked at by others. May be NULL. */
	void (*retire)(struct worker *w, struct conv_node *cn);
};

struct conv_table_conf {
	const char *name; /* unique in the process, <= 16 bytes */
	unsigned seats; /* workers.max */
	/* Most nodes of each kind. Of a large number up to 1 % may stand unused with seats that are idle. */
	uint32_t limit[NODE_KINDS];
	uint32_t listeners;
	struct key_secret secret;
	int socket_id;
	struct reclaim *reclaim; /* owned by the caller, who outlives the table */
	uint32_t backlog_max; /* packets per node; 0: 1024, what a window holds */
	void (*wake)(void *arg,
		unsigned seat); /* something has come to a seat's inbox; any thread; may be NULL */
	void *wake_arg;
	uint64_t now_us; /* the clock now: where the wheels start */
};

struct conv_table;

/** @return the table, or NULL with *ret_err = -ENOMEM, -EINVAL, -EEXIST */
struct conv_table *conv_table_create(const struct conv_table_conf *conf, int *ret_err);
/** All nodes must be back (conv_table_live is 0 for each kind, and no batch is waiting). */
void conv_table_free(struct conv_table *ct);

/** Say what a kind of node does (copied); before conv_table_start. */
void conv_ops_set(struct conv_table *ct, enum node_kind kind, const struct node_ops *ops);
/** Who takes packets for which there is no node (kind: PKT_TCP ...). Consumes m. Inside nothing. */
void conv_miss_set(struct conv_table *ct, enum pkt_kind kind,
	void (*miss)(struct worker *w, struct rte_mbuf *m));
/** Which cache lines of a conversation packets of a kind need, bit i for line i: fetched once it is found. */
void conv_lines_set(struct conv_table *ct, enum pkt_kind kind, uint32_t lines);
/** Allocate the slabs, once every kind's ops are set. @return 0, -ENOMEM, -EINVAL */
int conv_table_start(struct conv_table *ct);

struct ipht *conv_ipht(struct conv_table *ct);

/** The seat a worker serves next: sets w->seat. Seat conf.seats is the control thread's own. */
void conv_seat_take(struct worker *w, unsigned seat);
unsigned conv_seat_number(const struct seat *s);

/* ---- birth ---- */

/**
 * A node from the slab: refs 1 (the table's, to be), DEAD and all work bits clear, key and hash
 * set, everything behind struct conv_node zeroed.
 *
 * Not in the table: nobody else knows it. The caller fills it in and calls conv_publish,
 * or gives it back with conv_abandon.
 *
 * @return NULL if the limit of this kind is reached (the caller counts the refusal)
 */
struct conv_node *
conv_alloc(struct worker *w, enum node_kind kind, const struct key *k, uint32_t hash);
/** Give back a node that was never published. Runs the kind's retire, which must therefore take
 * half-built nodes (what was not filled in is zero). */
void conv_abandon(struct worker *w, struct conv_node *cn);
/** Arm the timer of a node that is not published yet, as conv_timer_set does for others. conv_abandon disarms it. */
void conv_timer_preset(struct worker *w, struct conv_node *cn, uint32_t at_ms);
/**
 * Put a fully built node into the table (insert-if-absent), with bits of work that whoever
 * enters first does (NODE_KICK: "you were just born").
 * @param ret_winner see ipht_add: referenced; put with conv_put
 * @return 0, -EEXIST, -ENOSPC; on failure the node is still the caller's
 */
int
conv_publish(struct worker *w, struct conv_node *cn, uint64_t work, struct conv_node **ret_winner);
/**
 * In one step put young (fully built) in the place of old, which the worker is inside of, and let old die.
 * Packets of old's backlog are looked up again and so reach young.
 * @return 0; -ENOENT if old was not in the table (young is still the caller's)
 */
int conv_replace(struct worker *w, struct conv_node *old, struct conv_node *young, uint64_t work);

/* ---- references ---- */

/** One reference more; the caller has one already. */
void conv_hold(struct conv_node *cn);
/** Give a reference back; the last one retires the node. Any worker, and the control thread. */
void conv_put(struct worker *w, struct conv_node *cn);

/** A conversation's number for people: slot and generation. */
struct conv_handle {
	uint32_t slot;
	uint32_t gen;
};
struct conv_handle conv_handle(const struct conv_table *ct, const struct conv_node *cn);
/** @return the node, referenced (conv_put it), or NULL: gone, or never was */
struct conv_node *conv_by_handle(struct conv_table *ct, struct conv_handle h);
/**
 * The first living node of any kind in a slot >= *slot, referenced; *slot is moved past it. NULL: no more.
 * A reader must be online in the QSBR domain. Looks at most `most` slots before it gives up with
 * NULL and *slot short of conv_slots(): call again.
 */
struct conv_node *conv_next(struct conv_table *ct, uint32_t *slot, uint32_t most);
uint32_t conv_slots(const struct conv_table *ct);
static inline enum node_kind
conv_kind(const struct conv_node *cn)
{
	return (enum node_kind)(cn->n.id >> NODE_ID_KIND_SHIFT);
}

/* ---- inside ---- */

/** True if the worker is inside cn. */
static inline bool
conv_inside(const struct worker *w, const struct conv_node *cn)
{
	return w->in == cn;
}

static inline bool
conv_dead(const struct conv_node *cn)
{
	return (atomic_load_explicit(&cn->n.word, memory_order_relaxed) & NODE_DEAD) != 0;
}

/** Out of the table, no more timers; what is left in the backlog is looked up again. Inside only; idempotent. */
void conv_die(struct worker *w, struct conv_node *cn);

/** Set the node's one timer to fire at at_ms (stack clock, 32 bits, wraps), earlier or later than
 * before. Moving it later is a store. Inside only. A firing comes as NODE_TIMER work; it may come
 * early or once too often (compare with w->now_ms). */
void conv_timer_set(struct worker *w, struct conv_node *cn, uint32_t at_ms);
/** No timer is wanted now; it may fire once more. Inside only. */
void conv_timer_stop(struct worker *w, struct conv_node *cn);

/* ---- work from outside ---- */

/**
 * Let bits of work (NODE_KICK, NODE_HANGUP) be done inside cn soon, by whoever is or comes inside.
 * The caller holds a reference and keeps it. On a worker; also while it is inside another node.
 */
void conv_kick(struct worker *w, struct conv_node *cn, uint64_t bits);
/** Inside cn: NODE_KICK, in the next turn. (conv_kick from inside is done before the worker leaves.) */
void conv_kick_next(struct worker *w, struct conv_node *cn);
/** The same from a thread that is no worker (control): posts to the seat's inbox. */
void conv_post(struct conv_table *ct, unsigned seat, struct conv_node *cn, uint64_t bits);

/* ---- a worker's turn ---- */

/**
 * Deliver n packets (key and hash set): one look-up burst, grouped by node, each node entered once; what has no
 * node goes to the kind's miss function. Consumes all. Inside nothing before and after.
 */
void conv_input_burst(struct worker *w, struct rte_mbuf **m, unsigned n);
/** Look a packet up again later in this turn: its node died, or it was joined from pieces. Consumes m. */
void conv_again(struct worker *w, struct rte_mbuf *m);
/**
 * Publish what a packet that found nobody has made (NULL: there was no room), with NODE_KICK. Of several workers that make
 * the same one wins, and what the others made is given back; their packets, and this one, are looked up again.
 * Consumes m; cn is no longer the caller's.
 * @param why the packet is dropped for, if there is no room
 * @return 0, -EEXIST, -ENOSPC as conv_publish
 */
int conv_newcall(struct worker *w, struct conv_node *cn, struct rte_mbuf *m, enum drop_reason why);
/** Run due timers, the inbox, kicks, and take back reclaimed nodes, of the seat w->seat. @return events done */
unsigned conv_turn(struct worker *w);
/**
 * Ask when everything that any reader may hold now is held no more: take a ticket, later see
 * whether a grace period has passed since. For what is no node (listeners). Each seat counts its own.
 * @return a ticket, or 0 if the reclaimer has no room now: ask again
 */
uint64_t conv_fence(struct worker *w);
bool conv_fence_passed(const struct worker *w, uint64_t ticket);
/** The end of a turn: hand this seat's retired batch to the reclaimer. */
void conv_turn_end(struct worker *w);
/** Ms until the seat's next timer, 0 if work waits; at most `most` (256 at the most). */
uint32_t conv_idle_ms(const struct worker *w, uint32_t most);

/* ---- looking in ---- */

struct conv_counters {
	uint64_t entered, busy; /* conv_enter outcomes */
	uint64_t get_failed; /* get-not-zero found 0 or DEAD */
	uint64_t recheck_failed; /* I5; must stay 0 */
	uint64_t backlog_pushes, backlog_drained, backlog_full;
	uint64_t kicks, posts;
	uint64_t timers_armed, timers_fired, timers_moved_remote;
	uint64_t born[NODE_KINDS], retired[NODE_KINDS], reused[NODE_KINDS];
	uint64_t refused[NODE_KINDS];
	uint64_t added, removed; /* to the table, and from it */
	uint64_t leave_budget; /* left with work standing */
};
/** Counters summed over seats. Any thread. */
void conv_stats(const struct conv_table *ct, struct conv_counters *ret);
/** Packets with which the seat w->seat has met another one in a conversation: left to who was inside, or left to it. Its worker. */
uint64_t conv_met(const struct worker *w);
/** Nodes of a kind that are allocated now (living or waiting for a grace period). */
uint32_t conv_live(const struct conv_table *ct, enum node_kind kind);
uint32_t conv_limit(const struct conv_table *ct, enum node_kind kind);
/** True if conv_alloc would find no room now. On a worker. */
bool conv_full(const struct worker *w, enum node_kind kind);
/** Bytes that slabs and table take for these limits. */
uint64_t
conv_memory(const struct conv_table_conf *conf, const struct node_ops *const ops[NODE_KINDS]);

/** Check I1-I10 on all nodes; workers must be between turns. @return 0, or -1 with a line in fault */
int conv_check(struct conv_table *ct, char *fault, size_t len);
