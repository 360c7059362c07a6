/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The stack as one object: what a daemon, a simulator, a load generator and an
 * embedding program share. The caller owns threads, ports and the clock and
 * calls stack_turn for each worker, over and over; everything else happens in there.
 *
 * Order: stack_create; stack_service_add; stack_ifc_add, stack_address_add, stack_route_add;
 * stack_start; stack_listen; then, per worker thread, stack_worker_join, stack_turn ..., stack_worker_leave.
 */
#pragma once

#include <stdint.h>

#include "ip.h"
#include "listener.h"
#include "proto.h"
#include "reclaim.h"
#include "tcp.h"
#include "udp.h"

struct stack;

/** Who gets a received packet (product.md, workers.spread). */
enum stack_spread {
	STACK_SPREAD_AUTO, /* rss where every interface has a queue per worker, else flow */
	STACK_SPREAD_RSS, /* the worker that polled it */
	STACK_SPREAD_FLOW, /* by tuple hash, through bounded rings; order kept per conversation */
	STACK_SPREAD_PACKET, /* consecutive packets go to different workers, on purpose */
};
const char *stack_spread_name(enum stack_spread s);

/** The outside world, given by the caller. Each is called on the worker's own thread. */
struct stack_io {
	/** Take up to n frames from a queue of interface ifc. @return how many */
	uint16_t (*rx)(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n);
	/** Send n frames on interface ifc from worker w; takes ownership of those it returns. */
	uint16_t (*tx)(void *arg, unsigned worker, unsigned ifc, struct rte_mbuf **m, uint16_t n);
	/** The clock, in us; monotonic, the same for all workers. */
	uint64_t (*now_us)(void *arg);
	void *arg;
};

struct stack_conf {
	const char *
		name; /* unique in the process, <= 8 bytes: names of pools, rings and tables start with it */
	unsigned workers; /* workers that run */
	unsigned seats; /* most workers ever (workers.max) */
	enum stack_spread spread;
	uint32_t limit_conversations, limit_half_open, limit_time_wait, limit_fragments;
	uint32_t listeners; /* most listening ports */
	uint32_t mbufs; /* payload buffers */
	uint16_t mbuf_data_room; /* bytes, headroom included; 0: 2176 */
	uint32_t udp_idle_ms;
	struct tcp_conf tcp; /* secret and workers are filled in by the stack */
	uint64_t seed; /* everything random comes from it: secrets, ports, sequence numbers */
	bool virtual_workers; /* many workers in one thread: virtual reclamation */
	int socket_id;
	struct stack_io io;
};

/** @return the stack, or NULL with *ret_err = -ENOMEM, -EINVAL, -EEXIST */
struct stack *stack_create(const struct stack_conf *conf, int *ret_err);
/** No worker may be running. Frees all that is held. NULL is fine. */
void stack_free(struct stack *s);

/** Register a service under its name. @return 0, -EEXIST, -E2BIG (state over CONV_SVC_BYTES), -ENOSPC */
int stack_service_add(struct stack *s, const struct service *svc);
/** @return the service, or NULL */
const struct service *stack_service(const struct stack *s, const char *name);

/** See ip_ifc_add; queues: RX queues that exist for it. @return the interface's number, or < 0 */
int stack_ifc_add(struct stack *s, const struct ip_ifc_conf *conf, unsigned queues);
/** The pool that ports receive into; exists from stack_create on. */
struct rte_mempool *stack_mempool(struct stack *s);
struct ip *stack_ip(struct stack *s);
struct conv_table *stack_convs(struct stack *s);

/** Allocate what is left and make it ready to turn. @return 0 or -errno */
int stack_start(struct stack *s);

/** See listener_open. Control thread. */
int stack_listen(struct stack *s, const struct listener_conf *conf, struct listener **ret_l);
/** Close a listener; it is freed when its last conversation has gone (stack_control_tick). Control thread. */
void stack_unlisten(struct stack *s, struct listener *l);
/** Walk the listeners: start with NULL. Control thread. */
struct listener *stack_listener_next(struct stack *s, struct listener *l);

/** The calling thread becomes worker w (reader of the QSBR domain; of one stack only). It must have an EAL lcore id unless
 * virtual. */
int stack_worker_join(struct stack *s, unsigned w);
void stack_worker_leave(struct stack *s, unsigned w);
/** Around a sleep of the worker's thread: an offline worker delays no grace period. It looks at nothing meanwhile. */
void stack_worker_offline(struct stack *s, unsigned w);
void stack_worker_online(struct stack *s, unsigned w);
/** How long the worker may sleep, in ms: until its next timer, 0 if work waits, at most `most`. */
uint32_t stack_worker_idle_ms(struct stack *s, unsigned w, uint32_t most);
/** One turn of worker w: poll, parse, spread, look up, enter, run, flush, quiescent state. @return packets and events handled; 0: idle */
unsigned stack_turn(struct stack *s, unsigned number);
/** The worker, for io callbacks, tests and active opens (its own thread only). */
struct worker *stack_worker(struct stack *s, unsigned w);
unsigned stack_workers(const struct stack *s);
enum stack_spread stack_spread(const struct stack *s); /* never AUTO once started */

/** The control thread joins as a reader (offline by default) and has a seat of its own; it leaves before it ends, or
 * before stack_free. A thread is a reader of one stack at a time. */
struct worker *stack_control(struct stack *s);
int stack_control_join(struct stack *s);
void stack_control_leave(struct stack *s);
/** Around anything that looks at nodes. */
void stack_control_online(struct stack *s);
void stack_control_offline(struct stack *s);
/** Housekeeping of the control thread, every 100 ms or so: its own retired nodes, closed listeners. */
void stack_control_tick(struct stack *s);

/** Ask for a conversation to be torn down (convctl hangup). Control thread, online. @return 0, -ENOENT (gone) */
int stack_hangup(struct stack *s, struct conv_handle h);
/** Close all listeners and stop new work; conversations go on (SIGTERM). */
void stack_drain(struct stack *s);
/** Hang all conversations up. Control thread, online. */
void stack_hangup_all(struct stack *s);

/** One row of a listing; see conv_next. @return false if the node was reused meanwhile */
bool stack_conv_status(struct stack *s, struct conv_node *cn, struct conv_status *ret);

/** Everything that is counted, for `convctl stats` and for tests. */
struct stack_stats {
	struct worker_counters sum; /* over workers and the control thread */
	struct conv_counters conv;
	uint64_t held; /* sum.held_in - sum.held_out */
	int64_t missing; /* received - delivered - consumed - drops - held: 0 at rest */
	uint32_t mbufs_in_use, mbufs_small_in_use;
	uint32_t live[NODE_KINDS], limit[NODE_KINDS];
	uint32_t table; /* nodes in the table */
	uint64_t oldest_batch_us; /* oldest unreclaimed batch; the stall alarm is raised past 1 s */
	bool stalled;
	uint64_t spread_pushed, spread_full;
};
void stack_stats(struct stack *s, struct stack_stats *ret);
/** Counters of one worker; a copy. */
void stack_worker_counters(struct stack *s, unsigned w, struct worker_counters *ret);

/** Check I1-I10; workers between turns. @return 0, or -1 with a line in fault */
int stack_check(struct stack *s, char *fault, size_t len);

/** Bytes that a configuration takes: per conversation of its limits, and all told. */
struct stack_memory {
	uint64_t
		per_conversation; /* bytes for one conversation more, its share of the table included */
	uint64_t nodes; /* slabs and table */
	uint64_t mbufs;
	uint64_t total;
};
void stack_memory(const struct stack_conf *conf, struct stack_memory *ret);
