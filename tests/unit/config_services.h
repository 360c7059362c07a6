/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Services as a configuration sees them, for tests: those of convd with their options, and
 * "solo", which can't serve all peers in one conversation. convd's own answers are
 * tested by tests/config/check_test.py.
 */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "config.h"

static const struct test_service {
	const char *name;
	bool tcp, udp, one;
} test_services[] = {
	{"echo", true, true, true},
	{"discard", true, true, true},
	{"chargen", true, true, true},
	{"http", true, false, false},
	{"solo", true, true, false},
};

static inline const char *
test_service_name(void *arg, unsigned i)
{
	return i < sizeof(test_services) / sizeof(*test_services) ? test_services[i].name : NULL;
}

static inline int
test_service_options(const struct config_listener *l, char *fault, size_t len)
{
	const char *key;
	json_t *v;

	json_object_foreach(l->options, key, v) {
		if (strcmp(l->service, "http") != 0) {
			(void)snprintf(fault, len, "%s: unknown option, the service has none", key);
			return -EINVAL;
		}
		if (strcmp(key, "body") != 0 && strcmp(key, "content_type") != 0) {
			(void)snprintf(fault, len, "%s: unknown option", key);
			return -EINVAL;
		}
		if (!json_is_string(v)) {
			(void)snprintf(fault, len, "%s: must be a string", key);
			return -EINVAL;
		}
	}
	return 0;
}

static inline int
test_service_check(void *arg, const struct config_listener *l, char *fault, size_t len)
{
	for (unsigned i = 0; i < sizeof(test_services) / sizeof(*test_services); i++) {
		const struct test_service *s = &test_services[i];

		if (strcmp(s->name, l->service) != 0)
			continue;
		if (l->proto == IPPROTO_TCP ? !s->tcp : !s->udp)
			return -EPROTONOSUPPORT;
		if (l->conversation == CONFIG_CONVERSATION_ONE && !s->one)
			return -EOPNOTSUPP;
		return test_service_options(l, fault, len);
	}
	return -ENOENT;
}

static const struct config_services test_config_services = {
	.name = test_service_name,
	.check = test_service_check,
};
