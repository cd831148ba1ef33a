/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "tests/unit/tree.h"

static struct host *host;
static char tool_name[] = "tool";
static char tool_file[80];
static Gdr__AgentConfig__ToolsEntry entry = GDR__AGENT_CONFIG__TOOLS_ENTRY__INIT;
static Gdr__AgentConfig__ToolsEntry *entries[] = { &entry };
static Gdr__AgentConfig config;

static int
setup(void **state)
{
	(void)state;
	tree_make();
	gdr__agent_config__init(&config);
	(void)snprintf(tool_file, sizeof(tool_file), "%s/opt/tool", tree);
	entry.key = tool_name;
	entry.value = tool_file;
	config.tools = entries;
	config.n_tools = 1;
	host = host_open(tree, &config);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	host_free(host);
	tree_drop();
	return 0;
}

static double
seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
reads_text_lines_and_numbers(void **state)
{
	auto_free char *text = NULL;
	auto_free char *line = NULL;
	uint64_t number = 7;
	size_t len = 0;
	struct err err = { 0 };

	(void)state;
	put("/a", "1048576 \n");
	assert_int_equal(host_read(host, "/a", &text, &len, &err), 0);
	assert_string_equal(text, "1048576 \n");
	assert_int_equal(len, 9);
	assert_int_equal(host_read_line(host, "/a", &line, &err), 0);
	assert_string_equal(line, "1048576");
	assert_int_equal(host_read_u64(host, "/a", &number, &err), 0);
	assert_int_equal(number, 1048576);
	assert_int_equal(err.code, 0);
}

static void
wrong_numbers_name_the_file(void **state)
{
	const char *wrong[] = { "", "\n", "lots\n", "-1\n", "+1\n", " 1\n", "1x\n", "99999999999999999999\n" };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint64_t number = 7;

		put("/n", wrong[i]);
		assert_int_equal(host_read_u64(host, "/n", &number, &err), -EBADMSG);
		assert_int_equal(number, 7);
		assert_ptr_equal(strstr(err.msg, "/n: "), err.msg);
	}
}

static void
what_is_no_file_or_too_big_is_an_error(void **state)
{
	auto_free char *fifo = tree_path("/fifo");
	auto_free char *big = xcalloc(1, (4U << 20) + 1);
	char *text = NULL;
	struct err err = { 0 };

	(void)state;
	put("/d/f", "");
	assert_int_equal(mkfifo(fifo, 0644), 0);
	put_bytes("/big", big, (4U << 20) + 1);
	assert_int_equal(host_read(host, "/absent", &text, NULL, &err), -ENOENT);
	assert_string_equal(err.msg, "/absent: No such file or directory");
	assert_int_equal(host_read(host, "/d", &text, NULL, &err), -EINVAL);
	assert_int_equal(host_read(host, "/fifo", &text, NULL, &err), -EINVAL);
	assert_int_equal(host_read(host, "/big", &text, NULL, &err), -EFBIG);
	assert_null(text);
	assert_int_equal(host_write(host, "/absent", "x", &err), -ENOENT);
	assert_int_not_equal(host_write(host, "/d", "x", &err), 0);
}

static void
links_stay_inside_the_root(void **state)
{
	auto_free char *text = NULL;
	auto_free char *secret = NULL;
	auto_free char *name = NULL;
	struct err err = { 0 };

	(void)state;
	put("/etc/inside", "in\n");
	put_link("/abs", "/etc/inside");
	put_link("/up", "../../../../../../../../etc/inside");
	put_link("/out", "/etc/hostname");
	put_link("/dir/escape", "../../../../../../../../tmp");

	assert_int_equal(host_read_line(host, "/abs", &text, &err), 0);
	assert_string_equal(text, "in");
	free(steal(&text));
	assert_int_equal(host_read_line(host, "/up", &text, &err), 0);
	assert_string_equal(text, "in");
	assert_int_equal(host_read(host, "/out", &secret, NULL, &err), -ENOENT);
	assert_int_equal(host_read(host, "/../../../../../../../../etc/passwd", &secret, NULL, &err), -ENOENT);
	assert_false(host_exists(host, "/out"));
	assert_int_equal(host_replace(host, "/dir/escape/gdr-escaped", "x", 0644, &err), -ENOENT);
	name = host_link_name(host, "/out");
	assert_string_equal(name, "hostname");
}

