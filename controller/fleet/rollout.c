/* rollout.c - rollouts in the model: loaded, stepped, done and stored in the turn's own transaction. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/fleet/guest.h"
#include "controller/fleet/impl.h"
#include "controller/rollout/rollout.h"
#include "controller/store.h"

/* --- loading and storing --------------------------------------------------------------------------------------- */

static void
drop(struct rollout *rollout)
{
	pb_free(&rollout->record->base);
	free(rollout->blocks);
	free(rollout->nodes_dirty);
}

void
fleet_drop_rollouts(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_rollouts; i++)
		drop(&fleet->rollouts[i]);
	free(fleet->rollouts);
	fleet->rollouts = NULL;
	fleet->n_rollouts = 0;
	fleet->news_ms = 0;
}

struct rollout *
fleet_rollout(const struct fleet *fleet, const char *name)
{
	for (size_t i = 0; name && i < fleet->n_rollouts; i++)
		if (strcmp(fleet->rollouts[i].record->plan->name, name) == 0)
			return &fleet->rollouts[i];
	return NULL;
}

static struct rollout *
append(struct fleet *fleet, Gdr__RolloutRecord *record)
{
	fleet->rollouts = xrealloc(fleet->rollouts, fleet->n_rollouts + 1, sizeof(*fleet->rollouts));
	struct rollout *rollout = &fleet->rollouts[fleet->n_rollouts++];
	*rollout = (struct rollout){ .record = record };
	return rollout;
}

int
fleet_load_rollout(struct fleet *fleet, const struct store_rollout *row)
{
	struct err err = { 0 };
	Gdr__RolloutRecord *record = (Gdr__RolloutRecord *)pb_unpack(&gdr__rollout_record__descriptor, row->data,
								     row->len, &err);

	if (!record || !record->plan || !record->plan->name || !record->plan->profile ||
	    (record->has_wave && record->wave >= record->n_waves)) {
		pb_free((ProtobufCMessage *)record);
		return err_set(&fleet->failed, -EBADMSG, "rollout %s: the stored record cannot be read", row->name);
	}
	(void)append(fleet, record);
	return 0;
}

int
fleet_load_rollout_node(struct fleet *fleet, const struct store_rollout_node *row)
{
	struct rollout *rollout = fleet_rollout(fleet, row->rollout);
	struct err err = { 0 };
	Gdr__RolloutNode *node = (Gdr__RolloutNode *)pb_unpack(&gdr__rollout_node__descriptor, row->data, row->len,
							       &err);

	if (!rollout || !node || !node->name || row->place != rollout->record->n_nodes) {
		pb_free((ProtobufCMessage *)node);
		return err_set(&fleet->failed, -EBADMSG, "rollout %s: its stored node %u cannot be read", row->rollout,
			       row->place);
	}
	Gdr__RolloutRecord *record = rollout->record;
	record->nodes = xrealloc(record->nodes, record->n_nodes + 1, sizeof(*record->nodes));
	record->nodes[record->n_nodes++] = node;
	return 0;
}

struct rollout *
fleet_add_rollout(struct fleet *fleet, Gdr__RolloutRecord *record)
{
	struct rollout *rollout = append(fleet, record);

	rollout->dirty = true;
	rollout->nodes_dirty = xcalloc(record->n_nodes + 1, sizeof(bool));
	for (size_t i = 0; i < record->n_nodes; i++)
		rollout->nodes_dirty[i] = true;
	return rollout;
}

static void
write_record(struct fleet *fleet, const struct rollout *rollout)
{
	Gdr__RolloutRecord shallow = *rollout->record; /* The nodes are stored for themselves. */
	size_t len;

	shallow.nodes = NULL;
	shallow.n_nodes = 0;
	auto_free uint8_t *data = pb_pack(&shallow.base, &len);
	const struct store_rollout row = {
		.name = shallow.plan->name, .created_ms = shallow.created_ms, .data = data, .len = len
	};
	if (fleet_writing(fleet))
		(void)store_put_rollout(fleet->store, &row, &fleet->failed);
}

static void
write_rollout_node(struct fleet *fleet, const struct rollout *rollout, size_t i)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&rollout->record->nodes[i]->base, &len);
	const struct store_rollout_node row = {
		.rollout = rollout->record->plan->name, .place = (uint32_t)i, .data = data, .len = len
	};

	if (fleet_writing(fleet))
		(void)store_put_rollout_node(fleet->store, &row, &fleet->failed);
}

