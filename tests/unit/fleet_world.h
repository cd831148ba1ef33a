#pragma once

/* fleet_world.h - a fleet over a SQLite store in a folder of its own, for tests: requests and agents' messages are
 * written as YAML, time is world.now, and the store can be made to fail. */

#include <czmq.h>
#include <errno.h>
#include <string.h>

#include "common/keys.h"
#include "common/pbtext.h"
#include "controller/db.h"
#include "controller/fleet/query.h"
#include "controller/keyring.h"
#include "controller/store.h"
#include "controller/zap.h"
#include "tests/unit/folder.h"

extern const struct db_driver db_sqlite;

struct world {
	char *path;
	struct store *store;
	struct zap *zap;
	struct keyring *keyring;
	struct fleet *fleet;
	Gdr__GdrdConfig config;
	Gdr__RebootLimits reboot;
	Gdr__RebootLimits__PerLabelEntry *per_label[1];
	Gdr__RebootLimits__PerLabelEntry rack;
	uint64_t now;
	struct err err;
};

/* The how manyth statement fails from now on; 0: none does. */
static int world_fail_at;

static inline int
world_exec(struct db *db, const char *sql, const struct db_value *args, size_t n_args, db_row_fn *row, void *arg,
	   struct err *err)
{
	if (strcmp(sql, "ROLLBACK") != 0 && strncmp(sql, "SELECT", 6) != 0 && world_fail_at > 0 && --world_fail_at == 0)
		return err_set(err, -EIO, "the disk is on fire");
	return db_sqlite.exec(db, sql, args, n_args, row, arg, err);
}

static inline void
world_open_fleet(struct world *w)
{
	static struct db_driver driver;

	driver = db_sqlite;
	driver.exec = world_exec;
	world_fail_at = 0;
	if (store_open_with(&driver, w->path, &w->store, &w->err) < 0)
		fail_msg("%s", w->err.msg);
	w->keyring = keyring_new(w->store, w->zap);
	if (fleet_open(w->store, w->keyring, &w->config, w->now, &w->fleet, &w->err) < 0)
		fail_msg("%s", w->err.msg);
}

static inline void
world_close_fleet(struct world *w)
{
	fleet_close(w->fleet);
	keyring_free(w->keyring);
	store_close(w->store);
}

/* gdrd ends and starts again, at once. */
static inline void
world_restart(struct world *w)
{
	world_close_fleet(w);
	world_open_fleet(w);
}

static inline struct world *
world_make(const char *folder)
{
	static char label[] = "rack";
	static char limit[] = "1";
	struct world *w = xcalloc(1, sizeof(*w));

	w->path = xasprintf("%s/gdrd.db", folder);
	w->now = 1700000000000;
	gdr__gdrd_config__init(&w->config);
	gdr__reboot_limits__init(&w->reboot);
	gdr__reboot_limits__per_label_entry__init(&w->rack);
	w->config.lost_after = 3000;
	w->config.lease = 1000;
	w->config.reboot = &w->reboot;
	w->rack.key = label;
	w->rack.value = limit;
	w->per_label[0] = &w->rack;
	w->reboot.n_per_label = 1;
	w->reboot.per_label = w->per_label;
	w->reboot.max = 2;
	if (zap_open(16, &w->zap, &w->err) < 0)
		fail_msg("%s", w->err.msg);
	world_open_fleet(w);
	return w;
}

static inline void
world_free(struct world *w)
{
	world_close_fleet(w);
	zap_close(w->zap);
	free(w->path);
	free(w);
}

/* A test's, in a folder of its own: for cmocka. */
static inline int
world_set_up(void **state)
{
	void *folder = NULL;

	if (folder_make(&folder) != 0)
		return -1;
	*state = world_make(folder);
	free(folder);
	return 0;
}

static inline int
world_tear_down(void **state)
{
	struct world *w = *state;
	void *folder = strndup(w->path, strlen(w->path) - strlen("/gdrd.db"));

	world_free(w);
	return folder_remove(&folder);
}

/* --- messages from YAML ---------------------------------------------------------------------------------- */

