/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * EAL's start: its arguments made from the configuration, and what it says when it fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/**
 * Start EAL: lcore 0 is this thread, on every CPU; lcores 1 to workers.max stand on workers.cores in turn.
 *
 * Leaves nothing on disk that could stop another start. What EAL logs until eal_ready is kept
 * and shown only if it fails.
 *
 * @param more arguments from the command line, behind `--`
 * @return 0, or -errno with one line in fault
 */
int eal_start(const struct config *c, char **more, unsigned nmore, char *fault, size_t len);

/** A PCI address, "0000:3b:00.0" or "3b:00.0", perhaps with arguments behind a comma. */
bool eal_device_is_pci(const char *device);
/** And it begins with its domain. */
bool eal_pci_has_domain(const char *device);

/** The last thing EAL or a driver complained of since the start or the last call; "" if nothing. */
const char *eal_complaint(void);

/** From now on EAL's log goes to stderr as it comes. */
void eal_ready(void);

/** End EAL, and leave nothing of it on disk. */
void eal_end(void);
