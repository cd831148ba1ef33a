/* gate.c - when a wave is through: soak, gate, promotion; and when all of it must stop.
 *
 * A gate passes only if every node of the wave is done or accounted for, at least one is done in the first wave, no
 * more have failed than are allowed, and all that are done are heard of and right at this moment.  Where that cannot
 * be told it is unknown, and that never passes: the wave's deadline ends the wait. */

#include <stdio.h>

#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/rollout/impl.h"

#define UNKNOWN_LIMIT 5 /* Times in a row that a check may not tell. */
#define NAMED_MAX     3 /* Failed nodes that are named with their reasons. */

#define S(name) GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_##name

struct tally {
	uint32_t total;
	uint32_t pending; /* Not where a node can stay. */
	uint32_t queued;  /* Of those: not started. */
	uint32_t done;
	uint32_t silent; /* Done, and not right, not heard of or not measured now: */
	uint32_t charged;
	uint32_t excused;       /* All others. */
	const char *silent_one; /* One of them, */
	const char *unmeasured; /* and what it has not measured; NULL: it is not heard of. */
	uint64_t newest_ms;     /* When a node last became done or failed. */
};

static void
tally_node(const struct step *step, size_t i, struct tally *tally)
{
	const Gdr__RolloutNode *node = step->record->nodes[i];
	const struct rollout_seen *seen = step->seen[i];

	tally->total++;
	if (node->since_ms > tally->newest_ms)
		tally->newest_ms = node->since_ms;
	if (node->state == S(QUEUED) || MOVING(node->state)) {
		tally->pending++;
		tally->queued += node->state == S(QUEUED);
	} else if (node->state == S(DONE)) {
		bool heard = seen->connected && seen->state == GDR__NODE_STATE__NODE_READY && seen->settled;
		const char *unmeasured = rollout_unmeasured(step, i);

		tally->done++;
		if (heard && !unmeasured)
			return;
		tally->silent++;
		tally->silent_one = node->name;
		tally->unmeasured = heard ? unmeasured : NULL;
	} else if (rollout_is_charged(node)) {
		tally->charged++;
	} else {
		tally->excused++;
	}
}

static struct tally
tally_wave(const struct step *step)
{
	struct tally tally = { 0 };

	for (size_t i = 0; i < step->record->n_nodes; i++) {
		const Gdr__RolloutNode *node = step->record->nodes[i];

		if (node->has_wave && node->wave == step->record->wave && node->state != S(GONE) && step->seen[i])
			tally_node(step, i, &tally);
	}
	return tally;
}

/* Why the gate cannot tell. */
static char *
say_silent(const struct tally *tally)
{
	if (tally->unmeasured)
		return xasprintf("%u nodes that were done cannot be compared: %s of %s is not measured now",
				 tally->silent, tally->unmeasured, tally->silent_one);
	return xasprintf("%u nodes that were done are not heard of now, %s for one", tally->silent, tally->silent_one);
}

static uint32_t
charged(const Gdr__RolloutRecord *record)
{
	uint32_t n = 0;

	for (size_t i = 0; i < record->n_nodes; i++)
		n += rollout_is_charged(record->nodes[i]);
	return n;
}

static bool
is_canary(const struct step *step)
{
	return step->record->wave == 0 && step->record->plan->canary > 0;
}

static uint32_t
allowed(const struct step *step)
{
	return is_canary(step) ? 0 : step->record->plan->failure_budget;
}

static char *
wave_name(const Gdr__RolloutRecord *record)
{
	return record->wave == 0 && record->plan->canary > 0 ? xstrdup("the canary")
							     : xasprintf("wave %u", record->wave + 1);
}

/* --- the record of gates --------------------------------------------------------------------------------------- */

static void
add_gate(struct step *step, Gdr__RolloutGateResult result, const char *evidence)
{
	Gdr__RolloutRecord *record = step->record;
	const Gdr__RolloutGate *last = record->n_gates ? record->gates[record->n_gates - 1] : NULL;

	/* What is still unknown is not said again every second. */
	if (last && last->wave == record->wave && last->result == result &&
	    result == GDR__ROLLOUT_GATE_RESULT__GATE_UNKNOWN)
		return;
	Gdr__RolloutGate *gate = xcalloc(1, sizeof(*gate));
	auto_free char *name = wave_name(record);
	gdr__rollout_gate__init(gate);
	SET(gate, wave, record->wave);
	SET(gate, result, result);
	SET(gate, at_ms, step->now_ms);
	gate->evidence = xstrdup(evidence);
	record->gates = xrealloc(record->gates, record->n_gates + 1, sizeof(*record->gates));
	record->gates[record->n_gates++] = gate;
	SET(record, version, record->version + 1);
	rollout_note_add(step->out, "rollout.gate",
			 xasprintf("%s %s: %s", name, pbtext_enum(&gdr__rollout_gate_result__descriptor, (int)result),
				   evidence));
	step->out->changed = true;
}

