/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A capture file of both hosts (pcapng, draft-ietf-opsawg-pcapng): two Ethernet interfaces, virtual time, directions.
 */
#pragma once

#include <stdint.h>

struct pcapng;

enum pcapng_way {
	PCAPNG_IN = 1,
	PCAPNG_OUT = 2
}; /* epb_flags, bits 0-1 */

/** @return NULL with errno set */
struct pcapng *pcapng_open(const char *file);
void pcapng_packet(struct pcapng *p, unsigned ifc, enum pcapng_way way, uint64_t at_us,
	const uint8_t *b, uint32_t len);
/** @return 0, or -1: not all could be written */
int pcapng_close(struct pcapng *p);
