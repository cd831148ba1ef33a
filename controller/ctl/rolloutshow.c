#include "controller/ctl/rolloutshow.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/ctl/cells.h"
#include "controller/ctl/ctl.h"

#define BAR        20
#define NODES_MAX  20 /* That are listed without -o wide; */
#define VALUES_MAX 3  /* and of each label in a plan. */

#define S(name)  GDR__ROLLOUT_STATE__ROLLOUT_##name
#define NS(name) GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_##name

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

static const char *
state_of(const Gdr__RolloutRecord *record)
{
	return pbtext_enum(&gdr__rollout_state__descriptor, (int)record->state);
}

static enum text_colour
colour_of(const Gdr__RolloutRecord *record)
{
	switch (record->state) {
	case S(RUNNING): return TEXT_CYAN;
	case S(SUCCEEDED):
	case S(SUCCEEDED_WITH_EXEMPT): return TEXT_GREEN;
	case S(PAUSED):
	case S(ROLLING_BACK): return TEXT_YELLOW;
	case S(SUPERSEDED): return TEXT_DIM;
	default: return TEXT_RED;
	}
}

/* --- lists ------------------------------------------------------------------------------------------------------ */

#define RECORD(message) (((const Gdr__RolloutView *)(message))->record)

CELL_OF(cell_name, RECORD(message)->plan->name)
CELL_OF(cell_state, state_of(RECORD(message)))
CELL_OF(cell_profile, RECORD(message)->plan->profile)
CELL(cell_wave)
{
	(void)ctl;
	buf_printf(out, "%" PRIu32 "/%zu", RECORD(message)->wave + 1, RECORD(message)->n_waves);
}
CELL(cell_done)
{
	const Gdr__RolloutView *view = message;

	(void)ctl;
	buf_printf(out, "%" PRIu32 "/%" PRIu32, view->done, view->total);
}
CELL(cell_failed)
{
	(void)ctl;
	buf_printf(out, "%" PRIu32, ((const Gdr__RolloutView *)message)->failed);
}
CELL(cell_age)
{
	text_age(out, RECORD(message)->created_ms, ctl->ops->wall_ms(ctl->arg));
}
CELL_OF(cell_by, RECORD(message)->by)
CELL(cell_why)
{
	const Gdr__RolloutView *view = message;
	const char *why = view->blocks && RECORD(message)->state == S(RUNNING) ? view->blocks : RECORD(message)->why;

	(void)ctl;
	buf_add(out, or_empty(why), strcspn(or_empty(why), "\n"));
}

static enum text_colour
record_colour(const void *message)
{
	return colour_of(RECORD(message));
}

static void
record_object(const void *message, struct buf *out)
{
	buf_printf(out, "rollout/%s", or_empty(RECORD(message)->plan->name));
}

static const struct column rollout_columns[] = {
	{ "NAME", cell_name, NULL, false, false },       { "STATE", cell_state, record_colour, false, false },
	{ "PROFILE", cell_profile, NULL, false, false }, { "WAVE", cell_wave, NULL, false, false },
	{ "DONE", cell_done, NULL, false, false },       { "FAILED", cell_failed, NULL, false, false },
	{ "AGE", cell_age, NULL, false, true },          { "BY", cell_by, NULL, true, false },
	{ "WHY", cell_why, NULL, false, false },         { 0 },
};
const struct view view_rollouts = { "rollouts", rollout_columns, record_object,
				    "no rollouts: `gdrctl rollout start PROFILE -l SELECTOR` starts one", false };

/* --- nodes --- */

