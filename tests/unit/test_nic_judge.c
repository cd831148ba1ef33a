/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <glob.h>

#include "agent/journal.h"
#include "agent/layers/nic_judge.h"
#include "common/buf.h"
#include "common/file.h"
#include "tests/unit/tree.h"

#define CARD      "0000:3b:00.0"
#define SYNTHETIC SOURCE_DIR "/../shared/samples/mlxconfig/synthetic/"

/* What is wanted of the card: the recipe's six. */
static struct nic_want wants[6];
static const struct {
	const char *name, *value;
} recipe[6] = { { "ADVANCED_PCI_SETTINGS", "True" }, { "MAX_ACC_OUT_READ", "44" },
		{ "PCI_WR_ORDERING", "per_mkey" },   { "P2P_ORDERING_MODE", "SECURE_NONE" },
		{ "ATS_ENABLED", "True" },           { "RDMA_SELECTIVE_REPEAT_EN", "True" } };

static struct journal *journal;
static struct nic_notes notes;
static struct mlx_output output;
static struct nic_view view;
static char *journal_path;

static int
setup(void **state)
{
	struct err err = { 0 };

	(void)state;
	tree_make();
	journal_path = tree_path("/journal");
	for (size_t i = 0; i < 6; i++)
		wants[i] = (struct nic_want){ .name = recipe[i].name,
					      .value = xstrdup(recipe[i].value),
					      .unlock = i == 1 ? "ADVANCED_PCI_SETTINGS" : NULL,
					      .keep = KEEP_VALUE };
	assert_int_equal(journal_open(journal_path, "boot-1", &journal, &err), 0);
	notes = (struct nic_notes){ 0 };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++)
		free(wants[i].value);
	mlxconfig_free(&output);
	nic_notes_free(&notes);
	journal_free(journal);
	free(journal_path);
	tree_drop();
	return 0;
}

static void
boot(const char *id)
{
	struct err err = { 0 };

	journal_free(journal);
	assert_int_equal(journal_open(journal_path, id, &journal, &err), 0);
}

static void
staged(const char *name, const char *want)
{
	auto_free char *key = nic_key(CARD, name);
	struct err err = { 0 };

	assert_int_equal(journal_staged(journal, "nic", key, "0", want, &err), 0);
}

static void
note(enum mlx_said said, const char *what, const char *reason)
{
	notes.v = xrealloc(notes.v, notes.n + 1, sizeof(*notes.v));
	notes.v[notes.n++] = (struct nic_note){ CARD, said, what, reason };
}

static void
show(const char *text)
{
	struct err err = { 0 };

	mlxconfig_free(&output);
	if (mlxconfig_parse(text, &output, &err) < 0)
		fail_msg("%s", err.msg);
	view = (struct nic_view){ .address = CARD,
				  .table = &output.devices[0],
				  .wants = wants,
				  .n = 6,
				  .notes = &notes,
				  .journal = journal };
}

static size_t
index_of(const char *name)
{
	for (size_t i = 0; i < 6; i++)
		if (strcmp(wants[i].name, name) == 0)
			return i;
	fail_msg("%s is not wanted", name);
	return 0;
}

static void
expect(const char *name, enum fix fix, const char *part)
{
	struct nic_verdict verdict;

	nic_judge(&view, &wants[index_of(name)], &verdict);
	if (verdict.fix != fix || !strstr(verdict.why, part))
		fail_msg("%s: fix %d, not %d: '%s', not '%s'", name, (int)verdict.fix, (int)fix, verdict.why, part);
}

static unsigned
boots_of(const char *name)
{
	struct nic_verdict verdict;

	nic_judge(&view, &wants[index_of(name)], &verdict);
	return verdict.boots;
}

static void
expect_all(enum fix fix, const char *part)
{
	for (size_t i = 0; i < 6; i++)
		expect(wants[i].name, fix, part);
}

/* --- tables in three layouts ------------------------------------------------------------------------------ */

