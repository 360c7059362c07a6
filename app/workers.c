/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Worker i runs on EAL's lcore i + 1. It ends when control tells it to, which is when it serves no seat any more, and may be
 * launched again later.
 */
#include "workers.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "daemon_priv.h"

#define IDLE_SPIN   64 /* turns without work before a worker offers its core to others */
#define IDLE_SLEEP  1024 /* ... before it sleeps between turns */
#define POLL_NAP_NS 50000 /* idle "poll" */
#define SLEEP_MS    100 /* longest sleep: ageing of neighbours is due then */
#define NAP_MIN_US \
	50 /* where a port has nothing to wait on: a sixteenth of the silence so far, ... */
#define NAP_MAX_US   1000 /* ... within these */
#define NAP_SHARE    16
#define START_TRY_US 1000

struct daemon_worker {
	struct daemon *d;
	unsigned number;
	int wakefd; /* an eventfd */
	struct pollfd *fds; /* wakefd, and room for each queue there is */
	unsigned idle; /* turns without work */
	uint64_t idle_since_us; /* 0: not asleep yet since there was work */
	_Atomic bool stop;
};

/* ---- on the worker's thread ---- */

static void
worker_nap(struct daemon_worker *w)
{
	const struct timespec nap = {.tv_nsec = POLL_NAP_NS};

	stack_worker_offline(w->d->stack, w->number);
	(void)nanosleep(&nap, NULL);
	stack_worker_online(w->d->stack, w->number);
}

/** What to wait on: the wake-up, and the queues of this worker's seats. @return how many; *ret_all: these are all queues */
static unsigned
worker_fds(struct daemon_worker *w, bool *ret_all)
{
	struct daemon *d = w->d;
	uint8_t seats[WORKER_MAX];
	unsigned nseats = stack_worker_seats(d->stack, w->number, seats), n = 0;

	w->fds[n++] = (struct pollfd){.fd = w->wakefd, .events = POLLIN};
	*ret_all = true;
	for (unsigned i = 0; i < nseats; i++) {
		for (unsigned p = 0; p < d->c->ninterfaces; p++) {
			for (unsigned q = seats[i]; q < d->ports[p].nrx; q += d->c->workers.max) {
				int fd = port_wait_fd(&d->ports[p], q);

				w->fds[n] = (struct pollfd){.fd = fd, .events = POLLIN};
				n += fd >= 0;
				*ret_all = *ret_all && fd >= 0;
			}
		}
	}
	return n;
}

/** Where a queue can't be waited on, the next look must not be far off. */
static uint64_t
worker_nap_us(const struct daemon_worker *w, uint64_t now_us)
{
	uint64_t share = (now_us - w->idle_since_us) / NAP_SHARE;

	return RTE_MIN(RTE_MAX(share, (uint64_t)NAP_MIN_US), (uint64_t)NAP_MAX_US);
}

/**
 * Sleep until a packet, a timer or another thread wants something. What came since the last look at a queue
 * makes its descriptor readable, so it ends the wait at once.
 */
static void
worker_sleep(struct daemon_worker *w)
{
	uint64_t us, wakeups;
	struct timespec ts;
	bool all;
	unsigned n;

	us = UINT64_C(1000) * stack_worker_doze(w->d->stack, w->number, SLEEP_MS);
	if (us == 0) {
		(void)sched_yield();
		return;
	}
	n = worker_fds(w, &all);
	if (!all) {
		uint64_t now_us = daemon_clock(NULL);

		if (w->idle_since_us == 0)
			w->idle_since_us = now_us;
		us = RTE_MIN(us, worker_nap_us(w, now_us));
	}
	ts = (struct timespec){.tv_nsec = (long)us * 1000};
	(void)ppoll(w->fds, n, &ts, NULL);
	stack_worker_woke(w->d->stack, w->number);
	if ((w->fds[0].revents & POLLIN) != 0)
		(void)!read(w->wakefd, &wakeups, sizeof(wakeups));
}

/** Nothing to do: others may need the core, a client on this host among them. */
static void
worker_idle(struct daemon_worker *w)
{
	w->idle++;
	if (w->idle < IDLE_SPIN)
		return;
	if (w->idle < IDLE_SLEEP)
		(void)sched_yield();
	else if (w->d->c->workers.idle == CONFIG_IDLE_POLL)
		worker_nap(w);
	else
		worker_sleep(w);
}

