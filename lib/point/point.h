/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the convd authors
 *
 * Where a thread that shares memory with others may be overtaken: beside each shared access of the lifetime protocol.
 * Here they are nothing. tests/interleave has a header of the same name, and another build of the libraries that finds it
 * first: there a schedule decides at each point which thread goes on.
 */
#pragma once

/** Before an access to *where, which others may touch at the same time. what: its name, a literal. */
#define POINT(what, where) ((void)0)

/** In a loop that waits for what another thread must do first. */
#define POINT_WAIT(what, where) ((void)0)
