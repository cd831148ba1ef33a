/* rollout.c - the record: what its parts mean, and a person's decisions. */

#include "controller/rollout/rollout.h"

#include <errno.h>
#include <stdio.h>

#include "common/err.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/rollout/impl.h"

/* --- small things ------------------------------------------------------------------------------------------- */

static int
by_name(const void *key, const void *item)
{
	return strcmp(key, ((const struct rollout_seen *)item)->name);
}

const struct rollout_seen *
rollout_find(const struct rollout_world *world, const char *name)
{
	return world->n ? bsearch(name, world->nodes, world->n, sizeof(*world->nodes), by_name) : NULL;
}

bool
rollout_reference(const char *text, char name[64], uint32_t *revision)
{
	const char *at = text ? strchr(text, '@') : NULL;

	name[0] = '\0';
	*revision = 0;
	if (!at || at - text >= 64)
		return false;
	memcpy(name, text, (size_t)(at - text));
	name[at - text] = '\0';
	*revision = (uint32_t)strtoul(at + 1, NULL, 10);
	return *revision > 0;
}

uint32_t
rollout_share(const char *share, size_t whole, bool up)
{
	unsigned long number = strtoul(share, NULL, 10);

	if (strchr(share, '%'))
		number = (number * whole + (up ? 99 : 0)) / 100;
	return number > 0 ? (uint32_t)number : 1;
}

void
rollout_text(char **field, char *text)
{
	free(*field);
	*field = text;
}

void
rollout_note_add(struct rollout_effects *out, const char *kind,
		 char *text) /* NOLINT(readability-non-const-parameter): it owns it from here on. */
{
	out->notes = xrealloc(out->notes, out->n_notes + 1, sizeof(*out->notes));
	out->notes[out->n_notes++] = (struct rollout_note){ kind, text };
}

void
rollout_effects_free(struct rollout_effects *effects)
{
	for (size_t i = 0; i < effects->n_actions; i++)
		free(effects->actions[i].profile);
	for (size_t i = 0; i < effects->n_notes; i++)
		free(effects->notes[i].text);
	free(effects->actions);
	free(effects->notes);
	free(effects->nodes_changed);
	buf_free(&effects->blocks);
	*effects = (struct rollout_effects){ 0 };
}

/* --- what a record says -------------------------------------------------------------------------------------- */

bool
rollout_is_active(const Gdr__RolloutRecord *record)
{
	return record->state == GDR__ROLLOUT_STATE__ROLLOUT_RUNNING ||
	       record->state == GDR__ROLLOUT_STATE__ROLLOUT_PAUSED ||
	       record->state == GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK;
}

bool
rollout_owns(const Gdr__RolloutRecord *record, const Gdr__RolloutNode *node)
{
	if (!rollout_is_active(record) || node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_GONE)
		return false;
	/* What was never started is left alone; on the way back that is all that was not moved. */
	if (record->state == GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK)
		return node->has_assigned_ms;
	return node->has_assigned_ms || node->state <= GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_VERIFYING;
}

bool
rollout_is_moving(const Gdr__RolloutNode *node)
{
	return MOVING(node->state) || node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_REVERTING;
}

bool
rollout_moves_any(const Gdr__RolloutRecord *record)
{
	bool any = false;

	for (size_t i = 0; rollout_is_active(record) && i < record->n_nodes && !any; i++)
		any = rollout_is_moving(record->nodes[i]);
	return any;
}

static bool
is_failed(const Gdr__RolloutNode *node)
{
	return node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_FAILED ||
	       node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_TIMED_OUT ||
	       node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_LOST;
}

bool
rollout_is_charged(const Gdr__RolloutNode *node)
{
	return is_failed(node) && !node->baseline && !node->accepted;
}

static void
count_node(const Gdr__RolloutNode *node, Gdr__RolloutWaveView *wave)
{
	wave->total++;
	wave->moving += rollout_is_moving(node);
	wave->done += node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_DONE;
	wave->failed += is_failed(node) || node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_REVERT_FAILED;
	wave->reverted += node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_REVERTED;
	wave->left_out += node->state >= GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_HELD &&
			  node->state <= GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_EXEMPT;
}

