/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/journal.h"
#include "agent/machine/host.h"
#include "agent/program.h"
#include "agent/reboot.h"
#include "tests/unit/folder.h"

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"

/* --- the clock is the test's: every clock_gettime() of this program comes here --------------------------- */

static time_t later;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	ts->tv_sec += later;
	return rc;
}

/* --- a host of two folders: hooks, and a systemctl that writes down what it is told ------------------------ */

static char *folder;
static char *hooks;
static char *log_file; /* What ran, one line each. */
static Gdr__AgentConfig config;
static Gdr__AgentConfig__ToolsEntry tool = GDR__AGENT_CONFIG__TOOLS_ENTRY__INIT;
static Gdr__AgentConfig__ToolsEntry *tools[] = { &tool };
static struct host *host;
static struct journal *journal;
static struct reboot *reboot;
static Gdr__Report *report;
static Gdr__Desired desired;

static void
put_script(const char *path, mode_t mode, const char *does)
{
	auto_free char *text = xasprintf("#!/bin/sh\necho \"${0##*/} $*\" >>%s\n%s\n", log_file, does);

	folder_write(path, text, strlen(text));
	assert_int_equal(chmod(path, mode), 0);
}

static void
put_hook(const char *name, mode_t mode, const char *does)
{
	auto_free char *path = xasprintf("%s/%s", hooks, name);

	put_script(path, mode, does);
}

static void
put_systemctl(const char *does)
{
	put_script(tool.value, 0755, does);
}

/* Compares what ran with 'text', and forgets it. */
static void
assert_ran(const char *text)
{
	auto_free char *have = access(log_file, F_OK) == 0 ? folder_read(log_file, NULL) : xstrdup("");

	assert_string_equal(have, text);
	(void)unlink(log_file);
}

static void
start(const char *boot_id)
{
	auto_free char *path = xasprintf("%s/state/journal.yaml", folder);
	struct err err = { 0 };

	reboot_close(reboot);
	journal_free(journal);
	assert_int_equal(journal_open(path, boot_id, &journal, &err), 0);
	reboot = reboot_open(&gdr_agent, host, journal, &config);
}

static int
setup(void **state)
{
	if (folder_make(state) != 0)
		return -1;
	folder = *state;
	hooks = xasprintf("%s/hooks.d", folder);
	log_file = xasprintf("%s/log", folder);
	auto_free char *states = xasprintf("%s/state", folder);
	assert_int_equal(mkdir(hooks, 0755), 0);
	assert_int_equal(mkdir(states, 0755), 0);
	later = 0;
	tool.key = xstrdup("systemctl");
	tool.value = xasprintf("%s/systemctl", folder);
	gdr__agent_config__init(&config);
	config.tools = tools;
	config.n_tools = 1;
	config.hooks = hooks;
	put_systemctl("");
	host = host_open(folder, &config);
	start(BOOT_A);
	gdr__desired__init(&desired);
	return 0;
}

static int
teardown(void **state)
{
	reboot_close(steal(&reboot));
	journal_free(steal(&journal));
	host_free(steal(&host));
	free(steal(&tool.key));
	free(steal(&tool.value));
	free(steal(&hooks));
	free(steal(&log_file));
	if (report)
		gdr__report__free_unpacked(steal(&report), NULL);
	return folder_remove(state);
}

/* --- one pass of the worker ---------------------------------------------------------------------------------- */

static char boot_a[] = BOOT_A;
static char boot_b[] = BOOT_B;
static char hash_1[] = "1111";

static void
want(Gdr__Mode mode, char *may_reboot_from, char *leave_boot)
{
	gdr__desired__init(&desired);
	desired.has_mode = true;
	desired.mode = mode;
	desired.spec_hash = hash_1;
	desired.may_reboot_from = may_reboot_from;
	desired.leave_boot = leave_boot;
}

static bool
judge(Gdr__Outcome outcome)
{
	if (report)
		gdr__report__free_unpacked(report, NULL);
	report = xcalloc(1, sizeof(*report));
	gdr__report__init(report);
	report->has_outcome = true;
	report->outcome = outcome;
	report->why = xstrdup("kernel: cmdline");
	return reboot_judge(reboot, report, &desired);
}

static int
go(struct err *err)
{
	*err = (struct err){ 0 };
	return reboot_go(reboot, report, &desired, err);
}

#define ENFORCE GDR__MODE__MODE_ENFORCE
#define AUDIT   GDR__MODE__MODE_AUDIT
#define HOLD    GDR__MODE__MODE_HOLD
#define SETTLED GDR__OUTCOME__OUTCOME_SETTLED
#define WORKING GDR__OUTCOME__OUTCOME_WORKING
#define REBOOT  GDR__OUTCOME__OUTCOME_WANTS_REBOOT
#define STUCK   GDR__OUTCOME__OUTCOME_STUCK

/* --- when it may ------------------------------------------------------------------------------------------------ */

