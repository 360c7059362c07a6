/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A UDP service that writes down what is done to it, and datagrams for it: on the real table and the real network
 * layer, three workers in one thread.
 */
#pragma once

#include <stdbool.h>

#include "conv_net.h"

#define PORT 5007

enum mode {
	MODE_ECHO,
	MODE_KEEP, /* reads nothing */
	MODE_CLOSE_AT_RECV,
	MODE_CLOSE_AT_ACCEPT,
	MODE_SHUT_AT_ACCEPT,
};

struct udp_toy {
	enum mode mode;
	unsigned accepts, connects, fails, recvs, kicks, hangups, datagrams;
	enum conv_end end;
	struct conv *c; /* the last one that was opened, not referenced */
	int written;
	size_t lens[64];
	unsigned nlens;
	unsigned troubles, detail;
	bool close_in_trouble;
	bool reenter; /* while the service runs, the same datagram comes again, on worker 1 */
};

extern struct conv_net net;
extern struct test_frame f; /* the next datagram */
extern uint8_t out[TEST_FRAME_MAX]; /* what was sent last */
extern struct udp_toy svc;
extern const struct service toy;

int udp_toy_setup(void **state);
int udp_toy_teardown(void **state);
/** Make f a datagram from the peer. */
void udp_toy_datagram(bool v6, uint16_t sport, uint16_t dport, const void *data, size_t len);
struct key udp_toy_tuple(bool v6, uint16_t rport, uint16_t lport);
/** The next packet that was sent is a datagram with these ports and this payload. */
void udp_toy_expect(uint16_t sport, uint16_t dport, const void *data, size_t len);
/** Nothing was sent. */
void udp_toy_silence(void);
/** Make f an ICMP error about a datagram from our lport to the peer's rport. */
void udp_toy_icmp(uint8_t type, uint8_t code, uint16_t mtu, uint16_t lport, uint16_t rport);
