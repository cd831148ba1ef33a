/* news.c - what agents say, and what follows from it by itself: lost nodes, reboots. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/rules.h"
#include "controller/fleet/guest.h"
#include "controller/fleet/impl.h"
#include "controller/keyring.h"
#include "controller/store.h"

#define TRIM_EVERY_MS 3600000

#define BOOT_ID_MAX    64
#define CLOCK_JUMP_MS  10000            /* Between two ticks that are a second apart. */
#define GENERATION_MAX (UINT64_MAX / 4) /* No agent gets that far by being told. */
#define MENDED_MAX     32               /* That are looked at; no agent tells of so many. */

/* As the kernel writes them, but of any form: it is stored, shown and compared. */
static bool
is_boot_id(const char *boot_id)
{
	const struct rule rule = { .kind = RULE_LABEL, .min = 1, .max = BOOT_ID_MAX };
	struct err ignored = { 0 };

	return boot_id && rules_check_text(&rule, boot_id, &ignored) == 0;
}

static unsigned long long
seconds_since(uint64_t then_ms, uint64_t now_ms)
{
	return now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0; /* The clock may have been put back. */
}

static void
mark_dirty(struct fleet *fleet, struct node *node)
{
	fleet_touch(fleet, node);
	node->dirty = true;
}

static void
mark_push(struct fleet *fleet, struct node *node)
{
	fleet_touch(fleet, node);
	node->push = true;
}

/* Another boot than the one we knew: whatever was granted or wanted of the old one is void. */
static void
take_boot(struct fleet *fleet, struct node *node, const char *boot_id, uint64_t now_ms)
{
	auto_free char *object = xasprintf("node/%s", node->name);

	if (!is_boot_id(boot_id) || same_text(node->boot_id, boot_id))
		return;
	if (node->grant_boot && !same_text(node->grant_boot, boot_id)) {
		fleet_event(fleet, now_ms, object, "node.rebooted", object, "back after %llu s",
			    seconds_since(node->granted_ms, now_ms));
		fleet_set_text(&node->grant_boot, NULL);
	} else if (node->boot_id && (!node->host || fleet_may_note(node, now_ms))) {
		fleet_event(fleet, now_ms, object, "node.rebooted", object,
			    node->host ? "it says so itself" : "without a grant of ours");
	}
	if (node->leave_boot && !same_text(node->leave_boot, boot_id)) {
		fleet_set_text(&node->leave_boot, NULL);
		fleet_set_text(&node->leave_why, NULL);
	}
	fleet_set_text(&node->boot_id, boot_id);
	node->wants_since_ms = 0;
	mark_dirty(fleet, node);
	mark_push(fleet, node);
}

/* The agent's durable generation may be ahead of ours only if our store was put back from a backup: then we go on
 * from its number, because an agent never takes an older one. */
static void
take_generation(struct fleet *fleet, struct node *node, uint64_t told, uint64_t now_ms)
{
	node->told = told;
	if (told <= node->generation || told > GENERATION_MAX)
		return;
	auto_free char *object = xasprintf("node/%s", node->name);
	if (!node->host || fleet_may_note(node, now_ms))
		fleet_event(fleet, now_ms, "gdrd", "node.generation-ahead", object,
			    "its agent has generation %llu, we had %llu: was the database put back from a backup?",
			    (unsigned long long)told, (unsigned long long)node->generation);
	node->generation = told + 1;
	mark_dirty(fleet, node);
	mark_push(fleet, node);
}

/* What it measured under our number is not what that number stands for here: the store was put back from a backup and
 * the number given out again.  A number of its own makes the two different. */
static void
take_content(struct fleet *fleet, struct node *node, const Gdr__Report *news, uint64_t now_ms)
{
	if (news->generation != node->generation || same_text(news->spec_hash, node->spec_hash))
		return;
	auto_free char *object = xasprintf("node/%s", node->name);
	if (!node->host || fleet_may_note(node, now_ms))
		fleet_event(
			fleet, now_ms, "gdrd", "node.generation-ahead", object,
			"its agent knows another content as generation %llu: was the database put back from a backup?",
			(unsigned long long)node->generation);
	node->generation++;
	mark_dirty(fleet, node);
}

static void
take_numbers(struct fleet *fleet, struct node *node, uint64_t generation, const char *grant)
{
	if (generation != node->generation || !same_text(grant, node->grant_boot))
		mark_push(fleet, node);
}

static void
heard(struct fleet *fleet, struct node *node, uint64_t now_ms)
{
	if (!node->seen_ms) { /* Whatever we know of it is confirmed, or about to be replaced. */
		fleet_touch(fleet, node);
		node->news = true;
	}
	node->seen_ms = now_ms;
	if (node->rollout)
		fleet->news_ms = now_ms;
}

