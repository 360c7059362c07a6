/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What listeners must be among each other, towards our addresses, and towards
 * the services that they name.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "config_priv.h"
#include "key.h"

static const char *
config_proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : "udp";
}

/* The address that a listener names, of either version. */
static struct config_prefix
config_listener_address(const struct config_listener *l)
{
	struct config_prefix p = {.version = 6, .len = 128};
	struct key k;

	memcpy(p.addr, l->laddr, sizeof(p.addr));
	memcpy(k.laddr, l->laddr, sizeof(k.laddr));
	if (key_is_v4(&k))
		p.version = 4, p.len = 32;
	return p;
}

static const char *
config_listen_text(const struct config_listener *l, char buf[CONFIG_ADDRESS_TEXT])
{
	struct config_prefix p = config_listener_address(l);

	return l->listen == CONFIG_LISTEN_ANY ? "*" : config_address_text(&p, buf);
}

/* Both would be found for one call: the same address, or all of the same addresses. A wider and a narrower one
 * get along, the narrower is asked first. */
static bool
config_listeners_collide(const struct config_listener *a, const struct config_listener *b)
{
	return a->proto != 0 && a->listen != CONFIG_LISTEN_NONE && a->port_lo != 0 &&
		b->port_lo != 0 && a->proto == b->proto && a->listen == b->listen &&
		memcmp(a->laddr, b->laddr, sizeof(a->laddr)) == 0 && a->port_lo <= b->port_hi &&
		b->port_lo <= a->port_hi;
}

static void
config_ports_text(const struct config_listener *l, char *buf, size_t len)
{
	if (l->port_lo == l->port_hi)
		(void)snprintf(buf, len, "%u", l->port_lo);
	else
		(void)snprintf(buf, len, "%u-%u", l->port_lo, l->port_hi);
}

static void
config_check_taken(struct config_ctx *x, const struct config *c, unsigned i)
{
	const struct config_listener *l = &c->listeners[i];
	char mine[16], other[16], address[CONFIG_ADDRESS_TEXT];

	for (unsigned j = 0; j < i; j++) {
		const struct config_listener *o = &c->listeners[j];

		if (l->name != NULL && o->name != NULL && strcmp(l->name, o->name) == 0) {
			config_at(x, "listeners[%u].name", i);
			config_fault(x, "\"%s\" is taken by listeners[%u]", l->name, j);
		}
		if (!config_listeners_collide(l, o))
			continue;
		config_ports_text(l, mine, sizeof(mine));
		config_ports_text(o, other, sizeof(other));
		config_at(x, "listeners[%u].port", i);
		config_fault(x, "%s on %s address %s is taken by listeners[%u] (%s)", mine,
			config_proto_name(l->proto), config_listen_text(l, address), j, other);
	}
}

static void
config_check_address_ours(struct config_ctx *x, const struct config *c, unsigned i)
{
	const struct config_listener *l = &c->listeners[i];
	struct config_prefix p = config_listener_address(l);
	char text[CONFIG_ADDRESS_TEXT];

	if (l->listen != CONFIG_LISTEN_ONE || !config_is_foreign(c, &p))
		return;
	config_at(x, "listeners[%u].address", i);
	config_fault(x, "%s is the address of no interface", config_address_text(&p, text));
}

static void
config_check_filters(struct config_ctx *x, const struct config_listener *l, unsigned i)
{
	for (unsigned j = 0; j < l->nallow; j++) {
		for (unsigned k = 0; k < l->ndeny; k++) {
			const struct prefix *a = &l->allow[j], *d = &l->deny[k];

			/* Length 0 is ::/0, or one that was faulty. */
			if (a->len == 0 || a->len != d->len ||
				memcmp(a->addr, d->addr, sizeof(a->addr)) != 0)
				continue;
			config_at(x, "listeners[%u].allow[%u]", i, j);
			config_fault(x, "is the same as deny[%u], which has the last word", k);
		}
	}
}

static void
config_unknown_service(struct config_ctx *x, const char *name)
{
	struct config_guess guess = {.word = name};
	const char *known;
	char hint[64];

	for (unsigned i = 0; (known = x->services->name(x->services->arg, i)) != NULL; i++)
		config_guess(&guess, known);
	config_fault(x, "\"%s\" is no service%s", name, config_guessed(&guess, hint, sizeof(hint)));
}

/* fault is "key: what is wrong": the key belongs to the path. */
static void
config_bad_option(struct config_ctx *x, unsigned i, const char *fault)
{
	size_t key = strcspn(fault, ": ");

	if (strncmp(fault + key, ": ", 2) == 0 && key > 0) {
		config_at(x, "listeners[%u].options.%.*s", i, (int)key, fault);
		config_fault(x, "%s", fault + key + 2);
	} else {
		config_at(x, "listeners[%u].options", i);
		config_fault(x, "%s", fault);
	}
}

static bool
config_options_unbuilt(struct config_ctx *x, const struct config_listener *l, unsigned i)
{
	bool unbuilt = false;
	const char *key;
	json_t *v;

	json_object_foreach(l->options, key, v) {
		config_at(x, "listeners[%u].options.%s", i, key);
		unbuilt |= config_unbuilt_option(x, l->service, key);
	}
	return unbuilt;
}

static void
config_check_service(struct config_ctx *x, const struct config_listener *l, unsigned i)
{
	char fault[256] = "";

	if (l->service == NULL || config_options_unbuilt(x, l, i) || x->services == NULL ||
		l->proto == 0)
		return;
	config_at(x, "listeners[%u].service", i);
	switch (x->services->check(x->services->arg, l, fault, sizeof(fault))) {
	case 0:
		break;
	case -ENOENT:
		config_unknown_service(x, l->service);
		break;
	case -EPROTONOSUPPORT:
		config_fault(
			x, "\"%s\" is not served over %s", l->service, config_proto_name(l->proto));
		break;
	case -EOPNOTSUPP:
		config_at(x, "listeners[%u].conversation", i);
		config_fault(x, "\"one\" is more than service \"%s\" can do", l->service);
		break;
	case -ENOMEM:
		config_no_memory(x);
		break;
	default:
		config_bad_option(x, i, fault);
	}
}

void
config_check_listeners(struct config_ctx *x, const struct config *c)
{
	for (unsigned i = 0; i < c->nlisteners; i++) {
		const struct config_listener *l = &c->listeners[i];

		config_check_taken(x, c, i);
		config_check_address_ours(x, c, i);
		config_check_filters(x, l, i);
		if (l->proto == IPPROTO_TCP && l->conversation != CONFIG_CONVERSATION_NONE) {
			config_at(x, "listeners[%u].conversation", i);
			config_fault(x, "is for udp only");
		}
		config_check_service(x, l, i);
	}
}
