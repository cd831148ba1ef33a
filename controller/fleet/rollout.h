#pragma once

/* rollout.h - the part of the model that moves it: rollouts (rollout.c, rollout_ask.c) and the windows
 * that they keep to (window.c).  Of impl.h alone. */

#include "controller/fleet/fleet.h"

struct fleet_world;
struct rollout_effects;
struct rollout_world;
struct selector;
struct store_rollout;
struct store_rollout_node;
struct store_window;

struct rollout {
	Gdr__RolloutRecord *record;
	char *blocks;      /* What its progress hangs on, as of the last step. */
	bool dirty;        /* The record is to be stored, */
	bool *nodes_dirty; /* and these of its nodes. */
};

struct window {
	Gdr__Window *document;
	struct selector *selector; /* NULL: of no node. */
};

/* --- rollout.c ----------------------------------------------------------------------------------------- */

int fleet_load_rollout(struct fleet *fleet, const struct store_rollout *row);
int fleet_load_rollout_node(struct fleet *fleet, const struct store_rollout_node *row);
/* After all is loaded. */
void fleet_own_nodes(struct fleet *fleet);
void fleet_drop_rollouts(struct fleet *fleet);
struct rollout *fleet_rollout(const struct fleet *fleet, const char *name);
/* Takes 'record', which is new. */
struct rollout *fleet_add_rollout(struct fleet *fleet, Gdr__RolloutRecord *record);
/* What the engine may see; for a plan 'chosen' are the selected nodes, and whatever is in a rollout is taken.  Free
 * with fleet_world_free(). */
struct fleet_world *fleet_world(struct fleet *fleet, uint64_t now_ms);
/* The same for one rollout at work, or (NULL) for a new one over 'chosen'. */
const struct rollout_world *fleet_world_for(struct fleet_world *world, const char *rollout, struct node *const *chosen,
					    size_t n);
/* For a plan: the nodes of this rollout, which ends for it, are free. */
void fleet_world_take_over(struct fleet_world *world, const Gdr__RolloutRecord *record);
void fleet_world_free(struct fleet_world *world);
/* Marks what changed, gives nodes their revisions, notes events. */
void fleet_take_effects(struct fleet *fleet, struct rollout *rollout, struct rollout_effects *effects,
			const char *actor, uint64_t now_ms);
void fleet_step_rollouts(struct fleet *fleet, uint64_t now_ms);
/* Those that are dirty, in this turn's transaction. */
void fleet_write_rollouts(struct fleet *fleet);
void fleet_rollouts_written(struct fleet *fleet);

/* --- foresee.c ----------------------------------------------------------------------------------------- */

/* Of a plan, which 'view' is of: whom it takes away at once, and how long it should take. */
int fleet_foresee(const struct fleet *fleet, Gdr__RolloutView *view, struct err *err);

/* --- window.c ------------------------------------------------------------------------------------------ */

int fleet_load_window(struct fleet *fleet, const struct store_window *row);
void fleet_drop_windows(struct fleet *fleet);
/* NULL: there is none, or 'name' is NULL. */
const Gdr__Window *fleet_window(const struct fleet *fleet, const char *name);
/* Checks all that 'apply' brings, then takes them. */
int fleet_check_windows(const Gdr__Apply *apply, struct err *err);
void fleet_apply_windows(struct fleet *fleet, const struct ask *ask, const Gdr__Apply *apply);
/* NULL, or what it waits for: "window nights opens at 2026-11-24 22:00 UTC".  The caller frees. */
char *fleet_window_shut(const Gdr__Window *window, uint64_t now_ms);
/* The same of any window that keeps 'node' from being rebooted: its rollout's, and those that fit it. */
char *fleet_node_shut(const struct fleet *fleet, const struct node *node, uint64_t now_ms);