static void
only_with_a_grant_for_this_very_boot(void **state)
{
	(void)state;
	want(ENFORCE, NULL, NULL);
	assert_false(judge(REBOOT));
	assert_string_equal(report->why, "kernel: cmdline");
	desired.may_reboot_from = boot_b;
	assert_false(judge(REBOOT));
	desired.may_reboot_from = (char[]){ "" };
	assert_false(judge(REBOOT));
	desired.may_reboot_from = (char[]){ "aaaaaaaa" };
	assert_false(judge(REBOOT));
	desired.may_reboot_from = boot_a;
	assert_true(judge(REBOOT));
	assert_string_equal(report->why, "kernel: cmdline");
	/* The same in the next boot: the grant is void. */
	start(BOOT_B);
	assert_false(judge(REBOOT));
}

static void
only_if_it_is_wanted(void **state)
{
	(void)state;
	want(ENFORCE, boot_a, NULL);
	assert_false(judge(SETTLED));
	assert_false(judge(WORKING));
	assert_false(judge(STUCK));
	assert_int_equal(report->outcome, STUCK);
	assert_true(judge(REBOOT));
	desired.has_mode = false; /* Enforce is the default. */
	assert_true(judge(REBOOT));
	report->outcome = REBOOT;
	assert_false(reboot_judge(reboot, report, NULL));
}

static void
audit_and_hold_do_not_reboot(void **state)
{
	(void)state;
	want(AUDIT, boot_a, NULL);
	assert_false(judge(REBOOT));
	want(HOLD, boot_a, NULL);
	assert_false(judge(REBOOT));
}

static void
an_operator_may_end_a_boot_but_not_in_hold(void **state)
{
	static const Gdr__Outcome outcomes[] = { SETTLED, WORKING, REBOOT, STUCK };
	static const Gdr__Mode modes[] = { ENFORCE, AUDIT };

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		/* Said, so that the controller grants it; and not done before. */
		want(modes[i / 4], NULL, boot_a);
		assert_false(judge(outcomes[i % 4]));
		assert_int_equal(report->outcome, REBOOT);
		assert_string_equal(report->why, "an operator asked for a reboot");
		want(modes[i / 4], boot_b, boot_a);
		assert_false(judge(outcomes[i % 4]));
		want(modes[i / 4], boot_a, boot_a);
		assert_true(judge(outcomes[i % 4]));
	}
	want(HOLD, boot_a, boot_a);
	assert_false(judge(SETTLED));
	assert_int_equal(report->outcome, SETTLED);
	/* Of another boot it is no concern of this one. */
	want(ENFORCE, boot_a, boot_b);
	assert_false(judge(SETTLED));
	assert_int_equal(report->outcome, SETTLED);
}

/* --- doing it ----------------------------------------------------------------------------------------------------- */

static void
hooks_then_journal_then_systemctl(void **state)
{
	struct err err;

	(void)state;
	/* Each step finds what was before it. */
	put_hook("20-second", 0755, "test \"$1\" = after-reboot || test ! -e $GDR_ROOT/state/journal.yaml");
	put_hook("10-first", 0755, "");
	put_hook("30-not-executable", 0644, "");
	put_systemctl("grep -q 'from: \"*" BOOT_A "' $GDR_ROOT/state/journal.yaml || exit 1");
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	assert_ran("10-first before-reboot\n20-second before-reboot\nsystemctl reboot\n");
	assert_int_equal(journal_reboots(journal, "1111"), 1);
	/* And after it. */
	start(BOOT_B);
	reboot_came_back(reboot);
	assert_ran("10-first after-reboot\n20-second after-reboot\n");
	reboot_came_back(reboot);
	start(BOOT_B);
	reboot_came_back(reboot);
	assert_ran("");
}

static void
a_hook_that_others_may_change_is_not_run(void **state)
{
	struct err err;

	(void)state;
	put_hook("10-anybodys", 0757, "");
	put_hook("20-groups", 0775, "");
	put_hook("30-ours", 0755, "");
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	assert_ran("30-ours before-reboot\nsystemctl reboot\n");
}

static void
without_hooks_it_goes_too(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(rmdir(hooks), 0);
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	assert_ran("systemctl reboot\n");
}

static void
once_a_grant(void **state)
{
	struct err err;

	(void)state;
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	for (int i = 0; i < 3; i++) {
		assert_false(judge(REBOOT));
		assert_int_equal(report->outcome, REBOOT);
		assert_string_equal(report->why, "the reboot was asked for and has not come");
	}
	later = 298;
	assert_false(judge(REBOOT));
	/* It has not come: something swallowed it. */
	later = 301;
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	later = 302;
	assert_false(judge(REBOOT));
	assert_ran("systemctl reboot\nsystemctl reboot\n");
	assert_int_equal(journal_reboots(journal, "1111"), 1);
}

