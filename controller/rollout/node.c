/* node.c - one node's way through a rollout, and back.
 *
 *   queued -> claimed -> assigned -> [wants-reboot -> rebooting]* -> verifying -> done
 *   queued -> held, skipped, exempt            never started, never charged
 *   assigned ... verifying -> failed, timed-out, lost; held
 *   done -> verifying, failed, lost            it went bad
 *   failed, timed-out, lost, held -> done      it came right after all
 *   all that was assigned -> reverting -> reverted, revert-failed */

#include <stdio.h>

#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/rollout/impl.h"

#define S(name) GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_##name

static void
set(struct step *step, size_t i, Gdr__RolloutNodeState state, char *why)
{
	rollout_set_node(step->record, i, state, why, step->now_ms, step->out);
}

static bool
is_on(const struct rollout_seen *seen, const char *profile, uint32_t revision)
{
	return seen->profile && strcmp(seen->profile, profile) == 0 && seen->revision == revision;
}

/* Reported right, of what is wanted of it now, in the boot that runs. */
static bool
is_verified(const struct step *step, const struct rollout_seen *seen)
{
	return seen->state == GDR__NODE_STATE__NODE_READY && seen->measured && seen->settled &&
	       is_on(seen, step->target, step->revision);
}

static void
follow_boot(struct step *step, size_t i)
{
	Gdr__RolloutNode *node = step->record->nodes[i];
	const char *boot = step->seen[i]->boot_id;

	if (!boot || (node->boot && strcmp(node->boot, boot) == 0))
		return;
	SET(node, reboots, node->reboots + (node->boot != NULL));
	rollout_text(&node->boot, xstrdup(boot));
	step->out->nodes_changed[i] = true;
}

static void
done(struct step *step, size_t i)
{
	Gdr__RolloutNode *node = step->record->nodes[i];

	SET(node, done_ms, step->now_ms);
	SET(node, generation, step->seen[i]->generation);
	SET(node, accepted, false);
	set(step, i, S(DONE), NULL);
}

/* It is right; and is it as good as it was? */
static void
take_verified(struct step *step, size_t i)
{
	Gdr__RolloutNodeState state = step->record->nodes[i]->state;
	char *worse = rollout_worse(step, i);

	if (!worse && state != S(DONE))
		done(step, i);
	else if (worse && state != S(FAILED))
		set(step, i, S(FAILED), steal(&worse));
	free(worse);
}

static bool
may_time_out(const struct step *step, const Gdr__RolloutNode *node)
{
	return step->record->state != GDR__ROLLOUT_STATE__ROLLOUT_PAUSED && rollout_clock_runs(step) &&
	       node->has_deadline_ms && step->now_ms >= node->deadline_ms;
}

static char *
why_of(const struct rollout_seen *seen)
{
	return xasprintf("%s%s%s", pbtext_enum(&gdr__node_state__descriptor, (int)seen->state),
			 seen->why && *seen->why ? ": " : "", seen->why ? seen->why : "");
}

/* What has gone wrong with a node that is on its way; false: nothing. */
static bool
find_fault(struct step *step, size_t i)
{
	const struct rollout_seen *seen = step->seen[i];
	const Gdr__RolloutNode *node = step->record->nodes[i];

	if (!is_on(seen, step->target, step->revision))
		set(step, i, S(FAILED),
		    seen->profile ? xasprintf("it was given %s@%u meanwhile", seen->profile, seen->revision)
				  : xstrdup("its profile was taken away"));
	else if (seen->mode == GDR__MODE__MODE_HOLD)
		set(step, i, S(HELD), xstrdup("an operator holds it"));
	else if (seen->mode == GDR__MODE__MODE_AUDIT)
		set(step, i, S(HELD), xstrdup("an operator put it into audit mode"));
	else if (seen->measured && seen->stuck)
		set(step, i, S(FAILED), why_of(seen));
	else if (seen->state == GDR__NODE_STATE__NODE_LOST)
		set(step, i, S(LOST), why_of(seen));
	else if (may_time_out(step, node)) {
		auto_free char *why = why_of(seen);

		set(step, i, S(TIMED_OUT), xasprintf("not done by its deadline; %s", why));
	} else {
		return false;
	}
	return true;
}

static Gdr__RolloutNodeState
stage_of(const struct rollout_seen *seen)
{
	switch (seen->state) {
	case GDR__NODE_STATE__NODE_WANTS_REBOOT: return S(WANTS_REBOOT);
	case GDR__NODE_STATE__NODE_REBOOTING: return S(REBOOTING);
	default: return seen->measured ? S(VERIFYING) : S(ASSIGNED);
	}
}

