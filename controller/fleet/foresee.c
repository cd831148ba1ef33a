/* foresee.c - what a rollout would mean, told before it starts: how much of each rack, switch or power feed it takes
 * away at once, and how long it should take, by what this fleet has seen. */

#include <string.h>

#include "common/mem.h"
#include "controller/fleet/impl.h"
#include "controller/store.h"

#define REBOOTS_MAX 200 /* That are looked for: a median of more is none the better. */
#define EVENTS_MAX  200 /* Of one node, its newest. */

#define SET(message, field, value) ((message)->has_##field = true, (message)->field = (value))

/* --- whom it takes away at once ------------------------------------------------------------------------------------- */

/* The nodes that share a label's value. */
struct share {
	const char *label;
	const char *value;
	uint32_t max; /* At once, by the plan; 0: as many as there are places. */
	uint32_t of;  /* Hosts of the fleet, */
	uint32_t planned;
	uint32_t at_once;
	uint32_t in_wave[]; /* and of the plan, by wave. */
};

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t
limit_of(const Gdr__Rollout *plan, const char *label)
{
	const char *max = PB_MAP_GET(plan->per_label, plan->n_per_label, label);

	return max ? (uint32_t)strtoul(max, NULL, 10) : 0;
}

static char *
key_of(const Gdr__Node__LabelsEntry *label)
{
	return xasprintf("%s=%s", label->key, label->value ? label->value : "");
}

static struct share *
new_share(const Gdr__RolloutRecord *record, const Gdr__Node__LabelsEntry *label)
{
	struct share *group = xcalloc(1, sizeof(*group) + record->n_waves * sizeof(group->in_wave[0]));

	group->label = label->key;
	group->value = label->value ? label->value : "";
	group->max = limit_of(record->plan, label->key);
	return group;
}

static void
count_planned(zhashx_t *groups, const Gdr__RolloutRecord *record, const Gdr__Node *document, uint32_t wave)
{
	for (size_t i = 0; i < document->n_labels; i++) {
		auto_free char *key = key_of(document->labels[i]);
		struct share *group = zhashx_lookup(groups, key);

		if (!group) {
			group = new_share(record, document->labels[i]);
			(void)zhashx_insert(groups, key, group);
		}
		group->planned++;
		group->in_wave[wave]++;
	}
}

static void
count_host(zhashx_t *groups, const Gdr__Node *document)
{
	for (size_t i = 0; i < document->n_labels; i++) {
		auto_free char *key = key_of(document->labels[i]);
		struct share *group = zhashx_lookup(groups, key);

		if (group)
			group->of++;
	}
}

/* By label, and of one label what is hit hardest first. */
static int
by_share(const void *a, const void *b)
{
	const struct share *x = *(const struct share *const *)a;
	const struct share *y = *(const struct share *const *)b;
	int order = strcmp(x->label, y->label);
	uint64_t left = (uint64_t)x->at_once * y->of;
	uint64_t right = (uint64_t)y->at_once * x->of;

	if (order != 0)
		return order;
	if (left != right)
		return left > right ? -1 : 1;
	return strcmp(x->value, y->value);
}

/* Waves come one after the other. */
static void
find_at_once(struct share *group, const Gdr__RolloutRecord *record)
{
	uint32_t most = 0;

	for (size_t i = 0; i < record->n_waves; i++)
		most = group->in_wave[i] > most ? group->in_wave[i] : most;
	most = least(most, record->max_unavailable);
	group->at_once = group->max ? least(most, group->max) : most;
}

/* Every group, in order; the caller frees '*out', and the groups with 'groups'. */
static size_t
find_groups(const struct fleet *fleet, const Gdr__RolloutRecord *record, zhashx_t *groups, struct share ***out)
{
	size_t n = 0;

	for (size_t i = 0; i < record->n_nodes; i++) {
		const struct node *node = fleet_node(fleet, record->nodes[i]->name);

		if (node && record->nodes[i]->has_wave)
			count_planned(groups, record, node->document, record->nodes[i]->wave);
	}
	for (const struct node *node = zhashx_first(fleet->nodes); node; node = zhashx_next(fleet->nodes))
		if (!node->host)
			count_host(groups, node->document);
	*out = xcalloc(zhashx_size(groups) + 1, sizeof(**out));
	for (struct share *group = zhashx_first(groups); group; group = zhashx_next(groups)) {
		find_at_once(group, record);
		(*out)[n++] = group;
	}
	if (n > 0)
		qsort(*out, n, sizeof(**out), by_share);
	return n;
}

/* A label that is another on every host says no more than the list of nodes, as does a host that is alone with its value,
 * and one that is the same on all no more than max_unavailable; but what the plan limits is shown. */
static bool
tells(const struct fleet *fleet, struct share *const *groups, size_t n)
{
	bool shared = false;

	for (size_t i = 0; i < n; i++)
		shared = shared || (groups[i]->of > 1 && groups[i]->of < fleet_hosts(fleet));
	return shared || groups[0]->max > 0;
}

static void
add_blast(Gdr__RolloutView *view, const struct share *group)
{
	Gdr__LabelCount *count = xcalloc(1, sizeof(*count));

	gdr__label_count__init(count);
	count->label = xstrdup(group->label);
	count->value = xstrdup(group->value);
	SET(count, nodes, group->planned);
	if (group->max)
		SET(count, max, group->max);
	SET(count, at_once, group->at_once);
	SET(count, of, group->of);
	view->blast = xrealloc(view->blast, view->n_blast + 1, sizeof(*view->blast));
	view->blast[view->n_blast++] = count;
}

