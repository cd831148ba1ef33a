/* change.c - operators' requests: check everything, then change all or nothing. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "common/rules.h"
#include "controller/fleet/guest.h"
#include "controller/fleet/impl.h"
#include "controller/keyring.h"
#include "controller/store.h"

/* --- the answer ------------------------------------------------------------------------------------------- */

void
fleet_changed(const struct ask *ask, const char *kind, const char *name, const char *done, char *detail)
{
	Gdr__Change *change = xcalloc(1, sizeof(*change));
	Gdr__Response *answer = ask->answer;

	gdr__change__init(change);
	change->object = xasprintf("%s/%s", kind, name);
	change->done = xstrdup(done);
	change->detail = detail;
	answer->changes = xrealloc(answer->changes, answer->n_changes + 1, sizeof(*answer->changes));
	answer->changes[answer->n_changes++] = change;
}

static void
node_event(struct fleet *fleet, const struct ask *ask, const struct node *node, const char *kind, const char *text)
{
	auto_free char *object = xasprintf("node/%s", node->name);

	fleet_event(fleet, ask->now_ms, ask->actor, kind, object, "%s", text ? text : "");
}

int
fleet_note(struct fleet *fleet, const struct ask *ask, const char *kind, const char *object, const char *text,
	   struct err *err)
{
	fleet_event(fleet, ask->now_ms, ask->actor, kind, object, "%s", text);
	if (fleet->failed.code)
		*err = fleet->failed;
	return fleet->failed.code;
}

int
fleet_answered(struct fleet *fleet, const char *key, char **message)
{
	struct err err = { 0 };
	int code = -1;

	return store_get_answer(fleet->store, key, &code, message, &err) == 0 ? code : -1;
}

void
fleet_remember_answer(struct fleet *fleet, const char *key, int code, const char *message)
{
	if (fleet_writing(fleet))
		(void)store_put_answer(fleet->store, key, code, message, &fleet->failed);
}

/* --- references to profiles --------------------------------------------------------------------------------- */

struct reference {
	char name[64];
	uint32_t revision;
};

static void
unknown_profile(struct fleet *fleet, const char *name, struct err *err)
{
	size_t n = 0;
	auto_free const char **names = xcalloc(zhashx_size(fleet->profiles) + 1, sizeof(char *));

	for (const struct profile *p = zhashx_first(fleet->profiles); p; p = zhashx_next(fleet->profiles))
		names[n++] = p->name;
	const char *near = pbtext_nearest(name, names);
	(void)err_set(err, -ENOENT, "there is no profile '%s'%s%s%s", name, near ? ", did you mean '" : "",
		      near ? near : "", near ? "'?" : "; `gdrctl profile list` shows them");
}

static bool
is_newest(const struct profile *profile, const Gdr__Profile *document)
{
	return profile && pb_equal(&profile->revisions[profile->n - 1].profile->base, &document->base);
}

/* How many revisions the profile has once 'apply' is done; 0: there is none of this name. */
static size_t
revisions_after(const struct fleet *fleet, const Gdr__Apply *apply, const char *name)
{
	const struct profile *profile = fleet_profile(fleet, name);
	size_t n = profile ? profile->n : 0;

	for (size_t i = 0; apply && i < apply->n_profiles; i++)
		if (strcmp(apply->profiles[i]->name, name) == 0 && !is_newest(profile, apply->profiles[i]))
			return n + 1;
	return n;
}

static int
parse_revision(const char *text, const char *digits, size_t newest, uint32_t *out, struct err *err)
{
	unsigned long number = strtoul(digits, NULL, 10);

	if (strspn(digits, "0123456789") != strlen(digits) || number < 1 || number > UINT32_MAX)
		return err_set(err, -EINVAL, "'%s': '%s' is no revision number", text, digits);
	if (number > newest)
		return err_set(err, -ENOENT, "'%s': there is no revision %lu (the newest is %zu)", text, number,
			       newest);
	*out = (uint32_t)number;
	return 0;
}