static const struct layout {
	const char *row;
	const char *header;
} layouts[] = {
	{ "         %-36s%-15s %-15s %-15s\n",
	  "Configurations:                              Default         Current         Next Boot" },
	{ "        %-44s%-20s %-20s %-20s\n",
	  "Configurations:                                          Default             Current         Next Boot" },
	{ "        %-48s%-33s %-33s %-33s\n",
	  "Configurations:                                         Default                           Current                           Next Boot" },
};
#define LAYOUTS 3

/* 'values': current and next of each of the six, as "01": the wanted value is 1; 'x': N/A; "--": no row. */
static void
table(size_t layout, const char *const values[6])
{
	static const char *const off[6] = { "False(0)",          "0",        "force_relax(1)",
					    "DEVICE_DEFAULT(0)", "False(0)", "False(0)" };
	static const char *const on[6] = { "True(1)", "44", "per_mkey(0)", "SECURE_NONE(1)", "True(1)", "True(1)" };
	auto_buf struct buf text = { 0 };

	buf_printf(&text, "\nDevice #1:\n----------\n\nDevice type:    ConnectX6DX\nDevice:         %s\n\n%s\n", CARD,
		   layouts[layout].header);
	for (size_t i = 0; i < 6; i++) {
		const char *cell[2];

		if (values[i][0] == '-')
			continue;
		for (size_t c = 0; c < 2; c++)
			cell[c] = values[i][c] == 'x' ? "N/A" : values[i][c] == '1' ? on[i] : off[i];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		auto_free char *line = xasprintf(layouts[layout].row, wants[i].name, off[i], cell[0], cell[1]);
#pragma GCC diagnostic pop
		buf_puts(&text, line);
	}
	show(text.text);
}

#define TABLE(layout, ...) table(layout, (const char *const[6]){ __VA_ARGS__ })

static void
a_fresh_card(void **state)
{
	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		TABLE(l, "00", "--", "11", "00", "00", "00");
		expect("ADVANCED_PCI_SETTINGS", FIX_STAGE, "False(0) is stored");
		expect("MAX_ACC_OUT_READ", FIX_BOOT, "hidden until ADVANCED_PCI_SETTINGS is in effect");
		assert_int_equal(boots_of("MAX_ACC_OUT_READ"), 2);
		expect("PCI_WR_ORDERING", FIX_NONE, "");
		expect("P2P_ORDERING_MODE", FIX_STAGE, "DEVICE_DEFAULT(0)");
		assert_string_equal(nic_have(&view, &wants[1]), "hidden");
		assert_string_equal(nic_have(&view, &wants[3]), "DEVICE_DEFAULT(0)");
	}
}

static void
two_boots_as_it_should_be(void **state)
{
	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		boot("boot-1");
		staged("ADVANCED_PCI_SETTINGS", "True");
		TABLE(l, "01", "--", "11", "01", "01", "01");
		expect("ADVANCED_PCI_SETTINGS", FIX_BOOT, "stored for the next boot");
		expect("MAX_ACC_OUT_READ", FIX_BOOT, "hidden until");
		boot("boot-2");
		TABLE(l, "11", "00", "11", "11", "11", "11");
		expect("MAX_ACC_OUT_READ", FIX_STAGE, "0 is stored");
		staged("MAX_ACC_OUT_READ", "44");
		TABLE(l, "11", "01", "11", "11", "11", "11");
		expect("MAX_ACC_OUT_READ", FIX_BOOT, "stored for the next boot");
		assert_int_equal(boots_of("MAX_ACC_OUT_READ"), 0);
		boot("boot-3");
		TABLE(l, "11", "11", "11", "11", "11", "11");
		expect_all(FIX_NONE, "");
	}
}

static void
firmware_that_shows_it_at_once(void **state)
{
	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		TABLE(l, "01", "00", "11", "01", "01", "01");
		expect("MAX_ACC_OUT_READ", FIX_STAGE, "0 is stored");
	}
}

static void
a_boot_that_loaded_nothing(void **state)
{
	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		boot("boot-1");
		staged("ADVANCED_PCI_SETTINGS", "True");
		staged("ATS_ENABLED", "True");
		boot("boot-2");
		TABLE(l, "01", "--", "11", "11", "01", "11");
		expect("ADVANCED_PCI_SETTINGS", FIX_MANUAL, "power cycle");
		expect("ATS_ENABLED", FIX_MANUAL, "did not load it");
		expect("MAX_ACC_OUT_READ", FIX_MANUAL, "needs a person");
	}
}

