/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/converge.h"
#include "agent/journal.h"
#include "common/buf.h"
#include "tests/unit/folder.h"

/* A machine of numbers.  Each thing wants 1; how it gets there is its kind. */
struct thing {
	enum fix kind; /* FIX_LIVE, FIX_STAGE or FIX_MANUAL: what it takes while it is 0. */
	int have;
	int next;      /* What a boot brings. */
	bool sticks;   /* apply() says yes and changes nothing. */
	bool fails;    /* apply() fails. */
	bool lost;     /* The boot comes up without what was staged. */
	bool hidden;   /* Not there until .. */
	char shown_by; /* .. the thing with this letter is right. */
	bool at_once;  /* Staging is all it takes. */
	unsigned tries;
};

static struct machine_of_numbers {
	struct thing a[3]; /* Layer "first": a0, a1, a2 ... */
	struct thing b[3]; /* Layer "second". */
	struct thing c[3]; /* Layer "third". */
	bool blind[3];     /* The layer cannot look. */
	int blind_after;   /* Layer "first" cannot look after this many looks; 0: it can. */
	int looks;
	bool unwanted[3];
} now;

static struct thing *
things(char layer)
{
	return layer == 'a' ? now.a : layer == 'b' ? now.b : now.c;
}

static enum fix
fix_of(const struct thing *thing)
{
	if (thing->have == 1)
		return FIX_NONE;
	return thing->kind == FIX_STAGE && thing->next == 1 ? FIX_BOOT : thing->kind;
}

static int
look(char layer, struct report *out, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		const struct thing *thing = &things(layer)[i];
		char key[] = { layer, (char)('0' + i), '\0' };

		if (now.blind[layer - 'a'] && i == 1)
			return err_set(err, -EIO, "cannot look");
		if (!thing->kind || (thing->hidden && things(layer)[thing->shown_by - '0'].have != 1))
			continue;
		report_add(out, key, "1", thing->have ? "1" : "0", fix_of(thing), NULL);
	}
	return 0;
}

static int
put_right(const struct item *item, struct err *err)
{
	struct thing *thing = &things(item->key[0])[item->key[1] - '0'];

	thing->tries++;
	if (thing->fails)
		return err_set(err, -EPERM, "no");
	if (!thing->sticks && item->fix == FIX_STAGE)
		thing->next = 1;
	if (!thing->sticks && (item->fix == FIX_LIVE || thing->at_once))
		thing->have = 1;
	return 0;
}

