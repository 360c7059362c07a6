/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * What the stateless mode says: a line while it runs, and the result, for people and as JSON.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "gen.h"
#include "gen_hold.h"

static double
phase_seconds(const struct gen_hold *h, enum gen_hold_phase p)
{
	return (double)(h->began_us[p + 1] - h->began_us[p]) / 1e6;
}

static double
per_second(uint64_t n, double seconds)
{
	return seconds > 0 ? (double)n / seconds : 0;
}

void
gen_hold_progress(const struct gen_hold *h, struct gen_hold *was)
{
	double dt = (double)(h->now_us - was->now_us) / 1e6;

	(void)fprintf(stderr,
		"%6.1f s: %s: %lu open, %.0f/s, %lu refused, %lu ended; churn %.0f opens/s, %.0f closes/s; asked %lu, correct %lu\n",
		(double)(h->now_us - h->began_us[GEN_HOLD_OPEN]) / 1e6,
		gen_hold_phase_name(h->phase), h->c.established - h->c.ended,
		per_second(h->c.established - was->c.established, dt), h->c.refused, h->c.ended,
		per_second(h->c.churn_opened - was->c.churn_opened, dt),
		per_second(h->c.churn_closed - was->c.churn_closed, dt), h->c.asked, h->c.correct);
	was->c = h->c;
	was->now_us = h->now_us;
}

/** What is judged. */
struct hold_result {
	uint64_t lost; /* neither established nor refused */
	double open_s, churn_s;
	uint64_t opened, closed; /* of those that come and go */
};

static struct hold_result
hold_result(const struct gen_hold *h)
{
	const struct gen_hold_counts *from = &h->at[GEN_HOLD_KEEP], *to = &h->at[GEN_HOLD_END];

	return (struct hold_result){
		.lost = h->conf.held - h->c.established - h->c.refused,
		.open_s = phase_seconds(h, GEN_HOLD_OPEN),
		.churn_s = phase_seconds(h, GEN_HOLD_KEEP) + phase_seconds(h, GEN_HOLD_SAMPLE),
		.opened = to->churn_opened - from->churn_opened,
		.closed = to->churn_closed - from->churn_closed,
	};
}

static json_t *
report_counts(const struct gen_hold_counts *c)
{
	json_t *o = json_object();

#define X(name) (void)json_object_set_new(o, #name, json_integer((json_int_t)c->name));
	GEN_HOLD_COUNTS(X)
#undef X
	return o;
}

static json_t *
report_json(const struct gen_hold *h, const struct gen_conf *conf, const struct hold_result *r)
{
	const struct gen_hold_counts *c = &h->c;

	return json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:{s:f, s:f, s:f, s:f},"
		" s:{s:I, s:I, s:I, s:f, s:f}, s:{s:I, s:I, s:I, s:I, s:I}, s:o, s:I, s:o}",
		"mode", conf->mode->name, "target", conf->target, "connections",
		(json_int_t)h->conf.held, "established", (json_int_t)c->established, "refused",
		(json_int_t)c->refused, "lost", (json_int_t)r->lost, "ended", (json_int_t)c->ended,
		"retries", (json_int_t)c->retries, "opens_per_second",
		per_second(c->established, r->open_s), "seconds", "open", r->open_s, "hold",
		phase_seconds(h, GEN_HOLD_KEEP), "sample", phase_seconds(h, GEN_HOLD_SAMPLE), "end",
		phase_seconds(h, GEN_HOLD_END), "churn", "opened", (json_int_t)r->opened, "closed",
		(json_int_t)r->closed, "lost", (json_int_t)c->churn_lost, "opens_per_second",
		per_second(r->opened, r->churn_s), "closes_per_second",
		per_second(r->closed, r->churn_s), "sample", "asked", (json_int_t)c->asked,
		"correct", (json_int_t)c->correct, "wrong", (json_int_t)c->wrong, "missing",
		(json_int_t)c->missing, "asked_again", (json_int_t)c->asked_again, "latency_us",
		gen_report_latency(&h->hist), "bytes_of_state", (json_int_t)gen_hold_bytes(h),
		"counts", report_counts(c));
}

static void
report_people(const struct gen_hold *h, const struct gen_conf *conf, const struct hold_result *r)
{
	const struct gen_hold_counts *c = &h->c;

	(void)printf("%s %s, %u connections, %lu bytes of state\n", conf->mode->name, conf->target,
		h->conf.held, gen_hold_bytes(h));
	(void)printf(
		"  open    %8.1f s  established %lu, %.0f/s; refused %lu, lost %lu, SYNs sent again %lu\n",
		r->open_s, c->established, per_second(c->established, r->open_s), c->refused,
		r->lost, c->retries);
	(void)printf("  hold    %8.1f s  ended by the target %lu, keepalives answered %lu\n",
		phase_seconds(h, GEN_HOLD_KEEP), c->ended, c->keepalives);
	(void)printf(
		"  sample  %8.1f s  asked %lu: correct %lu, wrong %lu, missing %lu; asked again %lu\n",
		phase_seconds(h, GEN_HOLD_SAMPLE), c->asked, c->correct, c->wrong, c->missing,
		c->asked_again);
	if (h->hist.count > 0)
		(void)printf("                      p50 %.1f us, p99 %.1f, p99.9 %.1f, max %.1f\n",
			(double)gen_hist_quantile(&h->hist, 500000) / 1e3,
			(double)gen_hist_quantile(&h->hist, 990000) / 1e3,
			(double)gen_hist_quantile(&h->hist, 999000) / 1e3,
			(double)h->hist.max_ns / 1e3);
	if (h->conf.churn > 0)
		(void)printf(
			"  churn   %8.1f s  opened %lu, %.0f/s; closed %lu, %.0f/s; lost %lu\n",
			r->churn_s, r->opened, per_second(r->opened, r->churn_s), r->closed,
			per_second(r->closed, r->churn_s), c->churn_lost);
	if (h->conf.reset)
		(void)printf("  end     %8.1f s  resets sent %lu\n", phase_seconds(h, GEN_HOLD_END),
			c->resets_out);
	(void)printf(
		"  frames              received %lu, sent %lu, bad %lu, strange %lu, no buffer %lu, unsent %lu\n",
		c->received, c->sent, c->bad, c->strange, c->no_buffer, c->unsent);
}

int
gen_hold_report(const struct gen_hold *h, const struct gen_conf *conf)
{
	struct hold_result r = hold_result(h);
	int status = 0;
	json_t *o;

	if (conf->json == NULL || strcmp(conf->json, "-") != 0)
		report_people(h, conf, &r);
	if (conf->json != NULL) {
		o = report_json(h, conf, &r);
		status = o == NULL ? 1 : gen_report_write(conf->json, o);
		json_decref(o);
	}
	if (h->c.established == 0 || h->c.wrong + h->c.missing > 0) {
		(void)fprintf(stderr, "convgen: %s\n",
			h->c.established == 0    ? "nothing was achieved"
				: h->c.wrong > 0 ? "what came back was not what was sent"
						 : "some have not answered");
		status = 1;
	}
	return status;
}
