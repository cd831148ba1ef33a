/* hook.c - programs that a rollout has run: which are wanted now, and what an answer means.
 *
 * Each is wanted because what it brings about is not so yet: a node that is to be empty and is not drained, a check
 * that has not passed, a program that was told of another state.  There is no list of them to lose. */

#include "common/pb.h"
#include "common/pbtext.h"
#include "common/utf8.h"
#include "controller/rollout/impl.h"

#define S(name) GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_##name

#define DRAINED        0
#define DRAINED_BEFORE 3
#define TEXT_MAX       200

const char *
rollout_check_name(const Gdr__RolloutCheck *check)
{
	return check->name ? check->name : check->program;
}

/* From when its place is kept until it is seen right, and for as long as it is not. */
static bool
is_to_be_empty(const Gdr__RolloutNode *node)
{
	switch (node->state) {
	case S(QUEUED):
	case S(SKIPPED):
	case S(EXEMPT):
	case S(DONE):
	case S(REVERTED):
	case S(GONE): return false;
	case S(HELD): return node->has_assigned_ms;
	default: return true;
	}
}

/* On disk before the program runs: what may have been drained is undrained, and what may have been undrained is drained
 * again before it counts as empty. */
void
rollout_follow_drain(const Gdr__RolloutRecord *record, Gdr__RolloutNode *node)
{
	bool empty = is_to_be_empty(node);

	if (!record->plan->drain)
		return;
	if ((empty && !node->has_drain) ||
	    (!empty && node->has_drain && node->drain == GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINED))
		SET(node, drain, GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINING);
}

void
rollout_forget_checks(Gdr__RolloutWave *wave)
{
	for (size_t i = 0; i < wave->n_checks; i++)
		pb_free(&wave->checks[i]->base);
	free(wave->checks);
	wave->checks = NULL;
	wave->n_checks = 0;
	wave->has_checking = wave->checking = false;
}

/* --- what is wanted ---------------------------------------------------------------------------------------- */

struct calls {
	struct rollout_call *of;
	size_t n;
};

static struct rollout_call *
add(struct calls *calls, enum rollout_call_kind kind, const char *program, size_t index)
{
	calls->of = xrealloc(calls->of, calls->n + 1, sizeof(*calls->of));
	calls->of[calls->n] = (struct rollout_call){ .kind = kind, .program = program, .index = index };
	return &calls->of[calls->n++];
}

static void
add_drains(const Gdr__RolloutRecord *record, struct calls *calls)
{
	bool active = rollout_is_active(record);

	for (size_t i = 0; i < record->n_nodes; i++) {
		const Gdr__RolloutNode *node = record->nodes[i];
		bool empty = is_to_be_empty(node);

		if (!node->has_drain || node->state == S(GONE))
			continue;
		if (active && empty && node->drain == GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINING)
			add(calls, ROLLOUT_DRAIN, record->plan->drain, i)->word[0] = "drain";
		else if (!empty && node->drain != GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINED_BEFORE)
			add(calls, ROLLOUT_UNDRAIN, record->plan->drain, i)->word[0] = "undrain";
		else
			continue;
		calls->of[calls->n - 1].word[1] = node->name;
		calls->of[calls->n - 1].n_words = 2;
	}
}

static void
add_checks(const Gdr__RolloutRecord *record, struct calls *calls)
{
	const Gdr__RolloutWave *wave = record->n_waves ? record->waves[record->wave] : NULL;

	if (!wave || !wave->checking || record->state != GDR__ROLLOUT_STATE__ROLLOUT_RUNNING)
		return;
	for (size_t i = 0; i < record->plan->n_checks; i++) {
		const Gdr__RolloutCheck *check = record->plan->checks[i];

		if (i < wave->n_checks && wave->checks[i]->has_result)
			continue;
		struct rollout_call *call = add(calls, ROLLOUT_CHECK, check->program, i);
		call->words = (const char *const *)check->args;
		call->n_words = check->n_args;
		call->of_ms = wave->soak_until_ms;
	}
}

