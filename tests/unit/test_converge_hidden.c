/* Links: agent */

/* Things that are hidden until another is in effect, and values that go back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/converge.h"
#include "agent/journal.h"
#include "tests/unit/folder.h"

/* A card with a gate and what it unlocks; each wants 1. */
static struct {
	int gate, gate_next;
	int deep, deep_next;
	bool refuses; /* apply() fails. */
	bool wanted;
	bool sees_journal; /* At apply() all was on disk already. */
	unsigned applies;
} card;

static char *file;
static struct journal *journal;
static struct converge_result result;

static bool
fake_wanted(const Gdr__Spec *spec)
{
	(void)spec;
	return card.wanted;
}

static struct item *
last(struct report *out)
{
	return &out->items[out->n - 1];
}

static enum fix
fix_of(int have, int next, int want)
{
	return have == want ? FIX_NONE : next == want ? FIX_BOOT : FIX_STAGE;
}

static void
inspect_wanted(struct report *out)
{
	report_add(out, "gate", "1", card.gate ? "1" : "0", fix_of(card.gate, card.gate_next, 1), NULL);
	last(out)->keep = KEEP_RESTORE;
	if (card.gate) {
		report_add(out, "deep", "1", card.deep ? "1" : "0", fix_of(card.deep, card.deep_next, 1), NULL);
	} else {
		report_add(out, "deep", "1", "hidden", FIX_BOOT, "hidden");
		last(out)->boots = 2;
	}
	last(out)->keep = KEEP_RESTORE;
	last(out)->unlock = xstrdup("gate");
}

static int
fake_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	const Gdr__Journal__Kept *kept;

	(void)spec;
	(void)err;
	if (card.wanted)
		inspect_wanted(out);
	for (size_t i = 0; !card.wanted && (kept = journal_kept(machine->journal, "card", i)); i++) {
		bool gate = strcmp(kept->key, "gate") == 0;

		report_add(out, kept->key, kept->value, "1",
			   fix_of(gate ? card.gate : card.deep, gate ? card.gate_next : card.deep_next, 0), NULL);
		last(out)->keep = KEEP_BACK;
	}
	return 0;
}

static int
fake_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	(void)spec;
	card.applies++;
	if (card.refuses)
		return err_set(err, -EIO, "no");
	card.sees_journal = journal_past(machine->journal, "card", item->key, item->want) == JOURNAL_THIS_BOOT;
	*(strcmp(item->key, "gate") == 0 ? &card.gate_next : &card.deep_next) = *item->want - '0';
	return 0;
}

static const struct layer fake = { .wanted = fake_wanted, .inspect = fake_inspect, .apply = fake_apply };
static const struct named_layer layers[] = { { "card", &fake } };

static void
ignore(void *arg, const char *layer, const struct report *report, const struct err *err)
{
	(void)arg;
	(void)layer;
	(void)report;
	(void)err;
}

static Gdr__Outcome
pass(void)
{
	static const Gdr__Spec spec = GDR__SPEC__INIT;
	struct machine machine = { .journal = journal };

	result = converge(&machine, journal, layers, 1, &spec, CONVERGE_ENFORCE, ignore, NULL);
	return result.outcome;
}

static void
boot(const char *boot_id)
{
	struct err err = { 0 };

	card.gate = card.gate_next;
	card.deep = card.deep_next;
	journal_free(journal);
	assert_int_equal(journal_open(file, boot_id, &journal, &err), 0);
}

static int
setup(void **state)
{
	if (folder_make(state) != 0)
		return -1;
	file = xasprintf("%s/journal.yaml", (char *)*state);
	memset(&card, 0, sizeof(card));
	card.wanted = true;
	boot("boot-1");
	return 0;
}

static int
teardown(void **state)
{
	journal_free(steal(&journal));
	free(steal(&file));
	return folder_remove(state);
}

static void
two_boots_and_both_are_foreseen(void **state)
{
	(void)state;
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
	assert_int_equal(result.boots, 2);
	assert_true(card.sees_journal);
	/* What is hidden was not staged, so a boot cannot have lost it. */
	assert_int_equal(journal_past(journal, "card", "deep", "1"), JOURNAL_NOTHING);
	boot("boot-2");
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
	assert_int_equal(result.boots, 1);
	assert_int_equal(card.deep_next, 1);
	boot("boot-3");
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_SETTLED);
	assert_int_equal(result.boots, 0);
	assert_int_equal(card.applies, 2);
}

static void
nothing_staged_is_nothing_to_reboot_for(void **state)
{
	(void)state;
	card.refuses = true;
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_STUCK);
}

static void
what_was_is_put_back_when_nobody_wants_it(void **state)
{
	(void)state;
	(void)pass();
	boot("boot-2");
	(void)pass();
	boot("boot-3");
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_SETTLED);
	assert_string_equal(journal_kept(journal, "card", 0)->value, "0");
	assert_string_equal(journal_kept(journal, "card", 1)->unlock, "gate");
	card.wanted = false;
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
	boot("boot-4");
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_SETTLED);
	assert_int_equal(card.gate + card.deep, 0);
	assert_null(journal_kept(journal, "card", 0));
	/* Then the layer is not even asked. */
	card.gate = 1;
	assert_int_equal(pass(), GDR__OUTCOME__OUTCOME_SETTLED);
	assert_int_equal(card.applies, 4);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_boots_and_both_are_foreseen),
		TEST(nothing_staged_is_nothing_to_reboot_for),
		TEST(what_was_is_put_back_when_nobody_wants_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
