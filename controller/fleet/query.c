/* query.c - answers: the model as operators see it. */

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/fleet/impl.h"
#include "controller/fleet/query.h"
#include "controller/selector.h"
#include "controller/store.h"

#define ATTENTION_MAX   20
#define DRIFT_NODES_MAX 20
#define EVENTS_DEFAULT  100
#define EVENTS_MAX      1000

#define ADD(array, n, item)                                             \
	do {                                                            \
		(array) = xrealloc((array), (n) + 1, sizeof(*(array))); \
		(array)[(n)++] = (item);                                \
	} while (0)

static char *
copied(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

/* --- selection ------------------------------------------------------------------------------------------------ */

static int
by_name(const void *a, const void *b)
{
	const struct node *const *left = a;
	const struct node *const *right = b;

	const char *a_name = (*left)->name;
	const char *b_name = (*right)->name;

	/* '/' before everything that a name is made of: a host's guests follow it at once. */
	for (; *a_name && *a_name == *b_name; a_name++)
		b_name++;
	return (*a_name == '/' ? 1 : (unsigned char)*a_name) - (*b_name == '/' ? 1 : (unsigned char)*b_name);
}

static bool
is_named(const Gdr__Selection *of, const struct node *node)
{
	for (size_t i = 0; i < of->n_names; i++)
		if (strcmp(of->names[i], node->name) == 0)
			return true;
	return false;
}

static int
check_names(const struct fleet *fleet, const Gdr__Selection *of, struct err *err)
{
	for (size_t i = 0; i < of->n_names; i++)
		if (!fleet_node(fleet, of->names[i]))
			return err_set(err, -ENOENT, "there is no node '%s'; `gdrctl node list` shows them",
				       of->names[i]);
	return 0;
}

static bool
is_selected(const Gdr__Selection *of, const struct selector *selector, const struct node *node)
{
	const Gdr__Node *document = node->host ? node->host->document : node->document;

	return (of->n_names == 0 || is_named(of, node)) &&
	       (!selector || selector_matches(selector, node->name, document->labels, document->n_labels));
}

int
fleet_select(struct fleet *fleet, const Gdr__Selection *of, struct node ***out, size_t *n, struct err *err)
{
	static const Gdr__Selection none = GDR__SELECTION__INIT;
	struct selector *selector = NULL;

	of = of ? of : &none;
	bool has_selector = of->selector && *of->selector;
	*out = NULL;
	*n = 0;
	if (check_names(fleet, of, err) < 0 || (has_selector && selector_parse(of->selector, &selector, err) < 0))
		return err->code;
	struct node **found = xcalloc(fleet_size(fleet) + 1, sizeof(struct node *));
	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet))
		if (is_selected(of, selector, node))
			found[(*n)++] = node;
	selector_free(selector);
	qsort(found, *n, sizeof(struct node *), by_name);
	*out = found;
	return 0;
}

static size_t
without_guests(struct node **nodes, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!nodes[i]->host)
			nodes[kept++] = nodes[i];
	return kept;
}

