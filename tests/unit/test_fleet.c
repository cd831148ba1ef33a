/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fleet_world.h"

#define KEY_1 "1111111111111111111111111111111111111111"
#define KEY_2 "2222222222222222222222222222222222222222"
#define KEY_3 "3333333333333333333333333333333333333333"

#define P1 "{name: p, spec: {kernel: {min_version: \"5.15\", cmdline: [a=1]}, hugepages: {size: 1G, count: 4}}}"
#define P2 "{name: p, spec: {kernel: {min_version: \"6.1\", cmdline: [a=1]}, hugepages: {size: 1G, count: 4}}}"

/* --- profiles and documents ------------------------------------------------------------------------------- */

static void
revisions_are_immutable(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "], comment: first}", "profile/p created");
	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p unchanged");
	auto_free char *first = world_answer(w, "profiles: {name: p, revision: 1}");
	world_does(w, "apply: {profiles: [" P2 "], comment: newer}", "profile/p configured");
	world_does(w, "apply: {profiles: [" P2 "]}", "profile/p unchanged");
	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p configured");
	auto_free char *still = world_answer(w, "profiles: {name: p, revision: 1}");
	assert_string_equal(first, still);
	assert_non_null(strstr(first, "comment: first"));
	world_restart(w);
	auto_free char *reloaded = world_answer(w, "profiles: {name: p, revision: 1}");
	assert_string_equal(first, reloaded);
	auto_pb Gdr__Response *all = NULL;
	assert_int_equal(world_ask(w, "profiles: {name: p}", &all), 0);
	assert_int_equal(all->n_profiles, 3);
	assert_int_equal(all->profiles[0]->revision, 3);
	assert_int_equal(all->profiles[2]->revision, 1);
	assert_string_equal(all->profiles[0]->hash, all->profiles[2]->hash);
	world_refuses(w, "profiles: {name: p, revision: 4}", -ENOENT, "its newest is 3");
	world_refuses(w, "profiles: {name: q}", -ENOENT, "no profile 'q'");
}

static void
export_applied_changes_nothing(void **state)
{
	struct world *w = *state;

	world_does(w,
		   "apply: {profiles: [" P1 ", {name: q, spec: {pci: [{match: gpus, ats: true}]}}], nodes: ["
		   "{name: n1, labels: {rack: r7, canary: \"\"}, profile: p, mode: audit},"
		   "{name: n2, override: {hugepages: {count: 8}}, profile: q@1}, {name: n3}]}",
		   "profile/p created, profile/q created, node/n1 created, node/n2 created, node/n3 created");
	world_does(w, "apply: {profiles: [" P2 "]}", "profile/p configured");
	world_does(w, "node_mode: {of: {names: [n3]}, mode: hold, why: disk}", "node/n3 set");

	auto_pb Gdr__Response *exported = NULL;
	assert_int_equal(world_ask(w, "export: {}", &exported), 0);
	auto_free char *before = world_dump(w);
	Gdr__Apply apply = GDR__APPLY__INIT;
	apply.n_profiles = exported->exported->n_profiles;
	apply.profiles = exported->exported->profiles;
	apply.n_nodes = exported->exported->n_nodes;
	apply.nodes = exported->exported->nodes;
	auto_pb Gdr__Response *answer = world_response();
	const struct ask ask = { .actor = "user/test", .now_ms = w->now, .answer = answer };
	assert_int_equal(fleet_apply(w->fleet, &ask, &apply, &w->err), 0);
	world_sends(w, "n1+ n2+ n3+");
	auto_free char *changes = world_changes(answer);
	assert_string_equal(changes, "profile/p unchanged, profile/q unchanged, node/n1 unchanged, node/n2 unchanged, "
				     "node/n3 unchanged");
	auto_free char *after = world_dump(w);
	world_same(before, after);
	assert_string_equal(world_node(w, "n3")->mode_why, "disk");
}

static void
apply_is_all_or_nothing(void **state)
{
	struct world *w = *state;
	auto_free char *before = world_dump(w);

	world_refuses(w, "apply: {profiles: [" P1 "], nodes: [{name: n1, profile: p}, {name: n2, profile: nope}]}",
		      -ENOENT, "node n2: there is no profile 'nope'");
	world_refuses(w, "apply: {profiles: [" P1 ", {name: q}]}", -EINVAL, "profile q: no spec");
	world_refuses(w, "apply: {profiles: [" P1 ", " P2 "]}", -EINVAL, "profile p is there twice");
	world_refuses(w, "apply: {nodes: [{name: n1}, {name: n2}, {name: n1}]}", -EINVAL, "node n1 is there twice");
	world_refuses(w, "apply: {nodes: [{name: n1}, {labels: {a: b}}]}", -EINVAL, "a node without a name");
	world_refuses(w, "apply: {profiles: [" P1 "], nodes: [{name: n1, profile: p@2}]}", -ENOENT, "the newest is 1");
	world_refuses(w, "apply: {profiles: [" P1 "], nodes: [{name: n1, profile: p@}]}", -EINVAL,
		      "no revision number");
	world_refuses(w, "apply: {profiles: [" P1 "], nodes: [{name: n1, profile: p@-1}]}", -EINVAL,
		      "no revision number");
	world_refuses(w, "apply: {profiles: [" P1 "], nodes: [{name: n1, profile: \"@1\"}]}", -EINVAL,
		      "expected PROFILE");
	w->config.max_nodes = 1;
	world_refuses(w, "apply: {nodes: [{name: n1}, {name: n2}]}", -ENOSPC, "max_nodes (1)");
	world_commit(w);
	auto_free char *after = world_dump(w);
	world_same(before, after);
	assert_int_equal(fleet_size(w->fleet), 0);
}

static void
max_nodes_holds_for_every_way_in(void **state)
{
	struct world *w = *state;

	w->config.max_nodes = 1;
	world_does(w, "apply: {nodes: [{name: n1}]}", "node/n1 created");
	world_refuses(w, "node_accept: {key: \"" KEY_1 "\", name: n2}", -ENOSPC, "max_nodes (1)");
	world_does(w, "node_accept: {key: \"" KEY_1 "\", name: n1}", "");
}