static void
path_for_libraries_refuses_what_leaves_the_root(void **state)
{
	auto_free char *inside = NULL;
	auto_free char *want = tree_path("/sys/a");

	(void)state;
	put("/sys/a", "");
	put("/etc/hostname", "other\n");
	put_link("/rel", "sys/a");
	put_link("/abs", "/etc/hostname");
	inside = host_path(host, "/sys/a");
	assert_string_equal(inside, want);
	free(steal(&inside));
	inside = host_path(host, "/rel");
	assert_non_null(inside);
	/* A library would follow it to this machine's own /etc/hostname. */
	assert_null(host_path(host, "/abs"));
	assert_null(host_path(host, "/absent"));
}

static void
link_names(void **state)
{
	auto_free char *driver = NULL;

	(void)state;
	put_link("/sys/d/driver", "../../bus/pci/drivers/vfio-pci");
	put("/sys/d/file", "");
	driver = host_link_name(host, "/sys/d/driver");
	assert_string_equal(driver, "vfio-pci");
	assert_null(host_link_name(host, "/sys/d/file"));
	assert_null(host_link_name(host, "/sys/d/absent"));
}

static void
globs_in_order_of_number(void **state)
{
	auto_strv char **v = NULL;
	auto_strv char **none = NULL;

	(void)state;
	put("/sys/node/node10/x", "");
	put("/sys/node/node2/x", "");
	put("/sys/node/node0/x", "");
	put("/sys/node/node7/y", "");
	put("/sys/node/.node1/x", "");
	v = host_glob(host, "/sys/node/node[0-9]*/x");
	assert_string_equal(v[0], "/sys/node/node0/x");
	assert_string_equal(v[1], "/sys/node/node2/x");
	assert_string_equal(v[2], "/sys/node/node10/x");
	assert_null(v[3]);
	none = host_glob(host, "/nowhere/*");
	assert_null(none[0]);
}

