/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * svc_pair under real threads and liburcu: pair_threads [ROUNDS]. The two conversations of a pair live on whatever workers
 * their packets meet, and write to each other, while the seats of either stack are dealt anew every 10 ms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosts.h"
#include "pair_client.h"
#include "svc_pair.h"
#include "util.h"

#define PORT     7000
#define PATIENCE 60 /* seconds for one round on a machine that is busy with other things */

static struct pair_client client[PAIR_CLIENTS];
static struct svc_pair_hall hall;
static _Atomic unsigned opened,
	to_open; /* clients, by worker 0 of host 0: calls are made on a worker's own thread */

/** Open what is to be opened; what was opened before is let go. */
static void
pair_turn(unsigned host, struct worker *w)
{
	struct key key = {.rport_be = htons(PORT), .proto = IPPROTO_TCP};
	struct pair_client *k;

	if (host != 0 || w->id != 0 || opened >= to_open)
		return;
	k = &client[opened];
	if (opened % 2 == 1)
		(void)inet_pton(AF_INET6, "fd09::2", key.raddr);
	else
		key_map_v4(key.raddr, inet_addr("10.9.0.2"));
	pair_client_open(k, w, &key, opened + 1, k->total);
	conv_put(w, &k->c->cn); /* nobody but its own callbacks will look at it */
	opened++;
}

/** First it listens; from then on workers come and go, by their seats. */
static void
pair_tick(unsigned host, struct stack *s)
{
	static unsigned ticks[2];
	static struct worker random[2];
	static const struct listener_conf lc = {
		.name = "pair",
		.proto = IPPROTO_TCP,
		.port_lo = PORT,
		.port_hi = PORT,
		.service = &svc_pair,
		.options = &hall,
		.half_open = 64,
	};

	if (ticks[host]++ == 0) {
		worker_seed(&random[host], 7 + host);
		if (host == 1 && stack_listen(s, &lc, NULL) != 0)
			abort();
	} else if (stack_worker_up(s, stack_seats(s) - 1)) {
		stack_workers_set(s, 1 + (unsigned)(worker_random(&random[host]) % stack_seats(s)));
	}
}

/** A round: all call, all talk, all end; every third time some leave early. */
static bool
round_run(unsigned number, struct worker *random)
{
	char name[32];
	unsigned i;

	(void)snprintf(name, sizeof(name), "round %u", number);
	memset(client, 0, sizeof(client));
	for (i = 0; i < PAIR_CLIENTS; i++) {
		client[i].total = PAIR_HEAD + 200000;
		if (number % 3 == 2 && worker_random(random) % 3 == 0)
			client[i].hangup_at = 1 + worker_random(random) % client[i].total;
	}
	atomic_store(&opened, 0);
	atomic_store(&to_open, PAIR_CLIENTS);
	for (i = 0; i < PATIENCE * 100; i++) {
		hosts_wait_ms(10);
		if (opened == PAIR_CLIENTS && pair_clients_over(client))
			break;
	}
	if (i == PATIENCE * 100)
		printf("%s: not over\n", name);
	atomic_store(&to_open, 0);
	return pair_clients_ok(client, name);
}

int
main(int argc, char **argv)
{
	static const struct hosts_conf conf = {
		.name = "pair",
		.workers = {2, 3},
		.conversations = 64,
		.time_wait = 1024,
		.tcp = {.time_wait_ms = 100, .last_ack_ms = 100},
		.turn = pair_turn,
		.tick = pair_tick,
	};
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 6;
	struct stack_worker_counters c;
	struct worker random;
	uint64_t given = 0;
	bool ok = true;

	test_eal("pair_threads");
	worker_seed(&random, 1);
	hosts_start(&conf);
	for (unsigned i = 0; i < rounds; i++)
		ok = round_run(i, &random) && ok;
	for (unsigned w = 0; w < conf.workers[1]; w++) {
		stack_worker_counters(hosts_stack(1), w, &c);
		given += c.seats_given;
	}
	ok = hosts_stop(PATIENCE) && ok;
	printf("%u rounds, %s; pairs %lu, packets put in from another worker %lu, inlets full %lu, seats "
	       "given away %lu\n",
		rounds, ok ? "ok" : "FAILED", hall.pairs, hall.crossings, hall.blocked, given);
	/* Else it was no test of what it is about. */
	return !ok || hall.crossings == 0 || given < 20;
}
