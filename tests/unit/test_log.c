/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/folder.h"

/* stderr goes to a file during a test; what came of it, the caller frees. */
static int kept = -1;
static char *path;

static int
capture(void **state)
{
	if (folder_make(state) < 0)
		return -1;
	path = xasprintf("%s/stderr", (const char *)*state);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
	(void)fflush(stderr);
	kept = dup(STDERR_FILENO);
	if (fd < 0 || kept < 0 || dup2(fd, STDERR_FILENO) < 0)
		return -1;
	return close(fd);
}

static int
release(void **state)
{
	(void)dup2(kept, STDERR_FILENO);
	close(kept);
	free(path);
	return folder_remove(state);
}

static char *
logged(void)
{
	return folder_read(path, NULL);
}

static void
unknown_formats_are_refused(void **state)
{
	(void)state;
	assert_false(log_init("gdrd", "xml"));
	assert_false(log_init("gdrd", ""));
	assert_true(log_init("gdrd", "auto"));
}

static void
human_lines_have_time_and_program(void **state)
{
	(void)state;
	assert_true(log_init("gdrd", "human"));
	log_warn("%s is lost", "n1");
	auto_free char *text = logged();
	assert_int_equal(strlen(text), strlen("2026-07-28T12:00:00.000Z gdrd: warning: n1 is lost\n"));
	assert_string_equal(text + 24, " gdrd: warning: n1 is lost\n");
	assert_int_equal(text[10], 'T');
}

static void
the_journal_gets_levels(void **state)
{
	(void)state;
	assert_true(log_init("gdrd", "journal"));
	log_error("a");
	log_warn("b");
	log_info("c");
	auto_free char *text = logged();
	assert_string_equal(text, "<3>a\n<4>b\n<6>c\n");
}

static void
nobody_forges_a_line(void **state)
{
	(void)state;
	assert_true(log_init("gdrd", "journal"));
	log_info("node \"%s\"", "x\n<0>gdrd is on fire\x1b[2J");
	auto_free char *text = logged();
	assert_string_equal(text, "<6>node \"x\\x0a<0>gdrd is on fire\\x1b[2J\"\n");
}

static void
json_is_one_object_a_line(void **state)
{
	(void)state;
	assert_true(log_init("gdr-agent", "json"));
	log_error("a \"b\"\n\xff");
	auto_free char *text = logged();
	const char *level = strstr(text, "\", \"level\"");
	assert_non_null(level);
	assert_memory_equal(text, "{\"time\": \"2", 11);
	assert_string_equal(level, "\", \"level\": \"error\", \"program\": \"gdr-agent\", "
				   "\"message\": \"a \\\"b\\\"\\n\xef\xbf\xbd\"}\n");
}

static void
debug_only_if_asked(void **state)
{
	(void)state;
	(void)unsetenv("GDR_DEBUG");
	assert_true(log_init("gdrd", "journal"));
	log_debug("no");
	(void)setenv("GDR_DEBUG", "1", 1);
	assert_true(log_init("gdrd", "journal"));
	log_debug("yes");
	(void)unsetenv("GDR_DEBUG");
	auto_free char *text = logged();
	assert_string_equal(text, "<7>yes\n");
}

static void
a_burst_is_two_lines(void **state)
{
	struct log_burst burst = { 0 };

	(void)state;
	assert_true(log_init("gdrd", "journal"));
	log_burst_tick(&burst); /* No burst: nothing. */
	for (int i = 0; i < 1000; i++)
		log_burst(&burst, "bad frame %d", i);
	log_burst_tick(&burst); /* Not over. */
	auto_free char *first = logged();
	assert_string_equal(first, "<4>bad frame 0\n");

	burst.last_ms -= 2000; /* Last seen 2 s ago, after a second. */
	burst.first_ms = burst.last_ms - 1000;
	log_burst_tick(&burst);
	log_burst_tick(&burst);
	auto_free char *second = logged();
	assert_string_equal(second, "<4>bad frame 0\n<4>bad frame 999 (and 998 more like this in 1 s)\n");
	assert_int_equal(burst.total, 1000);

	log_burst(&burst, "again");
	auto_free char *third = logged();
	assert_string_equal(third + strlen(second), "<4>again\n");
}

static void
a_long_burst_is_counted_every_ten_seconds(void **state)
{
	struct log_burst burst = { 0 };

	(void)state;
	assert_true(log_init("gdrd", "journal"));
	log_burst(&burst, "x");
	log_burst(&burst, "y");
	burst.first_ms -= 10000;
	log_burst(&burst, "z"); /* Says what was, and is itself counted in what follows. */
	log_burst(&burst, "z");
	auto_free char *text = logged();
	assert_string_equal(text, "<4>x\n<4>y\n");
	assert_int_equal(burst.suppressed, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, capture, release)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unknown_formats_are_refused), TEST(human_lines_have_time_and_program),
		TEST(the_journal_gets_levels),     TEST(nobody_forges_a_line),
		TEST(json_is_one_object_a_line),   TEST(debug_only_if_asked),
		TEST(a_burst_is_two_lines),        TEST(a_long_burst_is_counted_every_ten_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
