/* fleet.c - the model in memory, loaded from the store and committed to it. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/utf8.h"
#include "controller/fleet/guest.h"
#include "controller/fleet/impl.h"
#include "controller/fleet/query.h"
#include "controller/keyring.h"
#include "controller/store.h"

#define STEP_GAP_MS 200

/* --- nodes --------------------------------------------------------------------------------------------- */

static void
node_free(void **item)
{
	struct node *node = *item;

	free(node->name);
	free(node->guests);
	free(node->key);
	pb_free(&node->document->base);
	free(node->profile);
	free(node->mode_why);
	free(node->boot_id);
	free(node->grant_boot);
	free(node->leave_boot);
	free(node->leave_why);
	pb_free(node->report ? &node->report->base : NULL);
	free(node->spec_hash);
	free(node->wanted);
	free(node->last_ready);
	free(node->version);
	free(node->wait_why);
	free(node);
	*item = NULL;
}

void
fleet_touch(struct fleet *fleet, struct node *node)
{
	if (node->touched)
		return;
	node->touched = true;
	fleet->touched = xrealloc(fleet->touched, fleet->n_touched + 1, sizeof(struct node *));
	fleet->touched[fleet->n_touched++] = node;
}

struct node **
fleet_touched(struct fleet *fleet, size_t *n)
{
	*n = fleet->n_touched;
	return fleet->touched;
}

void
fleet_turn_over(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_touched; i++)
		fleet->touched[i]->touched = false;
	fleet->n_touched = 0;
}

static void
untouch(struct fleet *fleet, const struct node *node)
{
	for (size_t i = 0; i < fleet->n_touched; i++)
		if (fleet->touched[i] == node)
			fleet->touched[i--] = fleet->touched[--fleet->n_touched];
}

/* A guest is in its host's care from its first moment to its last. */
static void
find_host(struct fleet *fleet, struct node *node)
{
	auto_free char *name = xstrdup(node->name);
	char *slash = strchr(name, '/');

	if (!slash)
		return;
	*slash = '\0';
	node->host = fleet_node(fleet, name);
	if (!node->host)
		return;
	node->host->guests = xrealloc(node->host->guests, node->host->n_guests + 1, sizeof(struct node *));
	node->host->guests[node->host->n_guests++] = node;
	fleet->n_guests++;
}

static void
leave_host(struct fleet *fleet, const struct node *node)
{
	struct node *host = node->host;

	for (size_t i = 0; host && i < host->n_guests; i++)
		if (host->guests[i] == node) {
			memmove(host->guests + i, host->guests + i + 1,
				(host->n_guests - i - 1) * sizeof(struct node *));
			host->n_guests--;
			fleet->n_guests--;
		}
}

struct node *
fleet_add_node(struct fleet *fleet, const char *name)
{
	struct node *node = xcalloc(1, sizeof(*node));

	node->name = xstrdup(name);
	find_host(fleet, node);
	node->document = xcalloc(1, sizeof(*node->document));
	gdr__node__init(node->document);
	node->mode = GDR__MODE__MODE_ENFORCE;
	node->state = GDR__NODE_STATE__NODE_NEW;
	(void)zhashx_insert(fleet->nodes, name, node);
	fleet_touch(fleet, node);
	node->dirty = true;
	return node;
}

void
fleet_drop_node(struct fleet *fleet, struct node *node)
{
	if (fleet_writing(fleet))
		(void)store_delete_node(fleet->store, node->name, &fleet->failed);
	untouch(fleet, node);
	leave_host(fleet, node);
	/* It is kept until the commit: if that fails, what only memory knows of it is still wanted. */
	zhashx_set_destructor(fleet->nodes, NULL);
	zhashx_delete(fleet->nodes, node->name);
	zhashx_set_destructor(fleet->nodes, node_free);
	void *item = node;
	if (zhashx_insert(fleet->dropped, node->name, node) != 0)
		node_free(&item);
}

struct node *
fleet_node(const struct fleet *fleet, const char *name)
{
	return zhashx_lookup(fleet->nodes, name);
}

struct node *
fleet_first(struct fleet *fleet)
{
	return zhashx_first(fleet->nodes);
}

struct node *
fleet_next(struct fleet *fleet)
{
	return zhashx_next(fleet->nodes);
}

