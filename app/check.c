/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Can this host do what a configuration asks? Looked at without starting anything; each fault names the mend.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_priv.h"

struct check {
	const char *file;
	FILE *faults;
	unsigned n;
};

__attribute__((format(printf, 3, 4))) static void
check_fault(struct check *k, const char *path, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)fprintf(k->faults, "%s: %s: ", k->file, path);
	(void)vfprintf(k->faults, format, ap);
	(void)fputc('\n', k->faults);
	va_end(ap);
	k->n++;
}

/** The value of key in a vdev string: "iface=convd0,mac=..." */
static bool
device_arg(const char *device, const char *key, char *to, size_t len)
{
	size_t klen = strlen(key);

	for (const char *at = strchr(device, ','); at != NULL; at = strchr(at, ',')) {
		at++;
		if (strncmp(at, key, klen) == 0 && at[klen] == '=') {
			(void)snprintf(
				to, len, "%.*s", (int)strcspn(at + klen + 1, ","), at + klen + 1);
			return true;
		}
	}
	return false;
}

static unsigned long
number_in(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &n) != 1) /* NOLINT(cert-err34-c): the kernel's own number */
		n = 0;
	(void)fclose(f);
	return n;
}

/** MB of free huge pages, on all NUMA nodes. */
static unsigned long
hugepages_free_mb(void)
{
	unsigned long mb = 0, kb;
	struct dirent *e;
	DIR *d = opendir("/sys/kernel/mm/hugepages");
	char path[512];

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		if (sscanf(e->d_name, "hugepages-%lukB", &kb) != 1) /* NOLINT(cert-err34-c) */
			continue;
		(void)snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/free_hugepages",
			e->d_name);
		mb += number_in(path) * (kb >> 10);
	}
	(void)closedir(d);
	return mb;
}

static void
check_memory(struct check *k, const struct config *c)
{
	unsigned long have;

	if (c->eal.hugepages) {
		have = hugepages_free_mb();
		if (have < c->eal.memory_mb)
			check_fault(k, "eal.hugepages",
				"%u MB are asked for, %lu MB of huge pages are free: echo %u > "
				"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
				c->eal.memory_mb, have, (c->eal.memory_mb + 1) / 2);
		return;
	}
	have = (unsigned long)sysconf(_SC_AVPHYS_PAGES) * (unsigned long)sysconf(_SC_PAGESIZE) >>
		20;
	if ((unsigned long)sysconf(_SC_PHYS_PAGES) * (unsigned long)sysconf(_SC_PAGESIZE) >> 20 <
		c->eal.memory_mb)
		check_fault(k, "eal.memory_mb", "%u MB are asked for, %lu MB are free: lower it",
			c->eal.memory_mb, have);
}

static void
check_device(struct check *k, const struct config *c, unsigned i)
{
	const struct config_interface *ifc = &c->interfaces[i];
	char path[64], name[64], file[128];
	unsigned domain, bus, dev, fn;

	(void)snprintf(path, sizeof(path), "interfaces[%u].device", i);
	if (strncmp(ifc->device, "net_tap", 7) == 0) {
		if (access("/dev/net/tun", R_OK | W_OK) != 0)
			check_fault(k, path, "/dev/net/tun: %s: run as root, or: modprobe tun",
				strerror(errno));
	} else if (strncmp(ifc->device, "net_af_packet", 13) == 0 ||
		strncmp(ifc->device, "net_af_xdp", 10) == 0) {
		if (!device_arg(ifc->device, "iface", name, sizeof(name))) {
			check_fault(
				k, path, "\"%s\" names no interface: add ,iface=NAME", ifc->device);
			return;
		}
		(void)snprintf(file, sizeof(file), "/sys/class/net/%s", name);
		if (access(file, F_OK) != 0)
			check_fault(
				k, path, "no network interface \"%s\" here: ip link show", name);
	} else if (sscanf(ifc->device, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) == 4) {
		(void)snprintf(file, sizeof(file), "/sys/bus/pci/devices/%.32s", ifc->device);
		if (access(file, F_OK) != 0)
			check_fault(k, path, "no PCI device %s here: lspci -D | grep -i ethernet",
				ifc->device);
	}
}

static void
check_queues(struct check *k, const struct config *c)
{
	char path[64];

	if (c->workers.spread != STACK_SPREAD_RSS)
		return;
	for (unsigned i = 0; i < c->ninterfaces; i++) {
		unsigned q = c->interfaces[i].rx_queues;

		(void)snprintf(path, sizeof(path), "interfaces[%u].rx_queues", i);
		if (q != 0 && q < c->workers.count)
			check_fault(k, path,
				"%u, but spread \"rss\" with %u workers needs one each: raise it, or set "
				"workers.spread to \"auto\"",
				q, c->workers.count);
	}
}

unsigned
daemon_check(const char *file, const struct config *c, FILE *faults)
{
	struct check k = {file, faults, 0};

	check_memory(&k, c);
	for (unsigned i = 0; i < c->ninterfaces; i++)
		check_device(&k, c, i);
	check_queues(&k, c);
	return k.n;
}
