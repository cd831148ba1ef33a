/* sqlite.c - the store in one file: "sqlite:/var/lib/gdrfleet/gdrd.db".
 *
 * Beside FILE lie FILE-wal and FILE-shm (SQLite's, while it is open or after a crash) and FILE.lock (who has
 * it open).  A file is made whole under another name and then renamed, so FILE is never half a database. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "controller/db.h"

#define LOCK_TRIES     40         /* Two seconds. */
#define APPLICATION_ID 0x67647246 /* "gdrF" */
#define MAX_COLUMNS    24
#define CACHED         64 /* Prepared statements; store.c has about 30. */
#define BUSY_MS        5000
#define WAL_KEPT       (64 << 20) /* Bytes that FILE-wal may keep after a big commit. */

/* What a new version of gdrd adds to the schema is a new entry at the end; the others never change. */
static const char *const schema[] = {
	/* 1 */
	"CREATE TABLE node ("
	"  name TEXT PRIMARY KEY NOT NULL, key TEXT, document BLOB NOT NULL, profile TEXT, revision INTEGER NOT NULL,"
	"  generation INTEGER NOT NULL, mode INTEGER NOT NULL, mode_why TEXT, state INTEGER NOT NULL,"
	"  since_ms INTEGER NOT NULL, boot_id TEXT, grant_boot TEXT, granted_ms INTEGER NOT NULL,"
	"  leave_boot TEXT, leave_why TEXT) STRICT;"
	"CREATE TABLE report (" /* Apart from the node: it is large and written for itself. */
	"  node TEXT PRIMARY KEY NOT NULL REFERENCES node (name) ON DELETE CASCADE, data BLOB NOT NULL) STRICT;"
	"CREATE TABLE profile ("
	"  name TEXT NOT NULL, revision INTEGER NOT NULL, hash TEXT NOT NULL, author TEXT, comment TEXT,"
	"  created_ms INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (name, revision)) STRICT;"
	"CREATE TABLE principal ("
	"  key TEXT PRIMARY KEY NOT NULL, is_node INTEGER NOT NULL, name TEXT NOT NULL, role INTEGER NOT NULL,"
	"  created_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE token (key TEXT PRIMARY KEY NOT NULL, node TEXT, expires_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE event ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,"
	"  object TEXT, text TEXT) STRICT;",
	/* 2 */
	"CREATE INDEX event_object ON event (object, id);"
	"CREATE TABLE answer ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, code INTEGER NOT NULL, message TEXT) STRICT;",
	/* 3 */
	"ALTER TABLE node ADD COLUMN last_ready TEXT;"
	"CREATE TABLE rollout (name TEXT PRIMARY KEY NOT NULL, created_ms INTEGER NOT NULL, data BLOB NOT NULL) STRICT;"
	"CREATE TABLE rollout_node (" /* Apart from the rollout: one changes at a time. */
	"  rollout TEXT NOT NULL REFERENCES rollout (name) ON DELETE CASCADE, place INTEGER NOT NULL, data BLOB NOT NULL,"
	"  PRIMARY KEY (rollout, place)) STRICT;",
	/* 4 */
	"CREATE TABLE window (name TEXT PRIMARY KEY NOT NULL, document BLOB NOT NULL) STRICT;",
};
#define VERSION ((int)(sizeof(schema) / sizeof(schema[0])))

struct db {
	sqlite3 *handle;
	char *file;
	int lock;
	struct {
		unsigned int hash;
		sqlite3_stmt *stmt;
	} cache[CACHED];
	size_t next; /* Entry of 'cache' to be replaced when all are taken. */
};

static void
close_handle_p(sqlite3 **handle)
{
	(void)sqlite3_close(*handle);
}
#define auto_handle __attribute__((cleanup(close_handle_p)))

static int
code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EBADMSG;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? -EEXIST : -EINVAL;
	default: return -EIO;
	}
}

static int
failed(sqlite3 *handle, const char *file, struct err *err)
{
	int rc = sqlite3_extended_errcode(handle);
	int sys = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN ? sqlite3_system_errno(handle) : 0;

	if (sys != 0)
		return err_set(err, code_of(rc), "%s: %s (%s)", file, sqlite3_errmsg(handle), strerror(sys));
	return err_set(err, code_of(rc), "%s: %s", file, sqlite3_errmsg(handle));
}

