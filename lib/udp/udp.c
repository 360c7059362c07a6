/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * UDP as a whole: its table of functions, what all conversations share, and what is shown of them.
 */
#include <errno.h>
#include <netinet/in.h>

#include <rte_malloc.h>

#include "udp_priv.h"

#define IDLE_MS_DEFAULT   60000
#define QUEUE_MAX_DEFAULT 64

struct udp *
udp_create(const struct udp_conf *conf, int *ret_err)
{
	struct udp *u = rte_zmalloc("udp", sizeof(*u), RTE_CACHE_LINE_SIZE);

	if (u == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	u->conf = *conf;
	if (conf->idle_ms == 0)
		u->conf.idle_ms = IDLE_MS_DEFAULT;
	if (conf->queue_max == 0)
		u->conf.queue_max = QUEUE_MAX_DEFAULT;
	u->conf.queue_max = RTE_MIN(u->conf.queue_max, (uint32_t)UINT16_MAX);
	return u;
}

void
udp_free(struct udp *u)
{
	rte_free(u);
}

/** A racy peek: any thread with a reference. */
static void
udp_status(const struct worker *w, const struct conv *c, struct conv_status *ret)
{
	const struct udp_conv *uc = (const struct udp_conv *)c;

	(void)w;
	ret->proto = udp_proto.name;
	ret->state = (uc->c.flags & UDPF_OVER) != 0 ? "CLOSED" : "OPEN";
	ret->recv_queue = uc->rcvq_bytes;
	ret->bytes_in = uc->bytes_in;
	ret->bytes_out = uc->bytes_out;
}

static void
udp_stats_each(const struct worker *w, void (*each)(void *arg, const char *name, uint64_t value),
	void *arg)
{
	static const char *const names[UDP_STAT_MAX] = {
#define X(name) [UDP_STAT_##name] = #name,
		UDP_STATS(X)
#undef X
	};

	for (unsigned s = 0; s < UDP_STAT_MAX; s++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i <= WORKER_MAX; i++)
			sum += *(const volatile uint64_t *)&w->udp->stats[i].v[s];
		each(arg, names[s], sum);
	}
}

const struct proto udp_proto = {
	.name = "udp",
	.number = IPPROTO_UDP,
	.size = sizeof(struct udp_conv),
	.lines = 0x04,
	.iput = udp_iput,
	.advise = udp_advise,
	.work = udp_work,
	.flush = udp_flush,
	.retire = udp_retire,
	.miss = udp_miss,
	.connect = udp_connect,
	.read = udp_read,
	.write = udp_write,
	.write_room = udp_write_room,
	.piece = udp_piece,
	.readable = udp_readable,
	.shutdown = udp_shutdown,
	.close = udp_close,
	.hangup = udp_hangup,
	.status = udp_status,
	.stats = udp_stats_each,
};
