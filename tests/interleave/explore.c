/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "explore.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "point.h"

#define STACK_BYTES  (512 * 1024)
#define NOBODY       (-1)
#define TOUCHED_BITS 12 /* log2 of the places that a scenario may touch */
#define PLACES       128

struct thread {
	ucontext_t at;
	char *stack;
	bool ended, waits;
	/* Where it stands: before this access. */
	const char *what;
	const volatile void *where;
};

/** What was decided at one step, and what else could have been. */
struct step {
	int8_t before; /* who ran until here; NOBODY: had ended, or waits */
	int8_t chosen;
	uint8_t could; /* mask of those who could go on */
	uint8_t tried; /* mask of those that were chosen here, in this or an earlier schedule */
	uint8_t spent; /* preemptions before this step */
	const char *what; /* what the chosen one does in it */
	const volatile void *where; /* what `before` was about to touch */
};

struct touched {
	const volatile void *where;
	uint8_t by; /* mask of threads */
};

static struct {
	const struct explore_scenario *s;
	struct thread t[EXPLORE_THREADS];
	ucontext_t scheduler;
	int running;
	struct step step[EXPLORE_STEPS];
	unsigned n; /* steps of this schedule */
	unsigned fixed; /* the first so many follow step[].chosen */
	struct touched touched[1 << TOUCHED_BITS];
	bool places_free; /* they need not be met */
	bool touched_more; /* a place turned out to be shared */
	const char *met[PLACES];
	unsigned nmet;
	int (*choose)(struct step *st);
	struct explore_result r;
} x = {.running = NOBODY};

/* ---- what a schedule sees ---- */

static struct touched *
touched_at(const volatile void *where)
{
	uint64_t h = (uint64_t)(uintptr_t)where * UINT64_C(0x9e3779b97f4a7c15);

	for (uint32_t i = (uint32_t)(h >> (64 - TOUCHED_BITS));; i++) {
		struct touched *e = &x.touched[i & ((1 << TOUCHED_BITS) - 1)];

		if (e->where == where || e->where == NULL) {
			e->where = where;
			return e;
		}
	}
}

static bool
is_shared(uint8_t mask)
{
	return (mask & (mask - 1)) != 0;
}

static void
touch(int thread, const volatile void *where)
{
	struct touched *e;
	uint8_t was;

	if (where == NULL)
		return;
	e = touched_at(where);
	was = e->by;
	e->by |= (uint8_t)(1 << thread);
	x.touched_more |= !is_shared(was) && is_shared(e->by);
}

static void
meet(const char *what)
{
	for (unsigned i = 0; i < x.nmet; i++)
		if (x.met[i] == what)
			return;
	if (x.nmet < PLACES)
		x.met[x.nmet++] = what;
}

static bool
was_met(const char *what)
{
	for (unsigned i = 0; i < x.nmet; i++)
		if (strcmp(x.met[i], what) == 0)
			return true;
	return false;
}

/* ---- threads ---- */

static void
to_scheduler(void)
{
	struct thread *t = &x.t[x.running];

	swapcontext(&t->at, &x.scheduler);
}

void
explore_point(const char *what, const volatile void *where)
{
	struct thread *t;

	if (x.running == NOBODY)
		return; /* setup, check */
	t = &x.t[x.running];
	meet(what);
	t->what = what;
	t->where = where;
	to_scheduler();
	touch(x.running, where);
}

void
explore_wait(const char *what, const volatile void *where)
{
	if (x.running == NOBODY)
		explore_fail("%s: waits for ever", what);
	x.t[x.running].waits = true;
	explore_point(what, where);
}

void
explore_place(const char *what)
{
	explore_point(what, NULL);
}

int
explore_thread(void)
{
	return x.running;
}

void
explore_fail(const char *format, ...)
{
	va_list ap;

	if (!x.r.failed) {
		va_start(ap, format);
		(void)vsnprintf(x.r.fault, sizeof(x.r.fault), format, ap);
		va_end(ap);
	}
	x.r.failed = true;
	if (x.running == NOBODY)
		return;
	x.t[x.running].ended = true;
	to_scheduler();
}

/** assert() in the libraries: a fault of the schedule that runs. */
void
__assert_fail(const char *expr, const char *file, unsigned line, const char *function)
{
	const char *name = strrchr(file, '/');

	explore_fail("assert %s:%u: %s: %s", name != NULL ? name + 1 : file, line, function, expr);
	abort(); /* outside of a schedule */
}

