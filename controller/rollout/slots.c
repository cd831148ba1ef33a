/* slots.c - how many nodes may be away at once: of the fleet, and of those that share a label's value.
 *
 * Away is a node that some rollout moves, or that is not ready and was ready before this one.  Taking a node that is
 * away already makes nobody else go away, so that needs no place.  While another rollout moves nodes its limits hold for
 * this one, too: the narrowest counts. */

#include <stdio.h>

#include "common/pb.h"
#include "controller/rollout/impl.h"

struct group {
	const char *value;
	uint32_t away;
};
struct limit {
	const char *label;
	uint32_t max;
	const char *of; /* The rollout that says so. */
	struct group *groups;
	size_t n;
};
struct slots {
	bool *away; /* By node of the world. */
	uint32_t total;
	uint32_t max;
	const char *of;
	struct limit *limits;
	size_t n;
};

static bool
is_away(const struct step *step, size_t i)
{
	const struct rollout_seen *seen = &step->world->nodes[i];
	size_t own = step->moving[i];

	if (seen->taken || (own && rollout_is_moving(step->record->nodes[own - 1])))
		return true;
	switch (seen->state) {
	case GDR__NODE_STATE__NODE_READY:
	case GDR__NODE_STATE__NODE_UNASSIGNED:
	case GDR__NODE_STATE__NODE_NEW: return false;
	default: return !step->baseline[i];
	}
}

static const char *
value_of(const struct step *step, size_t i, const struct limit *limit)
{
	const Gdr__Node *document = step->world->nodes[i].document;

	return PB_MAP_GET(document->labels, document->n_labels, limit->label);
}

static struct group *
group_of(struct limit *limit, const char *value)
{
	for (size_t i = 0; i < limit->n; i++)
		if (strcmp(limit->groups[i].value, value) == 0)
			return &limit->groups[i];
	limit->groups = xrealloc(limit->groups, limit->n + 1, sizeof(*limit->groups));
	limit->groups[limit->n] = (struct group){ .value = value };
	return &limit->groups[limit->n++];
}

static void
mark(struct slots *slots, const struct step *step, size_t i)
{
	slots->away[i] = true;
	slots->total++;
	for (size_t j = 0; j < slots->n; j++) {
		const char *value = value_of(step, i, &slots->limits[j]);

		if (value)
			group_of(&slots->limits[j], value)->away++;
	}
}

static void
add_limit(struct slots *slots, const char *label, uint32_t max, const char *of)
{
	size_t i = 0;

	while (i < slots->n && strcmp(slots->limits[i].label, label) != 0)
		i++;
	if (i == slots->n) {
		slots->limits = xrealloc(slots->limits, ++slots->n, sizeof(*slots->limits));
		slots->limits[i] = (struct limit){ .label = label, .max = max, .of = of };
	} else if (max < slots->limits[i].max) {
		slots->limits[i].max = max;
		slots->limits[i].of = of;
	}
}

static void
add_limits(struct slots *slots, const Gdr__RolloutRecord *record)
{
	const Gdr__Rollout *plan = record->plan;

	if (!slots->of || record->max_unavailable < slots->max) {
		slots->max = record->max_unavailable;
		slots->of = plan->name;
	}
	for (size_t i = 0; i < plan->n_per_label; i++)
		add_limit(slots, plan->per_label[i]->key, (uint32_t)strtoul(plan->per_label[i]->value, NULL, 10),
			  plan->name);
}

struct slots *
slots_new(const struct step *step)
{
	struct slots *slots = xcalloc(1, sizeof(*slots));

	slots->away = xcalloc(step->world->n + 1, sizeof(bool));
	add_limits(slots, step->record);
	for (size_t i = 0; i < step->world->n_active; i++)
		if (step->world->active[i] != step->record && rollout_moves_any(step->world->active[i]))
			add_limits(slots, step->world->active[i]);
	for (size_t i = 0; i < step->world->n; i++)
		if (is_away(step, i))
			mark(slots, step, i);
	return slots;
}

void
slots_free(struct slots *slots)
{
	for (size_t i = 0; i < slots->n; i++)
		free(slots->limits[i].groups);
	free(slots->limits);
	free(slots->away);
	free(slots);
}

bool
slots_take(struct slots *slots, const struct step *step, size_t node, char why[WHY])
{
	size_t i = (size_t)(step->seen[node] - step->world->nodes);

	if (slots->away[i])
		return true;
	if (slots->total >= slots->max) {
		(void)snprintf(why, WHY,
			       "%u nodes of the fleet are not ready or being moved, and max_unavailable of %.64s is %u",
			       slots->total, slots->of, slots->max);
		return false;
	}
	for (size_t j = 0; j < slots->n; j++) {
		struct limit *limit = &slots->limits[j];
		const char *value = value_of(step, i, limit);

		if (!value || group_of(limit, value)->away < limit->max)
			continue;
		(void)snprintf(why, WHY,
			       "%u nodes with %s=%s are not ready or being moved, and per_label of %.64s is %u",
			       group_of(limit, value)->away, limit->label, value, limit->of, limit->max);
		return false;
	}
	mark(slots, step, i);
	return true;
}
