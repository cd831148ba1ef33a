/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/db.h"
#include "tests/unit/folder.h"

extern const struct db_driver db_sqlite;

#define ADD   "INSERT INTO event (at_ms, actor, kind, text) VALUES (1, 'a', 'k', $1) RETURNING id"
#define COUNT "SELECT count(*) FROM event"

/* As it was when version 1 was shipped: never edit. */
static const char version_1[] =
	"PRAGMA application_id = 1734636102; PRAGMA user_version = 1;"
	"CREATE TABLE node (name TEXT PRIMARY KEY NOT NULL, key TEXT, document BLOB NOT NULL, profile TEXT,"
	"  revision INTEGER NOT NULL, generation INTEGER NOT NULL, mode INTEGER NOT NULL, mode_why TEXT,"
	"  state INTEGER NOT NULL, since_ms INTEGER NOT NULL, boot_id TEXT, grant_boot TEXT,"
	"  granted_ms INTEGER NOT NULL, leave_boot TEXT, leave_why TEXT) STRICT;"
	"CREATE TABLE report (node TEXT PRIMARY KEY NOT NULL REFERENCES node (name) ON DELETE CASCADE,"
	"  data BLOB NOT NULL) STRICT;"
	"CREATE TABLE profile (name TEXT NOT NULL, revision INTEGER NOT NULL, hash TEXT NOT NULL, author TEXT,"
	"  comment TEXT, created_ms INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (name, revision)) STRICT;"
	"CREATE TABLE principal (key TEXT PRIMARY KEY NOT NULL, is_node INTEGER NOT NULL, name TEXT NOT NULL,"
	"  role INTEGER NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE token (key TEXT PRIMARY KEY NOT NULL, node TEXT, expires_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, actor TEXT NOT NULL,"
	"  kind TEXT NOT NULL, object TEXT, text TEXT) STRICT;"
	"INSERT INTO event (at_ms, actor, kind, object, text) VALUES (7, 'user/alice', 'k', 'node/n1', 'old');";

static struct db *
open_db(const char *path)
{
	struct db *db = NULL;
	struct err err = { 0 };

	if (db_sqlite.open(path, &db, &err) < 0)
		fail_msg("%s", err.msg);
	return db;
}

static int
run(struct db *db, const char *sql, struct err *err)
{
	return db_sqlite.exec(db, sql, NULL, 0, NULL, NULL, err);
}

static void
must(struct db *db, const char *sql)
{
	struct err err = { 0 };

	if (run(db, sql, &err) < 0)
		fail_msg("%s", err.msg);
}

static int
add(struct db *db, const char *text, size_t len, struct err *err)
{
	const struct db_value args[] = { { .type = DB_TEXT, .ptr = text, .len = len } };

	return db_sqlite.exec(db, ADD, args, 1, NULL, NULL, err);
}

static int
keep_int(void *arg, const struct db_value *c, size_t n)
{
	assert_int_equal(n, 1);
	assert_int_equal(c[0].type, DB_INT);
	*(int64_t *)arg = c[0].num;
	return 0;
}

static int64_t
number(struct db *db, const char *sql)
{
	struct err err = { 0 };
	int64_t n = -1;

	if (db_sqlite.exec(db, sql, NULL, 0, keep_int, &n, &err) < 0)
		fail_msg("%s", err.msg);
	return n;
}

/* Without the driver. */
static void
raw(const char *path, const char *sql)
{
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(handle));
	assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* --- statements ------------------------------------------------------------------------------- */

static int
compare_types(void *arg, const struct db_value *c, size_t n)
{
	assert_int_equal(n, 6);
	assert_int_equal(c[0].type, DB_NULL);
	assert_int_equal(c[1].num, INT64_MIN);
	assert_string_equal(c[2].ptr, "text");
	assert_int_equal(c[2].len, 4);
	assert_int_equal(c[3].type, DB_TEXT);
	assert_int_equal(c[3].len, 0);
	assert_int_equal(c[4].type, DB_BLOB);
	assert_memory_equal(c[4].ptr, "\0\xff", 2);
	assert_int_equal(c[5].type, DB_BLOB);
	assert_non_null(c[5].ptr);
	++*(int *)arg;
	return 0;
}

