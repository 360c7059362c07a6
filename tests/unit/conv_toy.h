/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A node of the tests' own on lib/conv: what comes in is written down, so that delivery, order, lifetime and timers
 * can be checked. Three workers in one thread: a packet that arrives "while somebody is inside" is put in from the
 * node's own input.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conv_priv.h"
#include "util.h"

#define WORKERS   3
#define SEATS     WORKERS
#define NODES_MAX 64
#define LOG_MAX   4096

struct toy {
	struct conv_node cn;
	uint64_t marker; /* of the key it was made for */
	uint32_t inputs;
};

enum event {
	EV_PACKET,
	EV_TIMER,
	EV_KICK,
	EV_HANGUP,
	EV_FLUSH,
	EV_RETIRE,
	EV_MISS
};

struct entry {
	enum event ev;
	unsigned worker;
	uint32_t id;
	uint32_t serial; /* of the packet */
	uint32_t now_ms;
};

extern struct test_net net;
extern struct reclaim *reclaim;
extern struct conv_table *ct;
extern struct entry logbook[LOG_MAX];
extern unsigned nlog;
extern void (*on_input)(struct worker *w, struct toy *t, struct rte_mbuf *m);
extern void (*on_work)(struct worker *w, struct toy *t, uint64_t bits);
extern const struct key_secret secret;

int toy_setup(void **state);
int toy_teardown(void **state);
/** One turn of every worker, us later. */
void toy_turn(uint64_t us);
/** conv_check finds nothing. */
void toy_check(void);
void toy_note(struct worker *w, enum event ev, struct conv_node *cn, struct rte_mbuf *m);
/** How often it was written down. */
unsigned toy_count(enum event ev);
struct key48 toy_key(uint16_t port);
/** A node that is not in the table yet; and one that is. */
struct toy *toy_new(struct worker *w, uint16_t port);
struct toy *toy_born(struct worker *w, uint16_t port);
struct rte_mbuf *toy_packet(struct worker *w, uint16_t port, uint32_t serial);
void toy_input_one(struct worker *w, uint16_t port, uint32_t serial);
void toy_die(struct worker *w, struct toy *t);
