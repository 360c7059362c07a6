/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the scenarios play in: lib/conv with nodes of the tests' own, three workers and a control thread, made once. Each
 * schedule begins and ends with all at rest, so that the same world serves the next.
 *
 * Every packet carries the tuple and the serial number of the node that it is for, and every node knows its own: a
 * packet that reaches another one is told at once.
 */
#pragma once

#include <assert.h>

#include "conv_priv.h"
#include "explore.h"
#include "util.h"

#define WORLD_WORKERS 3
#define WORLD_CONTROL WORLD_WORKERS /* the control thread's place in net.w */

struct world_node {
	struct conv_node cn;
	uint16_t port; /* of the key that it was made for */
	uint32_t life; /* which of those that had this key */
	uint32_t inputs, works, timers, kicks, hangups, retired;
	uint32_t inside; /* plain: two at once would be seen */
	bool echo_dead; /* dies of its next packet */
};

extern struct test_net net;
extern struct conv_table *ct;
extern struct reclaim *reclaim;

/** Pools and table; once per program, after EAL. */
void world_open(void);
/** All of it is at rest; else explore_fail. Used by every scenario's check. */
void world_rest(void);

/** Free slots are taken from the lowest on, whatever was before: so that schedules can be repeated. */
void world_sort_slots(struct conv_table *t);
/** The number, as handles have it, of the slot that is taken next; the one after it is taken then. */
uint32_t world_next_slot(struct conv_table *t, enum node_kind kind);

struct worker *world_worker(unsigned i);
/** A thread of a scenario begins and ends as worker i: between, it is a reader whom the grace period waits for. */
struct worker *world_on(unsigned i);
void world_off(struct worker *w);
struct key48 world_key(uint16_t port);
/** A node in the table, in its n-th life. */
struct world_node *world_born(struct worker *w, uint16_t port, uint32_t life);
/** The same, not in the table yet. */
struct world_node *world_made(struct worker *w, uint16_t port, uint32_t life);
/** A packet for the node that has this key in this life; 0: for whichever has it. */
struct rte_mbuf *world_packet(struct worker *w, uint16_t port, uint32_t life, uint32_t serial);
/** It comes in on worker w. */
void world_input(struct worker *w, uint16_t port, uint32_t life, uint32_t serial);
/** Enter and die. @return false: it was dead or busy */
bool world_kill(struct worker *w, struct world_node *n);
/** One turn of w, us later, quiescent state included. */
void world_turn(struct worker *w, uint64_t us);
/** Delivered so far, by serial number; 0: not. Value: life it was delivered to. */
extern uint32_t world_got[64];
extern unsigned world_ngot, world_missed;
extern uint32_t world_order[64]; /* serials in order of delivery */
/** What happens to a packet for which there is no node: NULL: dropped. */
extern void (*world_on_miss)(struct worker *w, struct rte_mbuf *m);
extern void (*world_on_input)(struct worker *w, struct world_node *n, struct rte_mbuf *m);
extern void (*world_on_work)(struct worker *w, struct world_node *n, uint64_t bits);
