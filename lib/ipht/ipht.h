/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The table: key -> node, shared by all workers. A source of references, never
 * of bare pointers that outlive a turn (I1). Readers take no lock; writers of the same
 * chain of buckets are serialised by its lock, an update long, so that
 * insert-if-absent, compare-and-remove and replace are each one step (I2). It knows
 * no conversation.
 *
 * Any thread may write. Threads that read or write must be readers of the QSBR domain
 * that delays ipht_free_slot.
 */
#pragma once

#include <stdint.h>

#include "key.h"
#include "node.h"

#define IPHT_ZONE_ANY6 6 /* zone of a listener on every IPv6 address */
#define IPHT_BURST_MAX 64 /* most keys of one ipht_look_burst */

struct ipht;

struct ipht_conf {
	uint32_t limit; /* nodes that there is surely room for */
	uint32_t listeners; /* most listening (address, port, protocol) triples */
	int socket_id; /* NUMA node, or SOCKET_ID_ANY */
	struct key_secret secret; /* drawn by the caller */
};

/**
 * Create a table.
 * @return the table, or NULL with *ret_err = -ENOMEM or -EINVAL
 */
struct ipht *ipht_create(const struct ipht_conf *conf, int *ret_err);

/** Bytes that buckets take for so many nodes: 36 for each. */
uint64_t ipht_memory(uint32_t limit);

/** Free a table. No reader or writer may be left. NULL is fine. */
void ipht_free(struct ipht *t);

/** The table's hash of a key. Any thread. */
uint32_t ipht_hash(const struct ipht *t, const struct key *k);

/**
 * Look one key up and take a reference.
 *
 * @return a node on which the caller owns a reference (put it!), or NULL. The
 *         node may already be DEAD: look at its word.
 */
struct node *ipht_look(struct ipht *t, const struct key48 *k, uint32_t hash);

/**
 * Look up to IPHT_BURST_MAX keys up, buckets and nodes prefetched.
 *
 * Gives candidates, not references: valid until the caller's next quiescent
 * state and good for nothing but conv_enter.
 *
 * @param ret_nodes n entries, NULL where there is no match
 * @return number of entries that are not NULL
 */
unsigned ipht_look_burst(struct ipht *t, const struct key48 *const keys[], const uint32_t hashes[],
	unsigned n, struct node *ret_nodes[]);

/** Fetch what ipht_add of a key with this hash will write to. Any thread. */
void ipht_prefetch(const struct ipht *t, uint32_t hash);

/**
 * Insert-if-absent: of N racers on one key one wins.
 *
 * n->key and n->hash are set; the node is fully built (I6) and carries the
 * table's reference already. Publishes with release.
 *
 * @param ret_winner on -EEXIST: the node that is there, referenced for the caller
 *        (never one whose refs are 0), else untouched; may be NULL if not wanted
 * @return 0, -EEXIST, -ENOSPC (more than the table's limit, and no bucket is left)
 */
int ipht_add(struct ipht *t, struct node *n, struct node **ret_winner);

/**
 * Compare-and-remove: takes n out if, and only if, the key leads to n.
 *
 * The caller then drops the table's reference.
 *
 * @return what is to be given to ipht_free_slot after a grace period (>= 0; 0: nothing need be);
 *         -ENOENT if the key leads elsewhere
 */
int ipht_rem(struct ipht *t, struct node *n);

/**
 * Replace old by new under the same key in one step: no reader ever finds the
 * key unknown. new carries the table's reference already; the caller drops
 * the one on old.
 *
 * @return 0, -ENOENT if the key does not lead to old
 */
int ipht_replace(struct ipht *t, struct node *old, struct node *new);

/** Give back what an ipht_rem has left to be, after the grace period that followed it. Any thread. */
void ipht_free_slot(struct ipht *t, int position);

/** Nodes in the table (listeners not among them), counted one by one: for checks, while no writer runs. */
uint32_t ipht_count(const struct ipht *t);

/**
 * Add a listening node: raddr and rport 0, kind KEY_LISTENER; key.laddr is an
 * address (zone 0), ::ffff:0.0.0.0 for every IPv4 address (zone 0), all zero and
 * zone IPHT_ZONE_ANY6 for every IPv6 address, all zero and zone 0 for both.
 * Control thread only. Sets n->hash.
 * @return 0, -EADDRINUSE, -ENOSPC
 */
int ipht_listen(struct ipht *t, struct node *n);

/**
 * Remove a listening node. Control thread only. n may be freed after a grace period,
 * when ipht_free_listen_slot gives back what this returns.
 * @return >= 0, or -ENOENT
 */
int ipht_unlisten(struct ipht *t, struct node *n);
void ipht_free_listen_slot(struct ipht *t, int position);

/**
 * The listener for a tuple that no conversation has. Plan 9's order of match:
 * laddr!lport, then every address of that IP version!lport, then *!lport.
 * Any reader; the result is valid until its next quiescent state.
 */
struct node *ipht_match(struct ipht *t, const struct key *k);