static inline ProtobufCMessage *
world_message(const ProtobufCMessageDescriptor *type, const char *yaml)
{
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	if (pbtext_parse(type, "test", yaml, strlen(yaml), &message, &err) < 0)
		fail_msg("%s\n%s", err.msg, yaml);
	return message;
}

static inline Gdr__Response *
world_response(void)
{
	Gdr__Response *answer = xcalloc(1, sizeof(*answer));

	gdr__response__init(answer);
	return answer;
}

static inline int
world_dispatch(struct world *w, const struct ask *ask, const Gdr__Request *r)
{
	switch ((int)r->body_case) {
	case GDR__REQUEST__BODY_APPLY: return fleet_apply(w->fleet, ask, r->apply, &w->err);
	case GDR__REQUEST__BODY_EXPORT: return fleet_export(w->fleet, ask, r->export, &w->err);
	case GDR__REQUEST__BODY_NODES: return fleet_query_nodes(w->fleet, ask, r->nodes, &w->err);
	case GDR__REQUEST__BODY_NODE_ACCEPT:
		return fleet_accept(w->fleet, ask, r->node_accept->key, r->node_accept->name, &w->err);
	case GDR__REQUEST__BODY_NODE_REMOVE: return fleet_remove(w->fleet, ask, r->node_remove->of, &w->err);
	case GDR__REQUEST__BODY_NODE_LABEL: return fleet_label(w->fleet, ask, r->node_label, &w->err);
	case GDR__REQUEST__BODY_NODE_MODE: return fleet_mode(w->fleet, ask, r->node_mode, &w->err);
	case GDR__REQUEST__BODY_NODE_ASSIGN: return fleet_assign(w->fleet, ask, r->node_assign, &w->err);
	case GDR__REQUEST__BODY_NODE_REBOOT: return fleet_reboot(w->fleet, ask, r->node_reboot, &w->err);
	case GDR__REQUEST__BODY_PROFILES: return fleet_query_profiles(w->fleet, ask, r->profiles, &w->err);
	case GDR__REQUEST__BODY_EVENTS: return fleet_query_events(w->fleet, ask, r->events, &w->err);
	case GDR__REQUEST__BODY_VMS: return fleet_query_vms(w->fleet, ask, r->vms, &w->err);
	case GDR__REQUEST__BODY_DRIFT: return fleet_query_drift(w->fleet, ask, r->drift, &w->err);
	case GDR__REQUEST__BODY_ROLLOUT_PLAN: return fleet_rollout_plan(w->fleet, ask, r->rollout_plan->plan, &w->err);
	case GDR__REQUEST__BODY_ROLLOUT_START:
		return fleet_rollout_start(w->fleet, ask, r->rollout_start->plan, &w->err);
	case GDR__REQUEST__BODY_STATUS: return fleet_query_status(w->fleet, ask, r->status, &w->err);
	default: fail_msg("request %d", (int)r->body_case);
	}
	return -1;
}

/* Asks and does not commit; the answer is the caller's (pb_free()). */
static inline int
world_ask(struct world *w, const char *yaml, Gdr__Response **out)
{
	Gdr__Request *request = (Gdr__Request *)world_message(&gdr__request__descriptor, yaml);
	Gdr__Response *answer = world_response();
	const struct ask ask = {
		.actor = "user/test", .now_ms = w->now, .dry_run = request->dry_run, .answer = answer
	};

	w->err = (struct err){ 0 };
	int rc = world_dispatch(w, &ask, request);
	pb_free(&request->base);
	*out = answer;
	return rc;
}

/* Commits, and says whom gdrd would send Desired (+) and LeaseOk (.): "n1+ n2+. n3.". */
static inline char *
world_turn(struct world *w)
{
	struct buf out = { 0 };
	size_t n;

	if (fleet_commit(w->fleet, &w->err) < 0)
		fail_msg("%s", w->err.msg);
	struct node **touched = fleet_touched(w->fleet, &n);
	for (struct node *node = fleet_first(w->fleet); node; node = fleet_next(w->fleet)) {
		bool listed = false;

		for (size_t i = 0; i < n; i++)
			listed = listed || touched[i] == node;
		if ((node->push || node->acknowledge) && !listed)
			fail_msg("%s is marked, and not on the list", node->name);
	}
	for (size_t i = 0; i < n; i++) {
		if (touched[i]->push || touched[i]->acknowledge)
			buf_printf(&out, "%s%s%s%s", out.len ? " " : "", touched[i]->name, touched[i]->push ? "+" : "",
				   touched[i]->acknowledge ? "." : "");
		touched[i]->push = touched[i]->acknowledge = false;
	}
	fleet_turn_over(w->fleet);
	return out.len ? buf_steal(&out) : xstrdup("");
}

