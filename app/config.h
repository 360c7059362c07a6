/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The configuration: one JSON file, read and checked as a whole, as plain
 * values with every default filled in. Control thread only. What depends on the
 * host beyond its CPUs (huge pages, devices, queues) is checked elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "listener.h"
#include "stack.h"

struct config_eal {
	bool hugepages;
	uint32_t memory_mb;
	char **args; /* passed on to EAL as they are */
	unsigned nargs;
};

/** What a worker does while there is nothing to do. */
enum config_idle {
	CONFIG_IDLE_POLL, /* polls on */
	CONFIG_IDLE_ADAPTIVE, /* sleeps until a packet or a timer */
};

struct config_workers {
	uint32_t count; /* workers that run from the start */
	uint32_t max; /* most workers ever, >= count */
	int *cores; /* CPUs in the order given; never empty */
	unsigned ncores;
	enum stack_spread spread;
	enum config_idle idle;
};

/** An address of ours with the prefix of its link, or a route's prefix. */
struct config_prefix {
	uint8_t addr[16]; /* IPv4-mapped or IPv6, as in struct key */
	uint8_t len; /* 0-32 for IPv4, 0-128 for IPv6: what ip_address_add and ip_route_add take */
	uint8_t version; /* 4 or 6 */
};

struct config_interface {
	char *name;
	char *device; /* PCI address or vdev string */
	uint16_t rx_queues; /* 0: as many as fit */
	uint16_t mtu; /* of IP packets, in bytes */
	uint16_t vlan; /* 0: untagged */
	struct config_prefix *addresses; /* never empty */
	unsigned naddresses;
	bool accept_ra;
};

struct config_route {
	struct config_prefix to; /* no bits set behind its length */
	struct config_prefix via; /* an address: on the link of an interface; len 32 or 128 */
};

/** Where a listener listens. */
enum config_listen {
	CONFIG_LISTEN_NONE, /* never in a checked configuration */
	CONFIG_LISTEN_ANY, /* "*": every address, both versions */
	CONFIG_LISTEN_ANY4, /* "0.0.0.0" */
	CONFIG_LISTEN_ANY6, /* "::" */
	CONFIG_LISTEN_ONE, /* one address of ours */
};

enum config_conversation {
	CONFIG_CONVERSATION_NONE, /* TCP */
	CONFIG_CONVERSATION_PER_PEER,
	CONFIG_CONVERSATION_ONE, /* one hears all peers */
};

struct config_listener {
	char *name;
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	enum config_listen listen;
	uint8_t laddr[16]; /* as ipht_listen wants it, */
	uint16_t zone; /* .. and with it */
	uint16_t port_lo, port_hi; /* host order; equal for a single port */
	char *service;
	json_t *options; /* an object, or NULL */
	enum config_conversation conversation;
	struct prefix *allow, *deny; /* as struct listener_conf takes them */
	unsigned nallow, ndeny;
};

#define CONFIG_CONVERSATIONS_MAX (1u << 25)

struct config_limits {
	uint32_t conversations; /* 0: what the memory has room for */
	uint32_t half_open;
	uint32_t time_wait;
	uint32_t udp_idle_seconds;
	uint32_t drain_seconds;
};

struct config_tcp {
	enum tcp_congestion congestion_control;
	enum tcp_ecn ecn;
	uint32_t keepalive_seconds; /* 0: off */
	uint32_t user_timeout_seconds;
	uint32_t time_wait_seconds;
};

struct config_control {
	char *socket; /* absolute path, fits sun_path */
	char *metrics; /* ADDRESS:PORT, or NULL: none */
};

struct config {
	struct config_eal eal;
	struct config_workers workers;
	struct config_interface *interfaces; /* never empty */
	unsigned ninterfaces;
	struct config_route *routes;
	unsigned nroutes;
	struct config_listener *listeners;
	unsigned nlisteners;
	struct config_limits limits;
	struct config_tcp tcp;
	struct config_control control;
};

/** The services that listeners may name, as the application knows them. */
struct config_services {
	/** Name of the i-th service, or NULL past the last. */
	const char *(*name)(void *arg, unsigned i);
	/**
	 * Can the service named in l serve it? l has its name, proto, service, options and conversation.
	 *
	 * @return 0; -ENOENT (no such service), -EPROTONOSUPPORT (not over l->proto),
	 *         -EOPNOTSUPP (not with one conversation for all peers), or -EINVAL with one line in
	 *         fault, as struct service's options writes it: "key: what is wrong"
	 */
	int (*check)(void *arg, const struct config_listener *l, char *fault, size_t len);
	void *arg;
};

/**
 * Read and check a configuration.
 *
 * Every fault of the file is written to faults as one line, "FILE: PATH: what is wrong", where PATH is
 * like listeners[2].port; a fault of JSON syntax as "FILE:LINE:COLUMN: what is wrong".
 *
 * @param services what listeners may name; NULL: any name and any options pass
 * @param ret_config the configuration; written only on success, config_free it
 * @return 0; -EINVAL (faults were written), or another -errno, with one line in faults: the file
 *         can't be read (-ENOENT, -EACCES, -EISDIR, -EFBIG, ...), -ENOMEM
 */
int config_load(const char *file, const struct config_services *services,
	struct config **ret_config, FILE *faults);

/** As config_load, from len bytes at text; file is only for the messages. */
int config_parse(const char *file, const char *text, size_t len,
	const struct config_services *services, struct config **ret_config, FILE *faults);

/** Free a configuration with all that it owns. NULL is fine. */
void config_free(struct config *c);

/** The JSON Schema (draft-07), made from the same table as the parser works by; the caller owns it.
 * @return NULL: out of memory */
json_t *config_schema(void);