static void
observe_moving(struct step *step, size_t i)
{
	const struct rollout_seen *seen = step->seen[i];
	Gdr__RolloutNode *node = step->record->nodes[i];

	if (is_verified(step, seen)) {
		take_verified(step, i);
		return;
	}
	if (find_fault(step, i))
		return;
	Gdr__RolloutNodeState stage = stage_of(seen);
	/* Only forward: a report that is not of the boot that runs says no more than the one before. */
	if (stage != node->state && stage != S(ASSIGNED))
		set(step, i, stage, NULL);
}

/* A node that was done and is no longer right: in the wave at work it must become so again. */
static void
observe_done(struct step *step, size_t i)
{
	const struct rollout_seen *seen = step->seen[i];
	Gdr__RolloutNode *node = step->record->nodes[i];
	bool now = node->wave == step->record->wave;

	if (is_verified(step, seen)) {
		take_verified(step, i);
		return;
	}
	if (!is_on(seen, step->target, step->revision) || (seen->measured && seen->stuck) ||
	    (now && seen->state == GDR__NODE_STATE__NODE_LOST)) {
		(void)find_fault(step, i);
		return;
	}
	/* Silence is not yet a fault; the gate does not pass over it. */
	if (!now || !seen->connected || step->world->patient || seen->mode == GDR__MODE__MODE_HOLD)
		return;
	SET(node, deadline_ms, step->now_ms + step->record->plan->node_deadline);
	set(step, i, S(VERIFYING), why_of(seen));
}

static void
observe(struct step *step, size_t i)
{
	Gdr__RolloutNode *node = step->record->nodes[i];

	follow_boot(step, i);
	switch (node->state) {
	case S(ASSIGNED):
	case S(WANTS_REBOOT):
	case S(REBOOTING):
	case S(VERIFYING): observe_moving(step, i); break;
	case S(DONE): observe_done(step, i); break;
	case S(FAILED):
	case S(TIMED_OUT):
	case S(LOST):
	case S(HELD):
		if (node->has_assigned_ms && is_verified(step, step->seen[i]))
			take_verified(step, i);
		break;
	default: break;
	}
}

void
rollout_observe(struct step *step)
{
	for (size_t i = 0; i < step->record->n_nodes; i++) {
		const Gdr__RolloutNode *node = step->record->nodes[i];

		if (node->state == S(GONE))
			continue;
		if (!step->seen[i])
			set(step, i, S(GONE), xstrdup("it was removed from the fleet"));
		else if (step->record->state != GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK && node->has_assigned_ms)
			observe(step, i);
	}
}

/* --- forward --------------------------------------------------------------------------------------------------- */

static void
act(struct step *step, size_t i, const char *reference, bool revert)
{
	struct rollout_effects *out = step->out;
	struct rollout_action action = { .node = step->record->nodes[i], .revert = revert };
	char name[64];

	if (rollout_reference(reference, name, &action.revision))
		action.profile = xstrdup(name);
	out->actions = xrealloc(out->actions, out->n_actions + 1, sizeof(*out->actions));
	out->actions[out->n_actions++] = action;
}

static void
assign(struct step *step, size_t i)
{
	Gdr__RolloutNode *node = step->record->nodes[i];
	const struct rollout_seen *seen = step->seen[i];

	rollout_remember(step, i);
	SET(node, assigned_ms, step->now_ms);
	SET(node, deadline_ms, step->now_ms + step->record->plan->node_deadline);
	rollout_text(&node->boot_before, seen->boot_id ? xstrdup(seen->boot_id) : NULL);
	rollout_text(&node->boot, seen->boot_id ? xstrdup(seen->boot_id) : NULL);
	set(step, i, S(ASSIGNED), NULL);
	act(step, i, step->record->plan->profile, false);
}

static void
unreachable(struct step *step, size_t i)
{
	const struct rollout_seen *seen = step->seen[i];
	char *why = why_of(seen);

	/* Not connected and not yet lost: it is known soon. */
	if (seen->state != GDR__NODE_STATE__NODE_LOST && seen->state != GDR__NODE_STATE__NODE_NEW) {
		buf_printf(&step->out->blocks, "%s is not connected\n", seen->name);
		free(why);
		return;
	}
	switch (step->record->plan->unreachable) {
	case GDR__ROLLOUT_UNREACHABLE__UNREACHABLE_WAIT:
		buf_printf(&step->out->blocks, "waits for %s, which is %s\n", seen->name, why);
		free(why);
		break;
	case GDR__ROLLOUT_UNREACHABLE__UNREACHABLE_FAIL: set(step, i, S(FAILED), why); break;
	default: set(step, i, S(SKIPPED), why); break;
	}
}

