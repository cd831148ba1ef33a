#include "controller/ctl/views.h"

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/ctl/cells.h"
#include "controller/ctl/ctl.h"

static void
add_time(struct buf *out, protobuf_c_boolean has, uint64_t ms)
{
	if (has)
		text_time(out, ms);
}

/* --- nodes --- */

const char *
views_state(const Gdr__NodeView *node)
{
	return node->has_state ? pbtext_enum(&gdr__node_state__descriptor, (int)node->state) : "?";
}

enum text_colour
views_state_colour(const void *message)
{
	static const enum text_colour colours[] = {
		[GDR__NODE_STATE__NODE_READY] = TEXT_GREEN,
		[GDR__NODE_STATE__NODE_CONVERGING] = TEXT_CYAN,
		[GDR__NODE_STATE__NODE_WANTS_REBOOT] = TEXT_YELLOW,
		[GDR__NODE_STATE__NODE_REBOOTING] = TEXT_YELLOW,
		[GDR__NODE_STATE__NODE_STUCK] = TEXT_RED,
		[GDR__NODE_STATE__NODE_DRIFTED] = TEXT_YELLOW,
		[GDR__NODE_STATE__NODE_HELD] = TEXT_DIM,
		[GDR__NODE_STATE__NODE_LOST] = TEXT_RED,
		[GDR__NODE_STATE__NODE_UNASSIGNED] = TEXT_DIM,
		[GDR__NODE_STATE__NODE_NEW] = TEXT_DIM,
		[GDR__NODE_STATE__NODE_PENDING] = TEXT_YELLOW,
	};
	const Gdr__NodeView *node = message;
	size_t state = node->has_state ? (size_t)node->state : 0;

	return state < sizeof(colours) / sizeof(colours[0]) ? colours[state] : TEXT_PLAIN;
}

void
views_layers(const Gdr__NodeView *node, struct buf *out)
{
	for (size_t i = 0; i < node->n_layers; i++) {
		const Gdr__LayerView *layer = node->layers[i];

		buf_printf(out, "%s%s ", i > 0 ? "  " : "", layer->name ? layer->name : "?");
		if (layer->failed)
			cell_put(out, "failed");
		else if (layer->wrong > 0)
			buf_printf(out, "%" PRIu32 "!", layer->wrong);
		else
			cell_put(out, "ok");
	}
}

static int
by_key(const void *a, const void *b)
{
	const Gdr__NodeView__LabelsEntry *x = output_item(a, 0);
	const Gdr__NodeView__LabelsEntry *y = output_item(b, 0);

	return strcmp(x->key ? x->key : "", y->key ? y->key : "");
}

void
views_labels(const Gdr__NodeView *node, struct buf *out)
{
	size_t size = node->n_labels * sizeof(Gdr__NodeView__LabelsEntry *);

	if (size == 0)
		return;
	auto_free Gdr__NodeView__LabelsEntry **sorted = xcalloc(1, size);
	memcpy(sorted, node->labels, size);
	qsort(sorted, node->n_labels, sizeof(Gdr__NodeView__LabelsEntry *), by_key);
	for (size_t i = 0; i < node->n_labels; i++)
		buf_printf(out, "%s%s=%s", i > 0 ? "," : "", sorted[i]->key ? sorted[i]->key : "",
			   sorted[i]->value ? sorted[i]->value : "");
}

CELL_TEXT(node_name, Gdr__NodeView, name)

CELL(node_state)
{
	const Gdr__NodeView *node = message;

	(void)ctl;
	cell_put(out, views_state(node));
	if (node->cloned)
		cell_put(out, ",cloned");
}

CELL_TEXT(node_profile, Gdr__NodeView, profile)

CELL(node_layers)
{
	(void)ctl;
	views_layers(message, out);
}

CELL(node_reboots)
{
	const Gdr__NodeView *node = message;

	(void)ctl;
	if (node->has_reboots_used && node->has_reboot_budget)
		buf_printf(out, "%" PRIu32 "/%" PRIu32, node->reboots_used, node->reboot_budget);
}

