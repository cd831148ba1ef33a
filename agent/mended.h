#pragma once

/* mended.h - what the agent had to put right although it had been right: what a report says of somebody else's hand. */

#include "proto/wire.pb-c.h"

/* Adds what one pass put right, right before or not: 'had' is what was found. */
void mended_add(Gdr__Report *report, const char *layer, const char *key, const char *had, const char *have);

/* Of what this pass put right, leaves what was right at the last one ('last' may be NULL: nobody knows), and keeps the last
 * few of before: a report may replace another before anybody has read that.  The number of new ones, which stand last. */
size_t mended_carry(const Gdr__Report *last, Gdr__Report *report);
