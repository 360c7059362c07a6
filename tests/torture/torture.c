/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * torture [-m] [-p] SECONDS: two whole stacks, four workers each, spread "packet", with pauses at every point of the lifetime
 * protocol; control threads that hang conversations up, also by handles of long ago, and close the listeners under
 * their callers. Nothing may ever reach a conversation that it is not for. -p: slots are not poisoned. -m: ends, with status 3,
 * as soon as something is misdelivered: for the designs that do so.
 */
#include "torture.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosts.h"
#include "util.h"

#define WORKERS  4
#define HANDLES  256
#define PATIENCE 60

struct torture_counts torture_counts;
bool torture_poisons = true, torture_ends;

void
torture_misdelivered(uint64_t n)
{
	torture_count(&torture_counts.misdelivered, n);
	if (!torture_ends)
		return;
	(void)fflush(stdout);
	_exit(3);
}

/* ---- the control threads ---- */

struct listening {
	struct listener *l[2];
	bool open;
	unsigned ticks;
};

/** What a control thread knows. */
struct control {
	struct conv_handle
		handle[HANDLES]; /* of conversations it has seen, most of them long gone */
	unsigned nhandles;
	struct worker random;
	struct listening on;
};

static struct control controls[2];

static void
control_listen(struct stack *s, struct listening *on)
{
	static const struct listener_conf lc[2] = {
		{.name = "tcp",
			.proto = IPPROTO_TCP,
			.port_lo = 7000,
			.port_hi = 7001,
			.service = &answer_tcp,
			.half_open = 64},
		{.name = "udp",
			.proto = IPPROTO_UDP,
			.port_lo = 7000,
			.port_hi = 7001,
			.service = &answer_udp},
	};

	for (unsigned i = 0; i < 2; i++)
		if (on->l[i] == NULL && stack_listen(s, &lc[i], &on->l[i]) != 0)
			on->l[i] = NULL; /* the one before still has conversations: later */
	on->open = on->l[0] != NULL && on->l[1] != NULL;
}

/** Now and then the listeners go, with what was half open, and come back. */
static void
control_relisten(struct stack *s, struct listening *on)
{
	if (!on->open) {
		control_listen(s, on);
		return;
	}
	if (++on->ticks % 50 != 0)
		return;
	torture_count(&torture_counts.listens, 1);
	for (unsigned i = 0; i < 2; i++) {
		stack_unlisten(s, on->l[i]);
		on->l[i] = NULL;
	}
	on->open = false;
}

/** Hang up a conversation that is there, and one by a handle of any age: that must be gone, or the very one. */
static void
control_hangup(struct stack *s, struct control *k)
{
	uint32_t slot = (uint32_t)(worker_random(&k->random) % conv_slots(stack_convs(s)));
	struct conv_node *cn;
	struct conv_handle h;

	stack_control_online(s);
	cn = conv_next(stack_convs(s), &slot, 64);
	if (cn != NULL) {
		h = conv_handle(stack_convs(s), cn);
		conv_put(stack_control(s), cn);
		k->handle[k->nhandles++ % HANDLES] = h;
		if (worker_random(&k->random) % 4 == 0 && stack_hangup(s, h) == 0)
			torture_count(&torture_counts.hangups, 1);
	}
	h = k->handle[worker_random(&k->random) % HANDLES];
	cn = h.gen != 0 ? conv_by_handle(stack_convs(s), h) : NULL;
	if (cn != NULL) {
		struct conv_handle is = conv_handle(stack_convs(s), cn);

		if (is.gen != h.gen || is.slot != h.slot)
			torture_misdelivered(1);
		conv_put(stack_control(s), cn);
	} else if (h.gen != 0) {
		torture_count(&torture_counts.stale_handles, 1);
	}
	stack_control_offline(s);
}

static void
torture_tick(unsigned host, struct stack *s)
{
	struct control *k = &controls[host];

	if (host == 1)
		control_relisten(s, &k->on);
	for (unsigned i = 0; i < 8; i++)
		control_hangup(s, k);
}

static void
torture_turn(unsigned host, struct worker *w)
{
	if (host == 0)
		caller_turn(w, WORKERS);
}

/* ---- what is seen ---- */

struct sums {
	uint64_t packets, reused, get_failed, pushes, rechecks;
	bool stalled;
};