void
fleet_hello(struct fleet *fleet, struct node *node, const Gdr__Hello *hello, uint64_t now_ms)
{
	heard(fleet, node, now_ms);
	node->connected = true;
	if (!same_text(node->version, hello->version))
		fleet_set_text(&node->version, hello->version);
	take_boot(fleet, node, hello->boot_id, now_ms);
	take_generation(fleet, node, hello->generation, now_ms);
	take_numbers(fleet, node, hello->generation, hello->may_reboot_from);
	fleet_refresh(fleet, node, now_ms);
}

static size_t
count_mended(const Gdr__Report *report)
{
	return !report ? 0 : report->n_mended < MENDED_MAX ? report->n_mended : MENDED_MAX;
}

static bool
is_told(const Gdr__Report *report, const Gdr__Mended *mended)
{
	for (size_t i = 0; i < count_mended(report); i++)
		if (report->mended[i]->at_ms == mended->at_ms && same_text(report->mended[i]->layer, mended->layer) &&
		    same_text(report->mended[i]->key, mended->key))
			return true;
	return false;
}

/* What its agent put right by itself is over before anybody could see it: the event is all that tells of it. */
static void
take_mended(struct fleet *fleet, struct node *node, const Gdr__Report *news, uint64_t now_ms)
{
	const Gdr__Mended *first = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < count_mended(news); i++) {
		if (is_told(node->report, news->mended[i]))
			continue;
		first = first ? first : news->mended[i];
		n++;
	}
	if (!first || !fleet_may_note(node, now_ms))
		return;
	auto_free char *object = xasprintf("node/%s", node->name);
	auto_free char *more = n > 1 ? xasprintf(" (and %u more)", n - 1) : NULL;
	fleet_event(fleet, now_ms, object, "node.mended", object, "%s: %s: had %.100s, is %.100s again%s",
		    first->layer ? first->layer : "?", first->key ? first->key : "?", first->had ? first->had : "?",
		    first->have ? first->have : "?", more ? more : "");
}

void
fleet_report(struct fleet *fleet, struct node *node, Gdr__Report **report, uint64_t now_ms)
{
	Gdr__Report *news = *report;

	heard(fleet, node, now_ms);
	fleet_touch(fleet, node);
	node->acknowledge = true;
	/* From a generation that we never gave out: a liar, or older than a restored backup.  The answer is Desired. */
	if (news->generation > node->generation || !news->has_outcome || !is_boot_id(news->boot_id)) {
		node->push = true;
		return;
	}
	take_boot(fleet, node, news->boot_id, now_ms);
	take_content(fleet, node, news, now_ms);
	fleet_date_report(news, node->report, now_ms);
	take_mended(fleet, node, news, now_ms);
	pb_free(node->report ? &node->report->base : NULL);
	node->report = steal(report);
	node->dirty_report = true;
	if (news->generation != node->generation)
		node->push = true;
	bool wants = news->outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT;
	if (!wants)
		node->wants_since_ms = 0;
	else if (!node->wants_since_ms)
		node->wants_since_ms = now_ms;
	if (!node->host)
		fleet_take_vms(fleet, node, now_ms);
	fleet_refresh(fleet, node, now_ms);
}

void
fleet_lease(struct fleet *fleet, struct node *node, const Gdr__Lease *lease, uint64_t now_ms)
{
	node->seen_ms = now_ms;
	fleet_touch(fleet, node);
	node->acknowledge = true;
	node->silent_s = lease->has_silent_s ? lease->silent_s : 0;
	take_boot(fleet, node, lease->boot_id, now_ms);
	take_generation(fleet, node, lease->generation, now_ms);
	take_numbers(fleet, node, lease->generation, lease->may_reboot_from);
}

void
fleet_cloned(struct fleet *fleet, struct node *node, const char *address, uint64_t now_ms)
{
	auto_free char *object = xasprintf("node/%s", node->name);

	if (node->cloned)
		return;
	node->cloned = true;
	fleet_touch(fleet, node);
	node->news = true;
	fleet_event(fleet, now_ms, "gdrd", "node.cloned", object, "its key also speaks from %s", address);
	fleet_refresh(fleet, node, now_ms);
}

/* --- joining --------------------------------------------------------------------------------------------- */

static int
check_room(struct fleet *fleet, const struct node *node, struct err *err)
{
	if (node || fleet_hosts(fleet) < fleet->config->max_nodes)
		return 0;
	return err_set(err, -ENOSPC, "the fleet has max_nodes (%u) nodes already", fleet->config->max_nodes);
}

