/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Datagrams that are being joined from fragments: a node of its own kind, entered
 * like any other, so pieces may arrive on any worker.
 */
#pragma once

#include "conv.h"

/** What NODE_FRAGMENTS nodes do. */
extern const struct node_ops fragments_ops;

/** The first piece of a datagram: make its node. Consumes m. Inside nothing. */
void fragments_miss(struct worker *w, struct rte_mbuf *m);
