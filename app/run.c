/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The daemon while it runs: worker threads, and the control thread's loop, which polls the
 * control socket, signals and a clock, and is never on a packet's way.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "daemon_priv.h"
#include "eal.h"

#define TICK_MS        100
#define IDLE_SPIN      64 /* turns without work before a worker offers its core to others */
#define IDLE_SLEEP     1024 /* ... before it sleeps between turns */
#define IDLE_SLEEP_NS  50000
#define DRAIN_GRACE_US 1000000 /* for what was hung up at the end of the drain */

struct worker_arg {
	struct daemon *d;
	unsigned number;
};

/** Nothing to do: others may need the core, a client on this host among them. */
static void
worker_idle(struct daemon *d, unsigned number, unsigned idle)
{
	const struct timespec nap = {.tv_nsec = IDLE_SLEEP_NS};

	if (idle < IDLE_SPIN)
		return;
	if (idle < IDLE_SLEEP) {
		(void)sched_yield();
		return;
	}
	stack_worker_offline(d->stack, number);
	(void)nanosleep(&nap, NULL);
	stack_worker_online(d->stack, number);
}

static int
worker_main(void *arg)
{
	const struct worker_arg *a = arg;
	struct daemon *d = a->d;
	unsigned idle = 0;

	if (stack_worker_join(d->stack, a->number) != 0)
		return -1;
	/* Relaxed: only the value matters; what came before the stop is ordered by the join. */
	while (!atomic_load_explicit(&d->stop, memory_order_relaxed)) {
		if (stack_turn(d->stack, a->number) > 0)
			idle = 0;
		else
			worker_idle(d, a->number, ++idle);
	}
	stack_worker_leave(d->stack, a->number);
	return 0;
}

static int
workers_launch(struct daemon *d, struct worker_arg *args)
{
	for (unsigned i = 0; i < d->c->workers.count; i++) {
		int err;

		args[i] = (struct worker_arg){d, i};
		err = rte_eal_remote_launch(worker_main, &args[i], i + 1);
		if (err != 0)
			return err;
		d->launched++;
	}
	return 0;
}

static void
workers_stop(struct daemon *d)
{
	atomic_store_explicit(&d->stop, true, memory_order_relaxed);
	for (unsigned i = 0; i < d->launched; i++)
		(void)rte_eal_wait_lcore(i + 1);
}

static void
signals_ours(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGHUP);
}

int
daemon_signals_block(void)
{
	sigset_t set;

	signals_ours(&set);
	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int
signals_open(void)
{
	sigset_t set;

	signals_ours(&set);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void
links_look(struct daemon *d)
{
	for (unsigned i = 0; i < d->c->ninterfaces; i++)
		if (port_link_changed(&d->ports[i]))
			ip_ifc_link(stack_ip(d->stack), i, d->ports[i].up);
}

static void
control_tick(struct daemon *d)
{
	links_look(d);
	stack_control_tick(d->stack);
}

/** @return the signal that ends the daemon, or 0 */
static int
signals_read(int fd)
{
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo != SIGHUP)
			return (int)si.ssi_signo;
		(void)fprintf(stderr, "convd: SIGHUP: reload is not built yet; nothing changed\n");
	}
	return 0;
}

/** Serve the control socket, signals and the clock, until the time is over or a signal comes. @return the signal, or 0 */
static int
control_loop(struct daemon *d, int sigfd, uint64_t until_us, bool (*done)(struct daemon *d))
{
	struct pollfd fds[2] = {
		{.fd = sigfd, .events = POLLIN}, {.fd = control_fd(d->control), .events = POLLIN}};
	uint64_t tick = 0, now;
	int sig;

	while ((now = daemon_clock(NULL)) < until_us) {
		if (now >= tick) {
			control_tick(d);
			tick = now + UINT64_C(1000) * TICK_MS;
			if (done != NULL && done(d))
				return 0;
		}
		if (poll(fds, 2, TICK_MS / 2) <= 0)
			continue;
		if ((fds[0].revents & POLLIN) != 0) {
			sig = signals_read(sigfd);
			if (sig != 0)
				return sig;
		}
		if ((fds[1].revents & POLLIN) != 0)
			control_run(d->control);
	}
	return 0;
}

static bool
conversations_gone(struct daemon *d)
{
	struct stack_stats st;

	stack_stats(d->stack, &st);
	return st.live[NODE_CONV] == 0 && st.live[NODE_HALF_OPEN] == 0;
}

static void
daemon_drain(struct daemon *d, int sigfd)
{
	uint64_t now = daemon_clock(NULL);

	(void)sd_notify(0, "STOPPING=1");
	(void)fprintf(stderr, "convd: draining, up to %u s\n", d->c->limits.drain_seconds);
	control_set_state(d->control, "draining");
	stack_drain(d->stack);
	(void)control_loop(
		d, sigfd, now + (uint64_t)d->c->limits.drain_seconds * 1000000, conversations_gone);
	stack_control_online(d->stack);
	stack_hangup_all(d->stack);
	stack_control_offline(d->stack);
	(void)control_loop(d, sigfd, daemon_clock(NULL) + DRAIN_GRACE_US, conversations_gone);
}

int
daemon_run(struct daemon *d)
{
	struct worker_arg args[WORKER_MAX];
	int sigfd = signals_open(), err;

	if (sigfd < 0)
		return -errno;
	links_look(d);
	err = workers_launch(d, args);
	if (err == 0) {
		banner_print(d, stderr);
		eal_ready();
		(void)fprintf(stderr, "convd: ready\n");
		(void)sd_notify(0, "READY=1");
		(void)control_loop(d, sigfd, UINT64_MAX, NULL);
		daemon_drain(d, sigfd);
	}
	workers_stop(d);
	(void)close(sigfd);
	return err;
}