static void
sums_take(struct sums *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned h = 0; h < 2; h++) {
		struct stack_stats st;

		stack_stats(hosts_stack(h), &st);
		ret->packets += st.sum.received;
		for (unsigned k = 0; k < NODE_KINDS; k++)
			ret->reused += st.conv.reused[k];
		ret->get_failed += st.conv.get_failed;
		ret->pushes += st.conv.backlog_pushes;
		ret->rechecks += st.conv.recheck_failed;
	}
}

static void
sums_print(unsigned seconds, const struct sums *s)
{
	printf("%4u s: packets %lu, conversations %lu TCP %lu UDP (%lu not opened), slots reused %lu, failed get-not-zero %lu, "
	       "backlog pushes %lu, re-check failures %lu, MISDELIVERED %lu\n",
		seconds, s->packets, atomic_load(&torture_counts.opened[0]),
		atomic_load(&torture_counts.opened[1]), atomic_load(&torture_counts.refused),
		s->reused, s->get_failed, s->pushes, s->rechecks,
		atomic_load(&torture_counts.misdelivered));
}

/** What neither host wanted, by reason. */
static void
drops_print(void)
{
	struct stack_stats st[2];

	for (unsigned h = 0; h < 2; h++)
		stack_stats(hosts_stack(h), &st[h]);
	printf("dropped:");
	for (unsigned r = 0; r < DROP_MAX; r++)
		if (st[0].sum.drops[r] + st[1].sum.drops[r] > 0)
			printf(" %s %lu", drop_name((enum drop_reason)r),
				st[0].sum.drops[r] + st[1].sum.drops[r]);
	printf("; not sent %lu\n", st[0].sum.tx_drops + st[1].sum.tx_drops);
}

static void
torture_report(unsigned seconds, const struct sums *s)
{
	sums_print(seconds, s);
	printf("hung up by hand %lu, stale handles refused %lu, listeners closed and opened again %lu, frames lost %lu; ended:",
		atomic_load(&torture_counts.hangups), atomic_load(&torture_counts.stale_handles),
		atomic_load(&torture_counts.listens), hosts_lost());
	for (unsigned e = 0; e < CONV_END_MAX; e++)
		printf(" %s %lu", conv_end_name((enum conv_end)e),
			atomic_load(&torture_counts.ended[e]));
	printf("\n");
}

/** A long run has to have met enough of what it is for. */
static bool
torture_enough(unsigned seconds, const struct sums *s)
{
	return seconds < 600 ||
		(s->packets >= 100000000 && s->reused >= 1000000 && s->get_failed >= 10000 &&
			s->pushes >= 10000);
}

int
main(int argc, char **argv)
{
	static const struct hosts_conf conf = {
		.name = "tortur",
		.workers = {WORKERS, WORKERS},
		.conversations = 384,
		.time_wait = 256,
		.udp_idle_ms = 30,
		.tcp = {.time_wait_ms = 5,
			.last_ack_ms = 5,
			.fin_wait_2_ms = 500,
			.user_timeout_ms = 3000,
			.keepalive_ms = 1000, /* a RST may be lost */
			.rto_min_ms = 10},
		.turn = torture_turn,
		.tick = torture_tick,
	};
	unsigned seconds, s = 0;
	struct sums sums;
	bool ok;
	int opt;

	while ((opt = getopt(argc, argv, "pm")) != -1) {
		if (opt != 'p' && opt != 'm')
			return 2;
		torture_poisons = torture_poisons && opt != 'p';
		torture_ends = torture_ends || opt == 'm';
	}
	seconds = optind < argc ? (unsigned)strtoul(argv[optind], NULL, 0) : 10;
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_eal("torture");
	for (unsigned h = 0; h < 2; h++)
		worker_seed(&controls[h].random, 7 + h);
	hosts_start(&conf);
	while (s < seconds) {
		hosts_wait_ms(1000);
		if (++s % 10 == 0 || s == seconds) {
			sums_take(&sums);
			sums_print(s, &sums);
		}
	}
	sums_take(&sums);
	drops_print();
	ok = hosts_stop(PATIENCE);
	torture_report(seconds, &sums);
	ok = ok && sums.rechecks == 0 && atomic_load(&torture_counts.misdelivered) == 0;
	if (!torture_enough(seconds, &sums))
		printf("too little was met for so long a run\n");
	ok = ok && torture_enough(seconds, &sums);
	printf("torture: %s\n", ok ? "ok" : "FAILED");
	return !ok;
}
