#pragma once

/* fleet_impl.h - what the fleet's own files share: fleet.c (load, commit), fleet_news.c (agents), fleet_change.c
 * (operators' requests), fleet_query.c (answers), fleet_rollout.c and fleet_rollout_ask.c, fleet_window.c.  Nobody else
 * includes it. */

#include <czmq.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/fleet.h"

struct rollout_effects;
struct rollout_world;
struct selector;
struct fleet_world;
struct store_rollout;
struct store_rollout_node;
struct store_window;

struct revision {
	uint32_t number;
	char hash[PB_HASH_LEN + 1];
	char *author;
	char *comment;
	uint64_t created_ms;
	Gdr__Profile *profile;
};
struct profile {
	char *name;
	struct revision *revisions; /* Ascending, without gaps, never empty. */
	size_t n;
};

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

struct fleet {
	struct store *store;
	struct keyring *keyring;
	const Gdr__GdrdConfig *config;
	zhashx_t *nodes;          /* name -> struct node */
	size_t n_guests;          /* Of them. */
	zhashx_t *dropped;        /* The same; removed in this turn. */
	zhashx_t *profiles;       /* name -> struct profile */
	struct rollout *rollouts; /* Oldest first. */
	size_t n_rollouts;
	struct window *windows; /* By name. */
	size_t n_windows;
	uint64_t stepped_ms; /* When rollouts last were. */
	uint64_t news_ms;    /* Something was heard this turn of a node that is in one; 0: nothing. */
	uint64_t started_ms;
	uint64_t patient_since_ms; /* Nobody is lost before this and lost_after. */
	uint64_t ticked_ms;
	uint64_t trimmed_ms;   /* When old events were last dropped. */
	struct node **touched; /* Of this turn, each once. */
	size_t n_touched;
	struct err failed; /* The first write of this turn that failed. */
};

/* --- fleet.c ------------------------------------------------------------------------------------------- */

/* On this turn's list; before any of its flags is set. */
void fleet_touch(struct fleet *fleet, struct node *node);
struct node *fleet_add_node(struct fleet *fleet, const char *name);
void fleet_drop_node(struct fleet *fleet, struct node *node);
const struct profile *fleet_profile(const struct fleet *fleet, const char *name);
/* NULL: there is none. */
const struct revision *fleet_revision(const struct fleet *fleet, const char *name, uint32_t number);
/* A new revision, stored and noted. */
const struct revision *fleet_add_revision(struct fleet *fleet, const struct ask *ask, const Gdr__Profile *document,
					  const char *comment);
/* The profile's spec with the node's override: of a host all but 'guest', of a guest that part alone.  NULL: nothing is
 * wanted.  The caller frees it. */
Gdr__Spec *fleet_spec(const struct fleet *fleet, const struct node *node);
/* After any change of what 'node' should be, and with it its guests: a new generation, if it is a change. True if it
 * was one. */
bool fleet_wanted_changed(struct fleet *fleet, struct node *node);

/* An audit event, in this turn's transaction. */
void fleet_event(struct fleet *fleet, uint64_t now_ms, const char *actor, const char *kind, const char *object,
		 const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The store's transaction, opened on the first write of a turn; false: it failed, and the turn is lost. */
bool fleet_writing(struct fleet *fleet);

/* An answer's line about a changed object; takes 'detail'. */
void fleet_changed(const struct ask *ask, const char *kind, const char *name, const char *done, char *detail);

/* --- fleet_change.c ------------------------------------------------------------------------------------ */

/* "NAME" (its newest revision) or "NAME@REVISION". */
int fleet_resolve(struct fleet *fleet, const char *text, char name[64], uint32_t *revision, struct err *err);
/* -EBUSY: it is in the hands of a rollout. */
int fleet_check_free(const struct node *node, struct err *err);

/* --- fleet_rollout.c ----------------------------------------------------------------------------------- */

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

/* --- fleet_window.c ------------------------------------------------------------------------------------ */

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

static inline void
fleet_set_text(char **field, const char *text)
{
	char *copy = text ? xstrdup(text) : NULL;

	free(*field);
	*field = copy;
}

/* --- fleet_state.c ------------------------------------------------------------------------------------- */

/* What 'node' is in now, a host with its guests; '*why' and '*remedy' (may be NULL) are the caller's to free. */
Gdr__NodeState fleet_state(const struct fleet *fleet, const struct node *node, uint64_t now_ms, char **why,
			   char **remedy);
/* Its report was measured against what is wanted now. */
bool fleet_report_is_current(const struct node *node);
/* Keeps state and since_ms, and notes what an operator would want to find in the events. */
void fleet_refresh(struct fleet *fleet, struct node *node, uint64_t now_ms);

/* --- fleet_query.c ------------------------------------------------------------------------------------- */

/* Nodes that 'of' names or selects, guests by their host's labels; in order of their names, a host before its guests; the
 * caller frees '*out'.  A name that is no node or a bad selector is an error. */
int fleet_select(struct fleet *fleet, const Gdr__Selection *of, struct node ***out, size_t *n, struct err *err);
/* For what is done to hosts: without guests, where naming one, or nothing selected at all, is an error. */
int fleet_select_hosts(struct fleet *fleet, const Gdr__Selection *of, struct node ***out, size_t *n, struct err *err);
