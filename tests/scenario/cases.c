#include "tests/scenario/cases.h"

#include <string.h>

#include "common/mem.h"
#include "common/pbtext.h"
#include "tests/scenario/schedule.h"

#define SMALL 6 /* Hosts. */

/* --- by hand ----------------------------------------------------------------------------------------------------- */

static void
start_plan(struct schedule *schedule, const char *plan)
{
	auto_free char *yaml = xasprintf("{rollout_start: {plan: {name: x, profile: p@2, selector: all, %s}}}", plan);

	check_begin(&schedule->check, &schedule->sim);
	sim_do(&schedule->sim, yaml);
	(void)sim_turn(&schedule->sim, 1);
	schedule->rollouts[0] = xstrdup("x");
	schedule->n = 1;
	schedule->sim.crashes = 20;
	schedule_play(schedule);
}

static void
expect_node(const struct schedule *schedule, const char *name, Gdr__RolloutNodeState state)
{
	const Gdr__RolloutRecord *record = schedule->check.before[0];

	for (size_t i = 0; i < record->n_nodes; i++) {
		const Gdr__RolloutNode *node = record->nodes[i];

		if (strcmp(node->name, name) == 0 && (node->state != state || !node->why))
			sim_broken(&schedule->sim, "%s is %s: %s", name,
				   pbtext_enum(&gdr__rollout_node_state__descriptor, (int)node->state),
				   node->why ? node->why : "no reason");
	}
}

static size_t
count_nodes(const struct schedule *schedule, Gdr__RolloutNodeState state)
{
	const Gdr__RolloutRecord *record = schedule->check.before[0];
	size_t n = 0;

	for (size_t i = 0; i < record->n_nodes; i++)
		n += record->nodes[i]->state == state;
	return n;
}

void
case_hundred(const struct stage *stage)
{
	struct schedule schedule = { .steady = true };
	struct sim *sim = &schedule.sim;

	schedule_set_up(&schedule, stage, 1);
	sim->natures[1] = NATURE_LIVE;
	sim->natures[2] = NATURE_REBOOT;
	schedule_make_fleet(&schedule, 100);
	sim_die(sim, &sim->hosts[5], UINT64_MAX);
	sim->hosts[60].hangs = true;
	sim->hosts[7].bad = true;
	sim->hosts[7].sour_ms = sim->t + 1;
	for (int i = 0; i < 30; i++)
		(void)sim_turn(sim, 1000);
	start_plan(&schedule, "canary: 2, waves: ['50%'], soak: 5s, max_unavailable: '10', failure_budget: 1");
	if (schedule.check.before[0]->state != GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED_WITH_EXEMPT ||
	    count_nodes(&schedule, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_DONE) != 97)
		sim_broken(sim, "a hundred: %s", schedule.check.before[0]->why);
	expect_node(&schedule, "n5", GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_SKIPPED);
	expect_node(&schedule, "n60", GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_LOST);
	expect_node(&schedule, "n7", GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_FAILED);
	schedule_tear_down(&schedule);
}

void
case_thousand(const struct stage *stage)
{
	struct schedule schedule = { .steady = true };
	struct sim *sim = &schedule.sim;
	size_t moved = 0;

	schedule_set_up(&schedule, stage, 2);
	sim->natures[1] = NATURE_LIVE;
	sim->natures[2] = NATURE_STUCK;
	schedule_make_fleet(&schedule, 1000);
	start_plan(&schedule, "canary: 3, waves: ['10%', '50%'], soak: 5s, on_failure: rollback");
	const Gdr__RolloutRecord *record = schedule.check.before[0];
	for (size_t i = 0; i < record->n_nodes; i++)
		moved += record->nodes[i]->has_assigned_ms;
	if (record->state != GDR__ROLLOUT_STATE__ROLLOUT_ROLLED_BACK || moved > 3)
		sim_broken(sim, "a thousand: %zu were moved: %s", moved, record->why);
	for (size_t i = 0; i < sim->n; i++)
		if (strcmp(schedule.check.had[i], "p@1") != 0)
			sim_broken(sim, "a thousand: %s is on %s", sim->hosts[i].name, schedule.check.had[i]);
	schedule_tear_down(&schedule);
}

void
case_every_moment(const struct stage *stage, uint64_t seed)
{
	struct stage small = *stage;
	uint64_t turns;

	small.hosts = SMALL;
	auto_free char *undisturbed = schedule_run(&small, seed, (struct fate){ .calm = true }, &turns);
	for (uint64_t turn = 1; turn <= turns; turn++)
		for (int moment = MOMENT_COMMIT; moment < MOMENTS; moment++) {
			const struct fate fate = { .calm = true, .crash_turn = turn, .moment = (enum moment)moment };
			const struct sim sim = {
				.seed = seed, .n_given = SMALL, .crash_turn = turn, .crash_moment = fate.moment
			};
			uint64_t ignored;
			auto_free char *end = schedule_run(&small, seed, fate, &ignored);

			if (strcmp(end, undisturbed) != 0)
				sim_broken(&sim, "6: gdrd died, and it ended as\n%s, else as\n%s", end, undisturbed);
		}
}
