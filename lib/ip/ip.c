/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The network layer as one object: made and freed, its rate limits, its counters.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_malloc.h>

#include "ip_priv.h"

#define IP_RATE_DEFAULT       1000
#define IP_NEIGHBOURS_DEFAULT 4096
#define IP_TOKEN              1000000u /* one token in a bucket's units: a microsecond's worth each */
#define IP_BUCKET_FULL_US     16000000 /* in that time any bucket is full */

static int
ip_init(struct ip *ip, const struct ip_conf *conf)
{
	int err;

	ip->secret = conf->secret;
	ip->nworkers = conf->workers;
	ip->icmp_rate = conf->icmp_rate != 0 ? conf->icmp_rate : IP_RATE_DEFAULT;
	atomic_init(&ip->gen, 1);
	rte_spinlock_init(&ip->tick_lock);
	for (unsigned i = 0; i < IP_IDENTS; i++) {
		uint64_t seed[2] = {0x6964656e74, i};

		atomic_init(&ip->idents[i], (uint32_t)key_siphash(&ip->secret, seed, sizeof(seed)));
	}
	ip->workers = rte_zmalloc_socket("ip_worker", (conf->workers + 1) * sizeof(*ip->workers),
		RTE_CACHE_LINE_SIZE, conf->socket_id);
	if (ip->workers == NULL)
		return -ENOMEM;
	err = neigh_init(ip, conf->neighbours != 0 ? conf->neighbours : IP_NEIGHBOURS_DEFAULT,
		conf->socket_id);
	if (err != 0)
		return err;
	return ip_route_init(ip, conf->socket_id);
}

struct ip *
ip_create(const struct ip_conf *conf, int *ret_err)
{
	struct ip *ip;
	int err;

	if (conf->workers == 0 || conf->workers > WORKER_MAX || conf->name == NULL ||
		strlen(conf->name) >= sizeof(ip->name)) {
		*ret_err = -EINVAL;
		return NULL;
	}
	ip = rte_zmalloc_socket("ip", sizeof(*ip), RTE_CACHE_LINE_SIZE, conf->socket_id);
	if (ip == NULL) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	(void)snprintf(ip->name, sizeof(ip->name), "%s", conf->name);
	err = ip_init(ip, conf);
	if (err != 0) {
		ip_free(ip);
		*ret_err = err;
		return NULL;
	}
	return ip;
}

void
ip_free(struct ip *ip)
{
	if (ip == NULL)
		return;
	neigh_fini(ip);
	ip_route_fini(ip);
	rte_free(ip->workers);
	rte_free(ip);
}

/* Addresses or routes changed: every path is made anew when it is next used. */
void
ip_changed(struct ip *ip)
{
	/* Release: who sees the new number sees the change; pairs with ip_path's acquire. 0 means
	 * "no path yet" and is skipped. */
	if (atomic_fetch_add_explicit(&ip->gen, 1, memory_order_release) == UINT32_MAX)
		atomic_fetch_add_explicit(&ip->gen, 1, memory_order_release);
}

/*
 * Take a token. Both the bucket's size and the price are drawn at random around their means, so
 * that nobody can count answers to learn what else was answered (CVE-2020-25705). A price stands
 * until it is paid: who tries often does not find a cheap one.
 */
bool
ip_bucket_take(struct worker *w, struct ip_bucket *b, uint32_t rate)
{
	uint64_t elapsed_us = RTE_MIN(w->now_us - b->at_us, (uint64_t)IP_BUCKET_FULL_US);

	b->at_us = w->now_us;
	b->tokens += elapsed_us * rate;
	if (b->tokens >= b->size) {
		/* Between a tenth and a fifth of a second's worth, at least 6 tokens. */
		uint64_t mean = (uint64_t)RTE_MAX(rate / 10, 6u) * IP_TOKEN;

		b->size = mean + worker_random(w) % mean;
		b->tokens = RTE_MIN(b->tokens, b->size);
	}
	if (b->tokens < b->price)
		return false;
	b->tokens -= b->price;
	b->price = IP_TOKEN / 2 + (uint32_t)(worker_random(w) % IP_TOKEN);
	return true;
}

static uint32_t
ip_share(const struct ip *ip, uint32_t rate)
{
	return RTE_MAX(rate / ip->nworkers, 1u);
}

bool
ip_rate_ok(struct worker *w)
{
	bool ok = ip_bucket_take(w, &ip_self(w)->errors, ip_share(w->ip, w->ip->icmp_rate));

	if (!ok)
		ip_count(w, IP_STAT_icmp_errors_limited);
	return ok;
}

bool
ip_echo_ok(struct worker *w)
{
	uint32_t rate = (uint32_t)RTE_MIN((uint64_t)w->ip->icmp_rate * IP_ECHO_FACTOR, 10000000u);

	return ip_bucket_take(w, &ip_self(w)->echoes, ip_share(w->ip, rate));
}

/* One peer gets at most a tenth of the limit; peers whose hashes meet share one bucket. */
bool
ip_peer_ok(struct worker *w, const uint8_t peer[16])
{
	uint64_t h = key_siphash(&w->ip->secret, peer, 16);
	struct ip_bucket *b = &ip_self(w)->peers[h & (IP_PEERS - 1)];

	if (ip_bucket_take(w, b, ip_share(w->ip, w->ip->icmp_rate / 10)))
		return true;
	ip_count(w, IP_STAT_icmp_errors_limited);
	return false;
}

static const char *const ip_stat_names[IP_STAT_MAX] = {
#define X(name) #name,
	IP_STATS(X)
#undef X
};

void
ip_stats(const struct ip *ip, void (*each)(void *arg, const char *name, uint64_t value), void *arg)
{
	for (unsigned s = 0; s < IP_STAT_MAX; s++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i <= ip->nworkers; i++)
			sum += atomic_load_explicit(&ip->workers[i].stat[s], memory_order_relaxed);
		each(arg, ip_stat_names[s], sum);
	}
}
