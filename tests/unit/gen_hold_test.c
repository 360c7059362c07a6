/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The stateless mode against a target of a few lines, which remembers all that the mode does not, in virtual time. Frames may be
 * lost on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gen_hold.h"
#include "util.h"

#define TUPLES  4096
#define HELD    2000
#define STEP_US 100
#define WIRE    8192 /* frames on their way to us */
#define MBUFS   16383

#define FIN     RTE_TCP_FIN_FLAG
#define SYN     RTE_TCP_SYN_FLAG
#define RST     RTE_TCP_RST_FLAG
#define PSH     RTE_TCP_PSH_FLAG
#define ACK     RTE_TCP_ACK_FLAG

enum target_state {
	CLOSED,
	HALF_OPEN,
	OPEN,
	LAST_ACK
};

/* What the target has of one tuple. */
struct target_conv {
	enum target_state state;
	bool ts;
	uint32_t snd_una, snd_nxt, rcv_nxt, ts_recent;
	uint32_t opens, closes, resets; /* how often it came to that */
	uint8_t echo[GEN_HOLD_SIZE];
	uint32_t echo_len; /* unacknowledged */
	uint64_t again_us; /* to send that, or SYN-ACK or FIN, once more */
};

static struct target {
	struct target_conv c[TUPLES];
	bool refuse, mute, corrupt; /* answers SYNs by RST; answers no data; answers other data */
	unsigned loss; /* percent, each way */
	uint64_t random;
} peer;

static struct rte_mempool *mp;
static struct gen_hold h;
static struct gen_hold_conf conf;
static struct rte_mbuf *wire[WIRE];
static unsigned nwire;
static uint64_t now;

static bool
lost(void)
{
	peer.random = peer.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (peer.random >> 33) % 100 < peer.loss;
}

/** Of the target, to us. */
static void
answer(uint32_t i, uint8_t flags, uint32_t seq, const uint8_t *data, uint32_t len)
{
	const struct target_conv *c = &peer.c[i];
	struct gen_tuple t = gen_space_tuple(&conf.space, i);
	struct gen_seg s = {
		.t = {t.daddr, t.saddr, t.dport, t.sport},
		.seq = seq,
		.ack = c->rcv_nxt,
		.flags = flags,
		.ts = c->ts,
		.ts_val = (uint32_t)(now / 1000) + 7000,
		.ts_ecr = c->ts_recent,
		.data = data,
		.len = len,
	};
	struct rte_mbuf *m;

	if (lost())
		return;
	m = rte_pktmbuf_alloc(mp);
	assert_non_null(m);
	assert_true(nwire < WIRE);
	gen_frame_tcp(m, &conf.link, &s);
	wire[nwire++] = m;
}

/** Data, in the order in which it comes, is sent back. */
static void
target_text(uint32_t i, const struct gen_seg *s)
{
	struct target_conv *c = &peer.c[i];

	if (s->seq == c->rcv_nxt && !peer.mute) {
		assert_true(c->echo_len + s->len <= GEN_HOLD_SIZE);
		memcpy(c->echo + c->echo_len, s->data, s->len);
		c->echo[c->echo_len] ^= (uint8_t)peer.corrupt;
		c->echo_len += s->len;
		c->rcv_nxt += s->len;
		c->snd_nxt += s->len;
		c->again_us = now;
		return;
	}
	answer(i, ACK, c->snd_nxt, NULL, 0);
}

