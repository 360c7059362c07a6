/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "pair_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp.h"

#define CHUNK_MAX 1700

static uint8_t
pair_stream_byte(uint64_t number, uint64_t at)
{
	if (at < PAIR_HEAD)
		return (uint8_t)(number >> 8 * at);
	return (uint8_t)((at + number * 1000003) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static struct pair_client *
pair_client_of(struct conv *c)
{
	struct pair_client *k;

	memcpy(&k, c->svc, sizeof(k));
	return k;
}

static void
pair_client_send(struct worker *w, struct conv *c)
{
	struct pair_client *k = pair_client_of(c);

	while (k->sent < k->total && c->proto->write_room(c) > 0) {
		uint64_t len = RTE_MIN(1 + worker_random(w) % CHUNK_MAX, k->total - k->sent);
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
		uint8_t *to;

		if (m == NULL) {
			conv_kick(w, &c->cn, NODE_KICK);
			return;
		}
		to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
		for (uint64_t i = 0; i < len; i++)
			to[i] = pair_stream_byte(k->number, k->sent + i);
		if (c->proto->write(w, c, m) != 0)
			return;
		k->sent += len;
	}
	if (k->sent < k->total)
		return;
	if (k->eof)
		c->proto->close(w, c);
	else
		c->proto->shutdown(w, c);
}

static void
pair_client_check(struct pair_client *k, uint8_t b)
{
	if (k->received < PAIR_HEAD) {
		k->partner |= (uint64_t)b << 8 * k->received;
		k->received++;
		return;
	}
	k->wrong += b != pair_stream_byte(k->partner, k->received);
	k->received++;
}

static void
pair_client_recv(struct worker *w, struct conv *c)
{
	struct pair_client *k = pair_client_of(c);
	struct rte_mbuf *m;

	while ((m = c->proto->read(w, c)) != NULL) {
		for (struct rte_mbuf *seg = m; seg != NULL; seg = seg->next)
			for (uint32_t i = 0; i < seg->data_len; i++)
				pair_client_check(k, rte_pktmbuf_mtod(seg, const uint8_t *)[i]);
		rte_pktmbuf_free(m);
	}
	if (k->hangup_at != 0 && k->received >= k->hangup_at)
		c->proto->hangup(w, c, CONV_END_HANGUP);
}

static void
pair_client_shutdown(struct worker *w, struct conv *c)
{
	struct pair_client *k = pair_client_of(c);

	pair_client_recv(w, c);
	k->eof = true;
	/* Else the partner may have less to say than we; if it has left, a reset will tell. */
	if (k->sent == k->total)
		c->proto->close(w, c);
}

static void
pair_client_over(struct worker *w, struct conv *c, enum conv_end why)
{
	struct pair_client *k = pair_client_of(c);

	(void)w;
	k->end = why;
	/* Release: another thread may wait for it, and look at the rest. */
	atomic_store_explicit(&k->over, true, memory_order_release);
}

static const struct service pair_client_service = {
	.name = "client",
	.tcp = true,
	.state_size = sizeof(struct pair_client *),
	.connected = pair_client_send,
	.failed = pair_client_over,
	.recv = pair_client_recv,
	.drain = pair_client_send,
	.kicked = pair_client_send,
	.shutdown = pair_client_shutdown,
	.hangup = pair_client_over,
};

void
pair_client_open(struct pair_client *k, struct worker *w, const struct key *key, uint64_t number,
	uint64_t total)
{
	*k = (struct pair_client){.number = number, .total = total, .hangup_at = k->hangup_at};
	if (tcp_proto.connect(w, &pair_client_service, key, &k, &k->c) != 0)
		abort();
}

bool
pair_clients_over(const struct pair_client k[PAIR_CLIENTS])
{
	for (unsigned i = 0; i < PAIR_CLIENTS; i++)
		if (!atomic_load_explicit(&k[i].over, memory_order_acquire))
			return false;
	return true;
}

static bool
pair_clients_leave(const struct pair_client k[PAIR_CLIENTS])
{
	for (unsigned i = 0; i < PAIR_CLIENTS; i++)
		if (k[i].hangup_at != 0)
			return true;
	return false;
}

static bool
pair_client_ok(const struct pair_client all[PAIR_CLIENTS], const struct pair_client *k)
{
	const struct pair_client *p;

	if (k->wrong != 0 || k->partner > PAIR_CLIENTS || k->partner == k->number)
		return false;
	p = k->partner == 0 ? NULL : &all[k->partner - 1];
	if (k->hangup_at != 0 || (p != NULL && p->hangup_at != 0))
		return k->over;
	/* Its partner left before it said who it was. */
	if (p == NULL && k->received < PAIR_HEAD && pair_clients_leave(all))
		return k->over;
	return p != NULL && p->partner == k->number && k->received == k->total && k->eof &&
		k->end == CONV_END_CLOSED;
}

bool
pair_clients_ok(const struct pair_client all[PAIR_CLIENTS], const char *run)
{
	bool ok = true;

	for (unsigned i = 0; i < PAIR_CLIENTS; i++) {
		const struct pair_client *k = &all[i];

		if (pair_client_ok(all, k))
			continue;
		printf("%s client %lu: partner %lu sent %lu received %lu of %lu wrong %lu eof %d over %d end %s\n",
			run, k->number, k->partner, k->sent, k->received, k->total, k->wrong,
			k->eof, k->over, k->over ? conv_end_name(k->end) : "-");
		ok = false;
	}
	return ok;
}
