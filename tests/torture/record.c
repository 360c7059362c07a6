/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include <stdio.h>
#include <string.h>

#include <rte_mbuf.h>

#include "torture.h"

uint64_t
record_tuple(const struct key *k, bool client)
{
	uint64_t near = client ? k->lport_be : k->rport_be,
		 far = client ? k->rport_be : k->lport_be;

	return near | far << 16 | (uint64_t)k->proto << 32 | (uint64_t)key_is_v4(k) << 40 |
		UINT64_C(0x5a) << 56;
}

void
record_fill(struct record *r, uint64_t tuple, uint64_t incarnation, uint64_t index)
{
	r->tuple = tuple;
	r->incarnation = incarnation;
	r->index = (uint32_t)index;
	r->check = (uint32_t)((tuple ^ incarnation * 0x9e3779b97f4a7c15u ^ index) % 0xfffffffbu);
}

/** The first record tells which incarnation it is; from then on that is what must come. */
static bool
record_learns(const struct record_reader *r, uint32_t at)
{
	return r->incarnation == 0 || at < sizeof(struct record);
}

static uint32_t
record_bytes(struct record_reader *r, uint64_t tuple, const uint8_t *b, uint32_t n)
{
	const uint32_t from = offsetof(struct record, incarnation), to = from + 8;
	uint32_t wrong = 0;
	struct record want;

	for (uint32_t i = 0; i < n; i++, r->at++) {
		uint32_t off = r->at % sizeof(struct record);

		if (record_learns(r, r->at) && r->at >= from && r->at < to) {
			r->incarnation |= (uint64_t)b[i] << 8 * (r->at - from);
			continue;
		}
		if (i == 0 || off == 0 || r->at == to)
			record_fill(&want, tuple, r->incarnation, r->at / sizeof(struct record));
		wrong += b[i] != ((const uint8_t *)&want)[off];
	}
	return wrong;
}

/** The first that is wrong in a conversation is shown: what was to come there, and what came. */
static void
record_show(const struct record_reader *r, uint32_t at, uint64_t tuple, const struct rte_mbuf *m)
{
	struct record want, got = {0};
	uint32_t into = (uint32_t)(sizeof(got) - at % sizeof(got)) % sizeof(got);

	record_fill(&want, tuple, r->incarnation, at / sizeof(want));
	if (into + sizeof(got) <= m->data_len)
		memcpy(&got, rte_pktmbuf_mtod_offset(m, const void *, into), sizeof(got));
	printf("at byte %u of %016lx, incarnation %lu: %u bytes came; the first whole record says %016lx, incarnation %lu, index %u\n",
		at, tuple, r->incarnation, m->pkt_len, got.tuple, got.incarnation, got.index);
}

uint32_t
record_check(struct record_reader *r, uint64_t tuple, const struct rte_mbuf *m)
{
	uint32_t wrong = 0, at = r->at;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next)
		wrong += record_bytes(r, tuple, rte_pktmbuf_mtod(s, const uint8_t *), s->data_len);
	if (wrong > 0 && r->wrong == 0)
		record_show(r, at, tuple, m);
	r->wrong += wrong;
	return wrong;
}