void
rollout_count(const Gdr__RolloutRecord *record, Gdr__RolloutView *view)
{
	SET(view, total, 0);
	SET(view, done, 0);
	SET(view, failed, 0);
	view->waves = xcalloc(record->n_waves + 1, sizeof(*view->waves));
	view->n_waves = record->n_waves;
	for (size_t i = 0; i < record->n_waves; i++) {
		Gdr__RolloutWaveView *wave = view->waves[i] = xcalloc(1, sizeof(**view->waves));

		gdr__rollout_wave_view__init(wave);
		wave->has_total = wave->has_done = wave->has_moving = wave->has_failed = wave->has_left_out =
			wave->has_reverted = true;
	}
	for (size_t i = 0; i < record->n_nodes; i++) {
		const Gdr__RolloutNode *node = record->nodes[i];

		if (node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_GONE)
			continue;
		view->total++;
		view->done += node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_DONE;
		view->failed += rollout_is_charged(node);
		if (node->has_wave && node->wave < record->n_waves)
			count_node(node, view->waves[node->wave]);
	}
}

/* --- changes -------------------------------------------------------------------------------------------------- */

void
rollout_set_state(Gdr__RolloutRecord *record, Gdr__RolloutState state, char *why, uint64_t now_ms,
		  struct rollout_effects *out)
{
	static const char *const kinds[] = {
		[GDR__ROLLOUT_STATE__ROLLOUT_RUNNING] = "rollout.running",
		[GDR__ROLLOUT_STATE__ROLLOUT_PAUSED] = "rollout.paused",
		[GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED] = "rollout.succeeded",
		[GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED_WITH_EXEMPT] = "rollout.succeeded",
		[GDR__ROLLOUT_STATE__ROLLOUT_FAILED] = "rollout.failed",
		[GDR__ROLLOUT_STATE__ROLLOUT_ABORTED] = "rollout.aborted",
		[GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK] = "rollout.rolling-back",
		[GDR__ROLLOUT_STATE__ROLLOUT_ROLLED_BACK] = "rollout.rolled-back",
		[GDR__ROLLOUT_STATE__ROLLOUT_ROLLBACK_FAILED] = "rollout.rollback-failed",
		[GDR__ROLLOUT_STATE__ROLLOUT_SUPERSEDED] = "rollout.superseded",
	};

	SET(record, state, state);
	SET(record, version, record->version + 1);
	SET(record, since_ms, now_ms);
	rollout_note_add(out, kinds[state], xstrdup(why));
	rollout_text(&record->why, why);
	out->changed = true;
}

void
rollout_set_node(Gdr__RolloutRecord *record, size_t i, Gdr__RolloutNodeState state, char *why, uint64_t now_ms,
		 struct rollout_effects *out)
{
	Gdr__RolloutNode *node = record->nodes[i];

	SET(node, state, state);
	SET(node, since_ms, now_ms);
	rollout_text(&node->why, why);
	out->nodes_changed[i] = true;
	rollout_follow_drain(record, node);
	if (is_failed(node) || state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_REVERT_FAILED)
		rollout_note_add(out, "rollout.node-failed",
				 xasprintf("%s %s: %s", node->name,
					   pbtext_enum(&gdr__rollout_node_state__descriptor, (int)state),
					   why ? why : ""));
}

void
rollout_unclaim(Gdr__RolloutRecord *record, uint64_t now_ms, struct rollout_effects *out)
{
	for (size_t i = 0; i < record->n_nodes; i++)
		if (record->nodes[i]->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_CLAIMED)
			rollout_set_node(record, i, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_QUEUED, NULL, now_ms, out);
}

void
rollout_roll_back(Gdr__RolloutRecord *record, char *why, uint64_t now_ms, struct rollout_effects *out)
{
	rollout_unclaim(record, now_ms, out);
	SET(record, deadline_ms, now_ms + record->plan->deadline);
	rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK, why, now_ms, out);
}

