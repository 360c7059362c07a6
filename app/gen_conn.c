/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The life of a connection: opened, idle, asked, ended, opened again. By schedule a request is due at a time that does not
 * depend on the answers before it, and its latency counts from then: what waits for a slow answer is counted as late.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "gen.h"

#define GEN_TURN_MAX 64 /* opens, and requests, of one turn */
#define GEN_SWEEP    16 /* connections looked at in a turn */
#define GEN_LOST_NS  UINT64_C(1000000000)
#define GEN_AGAIN_NS UINT64_C(100000000) /* after a failure */
#define GEN_NS_PER_S 1e9

uint64_t
gen_now_ns(const struct gen *g)
{
	return (uint64_t)((double)rte_rdtsc() * g->ns_per_tick);
}

/* ---- lists ---- */

static void
list_push(struct gen *g, struct gen_list *l, struct gen_conn *k)
{
	l->at[(l->head + l->n++) % g->conf.connections] = k;
}

static struct gen_conn *
list_pop(struct gen *g, struct gen_list *l)
{
	struct gen_conn *k = l->at[l->head];

	l->head = (l->head + 1) % g->conf.connections;
	l->n--;
	return k;
}

/** Any one: the first takes its place. */
static struct gen_conn *
list_draw(struct worker *w, struct gen *g, struct gen_list *l)
{
	uint32_t i = (l->head + (uint32_t)(worker_random(w) % l->n)) % g->conf.connections;
	struct gen_conn *k = l->at[i];

	l->at[i] = l->at[l->head];
	l->head = (l->head + 1) % g->conf.connections;
	l->n--;
	return k;
}

static void
gen_free(struct gen_worker *gw, struct gen_conn *k)
{
	atomic_store_explicit(&k->stage, GEN_FREE, memory_order_relaxed);
	list_push(k->g, &gw->free, k);
}

/* ---- inside ---- */

bool
gen_write(struct worker *w, struct conv *c, const uint8_t *bytes, size_t len)
{
	struct gen_worker *gw = gen_worker_of(gen_conn_of(c), w);

	while (len > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->mp);
		uint16_t n;

		if (m == NULL) {
			gw->c.no_buffer++;
			return false;
		}
		n = (uint16_t)RTE_MIN(len, (size_t)rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_append(m, n), bytes, n);
		if (c->proto->write(w, c, m) != 0)
			return false;
		gw->c.bytes_out += n;
		bytes += n;
		len -= n;
	}
	return true;
}

void
gen_send(struct worker *w, struct conv *c, uint64_t due_ns)
{
	struct gen_conn *k = gen_conn_of(c);
	struct gen *g = k->g;
	uint32_t n = atomic_load_explicit(&k->outstanding, memory_order_relaxed);
	bool sent;

	k->due_ns[(k->first + n) % g->conf.pipeline] = due_ns;
	atomic_store_explicit(&k->sent_ns, due_ns, memory_order_relaxed);
	atomic_store_explicit(&k->outstanding, n + 1, memory_order_relaxed);
	if (g->request != NULL) {
		sent = gen_write(w, c, (const uint8_t *)g->request, g->request_len);
	} else {
		sent = gen_write(w, c, g->pattern + k->out_at, g->conf.size);
		k->out_at = (k->out_at + g->conf.size) % GEN_PATTERN;
	}
	if (!sent && c->proto->number == IPPROTO_TCP)
		c->proto->hangup(w, c, CONV_END_MEMORY);
}

void
gen_idle(struct worker *w, struct gen_conn *k)
{
	atomic_store_explicit(&k->stage, GEN_IDLE, memory_order_relaxed);
	list_push(k->g, &gen_worker_of(k, w)->idle, k);
}

void
gen_connected(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);
	struct gen *g = k->g;
	uint64_t now = gen_now_ns(g);

	gen_worker_of(k, w)->c.connects++;
	if (c->proto->number == IPPROTO_TCP)
		gen_met(g);
	k->handle = conv_handle(w->convs, &c->cn);
	if (g->interval_ns != 0) {
		gen_idle(w, k);
		return;
	}
	for (uint32_t i = 0; i < g->conf.pipeline && !k->closing; i++)
		gen_send(w, c, now);
}

