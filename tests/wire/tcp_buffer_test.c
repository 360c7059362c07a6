/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Buffers of a conversation: they grow with what it carries, and make way for others when mbufs run short.
 */
#include <rte_mempool.h>

#include "util.h"
#include "wire.h"

#define INIT   65536u
#define MAX    (256u << 10)
#define UNSENT (128u << 10)
#define RTT_MS 20
#define SEG    1400

/* Mbufs of 4095 that the test takes; the caches of lcores take up to 384 more. */
#define SOME 2200
#define HIGH 3100
#define FULL 3600

static struct wire_conf reads = {
	.service = {.read = true}, .tcp = {.recv_max = MAX, .send_max = MAX}};
static struct wire_conf deaf = {.tcp = {.recv_max = MAX, .send_max = MAX}};

static struct rte_mbuf *taken[4096];
static unsigned ntaken;

static void
take(struct wire *w, unsigned n)
{
	for (; ntaken < n; ntaken++) {
		taken[ntaken] = rte_pktmbuf_alloc(stack_mempool(wire_stack(w)));
		assert_non_null(taken[ntaken]);
	}
	wire_run(w, 2); /* workers look once per ms */
}

static void
give_back(struct wire *w)
{
	while (ntaken > 0)
		rte_pktmbuf_free(taken[--ntaken]);
	wire_run(w, 2);
}

/** Established, with a round trip of RTT_MS that our side has measured. */
static void
open_far(struct wire *w, struct wire_conn *k)
{
	wire_conn(w, k);
	k->wscale = 7;
	wire_send(k, SYN, 0, 0, 0);
	wire_expect(k, SYN | ACK, 0, 1, 0);
	wire_run(w, RTT_MS);
	wire_expect_accept(k);
}

/** Right edge of the window that was promised last; edges that were promised are not taken back (SHLD-14). */
static uint32_t
edge(struct wire_conn *k, uint32_t was)
{
	uint8_t scale = wire_status(k).rcv_wscale;
	struct wire_seg s;

	while (wire_next(k->w, k, &s)) {
		uint32_t right = s.ack + ((uint32_t)s.wnd << scale);

		assert_true((int32_t)(right - was) >= 0);
		was = right;
	}
	return was;
}

/** For so many round trips, bytes in each, from *seq on. @return the window in the end */
static uint32_t
flow(struct wire_conn *k, uint32_t *seq, uint32_t bytes, unsigned trips)
{
	uint32_t right = 0;

	for (; trips > 0; trips--) {
		for (uint32_t n = 0; n < bytes; n += SEG, *seq += SEG)
			wire_send(k, ACK, *seq, 1, SEG);
		right = edge(k, right == 0 ? *seq : right);
		wire_run(k->w, RTT_MS);
		right = edge(k, right);
	}
	return right - *seq;
}

/* Dynamic right-sizing: half of a buffer in a round trip doubles it, up to the limit. */
static void
test_receive_grows(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	uint32_t seq = 1;

	(void)state;
	open_far(w, &k);
	assert_in_range(flow(&k, &seq, 20000, 20), INIT - SEG, INIT);
	assert_int_equal(wire_stat(w, "recv_grown"), 0);
	assert_in_range(flow(&k, &seq, 40000, 3), 2 * INIT - SEG, 2 * INIT);
	assert_in_range(flow(&k, &seq, 40000, 10), 2 * INIT - SEG, 2 * INIT);
	assert_in_range(flow(&k, &seq, 80000, 3), MAX - SEG, MAX);
	assert_in_range(flow(&k, &seq, 200000, 5), MAX - SEG, MAX);
	assert_int_equal(wire_stat(w, "recv_grown"), 2);
	assert_int_equal(k.read, seq - 1);
	wire_close(w);
}

/* Nobody who does not read gets more than the first buffer. */
static void
test_deaf_does_not_grow(void **state)
{
	struct wire *w = wire_open(&deaf);
	struct wire_conn k;
	uint32_t seq = 1;

	(void)state;
	open_far(w, &k);
	flow(&k, &seq, 60000, 1);
	assert_int_equal(wire_status(&k).recv_queue, 60200);
	wire_run(w, 10 * RTT_MS);
	wire_read(&k); /* all at once, but late: that was no fast flow */
	wire_discard(w);
	assert_int_equal(wire_stat(w, "recv_grown"), 0);
	wire_close(w);
}

