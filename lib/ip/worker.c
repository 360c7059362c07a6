/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A worker's random source and its output burst. Each worker's own thread only.
 */
#include "worker.h"

#include "ip_priv.h"

static inline uint64_t
worker_rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

/* SplitMix64 (Steele, Lea, Flood 2014): fills the state from any seed, 0 too. */
static uint64_t
worker_splitmix(uint64_t *x)
{
	uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void
worker_seed(struct worker *w, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++)
		w->rng[i] = worker_splitmix(&seed);
	w->rng_rest = 0;
}

uint64_t
worker_random(struct worker *w)
{
	uint64_t *s = w->rng;
	uint64_t r = worker_rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = worker_rotl(s[3], 45);
	return r;
}

void
worker_flush_ifc(struct worker *w, unsigned ifc)
{
	struct worker_tx *t = &w->tx[ifc];
	uint16_t n = t->n;
	uint16_t sent = n == 0 ? 0 : w->tx_burst(w->tx_arg, ifc, t->m, n);

	ip_ifc_sent(w, ifc, n, t->bytes);
	if (sent < n)
		rte_pktmbuf_free_bulk(&t->m[sent], n - sent);
	w->c.sent += sent;
	w->c.tx_drops += n - sent;
	t->n = 0;
	t->bytes = 0;
	w->tx_pending &= ~(UINT32_C(1) << ifc);
}

void
worker_flush(struct worker *w)
{
	while (w->tx_pending != 0)
		worker_flush_ifc(w, (unsigned)__builtin_ctz(w->tx_pending));
}
