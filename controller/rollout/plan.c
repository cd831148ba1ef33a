/* plan.c - which nodes, in which order: the canary, the waves, and who is left out. */

#include <czmq.h>
#include <errno.h>
#include <stdio.h>

#include "common/err.h"
#include "common/pb.h"
#include "controller/rollout/impl.h"

#define FEATURES_MAX 32 /* Of one node that are looked at. */

struct planning {
	const struct rollout_world *world;
	const Gdr__Rollout *plan;
	const struct rollout_seen **movable; /* Those that were ready first, in order. */
	size_t n;
	size_t n_sound; /* How many of them were ready. */
	Gdr__RolloutRecord *record;
	uint64_t now_ms;
};

/* --- hardware classes: the GPUs, NICs, BIOS and kernel that there are ---------------------------------------- */

struct features {
	char *of[FEATURES_MAX];
	size_t n;
};

static void
add_feature(struct features *features, char *text)
{
	for (size_t i = 0; i < features->n; i++)
		if (strcmp(features->of[i], text) == 0) {
			free(text);
			return;
		}
	if (features->n == FEATURES_MAX)
		free(text);
	else
		features->of[features->n++] = text;
}

static void
features_free(struct features *features)
{
	for (size_t i = 0; i < features->n; i++)
		free(features->of[i]);
}

static void
features_of(const struct rollout_seen *seen, struct features *out)
{
	const Gdr__Inventory *machine = seen->inventory;

	*out = (struct features){ 0 };
	if (!machine)
		return;
	for (size_t i = 0; i < machine->n_pci; i++) {
		const Gdr__PciDevice *device = machine->pci[i];

		if (device->kind == GDR__PCI_DEVICE__KIND__GPU)
			add_feature(out, xasprintf("GPU %04x:%04x", device->vendor, device->device));
		else if (device->kind == GDR__PCI_DEVICE__KIND__NIC && !device->physfn)
			add_feature(out, device->firmware ? xasprintf("NIC %04x:%04x with firmware %s", device->vendor,
								      device->device, device->firmware)
							  : xasprintf("NIC %04x:%04x", device->vendor, device->device));
	}
	if (machine->bios_version)
		add_feature(out, xasprintf("BIOS %s", machine->bios_version));
	if (machine->kernel)
		add_feature(out, xasprintf("kernel %s", machine->kernel));
}

struct cover {
	struct features *of; /* Of each movable node. */
	zhashx_t *covered;
};

static size_t
count_new(const struct cover *cover, size_t node)
{
	size_t n = 0;

	for (size_t i = 0; i < cover->of[node].n; i++)
		n += !zhashx_lookup(cover->covered, cover->of[node].of[i]);
	return n;
}

/* The node of those not yet taken that brings most that is new. */
static size_t
best_of(const struct planning *planning, const struct cover *cover, size_t from)
{
	size_t best = from;
	size_t most = count_new(cover, from);

	for (size_t i = from + 1; i < planning->n_sound; i++) {
		size_t n = count_new(cover, i);

		if (n > most) {
			most = n;
			best = i;
		}
	}
	return best;
}

/* To place 'to', and those in between move on by one: the others keep their order. */
static void
bring_forward(struct planning *planning, struct cover *cover, size_t from, size_t to)
{
	const struct rollout_seen *seen = planning->movable[from];
	struct features features = cover->of[from];

	for (size_t i = from; i > to; i--) {
		planning->movable[i] = planning->movable[i - 1];
		cover->of[i] = cover->of[i - 1];
	}
	planning->movable[to] = seen;
	cover->of[to] = features;
}

static void
list_not_covered(struct planning *planning, struct cover *cover, size_t canary)
{
	Gdr__RolloutRecord *record = planning->record;

	for (size_t i = canary; i < planning->n; i++)
		for (size_t j = 0; j < cover->of[i].n; j++) {
			char *feature = cover->of[i].of[j];

			if (zhashx_insert(cover->covered, feature, feature) != 0)
				continue;
			record->not_covered = xrealloc(record->not_covered, record->n_not_covered + 1, sizeof(char *));
			record->not_covered[record->n_not_covered++] = xstrdup(feature);
		}
}

