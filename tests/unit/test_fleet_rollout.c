/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fleet_world.h"

#define P(bios) "{name: p, spec: {bios: {version: \"" bios "\"}}}"

static const char *const names[] = { "n1", "n2", "n3", "n4", "n5", "n6" };
#define NODES (sizeof(names) / sizeof(names[0]))

/* Six nodes of profile p in three racks, on two leaves, and a newer revision. */
static int
make(void **state)
{
	if (world_set_up(state) != 0)
		return -1;
	struct world *w = *state;
	w->reboot.n_per_label = 0;
	w->reboot.max = 9;
	world_does(w, "apply: {profiles: [" P("1") "]}", "profile/p created");
	for (size_t i = 0; i < NODES; i++) {
		auto_free char *key = xasprintf("%zu111111111111111111111111111111111111111", i + 1);
		auto_free char *label =
			xasprintf("node_label: {of: {names: [%s]}, set: {rack: r%zu, leaf: l%d, unit: u%zu, fleet: f}}",
				  names[i], i / 2, i < 2, i);
		auto_free char *done = xasprintf("node/%s labelled", names[i]);

		world_settled(w, names[i], key);
		world_does(w, label, done);
	}
	world_does(w, "apply: {profiles: [" P("2") "]}", "profile/p configured");
	world_commit(w);
	return 0;
}

static void
tick(struct world *w, uint64_t ms)
{
	world_tick(w, ms);
	world_commit(w);
}

/* It wants a reboot, gets it, and is back after so long. */
static void
reboots(struct world *w, const char *name, const char *boot, uint64_t ms)
{
	auto_free char *was = xstrdup(world_node(w, name)->boot_id);

	world_is(w, name, was, "wants-reboot");
	tick(w, 1000);
	assert_non_null(world_node(w, name)->grant_boot);
	w->now += ms;
	world_hello(w, name, world_node(w, name)->generation, boot);
	world_is(w, name, boot, "settled");
}

/* --- what a plan tells ------------------------------------------------------------------------------------------ */

static char *
blast_of(const Gdr__RolloutView *view)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < view->n_blast; i++) {
		const Gdr__LabelCount *count = view->blast[i];

		buf_printf(&out, "%s=%s %u/%u of %u%s\n", count->label, count->value, count->at_once, count->of,
			   count->nodes, count->has_max ? ", limited" : "");
	}
	return out.len ? buf_steal(&out) : xstrdup("");
}