/** Write what there is room for. */
static void
fill(struct wire_conn *k)
{
	uint32_t room = tcp_proto.write_room(k->c);

	if (room > 0)
		wire_write(k, room);
}

static void
test_send_grows(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	struct wire_seg s;
	uint32_t una = 1, most = 0;

	(void)state;
	open_far(w, &k);
	k.wnd = 65535;
	wire_send(&k, ACK, 1, 1, 0);
	assert_int_equal(tcp_proto.write_room(k.c), INIT);
	for (unsigned i = 0; i < 12; i++) {
		struct conv_status st;

		for (unsigned ms = 0; ms < RTT_MS; ms++) {
			fill(&k);
			wire_run(w, 1);
			most = RTE_MAX(most, wire_status(&k).send_queue);
		}
		while (wire_next(w, &k, &s))
			if (s.seq + s.len > una)
				una = s.seq + s.len;
		wire_send(&k, ACK, 1, una, 0);
		st = wire_status(&k);
		/* Twice the congestion window, and nobody's who does not fill it. */
		assert_in_range(tcp_proto.write_room(k.c) + st.send_queue, INIT,
			RTE_MAX(INIT, RTE_MIN(2 * st.cwnd + 1024, MAX)));
	}
	assert_true(wire_stat(w, "send_grown") >= 2);
	assert_int_equal(most, MAX);
	wire_discard(w);
	wire_close(w);
}

/* What is queued and not sent is little, so that it is sent while it is in the cache; yet a service that writes whenever there is room
 * fills a far larger window at once, in turns in which nothing comes. */
static void
test_unsent_is_bounded(void **state)
{
	struct wire_conf fills = {.service = {.read = true, .fills = true},
		.tcp = {.recv_max = MAX, .send_max = 4 * MAX}};
	struct wire *w = wire_open(&fills);
	struct wire_conn k;
	struct wire_seg s;
	uint32_t una = 1, sent = 0;

	(void)state;
	open_far(w, &k);
	k.wnd = 65535;
	wire_send(&k, ACK, 1, 1, 0);
	wire_write(&k, INIT);
	for (unsigned i = 0; i < 9; i++) {
		struct conv_status st;

		wire_run(w, RTT_MS);
		for (sent = 0; wire_next(w, &k, &s); sent += s.len)
			una = s.seq + s.len;
		wire_send(&k, ACK, 1, una, 0);
		st = wire_status(&k);
		assert_in_range(st.send_queue - (st.snd_nxt - st.snd_una), 0, UNSENT);
	}
	assert_true(sent > 4 * UNSENT);
	wire_discard(w);
	wire_close(w);
}

/* Half of the mbufs in use: no growth. */
static void
test_pressure_some(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	uint32_t seq = 1;

	(void)state;
	open_far(w, &k);
	take(w, SOME);
	assert_in_range(flow(&k, &seq, 60000, 5), INIT - SEG, INIT);
	assert_int_equal(wire_stat(w, "recv_grown"), 0);
	give_back(w);
	assert_true(flow(&k, &seq, 60000, 5) > INIT);
	wire_close(w);
}

/* Three quarters: the window shrinks as it is used, and nothing is kept out of order. */
static void
test_pressure_high(void **state)
{
	struct wire *w = wire_open(&reads);
	struct wire_conn k;
	uint32_t seq = 1;

	(void)state;
	open_far(w, &k);
	assert_true(flow(&k, &seq, 60000, 5) > INIT);
	take(w, HIGH);
	flow(&k, &seq, 60000, 4); /* edge() sees that nothing is taken back */
	assert_int_equal(wire_stat(w, "pressure_high"), 1);
	assert_in_range(flow(&k, &seq, 3000, 5), 16384 - 2 * SEG, 16384);
	assert_int_equal(wire_drops(w, DROP_TCP_MEMORY), 0);
	wire_send(&k, ACK, seq + SEG, 1, SEG);
	assert_int_equal(wire_drops(w, DROP_TCP_MEMORY), 1);
	assert_int_equal(wire_expect(&k, ACK, 1, seq, 0).nsack, 0);
	/* What may be queued to be sent, too. */
	wire_write(&k, 100);
	assert_int_equal(tcp_proto.write_room(k.c), 16384 - 100);
	wire_discard(w);
	wire_send(&k, ACK, seq, 101, 0);
	give_back(w);
	assert_true(flow(&k, &seq, 40000, 5) >= INIT);
	assert_int_equal(k.read, seq - 1);
	wire_close(w);
}