/* The canary's nodes come first: as many of what the others are made of as its count allows. */
static void
choose_canary(struct planning *planning, size_t canary)
{
	struct cover cover = { .of = xcalloc(planning->n + 1, sizeof(*cover.of)), .covered = zhashx_new() };

	for (size_t i = 0; i < planning->n; i++)
		features_of(planning->movable[i], &cover.of[i]);
	for (size_t i = 0; i < canary && i < planning->n_sound; i++) {
		bring_forward(planning, &cover, best_of(planning, &cover, i), i);
		for (size_t j = 0; j < cover.of[i].n; j++)
			(void)zhashx_insert(cover.covered, cover.of[i].of[j], cover.of[i].of[j]);
	}
	if (canary > 0)
		list_not_covered(planning, &cover, canary);
	zhashx_destroy(&cover.covered);
	for (size_t i = 0; i < planning->n; i++)
		features_free(&cover.of[i]);
	free(cover.of);
}

/* --- the record ------------------------------------------------------------------------------------------------ */

static Gdr__RolloutNode *
add_node(struct planning *planning, const struct rollout_seen *seen, Gdr__RolloutNodeState state, const char *why)
{
	Gdr__RolloutRecord *record = planning->record;
	Gdr__RolloutNode *node = xcalloc(1, sizeof(*node));

	gdr__rollout_node__init(node);
	node->name = xstrdup(seen->name);
	SET(node, state, state);
	SET(node, since_ms, planning->now_ms);
	node->why = why ? xstrdup(why) : NULL;
	if (seen->last_ready)
		node->previous = xstrdup(seen->last_ready);
	else if (seen->profile)
		node->previous = xasprintf("%s@%u", seen->profile, seen->revision);
	record->nodes = xrealloc(record->nodes, record->n_nodes + 1, sizeof(*record->nodes));
	record->nodes[record->n_nodes++] = node;
	return node;
}

static void
add_wave(struct planning *planning, const char *size, size_t from, size_t to)
{
	Gdr__RolloutRecord *record = planning->record;
	Gdr__RolloutWave *wave = xcalloc(1, sizeof(*wave));

	if (to <= from) {
		free(wave);
		return;
	}
	gdr__rollout_wave__init(wave);
	SET(wave, state, GDR__ROLLOUT_WAVE_STATE__WAVE_WAITING);
	wave->size = xstrdup(size);
	for (size_t i = from; i < to; i++) {
		const struct rollout_seen *seen = planning->movable[i];
		Gdr__RolloutNode *node = add_node(planning, seen, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_QUEUED, NULL);

		SET(node, wave, (uint32_t)record->n_waves);
		if (i >= planning->n_sound)
			SET(node, baseline, true);
	}
	record->waves = xrealloc(record->waves, record->n_waves + 1, sizeof(*record->waves));
	record->waves[record->n_waves++] = wave;
}

static void
add_waves(struct planning *planning)
{
	const Gdr__Rollout *plan = planning->plan;
	size_t canary = plan->canary < planning->n ? plan->canary : planning->n;
	size_t reached = canary;

	choose_canary(planning, canary);
	add_wave(planning, "canary", 0, canary);
	for (size_t i = 0; i < plan->n_waves; i++) {
		size_t to = rollout_share(plan->waves[i], planning->n, true);

		to = to > planning->n || i + 1 == plan->n_waves ? planning->n : to;
		add_wave(planning, plan->waves[i], reached, to);
		reached = to > reached ? to : reached;
	}
	if (plan->n_waves == 0)
		add_wave(planning, "all", reached, planning->n);
}

