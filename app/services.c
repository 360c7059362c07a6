/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 */
#include "services.h"

#include <stddef.h>

const struct service *const services[] = {
	&svc_chargen,
	&svc_discard,
	&svc_echo,
	&svc_http,
	NULL,
};
