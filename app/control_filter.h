/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Which conversations a listing shows: tokens such as "proto=tcp remote=10.0.0.0/8", all of
 * which must hold. Parsed once per page; matching costs a few compares. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"

#define CONTROL_FILTER_TEXT_MAX 512 /* bytes of the whole filter */

/** An address prefix and a port. */
struct control_match {
	uint8_t addr[16];
	uint8_t prefix_len; /* of the 128 bits, IPv4 counting 96 more; 0: any address */
	bool v6; /* IPv6 addresses only, so that ::/0 is not IPv4 too */
	uint16_t port; /* host order; 0: any */
};

/** All zero matches everything. */
struct control_filter {
	uint8_t proto; /* IPPROTO_*, 0: any */
	char state[24];
	char listener[32];
	struct control_match local, remote;
};

/**
 * Parse "proto=tcp|udp state=NAME listener=NAME local=ADDR[/LEN][:PORT] remote=..."; ADDR is
 * 10.0.0.1, [fd77::2], fd77::2 (then without a port), or * for any.
 * @param fault on failure, one line that names the token
 * @return 0, -EINVAL
 */
int
control_filter_parse(const char *text, struct control_filter *ret_f, char *fault, size_t fault_len);

/** The part that needs only the key: cheap, ask this first. */
bool control_filter_key(const struct control_filter *f, const struct key *k);
/** The rest. */
bool control_filter_status(const struct control_filter *f, const struct conv_status *st);