/* Ready there already: nothing to do. */
static bool
is_there(const struct rollout_seen *seen, const char *profile, uint32_t revision)
{
	return seen->profile && strcmp(seen->profile, profile) == 0 && seen->revision == revision && seen->measured &&
	       seen->settled && seen->state == GDR__NODE_STATE__NODE_READY;
}

/* Those that were not in order before: they come last, and what they do is not charged.  What a rollout that ends for
 * this one has broken is none of these: else three bad revisions in a row would take down all. */
static bool
is_bad(const struct rollout_seen *seen)
{
	return !seen->inherited && seen->state != GDR__NODE_STATE__NODE_READY &&
	       seen->state != GDR__NODE_STATE__NODE_UNASSIGNED && seen->state != GDR__NODE_STATE__NODE_CONVERGING;
}

static bool
is_unreachable(const struct planning *planning, const struct rollout_seen *seen)
{
	return (seen->state == GDR__NODE_STATE__NODE_LOST || seen->state == GDR__NODE_STATE__NODE_NEW ||
		(!seen->connected && !planning->world->patient));
}

static bool
is_left_out(struct planning *planning, const struct rollout_seen *seen)
{
	if (seen->mode == GDR__MODE__MODE_HOLD)
		(void)add_node(planning, seen, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_HELD, "an operator holds it");
	else if (seen->mode == GDR__MODE__MODE_AUDIT)
		(void)add_node(planning, seen, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_EXEMPT, "its mode is audit");
	else if (is_unreachable(planning, seen) &&
		 planning->plan->unreachable == GDR__ROLLOUT_UNREACHABLE__UNREACHABLE_SKIP)
		(void)add_node(planning, seen, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_SKIPPED,
			       seen->why ? seen->why : "it is not connected");
	else
		return false;
	return true;
}

static void
insert(struct planning *planning, size_t at, const struct rollout_seen *seen)
{
	memmove(&planning->movable[at + 1], &planning->movable[at],
		(planning->n++ - at) * sizeof(struct rollout_seen *));
	planning->movable[at] = seen;
}

static int
sort_nodes(struct planning *planning, uint32_t *unchanged, struct err *err)
{
	const struct rollout_seen **bad = xcalloc(planning->world->n + 1, sizeof(*bad));
	size_t n_bad = 0;
	size_t n_broken = 0; /* By what this one supersedes: the first to be mended. */
	char profile[64];
	uint32_t revision;
	int rc = 0;

	(void)rollout_reference(planning->plan->profile, profile, &revision);
	planning->movable = xcalloc(planning->world->n + 1, sizeof(*planning->movable));
	for (size_t i = 0; rc == 0 && i < planning->world->n; i++) {
		const struct rollout_seen *seen = &planning->world->nodes[i];

		if (!seen->selected)
			continue;
		if (seen->taken)
			rc = err_set(err, -EBUSY,
				     "node %s is in the hands of another rollout: wait for its end, or take over "
				     "with --supersede",
				     seen->name);
		else if (is_there(seen, profile, revision))
			(*unchanged)++;
		else if (is_unreachable(planning, seen) &&
			 planning->plan->unreachable == GDR__ROLLOUT_UNREACHABLE__UNREACHABLE_FAIL)
			rc = err_set(err, -EHOSTUNREACH,
				     "node %s is not reachable, and this plan says `unreachable: fail`", seen->name);
		else if (is_left_out(planning, seen))
			continue;
		else if (is_bad(seen))
			bad[n_bad++] = seen;
		else if (seen->inherited && seen->state != GDR__NODE_STATE__NODE_READY)
			insert(planning, n_broken++, seen);
		else
			insert(planning, planning->n, seen);
	}
	planning->n_sound = planning->n;
	for (size_t i = 0; i < n_bad; i++)
		planning->movable[planning->n++] = bad[i];
	free(bad);
	return rc;
}