static inline void
world_commit(struct world *w)
{
	free(world_turn(w));
}

static inline void
world_sends(struct world *w, const char *want)
{
	auto_free char *have = world_turn(w);

	assert_string_equal(have, want);
}

/* The changes as text: "profile/p created, node/n1 configured". */
static inline char *
world_changes(const Gdr__Response *answer)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < answer->n_changes; i++)
		buf_printf(&out, "%s%s %s", i ? ", " : "", answer->changes[i]->object, answer->changes[i]->done);
	return out.len ? buf_steal(&out) : xstrdup("");
}

/* It does this, and it is committed; whom it is sent to is not asked yet. */
static inline void
world_does(struct world *w, const char *yaml, const char *changes)
{
	auto_pb Gdr__Response *answer = NULL;

	if (world_ask(w, yaml, &answer) < 0)
		fail_msg("%s: %s", yaml, w->err.msg);
	auto_free char *have = world_changes(answer);
	assert_string_equal(have, changes);
	if (fleet_commit(w->fleet, &w->err) < 0)
		fail_msg("%s", w->err.msg);
}

static inline void
world_refuses(struct world *w, const char *yaml, int code, const char *message)
{
	auto_pb Gdr__Response *answer = NULL;

	assert_int_equal(world_ask(w, yaml, &answer), code);
	if (!strstr(w->err.msg, message))
		fail_msg("'%s' is not in '%s'", message, w->err.msg);
}

/* --- all that there is, as text ------------------------------------------------------------------------------ */

static inline char *
world_answer(struct world *w, const char *yaml)
{
	auto_pb Gdr__Response *answer = NULL;
	struct buf out = { 0 };

	if (world_ask(w, yaml, &answer) < 0)
		fail_msg("%s: %s", yaml, w->err.msg);
	pbtext_print(&answer->base, NULL, PBTEXT_YAML, &out);
	return buf_steal(&out);
}

static inline void
world_print_user(void *arg, const struct principal *p)
{
	zlistx_t *lines = arg;

	(void)zlistx_add_end(lines, xasprintf("%s %s %d\n", p->name, p->key, (int)p->role));
}

static inline int
world_by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Of the model in memory: nodes with reports and desired, profiles with all revisions, users. */
static inline char *
world_dump(struct world *w)
{
	auto_free char *nodes = world_answer(w, "nodes: {detail: true}");
	auto_free char *exported = world_answer(w, "export: {}");
	auto_free char *profiles = world_answer(w, "profiles: {}");
	auto_free char *events = world_answer(w, "events: {limit: 1000}");
	struct buf out = { 0 };

	buf_printf(&out, "%s%s%s%s", nodes, exported, profiles, events);
	zlistx_t *users = zlistx_new();
	zlistx_set_comparator(users, world_by_text);
	keyring_each_user(w->keyring, world_print_user, users);
	zlistx_sort(users);
	for (char *line = zlistx_first(users); line; line = zlistx_next(users)) {
		buf_printf(&out, "%s", line);
		free(line);
	}
	zlistx_destroy(&users);
	return buf_steal(&out);
}

/* Says where they part, as they are long. */
static inline void
world_same(const char *before, const char *after)
{
	size_t i = 0;
	size_t line = 0;

	for (; before[i] && before[i] == after[i]; i++)
		if (before[i] == '\n')
			line = i + 1;
	if (before[i] != after[i])
		fail_msg("%.300s\n  became\n%.300s", before + line, after + line);
}

/* --- agents ----------------------------------------------------------------------------------------------- */

static inline struct node *
world_node(struct world *w, const char *name)
{
	struct node *node = fleet_node(w->fleet, name);

	if (!node)
		fail_msg("no node %s", name);
	return node;
}