static void
thread_main(void)
{
	x.s->thread[x.running]();
	x.t[x.running].ended = true;
	to_scheduler();
}

static void
thread_start(unsigned i)
{
	struct thread *t = &x.t[i];

	if (t->stack == NULL)
		t->stack = malloc(STACK_BYTES);
	if (t->stack == NULL || getcontext(&t->at) != 0)
		abort();
	t->at.uc_stack.ss_sp = t->stack;
	t->at.uc_stack.ss_size = STACK_BYTES;
	t->at.uc_link = NULL;
	makecontext(&t->at, thread_main, 0);
	t->ended = t->waits = false;
	t->what = "start";
	t->where = NULL;
}

/* ---- one schedule ---- */

static uint8_t
who_could(void)
{
	uint8_t mask = 0;

	for (unsigned i = 0; i < x.s->threads; i++)
		if (!x.t[i].ended && !x.t[i].waits)
			mask |= (uint8_t)(1 << i);
	return mask;
}

static bool
all_ended(void)
{
	for (unsigned i = 0; i < x.s->threads; i++)
		if (!x.t[i].ended)
			return false;
	return true;
}

/** Let one thread go on to its next point. Those that waited may look again. */
static void
go_on(int thread)
{
	for (unsigned i = 0; i < x.s->threads; i++)
		x.t[i].waits = false;
	x.running = thread;
	swapcontext(&x.scheduler, &x.t[thread].at);
	x.running = NOBODY;
}

/** @return false: the schedule is over */
static bool
take_step(int *last)
{
	struct step *st = &x.step[x.n];
	bool old = x.n < x.fixed;

	if (all_ended())
		return false;
	if (x.n == EXPLORE_STEPS) {
		explore_fail("%d steps and no end: livelock", EXPLORE_STEPS);
		return false;
	}
	st->could = who_could();
	if (st->could == 0) {
		explore_fail("deadlock: all wait");
		return false;
	}
	st->before = (int8_t)(*last != NOBODY && (st->could & (1 << *last)) != 0 ? *last : NOBODY);
	st->where = st->before == NOBODY ? NULL : x.t[*last].where;
	st->spent = x.n == 0 ? 0
			     : (uint8_t)(x.step[x.n - 1].spent +
				       (x.step[x.n - 1].before != NOBODY &&
					       x.step[x.n - 1].chosen != x.step[x.n - 1].before));
	if (!old) {
		st->chosen = (int8_t)x.choose(st);
		st->tried = 0;
	}
	if ((st->could & (1 << st->chosen)) == 0) {
		explore_fail("step %u: thread %d can't go on: the schedule does not fit", x.n,
			st->chosen);
		return false;
	}
	st->tried |= (uint8_t)(1 << st->chosen);
	st->what = x.t[st->chosen].what;
	*last = st->chosen;
	x.n++;
	go_on(st->chosen);
	return !x.r.failed;
}

static void
run_schedule(void)
{
	int last = NOBODY;

	x.n = 0;
	x.s->setup();
	for (unsigned i = 0; i < x.s->threads; i++)
		thread_start(i);
	while (take_step(&last))
		;
	if (!x.r.failed)
		x.s->check();
	x.r.schedules++;
	x.r.steps += x.n;
	if (x.n > x.r.longest)
		x.r.longest = x.n;
}

void
explore_places(bool required)
{
	x.places_free = !required;
}

static void
begin(const struct explore_scenario *s)
{
	assert(s->threads > 0 && s->threads <= EXPLORE_THREADS);
	x.s = s;
	x.fixed = 0;
	x.nmet = 0;
	memset(&x.r, 0, sizeof(x.r));
	memset(x.touched, 0, sizeof(x.touched));
}

static void
end(void)
{
	for (unsigned i = 0; i < 8 && !x.places_free && x.s->must_meet[i] != NULL && !x.r.failed;
		i++)
		if (!was_met(x.s->must_meet[i]))
			explore_fail("place %s was never met: no test of it", x.s->must_meet[i]);
}

/* ---- systematic ---- */

/** Go on with who ran; else the first who can. */
static int
choose_same(struct step *st)
{
	return st->before != NOBODY ? st->before : __builtin_ctz(st->could);
}

static bool
worth_preempting(const struct step *st)
{
	return st->where != NULL && is_shared(touched_at(st->where)->by);
}

