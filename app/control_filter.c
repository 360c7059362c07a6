/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "control_filter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int __attribute__((format(printf, 3, 4)))
control_filter_fault(char *fault, size_t len, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(fault, len, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* A decimal number in 0-most that is all of text. */
static bool
control_filter_number(const char *text, unsigned most, unsigned *ret_value)
{
	unsigned value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > most)
			return false;
	}
	*ret_value = value;
	return true;
}

static bool
control_filter_port(const char *text, struct control_match *m)
{
	unsigned port;

	if (!control_filter_number(text, UINT16_MAX, &port) || port == 0)
		return false;
	m->port = (uint16_t)port;
	return true;
}

/* "ADDR" or "ADDR/LEN"; "" and "*" are any address. Cuts text. */
static bool
control_filter_addr(char *text, struct control_match *m)
{
	char *slash = strchr(text, '/');
	bool v4 = strchr(text, ':') == NULL;
	unsigned len = v4 ? 32 : 128;

	if (slash != NULL) {
		*slash = '\0';
		if (!control_filter_number(slash + 1, len, &len))
			return false;
	} else if (*text == '\0' || strcmp(text, "*") == 0) {
		return true;
	}
	if (v4) {
		m->addr[10] = m->addr[11] = 0xff;
		m->prefix_len = (uint8_t)(96 + len);
		return inet_pton(AF_INET, text, m->addr + 12) == 1;
	}
	m->v6 = true;
	m->prefix_len = (uint8_t)len;
	return inet_pton(AF_INET6, text, m->addr) == 1;
}

/* "[ADDR]", "[ADDR/LEN]", "[ADDR]/LEN", each with ":PORT" or without. Cuts text. */
static bool
control_filter_bracketed(char *text, struct control_match *m)
{
	char *end = strchr(text, ']');
	char *rest, *port;
	unsigned len;

	if (end == NULL)
		return false;
	*end = '\0';
	rest = end + 1;
	if (strchr(text, ':') == NULL || !control_filter_addr(text + 1, m))
		return false;
	port = strchr(rest, ':');
	if (port != NULL) {
		*port = '\0';
		if (!control_filter_port(port + 1, m))
			return false;
	}
	if (*rest == '\0')
		return true;
	if (*rest != '/' || !control_filter_number(rest + 1, 128, &len))
		return false;
	m->prefix_len = (uint8_t)len;
	return true;
}

static bool
control_filter_endpoint(const char *value, struct control_match *m)
{
	size_t len = strlen(value);
	char text[96];
	char *colon;

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, value, len + 1);
	if (text[0] == '[')
		return control_filter_bracketed(text, m);
	colon = strchr(text, ':');
	if (colon == NULL || strchr(colon + 1, ':') != NULL)
		return control_filter_addr(text, m);
	*colon = '\0';
	return control_filter_port(colon + 1, m) && control_filter_addr(text, m);
}

static bool
control_filter_name(const char *value, char *buf, size_t size)
{
	size_t len = strlen(value);

	if (len == 0 || len >= size)
		return false;
	memcpy(buf, value, len + 1);
	return true;
}

static bool
control_filter_proto(const char *value, struct control_filter *f)
{
	if (strcmp(value, "tcp") == 0)
		f->proto = IPPROTO_TCP;
	else if (strcmp(value, "udp") == 0)
		f->proto = IPPROTO_UDP;
	else
		return false;
	return true;
}

/* One token; the bit of its key in *seen, so that none is given twice. */
static int
control_filter_token(
	char *token, struct control_filter *f, unsigned *seen, char *fault, size_t fault_len)
{
	static const char *const keys[] = {"proto", "state", "listener", "local", "remote"};
	static const char *const wants[] = {"tcp or udp", "the name of a state",
		"the name of a listener", "ADDR[/LEN][:PORT]", "ADDR[/LEN][:PORT]"};
	char *value = strchr(token, '=');
	unsigned i = 0;
	bool ok;

	if (value == NULL)
		return control_filter_fault(
			fault, fault_len, "filter: %.40s is not KEY=VALUE", token);
	*value++ = '\0';
	while (i < 5 && strcmp(token, keys[i]) != 0)
		i++;
	if (i == 5)
		return control_filter_fault(fault, fault_len,
			"filter: unknown key %.40s (there are proto, state, listener, local, "
			"remote)",
			token);
	if (*seen & 1U << i)
		return control_filter_fault(fault, fault_len, "filter: %s is given twice", keys[i]);
	*seen |= 1U << i;
	switch (i) {
	case 0:
		ok = control_filter_proto(value, f);
		break;
	case 1:
		ok = control_filter_name(value, f->state, sizeof(f->state));
		break;
	case 2:
		ok = control_filter_name(value, f->listener, sizeof(f->listener));
		break;
	default:
		ok = control_filter_endpoint(value, i == 3 ? &f->local : &f->remote);
		break;
	}
	if (!ok)
		return control_filter_fault(
			fault, fault_len, "filter: %s: %.60s is not %s", keys[i], value, wants[i]);
	return 0;
}

int
control_filter_parse(const char *text, struct control_filter *ret_f, char *fault, size_t fault_len)
{
	struct control_filter f = {0};
	size_t len = strlen(text);
	char copy[CONTROL_FILTER_TEXT_MAX + 1];
	char *save = NULL;
	unsigned seen = 0;

	if (len >= sizeof(copy))
		return control_filter_fault(
			fault, fault_len, "filter: longer than %d bytes", CONTROL_FILTER_TEXT_MAX);
	memcpy(copy, text, len + 1);
	for (char *token = strtok_r(copy, " \t\n", &save); token != NULL;
		token = strtok_r(NULL, " \t\n", &save)) {
		int rc = control_filter_token(token, &f, &seen, fault, fault_len);

		if (rc < 0)
			return rc;
	}
	*ret_f = f;
	return 0;
}

static bool
control_match_is(const struct control_match *m, const uint8_t addr[16], uint16_t port_be)
{
	unsigned bytes = m->prefix_len / 8, bits = m->prefix_len % 8;

	if (m->port != 0 && htons(m->port) != port_be)
		return false;
	if (m->v6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr))
		return false;
	if (memcmp(m->addr, addr, bytes) != 0)
		return false;
	return bits == 0 || (m->addr[bytes] ^ addr[bytes]) >> (8 - bits) == 0;
}

bool
control_filter_key(const struct control_filter *f, const struct key *k)
{
	return (f->proto == 0 || f->proto == k->proto) &&
		control_match_is(&f->local, k->laddr, k->lport_be) &&
		control_match_is(&f->remote, k->raddr, k->rport_be);
}

/* Names of states are compared without regard to case, and '_' is '-'. */
static int
control_filter_letter(char c)
{
	return c == '_' ? '-' : tolower((unsigned char)c);
}

static bool
control_filter_state_is(const char *want, const char *state)
{
	while (*want != '\0' && control_filter_letter(*want) == control_filter_letter(*state)) {
		want++;
		state++;
	}
	return *want == *state;
}

bool
control_filter_status(const struct control_filter *f, const struct conv_status *st)
{
	if (f->state[0] != '\0' &&
		(st->state == NULL || !control_filter_state_is(f->state, st->state)))
		return false;
	return f->listener[0] == '\0' ||
		(st->listener != NULL && strcmp(f->listener, st->listener) == 0);
}
