/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "agent/journal.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "proto/state.pb-c.h"
#include "tests/unit/folder.h"

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define BOOT_C "cccccccc-0000-4000-8000-000000000003"

static char *file; /* The journal, in the test's folder. */

static int
setup(void **state)
{
	if (folder_make(state) != 0)
		return -1;
	file = xasprintf("%s/journal.yaml", (char *)*state);
	return 0;
}

static int
teardown(void **state)
{
	free(steal(&file));
	return folder_remove(state);
}

static struct journal *
opened(const char *boot_id)
{
	struct journal *journal = NULL;
	struct err err = { 0 };

	assert_int_equal(journal_open(file, boot_id, &journal, &err), 0);
	assert_int_equal(err.code, 0);
	assert_string_equal(journal_boot_id(journal), boot_id);
	return journal;
}

/* What a program that starts now finds. */
static void
reopen(struct journal **journal, const char *boot_id)
{
	journal_free(*journal);
	*journal = opened(boot_id);
}

static void
change(struct journal *journal, const char *key, const char *before, const char *want, bool staged)
{
	struct err err = { 0 };

	assert_int_equal(journal_change(journal, "kernel", key, before, want, staged, &err), 0);
}

static void
reboot(struct journal *journal, const char *spec_hash)
{
	struct err err = { 0 };

	assert_int_equal(journal_reboot(journal, spec_hash, "cmdline", &err), 0);
}

/* The file as it is on disk. */
static Gdr__Journal *
on_disk(void)
{
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };
	size_t len;
	auto_free char *text = folder_read(file, &len);

	assert_int_equal(pbtext_parse(&gdr__journal__descriptor, file, text, len, &message, &err), 0);
	return (Gdr__Journal *)message;
}

/* The folder goes, so nothing can be written; and it comes again. */
static void
break_disk(const char *folder)
{
	auto_free char *away = xasprintf("%s.away", folder);

	assert_int_equal(rename(folder, away), 0);
}

static void
mend_disk(const char *folder)
{
	auto_free char *away = xasprintf("%s.away", folder);

	assert_int_equal(rename(away, folder), 0);
}

static void
there_is_nothing_at_first(void **state)
{
	struct journal *journal = opened(BOOT_A);

	assert_null(journal_before(journal, "kernel", "cmdline"));
	assert_false(journal_booted_since(journal, "kernel", "cmdline", "x"));
	assert_int_equal(journal_reboots(journal, "h1"), 0);
	assert_false(journal_came_back(journal));
	journal_settled(journal, "kernel", "cmdline");
	journal_free(journal);
	/* Looking leaves no trace. */
	auto_free char *list = folder_list(*state, "");
	assert_string_equal(list, "");
}

static void
in_memory_only_it_works_all_the_same(void **state)
{
	struct journal *journal = NULL;
	struct err err = { 0 };

	assert_int_equal(journal_open(NULL, BOOT_A, &journal, &err), 0);
	change(journal, "pages", "0", "8", false);
	assert_string_equal(journal_before(journal, "kernel", "pages"), "0");
	reboot(journal, "h1");
	assert_int_equal(journal_reboots(journal, "h1"), 1);
	journal_free(journal);
	auto_free char *list = folder_list(*state, "");
	assert_string_equal(list, "");
	journal_free(NULL);
}