size_t
fleet_size(const struct fleet *fleet)
{
	return zhashx_size(fleet->nodes);
}

size_t
fleet_hosts(const struct fleet *fleet)
{
	return fleet_size(fleet) - fleet->n_guests;
}

uint64_t
fleet_version(const struct fleet *fleet)
{
	return fleet->version;
}

uint64_t
fleet_started_ms(const struct fleet *fleet)
{
	return fleet->started_ms;
}

uint64_t
fleet_removed_version(const struct fleet *fleet)
{
	return fleet->removed_version;
}

/* --- profiles -------------------------------------------------------------------------------------------- */

static void
profile_free(void **item)
{
	struct profile *profile = *item;

	for (size_t i = 0; i < profile->n; i++) {
		free(profile->revisions[i].author);
		free(profile->revisions[i].comment);
		pb_free((ProtobufCMessage *)profile->revisions[i].profile); /* NULL if it could not be read. */
	}
	free(profile->revisions);
	free(profile->name);
	free(profile);
	*item = NULL;
}

const struct profile *
fleet_profile(const struct fleet *fleet, const char *name)
{
	return zhashx_lookup(fleet->profiles, name);
}

const struct revision *
fleet_revision(const struct fleet *fleet, const char *name, uint32_t number)
{
	const struct profile *profile = fleet_profile(fleet, name);

	return profile && number >= 1 && number <= profile->n ? &profile->revisions[number - 1] : NULL;
}

static struct revision *
append_revision(struct fleet *fleet, const char *name)
{
	struct profile *profile = zhashx_lookup(fleet->profiles, name);

	if (!profile) {
		profile = xcalloc(1, sizeof(*profile));
		profile->name = xstrdup(name);
		(void)zhashx_insert(fleet->profiles, name, profile);
	}
	profile->revisions = xrealloc(profile->revisions, profile->n + 1, sizeof(*profile->revisions));
	struct revision *revision = &profile->revisions[profile->n++];
	*revision = (struct revision){ .number = (uint32_t)profile->n };
	return revision;
}

const struct revision *
fleet_add_revision(struct fleet *fleet, const struct ask *ask, const Gdr__Profile *document, const char *comment)
{
	struct revision *revision = append_revision(fleet, document->name);
	size_t len;
	auto_free uint8_t *packed = pb_pack(&document->base, &len);

	revision->author = xstrdup(ask->actor);
	revision->comment = comment ? xstrdup(comment) : NULL;
	revision->created_ms = ask->now_ms;
	revision->profile = (Gdr__Profile *)pb_copy(&document->base);
	pb_hash(&document->spec->base, revision->hash);

	const struct store_profile row = { .name = document->name,
					   .revision = revision->number,
					   .hash = revision->hash,
					   .author = revision->author,
					   .comment = revision->comment,
					   .created_ms = revision->created_ms,
					   .document = packed,
					   .document_len = len };
	if (fleet_writing(fleet))
		(void)store_add_profile(fleet->store, &row, &fleet->failed);
	return revision;
}

/* --- what is wanted ---------------------------------------------------------------------------------------- */

Gdr__Spec *
fleet_spec(const struct fleet *fleet, const struct node *node)
{
	const struct node *host = node->host ? node->host : node;
	const struct revision *revision = host->profile ? fleet_revision(fleet, host->profile, host->revision) : NULL;
	const Gdr__Spec *base = revision ? revision->profile->spec : NULL;
	const Gdr__Spec *over = host->document->override;

	/* An override alone says too little about a host to act on. */
	if (!base)
		return NULL;
	Gdr__Spec *whole = (Gdr__Spec *)pb_merge(&base->base, over ? &over->base : NULL);
	Gdr__Spec *part = node->host ? xcalloc(1, sizeof(*part)) : whole;
	Gdr__GuestSpec *guest = steal(&whole->guest);
	if (node->host) {
		gdr__spec__init(part);
		part->guest = guest;
		pb_free(&whole->base);
	} else {
		pb_free(guest ? &guest->base : NULL);
	}
	return part;
}