/* "NAME" (its newest revision) or "NAME@REVISION"; a profile that 'apply' brings is there already. */
static int
resolve(struct fleet *fleet, const char *text, const Gdr__Apply *apply, struct reference *out, struct err *err)
{
	size_t len = strcspn(text, "@");

	if (len == 0 || len >= sizeof(out->name))
		return err_set(err, -EINVAL, "'%s': expected PROFILE or PROFILE@REVISION", text);
	memcpy(out->name, text, len);
	out->name[len] = '\0';
	size_t newest = revisions_after(fleet, apply, out->name);
	if (newest == 0) {
		unknown_profile(fleet, out->name, err);
		return err->code;
	}
	if (text[len] == '@')
		return parse_revision(text, text + len + 1, newest, &out->revision, err);
	out->revision = (uint32_t)newest;
	return 0;
}

static bool
is_at(const struct node *node, const struct reference *at)
{
	return node->profile && strcmp(node->profile, at->name) == 0 && node->revision == at->revision;
}

static bool
point_at(struct node *node, const struct reference *to)
{
	if (is_at(node, to))
		return false;
	fleet_set_text(&node->profile, to->name);
	node->revision = to->revision;
	return true;
}

int
fleet_resolve(struct fleet *fleet, const char *text, char name[64], uint32_t *revision, struct err *err)
{
	struct reference reference = { 0 };
	int rc = resolve(fleet, text, NULL, &reference, err);

	if (rc < 0)
		return rc;
	memcpy(name, reference.name, sizeof(reference.name));
	*revision = reference.revision;
	return 0;
}

int
fleet_check_free(const struct node *node, struct err *err)
{
	if (!node->rollout)
		return 0;
	return err_set(err, -EBUSY,
		       "node %s is in the hands of rollout %s: wait for its end, or `gdrctl rollout abort %s`",
		       node->name, node->rollout, node->rollout);
}

/* --- apply ---------------------------------------------------------------------------------------------------- */

static int
check_profile(const Gdr__Profile *profile, struct err *err)
{
	if (!profile->name)
		return err_set(err, -EINVAL, "a profile without a name");
	if (!profile->spec)
		return err_set(err, -EINVAL, "profile %s: no spec", profile->name);
	if (pb_check(&profile->base, err) < 0)
		return err_wrap(err, "profile %s", profile->name);
	return 0;
}

static int
check_node(struct fleet *fleet, const Gdr__Apply *apply, const Gdr__Node *node, struct err *err)
{
	struct reference reference = { 0 };

	if (!node->name)
		return err_set(err, -EINVAL, "a node without a name");
	if (pb_check(&node->base, err) < 0)
		return err_wrap(err, "node %s", node->name);
	if (!node->profile)
		return 0;
	if (resolve(fleet, node->profile, apply, &reference, err) < 0)
		return err_wrap(err, "node %s", node->name);
	const struct node *there = fleet_node(fleet, node->name);
	return there && !is_at(there, &reference) ? fleet_check_free(there, err) : 0;
}

static int
check_profiles(const Gdr__Apply *apply, struct err *err)
{
	zhashx_t *seen = zhashx_new();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < apply->n_profiles; i++) {
		rc = check_profile(apply->profiles[i], err);
		if (rc == 0 && zhashx_insert(seen, apply->profiles[i]->name, apply->profiles[i]) != 0)
			rc = err_set(err, -EINVAL, "profile %s is there twice", apply->profiles[i]->name);
	}
	zhashx_destroy(&seen);
	return rc;
}

static int
check_nodes(struct fleet *fleet, const Gdr__Apply *apply, struct err *err)
{
	zhashx_t *seen = zhashx_new();
	size_t fresh = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < apply->n_nodes; i++) {
		rc = check_node(fleet, apply, apply->nodes[i], err);
		if (rc == 0 && zhashx_insert(seen, apply->nodes[i]->name, apply->nodes[i]) != 0)
			rc = err_set(err, -EINVAL, "node %s is there twice", apply->nodes[i]->name);
		fresh += rc == 0 && !fleet_node(fleet, apply->nodes[i]->name);
	}
	zhashx_destroy(&seen);
	if (rc == 0 && fleet_hosts(fleet) + fresh > fleet->config->max_nodes)
		rc = err_set(err, -ENOSPC, "the fleet would have more than max_nodes (%u) nodes",
			     fleet->config->max_nodes);
	return rc;
}

