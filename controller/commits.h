#pragma once

/* commits.h - how long the commits at the end of turns took, and how many failed: for metrics and /readyz. */

#include <stdbool.h>
#include <stdint.h>

#define COMMITS_BUCKETS 10

struct commits {
	unsigned long buckets[COMMITS_BUCKETS + 1]; /* By duration; the last one: longer than all bounds. */
	unsigned long failed;
	double seconds; /* Of all of them. */
	bool broken;    /* The newest one failed. */
};

/* Upper bounds of the buckets, in seconds. */
extern const double commits_bounds[COMMITS_BUCKETS];

void commits_note(struct commits *commits, int64_t took_us, bool failed);
