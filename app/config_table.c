/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Every key of the configuration: what it may be, its default, its unit, what
 * it is for, and where it goes. config/convd.schema.json is made from this.
 */
#include <netinet/in.h>
#include <stddef.h>

#include "config_priv.h"
#include "worker.h"

#define CONFIG_NAME_MAX      31 /* bytes; what struct listener and the listings have room for */
#define CONFIG_ADDRESSES_MAX 15 /* per interface: lib/ip has 16, one is link-local */
#define CONFIG_SOCKET_MAX    107 /* bytes; sun_path without its NUL */
#define CONFIG_ITEMS_MAX     4096 /* of an array whose length nothing else bounds */

#define FIELD(s, f)          .offset = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f)
#define ARRAY(s, f)          .offset = offsetof(struct s, f), .offset2 = offsetof(struct s, n##f)
#define KEYS(name, ...)                                               \
	static const struct config_key name##_keys[] = {__VA_ARGS__}; \
	static const struct config_object name = {                    \
		.keys = name##_keys, .nkeys = sizeof(name##_keys) / sizeof(name##_keys[0])}

static const struct config_word config_spreads[] = {
	{"auto", STACK_SPREAD_AUTO},
	{"rss", STACK_SPREAD_RSS},
	{"flow", STACK_SPREAD_FLOW},
	{"packet", STACK_SPREAD_PACKET},
	{NULL, 0},
};

static const struct config_word config_idles[] = {
	{"poll", CONFIG_IDLE_POLL},
	{"adaptive", CONFIG_IDLE_ADAPTIVE},
	{NULL, 0},
};

static const struct config_word config_auto[] = {{"auto", 0}, {NULL, 0}};

static const struct config_word config_protocols[] = {
	{"tcp", IPPROTO_TCP},
	{"udp", IPPROTO_UDP},
	{NULL, 0},
};

static const struct config_word config_conversations[] = {
	{"per_peer", CONFIG_CONVERSATION_PER_PEER},
	{"one", CONFIG_CONVERSATION_ONE},
	{NULL, 0},
};

static const struct config_word config_congestions[] = {
	{"newreno", TCP_NEWRENO},
	{"cubic", TCP_CUBIC},
	{"dctcp", TCP_DCTCP},
	{NULL, 0},
};
static const struct config_word config_ecns[] = {
	{"off", TCP_ECN_OFF},
	{"grant", TCP_ECN_GRANT},
	{"ask", TCP_ECN_ASK},
	{NULL, 0},
};

static const struct config_key config_arg = {
	.type = &config_type_string,
	.size = sizeof(char *),
	.min = 1,
	.max = 1024,
	.help = "One argument.",
};

KEYS(config_eal,
	{.name = "hugepages",
		.type = &config_type_bool,
		FIELD(config_eal, hugepages),
		.def = "false",
		.help = "Take the memory from huge pages, which is faster; false needs none on the host."},
	{.name = "memory_mb",
		.type = &config_type_uint,
		FIELD(config_eal, memory_mb),
		.min = 64,
		.max = 1048576,
		.def = "1024",
		.unit = "MiB",
		.help = "Memory for packets and conversations, all told. What limits ask for must fit in."},
	{.name = "args",
		.type = &config_type_array,
		ARRAY(config_eal, args),
		.max = CONFIG_ITEMS_MAX,
		.def = "[]",
		.items = &config_arg,
		.help = "More arguments for DPDK's EAL, after those that convd makes."});

KEYS(config_workers,
	{.name = "count",
		.type = &config_type_uint,
		FIELD(config_workers, count),
		.min = 1,
		.max = WORKER_MAX,
		.def = "1",
		.unit = "workers",
		.help = "Workers that run from the start. More than CPUs is allowed."},
	{.name = "max",
		.type = &config_type_uint,
		FIELD(config_workers, max),
		.min = 1,
		.max = WORKER_MAX,
		.late = true,
		.unit = "workers",
		.help = "Most workers ever (convctl workers set). Default: workers.count."},
	{.name = "cores",
		.type = &config_type_cpus,
		ARRAY(config_workers, cores),
		.min = 1,
		.max = CONFIG_ITEMS_MAX,
		.late = true,
		.help = "CPU list such as \"0-3,8\": workers are placed on them in turn. "
			"Default: all CPUs that the process may use."},
	{.name = "spread",
		.type = &config_type_enum,
		FIELD(config_workers, spread),
		.words = config_spreads,
		.def = "\"auto\"",
		.help = "Who gets a received packet. rss: the worker of its queue. flow: the worker that its "
			"tuple's hash names, order kept per conversation. auto: rss where every port has a "
			"queue for each of workers.max, else flow. packet: consecutive packets go to different workers, or "
			"seats of theirs, on purpose."},
	{.name = "idle",
		.type = &config_type_enum,
		FIELD(config_workers, idle),
		.words = config_idles,
		.def = "\"adaptive\"",
		.help = "What a worker without work does. adaptive: sleeps until a packet, a timer or another "
			"worker wants it; where a port has nothing to wait on, it looks again within 1 ms. "
			"poll: looks again within 50 us."});

static const struct config_key config_own = {
	.type = &config_type_own,
	.size = sizeof(struct config_prefix),
	.min = 1,
	.max = CONFIG_ADDRESS_TEXT,
	.help = "An IPv4 or IPv6 address and the prefix length of its link, such as 10.77.0.2/24.",
};

KEYS(config_interface,
	{.name = "name",
		.type = &config_type_name,
		FIELD(config_interface, name),
		.min = 1,
		.max = CONFIG_NAME_MAX,
		.help = "What the interface is called in listings. Unique."},
	{.name = "device",
		.type = &config_type_string,
		FIELD(config_interface, device),
		.min = 1,
		.max = 1024,
		.help = "Any DPDK device: a PCI address such as 0000:03:00.0, or a vdev such as "
			"net_tap0,iface=convd0."},
	{.name = "rx_queues",
		.type = &config_type_uint_or_word,
		FIELD(config_interface, rx_queues),
		.min = 1,
		.max = WORKER_MAX,
		.words = config_auto,
		.def = "\"auto\"",
		.unit = "queues",
		.help = "Receive queues. auto: as many as the device has, at most one for each of workers.max."},
	{.name = "mtu",
		.type = &config_type_uint,
		FIELD(config_interface, mtu),
		.min = 576,
		.max = 9600,
		.def = "1500",
		.unit = "bytes",
		.help = "Largest IP packet. IPv6 needs at least 1280."},
	{.name = "vlan",
		.type = &config_type_uint,
		FIELD(config_interface, vlan),
		.min = 0,
		.max = 4094,
		.def = "0",
		.help = "VLAN id of all frames, both ways; 0: untagged."},
	{.name = "addresses",
		.type = &config_type_array,
		ARRAY(config_interface, addresses),
		.min = 1,
		.max = CONFIG_ADDRESSES_MAX,
		.items = &config_own,
		.help = "Our addresses on this link. An IPv6 link-local one is added by itself."},
	{.name = "accept_ra",
		.type = &config_type_bool,
		FIELD(config_interface, accept_ra),
		.def = "false",
		.help = "Take a default IPv6 route from router advertisements."});

static const struct config_key config_interface_item = {
	.type = &config_type_object,
	.size = sizeof(struct config_interface),
	.object = &config_interface,
	.help = "A port with its addresses.",
};

KEYS(config_route,
	{.name = "to",
		.type = &config_type_prefix,
		FIELD(config_route, to),
		.min = 1,
		.max = CONFIG_ADDRESS_TEXT,
		.help = "A prefix, such as 0.0.0.0/0, ::/0 or 10.8.0.0/16."},
	{.name = "via",
		.type = &config_type_gateway,
		FIELD(config_route, via),
		.min = 1,
		.max = CONFIG_ADDRESS_TEXT,
		.help = "The gateway: an address on the link of one of the interfaces."});

static const struct config_key config_route_item = {
	.type = &config_type_object,
	.size = sizeof(struct config_route),
	.object = &config_route,
	.help = "A way to what is on no link of ours.",
};

static const struct config_key config_filter = {
	.type = &config_type_filter,
	.size = sizeof(struct prefix),
	.min = 1,
	.max = CONFIG_ADDRESS_TEXT,
	.help = "A prefix such as 10.0.0.0/8, or one address.",
};

KEYS(config_listener,
	{.name = "name",
		.type = &config_type_name,
		FIELD(config_listener, name),
		.min = 1,
		.max = CONFIG_NAME_MAX,
		.help = "What the listener is called in listings. Unique."},
	{.name = "protocol",
		.type = &config_type_enum,
		FIELD(config_listener, proto),
		.words = config_protocols,
		.help = "tcp or udp."},
	{.name = "address",
		.type = &config_type_listen,
		FIELD(config_listener, listen),
		.min = 1,
		.max = CONFIG_ADDRESS_TEXT,
		.def = "\"*\"",
		.help = "One of our addresses; *: all of them; 0.0.0.0: all of IPv4; ::: all of IPv6. The "
			"narrowest listener gets the call."},
	{.name = "port",
		.type = &config_type_ports,
		FIELD(config_listener, port_lo),
		.offset2 = offsetof(struct config_listener, port_hi),
		.min = 1,
		.max = 65535,
		.help = "A port, or a range such as \"8000-8100\"."},
	{.name = "service",
		.type = &config_type_name,
		FIELD(config_listener, service),
		.min = 1,
		.max = CONFIG_NAME_MAX,
		.help = "What is done with its conversations: echo, discard, chargen, http, proxy, unix."},
	{.name = "options",
		.type = &config_type_options,
		.offset = offsetof(struct config_listener, options),
		.late = true,
		.help = "What the service wants to know; each service says which."},
	{.name = "conversation",
		.type = &config_type_enum,
		FIELD(config_listener, conversation),
		.words = config_conversations,
		.def = "\"per_peer\"",
		.late = true,
		.help = "UDP only. per_peer: a conversation for each peer. one: a single one hears all "
			"peers, each datagram with its peer's address."},
	{.name = "allow",
		.type = &config_type_array,
		ARRAY(config_listener, allow),
		.max = CONFIG_ITEMS_MAX,
		.def = "[]",
		.items = &config_filter,
		.help = "Peers that may call; empty: all that deny does not name."},
	{.name = "deny",
		.type = &config_type_array,
		ARRAY(config_listener, deny),
		.max = CONFIG_ITEMS_MAX,
		.def = "[]",
		.items = &config_filter,
		.help = "Peers that may not call, whatever allow says."});

static const struct config_key config_listener_item = {
	.type = &config_type_object,
	.size = sizeof(struct config_listener),
	.object = &config_listener,
	.help = "A port that answers.",
};

KEYS(config_limits,
	{.name = "conversations",
		.type = &config_type_uint,
		FIELD(config_limits, conversations),
		.min = 1,
		.max = CONFIG_CONVERSATIONS_MAX,
		.late = true,
		.help = "Most conversations, TCP and UDP together. Their memory is taken at start. "
			"Default: as many as eal.memory_mb has room for."},
	{.name = "half_open",
		.type = &config_type_uint,
		FIELD(config_limits, half_open),
		.min = 1,
		.max = CONFIG_CONVERSATIONS_MAX,
		.def = "65536",
		.help = "Most TCP calls whose handshake is not complete."},
	{.name = "time_wait",
		.type = &config_type_uint,
		FIELD(config_limits, time_wait),
		.min = 1,
		.max = CONFIG_CONVERSATIONS_MAX,
		.def = "262144",
		.help = "Most TCP conversations remembered in TIME-WAIT."},
	{.name = "udp_idle_seconds",
		.type = &config_type_uint,
		FIELD(config_limits, udp_idle_seconds),
		.min = 1,
		.max = 86400,
		.def = "60",
		.unit = "seconds",
		.help = "A UDP conversation ends when nothing came or went for so long."},
	{.name = "drain_seconds",
		.type = &config_type_uint,
		FIELD(config_limits, drain_seconds),
		.min = 0,
		.max = 3600,
		.def = "10",
		.unit = "seconds",
		.help = "How long conversations may go on after SIGTERM."});

KEYS(config_tcp,
	{.name = "congestion_control",
		.type = &config_type_enum,
		FIELD(config_tcp, congestion_control),
		.words = config_congestions,
		.def = "\"cubic\"",
		.help = "How fast TCP sends. cubic: RFC 9438. newreno: RFC 6582. dctcp: RFC 8257, for data centers whose switches mark (it needs ecn)."},
	{.name = "ecn",
		.type = &config_type_enum,
		FIELD(config_tcp, ecn),
		.words = config_ecns,
		.def = "\"grant\"",
		.help = "Explicit congestion notification (RFC 3168). grant: where the peer asks for it. ask: in the conversations that convd opens, too."},
	{.name = "keepalive_seconds",
		.type = &config_type_uint,
		FIELD(config_tcp, keepalive_seconds),
		.min = 0,
		.max = 86400,
		.def = "0",
		.unit = "seconds",
		.help = "Probe a peer that has been silent for so long, up to nine times (RFC 9293 section 3.8.4); 0: never."},
	{.name = "user_timeout_seconds",
		.type = &config_type_uint,
		FIELD(config_tcp, user_timeout_seconds),
		.min = 1,
		.max = 14400,
		.def = "100",
		.unit = "seconds",
		.help = "End a conversation whose peer has acknowledged nothing for so long (RFC 9293 section 3.8.3: R2, at least 100)."},
	{.name = "time_wait_seconds",
		.type = &config_type_uint,
		FIELD(config_tcp, time_wait_seconds),
		.min = 1,
		.max = 600,
		.def = "60",
		.unit = "seconds",
		.help = "How long TIME-WAIT lasts (2 MSL)."});

KEYS(config_control,
	{.name = "socket",
		.type = &config_type_path,
		FIELD(config_control, socket),
		.min = 1,
		.max = CONFIG_SOCKET_MAX,
		.def = "\"/run/convd/control.sock\"",
		.help = "Unix socket for convctl."},
	{.name = "metrics",
		.type = &config_type_string,
		FIELD(config_control, metrics),
		.min = 1,
		.max = CONFIG_ADDRESS_TEXT,
		.late = true,
		.help = "Where metrics are served over HTTP, such as 127.0.0.1:9479. Default: nowhere."});

static const struct config_key config_top_keys[] = {
	{.name = "$schema",
		.type = &config_type_ignored,
		.max = 1024,
		.late = true,
		.help = "For editors; convd does not read it."},
	{.name = "eal",
		.type = &config_type_object,
		FIELD(config, eal),
		.def = "{}",
		.object = &config_eal,
		.help = "Memory and DPDK's environment."},
	{.name = "workers",
		.type = &config_type_object,
		FIELD(config, workers),
		.def = "{}",
		.object = &config_workers,
		.help = "The threads that process packets."},
	{.name = "interfaces",
		.type = &config_type_array,
		ARRAY(config, interfaces),
		.min = 1,
		.max = WORKER_IFC_MAX,
		.items = &config_interface_item,
		.help = "The ports that convd owns."},
	{.name = "routes",
		.type = &config_type_array,
		ARRAY(config, routes),
		.max = CONFIG_ITEMS_MAX,
		.def = "[]",
		.items = &config_route_item,
		.help = "Where to send what is on no link of ours."},
	{.name = "listeners",
		.type = &config_type_array,
		ARRAY(config, listeners),
		.max = CONFIG_ITEMS_MAX,
		.def = "[]",
		.items = &config_listener_item,
		.help = "What answers where."},
	{.name = "limits",
		.type = &config_type_object,
		FIELD(config, limits),
		.def = "{}",
		.object = &config_limits,
		.help = "Bounds; beyond them new work is refused and counted."},
	{.name = "tcp",
		.type = &config_type_object,
		FIELD(config, tcp),
		.def = "{}",
		.object = &config_tcp,
		.help = "TCP, for all listeners."},
	{.name = "control",
		.type = &config_type_object,
		FIELD(config, control),
		.def = "{}",
		.object = &config_control,
		.help = "Ways to look into the running daemon."},
};

const struct config_object config_top = {
	.keys = config_top_keys,
	.nkeys = sizeof(config_top_keys) / sizeof(config_top_keys[0]),
};
