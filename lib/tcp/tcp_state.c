/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The state of a conversation (RFC 9293 section 3.3.2): names, and every change of it, counted by edge of figure 5.
 */
#include "tcp_priv.h"

const char *
tcp_state_name(unsigned state)
{
	static const char *const names[TCP_STATES] = {
		[TCP_CLOSED] = "CLOSED",
		[TCP_LISTEN] = "LISTEN",
		[TCP_SYN_SENT] = "SYN-SENT",
		[TCP_SYN_RECEIVED] = "SYN-RECEIVED",
		[TCP_ESTABLISHED] = "ESTABLISHED",
		[TCP_FIN_WAIT_1] = "FIN-WAIT-1",
		[TCP_FIN_WAIT_2] = "FIN-WAIT-2",
		[TCP_CLOSE_WAIT] = "CLOSE-WAIT",
		[TCP_CLOSING] = "CLOSING",
		[TCP_LAST_ACK] = "LAST-ACK",
		[TCP_TIME_WAIT] = "TIME-WAIT",
	};

	return state < TCP_STATES ? names[state] : "?";
}

struct tcp_edge {
	uint8_t from, to;
	const char *name;
};

/* Figure 5, and from each state the end that RST, a timeout or our own side can bring (section 3.10). */
static const struct tcp_edge tcp_edges[] = {
#define X(from, to, name) {TCP_##from, TCP_##to, "state_" name},
	TCP_EDGES(X)
#undef X
};

/** From one state into another. */
void
tcp_state_step(struct worker *w, enum tcp_state from, enum tcp_state to)
{
	w->tcp->workers[w->id].edges[from][to]++;
}

/** @see struct proto: stats */
void
tcp_state_stats(const struct worker *w, void (*each)(void *arg, const char *name, uint64_t value),
	void *arg)
{
	for (unsigned e = 0; e < RTE_DIM(tcp_edges); e++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i <= WORKER_MAX; i++)
			sum += *(const volatile uint64_t *)&w->tcp->workers[i]
					.edges[tcp_edges[e].from][tcp_edges[e].to];
		each(arg, tcp_edges[e].name, sum);
	}
}