static void
show_groups(const struct fleet *fleet, struct share *const *groups, size_t n, Gdr__RolloutView *view)
{
	size_t of_label;

	for (size_t i = 0; i < n; i += of_label) {
		of_label = 1;
		while (i + of_label < n && strcmp(groups[i]->label, groups[i + of_label]->label) == 0)
			of_label++;
		for (size_t j = i; j < i + of_label && tells(fleet, groups + i, of_label); j++)
			if (groups[j]->of > 1 || groups[j]->max)
				add_blast(view, groups[j]);
	}
}

/* --- how long it should take: as it did ------------------------------------------------------------------------------ */

struct times {
	uint64_t *ms;
	size_t n;
};

static void
add_time(struct times *times, uint64_t from_ms, uint64_t to_ms)
{
	if (to_ms < from_ms) /* The clock was set back meanwhile. */
		return;
	times->ms = xrealloc(times->ms, times->n + 1, sizeof(*times->ms));
	times->ms[times->n++] = to_ms - from_ms;
}

static int
by_length(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Of at least one. */
static uint64_t
median(struct times *times)
{
	qsort(times->ms, times->n, sizeof(*times->ms), by_length);
	return times->ms[times->n / 2];
}

/* What moves of nodes took in rollouts; how many reboots they took. */
static uint64_t
add_moves(const struct fleet *fleet, struct times *moves)
{
	uint64_t reboots = 0;

	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		const Gdr__RolloutRecord *record = fleet->rollouts[i].record;

		for (size_t j = 0; j < record->n_nodes; j++) {
			const Gdr__RolloutNode *node = record->nodes[j];

			if (!node->has_assigned_ms || !node->has_done_ms)
				continue;
			add_time(moves, node->assigned_ms, node->done_ms);
			reboots += node->reboots;
		}
	}
	return reboots;
}

struct reboots {
	struct times times;
	uint64_t granted_ms; /* 0: none is open. */
};

static int
follow_reboot(void *arg, const struct store_event *event)
{
	struct reboots *reboots = arg;

	if (strcmp(event->kind, "node.reboot-granted") == 0) {
		reboots->granted_ms = event->at_ms;
	} else if (strcmp(event->kind, "node.reboot-withdrawn") == 0) {
		reboots->granted_ms = 0;
	} else if (strcmp(event->kind, "node.rebooted") == 0 && reboots->granted_ms) {
		add_time(&reboots->times, reboots->granted_ms, event->at_ms);
		reboots->granted_ms = 0;
	}
	return 0;
}

static int
find_reboots(const struct fleet *fleet, const Gdr__RolloutRecord *record, struct times *out, struct err *err)
{
	struct reboots reboots = { { 0 }, 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < record->n_nodes && reboots.times.n < REBOOTS_MAX; i++) {
		auto_free char *object = xasprintf("node/%s", record->nodes[i]->name);
		const struct store_event_query query = { .newest = true, .limit = EVENTS_MAX, .object = object };

		reboots.granted_ms = 0;
		if (record->nodes[i]->has_wave)
			rc = store_events(fleet->store, &query, follow_reboot, &reboots, err);
	}
	*out = reboots.times;
	return rc;
}

static uint32_t
rounds(uint32_t nodes, uint32_t at_once)
{
	return at_once ? (nodes + at_once - 1) / at_once : 0;
}

/* How many nodes have to go after each other, by whichever limit is the narrowest. */
static uint64_t
count_rounds(const Gdr__RolloutView *view, struct share *const *groups, size_t n)
{
	uint64_t all = 0;

	for (size_t wave = 0; wave < view->n_waves; wave++) {
		uint32_t most = rounds(view->waves[wave]->total, view->record->max_unavailable);

		for (size_t i = 0; i < n; i++) {
			uint32_t of_group = rounds(groups[i]->in_wave[wave], groups[i]->max);

			most = of_group > most ? of_group : most;
		}
		all += most;
	}
	return all;
}

static int
expect(const struct fleet *fleet, uint64_t in_turn, Gdr__RolloutView *view, struct err *err)
{
	struct times moves = { 0 };
	struct times reboots = { 0 };
	uint64_t of_moves = add_moves(fleet, &moves);
	int rc = find_reboots(fleet, view->record, &reboots, err);
	uint64_t each_ms = 0;

	SET(view, seen_moves, (uint32_t)moves.n);
	SET(view, seen_reboots, (uint32_t)reboots.n);
	if (reboots.n > 0) {
		SET(view, reboot_ms, each_ms = median(&reboots));
		SET(view, expected_reboots, view->total);
	}
	if (moves.n > 0) {
		each_ms = median(&moves);
		SET(view, expected_reboots, (uint32_t)((view->total * of_moves + moves.n - 1) / moves.n));
	}
	if (reboots.n + moves.n > 0)
		SET(view, expected_ms, in_turn * each_ms + (uint64_t)view->n_waves * view->record->plan->soak);
	free(moves.ms);
	free(reboots.ms);
	return rc;
}

static void
group_free(void **group)
{
	free(*group);
	*group = NULL;
}

int
fleet_foresee(const struct fleet *fleet, Gdr__RolloutView *view, struct err *err)
{
	zhashx_t *all = zhashx_new();
	auto_free struct share **groups = NULL;

	zhashx_set_destructor(all, group_free);
	size_t n = find_groups(fleet, view->record, all, &groups);
	show_groups(fleet, groups, n, view);
	int rc = expect(fleet, count_rounds(view, groups, n), view, err);
	zhashx_destroy(&all);
	return rc;
}