/* May it be taken, and is there a place for it? */
static bool
is_free(struct step *step, size_t i)
{
	const struct rollout_seen *seen = step->seen[i];

	if (seen->mode == GDR__MODE__MODE_HOLD)
		set(step, i, S(HELD), xstrdup("an operator holds it"));
	else if (seen->mode == GDR__MODE__MODE_AUDIT)
		set(step, i, S(EXEMPT), xstrdup("its mode is audit"));
	else if (!seen->connected || seen->state == GDR__NODE_STATE__NODE_LOST)
		unreachable(step, i);
	else
		return true;
	return false;
}

/* Empty, or with nothing on it that anybody asked to be taken off; one that does not become so is left out. */
static bool
is_empty(struct step *step, size_t i)
{
	const Gdr__RolloutNode *node = step->record->nodes[i];

	if (!step->record->plan->drain || node->drain > GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINING)
		return true;
	if (may_time_out(step, node))
		set(step, i, S(SKIPPED),
		    xasprintf("not empty by its deadline%s%s", node->why ? ": " : "", node->why ? node->why : ""));
	else
		buf_printf(&step->out->blocks, "%s is being drained%s%s\n", node->name, node->why ? ": " : "",
			   node->why ? node->why : "");
	return false;
}

static void
claim(struct step *step, struct slots **slots, size_t i)
{
	char why[WHY];

	if (!is_free(step, i))
		return;
	if (!*slots)
		*slots = slots_new(step);
	if (slots_take(*slots, step, i, why)) {
		SET(step->record->nodes[i], deadline_ms, step->now_ms + step->record->plan->node_deadline);
		set(step, i, S(CLAIMED), NULL);
	} else if (!step->out->blocks.len) {
		buf_printf(&step->out->blocks, "%s\n", why);
	}
}

void
rollout_advance(struct step *step)
{
	struct slots *slots = NULL;

	if (step->world->patient) {
		buf_puts(&step->out->blocks, "gdrd has just started: it waits for the agents to come back\n");
		return;
	}
	for (size_t i = 0; i < step->record->n_nodes; i++) {
		const Gdr__RolloutNode *node = step->record->nodes[i];

		if (!node->has_wave || node->wave != step->record->wave || !step->seen[i])
			continue;
		if (node->state == S(CLAIMED) && is_free(step, i) && is_empty(step, i))
			assign(step, i);
		else if (node->state == S(QUEUED))
			claim(step, &slots, i);
	}
	if (slots)
		slots_free(slots);
}

/* --- and back ---------------------------------------------------------------------------------------------------- */

static bool
is_back(const Gdr__RolloutNode *node, const struct rollout_seen *seen)
{
	char name[64];
	uint32_t revision;

	if (!rollout_reference(node->previous, name, &revision))
		return !seen->profile;
	if (!is_on(seen, name, revision) || !seen->measured)
		return false;
	/* One that was not ready before cannot be asked for more than it was. */
	return (seen->settled && seen->state == GDR__NODE_STATE__NODE_READY) || (node->baseline && seen->stuck);
}

static void
observe_reverting(struct step *step, size_t i)
{
	const Gdr__RolloutNode *node = step->record->nodes[i];
	auto_free char *why = why_of(step->seen[i]);

	follow_boot(step, i);
	if (is_back(node, step->seen[i]))
		set(step, i, S(REVERTED), node->why ? xstrdup(node->why) : NULL);
	else if (node->state == S(REVERTING) &&
		 (may_time_out(step, node) || (step->seen[i]->measured && step->seen[i]->stuck)))
		set(step, i, S(REVERT_FAILED), xasprintf("told to go back, not seen there; %s", why));
}

static void
revert(struct step *step, struct slots **slots, size_t i)
{
	Gdr__RolloutNode *node = step->record->nodes[i];
	char why[WHY];

	if (!*slots)
		*slots = slots_new(step);
	if (!slots_take(*slots, step, i, why)) {
		if (!step->out->blocks.len)
			buf_printf(&step->out->blocks, "%s\n", why);
		return;
	}
	SET(node, deadline_ms, step->now_ms + step->record->plan->node_deadline);
	set(step, i, S(REVERTING), node->why ? xstrdup(node->why) : NULL);
	act(step, i, node->previous, true);
}

bool
rollout_revert(struct step *step)
{
	struct slots *slots = NULL;
	bool finished = true;

	for (size_t i = 0; i < step->record->n_nodes; i++) {
		const Gdr__RolloutNode *node = step->record->nodes[i];

		if (!node->has_assigned_ms || node->state == S(GONE))
			continue;
		if (node->state == S(REVERTING) || node->state == S(REVERT_FAILED))
			observe_reverting(step, i);
		else if (node->state != S(REVERTED) && rollout_clock_runs(step))
			revert(step, &slots, i);
		finished = finished && (node->state == S(REVERTED) || node->state == S(REVERT_FAILED));
	}
	if (slots)
		slots_free(slots);
	return finished;
}