CELL_OF(node_name, ((const Gdr__RolloutNode *)message)->name)
CELL(node_wave)
{
	const Gdr__RolloutNode *node = message;

	(void)ctl;
	if (node->has_wave)
		buf_printf(out, "%" PRIu32, node->wave + 1);
}
CELL(node_state)
{
	const Gdr__RolloutNode *node = message;

	(void)ctl;
	buf_printf(out, "%s%s%s", pbtext_enum(&gdr__rollout_node_state__descriptor, (int)node->state),
		   node->accepted   ? " (accepted)"
		   : node->baseline ? " (bad before)"
				    : "",
		   !node->has_drain                                      ? ""
		   : node->drain == GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINING ? ", draining"
									 : ", drained");
}
CELL(node_since)
{
	text_age(out, ((const Gdr__RolloutNode *)message)->since_ms, ctl->ops->wall_ms(ctl->arg));
}
CELL_OF(node_had, ((const Gdr__RolloutNode *)message)->previous)
CELL_OF(node_why, ((const Gdr__RolloutNode *)message)->why)

static enum text_colour
node_colour(const void *message)
{
	switch (((const Gdr__RolloutNode *)message)->state) {
	case NS(DONE):
	case NS(REVERTED): return TEXT_GREEN;
	case NS(FAILED):
	case NS(TIMED_OUT):
	case NS(LOST):
	case NS(REVERT_FAILED): return TEXT_RED;
	case NS(QUEUED):
	case NS(HELD):
	case NS(SKIPPED):
	case NS(EXEMPT):
	case NS(GONE): return TEXT_DIM;
	default: return TEXT_YELLOW;
	}
}

static const struct column node_columns[] = {
	{ "NODE", node_name, NULL, false, false },
	{ "WAVE", node_wave, NULL, false, false },
	{ "STATE", node_state, node_colour, false, false },
	{ "SINCE", node_since, NULL, false, true },
	{ "HAD", node_had, NULL, false, false },
	{ "WHY", node_why, NULL, false, false },
	{ 0 },
};

/* --- one rollout ---------------------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 4, 5)))
line(const struct ctl *ctl, struct buf *out, const char *key, const char *fmt, ...)
{
	auto_buf struct buf clean = { 0 };
	auto_free char *raw = NULL;
	auto_free char *left = xasprintf("%-12s", key);
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&raw, fmt, ap) < 0)
		raw = NULL;
	va_end(ap);
	text_clean(&clean, raw ? raw : "", false);
	if (clean.len == 0)
		return;
	text_paint(out, ctl->colour, TEXT_BOLD, left);
	buf_printf(out, " %s\n", clean.text);
}

static void
add_bar(struct buf *out, uint32_t part, uint32_t total)
{
	uint32_t full = total ? (uint32_t)((uint64_t)part * BAR / total) : 0;

	buf_puts(out, "[");
	for (uint32_t i = 0; i < BAR; i++)
		buf_puts(out, i < full ? "#" : ".");
	buf_puts(out, "]");
}

static void
add_waves(const Gdr__RolloutView *view, struct buf *out)
{
	const Gdr__RolloutRecord *record = view->record;

	for (size_t i = 0; i < record->n_waves && i < view->n_waves; i++) {
		const Gdr__RolloutWave *wave = record->waves[i];
		const Gdr__RolloutWaveView *count = view->waves[i];

		buf_printf(out, "  %2zu %-8s %-8s ", i + 1, or_empty(wave->size),
			   pbtext_enum(&gdr__rollout_wave_state__descriptor, (int)wave->state));
		add_bar(out, count->done, count->total);
		buf_printf(out, " %" PRIu32 "/%" PRIu32 " done", count->done, count->total);
		if (count->moving)
			buf_printf(out, ", %" PRIu32 " moving", count->moving);
		if (count->failed)
			buf_printf(out, ", %" PRIu32 " failed", count->failed);
		if (count->left_out)
			buf_printf(out, ", %" PRIu32 " left out", count->left_out);
		if (count->reverted)
			buf_printf(out, ", %" PRIu32 " back", count->reverted);
		buf_puts(out, wave->asks ? ", waits to be promoted\n" : "\n");
	}
}

/* What a person may do now, the likeliest first. */
static void
add_next(const struct ctl *ctl, const Gdr__RolloutView *view, struct buf *out)
{
	const Gdr__RolloutRecord *record = view->record;
	const char *name = or_empty(record->plan->name);
	bool asks = record->wave < record->n_waves && record->waves[record->wave]->asks;

	switch (record->state) {
	case S(RUNNING):
		if (asks)
			line(ctl, out, "Next:", "gdrctl rollout promote %s   # if it looks well; or: rollback %s", name,
			     name);
		else
			line(ctl, out, "Next:", "gdrctl rollout watch %s   # or: pause, rollback, abort", name);
		break;
	case S(PAUSED):
		line(ctl, out, "Next:", "gdrctl rollout rollback %s   # each node back to what it had", name);
		line(ctl, out, "", "gdrctl rollout resume %s   # go on; failures so far are accepted", name);
		line(ctl, out, "", "gdrctl rollout abort %s   # end it; nodes stay as they are", name);
		break;
	case S(FAILED): line(ctl, out, "Next:", "gdrctl rollout rollback %s   # or: abort %s", name, name); break;
	case S(SUPERSEDED): line(ctl, out, "Next:", "gdrctl rollout list   # the one that took over"); break;
	case S(ROLLBACK_FAILED):
	case S(ABORTED):
		line(ctl, out, "Next:", "gdrctl status -l '%s'   # which nodes are not well, and why",
		     or_empty(record->plan->selector));
		break;
	default: break;
	}
}