/* 'file' stands in messages for 'name', which may be a URI. */
static int
open_handle(const char *name, const char *file, int flags, sqlite3 **out, struct err *err)
{
	auto_handle sqlite3 *handle = NULL;

	if (sqlite3_open_v2(name, &handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_extended_result_codes(handle, 1) != SQLITE_OK ||
	    sqlite3_exec(handle, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", NULL, NULL, NULL) !=
		    SQLITE_OK)
		return failed(handle, file, err);
	sqlite3_busy_timeout(handle, BUSY_MS);
	*out = steal(&handle);
	return 0;
}

/* A new file, mode 0600; one that was left half made under this name goes. */
static int
open_new(const char *file, sqlite3 **out, struct err *err)
{
	auto_free char *journal = xasprintf("%s-journal", file);
	mode_t mask = umask(0177);
	int rc;

	(void)unlink(journal);
	(void)unlink(file);
	rc = open_handle(file, file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, out, err);
	umask(mask);
	return rc;
}

struct scalar {
	char text[128];
	long long num;
};

static int
keep_scalar(void *arg, int n, char **columns, char **names)
{
	struct scalar *out = arg;

	(void)names;
	(void)snprintf(out->text, sizeof(out->text), "%s", n > 0 && columns[0] ? columns[0] : "");
	out->num = strtoll(out->text, NULL, 10);
	return 0;
}

static int
ask(sqlite3 *handle, const char *file, const char *pragma, struct scalar *out, struct err *err)
{
	if (sqlite3_exec(handle, pragma, keep_scalar, out, NULL) != SQLITE_OK)
		return failed(handle, file, err);
	return 0;
}

static int
sync_folder(const char *file, struct err *err)
{
	auto_free char *copy = xstrdup(file);
	const char *folder = dirname(copy);
	DIR *dir = opendir(folder);
	int rc = 0;

	if (!dir || fsync(dirfd(dir)) < 0)
		rc = err_set(err, -errno, "%s: %s", folder, strerror(errno));
	if (dir)
		(void)closedir(dir);
	return rc;
}

/* --- is it a database of ours, whole and not too new? ----------------------------------------- */

static bool
has_content(const char *file, const char *suffix)
{
	auto_free char *path = xasprintf("%s%s", file, suffix);
	struct stat st;

	return stat(path, &st) == 0 && st.st_size > 0;
}

/* "file:PATH?immutable=1": SQLite then takes no lock and makes no file. */
static char *
immutable_uri(const char *file)
{
	auto_buf struct buf uri = { 0 };

	buf_printf(&uri, "file:");
	for (const char *s = file; *s; s++)
		if (strchr("%?#", *s))
			buf_printf(&uri, "%%%02x", (unsigned int)*s);
		else
			buf_add(&uri, s, 1);
	buf_printf(&uri, "?immutable=1");
	return buf_steal(&uri);
}

/* For looking only: leaves each byte and the folder as they are.  After a crash FILE-wal is part of the
 * database; an exclusive lock lets SQLite read it without making FILE-shm. */
static int
open_probe(const char *file, sqlite3 **out, struct err *err)
{
	auto_handle sqlite3 *handle = NULL;
	int rc;

	if (!has_content(file, "-wal")) {
		auto_free char *uri = immutable_uri(file);

		return open_handle(uri, file, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, out, err);
	}
	rc = open_handle(file, file, SQLITE_OPEN_READWRITE, &handle, err);
	if (rc < 0)
		return rc;
	(void)sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_busy_timeout(handle, 0);
	(void)sqlite3_exec(handle, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
	if (sqlite3_exec(handle, "PRAGMA application_id", NULL, NULL, NULL) == SQLITE_BUSY) /* A backup reads it. */
		(void)sqlite3_exec(handle, "PRAGMA locking_mode = NORMAL", NULL, NULL, NULL);
	(void)sqlite3_busy_timeout(handle, BUSY_MS);
	*out = steal(&handle);
	return 0;
}

static int
check_handle(sqlite3 *handle, const char *file, struct err *err)
{
	struct scalar id = { 0 };
	struct scalar version = { 0 };
	struct scalar whole = { 0 };

	if (ask(handle, file, "PRAGMA application_id", &id, err) < 0 ||
	    ask(handle, file, "PRAGMA user_version", &version, err) < 0)
		return err->code;
	if (id.num != APPLICATION_ID)
		return err_set(err, -EMEDIUMTYPE, "%s: it is another program's database", file);
	if (version.num > VERSION)
		return err_set(
			err, -EPROTONOSUPPORT,
			"%s: its schema version is %lld and this gdrd knows up to %d: run the newer gdrd that wrote it",
			file, version.num, VERSION);
	if (ask(handle, file, "PRAGMA quick_check(1)", &whole, err) < 0)
		return err->code;
	if (version.num < 1)
		return err_set(err, -EBADMSG, "%s: it is damaged: it has no schema version", file);
	if (strcmp(whole.text, "ok") != 0) { /* "*** in database main ***\nPage 2: ..." */
		const char *end = strrchr(whole.text, '\n');

		return err_set(err, -EBADMSG, "%s: it is damaged: %s", file, end ? end + 1 : whole.text);
	}
	return 0;
}

static int
check(const char *file, struct err *err)
{
	auto_handle sqlite3 *handle = NULL;
	struct stat st;
	int rc;

	if (stat(file, &st) < 0)
		return err_set(err, -errno, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: it is no file", file);
	if (st.st_size == 0) /* SQLite would take it for a new database, and the fleet would be gone. */
		return err_set(err, -EBADMSG, "%s: it is empty", file);
	rc = open_probe(file, &handle, err);
	if (rc < 0)
		return rc;
	return check_handle(handle, file, err);
}

static int
check_or_refuse(const char *file, struct err *err)
{
	auto_free char *cause = NULL;
	int rc = check(file, err);

	if (rc != -EBADMSG && rc != -EMEDIUMTYPE && rc != -EPROTONOSUPPORT)
		return rc;
	cause = xstrdup(err->msg);
	return err_set(
		err, rc,
		"%s; it was left as it is.  To go on, move it and its -wal and -shm away and put a copy in its place "
		"that `gdrd backup` made, or name another file",
		cause);
}

/* --- schema --------------------------------------------------------------------------------------- */

static int
run_versions(sqlite3 *handle, int from)
{
	int rc = sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	char pragmas[80];

	(void)snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
		       VERSION);
	for (int i = from; i < VERSION && rc == SQLITE_OK; i++)
		rc = sqlite3_exec(handle, schema[i], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(handle, pragmas, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
	return rc;
}

/* One transaction: all versions or none. */
static int
migrate(sqlite3 *handle, const char *file, int from, struct err *err)
{
	if (from == VERSION || run_versions(handle, from) == SQLITE_OK)
		return 0;
	(void)failed(handle, file, err);
	(void)sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
	return err_wrap(err, "cannot bring the schema from version %d to %d", from, VERSION);
}

static int
create(const char *file, struct err *err)
{
	auto_free char *path = xasprintf("%s.new", file);
	sqlite3 *handle = NULL;
	int rc;

	if (has_content(file, "-wal"))
		return err_set(
			err, -ENOENT,
			"%s is missing, but %s-wal is there: put a copy in its place that `gdrd backup` made, and move "
			"the -wal away",
			file, file);
	rc = open_new(path, &handle, err);
	if (rc < 0)
		return rc;
	rc = migrate(handle, path, 0, err);
	if (rc == 0 && sqlite3_exec(handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
		rc = failed(handle, path, err);
	(void)sqlite3_close(handle);
	if (rc == 0 && rename(path, file) < 0)
		rc = err_set(err, -errno, "%s: %s", file, strerror(errno));
	if (rc < 0) {
		(void)unlink(path);
		return rc;
	}
	return sync_folder(file, err);
}

/* --- the driver -------------------------------------------------------------------------------- */

static void
sqlite_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < CACHED; i++)
		(void)sqlite3_finalize(db->cache[i].stmt);
	(void)sqlite3_close(db->handle);
	if (db->lock >= 0)
		close(db->lock);
	free(db->file);
	free(db);
}

static int
settle(sqlite3 *handle, const char *file, struct err *err)
{
	struct scalar answer = { 0 };
	char sql[160];

	if (sqlite3_db_readonly(handle, "main") == 1)
		return err_set(err, -EROFS, "%s: it may not be written", file);
	if (ask(handle, file, "PRAGMA journal_mode = WAL", &answer, err) < 0)
		return err->code;
	if (strcmp(answer.text, "wal") != 0)
		return err_set(err, -ENOTSUP, "%s: its file system does not support SQLite's WAL", file);
	(void)snprintf(sql, sizeof(sql),
		       "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = %d", WAL_KEPT);
	if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(handle, file, err);
	if (ask(handle, file, "PRAGMA user_version", &answer, err) < 0)
		return err->code;
	return migrate(handle, file, (int)answer.num, err);
}

/* A gdrd that was killed holds its lock until the last of its threads is gone: that is waited for. */
static int
take_lock(struct db *db, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 50L * 1000 * 1000 };
	auto_free char *path = xasprintf("%s.lock", db->file);
	int rc = file_lock(path, &db->lock, err);

	for (int i = 0; rc == -EBUSY && i < LOCK_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		rc = file_lock(path, &db->lock, err);
	}
	if (rc == -EBUSY)
		return err_wrap(err, "another gdrd uses %s", db->file);
	return rc;
}

static int
open_locked(struct db *db, struct err *err)
{
	int rc = take_lock(db, err);

	if (rc < 0)
		return rc;
	if (access(db->file, F_OK) < 0 && errno == ENOENT)
		rc = create(db->file, err);
	else
		rc = check_or_refuse(db->file, err);
	if (rc == 0)
		rc = open_handle(db->file, db->file, SQLITE_OPEN_READWRITE, &db->handle, err);
	if (rc == 0)
		rc = settle(db->handle, db->file, err);
	return rc;
}

static int
sqlite_open(const char *where, struct db **out, struct err *err)
{
	struct db *db = xcalloc(1, sizeof(*db));
	int rc;

	db->lock = -1;
	db->file = xstrdup(where);
	rc = open_locked(db, err);
	if (rc < 0)
		sqlite_close(db);
	else
		*out = db;
	return rc;
}

static unsigned int
hash_of(const char *s)
{
	unsigned int h = 2166136261U; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619U;
	return h;
}

/* A row function may run the statement that it is called from: a busy one is passed over. */
static int
prepare(struct db *db, const char *sql, sqlite3_stmt **out, struct err *err)
{
	unsigned int hash = hash_of(sql);
	sqlite3_stmt *stmt;
	size_t i;

	for (i = 0; i < CACHED; i++) {
		stmt = db->cache[i].stmt;
		if (stmt && db->cache[i].hash == hash && !sqlite3_stmt_busy(stmt) &&
		    strcmp(sqlite3_sql(stmt), sql) == 0) {
			*out = stmt;
			return 0;
		}
	}
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK) {
		(void)failed(db->handle, db->file, err);
		return err_wrap(err, "'%.200s'", sql);
	}
	for (i = db->next; sqlite3_stmt_busy(db->cache[i].stmt);)
		i = (i + 1) % CACHED;
	(void)sqlite3_finalize(db->cache[i].stmt);
	db->cache[i].stmt = *out;
	db->cache[i].hash = hash;
	db->next = (i + 1) % CACHED;
	return 0;
}

/* SQLite numbers $1, $2, ... by where they first stand, so they are looked up by name. */
static int
bind(sqlite3_stmt *stmt, int number, const struct db_value *v)
{
	char name[16];
	int i;

	(void)snprintf(name, sizeof(name), "$%d", number);
	i = sqlite3_bind_parameter_index(stmt, name);
	switch (v->type) {
	case DB_INT: return sqlite3_bind_int64(stmt, i, v->num);
	case DB_TEXT: return sqlite3_bind_text64(stmt, i, v->ptr, v->len, SQLITE_STATIC, SQLITE_UTF8);
	case DB_BLOB: return sqlite3_bind_blob64(stmt, i, v->ptr ? v->ptr : "", v->len, SQLITE_STATIC);
	case DB_NULL: break;
	}
	return sqlite3_bind_null(stmt, i);
}

static struct db_value
column(sqlite3_stmt *stmt, int i)
{
	struct db_value v = { .type = DB_NULL };

	switch (sqlite3_column_type(stmt, i)) {
	case SQLITE_INTEGER:
		v.type = DB_INT;
		v.num = sqlite3_column_int64(stmt, i);
		break;
	case SQLITE_TEXT:
		v.type = DB_TEXT;
		v.ptr = sqlite3_column_text(stmt, i);
		v.len = (size_t)sqlite3_column_bytes(stmt, i);
		break;
	case SQLITE_BLOB:
		v.type = DB_BLOB;
		v.ptr = sqlite3_column_blob(stmt, i);
		v.len = (size_t)sqlite3_column_bytes(stmt, i);
		if (!v.ptr)
			v.ptr = ""; /* Empty is not NULL. */
		break;
	default: break;
	}
	return v;
}

static int
step(struct db *db, sqlite3_stmt *stmt, db_row_fn *row, void *arg, struct err *err)
{
	struct db_value columns[MAX_COLUMNS];
	int n = sqlite3_column_count(stmt);
	int rc;

	if (n > MAX_COLUMNS)
		return err_set(err, -E2BIG, "%s: %d columns, at most %d", db->file, n, MAX_COLUMNS);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		for (int i = 0; row && i < n; i++)
			columns[i] = column(stmt, i);
		rc = row ? row(arg, columns, (size_t)n) : 0;
		if (rc < 0)
			return rc;
	}
	return rc == SQLITE_DONE ? 0 : failed(db->handle, db->file, err);
}

static int
sqlite_exec(struct db *db, const char *sql, const struct db_value *args, size_t n_args, db_row_fn *row, void *arg,
	    struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = prepare(db, sql, &stmt, err);

	if (rc < 0)
		return rc;
	for (int i = 0; i < (int)n_args && rc == 0; i++)
		if (bind(stmt, i + 1, &args[i]) != SQLITE_OK)
			rc = failed(db->handle, db->file, err);
	if (rc == 0)
		rc = step(db, stmt, row, arg, err);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return rc;
}

static int
copy(sqlite3 *from, const char *file, sqlite3 *to, const char *path, struct err *err)
{
	struct scalar id = { 0 };
	sqlite3_backup *backup;

	if (ask(from, file, "PRAGMA application_id", &id, err) < 0)
		return err->code;
	if (id.num != APPLICATION_ID)
		return err_set(err, -EMEDIUMTYPE, "%s: it is no database of gdrd", file);
	backup = sqlite3_backup_init(to, "main", from, "main");
	if (!backup)
		return failed(to, path, err);
	(void)sqlite3_backup_step(backup, -1);
	if (sqlite3_backup_finish(backup) != SQLITE_OK)
		return failed(to, path, err);
	return 0;
}

static int
copy_to(const char *file, const char *path, struct err *err)
{
	auto_handle sqlite3 *from = NULL;
	auto_handle sqlite3 *to = NULL;
	int rc = open_handle(file, file, SQLITE_OPEN_READONLY, &from, err);

	if (rc == 0)
		rc = open_new(path, &to, err);
	if (rc == 0)
		rc = copy(from, file, to, path, err);
	return rc;
}

static int
sqlite_backup(const char *where, const char *path, struct err *err)
{
	auto_free char *part = xasprintf("%s.part-%d", path, (int)getpid());
	int rc;

	if (access(path, F_OK) == 0)
		return err_set(err, -EEXIST, "%s is there already: name a new file", path);
	rc = copy_to(where, part, err);
	if (rc == 0)
		rc = check(part, err);
	if (rc == 0 && renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (rc < 0) {
		(void)unlink(part);
		return err_wrap(err, "no backup was made");
	}
	return sync_folder(path, err);
}

const struct db_driver db_sqlite = {
	.open = sqlite_open,
	.close = sqlite_close,
	.exec = sqlite_exec,
	.backup = sqlite_backup,
};
