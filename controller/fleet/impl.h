#pragma once

/* impl.h - what the fleet's own files share: fleet.c (load, commit), news.c (agents), change.c
 * (operators' requests), query.c (answers), and those of rollout.h.  Nobody else includes it. */

#include <czmq.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/fleet/fleet.h"
#include "controller/fleet/rollout.h"

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
	uint64_t version; /* See fleet_version(). */
	uint64_t removed_version;
	bool wrote;                /* In this turn. */
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

/* --- change.c ------------------------------------------------------------------------------------------ */

/* "NAME" (its newest revision) or "NAME@REVISION". */
int fleet_resolve(struct fleet *fleet, const char *text, char name[64], uint32_t *revision, struct err *err);
/* -EBUSY: it is in the hands of a rollout. */
int fleet_check_free(const struct node *node, struct err *err);

static inline void
fleet_set_text(char **field, const char *text)
{
	char *copy = text ? xstrdup(text) : NULL;

	free(*field);
	*field = copy;
}

/* --- state.c ------------------------------------------------------------------------------------------- */

/* What 'node' is in now, a host with its guests; '*why' and '*remedy' (may be NULL) are the caller's to free. */
Gdr__NodeState fleet_state(const struct fleet *fleet, const struct node *node, uint64_t now_ms, char **why,
			   char **remedy);
/* The state that it was found in is by its own word, and it has said nothing since gdrd started. */
bool fleet_is_unconfirmed(const struct node *node);
/* Its report was measured against what is wanted now. */
bool fleet_report_is_current(const struct node *node);
/* "reboot 1 of 2: ", as far as its host can see; "": it sees none, or it is an operator's. The caller frees. */
char *fleet_reboot_count(const struct node *node);
/* It was granted a reboot and is not back in time. */
bool fleet_reboot_is_late(const struct fleet *fleet, const struct node *node, uint64_t now_ms);
/* Keeps state and since_ms, and notes what an operator would want to find in the events. */
void fleet_refresh(struct fleet *fleet, struct node *node, uint64_t now_ms);

/* --- since.c ------------------------------------------------------------------------------------------- */

/* Item by item, since when it is not right: as 'before' (may be NULL) says, else now. */
void fleet_date_report(Gdr__Report *news, Gdr__Report *before, uint64_t now_ms);
/* Of what the agent sent: of 'packed', which is 'report', but for the times that are ours. */
void fleet_report_digest(Gdr__Report *report, const uint8_t *packed, size_t len, uint8_t digest[PB_DIGEST_LEN]);

/* --- grant.c ------------------------------------------------------------------------------------------- */

/* Once a second: who may reboot now, and who no longer needs to. */
void fleet_grant_reboots(struct fleet *fleet, uint64_t now_ms);

/* --- query.c ------------------------------------------------------------------------------------------- */

/* Nodes that 'of' names or selects, guests by their host's labels; in order of their names, a host before its guests; the
 * caller frees '*out'.  A name that is no node or a bad selector is an error. */
int fleet_select(struct fleet *fleet, const Gdr__Selection *of, struct node ***out, size_t *n, struct err *err);
/* For what is done to hosts: without guests, where naming one, or nothing selected at all, is an error. */
int fleet_select_hosts(struct fleet *fleet, const Gdr__Selection *of, struct node ***out, size_t *n, struct err *err);
