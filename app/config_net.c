/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Addresses, prefixes and ports: as text, and as values of the configuration.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "config_priv.h"
#include "ipht.h"
#include "key.h"

#define V4_BITS_BEFORE 96 /* of a mapped address */

bool
config_address_scan(const char *text, struct config_prefix *p)
{
	struct config_prefix a = {.version = 6, .len = 128};
	struct key k;
	uint32_t v4_be;

	if (inet_pton(AF_INET, text, &v4_be) == 1) {
		a.version = 4;
		a.len = 32;
		key_map_v4(a.addr, v4_be);
	} else if (inet_pton(AF_INET6, text, a.addr) != 1) {
		return false;
	} else {
		/* A mapped address is IPv4 in disguise: one address must not have two names. */
		memcpy(k.laddr, a.addr, sizeof(k.laddr));
		if (key_is_v4(&k))
			return false;
	}
	*p = a;
	return true;
}

const char *
config_address_text(const struct config_prefix *p, char buf[CONFIG_ADDRESS_TEXT])
{
	if (p->version == 4)
		inet_ntop(AF_INET, p->addr + 12, buf, CONFIG_ADDRESS_TEXT);
	else
		inet_ntop(AF_INET6, p->addr, buf, CONFIG_ADDRESS_TEXT);
	return buf;
}

const char *
config_prefix_text(const struct config_prefix *p, char buf[CONFIG_ADDRESS_TEXT])
{
	size_t used = strlen(config_address_text(p, buf));

	(void)snprintf(buf + used, CONFIG_ADDRESS_TEXT - used, "/%u", p->len);
	return buf;
}

bool
config_prefix_match(const struct config_prefix *a, const struct config_prefix *b, unsigned len)
{
	unsigned bits = len + (a->version == 4 ? V4_BITS_BEFORE : 0);
	uint8_t mask = (uint8_t)(0xff00 >> bits % 8);

	if (a->version != b->version || memcmp(a->addr, b->addr, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a->addr[bits / 8] ^ b->addr[bits / 8]) & mask) == 0;
}

bool
config_prefix_equal(const struct config_prefix *a, const struct config_prefix *b)
{
	return a->version != 0 && a->version == b->version && a->len == b->len &&
		memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

/* Clear what is behind the prefix, or with ones set it. */
static void
config_prefix_fill(struct config_prefix *p, bool ones)
{
	unsigned bits = p->len + (p->version == 4 ? V4_BITS_BEFORE : 0);

	for (unsigned i = bits; i < 128; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		p->addr[i / 8] = ones ? p->addr[i / 8] | bit : p->addr[i / 8] & (uint8_t)~bit;
	}
}

/* "10.0.0.0/8". Without a length it is all of the address, where whole allows that.
 * @return false: a fault was written */
static bool
config_prefix_scan(struct config_ctx *x, const char *text, bool whole, struct config_prefix *ret_p)
{
	const char *slash = strchr(text, '/'), *s;
	char address[CONFIG_ADDRESS_TEXT];
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct config_prefix p;
	unsigned len;

	(void)snprintf(address, sizeof(address), "%.*s", (int)(n < sizeof(address) ? n : 0), text);
	if (!config_address_scan(address, &p)) {
		config_fault(x, "\"%s\" does not start with an IPv4 or IPv6 address", text);
		return false;
	}
	if (slash == NULL && !whole) {
		config_fault(x, "\"%s\" lacks a prefix length, such as %s/%u", text, text,
			p.version == 4 ? 24 : 64);
		return false;
	}
	len = p.len;
	s = slash != NULL ? slash + 1 : "";
	if (slash != NULL && (!config_number_scan(&s, &len) || *s != '\0' || len > p.len)) {
		config_fault(x, "\"%s\" is not a prefix length in 0-%u", slash + 1, p.len);
		return false;
	}
	p.len = (uint8_t)len;
	*ret_p = p;
	return true;
}

static bool
config_address_is_zero(const struct config_prefix *p)
{
	struct config_prefix zero = {.version = p->version};

	if (p->version == 4)
		key_map_v4(zero.addr, 0);
	return memcmp(p->addr, zero.addr, sizeof(zero.addr)) == 0;
}

/* What an address is when it can't be that of one host; NULL where it can. */
static const char *
config_address_oddity(const struct config_prefix *p)
{
	static const uint8_t loopback[16] = {[15] = 1};
	const uint8_t *a = p->addr;

	if (p->version == 6) {
		if (a[0] == 0xff)
			return "a multicast address";
		if (memcmp(a, loopback, sizeof(loopback)) == 0)
			return "a loopback address";
		return config_address_is_zero(p) ? "the unspecified address" : NULL;
	}
	if (a[12] == 0)
		return "an address of \"this network\" (RFC 6890)";
	if (a[12] == 127)
		return "a loopback address";
	if (a[12] >= 240)
		return "a reserved address";
	return a[12] >= 224 ? "a multicast address" : NULL;
}

/* RFC 1122 section 3.2.1.3; /31 and /32 have neither network nor broadcast address (RFC 3021). */
static const char *
config_subnet_oddity(const struct config_prefix *p)
{
	struct config_prefix first = *p, last = *p;

	if (p->version == 6 || p->len > 30)
		return NULL;
	config_prefix_fill(&first, false);
	config_prefix_fill(&last, true);
	if (memcmp(p->addr, first.addr, sizeof(p->addr)) == 0)
		return "the address of the network itself";
	return memcmp(p->addr, last.addr, sizeof(p->addr)) == 0 ? "the network's broadcast address"
								: NULL;
}

/* An address of ours, with the prefix length of its link. */
static void
config_parse_own(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	const char *text = json_string_value(v), *oddity;
	struct config_prefix p;

	if (!config_prefix_scan(x, text, false, &p))
		return;
	oddity = config_address_oddity(&p);
	if (oddity == NULL && p.len == 0) {
		config_fault(x, "a prefix length of 0 makes the whole world one link");
		return;
	}
	if (oddity == NULL)
		oddity = config_subnet_oddity(&p);
	if (oddity != NULL)
		config_fault(x, "%s is %s, not a host's", text, oddity);
	else
		*(struct config_prefix *)((char *)base + k->offset) = p;
}

const struct config_type config_type_own = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^[0-9A-Fa-f.:]+/[0-9]+$",
	.parse = config_parse_own,
};