static void
arguments_go_by_number_and_come_back_whole(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	const struct db_value args[] = { { .type = DB_BLOB },
					 { .type = DB_BLOB, .ptr = "\0\xff", .len = 2 },
					 { .type = DB_TEXT, .ptr = "" },
					 { .type = DB_TEXT, .ptr = "textual", .len = 4 },
					 { .type = DB_INT, .num = INT64_MIN },
					 { .type = DB_NULL } };
	struct db *db = open_db(path);
	struct err err = { 0 };
	int rows = 0;

	for (int i = 0; i < 3; i++)
		assert_int_equal(
			db_sqlite.exec(db, "SELECT $6, $5, $4, $3, $2, $1", args, 6, compare_types, &rows, &err), 0);
	assert_int_equal(rows, 3);
	assert_true(db_sqlite.exec(db, "SELECT $1", args, 2, NULL, NULL, &err) < 0);
	db_sqlite.close(db);
}

static int
stop_at_two(void *arg, const struct db_value *c, size_t n)
{
	(void)n;
	++*(int *)arg;
	return c[0].num == 2 ? -ECANCELED : 0;
}

static void
failures_say_what_and_where(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct db *db = open_db(path);
	struct err err = { 0 };
	int rows = 0;

	assert_int_equal(run(db, "SELECT nope", &err), -EIO);
	assert_non_null(strstr(err.msg, "'SELECT nope': "));
	assert_non_null(strstr(err.msg, "/a.db: no such column: nope"));
	must(db, "INSERT INTO token VALUES ('k', NULL, 1)");
	assert_int_equal(run(db, "INSERT INTO token VALUES ('k', NULL, 1)", &err), -EEXIST);
	assert_int_equal(run(db, "INSERT INTO token VALUES ('l', NULL, NULL)", &err), -EINVAL);
	assert_int_equal(run(db, "INSERT INTO report VALUES ('nobody', x'')", &err), -EINVAL);
	assert_int_equal(
		db_sqlite.exec(db, "SELECT 1 UNION SELECT 2 UNION SELECT 3", NULL, 0, stop_at_two, &rows, &err),
		-ECANCELED);
	assert_int_equal(rows, 2);
	db_sqlite.close(db);
}

struct nested {
	struct db *db;
	int depth;
	int rows;
};

static int
go_deeper(void *arg, const struct db_value *c, size_t n)
{
	struct nested *nested = arg;
	struct err err = { 0 };

	(void)c;
	(void)n;
	nested->rows++;
	if (nested->depth == 3)
		return 0;
	nested->depth++;
	assert_int_equal(db_sqlite.exec(nested->db, "SELECT 1 UNION SELECT 2", NULL, 0, go_deeper, nested, &err), 0);
	nested->depth--;
	return 0;
}

static void
a_row_function_may_run_its_own_statement(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct nested nested = { .db = open_db(path) };
	struct err err = { 0 };

	assert_int_equal(db_sqlite.exec(nested.db, "SELECT 1 UNION SELECT 2", NULL, 0, go_deeper, &nested, &err), 0);
	assert_int_equal(nested.rows, 2 + 4 + 8 + 16);
	db_sqlite.close(nested.db);
}

static void
more_statements_than_are_kept(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct db *db = open_db(path);

	for (int i = 0; i < 300; i++) {
		auto_free char *sql = xasprintf("SELECT %d", i % 150);

		assert_int_equal(number(db, sql), i % 150);
	}
	db_sqlite.close(db);
}

/* --- files ----------------------------------------------------------------------------------- */