static void
add_blocks(const struct ctl *ctl, const char *blocks, struct buf *out)
{
	const char *key = "Blocked by:";

	for (const char *at = blocks; at && *at;) {
		size_t len = strcspn(at, "\n");

		line(ctl, out, key, "%.*s", (int)len, at);
		key = "";
		at += len + (at[len] != '\0');
	}
}

static void
add_gates(const struct ctl *ctl, const Gdr__RolloutRecord *record, struct buf *out)
{
	const char *key = "Gates:";

	for (size_t i = 0; i < record->n_gates; i++) {
		const Gdr__RolloutGate *gate = record->gates[i];
		auto_buf struct buf at = { 0 };

		text_time(&at, gate->at_ms);
		line(ctl, out, key, "%s  wave %" PRIu32 " %s: %s%s%s", or_empty(at.text), gate->wave + 1,
		     pbtext_enum(&gdr__rollout_gate_result__descriptor, (int)gate->result), or_empty(gate->evidence),
		     gate->by ? "; promoted by " : "", or_empty(gate->by));
		key = "";
	}
}

/* Those that need a look come first; done and queued ones only with -o wide. */
static int
rank(const Gdr__RolloutNode *node)
{
	switch (node->state) {
	case NS(FAILED):
	case NS(TIMED_OUT):
	case NS(LOST):
	case NS(REVERT_FAILED): return 0;
	case NS(HELD):
	case NS(SKIPPED):
	case NS(EXEMPT): return 2;
	case NS(REVERTED): return node->why ? 1 : 3;
	case NS(GONE): return 3;
	case NS(QUEUED):
	case NS(DONE): return 4;
	default: return 1;
	}
}

static void
add_nodes(const struct ctl *ctl, const Gdr__RolloutRecord *record, bool all, struct buf *out)
{
	auto_free const Gdr__RolloutNode **shown = xcalloc(record->n_nodes + 1, sizeof(*shown));
	size_t n = 0;
	size_t max = all ? record->n_nodes : NODES_MAX;

	for (int want = 0; want <= (all ? 4 : 2); want++)
		for (size_t i = 0; i < record->n_nodes; i++)
			if (rank(record->nodes[i]) == want)
				shown[n++] = record->nodes[i];
	if (n == 0)
		return;
	buf_puts(out, "\n");
	output_table(ctl, node_columns, shown, n < max ? n : max, "", NULL, out);
	if (n > max)
		buf_printf(out, "and %zu more: -o wide\n", n - max);
}