CELL_AGE(node_since, Gdr__NodeView, since_ms)
CELL_TEXT(node_why, Gdr__NodeView, why)
CELL_TEXT(node_remedy, Gdr__NodeView, remedy)

CELL(node_labels)
{
	(void)ctl;
	views_labels(message, out);
}

CELL(node_mode)
{
	const Gdr__NodeView *node = message;

	(void)ctl;
	if (node->has_mode)
		cell_put(out, pbtext_enum(&gdr__mode__descriptor, (int)node->mode));
}

/* Seen and wanted, where they differ. */
CELL(node_generation)
{
	const Gdr__NodeView *node = message;

	(void)ctl;
	if (node->has_observed_generation && node->has_generation && node->observed_generation != node->generation)
		buf_printf(out, "%" PRIu64 " of ", node->observed_generation);
	cell_put_number(out, node->has_generation, node->generation);
}

CELL(node_boot)
{
	const Gdr__NodeView *node = message;

	(void)ctl;
	if (node->boot_id)
		buf_printf(out, "%.8s", node->boot_id);
}

CELL_TEXT(node_agent, Gdr__NodeView, version)
CELL_AGE(node_seen, Gdr__NodeView, seen_ms)
CELL_TEXT(node_address, Gdr__NodeView, address)

CELL(node_key)
{
	const Gdr__NodeView *node = message;
	char fingerprint[KEY_FINGERPRINT_LEN + 1] = "";

	(void)ctl;
	if (keys_valid(node->key))
		keys_fingerprint(node->key, fingerprint);
	cell_put(out, fingerprint);
}

static void
node_object(const void *message, struct buf *out)
{
	const Gdr__NodeView *node = message;

	buf_printf(out, "node/%s", node->name ? node->name : "");
}

static const struct column node_columns[] = {
	{ "NAME", node_name, NULL, false, false },       { "STATE", node_state, views_state_colour, false, false },
	{ "PROFILE", node_profile, NULL, false, false }, { "LAYERS", node_layers, NULL, false, false },
	{ "REBOOTS", node_reboots, NULL, false, false }, { "LABELS", node_labels, NULL, true, false },
	{ "MODE", node_mode, NULL, true, false },        { "GEN", node_generation, NULL, true, false },
	{ "BOOT", node_boot, NULL, true, false },        { "AGENT", node_agent, NULL, true, false },
	{ "SEEN", node_seen, NULL, true, true },         { "ADDRESS", node_address, NULL, true, false },
	{ "KEY", node_key, NULL, true, false },          { "SINCE", node_since, NULL, false, true },
	{ "WHY", node_why, NULL, false, false },         { 0 },
};
const struct view view_nodes = { "nodes", node_columns, node_object, "no nodes", false };

const struct column columns_attention[] = {
	{ "NODE", node_name, NULL, false, false },     { "STATE", node_state, views_state_colour, false, false },
	{ "SINCE", node_since, NULL, false, true },    { "WHY", node_why, NULL, false, false },
	{ "REMEDY", node_remedy, NULL, false, false }, { 0 },
};

/* --- items --- */

CELL_TEXT(item_key, Gdr__Item, key)
CELL_TEXT(item_want, Gdr__Item, want)
CELL_TEXT(item_have, Gdr__Item, have)

static const char *
fix_text(protobuf_c_boolean has, Gdr__Fix fix)
{
	if (!has)
		return "?";
	return fix == GDR__FIX__FIX_NONE ? "ok" : pbtext_enum(&gdr__fix__descriptor, (int)fix);
}

static enum text_colour
fix_colour(protobuf_c_boolean has, Gdr__Fix fix)
{
	if (!has || fix == GDR__FIX__FIX_MANUAL)
		return TEXT_RED;
	return fix == GDR__FIX__FIX_NONE ? TEXT_GREEN : TEXT_YELLOW;
}

CELL(item_fix)
{
	const Gdr__Item *item = message;

	(void)ctl;
	cell_put(out, fix_text(item->has_fix, item->fix));
}

