/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What one value alone can't tell: names and addresses that are taken, numbers
 * that don't go together, gateways that nobody can reach. Values that were faulty are zero
 * here, and nothing is said of them twice.
 */
#include <string.h>

#include "config_priv.h"

#define IP6_MTU_MIN 1280 /* RFC 8200 section 5 */

/* An address of ours could not be read, so none can be called foreign. */
static bool
config_addresses_unsure(const struct config *c)
{
	for (unsigned i = 0; i < c->ninterfaces; i++) {
		const struct config_interface *f = &c->interfaces[i];

		for (unsigned j = 0; j < f->naddresses; j++)
			if (f->addresses[j].version == 0)
				return true;
		if (f->naddresses == 0)
			return true;
	}
	return c->ninterfaces == 0;
}

static bool
config_is_link_local(const struct config_prefix *p)
{
	return p->version == 6 && p->addr[0] == 0xfe && (p->addr[1] & 0xc0) == 0x80;
}

/* The interface that has the address, or on whose link it is if link is true; -1: none. */
static int
config_interface_of(const struct config *c, const struct config_prefix *p, bool link)
{
	for (unsigned i = 0; i < c->ninterfaces; i++) {
		const struct config_interface *f = &c->interfaces[i];

		for (unsigned j = 0; j < f->naddresses; j++) {
			const struct config_prefix *a = &f->addresses[j];

			if (a->version != 0 && config_prefix_match(a, p, link ? a->len : p->len))
				return (int)i;
		}
	}
	return -1;
}

bool
config_is_foreign(const struct config *c, const struct config_prefix *p)
{
	return !config_addresses_unsure(c) && config_interface_of(c, p, false) < 0;
}

static void
config_check_workers(struct config_ctx *x, const struct config_workers *w)
{
	config_at(x, "workers.max");
	if (w->max != 0 && w->max < w->count)
		config_fault(x, "%u is less than workers.count (%u)", w->max, w->count);
}

static void
config_check_tcp(struct config_ctx *x, const struct config_tcp *t)
{
	config_at(x, "tcp.congestion_control");
	if (t->congestion_control == TCP_DCTCP && t->ecn == TCP_ECN_OFF)
		config_fault(x, "dctcp goes by marks, and tcp.ecn is off");
}

static void
config_check_names(struct config_ctx *x, const struct config *c, unsigned i)
{
	const struct config_interface *f = &c->interfaces[i];

	for (unsigned j = 0; j < i; j++) {
		const struct config_interface *g = &c->interfaces[j];

		if (f->name != NULL && g->name != NULL && strcmp(f->name, g->name) == 0) {
			config_at(x, "interfaces[%u].name", i);
			config_fault(x, "\"%s\" is taken by interfaces[%u]", f->name, j);
		}
		if (f->device != NULL && g->device != NULL && strcmp(f->device, g->device) == 0) {
			config_at(x, "interfaces[%u].device", i);
			config_fault(x, "\"%s\" is taken by interfaces[%u]", f->device, j);
		}
	}
}

static void
config_check_mtu(struct config_ctx *x, const struct config_interface *f, unsigned i)
{
	char text[CONFIG_ADDRESS_TEXT];

	if (f->mtu == 0 || f->mtu >= IP6_MTU_MIN)
		return;
	config_at(x, "interfaces[%u].mtu", i);
	for (unsigned j = 0; j < f->naddresses; j++) {
		if (f->addresses[j].version != 6)
			continue;
		config_fault(x, "%u is less than the %u that IPv6 (%s) needs", f->mtu, IP6_MTU_MIN,
			config_prefix_text(&f->addresses[j], text));
		return;
	}
	if (f->accept_ra)
		config_fault(x, "%u is less than the %u that accept_ra needs", f->mtu, IP6_MTU_MIN);
}

/* One network on two links: neighbours on the second would be looked for on the first. */
static bool
config_same_network(const struct config_prefix *a, const struct config_prefix *b)
{
	return a->version != 0 && a->len == b->len && !config_is_link_local(a) &&
		config_prefix_match(a, b, a->len);
}