int
fleet_select_hosts(struct fleet *fleet, const Gdr__Selection *of, struct node ***out, size_t *n, struct err *err)
{
	bool has_selector = of && of->selector && *of->selector;
	auto_free struct node **found = NULL;

	*out = NULL;
	if (!has_selector && (!of || of->n_names == 0))
		return err_set(err, -EINVAL, "which nodes? Name them, or select them with -l LABELS");
	if (fleet_select(fleet, of, &found, n, err) < 0)
		return err->code;
	for (size_t i = 0; of->n_names > 0 && i < *n; i++)
		if (found[i]->host)
			return err_set(err, -EINVAL, "%s is a guest, and is what its host, %s, says: name that one",
				       found[i]->name, found[i]->host->name);
	*n = without_guests(found, *n);
	if (*n == 0)
		return err_set(err, -ENOENT, "no node fits '%s': nothing was done", has_selector ? of->selector : "");
	*out = steal(&found);
	return 0;
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

static Gdr__LayerView *
view_layer(const Gdr__LayerReport *layer)
{
	Gdr__LayerView *view = xcalloc(1, sizeof(*view));

	gdr__layer_view__init(view);
	view->name = copied(layer->name);
	view->has_right = view->has_wrong = view->has_worst = true;
	view->worst = GDR__FIX__FIX_NONE;
	view->has_failed = layer->error != NULL;
	view->failed = layer->error != NULL;
	for (size_t i = 0; i < layer->n_items; i++) {
		Gdr__Fix fix = layer->items[i]->fix;

		*(fix == GDR__FIX__FIX_NONE ? &view->right : &view->wrong) += 1;
		view->worst = fix > view->worst ? fix : view->worst;
	}
	return view;
}

static void
view_report(Gdr__NodeView *view, const struct node *node, bool detail)
{
	const Gdr__Report *report = node->report;

	if (!report)
		return;
	view->has_observed_generation = true;
	view->observed_generation = report->generation;
	view->has_reboots_used = view->has_reboot_budget = true;
	view->reboots_used = report->reboots_used;
	view->reboot_budget = report->reboot_budget;
	for (size_t i = 0; i < report->n_layers; i++)
		ADD(view->layers, view->n_layers, view_layer(report->layers[i]));
	if (detail)
		view->report = (Gdr__Report *)pb_copy(&report->base);
}

static Gdr__NodeView *
view_guest(const struct fleet *fleet, const struct node *guest, uint64_t now_ms)
{
	Gdr__NodeView *view = xcalloc(1, sizeof(*view));

	gdr__node_view__init(view);
	view->name = xstrdup(guest->name);
	view->has_state = view->has_since_ms = true;
	view->state = fleet_state(fleet, guest, now_ms, &view->why, &view->remedy);
	view->since_ms = guest->since_ms;
	return view;
}

Gdr__NodeView *
fleet_view(struct fleet *fleet, const struct node *node, uint64_t now_ms, bool detail)
{
	Gdr__NodeView *view = xcalloc(1, sizeof(*view));

	gdr__node_view__init(view);
	view->name = xstrdup(node->name);
	view->has_state = view->has_since_ms = view->has_mode = view->has_generation = true;
	view->state = fleet_state(fleet, node, now_ms, &view->why, &view->remedy);
	view->since_ms = node->since_ms;
	view->mode = node->mode;
	view->generation = node->generation;
	view->profile = node->profile ? xasprintf("%s@%u", node->profile, node->revision) : NULL;
	view->boot_id = copied(node->boot_id);
	view->has_granted_ms = node->grant_boot != NULL;
	view->granted_ms = node->granted_ms;
	view->has_seen_ms = node->seen_ms != 0;
	view->seen_ms = node->seen_ms;
	view->key = copied(node->key);
	view->version = copied(node->version);
	view->has_cloned = view->cloned = node->cloned;
	view->has_unconfirmed = view->unconfirmed = fleet_is_unconfirmed(node);
	/* Labels are copied as a document, which owns them all. */
	Gdr__Node *document = (Gdr__Node *)pb_copy(node->host ? &node->host->document->base : &node->document->base);
	view->labels = xcalloc(document->n_labels + 1, sizeof(*view->labels));
	for (size_t i = 0; i < document->n_labels; i++) {
		Gdr__NodeView__LabelsEntry *entry = xcalloc(1, sizeof(*entry));

		gdr__node_view__labels_entry__init(entry);
		entry->key = steal(&document->labels[i]->key);
		entry->value = steal(&document->labels[i]->value);
		view->labels[view->n_labels++] = entry;
	}
	pb_free(&document->base);
	view_report(view, node, detail);
	for (size_t i = 0; i < node->n_guests; i++)
		ADD(view->guests, view->n_guests, view_guest(fleet, node->guests[i], now_ms));
	if (detail)
		view->desired = fleet_desired(fleet, node);
	return view;
}

static bool
layer_has_wrong(const Gdr__LayerReport *layer, const char *pattern)
{
	if (!pattern && layer->error)
		return true;
	for (size_t i = 0; i < layer->n_items; i++) {
		const Gdr__Item *item = layer->items[i];

		if (item->fix != GDR__FIX__FIX_NONE &&
		    (!pattern || fnmatch(pattern, item->key ? item->key : "", 0) == 0))
			return true;
	}
	return false;
}

static bool
has_wrong_item(const struct node *node, const char *layer, const char *pattern)
{
	for (size_t i = 0; node->report && i < node->report->n_layers; i++) {
		const Gdr__LayerReport *l = node->report->layers[i];

		if ((!layer || (l->name && strcmp(layer, l->name) == 0)) && layer_has_wrong(l, pattern))
			return true;
	}
	return false;
}

static bool
fits_query(const struct node *node, const Gdr__NodeQuery *query, Gdr__NodeState state)
{
	bool fits = query->n_states == 0;

	for (size_t i = 0; i < query->n_states && !fits; i++)
		fits = query->states[i] == state;
	if (fits && (query->layer || query->item))
		fits = has_wrong_item(node, query->layer, query->item);
	return fits;
}

int
fleet_query_nodes(struct fleet *fleet, const struct ask *ask, const Gdr__NodeQuery *query, struct err *err)
{
	auto_free struct node **nodes = NULL;
	Gdr__Response *answer = ask->answer;
	size_t n;
	int rc = fleet_select(fleet, query->of, &nodes, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if ((query->after && strcmp(nodes[i]->name, query->after) <= 0) ||
		    !fits_query(nodes[i], query, fleet_state(fleet, nodes[i], ask->now_ms, NULL, NULL)))
			continue;
		if (query->has_limit && answer->n_nodes >= query->limit) {
			answer->next = answer->n_nodes ? xstrdup(answer->nodes[answer->n_nodes - 1]->name) : NULL;
			break;
		}
		ADD(answer->nodes, answer->n_nodes, fleet_view(fleet, nodes[i], ask->now_ms, query->detail));
	}
	return rc;
}

/* --- profiles ------------------------------------------------------------------------------------------------------ */

static Gdr__ProfileView *
view_revision(struct fleet *fleet, const char *name, const struct revision *revision)
{
	Gdr__ProfileView *view = xcalloc(1, sizeof(*view));

	gdr__profile_view__init(view);
	view->name = xstrdup(name);
	view->has_revision = view->has_created_ms = view->has_nodes = true;
	view->revision = revision->number;
	view->hash = xstrdup(revision->hash);
	view->author = copied(revision->author);
	view->comment = copied(revision->comment);
	view->created_ms = revision->created_ms;
	view->profile = (Gdr__Profile *)pb_copy(&revision->profile->base);
	for (const struct node *node = fleet_first(fleet); node; node = fleet_next(fleet))
		view->nodes += !node->host && node->profile && strcmp(node->profile, name) == 0 &&
			       node->revision == revision->number;
	return view;
}

static int
profile_by_name(const void *a, const void *b)
{
	const struct profile *const *left = a;
	const struct profile *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* All profiles, by name; the caller frees the array. */
static const struct profile **
sorted_profiles(struct fleet *fleet, size_t *n)
{
	const struct profile **all = xcalloc(zhashx_size(fleet->profiles) + 1, sizeof(struct profile *));

	*n = 0;
	for (const struct profile *p = zhashx_first(fleet->profiles); p; p = zhashx_next(fleet->profiles))
		all[(*n)++] = p;
	qsort(all, *n, sizeof(struct profile *), profile_by_name);
	return all;
}

int
fleet_query_profiles(struct fleet *fleet, const struct ask *ask, const Gdr__ProfileQuery *query, struct err *err)
{
	Gdr__Response *answer = ask->answer;
	size_t n;

	if (!query->name) {
		auto_free const struct profile **all = sorted_profiles(fleet, &n);

		for (size_t i = 0; i < n; i++)
			ADD(answer->profiles, answer->n_profiles,
			    view_revision(fleet, all[i]->name, &all[i]->revisions[all[i]->n - 1]));
		return 0;
	}
	const struct profile *profile = fleet_profile(fleet, query->name);
	if (!profile)
		return err_set(err, -ENOENT, "there is no profile '%s'; `gdrctl profile list` shows them", query->name);
	if (query->has_revision && !fleet_revision(fleet, query->name, query->revision))
		return err_set(err, -ENOENT, "profile '%s' has no revision %u (its newest is %zu)", query->name,
			       query->revision, profile->n);
	for (size_t i = profile->n; i-- > 0;)
		if (!query->has_revision || profile->revisions[i].number == query->revision)
			ADD(answer->profiles, answer->n_profiles,
			    view_revision(fleet, profile->name, &profile->revisions[i]));
	return 0;
}

int
fleet_export(struct fleet *fleet, const struct ask *ask, const Gdr__Export *export, struct err *err)
{
	auto_free struct node **nodes = NULL;
	size_t n_profiles;
	size_t n_nodes;
	Gdr__Export *out = xcalloc(1, sizeof(*out));
	auto_free const struct profile **profiles = sorted_profiles(fleet, &n_profiles);

	(void)export;
	gdr__export__init(out);
	ask->answer->exported = out;
	for (size_t i = 0; i < n_profiles; i++)
		ADD(out->profiles, out->n_profiles,
		    (Gdr__Profile *)pb_copy(&profiles[i]->revisions[profiles[i]->n - 1].profile->base));
	for (size_t i = 0; i < fleet->n_windows; i++)
		ADD(out->windows, out->n_windows, (Gdr__Window *)pb_copy(&fleet->windows[i].document->base));
	int rc = fleet_select(fleet, NULL, &nodes, &n_nodes, err);
	if (rc == 0)
		n_nodes = without_guests(nodes, n_nodes);
	for (size_t i = 0; rc == 0 && i < n_nodes; i++) {
		Gdr__Node *node = (Gdr__Node *)pb_copy(&nodes[i]->document->base);

		node->name = xstrdup(nodes[i]->name);
		node->profile = nodes[i]->profile ? xasprintf("%s@%u", nodes[i]->profile, nodes[i]->revision) : NULL;
		node->has_mode = nodes[i]->mode != GDR__MODE__MODE_ENFORCE;
		node->mode = nodes[i]->mode;
		ADD(out->nodes, out->n_nodes, node);
	}
	return rc;
}

/* --- events ----------------------------------------------------------------------------------------------------------- */

static int
add_event(void *arg, const struct store_event *row)
{
	Gdr__Response *answer = arg;
	Gdr__Event *event = xcalloc(1, sizeof(*event));

	gdr__event__init(event);
	event->has_id = event->has_at_ms = true;
	event->id = row->id;
	event->at_ms = row->at_ms;
	event->actor = copied(row->actor);
	event->kind = copied(row->kind);
	event->object = copied(row->object);
	event->text = copied(row->text);
	ADD(answer->events, answer->n_events, event);
	return 0;
}

int
fleet_query_events(struct fleet *fleet, const struct ask *ask, const Gdr__EventQuery *query, struct err *err)
{
	uint32_t limit = query->has_limit ? query->limit : EVENTS_DEFAULT;

	const struct store_event_query events = { .after = query->after,
						  .newest = query->newest,
						  .limit = limit < EVENTS_MAX ? limit : EVENTS_MAX,
						  .object = query->object };
	return store_events(fleet->store, &events, add_event, ask->answer, err);
}

/* --- drift ------------------------------------------------------------------------------------------------------------ */

/* One wrong item of one node; sorted, equal ones stand together: a node may report tens of thousands. */
struct wrong {
	const struct node *node;
	const char *layer;
	const Gdr__Item *item;
	size_t place; /* Of the node in the order of names, as everything keeps it. */
};
struct wrongs {
	struct wrong *all;
	size_t n;
	size_t room;
};

static int
text_order(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int
by_content(const struct wrong *a, const struct wrong *b)
{
	int order = text_order(a->layer, b->layer);

	order = order ? order : text_order(a->item->key, b->item->key);
	order = order ? order : text_order(a->item->want, b->item->want);
	return order ? order : text_order(a->item->have, b->item->have);
}

static int
by_content_and_place(const void *a, const void *b)
{
	const struct wrong *x = a;
	const struct wrong *y = b;
	int order = by_content(x, y);

	return order ? order : (x->place > y->place) - (x->place < y->place);
}

static void
collect_wrong(struct wrongs *wrongs, const struct node *node, size_t place)
{
	const Gdr__Report *report = node->report;

	for (size_t i = 0; report && i < report->n_layers; i++)
		for (size_t j = 0; j < report->layers[i]->n_items; j++) {
			if (report->layers[i]->items[j]->fix == GDR__FIX__FIX_NONE)
				continue;
			if (wrongs->n == wrongs->room) {
				wrongs->room = 2 * wrongs->room + 64;
				wrongs->all = xrealloc(wrongs->all, wrongs->room, sizeof(*wrongs->all));
			}
			wrongs->all[wrongs->n++] = (struct wrong){ node, report->layers[i]->name,
								   report->layers[i]->items[j], place };
		}
}

static Gdr__DriftView *
new_drift(const struct wrong *wrong)
{
	Gdr__DriftView *view = xcalloc(1, sizeof(*view));

	gdr__drift_view__init(view);
	view->layer = copied(wrong->layer);
	view->key = copied(wrong->item->key);
	view->want = copied(wrong->item->want);
	view->have = copied(wrong->item->have);
	view->has_fix = view->has_count = true;
	view->fix = wrong->item->fix;
	return view;
}

static void
count_wrong(Gdr__Response *answer, const struct wrongs *wrongs)
{
	answer->drift = xcalloc(wrongs->n + 1, sizeof(*answer->drift));
	for (size_t i = 0; i < wrongs->n; i++) {
		if (i == 0 || by_content(&wrongs->all[i - 1], &wrongs->all[i]) != 0)
			answer->drift[answer->n_drift++] = new_drift(&wrongs->all[i]);
		Gdr__DriftView *view = answer->drift[answer->n_drift - 1];
		view->count++;
		if (view->n_nodes < DRIFT_NODES_MAX)
			ADD(view->nodes, view->n_nodes, xstrdup(wrongs->all[i].node->name));
	}
}

static int
by_count(const void *a, const void *b)
{
	const Gdr__DriftView *left = *(Gdr__DriftView *const *)a;
	const Gdr__DriftView *right = *(Gdr__DriftView *const *)b;

	if (left->count != right->count)
		return left->count < right->count ? 1 : -1;
	int order = strcmp(left->layer ? left->layer : "", right->layer ? right->layer : "");
	return order ? order : strcmp(left->key ? left->key : "", right->key ? right->key : "");
}

int
fleet_query_drift(struct fleet *fleet, const struct ask *ask, const Gdr__DriftQuery *query, struct err *err)
{
	auto_free struct node **nodes = NULL;
	Gdr__Response *answer = ask->answer;
	struct wrongs wrongs = { 0 };
	size_t n;
	int rc = fleet_select(fleet, query->of, &nodes, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		collect_wrong(&wrongs, nodes[i], i);
	if (wrongs.n > 0) {
		qsort(wrongs.all, wrongs.n, sizeof(*wrongs.all), by_content_and_place);
		count_wrong(answer, &wrongs);
		qsort(answer->drift, answer->n_drift, sizeof(*answer->drift), by_count);
	}
	free(wrongs.all);
	return rc;
}

/* --- status ------------------------------------------------------------------------------------------------------------- */

/* Those that need a person come first. */
static int
urgency(Gdr__NodeState state)
{
	switch (state) {
	case GDR__NODE_STATE__NODE_STUCK: return 6;
	case GDR__NODE_STATE__NODE_LOST: return 5;
	case GDR__NODE_STATE__NODE_DRIFTED: return 4;
	case GDR__NODE_STATE__NODE_NEW:
	case GDR__NODE_STATE__NODE_UNASSIGNED: return 3;
	case GDR__NODE_STATE__NODE_HELD: return 2;
	case GDR__NODE_STATE__NODE_READY: return 0;
	default: return 1;
	}
}

static int
by_urgency(const void *a, const void *b)
{
	const struct node *const *left = a;
	const struct node *const *right = b;
	int difference = urgency((*right)->state) - urgency((*left)->state);

	return difference ? difference : strcmp((*left)->name, (*right)->name);
}

static void
count_state(Gdr__FleetStatus *status, Gdr__NodeState state)
{
	for (size_t i = 0; i < status->n_counts; i++)
		if (status->counts[i]->state == state) {
			status->counts[i]->nodes++;
			return;
		}
	Gdr__FleetStatus__Count *count = xcalloc(1, sizeof(*count));
	gdr__fleet_status__count__init(count);
	count->has_state = count->has_nodes = true;
	count->state = state;
	count->nodes = 1;
	ADD(status->counts, status->n_counts, count);
}

static Gdr__FleetStatus *
new_status(const struct fleet *fleet)
{
	Gdr__FleetStatus *status = xcalloc(1, sizeof(*status));

	gdr__fleet_status__init(status);
	status->has_nodes = status->has_connected = status->has_open_grants = true;
	status->has_unconfirmed = true;
	status->has_max_rebooting = status->has_started_ms = status->has_guests = status->has_guests_ready = true;
	status->max_rebooting = fleet->config->reboot ? fleet->config->reboot->max : 10;
	status->version = xstrdup(GDR_VERSION);
	status->started_ms = fleet->started_ms;
	return status;
}

int
fleet_query_status(struct fleet *fleet, const struct ask *ask, const Gdr__StatusQuery *query, struct err *err)
{
	auto_free struct node **nodes = NULL;
	size_t n;
	int rc = fleet_select(fleet, query->of, &nodes, &n, err);

	if (rc < 0)
		return rc;
	Gdr__FleetStatus *status = new_status(fleet);
	ask->answer->status = status;
	for (size_t i = 0; i < n; i++) {
		fleet_refresh(fleet, nodes[i], ask->now_ms);
		status->guests += nodes[i]->host != NULL;
		status->guests_ready += nodes[i]->host && nodes[i]->state == GDR__NODE_STATE__NODE_READY;
	}
	n = without_guests(nodes, n);
	status->nodes = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		count_state(status, nodes[i]->state);
		status->connected += nodes[i]->connected;
		status->unconfirmed += fleet_is_unconfirmed(nodes[i]);
		status->open_grants += nodes[i]->grant_boot != NULL;
	}
	if (n > 0)
		qsort(nodes, n, sizeof(struct node *), by_urgency);
	for (size_t i = 0; i < n && i < ATTENTION_MAX && nodes[i]->state != GDR__NODE_STATE__NODE_READY; i++)
		ADD(status->attention, status->n_attention, fleet_view(fleet, nodes[i], ask->now_ms, false));
	return 0;
}