static void
a_dry_run_says_the_same_and_changes_nothing(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "], nodes: [{name: n1, profile: p}, {name: n2}]}",
		   "profile/p created, node/n1 created, node/n2 created");
	auto_free char *before = world_dump(w);
	static const struct {
		const char *body;
		const char *changes;
	} cases[] = {
		/* It moves to the revision that the same apply would make. */
		{ "apply: {profiles: [" P2 "], nodes: [{name: n1, profile: p}, {name: n3}]}",
		  "profile/p configured, node/n1 configured, node/n3 created" },
		{ "apply: {profiles: [" P2 "], nodes: [{name: n2, profile: p@2}]}",
		  "profile/p configured, node/n2 configured" },
		{ "apply: {profiles: [" P1 "], nodes: [{name: n1}]}", "profile/p unchanged, node/n1 unchanged" },
		{ "apply: {profiles: [{name: q, spec: {bios: {sriov: true}}}], nodes: [{name: n2, profile: q}]}",
		  "profile/q created, node/n2 configured" },
		{ "node_label: {of: {names: [n1]}, set: {a: b}}", "node/n1 labelled" },
		{ "node_mode: {of: {names: [n1, n2]}, mode: hold}", "node/n1 set, node/n2 set" },
		{ "node_assign: {of: {names: [n2, n1]}, profile: p}", "node/n1 unchanged, node/n2 assigned" },
		{ "node_accept: {key: \"" KEY_1 "\", name: n9}", "" },
		{ "node_remove: {of: {selector: \"name=n1\"}}", "node/n1 removed" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *dry = xasprintf("{dry_run: true, %s}", cases[i].body);

		world_does(w, dry, cases[i].changes);
		auto_free char *after = world_dump(w);
		world_same(before, after);
	}
	/* And then in earnest. */
	world_does(w, cases[0].body, cases[0].changes);
	assert_int_equal(world_node(w, "n1")->revision, 2);
	world_does(w, cases[3].body, cases[3].changes);
	assert_string_equal(world_node(w, "n2")->profile, "q");
}

/* --- generations ---------------------------------------------------------------------------------------------- */

static uint64_t
generation(struct world *w, const char *name)
{
	return world_node(w, name)->generation;
}

static void
what_is_wanted_bumps_the_generation_once(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_does(w, "apply: {profiles: [" P2 "]}", "profile/p configured");
	world_does(w, "node_accept: {key: \"" KEY_1 "\", name: n1}", "");
	world_sends(w, "n1+");
	assert_int_equal(generation(w, "n1"), 1);
	world_state(w, "n1", "new: joined, and has never connected");

	world_does(w, "node_label: {of: {names: [n1]}, set: {rack: r7}}", "node/n1 labelled");
	world_does(w, "node_label: {of: {names: [n1]}, set: {rack: r7}}", "node/n1 unchanged");
	world_does(w, "apply: {nodes: [{name: n1, labels: {rack: r8}}]}", "node/n1 configured");
	world_sends(w, "");
	assert_int_equal(generation(w, "n1"), 1);
	assert_int_equal(world_count_events(w, "node.labelled"), 1);

	world_does(w, "node_assign: {of: {names: [n1]}, profile: p@1}", "node/n1 assigned");
	world_sends(w, "n1+");
	assert_int_equal(generation(w, "n1"), 2);
	world_does(w, "node_assign: {of: {names: [n1]}, profile: p@1}", "node/n1 unchanged");
	world_sends(w, "");
	assert_int_equal(generation(w, "n1"), 2);
	world_does(w, "node_assign: {of: {selector: rack=r8}, profile: p}", "node/n1 assigned");
	assert_int_equal(generation(w, "n1"), 3);
	world_does(w, "node_mode: {of: {names: [n1]}, mode: audit}", "node/n1 set");
	assert_int_equal(generation(w, "n1"), 4);
	world_does(w, "node_mode: {of: {names: [n1]}, mode: audit}", "node/n1 unchanged");
	assert_int_equal(generation(w, "n1"), 4);
	world_sends(w, "n1+");
	world_restart(w);
	assert_int_equal(generation(w, "n1"), 4);
	world_does(w, "node_label: {of: {names: [n1]}, remove: [rack]}", "node/n1 labelled");
	world_does(w, "apply: {nodes: [{name: n1, mode: audit}]}", "node/n1 unchanged");
	assert_int_equal(generation(w, "n1"), 4);
	world_sends(w, "");
	/* Another revision of the same content is nothing new for the node. */
	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p configured");
	world_does(w, "node_assign: {of: {names: [n1]}, profile: p@1}", "node/n1 assigned");
	assert_int_equal(generation(w, "n1"), 5);
	world_does(w, "node_assign: {of: {names: [n1]}, profile: p@3}", "node/n1 assigned");
	assert_int_equal(generation(w, "n1"), 5);
}

static void
an_override_is_laid_over_the_profile(void **state)
{
	struct world *w = *state;

	world_does(w,
		   "apply: {profiles: [" P1 "], nodes: [{name: n1, profile: p, override: {hugepages: {count: 9}, "
		   "kernel: {cmdline: [b=2]}}}]}",
		   "profile/p created, node/n1 created");
	auto_pb Gdr__Desired *desired = fleet_desired(w->fleet, world_node(w, "n1"));
	assert_int_equal(desired->generation, 1);
	assert_string_equal(desired->node, "n1");
	assert_string_equal(desired->profile, "p@1");
	assert_int_equal(desired->spec->hugepages->count, 9);
	assert_int_equal(desired->spec->hugepages->size, 1 << 30);
	assert_string_equal(desired->spec->kernel->min_version, "5.15");
	assert_int_equal(desired->spec->kernel->n_cmdline, 1);
	assert_string_equal(desired->spec->kernel->cmdline[0], "b=2");
	char hash[PB_HASH_LEN + 1];
	pb_hash(&desired->spec->base, hash);
	assert_string_equal(desired->spec_hash, hash);
	world_does(w, "apply: {nodes: [{name: n1, profile: p}]}", "node/n1 configured");
	assert_int_equal(generation(w, "n1"), 2);
	/* An override without a profile wants nothing yet. */
	world_does(w, "apply: {nodes: [{name: n2, override: {hugepages: {count: 1}}}]}", "node/n2 created");
	auto_pb Gdr__Desired *none = fleet_desired(w->fleet, world_node(w, "n2"));
	assert_null(none->spec);
	assert_null(none->spec_hash);
}

static void
the_reason_of_a_mode_goes_with_it(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {nodes: [{name: n1}]}", "node/n1 created");
	world_does(w, "node_mode: {of: {names: [n1]}, mode: hold, why: disk}", "node/n1 set");
	world_does(w, "apply: {nodes: [{name: n1}]}", "node/n1 configured");
	assert_null(world_node(w, "n1")->mode_why);
	assert_int_equal(world_node(w, "n1")->mode, GDR__MODE__MODE_ENFORCE);
}

