/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/wait.h>

#include "tests/unit/folder.h"

static char *
in(void **state, const char *name)
{
	return xasprintf("%s/%s", (const char *)*state, name);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
reads_up_to_the_limit(void **state)
{
	auto_free char *path = in(state, "f");
	auto_free char *data = NULL;
	auto_free char *more = NULL;
	struct err err = { 0 };
	size_t len = 99;

	folder_write(path, "ab\0de", 5);
	assert_int_equal(file_read(path, 5, &data, &len, &err), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "ab\0de", 6);
	assert_int_equal(file_read(path, 4, &more, &len, &err), -EFBIG);
	assert_non_null(strstr(err.msg, "larger than 4 bytes"));
	assert_null(more);
}

static void
reads_more_than_one_chunk(void **state)
{
	auto_free char *path = in(state, "f");
	auto_free char *big = xcalloc(1, 100000);
	auto_free char *data = NULL;
	struct err err = { 0 };
	size_t len;

	for (size_t i = 0; i < 100000; i++)
		big[i] = (char)(i * 7 + i / 251);
	folder_write(path, big, 100000);
	assert_int_equal(file_read(path, 100000, &data, &len, &err), 0);
	assert_int_equal(len, 100000);
	assert_memory_equal(data, big, len);
}

/* Files of /proc say that they are empty. */
static void
reads_files_that_do_not_know_their_size(void **state)
{
	auto_free char *data = NULL;
	struct err err = { 0 };
	size_t len = 0;

	(void)state;
	assert_int_equal(file_read("/proc/self/status", 1 << 20, &data, &len, &err), 0);
	assert_true(len > 100);
}

static void
an_empty_file_is_an_empty_text(void **state)
{
	auto_free char *path = in(state, "f");
	auto_free char *data = NULL;
	struct err err = { 0 };
	size_t len = 1;

	folder_write(path, "", 0);
	assert_int_equal(file_read(path, 0, &data, &len, &err), 0);
	assert_int_equal(len, 0);
	assert_string_equal(data, "");
}

static void
reads_nothing_but_regular_files(void **state)
{
	auto_free char *target = in(state, "target");
	auto_free char *link = in(state, "link");
	auto_free char *fifo = in(state, "fifo");
	char *data = NULL;
	struct err err = { 0 };

	folder_write(target, "x", 1);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(file_read(link, 10, &data, NULL, &err), -ELOOP);
	assert_non_null(strstr(err.msg, "is a symbolic link"));
	assert_int_equal(file_read(fifo, 10, &data, NULL, &err), -EINVAL); /* And does not wait for a writer. */
	assert_non_null(strstr(err.msg, "is not a regular file"));
	assert_int_equal(file_read(*state, 10, &data, NULL, &err), -EINVAL);
	assert_int_equal(file_read("/nonexistent/f", 10, &data, NULL, &err), -ENOENT);
	assert_string_equal(err.msg, "/nonexistent/f: open: No such file or directory");
	assert_null(data);
}

static void
replaces_whole_and_with_its_mode(void **state)
{
	auto_free char *path = in(state, "f");
	auto_free char *data = NULL;
	auto_free char *names = NULL;
	struct err err = { 0 };
	mode_t mask = umask(077);

	assert_int_equal(file_replace(path, "first, and longer", 17, 0644, &err), 0);
	(void)umask(mask);
	assert_int_equal(mode_of(path), 0644);
	assert_int_equal(file_replace(path, "second", 6, 0600, &err), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(file_read(path, 100, &data, NULL, &err), 0);
	assert_string_equal(data, "second");
	names = folder_list(*state, "");
	assert_string_equal(names, "f");
}

/* Who has the old file open reads the old text: it was never written to. */
static void
replacing_leaves_the_old_file_alone(void **state)
{
	auto_free char *path = in(state, "f");
	struct err err = { 0 };
	char text[8] = "";

	folder_write(path, "old", 3);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_replace(path, "newer", 5, 0644, &err), 0);
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 3);
	assert_string_equal(text, "old");
}

static size_t
count_names(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, NULL);

	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return (size_t)n;
}

