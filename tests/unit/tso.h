/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What a NIC does that cuts packets into TCP segments (TSO), in software, for the ports of tests.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

/**
 * Hand the frames that a packet is, or is to be cut into, to piece, in order, checksums and all.
 * @param mtu of IP packets, which no piece may exceed
 * @return NULL, or what is wrong with the packet, or with what is asked for
 */
const char *tso_cut(const struct rte_mbuf *m, uint32_t mtu,
	void (*piece)(void *arg, const uint8_t *frame, uint32_t len), void *arg);