void
fleet_write_rollouts(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		struct rollout *rollout = &fleet->rollouts[i];

		if (rollout->dirty)
			write_record(fleet, rollout);
		for (size_t j = 0; rollout->nodes_dirty && j < rollout->record->n_nodes; j++)
			if (rollout->nodes_dirty[j])
				write_rollout_node(fleet, rollout, j);
	}
}

void
fleet_rollouts_written(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		fleet->rollouts[i].dirty = false;
		free(fleet->rollouts[i].nodes_dirty);
		fleet->rollouts[i].nodes_dirty = NULL;
	}
}

/* --- whose a node is --------------------------------------------------------------------------------------------- */

static void
own_nodes_of(struct fleet *fleet, const struct rollout *rollout)
{
	const Gdr__RolloutRecord *record = rollout->record;

	for (size_t i = 0; i < record->n_nodes; i++) {
		struct node *node = fleet_node(fleet, record->nodes[i]->name);
		bool owned = rollout_owns(record, record->nodes[i]);

		if (!node || (!owned && node->rollout != record->plan->name))
			continue;
		node->rollout = owned ? record->plan->name : NULL;
		node->moving = owned && rollout_is_moving(record->nodes[i]);
	}
}

void
fleet_own_nodes(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_rollouts; i++)
		own_nodes_of(fleet, &fleet->rollouts[i]);
}

/* --- what the engine sees ------------------------------------------------------------------------------------------ */

struct fleet_world {
	struct rollout_world world;
	struct rollout_seen *seen;
	struct node **nodes; /* In the same order. */
	struct rollout_part *parts;
	size_t n_parts;
	const Gdr__RolloutRecord **active;
	char **whys;
	size_t n_whys;
	char *shut;
};

/* Of what is wanted now, in the boot that runs, by an agent that converges. */
static bool
is_measured(const struct node *node)
{
	const Gdr__Report *report = node->report;

	return fleet_report_is_current(node) && node->profile && same_text(report->boot_id, node->boot_id) &&
	       node->mode == GDR__MODE__MODE_ENFORCE && !node->grant_boot && !node->silent_s &&
	       (!report->has_mode || report->mode == GDR__MODE__MODE_ENFORCE);
}

/* The host comes first. */
static void
see_parts(struct fleet_world *world, const struct node *node, struct rollout_seen *seen)
{
	seen->parts = &world->parts[world->n_parts];
	seen->n_parts = 1 + node->n_guests;
	world->parts[world->n_parts++] = (struct rollout_part){ node->name, node->report };
	for (size_t i = 0; i < node->n_guests; i++)
		world->parts[world->n_parts++] = (struct rollout_part){ node->guests[i]->name,
									node->guests[i]->report };
}

static void
see(struct fleet *fleet, struct fleet_world *world, size_t i, uint64_t now_ms)
{
	const struct node *node = world->nodes[i];
	struct rollout_seen *seen = &world->seen[i];
	char *why = NULL;

	*seen = (struct rollout_seen){ .name = node->name,
				       .profile = node->profile,
				       .revision = node->revision,
				       .last_ready = node->last_ready,
				       .boot_id = node->boot_id,
				       .generation = node->generation,
				       .mode = node->mode,
				       .connected = node->connected,
				       .measured = is_measured(node),
				       .document = node->document,
				       .inventory = node->report ? node->report->inventory : NULL };
	seen->state = fleet_state(fleet, node, now_ms, &why, NULL);
	seen->why = why;
	seen->settled = seen->measured && node->report->outcome == GDR__OUTCOME__OUTCOME_SETTLED &&
			fleet_guests_are_ready(fleet, node, now_ms);
	seen->stuck = seen->measured && node->report->outcome == GDR__OUTCOME__OUTCOME_STUCK;
	world->whys[world->n_whys++] = why;
	see_parts(world, node, seen);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct node *const *)a)->name, (*(struct node *const *)b)->name);
}

