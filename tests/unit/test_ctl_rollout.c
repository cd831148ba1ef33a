/* Links: ctl */

#include "tests/unit/test_ctl_world.h"

#define GOLDEN(name) TESTS_DIR "/golden/ctl/" name
#define OK           "code: ok\n"

/* At three in the morning: the canary of twelve hosts has failed, and one of its nodes is done. */
#define PAUSED                                                                                                          \
	OK "rollouts:\n- total: 12\n  done: 1\n  failed: 1\n  waves:\n"                                                 \
	   "  - {total: 3, done: 1, failed: 1, left_out: 1}\n  - {total: 9}\n"                                          \
	   "  record:\n    state: paused\n    why: '1 node failed in the canary, 0 allowed'\n    version: 4\n"          \
	   "    changes: 9\n    by: user/carol\n    created_ms: 1789996400000\n    since_ms: 1789999100000\n"           \
	   "    wave: 0\n    plan: {name: vela-a100-2, profile: vela-a100@2, selector: rack=r7, failure_budget: 2,\n"   \
	   "      reason: RDMA reads of 4 KiB}\n"                                                                       \
	   "    waves:\n    - {size: canary, state: open}\n    - {size: all, state: waiting}\n"                         \
	   "    gates:\n    - {wave: 0, result: fail, at_ms: 1789999100000, evidence: '1 node failed in the canary, 0 " \
	   "allowed'}\n"                                                                                                \
	   "    not_covered: ['NIC 15b3:1021 firmware 28.39.1002']\n"                                                   \
	   "    nodes:\n"                                                                                               \
	   "    - {name: n1, wave: 0, state: done, since_ms: 1789999000000, previous: vela-a100@1}\n"                   \
	   "    - {name: n2, wave: 0, state: failed, since_ms: 1789999100000, previous: vela-a100@1,\n"                 \
	   "       why: 'stuck: bios/version: want 2.4, have 2.1'}\n"                                                   \
	   "    - {name: n3, wave: 0, state: held, since_ms: 1789996400000, why: an operator holds it}\n"               \
	   "    - {name: n4, wave: 1, state: queued, since_ms: 1789996400000, previous: vela-a100@1}\n"

#define VIEW(state, changes, done)                                                               \
	OK "rollouts:\n- done: " done "\n  total: 2\n  record: {plan: {name: x, profile: p@2}, " \
	   "state: " state ", changes: " changes ", why: because, waves: [{state: open}]}\n"

static void
what_is_shown_at_night(void **state)
{
	struct world world = { .answers = { PAUSED } };

	(void)state;
	assert_int_equal(world_run(&world, "rollout show vela-a100-2"), 0);
	assert_golden(GOLDEN("rollout-show-paused.txt"), world.out);
	assert_int_equal(world_run(&world, "rollout list"), 0);
	assert_golden(GOLDEN("rollout-list.txt"), world.out);
	world_close(&world);
}

static void
what_blocks_it_now(void **state)
{
	struct world world = {
		.answers = { OK
			     "rollouts:\n- total: 12\n  done: 3\n  failed: 0\n"
			     "  blocks: \"1 being moved\\nwaits for n7, which is lost\\n\"\n"
			     "  waves: [{total: 3, done: 3}, {total: 9, moving: 1}]\n"
			     "  record: {state: running, created_ms: 1789996400000, since_ms: 1789996400000, by: user/carol,\n"
			     "    wave: 1, plan: {name: x, profile: p@2, selector: all, failure_budget: 0},\n"
			     "    waves: [{size: canary, state: passed}, {size: all, state: open}],\n"
			     "    gates: [{wave: 0, result: pass, at_ms: 1789999100000, by: user/dave,\n"
			     "      evidence: '3 of 3 done, 0 failed (0 allowed in all), soaked 10m'}]}\n" }
	};

	(void)state;
	assert_int_equal(world_run(&world, "rollout show x"), 0);
	assert_golden(GOLDEN("rollout-show-running.txt"), world.out);
	world_close(&world);
}

