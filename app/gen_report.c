/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What convgen says: a line while it runs, and the result, for people and as JSON.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "gen.h"

void
gen_sum(const struct gen *g, struct gen_counts *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < g->nworkers; i++) {
		const struct gen_counts *c = &g->workers[i].c;
#define X(name) ret->name += c->name;
		GEN_COUNTS(X)
#undef X
	}
}

static double
per_second(uint64_t now, uint64_t was, double seconds)
{
	return seconds > 0 ? (double)(now - was) / seconds : 0;
}

void
gen_progress(struct gen *g, double seconds, struct gen_counts *was, double *was_at)
{
	struct stack_stats st;
	struct gen_counts c;
	double dt = seconds - *was_at;

	gen_sum(g, &c);
	stack_stats(g->d->stack, &st);
	(void)fprintf(stderr,
		"%6.1f s: %.0f connects/s, %.0f requests/s, in %.3f out %.3f Gb/s, %u open, %lu errors\n",
		seconds, per_second(c.connects, was->connects, dt),
		per_second(c.requests, was->requests, dt),
		per_second(c.bytes_in, was->bytes_in, dt) * 8 / 1e9,
		per_second(c.bytes_out, was->bytes_out, dt) * 8 / 1e9, st.live[NODE_CONV],
		c.refused + c.reset + c.timeout + c.other + c.mismatch + c.lost + c.status);
	*was = c;
	*was_at = seconds;
}

json_t *
gen_report_latency(const struct gen_hist *h)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "p50",
		(double)gen_hist_quantile(h, 500000) / 1e3, "p90",
		(double)gen_hist_quantile(h, 900000) / 1e3, "p99",
		(double)gen_hist_quantile(h, 990000) / 1e3, "p99_9",
		(double)gen_hist_quantile(h, 999000) / 1e3, "max", (double)h->max_ns / 1e3, "mean",
		h->count == 0 ? 0.0 : (double)h->sum_ns / (double)h->count / 1e3, "count",
		(json_int_t)h->count);
}

static json_t *
report_stack(const struct gen *g)
{
	json_t *drops = json_object();
	struct stack_stats st;

	stack_stats(g->d->stack, &st);
	for (unsigned r = 0; r < DROP_MAX; r++)
		if (st.sum.drops[r] > 0)
			(void)json_object_set_new(drops, drop_name((enum drop_reason)r),
				json_integer((json_int_t)st.sum.drops[r]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "received", (json_int_t)st.sum.received,
		"delivered", (json_int_t)st.sum.delivered, "consumed", (json_int_t)st.sum.consumed,
		"sent", (json_int_t)st.sum.sent, "tx_drops", (json_int_t)st.sum.tx_drops, "drops",
		drops);
}

static json_t *
report_json(const struct gen *g, const struct gen_counts *c, const struct gen_hist *h, double s)
{
	return json_pack("{s:s, s:s, s:f, s:i, s:i, s:I, s:f, s:I, s:f, s:I, s:I, s:f,"
			 " s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:o}",
		"mode", g->conf.mode->name, "target", g->conf.target, "seconds", s, "workers",
		(int)g->nworkers, "connections", (int)g->conf.connections, "connects",
		(json_int_t)c->connects, "connects_per_second", per_second(c->connects, 0, s),
		"requests", (json_int_t)c->requests, "requests_per_second",
		per_second(c->requests, 0, s), "bytes_in", (json_int_t)c->bytes_in, "bytes_out",
		(json_int_t)c->bytes_out, "gbits_per_second",
		per_second(RTE_MAX(c->bytes_in, c->bytes_out), 0, s) * 8 / 1e9, "errors", "refused",
		(json_int_t)c->refused, "reset", (json_int_t)c->reset, "timeout",
		(json_int_t)c->timeout, "no_port", (json_int_t)c->no_port, "other",
		(json_int_t)c->other, "mismatch", (json_int_t)c->mismatch, "lost",
		(json_int_t)c->lost, "status", (json_int_t)c->status, "no_buffer",
		(json_int_t)c->no_buffer, "latency_us", gen_report_latency(h), "stack",
		report_stack(g));
}

int
gen_report_write(const char *to, const json_t *o)
{
	FILE *f = strcmp(to, "-") == 0 ? stdout : fopen(to, "w");

	if (f == NULL ||
		json_dumpf(o, f, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9)) !=
			0 ||
		fputc('\n', f) == EOF) {
		(void)fprintf(stderr, "convgen: --json %s: can't be written\n", to);
		return 1;
	}
	if (f != stdout)
		(void)fclose(f);
	return 0;
}

static void
report_people(const struct gen *g, const struct gen_counts *c, const struct gen_hist *h, double s)
{
	(void)printf("%s %s, %.1f s, %u worker%s, %u connections\n", g->conf.mode->name,
		g->conf.target, s, g->nworkers, g->nworkers == 1 ? "" : "s", g->conf.connections);
	(void)printf("  connects  %12lu  %.0f/s\n", c->connects, per_second(c->connects, 0, s));
	if (c->requests > 0)
		(void)printf(
			"  requests  %12lu  %.0f/s\n", c->requests, per_second(c->requests, 0, s));
	(void)printf("  bytes in  %12lu  %.3f Gb/s\n  bytes out %12lu  %.3f Gb/s\n", c->bytes_in,
		per_second(c->bytes_in, 0, s) * 8 / 1e9, c->bytes_out,
		per_second(c->bytes_out, 0, s) * 8 / 1e9);
	if (h->count > 0)
		(void)printf("  latency   p50 %.1f us, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
			(double)gen_hist_quantile(h, 500000) / 1e3,
			(double)gen_hist_quantile(h, 900000) / 1e3,
			(double)gen_hist_quantile(h, 990000) / 1e3,
			(double)gen_hist_quantile(h, 999000) / 1e3, (double)h->max_ns / 1e3);
	(void)printf(
		"  errors    refused %lu, reset %lu, timeout %lu, no port %lu, other %lu, mismatch %lu, lost %lu, status %lu\n",
		c->refused, c->reset, c->timeout, c->no_port, c->other, c->mismatch, c->lost,
		c->status);
}

int
gen_report(struct gen *g, const struct gen_counts *from, double seconds)
{
	static struct gen_hist h;
	struct gen_counts c;
	json_t *o;
	int status = 0;

	gen_sum(g, &c);
#define X(name) c.name -= from->name;
	GEN_COUNTS(X)
#undef X
	for (unsigned i = 0; i < g->nworkers; i++)
		gen_hist_merge(&h, &g->workers[i].hist);
	if (g->conf.json == NULL || strcmp(g->conf.json, "-") != 0)
		report_people(g, &c, &h, seconds);
	if (g->conf.json != NULL) {
		o = report_json(g, &c, &h, seconds);
		status = o == NULL ? 1 : gen_report_write(g->conf.json, o);
		json_decref(o);
	}
	if (c.mismatch > 0 ||
		(c.requests == 0 && c.connects == 0 && c.bytes_in + c.bytes_out == 0)) {
		(void)fprintf(stderr, "convgen: %s\n",
			c.mismatch > 0 ? "what came back was not what was sent"
				       : "nothing was achieved");
		status = 1;
	}
	return status;
}