static void
add_notices(const Gdr__RolloutRecord *record, struct calls *calls)
{
	for (size_t i = 0; i < record->plan->n_notify; i++) {
		const Gdr__RolloutNotice *told = i < record->n_notices ? record->notices[i] : NULL;

		if (told && told->state == record->state && told->since_ms == record->since_ms)
			continue;
		struct rollout_call *call = add(calls, ROLLOUT_NOTIFY, record->plan->notify[i], i);
		call->word[0] = pbtext_enum(&gdr__rollout_state__descriptor, (int)record->state);
		call->word[1] = record->why ? record->why : "";
		call->n_words = 2;
		call->of_ms = record->since_ms;
	}
}

size_t
rollout_calls(const Gdr__RolloutRecord *record, struct rollout_call **out)
{
	struct calls calls = { 0 };

	if (record->plan->drain)
		add_drains(record, &calls);
	add_checks(record, &calls);
	add_notices(record, &calls);
	for (size_t i = 0; i < calls.n; i++)
		if (calls.of[i].kind != ROLLOUT_CHECK)
			calls.of[i].words = calls.of[i].word;
	*out = calls.of;
	return calls.n;
}

/* --- what was said -------------------------------------------------------------------------------------------- */

static char *
line_of(const char *text)
{
	char *line = xasprintf("%.*s", TEXT_MAX, text ? text : "");

	utf8_clean(line);
	return line;
}

static void
drained(Gdr__RolloutNode *node, int status, const char *text)
{
	if (status == DRAINED || status == DRAINED_BEFORE) {
		SET(node, drain,
		    status == DRAINED ? GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINED
				      : GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINED_BEFORE);
		if (node->state == S(CLAIMED))
			rollout_text(&node->why, NULL);
	} else if (node->state == S(CLAIMED)) {
		rollout_text(&node->why, line_of(text));
	}
}

static void
undrained(Gdr__RolloutNode *node, int status)
{
	if (status != 0)
		return;
	node->has_drain = false;
	node->drain = GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINING;
}

static void
checked(Gdr__RolloutRecord *record, size_t index, int status, const char *text)
{
	Gdr__RolloutWave *wave = record->waves[record->wave];

	while (wave->n_checks < record->plan->n_checks)
		PB_ADD(wave->checks, wave->n_checks, gdr__rollout_check_result__init);
	Gdr__RolloutCheckResult *result = wave->checks[index];
	rollout_text(&result->evidence, line_of(text));
	if (status == 0 || status == 1)
		SET(result, result,
		    status == 0 ? GDR__ROLLOUT_GATE_RESULT__GATE_PASS : GDR__ROLLOUT_GATE_RESULT__GATE_FAIL);
	else
		SET(result, unknown, result->unknown + 1);
}

/* Told or not: who does not want to hear it is not asked for ever. */
static void
noticed(Gdr__RolloutRecord *record, size_t index)
{
	while (record->n_notices < record->plan->n_notify)
		PB_ADD(record->notices, record->n_notices, gdr__rollout_notice__init);
	SET(record->notices[index], state, record->state);
	SET(record->notices[index], since_ms, record->since_ms);
}

static bool
is_wanted(const Gdr__RolloutRecord *record, const struct rollout_call *call)
{
	struct rollout_call *calls;
	size_t n = rollout_calls(record, &calls);
	bool wanted = false;

	for (size_t i = 0; i < n; i++)
		wanted = wanted || (calls[i].kind == call->kind && calls[i].index == call->index &&
				    calls[i].of_ms == call->of_ms);
	free(calls);
	return wanted;
}

void
rollout_called(Gdr__RolloutRecord *record, const struct rollout_call *call, int status, const char *text,
	       struct rollout_effects *out)
{
	if (!is_wanted(record, call))
		return;
	out->nodes_changed = xcalloc(record->n_nodes + 1, sizeof(bool));
	switch (call->kind) {
	case ROLLOUT_DRAIN: drained(record->nodes[call->index], status, text); break;
	case ROLLOUT_UNDRAIN: undrained(record->nodes[call->index], status); break;
	case ROLLOUT_CHECK: checked(record, call->index, status, text); break;
	case ROLLOUT_NOTIFY: noticed(record, call->index); break;
	}
	if (call->kind == ROLLOUT_DRAIN || call->kind == ROLLOUT_UNDRAIN)
		out->nodes_changed[call->index] = true;
	else
		out->changed = true;
}
