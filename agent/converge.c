#include "agent/converge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/utf8.h"

/* One pass, and what it has met so far. */
struct pass {
	const struct machine *machine;
	struct journal *journal;
	const Gdr__Spec *spec;
	bool enforce;
	bool hold;      /* Something waits for a boot, be it staged or yet to be: live changes wait from here on. */
	bool staged;    /* For something only the boot is missing, */
	bool boot;      /* and for something of it nothing else would do. */
	bool work;      /* Something can be done, and was not tried. */
	unsigned boots; /* That it takes, as far as the items know. */
	char first[200];
	unsigned wrong;
};

/* Only the boot is missing; what is hidden until then is not staged. */
static bool
is_staged(const struct item *item)
{
	return item->fix == FIX_BOOT && item->boots < 2;
}

static unsigned
boots_of(const struct item *item)
{
	if (item->fix != FIX_STAGE && item->fix != FIX_BOOT)
		return 0;
	return item->boots ? item->boots : 1;
}

static bool
waits_for_boot(const struct report *report)
{
	for (size_t i = 0; i < report->n; i++)
		if (report->items[i].fix == FIX_STAGE || report->items[i].fix == FIX_BOOT)
			return true;
	return false;
}

static bool
is_ripe(const struct pass *pass, const struct report *report, const struct item *item)
{
	return item->fix == FIX_STAGE || (item->fix == FIX_LIVE && !pass->hold && !waits_for_boot(report));
}

/* Of 'before' everything ripe was tried. */
static bool
was_tried(const struct pass *pass, const struct report *before, const struct item *item)
{
	for (size_t i = 0; i < before->n; i++)
		if (before->items[i].fix == item->fix && strcmp(before->items[i].key, item->key) == 0)
			return is_ripe(pass, before, &before->items[i]);
	return false;
}

/* A boot that came up without what was staged: another one would bring no more. */
static void
judge_boots(struct pass *pass, const char *layer, struct report *report)
{
	struct err ignored; /* What cannot be written is found again. */

	journal_hold(pass->journal);
	for (size_t i = 0; i < report->n; i++) {
		struct item *item = &report->items[i];

		if (item->fix == FIX_NONE && pass->enforce)
			journal_settled(pass->journal, layer, item->key);
		if (item->fix == FIX_NONE && item->keep == KEEP_BACK && pass->enforce)
			journal_forget(pass->journal, layer, item->key);
		if (!is_staged(item) || !journal_booted_since(pass->journal, layer, item->key, item->want))
			continue;
		char *old = item->why;
		item->why = xasprintf("staged, but the boot since then came up without it%s%s", old ? ": " : "",
				      old ? old : "");
		item->fix = FIX_MANUAL;
		free(old);
	}
	(void)journal_flush(pass->journal, &ignored);
}

/* The value from before our first change: kept before that, and what is to become of it renewed ever after.  What is
 * found staged was changed by way of another item, or by somebody else: it still has what it had. */
static void
keep_value(const struct pass *pass, const char *layer, const struct item *item, bool ripe)
{
	const char *value = ripe || is_staged(item) ? item->have : NULL;
	struct err held;

	if (item->keep == KEEP_VALUE || item->keep == KEEP_RESTORE)
		(void)journal_keep(pass->journal, layer, item->key, value, item->unlock, item->keep == KEEP_RESTORE,
				   &held);
}

/* All of it on disk before any of it on the machine: a layer may do several items at once. */
static int
note_changes(const struct pass *pass, const char *layer, const struct report *report, struct err *err)
{
	struct err held;

	journal_hold(pass->journal);
	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];
		bool ripe = is_ripe(pass, report, item);

		keep_value(pass, layer, item, ripe);
		if (ripe)
			(void)journal_change(pass->journal, layer, item->key, item->have, item->want,
					     item->fix == FIX_STAGE, &held);
	}
	return journal_flush(pass->journal, err) < 0 ? err_wrap(err, "journal") : 0;
}

/* Everything that may be done now is done; the first failure is kept, the others are tried all the same. */
static bool
apply_items(const struct pass *pass, const struct named_layer *layer, const struct report *report, struct err *err)
{
	bool tried = false;

	if (note_changes(pass, layer->name, report, err) < 0)
		return false;
	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];
		struct err own = { 0 };

		if (!is_ripe(pass, report, item))
			continue;
		tried = true;
		if (layer->layer->apply(pass->machine, pass->spec, item, &own) < 0 && !err->code) {
			*err = own;
			(void)err_wrap(err, "%s", item->key);
		}
	}
	return tried;
}

/* Seen, whoever did it: from now on we know in which boot. */
static int
note_staged(const struct pass *pass, const char *layer, const struct report *report, struct err *err)
{
	struct err held;

	journal_hold(pass->journal);
	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];

		if (is_staged(item))
			(void)journal_staged(pass->journal, layer, item->key, item->have, item->want, &held);
	}
	return journal_flush(pass->journal, err) < 0 ? err_wrap(err, "journal") : 0;
}

/* An item that still asks for what was done has failed; what only came to light by it waits for the next pass. */
static int
check_taken(struct pass *pass, const struct report *before, const struct report *report, struct err *err)
{
	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];

		if (was_tried(pass, before, item))
			return err_set(err, -EIO, "%s: changed, but it did not take", item->key);
		pass->work = pass->work || is_ripe(pass, report, item);
	}
	return 0;
}

