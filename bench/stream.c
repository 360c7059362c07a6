/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 *   bench_stream WAY [SEGMENTS [RUNS]] [EAL options]
 *
 * What one worker takes for a stream over net_ring. It sends (chargen), to a peer that acknowledges everything in each turn: WAY 0
 * segment by segment, 1 in packets that the port would cut (TSO), 2 in such that rte_gso cuts. Or it receives (discard), in bursts of 32:
 * 3 segment by segment, 4 what rte_gro makes of them. Prints one line of JSON: TSC cycles of the worker's turns, the freeing of what the
 * port is done with included, per 1,448 bytes.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "program.h"
#include "tcp_ring.h"

#define SEGMENT 1448

static const struct way {
	enum ring_way ring;
	bool receives;
} ways[] = {{RING_PLAIN, false}, {RING_TSO, false}, {RING_GSO, false}, {RING_PLAIN, true},
	{RING_GRO, true}};

struct stream {
	struct ring r;
	struct tcp_peers p;
	unsigned burst; /* segments that the peer sends in a turn */
	uint16_t len; /* bytes of each */
	uint64_t packets, bytes, cycles; /* of what was sent or received */
};

/** The peer sends n segments; what comes back is taken in. */
static void
stream_turn(struct stream *s, uint8_t flags, unsigned segments, uint16_t len)
{
	struct rte_mbuf *m[RING_SIZE];
	uint64_t start;
	unsigned n;

	ring_alloc(&s->r, m, segments);
	for (unsigned i = 0; i < segments; i++)
		tcp_segment(&s->p, m[i], 0, 7, flags, len);
	s->cycles += ring_turn(&s->r, m, segments);
	n = ring_sent(&s->r, m, RTE_DIM(m));
	for (unsigned i = 0; i < n; i++) {
		int got = tcp_answer(&s->p, m[i]);

		must(got >= 0, "taking in what came");
		s->bytes += (uint64_t)got;
	}
	s->bytes += (uint64_t)segments * len;
	s->packets += n;
	start = rte_rdtsc_precise();
	rte_pktmbuf_free_bulk(m, n);
	s->cycles += rte_rdtsc_precise() - start;
}

static void
stream_run(struct stream *s, uint64_t bytes)
{
	for (s->bytes = s->cycles = s->packets = 0; s->bytes < bytes;)
		stream_turn(s, TCP_ACK, s->burst, s->len);
}

int
main(int argc, char **argv)
{
	uint64_t args[] = {0, 1 << 18, 9};
	struct stream s = {.packets = 0};
	struct runs runs = {.n = 0};
	const struct way *way;

	program_start(argc, argv, 1, args, RTE_DIM(args));
	must(args[0] < RTE_DIM(ways) && args[1] > 0 && args[2] > 0 && args[2] <= RUNS_MAX,
		"looking at the arguments");
	way = &ways[args[0]];
	s.burst = way->receives ? RING_BURST : 1;
	s.len = way->receives ? SEGMENT : 0;
	ring_open(&s.r, 64, true, way->ring);
	tcp_ring_init(&s.p, &s.r, 1);
	ring_listen(s.r.s, way->receives ? "discard" : "chargen", IPPROTO_TCP);
	s.p.peers[0].snd = 1;
	stream_turn(&s, TCP_SYN, 1, 0);
	stream_turn(&s, TCP_ACK, 1, 0);
	for (unsigned i = 0; i < args[2]; i++) {
		stream_run(&s, args[1] * SEGMENT / 10); /* the window grows */
		stream_run(&s, args[1] * SEGMENT);
		runs_add(&runs, (double)s.cycles * SEGMENT / (double)s.bytes);
	}
	printf("{\"way\": %lu, ", args[0]);
	runs_print("cycles", &runs, ", ");
	printf("\"bytes_per_packet\": %.0f, \"tsc_hz\": %lu}\n",
		(double)s.bytes / (double)s.packets, rte_get_tsc_hz());
	ring_close(&s.r);
	free(s.p.peers);
	rte_eal_cleanup();
	return 0;
}