/* Agents that were there before gdrd ended have not all come back, and could yet. */
static bool
is_patient(const struct fleet *fleet, const struct fleet_world *world, uint64_t now_ms)
{
	if (now_ms > fleet->patient_since_ms + fleet->config->lost_after)
		return false;
	for (size_t i = 0; i < world->world.n; i++)
		if (world->nodes[i]->key && world->nodes[i]->boot_id && !world->nodes[i]->connected &&
		    !world->nodes[i]->grant_boot)
			return true;
	return false;
}

struct fleet_world *
fleet_world(struct fleet *fleet, uint64_t now_ms)
{
	struct fleet_world *world = xcalloc(1, sizeof(*world));
	size_t n = 0;

	world->nodes = xcalloc(fleet_size(fleet) + 1, sizeof(struct node *));
	world->seen = xcalloc(fleet_size(fleet) + 1, sizeof(*world->seen));
	world->whys = xcalloc(fleet_size(fleet) + 1, sizeof(char *));
	world->parts = xcalloc(fleet_size(fleet) + 1, sizeof(*world->parts));
	world->active = xcalloc(fleet->n_rollouts + 1, sizeof(*world->active));
	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet))
		if (!node->host) /* A guest moves with its host, which is not ready without it. */
			world->nodes[n++] = node;
	qsort(world->nodes, n, sizeof(struct node *), by_name);
	world->world = (struct rollout_world){ .nodes = world->seen, .n = n, .active = world->active };
	for (size_t i = 0; i < fleet->n_rollouts; i++)
		if (rollout_is_active(fleet->rollouts[i].record))
			world->active[world->world.n_active++] = fleet->rollouts[i].record;
	for (size_t i = 0; i < n; i++)
		see(fleet, world, i, now_ms);
	world->world.patient = is_patient(fleet, world, now_ms);
	return world;
}

const struct rollout_world *
fleet_world_for(struct fleet_world *world, const char *rollout, struct node *const *chosen, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < world->world.n; i++) {
		const struct node *node = world->nodes[i];
		bool others = node->rollout && (!rollout || strcmp(node->rollout, rollout) != 0);

		world->seen[i].taken = others && (node->moving || !rollout);
		world->seen[i].selected = at < n && chosen[at] == node;
		at += world->seen[i].selected;
	}
	return &world->world;
}

void
fleet_world_take_over(struct fleet_world *world, const Gdr__RolloutRecord *record)
{
	for (size_t i = 0; i < record->n_nodes; i++) {
		const struct rollout_seen *found = rollout_find(&world->world, record->nodes[i]->name);

		if (!found)
			continue;
		struct rollout_seen *seen = &world->seen[found - world->seen];
		seen->taken = false;
		seen->inherited = record->nodes[i]->has_assigned_ms;
	}
}

void
fleet_world_free(struct fleet_world *world)
{
	for (size_t i = 0; i < world->n_whys; i++)
		free(world->whys[i]);
	free(world->whys);
	free(world->shut);
	free(world->active);
	free(world->parts);
	free(world->seen);
	free(world->nodes);
	free(world);
}

/* --- what a step does ------------------------------------------------------------------------------------------------ */

static void
move_node(struct fleet *fleet, const struct rollout *rollout, const struct rollout_action *action, uint64_t now_ms)
{
	const Gdr__Rollout *plan = rollout->record->plan;
	struct node *node = fleet_node(fleet, action->node->name);

	if (!node)
		return;
	auto_free char *object = xasprintf("node/%s", node->name);
	auto_free char *actor = xasprintf("rollout/%s", plan->name);
	auto_free char *from = node->profile ? xasprintf("%s@%u", node->profile, node->revision) : xstrdup("nothing");
	auto_free char *to = action->profile ? xasprintf("%s@%u", action->profile, action->revision)
					     : xstrdup("nothing");
	fleet_set_text(&node->profile, action->profile);
	node->revision = action->revision;
	fleet_touch(fleet, node);
	node->dirty = true;
	(void)fleet_wanted_changed(fleet, node);
	fleet_event(fleet, now_ms, actor, action->revert ? "node.reverted" : "node.assigned", object,
		    "%s instead of %s, for %s%s%s", to, from, rollout->record->by ? rollout->record->by : "?",
		    plan->reason ? ": " : "", plan->reason ? plan->reason : "");
	fleet_refresh(fleet, node, now_ms);
}