static void
add_head(const struct ctl *ctl, const Gdr__RolloutView *view, struct buf *out)
{
	const Gdr__RolloutRecord *record = view->record;
	auto_buf struct buf age = { 0 };
	auto_buf struct buf since = { 0 };
	auto_buf struct buf why = { 0 };
	auto_free char *left = xasprintf("%-12s ", "State:");

	text_age(&age, record->created_ms, ctl->ops->wall_ms(ctl->arg));
	text_age(&since, record->since_ms, ctl->ops->wall_ms(ctl->arg));
	text_clean(&why, or_empty(record->why), false);
	line(ctl, out, "Rollout:", "%s: %s to %" PRIu32 " nodes (%s)", or_empty(record->plan->name),
	     or_empty(record->plan->profile), view->total, or_empty(record->plan->selector));
	line(ctl, out, "Started:", "%s ago by %s%s%s", or_empty(age.text), or_empty(record->by),
	     record->plan->reason ? ": " : "", or_empty(record->plan->reason));
	text_paint(out, ctl->colour, TEXT_BOLD, left);
	text_paint(out, ctl->colour, colour_of(record), state_of(record));
	buf_printf(out, " since %s%s%s\n", or_empty(since.text), why.len ? ": " : "", or_empty(why.text));
}

void
rolloutshow(struct ctl *ctl, const Gdr__RolloutView *view)
{
	const Gdr__RolloutRecord *record = view->record;
	auto_buf struct buf out = { 0 };

	if (!record || !record->plan)
		return;
	add_head(ctl, view, &out);
	if (record->state == S(RUNNING) || record->state == S(ROLLING_BACK))
		add_blocks(ctl, view->blocks, &out);
	add_next(ctl, view, &out);
	line(ctl, &out, "Progress:", "%" PRIu32 "/%" PRIu32 " done, %" PRIu32 " failed (%s%" PRIu32 " allowed in all)",
	     view->done, view->total, view->failed,
	     record->wave == 0 && record->plan->canary > 0 ? "none allowed in the canary, " : "",
	     record->plan->failure_budget);
	add_waves(view, &out);
	add_gates(ctl, record, &out);
	for (size_t i = 0; i < record->n_not_covered; i++)
		line(ctl, &out, i ? "" : "Not tried:", "%s is in no canary node", record->not_covered[i]);
	add_nodes(ctl, record, output_wide(ctl), &out);
	output_text(ctl, &out);
}

/* --- a plan ------------------------------------------------------------------------------------------------------------ */

/* Of each label the values that are hit hardest. */
static void
add_blast(const struct ctl *ctl, const Gdr__RolloutView *view, struct buf *out)
{
	const char *key = "By label:";
	size_t max = output_wide(ctl) ? view->n_blast : VALUES_MAX;
	size_t of_label;

	for (size_t i = 0; i < view->n_blast; i += of_label) {
		const char *label = or_empty(view->blast[i]->label);

		for (of_label = 0; i + of_label < view->n_blast; of_label++) {
			const Gdr__LabelCount *count = view->blast[i + of_label];

			if (strcmp(or_empty(count->label), label) != 0)
				break;
			if (of_label >= max)
				continue;
			line(ctl, out, key,
			     "%s: at most %" PRIu32 " of %" PRIu32 " nodes of %s at once (%" PRIu32 " %%)", label,
			     count->at_once, count->of, or_empty(count->value),
			     count->of ? (uint32_t)((uint64_t)count->at_once * 100 / count->of) : 0);
			key = "";
		}
		if (of_label > max)
			line(ctl, out, "", "%s: %zu more, hit no harder: -o wide", label, of_label - max);
	}
}

static void
add_expected(const struct ctl *ctl, const Gdr__RolloutView *view, struct buf *out)
{
	auto_buf struct buf time = { 0 };
	auto_buf struct buf reboot = { 0 };

	if (!view->has_expected_ms) {
		line(ctl, out, "Expected:", "unknown: no reboot seen yet");
		return;
	}
	text_span(&time, view->expected_ms);
	text_span(&reboot, view->reboot_ms);
	if (view->seen_moves)
		line(ctl, out, "Expected:", "%s and %" PRIu32 " reboot%s, by %" PRIu32 " move%s in rollouts before",
		     or_empty(time.text), view->expected_reboots, view->expected_reboots == 1 ? "" : "s",
		     view->seen_moves, view->seen_moves == 1 ? "" : "s");
	else
		line(ctl, out, "Expected:", "%s, if each node reboots once", or_empty(time.text));
	if (view->seen_reboots)
		line(ctl, out, "", "from %" PRIu32 " reboot%s of these nodes, median %s", view->seen_reboots,
		     view->seen_reboots == 1 ? "" : "s", or_empty(reboot.text));
}