static void
firmware_that_reverts(void **state)
{
	struct err err = { 0 };

	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		boot("boot-2");
		staged("MAX_ACC_OUT_READ", "44");
		/* Meant and never seen, as after a crash: it is done again. */
		assert_int_equal(journal_change(journal, "nic", CARD "/ATS_ENABLED", "0", "True", true, &err), 0);
		boot("boot-3");
		TABLE(l, "11", "00", "11", "11", "00", "11");
		expect("MAX_ACC_OUT_READ", FIX_MANUAL, "reverts it");
		expect("ATS_ENABLED", FIX_STAGE, "False(0) is stored");
	}
}

static void
endings_that_no_reboot_answers(void **state)
{
	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		TABLE(l, "11", "01", "11", "01", "01", "01");
		expect("MAX_ACC_OUT_READ", FIX_BOOT, "");
		note(MLX_POWER_CYCLE, "MAX_ACC_OUT_READ=44", "");
		expect("MAX_ACC_OUT_READ", FIX_MANUAL, "power cycle the host");
		note(MLX_NOT_ARMED, "ATS_ENABLED=True", "");
		expect("ATS_ENABLED", FIX_MANUAL, "reset not prepared");
		/* A later set that was armed loads all that is stored. */
		note(MLX_REBOOT, "P2P_ORDERING_MODE=SECURE_NONE", "");
		expect("MAX_ACC_OUT_READ", FIX_BOOT, "");
	}
}

static void
half_a_set(void **state)
{
	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		nic_notes_free(&notes);
		TABLE(l, "11", "01", "11", "00", "00", "01");
		expect("P2P_ORDERING_MODE", FIX_STAGE, "");
		note(MLX_REFUSED,
		     "MAX_ACC_OUT_READ=44 P2P_ORDERING_MODE=SECURE_NONE ATS_ENABLED=True RDMA_SELECTIVE_REPEAT_EN=True",
		     "The configuration is rejected");
		expect("P2P_ORDERING_MODE", FIX_MANUAL, "refused it (other parts of the same set are stored)");
		expect("ATS_ENABLED", FIX_MANUAL, "is rejected");
		expect("MAX_ACC_OUT_READ", FIX_BOOT, "stored");
		TABLE(l, "11", "00", "11", "00", "00", "00");
		expect("ATS_ENABLED", FIX_MANUAL, "the card refused it: The configuration");
	}
}

static void
said_and_not_stored(void **state)
{
	(void)state;
	TABLE(1, "11", "11", "11", "11", "00", "11");
	note(MLX_REBOOT, "ATS_ENABLED=True", "");
	expect("ATS_ENABLED", FIX_MANUAL, "set in this boot, but False(0) is stored");
	/* Another wish is another matter. */
	free(wants[4].value);
	wants[4].value = xstrdup("1");
	expect("ATS_ENABLED", FIX_STAGE, "");
}

static void
what_is_in_effect_cannot_be_read(void **state)
{
	(void)state;
	for (size_t l = 0; l < LAYOUTS; l++) {
		boot("boot-1");
		staged("ATS_ENABLED", "True");
		TABLE(l, "x1", "x1", "x1", "x1", "x1", "x1");
		expect("ATS_ENABLED", FIX_BOOT, "cannot be read");
		expect("MAX_ACC_OUT_READ", FIX_MANUAL, "N/A");
		boot("boot-2");
		TABLE(l, "x1", "x1", "x1", "x1", "x1", "xx");
		expect("ATS_ENABLED", FIX_MANUAL, "N/A");
		expect("RDMA_SELECTIVE_REPEAT_EN", FIX_MANUAL, "could not read what is stored");
	}
	show("Configurations:    Default   Next Boot\n"
	     "         ATS_ENABLED    False(0)   True(1)\n         ADVANCED_PCI_SETTINGS  False(0)  False(0)\n");
	staged("ATS_ENABLED", "True");
	expect("ATS_ENABLED", FIX_BOOT, "stored for the next boot");
	boot("boot-3");
	view.journal = journal;
	expect("ATS_ENABLED", FIX_NONE, "does not tell");
	expect("ADVANCED_PCI_SETTINGS", FIX_STAGE, "");
	expect("MAX_ACC_OUT_READ", FIX_BOOT, "hidden");
}

