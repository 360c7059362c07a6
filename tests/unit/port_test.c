/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Ports: how a device with several receive queues is told to spread over them. On net_null, which keeps what it is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <rte_ethdev.h>

#include <cmocka.h>

#include "port.h"
#include "util.h"

#define GROUPS (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)

static void
port_make(struct port *p, struct test_net *n, const char *device, unsigned seats)
{
	struct port_conf conf = {
		.device = device, .mtu = 1500, .seats = seats, .mp = n->mp, .socket_id = -1};
	char fault[256] = "";

	if (port_probe(p, device, fault, sizeof(fault)) != 0 ||
		port_open(p, &conf, fault, sizeof(fault)) != 0)
		fail_msg("%s", fault);
}

/** Each entry of the table leads to the next queue; what each gets differs by one entry at most. */
static void
test_table(void **state)
{
	struct rte_eth_rss_reta_entry64 reta[GROUPS];
	struct rte_eth_dev_info info;
	struct rte_eth_rss_conf rss = {0};
	struct test_net n;
	struct port p;

	(void)state;
	test_net_init(&n, 1);
	port_make(&p, &n, "net_null0,no-rx=1", 3);
	assert_int_equal(p.nrx, 3);
	assert_int_equal(rte_eth_dev_info_get(p.id, &info), 0);
	assert_int_equal(info.reta_size, 128);
	memset(reta, 0, sizeof(reta));
	for (unsigned g = 0; g < 2; g++)
		reta[g].mask = UINT64_MAX;
	assert_int_equal(rte_eth_dev_rss_reta_query(p.id, reta, info.reta_size), 0);
	for (unsigned i = 0; i < info.reta_size; i++)
		assert_int_equal(
			reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE], i % 3);
	assert_int_equal(rte_eth_dev_rss_hash_conf_get(p.id, &rss), 0);
	assert_true((rss.rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0);
	assert_true((rss.rss_hf & RTE_ETH_RSS_NONFRAG_IPV6_UDP) != 0);
	assert_string_equal(p.rss, "by ip tcp udp, table of 128 entries over 3 queues");
	port_close(&p);
	test_net_fini(&n);
}

/** With one queue there is nothing to spread, and nothing to say of it. */
static void
test_one_queue(void **state)
{
	struct test_net n;
	struct port p;

	(void)state;
	test_net_init(&n, 1);
	port_make(&p, &n, "net_null1,no-rx=1", 1);
	assert_int_equal(p.nrx, 1);
	assert_string_equal(p.rss, "");
	port_close(&p);
	test_net_fini(&n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_one_queue),
	};

	test_eal("port_test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