static void
a_hook_that_fails_postpones_and_is_named(void **state)
{
	struct err err;

	(void)state;
	put_hook("10-drain", 0755, "echo 'a tenant is on it' >&2; test -e $GDR_ROOT/drained");
	put_hook("20-later", 0755, "");
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_int_not_equal(go(&err), 0);
	assert_non_null(strstr(err.msg, "10-drain"));
	assert_ran("10-drain before-reboot\n");
	assert_int_equal(journal_reboots(journal, "1111"), 0);
	/* The next pass says so and tries again. */
	assert_true(judge(REBOOT));
	assert_int_equal(report->outcome, REBOOT);
	assert_non_null(strstr(report->why, "postponed: hook: "));
	assert_non_null(strstr(report->why, "10-drain"));
	assert_non_null(strstr(report->why, "a tenant is on it"));
	assert_int_not_equal(go(&err), 0);
	assert_ran("10-drain before-reboot\n");

	auto_free char *drained = xasprintf("%s/drained", folder);
	folder_write(drained, "", 0);
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	assert_ran("10-drain before-reboot\n20-later before-reboot\nsystemctl reboot\n");
	assert_false(judge(REBOOT));
	assert_string_equal(report->why, "the reboot was asked for and has not come");
	/* What it was for is what the journal tells, not what stood in its way. */
	auto_free char *path = xasprintf("%s/state/journal.yaml", folder);
	auto_free char *text = folder_read(path, NULL);
	assert_non_null(strstr(text, "kernel: cmdline"));
	assert_null(strstr(text, "postponed"));
}

static void
a_grant_that_is_taken_back_ends_the_matter(void **state)
{
	struct err err;

	(void)state;
	put_hook("10-drain", 0755, "exit 1");
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_int_not_equal(go(&err), 0);
	want(ENFORCE, NULL, NULL);
	assert_false(judge(REBOOT));
	assert_string_equal(report->why, "kernel: cmdline");
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_string_equal(report->why, "kernel: cmdline");
}

/* logind refuses, because of an inhibitor for example: the reason is what is reported, and no reboot is charged
 * a second time. */
static void
a_refused_reboot_says_why_and_waits(void **state)
{
	struct err err;

	(void)state;
	put_systemctl("echo 'Operation inhibited by \"backup\"' >&2; exit 1");
	want(ENFORCE, boot_a, NULL);
	for (int i = 0; i < 4; i++) {
		assert_true(judge(REBOOT));
		assert_int_not_equal(go(&err), 0);
		assert_false(judge(REBOOT));
		assert_non_null(strstr(report->why, "Operation inhibited by"));
		later += 301;
	}
	assert_ran("systemctl reboot\nsystemctl reboot\nsystemctl reboot\nsystemctl reboot\n");
	assert_int_equal(journal_reboots(journal, "1111"), 1);
}

static void
without_a_journal_there_is_no_reboot(void **state)
{
	auto_free char *from = xasprintf("%s/state", folder);
	auto_free char *to = xasprintf("%s/away", folder);
	struct err err;

	(void)state;
	assert_int_equal(rename(from, to), 0);
	want(ENFORCE, boot_a, NULL);
	for (int i = 0; i < 4; i++) {
		assert_true(judge(REBOOT));
		assert_int_not_equal(go(&err), 0);
	}
	assert_ran("");
	assert_true(judge(REBOOT));
	assert_non_null(strstr(report->why, "not without a journal: "));
	assert_int_equal(journal_reboots(journal, "1111"), 0);
}

static void
without_systemctl_it_is_said(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(unlink(tool.value), 0);
	want(ENFORCE, boot_a, NULL);
	assert_true(judge(REBOOT));
	assert_int_not_equal(go(&err), 0);
	assert_false(judge(REBOOT));
	assert_non_null(strstr(report->why, "the reboot failed: "));
}

static void
an_operators_reboot_is_not_charged(void **state)
{
	struct err err;

	(void)state;
	want(ENFORCE, boot_a, boot_a);
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	assert_int_equal(journal_reboots(journal, "1111"), 0);
	start(BOOT_B);
	/* leave_boot named the boot before: this one is charged. */
	want(ENFORCE, boot_b, boot_a);
	assert_true(judge(REBOOT));
	assert_int_equal(go(&err), 0);
	assert_int_equal(journal_reboots(journal, "1111"), 1);
	assert_ran("systemctl reboot\nsystemctl reboot\n");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_with_a_grant_for_this_very_boot),
		TEST(only_if_it_is_wanted),
		TEST(audit_and_hold_do_not_reboot),
		TEST(an_operator_may_end_a_boot_but_not_in_hold),
		TEST(hooks_then_journal_then_systemctl),
		TEST(a_hook_that_others_may_change_is_not_run),
		TEST(without_hooks_it_goes_too),
		TEST(once_a_grant),
		TEST(a_hook_that_fails_postpones_and_is_named),
		TEST(a_grant_that_is_taken_back_ends_the_matter),
		TEST(a_refused_reboot_says_why_and_waits),
		TEST(without_a_journal_there_is_no_reboot),
		TEST(without_systemctl_it_is_said),
		TEST(an_operators_reboot_is_not_charged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
