/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "control_text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool
control_addr_is_v4(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

void
control_addr_text(const uint8_t addr[16], char buf[CONTROL_ADDR_LEN])
{
	if (control_addr_is_v4(addr))
		inet_ntop(AF_INET, addr + 12, buf, CONTROL_ADDR_LEN);
	else
		inet_ntop(AF_INET6, addr, buf, CONTROL_ADDR_LEN);
}

void
control_endpoint_text(
	const uint8_t addr[16], const char *zone, uint16_t port, char buf[CONTROL_ENDPOINT_LEN])
{
	char text[CONTROL_ADDR_LEN];

	control_addr_text(addr, text);
	if (control_addr_is_v4(addr))
		(void)snprintf(buf, CONTROL_ENDPOINT_LEN, "%s:%u", text, port);
	else
		(void)snprintf(buf, CONTROL_ENDPOINT_LEN, "[%s%s%.31s]:%u", text,
			zone != NULL ? "%" : "", zone != NULL ? zone : "", port);
}

void
control_id_text(struct conv_handle h, char buf[CONTROL_ID_LEN])
{
	(void)snprintf(buf, CONTROL_ID_LEN, "%" PRIu32 ".%" PRIu32, h.slot, h.gen);
}

/* A decimal number in 32 bits without sign or blanks; ret_end is where it ends. */
static bool
control_u32_parse(const char *text, uint32_t *ret_value, const char **ret_end)
{
	uint64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*ret_value = (uint32_t)value;
	*ret_end = p;
	return p != text;
}

bool
control_id_parse(const char *text, struct conv_handle *ret_h)
{
	struct conv_handle h;
	const char *p;

	if (!control_u32_parse(text, &h.slot, &p) || *p != '.')
		return false;
	if (!control_u32_parse(p + 1, &h.gen, &p) || *p != '\0')
		return false;
	*ret_h = h;
	return true;
}
