/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * convd's command line. Exit: 0 ended as asked, 1 failed while running, 2 configuration, host or usage.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "daemon.h"
#include "eal.h"
#include "services.h"

enum {
	EXIT_OK = 0,
	EXIT_RUNNING = 1,
	EXIT_CONFIG = 2
};

struct options {
	const char *config;
	const char *log_level;
	bool check;
	char **eal;
	unsigned neal;
};

static void
usage(FILE *to)
{
	(void)fprintf(to,
		"usage: convd --config FILE [--check] [--log-level LEVEL] [-- EAL ARGUMENTS]\n"
		"       convd --version | --help\n"
		"\n"
		"  --config FILE      the configuration (JSON; config/convd.schema.json describes it)\n"
		"  --check            check it, and whether this host can do it; start nothing\n"
		"  --log-level LEVEL  emergency, alert, critical, error, warning, notice, info or debug\n"
		"  --version          print the version\n"
		"  --help             print this\n");
}

/* ---- services, as the configuration asks about them ---- */

static const struct service *
service_of(const char *name)
{
	for (unsigned i = 0; services[i] != NULL; i++)
		if (strcmp(services[i]->name, name) == 0)
			return services[i];
	return NULL;
}

static const char *
service_name(void *arg, unsigned i)
{
	(void)arg;
	return services[i] == NULL ? NULL : services[i]->name;
}

static int
service_check(void *arg, const struct config_listener *l, char *fault, size_t len)
{
	const struct service *s = service_of(l->service);
	void *options = NULL;
	int err;

	(void)arg;
	if (s == NULL)
		return -ENOENT;
	if (l->proto == IPPROTO_TCP ? !s->tcp : !s->udp)
		return -EPROTONOSUPPORT;
	if (l->conversation == CONFIG_CONVERSATION_ONE && s->datagram == NULL)
		return -EOPNOTSUPP;
	if (s->options == NULL) {
		if (l->options == NULL || json_object_size(l->options) == 0)
			return 0;
		(void)snprintf(fault, len, "%s: unknown option, the service has none",
			json_object_iter_key(json_object_iter(l->options)));
		return -EINVAL;
	}
	err = s->options(l->options, &options, fault, len);
	if (err == 0 && s->options_free != NULL)
		s->options_free(options);
	return err;
}

/* ---- the command ---- */

/** @return 0 to go on, else 1 + the exit status */
static int
options_parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"log-level", required_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'k':
			o->check = true;
			break;
		case 'l':
			o->log_level = optarg;
			break;
		case 'v':
			(void)printf("convd %s\n", CONVD_VERSION);
			return 1 + EXIT_OK;
		case 'h':
			usage(stdout);
			return 1 + EXIT_OK;
		default:
			usage(stderr);
			return 1 + EXIT_CONFIG;
		}
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0) {
		(void)fprintf(stderr, "convd: what is \"%s\"? EAL arguments stand behind --\n",
			argv[optind]);
		return 1 + EXIT_CONFIG;
	}
	o->eal = argv + optind;
	o->neal = (unsigned)(argc - optind);
	if (o->config == NULL) {
		(void)fprintf(stderr, "convd: --config FILE is needed\n");
		usage(stderr);
		return 1 + EXIT_CONFIG;
	}
	return 0;
}

static int
log_level(const char *name)
{
	static const char *const names[] = {NULL, "emergency", "alert", "critical", "error",
		"warning", "notice", "info", "debug"};

	for (unsigned i = 1; i < RTE_DIM(names); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

static int
serve(const struct options *o, const struct config *c)
{
	char fault[512];
	const struct daemon_hooks hooks = {.services = services};
	struct daemon *d;
	int err = daemon_signals_block();

	if (err != 0) {
		(void)fprintf(stderr, "convd: signals: %s\n", strerror(-err));
		return EXIT_RUNNING;
	}
	if (eal_start(c, o->eal, o->neal, fault, sizeof(fault)) != 0) {
		(void)fprintf(stderr, "%s: eal: %s\n", o->config, fault);
		return EXIT_CONFIG;
	}
	d = daemon_start(o->config, c, &hooks, stderr);
	if (d == NULL) {
		eal_end();
		return EXIT_CONFIG;
	}
	err = daemon_run(d);
	if (err != 0)
		(void)fprintf(stderr, "convd: %s\n", strerror(-err));
	daemon_free(d);
	eal_end();
	return err == 0 ? EXIT_OK : EXIT_RUNNING;
}

int
main(int argc, char **argv)
{
	static const struct config_services known = {service_name, service_check, NULL};
	struct options o = {0};
	struct config *c;
	int status = options_parse(argc, argv, &o), level;

	if (status != 0)
		return status - 1;
	if (o.log_level != NULL) {
		level = log_level(o.log_level);
		if (level < 0) {
			(void)fprintf(
				stderr, "convd: --log-level: \"%s\" is no level\n", o.log_level);
			return EXIT_CONFIG;
		}
		rte_log_set_global_level((uint32_t)level);
	}
	if (config_load(o.config, &known, &c, stderr) != 0)
		return EXIT_CONFIG;
	status = daemon_check(o.config, c, stderr) > 0 ? EXIT_CONFIG : EXIT_OK;
	if (status == EXIT_OK && o.check)
		(void)printf("%s: good\n", o.config);
	else if (status == EXIT_OK)
		status = serve(&o, c);
	config_free(c);
	return status;
}
