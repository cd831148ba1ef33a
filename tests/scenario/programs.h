#pragma once

/* programs.h - what rollouts have run, played: hooks that drain and undrain hosts, checks, and who is told.
 *
 * Like the real ones they end some time later, well or not, and what they did stays done when gdrd is gone and does not
 * hear of it.  A check says what its word tells it to. */

#include <stdbool.h>

struct sim;

/* Those that have ended are told to the model. */
void programs_end(struct sim *sim);
/* Those that are wanted and do not run are begun; after the commit. */
void programs_begin(struct sim *sim);
/* gdrd is gone. */
void programs_forget(struct sim *sim);
/* Nothing is wanted but hosts that are to be emptied. */
bool programs_are_done(struct sim *sim);
