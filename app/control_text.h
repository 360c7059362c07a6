/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Addresses and conversation numbers as people write them. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conv.h"

#define CONTROL_ADDR_LEN     46 /* an address, terminated (INET6_ADDRSTRLEN) */
#define CONTROL_ENDPOINT_LEN (CONTROL_ADDR_LEN + 44) /* with brackets, zone and ports */
#define CONTROL_ID_LEN       24

/** "10.0.0.1" for an IPv4-mapped address, "fd77::2" for others. */
void control_addr_text(const uint8_t addr[16], char buf[CONTROL_ADDR_LEN]);

/** "10.0.0.1:80", "[fd77::2]:80", "[fe80::1%lan]:80". port: host order; zone: a name, or NULL. */
void control_endpoint_text(
	const uint8_t addr[16], const char *zone, uint16_t port, char buf[CONTROL_ENDPOINT_LEN]);

/** "17.3": slot and generation. */
void control_id_text(struct conv_handle h, char buf[CONTROL_ID_LEN]);
/** @return false if text is no such number */
bool control_id_parse(const char *text, struct conv_handle *ret_h);