/* --- a person's decisions ------------------------------------------------------------------------------------- */

/* The clock stood while it was paused. */
static void
move_deadlines(Gdr__RolloutRecord *record, uint64_t by_ms, struct rollout_effects *out)
{
	record->deadline_ms += by_ms;
	for (size_t i = 0; i < record->n_waves; i++) {
		if (record->waves[i]->has_deadline_ms)
			record->waves[i]->deadline_ms += by_ms;
		if (record->waves[i]->has_soak_until_ms)
			record->waves[i]->soak_until_ms += by_ms;
	}
	for (size_t i = 0; i < record->n_nodes; i++)
		if (record->nodes[i]->has_deadline_ms && rollout_is_moving(record->nodes[i])) {
			record->nodes[i]->deadline_ms += by_ms;
			out->nodes_changed[i] = true;
		}
	out->changed = true;
}

static uint32_t
accept_failures(Gdr__RolloutRecord *record, struct rollout_effects *out)
{
	uint32_t n = 0;

	for (size_t i = 0; i < record->n_nodes; i++)
		if (rollout_is_charged(record->nodes[i])) {
			SET(record->nodes[i], accepted, true);
			out->nodes_changed[i] = true;
			n++;
		}
	return n;
}

static int
resume(Gdr__RolloutRecord *record, const char *said, uint64_t now_ms, struct rollout_effects *out, struct err *err)
{
	if (record->state != GDR__ROLLOUT_STATE__ROLLOUT_PAUSED)
		return err_set(err, -EBUSY, "only a paused rollout can be resumed");
	move_deadlines(record, now_ms > record->since_ms ? now_ms - record->since_ms : 0, out);
	/* A wave whose time was up gets it anew: that is what going on means. */
	Gdr__RolloutWave *wave = record->waves[record->wave];
	if (wave->has_deadline_ms && wave->deadline_ms <= now_ms)
		wave->deadline_ms = now_ms + record->plan->wave_deadline;
	rollout_forget_checks(wave);
	uint32_t accepted = accept_failures(record, out);
	SET(record, clock_ms, now_ms);
	rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_RUNNING,
			  accepted ? xasprintf("%s; %u failures accepted", said, accepted) : xstrdup(said), now_ms,
			  out);
	return 0;
}

static int
promote(Gdr__RolloutRecord *record, const Gdr__RolloutChange *change, const char *who, struct rollout_effects *out,
	struct err *err)
{
	Gdr__RolloutWave *wave = record->n_waves ? record->waves[record->wave] : NULL;

	if (record->state == GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED ||
	    record->state == GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED_WITH_EXEMPT)
		return 0; /* The last wave needs no promotion, and a script cannot know which was the last. */
	if (record->state != GDR__ROLLOUT_STATE__ROLLOUT_RUNNING)
		return err_set(err, -EBUSY, "only a running rollout can be promoted");
	if (!change->all && !(wave && wave->asks))
		return err_set(err, -EBUSY, "no wave waits to be promoted now; --all promotes those to come");
	if (change->all)
		SET(record, promoted, true);
	if (wave && wave->asks && record->n_gates) {
		SET(wave, asks, false);
		rollout_text(&record->gates[record->n_gates - 1]->by, xstrdup(who));
	}
	SET(record, version, record->version + 1);
	rollout_note_add(out, "rollout.promoted",
			 xasprintf("by %s%s%s%s", who, change->all ? ", all waves" : "", change->why ? ": " : "",
				   change->why ? change->why : ""));
	out->changed = true;
	return 0;
}

static int
pause_it(Gdr__RolloutRecord *record, char *said, uint64_t now_ms, struct rollout_effects *out, struct err *err)
{
	if (record->state != GDR__ROLLOUT_STATE__ROLLOUT_RUNNING) {
		free(said);
		return err_set(err, -EBUSY, "only a running rollout can be paused");
	}
	rollout_unclaim(record, now_ms, out);
	rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED, said, now_ms, out);
	return 0;
}