static void
a_plan_says_it_all(void **state)
{
	static const char answer[] = OK
		"rollouts:\n- total: 3\n  unchanged: 2\n  expected_ms: 1380000\n  expected_reboots: 6\n"
		"  seen_moves: 48\n  seen_reboots: 24\n  reboot_ms: 250400\n"
		"  blast: [{label: leaf, value: l1, nodes: 2, at_once: 2, of: 6},\n"
		"    {label: rack, value: r7, nodes: 3, max: 2, at_once: 2, of: 8},\n"
		"    {label: rack, value: r1, nodes: 3, at_once: 1, of: 8},\n"
		"    {label: rack, value: r2, nodes: 3, at_once: 1, of: 8},\n"
		"    {label: rack, value: r3, nodes: 3, at_once: 1, of: 9}]\n  waves: [{total: 1}, {total: 2}]\n"
		"  record:\n    state: running\n    max_unavailable: 2\n"
		"    plan: {name: x, profile: p@2, selector: rack=r7, soak: 10m, max_unavailable: 10%}\n"
		"    waves: [{size: canary, state: open}, {size: 100%, state: waiting}]\n"
		"    not_covered: [kernel 6.8]\n    nodes:\n"
		"    - {name: n1, wave: 0, state: queued, previous: p@1, since_ms: 1790000000000}\n"
		"    - {name: n2, wave: 1, state: queued, previous: p@1, since_ms: 1790000000000}\n"
		"    - {name: n3, wave: 1, state: queued, previous: p@1, since_ms: 1790000000000, baseline: true}\n"
		"    - {name: n4, state: skipped, why: its agent does not report, since_ms: 1790000000000}\n";
	struct world world = { .answers = { answer } };
	struct world nothing = { .answers = { OK "rollouts: [{unchanged: 3, record: {plan: {name: x}}}]\n" } };

	(void)state;
	assert_int_equal(world_run(&world, "rollout plan p -l rack=r7 --canary 1 --waves 100% --soak 10m"), CTL_UNMET);
	assert_golden(GOLDEN("rollout-plan.txt"), world.out);
	assert_int_equal(world_run(&nothing, "rollout plan p -l rack=r7"), 0);
	world_close(&world);
	world_close(&nothing);
}

static void
watching_goes_on_where_it_was(void **state)
{
	struct world world = { .answers = { VIEW("running", "4", "0"), VIEW("running", "4", "0"), NO_ANSWER,
					    VIEW("paused", "5", "1"), VIEW("succeeded", "7", "2") },
			       .pauses = 9 };
	struct world later = { .answers = { VIEW("running", "5", "1"), VIEW("aborted", "6", "1") }, .pauses = 9 };

	(void)state;
	assert_int_equal(world_run(&world, "rollout watch x -o json"), 0);
	assert_golden(GOLDEN("rollout-watch.jsonl"), world.out);
	assert_has(world.diag, "trying again");
	assert_int_equal(world_run(&later, "rollout watch x -o json --after 5"), CTL_UNMET);
	assert_has_not(later.out, "\"changes\": 5");
	assert_has(later.out, "\"changes\": 6");
	assert_int_equal(world_run(&later, "rollout watch x --after soon"), CTL_USAGE);
	world_close(&world);
	world_close(&later);
}

static void
waiting_outlasts_the_controller(void **state)
{
	struct world world = { .answers = { VIEW("running", "4", "0"), NO_ANSWER, NO_ANSWER, VIEW("paused", "5", "0") },
			       .pauses = 9 };

	(void)state;
	assert_int_equal(world_run(&world, "rollout wait x"), CTL_UNMET);
	assert_has(world.diag, "the controller does not answer; trying again");
	assert_has(world.diag, "rollout x is paused: because");
	world.next = 0;
	assert_int_equal(world_run(&world, "rollout wait x --timeout 2s"), CTL_TIMEOUT);
	world_close(&world);
}

static void
a_decision_is_on_what_was_seen(void **state)
{
	static const char view[] = OK "rollouts: [{record: {plan: {name: x}, state: running, version: 7}}]\n";
	struct world world = { .answers = { view, OK } };

	(void)state;
	assert_int_equal(world_run(&world, "rollout pause x -m why"), 0);
	assert_has(world.asked.text, "{\"rollout_change\": {\"name\": \"x\", \"action\": \"pause\", \"version\": 7, ");
	world.next = 1;
	assert_int_equal(world_run(&world, "rollout resume x --seen 5"), 0);
	assert_has(world.asked.text, "\"action\": \"resume\", \"version\": 5");
	assert_int_equal(world_run(&world, "rollout abort x"), 0); /* Dominates: whatever it is. */
	assert_has_not(world.asked.text, "version");
	world_close(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_shown_at_night),
		cmocka_unit_test(what_blocks_it_now),
		cmocka_unit_test(a_plan_says_it_all),
		cmocka_unit_test(watching_goes_on_where_it_was),
		cmocka_unit_test(waiting_outlasts_the_controller),
		cmocka_unit_test(a_decision_is_on_what_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
