/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * CPU lists such as "0-3,8", and what stands there when there is none.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_priv.h"

/* CPUs that a list has named so far. */
struct config_cpus {
	int *cpu;
	unsigned n;
	bool named[CPU_SETSIZE];
};

/* As EAL finds out: the CPU is there and on line. */
static bool
config_cpu_exists(unsigned cpu)
{
	char path[80];

	(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/core_id", cpu);
	return access(path, F_OK) == 0;
}

/* "4" or "4-7". */
static bool
config_cpu_range(const char **s, unsigned *ret_lo, unsigned *ret_hi)
{
	if (!config_number_scan(s, ret_lo))
		return false;
	*ret_hi = *ret_lo;
	if (**s != '-')
		return true;
	(*s)++;
	return config_number_scan(s, ret_hi);
}

/* @return false: a fault was written */
static bool
config_cpu_take(struct config_ctx *x, struct config_cpus *list, unsigned cpu)
{
	if (cpu >= CPU_SETSIZE || !config_cpu_exists(cpu)) {
		config_fault(x, "CPU %u does not exist on this host", cpu);
		return false;
	}
	if (list->named[cpu]) {
		config_fault(x, "CPU %u is named twice", cpu);
		return false;
	}
	list->named[cpu] = true;
	list->cpu[list->n++] = (int)cpu;
	return true;
}

/* @return false: a fault was written */
static bool
config_cpu_list(struct config_ctx *x, struct config_cpus *list, const char *text)
{
	const char *s = text;
	unsigned lo, hi;

	for (;; s++) {
		if (!config_cpu_range(&s, &lo, &hi) || (*s != '\0' && *s != ',')) {
			config_fault(x, "\"%s\" is not a list of CPUs such as \"0-3,8\"", text);
			return false;
		}
		if (lo > hi) {
			config_fault(x, "%u-%u runs backwards", lo, hi);
			return false;
		}
		for (unsigned cpu = lo; cpu <= hi; cpu++)
			if (!config_cpu_take(x, list, cpu))
				return false;
		if (*s == '\0')
			return true;
	}
}

/* The field is an array of int, its count a second field. */
static void
config_parse_cpus(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	struct config_cpus list = {.cpu = calloc(CPU_SETSIZE, sizeof(int))};

	if (list.cpu == NULL) {
		config_no_memory(x);
		return;
	}
	if (!config_cpu_list(x, &list, json_string_value(v))) {
		free(list.cpu);
		return;
	}
	*(int **)((char *)base + k->offset) = list.cpu;
	*(unsigned *)((char *)base + k->offset2) = list.n;
}

static void
config_free_cpus(const struct config_key *k, void *base)
{
	free(*(int **)((char *)base + k->offset));
}

const struct config_type config_type_cpus = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$",
	.parse = config_parse_cpus,
	.free = config_free_cpus,
};

/* The CPUs that this process may use. */
static void
config_derive_cores(struct config_ctx *x, struct config_workers *w)
{
	cpu_set_t set;

	config_at(x, "workers.cores");
	if (sched_getaffinity(0, sizeof(set), &set) < 0) {
		config_fault(
			x, "must be given: the default can't be found out: %s", strerror(errno));
		return;
	}
	w->cores = calloc(CPU_SETSIZE, sizeof(int));
	if (w->cores == NULL) {
		config_no_memory(x);
		return;
	}
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			w->cores[w->ncores++] = i;
}

void
config_derive(struct config_ctx *x, struct config *c)
{
	if (c->workers.max == 0)
		c->workers.max = c->workers.count;
	for (unsigned i = 0; i < c->nlisteners; i++) {
		struct config_listener *l = &c->listeners[i];

		if (l->proto == IPPROTO_UDP && l->conversation == CONFIG_CONVERSATION_NONE)
			l->conversation = CONFIG_CONVERSATION_PER_PEER;
	}
	if (c->workers.ncores == 0)
		config_derive_cores(x, &c->workers);
}