static void
a_failed_replacement_leaves_nothing(void **state)
{
	auto_free char *path = in(state, "folder");
	auto_free char *missing = in(state, "no/f");
	struct err err = { 0 };

	assert_int_equal(mkdir(path, 0700), 0);
	size_t before = count_names(*state);
	assert_true(file_replace(path, "x", 1, 0644, &err) < 0); /* A file never takes a folder's place. */
	assert_non_null(strstr(err.msg, "/folder: rename: "));
	assert_int_equal(count_names(*state), before);
	assert_int_equal(file_replace(missing, "x", 1, 0644, &err), -ENOENT);
}

static void
replacing_a_link_replaces_the_link(void **state)
{
	auto_free char *target = in(state, "target");
	auto_free char *link = in(state, "link");
	auto_free char *data = NULL;
	struct err err = { 0 };
	struct stat st;

	folder_write(target, "kept", 4);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(file_replace(link, "new", 3, 0644, &err), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(file_read(target, 10, &data, NULL, &err), 0);
	assert_string_equal(data, "kept");
}

static void
mkdirs_makes_what_is_missing(void **state)
{
	auto_free char *deep = in(state, "a/b//c/");
	auto_free char *a = in(state, "a");
	auto_free char *c = in(state, "a/b/c");
	struct err err = { 0 };
	mode_t mask = umask(077);

	assert_int_equal(file_mkdirs(deep, 0755, &err), 0);
	(void)umask(mask);
	assert_int_equal(mode_of(a), 0755);
	assert_int_equal(mode_of(c), 0755);
	assert_int_equal(file_mkdirs(c, 0700, &err), 0); /* What is there keeps its mode. */
	assert_int_equal(mode_of(c), 0755);
	assert_int_equal(file_mkdirs("/", 0700, &err), 0);
}

static void
mkdirs_stops_at_a_file(void **state)
{
	auto_free char *file = in(state, "f");
	auto_free char *below = in(state, "f/g");
	struct err err = { 0 };

	folder_write(file, "", 0);
	assert_int_equal(file_mkdirs(file, 0755, &err), -ENOTDIR);
	assert_true(file_mkdirs(below, 0755, &err) < 0);
}

static void
a_lock_is_held_once(void **state)
{
	auto_free char *path = in(state, "lock");
	auto_free char *held = xasprintf("held by pid %ld", (long)getpid());
	struct err err = { 0 };
	int first = -1;
	int second = -1;

	assert_int_equal(file_lock(path, &first, &err), 0);
	assert_int_equal(file_lock(path, &second, &err), -EBUSY);
	assert_non_null(strstr(err.msg, held));
	assert_int_equal(second, -1);
	close(first);
	assert_int_equal(file_lock(path, &second, &err), 0);
	close(second);
}

static void
a_lock_dies_with_its_process(void **state)
{
	auto_free char *path = in(state, "lock");
	struct err err = { 0 };
	int fd = -1;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(file_lock(path, &fd, &err) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(file_lock(path, &fd, &err), 0);
	close(fd);
}

static void
a_lock_is_no_link(void **state)
{
	auto_free char *path = in(state, "lock");
	auto_free char *target = in(state, "target");
	struct err err = { 0 };
	int fd = -1;

	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(file_lock(path, &fd, &err), -ELOOP);
	assert_int_equal(access(target, F_OK), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_up_to_the_limit),
		TEST(reads_more_than_one_chunk),
		TEST(reads_files_that_do_not_know_their_size),
		TEST(an_empty_file_is_an_empty_text),
		TEST(reads_nothing_but_regular_files),
		TEST(replaces_whole_and_with_its_mode),
		TEST(replacing_leaves_the_old_file_alone),
		TEST(a_failed_replacement_leaves_nothing),
		TEST(replacing_a_link_replaces_the_link),
		TEST(mkdirs_makes_what_is_missing),
		TEST(mkdirs_stops_at_a_file),
		TEST(a_lock_is_held_once),
		TEST(a_lock_dies_with_its_process),
		TEST(a_lock_is_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