static void
writes_and_replaces(void **state)
{
	auto_free char *real = tree_path("/etc/a/b/new.conf");
	struct stat st;
	struct err err = { 0 };

	(void)state;
	put("/sys/nr", "12345\n");
	assert_int_equal(host_write(host, "/sys/nr", "7", &err), 0);
	assert_file("/sys/nr", "7");

	assert_int_equal(host_replace(host, "/etc/a/b/new.conf", "one\n", 0640, &err), 0);
	assert_file("/etc/a/b/new.conf", "one\n");
	assert_int_equal(stat(real, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(chmod(real, 0600), 0);
	assert_int_equal(host_replace(host, "/etc/a/b/new.conf", "two\n", 0644, &err), 0);
	assert_file("/etc/a/b/new.conf", "two\n");
	assert_int_equal(stat(real, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	auto_strv char **left = host_glob(host, "/etc/a/b/.*gdrfleet*");
	assert_null(left[0]);
	assert_int_equal(host_remove(host, "/etc/a/b/new.conf", &err), 0);
	assert_int_equal(host_remove(host, "/etc/a/b/new.conf", &err), 0);
	assert_int_equal(host_remove(host, "/no/such/folder", &err), 0);
	assert_false(host_exists(host, "/etc/a/b/new.conf"));
	assert_int_equal(host_replace(host, "/sys/nr/below", "x", 0644, &err), -ENOTDIR);
}

static void
no_root_fails_plainly(void **state)
{
	struct host *none = host_open("/nonexistent-root", NULL);
	auto_strv char **v = host_glob(none, "/*");
	char *text = NULL;
	struct err err = { 0 };

	(void)state;
	assert_null(v[0]);
	assert_int_equal(host_read(none, "/a", &text, NULL, &err), -ENOENT);
	assert_int_equal(host_replace(none, "/a", "x", 0644, &err), -ENOENT);
	host_free(none);
	host_free(NULL);
}

static void
only_named_tools_run_in_a_root(void **state)
{
	const char *const argv[] = { "true", NULL };
	struct host_result result;
	struct err err = { 0 };
	auto_free char *on_machine = NULL;
	struct host *machine = host_open("/", NULL);

	(void)state;
	assert_null(host_tool(host, "true"));
	assert_null(host_tool(host, "tool")); /* Named, but not there. */
	assert_int_equal(host_run(host, argv, 0, &result, &err), -ENOENT);
	assert_string_equal(err.msg, "no program true on this host");
	on_machine = host_tool(machine, "true");
	assert_non_null(on_machine);
	host_free(machine);
}

static void
output_status_and_environment(void **state)
{
	const char *const argv[] = { "tool", "a b", "$HOME", NULL };
	struct host_result result;
	struct err err = { 0 };
	auto_free char *want = xasprintf("a b|$HOME|%s|C||0\n", tree);

	(void)state;
	put_script("/opt/tool", "#!/bin/sh\necho \"$1|$2|$GDR_ROOT|$LC_ALL|$HOME|$(wc -c)\"\necho oops >&2\nexit 3\n");
	assert_int_equal(host_run(host, argv, 0, &result, &err), 0);
	assert_int_equal(result.status, 3);
	assert_false(result.timed_out);
	assert_string_equal(result.out, want);
	assert_string_equal(result.err, "oops\n");
	host_result_free(&result);

	assert_int_equal(host_do(host, argv, &err), -EIO);
	assert_string_equal(err.msg, "tool: exit status 3: oops");
	put_script("/opt/tool", "#!/bin/sh\nkill -TERM $$\n");
	assert_int_equal(host_run(host, argv, 0, &result, &err), 0);
	assert_int_equal(result.status, 128 + SIGTERM);
	host_result_free(&result);
	put_script("/opt/tool", "#!/bin/sh\nexit 0\n");
	assert_int_equal(host_do(host, argv, &err), 0);
	put_script("/opt/tool", "#!/no/such/interpreter\n");
	assert_int_equal(host_run(host, argv, 0, &result, &err), -ENOENT);
}

static void
a_hung_tool_is_killed_with_its_children(void **state)
{
	const char *const argv[] = { "tool", NULL };
	struct host_result result;
	struct err err = { 0 };
	double begin = seconds();

	(void)state;
	put_script("/opt/tool", "#!/bin/sh\necho before\nsleep 60 &\necho $! > \"$GDR_ROOT/pid\"\nsleep 60\n");
	assert_int_equal(host_run(host, argv, 300, &result, &err), 0);
	assert_true(result.timed_out);
	assert_int_equal(result.status, 128 + SIGKILL);
	assert_string_equal(result.out, "before\n");
	assert_true(seconds() - begin < 5);
	host_result_free(&result);

	auto_free char *text = got("/pid");
	auto_free char *stat_file = xasprintf("/proc/%d/stat", (int)strtol(text, NULL, 10));
	char line[256] = "";
	for (int i = 0; i < 100; i++) { /* Gone, or a zombie that init has yet to reap. */
		FILE *f = fopen(stat_file, "r");
		if (!f)
			return;
		assert_non_null(fgets(line, sizeof(line), f));
		(void)fclose(f);
		if (strstr(line, ") Z"))
			return;
		(void)usleep(20000);
	}
	fail_msg("the grandchild lives: %s", line);
}

static void
a_grandchild_that_holds_the_pipe_is_not_waited_for(void **state)
{
	const char *const argv[] = { "tool", NULL };
	struct host_result result;
	struct err err = { 0 };
	double begin = seconds();

	(void)state;
	put_script("/opt/tool", "#!/bin/sh\n(sleep 20; echo late) &\necho done\n");
	assert_int_equal(host_run(host, argv, 10000, &result, &err), 0);
	assert_false(result.timed_out);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "done\n");
	assert_true(seconds() - begin < 5);
	host_result_free(&result);
}

static void
output_is_capped(void **state)
{
	const char *const argv[] = { "tool", NULL };
	struct host_result result;
	struct err err = { 0 };

	(void)state;
	put_script("/opt/tool", "#!/bin/sh\nhead -c 10000000 /dev/zero | tr '\\0' x\necho end >&2\n");
	assert_int_equal(host_run(host, argv, 20000, &result, &err), 0);
	assert_int_equal(result.status, 0);
	assert_int_equal(strlen(result.out), 1U << 20);
	assert_string_equal(result.err, "end\n");
	host_result_free(&result);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reads_text_lines_and_numbers),
		TEST(wrong_numbers_name_the_file),
		TEST(what_is_no_file_or_too_big_is_an_error),
		TEST(links_stay_inside_the_root),
		TEST(path_for_libraries_refuses_what_leaves_the_root),
		TEST(link_names),
		TEST(globs_in_order_of_number),
		TEST(writes_and_replaces),
		TEST(no_root_fails_plainly),
		TEST(only_named_tools_run_in_a_root),
		TEST(output_status_and_environment),
		TEST(a_hung_tool_is_killed_with_its_children),
		TEST(a_grandchild_that_holds_the_pipe_is_not_waited_for),
		TEST(output_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