void
gen_answered(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);
	struct gen *g = k->g;
	struct gen_worker *gw = gen_worker_of(k, w);
	uint64_t now = gen_now_ns(g), due = k->due_ns[k->first];

	k->first = (k->first + 1) % g->conf.pipeline;
	atomic_store_explicit(&k->outstanding,
		atomic_load_explicit(&k->outstanding, memory_order_relaxed) - 1,
		memory_order_relaxed);
	gw->c.requests++;
	gen_met(g);
	if (atomic_load_explicit(&g->measure, memory_order_relaxed))
		gen_hist_add(&gw->hist, now > due ? now - due : 0);
	if (g->conf.close || !atomic_load_explicit(&g->run, memory_order_relaxed))
		return;
	if (g->interval_ns != 0)
		gen_idle(w, k);
	else
		gen_send(w, c, now);
}

/** A schedule, or who found a datagram lost, wants a request. May come without cause. */
void
gen_kicked(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);
	uint64_t due;

	/* Acquire: pairs with gen_ask, gen_sweep. */
	if (!atomic_exchange_explicit(&k->asked, false, memory_order_acquire) || k->closing)
		return;
	due = k->next_due_ns;
	if (atomic_load_explicit(&k->outstanding, memory_order_relaxed) > 0) {
		/* Nobody asks a connection that waits for an answer but gen_sweep; it may have come meanwhile. */
		if (atomic_load_explicit(&k->sent_ns, memory_order_relaxed) + GEN_LOST_NS > due)
			return;
		gen_worker_of(k, w)->c.lost++;
		atomic_store_explicit(&k->outstanding, 0, memory_order_relaxed);
	}
	gen_send(w, c, due);
}

void
gen_close(struct worker *w, struct conv *c)
{
	struct gen_conn *k = gen_conn_of(c);

	k->closing = true;
	if (k->g->conf.reset)
		c->proto->hangup(w, c, CONV_END_CLOSED);
	else
		c->proto->close(w, c);
}

static void
gen_count_end(struct gen_worker *gw, enum conv_end why)
{
	switch (why) {
	case CONV_END_RESET:
		gw->c.reset++;
		break;
	case CONV_END_TIMEOUT:
		gw->c.timeout++;
		break;
	case CONV_END_REFUSED:
		gw->c.refused++;
		break;
	default:
		gw->c.other++;
		break;
	}
}

static void
gen_ended(struct worker *w, struct gen_conn *k, enum conv_end why)
{
	struct gen_worker *gw = gen_worker_of(k, w);
	uint8_t idle = GEN_IDLE;

	gen_met(k->g);
	if (!k->closing) {
		gen_count_end(gw, why);
		k->not_before_ns = gen_now_ns(k->g) + GEN_AGAIN_NS;
	}
	/* Release: who takes it from its list of idle ones opens it again. */
	if (!atomic_compare_exchange_strong_explicit(
		    &k->stage, &idle, GEN_GONE, memory_order_release, memory_order_relaxed))
		gen_free(gw, k);
}

void
gen_failed(struct worker *w, struct conv *c, enum conv_end why)
{
	gen_ended(w, gen_conn_of(c), why);
}

void
gen_hangup(struct worker *w, struct conv *c, enum conv_end why)
{
	gen_ended(w, gen_conn_of(c), why);
}

/* ---- between turns ---- */

/** @return false: not now, there is no memory or no port */
static bool
gen_open(struct worker *w, struct gen_conn *k, uint64_t now)
{
	struct gen *g = k->g;
	struct gen_worker *gw = gen_worker_of(k, w);
	uint32_t turn = (uint32_t)(k - g->conns);
	struct key key = g->conf.key;
	struct conv *c;
	int err;

	memcpy(key.laddr, g->from[turn % g->nfrom].addr, sizeof(key.laddr));
	key.rport_be = htons((uint16_t)(g->conf.port_lo +
		turn / g->nfrom % (g->conf.port_hi - g->conf.port_lo + 1u)));
	k->first = k->got = 0;
	k->closing = false;
	k->in_at = k->out_at;
	k->next_due_ns = now;
	atomic_store_explicit(&k->outstanding, 0, memory_order_relaxed);
	atomic_store_explicit(&k->asked, false, memory_order_relaxed);
	atomic_store_explicit(&k->stage, GEN_BUSY, memory_order_relaxed);
	err = g->conf.mode->proto->connect(w, g->conf.mode->service, &key, &k, &c);
	if (err != 0) {
		if (err == -EADDRINUSE)
			gw->c.no_port++;
		else
			gw->c.other++;
		k->not_before_ns = now + GEN_AGAIN_NS;
		gen_free(gw, k);
		return false;
	}
	conv_put(w, &c->cn);
	gw->c.opens++;
	return true;
}