#define FAKE(name, letter)                                                                                     \
	static bool name##_wanted(const Gdr__Spec *spec)                                                       \
	{                                                                                                      \
		(void)spec;                                                                                    \
		return !now.unwanted[(letter) - 'a'];                                                          \
	}                                                                                                      \
	static int name##_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out,    \
				  struct err *err)                                                             \
	{                                                                                                      \
		(void)machine;                                                                                 \
		(void)spec;                                                                                    \
		if ((letter) == 'a' && now.blind_after && ++now.looks > now.blind_after)                       \
			return err_set(err, -EIO, "went blind");                                               \
		return look(letter, out, err);                                                                 \
	}                                                                                                      \
	static int name##_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, \
				struct err *err)                                                               \
	{                                                                                                      \
		(void)machine;                                                                                 \
		(void)spec;                                                                                    \
		return put_right(item, err);                                                                   \
	}                                                                                                      \
	static const struct layer name = { .wanted = name##_wanted, .inspect = name##_inspect, .apply = name##_apply };

FAKE(first, 'a')
FAKE(second, 'b')
FAKE(third, 'c')

static const struct named_layer layers[] = { { "first", &first }, { "second", &second }, { "third", &third } };

/* --- a pass ------------------------------------------------------------------------------------------- */

static char *file;
static unsigned boots;
static struct journal *journal;
static struct buf said; /* "first a0=0 boot|second error: ..." of the last pass. */

static void
note(void *arg, const char *layer, const struct report *report, const struct err *err)
{
	struct buf *out = arg;

	buf_printf(out, "%s%s", out->len ? "|" : "", layer);
	for (size_t i = 0; i < report->n; i++) {
		static const char *const names[] = { [FIX_NONE] = "ok",
						     [FIX_LIVE] = "live",
						     [FIX_STAGE] = "stage",
						     [FIX_BOOT] = "boot",
						     [FIX_MANUAL] = "manual" };

		buf_printf(out, " %s=%s", report->items[i].key, names[report->items[i].fix]);
		if (report->items[i].why)
			buf_printf(out, "(%s)", report->items[i].why);
	}
	if (err->code)
		buf_printf(out, " error: %s", err->msg);
}

static void
open_journal(const char *path)
{
	char boot_id[16];
	struct err err = { 0 };

	(void)snprintf(boot_id, sizeof(boot_id), "boot-%u", boots);
	journal_free(journal);
	assert_int_equal(journal_open(path, boot_id, &journal, &err), 0);
}

static void
boot(void)
{
	for (char layer = 'a'; layer <= 'c'; layer++)
		for (int i = 0; i < 3; i++) {
			struct thing *thing = &things(layer)[i];

			if (thing->kind == FIX_LIVE)
				thing->have = 0; /* Lost at every reset. */
			if (thing->kind == FIX_STAGE && !thing->lost)
				thing->have = thing->next;
		}
	boots++;
	open_journal(file);
}

static struct converge_result result;

static Gdr__Outcome
pass(enum converge_how how)
{
	static const Gdr__Spec spec = GDR__SPEC__INIT;
	struct machine machine = { .journal = journal };

	buf_free(&said);
	result = converge(&machine, journal, layers, 3, &spec, how, note, &said);
	return result.outcome;
}

#define SETTLED GDR__OUTCOME__OUTCOME_SETTLED
#define WORKING GDR__OUTCOME__OUTCOME_WORKING
#define REBOOT  GDR__OUTCOME__OUTCOME_WANTS_REBOOT
#define STUCK   GDR__OUTCOME__OUTCOME_STUCK

static int
setup(void **state)
{
	if (folder_make(state) != 0)
		return -1;
	file = xasprintf("%s/journal.yaml", (char *)*state);
	now = (struct machine_of_numbers){ .looks = 0 };
	boots = 0;
	open_journal(file);
	return 0;
}

static int
teardown(void **state)
{
	journal_free(steal(&journal));
	buf_free(&said);
	free(steal(&file));
	return folder_remove(state);
}

/* --- order -------------------------------------------------------------------------------------------- */

static void
a_right_machine_is_left_alone(void **state)
{
	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_MANUAL, .have = 1 };
	now.b[0] = (struct thing){ .kind = FIX_STAGE, .have = 1 };
	now.c[0] = (struct thing){ .kind = FIX_LIVE, .have = 1 };
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
	assert_string_equal(result.why, "");
	assert_string_equal(said.text, "first a0=ok|second b0=ok|third c0=ok");
	assert_int_equal(access(file, F_OK), -1);
}

static void
staging_comes_first_and_live_waits_for_the_boot(void **state)
{
	(void)state;
	now.a[0].kind = FIX_STAGE;
	now.b[0].kind = FIX_LIVE;
	now.c[0].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_string_equal(said.text, "first a0=boot|second b0=live|third c0=boot");
	assert_int_equal(now.b[0].tries, 0);
	/* Another pass changes nothing. */
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_int_equal(now.a[0].tries + now.b[0].tries + now.c[0].tries, 2);
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
	assert_int_equal(now.b[0].tries, 1);
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
	assert_int_equal(now.b[0].tries, 1);
}

static void
live_before_what_waits_for_a_boot_is_done(void **state)
{
	(void)state;
	now.a[0].kind = FIX_LIVE;
	now.b[0].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_string_equal(said.text, "first a0=ok|second b0=boot|third");
}

static void
live_waits_within_its_layer_too(void **state)
{
	(void)state;
	now.a[0].kind = FIX_LIVE;
	now.a[1].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_string_equal(said.text, "first a0=live a1=boot|second|third");
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_int_equal(now.a[0].tries, 0);
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

static void
a_layer_that_is_not_wanted_is_not_asked(void **state)
{
	(void)state;
	now.a[0].kind = FIX_STAGE;
	now.b[0].kind = FIX_LIVE;
	now.unwanted[0] = true;
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
	assert_string_equal(said.text, "second b0=ok|third");
}

static void
a_person_holds_nothing_back(void **state)
{
	(void)state;
	now.a[0].kind = FIX_MANUAL;
	now.b[0].kind = FIX_STAGE;
	now.c[0].kind = FIX_LIVE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(said.text, "first a0=manual|second b0=ok|third c0=ok");
	assert_string_equal(result.why, "first: a0: want 1, have 0");
	now.a[0].have = 1;
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

/* --- failures ------------------------------------------------------------------------------------------ */

static void
what_did_not_take_is_an_error(void **state)
{
	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_LIVE, .sticks = true };
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(said.text, "first a0=live error: a0: changed, but it did not take|second|third");
	assert_string_equal(result.why, "first: a0: changed, but it did not take");
}

/* Nothing is staged, so a boot would bring nothing. */
static void
what_was_not_staged_asks_for_no_reboot(void **state)
{
	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_STAGE, .sticks = true };
	now.b[0].kind = FIX_LIVE;
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_int_equal(now.b[0].tries, 0);
	now.a[0] = (struct thing){ .kind = FIX_STAGE, .fails = true };
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(result.why, "first: a0: no (and 1 more)");
	/* What else is staged is worth its boot. */
	now.c[0].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
}

