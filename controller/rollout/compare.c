/* compare.c - before and after, on the same machine: numbers that its items say.
 *
 * What a machine was before is the only measure that suits all: a node that is slower than others was so before, and one
 * that has become slower shows what the revision does. */

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>

#include "common/err.h"
#include "common/pb.h"
#include "controller/rollout/impl.h"

int
rollout_check_compare(const Gdr__Rollout *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n_compare; i++) {
		const char *may = plan->compare[i]->value ? plan->compare[i]->value : "";
		size_t digits = *may ? strspn(may + 1, "0123456789") : 0;

		if ((*may != '-' && *may != '+') || digits == 0 || digits > 4 || strcmp(may + 1 + digits, "%") != 0)
			return err_set(err, -EINVAL,
				       "compare: %s=%s: expected how much it may change for the worse, -5%% or +10%%",
				       plan->compare[i]->key, may);
	}
	return 0;
}

/* --- items ------------------------------------------------------------------------------------------------------ */

/* "180.3 GB/s", "pass: 180.3 GB/s" */
static bool
number_of(const Gdr__Item *item, double *out)
{
	const char *colon = item->have ? strstr(item->have, ": ") : NULL;
	const char *from = colon ? colon + 2 : item->have;
	char *end = NULL;

	if (!from)
		return false;
	*out = strtod(from, &end);
	return end != from && *out - *out == 0; /* Neither infinite nor none. */
}

static const char *
limit_of(const Gdr__Rollout *plan, const char *name)
{
	for (size_t i = 0; i < plan->n_compare; i++)
		if (fnmatch(plan->compare[i]->key, name, 0) == 0)
			return plan->compare[i]->value;
	return NULL;
}

static void
remember_item(const Gdr__Rollout *plan, Gdr__RolloutNode *node, const char *part, const char *layer,
	      const Gdr__Item *item)
{
	auto_free char *name = xasprintf("%s/%s", layer ? layer : "", item->key ? item->key : "");
	const char *may = limit_of(plan, name);
	double value;

	if (!may || !number_of(item, &value))
		return;
	Gdr__RolloutValue *kept = xcalloc(1, sizeof(*kept));
	gdr__rollout_value__init(kept);
	kept->node = xstrdup(part);
	kept->item = steal(&name);
	kept->may = xstrdup(may);
	SET(kept, value, value);
	kept->has_measured_ms = item->has_measured_ms;
	kept->measured_ms = item->measured_ms;
	node->before = xrealloc(node->before, node->n_before + 1, sizeof(*node->before));
	node->before[node->n_before++] = kept;
}

void
rollout_remember(const struct step *step, size_t i)
{
	const Gdr__Rollout *plan = step->record->plan;
	const struct rollout_seen *seen = step->seen[i];
	Gdr__RolloutNode *node = step->record->nodes[i];

	if (plan->n_compare == 0 || node->n_before > 0)
		return;
	for (size_t j = 0; j < seen->n_parts; j++) {
		const Gdr__Report *report = seen->parts[j].report;

		for (size_t k = 0; report && k < report->n_layers; k++)
			for (size_t l = 0; l < report->layers[k]->n_items; l++)
				remember_item(plan, node, seen->parts[j].name, report->layers[k]->name,
					      report->layers[k]->items[l]);
	}
}

static const Gdr__Item *
item_of(const Gdr__Report *report, const char *name)
{
	for (size_t i = 0; report && i < report->n_layers; i++) {
		const Gdr__LayerReport *layer = report->layers[i];
		size_t len = layer->name ? strlen(layer->name) : 0;

		if (len == 0 || strncmp(name, layer->name, len) != 0 || name[len] != '/')
			continue;
		for (size_t j = 0; j < layer->n_items; j++)
			if (layer->items[j]->key && strcmp(layer->items[j]->key, name + len + 1) == 0)
				return layer->items[j];
	}
	return NULL;
}

static bool
value_now(const struct rollout_seen *seen, const Gdr__RolloutValue *before, double *out)
{
	for (size_t i = 0; i < seen->n_parts; i++) {
		const Gdr__Item *item = strcmp(seen->parts[i].name, before->node) == 0
						? item_of(seen->parts[i].report, before->item)
						: NULL;

		if (item) /* What was measured before the move says nothing of what came after it. */
			return !(before->has_measured_ms && item->measured_ms == before->measured_ms) &&
			       number_of(item, out);
	}
	return false;
}

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

/* Whose it is, of its host's: a guest, or the host itself, which is not named again. */
static const char *
part_of(const Gdr__RolloutNode *node, const Gdr__RolloutValue *value)
{
	return strcmp(value->node, node->name) == 0 ? "" : value->node;
}

/* In percent of what it was. */
static double
change_of(double before, double now)
{
	double whole = before < 0 ? -before : before;

	if (now == before)
		return 0;
	return whole > 0 ? (now - before) * 100 / whole : now > before ? 1e6 : -1e6;
}

static bool
is_too_much(const char *may, double change)
{
	double most = strtod(may, NULL);

	return *may == '-' ? change < most : change > most;
}

char *
rollout_worse(const struct step *step, size_t i)
{
	const Gdr__RolloutNode *node = step->record->nodes[i];

	for (size_t j = 0; j < node->n_before; j++) {
		const Gdr__RolloutValue *before = node->before[j];
		double now;

		if (value_now(step->seen[i], before, &now) && is_too_much(before->may, change_of(before->value, now)))
			return xasprintf("%s%s%s was %g and is %g: %+.1f%%, %s allowed", part_of(node, before),
					 *part_of(node, before) ? " " : "", before->item, before->value, now,
					 change_of(before->value, now), before->may);
	}
	return NULL;
}

const char *
rollout_unmeasured(const struct step *step, size_t i)
{
	const Gdr__RolloutNode *node = step->record->nodes[i];

	for (size_t j = 0; j < node->n_before; j++) {
		double now;

		if (!value_now(step->seen[i], node->before[j], &now))
			return node->before[j]->item;
	}
	return NULL;
}

/* What one pattern of the plan has come to. */
struct tally {
	uint32_t n;
	double worst;
};

static void
tally_node(const struct step *step, size_t i, const char *pattern, const char *may, struct tally *tally)
{
	const Gdr__RolloutNode *node = step->record->nodes[i];

	for (size_t j = 0; j < node->n_before; j++) {
		double now;

		if (fnmatch(pattern, node->before[j]->item, 0) != 0 || !value_now(step->seen[i], node->before[j], &now))
			continue;
		double change = change_of(node->before[j]->value, now);
		if (tally->n++ == 0 || (*may == '-' ? change < tally->worst : change > tally->worst))
			tally->worst = change;
	}
}

void
rollout_compared(const struct step *step, struct buf *out)
{
	const Gdr__RolloutRecord *record = step->record;

	for (size_t i = 0; i < record->plan->n_compare; i++) {
		const Gdr__Rollout__CompareEntry *compare = record->plan->compare[i];
		struct tally tally = { 0 };

		for (size_t j = 0; j < record->n_nodes; j++)
			if (record->nodes[j]->has_wave && record->nodes[j]->wave == record->wave && step->seen[j])
				tally_node(step, j, compare->key, compare->value, &tally);
		buf_printf(out, "; %s: %u compared", compare->key, tally.n);
		if (tally.n > 0)
			buf_printf(out, ", %+.1f%% at worst", tally.worst);
	}
}
