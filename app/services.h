/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * The services that come with convd: one file each, one line each in the table.
 */
#pragma once

#include "proto.h"

extern const struct service svc_chargen; /* RFC 864 */
extern const struct service svc_discard; /* RFC 863 */
extern const struct service svc_echo; /* RFC 862 */
extern const struct service svc_http;

/** All of them; the last entry is NULL. */
extern const struct service *const services[];
