/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * How fast, and how fair: sim_rate [-o DIR]. One flow over paths of several rates and round-trip times, then four flows
 * through one bottleneck; tables on stdout, gated; with -o as CSV files, and what gnuplot needs to draw them.
 */
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "services.h"
#include "sim.h"
#include "util.h"

#define PORT       9
#define FLOWS_MAX  4
#define BUFFER     (6u << 20) /* of both sides: the largest path takes 2.5 MB, and its queue as much */
#define CHUNK      1448
#define SAMPLE_US  100000
#define FILL_LEAST 0.90 /* of what the path carries (issue: >= 90 %) */
#define JAIN_LEAST 0.90
#define LOSS_LEAST 0.85
#define SEED       1

/** One flow. */
struct flow {
	struct conv *c;
	uint64_t before, last; /* bytes acknowledged: when measuring began, at the last sample */
};

/** One run. */
struct way {
	enum tcp_congestion control;
	unsigned
		mark; /* the bottleneck marks when one part in so many of its queue is taken; 0: never */
	uint64_t rate_bps, rtt_us;
	uint32_t loss; /* of a million, at random */
	unsigned flows;
	uint64_t warm_us, measure_us;
};

struct rate {
	double goodput_bps, fill, jain;
	uint32_t retransmits;
	uint64_t drops;
};

/* ---- a service that has always something to send ---- */

static void
source_fill(struct worker *w, struct conv *c)
{
	while (c->proto->write_room(c) > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);

		if (m == NULL) {
			conv_kick(w, &c->cn, NODE_KICK);
			return;
		}
		memset(rte_pktmbuf_append(m, CHUNK), 0, CHUNK);
		if (c->proto->write(w, c, m) != 0)
			return;
	}
}

static const struct service source = {
	.name = "source",
	.tcp = true,
	.connected = source_fill,
	.recv = source_fill,
	.drain = source_fill,
	.kicked = source_fill,
};

/* ---- a run ---- */

static struct sim *
rate_sim(const struct way *p)
{
	uint64_t bdp = p->rate_bps / 8 * p->rtt_us / 1000000 / 1514;
	struct sim_conf conf = {
		.seed = SEED,
		.workers = {2, 2},
		.spread = STACK_SPREAD_FLOW,
		.conversations = 64,
		.mbufs = 16383,
		.tcp = {.recv_max = BUFFER,
			.send_max = BUFFER,
			.congestion = p->control,
			.ecn = p->mark != 0 ? TCP_ECN_ASK : TCP_ECN_OFF},
	};
	struct listener_conf lc = {
		.name = "discard",
		.proto = IPPROTO_TCP,
		.port_lo = PORT,
		.port_hi = PORT,
		.service = &svc_discard,
		.half_open = 64,
	};
	struct sim *s;

	for (unsigned d = 0; d < 2; d++)
		conf.link[d] = (struct sim_link){.delay_us = p->rtt_us / 2, .loss = p->loss};
	conf.link[0].rate_bps = p->rate_bps;
	/* A bottleneck with room for what the path holds, as routers are dimensioned (RFC 3439 section 2.4). */
	conf.link[0].queue = (uint32_t)RTE_MAX(bdp, UINT64_C(20));
	conf.link[0].mark = p->mark != 0 ? conf.link[0].queue / p->mark + 1 : 0;
	s = sim_create(&conf);
	if (stack_listen(sim_stack(s, 1), &lc, NULL) != 0)
		abort();
	sim_run(s, 3000000, NULL, NULL);
	return s;
}

static struct conv_status
flow_status(struct sim *s, const struct flow *f)
{
	struct conv_status st = {0};

	f->c->proto->status(stack_control(sim_stack(s, 0)), f->c, &st);
	return st;
}

static void
rate_sample(FILE *csv, struct sim *s, uint64_t start_us, struct flow *f, unsigned n)
{
	if (csv == NULL)
		return;
	fprintf(csv, "%.1f", (double)(sim_now_us(s) - start_us) / 1e6);
	for (unsigned i = 0; i < n; i++) {
		struct conv_status st = flow_status(s, &f[i]);

		fprintf(csv, ",%.3f,%u", (double)(st.bytes_out - f[i].last) * 8e6 / SAMPLE_US / 1e6,
			st.cwnd / 1448);
		f[i].last = st.bytes_out;
	}
	fputc('\n', csv);
}