static void
target_open(uint32_t i, const struct gen_seg *s)
{
	struct target_conv *c = &peer.c[i];

	if ((s->flags & RST) != 0) {
		/* Out of the window it is not answered (RFC 9293 section 3.10.7.4). */
		c->resets += s->seq == c->rcv_nxt;
		if (s->seq == c->rcv_nxt)
			c->state = CLOSED;
		return;
	}
	if ((s->flags & SYN) != 0 || (int32_t)(s->seq - c->rcv_nxt) < 0) {
		answer(i, ACK, c->snd_nxt, NULL, 0);
		return;
	}
	assert_int_equal(s->ts, c->ts);
	/* Nothing is acknowledged that was not sent. */
	assert_true((int32_t)(s->ack - c->snd_nxt) <= 0);
	if (s->ts)
		c->ts_recent = s->ts_val;
	if ((int32_t)(s->ack - c->snd_una) > 0) {
		uint32_t n = s->ack - c->snd_una;

		c->snd_una = s->ack;
		if (c->state == LAST_ACK && c->snd_una == c->snd_nxt) {
			c->closes++;
			c->state = CLOSED;
			return;
		}
		assert_true(n <= c->echo_len);
		memmove(c->echo, c->echo + n, c->echo_len - n);
		c->echo_len -= n;
	}
	if (s->len > 0)
		target_text(i, s);
	if ((s->flags & FIN) != 0 && s->seq + s->len == c->rcv_nxt && c->state == OPEN) {
		c->rcv_nxt++;
		c->state = LAST_ACK;
		c->snd_nxt++;
		c->again_us = now;
	}
}

static void
target_take(const struct gen_seg *s)
{
	struct target_conv *c;
	uint32_t i;

	assert_true(gen_space_index(&conf.space, &s->t, &i));
	c = &peer.c[i];
	if (c->state == HALF_OPEN && (s->flags & (SYN | ACK | RST)) == ACK &&
		s->ack == c->snd_nxt) {
		c->snd_una = s->ack;
		c->state = OPEN;
		c->opens++;
	}
	if (c->state == OPEN || c->state == LAST_ACK) {
		target_open(i, s);
	} else if ((s->flags & RST) != 0) {
		c->resets++;
		c->state = CLOSED;
	} else if ((s->flags & SYN) != 0) {
		bool again = c->state == HALF_OPEN;

		c->rcv_nxt = s->seq + 1;
		c->ts = s->ts;
		c->ts_recent = s->ts_val;
		if (peer.refuse) {
			answer(i, RST | ACK, 0, NULL, 0);
			return;
		}
		if (!again)
			c->snd_una = c->snd_nxt - 1;
		c->state = HALF_OPEN;
		c->again_us = now;
	}
}

/** What the target sends of its own accord: SYN-ACK, echo and FIN, and all of them again while they are not acknowledged. */
static void
target_turn(void)
{
	for (uint32_t i = 0; i < conf.space.count; i++) {
		struct target_conv *c = &peer.c[i];

		if (now < c->again_us || c->state == CLOSED)
			continue;
		c->again_us = now + 300000;
		if (c->state == HALF_OPEN)
			answer(i, SYN | ACK, c->snd_nxt - 1, NULL, 0);
		else if (c->state == LAST_ACK && c->echo_len == 0)
			answer(i, FIN | ACK, c->snd_nxt - 1, NULL, 0);
		else if (c->echo_len > 0)
			answer(i, ACK | PSH, c->snd_una, c->echo, c->echo_len);
	}
}

/** One step of time: what is due is done, and what is sent arrives. @return all phases are over */
static bool
step(void)
{
	struct gen_seg s;
	bool done;

	now += STEP_US;
	while (nwire > 0) {
		unsigned n = RTE_MIN(nwire, (unsigned)GEN_HOLD_INPUT);

		gen_hold_input(&h, wire, n, now);
		nwire -= n;
		memmove(wire, wire + n, nwire * sizeof(wire[0]));
		for (unsigned i = 0; i < h.nout; i++) {
			assert_int_equal(gen_frame_read(h.out[i], &s), GEN_FRAME_TCP);
			if (!lost())
				target_take(&s);
		}
		rte_pktmbuf_free_bulk(h.out, h.nout);
		h.nout = 0;
	}
	done = gen_hold_turn(&h, now);
	for (unsigned i = 0; i < h.nout; i++) {
		assert_int_equal(gen_frame_read(h.out[i], &s), GEN_FRAME_TCP);
		if (!lost())
			target_take(&s);
	}
	rte_pktmbuf_free_bulk(h.out, h.nout);
	h.nout = 0;
	target_turn();
	return done;
}

static void
begin(void)
{
	assert_int_equal(gen_hold_make(&h, &conf, now), 0);
}

