#pragma once

/* rollout.h - the rollout engine: what the fleet looks like, a record and a time give what the record becomes and
 * which nodes are given which revision.
 *
 * Pure: no clock, no database, no network, nothing kept between two calls.  The caller (fleet_rollout.c) stores the
 * record and does the actions in one transaction.  Every deadline is a Unix time in the record; while it is paused,
 * and while nobody called (gdrd was away, the clock jumped), they are moved on.  Plans are made by rollout_plan.c,
 * steps by rollout_step.c, which looks at nodes with rollout_node.c and judges waves with rollout_gate.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "proto/api.pb-c.h"

struct err;

/* What the engine may know of a node. */
struct rollout_seen {
	const char *name;
	const char *profile; /* Assigned; NULL: none. */
	uint32_t revision;
	const char *last_ready; /* NAME@REVISION; NULL: it never was. */
	const char *boot_id;
	uint64_t generation;
	Gdr__NodeState state;
	const char *why;
	Gdr__Mode mode;
	bool connected;
	bool measured; /* Its report is of this generation, content and boot, in mode enforce; and if so: */
	bool settled;  /* every item is right, */
	bool stuck;    /* or a person must act. */
	bool taken;    /* In the hands of another rollout. */
	bool selected; /* For a plan. */
	const Gdr__Node *document;
	const Gdr__Inventory *inventory; /* NULL: not known. */
};

struct rollout_world {
	const struct rollout_seen *nodes; /* All of the fleet, by name. */
	size_t n;
	bool patient; /* gdrd has just started: silence says nothing yet. */
};

/* 'node' is to have this revision; its strings are the record's. */
struct rollout_action {
	Gdr__RolloutNode *node;
	char *profile; /* NULL: none. */
	uint32_t revision;
	bool revert;
};
struct rollout_note {
	const char *kind; /* "rollout.paused" */
	char *text;
};

/* What a step did to the record. */
struct rollout_effects {
	bool changed; /* All but the nodes. */
	bool *nodes_changed;
	struct rollout_action *actions;
	size_t n_actions;
	struct rollout_note *notes; /* For the audit log. */
	size_t n_notes;
	struct buf blocks; /* What progress hangs on now; empty: nothing. */
};
void rollout_effects_free(struct rollout_effects *effects);

/* The record of 'plan' as it starts now, without doing anything; its name and revision are filled in.  'err' where the
 * plan makes no sense for this fleet.  '*unchanged': selected nodes that are ready on that revision and not in it. */
int rollout_plan(const struct rollout_world *world, const Gdr__Rollout *plan, uint64_t now_ms, Gdr__RolloutRecord **out,
		 uint32_t *unchanged, struct err *err);

/* One step.  'out' is empty before. */
void rollout_step(const struct rollout_world *world, Gdr__RolloutRecord *record, uint64_t now_ms,
		  struct rollout_effects *out);

/* A person's decision by 'who'; -EAGAIN: the version is not the one that was seen. */
int rollout_decide(Gdr__RolloutRecord *record, const Gdr__RolloutChange *change, const char *who, uint64_t now_ms,
		   struct rollout_effects *out, struct err *err);

/* It may still change something: running, paused, rolling back. */
bool rollout_is_active(const Gdr__RolloutRecord *record);
/* 'node' of an active rollout is its own: nobody else may move it. */
bool rollout_owns(const Gdr__RolloutRecord *record, const Gdr__RolloutNode *node);
/* Claimed and not yet done, failed, or back. */
bool rollout_is_moving(const Gdr__RolloutNode *node);
/* Charged to the failure budget. */
bool rollout_is_charged(const Gdr__RolloutNode *node);

/* The counts of a view. */
void rollout_count(const Gdr__RolloutRecord *record, Gdr__RolloutView *view);
