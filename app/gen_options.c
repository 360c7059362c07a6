/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * convgen's command line, and the configuration of its stack that follows from it: the same that convd reads, made here and
 * checked by the same code.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "gen.h"
#include "gen_hold.h"
#include "tcp.h"
#include "udp.h"

#define EXIT_USAGE      2
#define SPARE_NODES     65536 /* conversations that have ended, before a grace period has passed */
#define CONNECTIONS_MAX 25000000
#define HOLD_NODES      1024 /* the stateless mode has no stack: its configuration is only read */
#define SIZE_MAX_BYTES  65536

const struct gen_mode gen_modes[] = {
	{"connect", "open connections and end them: connects per second", &gen_svc_connect,
		&tcp_proto, 64, 7, false},
	{"request", "keep-alive requests to an echo service", &gen_svc_request, &tcp_proto, 64, 7,
		false},
	{"http", "GET over HTTP/1.1, with keep-alive or a connection for each (--close)",
		&gen_svc_http, &tcp_proto, 64, 80, false},
	{"udp", "datagrams to an echo service, one outstanding in each flow", &gen_svc_udp,
		&udp_proto, 64, 7, false},
	{"bulk", "as much as goes, to discard or from chargen (--direction)", &gen_svc_bulk,
		&tcp_proto, 1, 0, false},
	{"idle", "many connections, held; echoes through some of them, drawn (--echo-rate)",
		&gen_svc_request, &tcp_proto, 10000, 7, true},
	{"hold",
		"very many connections, without a stack: opened, held, some of them asked (--sample)",
		NULL, NULL, 100000, 7, false},
	{0},
};

static void
usage(FILE *to)
{
	(void)fprintf(to,
		"usage: convgen [STACK] MODE [OPTIONS] TARGET[:PORT[-PORT]] [-- EAL ARGUMENTS]\n"
		"\n"
		"Modes:\n");
	for (const struct gen_mode *m = gen_modes; m->name != NULL; m++)
		(void)fprintf(to, "  %-8s %s\n", m->name, m->help);
	(void)fprintf(to,
		"\n"
		"Stack, in place of which --config FILE may stand, as for convd:\n"
		"  --device DEVICE       a DPDK device, such as net_memif0,role=client,socket=/run/x.sock\n"
		"  --address ADDR/LEN    an address of ours; may be given up to 16 times\n"
		"  --gateway ADDR        the way to what is on no link of ours\n"
		"  --cores LIST          CPUs, one worker each (0)\n"
		"  --memory-mb N         (512)\n"
		"  --hugepages\n"
		"Options:\n"
		"  --connections N       --concurrency and --flows are other names for it\n"
		"  --size BYTES          of a request (64)\n"
		"  --pipeline N          requests outstanding on a connection (1)\n"
		"  --rate R              requests per second, or opens in mode connect; 0: as fast as it goes (0)\n"
		"  --open-rate R         connections opened per second; 0: as fast as it goes (0)\n"
		"  --sources PREFIX      of mode hold: IPv4 addresses to speak from, which the target has a route to (--address)\n"
		"  --source-ports LO-HI  of mode hold (1024-65535)\n"
		"  --sample N            of mode hold: connections drawn in the end, each asked for an echo (100000)\n"
		"  --churn R             of mode hold: opened and closed per second meanwhile, beside those held (0)\n"
		"  --no-options          of mode hold: SYNs without MSS, window scale, SACK and timestamps\n"
		"  --echo-rate R         of mode idle: what --rate is (1000)\n"
		"  --duration S          (10)\n"
		"  --warmup S            not counted (1)\n"
		"  --progress S          a line on stderr every so often; 0: none (1)\n"
		"  --direction send|receive   of mode bulk (receive)\n"
		"  --path PATH           of mode http (/)\n"
		"  --close               of mode http: a connection for each request\n"
		"  --reset               end connections by RST\n"
		"  --seed N              of what is sent and drawn (1)\n"
		"  --json FILE           the result as JSON; - is stdout\n"
		"  --version, --help\n");
}