static int
abort_it(Gdr__RolloutRecord *record, char *said, uint64_t now_ms, struct rollout_effects *out, struct err *err)
{
	if (!rollout_is_active(record) && record->state != GDR__ROLLOUT_STATE__ROLLOUT_FAILED) {
		free(said);
		return err_set(err, -EBUSY, "it has ended already");
	}
	rollout_unclaim(record, now_ms, out);
	rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_ABORTED, said, now_ms, out);
	return 0;
}

static int
roll_back(Gdr__RolloutRecord *record, char *said, uint64_t now_ms, struct rollout_effects *out, struct err *err)
{
	if (record->state != GDR__ROLLOUT_STATE__ROLLOUT_RUNNING &&
	    record->state != GDR__ROLLOUT_STATE__ROLLOUT_PAUSED &&
	    record->state != GDR__ROLLOUT_STATE__ROLLOUT_FAILED) {
		free(said);
		return err_set(err, -EBUSY,
			       "a rollout that has ended is not rolled back: start one to the revision "
			       "that is wanted");
	}
	SET(record, clock_ms, now_ms);
	rollout_roll_back(record, said, now_ms, out);
	return 0;
}

static Gdr__RolloutNode *
node_of(const Gdr__RolloutRecord *record, const char *name)
{
	for (size_t i = 0; i < record->n_nodes; i++)
		if (strcmp(record->nodes[i]->name, name) == 0)
			return record->nodes[i];
	return NULL;
}

void
rollout_supersede(Gdr__RolloutRecord *record, Gdr__RolloutRecord *by, uint64_t now_ms, struct rollout_effects *out)
{
	bool same_drain = record->plan->drain && by->plan->drain && strcmp(record->plan->drain, by->plan->drain) == 0;

	out->nodes_changed = xcalloc(record->n_nodes + 1, sizeof(bool));
	rollout_unclaim(record, now_ms, out);
	for (size_t i = 0; same_drain && i < record->n_nodes; i++) {
		Gdr__RolloutNode *heir = record->nodes[i]->has_drain ? node_of(by, record->nodes[i]->name) : NULL;

		if (!heir)
			continue;
		SET(heir, drain, record->nodes[i]->drain);
		rollout_follow_drain(by, heir);
		record->nodes[i]->has_drain = false;
		out->nodes_changed[i] = true;
	}
	rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_SUPERSEDED, xasprintf("by rollout %s", by->plan->name),
			  now_ms, out);
}

int
rollout_decide(Gdr__RolloutRecord *record, const Gdr__RolloutChange *change, const char *who, uint64_t now_ms,
	       struct rollout_effects *out, struct err *err)
{
	auto_free char *said = xasprintf("by %s%s%s", who, change->why && *change->why ? ": " : "",
					 change->why ? change->why : "");

	if (change->has_version && change->version != record->version)
		return err_set(err, -EAGAIN,
			       "it is at version %llu and you saw %llu: something was decided meanwhile, look again",
			       (unsigned long long)record->version, (unsigned long long)change->version);
	out->nodes_changed = xcalloc(record->n_nodes + 1, sizeof(bool));
	switch ((int)change->action) {
	case GDR__ROLLOUT_ACTION__ROLLOUT_PAUSE: return pause_it(record, steal(&said), now_ms, out, err);
	case GDR__ROLLOUT_ACTION__ROLLOUT_RESUME: return resume(record, said, now_ms, out, err);
	case GDR__ROLLOUT_ACTION__ROLLOUT_PROMOTE: return promote(record, change, who, out, err);
	case GDR__ROLLOUT_ACTION__ROLLOUT_ABORT: return abort_it(record, steal(&said), now_ms, out, err);
	case GDR__ROLLOUT_ACTION__ROLLOUT_ROLLBACK: return roll_back(record, steal(&said), now_ms, out, err);
	default: return err_set(err, -EINVAL, "pause, resume, promote, abort or rollback?");
	}
}