static void
selections(void **state)
{
	struct world *w = *state;

	world_does(w,
		   "apply: {profiles: [" P1 ", {name: vela-a100, spec: {bios: {sriov: true}}}], nodes: ["
		   "{name: n1, labels: {rack: r7}}, {name: n2, labels: {rack: r8}}, {name: n3}]}",
		   "profile/p created, profile/vela-a100 created, node/n1 created, node/n2 created, node/n3 created");
	static const char *const none[] = { "", "of: {}, ", "of: {selector: \"\"}, " };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		auto_free char *mode = xasprintf("node_mode: {%smode: hold}", none[i]);
		auto_free char *assign = xasprintf("node_assign: {%sprofile: p}", none[i]);
		auto_free char *label = xasprintf("node_label: {%sset: {a: b}}", none[i]);
		auto_free char *remove = xasprintf("node_remove: {%.*s}", (int)strcspn(none[i], ","), none[i]);
		auto_free char *reboot = xasprintf("node_reboot: {%swhy: w}", none[i]);

		if (i == 0)
			remove[strlen(remove) - 1] = '}';
		world_refuses(w, mode, -EINVAL, "which nodes?");
		world_refuses(w, assign, -EINVAL, "which nodes?");
		world_refuses(w, label, -EINVAL, "which nodes?");
		world_refuses(w, reboot, -EINVAL, "which nodes?");
		if (i != 2)
			world_refuses(w, remove, -EINVAL, "which nodes?");
	}
	world_refuses(w, "node_mode: {of: {selector: rack=r9}, mode: hold}", -ENOENT, "no node fits 'rack=r9'");
	world_refuses(w, "node_mode: {of: {names: [n1, n9]}, mode: hold}", -ENOENT, "no node 'n9'");
	world_refuses(w, "node_mode: {of: {names: [n1], selector: rack=r8}, mode: hold}", -ENOENT, "no node fits");
	world_refuses(w, "node_mode: {of: {selector: \"rack==\"}, mode: hold}", -EINVAL, "selector: ");
	world_refuses(w, "node_assign: {of: {names: [n1]}, profile: vela-a10}", -ENOENT, "did you mean 'vela-a100'?");
	world_refuses(w, "node_assign: {of: {names: [n1]}, profile: zzz}", -ENOENT, "gdrctl profile list");
	world_refuses(w, "node_assign: {of: {names: [n1]}}", -EINVAL, "which profile?");
	world_refuses(w, "node_label: {of: {names: [n1]}, set: {\"a b\": c}}", -EINVAL, "label 'a b=c'");
	world_refuses(w, "node_label: {of: {names: [n1]}, set: {a: \"c d\"}}", -EINVAL, "label 'a=c d'");
	world_does(w, "node_mode: {of: {selector: \"rack\"}, mode: hold}", "node/n1 set, node/n2 set");
	world_does(w, "node_mode: {of: {names: [n3, n1, n3], selector: \"!rack\"}, mode: hold}", "node/n3 set");
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

static void
removal_revokes_the_key(void **state)
{
	struct world *w = *state;

	world_does(w, "node_accept: {key: \"" KEY_1 "\", name: n1}", "");
	world_sends(w, "n1+");
	assert_string_equal(keyring_find(w->keyring, KEY_1)->name, "n1");
	world_refuses(w, "node_accept: {key: \"" KEY_2 "\", name: n1}", -EEXIST, "has a key already");
	world_hello(w, "n1", 1, "b1");
	world_does(w, "node_remove: {of: {names: [n1]}}", "node/n1 removed");
	world_sends(w, "");
	assert_null(keyring_find(w->keyring, KEY_1));
	assert_null(fleet_node(w->fleet, "n1"));
	world_restart(w);
	assert_null(keyring_find(w->keyring, KEY_1));
	assert_null(fleet_node(w->fleet, "n1"));
	world_does(w, "node_accept: {key: \"" KEY_1 "\", name: n2}", "");
	assert_string_equal(keyring_find(w->keyring, KEY_1)->name, "n2");
}

static int
add_token(struct world *w, const char *key, char *node, uint64_t expires)
{
	struct token token = { .node = node, .expires_ms = expires };

	memcpy(token.key, key, sizeof(token.key));
	assert_int_equal(store_begin(w->store, &w->err), 0);
	int rc = keyring_add_token(w->keyring, &token, &w->err);
	world_commit(w);
	return rc;
}

static void
enrols(struct world *w, const char *token, const char *name, const char *key, int code, const char *message)
{
	w->err = (struct err){ 0 };
	assert_int_equal(fleet_enrol(w->fleet, token, name, key, w->now, &w->err), code);
	if (code < 0 && !strstr(w->err.msg, message))
		fail_msg("'%s' is not in '%s'", message, w->err.msg);
	world_commit(w);
}

static void
a_token_is_good_for_one_node_and_a_while(void **state)
{
	struct world *w = *state;
	char n1[] = "n1";
	char token[] = "tttttttttttttttttttttttttttttttttttttttt";

	enrols(w, token, "n1", KEY_1, -EACCES, "used or has expired");
	assert_int_equal(add_token(w, token, n1, w->now + 1000), 0);
	enrols(w, token, "n2", KEY_1, -EACCES, "this token is for node 'n1'");
	enrols(w, token, NULL, KEY_1, -EINVAL, "no name");
	enrols(w, token, "N 1", KEY_1, -EINVAL, "no name");
	enrols(w, token, "n1", NULL, -EINVAL, "no public key");
	enrols(w, token, "n1", "short", -EINVAL, "no public key");
	assert_int_equal(fleet_size(w->fleet), 0);
	enrols(w, token, "n1", KEY_1, 0, "");
	assert_string_equal(keyring_find(w->keyring, KEY_1)->name, "n1");
	enrols(w, token, "n1", KEY_2, -EACCES, "used or has expired");
	world_restart(w);
	enrols(w, token, "n1", KEY_2, -EACCES, "used or has expired");

	assert_int_equal(add_token(w, token, NULL, w->now + 1000), 0);
	enrols(w, token, "n1", KEY_2, -EEXIST, "has a key already");
	enrols(w, token, "n2", KEY_1, -EEXIST, "belongs to n1 already");
	w->now += 1000;
	enrols(w, token, "n2", KEY_2, -EACCES, "used or has expired");
	world_tick(w, 1000);
	world_commit(w);
	assert_null(keyring_find_token(w->keyring, token, 0));
	world_restart(w);
	assert_null(keyring_find_token(w->keyring, token, 0));

	/* A token made for a node gives it another key, and the old one is nobody's. */
	assert_int_equal(add_token(w, token, n1, w->now + 1000), 0);
	fleet_cloned(w->fleet, world_node(w, "n1"), "10.0.0.9", w->now);
	enrols(w, token, "n1", KEY_2, 0, "");
	assert_null(keyring_find(w->keyring, KEY_1));
	assert_string_equal(keyring_find(w->keyring, KEY_2)->name, "n1");
	assert_string_equal(world_node(w, "n1")->key, KEY_2);
	assert_false(world_node(w, "n1")->cloned);
	assert_int_equal(world_count_events(w, "node.joined"), 2);
}