static const struct option longs[] = {
	{"config", required_argument, NULL, 'f'},
	{"device", required_argument, NULL, 'd'},
	{"address", required_argument, NULL, 'a'},
	{"gateway", required_argument, NULL, 'g'},
	{"cores", required_argument, NULL, 'o'},
	{"memory-mb", required_argument, NULL, 'm'},
	{"hugepages", no_argument, NULL, 'H'},
	{"connections", required_argument, NULL, 'n'},
	{"concurrency", required_argument, NULL, 'n'},
	{"flows", required_argument, NULL, 'n'},
	{"size", required_argument, NULL, 's'},
	{"pipeline", required_argument, NULL, 'p'},
	{"rate", required_argument, NULL, 'r'},
	{"echo-rate", required_argument, NULL, 'r'},
	{"open-rate", required_argument, NULL, 'O'},
	{"sources", required_argument, NULL, 'A'},
	{"source-ports", required_argument, NULL, 'B'},
	{"sample", required_argument, NULL, 'N'},
	{"churn", required_argument, NULL, 'c'},
	{"no-options", no_argument, NULL, 'x'},
	{"duration", required_argument, NULL, 't'},
	{"warmup", required_argument, NULL, 'w'},
	{"progress", required_argument, NULL, 'P'},
	{"direction", required_argument, NULL, 'D'},
	{"path", required_argument, NULL, 'u'},
	{"close", no_argument, NULL, 'C'},
	{"reset", no_argument, NULL, 'R'},
	{"seed", required_argument, NULL, 'S'},
	{"json", required_argument, NULL, 'j'},
	{"version", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/** The number that was given, in [least, most]. @return false: said why */
static bool
number(const char *name, const char *text, double least, double most, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	if (*text != 0 && *end == 0 && *ret >= least && *ret <= most)
		return true;
	(void)fprintf(stderr, "convgen: --%s: \"%s\" is not a number in %.10g-%.10g\n", name, text,
		least, most);
	return false;
}

static bool
option_count(const char *name, double least, double most, uint32_t *ret)
{
	double v;

	if (!number(name, optarg, least, most, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

/** A number at *at, in [least, most]; *at moves behind it. @return false: there is none */
static bool
digits(const char **at, unsigned long least, unsigned long most, unsigned long *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*ret = strtoul(*at, &end, 10);
	*at = end;
	return *ret >= least && *ret <= most;
}

/** "80", or "8000-8100" */
static bool
ports(const char *text, uint16_t *ret_lo, uint16_t *ret_hi)
{
	const char *at = text;
	unsigned long lo = 0, hi;
	bool fine = digits(&at, 1, UINT16_MAX, &lo);

	hi = lo;
	if (fine && *at == '-') {
		at++;
		fine = digits(&at, lo, UINT16_MAX, &hi);
	}
	if (!fine || *at != 0) {
		(void)fprintf(
			stderr, "convgen: \"%s\" is neither a port nor a range of ports\n", text);
		return false;
	}
	*ret_lo = (uint16_t)lo;
	*ret_hi = (uint16_t)hi;
	return true;
}

/** "10.64.0.0/16": all addresses that begin so. */
static bool
option_sources(struct gen_conf *c)
{
	const char *slash = strchr(optarg, '/'), *at = slash == NULL ? "" : slash + 1;
	char host[INET_ADDRSTRLEN];
	unsigned long len = 0;
	struct in_addr v4;

	(void)snprintf(
		host, sizeof(host), "%.*s", slash == NULL ? 0 : (int)(slash - optarg), optarg);
	if (digits(&at, 1, 32, &len) && *at == 0 && inet_pton(AF_INET, host, &v4) == 1) {
		c->nsources = UINT32_C(1) << (32 - len);
		c->sources = ntohl(v4.s_addr) & ~(c->nsources - 1);
		return true;
	}
	(void)fprintf(stderr, "convgen: --sources: \"%s\" is no IPv4 prefix\n", optarg);
	return false;
}

static bool
option_direction(struct gen_conf *c)
{
	c->send = strcmp(optarg, "send") == 0;
	if (c->send || strcmp(optarg, "receive") == 0)
		return true;
	(void)fprintf(stderr, "convgen: --direction: \"%s\" is neither send nor receive\n", optarg);
	return false;
}

static bool
option_address(struct gen_conf *c)
{
	if (c->naddresses == RTE_DIM(c->addresses)) {
		(void)fprintf(stderr, "convgen: --address: more than %zu\n", RTE_DIM(c->addresses));
		return false;
	}
	c->addresses[c->naddresses++] = optarg;
	return true;
}

static bool
option_number(int o, const char *name, struct gen_conf *c)
{
	double seed;

	switch (o) {
	case 'm':
		return option_count(name, 64, 1 << 20, &c->memory_mb);
	case 'n':
		return option_count(name, 1, CONNECTIONS_MAX, &c->connections);
	case 's':
		return option_count(name, 1, SIZE_MAX_BYTES, &c->size);
	case 'p':
		return option_count(name, 1, GEN_PIPELINE_MAX, &c->pipeline);
	case 'N':
		return option_count(name, 0, CONNECTIONS_MAX, &c->sample);
	case 'c':
		return number(name, optarg, 0, 1e9, &c->churn);
	case 'r':
		return number(name, optarg, 0, 1e9, &c->rate);
	case 'O':
		return number(name, optarg, 0, 1e9, &c->open_rate);
	case 't':
		return number(name, optarg, 0.1, 1e6, &c->duration);
	case 'w':
		return number(name, optarg, 0, 1e6, &c->warmup);
	case 'P':
		return number(name, optarg, 0, 1e6, &c->progress);
	default:
		if (!number(name, optarg, 0, 9e15, &seed))
			return false;
		c->seed = (uint64_t)seed;
		return true;
	}
}

/** @return false: said why */
static bool
option_take(int o, const char *name, struct gen_conf *c)
{
	switch (o) {
	case 'f':
		c->config = optarg;
		return true;
	case 'd':
		c->device = optarg;
		return true;
	case 'a':
		return option_address(c);
	case 'g':
		c->gateway = optarg;
		return true;
	case 'o':
		c->cores = optarg;
		return true;
	case 'H':
		c->hugepages = true;
		return true;
	case 'D':
		return option_direction(c);
	case 'u':
		c->path = optarg;
		return true;
	case 'A':
		return option_sources(c);
	case 'B':
		return ports(optarg, &c->sport_lo, &c->sport_hi);
	case 'x':
		c->plain = true;
		return true;
	case 'C':
		c->close = true;
		return true;
	case 'R':
		c->reset = true;
		return true;
	case 'j':
		c->json = optarg;
		return true;
	default:
		return option_number(o, name, c);
	}
}

static bool
target_address(const char *text, size_t len, struct gen_conf *c)
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr v4;

	(void)snprintf(host, sizeof(host), "%.*s", (int)len, text);
	c->version = 4;
	if (len < sizeof(host) && inet_pton(AF_INET, host, &v4) == 1) {
		key_map_v4(c->key.raddr, v4.s_addr);
		return true;
	}
	c->version = 6;
	if (len < sizeof(host) && inet_pton(AF_INET6, host, c->key.raddr) == 1)
		return true;
	(void)fprintf(stderr, "convgen: \"%.*s\" is no address\n", (int)len, text);
	return false;
}

/** "10.0.0.2:80", "[fd00::2]:80", or an address alone. @return false: said why */
static bool
target(const char *text, struct gen_conf *c)
{
	const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL,
		   *colon = strrchr(text, ':');
	uint16_t port = c->mode->port != 0 ? c->mode->port : c->send ? 9 : 19;
	size_t len = strlen(text);

	if (bracket != NULL) {
		text++;
		len = (size_t)(bracket - text);
		colon = bracket[1] == ':' ? bracket + 1 : NULL;
	} else if (colon != NULL && strchr(text, ':') == colon) {
		len = (size_t)(colon - text);
	} else {
		colon = NULL; /* of an IPv6 address */
	}
	c->port_lo = c->port_hi = port;
	return target_address(text, len, c) &&
		(colon == NULL || ports(colon + 1, &c->port_lo, &c->port_hi));
}

static bool
mode(const char *name, struct gen_conf *c)
{
	for (const struct gen_mode *m = gen_modes; m->name != NULL; m++)
		if (strcmp(m->name, name) == 0)
			c->mode = m;
	if (c->mode == NULL)
		(void)fprintf(stderr, "convgen: there is no mode \"%s\"\n", name);
	return c->mode != NULL;
}

/** What stands between options: mode and target. @return false: said why */
static bool
operands(int argc, char **argv, struct gen_conf *c)
{
	int n = 0;

	/* getopt has put them behind the options; what follows "--" comes last. */
	while (optind + n < argc && n < 2)
		n++;
	if (n < 2) {
		(void)fprintf(stderr, "convgen: mode and target are needed\n");
		usage(stderr);
		return false;
	}
	if (!mode(argv[optind], c))
		return false;
	c->target = argv[optind + 1];
	c->eal = argv + optind + 2;
	c->neal = (unsigned)(argc - optind - 2);
	return true;
}

static bool
complete_hold(const struct gen_conf *c)
{
	if (c->version != 4) {
		(void)fprintf(stderr, "convgen: mode hold speaks IPv4 only\n");
		return false;
	}
	if (c->size > GEN_HOLD_SIZE) {
		(void)fprintf(
			stderr, "convgen: --size: of mode hold it is at most %d\n", GEN_HOLD_SIZE);
		return false;
	}
	return true;
}

static bool
complete(struct gen_conf *c)
{
	if (c->connections == 0)
		c->connections = c->mode->connections;
	if (c->mode->random && c->rate == 0)
		c->rate = 1000;
	if (c->mode->service == &gen_svc_connect) {
		c->open_rate = c->rate;
		c->rate = 0;
	}
	if (c->close)
		c->pipeline = 1;
	if (!target(c->target, c) || (c->mode->service == NULL && !complete_hold(c)))
		return false;
	if (c->config == NULL && (c->device == NULL || c->naddresses == 0)) {
		(void)fprintf(stderr, "convgen: --device and --address, or --config, are needed\n");
		return false;
	}
	return true;
}

int
gen_options(int argc, char **argv, struct gen_conf *conf)
{
	int o, at;

	*conf = (struct gen_conf){.size = 64,
		.pipeline = 1,
		.duration = 10,
		.warmup = 1,
		.sport_lo = 1024,
		.sport_hi = 65535,
		.sample = 100000,
		.progress = 1,
		.path = "/",
		.seed = 1,
		.memory_mb = 512,
		.cores = "0"};
	while ((o = getopt_long(argc, argv, "", longs, &at)) != -1) {
		switch (o) {
		case 'v':
			(void)printf("convgen %s\n", CONVD_VERSION);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		case '?':
			usage(stderr);
			return 1 + EXIT_USAGE;
		default:
			if (!option_take(o, longs[at].name, conf))
				return 1 + EXIT_USAGE;
		}
	}
	return operands(argc, argv, conf) && complete(conf) ? 0 : 1 + EXIT_USAGE;
}

/* ---- the stack ---- */

static json_t *
stack_json(const struct gen_conf *c)
{
	json_t *addresses = json_array(), *routes = json_array();
	uint32_t nodes = c->mode->service == NULL
		? HOLD_NODES
		: c->connections + c->connections / 4 + SPARE_NODES;
	char socket[64];

	for (unsigned i = 0; i < c->naddresses; i++)
		(void)json_array_append_new(addresses, json_string(c->addresses[i]));
	if (c->gateway != NULL)
		(void)json_array_append_new(routes,
			json_pack("{s:s, s:s}", "to",
				strchr(c->gateway, ':') != NULL ? "::/0" : "0.0.0.0/0", "via",
				c->gateway));
	(void)snprintf(socket, sizeof(socket), "/tmp/convgen.%d.sock", (int)getpid());
	return json_pack("{s:{s:b, s:i}, s:{s:i, s:s, s:s}, s:[{s:s, s:s, s:o}], s:o,"
			 " s:{s:i, s:i, s:i}, s:{s:i}, s:{s:s}}",
		"eal", "hugepages", (int)c->hugepages, "memory_mb", (int)c->memory_mb, "workers",
		"count", 1, "cores", c->cores, "idle", "poll", "interfaces", "name", "gen",
		"device", c->device, "addresses", addresses, "routes", routes, "limits",
		"conversations", (int)nodes, "time_wait", 65536, "udp_idle_seconds", 3600, "tcp",
		"time_wait_seconds", 1, "control", "socket", socket);
}

struct config *
gen_config(const struct gen_conf *conf)
{
	struct config *c = NULL;
	json_t *o;
	char *text;

	if (conf->config != NULL) {
		if (config_load(conf->config, NULL, &c, stderr) != 0)
			return NULL;
		return c;
	}
	o = stack_json(conf);
	text = o == NULL ? NULL : json_dumps(o, 0);
	json_decref(o);
	if (text == NULL) {
		(void)fprintf(stderr, "convgen: out of memory\n");
		return NULL;
	}
	if (config_parse("convgen", text, strlen(text), NULL, &c, stderr) != 0)
		c = NULL;
	free(text);
	return c;
}
