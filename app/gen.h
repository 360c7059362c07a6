/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * convgen, a load generator: a stack like the daemon's, whose services open conversations. What all its files share.
 *
 * A connection (struct gen_conn) is a place that conversations fill one after the other. It is touched inside its
 * conversation, or, while that is idle or there is none, by the worker on whose list it stands.
 */
#pragma once

#include <http_parser.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conv.h"
#include "daemon_priv.h"
#include "gen_hist.h"
#include "proto.h"

#define GEN_PIPELINE_MAX 64
#define GEN_SAME_MAX     512
#define GEN_PATTERN      65536 /* bytes, twice in a row; what is sent is a part of it */

struct gen;

/** What convgen can do: one line each in a table. */
struct gen_mode {
	const char *name;
	const char *help;
	const struct service *service; /* NULL: the stateless mode, which has no stack */
	const struct proto *proto;
	uint32_t connections; /* if nothing is said */
	uint16_t port; /* if the target names none */
	bool random; /* the next idle connection is drawn, not the one that has waited longest */
};
extern const struct gen_mode gen_modes[];

struct gen_conf {
	const struct gen_mode *mode;
	const char *target; /* as it was written */
	struct key key; /* .. raddr */
	uint8_t version; /* 4 or 6 */
	uint16_t port_lo, port_hi; /* of the target; connections take turns */
	uint32_t connections;
	uint32_t size; /* bytes of a request */
	uint32_t pipeline; /* requests that a connection has outstanding */
	double rate; /* per second: requests, or opens where nothing is requested; 0: as fast as it goes */
	double open_rate; /* connections opened per second; 0: as fast as it goes */
	double duration, warmup, progress; /* seconds */
	bool reset; /* end by RST */
	bool close; /* a connection for each request (http) */
	bool send; /* bulk: which way */
	const char *path;
	const char *json;
	uint64_t seed;
	/* Of mode hold. */
	uint32_t sources,
		nsources; /* addresses that it speaks from, host order; 0: the interface's own */
	uint16_t sport_lo, sport_hi;
	uint32_t sample; /* conversations that are asked in the end */
	double churn; /* opened and closed per second meanwhile */
	bool plain; /* SYNs without options */
	/* What its stack is made of, if no file says it. */
	const char *config, *device, *gateway, *cores;
	const char *addresses[16];
	unsigned naddresses;
	uint32_t memory_mb;
	bool hugepages;
	char **eal;
	unsigned neal;
};

#define GEN_COUNTS(X) \
	X(opens)      \
	X(connects)   \
	X(requests)   \
	X(bytes_in)   \
	X(bytes_out)  \
	X(no_buffer)  \
	X(refused)    \
	X(reset)      \
	X(timeout)    \
	X(other)      \
	X(no_port)    \
	X(mismatch)   \
	X(lost)       \
	X(status)

struct gen_counts {
#define X(name) uint64_t name;
	GEN_COUNTS(X)
#undef X
};

enum gen_state {
	GEN_FREE, /* no conversation; stands on a worker's list of those */
	GEN_BUSY, /* its conversation has something to do, or waits for an answer */
	GEN_IDLE, /* stands on a worker's list of those that could send */
	GEN_GONE, /* stood there when its conversation ended */
};

struct gen_conn {
	struct gen *g;
	struct conv_handle handle;
	uint64_t not_before_ns; /* not to be opened again sooner */
	uint64_t next_due_ns; /* of the request, or open, that comes next */
	uint64_t *
		due_ns; /* of the requests outstanding: when each should have gone; a ring of conf.pipeline */
	_Atomic uint64_t sent_ns; /* when the last of them should have */
	_Atomic uint32_t outstanding;
	uint32_t first; /* of due_ns */
	uint32_t got; /* bytes of the answer that is coming */
	uint32_t out_at, in_at; /* places in the pattern */
	_Atomic uint8_t stage; /* enum gen_state */
	_Atomic bool asked; /* to send, by whoever took it from the list of idle ones */
	bool closing;
	bool within; /* http: an answer has begun, and is not complete */
	http_parser http;
} __rte_cache_aligned;

/** Connections, first in first out, unless drawn; at most conf.connections. */
struct gen_list {
	struct gen_conn **at;
	uint32_t head, n;
};