/* @return true: address a of ours clashes with address m of interface k, and that was said */
static bool
config_address_clash(struct config_ctx *x, const struct config *c, const struct config_prefix *a,
	unsigned k, unsigned m, bool other)
{
	const struct config_prefix *b = &c->interfaces[k].addresses[m];
	char text[CONFIG_ADDRESS_TEXT];

	if (a->version == 0)
		return false;
	if (config_prefix_match(a, b, a->version == 4 ? 32 : 128))
		config_fault(x, "%s is already interfaces[%u].addresses[%u]",
			config_address_text(a, text), k, m);
	else if (other && config_same_network(a, b))
		config_fault(x, "%s is on the network of interfaces[%u].addresses[%u]",
			config_prefix_text(a, text), k, m);
	else
		return false;
	return true;
}

/* Does address j of interface i clash with one of those before it? */
static void
config_check_address(struct config_ctx *x, const struct config *c, unsigned i, unsigned j)
{
	const struct config_prefix *a = &c->interfaces[i].addresses[j];

	config_at(x, "interfaces[%u].addresses[%u]", i, j);
	for (unsigned k = 0; k <= i; k++) {
		unsigned n = k < i ? c->interfaces[k].naddresses : j;

		for (unsigned m = 0; m < n; m++)
			if (config_address_clash(x, c, a, k, m, k < i))
				return;
	}
}

/* The interface whose link has exactly this prefix; -1: none. */
static int
config_link_of(const struct config *c, const struct config_prefix *p)
{
	for (unsigned i = 0; i < c->ninterfaces; i++)
		for (unsigned j = 0; j < c->interfaces[i].naddresses; j++)
			if (config_same_network(&c->interfaces[i].addresses[j], p))
				return (int)i;
	return -1;
}

static void
config_check_to(struct config_ctx *x, const struct config *c, unsigned i)
{
	const struct config_prefix *to = &c->routes[i].to;
	int link = config_link_of(c, to);
	char text[CONFIG_ADDRESS_TEXT];

	config_at(x, "routes[%u].to", i);
	if (link >= 0)
		config_fault(x, "%s is the link of interfaces[%d] itself",
			config_prefix_text(to, text), link);
	for (unsigned j = 0; j < i; j++) {
		if (!config_prefix_equal(to, &c->routes[j].to))
			continue;
		config_fault(x, "%s is already routes[%u]", config_prefix_text(to, text), j);
		return;
	}
}

static void
config_check_via(struct config_ctx *x, const struct config *c, unsigned i)
{
	const struct config_route *r = &c->routes[i];
	char to[CONFIG_ADDRESS_TEXT], via[CONFIG_ADDRESS_TEXT];

	if (r->via.version == 0)
		return;
	config_at(x, "routes[%u].via", i);
	config_address_text(&r->via, via);
	if (r->to.version != 0 && r->to.version != r->via.version)
		config_fault(x, "%s is IPv%u, but %s is IPv%u", via, r->via.version,
			config_prefix_text(&r->to, to), r->to.version);
	else if (config_interface_of(c, &r->via, false) >= 0)
		config_fault(x, "%s is our own address", via);
	else if (config_is_link_local(&r->via) && c->ninterfaces > 1)
		config_fault(x, "%s is link-local, which with %u interfaces says not which link",
			via, c->ninterfaces);
	else if (!config_is_link_local(&r->via) && !config_addresses_unsure(c) &&
		config_interface_of(c, &r->via, true) < 0)
		config_fault(x, "%s is on the link of no interface", via);
}

void
config_check(struct config_ctx *x, const struct config *c)
{
	config_check_workers(x, &c->workers);
	for (unsigned i = 0; i < c->ninterfaces; i++) {
		config_check_names(x, c, i);
		config_check_mtu(x, &c->interfaces[i], i);
		for (unsigned j = 0; j < c->interfaces[i].naddresses; j++)
			config_check_address(x, c, i, j);
	}
	for (unsigned i = 0; i < c->nroutes; i++) {
		config_check_to(x, c, i);
		config_check_via(x, c, i);
	}
	config_check_tcp(x, &c->tcp);
	config_check_listeners(x, c);
}