static void
note_mended(const struct pass *pass, const struct report *before, struct report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		struct item *item = &report->items[i];

		for (size_t k = 0; k < before->n && item->fix == FIX_NONE && !item->had; k++)
			if (before->items[k].fix == FIX_LIVE && is_ripe(pass, before, &before->items[k]) &&
			    strcmp(before->items[k].key, item->key) == 0)
				item->had = xstrdup(before->items[k].have);
	}
}

/* Inspects, applies what may be, and inspects again: 'report' is always what was last seen. */
static int
take_turn(struct pass *pass, const struct named_layer *layer, struct report *report, struct err *err)
{
	struct report before = { 0 };
	struct err own = { 0 };
	int rc = layer->layer->inspect(pass->machine, pass->spec, report, err);

	if (rc < 0)
		return rc;
	judge_boots(pass, layer->name, report);
	if (!pass->enforce)
		return check_taken(pass, &before, report, err);
	if (layer->layer->apply && apply_items(pass, layer, report, err)) {
		before = *report;
		*report = (struct report){ 0 };
		rc = layer->layer->inspect(pass->machine, pass->spec, report, &own);
		if (rc == 0) {
			judge_boots(pass, layer->name, report);
			rc = check_taken(pass, &before, report, &own);
			note_mended(pass, &before, report);
		} else {
			pass->hold = pass->hold || waits_for_boot(&before);
		}
		report_free(&before);
	}
	if (rc == 0)
		rc = note_staged(pass, layer->name, report, &own);
	if (!err->code && rc < 0)
		*err = own;
	return err->code;
}

/* What one item that is not right waits for. */
static void
tally_wait(struct pass *pass, const struct item *item)
{
	pass->staged = pass->staged || is_staged(item);
	pass->boot = pass->boot || (is_staged(item) && !item->reload);
	pass->boots = boots_of(item) > pass->boots ? boots_of(item) : pass->boots;
}

static void
tally(struct pass *pass, const char *layer, const struct report *report, const struct err *err)
{
	unsigned wrong = 0;

	if (err->code && pass->wrong == 0)
		(void)snprintf(pass->first, sizeof(pass->first), "%.40s: %.150s", layer, err->msg);
	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];

		if (item->fix == FIX_NONE)
			continue;
		tally_wait(pass, item);
		if (pass->wrong == 0 && !err->code && wrong == 0)
			(void)snprintf(pass->first, sizeof(pass->first), "%s: %s: want %s, have %s", layer, item->key,
				       item->want, item->have);
		wrong++;
	}
	pass->hold = pass->hold || waits_for_boot(report);
	/* An error is mostly about one of the items, and counts for itself only where there is none. */
	pass->wrong += wrong == 0 && err->code ? 1 : wrong;
}

static struct converge_result
conclude(const struct pass *pass)
{
	struct converge_result result = { .outcome = GDR__OUTCOME__OUTCOME_SETTLED, .boots = pass->boots };

	if (pass->wrong == 0)
		return result;
	if (pass->work)
		result.outcome = GDR__OUTCOME__OUTCOME_WORKING;
	else if (pass->staged)
		result.outcome = GDR__OUTCOME__OUTCOME_WANTS_REBOOT;
	else
		result.outcome = GDR__OUTCOME__OUTCOME_STUCK;
	result.reload = result.outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT && !pass->boot;
	if (pass->wrong > 1)
		(void)snprintf(result.why, sizeof(result.why), "%s (and %u more)", pass->first, pass->wrong - 1);
	else
		(void)snprintf(result.why, sizeof(result.why), "%s", pass->first);
	utf8_clean(result.why); /* Cut anywhere, and values are what a machine holds. */
	return result;
}

/* Nobody wants anything of it any more, but something is to be put back. */
static bool
owes(const struct journal *journal, const char *layer)
{
	const Gdr__Journal__Kept *kept;

	for (size_t i = 0; (kept = journal_kept(journal, layer, i)); i++)
		if (kept->restore)
			return true;
	return false;
}

struct converge_result
converge(const struct machine *machine, struct journal *journal, const struct named_layer *layers, size_t n_layers,
	 const Gdr__Spec *spec, enum converge_how how,
	 void (*done)(void *arg, const char *layer, const struct report *report, const struct err *err), void *arg)
{
	struct pass pass = { .machine = machine, .journal = journal, .spec = spec, .enforce = how == CONVERGE_ENFORCE };

	for (size_t i = 0; i < n_layers; i++) {
		struct report report = { 0 };
		struct err err = { 0 };

		if (!layers[i].layer->wanted(spec) && !owes(journal, layers[i].name))
			continue;
		(void)take_turn(&pass, &layers[i], &report, &err);
		tally(&pass, layers[i].name, &report, &err);
		done(arg, layers[i].name, &report, &err);
		report_free(&report);
	}
	return conclude(&pass);
}

static int
reload(const struct machine *machine, const struct layer *layer, const Gdr__Spec *spec, struct err *err)
{
	struct report report = { 0 };
	int rc = layer->inspect(machine, spec, &report, err);

	if (rc == 0)
		rc = layer->reload(machine, &report, err);
	report_free(&report);
	return rc;
}

int
converge_reload(const struct machine *machine, const struct named_layer *layers, size_t n_layers, const Gdr__Spec *spec,
		struct err *err)
{
	struct err first = { 0 };

	for (size_t i = 0; i < n_layers; i++) {
		struct err own = { 0 };

		if (layers[i].layer->reload && layers[i].layer->wanted(spec) &&
		    reload(machine, layers[i].layer, spec, &own) < 0 && !first.code) {
			first = own;
			(void)err_wrap(&first, "%s", layers[i].name);
		}
	}
	if (first.code)
		*err = first;
	return first.code;
}