static void
an_answer_is_remembered(void **state)
{
	struct world *w = *state;
	auto_free char *message = NULL;
	char *none = NULL;

	assert_int_equal(fleet_answered(w->fleet, "k", &none), -1);
	fleet_remember_answer(w->fleet, "k", 0, "done");
	assert_int_equal(fleet_answered(w->fleet, "k", &message), 0); /* In the same turn, too. */
	assert_string_equal(message, "done");
	world_commit(w);
	world_restart(w);
	free(message);
	assert_int_equal(fleet_answered(w->fleet, "k", &message), 0);
	assert_string_equal(message, "done");
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

static void
states(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "], nodes: [{name: n1}]}", "profile/p created, node/n1 created");
	world_state(w, "n1", "new: declared, and has not joined");
	world_does(w, "node_accept: {key: \"" KEY_1 "\", name: n1}", "");
	world_state(w, "n1", "new: joined, and has never connected");
	world_hello(w, "n1", 0, "b1");
	world_sends(w, "n1+");
	world_state(w, "n1", "unassigned: no profile");
	world_does(w, "node_assign: {of: {names: [n1]}, profile: p}", "node/n1 assigned");
	world_state(w, "n1", "converging: generation 2 has not been measured yet");
	world_is(w, "n1", "b1", "working");
	world_state(w, "n1", "converging");
	world_is(w, "n1", "b1", "settled");
	world_state(w, "n1", "ready");
	world_is(w, "n1", "b1", "stuck");
	world_state(w, "n1", "stuck");
	world_does(w, "node_mode: {of: {names: [n1]}, mode: audit}", "node/n1 set");
	world_state(w, "n1", "converging: generation 3 has not been measured yet");
	world_is(w, "n1", "b1", "stuck");
	world_state(w, "n1", "drifted");
	world_is(w, "n1", "b1", "settled");
	world_state(w, "n1", "ready");
	world_does(w, "node_mode: {of: {names: [n1]}, mode: hold, why: disk swap}", "node/n1 set");
	world_state(w, "n1", "held: disk swap");
	world_does(w, "node_mode: {of: {names: [n1]}, mode: enforce}", "node/n1 set");
	world_is(w, "n1", "b1", "wants-reboot");
	world_state(w, "n1", "wants-reboot");
	world_tick(w, 1000);
	world_state(w, "n1", "rebooting: an operator asked for it");
	world_tick(w, 4000);
	world_state(w, "n1", "rebooting");
	world_tick(w, 5000);
	w->reboot.deadline = 6000;
	world_state(w, "n1", "lost: a reboot was granted 0 min ago and the host has not come back");
	world_commit(w);
}

static void
the_remedy_is_the_first_manual_item(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_report(w, "n1", generation(w, "n1"), "b1", "stuck",
		     ", why: bios, layers: [{name: bios, items: [{key: a, fix: none}, {key: b, fix: boot, why: x}, "
		     "{key: sriov, fix: manual, why: switch it on}]}]");
	auto_pb Gdr__Response *answer = NULL;
	assert_int_equal(world_ask(w, "nodes: {layer: bios, item: sr*}", &answer), 0);
	assert_int_equal(answer->n_nodes, 1);
	assert_string_equal(answer->nodes[0]->remedy, "bios sriov: switch it on");
	assert_int_equal(answer->nodes[0]->layers[0]->right, 1);
	assert_int_equal(answer->nodes[0]->layers[0]->wrong, 2);
	assert_int_equal(answer->nodes[0]->layers[0]->worst, GDR__FIX__FIX_MANUAL);
	world_commit(w);
	auto_free char *none = world_answer(w, "nodes: {layer: bios, item: a}");
	assert_null(strstr(none, "n1"));
	auto_free char *other = world_answer(w, "nodes: {layer: pci}");
	assert_null(strstr(other, "n1"));
	auto_free char *stuck = world_answer(w, "nodes: {states: [stuck, lost]}");
	assert_non_null(strstr(stuck, "n1"));
	auto_free char *ready = world_answer(w, "nodes: {states: [ready]}");
	assert_null(strstr(ready, "n1"));
}

/* "pci/a 5000 bios/b 9000": when after the fleet's first moment each item of n1 was first seen not right. */
static char *
dates(struct world *w, uint64_t begun)
{
	const Gdr__Report *report = world_node(w, "n1")->report;
	struct buf out = { 0 };

	for (size_t i = 0; i < report->n_layers; i++)
		for (size_t j = 0; j < report->layers[i]->n_items; j++) {
			const Gdr__Item *item = report->layers[i]->items[j];

			if (item->has_since_ms)
				buf_printf(&out, "%s%s/%s %d", out.len ? " " : "", report->layers[i]->name, item->key,
					   (int)(item->since_ms - begun));
		}
	return buf_steal(&out);
}

static void
dated(struct world *w, uint64_t begun, const char *layers, const char *want)
{
	uint8_t sent[PB_DIGEST_LEN];

	w->now += 1000;
	/* As the agent has it: what it is told of its report is about this. */
	auto_free char *yaml = xasprintf("{boot_id: b1, generation: %llu, outcome: stuck, spec_hash: %s, layers: %s}",
					 (unsigned long long)generation(w, "n1"), world_node(w, "n1")->spec_hash,
					 layers);
	auto_pb ProtobufCMessage *report = world_message(&gdr__report__descriptor, yaml);
	size_t len;
	auto_free uint8_t *packed = pb_pack(report, &len);
	pb_digest(packed, len, sent);
	auto_free char *more = xasprintf(", layers: %s", layers);
	world_report(w, "n1", generation(w, "n1"), "b1", "stuck", more);
	world_commit(w);
	auto_free char *have = dates(w, begun);
	assert_string_equal(have, want);
	assert_memory_equal(world_node(w, "n1")->digest, sent, sizeof(sent));
	world_restart(w);
	auto_free char *again = dates(w, begun);
	assert_string_equal(again, want);
	assert_memory_equal(world_node(w, "n1")->digest, sent, sizeof(sent));
}