/* The change itself may be what stops the machine, so it is in the file when journal_change() returns. */
static void
a_change_is_on_disk_before_it_is_made(void **state)
{
	struct stat st;
	pid_t pid = fork();
	int status = 0;

	(void)state;
	if (pid == 0) {
		struct journal *journal = NULL;
		struct err err = { 0 };

		(void)journal_open(file, BOOT_A, &journal, &err);
		(void)journal_change(journal, "kernel", "cmdline", "quiet", "quiet iommu=pt", true, &err);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

	auto_pb Gdr__Journal *disk = on_disk();
	assert_int_equal(disk->n_changes, 1);
	assert_string_equal(disk->changes[0]->layer, "kernel");
	assert_string_equal(disk->changes[0]->key, "cmdline");
	assert_string_equal(disk->changes[0]->before, "quiet");
	assert_string_equal(disk->changes[0]->want, "quiet iommu=pt");
	assert_string_equal(disk->changes[0]->boot_id, BOOT_A);
	assert_true(disk->changes[0]->staged);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	struct journal *journal = opened(BOOT_B);
	assert_true(journal_booted_since(journal, "kernel", "cmdline", "quiet iommu=pt"));
	journal_free(journal);
}

static void
the_first_value_of_a_boot_is_kept(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	change(journal, "pages", "0", "8", false);
	change(journal, "pages", "8", "16", false);
	assert_string_equal(journal_before(journal, "kernel", "pages"), "0");
	reopen(&journal, BOOT_A);
	change(journal, "pages", "16", "4", false);
	assert_string_equal(journal_before(journal, "kernel", "pages"), "0");
	assert_null(journal_before(journal, "pci", "pages"));
	/* A boot brings back what was there before us. */
	reopen(&journal, BOOT_B);
	assert_null(journal_before(journal, "kernel", "pages"));
	change(journal, "pages", "2", "4", false);
	assert_string_equal(journal_before(journal, "kernel", "pages"), "2");
	auto_pb Gdr__Journal *disk = on_disk();
	assert_int_equal(disk->n_changes, 1);
	journal_free(journal);
}

static void
staged_and_live_of_one_key_are_apart(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	change(journal, "pages", "0", "8", true);
	assert_null(journal_before(journal, "kernel", "pages"));
	change(journal, "pages", "1", "8", false);
	assert_string_equal(journal_before(journal, "kernel", "pages"), "1");
	reopen(&journal, BOOT_A);
	auto_pb Gdr__Journal *disk = on_disk();
	assert_int_equal(disk->n_changes, 2);
	/* Settled is said of what was staged: the value before a live change is still to be known. */
	journal_settled(journal, "kernel", "pages");
	assert_string_equal(journal_before(journal, "kernel", "pages"), "1");
	reopen(&journal, BOOT_B);
	assert_false(journal_booted_since(journal, "kernel", "pages", "8"));
	journal_free(journal);
}

static void
a_boot_without_what_was_staged_is_told_apart(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	change(journal, "cmdline", "quiet", "iommu=pt", true);
	assert_false(journal_booted_since(journal, "kernel", "cmdline", "iommu=pt"));
	reopen(&journal, BOOT_A);
	assert_false(journal_booted_since(journal, "kernel", "cmdline", "iommu=pt"));
	reopen(&journal, BOOT_B);
	assert_true(journal_booted_since(journal, "kernel", "cmdline", "iommu=pt"));
	assert_false(journal_booted_since(journal, "kernel", "cmdline", "something else"));
	assert_false(journal_booted_since(journal, "pci", "cmdline", "iommu=pt"));
	/* Staged anew, it waits for a boot again. */
	change(journal, "cmdline", "quiet", "iommu=pt", true);
	assert_false(journal_booted_since(journal, "kernel", "cmdline", "iommu=pt"));
	reopen(&journal, BOOT_C);
	assert_true(journal_booted_since(journal, "kernel", "cmdline", "iommu=pt"));
	/* Right at last: forgotten, on disk too. */
	journal_settled(journal, "kernel", "cmdline");
	assert_false(journal_booted_since(journal, "kernel", "cmdline", "iommu=pt"));
	reopen(&journal, BOOT_C);
	assert_false(journal_booted_since(journal, "kernel", "cmdline", "iommu=pt"));
	journal_free(journal);
}

static void
only_the_settled_item_is_forgotten(void **state)
{
	struct journal *journal = opened(BOOT_A);
	char key[8];

	(void)state;
	for (int i = 0; i < 5; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		change(journal, key, "0", "1", true);
	}
	journal_settled(journal, "kernel", "key0");
	journal_settled(journal, "kernel", "key4");
	journal_settled(journal, "kernel", "key4");
	journal_settled(journal, "kernel", "key2");
	reopen(&journal, BOOT_B);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		assert_int_equal(journal_booted_since(journal, "kernel", key, "1"), i == 1 || i == 3);
	}
	journal_free(journal);
}