static void
what_a_card_does_not_have(void **state)
{
	struct nic_verdict verdict;

	(void)state;
	TABLE(0, "11", "--", "11", "11", "11", "--");
	expect("MAX_ACC_OUT_READ", FIX_MANUAL, "ADVANCED_PCI_SETTINGS is in effect and it is not shown");
	expect("RDMA_SELECTIVE_REPEAT_EN", FIX_MANUAL, "does not have it");
	nic_judge(&view, &wants[5], &verdict);
	assert_true(verdict.absent);
	assert_string_equal(nic_have(&view, &wants[5]), "absent");
	/* A table that is not whole proves nothing. */
	show("Configurations:    Default   Current   Next Boot\n         ATS_ENABLED    True(1)   True(1)  True(1)\n"
	     "         ADVANCED_PCI_SETTINGS  Fal");
	expect("MAX_ACC_OUT_READ", FIX_MANUAL, "not whole");
	show("Configurations:    Default   Current   Next Boot\n         ATS_ENABLED    True(1)   True(1)  True(1)\n"
	     "-E- Failed to query some of the TLVs:\n    nv_pci_conf_P0_M-1\n");
	expect("PCI_WR_ORDERING", FIX_MANUAL, "Failed to query some");
	expect("ATS_ENABLED", FIX_NONE, "");
}

static void
locked_and_nameless_values(void **state)
{
	(void)state;
	show("Configurations:    Default   Current   Next Boot\n RO      ATS_ENABLED    False(0)   False(0)  False(0)\n"
	     "*RO      ADVANCED_PCI_SETTINGS    False(0)   True(1)  True(1)\n"
	     "*        P2P_ORDERING_MODE   DEVICE_DEFAULT(0)    148   148\n");
	expect("ATS_ENABLED", FIX_MANUAL, "read-only");
	expect("ADVANCED_PCI_SETTINGS", FIX_NONE, "");
	expect("P2P_ORDERING_MODE", FIX_MANUAL, "148, a number without a name");
}

static void
a_card_with_a_mind_of_its_own(void **state)
{
	(void)state;
	TABLE(2, "00", "--", "11", "01", "00", "00");
	view.dpu = true;
	expect("ADVANCED_PCI_SETTINGS", FIX_MANUAL, "DPU");
	expect("P2P_ORDERING_MODE", FIX_MANUAL, "allow_dpu");
	expect("PCI_WR_ORDERING", FIX_NONE, "");
	expect("MAX_ACC_OUT_READ", FIX_MANUAL, "");
}

static void
unlocking_that_cannot_be(void **state)
{
	(void)state;
	TABLE(0, "00", "--", "11", "11", "11", "11");
	view.wants = wants + 1;
	view.n = 5;
	expect("MAX_ACC_OUT_READ", FIX_MANUAL, "the profile has to set that too");
	/* A ring of them. */
	wants[0].unlock = "MAX_ACC_OUT_READ";
	view.wants = wants;
	view.n = 6;
	show("Configurations:    Default   Current   Next Boot\n         ATS_ENABLED    True(1)   True(1)  True(1)\n");
	expect("MAX_ACC_OUT_READ", FIX_MANUAL, "");
}

static void
values_go_back_in_reverse_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		free(wants[i].value);
		wants[i].value = xstrdup(i == 0 ? "False" : "0");
		wants[i].keep = KEEP_BACK;
	}
	/* ADVANCED and MAX: '1' is what the recipe wants, and 0 what was before. */
	TABLE(0, "11", "11", "11", "11", "11", "11");
	expect("MAX_ACC_OUT_READ", FIX_STAGE, "44 is stored");
	expect("ADVANCED_PCI_SETTINGS", FIX_BOOT, "after MAX_ACC_OUT_READ");
	assert_int_equal(boots_of("ADVANCED_PCI_SETTINGS"), 2);
	TABLE(0, "11", "10", "11", "11", "11", "11");
	expect("MAX_ACC_OUT_READ", FIX_BOOT, "");
	expect("ADVANCED_PCI_SETTINGS", FIX_BOOT, "after MAX_ACC_OUT_READ");
	TABLE(0, "11", "00", "11", "11", "11", "11");
	expect("MAX_ACC_OUT_READ", FIX_NONE, "");
	expect("ADVANCED_PCI_SETTINGS", FIX_STAGE, "True(1) is stored");
	TABLE(0, "00", "--", "11", "11", "11", "11");
	expect("MAX_ACC_OUT_READ", FIX_NONE, "not in effect");
	expect("ADVANCED_PCI_SETTINGS", FIX_NONE, "");
}