static unsigned
gen_opens(struct worker *w, struct gen *g, struct gen_worker *gw, uint64_t now)
{
	bool met = atomic_load_explicit(&g->met, memory_order_relaxed);
	unsigned n = 0;

	if (!met && (gw != g->workers || gw->c.opens > 0))
		return 0;
	for (unsigned look = RTE_MIN(gw->free.n, met ? GEN_TURN_MAX : 1u);
		look > 0 && (g->open_interval_ns == 0 || gw->next_open_ns <= now); look--) {
		struct gen_conn *k = list_pop(g, &gw->free);
		uint64_t due = g->open_interval_ns == 0 ? now : gw->next_open_ns;

		if (k->not_before_ns > now) { /* it waits, and those behind it don't */
			list_push(g, &gw->free, k);
			continue;
		}
		gw->next_open_ns += g->open_interval_ns;
		n++;
		if (!gen_open(w, k, due))
			break;
	}
	return n;
}

/** Let the conversation of an idle connection send. @return false: it has gone */
static bool
gen_ask(struct worker *w, struct gen_conn *k, uint64_t due)
{
	uint8_t idle = GEN_IDLE;
	struct conv_handle h = k->handle;
	struct conv_node *cn;

	k->next_due_ns = due;
	/* Release: pairs with gen_kicked. */
	atomic_store_explicit(&k->asked, true, memory_order_release);
	/* Acquire: pairs with gen_ended. */
	if (!atomic_compare_exchange_strong_explicit(
		    &k->stage, &idle, GEN_BUSY, memory_order_acquire, memory_order_acquire)) {
		gen_free(gen_worker_of(k, w), k);
		return false;
	}
	cn = conv_by_handle(w->convs, h);
	if (cn == NULL)
		return false;
	conv_kick(w, cn, NODE_KICK);
	conv_put(w, cn);
	return true;
}

static unsigned
gen_requests(struct worker *w, struct gen *g, struct gen_worker *gw, uint64_t now)
{
	unsigned n = 0;

	if (g->interval_ns == 0)
		return 0;
	while (gw->next_ns <= now && gw->idle.n > 0 && n < GEN_TURN_MAX) {
		struct gen_conn *k =
			g->conf.mode->random ? list_draw(w, g, &gw->idle) : list_pop(g, &gw->idle);

		if (gen_ask(w, k, gw->next_ns))
			gw->next_ns += g->interval_ns;
		n++;
	}
	return n;
}

/** A datagram that was not answered within a second is lost, and its flow goes on. */
static void
gen_sweep(struct worker *w, struct gen *g, struct gen_worker *gw, uint64_t now)
{
	for (unsigned i = 0; i < GEN_SWEEP && i < g->conf.connections; i++) {
		struct gen_conn *k = &g->conns[gw->sweep];
		struct conv_node *cn;

		gw->sweep = (gw->sweep + g->nworkers) % g->conf.connections;
		if (atomic_load_explicit(&k->stage, memory_order_relaxed) != GEN_BUSY ||
			atomic_load_explicit(&k->outstanding, memory_order_relaxed) == 0 ||
			atomic_load_explicit(&k->asked, memory_order_relaxed) ||
			atomic_load_explicit(&k->sent_ns, memory_order_relaxed) + GEN_LOST_NS > now)
			continue;
		cn = conv_by_handle(w->convs, k->handle);
		if (cn == NULL)
			continue;
		k->next_due_ns = now;
		atomic_store_explicit(&k->asked, true, memory_order_release);
		conv_kick(w, cn, NODE_KICK);
		conv_put(w, cn);
	}
}

