/* rollout_ask.c - operators' requests about rollouts: plan, start, look, decide. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/fleet/impl.h"
#include "controller/fleet/query.h"
#include "controller/rollout/rollout.h"
#include "controller/store.h"

#define KEPT 100 /* Rollouts that have ended, for history. */

#define SET(message, field, value) ((message)->has_##field = true, (message)->field = (value))

/* --- views ------------------------------------------------------------------------------------------------------ */

static Gdr__RolloutView *
view_record(const Gdr__RolloutRecord *record, const char *blocks, bool nodes)
{
	Gdr__RolloutView *view = xcalloc(1, sizeof(*view));
	Gdr__RolloutRecord shallow = *record;

	if (!nodes) {
		shallow.n_nodes = 0;
		shallow.nodes = NULL;
	}
	gdr__rollout_view__init(view);
	view->record = (Gdr__RolloutRecord *)pb_copy(&shallow.base);
	view->blocks = blocks ? xstrdup(blocks) : NULL;
	rollout_count(record, view);
	return view;
}

static void
add_view(const struct ask *ask, Gdr__RolloutView *view)
{
	Gdr__Response *answer = ask->answer;

	answer->rollouts = xrealloc(answer->rollouts, answer->n_rollouts + 1, sizeof(*answer->rollouts));
	answer->rollouts[answer->n_rollouts++] = view;
}

static int
no_such(const struct fleet *fleet, const char *name, struct err *err)
{
	auto_free const char **names = xcalloc(fleet->n_rollouts + 1, sizeof(char *));

	for (size_t i = 0; i < fleet->n_rollouts; i++)
		names[i] = fleet->rollouts[i].record->plan->name;
	const char *near = pbtext_nearest(name, names);
	return err_set(err, -ENOENT, "there is no rollout '%s'%s%s%s", name, near ? ", did you mean '" : "",
		       near ? near : "", near ? "'?" : "; `gdrctl rollout list` shows them");
}

int
fleet_query_rollouts(struct fleet *fleet, const struct ask *ask, const Gdr__RolloutQuery *query, struct err *err)
{
	if (query->name) {
		const struct rollout *rollout = fleet_rollout(fleet, query->name);

		if (!rollout)
			return no_such(fleet, query->name, err);
		add_view(ask, view_record(rollout->record, rollout->blocks, true));
		return 0;
	}
	for (size_t i = fleet->n_rollouts; i-- > 0;)
		add_view(ask, view_record(fleet->rollouts[i].record, fleet->rollouts[i].blocks, false));
	return 0;
}

/* --- plan and start --------------------------------------------------------------------------------------------------- */

/* Its own, or PROFILE-REVISION with the first number that is free. */
static int
give_name(const struct fleet *fleet, Gdr__Rollout *plan, const char *profile, uint32_t revision, struct err *err)
{
	if (plan->name)
		return fleet_rollout(fleet, plan->name)
			       ? err_set(err, -EEXIST, "there is a rollout '%s' already", plan->name)
			       : 0;
	plan->name = xasprintf("%.48s-%u", profile, revision);
	for (unsigned n = 2; fleet_rollout(fleet, plan->name); n++) {
		free(plan->name);
		plan->name = xasprintf("%.48s-%u-%u", profile, revision, n);
	}
	return 0;
}

/* A plan with nothing left open: name, revision. */
static int
complete(struct fleet *fleet, Gdr__Rollout *plan, struct err *err)
{
	char profile[64];
	uint32_t revision;

	if (!plan->profile)
		return err_set(err, -EINVAL, "which profile? gdrctl rollout start PROFILE[@REVISION] -l SELECTOR");
	if (!plan->selector || !*plan->selector)
		return err_set(err, -EINVAL, "which nodes? Select them with -l LABELS");
	if (fleet_resolve(fleet, plan->profile, profile, &revision, err) < 0)
		return err->code;
	free(plan->profile);
	plan->profile = xasprintf("%s@%u", profile, revision);
	if (plan->window && !fleet_window(fleet, plan->window))
		return err_set(err, -ENOENT, "there is no window '%s': `gdrctl window list` shows them", plan->window);
	return give_name(fleet, plan, profile, revision, err);
}

