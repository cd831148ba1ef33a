#pragma once

/* schedule.h - one seed, played: a fleet, rollouts, what operators do meanwhile, and what goes wrong. */

#include "tests/scenario/check.h"

/* Where it is played. */
struct stage {
	struct zap *zap;
	const char *database;
	size_t hosts; /* 0: as many as the seed says. */
	bool verbose;
};

struct schedule {
	struct sim sim;
	struct check check;
	char *rollouts[ROLLOUTS_MAX];
	size_t n;
	bool window; /* Plans keep to window w. */
	bool steady; /* No faults but those of gdrd itself: the end is known. */
};

void schedule_set_up(struct schedule *schedule, const struct stage *stage, uint64_t seed);
/* Joined and ready; and, if it is not steady, some of them bad. */
void schedule_make_fleet(struct schedule *schedule, size_t hosts);
/* Until each rollout has ended, or waits for a person. */
void schedule_play(struct schedule *schedule);
void schedule_tear_down(struct schedule *schedule);

/* All of it.  'calm': gdrd neither dies nor fails to commit, but in 'crash_turn' at 'moment', if that is not 0.  How it
 * ended, for comparing: the state of each rollout, the revision of each node; the caller frees it. */
struct fate {
	bool calm;
	uint64_t crash_turn;
	enum moment moment;
};
char *schedule_run(const struct stage *stage, uint64_t seed, struct fate fate, uint64_t *turns);