static bool
wanted_changed(struct fleet *fleet, struct node *node)
{
	char hash[PB_HASH_LEN + 1] = "";
	char all[PB_HASH_LEN + 64];

	if (node->host)
		fleet_follow_host(node);
	auto_pb Gdr__Spec *spec = fleet_spec(fleet, node);
	if (node->host)
		node->host->needs_guests = spec && spec->guest;
	if (spec)
		pb_hash(&spec->base, hash);
	/* The mode is a part of what the node should be. */
	(void)snprintf(all, sizeof(all), "%s/%d", hash, (int)node->mode);
	fleet_set_text(&node->spec_hash, spec ? hash : NULL);
	if (node->wanted && strcmp(node->wanted, all) == 0)
		return false;
	fleet_set_text(&node->wanted, all);
	node->generation++;
	fleet_touch(fleet, node);
	node->dirty = true;
	node->push = true;
	return true;
}

bool
fleet_wanted_changed(struct fleet *fleet, struct node *node)
{
	bool changed = wanted_changed(fleet, node);

	for (size_t i = 0; i < node->n_guests; i++)
		(void)wanted_changed(fleet, node->guests[i]);
	return changed;
}

Gdr__Desired *
fleet_desired(struct fleet *fleet, const struct node *node)
{
	Gdr__Desired *desired = xcalloc(1, sizeof(*desired));

	gdr__desired__init(desired);
	desired->node = xstrdup(node->name);
	desired->has_generation = true;
	desired->generation = node->generation;
	desired->profile = node->profile ? xasprintf("%s@%u", node->profile, node->revision) : NULL;
	desired->has_mode = true;
	desired->mode = node->mode;
	desired->spec = fleet_spec(fleet, node);
	desired->spec_hash = node->spec_hash ? xstrdup(node->spec_hash) : NULL;
	desired->may_reboot_from = node->grant_boot ? xstrdup(node->grant_boot) : NULL;
	desired->leave_boot = node->leave_boot ? xstrdup(node->leave_boot) : NULL;
	return desired;
}

/* --- writing ----------------------------------------------------------------------------------------------- */

bool
fleet_writing(struct fleet *fleet)
{
	if (fleet->failed.code)
		return false;
	fleet->wrote = true;
	return store_begin(fleet->store, &fleet->failed) == 0;
}

void
fleet_event(struct fleet *fleet, uint64_t now_ms, const char *actor, const char *kind, const char *object,
	    const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	utf8_clean(text); /* It may have been cut within a character, and parts of it come from agents. */
	struct store_event event = { .at_ms = now_ms, .actor = actor, .kind = kind, .object = object, .text = text };
	if (fleet_writing(fleet))
		(void)store_add_event(fleet->store, &event, &fleet->failed);
}

static void
write_node(struct fleet *fleet, struct node *node)
{
	size_t len;
	auto_free uint8_t *document = pb_pack(&node->document->base, &len);
	const struct store_node row = { .name = node->name,
					.key = node->key,
					.document = document,
					.document_len = len,
					.profile = node->profile,
					.revision = node->revision,
					.generation = node->generation,
					.mode = (int)node->mode,
					.mode_why = node->mode_why,
					.state = (int)node->state,
					.since_ms = node->since_ms,
					.boot_id = node->boot_id,
					.grant_boot = node->grant_boot,
					.granted_ms = node->granted_ms,
					.leave_boot = node->leave_boot,
					.leave_why = node->leave_why,
					.last_ready = node->last_ready };

	if (fleet_writing(fleet))
		(void)store_put_node(fleet->store, &row, &fleet->failed);
}

static void
write_report(struct fleet *fleet, struct node *node)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&node->report->base, &len);

	fleet_report_digest(node->report, data, len, node->digest);
	if (fleet_writing(fleet))
		(void)store_put_report(fleet->store, node->name, data, len, &fleet->failed);
}

/* --- loading ------------------------------------------------------------------------------------------------ */

