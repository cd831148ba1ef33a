#pragma once

/* window.h - is a maintenance window open?  Pure but for the tz database.
 *
 * Not for threads: libc knows one time zone at a time, and it is this window's during a call. */

#include <stdbool.h>
#include <stdint.h>

#include "proto/spec.pb-c.h"

struct err;

/* -EINVAL: no hours, a zone that the tz database has not, a selector that cannot be read. */
int window_check(const Gdr__Window *window, struct err *err);

/* At Unix time 'now_ms'; '*until_ms' is when that changes next. */
bool window_is_open(const Gdr__Window *window, uint64_t now_ms, uint64_t *until_ms);
