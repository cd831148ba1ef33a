#pragma once

/* fleet.h - THE model: every node, profile and event, and its only mutator.
 *
 * One writer per fact: operators' requests (fleet_apply() ... fleet_reboot()) write what is wanted, agents' news
 * (fleet_hello() ... fleet_lease()) what is seen.  Nothing here sends: a change marks the node 'push', and after
 * fleet_commit() the caller sends what is marked.  If the commit fails the model is loaded anew from the store, so
 * that memory is never ahead of the disk.  Times: 'now_ms' is Unix milliseconds, given by the caller. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/pb.h"
#include "proto/api.pb-c.h"
#include "proto/config.pb-c.h"

struct err;
struct fleet;
struct keyring;
struct store;

/* A host, or a guest "HOST/VM".  Read by everyone, written by fleet*.c alone. */
struct node {
	char *name;
	struct node *host;    /* Of a guest; NULL: it is a host itself. */
	struct node **guests; /* Of a host. */
	size_t n_guests;
	char *key;           /* NULL: declared, not joined. */
	Gdr__Node *document; /* labels, override. */
	char *profile;       /* NULL: none.  A guest's, like its mode, is its host's. */
	uint32_t revision;
	uint64_t generation;
	Gdr__Mode mode;
	char *mode_why;
	Gdr__NodeState state;
	uint64_t since_ms;
	char *boot_id;    /* As last heard. */
	char *grant_boot; /* Open grant. */
	uint64_t granted_ms;
	char *leave_boot; /* An operator wants this boot ended. */
	char *leave_why;
	Gdr__Report *report;           /* NULL: none yet. */
	uint8_t digest[PB_DIGEST_LEN]; /* Of 'report', once it is committed. */
	char *spec_hash;               /* Of the spec that is wanted now; NULL: none is. */
	char *wanted;                  /* The same with the mode: what a generation stands for. */
	char *last_ready;              /* NAME@REVISION that it was last ready on; NULL: none. */

	/* In memory only. */
	uint64_t seen_ms;        /* 0: not since gdrd started. */
	uint64_t told;           /* Generation that is on the agent's disk. */
	char *version;           /* Of the agent. */
	uint64_t wants_since_ms; /* Waits for a grant since. */
	char *wait_why;          /* Why it does not get one yet. */
	uint64_t noted_ms;       /* What guests bring into the events is paid for until then. */
	bool needs_guests;       /* What is wanted says how its guests are to be: it is ready when they are. */
	uint32_t silent_s;       /* Its root half has not looked for so long; 0: it is well. */
	bool connected;
	bool cloned;
	const char *rollout; /* That owns it: nobody else may give it a revision.  NULL: none. */
	bool moving;         /* And moves it now. */
	uint64_t changed;    /* fleet_version() when operators last saw it change. */
	bool touched;        /* On the list of this turn; then one or more of: */
	bool push;           /* its agent is to be sent Desired, */
	bool acknowledge;    /* its agent is to be sent LeaseOk, */
	bool dirty;          /* it is to be stored, */
	bool dirty_report;
	bool news; /* only what is in memory of it changed. */
};

int fleet_open(struct store *store, struct keyring *keyring, const Gdr__GdrdConfig *config, uint64_t now_ms,
	       struct fleet **out, struct err *err);
void fleet_close(struct fleet *fleet);

/* Everything since the last commit, in one transaction.  On failure the model is as the store has it. */
int fleet_commit(struct fleet *fleet, struct err *err);

/* After the commit: nodes with 'push' or 'acknowledge', for the caller to serve; then the turn is over. */
struct node **fleet_touched(struct fleet *fleet, size_t *n);
void fleet_turn_over(struct fleet *fleet);

struct node *fleet_node(const struct fleet *fleet, const char *name);
struct node *fleet_first(struct fleet *fleet); /* In no order; ended by NULL. */
struct node *fleet_next(struct fleet *fleet);
size_t fleet_size(const struct fleet *fleet);
size_t fleet_hosts(const struct fleet *fleet); /* Of them. */