static void
since_when_an_item_is_not_right(void **state)
{
	struct world *w = *state;
	uint64_t begun = w->now;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	dated(w, begun, "[{name: pci, items: [{key: a, fix: live}, {key: b, fix: none}]}]", "pci/a 1000");
	/* Another layer's item of that name, and another order. */
	dated(w, begun,
	      "[{name: bios, items: [{key: a, fix: manual}]}, {name: pci, items: [{key: b, fix: boot}, "
	      "{key: a, fix: manual, have: x}]}]",
	      "bios/a 2000 pci/b 2000 pci/a 1000");
	/* Right in between is a new beginning; and it is not for the agent to say. */
	dated(w, begun, "[{name: pci, items: [{key: a, fix: none}, {key: b, fix: boot}]}]", "pci/b 2000");
	dated(w, begun, "[{name: pci, items: [{key: a, fix: live}, {key: b, fix: none}]}]", "pci/a 4000");
	w->now += 1000;
	world_report(
		w, "n1", generation(w, "n1"), "b1", "stuck",
		", layers: [{name: pci, items: [{key: a, fix: live, since_ms: 5}, {key: b, fix: none, since_ms: 5}]}]");
	auto_free char *have = dates(w, begun);
	assert_string_equal(have, "pci/a 4000");
	world_commit(w);
}

static void
nobody_is_lost_before_we_waited(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_settled(w, "n2", KEY_2);
	world_tick(w, 2000);
	world_lease(w, "n2", generation(w, "n2"), "b1", NULL);
	world_tick(w, 2000);
	world_state(w, "n1", "lost: its agent does not report");
	world_state(w, "n2", "ready");
	world_commit(w);
	assert_int_equal(world_count_events(w, "node.lost"), 1);
	world_lease(w, "n1", generation(w, "n1"), "b1", NULL);
	world_tick(w, 1);
	world_state(w, "n1", "ready");
	world_commit(w);

	w->now += 3600000; /* gdrd was away for an hour. */
	world_restart(w);
	world_state(w, "n1", "ready");
	world_tick(w, 3000);
	world_state(w, "n1", "ready");
	world_tick(w, 1);
	world_state(w, "n1", "lost");
	world_commit(w);
}

static void
a_clock_that_jumps_makes_nobody_lost(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_tick(w, 1000);
	world_tick(w, 3600000);
	world_state(w, "n1", "ready");
	world_tick(w, 3000);
	world_state(w, "n1", "ready");
	world_lease(w, "n1", generation(w, "n1"), "b1", NULL);
	world_tick(w, (uint64_t)-7200000);
	world_state(w, "n1", "ready");
	world_tick(w, 3000);
	world_state(w, "n1", "ready");
	world_tick(w, 1); /* And it does not take two hours to see that it is gone. */
	world_state(w, "n1", "lost");
	assert_int_equal(world_count_events(w, "node.lost"), 1);
	world_commit(w);
}

static void
reports_are_believed_only_of_generations_given_out(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_does(w, "node_accept: {key: \"" KEY_1 "\", name: n1}", "");
	world_does(w, "node_assign: {of: {names: [n1]}, profile: p}", "node/n1 assigned");
	world_hello(w, "n1", 0, "b1");
	world_sends(w, "n1+");
	world_report(w, "n1", 3, "b1", "settled", "");
	world_sends(w, "n1+.");
	assert_null(world_node(w, "n1")->report);
	world_report(w, "n1", UINT64_MAX, "b1", "settled", "");
	world_sends(w, "n1+.");
	assert_null(world_node(w, "n1")->report);
	assert_int_equal(generation(w, "n1"), 2);
	/* An older one is kept, as what was seen last, and answered with what is wanted. */
	world_report(w, "n1", 1, "b1", "settled", "");
	world_sends(w, "n1+.");
	assert_non_null(world_node(w, "n1")->report);
	world_state(w, "n1", "converging: generation 2 has not been measured yet");
	world_report(w, "n1", 2, "b1", "settled", "");
	world_sends(w, "n1.");
	world_state(w, "n1", "ready");

	/* No outcome is not "settled", no boot is not this boot. */
	static const char *const unsound[] = { "{boot_id: b1, generation: 2}", "{generation: 2, outcome: settled}",
					       "{boot_id: \"\", generation: 2, outcome: stuck}",
					       "{boot_id: \"a b\", generation: 2, outcome: stuck}" };
	for (size_t i = 0; i < sizeof(unsound) / sizeof(unsound[0]); i++) {
		Gdr__Report *report = (Gdr__Report *)world_message(&gdr__report__descriptor, unsound[i]);

		fleet_report(w->fleet, world_node(w, "n1"), &report, w->now);
		assert_non_null(report);
		pb_free(&report->base);
		world_sends(w, "n1+.");
		world_state(w, "n1", "ready");
	}
}

static void
the_content_counts_and_not_the_number_alone(void **state)
{
	struct world *w = *state;
	Gdr__Report *report;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	assert_int_equal(generation(w, "n1"), 2);
	world_commit(w);
	report = (Gdr__Report *)world_message(&gdr__report__descriptor,
					      "{boot_id: b1, generation: 2, outcome: settled, spec_hash: other}");
	fleet_report(w->fleet, world_node(w, "n1"), &report, w->now);
	world_state(w, "n1", "converging: generation 3 has not been measured yet");
	world_sends(w, "n1+.");
	assert_int_equal(world_count_events(w, "node.generation-ahead"), 1);
	world_is(w, "n1", "b1", "settled");
	world_state(w, "n1", "ready");
}

static void
a_restored_backup_goes_on_from_the_agents_number(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_commit(w);
	world_lease(w, "n1", 57, "b1", NULL);
	world_sends(w, "n1+.");
	assert_int_equal(generation(w, "n1"), 58);
	assert_int_equal(world_count_events(w, "node.generation-ahead"), 1);
	world_restart(w);
	assert_int_equal(generation(w, "n1"), 58);
	world_hello(w, "n1", 90, "b1");
	world_sends(w, "n1+");
	assert_int_equal(generation(w, "n1"), 91);
	world_lease(w, "n1", UINT64_MAX, "b1", NULL); /* That is no backup. */
	world_sends(w, "n1+.");
	assert_int_equal(generation(w, "n1"), 91);
	world_lease(w, "n1", 91, "b1", NULL);
	world_sends(w, "n1.");
}

static void
leases_do_not_write(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_commit(w);
	world_tick(w, 1000); /* The first one drops old events. */
	world_commit(w);
	world_fail_at = 1; /* Nothing may be written now. */
	for (int i = 0; i < 5; i++) {
		world_lease(w, "n1", generation(w, "n1"), "b1", NULL);
		world_tick(w, 1000);
		world_sends(w, "n1.");
	}
	world_lease(w, "n1", 1, "b1", NULL);
	world_sends(w, "n1+.");
	world_lease(w, "n1", generation(w, "n1"), "b1", "b0");
	world_sends(w, "n1+.");
	assert_int_equal(world_fail_at, 1);
	world_fail_at = 0;
}

/* --- reboots ---------------------------------------------------------------------------------------------------------- */