static void
one_failure_keeps_no_other_from_being_tried(void **state)
{
	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_LIVE, .fails = true };
	now.a[1].kind = FIX_LIVE;
	now.a[2] = (struct thing){ .kind = FIX_LIVE, .fails = true };
	now.b[0].kind = FIX_LIVE;
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(said.text, "first a0=live a1=ok a2=live error: a0: no|second b0=ok|third");
	assert_string_equal(result.why, "first: a0: no (and 1 more)");
	now.a[0].fails = now.a[2].fails = false;
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

static void
who_cannot_look_hides_no_other(void **state)
{
	(void)state;
	now.a[0].kind = FIX_LIVE;
	now.blind[0] = true;
	now.b[0].kind = FIX_LIVE;
	now.c[0].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_string_equal(said.text, "first a0=live error: cannot look|second b0=ok|third c0=boot");
	assert_int_equal(now.a[0].tries, 0);
	assert_string_equal(result.why, "first: cannot look (and 1 more)");
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	now.blind[0] = false;
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

/* It staged something, and then could not see whether: live changes behind it wait all the same. */
static void
blind_after_staging_it_still_holds_live_changes(void **state)
{
	(void)state;
	now.a[0].kind = FIX_STAGE;
	now.b[0].kind = FIX_LIVE;
	now.blind_after = 1;
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(said.text, "first error: went blind|second b0=live|third");
	assert_int_equal(now.b[0].tries, 0);
}

/* Seen for the first time after a change, it has not failed: it was not tried. */
static void
what_comes_to_light_by_a_change_is_for_the_next_pass(void **state)
{
	(void)state;
	now.a[0].kind = FIX_LIVE;
	now.a[1] = (struct thing){ .kind = FIX_LIVE, .hidden = true, .shown_by = '0' };
	assert_int_equal(pass(CONVERGE_ENFORCE), WORKING);
	assert_string_equal(said.text, "first a0=ok a1=live|second|third");
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

/* The same for what waited for an item that then needed no boot. */
static void
what_was_held_back_has_not_failed(void **state)
{
	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_STAGE, .at_once = true };
	now.a[1].kind = FIX_LIVE;
	assert_int_equal(pass(CONVERGE_ENFORCE), WORKING);
	assert_string_equal(said.text, "first a0=ok a1=live|second|third");
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

/* Staged before the boot that is due anyway, it saves one. */
static void
staging_that_comes_to_light_goes_before_the_boot(void **state)
{
	(void)state;
	now.a[0].kind = FIX_STAGE;
	now.b[0] = (struct thing){ .kind = FIX_STAGE, .at_once = true };
	now.b[1] = (struct thing){ .kind = FIX_STAGE, .hidden = true, .shown_by = '0' };
	assert_int_equal(pass(CONVERGE_ENFORCE), WORKING);
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

/* --- looking -------------------------------------------------------------------------------------------- */

static void
looking_changes_nothing(void **state)
{
	(void)state;
	now.a[0].kind = FIX_STAGE;
	now.b[0].kind = FIX_LIVE;
	assert_int_equal(pass(CONVERGE_LOOK), WORKING);
	assert_string_equal(said.text, "first a0=stage|second b0=live|third");
	assert_int_equal(now.a[0].tries + now.b[0].tries, 0);
	assert_int_equal(access(file, F_OK), -1);
	assert_string_equal(result.why, "first: a0: want 1, have 0 (and 1 more)");
}

static void
looking_forgets_nothing(void **state)
{
	struct journal *again = NULL;
	struct err err = { 0 };

	(void)state;
	now.a[0].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	now.a[0].have = 1;
	assert_int_equal(pass(CONVERGE_LOOK), SETTLED);
	assert_int_equal(journal_open(file, "another", &again, &err), 0);
	assert_true(journal_booted_since(again, "first", "a0", "1"));
	journal_free(again);
}

struct look {
	struct thing things[3]; /* One a layer. */
	Gdr__Outcome looked;
	Gdr__Outcome enforced;
};

static void
each_mix_has_its_outcome(void **state)
{
	static const struct thing right = { .kind = FIX_LIVE, .have = 1 };
	static const struct thing live = { .kind = FIX_LIVE };
	static const struct thing stage = { .kind = FIX_STAGE };
	static const struct thing staged = { .kind = FIX_STAGE, .next = 1 };
	static const struct thing person = { .kind = FIX_MANUAL };
	static const struct thing stubborn = { .kind = FIX_LIVE, .fails = true };
	static const struct thing unstageable = { .kind = FIX_STAGE, .fails = true };
	const struct look table[] = {
		{ { right, right, right }, SETTLED, SETTLED },    { { live, right, right }, WORKING, SETTLED },
		{ { stage, right, right }, WORKING, REBOOT },     { { staged, right, right }, REBOOT, REBOOT },
		{ { staged, live, right }, REBOOT, REBOOT }, /* Held back: there is nothing to do before the boot. */
		{ { live, staged, right }, WORKING, REBOOT },     { { staged, stage, right }, WORKING, REBOOT },
		{ { person, right, right }, STUCK, STUCK },       { { person, live, right }, WORKING, STUCK },
		{ { person, staged, live }, REBOOT, REBOOT },     { { stubborn, right, right }, WORKING, STUCK },
		{ { stubborn, staged, right }, WORKING, REBOOT }, { { unstageable, right, right }, WORKING, STUCK },
		{ { unstageable, live, right }, WORKING, STUCK }, { { unstageable, staged, person }, WORKING, REBOOT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)unlink(file);
		boots = 0;
		open_journal(file);
		now = (struct machine_of_numbers){ .a = { table[i].things[0] },
						   .b = { table[i].things[1] },
						   .c = { table[i].things[2] } };
		assert_int_equal(pass(CONVERGE_LOOK), table[i].looked);
		assert_int_equal(pass(CONVERGE_ENFORCE), table[i].enforced);
		assert_int_equal(*result.why == '\0', table[i].enforced == SETTLED);
	}
}

/* --- the journal ---------------------------------------------------------------------------------------- */

#define WITHOUT "staged, but the boot since then came up without it"

static void
a_boot_that_came_without_it_needs_a_person(void **state)
{
	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_STAGE, .lost = true };
	now.b[0].kind = FIX_LIVE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	/* The agent starts again, the machine does not. */
	open_journal(file);
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_string_equal(said.text, "first a0=boot|second b0=live|third");
	boot();
	assert_int_equal(pass(CONVERGE_LOOK), WORKING); /* b0 */
	assert_string_equal(said.text, "first a0=manual(" WITHOUT ")|second b0=live|third");
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(said.text, "first a0=manual(" WITHOUT ")|second b0=ok|third");
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	/* A power cycle brings it. */
	now.a[0].lost = false;
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

static void
what_a_person_staged_is_told_apart_too(void **state)
{
	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_STAGE, .next = 1, .lost = true };
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_int_equal(now.a[0].tries, 0);
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
}

static void
reverted_by_the_boot_it_is_staged_again(void **state)
{
	(void)state;
	now.a[0].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	now.a[0].next = 0;
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_int_equal(now.a[0].tries, 2);
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

static void
drift_after_it_was_right_is_staged_again(void **state)
{
	(void)state;
	now.a[0].kind = FIX_STAGE;
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
	assert_false(journal_booted_since(journal, "first", "a0", "1"));
	boot();
	now.a[0].have = 0;
	now.a[0].next = 1; /* Somebody booted another kernel: staged it still is. */
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_string_equal(said.text, "first a0=boot|second|third");
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), SETTLED);
}

static void
without_a_journal_there_is_no_change(void **state)
{
	auto_free char *nowhere = xasprintf("%s/none/journal.yaml", (char *)*state);

	open_journal(nowhere);
	now.a[0].kind = FIX_STAGE;
	now.a[1].kind = FIX_STAGE;
	now.b[0].kind = FIX_LIVE;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
		assert_int_equal(now.a[0].tries + now.a[1].tries + now.b[0].tries, 0);
		assert_non_null(strstr(said.text, "error: journal: "));
		assert_non_null(strstr(said.text, nowhere));
	}
	/* Live ones as well. */
	now.a[0].have = now.a[1].have = 1;
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_int_equal(now.b[0].tries, 0);
	/* And a boot that cannot be noted would not be told from none: it is said. */
	now.b[0].have = 1;
	now.c[0] = (struct thing){ .kind = FIX_STAGE, .next = 1 };
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
	assert_non_null(strstr(said.text, "third c0=boot error: journal: "));
}