static void
a_new_database_is_private_and_whole(void **state)
{
	auto_free char *path = xasprintf("%s/odd ?#%%41.db", (char *)*state);
	auto_free char *half = xasprintf("%s.new", path);
	struct stat st;
	struct db *db;

	folder_write(half, "half", 4);
	db = open_db(path);
	assert_int_equal(number(db, "PRAGMA application_id"), 0x67647246);
	assert_int_equal(number(db, "PRAGMA user_version"), 4);
	assert_int_equal(number(db, "PRAGMA synchronous"), 2);
	assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(number(db, "PRAGMA trusted_schema"), 0);
	must(db, "INSERT INTO token VALUES ('k', NULL, 1)");
	for (int i = 0; i < 2; i++) {
		auto_free char *file = xasprintf("%s%s", path, i == 0 ? "" : "-wal");

		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	db_sqlite.close(db);
	auto_free char *list = folder_list(*state, "");
	assert_string_equal(list, "odd ?#%41.db odd ?#%41.db.lock");
	db = open_db(path);
	assert_int_equal(number(db, "SELECT count(*) FROM token"), 1);
	db_sqlite.close(db);
}

static void
only_one_may_have_it_open(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	auto_free char *want = xasprintf("another gdrd uses %s: %s.lock: held by pid %d", path, path, (int)getpid());
	struct db *db = open_db(path);
	struct db *second = NULL;
	struct err err = { 0 };

	assert_int_equal(db_sqlite.open(path, &second, &err), -EBUSY);
	assert_string_equal(err.msg, want);
	db_sqlite.close(db);
	db_sqlite.close(open_db(path));
}

static void
no_folder_is_an_error(void **state)
{
	auto_free char *path = xasprintf("%s/no/a.db", (char *)*state);
	struct db *db = NULL;
	struct err err = { 0 };

	assert_int_equal(db_sqlite.open(path, &db, &err), -ENOENT);
	assert_int_equal(db_sqlite.open(*state, &db, &err), -EINVAL); /* A folder itself. */
	auto_free char *lock = xasprintf("%s.lock", (char *)*state);
	(void)unlink(lock);
}

/* Opening 'path' fails with 'want' in the message, and changes nothing that begins with its name. */
static void
refused(const char *folder, const char *path, const char *want)
{
	static const char *const suffixes[] = { "", "-wal" };
	auto_free char *lock = xasprintf("%s.lock", path);
	char *before[2] = { 0 };
	size_t len[2] = { 0 };
	struct db *db = NULL;
	struct err err = { 0 };

	folder_write(lock, "", 0);
	auto_free char *names = folder_list(folder, "");
	for (int i = 0; i < 2; i++) {
		auto_free char *file = xasprintf("%s%s", path, suffixes[i]);

		if (access(file, F_OK) == 0)
			before[i] = folder_read(file, &len[i]);
	}
	assert_true(db_sqlite.open(path, &db, &err) < 0);
	if (!strstr(err.msg, want) || !strstr(err.msg, path) || !strstr(err.msg, "gdrd backup"))
		fail_msg("want '%s', have '%s'", want, err.msg);
	for (int i = 0; i < 2; i++) {
		auto_free char *file = xasprintf("%s%s", path, suffixes[i]);
		auto_free char *after = NULL;
		size_t after_len;

		if (!before[i])
			continue;
		after = folder_read(file, &after_len);
		assert_int_equal(after_len, len[i]);
		assert_memory_equal(after, before[i], len[i]);
		free(before[i]);
	}
	auto_free char *names_after = folder_list(folder, "");
	assert_string_equal(names_after, names);
}

static void
what_is_not_ours_is_left_as_it_is(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	size_t len;

	folder_write(path, "", 0);
	refused(*state, path, "it is empty");
	folder_write(path, "name: n1\n", 9);
	refused(*state, path, "file is not a database");
	folder_write(path, "SQLite format 3\0", 16);
	refused(*state, path, "file is not a database");
	unlink(path);
	raw(path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
	refused(*state, path, "it is another program's database");
	raw(path, "PRAGMA application_id = 1734636102");
	refused(*state, path, "no schema version");
	raw(path, "PRAGMA user_version = 99");
	refused(*state, path, "schema version is 99 and this gdrd knows up to 4: run the newer gdrd");
	unlink(path);

	db_sqlite.close(open_db(path));
	auto_free char *data = folder_read(path, &len);
	folder_write(path, data, len / 2);
	refused(*state, path, "malformed");
	memset(data + 4096, 0x55, 4096);
	folder_write(path, data, len);
	refused(*state, path, "it is damaged: Page 2: ");
}

/* Runs 'sql' and dies without closing: what a crash leaves. */
static void
crash(const char *path, const char *sql)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct db *db = NULL;
		struct err err;

		if (db_sqlite.open(path, &db, &err) < 0 || run(db, sql, &err) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
after_a_crash_the_log_counts(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	auto_free char *wal = xasprintf("%s-wal", path);
	auto_free char *shm = xasprintf("%s-shm", path);
	struct db *db;

	crash(path, "INSERT INTO token VALUES ('k', NULL, 1)");
	db = open_db(path);
	assert_int_equal(number(db, "SELECT count(*) FROM token"), 1);
	db_sqlite.close(db);

	crash(path, "PRAGMA user_version = 99");
	refused(*state, path, "schema version is 99");
	assert_int_equal(unlink(shm), 0);
	refused(*state, path, "schema version is 99");

	assert_int_equal(unlink(path), 0);
	refused(*state, path, "but");
	assert_int_equal(unlink(wal), 0);
	db_sqlite.close(open_db(path));
}

static void
a_backup_that_reads_is_no_hindrance(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	sqlite3 *reader;
	struct db *db;

	crash(path, "INSERT INTO token VALUES ('k', NULL, 1)");
	assert_int_equal(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT * FROM token", NULL, NULL, NULL), SQLITE_OK);
	db = open_db(path);
	must(db, "INSERT INTO token VALUES ('l', NULL, 1)");
	assert_int_equal(sqlite3_close(reader), SQLITE_OK);
	db_sqlite.close(db);
}

static void
an_older_schema_is_brought_up_to_date(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	auto_free char *fresh = xasprintf("%s/fresh.db", (char *)*state);
	struct err err = { 0 };
	struct db *db;

	raw(path, version_1);
	db = open_db(path);
	assert_int_equal(number(db, "PRAGMA user_version"), 4);
	assert_int_equal(number(db, "SELECT count(*) FROM event WHERE object = 'node/n1' AND text = 'old'"), 1);
	must(db, "INSERT INTO answer (key, code) VALUES ('k', 0)");
	auto_free char *attach = xasprintf("ATTACH '%s' AS fresh", fresh);
	db_sqlite.close(open_db(fresh));
	must(db, attach);
	/* Blanks apart, the same as if it were made today. */
	assert_int_equal(number(db, "SELECT count(*) FROM (SELECT replace(sql, ' ', '') FROM main.sqlite_schema EXCEPT "
				    "SELECT replace(sql, ' ', '') FROM fresh.sqlite_schema)"),
			 0);
	assert_int_equal(run(db, "SELECT count(*) FROM main.sqlite_schema", &err), 0);
	db_sqlite.close(db);
}

static void
a_schema_that_cannot_be_brought_up_to_date_stays(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct db *db = NULL;
	struct err err = { 0 };

	raw(path, version_1);
	raw(path, "CREATE TABLE answer (a)");
	assert_true(db_sqlite.open(path, &db, &err) < 0);
	assert_non_null(strstr(err.msg, "cannot bring the schema from version 1 to 4: "));
	assert_non_null(strstr(err.msg, "table answer already exists"));
	raw(path, "DROP TABLE answer");
	db = open_db(path); /* Would fail if the index of version 2 had been left. */
	assert_int_equal(number(db, "PRAGMA user_version"), 4);
	db_sqlite.close(db);
}

/* --- backup ------------------------------------------------------------------------------------ */

static void
backup_copies_what_is_committed(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	auto_free char *copy = xasprintf("%s/copy", (char *)*state);
	struct db *db = open_db(path);
	struct err err = { 0 };
	struct stat st;

	must(db, "INSERT INTO token VALUES ('k', NULL, 1)");
	must(db, "BEGIN");
	must(db, "INSERT INTO token VALUES ('l', NULL, 1)");
	assert_int_equal(db_sqlite.backup(path, copy, &err), 0);
	must(db, "COMMIT");
	db_sqlite.close(db);

	auto_free char *list = folder_list(*state, "copy");
	assert_string_equal(list, "copy");
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db = open_db(copy);
	assert_int_equal(number(db, "SELECT count(*) FROM token"), 1);
	db_sqlite.close(db);
	assert_int_equal(db_sqlite.backup(path, copy, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "/copy is there already"));
	unlink(copy);
	assert_int_equal(db_sqlite.backup(path, copy, &err), 0); /* Nobody has it open. */
}

static void
backup_refuses_what_is_no_database_of_ours(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	auto_free char *copy = xasprintf("%s/copy", (char *)*state);
	auto_free char *nowhere = xasprintf("%s/no/copy", (char *)*state);
	struct err err = { 0 };

	assert_true(db_sqlite.backup(path, copy, &err) < 0);
	assert_non_null(strstr(err.msg, "no backup was made: "));
	raw(path, "CREATE TABLE t (a)");
	assert_true(db_sqlite.backup(path, copy, &err) < 0);
	unlink(path);
	db_sqlite.close(open_db(path));
	assert_true(db_sqlite.backup(path, nowhere, &err) < 0);
	assert_non_null(strstr(err.msg, "/no/copy"));
	auto_free char *list = folder_list(*state, "copy");
	assert_string_equal(list, "");
}

/* Every copy holds whole transactions, however fast another process writes. */
static void
backup_while_another_process_writes(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct err err = { 0 };
	pid_t pid;
	int ready[2];
	char byte;

	db_sqlite.close(open_db(path));
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct db *db = open_db(path);

		for (int i = 0;; i++) {
			must(db, "BEGIN");
			must(db,
			     "INSERT INTO event (at_ms, actor, kind, text) VALUES (1, 'a', 'k', hex(zeroblob(3000)))");
			must(db,
			     "INSERT INTO event (at_ms, actor, kind, text) VALUES (2, 'a', 'k', hex(zeroblob(3000)))");
			must(db, "COMMIT");
			if (i == 0)
				(void)!write(ready[1], "x", 1);
		}
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	for (int i = 0; i < 5; i++) {
		auto_free char *copy = xasprintf("%s/copy%d", (char *)*state, i);
		struct db *db;

		assert_int_equal(db_sqlite.backup(path, copy, &err), 0);
		db = open_db(copy);
		assert_true(number(db, COUNT) > 0);
		assert_int_equal(number(db, "SELECT sum(at_ms = 1) - sum(at_ms = 2) FROM event"), 0);
		db_sqlite.close(db);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(ready[1]);
}

/* --- no room ------------------------------------------------------------------------------------- */

static void
disk_full_leaves_no_transaction(void **state)
{
	static char text[100000];
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct db *db = open_db(path);
	struct err err = { 0 };
	int rc = 0;

	memset(text, 'x', sizeof(text));
	number(db, "PRAGMA max_page_count = 100");
	assert_int_equal(add(db, "first", 5, &err), 0);
	must(db, "BEGIN");
	for (int i = 0; i < 20 && rc == 0; i++)
		rc = add(db, text, sizeof(text), &err);
	assert_int_equal(rc, -ENOSPC);
	assert_non_null(strstr(err.msg, "/a.db: database or disk is full"));
	(void)run(db, "ROLLBACK", &err);
	must(db, "BEGIN");
	assert_int_equal(add(db, "second", 6, &err), 0);
	must(db, "COMMIT");
	assert_int_equal(number(db, COUNT), 2);
	db_sqlite.close(db);
}

/* The child's files may not grow beyond 400 kB. */
static int
write_beyond_the_limit(const char *path)
{
	static char text[50000];
	struct rlimit limit = { .rlim_cur = 400000, .rlim_max = 400000 };
	struct db *db = open_db(path);
	struct err err = { 0 };
	int rc = 0;

	memset(text, 'x', sizeof(text));
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) < 0 || add(db, "first", 5, &err) < 0)
		return 1;
	must(db, "BEGIN");
	for (int i = 0; i < 20 && rc == 0; i++)
		rc = add(db, text, sizeof(text), &err);
	if (rc == 0)
		rc = run(db, "COMMIT", &err);
	if (rc != -EIO || !strstr(err.msg, "/a.db: disk I/O error"))
		return 2;
	(void)run(db, "ROLLBACK", &err);
	if (number(db, COUNT) != 1 || add(db, "second", 6, &err) < 0)
		return 3;
	db_sqlite.close(db);
	return 0;
}

static void
what_the_kernel_refuses_is_told(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct db *db;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(write_beyond_the_limit(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	db = open_db(path);
	assert_int_equal(number(db, COUNT), 2);
	db_sqlite.close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arguments_go_by_number_and_come_back_whole),
		TEST(failures_say_what_and_where),
		TEST(a_row_function_may_run_its_own_statement),
		TEST(more_statements_than_are_kept),
		TEST(a_new_database_is_private_and_whole),
		TEST(only_one_may_have_it_open),
		TEST(no_folder_is_an_error),
		TEST(what_is_not_ours_is_left_as_it_is),
		TEST(after_a_crash_the_log_counts),
		TEST(a_backup_that_reads_is_no_hindrance),
		TEST(an_older_schema_is_brought_up_to_date),
		TEST(a_schema_that_cannot_be_brought_up_to_date_stays),
		TEST(backup_copies_what_is_committed),
		TEST(backup_refuses_what_is_no_database_of_ours),
		TEST(backup_while_another_process_writes),
		TEST(disk_full_leaves_no_transaction),
		TEST(what_the_kernel_refuses_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