static inline void
world_hello(struct world *w, const char *name, uint64_t generation, const char *boot)
{
	auto_free char *yaml = xasprintf("{protocol: 1, node: %s, version: v, boot_id: %s, generation: %llu}", name,
					 boot, (unsigned long long)generation);
	auto_pb Gdr__Hello *hello = (Gdr__Hello *)world_message(&gdr__hello__descriptor, yaml);

	fleet_hello(w->fleet, world_node(w, name), hello, w->now);
}

static inline void
world_lease(struct world *w, const char *name, uint64_t generation, const char *boot, const char *grant)
{
	auto_free char *yaml = xasprintf("{boot_id: %s, generation: %llu%s%s}", boot, (unsigned long long)generation,
					 grant ? ", may_reboot_from: " : "", grant ? grant : "");
	auto_pb Gdr__Lease *lease = (Gdr__Lease *)world_message(&gdr__lease__descriptor, yaml);

	fleet_lease(w->fleet, world_node(w, name), lease, w->now);
}

/* 'more' is further YAML, with a comma before it. Of what is wanted now, whatever 'generation' is. */
static inline void
world_report(struct world *w, const char *name, uint64_t generation, const char *boot, const char *outcome,
	     const char *more)
{
	const struct node *node = world_node(w, name);
	auto_free char *yaml = xasprintf(
		"{boot_id: %s, generation: %llu, outcome: %s%s%s%s}", boot, (unsigned long long)generation, outcome,
		node->spec_hash ? ", spec_hash: " : "", node->spec_hash ? node->spec_hash : "", more);
	Gdr__Report *report = (Gdr__Report *)world_message(&gdr__report__descriptor, yaml);

	fleet_report(w->fleet, world_node(w, name), &report, w->now);
	pb_free((ProtobufCMessage *)report);
}

/* Settled, or whatever it is, at the generation that is wanted. */
static inline void
world_is(struct world *w, const char *name, const char *boot, const char *outcome)
{
	world_report(w, name, world_node(w, name)->generation, boot, outcome, "");
	world_commit(w);
}

static inline void
world_tick(struct world *w, uint64_t ms)
{
	w->now += ms;
	fleet_tick(w->fleet, w->now);
}

/* Its state: "ready", or with the reason: "lost: its agent does not report". */
static inline void
world_state(struct world *w, const char *name, const char *want)
{
	auto_free char *yaml = xasprintf("nodes: {of: {names: [%s]}}", name);
	auto_pb Gdr__Response *answer = NULL;

	if (world_ask(w, yaml, &answer) < 0)
		fail_msg("%s", w->err.msg);
	const Gdr__NodeView *view = answer->nodes[0];
	bool with_why = strchr(want, ':') != NULL;
	auto_free char *have = xasprintf("%s%s%s", pbtext_enum(&gdr__node_state__descriptor, (int)view->state),
					 with_why ? ": " : "", with_why && view->why ? view->why : "");
	assert_string_equal(have, want);
}

/* A node 'name' of profile p, in boot 'b1', settled. */
static inline void
world_settled(struct world *w, const char *name, const char *key)
{
	auto_free char *accept = xasprintf("node_accept: {key: \"%s\", name: %s}", key, name);
	auto_free char *assign = xasprintf("node_assign: {of: {names: [%s]}, profile: p}", name);
	auto_free char *assigned = xasprintf("node/%s assigned", name);

	if (fleet_node(w->fleet, name) == NULL || !fleet_node(w->fleet, name)->key)
		world_does(w, accept, "");
	world_does(w, assign, assigned);
	world_hello(w, name, world_node(w, name)->generation, "b1");
	world_is(w, name, "b1", "settled");
	world_state(w, name, "ready");
}

static inline size_t
world_count_events(struct world *w, const char *kind)
{
	auto_pb Gdr__Response *answer = NULL;
	size_t n = 0;

	assert_int_equal(world_ask(w, "events: {limit: 1000}", &answer), 0);
	for (size_t i = 0; i < answer->n_events; i++)
		n += strcmp(answer->events[i]->kind, kind) == 0;
	return n;
}