static struct rate
rate_sum(const struct way *p, const struct flow *f, struct sim *s)
{
	struct rate r = {.drops = sim_counters(s)->queue_drops};
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < p->flows; i++) {
		struct conv_status st = flow_status(s, &f[i]);
		double bps = (double)(st.bytes_out - f[i].before) * 8e6 / (double)p->measure_us;

		sum += bps;
		squares += bps * bps;
		r.retransmits += st.retransmits;
	}
	r.goodput_bps = sum;
	r.fill = sum / ((double)p->rate_bps * 1448 / 1514);
	/* Jain, Chiu, Hawe 1984 */
	r.jain = sum * sum / (p->flows * squares);
	return r;
}

static struct rate
rate_run(const struct way *p, FILE *csv)
{
	struct flow f[FLOWS_MAX] = {{0}};
	struct sim *s = rate_sim(p);
	struct key k = sim_key(false, IPPROTO_TCP, PORT);
	uint64_t start_us = sim_now_us(s);
	char fault[256];
	struct rate r;

	for (unsigned i = 0; i < p->flows; i++)
		if (tcp_proto.connect(
			    stack_seat(sim_stack(s, 0), i % 2), &source, &k, NULL, &f[i].c) != 0)
			abort();
	for (uint64_t us = 0; us < p->warm_us + p->measure_us; us += SAMPLE_US) {
		if (us == p->warm_us)
			for (unsigned i = 0; i < p->flows; i++)
				f[i].before = flow_status(s, &f[i]).bytes_out;
		sim_run(s, SAMPLE_US, NULL, NULL);
		rate_sample(csv, s, start_us, f, p->flows);
	}
	r = rate_sum(p, f, s);
	for (unsigned i = 0; i < p->flows; i++)
		conv_put(stack_control(sim_stack(s, 0)), &f[i].c->cn);
	for (unsigned h = 0; h < 2; h++) {
		stack_drain(sim_stack(s, h));
		stack_hangup_all(sim_stack(s, h));
	}
	if (sim_free(s, fault, sizeof(fault)) != 0) {
		printf("%s\n", fault);
		r.fill = 0;
	}
	return r;
}

/* ---- tables ---- */

static FILE *
csv_open(const char *dir, const char *name)
{
	char file[512];
	FILE *f;

	if (dir == NULL)
		return NULL;
	snprintf(file, sizeof(file), "%s/%s.csv", dir, name);
	f = fopen(file, "w");
	if (f == NULL) {
		perror(file);
		exit(1);
	}
	return f;
}

static void
csv_close(FILE *f)
{
	if (f != NULL)
		fclose(f);
}

/** What a table is of. */
struct kind {
	const char *name;
	enum tcp_congestion control;
	unsigned mark; /* see struct way */
	uint64_t rtt_most_us; /* longer ways are not what it is made for */
};

/** Each rate by each round-trip time. @return how many were too slow */
static unsigned
rate_table(const char *dir, FILE *all, const struct kind *kind)
{
	static const uint64_t rates[] = {10000000, 30000000, 100000000};
	static const uint64_t rtts[] = {10000, 50000, 200000};
	const char *cc = kind->name;
	unsigned bad = 0;

	for (unsigned i = 0; i < RTE_DIM(rates) * RTE_DIM(rtts); i++) {
		struct way p = {.control = kind->control,
			.mark = kind->mark,
			.rate_bps = rates[i / RTE_DIM(rtts)],
			.rtt_us = rtts[i % RTE_DIM(rtts)],
			.flows = 1,
			.warm_us = 20000000,
			.measure_us = 20000000};
		unsigned mbps = (unsigned)(p.rate_bps / 1000000), ms = (unsigned)(p.rtt_us / 1000);
		char name[64];
		struct rate r;
		FILE *csv;

		if (p.rtt_us > kind->rtt_most_us)
			continue;
		snprintf(name, sizeof(name), "sim_rate_%s_%u_%u", cc, mbps, ms);
		csv = csv_open(dir, name);
		r = rate_run(&p, csv);
		csv_close(csv);
		printf("%-10s %8u %8u %10.2f %6.1f%% %12u %12lu%s\n", cc, mbps, ms,
			r.goodput_bps / 1e6, r.fill * 100, r.retransmits, r.drops,
			r.fill < FILL_LEAST ? "  TOO SLOW" : "");
		if (all != NULL)
			fprintf(all, "%s,%u,%u,%.3f,%.4f,%u,%lu\n", cc, mbps, ms,
				r.goodput_bps / 1e6, r.fill, r.retransmits, r.drops);
		bad += r.fill < FILL_LEAST;
	}
	return bad;
}