static char *
evidence_of(const struct step *step, const struct tally *tally)
{
	const Gdr__RolloutRecord *record = step->record;
	const Gdr__RolloutWave *wave = record->waves[record->wave];
	struct buf out = { 0 };

	buf_printf(&out, "%u of %u done, %u failed (%u allowed in all)", tally->done, tally->total, tally->charged,
		   allowed(step));
	if (tally->excused)
		buf_printf(&out, ", %u excused", tally->excused);
	buf_puts(&out, ", soaked ");
	pbtext_duration_print(record->plan->soak, &out);
	rollout_compared(step, &out);
	for (size_t i = 0; i < wave->n_checks; i++)
		buf_printf(&out, "; %s: %s", rollout_check_name(record->plan->checks[i]),
			   wave->checks[i]->evidence ? wave->checks[i]->evidence : "pass");
	return buf_steal(&out);
}

/* --- stopping ---------------------------------------------------------------------------------------------------- */

static void
stop(struct step *step, char *why)
{
	Gdr__RolloutRecord *record = step->record;

	add_gate(step, GDR__ROLLOUT_GATE_RESULT__GATE_FAIL, why);
	switch (record->plan->on_failure) {
	case GDR__ROLLOUT_ON_FAILURE__ON_FAILURE_ROLLBACK:
		rollout_roll_back(record, why, step->now_ms, step->out);
		return;
	case GDR__ROLLOUT_ON_FAILURE__ON_FAILURE_ABORT:
		rollout_unclaim(record, step->now_ms, step->out);
		rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_ABORTED, why, step->now_ms, step->out);
		return;
	default:
		rollout_unclaim(record, step->now_ms, step->out);
		rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED, why, step->now_ms, step->out);
	}
}

static void
pause_unknown(struct step *step, const char *why)
{
	auto_free char *name = wave_name(step->record);

	add_gate(step, GDR__ROLLOUT_GATE_RESULT__GATE_UNKNOWN, why);
	rollout_unclaim(step->record, step->now_ms, step->out);
	rollout_set_state(step->record, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED,
			  xasprintf("the gate of %s cannot be judged: %s", name, why), step->now_ms, step->out);
}

static void
skip_queued(struct step *step)
{
	for (size_t i = 0; i < step->record->n_nodes; i++) {
		const Gdr__RolloutNode *node = step->record->nodes[i];

		if (node->has_wave && node->wave == step->record->wave && node->state == S(QUEUED))
			rollout_set_node(step->record, i, S(SKIPPED), xstrdup("not reachable by its wave's deadline"),
					 step->now_ms, step->out);
	}
}

static bool
all_queued_unreachable(const struct step *step)
{
	for (size_t i = 0; i < step->record->n_nodes; i++) {
		const Gdr__RolloutNode *node = step->record->nodes[i];

		if (node->has_wave && node->wave == step->record->wave && node->state == S(QUEUED) && step->seen[i] &&
		    step->seen[i]->connected)
			return false;
	}
	return true;
}

static bool
wave_is_late(struct step *step)
{
	const Gdr__RolloutWave *wave = step->record->waves[step->record->wave];
	struct tally tally = tally_wave(step);
	auto_free char *name = wave_name(step->record);

	if (!rollout_clock_runs(step) || wave->asks || !wave->has_deadline_ms || step->now_ms < wave->deadline_ms)
		return false;
	if (tally.pending > 0 && tally.pending == tally.queued && all_queued_unreachable(step)) {
		skip_queued(step);
		return false;
	}
	if (tally.pending > 0) {
		stop(step,
		     xasprintf("%s did not end in time: %u of %u nodes are left", name, tally.pending, tally.total));
		return true;
	}
	if (tally.silent == 0)
		return false;
	auto_free char *silent = say_silent(&tally);
	auto_free char *why = xasprintf("%s, and its time is up", silent);
	pause_unknown(step, why);
	return true;
}

