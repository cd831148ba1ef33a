#pragma once

/* hooks.h - runs the programs that rollouts want to have run (proto/rollout.proto, RolloutCheck), and tells the fleet
 * how they ended.
 *
 * Only a file of the hooks folder that root or we own and nobody else may write is run; operators name it and cannot
 * bring one.  Nothing here waits: a child's end is an event of the loop, and one that takes too long is killed with
 * its process group.  What is wanted stands in the fleet; what runs is forgotten with gdrd and run again. */

#include <stdint.h>

#include "controller/turn.h"
#include "proto/config.pb-c.h"

struct fleet;
struct hooks;

struct hooks *hooks_new(struct fleet *fleet, const Gdr__GdrdConfig *config, const struct turn *turn);
void hooks_free(struct hooks *hooks); /* Ends what runs; NULL is fine. */

/* Once a second: starts what is wanted and does not run, kills what is over its time. */
void hooks_tick(struct hooks *hooks);