struct gen_worker {
	struct gen_counts c;
	struct gen_hist hist;
	struct gen_list idle, free;
	uint64_t next_ns, next_open_ns; /* schedules */
	/* The last answer that came in one piece: one like it needs no parser. */
	char same[GEN_SAME_MAX];
	uint32_t same_len, same_status; /* 0: none */
	uint32_t sweep; /* next connection to be looked at for a datagram that was lost */
	struct worker *w; /* while a parser runs */
	struct conv *in;
} __rte_cache_aligned;

struct gen {
	struct gen_conf conf;
	struct daemon *d;
	unsigned nworkers;
	struct gen_worker *workers;
	struct gen_conn *conns;
	struct config_prefix *
		from; /* addresses of ours that connections take turns with: those of the target's version */
	unsigned nfrom;
	uint64_t *due_ns;
	uint8_t *pattern;
	char *request; /* of http */
	size_t request_len;
	double ns_per_tick;
	uint64_t interval_ns, open_interval_ns; /* of one worker's schedules; 0: none */
	_Atomic bool run; /* open, send */
	_Atomic bool
		met; /* the target has answered: before that one connection asks, as neighbours queue but a few packets */
	_Atomic bool measure; /* latencies count */
};

/** A clock in ns that has nothing to do with the stack's, which stands still within a turn. */
uint64_t gen_now_ns(const struct gen *g);

static inline struct gen_conn *
gen_conn_of(const struct conv *c)
{
	struct gen_conn *k;

	__builtin_memcpy(&k, c->svc, sizeof(void *));
	return k;
}

static inline struct gen_worker *
gen_worker_of(const struct gen_conn *k, const struct worker *w)
{
	return &k->g->workers[w->id];
}

/* gen_options.c */
/** Read the command line. @return 0 to go on, else 1 + the exit status */
int gen_options(int argc, char **argv, struct gen_conf *conf);
/** The stack's configuration, from a file or from options; faults go to stderr. @return NULL: there were some */
struct config *gen_config(const struct gen_conf *conf);

/* gen_conn.c */
/** @return 0, -ENOMEM */
int gen_make(struct gen *g);
void gen_unmake(struct gen *g);
/** What a worker does between turns: open, send by schedule, look for what was lost. (struct daemon_hooks) */
unsigned gen_turn(void *arg, unsigned worker);
/** The target has answered, or has let itself be given up. */
static inline void
gen_met(struct gen *g)
{
	if (!atomic_load_explicit(&g->met, memory_order_relaxed))
		atomic_store_explicit(&g->met, true, memory_order_relaxed);
}

/** Inside: the conversation is open; ask for what is to be asked. */
void gen_connected(struct worker *w, struct conv *c);
/** Inside: one request more is answered. It was due at due_ns. */
void gen_answered(struct worker *w, struct conv *c);
/** Inside: send a request. */
void gen_send(struct worker *w, struct conv *c, uint64_t due_ns);
/** Inside: it may send, if a schedule says so. */
void gen_idle(struct worker *w, struct gen_conn *k);
void gen_kicked(struct worker *w, struct conv *c);
void gen_close(struct worker *w, struct conv *c);
void gen_failed(struct worker *w, struct conv *c, enum conv_end why);
void gen_hangup(struct worker *w, struct conv *c, enum conv_end why);
/** Write len bytes; counted. @return false: there was no buffer */
bool gen_write(struct worker *w, struct conv *c, const uint8_t *bytes, size_t len);

/* gen_services.c */
extern const struct service gen_svc_connect, gen_svc_request, gen_svc_http, gen_svc_udp,
	gen_svc_bulk;

/* gen_report.c */
/** One line of progress on stderr; was: the counts of last time, and when. */
void gen_progress(struct gen *g, double seconds, struct gen_counts *was, double *was_at);
/** The result. @return the exit status */
int gen_report(struct gen *g, const struct gen_counts *from, double seconds);
void gen_sum(const struct gen *g, struct gen_counts *ret);
/** Quantiles in us. The caller owns it. */
json_t *gen_report_latency(const struct gen_hist *h);
/** Write JSON to a file, - is stdout. @return the exit status */
int gen_report_write(const char *to, const json_t *o);

/* gen_hold_run.c */
/** Mode hold from start to end, on c's first interface and first core. @return the exit status */
int gen_hold_run(const struct gen_conf *conf, const struct config *c,
	const volatile sig_atomic_t *interrupted);

/* gen_hold_report.c */
struct gen_hold;
/** One line of progress on stderr; was: the counts of last time, and when. */
void gen_hold_progress(const struct gen_hold *h, struct gen_hold *was);
/** The result. @return the exit status */
int gen_hold_report(const struct gen_hold *h, const struct gen_conf *conf);
