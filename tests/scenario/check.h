#pragma once

/* check.h - what must always hold of rollouts, whatever happens; looked at after every turn. */

#include "tests/scenario/sim.h"

#define ROLLOUTS_MAX 4

struct check {
	Gdr__RolloutRecord *before[ROLLOUTS_MAX]; /* As they were after the last turn; NULL: none. */
	size_t n;
	bool moved[ROLLOUTS_MAX];    /* Some node, as of the last turn; */
	bool *moving;                /* each host, too, by any. */
	size_t *place[ROLLOUTS_MAX]; /* Of each host in it, from 1; 0: it is not. */
	char (*had)[80];             /* What each host was assigned. */
	bool moved_by_hand;          /* An operator assigned something in this turn. */
};

void check_begin(struct check *check, struct sim *sim);
void check_turn(struct check *check, struct sim *sim, char *const *rollouts, size_t n);
/* After all is at rest and every program has ended. */
void check_rest(const struct check *check, struct sim *sim);
void check_end(struct check *check);
