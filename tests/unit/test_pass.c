/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/mended.h"
#include "agent/pass.h"
#include "agent/program.h"
#include "common/mem.h"
#include "common/pb.h"
#include "tests/unit/tree.h"

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"

/* --- this program's layers: one that has whatever fix the test says, one that cannot look ------------------- */

static enum fix fix;
static bool blind;
static bool saw_machine;

static bool
always(const Gdr__Spec *spec)
{
	return spec != NULL;
}

static int
inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	(void)spec;
	(void)err;
	saw_machine = machine->host && machine->inventory && machine->inventory->n_numa == 0 && machine->journal;
	report_add(out, "cmdline", "iommu=pt", "quiet", fix, fix == FIX_NONE ? NULL : "because of %d", 7);
	return 0;
}

static int
inspect_blindly(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	(void)machine;
	(void)spec;
	(void)out;
	return blind ? err_set(err, -EIO, "cannot look") : 0;
}

static int
apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	(void)machine;
	(void)spec;
	(void)item;
	(void)err;
	fix = fix == FIX_STAGE ? FIX_BOOT : FIX_NONE;
	return 0;
}

static const struct layer kernel = { .wanted = always, .inspect = inspect, .apply = apply };
static const struct layer other = { .wanted = always, .inspect = inspect_blindly, .apply = apply };
static const struct named_layer layers[] = { { "kernel", &kernel }, { "other", &other } };
static const struct program program = { .name = "test", .layers = layers, .n_layers = 2 };

/* --- a machine ----------------------------------------------------------------------------------------------- */

static struct host *host;
static struct journal *journal;
static Gdr__Report *report;
static Gdr__Desired desired;
static Gdr__Spec spec;
static Gdr__RebootSpec reboot;
static char hash_1[] = "1111";
static char hash_2[] = "2222";

static int
setup(void **state)
{
	struct err err = { 0 };

	(void)state;
	tree_make();
	put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n\n");
	put("/proc/sys/kernel/random/boot_id", BOOT_A "\n");
	host = host_open(tree, NULL);
	assert_int_equal(journal_open(NULL, BOOT_A, &journal, &err), 0);
	report = NULL;
	fix = FIX_NONE;
	blind = saw_machine = false;
	gdr__spec__init(&spec);
	gdr__reboot_spec__init(&reboot);
	gdr__desired__init(&desired);
	desired.has_generation = true;
	desired.generation = 12;
	desired.spec_hash = hash_1;
	desired.spec = &spec;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pb_free(report ? &report->base : NULL);
	journal_free(journal);
	host_free(host);
	tree_drop();
	return 0;
}

static void
pass(const Gdr__Desired *want, enum converge_how how)
{
	struct err err = { 0 };

	pb_free(report ? &report->base : NULL);
	report = NULL;
	assert_int_equal(pass_run(&program, host, journal, want, how, &report, &err), 0);
	assert_non_null(report);
	assert_string_equal(report->boot_id, BOOT_A);
	assert_string_equal(report->version, GDR_VERSION);
	assert_string_equal(report->inventory->cpu_vendor, "GenuineIntel");
	/* What the controller will hold it against. */
	assert_int_equal(pb_check(&report->base, &err), 0);
}

static void
the_boot_has_a_name(void **state)
{
	auto_free char *id = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(pass_boot_id(host, &id, &err), 0);
	assert_string_equal(id, BOOT_A);
	drop("/proc/sys/kernel/random/boot_id");
	auto_free char *none = NULL;
	assert_int_equal(pass_boot_id(host, &none, &err), -ENOENT);
	assert_null(none);
}

static void
nothing_wanted_is_inventory_only(void **state)
{
	(void)state;
	fix = FIX_LIVE;
	pass(NULL, CONVERGE_LOOK);
	assert_int_equal(report->n_layers, 0);
	assert_false(report->has_generation);
	assert_false(report->has_mode);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_SETTLED);
	desired.spec = NULL;
	pass(&desired, CONVERGE_ENFORCE);
	assert_int_equal(report->n_layers, 0);
	assert_int_equal(report->generation, 12);
	assert_int_equal(fix, FIX_LIVE);
}

static void
it_is_measured_against_what_was_wanted(void **state)
{
	(void)state;
	blind = true;
	fix = FIX_MANUAL;
	pass(&desired, CONVERGE_ENFORCE);
	assert_true(saw_machine);
	assert_int_equal(report->generation, 12);
	assert_string_equal(report->spec_hash, "1111");
	assert_int_equal(report->mode, GDR__MODE__MODE_ENFORCE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_STUCK);
	assert_string_equal(report->why, "kernel: cmdline: want iommu=pt, have quiet (and 1 more)");
	assert_int_equal(report->n_layers, 2);
	assert_string_equal(report->layers[0]->name, "kernel");
	assert_null(report->layers[0]->error);
	assert_int_equal(report->layers[0]->n_items, 1);
	const Gdr__Item *item = report->layers[0]->items[0];
	assert_string_equal(item->key, "cmdline");
	assert_string_equal(item->want, "iommu=pt");
	assert_string_equal(item->have, "quiet");
	assert_int_equal(item->fix, GDR__FIX__FIX_MANUAL);
	assert_string_equal(item->why, "because of 7");
	assert_string_equal(report->layers[1]->name, "other");
	assert_string_equal(report->layers[1]->error, "cannot look");
	assert_int_equal(report->layers[1]->n_items, 0);

	desired.has_mode = true;
	desired.mode = GDR__MODE__MODE_AUDIT;
	blind = false;
	fix = FIX_NONE;
	pass(&desired, CONVERGE_LOOK);
	assert_int_equal(report->mode, GDR__MODE__MODE_AUDIT);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_SETTLED);
	assert_null(report->why);
	assert_null(report->layers[0]->items[0]->why);
}