/** Until a phase has come, or for so many seconds. */
static void
until(enum gen_hold_phase p, double seconds)
{
	uint64_t end = now + (uint64_t)(seconds * 1e6);

	while (h.phase < p && now < end)
		(void)step();
	assert_true(h.phase >= p);
}

static void
wait_s(double seconds)
{
	uint64_t end = now + (uint64_t)(seconds * 1e6);

	while (now < end)
		(void)step();
}

static unsigned
count(enum target_state state)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < conf.space.count; i++)
		n += peer.c[i].state == state;
	return n;
}

static int
setup(void **state)
{
	(void)state;
	memset(&peer, 0, sizeof(peer));
	peer.random = 1;
	now = 1000000;
	nwire = 0;
	conf = (struct gen_hold_conf){
		.space = {.saddr = 0x0a400000,
			.addresses = 64,
			.daddr = 0x0a4d0002,
			.sport = 1024,
			.sports = 16,
			.dport = 7,
			.dports = 4,
			.count = HELD,
			.secret = {3, 4}},
		.held = HELD,
		.size = 64,
		.sample = 500,
		.keep = 0.05,
		.options = true,
		.seed = 1,
		.mp = mp,
	};
	for (uint32_t i = 0; i < TUPLES; i++)
		peer.c[i].snd_nxt = i * 2654435769u; /* its initial sequence numbers, one ahead */
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	gen_hold_free(&h);
	rte_pktmbuf_free_bulk(wire, nwire);
	return rte_mempool_avail_count(mp) != MBUFS;
}

/** All open, all stay, those asked answer, and nobody is told anything that it need not know. */
static void
test_clean(void **state)
{
	(void)state;
	begin();
	until(GEN_HOLD_DONE, 5);
	assert_int_equal(h.c.established, HELD);
	assert_int_equal(h.c.syns, HELD);
	assert_int_equal(h.c.retries + h.c.refused + h.c.ended, 0);
	assert_int_equal(h.c.asked, 500);
	assert_int_equal(h.c.correct, 500);
	assert_int_equal(h.c.wrong + h.c.missing, 0);
	assert_int_equal(h.c.strange + h.c.bad + h.c.no_buffer + h.c.resets_out, 0);
	assert_int_equal(h.hist.count, 500);
	wait_s(0.5);
	assert_int_equal(count(OPEN), HELD);
	/* SYN, ACK; probe, request, ACK */
	assert_int_equal(h.c.sent, 2 * HELD + 3 * 500);
}

/** Without options, too. */
static void
test_plain(void **state)
{
	(void)state;
	conf.options = false;
	begin();
	until(GEN_HOLD_DONE, 5);
	assert_int_equal(h.c.established, HELD);
	assert_int_equal(h.c.correct, 500);
	assert_false(peer.c[0].ts);
}

/** A fifth of all frames is lost each way: all is done in the end, and right. */
static void
test_loss(void **state)
{
	(void)state;
	peer.loss = 20;
	conf.space.count = TUPLES;
	conf.churn = 2000;
	conf.keep = 2;
	begin();
	until(GEN_HOLD_DONE, 120);
	assert_int_equal(h.c.established, HELD);
	assert_true(h.c.retries > HELD / 10);
	assert_int_equal(h.c.wrong, 0);
	assert_int_equal(h.c.correct, 500);
	assert_true(h.c.churn_closed > 2500);
	peer.loss = 0;
	wait_s(2);
	for (uint32_t i = 0; i < HELD; i++) {
		assert_int_equal(peer.c[i].state, OPEN);
		assert_int_equal(peer.c[i].opens, 1);
	}
}

/** RST to a SYN: refused, and not tried again. */
static void
test_refused(void **state)
{
	(void)state;
	peer.refuse = true;
	begin();
	until(GEN_HOLD_DONE, 5);
	assert_int_equal(h.c.refused, HELD);
	assert_int_equal(h.c.established + h.c.asked, 0);
	assert_int_equal(h.c.syns, HELD);
}

/** Nobody there: each is tried so often, and then given up. */
static void
test_nobody(void **state)
{
	(void)state;
	peer.loss = 100;
	conf.held = conf.space.count = 100;
	begin();
	until(GEN_HOLD_DONE, 60);
	assert_int_equal(h.c.syns, 100 * GEN_HOLD_PASSES);
	assert_int_equal(h.c.established + h.c.asked, 0);
	assert_true(now > 15 * 1000000);
}