/* Nodes of the whole fleet that were not ready before: their state is not this rollout's doing. */
static void
note_baseline(struct planning *planning)
{
	Gdr__RolloutRecord *record = planning->record;

	record->baseline = xcalloc(planning->world->n + 1, sizeof(char *));
	for (size_t i = 0; i < planning->world->n; i++)
		if (planning->world->nodes[i].state != GDR__NODE_STATE__NODE_READY &&
		    !planning->world->nodes[i].inherited)
			record->baseline[record->n_baseline++] = xstrdup(planning->world->nodes[i].name);
}

/* --- the plan itself --------------------------------------------------------------------------------------------- */

static int
check_waves(const Gdr__Rollout *plan, struct err *err)
{
	for (size_t i = 1; i < plan->n_waves; i++) {
		bool percent = strchr(plan->waves[i], '%') != NULL;
		bool same = percent == (strchr(plan->waves[i - 1], '%') != NULL);

		if (same && strtoul(plan->waves[i], NULL, 10) <= strtoul(plan->waves[i - 1], NULL, 10))
			return err_set(err, -EINVAL,
				       "waves: %s is not more than %s before it; each says how far it goes in all",
				       plan->waves[i], plan->waves[i - 1]);
	}
	return 0;
}

static int
check(const Gdr__Rollout *plan, struct err *err)
{
	if (!plan->profile || !plan->name)
		return err_set(err, -EINVAL, "a rollout needs a profile and a name");
	for (size_t i = 0; i < plan->n_checks; i++)
		if (!plan->checks[i]->program)
			return err_set(err, -EINVAL, "checks: which program of the hooks folder?");
	for (size_t i = 0; i < plan->n_per_label; i++) {
		const char *max = plan->per_label[i]->value ? plan->per_label[i]->value : "";

		if (!*max || strspn(max, "0123456789") != strlen(max) || strtoul(max, NULL, 10) == 0)
			return err_set(err, -EINVAL, "per_label: %s=%s: expected how many nodes, at least 1",
				       plan->per_label[i]->key, max);
	}
	if (rollout_check_compare(plan, err) < 0)
		return err->code;
	return check_waves(plan, err);
}

static Gdr__RolloutRecord *
make_record(const struct rollout_world *world, const Gdr__Rollout *plan, uint64_t now_ms)
{
	Gdr__RolloutRecord *record = xcalloc(1, sizeof(*record));

	gdr__rollout_record__init(record);
	record->plan = (Gdr__Rollout *)pb_copy(&plan->base);
	SET(record, state, GDR__ROLLOUT_STATE__ROLLOUT_RUNNING);
	SET(record, version, 1);
	SET(record, created_ms, now_ms);
	SET(record, since_ms, now_ms);
	SET(record, clock_ms, now_ms);
	SET(record, deadline_ms, now_ms + plan->deadline);
	SET(record, wave, 0);
	SET(record, max_unavailable, rollout_share(plan->max_unavailable, world->n, false));
	return record;
}

int
rollout_plan(const struct rollout_world *world, const Gdr__Rollout *plan, uint64_t now_ms, Gdr__RolloutRecord **out,
	     uint32_t *unchanged, struct err *err)
{
	struct planning planning = { .world = world, .plan = plan, .now_ms = now_ms };

	*unchanged = 0;
	if (check(plan, err) < 0)
		return err->code;
	planning.record = make_record(world, plan, now_ms);
	int rc = sort_nodes(&planning, unchanged, err);
	if (rc == 0) {
		add_waves(&planning);
		note_baseline(&planning);
		if (planning.record->n_waves) {
			Gdr__RolloutWave *first = planning.record->waves[0];

			SET(first, state, GDR__ROLLOUT_WAVE_STATE__WAVE_OPEN);
			SET(first, opened_ms, now_ms);
			SET(first, deadline_ms, now_ms + plan->wave_deadline);
		}
		*out = planning.record;
	} else {
		pb_free(&planning.record->base);
	}
	free(planning.movable);
	return rc;
}
