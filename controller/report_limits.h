#pragma once

/* report_limits.h - how much an agent may report: more than an honest one has to say, and little enough that what it says
 * fills neither an operator's screen nor the controller's memory. */

#include <stdbool.h>
#include <stddef.h>

#include "proto/wire.pb-c.h"

struct err;

/* 0, or -E2BIG and what is too much of it; 'len': bytes of the frame.  A guest is trusted with less than a host. */
int report_limits_check(const Gdr__Report *report, size_t len, bool guest, struct err *err);
