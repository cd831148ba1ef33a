#include "agent/layers/nic_judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal.h"
#include "common/mem.h"

#define DEEPEST 4 /* Of parameters that unlock parameters; a ring of them ends here. */

char *
nic_key(const char *address, const char *name)
{
	return xasprintf("%s/%s", address, name);
}

static void __attribute__((format(printf, 3, 4))) say(struct nic_verdict *out, enum fix fix, const char *why, ...)
{
	va_list ap;

	*out = (struct nic_verdict){ .fix = fix };
	va_start(ap, why);
	(void)vsnprintf(out->why, sizeof(out->why), why, ap);
	va_end(ap);
}

static const struct nic_want *
find_want(const struct nic_view *view, const char *name)
{
	for (size_t i = 0; i < view->n; i++)
		if (strcmp(view->wants[i].name, name) == 0)
			return &view->wants[i];
	return NULL;
}

static bool
same(const char *want, const char *shown)
{
	return shown && mlxconfig_compare(want, shown) == MLX_SAME;
}

static enum journal_past
past_of(const struct nic_view *view, const struct nic_want *want)
{
	auto_free char *key = nic_key(view->address, want->name);

	return journal_past(view->journal, "nic", key, want->value);
}

static const char *
in_effect(const struct nic_view *view, const char *name)
{
	const struct mlx_row *row = mlxconfig_find(view->table, name);

	return mlxconfig_value(row, view->table->shown[MLX_CURRENT] ? MLX_CURRENT : MLX_NEXT);
}

/* True if the row is missing for a reason: what unlocks it is not in effect. */
static bool
is_hidden(const struct nic_view *view, const struct nic_want *want)
{
	return want->unlock && mlxconfig_find(view->table, want->unlock) &&
	       mlxconfig_is_off(in_effect(view, want->unlock));
}

const char *
nic_have(const struct nic_view *view, const struct nic_want *want)
{
	const struct mlx_row *row = mlxconfig_find(view->table, want->name);
	const char *value;

	if (!row)
		return is_hidden(view, want) ? "hidden" : "absent";
	value = row->value[view->table->shown[MLX_CURRENT] ? MLX_CURRENT : MLX_NEXT];
	return value ? value : "N/A";
}

static void judge(const struct nic_view *view, const struct nic_want *want, unsigned depth, struct nic_verdict *out);

/* --- no row ------------------------------------------------------------------------------------------ */

static void
judge_hidden(const struct nic_view *view, const struct nic_want *want, unsigned depth, struct nic_verdict *out)
{
	const struct nic_want *gate = find_want(view, want->unlock);
	struct nic_verdict of_gate;

	if (want->keep == KEEP_BACK) {
		say(out, FIX_NONE, "hidden: it is not in effect");
		return;
	}
	if (!gate || mlxconfig_is_off(gate->value) || depth >= DEEPEST) {
		say(out, FIX_MANUAL, "hidden as long as %s is off: the profile has to set that too", want->unlock);
		return;
	}
	judge(view, gate, depth + 1, &of_gate);
	if (of_gate.fix == FIX_MANUAL || of_gate.fix == FIX_NONE) {
		say(out, FIX_MANUAL, "hidden until %s is in effect, and that needs a person", want->unlock);
		return;
	}
	say(out, FIX_BOOT, "hidden until %s is in effect: set after the next boot, loaded by the one after that",
	    want->unlock);
	out->boots = (of_gate.boots ? of_gate.boots : 1) + 1;
}

static void
judge_absent(const struct nic_view *view, const struct nic_want *want, unsigned depth, struct nic_verdict *out)
{
	if (is_hidden(view, want)) {
		judge_hidden(view, want, depth, out);
	} else if (view->table->odd) {
		say(out, FIX_MANUAL, "the tool's table was not whole: %zu lines of it could not be read",
		    view->table->odd);
	} else if (view->table->trouble) {
		say(out, FIX_MANUAL, "the card could not be read whole: %.200s", view->table->trouble);
	} else if (want->unlock && mlxconfig_find(view->table, want->unlock)) {
		say(out, FIX_MANUAL, "this card or its firmware does not have it: %s is in effect and it is not shown",
		    want->unlock);
		out->absent = true;
	} else {
		say(out, FIX_MANUAL, "this card or its firmware does not have it");
		out->absent = true;
	}
}

/* --- stored, not loaded ---------------------------------------------------------------------------------- */

/* A card that does not show what is in effect: boots are all the evidence there is. */
static void
judge_unread(const struct nic_view *view, const struct nic_want *want, struct nic_verdict *out)
{
	enum journal_past past = past_of(view, want);

	if (past == JOURNAL_THIS_BOOT)
		say(out, FIX_BOOT, "stored for the next boot; what is in effect cannot be read");
	else if (view->table->shown[MLX_CURRENT])
		say(out, FIX_MANUAL, "stored, but the card could not read what is in effect (N/A)");
	else
		say(out, FIX_NONE, "stored; this firmware does not tell what is in effect");
}

static void
judge_stored(const struct nic_view *view, const struct nic_want *want, struct nic_verdict *out)
{
	enum mlx_said ending = nic_notes_ending(view->notes, view->address);
	enum journal_past past = past_of(view, want);

	if (past == JOURNAL_MEANT || past == JOURNAL_STAGED)
		say(out, FIX_MANUAL,
		    "stored for the next boot, but the boot since then did not load it: power cycle the host");
	else if (ending == MLX_POWER_CYCLE)
		say(out, FIX_MANUAL, "stored, but a reboot would not load it, says the tool: power cycle the host");
	else if (ending == MLX_NOT_ARMED)
		say(out, FIX_MANUAL,
		    "stored, but a reboot of the host would not load it (reset not prepared): power cycle the host");
	else
		say(out, FIX_BOOT, "stored for the next boot");
}