static void
looking_applies_nothing(void **state)
{
	(void)state;
	fix = FIX_LIVE;
	pass(&desired, CONVERGE_LOOK);
	assert_int_equal(fix, FIX_LIVE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_WORKING);
	pass(&desired, CONVERGE_ENFORCE);
	assert_int_equal(fix, FIX_NONE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_SETTLED);
}

static void
use_up(unsigned n)
{
	struct err err = { 0 };

	/* Each in a boot of its own, as far as the journal is concerned. */
	for (unsigned i = 0; i < n; i++) {
		auto_free char *file = tree_path("/journal.yaml");
		auto_free char *boot = xasprintf("boot-%u", i);
		struct journal *disk = NULL;

		assert_int_equal(journal_open(file, boot, &disk, &err), 0);
		assert_int_equal(journal_reboot(disk, "1111", "", &err), 0);
		journal_free(disk);
		journal_free(journal);
		assert_int_equal(journal_open(file, BOOT_A, &journal, &err), 0);
	}
}

static void
a_budget_ends_every_loop_of_reboots(void **state)
{
	(void)state;
	fix = FIX_STAGE;
	pass(&desired, CONVERGE_ENFORCE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
	assert_int_equal(report->reboots_used, 0);
	assert_int_equal(report->reboot_budget, 3);
	use_up(2);
	pass(&desired, CONVERGE_ENFORCE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
	assert_int_equal(report->reboots_used, 2);

	spec.reboot = &reboot;
	pass(&desired, CONVERGE_ENFORCE); /* A reboot message without a budget: the default. */
	assert_int_equal(report->reboot_budget, 3);
	reboot.has_budget = true;
	reboot.budget = 2;
	pass(&desired, CONVERGE_ENFORCE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_STUCK);
	assert_string_equal(report->why, "2 of 2 reboots were used and this is still not right: kernel: cmdline: want "
					 "iommu=pt, have quiet");
	/* What needs no reboot is not touched by it. */
	fix = FIX_NONE;
	pass(&desired, CONVERGE_ENFORCE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_SETTLED);
	/* Another content, another count. */
	fix = FIX_BOOT;
	desired.spec_hash = hash_2;
	pass(&desired, CONVERGE_ENFORCE);
	assert_int_equal(report->outcome, GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
	assert_int_equal(report->reboots_used, 0);
}

/* As the worker does: pass after pass. */
static size_t
mended_after(Gdr__Report **last, enum fix found)
{
	fix = found;
	pass(&desired, CONVERGE_ENFORCE);
	mended_carry(*last, report);
	pb_free(*last ? &(*last)->base : NULL);
	*last = steal(&report);
	return (*last)->n_mended;
}

static void
another_hand_is_told_of(void **state)
{
	Gdr__Report *last = NULL;

	(void)state;
	assert_int_equal(mended_after(&last, FIX_LIVE), 0); /* It was never right before, */
	assert_int_equal(mended_after(&last, FIX_NONE), 0);
	assert_int_equal(mended_after(&last, FIX_LIVE), 1); /* here it was, */
	assert_string_equal(last->mended[0]->layer, "kernel");
	assert_string_equal(last->mended[0]->key, "cmdline");
	assert_string_equal(last->mended[0]->had, "quiet");
	assert_int_equal(mended_after(&last, FIX_NONE), 1); /* and that stays told. */
	free(last->layers[0]->items[0]->want);
	last->layers[0]->items[0]->want = xstrdup("iommu=off");
	assert_int_equal(mended_after(&last, FIX_LIVE), 1); /* Something else was wanted. */
	free(last->boot_id);
	last->boot_id = xstrdup("another");
	assert_int_equal(mended_after(&last, FIX_LIVE), 1); /* A boot took it away. */
	assert_int_equal(mended_after(&last, FIX_MANUAL), 1);
	assert_int_equal(mended_after(&last, FIX_LIVE), 1);
	for (int i = 0; i < 20; i++)
		(void)mended_after(&last, FIX_LIVE);
	assert_int_equal(last->n_mended, 8);
	pb_free(&last->base);
}

static void
where_there_is_no_machine_there_is_no_report(void **state)
{
	struct err err = { 0 };

	(void)state;
	drop("/proc/cpuinfo");
	assert_true(pass_run(&program, host, journal, &desired, CONVERGE_ENFORCE, &report, &err) < 0);
	assert_null(report);
	assert_true(err.code < 0 && *err.msg);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_boot_has_a_name),
		TEST(nothing_wanted_is_inventory_only),
		TEST(it_is_measured_against_what_was_wanted),
		TEST(looking_applies_nothing),
		TEST(a_budget_ends_every_loop_of_reboots),
		TEST(another_hand_is_told_of),
		TEST(where_there_is_no_machine_there_is_no_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