/* It has one of the nodes in its hands. */
static bool
holds(const struct rollout *rollout, struct node *const *nodes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (nodes[i]->rollout && strcmp(nodes[i]->rollout, rollout->record->plan->name) == 0)
			return true;
	return false;
}

static int
make(struct fleet *fleet, const struct ask *ask, Gdr__Rollout *plan, Gdr__RolloutRecord **out, uint32_t *unchanged,
     struct err *err)
{
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_free struct node **nodes = NULL;
	size_t n = 0;
	int rc = complete(fleet, plan, err);

	of.selector = plan->selector;
	if (rc == 0)
		rc = fleet_select_hosts(fleet, &of, &nodes, &n, err);
	if (rc < 0)
		return rc;
	struct fleet_world *world = fleet_world(fleet, ask->now_ms);
	const struct rollout_world *seen = fleet_world_for(world, NULL, nodes, n);
	for (size_t i = 0; plan->supersede && i < fleet->n_rollouts; i++)
		if (holds(&fleet->rollouts[i], nodes, n))
			fleet_world_take_over(world, fleet->rollouts[i].record);
	rc = rollout_plan(seen, plan, ask->now_ms, out, unchanged, err);
	fleet_world_free(world);
	if (rc == 0)
		(*out)->by = xstrdup(ask->actor);
	return rc;
}

static int
draft(struct fleet *fleet, const struct ask *ask, const Gdr__Rollout *asked, Gdr__RolloutRecord **out,
      uint32_t *unchanged, struct err *err)
{
	static const Gdr__Rollout nothing = GDR__ROLLOUT__INIT;
	Gdr__Rollout *plan = (Gdr__Rollout *)pb_copy(asked ? &asked->base : &nothing.base);
	int rc = make(fleet, ask, plan, out, unchanged, err);

	pb_free(&plan->base);
	return rc;
}

int
fleet_rollout_plan(struct fleet *fleet, const struct ask *ask, const Gdr__Rollout *plan, struct err *err)
{
	Gdr__RolloutRecord *record = NULL;
	uint32_t unchanged;
	int rc = draft(fleet, ask, plan, &record, &unchanged, err);

	if (rc < 0)
		return rc;
	Gdr__RolloutView *view = view_record(record, NULL, true);
	SET(view, unchanged, unchanged);
	add_view(ask, view);
	pb_free(&record->base);
	return fleet_foresee(fleet, view, err);
}

/* The oldest that have ended, beyond those that are kept. */
static void
forget_old(struct fleet *fleet)
{
	size_t ended = 0;

	for (size_t i = fleet->n_rollouts; i-- > 0;) {
		struct rollout *rollout = &fleet->rollouts[i];

		if (rollout_is_active(rollout->record) || ++ended <= KEPT)
			continue;
		if (fleet_writing(fleet))
			(void)store_delete_rollout(fleet->store, rollout->record->plan->name, &fleet->failed);
		pb_free(&rollout->record->base);
		free(rollout->blocks);
		free(rollout->nodes_dirty);
		memmove(rollout, rollout + 1, (--fleet->n_rollouts - i) * sizeof(*rollout));
	}
}

static int
nothing_to_move(const Gdr__RolloutRecord *record, uint32_t unchanged, const struct ask *ask, struct err *err)
{
	if (record->n_nodes > 0)
		return err_set(err, -ENOENT,
			       "none of the nodes can be moved: %s is %s, for one (`gdrctl rollout plan` "
			       "lists all)",
			       record->nodes[0]->name,
			       pbtext_enum(&gdr__rollout_node_state__descriptor, (int)record->nodes[0]->state));
	ask->answer->message = xasprintf("nothing to do: all %u nodes are ready on %s", unchanged,
					 record->plan->profile);
	return 0;
}

/* Those that have some of the new one's nodes in their hands end. */
static void
supersede(struct fleet *fleet, const struct ask *ask, Gdr__RolloutRecord *by)
{
	auto_free struct node **nodes = xcalloc(by->n_nodes + 1, sizeof(struct node *));
	size_t n = 0;

	for (size_t i = 0; i < by->n_nodes; i++) {
		nodes[n] = fleet_node(fleet, by->nodes[i]->name);
		n += nodes[n] != NULL;
	}
	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		struct rollout *rollout = &fleet->rollouts[i];
		struct rollout_effects effects = { 0 };

		if (!holds(rollout, nodes, n))
			continue;
		rollout_supersede(rollout->record, by, ask->now_ms, &effects);
		fleet_take_effects(fleet, rollout, &effects, ask->actor, ask->now_ms);
	}
}