/* --- the synthetic life cycle, where it is at hand ------------------------------------------------------- */

static void
life_cycle(void **state)
{
	/* Without a journal: what a fresh agent makes of each. */
	static const struct {
		const char *file;
		enum fix advanced, max, ordering, ats;
	} cases[] = {
		{ "S0-fresh", FIX_STAGE, FIX_BOOT, FIX_NONE, FIX_STAGE },
		{ "S1-adv", FIX_BOOT, FIX_BOOT, FIX_NONE, FIX_STAGE },
		{ "S1b-adv", FIX_BOOT, FIX_STAGE, FIX_NONE, FIX_STAGE },
		{ "S2-after", FIX_NONE, FIX_STAGE, FIX_NONE, FIX_STAGE },
		{ "S2b-after", FIX_BOOT, FIX_BOOT, FIX_NONE, FIX_STAGE },
		{ "S3-phase2", FIX_NONE, FIX_BOOT, FIX_NONE, FIX_BOOT },
		{ "S3b-phase2", FIX_NONE, FIX_BOOT, FIX_NONE, FIX_STAGE },
		{ "S4-done", FIX_NONE, FIX_NONE, FIX_NONE, FIX_NONE },
		{ "S5-reverted", FIX_NONE, FIX_STAGE, FIX_NONE, FIX_STAGE },
		{ "S6-pf1", FIX_NONE, FIX_NONE, FIX_STAGE, FIX_NONE },
		{ "S7-current", FIX_MANUAL, FIX_MANUAL, FIX_MANUAL, FIX_MANUAL },
		{ "S8-no", FIX_NONE, FIX_NONE, FIX_NONE, FIX_NONE },
		{ "S9-read", FIX_NONE, FIX_NONE, FIX_NONE, FIX_NONE },
		{ "S10-partial", FIX_NONE, FIX_NONE, FIX_NONE, FIX_NONE },
	};
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *pattern = xasprintf(SYNTHETIC "%s*", cases[i].file);
		glob_t found = { 0 };

		(void)glob(pattern, 0, NULL, &found);
		for (size_t j = 0; j < found.gl_pathc; j++) {
			auto_free char *text = NULL;
			struct err err;
			size_t len;

			assert_int_equal(file_read(found.gl_pathv[j], 1U << 20, &text, &len, &err), 0);
			show(text);
			print_message("%s\n", found.gl_pathv[j] + strlen(SYNTHETIC));
			expect("ADVANCED_PCI_SETTINGS", cases[i].advanced, "");
			expect("MAX_ACC_OUT_READ", cases[i].max, "");
			expect("PCI_WR_ORDERING", cases[i].ordering, "");
			expect("ATS_ENABLED", cases[i].ats, "");
			seen++;
		}
		globfree(&found);
	}
	if (seen == 0)
		skip();
	assert_int_equal(seen, 36);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_card),
		TEST(two_boots_as_it_should_be),
		TEST(firmware_that_shows_it_at_once),
		TEST(a_boot_that_loaded_nothing),
		TEST(firmware_that_reverts),
		TEST(endings_that_no_reboot_answers),
		TEST(half_a_set),
		TEST(said_and_not_stored),
		TEST(what_is_in_effect_cannot_be_read),
		TEST(what_a_card_does_not_have),
		TEST(locked_and_nameless_values),
		TEST(a_card_with_a_mind_of_its_own),
		TEST(unlocking_that_cannot_be),
		TEST(values_go_back_in_reverse_order),
		TEST(life_cycle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