static void
a_grant_ends_with_its_boot(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_does(w, "node_reboot: {of: {names: [n1]}, why: test}", "node/n1 reboot-wanted");
	world_sends(w, "n1+");
	assert_string_equal(world_node(w, "n1")->leave_boot, "b1");
	world_tick(w, 1000);
	world_sends(w, ""); /* Its agent has not asked for it. */
	world_is(w, "n1", "b1", "wants-reboot");
	world_commit(w);
	world_tick(w, 1000);
	world_sends(w, "n1+");
	assert_string_equal(world_node(w, "n1")->grant_boot, "b1");
	world_restart(w);
	auto_pb Gdr__Desired *desired = fleet_desired(w->fleet, world_node(w, "n1"));
	assert_string_equal(desired->may_reboot_from, "b1");
	assert_string_equal(desired->leave_boot, "b1");
	world_state(w, "n1", "rebooting");
	uint64_t before = generation(w, "n1");
	world_hello(w, "n1", before, "b2");
	world_sends(w, "n1+");
	assert_null(world_node(w, "n1")->grant_boot);
	assert_null(world_node(w, "n1")->leave_boot);
	assert_int_equal(generation(w, "n1"), before);
	/* What was measured in the boot before says nothing of this one. */
	world_state(w, "n1", "converging: this boot has not been measured yet");
	world_is(w, "n1", "b2", "settled");
	world_state(w, "n1", "ready");
	assert_int_equal(world_count_events(w, "node.rebooted"), 1);
	world_hello(w, "n1", before, "b3");
	assert_int_equal(world_count_events(w, "node.rebooted"), 2);
	world_state(w, "n1", "converging: this boot has not been measured yet");
	world_commit(w);
}

/* The names with an open grant. */
static void
granted(struct world *w, const char *want)
{
	struct buf have = { 0 };
	static const char *const names[] = { "n1", "n2", "n3" };

	world_tick(w, 1000);
	world_commit(w);
	for (size_t i = 0; i < 3; i++)
		if (fleet_node(w->fleet, names[i]) && world_node(w, names[i])->grant_boot)
			buf_printf(&have, "%s%s", have.len ? " " : "", names[i]);
	auto_free char *text = have.len ? buf_steal(&have) : xstrdup("");
	assert_string_equal(text, want);
}

static void
grants_keep_to_the_budget(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_settled(w, "n2", KEY_2);
	world_settled(w, "n3", KEY_3);
	world_does(w, "node_label: {of: {names: [n1, n2]}, set: {rack: r7}}", "node/n1 labelled, node/n2 labelled");
	world_is(w, "n2", "b1", "wants-reboot");
	granted(w, "n2");
	world_is(w, "n1", "b1", "wants-reboot");
	world_is(w, "n3", "b1", "wants-reboot");
	granted(w, "n2 n3");
	world_state(w, "n1", "wants-reboot: waits: 1 of 1 nodes with rack=r7 may reboot at once (n2 is)");
	world_hello(w, "n3", 2, "b2");
	granted(w, "n2");
	world_state(w, "n1", "wants-reboot: waits: 1 of 1 nodes with rack=r7 may reboot at once (n2 is)");
	/* It settled without the boot. */
	world_is(w, "n2", "b1", "settled");
	granted(w, "n1");
	assert_null(world_node(w, "n2")->grant_boot);
	/* Hold takes it back, and gives none. */
	world_does(w, "node_mode: {of: {names: [n1]}, mode: hold}", "node/n1 set");
	granted(w, "");
	world_refuses(w, "node_reboot: {of: {names: [n1]}}", -EPERM, "is held");
	world_is(w, "n1", "b1", "wants-reboot");
	granted(w, "");
	/* Audit asks for nothing; an operator may. */
	world_does(w, "node_mode: {of: {names: [n1]}, mode: audit}", "node/n1 set");
	world_is(w, "n1", "b1", "wants-reboot");
	granted(w, "");
	world_does(w, "node_reboot: {of: {names: [n1]}}", "node/n1 reboot-wanted");
	granted(w, "n1");
}

static void
who_is_not_there_gets_no_grant(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_settled(w, "n2", KEY_2);
	w->reboot.max = 1;
	world_is(w, "n1", "b1", "wants-reboot");
	world_restart(w); /* n1 never comes back. */
	granted(w, "");
	world_hello(w, "n2", 2, "b1");
	world_is(w, "n2", "b1", "wants-reboot");
	granted(w, "n2");
	world_refuses(w, "node_reboot: {of: {names: [n1, n9]}}", -ENOENT, "n9");
	world_does(w, "apply: {nodes: [{name: n3}]}", "node/n3 created");
	world_refuses(w, "node_reboot: {of: {names: [n1, n3]}}", -ENOTCONN, "n3 has never connected");
	assert_null(world_node(w, "n1")->leave_boot);
}

/* A report of what is wanted no more gets no reboot. */
static void
a_grant_is_for_what_is_wanted_now(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 ", {name: q, spec: {bios: {sriov: true}}}]}",
		   "profile/p created, profile/q created");
	world_settled(w, "n1", KEY_1);
	world_is(w, "n1", "b1", "wants-reboot");
	world_does(w, "node_assign: {of: {names: [n1]}, profile: q}", "node/n1 assigned");
	granted(w, "");
	world_is(w, "n1", "b1", "wants-reboot");
	granted(w, "n1");
}

static void
a_clone_is_noted_once(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	for (int i = 0; i < 3; i++)
		fleet_cloned(w->fleet, world_node(w, "n1"), "10.0.0.9", w->now);
	world_commit(w);
	assert_int_equal(world_count_events(w, "node.cloned"), 1);
	auto_free char *view = world_answer(w, "nodes: {}");
	assert_non_null(strstr(view, "two machines"));
}

/* --- queries ---------------------------------------------------------------------------------------------------------- */

static void
drift_is_counted_over_the_fleet(void **state)
{
	struct world *w = *state;
	static const char *const names[] = { "n3", "n1", "n2" };
	static const char *const keys[] = { KEY_3, KEY_1, KEY_2 };

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	for (size_t i = 0; i < 3; i++) {
		world_settled(w, names[i], keys[i]);
		world_report(
			w, names[i], 2, "b1", "working",
			i == 0 ? ", layers: [{name: pci, items: [{key: a, want: x, have: v, fix: live}]}]"
			       : ", layers: [{name: pci, items: [{key: a, want: x, have: z, fix: live}, "
				 "{key: b, fix: none}]}, {name: bios, items: [{key: a, want: x, have: z, fix: manual}]}]");
	}
	world_commit(w);
	auto_free char *have = world_answer(w, "drift: {}");
	assert_string_equal(have,
			    "drift:\n"
			    "  - layer: bios\n    key: a\n    want: x\n    have: z\n    fix: manual\n    count: 2\n"
			    "    nodes:\n      - n1\n      - n2\n"
			    "  - layer: pci\n    key: a\n    want: x\n    have: z\n    fix: live\n    count: 2\n"
			    "    nodes:\n      - n1\n      - n2\n"
			    "  - layer: pci\n    key: a\n    want: x\n    have: v\n    fix: live\n    count: 1\n"
			    "    nodes:\n      - n3\n");
	auto_free char *one = world_answer(w, "drift: {of: {names: [n3]}}");
	assert_null(strstr(one, "n1"));
	auto_free char *none = world_answer(w, "drift: {of: {selector: rack=nowhere}}");
	assert_null(strstr(none, "key"));
}

