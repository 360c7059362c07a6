/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The stack as one object: what a daemon, a simulator, a load generator and an
 * embedding program share. The caller owns threads, ports and the clock and
 * calls stack_turn for each worker, over and over; everything else happens in there.
 *
 * Order: stack_create; stack_service_add; stack_ifc_add, stack_address_add, stack_route_add;
 * stack_start; stack_listen; then, per worker thread, stack_worker_join, stack_turn ..., stack_worker_leave.
 *
 * A worker is a thread; a seat is what it serves: a struct worker with wheel, inbox, kick list, spread ring, queues,
 * retired nodes and counters. There are conf.seats seats from the start, dealt to the workers that run; a worker serves its seats
 * one after the other in each turn. stack_workers_set deals them anew while conversations live.
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
	STACK_SPREAD_AUTO, /* rss where every interface has a queue per seat, else flow */
	STACK_SPREAD_RSS, /* the seat that has its queue */
	STACK_SPREAD_FLOW, /* by tuple hash, through bounded rings; order kept per conversation */
	STACK_SPREAD_PACKET, /* consecutive packets go to different seats, on purpose */
};
const char *stack_spread_name(enum stack_spread s);

/** The outside world, given by the caller. Each is called on the worker's own thread. */
struct stack_io {
	/** Take up to n frames from a queue of interface ifc. @return how many */
	uint16_t (*rx)(void *arg, unsigned ifc, unsigned queue, struct rte_mbuf **m, uint16_t n);
	/** Send n frames on interface ifc from a seat; takes ownership of those it returns. */
	uint16_t (*tx)(void *arg, unsigned seat, unsigned ifc, struct rte_mbuf **m, uint16_t n);
	/** The clock, in us; monotonic, the same for all workers. */
	uint64_t (*now_us)(void *arg);
	void *arg;
	/** End the sleep of a worker that sleeps between stack_worker_doze and stack_worker_woke; called by
	 * whoever brings it work, from any thread. NULL if workers never sleep. */
	void (*wake)(void *arg, unsigned worker);
};

struct stack_conf {
	const char *
		name; /* unique in the process, <= 8 bytes: names of pools, rings and tables start with it */
	unsigned workers; /* that run at first */
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
/** It serves no seat any more (stack_worker_seats is 0), or the stack is at its end. */
void stack_worker_leave(struct stack *s, unsigned w);
/** Any thread: it has joined. */
bool stack_worker_up(const struct stack *s, unsigned w);
/** Around a sleep of the worker's thread: an offline worker delays no grace period. It looks at nothing meanwhile. */
void stack_worker_offline(struct stack *s, unsigned w);
void stack_worker_online(struct stack *s, unsigned w);
/**
 * The worker has nothing to do and would like to sleep: offline from here to stack_worker_woke, and woken by io.wake
 * when another thread brings it work. Packets that arrive on its queues wake nobody: that is the caller's part.
 *
 * @return ms it may sleep, at most `most`; 0: not at all, there is work, and stack_worker_woke must not be called
 */
uint32_t stack_worker_doze(struct stack *s, unsigned w, uint32_t most);
void stack_worker_woke(struct stack *s, unsigned w);
/** How long the worker may sleep, in ms: until its next timer, 0 if work waits, at most `most`. */
uint32_t stack_worker_idle_ms(struct stack *s, unsigned w, uint32_t most);
/** One turn of worker w, for each of its seats: poll, parse, spread, look up, enter, run, flush; then a quiescent
 * state. @return packets and events handled; 0: idle */
unsigned stack_turn(struct stack *s, unsigned w);
/** A seat's struct worker, for io callbacks, tests and active opens (the thread that serves the seat only). */
struct worker *stack_seat(struct stack *s, unsigned seat);
unsigned stack_seats(const struct stack *s);
enum stack_spread stack_spread(const struct stack *s); /* never AUTO once started */

/**
 * Deal all seats to workers 0 to n-1, who have joined. Each seat changes hands between two turns of the worker that gives
 * it away: nothing waits, nothing that lives on it is lost or touched. A worker whose last seat has gone may leave.
 *
 * Control thread. @return 0, -EINVAL (0, or over conf.seats)
 */
int stack_workers_set(struct stack *s, unsigned n);
/** Workers that the seats are dealt to. */
unsigned stack_workers(const struct stack *s);
/** Seats that worker w serves or is to serve, their numbers in ret (NULL: only count), which has room for WORKER_MAX. Any thread. */
unsigned stack_worker_seats(const struct stack *s, unsigned w, uint8_t *ret);

/** The control thread joins as a reader (offline by default) and has a seat of its own; it leaves before it ends, or
 * before stack_free. A thread is a reader of one stack at a time. */
struct worker *stack_control(struct stack *s);
int stack_control_join(struct stack *s);
void stack_control_leave(struct stack *s);
/** Around anything that looks at nodes. */
void stack_control_online(struct stack *s);
void stack_control_offline(struct stack *s);
/** Housekeeping of the control thread, every 100 ms or so: its own retired nodes, closed listeners, the watch for stalls. */
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
	uint64_t oldest_batch_us; /* age of the oldest unreclaimed batch */
	bool stalled; /* it is older than half a second, or a worker has been in one turn for so long */
	uint64_t stalls; /* how often that began */
	uint64_t
		stuck_us; /* for how long a worker has been in its turn, if that is a stall; else 0 ... */
	unsigned stuck_worker; /* ... and which */
	uint64_t spread_pushed, spread_full, spread_kept;
};
void stack_stats(struct stack *s, struct stack_stats *ret);
/** Counters of one seat; a copy. */
void stack_seat_counters(struct stack *s, unsigned seat, struct worker_counters *ret);

/** What a worker has done, on whatever seats. */
struct stack_worker_counters {
	uint64_t turns, idle_turns;
	uint64_t received, delivered, consumed, sent;
	uint64_t sleeps, slept_us; /* up_us - slept_us: what it had of its core, or wanted */
	uint64_t up_us; /* since it joined; over all times that it did */
	uint64_t seats_given; /* seats that it has handed to others */
};
/** A copy. Any thread. */
void stack_worker_counters(const struct stack *s, unsigned w, struct stack_worker_counters *ret);

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
