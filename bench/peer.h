/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * A server and clients on Linux's own stack: what convd is measured beside, and by. One process, one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PEER_ECHO    7
#define PEER_DISCARD 9
#define PEER_CHARGEN 19
#define PEER_MESSAGE 64 /* bytes of a request, and of a datagram */
#define PEER_BUFFER  65536
#define PEER_EVENTS  64
#define PEER_BATCH   32 /* datagrams of one system call */
#define NS_PER_S     UINT64_C(1000000000)
#define WARMUP_NS    (NS_PER_S / 2)

/** What is sent, and where what comes goes. */
extern uint8_t peer_buffer[PEER_BUFFER];

/** End the program and say what could not be done. */
_Noreturn void peer_die(const char *what);
/** .. unless ok. */
static inline void
peer_must(bool ok, const char *what)
{
	if (!ok)
		peer_die(what);
}
uint64_t peer_now_ns(void);
void peer_no_delay(int fd);
/** A socket of that type (SOCK_STREAM, SOCK_DGRAM) connected to ADDRESS, IPv4. */
int peer_connect(const char *address, uint16_t port, int type);
/** Have epoll watch fd for events, level-triggered; tag comes back with them. */
void peer_watch(int ep, int fd, uint32_t events, uint32_t tag);

/** Echo (TCP and UDP), discard and chargen; never returns. */
void peer_serve(void);
/**
 * Messages there and back over so many TCP connections, at most one under way on each.
 *
 * @param rate per second over all of them; each answer's time counts from when its request was due, also if that had to wait
 *        for the one before it. 0: as many as go, and times count from when a request was sent
 */
void peer_load(const char *address, unsigned connections, double rate, double seconds);
/** Datagrams there and back over so many sockets, so many under way on each. */
void peer_udp(const char *address, unsigned sockets, unsigned window, double seconds);
