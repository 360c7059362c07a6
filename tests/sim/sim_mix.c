/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The hostile mix over many seeds: sim_mix [-c] [-d DIR] [-j JOBS] [SEEDS [FIRST_SEED]]. A seed that fails leaves DIR/sim_mix-SEED.pcapng and
 * the command that runs it again. With -c a change of state, a counter or a drop reason that no seed has met fails the run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coverage.h"
#include "mix.h"
#include "util.h"

#define JOBS_MAX   16
#define SEED_LIMIT 120 /* s; one that takes longer turns in circles */

/** What a process has done; shared with the one that waits for it. */
struct job {
	uint64_t seed, step, end; /* the seed it is at */
	uint64_t done, failed;
	struct coverage cov;
	struct mix_result result;
};

struct run {
	uint64_t seeds, first;
	unsigned jobs;
	bool gate;
	const char *dir;
	struct job *job; /* shared */
	pid_t pid[JOBS_MAX];
};

static void
run_capture(const struct run *r, uint64_t seed)
{
	char file[512];
	struct mix_result result = {0};

	snprintf(file, sizeof(file), "%s/sim_mix-%lu.pcapng", r->dir, seed);
	printf("again: sim_mix 1 %lu   frames: %s\n", seed, file);
	fflush(stdout);
	mix_seed(seed, file, NULL, &result);
}

/** A process of its own: EAL, and its share of the seeds. */
static void
job_child(const struct run *r, struct job *j)
{
	test_eal("sim_mix");
	for (; j->seed < j->end; j->seed += j->step) {
		struct mix_result again = {0};

		alarm(SEED_LIMIT);
		j->done++;
		if (mix_seed(j->seed, NULL, &j->cov, &j->result) != 0) {
			j->failed++;
			run_capture(r, j->seed);
		} else if (r->seeds == 1 &&
			(mix_seed(j->seed, NULL, NULL, &again) != 0 ||
				again.trace != j->result.trace)) {
			j->failed++;
			printf("seed %lu: ran otherwise the second time\n", j->seed);
		}
	}
	exit(0);
}

static void
job_start(struct run *r, unsigned i)
{
	fflush(stdout);
	r->pid[i] = fork();
	if (r->pid[i] < 0) {
		perror("fork");
		exit(1);
	}
	if (r->pid[i] == 0)
		job_child(r, &r->job[i]);
}

/** It was killed in the middle of a seed: catch that one's frames, and go on behind it. @return false: it has ended */
static bool
job_died(struct run *r, unsigned i, int status)
{
	struct job *j = &r->job[i];
	pid_t pid;

	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77))
		return false;
	printf("seed %lu: ended by signal %d\n", j->seed, WTERMSIG(status));
	j->failed++;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(SEED_LIMIT);
		test_eal("sim_mix");
		run_capture(r, j->seed);
		exit(0);
	}
	waitpid(pid, NULL, 0);
	j->seed += j->step;
	job_start(r, i);
	return true;
}

static int
run_all(struct run *r)
{
	struct coverage *cov = calloc(1, sizeof(*cov));
	struct mix_result sum = {0};
	uint64_t done = 0, failed = 0, convs;
	unsigned missing;
	bool skip = false;

	for (unsigned i = 0; i < r->jobs; i++) {
		r->job[i] = (struct job){
			.seed = r->first + i, .step = r->jobs, .end = r->first + r->seeds};
		job_start(r, i);
	}
	for (unsigned left = r->jobs; left > 0;) {
		int status;
		pid_t pid = wait(&status);

		for (unsigned i = 0; i < r->jobs; i++)
			if (r->pid[i] == pid && !job_died(r, i, status))
				left--;
		skip |= WIFEXITED(status) && WEXITSTATUS(status) == 77;
	}
	for (unsigned i = 0; i < r->jobs; i++) {
		coverage_merge(cov, &r->job[i].cov);
		done += r->job[i].done;
		failed += r->job[i].failed;
		sum.frames += r->job[i].result.frames;
		sum.steps += r->job[i].result.steps;
		sum.unheard += r->job[i].result.unheard;
	}
	if (skip)
		return 77;
	missing = coverage_report(cov);
	/* One in 10,000 may be as unlucky as that; more were a fault. */
	convs = done * (MIX_TCP + MIX_UDP);
	printf("%lu seeds, %lu failed; %lu conversations, %lu frames, %lu steps; first or last ACK lost for good %lu times\n",
		done, failed, convs, sum.frames, sum.steps, sum.unheard);
	failed += sum.unheard > 1 + convs / 10000;
	free(cov);
	return failed != 0 || (r->gate && missing != 0);
}

int
main(int argc, char **argv)
{
	struct run r = {.seeds = 20, .first = 1, .jobs = 1, .dir = "."};
	int opt;

	while ((opt = getopt(argc, argv, "cd:j:")) != -1) {
		switch (opt) {
		case 'c':
			r.gate = true;
			break;
		case 'd':
			r.dir = optarg;
			break;
		case 'j':
			r.jobs = (unsigned)RTE_MIN(RTE_MAX(atoi(optarg), 1), JOBS_MAX);
			break;
		default:
			return 2;
		}
	}
	if (optind < argc)
		r.seeds = strtoull(argv[optind++], NULL, 0);
	if (optind < argc)
		r.first = strtoull(argv[optind], NULL, 0);
	r.jobs = (unsigned)RTE_MIN((uint64_t)r.jobs, r.seeds);
	setvbuf(stdout, NULL, _IOLBF, 0);
	r.job = mmap(NULL, JOBS_MAX * sizeof(*r.job), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r.job == MAP_FAILED)
		return 1;
	return run_all(&r);
}
