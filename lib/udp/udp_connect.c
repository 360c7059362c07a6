/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Active open: nothing is sent; the tuple is taken.
 */
#include "udp_priv.h"

static void
udp_connect_fill(struct worker *w, struct conv *c)
{
	(void)w;
	c->flags = UDPF_ACTIVE;
}

/** @see struct proto: connect */
int
udp_connect(struct worker *w, const struct service *s, const struct key *k, const void *svc,
	struct conv **ret_c)
{
	static const struct conv_opening opening = {.proto = &udp_proto, .fill = udp_connect_fill};
	int err = conv_connect(w, &opening, s, k, svc, ret_c);

	if (err == 0)
		UDP_COUNT(w, active_opens);
	return err;
}