static char *
copied(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static int
load_node(void *arg, const struct store_node *row)
{
	struct fleet *fleet = arg;
	struct err err = { 0 };
	struct node *node = fleet_add_node(fleet, row->name);
	ProtobufCMessage *document = pb_unpack(&gdr__node__descriptor, row->document, row->document_len, &err);

	if (!document)
		return err_set(&fleet->failed, -EBADMSG, "node %s: the stored document cannot be read", row->name);
	if (strchr(row->name, '/') && !node->host)
		return err_set(&fleet->failed, -EBADMSG, "node %s: its host is not stored", row->name);
	pb_free(&node->document->base);
	node->document = (Gdr__Node *)document;
	node->key = copied(row->key);
	node->profile = copied(row->profile);
	node->revision = row->revision;
	node->generation = row->generation;
	node->mode = (Gdr__Mode)row->mode;
	node->mode_why = copied(row->mode_why);
	node->state = (Gdr__NodeState)row->state;
	node->since_ms = row->since_ms;
	node->boot_id = copied(row->boot_id);
	node->grant_boot = copied(row->grant_boot);
	node->granted_ms = row->granted_ms;
	node->leave_boot = copied(row->leave_boot);
	node->leave_why = copied(row->leave_why);
	node->last_ready = copied(row->last_ready);
	node->dirty = false;
	if (!row->report)
		return 0;
	node->report = (Gdr__Report *)pb_unpack(&gdr__report__descriptor, row->report, row->report_len, &err);
	if (node->report) /* A report that cannot be read is asked for again. */
		fleet_report_digest(node->report, row->report, row->report_len, node->digest);
	return 0;
}

static int
load_profile(void *arg, const struct store_profile *row)
{
	struct fleet *fleet = arg;
	struct err err = { 0 };
	ProtobufCMessage *document = pb_unpack(&gdr__profile__descriptor, row->document, row->document_len, &err);
	struct revision *revision = append_revision(fleet, row->name);

	revision->profile = (Gdr__Profile *)document;
	if (!document || revision->number != row->revision || !revision->profile->spec)
		return err_set(&fleet->failed, -EBADMSG, "profile %s revision %u cannot be read", row->name,
			       row->revision);
	(void)snprintf(revision->hash, sizeof(revision->hash), "%s", row->hash);
	revision->author = copied(row->author);
	revision->comment = copied(row->comment);
	revision->created_ms = row->created_ms;
	return 0;
}

static int
load_principal(void *arg, const struct store_principal *row)
{
	struct fleet *fleet = arg;
	char *name = xstrdup(row->name);
	struct principal principal = {
		.is_node = row->is_node, .name = name, .role = (Gdr__Role)row->role, .created_ms = row->created_ms
	};

	(void)snprintf(principal.key, sizeof(principal.key), "%s", row->key);
	keyring_load_principal(fleet->keyring, &principal);
	free(name);
	return 0;
}

static int
load_token(void *arg, const struct store_token *row)
{
	struct fleet *fleet = arg;
	auto_free char *node = copied(row->node);
	struct token token = { .node = node, .expires_ms = row->expires_ms };

	(void)snprintf(token.key, sizeof(token.key), "%s", row->key);
	keyring_load_token(fleet->keyring, &token);
	return 0;
}

static int
load_window(void *arg, const struct store_window *row)
{
	return fleet_load_window(arg, row);
}

static int
load_rollout(void *arg, const struct store_rollout *row)
{
	return fleet_load_rollout(arg, row);
}

static int
load_rollout_node(void *arg, const struct store_rollout_node *row)
{
	return fleet_load_rollout_node(arg, row);
}

static int
load(struct fleet *fleet, struct err *err)
{
	static const struct store_loader loader = { .node = load_node,
						    .profile = load_profile,
						    .principal = load_principal,
						    .token = load_token,
						    .window = load_window,
						    .rollout = load_rollout,
						    .rollout_node = load_rollout_node };

	fleet->failed = (struct err){ 0 };
	int rc = store_load(fleet->store, &loader, fleet, err);
	if (rc < 0 && fleet->failed.code)
		*err = fleet->failed;
	fleet->failed = (struct err){ 0 };
	if (rc < 0)
		return rc;
	/* The wanted content's hash is not stored: it follows from profile, override and mode. */
	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet)) {
		uint64_t generation = node->generation;

		(void)wanted_changed(fleet, node);
		node->generation = generation;
		node->dirty = node->push = false;
	}
	fleet_own_nodes(fleet);
	fleet_turn_over(fleet);
	keyring_committed(fleet->keyring);
	return 0;
}

int
fleet_open(struct store *store, struct keyring *keyring, const Gdr__GdrdConfig *config, uint64_t now_ms,
	   struct fleet **out, struct err *err)
{
	struct fleet *fleet = xcalloc(1, sizeof(*fleet));