static void
vms_are_what_the_hosts_tell(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_settled(w, "n2", KEY_2);
	world_report(w, "n1", 2, "b1", "settled",
		     ", vms: [{name: a, state: running, machine: q35, devices: [{host: '0000:01:00.0', kind: gpu, "
		     "group: x}, {host: '0000:02:00.0', kind: nic, group: x}]}, {name: b, state: undefined}]");
	world_commit(w);
	auto_free char *list = world_answer(w, "vms: {}");
	assert_non_null(strstr(list, "name: a\n"));
	assert_non_null(strstr(list, "name: b\n"));
	assert_null(strstr(list, "pairs:"));
	auto_free char *one = world_answer(w, "vms: {of: {names: [n1]}, vm: a, detail: true}");
	assert_null(strstr(one, "name: b\n"));
	assert_non_null(strstr(one, "    pairs:\n      - gpu: \"0000:01:00.0\"\n        nic: \"0000:02:00.0\"\n"
				    "        guest: PIX\n"));
	world_refuses(w, "vms: {of: {names: [n2]}, vm: a}", -ENOENT, "there is no VM 'a' there");
	auto_free char *none = world_answer(w, "vms: {of: {names: [n2]}}");
	assert_null(strstr(none, "vms:"));
}

static void
status_adds_up(void **state)
{
	struct world *w = *state;
	uint32_t sum = 0;

	world_does(w, "apply: {profiles: [" P1 "], nodes: [{name: n2}, {name: n3}, {name: n4}]}",
		   "profile/p created, node/n2 created, node/n3 created, node/n4 created");
	world_settled(w, "n1", KEY_1);
	world_settled(w, "n2", KEY_2);
	world_is(w, "n2", "b1", "stuck");
	auto_pb Gdr__Response *answer = NULL;
	assert_int_equal(world_ask(w, "status: {}", &answer), 0);
	for (size_t i = 0; i < answer->status->n_counts; i++)
		sum += answer->status->counts[i]->nodes;
	assert_int_equal(sum, 4);
	assert_int_equal(answer->status->nodes, 4);
	assert_int_equal(answer->status->connected, 2);
	assert_int_equal(answer->status->n_attention, 3);
	assert_string_equal(answer->status->attention[0]->name, "n2");
	assert_string_equal(answer->status->attention[1]->name, "n3");
	world_commit(w);
}

static uint32_t
unconfirmed(struct world *w)
{
	auto_pb Gdr__Response *answer = NULL;

	assert_int_equal(world_ask(w, "status: {}", &answer), 0);
	world_commit(w);
	return answer->status->unconfirmed;
}

static void
what_was_said_before_a_restart_is_marked(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "], nodes: [{name: n2}]}", "profile/p created, node/n2 created");
	world_settled(w, "n1", KEY_1);
	assert_int_equal(unconfirmed(w), 0);
	world_restart(w);
	world_state(w, "n1", "ready");
	assert_int_equal(unconfirmed(w), 1);
	auto_free char *marked = world_answer(w, "nodes: {of: {names: [n1]}}");
	assert_non_null(strstr(marked, "unconfirmed: true"));
	uint64_t version = fleet_version(w->fleet);
	world_hello(w, "n1", world_node(w, "n1")->generation, "b1");
	world_commit(w);
	assert_int_equal(unconfirmed(w), 0);
	assert_true(fleet_version(w->fleet) > version); /* Pages learn of it. */
	world_restart(w);
	assert_int_equal(unconfirmed(w), 1);
	world_tick(w, w->config.lost_after + 1);
	world_state(w, "n1", "lost");
	assert_int_equal(unconfirmed(w), 0);
}

static void
events_can_be_read_on_from(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 5; i++) {
		auto_free char *apply = xasprintf("apply: {nodes: [{name: n%d}]}", i);
		auto_free char *created = xasprintf("node/n%d created", i);

		world_does(w, apply, created);
	}
	auto_pb Gdr__Response *two = NULL;
	assert_int_equal(world_ask(w, "events: {limit: 2, after: 1}", &two), 0);
	assert_int_equal(two->n_events, 2);
	assert_int_equal(two->events[0]->id, 2);
	auto_pb Gdr__Response *newest = NULL;
	assert_int_equal(world_ask(w, "events: {limit: 2, newest: true}", &newest), 0);
	assert_int_equal(newest->events[1]->id, 5);
	auto_pb Gdr__Response *of = NULL;
	assert_int_equal(world_ask(w, "events: {object: node/n3}", &of), 0);
	assert_int_equal(of->n_events, 1);
	assert_string_equal(of->events[0]->actor, "user/test");
	auto_pb Gdr__Response *none = NULL;
	assert_int_equal(world_ask(w, "events: {limit: 0}", &none), 0);
	assert_int_equal(none->n_events, 0);
}

/* --- the store fails ------------------------------------------------------------------------------------------------- */

/* Every request that changes, and news, in one turn each. */
static const char *const changing[] = {
	"apply: {profiles: [" P2 "], nodes: [{name: n1, profile: p, labels: {a: b}}, {name: n9}]}",
	"node_accept: {key: \"" KEY_3 "\", name: n3}",
	"node_remove: {of: {names: [n1, n2]}}",
	"node_label: {of: {names: [n1]}, set: {x: y}}",
	"node_mode: {of: {names: [n1, n2]}, mode: hold, why: w}",
	"node_assign: {of: {names: [n1]}, profile: q}",
	"node_reboot: {of: {names: [n1]}, why: w}",
};

static void
news(struct world *w, int which)
{
	char token[] = "tttttttttttttttttttttttttttttttttttttttt";

	if (which == 0)
		world_report(w, "n1", 2, "b1", "stuck", ", why: w");
	else if (which == 1)
		world_hello(w, "n1", 40, "b9");
	else if (which == 2)
		(void)fleet_enrol(w->fleet, token, "n3", KEY_3, w->now, &w->err);
	else
		fleet_remember_answer(w->fleet, "k", 0, "done");
}