static void
the_journal_knows_before_the_machine(void **state)
{
	struct journal *disk = NULL;
	struct err err = { 0 };

	(void)state;
	now.a[0] = (struct thing){ .kind = FIX_LIVE, .fails = true };
	now.b[0] = (struct thing){ .kind = FIX_STAGE, .fails = true };
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_int_equal(journal_open(file, "boot-0", &disk, &err), 0);
	assert_string_equal(journal_before(disk, "first", "a0"), "0");
	journal_free(disk);
	assert_int_equal(journal_open(file, "boot-1", &disk, &err), 0);
	assert_true(journal_booted_since(disk, "second", "b0", "1"));
	journal_free(disk);
	/* It never got as far as staged: after a boot it is tried again, and no person is asked for. */
	now.b[0].fails = false;
	boot();
	assert_int_equal(pass(CONVERGE_ENFORCE), REBOOT);
}

/* --- the one line ----------------------------------------------------------------------------------------- */

static void
the_line_counts_what_else_is_wrong(void **state)
{
	(void)state;
	now.a[0].kind = FIX_MANUAL;
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(result.why, "first: a0: want 1, have 0");
	now.b[1].kind = now.c[0].kind = now.c[2].kind = FIX_MANUAL;
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(result.why, "first: a0: want 1, have 0 (and 3 more)");
	/* An error and the item that it is about are one. */
	now.a[0].have = 1;
	now.b[1] = (struct thing){ .kind = FIX_LIVE, .fails = true };
	assert_int_equal(pass(CONVERGE_ENFORCE), STUCK);
	assert_string_equal(result.why, "second: b1: no (and 2 more)");
}

