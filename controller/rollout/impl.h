#pragma once

/* impl.h - what the engine's own files share.  Nobody else includes it. */

#include <string.h>

#include "common/mem.h"
#include "controller/rollout/rollout.h"

#define SET(message, field, value) ((message)->has_##field = true, (message)->field = (value))

#define MOVING(s) \
	((s) >= GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_CLAIMED && (s) <= GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_VERIFYING)

/* One step at work. */
struct step {
	const struct rollout_world *world;
	Gdr__RolloutRecord *record;
	uint64_t now_ms;
	struct rollout_effects *out;
	const struct rollout_seen **seen; /* Of each node of the record; NULL: it is gone. */
	size_t *moving;                   /* Node of the record + 1 by node of the world; 0: not in it. */
	bool *baseline;                   /* By node of the world. */
	char target[64];                  /* The plan's profile and revision. */
	uint32_t revision;
};

/* --- rollout.c --------------------------------------------------------------------------------------------- */

/* "NAME@3" into its parts; false: NULL or no revision. */
bool rollout_reference(const char *text, char name[64], uint32_t *revision);
/* "10%" of 'whole' or "5"; rounded up, or down but at least 1. */
uint32_t rollout_share(const char *share, size_t whole, bool up);
void rollout_text(char **field, char *text);
void rollout_note_add(struct rollout_effects *out, const char *kind, char *text);
void rollout_set_state(Gdr__RolloutRecord *record, Gdr__RolloutState state, char *why, uint64_t now_ms,
		       struct rollout_effects *out);
void rollout_set_node(Gdr__RolloutRecord *record, size_t i, Gdr__RolloutNodeState state, char *why, uint64_t now_ms,
		      struct rollout_effects *out);
/* After each change of its state. */
void rollout_follow_drain(const Gdr__RolloutRecord *record, Gdr__RolloutNode *node);
const char *rollout_check_name(const Gdr__RolloutCheck *check);
/* They are asked anew. */
void rollout_forget_checks(Gdr__RolloutWave *wave);
/* Nodes that wait no longer for their turn, and those that are to go back. */
void rollout_unclaim(Gdr__RolloutRecord *record, uint64_t now_ms, struct rollout_effects *out);
void rollout_roll_back(Gdr__RolloutRecord *record, char *why, uint64_t now_ms, struct rollout_effects *out);

/* Clocks run: nobody has to be waited for before time may be called up. */
static inline bool
rollout_clock_runs(const struct step *step)
{
	return !step->world->patient && !step->world->shut;
}

/* --- node.c ------------------------------------------------------------------------------------------------ */

/* What each node has come to. */
void rollout_observe(struct step *step);
/* Claims what may be claimed of the wave, and assigns what is claimed. */
void rollout_advance(struct step *step);
/* The same on the way back; true when nothing is left to do. */
bool rollout_revert(struct step *step);

/* --- compare.c --------------------------------------------------------------------------------------------- */

int rollout_check_compare(const Gdr__Rollout *plan, struct err *err);
/* Before it is moved, what the plan compares; what a rollout before this one remembered stays. */
void rollout_remember(const struct step *step, size_t i);
/* NULL, or what is worse on it now than before; the caller frees it. */
char *rollout_worse(const struct step *step, size_t i);
/* NULL, or an item of before that is no number now. */
const char *rollout_unmeasured(const struct step *step, size_t i);
/* "readiness/busbw: 3 compared, -1.2% at worst", of the wave at work. */
void rollout_compared(const struct step *step, struct buf *out);

/* --- gate.c ------------------------------------------------------------------------------------------------ */

/* Soak, gate and promotion of the wave at work. */
void rollout_judge(struct step *step);
/* More failures than are allowed, or time is up: what the plan says for that; true if it did. */
bool rollout_stop_if_failed(struct step *step);

/* --- slots.c ----------------------------------------------------------------------------------------------- */

/* Places: of the fleet, and by value of each limited label. */
struct slots;
struct slots *slots_new(const struct step *step);
void slots_free(struct slots *slots);
#define WHY 320
/* Takes a place in each; false: there is none, and 'why' says where. */
bool slots_take(struct slots *slots, const struct step *step, size_t node, char why[WHY]);