int
fleet_rollout_start(struct fleet *fleet, const struct ask *ask, const Gdr__Rollout *plan, struct err *err)
{
	Gdr__RolloutRecord *record = NULL;
	uint32_t unchanged;
	int rc = draft(fleet, ask, plan, &record, &unchanged, err);

	if (rc < 0)
		return rc;
	if (record->n_waves == 0 || ask->dry_run) {
		rc = record->n_waves == 0 ? nothing_to_move(record, unchanged, ask, err) : 0;
		pb_free(&record->base);
		return rc;
	}
	const Gdr__Rollout *final = record->plan;
	auto_free char *object = xasprintf("rollout/%s", final->name);
	fleet_event(fleet, ask->now_ms, ask->actor, "rollout.started", object, "%s to %zu nodes (%s) in %zu waves%s%s",
		    final->profile, record->n_nodes, final->selector, record->n_waves, final->reason ? ": " : "",
		    final->reason ? final->reason : "");
	fleet_changed(ask, "rollout", final->name, "started",
		      xasprintf("%s to %zu nodes, %zu waves", final->profile, record->n_nodes, record->n_waves));
	supersede(fleet, ask, record);
	(void)fleet_add_rollout(fleet, record);
	forget_old(fleet);
	fleet_own_nodes(fleet);
	return 0;
}

/* --- decisions ------------------------------------------------------------------------------------------------------------ */

/* On the way back every node must still be free to go. */
static int
check_way_back(struct fleet *fleet, const Gdr__RolloutRecord *record, struct err *err)
{
	for (size_t i = 0; i < record->n_nodes; i++) {
		const struct node *node = fleet_node(fleet, record->nodes[i]->name);

		if (node && record->nodes[i]->has_assigned_ms && node->rollout &&
		    strcmp(node->rollout, record->plan->name) != 0)
			return fleet_check_free(node, err);
	}
	return 0;
}

int
fleet_rollout_change(struct fleet *fleet, const struct ask *ask, const Gdr__RolloutChange *change, struct err *err)
{
	static const char *const done[] = { [GDR__ROLLOUT_ACTION__ROLLOUT_PAUSE] = "paused",
					    [GDR__ROLLOUT_ACTION__ROLLOUT_RESUME] = "resumed",
					    [GDR__ROLLOUT_ACTION__ROLLOUT_PROMOTE] = "promoted",
					    [GDR__ROLLOUT_ACTION__ROLLOUT_ABORT] = "aborted",
					    [GDR__ROLLOUT_ACTION__ROLLOUT_ROLLBACK] = "rolling-back" };
	struct rollout *rollout = fleet_rollout(fleet, change->name);
	struct rollout_effects effects = { 0 };
	int rc = 0;

	if (!change->name || !change->has_action)
		return err_set(err, -EINVAL, "which rollout, and what shall become of it?");
	if (!rollout)
		return no_such(fleet, change->name, err);
	Gdr__RolloutRecord *trial = ask->dry_run ? (Gdr__RolloutRecord *)pb_copy(&rollout->record->base) : NULL;
	if (change->action == GDR__ROLLOUT_ACTION__ROLLOUT_ROLLBACK)
		rc = check_way_back(fleet, rollout->record, err);
	if (rc == 0)
		rc = rollout_decide(trial ? trial : rollout->record, change, ask->actor, ask->now_ms, &effects, err);
	if (rc == 0) {
		fleet_changed(ask, "rollout", change->name, done[change->action], NULL);
		if (!trial)
			fleet_take_effects(fleet, rollout, &effects, ask->actor, ask->now_ms);
	} else {
		(void)err_wrap(err, "rollout %s", change->name);
	}
	rollout_effects_free(&effects);
	pb_free((ProtobufCMessage *)trial);
	return rc;
}