/* Everything wanted of 'node'; the caller frees it. */
Gdr__Desired *fleet_desired(struct fleet *fleet, const struct node *node);

/* --- agents' news ------------------------------------------------------------------------------------ */

void fleet_hello(struct fleet *fleet, struct node *node, const Gdr__Hello *hello, uint64_t now_ms);
/* Takes 'report' if it is one that can be believed: of a generation that we gave out. */
void fleet_report(struct fleet *fleet, struct node *node, Gdr__Report **report, uint64_t now_ms);
void fleet_lease(struct fleet *fleet, struct node *node, const Gdr__Lease *lease, uint64_t now_ms);
void fleet_cloned(struct fleet *fleet, struct node *node, const char *address, uint64_t now_ms);
/* A token admits 'key' as node 'name'; 0, or why not in 'err'. */
int fleet_enrol(struct fleet *fleet, const char *token_key, const char *name, const char *key, uint64_t now_ms,
		struct err *err);
/* Once a second: lost nodes, grants, rollouts, tokens that expire. */
void fleet_tick(struct fleet *fleet, uint64_t now_ms);

/* --- operators' requests ------------------------------------------------------------------------------ */

/* Who asks, and where the answer goes: 'changes' is added to, 'effects' false is a dry run. */
struct ask {
	const char *actor; /* "user/alice" */
	uint64_t now_ms;
	bool dry_run;
	Gdr__Response *answer;
};
/* Each checks everything first and changes all or nothing; a negative errno and 'err' otherwise. */
int fleet_apply(struct fleet *fleet, const struct ask *ask, const Gdr__Apply *apply, struct err *err);
int fleet_accept(struct fleet *fleet, const struct ask *ask, const char *key, const char *name, struct err *err);
int fleet_remove(struct fleet *fleet, const struct ask *ask, const Gdr__Selection *of, struct err *err);
int fleet_label(struct fleet *fleet, const struct ask *ask, const Gdr__NodeLabel *label, struct err *err);
int fleet_mode(struct fleet *fleet, const struct ask *ask, const Gdr__NodeMode *mode, struct err *err);
int fleet_assign(struct fleet *fleet, const struct ask *ask, const Gdr__NodeAssign *assign, struct err *err);
int fleet_reboot(struct fleet *fleet, const struct ask *ask, const Gdr__NodeReboot *reboot, struct err *err);
int fleet_rollout_plan(struct fleet *fleet, const struct ask *ask, const Gdr__Rollout *plan, struct err *err);
int fleet_rollout_start(struct fleet *fleet, const struct ask *ask, const Gdr__Rollout *plan, struct err *err);
int fleet_rollout_change(struct fleet *fleet, const struct ask *ask, const Gdr__RolloutChange *change, struct err *err);
int fleet_window_remove(struct fleet *fleet, const struct ask *ask, const Gdr__WindowRemove *remove, struct err *err);

/* Programs that rollouts want to have run now, after the commit (struct rollout_call of controller/rollout/rollout.h). */
struct rollout_call;
void fleet_calls(const struct fleet *fleet,
		 void (*fn)(void *arg, const Gdr__RolloutRecord *record, const struct rollout_call *call), void *arg);
/* One has ended: its exit status, or -1, and the last line that it said. */
void fleet_called(struct fleet *fleet, const char *rollout_name, const struct rollout_call *call, int status,
		  const char *text, uint64_t now_ms);

/* An event about something that the keyring did. */
int fleet_note(struct fleet *fleet, const struct ask *ask, const char *kind, const char *object, const char *text,
	       struct err *err);

/* A change that was asked for with this idempotency key before: its code and message; else -1. */
int fleet_answered(struct fleet *fleet, const char *key, char **message);
void fleet_remember_answer(struct fleet *fleet, const char *key, int code, const char *message);