#define N_CHANGING ((int)(sizeof(changing) / sizeof(changing[0])))

static void
change(struct world *w, int which)
{
	if (which >= N_CHANGING) {
		news(w, which - N_CHANGING);
		return;
	}
	auto_pb Gdr__Response *answer = NULL;
	(void)world_ask(w, changing[which], &answer);
}

static void
a_commit_that_fails_leaves_what_was(void **state)
{
	struct world *w = *state;
	char token[] = "tttttttttttttttttttttttttttttttttttttttt";
	char *none = NULL;

	world_does(w, "apply: {profiles: [" P1 ", {name: q, spec: {bios: {sriov: true}}}]}",
		   "profile/p created, profile/q created");
	world_settled(w, "n1", KEY_1);
	world_settled(w, "n2", KEY_2);
	assert_int_equal(add_token(w, token, NULL, w->now + 100000), 0);
	world_commit(w);
	auto_free char *before = world_dump(w);
	for (int which = 0; which < N_CHANGING + 4; which++) {
		int n = 0;

		for (;;) {
			world_fail_at = ++n;
			change(w, which);
			int rc = fleet_commit(w->fleet, &w->err);
			bool reached = world_fail_at == 0;
			world_fail_at = 0;
			if (!reached)
				break; /* It has fewer statements: this time all went well. */
			assert_int_equal(rc, -EIO);
			assert_non_null(strstr(w->err.msg, "the disk is on fire"));
			fleet_turn_over(w->fleet);
			auto_free char *after = world_dump(w);
			world_same(before, after);
			assert_null(keyring_find(w->keyring, KEY_3));
			assert_string_equal(keyring_find(w->keyring, KEY_1)->name, "n1");
			assert_non_null(keyring_find_token(w->keyring, token, w->now));
			assert_int_equal(fleet_answered(w->fleet, "k", &none), -1);
			assert_true(world_node(w, "n1")->connected);
			world_sends(w, "");
		}
		assert_true(n > 2);
		/* Now it has happened; start over. */
		world_close_fleet(w);
		auto_free char *wal = xasprintf("%s-wal", w->path);
		assert_int_equal(unlink(w->path), 0);
		(void)unlink(wal);
		world_open_fleet(w);
		world_does(w, "apply: {profiles: [" P1 ", {name: q, spec: {bios: {sriov: true}}}]}",
			   "profile/p created, profile/q created");
		world_settled(w, "n1", KEY_1);
		world_settled(w, "n2", KEY_2);
		assert_int_equal(add_token(w, token, NULL, w->now + 100000), 0);
		world_commit(w);
	}
}

static void
a_failed_turn_is_followed_by_a_good_one(void **state)
{
	struct world *w = *state;

	world_does(w, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_settled(w, "n1", KEY_1);
	world_commit(w);
	world_fail_at = 2;
	world_report(w, "n1", 2, "b1", "stuck", "");
	assert_int_equal(fleet_commit(w->fleet, &w->err), -EIO);
	fleet_turn_over(w->fleet);
	world_state(w, "n1", "ready");
	/* The agent sends it again, as its digest is not acknowledged. */
	world_report(w, "n1", 2, "b1", "stuck", "");
	world_sends(w, "n1.");
	world_state(w, "n1", "stuck");
	world_tick(w, 1000);
	world_commit(w);
}

static void
everything_is_the_same_after_a_restart(void **state)
{
	struct world *w = *state;

	world_does(w,
		   "apply: {profiles: [" P1 ", {name: q, spec: {bios: {sriov: true}}}], nodes: ["
		   "{name: n1, labels: {rack: r7}, override: {hugepages: {count: 2}}}, {name: n4, mode: audit}]}",
		   "profile/p created, profile/q created, node/n1 created, node/n4 created");
	world_does(w, "apply: {profiles: [" P2 "], comment: c}", "profile/p configured");
	world_settled(w, "n1", KEY_1);
	world_settled(w, "n2", KEY_2);
	world_is(w, "n2", "b1", "wants-reboot");
	world_tick(w, 500);
	world_does(w, "node_mode: {of: {names: [n1]}, mode: hold, why: w}", "node/n1 set");
	world_does(w, "node_reboot: {of: {names: [n2]}, why: w}", "node/n2 reboot-wanted");
	struct principal user = { .key = KEY_3, .name = (char[]){ "alice" }, .role = GDR__ROLE__ROLE_OPERATOR };
	assert_int_equal(store_begin(w->store, &w->err), 0);
	assert_int_equal(keyring_add(w->keyring, &user, &w->err), 0);
	world_commit(w);
	for (struct node *node = fleet_first(w->fleet); node; node = fleet_next(w->fleet)) {
		node->seen_ms = 0; /* What is in memory only. */
		free(node->version);
		node->version = NULL;
	}
	auto_free char *before = world_dump(w);
	world_restart(w);
	auto_free char *after = world_dump(w);
	world_same(before, after);
	assert_string_equal(keyring_find_user(w->keyring, "alice")->key, KEY_3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(revisions_are_immutable),
		TEST(export_applied_changes_nothing),
		TEST(apply_is_all_or_nothing),
		TEST(max_nodes_holds_for_every_way_in),
		TEST(a_dry_run_says_the_same_and_changes_nothing),
		TEST(what_is_wanted_bumps_the_generation_once),
		TEST(an_override_is_laid_over_the_profile),
		TEST(the_reason_of_a_mode_goes_with_it),
		TEST(selections),
		TEST(removal_revokes_the_key),
		TEST(a_token_is_good_for_one_node_and_a_while),
		TEST(an_answer_is_remembered),
		TEST(states),
		TEST(the_remedy_is_the_first_manual_item),
		TEST(since_when_an_item_is_not_right),
		TEST(nobody_is_lost_before_we_waited),
		TEST(a_clock_that_jumps_makes_nobody_lost),
		TEST(reports_are_believed_only_of_generations_given_out),
		TEST(the_content_counts_and_not_the_number_alone),
		TEST(a_restored_backup_goes_on_from_the_agents_number),
		TEST(leases_do_not_write),
		TEST(a_grant_ends_with_its_boot),
		TEST(grants_keep_to_the_budget),
		TEST(who_is_not_there_gets_no_grant),
		TEST(a_grant_is_for_what_is_wanted_now),
		TEST(a_clone_is_noted_once),
		TEST(drift_is_counted_over_the_fleet),
		TEST(vms_are_what_the_hosts_tell),
		TEST(status_adds_up),
		TEST(what_was_said_before_a_restart_is_marked),
		TEST(events_can_be_read_on_from),
		TEST(a_commit_that_fails_leaves_what_was),
		TEST(a_failed_turn_is_followed_by_a_good_one),
		TEST(everything_is_the_same_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