/* "On disk already" holds only if it got there. */
static void
what_could_not_be_written_is_not_taken_for_written(void **state)
{
	struct journal *journal = opened(BOOT_A);
	struct err err = { 0 };

	break_disk(*state);
	assert_int_equal(journal_change(journal, "kernel", "cmdline", "0", "1", true, &err), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_int_equal(journal_change(journal, "kernel", "cmdline", "0", "1", true, &err), -ENOENT);
	mend_disk(*state);
	assert_int_equal(journal_change(journal, "kernel", "cmdline", "0", "1", true, &err), 0);
	reopen(&journal, BOOT_B);
	assert_true(journal_booted_since(journal, "kernel", "cmdline", "1"));
	journal_free(journal);
}

static void
reboots_are_counted_for_one_content(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	reboot(journal, "h1");
	reopen(&journal, BOOT_B);
	assert_int_equal(journal_reboots(journal, "h1"), 1);
	assert_int_equal(journal_reboots(journal, "h2"), 0);
	reboot(journal, "h1");
	reopen(&journal, BOOT_C);
	assert_int_equal(journal_reboots(journal, "h1"), 2);
	reboot(journal, "h2");
	assert_int_equal(journal_reboots(journal, "h2"), 1);
	assert_int_equal(journal_reboots(journal, "h1"), 0);
	journal_free(journal);
}

/* A reboot that was asked for and does not come is asked for again; it is still one. */
static void
asked_for_twice_in_one_boot_is_one_reboot(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	reboot(journal, "h1");
	reboot(journal, "h1");
	reopen(&journal, BOOT_A);
	reboot(journal, "h1");
	assert_int_equal(journal_reboots(journal, "h1"), 1);
	auto_pb Gdr__Journal *disk = on_disk();
	assert_int_equal(disk->n_reboots, 1);
	journal_free(journal);
}

/* It does not happen without a journal, so it uses up nothing. */
static void
a_reboot_that_could_not_be_written_is_not_counted(void **state)
{
	struct journal *journal = opened(BOOT_A);
	struct err err = { 0 };

	reboot(journal, "h0");
	break_disk(*state);
	for (int i = 0; i < 3; i++)
		assert_int_equal(journal_reboot(journal, "h1", "", &err), -ENOENT);
	assert_int_equal(journal_reboots(journal, "h1"), 0);
	assert_int_equal(journal_reboots(journal, "h0"), 1);
	mend_disk(*state);
	reboot(journal, "h1");
	assert_int_equal(journal_reboots(journal, "h1"), 1);
	auto_pb Gdr__Journal *disk = on_disk();
	assert_int_equal(disk->n_reboots, 2);
	assert_int_equal(disk->reboots_used, 1);
	journal_free(journal);
}

static void
back_from_a_reboot_is_said_once(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	assert_false(journal_came_back(journal));
	reboot(journal, "h1");
	assert_false(journal_came_back(journal));
	reopen(&journal, BOOT_A); /* The agent started again before the machine went down. */
	assert_false(journal_came_back(journal));
	reopen(&journal, BOOT_B);
	assert_true(journal_came_back(journal));
	assert_false(journal_came_back(journal));
	reopen(&journal, BOOT_B);
	assert_false(journal_came_back(journal));
	reopen(&journal, BOOT_C); /* Somebody else's reboot. */
	assert_false(journal_came_back(journal));
	auto_pb Gdr__Journal *disk = on_disk();
	assert_int_equal(disk->n_reboots, 1);
	assert_string_equal(disk->reboots[0]->from, BOOT_A);
	assert_string_equal(disk->reboots[0]->to, BOOT_B);
	assert_string_equal(disk->reboots[0]->why, "cmdline");
	assert_string_equal(disk->reboots[0]->spec_hash, "h1");
	assert_int_equal(strlen(disk->reboots[0]->at), 20);
	journal_free(journal);
}

/* `gdr-agent apply` in the new boot, before the worker runs: the hooks are the worker's. */
static void
who_does_not_ask_does_not_use_it_up(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	reboot(journal, "h1");
	reopen(&journal, BOOT_B);
	change(journal, "pages", "0", "8", false);
	reopen(&journal, BOOT_B);
	assert_true(journal_came_back(journal));
	journal_free(journal);
}

static void
the_oldest_reboot_makes_room(void **state)
{
	struct journal *journal = opened("boot-0");
	char boot[16];

	(void)state;
	for (int i = 0; i < 33; i++) {
		(void)snprintf(boot, sizeof(boot), "boot-%d", i);
		reopen(&journal, boot);
		reboot(journal, "h1");
		auto_pb Gdr__Journal *disk = on_disk();
		assert_int_equal(disk->n_reboots, i < 32 ? i + 1 : 32);
	}
	auto_pb Gdr__Journal *disk = on_disk();
	assert_string_equal(disk->reboots[0]->from, "boot-1");
	assert_string_equal(disk->reboots[31]->from, "boot-32");
	assert_int_equal(journal_reboots(journal, "h1"), 33);
	journal_free(journal);
}

static void
a_longer_list_than_ours_shrinks(void **state)
{
	auto_buf struct buf text = { 0 };

	(void)state;
	buf_puts(&text, "spec_hash: h1\nreboots_used: 4294967295\nreboots:\n");
	for (int i = 0; i < 40; i++)
		buf_printf(&text, "- {from: boot-%d, to: boot-%d}\n", i, i + 1);
	folder_write(file, text.text, text.len);
	struct journal *journal = opened(BOOT_A);
	reboot(journal, "h1");
	/* A count that cannot rise does not start anew. */
	assert_int_equal(journal_reboots(journal, "h1"), UINT32_MAX);
	auto_pb Gdr__Journal *disk = on_disk();
	assert_int_equal(disk->n_reboots, 32);
	assert_string_equal(disk->reboots[31]->from, BOOT_A);
	journal_free(journal);
}

static void
a_damaged_file_is_set_aside(void **state)
{
	static const char *const texts[] = { "changes: [", "changes: 7\n", "no_such_field: 1\n", "\xff\xfe\x01",
					     "{}{}" };
	auto_free char *aside = xasprintf("%s.damaged", file);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct journal *journal = NULL;
		struct err err = { 0 };
		size_t len;

		folder_write(file, texts[i], strlen(texts[i]));
		assert_int_equal(journal_open(file, BOOT_A, &journal, &err), -EBADMSG);
		assert_non_null(strstr(err.msg, aside));
		assert_non_null(strstr(err.msg, file));
		assert_int_equal(access(file, F_OK), -1);
		auto_free char *kept = folder_read(aside, &len);
		assert_string_equal(kept, texts[i]);
		/* It goes on with an empty one. */
		assert_int_equal(journal_reboots(journal, "h1"), 0);
		change(journal, "cmdline", "0", "1", true);
		reopen(&journal, BOOT_B);
		assert_true(journal_booted_since(journal, "kernel", "cmdline", "1"));
		journal_free(journal);
	}
}