static void
test_wrong(void **state)
{
	(void)state;
	peer.corrupt = true;
	begin();
	until(GEN_HOLD_DONE, 5);
	assert_int_equal(h.c.wrong, 500);
	assert_int_equal(h.c.correct, 0);
}

/** Who does not answer is asked again, and given up. */
static void
test_missing(void **state)
{
	(void)state;
	peer.mute = true;
	conf.sample = 20;
	begin();
	until(GEN_HOLD_DONE, 60);
	assert_int_equal(h.c.missing, 20);
	assert_int_equal(h.c.asked_again, 20 * 9);
}

/** Each conversation is asked once, of those that are open; in another order with another seed. */
static void
test_all_asked(void **state)
{
	(void)state;
	conf.sample = UINT32_MAX;
	begin();
	until(GEN_HOLD_DONE, 10);
	assert_int_equal(h.c.asked, HELD);
	assert_int_equal(h.c.correct, HELD);
	for (uint32_t i = 0; i < HELD; i++)
		assert_int_equal(peer.c[i].snd_nxt, i * 2654435769u + 64);
}

/** Opens follow their rate. */
static void
test_open_rate(void **state)
{
	(void)state;
	conf.open_rate = 4000;
	begin();
	wait_s(0.25);
	assert_in_range(h.c.syns, 990, 1010);
	until(GEN_HOLD_KEEP, 1);
	assert_in_range(h.began_us[GEN_HOLD_KEEP] - h.began_us[GEN_HOLD_OPEN], 495000, 510000);
}

/** Those that are not held come and go at their rate, by FIN, and leave nothing behind. */
static void
test_churn(void **state)
{
	unsigned opens = 0, closes = 0;

	(void)state;
	conf.space.count = HELD + 500;
	conf.churn = 10000;
	conf.keep = 1;
	begin();
	until(GEN_HOLD_DONE, 5);
	assert_in_range(h.c.churn_closed, 10000, 12000);
	assert_int_equal(h.c.churn_opened, h.c.churn_syns);
	assert_int_equal(h.c.churn_closed, h.c.churn_syns);
	assert_int_equal(h.c.churn_lost, 0);
	for (uint32_t i = HELD; i < HELD + 500; i++) {
		assert_int_equal(peer.c[i].state, CLOSED);
		opens += peer.c[i].opens;
		closes += peer.c[i].closes;
	}
	assert_int_equal(opens, h.c.churn_opened);
	assert_int_equal(closes, h.c.churn_closed);
	assert_int_equal(count(OPEN), HELD);
}

/** By RST: what comes and goes, and all in the end, those with a sequence number that has moved on as well. */
static void
test_reset(void **state)
{
	(void)state;
	conf.space.count = HELD + 500;
	conf.churn = 10000;
	conf.keep = 1;
	conf.reset = true;
	begin();
	until(GEN_HOLD_DONE, 5);
	assert_int_equal(h.c.churn_closed, h.c.churn_syns);
	assert_int_equal(h.c.correct, 500);
	assert_int_equal(count(CLOSED), HELD + 500);
	for (uint32_t i = 0; i < HELD; i++)
		assert_int_equal(peer.c[i].resets, 1);
}

/** The target has a conversation of an earlier run, with other numbers: that one ends, and the next SYN opens. */
static void
test_stale(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < HELD; i++) {
		peer.c[i].state = OPEN;
		peer.c[i].ts = true;
		peer.c[i].rcv_nxt = 12345;
		peer.c[i].again_us = UINT64_MAX;
	}
	begin();
	until(GEN_HOLD_DONE, 10);
	assert_int_equal(h.c.established, HELD);
	assert_int_equal(h.c.correct, 500);
	for (uint32_t i = 0; i < HELD; i++)
		assert_int_equal(peer.c[i].opens, 1);
}