/** The next schedule: the last step at which another one could have gone on. @return false: there is none */
static bool
next_schedule(unsigned bound)
{
	for (unsigned i = x.n; i-- > 0;) {
		struct step *st = &x.step[i];

		if (st->before != NOBODY && (st->spent == bound || !worth_preempting(st)))
			continue;
		for (unsigned t = 0; t < x.s->threads; t++) {
			if ((st->could & ~st->tried & (1 << t)) == 0)
				continue;
			st->chosen = (int8_t)t;
			x.fixed = i + 1;
			return true;
		}
	}
	return false;
}

static void
explore_bound(unsigned bound)
{
	x.fixed = 0;
	do {
		run_schedule();
	} while (!x.r.failed && next_schedule(bound));
}

struct explore_result
explore_all(const struct explore_scenario *s, unsigned bound)
{
	begin(s);
	x.choose = choose_same;
	for (unsigned b = 0; b <= bound && !x.r.failed; b++)
		do {
			/* A place that proves shared late would have been worth preempting earlier. */
			x.touched_more = false;
			x.r.schedules = x.r.steps = 0;
			explore_bound(b);
		} while (!x.r.failed && x.touched_more);
	end();
	return x.r;
}

/* ---- random ---- */

static struct {
	uint64_t state;
	unsigned priority[EXPLORE_THREADS];
	unsigned change[8], nchange;
} pct;

static uint64_t
draw(void)
{
	uint64_t z = (pct.state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int
choose_priority(struct step *st)
{
	int best = NOBODY;

	for (unsigned i = 0; i < pct.nchange; i++)
		if (pct.change[i] == x.n && st->before != NOBODY)
			pct.priority[st->before] = i; /* below all that were dealt */
	for (unsigned t = 0; t < x.s->threads; t++)
		if ((st->could & (1 << t)) != 0 &&
			(best == NOBODY || pct.priority[t] > pct.priority[best]))
			best = (int)t;
	return best;
}

static void
deal(unsigned depth)
{
	unsigned n = x.s->threads, steps = x.r.longest > 0 ? x.r.longest : 100;

	for (unsigned i = 0; i < n; i++)
		pct.priority[i] = 8 + i;
	for (unsigned i = n; i > 1; i--) {
		unsigned j = (unsigned)(draw() % i), p = pct.priority[i - 1];

		pct.priority[i - 1] = pct.priority[j];
		pct.priority[j] = p;
	}
	pct.nchange = depth < 8 ? depth : 8;
	for (unsigned i = 0; i < pct.nchange; i++)
		pct.change[i] = (unsigned)(draw() % steps);
}

struct explore_result
explore_random(const struct explore_scenario *s, uint64_t count, unsigned depth, uint64_t seed)
{
	begin(s);
	x.choose = choose_priority;
	for (uint64_t i = 0; i < count && !x.r.failed; i++) {
		pct.state = seed + i;
		deal(depth);
		run_schedule();
	}
	end();
	return x.r;
}

/* ---- telling and repeating ---- */

static void
print_steps(void)
{
	for (unsigned i = 0; i < x.n; i++) {
		const struct step *st = &x.step[i];
		bool turn = i == 0 || st->chosen != x.step[i - 1].chosen;

		if (turn)
			printf("  %-10s", x.s->label[st->chosen]);
		else
			printf("  %-10s", "");
		printf(" %3u %s%s\n", i, st->what,
			turn && st->before != NOBODY && i > 0 ? "   <- overtakes" : "");
	}
}

void
explore_print(const struct explore_scenario *s)
{
	const char *comma = "";
	unsigned run = 0;

	printf("%s (%s): %s\n", s->name, s->what, x.r.fault);
	print_steps();
	printf("again: interleave %s --replay ", s->name);
	for (unsigned i = 0; i < x.n; i++) {
		run++;
		if (i + 1 == x.n || x.step[i + 1].chosen != x.step[i].chosen) {
			printf("%s%dx%u", comma, x.step[i].chosen, run);
			comma = ",";
			run = 0;
		}
	}
	printf("\n");
}

bool
explore_replay(const struct explore_scenario *s, const char *schedule, struct explore_result *ret)
{
	unsigned thread, count, n = 0;
	int used;

	begin(s);
	x.choose = choose_same;
	while (sscanf(schedule, "%ux%u%n", &thread, &count, &used) == 2) {
		for (; count > 0 && n < EXPLORE_STEPS; count--)
			x.step[n++] = (struct step){.chosen = (int8_t)thread};
		schedule += used;
		schedule += *schedule == ',';
	}
	if (*schedule != 0 || n == 0)
		return false;
	x.fixed = n;
	run_schedule();
	*ret = x.r;
	return true;
}