static bool
long_wanted(const Gdr__Spec *spec)
{
	(void)spec;
	return true;
}

/* Long texts, characters of three bytes, and what is no text at all. */
static int
long_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	auto_buf struct buf text = { 0 };

	(void)machine;
	(void)spec;
	(void)err;
	for (int i = 0; i < 300; i++)
		buf_puts(&text, "\xe2\x82\xac");
	report_add(out, "x", "\xff", "two\nlines", FIX_MANUAL, NULL);
	report_add(out, "y", text.text, text.text, FIX_MANUAL, NULL);
	return 0;
}

static void
the_line_is_one_clean_line(void **state)
{
	static const struct layer layer = { .wanted = long_wanted, .inspect = long_inspect };
	static const struct named_layer only[] = { { "long", &layer } };
	static const Gdr__Spec spec = GDR__SPEC__INIT;
	struct machine machine = { 0 };

	(void)state;
	result = converge(&machine, journal, only, 1, &spec, CONVERGE_ENFORCE, note, &said);
	assert_string_equal(result.why, "long: x: want ?, have two?lines (and 1 more)");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_right_machine_is_left_alone),
		TEST(staging_comes_first_and_live_waits_for_the_boot),
		TEST(live_before_what_waits_for_a_boot_is_done),
		TEST(live_waits_within_its_layer_too),
		TEST(a_layer_that_is_not_wanted_is_not_asked),
		TEST(a_person_holds_nothing_back),
		TEST(what_did_not_take_is_an_error),
		TEST(what_was_not_staged_asks_for_no_reboot),
		TEST(one_failure_keeps_no_other_from_being_tried),
		TEST(who_cannot_look_hides_no_other),
		TEST(blind_after_staging_it_still_holds_live_changes),
		TEST(what_comes_to_light_by_a_change_is_for_the_next_pass),
		TEST(what_was_held_back_has_not_failed),
		TEST(staging_that_comes_to_light_goes_before_the_boot),
		TEST(looking_changes_nothing),
		TEST(looking_forgets_nothing),
		TEST(each_mix_has_its_outcome),
		TEST(a_boot_that_came_without_it_needs_a_person),
		TEST(what_a_person_staged_is_told_apart_too),
		TEST(reverted_by_the_boot_it_is_staged_again),
		TEST(drift_after_it_was_right_is_staged_again),
		TEST(without_a_journal_there_is_no_change),
		TEST(the_journal_knows_before_the_machine),
		TEST(the_line_counts_what_else_is_wrong),
		TEST(the_line_is_one_clean_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
