/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "eal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#define ARGS_MAX    128
#define PREFIX      "convd-"
#define RUNTIME_DIR "/var/run/dpdk"

struct args {
	char *v[ARGS_MAX + 1];
	int n;
	bool lost; /* no memory, or too many */
};

/* What EAL logs while it starts; the control thread alone touches it. */
static struct {
	FILE *stream;
	char *text;
	size_t size;
	char line[256];
} early;

__attribute__((format(printf, 2, 3))) static void
args_add(struct args *a, const char *format, ...)
{
	va_list ap;

	if (a->n == ARGS_MAX) {
		a->lost = true;
		return;
	}
	va_start(ap, format);
	if (vasprintf(&a->v[a->n], format, ap) < 0)
		a->lost = true;
	else
		a->v[++a->n] = NULL;
	va_end(ap);
}

static void
args_free(struct args *a)
{
	for (int i = 0; i < a->n; i++)
		free(a->v[i]);
}

/** "0@(0-1),1@0,2@1": this thread anywhere, worker i on the i-th core of the list, in turn. */
static void
args_lcores(struct args *a, const struct config *c)
{
	char map[4096];
	size_t n;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	n = (size_t)snprintf(map, sizeof(map), "--lcores=0@(0-%ld)", cpus > 1 ? cpus - 1 : 0);
	for (unsigned i = 0; i < c->workers.max && n < sizeof(map); i++)
		n += (size_t)snprintf(map + n, sizeof(map) - n, ",%u@%d", i + 1,
			c->workers.cores[i % c->workers.ncores]);
	if (n >= sizeof(map))
		a->lost = true;
	args_add(a, "%s", map);
}

/** n hexadecimal digits and what follows them. @return behind it, NULL: something else stands there */
static const char *
pci_part(const char *at, unsigned n, char end)
{
	for (unsigned i = 0; i < n; i++)
		if (at == NULL || !isxdigit((unsigned char)at[i]))
			return NULL;
	return at != NULL && at[n] == end ? at + n + 1 : NULL;
}

bool
eal_pci_has_domain(const char *device)
{
	return pci_part(device, 4, ':') != NULL;
}

bool
eal_device_is_pci(const char *device)
{
	const char *at = eal_pci_has_domain(device) ? pci_part(device, 4, ':') : device;

	at = pci_part(pci_part(at, 2, ':'), 2, '.');
	return at != NULL && at[0] >= '0' && at[0] <= '7' && (at[1] == 0 || at[1] == ',');
}

static void
args_devices(struct args *a, const struct config *c)
{
	bool pci = false;

	for (unsigned i = 0; i < c->ninterfaces; i++) {
		if (!eal_device_is_pci(c->interfaces[i].device))
			continue;
		pci = true;
		args_add(a, "-a");
		args_add(a, "%s", c->interfaces[i].device);
	}
	if (!pci)
		args_add(a, "--no-pci");
}

static void
args_make(struct args *a, const struct config *c, char **more, unsigned nmore)
{
	args_add(a, "convd");
	args_add(a, "--file-prefix=" PREFIX "%d", getpid());
	args_add(a, "--no-telemetry");
	args_add(a, "--iova-mode=va");
	args_add(a, "--main-lcore=0");
	args_add(a, "-m");
	args_add(a, "%u", c->eal.memory_mb);
	args_lcores(a, c);
	/* Neither leaves a file behind: with huge pages they are anonymous; --no-huge excludes --in-memory. */
	if (c->eal.hugepages) {
		args_add(a, "--in-memory");
	} else {
		args_add(a, "--no-huge");
		args_add(a, "--no-shconf");
	}
	args_devices(a, c);
	for (unsigned i = 0; i < c->eal.nargs; i++)
		args_add(a, "%s", c->eal.args[i]);
	for (unsigned i = 0; i < nmore; i++)
		args_add(a, "%s", more[i]);
}

/** Remove the folder that EAL made for a prefix, with what a crash may have left in it. */
static void
runtime_remove(const char *prefix)
{
	char path[512];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), RUNTIME_DIR "/%s", prefix);
	d = opendir(path);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	(void)closedir(d);
	(void)rmdir(path);
}

/** Each instance has a folder named after its process; those of the dead are of no use to anybody. */
static void
runtime_sweep(void)
{
	struct dirent *e;
	DIR *d = opendir(RUNTIME_DIR);
	char *end;
	long pid;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		pid = strtol(e->d_name + strlen(PREFIX), &end, 10);
		if (pid > 0 && *end == 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
			runtime_remove(e->d_name);
	}
	(void)closedir(d);
}

void
eal_end(void)
{
	char prefix[32];

	(void)rte_eal_cleanup();
	(void)snprintf(prefix, sizeof(prefix), PREFIX "%d", getpid());
	runtime_remove(prefix);
}

const char *
eal_complaint(void)
{
	char *last, *end;

	if (early.stream == NULL)
		return "";
	(void)fflush(early.stream);
	end = early.text + strlen(early.text);
	while (end > early.text && end[-1] == '\n')
		*--end = 0;
	last = strrchr(early.text, '\n');
	(void)snprintf(early.line, sizeof(early.line), "%s", last == NULL ? early.text : last + 1);
	rewind(early.stream);
	early.text[0] = 0;
	return early.line;
}

int
eal_start(const struct config *c, char **more, unsigned nmore, char *fault, size_t len)
{
	struct args a = {.n = 0}, given;
	int err = 0;

	runtime_sweep();
	args_make(&a, c, more, nmore);
	given = a; /* EAL reorders and overwrites the pointers that it gets */
	if (a.lost) {
		(void)snprintf(fault, len, "too many EAL arguments");
		args_free(&a);
		return -E2BIG;
	}
	early.stream = open_memstream(&early.text, &early.size);
	if (early.stream != NULL)
		(void)rte_openlog_stream(early.stream);
	if (rte_eal_init(given.n, given.v) < 0) {
		const char *said = eal_complaint();

		err = rte_errno != 0 ? -rte_errno : -EIO;
		(void)snprintf(
			fault, len, "EAL does not start: %s", said[0] != 0 ? said : strerror(-err));
	}
	args_free(&a);
	return err;
}

void
eal_ready(void)
{
	(void)rte_openlog_stream(stderr);
	if (early.stream != NULL)
		(void)fclose(early.stream);
	free(early.text);
	memset(&early, 0, sizeof(early));
}
