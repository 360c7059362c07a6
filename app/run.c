/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The daemon while it runs: the control thread's loop, which polls the control socket, signals and a clock, looks after the
 * workers, and is never on a packet's way.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "daemon_priv.h"
#include "eal.h"
#include "workers.h"

#define TICK_MS        100
#define STEP_MS        1 /* while workers come or go */
#define DRAIN_GRACE_US 1000000 /* for what was hung up at the end of the drain */

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

/** Say it when the alarm is raised and when it is over, once each. */
static void
alarm_look(struct daemon *d)
{
	struct stack_stats st;

	stack_stats(d->stack, &st);
	if (st.stalled == d->alarm)
		return;
	d->alarm = st.stalled;
	if (!st.stalled)
		(void)fprintf(stderr, "convd: alarm over: all workers go on\n");
	else if (st.stuck_us > 0)
		(void)fprintf(stderr,
			"convd: ALARM: worker %u has been in one turn for %lu ms; memory given back waits for it\n",
			st.stuck_worker, st.stuck_us / 1000);
	else
		(void)fprintf(stderr,
			"convd: ALARM: memory given back %lu ms ago is not free yet: a reader stands still\n",
			st.oldest_batch_us / 1000);
}

void
daemon_tick(struct daemon *d)
{
	links_look(d);
	stack_control_tick(d->stack);
	alarm_look(d);
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
			daemon_tick(d);
			tick = now + UINT64_C(1000) * TICK_MS;
			if (done != NULL && done(d))
				return 0;
		}
		if (poll(fds, 2, workers_step(d) ? TICK_MS / 2 : STEP_MS) <= 0)
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
	int sigfd = signals_open(), err;

	if (sigfd < 0)
		return -errno;
	links_look(d);
	err = workers_start(d);
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