unsigned
gen_turn(void *arg, unsigned worker)
{
	struct gen *g = arg;
	struct gen_worker *gw = &g->workers[worker];
	struct worker *w = stack_seat(g->d->stack, worker);
	uint64_t now;
	unsigned n;

	if (!atomic_load_explicit(&g->run, memory_order_relaxed))
		return 1; /* never sleeps */
	now = gen_now_ns(g);
	if (gw->next_ns == 0)
		gw->next_ns = gw->next_open_ns = now;
	n = gen_opens(w, g, gw, now) + gen_requests(w, g, gw, now);
	if (g->conf.mode->proto->number == IPPROTO_UDP)
		gen_sweep(w, g, gw, now);
	return n + 1;
}

/* ---- made and unmade by the control thread ---- */

/** Our addresses of the target's version. @return 0, -ENOMEM, -EADDRNOTAVAIL: there are none */
static int
gen_make_from(struct gen *g)
{
	const struct config *c = g->d->c;
	uint8_t version = g->conf.version;
	unsigned n = 0;

	for (unsigned i = 0; i < c->ninterfaces; i++)
		n += c->interfaces[i].naddresses;
	g->from = calloc(n, sizeof(*g->from));
	if (g->from == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < c->ninterfaces; i++)
		for (unsigned j = 0; j < c->interfaces[i].naddresses; j++)
			if (c->interfaces[i].addresses[j].version == version)
				g->from[g->nfrom++] = c->interfaces[i].addresses[j];
	return g->nfrom > 0 ? 0 : -EADDRNOTAVAIL;
}

static int
gen_make_lists(struct gen *g)
{
	for (unsigned i = 0; i < g->nworkers; i++) {
		struct gen_worker *gw = &g->workers[i];

		gw->idle.at = calloc(g->conf.connections, sizeof(*gw->idle.at));
		gw->free.at = calloc(g->conf.connections, sizeof(*gw->free.at));
		if (gw->idle.at == NULL || gw->free.at == NULL)
			return -ENOMEM;
		gw->sweep = i % g->conf.connections;
	}
	for (uint32_t i = 0; i < g->conf.connections; i++) {
		struct gen_conn *k = &g->conns[i];

		k->g = g;
		k->due_ns = &g->due_ns[(size_t)i * g->conf.pipeline];
		k->out_at = (uint32_t)((i * UINT64_C(2654435761)) % GEN_PATTERN);
		list_push(g, &g->workers[i % g->nworkers].free, k);
	}
	return 0;
}

static uint64_t
gen_interval(const struct gen *g, double rate)
{
	return rate == 0 ? 0 : RTE_MAX((uint64_t)(GEN_NS_PER_S * g->nworkers / rate), UINT64_C(1));
}

int
gen_make(struct gen *g)
{
	struct worker random = {0};

	g->ns_per_tick = GEN_NS_PER_S / (double)rte_get_tsc_hz();
	g->interval_ns = gen_interval(g, g->conf.rate);
	g->open_interval_ns = gen_interval(g, g->conf.open_rate);
	g->workers = aligned_alloc(RTE_CACHE_LINE_SIZE, g->nworkers * sizeof(*g->workers));
	g->conns = aligned_alloc(RTE_CACHE_LINE_SIZE, g->conf.connections * sizeof(*g->conns));
	g->due_ns = calloc((size_t)g->conf.connections * g->conf.pipeline, sizeof(*g->due_ns));
	g->pattern = malloc(2 * GEN_PATTERN);
	if (g->workers == NULL || g->conns == NULL || g->due_ns == NULL || g->pattern == NULL)
		return -ENOMEM;
	memset(g->workers, 0, g->nworkers * sizeof(*g->workers));
	memset(g->conns, 0, g->conf.connections * sizeof(*g->conns));
	worker_seed(&random, g->conf.seed);
	for (unsigned i = 0; i < GEN_PATTERN; i++)
		g->pattern[i] = g->pattern[i + GEN_PATTERN] = (uint8_t)worker_random(&random);
	if (gen_make_lists(g) != 0)
		return -ENOMEM;
	return gen_make_from(g);
}

void
gen_unmake(struct gen *g)
{
	for (unsigned i = 0; g->workers != NULL && i < g->nworkers; i++) {
		free(g->workers[i].idle.at);
		free(g->workers[i].free.at);
	}
	free(g->workers);
	free(g->conns);
	free(g->due_ns);
	free(g->pattern);
	free(g->request);
	free(g->from);
}
