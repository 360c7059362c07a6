/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Every counter there is: the sum of received packets (product.md's promise 1), each reason for
 * a drop by its name, and what each library counts.
 */
#include <rte_mempool.h>

#include "control_priv.h"
#include "tcp.h"
#include "udp.h"

static void
control_stat(void *arg, const char *name, uint64_t value)
{
	struct control_json *out = arg;

	control_json_u64(out, name, value);
}

/* All reasons, or those that have occurred. */
static void
control_stats_drops(const struct worker_counters *c, bool all, struct control_json *out)
{
	control_json_object(out, "drops");
	for (unsigned r = 0; r < DROP_MAX; r++) {
		if (all || c->drops[r] > 0)
			control_json_u64(out, drop_name(r), c->drops[r]);
	}
	control_json_object_end(out);
}

/* What the total and each worker have in common. */
static void
control_stats_sum(const struct worker_counters *c, bool all, struct control_json *out)
{
	control_json_u64(out, "received", c->received);
	control_json_u64(out, "delivered", c->delivered);
	control_json_u64(out, "consumed", c->consumed);
	control_stats_drops(c, all, out);
	control_json_u64(out, "sent", c->sent);
	control_json_u64(out, "tx_drops", c->tx_drops);
	control_json_u64(out, "tx_no_mbuf", c->tx_no_mbuf);
	control_json_u64(out, "turns", c->turns);
	control_json_u64(out, "idle_turns", c->idle_turns);
}

static void
control_stats_workers(struct stack *s, struct control_json *out)
{
	struct worker_counters c;

	control_json_array(out, "workers");
	for (unsigned i = 0; i < stack_seats(s); i++) {
		stack_seat_counters(s, i, &c);
		control_json_object(out, NULL);
		control_json_u64(out, "worker", i);
		control_stats_sum(&c, false, out);
		control_json_u64(out, "held_in", c.held_in);
		control_json_u64(out, "held_out", c.held_out);
		control_json_object_end(out);
	}
	control_json_array_end(out);
}

static void
control_stats_kinds(const struct stack_stats *st, struct control_json *out)
{
	for (unsigned kind = 0; kind < NODE_KINDS; kind++) {
		control_json_object(out, control_kinds[kind]);
		control_json_u64(out, "live", st->live[kind]);
		control_json_u64(out, "limit", st->limit[kind]);
		control_json_u64(out, "born", st->conv.born[kind]);
		control_json_u64(out, "retired", st->conv.retired[kind]);
		control_json_u64(out, "reused", st->conv.reused[kind]);
		control_json_u64(out, "refused", st->conv.refused[kind]);
		control_json_object_end(out);
	}
}

static void
control_stats_conv(const struct stack_stats *st, struct control_json *out)
{
	const struct conv_counters *c = &st->conv;

	control_json_object(out, "conv");
	control_stats_kinds(st, out);
	control_json_u64(out, "table", st->table);
	control_json_u64(out, "entered", c->entered);
	control_json_u64(out, "busy", c->busy);
	control_json_u64(out, "get_failed", c->get_failed);
	control_json_u64(out, "recheck_failed", c->recheck_failed);
	control_json_u64(out, "backlog_pushes", c->backlog_pushes);
	control_json_u64(out, "backlog_drained", c->backlog_drained);
	control_json_u64(out, "backlog_full", c->backlog_full);
	control_json_u64(out, "kicks", c->kicks);
	control_json_u64(out, "posts", c->posts);
	control_json_u64(out, "leave_budget", c->leave_budget);
	control_json_u64(out, "timers_armed", c->timers_armed);
	control_json_u64(out, "timers_fired", c->timers_fired);
	control_json_u64(out, "timers_moved_remote", c->timers_moved_remote);
	control_json_u64(out, "oldest_batch_us", st->oldest_batch_us);
	control_json_bool(out, "stalled", st->stalled);
	control_json_u64(out, "stalls", st->stalls);
	control_json_object_end(out);
}

static void
control_stats_protocols(struct stack *s, struct control_json *out)
{
	const struct worker *w = stack_seat(s, 0);

	control_json_object(out, "tcp");
	if (tcp_proto.stats != NULL)
		tcp_proto.stats(w, control_stat, out);
	control_json_object_end(out);
	control_json_object(out, "udp");
	if (udp_proto.stats != NULL)
		udp_proto.stats(w, control_stat, out);
	control_json_object_end(out);
	control_json_object(out, "ip");
	ip_stats(stack_ip(s), control_stat, out);
	control_json_object_end(out);
}

int
control_cmd_stats(struct control *ctl, const json_t *req, struct control_json *out)
{
	struct stack *s = ctl->conf.stack;
	struct stack_stats st;

	(void)req;
	stack_stats(s, &st);
	control_json_object(out, "stats");
	control_stats_sum(&st.sum, true, out);
	control_json_u64(out, "held", st.held);
	control_json_i64(out, "missing", st.missing);
	control_stats_workers(s, out);
	control_stats_protocols(s, out);
	control_stats_conv(&st, out);
	control_json_object(out, "spread");
	control_json_u64(out, "pushed", st.spread_pushed);
	control_json_u64(out, "full", st.spread_full);
	control_json_u64(out, "kept", st.spread_kept);
	control_json_object_end(out);
	control_json_object(out, "mbufs");
	control_json_u64(out, "size", stack_mempool(s)->size);
	control_json_u64(out, "in_use", st.mbufs_in_use);
	control_json_u64(out, "small_in_use", st.mbufs_small_in_use);
	control_json_object_end(out);
	control_json_object_end(out);
	return 0;
}