/* @return false: a fault was written */
static bool
config_network_scan(struct config_ctx *x, const char *text, bool whole, struct config_prefix *ret_p)
{
	char want[CONFIG_ADDRESS_TEXT];
	struct config_prefix p, network;

	if (!config_prefix_scan(x, text, whole, &p))
		return false;
	network = p;
	config_prefix_fill(&network, false);
	if (!config_prefix_equal(&p, &network)) {
		config_fault(x, "%s has bits set behind its prefix (did you mean %s?)", text,
			config_prefix_text(&network, want));
		return false;
	}
	*ret_p = p;
	return true;
}

static void
config_parse_prefix(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	struct config_prefix p;

	if (config_network_scan(x, json_string_value(v), false, &p))
		*(struct config_prefix *)((char *)base + k->offset) = p;
}

const struct config_type config_type_prefix = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^[0-9A-Fa-f.:]+/[0-9]+$",
	.parse = config_parse_prefix,
};

/* As lib/conv looks it up: lengths count all 128 bits. */
static void
config_parse_filter(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	struct prefix *out = (struct prefix *)((char *)base + k->offset);
	struct config_prefix p;

	if (!config_network_scan(x, json_string_value(v), true, &p))
		return;
	memcpy(out->addr, p.addr, sizeof(out->addr));
	out->len = p.len + (p.version == 4 ? V4_BITS_BEFORE : 0);
}

const struct config_type config_type_filter = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^[0-9A-Fa-f.:]+(/[0-9]+)?$",
	.parse = config_parse_filter,
};

static void
config_parse_gateway(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	const char *text = json_string_value(v), *oddity;
	struct config_prefix p;

	if (!config_address_scan(text, &p)) {
		config_fault(x, "\"%s\" is not an IPv4 or IPv6 address", text);
		return;
	}
	oddity = config_address_oddity(&p);
	if (oddity != NULL)
		config_fault(x, "%s is %s, not a host's", text, oddity);
	else
		*(struct config_prefix *)((char *)base + k->offset) = p;
}

const struct config_type config_type_gateway = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^[0-9A-Fa-f.:]+$",
	.parse = config_parse_gateway,
};

/* Fills listen, laddr and zone of a listener. */
static void
config_parse_listen(
	struct config_ctx *x, __rte_unused const struct config_key *k, json_t *v, void *base)
{
	struct config_listener *l = base;
	const char *text = json_string_value(v);
	struct config_prefix p;

	if (strcmp(text, "*") == 0) {
		l->listen = CONFIG_LISTEN_ANY;
		return;
	}
	if (!config_address_scan(text, &p)) {
		config_fault(x, "\"%s\" is neither \"*\" nor an IPv4 or IPv6 address", text);
		return;
	}
	memcpy(l->laddr, p.addr, sizeof(l->laddr));
	if (config_address_is_zero(&p))
		l->listen = p.version == 4 ? CONFIG_LISTEN_ANY4 : CONFIG_LISTEN_ANY6;
	else
		l->listen = CONFIG_LISTEN_ONE;
	l->zone = l->listen == CONFIG_LISTEN_ANY6 ? IPHT_ZONE_ANY6 : 0;
}

const struct config_type config_type_listen = {
	.takes = CONFIG_TAKES(JSON_STRING),
	.pattern = "^(\\*|[0-9A-Fa-f.:]+)$",
	.parse = config_parse_listen,
};

static void
config_parse_port_range(
	struct config_ctx *x, const struct config_key *k, const char *text, uint16_t ret[2])
{
	const char *s = text;
	unsigned lo, hi;
	bool ok = config_number_scan(&s, &lo) && *s++ == '-' && config_number_scan(&s, &hi) &&
		*s == '\0';

	if (!ok)
		config_fault(
			x, "\"%s\" is neither a number nor a range such as \"8000-8100\"", text);
	else if (lo < k->min || lo > k->max || hi < k->min || hi > k->max)
		config_fault(x, "\"%s\" is not in %d-%d", text, (int)k->min, (int)k->max);
	else if (lo > hi)
		config_fault(x, "\"%s\" runs backwards", text);
	else
		ret[0] = (uint16_t)lo, ret[1] = (uint16_t)hi;
}

/* A port, or "8000-8100"; the second field is the range's end. */
static void
config_parse_ports(struct config_ctx *x, const struct config_key *k, json_t *v, void *base)
{
	uint16_t ports[2] = {0, 0};
	int64_t port = json_integer_value(v);

	if (json_is_string(v))
		config_parse_port_range(x, k, json_string_value(v), ports);
	else if (port < k->min || port > k->max)
		config_fault(x, "%" PRId64 " is not in %d-%d", port, (int)k->min, (int)k->max);
	else
		ports[0] = ports[1] = (uint16_t)port;
	*(uint16_t *)((char *)base + k->offset) = ports[0];
	*(uint16_t *)((char *)base + k->offset2) = ports[1];
}

const struct config_type config_type_ports = {
	.takes = CONFIG_TAKES(JSON_STRING) | CONFIG_TAKES(JSON_INTEGER),
	.pattern = "^[0-9]+-[0-9]+$",
	.parse = config_parse_ports,
};