/* "2 nodes failed in all, 1 allowed: n3 (readiness/busbw was 180 and is 150: ...), n7 (not back in time)" */
static char *
say_failed(const struct step *step, uint32_t failed)
{
	const Gdr__RolloutRecord *record = step->record;
	auto_free char *name = wave_name(record);
	const char *before = ": ";
	uint32_t named = 0;
	struct buf out = { 0 };

	buf_printf(&out, "%u node%s failed in %s, %u allowed", failed, failed == 1 ? "" : "s",
		   is_canary(step) ? name : "all", allowed(step));
	for (size_t i = 0; i < record->n_nodes && named < NAMED_MAX; i++) {
		const Gdr__RolloutNode *node = record->nodes[i];

		if (!rollout_is_charged(node))
			continue;
		buf_printf(&out, "%s%s (%s)", before, node->name, node->why ? node->why : "no reason");
		before = ", ";
		named++;
	}
	if (failed > named)
		buf_printf(&out, " and %u more", failed - named);
	return buf_steal(&out);
}

bool
rollout_stop_if_failed(struct step *step)
{
	Gdr__RolloutRecord *record = step->record;
	uint32_t failed = charged(record);

	if (failed > allowed(step)) {
		stop(step, say_failed(step, failed));
		return true;
	}
	if (rollout_clock_runs(step) && step->now_ms >= record->deadline_ms) {
		if (record->plan->on_failure == GDR__ROLLOUT_ON_FAILURE__ON_FAILURE_ROLLBACK) {
			rollout_roll_back(record, xstrdup("its deadline is over"), step->now_ms, step->out);
			return true;
		}
		rollout_unclaim(record, step->now_ms, step->out);
		rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_FAILED, xstrdup("its deadline is over"),
				  step->now_ms, step->out);
		return true;
	}
	return wave_is_late(step);
}

/* --- going on ------------------------------------------------------------------------------------------------------ */

static void
finish(struct step *step)
{
	Gdr__RolloutRecord *record = step->record;
	uint32_t done = 0;
	uint32_t others = 0;

	for (size_t i = 0; i < record->n_nodes; i++) {
		done += record->nodes[i]->state == S(DONE);
		others += record->nodes[i]->state != S(DONE) && record->nodes[i]->state != S(GONE);
	}
	if (done == 0)
		rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_FAILED,
				  xstrdup("none of its nodes is left that was moved"), step->now_ms, step->out);
	else if (others == 0)
		rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED,
				  xasprintf("%u node%s done", done, done == 1 ? " is" : "s are"), step->now_ms,
				  step->out);
	else
		rollout_set_state(record, GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED_WITH_EXEMPT,
				  xasprintf("%u done, %u not, each listed with its reason", done, others), step->now_ms,
				  step->out);
}

static void
open_next(struct step *step)
{
	Gdr__RolloutRecord *record = step->record;
	Gdr__RolloutWave *wave = record->waves[record->wave];

	SET(wave, state, GDR__ROLLOUT_WAVE_STATE__WAVE_PASSED);
	SET(wave, ended_ms, step->now_ms);
	SET(record, version, record->version + 1);
	step->out->changed = true;
	if (record->wave + 1 == record->n_waves) {
		finish(step);
		return;
	}
	SET(record, wave, record->wave + 1);
	wave = record->waves[record->wave];
	SET(wave, state, GDR__ROLLOUT_WAVE_STATE__WAVE_OPEN);
	SET(wave, opened_ms, step->now_ms);
	SET(wave, deadline_ms, step->now_ms + record->plan->wave_deadline);
	auto_free char *name = wave_name(record);
	rollout_note_add(step->out, "rollout.wave", xasprintf("%s of %zu opens", name, record->n_waves));
}

static bool
gate_passed(const Gdr__RolloutRecord *record)
{
	const Gdr__RolloutGate *last = record->n_gates ? record->gates[record->n_gates - 1] : NULL;

	return last && last->wave == record->wave && last->result == GDR__ROLLOUT_GATE_RESULT__GATE_PASS;
}

/* What one check has said so far; true: pass. */
static bool
ask_check(struct step *step, const Gdr__RolloutCheck *check, const Gdr__RolloutCheckResult *said)
{
	const char *name = rollout_check_name(check);
	const char *evidence = said->evidence ? said->evidence : "no word";

	if (said->has_result && said->result == GDR__ROLLOUT_GATE_RESULT__GATE_PASS)
		return true;
	if (said->has_result) {
		stop(step, xasprintf("check %s failed: %s", name, evidence));
	} else if (said->unknown >= UNKNOWN_LIMIT) {
		auto_free char *why = xasprintf("check %s cannot tell: %s", name, evidence);

		pause_unknown(step, why);
	} else {
		buf_printf(&step->out->blocks, "asks check %s%s%s\n", name, said->unknown ? ": " : "",
			   said->unknown ? evidence : "");
	}
	return false;
}