/**
 * A path that only loses, at random and in both directions: what Reno reaches there (Mathis et al. 1997: sqrt(3/2p) segments per
 * round trip), CUBIC does, too (RFC 9438 section 4.3). @return 1: it does not
 */
static unsigned
loss_table(const struct kind *kind)
{
	struct way p = {.control = kind->control,
		.rate_bps = 1000000000,
		.rtt_us = 20000,
		.loss = 10000,
		.flows = 1,
		.warm_us = 2000000,
		.measure_us = 60000000};
	double bound = 1448 * 8 / (double)p.rtt_us * 1e6 * sqrt(1.5 / (p.loss / 1e6));
	struct rate r = rate_run(&p, NULL);
	bool bad = r.goodput_bps < LOSS_LEAST * bound;

	printf("%-10s 1 %% loss, 20 ms: goodput %.2f, of sqrt(3/2p) per round trip %.1f%%, retransmits %u%s\n",
		kind->name, r.goodput_bps / 1e6, r.goodput_bps / bound * 100, r.retransmits,
		bad ? "  TOO SLOW" : "");
	return bad;
}

/** Four flows that start together. @return 1: not fair, or too slow */
static unsigned
fair_table(const char *dir, const struct kind *kind)
{
	struct way p = {.control = kind->control,
		.mark = kind->mark,
		.rate_bps = 40000000,
		.rtt_us = 40000,
		.flows = FLOWS_MAX,
		.warm_us = 20000000,
		.measure_us = 60000000};
	const char *cc = kind->name;
	char name[64];
	FILE *csv;
	struct rate r;
	bool bad;

	snprintf(name, sizeof(name), "sim_rate_fair_%s", cc);
	csv = csv_open(dir, name);
	r = rate_run(&p, csv);
	csv_close(csv);
	bad = r.jain < JAIN_LEAST || r.fill < FILL_LEAST;
	printf("%-10s 4 flows, 40 Mb/s, 40 ms: goodput %.2f, fill %.1f%%, Jain %.4f, retransmits %u%s\n",
		cc, r.goodput_bps / 1e6, r.fill * 100, r.jain, r.retransmits, bad ? "  BAD" : "");
	return bad;
}

int
main(int argc, char **argv)
{
	static const struct kind kinds[] = {
		{"cubic", TCP_CUBIC, 0, 200000}, {"newreno", TCP_NEWRENO, 0, 200000},
		{"cubic-ecn", TCP_CUBIC, 2, 200000},
		{"dctcp", TCP_DCTCP, 7, 50000}, /* RFC 8257 section 4.1 */
	};
	const char *dir = NULL;
	unsigned bad = 0;
	FILE *all;
	int opt;

	while ((opt = getopt(argc, argv, "o:")) != -1) {
		if (opt != 'o')
			return 2;
		dir = optarg;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_eal("sim_rate");
	all = csv_open(dir, "sim_rate");
	if (all != NULL)
		fprintf(all, "control,mbps,rtt_ms,goodput_mbps,fill,retransmits,queue_drops\n");
	printf("%-10s %8s %8s %10s %7s %12s %12s\n", "control", "Mb/s", "RTT ms", "goodput", "fill",
		"retransmits", "queue drops");
	for (unsigned i = 0; i < RTE_DIM(kinds); i++)
		bad += rate_table(dir, all, &kinds[i]);
	csv_close(all);
	for (unsigned i = 0; i < RTE_DIM(kinds); i++)
		bad += fair_table(dir, &kinds[i]);
	for (unsigned i = 0; i < RTE_DIM(kinds); i++)
		bad += kinds[i].mark == 0 ? loss_table(&kinds[i]) : 0;
	return bad != 0;
}