static void
an_empty_file_is_an_empty_journal_or_damaged_but_never_fatal(void **state)
{
	static const char *const texts[] = {
		"", "\n", "# nothing\n", "{}\n", "changes: []\n", "changes: [{}]\nreboots: [{}]\n"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct journal *journal = NULL;
		struct err err = { 0 };

		folder_write(file, texts[i], strlen(texts[i]));
		int rc = journal_open(file, BOOT_A, &journal, &err);
		assert_true(rc == 0 || rc == -EBADMSG);
		assert_non_null(journal);
		assert_false(journal_came_back(journal));
		assert_false(journal_booted_since(journal, "", "", ""));
		reboot(journal, "h1");
		journal_free(journal);
	}
}

/* Values are whatever a machine holds: what is written can be read again. */
static void
any_text_survives(void **state)
{
	static const char *const texts[] = { "",
					     " ",
					     "a: b # c",
					     "- x",
					     "\"quoted\" 'twice'",
					     "line\nline",
					     "\ttab\r",
					     "\x01\x1f\x7f",
					     "null",
					     "true",
					     "0x10",
					     "1e3",
					     "{a: [b",
					     "|",
					     "&a *b !c",
					     "%YAML",
					     "---",
					     "h\xc3\xbcgel",
					     "\xe2\x80\xa8",
					     "@`",
					     "ends with space ",
					     ":",
					     "?" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct journal *journal = opened(BOOT_A);
		struct err err = { 0 };

		assert_int_equal(journal_change(journal, "x", texts[i], texts[i], texts[i], false, &err), 0);
		assert_int_equal(journal_change(journal, "x", texts[i], texts[i], texts[i], true, &err), 0);
		assert_int_equal(journal_reboot(journal, texts[i], texts[i], &err), 0);
		reopen(&journal, BOOT_A);
		assert_string_equal(journal_before(journal, "x", texts[i]), texts[i]);
		assert_int_equal(journal_reboots(journal, texts[i]), 1);
		reopen(&journal, BOOT_B);
		assert_true(journal_booted_since(journal, "x", texts[i], texts[i]));
		journal_free(journal);
	}
}

/* A value in Latin-1, as BIOS vendors write them: not as it was, but no damage either. */
static void
bytes_that_are_no_text_do_no_damage(void **state)
{
	struct journal *journal = opened(BOOT_A);

	(void)state;
	change(journal, "vendor", "M\xfcller \xff\xfe", "\x80", true);
	reopen(&journal, BOOT_B);
	reboot(journal, "h1");
	assert_int_equal(journal_reboots(journal, "h1"), 1);
	journal_free(journal);
}