static void
apply_profile(struct fleet *fleet, const struct ask *ask, const Gdr__Profile *document, const char *comment)
{
	const struct profile *profile = fleet_profile(fleet, document->name);
	const struct revision *newest = profile ? &profile->revisions[profile->n - 1] : NULL;

	if (is_newest(profile, document)) {
		fleet_changed(ask, "profile", document->name, "unchanged", xasprintf("revision %u", newest->number));
		return;
	}
	if (ask->dry_run) {
		fleet_changed(ask, "profile", document->name, newest ? "configured" : "created",
			      xasprintf("revision %u", newest ? newest->number + 1 : 1));
		return;
	}
	const struct revision *revision = fleet_add_revision(fleet, ask, document, comment);
	auto_free char *object = xasprintf("profile/%s", document->name);
	fleet_event(fleet, ask->now_ms, ask->actor, "profile.revised", object, "revision %u, content %s%s%s",
		    revision->number, revision->hash, comment ? ": " : "", comment ? comment : "");
	fleet_changed(
		ask, "profile", document->name, newest ? "configured" : "created",
		xasprintf("revision %u%s", revision->number, newest ? "; nodes move with `gdrctl rollout start`" : ""));
}

/* The document as it is kept: what has a place of its own in the row is not in it. */
static Gdr__Node *
kept_part(const Gdr__Node *document)
{
	Gdr__Node *kept = (Gdr__Node *)pb_copy(&document->base);

	free(kept->name);
	free(kept->profile);
	kept->name = NULL;
	kept->profile = NULL;
	kept->has_mode = false;
	return kept;
}

static bool
is_same(const struct node *node, const Gdr__Node *kept, Gdr__Mode mode, const struct reference *to)
{
	if (!node || node->mode != mode || !pb_equal(&node->document->base, &kept->base))
		return false;
	return !to->revision || is_at(node, to);
}

/* A Node document says all that there is to say of its labels, override and mode; a profile that it does not
 * name stays as it is assigned. */
static void
apply_node(struct fleet *fleet, const struct ask *ask, const Gdr__Apply *apply, const Gdr__Node *document)
{
	struct node *node = fleet_node(fleet, document->name);
	Gdr__Node *kept = kept_part(document);
	Gdr__Mode mode = document->has_mode ? document->mode : GDR__MODE__MODE_ENFORCE;
	const char *done = node ? "configured" : "created";
	struct reference to = { 0 };
	struct err ignored = { 0 }; /* It was checked. */

	if (document->profile)
		(void)resolve(fleet, document->profile, apply, &to, &ignored);
	bool same = is_same(node, kept, mode, &to);
	if (same || ask->dry_run) {
		fleet_changed(ask, "node", document->name, same ? "unchanged" : done, NULL);
		pb_free(&kept->base);
		return;
	}
	if (!node)
		node = fleet_add_node(fleet, document->name);
	fleet_touch(fleet, node);
	node->dirty = true;
	pb_free(&node->document->base);
	node->document = kept;
	if (node->mode != mode)
		fleet_set_text(&node->mode_why, NULL); /* It was said of the other mode. */
	node->mode = mode;
	if (to.revision)
		(void)point_at(node, &to);
	bool moved = fleet_wanted_changed(fleet, node);
	node_event(fleet, ask, node, "node.configured", document->profile);
	fleet_changed(ask, "node", node->name, done,
		      moved && node->profile ? xasprintf("generation %llu", (unsigned long long)node->generation)
					     : NULL);
	fleet_refresh(fleet, node, ask->now_ms);
}

