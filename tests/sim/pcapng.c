/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Blocks are 32-bit words: type, length, body, options, length again. Host byte order: the section header says which.
 */
#include "pcapng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SECTION   0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET    6u /* enhanced */
#define LINK_ETHERNET   1u
#define OPT_IF_NAME     2u
#define OPT_IF_TSRESOL  9u
#define OPT_EPB_FLAGS   2u
#define PAD(n)          (((n) + 3u) & ~3u)

struct pcapng {
	FILE *f;
};

static void
put32(struct pcapng *p, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, p->f);
}

static void
put_bytes(struct pcapng *p, const void *b, uint32_t len)
{
	static const uint8_t zero[4];

	fwrite(b, 1, len, p->f);
	fwrite(zero, 1, PAD(len) - len, p->f);
}

static void
put_section(struct pcapng *p)
{
	static const uint32_t words[] = {
		BLOCK_SECTION, 28, 0x1a2b3c4d, /* version 1.0: */ 1, UINT32_MAX, UINT32_MAX, 28};

	fwrite(words, sizeof(words), 1, p->f);
}

static void
put_interface(struct pcapng *p, const char *name)
{
	uint32_t n = (uint32_t)strlen(name), len = 16 + 4 + PAD(n) + 8 + 4 + 4;

	put32(p, BLOCK_INTERFACE);
	put32(p, len);
	put32(p, LINK_ETHERNET);
	put32(p, 0); /* no snap length */
	put32(p, OPT_IF_NAME | n << 16);
	put_bytes(p, name, n);
	put32(p, OPT_IF_TSRESOL | 1u << 16);
	put32(p, 9); /* ns */
	put32(p, 0); /* end of options */
	put32(p, len);
}

struct pcapng *
pcapng_open(const char *file)
{
	struct pcapng *p = malloc(sizeof(*p));

	if (p == NULL)
		return NULL;
	p->f = fopen(file, "wb");
	if (p->f == NULL) {
		free(p);
		return NULL;
	}
	put_section(p);
	put_interface(p, "host0");
	put_interface(p, "host1");
	return p;
}

void
pcapng_packet(struct pcapng *p, unsigned ifc, enum pcapng_way way, uint64_t at_us, const uint8_t *b,
	uint32_t len)
{
	uint64_t ns = at_us * 1000;
	uint32_t total = 28 + PAD(len) + 8 + 4 + 4;

	put32(p, BLOCK_PACKET);
	put32(p, total);
	put32(p, ifc);
	put32(p, (uint32_t)(ns >> 32));
	put32(p, (uint32_t)ns);
	put32(p, len);
	put32(p, len);
	put_bytes(p, b, len);
	put32(p, OPT_EPB_FLAGS | 4u << 16);
	put32(p, way);
	put32(p, 0);
	put32(p, total);
}

int
pcapng_close(struct pcapng *p)
{
	int err = ferror(p->f) != 0;

	err |= fclose(p->f) != 0;
	free(p);
	return err ? -1 : 0;
}
