#include "controller/commits.h"

const double commits_bounds[COMMITS_BUCKETS] = { 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5 };

void
commits_note(struct commits *commits, int64_t took_us, bool failed)
{
	double seconds = (double)took_us / 1e6;
	int i = 0;

	while (i < COMMITS_BUCKETS && seconds > commits_bounds[i])
		i++;
	commits->buckets[i]++;
	commits->seconds += seconds;
	commits->failed += failed;
	commits->broken = failed;
}