int
fleet_apply(struct fleet *fleet, const struct ask *ask, const Gdr__Apply *apply, struct err *err)
{
	int rc = check_profiles(apply, err);

	if (rc == 0)
		rc = check_nodes(fleet, apply, err);
	if (rc == 0)
		rc = fleet_check_windows(apply, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < apply->n_profiles; i++)
		apply_profile(fleet, ask, apply->profiles[i], apply->comment);
	for (size_t i = 0; i < apply->n_nodes; i++)
		apply_node(fleet, ask, apply, apply->nodes[i]);
	fleet_apply_windows(fleet, ask, apply);
	return 0;
}

/* --- requests about selected nodes ------------------------------------------------------------------------------ */

int
fleet_remove(struct fleet *fleet, const struct ask *ask, const Gdr__Selection *of, struct err *err)
{
	auto_free struct node **nodes = NULL;
	size_t n;
	int rc = fleet_select_hosts(fleet, of, &nodes, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct node *node = nodes[i];

		fleet_changed(ask, "node", node->name, "removed", node->key ? xstrdup("its key is revoked") : NULL);
		if (ask->dry_run)
			continue;
		if (!fleet_writing(fleet))
			break;
		while (node->n_guests > 0 && !fleet->failed.code)
			fleet_drop_guest(fleet, node->guests[node->n_guests - 1], "its host was removed", ask->now_ms);
		if (node->key)
			rc = keyring_remove(fleet->keyring, node->key, err);
		node_event(fleet, ask, node, "node.removed", NULL);
		fleet_drop_node(fleet, node);
	}
	return rc;
}

static int
check_labels(const Gdr__NodeLabel *label, struct err *err)
{
	const struct rule rule = { .kind = RULE_LABEL, .min = 0, .max = 63 };

	for (size_t i = 0; i < label->n_set; i++)
		if (!label->set[i]->key || !*label->set[i]->key ||
		    rules_check_text(&rule, label->set[i]->key, err) < 0 ||
		    rules_check_text(&rule, label->set[i]->value ? label->set[i]->value : "", err) < 0)
			return err_set(err, -EINVAL, "label '%s=%s': letters, digits and -._/ only, at most 63",
				       label->set[i]->key ? label->set[i]->key : "",
				       label->set[i]->value ? label->set[i]->value : "");
	return 0;
}

static void
drop_label(Gdr__Node *document, const char *key)
{
	for (size_t i = 0; i < document->n_labels; i++)
		if (strcmp(document->labels[i]->key, key) == 0) {
			pb_free(&document->labels[i]->base);
			document->labels[i--] = document->labels[--document->n_labels];
		}
}

static void
set_label(Gdr__Node *document, const char *key, const char *value)
{
	Gdr__Node__LabelsEntry *entry = xcalloc(1, sizeof(*entry));

	drop_label(document, key);
	gdr__node__labels_entry__init(entry);
	entry->key = xstrdup(key);
	entry->value = xstrdup(value ? value : "");
	document->labels = xrealloc(document->labels, document->n_labels + 1, sizeof(*document->labels));
	document->labels[document->n_labels++] = entry;
}

static Gdr__Node *
labelled(const Gdr__Node *document, const Gdr__NodeLabel *label)
{
	Gdr__Node *out = (Gdr__Node *)pb_copy(&document->base);

	for (size_t i = 0; i < label->n_remove; i++)
		drop_label(out, label->remove[i]);
	for (size_t i = 0; i < label->n_set; i++)
		set_label(out, label->set[i]->key, label->set[i]->value);
	pb_sort_maps(&out->base);
	return out;
}