static int
check_enrol(struct fleet *fleet, const struct token *token, const char *name, const char *key, struct err *err)
{
	const struct rule rule = { .kind = RULE_NAME, .min = 1, .max = 63 };
	const struct node *node = name ? fleet_node(fleet, name) : NULL;

	if (!token)
		return err_set(err, -EACCES, "this token was used or has expired");
	if (!name || rules_check_text(&rule, name, err) < 0)
		return err_set(err, -EINVAL, "that is no name for a node");
	if (!keys_valid(key))
		return err_set(err, -EINVAL, "that is no public key");
	if (token->node && strcmp(token->node, name) != 0)
		return err_set(err, -EACCES, "this token is for node '%s'", token->node);
	if (keyring_find(fleet->keyring, key))
		return err_set(err, -EEXIST, "this key belongs to %s already", keyring_find(fleet->keyring, key)->name);
	if (!token->node && node && node->key)
		return err_set(err, -EEXIST,
			       "node '%s' has a key already: only a token made for it (--node %s) replaces it", name,
			       name);
	return check_room(fleet, node, err);
}

int
fleet_give_key(struct fleet *fleet, struct node *node, const char *key, uint64_t now_ms, struct err *err)
{
	struct principal principal = { .is_node = true, .name = node->name, .created_ms = now_ms };

	if (!fleet_writing(fleet)) {
		*err = fleet->failed;
		return err->code;
	}
	if (node->key && keyring_remove(fleet->keyring, node->key, err) < 0)
		return err->code;
	(void)snprintf(principal.key, sizeof(principal.key), "%s", key);
	fleet_set_text(&node->key, key);
	node->cloned = false;
	if (!node->wanted)
		(void)fleet_wanted_changed(fleet, node);
	mark_dirty(fleet, node);
	return keyring_add(fleet->keyring, &principal, err);
}

int
fleet_enrol(struct fleet *fleet, const char *token_key, const char *name, const char *key, uint64_t now_ms,
	    struct err *err)
{
	int rc = check_enrol(fleet, keyring_find_token(fleet->keyring, token_key, now_ms), name, key, err);

	if (rc < 0)
		return rc;
	struct node *node = fleet_node(fleet, name);
	if (!node)
		node = fleet_add_node(fleet, name);
	rc = fleet_give_key(fleet, node, key, now_ms, err);
	if (rc == 0)
		rc = keyring_spend_token(fleet->keyring, token_key, err);
	auto_free char *object = xasprintf("node/%s", name);
	fleet_event(fleet, now_ms, "token", "node.joined", object, "by a join token");
	fleet_refresh(fleet, node, now_ms);
	return rc;
}

int
fleet_accept(struct fleet *fleet, const struct ask *ask, const char *key, const char *name, struct err *err)
{
	const struct node *there = fleet_node(fleet, name);

	if (there && there->key)
		return err_set(err, -EEXIST, "node '%s' has a key already: remove it first, or choose another --name",
			       name);
	if (check_room(fleet, there, err) < 0)
		return err->code;
	if (ask->dry_run)
		return 0;
	struct node *node = fleet_node(fleet, name);
	if (!node)
		node = fleet_add_node(fleet, name);
	int rc = fleet_give_key(fleet, node, key, ask->now_ms, err);
	auto_free char *object = xasprintf("node/%s", name);
	char fingerprint[KEY_FINGERPRINT_LEN + 1];
	keys_fingerprint(key, fingerprint);
	fleet_event(fleet, ask->now_ms, ask->actor, "node.accepted", object, "key %s", fingerprint);
	fleet_refresh(fleet, node, ask->now_ms);
	return rc;
}

/* --- every second ------------------------------------------------------------------------------------------ */

/* A clock that jumped, or a gdrd that stood still, says nothing about agents: they get their time anew. */
static void
watch_clock(struct fleet *fleet, uint64_t now_ms)
{
	bool back = now_ms < fleet->ticked_ms;

	if (back || now_ms - fleet->ticked_ms > CLOCK_JUMP_MS)
		fleet->patient_since_ms = now_ms;
	for (struct node *node = back ? fleet_first(fleet) : NULL; node; node = fleet_next(fleet))
		if (node->seen_ms > now_ms)
			node->seen_ms = now_ms;
	fleet->ticked_ms = now_ms;
}

void
fleet_tick(struct fleet *fleet, uint64_t now_ms)
{
	watch_clock(fleet, now_ms);
	(void)keyring_expire(fleet->keyring, now_ms, &fleet->failed);
	if (now_ms - fleet->trimmed_ms >= TRIM_EVERY_MS && fleet_writing(fleet)) {
		fleet->trimmed_ms = now_ms;
		(void)store_trim_events(fleet->store, fleet->config->events_kept, &fleet->failed);
	}
	fleet_grant_reboots(fleet, now_ms);
	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet))
		fleet_refresh(fleet, node, now_ms);
	fleet_step_rollouts(fleet, now_ms);
}