static enum text_colour
item_colour(const void *message)
{
	const Gdr__Item *item = message;

	return fix_colour(item->has_fix, item->fix);
}

CELL(item_since)
{
	const Gdr__Item *item = message;

	if (item->has_since_ms)
		text_age(out, item->since_ms, ctl->ops->wall_ms(ctl->arg));
}

CELL_TEXT(item_why, Gdr__Item, why)

const struct column columns_items[] = {
	{ "ITEM", item_key, NULL, false, false },
	{ "WANT", item_want, NULL, false, false },
	{ "HAVE", item_have, NULL, false, false },
	{ "FIX", item_fix, item_colour, false, false },
	{ "SINCE", item_since, NULL, false, true },
	{ "WHY", item_why, NULL, false, false },
	{ 0 },
};

/* --- changes --- */

CELL_TEXT(change_object, Gdr__Change, object)
CELL_TEXT(change_done, Gdr__Change, done)

static enum text_colour
change_colour(const void *message)
{
	const Gdr__Change *change = message;

	return change->done && strcmp(change->done, "unchanged") != 0 ? TEXT_GREEN : TEXT_DIM;
}

CELL(change_detail)
{
	const Gdr__Change *change = message;

	(void)ctl;
	cell_put(out, change->detail ? change->detail : " ");
}

static void
change_name(const void *message, struct buf *out)
{
	const Gdr__Change *change = message;

	cell_put(out, change->object);
}

static const struct column change_columns[] = {
	{ "OBJECT", change_object, NULL, false, false },
	{ "DONE", change_done, change_colour, false, false },
	{ "DETAIL", change_detail, NULL, false, false },
	{ 0 },
};
const struct view view_changes = { "changes", change_columns, change_name, NULL, true };

/* --- profiles --- */

CELL_TEXT(profile_name, Gdr__ProfileView, name)
CELL_NUMBER(profile_revision, Gdr__ProfileView, revision)
CELL_NUMBER(profile_nodes, Gdr__ProfileView, nodes)
CELL_AGE(profile_age, Gdr__ProfileView, created_ms)

CELL(profile_created)
{
	const Gdr__ProfileView *profile = message;

	(void)ctl;
	add_time(out, profile->has_created_ms, profile->created_ms);
}

CELL_TEXT(profile_author, Gdr__ProfileView, author)
CELL_TEXT(profile_comment, Gdr__ProfileView, comment)

CELL(profile_description)
{
	const Gdr__ProfileView *profile = message;

	(void)ctl;
	cell_put(out, profile->profile ? profile->profile->description : NULL);
}

CELL_TEXT(profile_hash, Gdr__ProfileView, hash)

static void
profile_object(const void *message, struct buf *out)
{
	const Gdr__ProfileView *profile = message;

	buf_printf(out, "profile/%s", profile->name ? profile->name : "");
}

static void
revision_object(const void *message, struct buf *out)
{
	const Gdr__ProfileView *profile = message;

	buf_printf(out, "profile/%s@%" PRIu32, profile->name ? profile->name : "", profile->revision);
}

static const struct column profile_columns[] = {
	{ "NAME", profile_name, NULL, false, false },
	{ "REVISION", profile_revision, NULL, false, false },
	{ "NODES", profile_nodes, NULL, false, false },
	{ "AGE", profile_age, NULL, false, true },
	{ "AUTHOR", profile_author, NULL, true, false },
	{ "HASH", profile_hash, NULL, true, false },
	{ "DESCRIPTION", profile_description, NULL, false, false },
	{ 0 },
};
const struct view view_profiles = { "profiles", profile_columns, profile_object,
				    "no profiles: apply one by `gdrctl apply -f FILE`", false };

static const struct column revision_columns[] = {
	{ "REVISION", profile_revision, NULL, false, false },
	{ "CREATED", profile_created, NULL, false, false },
	{ "AUTHOR", profile_author, NULL, false, false },
	{ "NODES", profile_nodes, NULL, false, false },
	{ "HASH", profile_hash, NULL, true, false },
	{ "COMMENT", profile_comment, NULL, false, false },
	{ 0 },
};
const struct view view_revisions = { "profiles", revision_columns, revision_object, NULL, false };