/* Seven eighths: who reads goes on, who does not gets nothing more, though it was promised. */
static void
test_pressure_full(void **state)
{
	struct wire_conn k, other;
	struct wire *w = wire_open(&deaf);
	uint32_t seq = 1, oseq = 1;

	(void)state;
	open_far(w, &k);
	open_far(w, &other);
	take(w, FULL);
	for (unsigned i = 0; i < 20; i++)
		wire_send(&k, ACK, seq + i * SEG, 1, SEG);
	assert_in_range(wire_status(&k).recv_queue, 4096, 4096 + SEG);
	assert_int_equal(wire_drops(w, DROP_TCP_MEMORY), 20 - wire_status(&k).recv_queue / SEG);
	for (unsigned i = 0; i < 20; i++, oseq += SEG) {
		wire_send(&other, ACK, oseq, 1, SEG);
		wire_read(&other);
	}
	assert_int_equal(other.read, 20 * SEG);
	assert_int_equal(tcp_proto.write_room(k.c), 4096);
	give_back(w);
	/* It comes again, and is taken. */
	for (unsigned i = 0; i < 20; i++)
		wire_send(&k, ACK, seq + i * SEG, 1, SEG);
	assert_int_equal(wire_status(&k).recv_queue, 20 * SEG);
	wire_discard(w);
	wire_close(w);
}

/* There was room when the service wrote last, and none when it wanted to write again, as mbufs ran short: it hears of room. */
static void
test_pressure_passes(void **state)
{
	static const struct wire_conf echo = {.service = {.echo = true}};
	struct wire *w = wire_open(&echo);
	struct wire_conn k;

	(void)state;
	wire_conn(w, &k);
	wire_accept(&k);
	for (unsigned i = 0; i < 4; i++)
		wire_send(&k, ACK, 1 + i * SEG, 1, SEG);
	assert_int_equal(k.read, 4 * SEG);
	take(w, FULL);
	wire_send(&k, ACK, 1 + 4 * SEG, 1, SEG);
	assert_int_equal(k.read, 4 * SEG);
	assert_int_equal(wire_status(&k).recv_queue, SEG);
	give_back(w);
	wire_discard(w);
	wire_send(&k, ACK, 1 + 5 * SEG, 1 + 4 * SEG, 0);
	assert_int_equal(k.read, 5 * SEG);
	wire_expect(&k, ACK, 1 + 4 * SEG, 1 + 5 * SEG, SEG);
	wire_close(w);
}

/* Out of order: a window of full segments, but few short ones (CVE-2018-5390). */
static void
test_out_of_order(void **state)
{
	struct wire_conf big = reads;
	struct wire_conn k;
	struct wire *w;
	uint32_t seq = 1;

	(void)state;
	big.tcp.recv_max = 1u << 20;
	w = wire_open(&big);
	open_far(w, &k);
	for (unsigned i = 0; i < 4; i++)
		flow(&k, &seq, (INIT << i) - SEG, 3);
	assert_true(wire_status(&k).rcv_wnd > 400 * SEG);
	for (uint32_t i = 1; i < 400; i++)
		wire_send(&k, ACK, seq + i * SEG, 1, SEG);
	assert_int_equal(wire_drops(w, DROP_TCP_MEMORY), 0);
	wire_send(&k, ACK, seq, 1, SEG);
	seq += 400 * SEG;
	assert_int_equal(k.read, seq - 1);
	/* One byte each, backwards: none can be put behind another. */
	for (uint32_t i = 1000; i > 0; i--)
		wire_send(&k, ACK, seq + i, 1, 1);
	assert_int_equal(wire_drops(w, DROP_TCP_MEMORY), 1000 - 255);
	wire_discard(w);
	wire_close(w);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receive_grows),
		cmocka_unit_test(test_deaf_does_not_grow),
		cmocka_unit_test(test_send_grows),
		cmocka_unit_test(test_unsent_is_bounded),
		cmocka_unit_test(test_pressure_some),
		cmocka_unit_test(test_pressure_high),
		cmocka_unit_test(test_pressure_full),
		cmocka_unit_test(test_pressure_passes),
		cmocka_unit_test(test_out_of_order),
	};

	wire_args(argc, argv);
	test_eal("tcp_buffer");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