int
fleet_label(struct fleet *fleet, const struct ask *ask, const Gdr__NodeLabel *label, struct err *err)
{
	auto_free struct node **nodes = NULL;
	size_t n;
	int rc = check_labels(label, err);

	if (rc == 0)
		rc = fleet_select_hosts(fleet, label->of, &nodes, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		Gdr__Node *document = labelled(nodes[i]->document, label);
		bool unchanged = pb_equal(&document->base, &nodes[i]->document->base);

		fleet_changed(ask, "node", nodes[i]->name, unchanged ? "unchanged" : "labelled", NULL);
		if (unchanged || ask->dry_run) {
			pb_free(&document->base);
			continue;
		}
		pb_free(&nodes[i]->document->base);
		nodes[i]->document = document;
		fleet_touch(fleet, nodes[i]);
		nodes[i]->dirty = true;
		node_event(fleet, ask, nodes[i], "node.labelled", NULL);
	}
	return rc;
}

int
fleet_mode(struct fleet *fleet, const struct ask *ask, const Gdr__NodeMode *mode, struct err *err)
{
	const char *text = pbtext_enum(&gdr__mode__descriptor, (int)mode->mode);
	auto_free struct node **nodes = NULL;
	size_t n;
	int rc = fleet_select_hosts(fleet, mode->of, &nodes, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct node *node = nodes[i];

		if (node->mode == mode->mode) {
			fleet_changed(ask, "node", node->name, "unchanged", xstrdup(text));
			continue;
		}
		fleet_changed(ask, "node", node->name, "set", xstrdup(text));
		if (ask->dry_run)
			continue;
		node->mode = mode->mode;
		fleet_set_text(&node->mode_why, mode->why);
		(void)fleet_wanted_changed(fleet, node);
		auto_free char *kind = xasprintf("node.mode-%s", text);
		node_event(fleet, ask, node, kind, mode->why);
		fleet_refresh(fleet, node, ask->now_ms);
	}
	return rc;
}

int
fleet_assign(struct fleet *fleet, const struct ask *ask, const Gdr__NodeAssign *assign, struct err *err)
{
	auto_free struct node **nodes = NULL;
	struct reference to = { 0 };
	size_t n;
	int rc;

	if (!assign->profile)
		return err_set(err, -EINVAL, "which profile? gdrctl node assign NODE... PROFILE[@REVISION]");
	rc = resolve(fleet, assign->profile, NULL, &to, err);
	if (rc == 0)
		rc = fleet_select_hosts(fleet, assign->of, &nodes, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = is_at(nodes[i], &to) ? 0 : fleet_check_free(nodes[i], err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct node *node = nodes[i];
		auto_free char *target = xasprintf("%s@%u", to.name, to.revision);
		bool same = is_at(node, &to);

		fleet_changed(ask, "node", node->name, same ? "unchanged" : "assigned", xstrdup(target));
		if (ask->dry_run || same)
			continue;
		fleet_touch(fleet, node);
		node->dirty = true;
		(void)point_at(node, &to);
		(void)fleet_wanted_changed(fleet, node);
		node_event(fleet, ask, node, "node.assigned", target);
		fleet_refresh(fleet, node, ask->now_ms);
	}
	return rc;
}

int
fleet_reboot(struct fleet *fleet, const struct ask *ask, const Gdr__NodeReboot *reboot, struct err *err)
{
	auto_free struct node **nodes = NULL;
	size_t n;
	int rc = fleet_select_hosts(fleet, reboot->of, &nodes, &n, err);

	/* All or nothing: so first all are looked at. */
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (!nodes[i]->boot_id)
			rc = err_set(err, -ENOTCONN, "node %s has never connected: there is no boot to end",
				     nodes[i]->name);
		else if (nodes[i]->mode == GDR__MODE__MODE_HOLD)
			rc = err_set(err, -EPERM, "node %s is held: `gdrctl node release` it first", nodes[i]->name);
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct node *node = nodes[i];

		fleet_changed(ask, "node", node->name, "reboot-wanted", xstrdup("when the reboot budget allows"));
		if (ask->dry_run)
			continue;
		fleet_set_text(&node->leave_boot, node->boot_id);
		fleet_set_text(&node->leave_why, reboot->why);
		fleet_touch(fleet, node);
		node->dirty = true;
		node->push = true;
		node_event(fleet, ask, node, "node.reboot-wanted", reboot->why);
	}
	return rc;
}