static void
add_limits(const struct ctl *ctl, const Gdr__RolloutView *view, struct buf *out)
{
	const Gdr__RolloutRecord *record = view->record;
	auto_buf struct buf soak = { 0 };

	pbtext_duration_print(record->plan->soak, &soak);
	line(ctl, out, "At once:", "%" PRIu32 " nodes of the fleet may be not ready (%s)", record->max_unavailable,
	     or_empty(record->plan->max_unavailable));
	add_blast(ctl, view, out);
	line(ctl, out, "Failures:", "%" PRIu32 " allowed, none in the canary; then %s", record->plan->failure_budget,
	     pbtext_enum(&gdr__rollout_on_failure__descriptor, (int)record->plan->on_failure));
	line(ctl, out, "Gates:", "%s, after a soak of %s",
	     pbtext_enum(&gdr__rollout_promotion__descriptor, (int)record->plan->promotion), or_empty(soak.text));
	if (record->plan->window)
		line(ctl, out, "Window:", "%s", record->plan->window);
	if (record->plan->drain)
		line(ctl, out, "Drain:", "by %s, before a node is moved", record->plan->drain);
	for (size_t i = 0; i < record->plan->n_checks; i++)
		line(ctl, out, i ? "" : "Checks:", "%s, after each soak",
		     or_empty(record->plan->checks[i]->name ? record->plan->checks[i]->name
							    : record->plan->checks[i]->program));
	for (size_t i = 0; i < record->plan->n_compare; i++)
		line(ctl, out, i ? "" : "Compares:", "%s with before, %s allowed",
		     or_empty(record->plan->compare[i]->key), or_empty(record->plan->compare[i]->value));
	add_expected(ctl, view, out);
}

void
rolloutshow_plan(struct ctl *ctl, const Gdr__RolloutView *view)
{
	const Gdr__RolloutRecord *record = view->record;
	auto_buf struct buf out = { 0 };

	if (!record || !record->plan)
		return;
	line(ctl, &out, "Plan:", "%s: %s to %" PRIu32 " nodes (%s), %" PRIu32 " are ready on it already",
	     or_empty(record->plan->name), or_empty(record->plan->profile), view->total,
	     or_empty(record->plan->selector), view->unchanged);
	if (record->n_waves > 0) {
		add_limits(ctl, view, &out);
		add_waves(view, &out);
	}
	for (size_t i = 0; i < record->n_not_covered; i++)
		line(ctl, &out, i ? "" : "Not tried:", "%s is in no canary node", record->not_covered[i]);
	add_nodes(ctl, record, true, &out);
	output_text(ctl, &out);
}

void
rolloutshow_line(const Gdr__RolloutView *view, bool bar, struct buf *out)
{
	const Gdr__RolloutRecord *record = view->record;
	uint32_t back = 0;

	for (size_t i = 0; i < view->n_waves; i++)
		back += view->waves[i]->reverted;
	if (bar) {
		add_bar(out, record->state == S(ROLLING_BACK) ? back : view->done, view->total);
		buf_puts(out, " ");
	}
	buf_printf(out, "%s  wave %" PRIu32 "/%zu  done %" PRIu32 "/%" PRIu32, state_of(record), record->wave + 1,
		   record->n_waves, view->done, view->total);
	if (view->failed)
		buf_printf(out, "  failed %" PRIu32, view->failed);
	if (back)
		buf_printf(out, "  back %" PRIu32, back);
	if (view->blocks && *view->blocks && record->state != S(PAUSED))
		buf_printf(out, "  | %.*s", (int)strcspn(view->blocks, "\n"), view->blocks);
}