static void
a_plan_tells_how_much_of_each_rack_it_takes_away(void **state)
{
	static const struct {
		const char *plan;
		const char *blast;
	} cases[] = {
		/* A label that is another on each node, or the same on all, tells nothing. */
		{ "selector: fleet, canary: 0, max_unavailable: '50%'",
		  "leaf=l1 2/2 of 2\nleaf=l0 3/4 of 4\nrack=r0 2/2 of 2\nrack=r1 2/2 of 2\nrack=r2 2/2 of 2\n" },
		{ "selector: fleet, canary: 0, max_unavailable: '3', per_label: {rack: '1', unit: '1'}",
		  "leaf=l1 2/2 of 2\nleaf=l0 3/4 of 4\n"
		  "rack=r0 1/2 of 2, limited\nrack=r1 1/2 of 2, limited\nrack=r2 1/2 of 2, limited\n"
		  "unit=u0 1/1 of 1, limited\nunit=u1 1/1 of 1, limited\nunit=u2 1/1 of 1, limited\n"
		  "unit=u3 1/1 of 1, limited\nunit=u4 1/1 of 1, limited\nunit=u5 1/1 of 1, limited\n" },
		/* Only what is selected, against all that there is; and waves come one after the other. */
		{ "selector: 'leaf=l0', canary: 0, waves: ['2'], max_unavailable: '9'",
		  "leaf=l0 4/4 of 4\nrack=r1 2/2 of 2\nrack=r2 2/2 of 2\n" },
		{ "selector: 'leaf=l0', canary: 1, waves: ['2', '3', '4'], max_unavailable: '9'",
		  "leaf=l0 1/4 of 4\nrack=r1 1/2 of 2\nrack=r2 1/2 of 2\n" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *yaml = xasprintf("rollout_plan: {plan: {profile: p, %s}}", cases[i].plan);
		auto_pb Gdr__Response *answer = NULL;

		if (world_ask(w, yaml, &answer) < 0)
			fail_msg("%s", w->err.msg);
		auto_free char *blast = blast_of(answer->rollouts[0]);
		assert_string_equal(blast, cases[i].blast);
	}
}

/* Of those that are heard of. */
static Gdr__RolloutView *
plan(struct world *w, Gdr__Response **answer)
{
	for (size_t i = 0; i < NODES; i++)
		world_lease(w, names[i], world_node(w, names[i])->generation, world_node(w, names[i])->boot_id, NULL);
	if (world_ask(
		    w,
		    "rollout_plan: {plan: {profile: p, selector: leaf=l0, canary: 1, soak: 10s, max_unavailable: '2'}}",
		    answer) < 0)
		fail_msg("%s", w->err.msg);
	return (*answer)->rollouts[0];
}

static void
what_is_expected_is_what_was_seen(void **state)
{
	struct world *w = *state;
	auto_pb Gdr__Response *nothing = NULL;
	auto_pb Gdr__Response *others = NULL;
	auto_pb Gdr__Response *some = NULL;
	auto_pb Gdr__Response *withdrawn = NULL;

	assert_false(plan(w, &nothing)->has_expected_ms);
	reboots(w, "n1", "b2", 7000); /* Of another leaf: nothing that these need be like. */
	assert_false(plan(w, &others)->has_expected_ms);
	reboots(w, "n3", "b2", 60000);
	reboots(w, "n4", "b2", 300000);
	reboots(w, "n4", "b3", 90000);
	const Gdr__RolloutView *view = plan(w, &some);
	assert_int_equal(view->seen_reboots, 3);
	assert_int_equal(view->reboot_ms, 90000);
	assert_int_equal(view->expected_reboots, 4);
	assert_int_equal(view->expected_ms, 90000 + 10000 + 2 * 90000 + 10000); /* One, and three two at a time. */
	/* A grant that was taken back is no reboot, also if there is one later. */
	world_is(w, "n5", "b1", "wants-reboot");
	tick(w, 1000);
	world_is(w, "n5", "b1", "settled");
	tick(w, 1000);
	world_hello(w, "n5", 1, "b9");
	world_commit(w);
	assert_int_equal(plan(w, &withdrawn)->seen_reboots, 3);
}

/* --- reboots that a rollout did not ask for ------------------------------------------------------------------------ */

static void
what_a_rollout_allows_holds_for_other_reboots(void **state)
{
	struct world *w = *state;

	world_does(w,
		   "rollout_start: {plan: {name: x, profile: p, selector: rack=r0, canary: 0, max_unavailable: '3', "
		   "per_label: {leaf: '1', rack: '1'}}}",
		   "rollout/x started");
	tick(w, 1000);
	tick(w, 1000);
	assert_true(world_node(w, "n1")->moving);
	assert_false(world_node(w, "n2")->moving);
	/* n2 is in its rack, n3 and n4 are on another leaf: one of them may. */
	world_is(w, "n2", "b1", "wants-reboot");
	world_is(w, "n3", "b1", "wants-reboot");
	world_is(w, "n4", "b1", "wants-reboot");
	tick(w, 1000);
	world_state(w, "n2",
		    "wants-reboot: waits: 1 of 1 nodes with leaf=l1 may be away at once while rollout x runs (n1 is)");
	assert_non_null(world_node(w, "n3")->grant_boot);
	world_state(w, "n4",
		    "wants-reboot: waits: 1 of 1 nodes with leaf=l0 may be away at once while rollout x runs (n3 is)");
	/* What is moved has its place, and keeps it over a restart of gdrd. */
	world_restart(w);
	for (size_t i = 0; i < NODES; i++)
		world_hello(w, names[i], world_node(w, names[i])->generation, "b1");
	world_is(w, "n1", "b1", "wants-reboot");
	tick(w, 1000);
	assert_non_null(world_node(w, "n1")->grant_boot);
	assert_null(world_node(w, "n2")->grant_boot);
	/* Nobody else is held up once it has none in its hands. */
	world_hello(w, "n1", world_node(w, "n1")->generation, "b2");
	world_is(w, "n1", "b2", "settled");
	tick(w, 1000);
	tick(w, 1000);
	assert_false(world_node(w, "n1")->moving);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_plan_tells_how_much_of_each_rack_it_takes_away, make,
						world_tear_down),
		cmocka_unit_test_setup_teardown(what_is_expected_is_what_was_seen, make, world_tear_down),
		cmocka_unit_test_setup_teardown(what_a_rollout_allows_holds_for_other_reboots, make, world_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
