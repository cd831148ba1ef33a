#include "tests/scenario/disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

extern const struct db_driver db_sqlite;

static struct db *kept;
static int fail_at;
static bool full;

void
disk_fail_at(int statement)
{
	fail_at = statement;
}

void
disk_full(bool is_full)
{
	full = is_full;
}

void
disk_close(void)
{
	db_sqlite.close(kept);
	kept = NULL;
}

void
disk_remove(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", ".lock" };

	disk_close();
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		auto_free char *file = xasprintf("%s%s", path, suffixes[i]);

		(void)unlink(file);
	}
}

static int
add_delete(void *arg, const struct db_value *columns, size_t n)
{
	if (n == 1)
		buf_printf(arg, "DELETE FROM \"%s\";", (const char *)columns[0].ptr);
	return 0;
}

static void
do_now(const char *sql)
{
	struct err err = { 0 };

	if (db_sqlite.exec(kept, sql, NULL, 0, NULL, NULL, &err) < 0) {
		(void)fprintf(stderr, "scenario: %s\n", err.msg);
		abort();
	}
}

void
disk_wipe(void)
{
	static const char tables[] = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
	struct buf sql = { 0 };
	struct err err = { 0 };

	if (!kept)
		return;
	(void)db_sqlite.exec(kept, tables, NULL, 0, add_delete, &sql, &err);
	do_now("PRAGMA foreign_keys = OFF");
	for (char *next, *at = sql.text; at && *at; at = next) {
		next = strchr(at, ';') + 1;
		next[-1] = '\0';
		do_now(at);
	}
	do_now("PRAGMA foreign_keys = ON");
	buf_free(&sql);
}

static bool
is_writing(const char *sql)
{
	return strcmp(sql, "ROLLBACK") != 0 && strncmp(sql, "SELECT", 6) != 0;
}

static int
disk_exec(struct db *db, const char *sql, const struct db_value *args, size_t n_args, db_row_fn *row, void *arg,
	  struct err *err)
{
	if (is_writing(sql) && (full || (fail_at > 0 && --fail_at == 0)))
		return err_set(err, -ENOSPC, "the disk is full");
	return db_sqlite.exec(db, sql, args, n_args, row, arg, err);
}

/* Nobody else uses it, and what it keeps for a power failure is not looked at here. */
static int
make_quick(struct db *db, struct err *err)
{
	int rc = db_sqlite.exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, 0, NULL, NULL, err);

	return rc < 0 ? rc : db_sqlite.exec(db, "PRAGMA journal_mode = MEMORY", NULL, 0, NULL, NULL, err);
}

static int
disk_open(const char *where, struct db **out, struct err *err)
{
	int rc = 0;

	if (!kept) {
		rc = db_sqlite.open(where, &kept, err);
		if (rc == 0)
			rc = make_quick(kept, err);
	}
	*out = kept;
	return rc;
}

static void
disk_leave(struct db *db)
{
	struct err none = { 0 }; /* There need be no transaction. */

	(void)db_sqlite.exec(db, "ROLLBACK", NULL, 0, NULL, NULL, &none);
}

const struct db_driver disk_driver = { .open = disk_open, .close = disk_leave, .exec = disk_exec };