/* --- not stored ---------------------------------------------------------------------------------------------- */

/* What else of the same `set` is stored now: the card takes a set part by part. */
static bool
was_partly_stored(const struct nic_view *view, const struct nic_note *note)
{
	auto_free char *what = xstrdup(note->what);
	char *rest = what;

	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (same(value, mlxconfig_value(mlxconfig_find(view->table, word), MLX_NEXT)))
			return true;
	}
	return false;
}

static void
judge_different(const struct nic_view *view, const struct nic_want *want, const struct mlx_row *row,
		struct nic_verdict *out)
{
	auto_free char *assignment = xasprintf("%s=%s", want->name, want->value);
	const struct nic_note *note = nic_notes_tried(view->notes, view->address, assignment);
	const char *next = mlxconfig_value(row, MLX_NEXT);

	if (row->read_only)
		say(out, FIX_MANUAL, "read-only on this card: its maker, or its owner's key, locked it");
	else if (!next)
		say(out, FIX_MANUAL, "the card could not read what is stored (N/A)");
	else if (mlxconfig_compare(want->value, next) == MLX_NO_TELLING)
		say(out, FIX_MANUAL, "the tool shows %.40s, a number without a name: write the number into the profile",
		    next);
	else if (past_of(view, want) == JOURNAL_STAGED)
		say(out, FIX_MANUAL, "it was stored, and after the boot the firmware had %.40s again: it reverts it",
		    next);
	else if (note && note->said == MLX_REFUSED)
		say(out, FIX_MANUAL, "the card refused it%s: %.200s",
		    was_partly_stored(view, note) ? " (other parts of the same set are stored)" : "", note->reason);
	else if (note)
		say(out, FIX_MANUAL, "set in this boot, but %.40s is stored", next);
	else
		say(out, FIX_STAGE, "to set: %.40s is stored", next);
}

/* --- all of it ------------------------------------------------------------------------------------------------- */

/* True if it has what it had before us, as far as this function shows it. */
static bool
is_back(const struct nic_view *view, const Gdr__Journal__Kept *kept)
{
	const char *slash = strchr(kept->key, '/');
	const struct mlx_row *row = slash ? mlxconfig_find(view->table, slash + 1) : NULL;

	return !row || (same(kept->value, mlxconfig_value(row, MLX_NEXT)) &&
			same(kept->value, mlxconfig_value(row, MLX_CURRENT)));
}

/* What another function of the card still has to put back and 'want' unlocks, or NULL: some parameters are of the whole
 * card. */
static const char *
unlocked_elsewhere(const struct nic_view *view, const struct nic_want *want)
{
	const Gdr__Journal__Kept *kept;

	for (size_t i = 0; (kept = journal_kept(view->journal, "nic", i)); i++) {
		const char *unlock = kept->unlock ? strrchr(kept->unlock, '/') : NULL;
		bool own = strncmp(kept->key, view->address, strlen(view->address)) == 0;

		if (kept->restore && unlock && strcmp(unlock + 1, want->name) == 0 && !own &&
		    nic_same_card(kept->key, view->address) && !is_back(view, kept))
			return kept->key;
	}
	return NULL;
}

/* Values go back in the reverse order of the dependency: hiding a parameter leaves what it has stored. */
static bool
must_wait(const struct nic_view *view, const struct nic_want *want, unsigned depth, struct nic_verdict *out)
{
	for (size_t i = 0; want->keep == KEEP_BACK && depth < DEEPEST && i < view->n; i++) {
		const struct nic_want *other = &view->wants[i];
		struct nic_verdict verdict;

		if (other->keep != KEEP_BACK || !other->unlock || strcmp(other->unlock, want->name) != 0)
			continue;
		judge(view, other, depth + 1, &verdict);
		if (verdict.fix == FIX_NONE)
			continue;
		say(out, verdict.fix == FIX_MANUAL ? FIX_MANUAL : FIX_BOOT, "put back after %s, which it unlocks",
		    other->name);
		out->boots = (verdict.boots ? verdict.boots : 1) + 1;
		return true;
	}
	const char *elsewhere = want->keep == KEEP_BACK ? unlocked_elsewhere(view, want) : NULL;
	if (!elsewhere)
		return false;
	say(out, FIX_BOOT, "put back after %s, which it unlocks", elsewhere);
	out->boots = 2;
	return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): at most DEEPEST deep. */
static void
judge(const struct nic_view *view, const struct nic_want *want, unsigned depth, struct nic_verdict *out)
{
	const struct mlx_row *row = mlxconfig_find(view->table, want->name);
	const char *current = mlxconfig_value(row, MLX_CURRENT);
	bool right = row && same(want->value, mlxconfig_value(row, MLX_NEXT));

	if (!row)
		judge_absent(view, want, depth, out);
	else if (right && same(want->value, current))
		say(out, FIX_NONE, "%s", "");
	else if (must_wait(view, want, depth, out))
		return;
	else if (right && !current)
		judge_unread(view, want, out);
	else if (right)
		judge_stored(view, want, out);
	else
		judge_different(view, want, row, out);
	if (view->dpu && (out->fix == FIX_STAGE || out->fix == FIX_BOOT))
		say(out, FIX_MANUAL,
		    "a BlueField with a system of its own (DPU mode): left alone, unless the profile says allow_dpu");
}

void
nic_judge(const struct nic_view *view, const struct nic_want *want, struct nic_verdict *out)
{
	judge(view, want, 0, out);
}