static int
worker_main(void *arg)
{
	struct daemon_worker *w = arg;
	const struct daemon_hooks *hooks = &w->d->hooks;
	struct stack *s = w->d->stack;
	unsigned n;

	if (stack_worker_join(s, w->number) != 0)
		return -1;
	/* Relaxed: only the value matters; what came before the stop is ordered by the join. */
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		n = stack_turn(s, w->number);
		if (hooks->turn != NULL)
			n += hooks->turn(hooks->arg, w->number);
		for (unsigned p = 0; p < w->d->c->ninterfaces; p++)
			port_flush(&w->d->ports[p]);
		if (n > 0) {
			w->idle = 0;
			w->idle_since_us = 0;
		} else {
			worker_idle(w);
		}
	}
	stack_worker_leave(s, w->number);
	return 0;
}

/* ---- any thread ---- */

void
workers_wake(void *arg, unsigned worker)
{
	struct daemon *d = arg;
	uint64_t one = 1;

	(void)!write(d->workers[worker].wakefd, &one, sizeof(one));
}

/* ---- on the control thread ---- */

int
workers_open(struct daemon *d)
{
	unsigned queues = 0;

	for (unsigned p = 0; p < d->c->ninterfaces; p++)
		queues += d->ports[p].nrx;
	d->workers = calloc(d->c->workers.max, sizeof(*d->workers));
	if (d->workers == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < d->c->workers.max; i++)
		d->workers[i] = (struct daemon_worker){.d = d, .number = i, .wakefd = -1};
	for (unsigned i = 0; i < d->c->workers.max; i++) {
		struct daemon_worker *w = &d->workers[i];

		w->fds = calloc(1 + queues, sizeof(*w->fds));
		if (w->fds == NULL)
			return -ENOMEM;
		w->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (w->wakefd < 0)
			return -errno;
	}
	return 0;
}

static bool
worker_runs(unsigned number)
{
	return rte_eal_get_lcore_state(number + 1) == RUNNING;
}

/** @return 0: it runs, or will at once; -EBUSY: it has yet to end first */
static int
worker_start(struct daemon_worker *w)
{
	if (worker_runs(w->number))
		return atomic_load_explicit(&w->stop, memory_order_relaxed) ? -EBUSY : 0;
	atomic_store_explicit(&w->stop, false, memory_order_relaxed);
	w->idle = 0;
	return rte_eal_remote_launch(worker_main, w, w->number + 1);
}

/** @return true: it has ended, or was not running */
static bool
worker_stop(struct daemon_worker *w)
{
	if (!worker_runs(w->number))
		return true;
	atomic_store_explicit(&w->stop, true, memory_order_relaxed);
	workers_wake(w->d, w->number);
	return false;
}

int
workers_set(void *arg, unsigned n)
{
	struct daemon *d = arg;

	if (n == 0 || n > d->c->workers.max)
		return -EINVAL;
	d->workers_wanted = n;
	(void)workers_step(d);
	return 0;
}

/** Whoever is to come has joined before the seats are dealt; whoever is to go has none left before it is told to end. */
bool
workers_step(struct daemon *d)
{
	bool reached = true, up = true;

	for (unsigned i = 0; i < d->workers_wanted; i++)
		up = worker_start(&d->workers[i]) == 0 && stack_worker_up(d->stack, i) && up;
	if (!up)
		return false;
	if (stack_workers(d->stack) != d->workers_wanted)
		(void)stack_workers_set(d->stack, d->workers_wanted);
	for (unsigned i = d->workers_wanted; i < d->c->workers.max; i++)
		reached = stack_worker_seats(d->stack, i, NULL) == 0 &&
			worker_stop(&d->workers[i]) && reached;
	return reached;
}

int
workers_start(struct daemon *d)
{
	d->workers_wanted = d->c->workers.count;
	while (!workers_step(d)) {
		for (unsigned i = 0; i < d->workers_wanted; i++) {
			int err = worker_start(&d->workers[i]);

			if (err != 0)
				return err;
		}
		(void)usleep(START_TRY_US);
	}
	return 0;
}

void
workers_stop(struct daemon *d)
{
	for (unsigned i = 0; i < d->c->workers.max; i++)
		(void)worker_stop(&d->workers[i]);
	for (unsigned i = 0; i < d->c->workers.max; i++)
		(void)rte_eal_wait_lcore(i + 1);
}

void
workers_close(struct daemon *d)
{
	if (d->workers == NULL)
		return;
	for (unsigned i = 0; i < d->c->workers.max; i++) {
		free(d->workers[i].fds);
		if (d->workers[i].wakefd >= 0)
			(void)close(d->workers[i].wakefd);
	}
	free(d->workers);
}