/* --- events --- */

CELL(event_time)
{
	const Gdr__Event *event = message;

	(void)ctl;
	add_time(out, event->has_at_ms, event->at_ms);
}

CELL_NUMBER(event_id, Gdr__Event, id)
CELL_TEXT(event_actor, Gdr__Event, actor)
CELL_TEXT(event_kind, Gdr__Event, kind)
CELL_TEXT(event_about, Gdr__Event, object)
CELL_TEXT(event_text, Gdr__Event, text)

static void
event_name(const void *message, struct buf *out)
{
	const Gdr__Event *event = message;

	buf_printf(out, "event/%" PRIu64, event->id);
}

static const struct column event_columns[] = {
	{ "TIME", event_time, NULL, false, false },
	{ "ID", event_id, NULL, true, false },
	{ "ACTOR", event_actor, NULL, false, false },
	{ "KIND", event_kind, NULL, false, false },
	{ "OBJECT", event_about, NULL, false, false },
	{ "TEXT", event_text, NULL, false, false },
	{ 0 },
};
const struct view view_events = { "events", event_columns, event_name, "no events", false };

/* --- drift --- */

CELL_TEXT(drift_layer, Gdr__DriftView, layer)
CELL_TEXT(drift_key, Gdr__DriftView, key)
CELL_TEXT(drift_want, Gdr__DriftView, want)
CELL_TEXT(drift_have, Gdr__DriftView, have)

CELL(drift_fix)
{
	const Gdr__DriftView *drift = message;

	(void)ctl;
	cell_put(out, fix_text(drift->has_fix, drift->fix));
}

static enum text_colour
drift_colour(const void *message)
{
	const Gdr__DriftView *drift = message;

	return fix_colour(drift->has_fix, drift->fix);
}

CELL_NUMBER(drift_count, Gdr__DriftView, count)

CELL(drift_names)
{
	const Gdr__DriftView *drift = message;

	(void)ctl;
	for (size_t i = 0; i < drift->n_nodes; i++)
		buf_printf(out, "%s%s", i > 0 ? "," : "", drift->nodes[i]);
	if (drift->count > drift->n_nodes && drift->n_nodes > 0)
		cell_put(out, ",...");
}

static void
drift_name(const void *message, struct buf *out)
{
	const Gdr__DriftView *drift = message;

	buf_printf(out, "%s/%s", drift->layer ? drift->layer : "", drift->key ? drift->key : "");
}

static const struct column drift_columns[] = {
	{ "NODES", drift_count, NULL, false, false }, { "LAYER", drift_layer, NULL, false, false },
	{ "ITEM", drift_key, NULL, false, false },    { "WANT", drift_want, NULL, false, false },
	{ "HAVE", drift_have, NULL, false, false },   { "FIX", drift_fix, drift_colour, false, false },
	{ "NAMES", drift_names, NULL, true, false },  { 0 },
};
const struct view view_drift = { "drift", drift_columns, drift_name, "nothing differs", false };

/* --- users --- */

CELL_TEXT(user_name, Gdr__User, name)

CELL(user_role)
{
	const Gdr__User *user = message;

	(void)ctl;
	if (user->has_role)
		cell_put(out, pbtext_enum(&gdr__role__descriptor, (int)user->role));
}

CELL_AGE(user_age, Gdr__User, created_ms)
CELL_TEXT(user_key, Gdr__User, key)

static void
user_object(const void *message, struct buf *out)
{
	const Gdr__User *user = message;

	buf_printf(out, "user/%s", user->name ? user->name : "");
}

static const struct column user_columns[] = {
	{ "NAME", user_name, NULL, false, false },
	{ "ROLE", user_role, NULL, false, false },
	{ "AGE", user_age, NULL, false, true },
	{ "KEY", user_key, NULL, false, false },
	{ 0 },
};
const struct view view_users = { "users", user_columns, user_object, "no users", false };
