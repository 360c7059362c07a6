/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Streams counted in full segments: number n begins with byte 1 + n * MSS.
 */
#pragma once

#include "wire.h"

#define MSS 1448

uint32_t seq_of(unsigned segment);
/** Handshake with a peer that has no timestamps: nothing but sequence numbers to go by, and SACK if wanted. */
void accept_plain(struct wire_conn *k, bool sack);
/** All before segment n have come. */
void ack_segments(struct wire_conn *k, unsigned n);
/** A duplicate of that, with a SACK block of [from, to). */
void sack_segments(struct wire_conn *k, unsigned n, unsigned from, unsigned to);
/** The next that were sent are these. */
void expect_segments(struct wire_conn *k, unsigned from, unsigned to);
