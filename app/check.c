/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Can this host do what a configuration asks? Looked at without starting anything; each fault names the mend.
 */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_config.h>

#include "daemon_priv.h"
#include "eal.h"

#define HUGEPAGES "hugepages-" /* kB: the name of a folder */

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

/** The number that a file of the kernel's holds; 0 if there is none. */
static unsigned long
number_in(const char *path)
{
	FILE *f = fopen(path, "r");
	char text[32] = "";

	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = 0;
	(void)fclose(f);
	return strtoul(text, NULL, 10);
}

/** MB of free huge pages, of all sizes, below a folder of the kernel's. */
static unsigned long
hugepages_free_mb(const char *folder)
{
	unsigned long mb = 0;
	struct dirent *e;
	DIR *d = opendir(folder);
	char path[512];

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, HUGEPAGES, strlen(HUGEPAGES)) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s/free_hugepages", folder, e->d_name);
		mb += number_in(path) * (strtoul(e->d_name + strlen(HUGEPAGES), NULL, 10) >> 10);
	}
	(void)closedir(d);
	return mb;
}

/** "node 0: 512 MB, node 1: 0 MB". @return MB of all nodes */
static unsigned long
hugepages_by_node(char *text, size_t len)
{
	unsigned long sum = 0, mb;
	char path[128];
	size_t at = 0;

	text[0] = 0;
	for (unsigned node = 0; node < RTE_MAX_NUMA_NODES; node++) {
		(void)snprintf(
			path, sizeof(path), "/sys/devices/system/node/node%u/hugepages", node);
		if (access(path, F_OK) != 0)
			continue;
		mb = hugepages_free_mb(path);
		sum += mb;
		if (at < len)
			at += (size_t)snprintf(text + at, len - at, "%snode %u: %lu MB",
				at > 0 ? ", " : "", node, mb);
	}
	if (at > 0)
		return sum;
	(void)snprintf(text, len, "no NUMA nodes"); /* a kernel without them */
	return hugepages_free_mb("/sys/kernel/mm/hugepages");
}

static void
check_memory(struct check *k, const struct config *c)
{
	unsigned long have, want = c->eal.memory_mb;
	char nodes[512];

	if (!c->eal.hugepages) {
		have = (unsigned long)sysconf(_SC_PHYS_PAGES) *
				(unsigned long)sysconf(_SC_PAGESIZE) >>
			20;
		if (have < want)
			check_fault(k, "eal.memory_mb",
				"%lu MB are asked for, this host has %lu MB: lower it", want, have);
		return;
	}
	have = hugepages_by_node(nodes, sizeof(nodes));
	if (have < want)
		check_fault(k, "eal.hugepages",
			"%lu MB are asked for, %lu MB of huge pages are free (%s): echo %lu > "
			"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
			want, have, nodes, (want + 1) / 2);
}

/** Does DPDK drive a device that this kernel driver holds? mlx4 and mlx5 share it with the kernel. */
static bool
pci_driver_fits(const char *driver)
{
	static const char *const fits[] = {
		"vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core"};

	for (unsigned i = 0; i < RTE_DIM(fits); i++)
		if (strcmp(driver, fits[i]) == 0)
			return true;
	return false;
}

/** A PCI device must be there, and be bound to a driver that lets user space have it. */
static void
check_pci(struct check *k, const char *path, const char *device)
{
	char name[24], file[128], link[256];
	const char *driver;
	ssize_t n;

	/* EAL takes an address without its domain too; arguments of the device may follow. */
	(void)snprintf(name, sizeof(name), "%s%.*s",
		eal_pci_has_domain(device) ? "" : "0000:", (int)RTE_MIN(strcspn(device, ","), 12u),
		device);
	(void)snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s", name);
	if (access(file, F_OK) != 0) {
		check_fault(k, path, "no PCI device %s here: lspci -D | grep -i ethernet", name);
		return;
	}
	(void)snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/driver", name);
	n = readlink(file, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	driver = strrchr(link, '/');
	driver = driver == NULL ? "no driver" : driver + 1;
	if (!pci_driver_fits(driver))
		check_fault(k, path,
			"%s is bound to %s: modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s",
			name, driver, name);
}

static void
check_device(struct check *k, const struct config *c, unsigned i)
{
	const char *device = c->interfaces[i].device;
	char path[64], name[64], file[128];

	(void)snprintf(path, sizeof(path), "interfaces[%u].device", i);
	if (eal_device_is_pci(device)) {
		check_pci(k, path, device);
	} else if (strncmp(device, "net_tap", 7) == 0) {
		if (access("/dev/net/tun", R_OK | W_OK) != 0)
			check_fault(k, path, "/dev/net/tun: %s: run as root, or: modprobe tun",
				strerror(errno));
	} else if (strncmp(device, "net_af_packet", 13) == 0 ||
		strncmp(device, "net_af_xdp", 10) == 0) {
		if (!device_arg(device, "iface", name, sizeof(name))) {
			check_fault(k, path, "\"%s\" names no interface: add ,iface=NAME", device);
			return;
		}
		(void)snprintf(file, sizeof(file), "/sys/class/net/%s", name);
		if (access(file, F_OK) != 0)
			check_fault(
				k, path, "no network interface \"%s\" here: ip link show", name);
		/* Its driver takes the pool of packet buffers for one piece of memory, buffer behind buffer. */
		if (strncmp(device, "net_af_xdp", 10) == 0 && !c->eal.hugepages)
			check_fault(k, "eal.hugepages",
				"net_af_xdp carries nothing without huge pages: set it to true");
	}
}

/** The folder of the control socket: there and ours to write in, or to be made in one that is. */
static void
check_socket(struct check *k, const struct config *c)
{
	char copy[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *folder;

	(void)snprintf(copy, sizeof(copy), "%s", c->control.socket);
	folder = dirname(copy);
	if (access(folder, F_OK) != 0 && errno == ENOENT)
		folder = dirname(copy);
	if (access(folder, W_OK | X_OK) != 0)
		check_fault(k, "control.socket", "%s: %s: %s", folder, strerror(errno),
			errno == ENOENT ? "make it, or choose another path"
					: "run as root, or choose another path");
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
	check_socket(&k, c);
	return k.n;
}
