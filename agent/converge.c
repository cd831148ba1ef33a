#include "agent/converge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal.h"
#include "common/err.h"
#include "common/mem.h"

/* One pass, and what it has met so far. */
struct pass {
	const struct machine *machine;
	struct journal *journal;
	const Gdr__Spec *spec;
	bool enforce;
	bool boot;   /* Something waits for a boot. */
	bool person; /* Something waits for a person, or failed. */
	bool work;   /* Something could be done that was not done (only when looking). */
	char first[200];
	unsigned wrong;
};

static bool
may_apply(const struct pass *pass, const struct item *item, bool boot_in_layer)
{
	if (!pass->enforce)
		return false;
	return item->fix == FIX_STAGE || (item->fix == FIX_LIVE && !pass->boot && !boot_in_layer);
}

static bool
waits_for_boot(const struct report *report)
{
	for (size_t i = 0; i < report->n; i++)
		if (report->items[i].fix == FIX_STAGE || report->items[i].fix == FIX_BOOT)
			return true;
	return false;
}

/* A boot that came up without what was staged: another one would bring no more. */
static void
judge_boots(struct pass *pass, const char *layer, struct report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		struct item *item = &report->items[i];

		if (item->fix == FIX_NONE && pass->enforce)
			journal_settled(pass->journal, layer, item->key);
		if (item->fix != FIX_BOOT || !journal_booted_since(pass->journal, layer, item->key, item->want))
			continue;
		char *old = item->why;
		item->why = xasprintf("staged, but the boot since then came up without it%s%s", old ? ": " : "",
				      old ? old : "");
		item->fix = FIX_MANUAL;
		free(old);
	}
}

/* Everything that may be done now is done; the first failure is kept, the others are tried all the same. */
static int
apply_items(struct pass *pass, const struct named_layer *layer, const struct report *report, bool *applied,
	    struct err *err)
{
	bool boot_in_layer = waits_for_boot(report);
	int first = 0;

	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];
		struct err own = { 0 };

		if (item->fix == FIX_BOOT && pass->enforce &&
		    journal_change(pass->journal, layer->name, item->key, item->have, item->want, true, &own) < 0 &&
		    first == 0)
			first = own.code;
		if (!may_apply(pass, item, boot_in_layer) || !layer->layer->apply)
			continue;
		*applied = true;
		int rc = journal_change(pass->journal, layer->name, item->key, item->have, item->want,
					item->fix == FIX_STAGE, &own);
		if (rc == 0)
			rc = layer->layer->apply(pass->machine, pass->spec, item, &own);
		if (rc < 0 && first == 0) {
			*err = own;
			first = err_wrap(err, "%s", item->key);
		}
	}
	return first;
}

static int
check_taken(const struct pass *pass, const struct report *report, struct err *err)
{
	bool boot_in_layer = waits_for_boot(report);

	for (size_t i = 0; i < report->n; i++)
		if (may_apply(pass, &report->items[i], boot_in_layer))
			return err_set(err, -EIO, "%s: changed, but it did not take", report->items[i].key);
	return 0;
}

/* Inspects, applies what may be, and inspects again: 'report' is always what was last seen. */
static int
take_turn(struct pass *pass, const struct named_layer *layer, struct report *report, struct err *err)
{
	struct err apply_err = { 0 };
	bool applied = false;
	int rc = layer->layer->inspect(pass->machine, pass->spec, report, err);

	if (rc < 0)
		return rc;
	judge_boots(pass, layer->name, report);
	int apply_rc = apply_items(pass, layer, report, &applied, &apply_err);
	if (applied) {
		report_free(report);
		rc = layer->layer->inspect(pass->machine, pass->spec, report, err);
		if (rc < 0)
			return rc;
		judge_boots(pass, layer->name, report);
	}
	if (apply_rc < 0) {
		*err = apply_err;
		return apply_rc;
	}
	return applied ? check_taken(pass, report, err) : 0;
}

static void
tally(struct pass *pass, const char *layer, const struct report *report, const struct err *err)
{
	if (err->code && pass->wrong++ == 0)
		(void)snprintf(pass->first, sizeof(pass->first), "%.40s: %.150s", layer, err->msg);
	pass->person = pass->person || err->code;
	pass->boot = pass->boot || waits_for_boot(report);
	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];

		pass->person = pass->person || item->fix == FIX_MANUAL;
		pass->work = pass->work || item->fix == FIX_LIVE || item->fix == FIX_STAGE;
		if (item->fix != FIX_NONE && pass->wrong++ == 0)
			(void)snprintf(pass->first, sizeof(pass->first), "%s: %s: want %s, have %s", layer, item->key,
				       item->want, item->have);
	}
}

static struct converge_result
conclude(const struct pass *pass)
{
	struct converge_result result = { .outcome = GDR__OUTCOME__OUTCOME_SETTLED };

	if (pass->wrong == 0)
		return result;
	if (pass->work && !pass->enforce)
		result.outcome = GDR__OUTCOME__OUTCOME_WORKING;
	else if (pass->boot)
		result.outcome = GDR__OUTCOME__OUTCOME_WANTS_REBOOT;
	else
		result.outcome = GDR__OUTCOME__OUTCOME_STUCK;
	if (pass->wrong > 1)
		(void)snprintf(result.why, sizeof(result.why), "%s (and %u more)", pass->first, pass->wrong - 1);
	else
		(void)snprintf(result.why, sizeof(result.why), "%s", pass->first);
	return result;
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

		if (!layers[i].layer->wanted(spec))
			continue;
		(void)take_turn(&pass, &layers[i], &report, &err);
		tally(&pass, layers[i].name, &report, &err);
		done(arg, layers[i].name, &report, &err);
		report_free(&report);
	}
	return conclude(&pass);
}