	fleet->store = store;
	fleet->keyring = keyring;
	fleet->config = config;
	fleet->started_ms = now_ms;
	fleet->version = 1;
	fleet->patient_since_ms = now_ms;
	fleet->ticked_ms = now_ms;
	fleet->nodes = zhashx_new();
	fleet->profiles = zhashx_new();
	fleet->dropped = zhashx_new();
	zhashx_set_destructor(fleet->nodes, node_free);
	zhashx_set_destructor(fleet->dropped, node_free);
	zhashx_set_destructor(fleet->profiles, profile_free);
	int rc = load(fleet, err);
	if (rc < 0) {
		fleet_close(fleet);
		return rc;
	}
	*out = fleet;
	return 0;
}

void
fleet_close(struct fleet *fleet)
{
	if (!fleet)
		return;
	zhashx_destroy(&fleet->nodes);
	zhashx_destroy(&fleet->dropped);
	zhashx_destroy(&fleet->profiles);
	fleet_drop_rollouts(fleet);
	fleet_drop_windows(fleet);
	free(fleet->touched);
	free(fleet);
}

/* What is only in memory is carried over by name; reports that were not stored come again, as their digests differ. */
static void
reload(struct fleet *fleet)
{
	zhashx_t *old = fleet->nodes;
	struct err err = { 0 };

	store_rollback(fleet->store);
	fleet->n_touched = 0;
	fleet->n_guests = 0;
	keyring_clear(fleet->keyring);
	fleet->nodes = zhashx_new();
	zhashx_set_destructor(fleet->nodes, node_free);
	zhashx_purge(fleet->profiles);
	fleet_drop_rollouts(fleet);
	fleet_drop_windows(fleet);
	if (load(fleet, &err) < 0) {
		log_error("the database cannot be read back after a failed write: %s", err.msg);
		abort(); /* The service manager starts us anew; nothing that was acknowledged is lost. */
	}
	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet)) {
		struct node *was = zhashx_lookup(fleet->dropped, node->name);

		was = was ? was : zhashx_lookup(old, node->name);
		if (!was)
			continue;
		node->seen_ms = was->seen_ms;
		node->told = was->told;
		node->connected = was->connected;
		node->silent_s = was->silent_s;
		node->cloned = was->cloned;
		node->noted_ms = was->noted_ms;
		node->version = steal(&was->version);
		node->wants_since_ms = was->wants_since_ms;
		node->changed = was->changed;
	}
	fleet->removed_version = ++fleet->version; /* Whoever has seen nodes looks at all of them again. */
	fleet->wrote = false;
	zhashx_destroy(&old);
	zhashx_purge(fleet->dropped);
}

/* After the commit: what operators see from now on. */
static void
new_version(struct fleet *fleet)
{
	bool changed = fleet->wrote;

	for (size_t i = 0; i < fleet->n_touched && !changed; i++)
		changed = fleet->touched[i]->news;
	if (!changed)
		return;
	fleet->version++;
	for (size_t i = 0; i < fleet->n_touched; i++) {
		struct node *node = fleet->touched[i];

		if (node->dirty || node->dirty_report || node->news)
			node->changed = fleet->version;
		node->dirty = node->dirty_report = node->news = false;
	}
	if (zhashx_size(fleet->dropped) > 0)
		fleet->removed_version = fleet->version;
	fleet->wrote = false;
}

int
fleet_commit(struct fleet *fleet, struct err *err)
{
	/* In a burst of reports the next tick does for all of them. */
	if (fleet->news_ms > fleet->stepped_ms + STEP_GAP_MS)
		fleet_step_rollouts(fleet, fleet->news_ms);
	fleet->news_ms = 0;
	fleet_write_rollouts(fleet);
	for (size_t i = 0; i < fleet->n_touched; i++) {
		if (fleet->touched[i]->dirty)
			write_node(fleet, fleet->touched[i]);
		if (fleet->touched[i]->dirty_report)
			write_report(fleet, fleet->touched[i]);
	}
	int rc = fleet->failed.code;
	if (rc == 0)
		rc = store_commit(fleet->store, &fleet->failed);
	if (rc < 0) {
		*err = fleet->failed;
		reload(fleet);
		return rc;
	}
	new_version(fleet);
	fleet_rollouts_written(fleet);
	if (zhashx_size(fleet->dropped) > 0)
		zhashx_purge(fleet->dropped);
	keyring_committed(fleet->keyring);
	return 0;
}
