/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * convgen's start, its control thread, and its end. Exit: 0 fine, 1 failed while running, 2 configuration, host or usage.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eal.h"
#include "gen.h"
#include "workers.h"

#define EXIT_RUNNING  1
#define EXIT_CONFIG   2
#define TICK_US       10000
#define CONTROL_US    100000
#define LINK_SECONDS  10
#define US_PER_SECOND 1e6

static volatile sig_atomic_t interrupted;

static void
interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static double
seconds_since(uint64_t us)
{
	return (double)(daemon_clock(NULL) - us) / US_PER_SECOND;
}

/** The daemon's housekeeping, every 100 ms. */
static void
housekeep(struct gen *g, uint64_t *next_us)
{
	uint64_t now = daemon_clock(NULL);

	if (now < *next_us)
		return;
	*next_us = now + CONTROL_US;
	daemon_tick(g->d);
}

/** @return false: a port has no link */
static bool
wait_for_links(struct gen *g)
{
	uint64_t start = daemon_clock(NULL), next = 0;
	bool up = false;

	while (!up && interrupted == 0 && seconds_since(start) < LINK_SECONDS) {
		(void)usleep(TICK_US);
		housekeep(g, &next);
		up = true;
		for (unsigned i = 0; i < g->d->c->ninterfaces; i++)
			up = up && g->d->ports[i].up;
	}
	if (!up)
		(void)fprintf(stderr, "convgen: a port has no link\n");
	return up;
}

static int
generate(struct gen *g)
{
	double total = g->conf.warmup + g->conf.duration, seconds, shown = 0;
	struct gen_counts from = {0}, was = {0};
	uint64_t start = daemon_clock(NULL), next = 0, measured = start;
	bool warm = false;

	/* Relaxed: all that workers look at was made before they started. */
	atomic_store_explicit(&g->run, true, memory_order_relaxed);
	while (interrupted == 0 && (seconds = seconds_since(start)) < total) {
		(void)usleep(TICK_US);
		housekeep(g, &next);
		if (!warm && seconds >= g->conf.warmup) {
			warm = true;
			measured = daemon_clock(NULL);
			gen_sum(g, &from);
			atomic_store_explicit(&g->measure, true, memory_order_relaxed);
		}
		if (g->conf.progress > 0 && seconds - shown >= g->conf.progress)
			gen_progress(g, seconds, &was, &shown);
	}
	atomic_store_explicit(&g->measure, false, memory_order_relaxed);
	atomic_store_explicit(&g->run, false, memory_order_relaxed);
	seconds = seconds_since(measured);
	workers_stop(g->d);
	return gen_report(g, &from, seconds);
}

/** "GET PATH HTTP/1.1". @return false: out of memory */
static bool
make_request(struct gen *g)
{
	int n;

	if (g->conf.mode->service != &gen_svc_http)
		return true;
	n = asprintf(&g->request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", g->conf.path,
		g->conf.target, g->conf.close ? "Connection: close\r\n" : "");
	if (n < 0)
		g->request = NULL;
	else
		g->request_len = (size_t)n;
	return n >= 0;
}

static int
run(struct gen *g, const struct config *c)
{
	static const struct service *const none[] = {NULL};
	struct daemon_hooks hooks = {none, gen_turn, g};
	int status = EXIT_RUNNING, err;

	g->nworkers = c->workers.max;
	g->d = daemon_start("convgen", c, &hooks, stderr);
	if (g->d == NULL)
		return EXIT_CONFIG;
	eal_ready();
	err = make_request(g) ? gen_make(g) : -ENOMEM;
	if (err == 0)
		err = workers_start(g->d);
	if (err == 0 && wait_for_links(g))
		status = generate(g);
	workers_stop(g->d);
	daemon_free(g->d);
	gen_unmake(g);
	if (err == -EADDRNOTAVAIL) {
		(void)fprintf(stderr, "convgen: no address of ours is of the target's version\n");
		return EXIT_CONFIG;
	}
	if (err != 0)
		(void)fprintf(stderr, "convgen: %s\n", strerror(-err));
	return status;
}

int
main(int argc, char **argv)
{
	struct gen g = {0};
	struct config *c;
	char fault[512];
	int status = gen_options(argc, argv, &g.conf);

	if (status != 0)
		return status - 1;
	c = gen_config(&g.conf);
	if (c == NULL)
		return EXIT_CONFIG;
	(void)signal(SIGINT, interrupt);
	(void)signal(SIGTERM, interrupt);
	if (eal_start(c, g.conf.eal, g.conf.neal, fault, sizeof(fault)) != 0) {
		(void)fprintf(stderr, "convgen: eal: %s\n", fault);
		config_free(c);
		return EXIT_CONFIG;
	}
	if (g.conf.mode->service == NULL)
		status = gen_hold_run(&g.conf, c, &interrupted);
	else
		status = run(&g, c);
	eal_end();
	config_free(c);
	return status;
}
