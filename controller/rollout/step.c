/* step.c - one step of the machine:
 *
 *   running <-> paused
 *   running -> succeeded | succeeded-with-exempt | failed
 *   running, paused, failed -> aborted | rolling-back -> rolled-back | rollback-failed
 *
 * Nodes are looked at first, then budgets and deadlines, then the wave, and only then is anything claimed: nothing is
 * claimed in the step in which a gate passed, so the gate is on disk before. */

#include "common/pb.h"
#include "controller/rollout/impl.h"

#define GAP_MS   15000 /* Between two steps: nobody was there, or the clock was set. */
#define CLOCK_MS 5000  /* How far the record's clock may lag behind. */

static void
move(uint64_t *deadline, bool has, int64_t by_ms)
{
	if (has)
		*deadline = by_ms < 0 && *deadline < (uint64_t)-by_ms ? 0 : *deadline + (uint64_t)by_ms;
}

/* Time in which nobody looked, or nothing may be done, is taken from nobody. */
static void
keep_clock(struct step *step)
{
	Gdr__RolloutRecord *record = step->record;
	int64_t gap = (int64_t)step->now_ms - (int64_t)record->clock_ms;

	if (gap >= 0 && gap < CLOCK_MS)
		return;
	SET(record, clock_ms, step->now_ms);
	step->out->ticked = true;
	/* A pause is made up for when it ends. */
	if (record->state == GDR__ROLLOUT_STATE__ROLLOUT_PAUSED)
		return;
	if (gap >= 0 && gap < GAP_MS && !step->world->shut)
		return;
	step->out->changed = true;
	move(&record->deadline_ms, true, gap);
	for (size_t i = 0; i < record->n_waves; i++) {
		move(&record->waves[i]->deadline_ms, record->waves[i]->has_deadline_ms, gap);
		move(&record->waves[i]->soak_until_ms, record->waves[i]->has_soak_until_ms, gap);
	}
	for (size_t i = 0; i < record->n_nodes; i++)
		if (record->nodes[i]->has_deadline_ms && rollout_is_moving(record->nodes[i])) {
			move(&record->nodes[i]->deadline_ms, true, gap);
			step->out->nodes_changed[i] = true;
		}
}

/* Nodes that were not ready before it and have become so are like any other from now on. */
static void
keep_baseline(struct step *step)
{
	Gdr__RolloutRecord *record = step->record;
	size_t n = 0;

	for (size_t i = 0; i < record->n_baseline; i++) {
		const struct rollout_seen *seen = rollout_find(step->world, record->baseline[i]);

		if (seen && seen->state != GDR__NODE_STATE__NODE_READY) {
			step->baseline[seen - step->world->nodes] = true;
			record->baseline[n++] = record->baseline[i];
		} else {
			free(record->baseline[i]);
			step->out->changed = true;
		}
	}
	record->n_baseline = n;
}

static void
look(struct step *step)
{
	const Gdr__RolloutRecord *record = step->record;

	step->seen = xcalloc(record->n_nodes + 1, sizeof(*step->seen));
	step->moving = xcalloc(step->world->n + 1, sizeof(*step->moving));
	step->baseline = xcalloc(step->world->n + 1, sizeof(*step->baseline));
	(void)rollout_reference(record->plan->profile, step->target, &step->revision);
	for (size_t i = 0; i < record->n_nodes; i++) {
		/* A node that came back under a name that had gone is another. */
		if (record->nodes[i]->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_GONE)
			continue;
		step->seen[i] = rollout_find(step->world, record->nodes[i]->name);
		if (step->seen[i])
			step->moving[step->seen[i] - step->world->nodes] = i + 1;
	}
}

/* Of the nodes that were moved: how many are back. */
static void
count_back(const Gdr__RolloutRecord *record, uint32_t *back, uint32_t *not_back)
{
	*back = *not_back = 0;
	for (size_t i = 0; i < record->n_nodes; i++) {
		const Gdr__RolloutNode *node = record->nodes[i];

		if (node->has_assigned_ms && node->state != GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_GONE)
			*(node->state == GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_REVERTED ? back : not_back) += 1;
	}
}

static void
roll_back(struct step *step)
{
	Gdr__RolloutRecord *record = step->record;
	bool finished = rollout_revert(step);
	uint32_t back;
	uint32_t not_back;
	bool late = rollout_clock_runs(step) && step->now_ms >= record->deadline_ms;

	if (!finished && step->world->shut)
		buf_printf(&step->out->blocks, "%s\n", step->world->shut);
	if (!finished && !late)
		return;
	count_back(record, &back, &not_back);
	if (not_back == 0)
		rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_ROLLED_BACK,
				  xasprintf("%u node%s back; %s", back, back == 1 ? " is" : "s are",
					    record->why ? record->why : ""),
				  step->now_ms, step->out);
	else
		rollout_set_state(
			record, GDR__ROLLOUT_STATE__ROLLOUT_ROLLBACK_FAILED,
			xasprintf("%u back, %u not seen back; %s", back, not_back, record->why ? record->why : ""),
			step->now_ms, step->out);
}

static void
go_on(struct step *step)
{
	uint32_t wave = step->record->wave;

	if (rollout_stop_if_failed(step))
		return;
	if (step->world->shut) {
		buf_printf(&step->out->blocks, "%s\n", step->world->shut);
		return;
	}
	rollout_judge(step);
	if (step->record->state == GDR__ROLLOUT_STATE__ROLLOUT_RUNNING && step->record->wave == wave)
		rollout_advance(step);
}

void
rollout_step(const struct rollout_world *world, Gdr__RolloutRecord *record, uint64_t now_ms,
	     struct rollout_effects *out)
{
	struct step step = { .world = world, .record = record, .now_ms = now_ms, .out = out };

	if (!rollout_is_active(record))
		return;
	out->nodes_changed = xcalloc(record->n_nodes + 1, sizeof(bool));
	look(&step);
	keep_clock(&step);
	keep_baseline(&step);
	rollout_observe(&step);
	if (record->state == GDR__ROLLOUT_STATE__ROLLOUT_RUNNING)
		go_on(&step);
	else if (record->state == GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK)
		roll_back(&step);
	else
		buf_printf(&out->blocks, "a person must decide: %s\n", record->why ? record->why : "");
	free(step.seen);
	free(step.moving);
	free(step.baseline);
}