static void
what_was_staged_is_told_from_what_was_meant(void **state)
{
	struct err err = { 0 };
	struct journal *journal = opened(BOOT_A);

	(void)state;
	assert_int_equal(journal_past(journal, "nic", "a", "1"), JOURNAL_NOTHING);
	assert_int_equal(journal_change(journal, "nic", "a", "0", "1", true, &err), 0);
	assert_int_equal(journal_past(journal, "nic", "a", "1"), JOURNAL_THIS_BOOT);
	assert_int_equal(journal_past(journal, "nic", "a", "2"), JOURNAL_NOTHING);
	reopen(&journal, BOOT_B);
	assert_int_equal(journal_past(journal, "nic", "a", "1"), JOURNAL_MEANT);
	assert_true(journal_booted_since(journal, "nic", "a", "1"));
	assert_int_equal(journal_staged(journal, "nic", "a", "0", "1", &err), 0);
	assert_int_equal(journal_past(journal, "nic", "a", "1"), JOURNAL_THIS_BOOT);
	reopen(&journal, BOOT_C);
	assert_int_equal(journal_past(journal, "nic", "a", "1"), JOURNAL_STAGED);
	/* Tried anew, it is only meant again. */
	assert_int_equal(journal_change(journal, "nic", "a", "0", "1", true, &err), 0);
	reopen(&journal, BOOT_A);
	assert_int_equal(journal_past(journal, "nic", "a", "1"), JOURNAL_MEANT);
	assert_int_equal(journal_past(NULL, "nic", "a", "1"), JOURNAL_NOTHING);
	journal_free(journal);
}

static void
the_very_first_value_is_kept(void **state)
{
	const Gdr__Journal__Kept *kept;
	struct err err = { 0 };
	struct journal *journal = opened(BOOT_A);

	(void)state;
	assert_int_equal(journal_keep(journal, "nic", "a", NULL, NULL, true, &err), 0);
	assert_null(journal_kept(journal, "nic", 0));
	assert_int_equal(journal_keep(journal, "nic", "a", "0", NULL, false, &err), 0);
	assert_int_equal(journal_keep(journal, "nic", "b", "1", "a", true, &err), 0);
	assert_int_equal(journal_keep(journal, "other", "a", "9", NULL, false, &err), 0);
	reopen(&journal, BOOT_B);
	assert_int_equal(journal_keep(journal, "nic", "a", "7", NULL, true, &err), 0);
	reopen(&journal, BOOT_B);
	kept = journal_kept(journal, "nic", 0);
	assert_non_null(kept);
	assert_string_equal(kept->value, "0");
	assert_true(kept->restore);
	assert_null(kept->unlock);
	kept = journal_kept(journal, "nic", 1);
	assert_non_null(kept);
	assert_string_equal(kept->unlock, "a");
	assert_null(journal_kept(journal, "nic", 2));
	journal_settled(journal, "nic", "a");
	assert_non_null(journal_kept(journal, "nic", 1));
	journal_forget(journal, "nic", "a");
	journal_forget(journal, "nic", "a");
	reopen(&journal, BOOT_C);
	assert_string_equal(journal_kept(journal, "nic", 0)->key, "b");
	assert_null(journal_kept(journal, "nic", 1));
	journal_free(journal);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(there_is_nothing_at_first),
		TEST(in_memory_only_it_works_all_the_same),
		TEST(a_change_is_on_disk_before_it_is_made),
		TEST(the_first_value_of_a_boot_is_kept),
		TEST(staged_and_live_of_one_key_are_apart),
		TEST(a_boot_without_what_was_staged_is_told_apart),
		TEST(only_the_settled_item_is_forgotten),
		TEST(what_could_not_be_written_is_not_taken_for_written),
		TEST(reboots_are_counted_for_one_content),
		TEST(asked_for_twice_in_one_boot_is_one_reboot),
		TEST(a_reboot_that_could_not_be_written_is_not_counted),
		TEST(back_from_a_reboot_is_said_once),
		TEST(who_does_not_ask_does_not_use_it_up),
		TEST(the_oldest_reboot_makes_room),
		TEST(a_longer_list_than_ours_shrinks),
		TEST(a_damaged_file_is_set_aside),
		TEST(an_empty_file_is_an_empty_journal_or_damaged_but_never_fatal),
		TEST(any_text_survives),
		TEST(bytes_that_are_no_text_do_no_damage),
		TEST(what_was_staged_is_told_from_what_was_meant),
		TEST(the_very_first_value_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