/** Ten, open for long enough that what comes now follows a silence. */
static void
hold_open(void)
{
	conf.held = conf.space.count = 10;
	conf.sample = 0;
	conf.keep = 100;
	begin();
	until(GEN_HOLD_KEEP, 1);
	wait_s(2);
}

/** A keepalive probe is answered with what it asks for; an ACK that follows something of ours is not. */
static void
test_keepalive(void **state)
{
	uint64_t sent;
	struct gen_seg s;

	(void)state;
	hold_open();
	sent = h.c.sent;
	answer(3, ACK, peer.c[3].snd_nxt - 1, NULL, 0);
	gen_hold_input(&h, wire, 1, now);
	nwire = 0;
	assert_int_equal(h.nout, 1);
	assert_int_equal(gen_frame_read(h.out[0], &s), GEN_FRAME_TCP);
	assert_int_equal(s.ack, peer.c[3].snd_nxt);
	assert_int_equal(s.seq, peer.c[3].rcv_nxt);
	assert_int_equal(s.len, 0);
	assert_true(s.ts);
	(void)step();
	assert_int_equal(h.c.keepalives, 1);
	/* The answer moved the target's echo of our clock: its ACK is none of silence. */
	answer(3, ACK, peer.c[3].snd_nxt, NULL, 0);
	(void)step();
	assert_int_equal(h.c.sent, sent + 1);
}

/** Data that nobody asked for is acknowledged. */
static void
test_unasked(void **state)
{
	(void)state;
	hold_open();
	memset(peer.c[4].echo, 'x', 100);
	peer.c[4].echo_len = 100;
	peer.c[4].snd_nxt += 100;
	peer.c[4].again_us = now;
	wait_s(0.01);
	assert_int_equal(h.c.unasked, 1);
	assert_int_equal(peer.c[4].echo_len, 0);
}

/** The target ends some: by RST, by FIN. */
static void
test_ended(void **state)
{
	(void)state;
	hold_open();
	answer(5, RST | ACK, peer.c[5].snd_nxt, NULL, 0);
	answer(5, RST | ACK, peer.c[5].snd_nxt, NULL, 0);
	(void)step();
	assert_int_equal(h.c.ended, 1);
	answer(6, FIN | ACK, peer.c[6].snd_nxt, NULL, 0);
	peer.c[6].snd_una = ++peer.c[6].snd_nxt;
	(void)step();
	(void)step();
	assert_int_equal(h.c.ended, 2);
	assert_int_equal(peer.c[6].closes, 1); /* both FINs have come and are acknowledged */
}

/** Frames of others, and nonsense, are counted and answered by nothing. */
static void
test_strange(void **state)
{
	uint64_t sent;

	(void)state;
	hold_open();
	sent = h.c.sent;
	conf.space.daddr++;
	answer(1, ACK, 1, NULL, 0);
	conf.space.daddr--;
	answer(1, 0, 1, NULL, 0);
	answer(1, SYN, 1, NULL, 0);
	answer(1, ACK, 1, NULL, 0);
	rte_pktmbuf_mtod(wire[3], uint8_t *)[30] ^= 1;
	(void)step();
	assert_int_equal(h.c.strange, 3);
	assert_int_equal(h.c.bad, 1);
	assert_int_equal(h.c.sent, sent);
}

/** It may be stopped at any time. */
static void
test_stop(void **state)
{
	(void)state;
	begin();
	(void)step();
	gen_hold_stop(&h, now);
	assert_int_equal(h.phase, GEN_HOLD_DONE);
	assert_true(step());
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_clean),
		TEST(test_plain),
		TEST(test_loss),
		TEST(test_refused),
		TEST(test_nobody),
		TEST(test_wrong),
		TEST(test_missing),
		TEST(test_all_asked),
		TEST(test_open_rate),
		TEST(test_churn),
		TEST(test_reset),
		TEST(test_stale),
		TEST(test_keepalive),
		TEST(test_unasked),
		TEST(test_ended),
		TEST(test_strange),
		TEST(test_stop),
	};

	test_eal("gen_hold_test");
	mp = rte_pktmbuf_pool_create("hold", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return mp == NULL ? 1 : cmocka_run_group_tests_name("gen_hold", tests, NULL, NULL);
}