/* What the plan's checks say; true: all pass. */
static bool
ask_checks(struct step *step, Gdr__RolloutWave *wave)
{
	static const Gdr__RolloutCheckResult nothing = GDR__ROLLOUT_CHECK_RESULT__INIT;
	const Gdr__RolloutRecord *record = step->record;
	bool all = true;

	if (!wave->checking && record->plan->n_checks > 0) {
		rollout_forget_checks(wave);
		SET(wave, checking, true);
		step->out->changed = true;
	}
	for (size_t i = 0; i < record->plan->n_checks && record->state == GDR__ROLLOUT_STATE__ROLLOUT_RUNNING; i++)
		all = ask_check(step, record->plan->checks[i], i < wave->n_checks ? wave->checks[i] : &nothing) && all;
	return all;
}

static void
judge(struct step *step, const struct tally *tally)
{
	Gdr__RolloutRecord *record = step->record;
	Gdr__RolloutWave *wave = record->waves[record->wave];

	if (tally->done == 0 && tally->total > 0 && record->wave == 0) {
		auto_free char *why = xasprintf("none of its %u nodes is done", tally->total);

		pause_unknown(step, why);
		return;
	}
	if (tally->silent > 0) {
		auto_free char *why = say_silent(tally);

		buf_printf(&step->out->blocks, "gate unknown: %s\n", why);
		if (!step->world->patient)
			add_gate(step, GDR__ROLLOUT_GATE_RESULT__GATE_UNKNOWN, why);
		return;
	}
	if (!gate_passed(record)) {
		if (!ask_checks(step, wave))
			return;
		auto_free char *evidence = evidence_of(step, tally);
		add_gate(step, GDR__ROLLOUT_GATE_RESULT__GATE_PASS, evidence);
		if (record->plan->promotion == GDR__ROLLOUT_PROMOTION__PROMOTION_MANUAL && !record->promoted &&
		    record->wave + 1 < record->n_waves) {
			SET(wave, asks, true);
			return;
		}
	}
	if (wave->asks && !record->promoted) {
		buf_puts(&step->out->blocks, "waits for a person: its gate passed, and it wants to be promoted\n");
		return;
	}
	SET(wave, asks, false);
	open_next(step);
}

/* A wave that was through and is not any more: its gate must be passed anew. */
static void
reopen(struct step *step, Gdr__RolloutWave *wave)
{
	if (wave->state == GDR__ROLLOUT_WAVE_STATE__WAVE_OPEN)
		return;
	SET(wave, state, GDR__ROLLOUT_WAVE_STATE__WAVE_OPEN);
	wave->has_soak_until_ms = false;
	rollout_forget_checks(wave);
	if (gate_passed(step->record))
		add_gate(step, GDR__ROLLOUT_GATE_RESULT__GATE_UNKNOWN, "a node that was done is not right any more");
	SET(wave, asks, false);
	step->out->changed = true;
}

void
rollout_judge(struct step *step)
{
	Gdr__RolloutWave *wave = step->record->waves[step->record->wave];
	struct tally tally = tally_wave(step);
	uint64_t soaked_ms = tally.newest_ms + step->record->plan->soak;

	if (tally.pending > 0) {
		reopen(step, wave);
		if (tally.pending > tally.queued)
			buf_printf(&step->out->blocks, "%u being moved\n", tally.pending - tally.queued);
		return;
	}
	if (wave->state == GDR__ROLLOUT_WAVE_STATE__WAVE_OPEN) {
		SET(wave, state, GDR__ROLLOUT_WAVE_STATE__WAVE_SOAKING);
		SET(wave, soak_until_ms, step->now_ms + step->record->plan->soak);
		step->out->changed = true;
	} else if (tally.newest_ms <= step->now_ms && wave->soak_until_ms < soaked_ms) {
		wave->soak_until_ms = soaked_ms; /* Anew from each that became done or failed since. */
		step->out->changed = true;
	}
	if (step->now_ms < wave->soak_until_ms) {
		buf_puts(&step->out->blocks, "soaks for another ");
		pbtext_duration_print((wave->soak_until_ms - step->now_ms + 999) / 1000 * 1000, &step->out->blocks);
		buf_puts(&step->out->blocks, "\n");
		return;
	}
	judge(step, &tally);
}
