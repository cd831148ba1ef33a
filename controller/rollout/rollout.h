#pragma once

/* rollout.h - the rollout engine: what the fleet looks like, a record and a time give what the record becomes and
 * which nodes are given which revision.
 *
 * Pure: no clock, no database, no network, nothing kept between two calls.  The caller (controller/fleet/rollout.c) stores the
 * record and does the actions in one transaction.  Every deadline is a Unix time in the record; while it is paused,
 * and while nobody called (gdrd was away, the clock jumped), they are moved on.  Plans are made by plan.c,
 * steps by step.c, which looks at nodes with node.c and judges waves with gate.c; compare.c tells
 * whether a node has become worse. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "proto/api.pb-c.h"

struct err;

/* A host, or one of its guests. */
struct rollout_part {
	const char *name;
	const Gdr__Report *report; /* NULL: none yet. */
};

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
	bool measured;  /* Its report is of this generation, content and boot, in mode enforce; and if so: */
	bool settled;   /* every item is right, */
	bool stuck;     /* or a person must act. */
	bool taken;     /* In the hands of another rollout. */
	bool inherited; /* For a plan that supersedes: the rollout that ends for it had begun to move it. */
	bool selected;  /* For a plan. */
	const Gdr__Node *document;
	const Gdr__Inventory *inventory; /* NULL: not known. */
	const struct rollout_part *parts;
	size_t n_parts;
};

struct rollout_world {
	const struct rollout_seen *nodes; /* All of the fleet, by name. */
	size_t n;
	bool patient;     /* gdrd has just started: silence says nothing yet. */
	const char *shut; /* The plan's window is: "window nights opens at ..."; NULL: it is open, or there is none. */
	const Gdr__RolloutRecord *const *active; /* All that are, this one too: what they allow, none may exceed. */
	size_t n_active;
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
	bool ticked;  /* Its clock. */
	bool changed; /* Anything else, but the nodes: */
	bool *nodes_changed;
	struct rollout_action *actions;
	size_t n_actions;
	struct rollout_note *notes; /* For the audit log. */
	size_t n_notes;
	struct buf blocks; /* What progress hangs on now; empty: nothing. */
};
void rollout_effects_free(struct rollout_effects *effects);

/* The node of that name; NULL: there is none. */
const struct rollout_seen *rollout_find(const struct rollout_world *world, const char *name);

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

/* A program that is to be run for a rollout now, as proto/rollout.proto tells: what is wanted follows from the record
 * alone, so that nothing is lost with gdrd.  Strings are the record's. */
struct rollout_call {
	enum rollout_call_kind {
		ROLLOUT_DRAIN,
		ROLLOUT_UNDRAIN,
		ROLLOUT_CHECK,
		ROLLOUT_NOTIFY
	} kind;
	const char *program;
	size_t index;   /* Of the node, the check or the program to be told, */
	uint64_t of_ms; /* and for which of its times: an answer that comes too late is not taken for another's. */
	const char *const *words;
	size_t n_words;
	const char *word[2]; /* What 'words' is, but for checks. */
};
/* The caller frees '*out'. */
size_t rollout_calls(const Gdr__RolloutRecord *record, struct rollout_call **out);
/* It ended with 'status' (-1: not at all) and the last line 'text'; of 'call' kind, index and of_ms are looked at.  What
 * is not wanted any more changes nothing. */
void rollout_called(Gdr__RolloutRecord *record, const struct rollout_call *call, int status, const char *text,
		    struct rollout_effects *out);

/* 'by', which is new, takes its nodes over, and with them what they were drained for: it ends where it is. */
void rollout_supersede(Gdr__RolloutRecord *record, Gdr__RolloutRecord *by, uint64_t now_ms,
		       struct rollout_effects *out);

/* It may still change something: running, paused, rolling back. */
bool rollout_is_active(const Gdr__RolloutRecord *record);
/* 'node' of an active rollout is its own: nobody else may move it. */
bool rollout_owns(const Gdr__RolloutRecord *record, const Gdr__RolloutNode *node);
/* Claimed and not yet done, failed, or back. */
bool rollout_is_moving(const Gdr__RolloutNode *node);
/* It has nodes in its hands at this moment: what it allows holds for everybody else, too. */
bool rollout_moves_any(const Gdr__RolloutRecord *record);
/* Charged to the failure budget. */
bool rollout_is_charged(const Gdr__RolloutNode *node);

/* The counts of a view. */
void rollout_count(const Gdr__RolloutRecord *record, Gdr__RolloutView *view);