static void
mark_dirty(struct rollout *rollout, const struct rollout_effects *effects)
{
	Gdr__RolloutRecord *record = rollout->record;
	bool changed = effects->changed;

	for (size_t i = 0; effects->nodes_changed && i < record->n_nodes; i++) {
		if (!effects->nodes_changed[i])
			continue;
		if (!rollout->nodes_dirty)
			rollout->nodes_dirty = xcalloc(record->n_nodes + 1, sizeof(bool));
		rollout->nodes_dirty[i] = changed = true;
	}
	rollout->dirty = rollout->dirty || changed || effects->ticked;
	if (changed)
		record->has_changes = true;
	record->changes += changed;
}

void
fleet_take_effects(struct fleet *fleet, struct rollout *rollout, struct rollout_effects *effects, const char *actor,
		   uint64_t now_ms)
{
	auto_free char *object = xasprintf("rollout/%s", rollout->record->plan->name);

	mark_dirty(rollout, effects);
	own_nodes_of(fleet, rollout);
	for (size_t i = 0; i < effects->n_actions; i++)
		move_node(fleet, rollout, &effects->actions[i], now_ms);
	for (size_t i = 0; i < effects->n_notes; i++)
		fleet_event(fleet, now_ms, actor, effects->notes[i].kind, object, "%s", effects->notes[i].text);
	fleet_set_text(&rollout->blocks, effects->blocks.len ? effects->blocks.text : NULL);
	rollout_effects_free(effects);
}

void
fleet_step_rollouts(struct fleet *fleet, uint64_t now_ms)
{
	fleet->stepped_ms = now_ms;
	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		struct rollout *rollout = &fleet->rollouts[i];
		struct rollout_effects effects = { 0 };

		if (!rollout_is_active(rollout->record))
			continue;
		/* Anew for each: the one before may have moved nodes. */
		struct fleet_world *world = fleet_world(fleet, now_ms);
		const Gdr__Window *window = fleet_window(fleet, rollout->record->plan->window);
		world->world.shut = world->shut = window ? fleet_window_shut(window, now_ms) : NULL;
		rollout_step(fleet_world_for(world, rollout->record->plan->name, NULL, 0), rollout->record, now_ms,
			     &effects);
		fleet_take_effects(fleet, rollout, &effects, "gdrd", now_ms);
		fleet_world_free(world);
	}
}

/* --- programs that rollouts have run ------------------------------------------------------------------------------- */

/* Another rollout has it in its hands now, and wants it as empty as this one did: it undrains it. */
static bool
is_taken_on(const struct fleet *fleet, const Gdr__RolloutRecord *record, const struct rollout_call *call)
{
	const struct node *node = call->kind == ROLLOUT_UNDRAIN ? fleet_node(fleet, call->word[1]) : NULL;
	const struct rollout *owner = node ? fleet_rollout(fleet, node->rollout) : NULL;

	if (!owner || owner->record == record || !owner->record->plan->drain ||
	    strcmp(owner->record->plan->drain, call->program) != 0)
		return false;
	for (size_t i = 0; i < owner->record->n_nodes; i++)
		if (strcmp(owner->record->nodes[i]->name, node->name) == 0)
			return owner->record->nodes[i]->has_drain;
	return false;
}

void
fleet_calls(const struct fleet *fleet,
	    void (*fn)(void *arg, const Gdr__RolloutRecord *record, const struct rollout_call *call), void *arg)
{
	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		auto_free struct rollout_call *calls = NULL;
		size_t n = rollout_calls(fleet->rollouts[i].record, &calls);

		for (size_t j = 0; j < n; j++)
			if (!is_taken_on(fleet, fleet->rollouts[i].record, &calls[j]))
				fn(arg, fleet->rollouts[i].record, &calls[j]);
	}
}

void
fleet_called(struct fleet *fleet, const char *rollout_name, const struct rollout_call *call, int status,
	     const char *text, uint64_t now_ms)
{
	struct rollout *rollout = fleet_rollout(fleet, rollout_name);
	struct rollout_effects effects = { 0 };

	if (!rollout)
		return;
	rollout_called(rollout->record, call, status, text, &effects);
	mark_dirty(rollout, &effects);
	rollout_effects_free(&effects);
	fleet->news_ms = now_ms; /* The engine goes on from here at once. */
}
