#pragma once

/* cases.h - schedules that are written down. */

#include <stdint.h>

struct stage;

/* One dead host, one that hangs in its reboot and one that was broken before do not stop a rollout of a hundred. */
void case_hundred(const struct stage *stage);
/* A bad revision to a thousand stops at the canary, and the fleet ends as it began. */
void case_thousand(const struct stage *stage);
/* 'seed', a steady one, again and again, and each time gdrd dies in another turn or at another moment of it: it ends as
 * it does undisturbed. */
void case_every_moment(const struct stage *stage, uint64_t seed);
