#pragma once

/* db.h - all that store.c asks of a database: run one statement.
 *
 * Every statement is in store.c, in the SQL that SQLite and PostgreSQL share ($1 parameters,
 * ON CONFLICT, RETURNING); what they do not share is the driver's: the schema with its versions, checking
 * a database before it is used, keeping a second user out, a copy of it.  To add a driver: write
 * db/NAME.c that defines 'const struct db_driver db_NAME', and add its line to drivers.def. */

#include <stddef.h>
#include <stdint.h>

struct db;
struct err;

struct db_value {
	enum {
		DB_NULL,
		DB_INT,
		DB_TEXT,
		DB_BLOB
	} type;
	int64_t num;     /* DB_INT. */
	const void *ptr; /* DB_TEXT, DB_BLOB: the caller's for an argument; a column's is valid until the row */
	size_t len;      /* function returns, and a column's text has a NUL after it, not counted. */
};

/* One row of a result; a negative return stops and is passed on. */
typedef int db_row_fn(void *arg, const struct db_value *columns, size_t n);

struct db_driver {
	/* Opens what follows "NAME:" in the store's url, for this process alone; makes it if it is not there,
	 * and brings its schema up to date.  What is damaged, another program's or newer is refused as it is. */
	int (*open)(const char *where, struct db **out, struct err *err);
	void (*close)(struct db *db); /* NULL is fine. */

	/* Runs one statement with 'args' for $1, $2, ...; 'row', if not NULL, gets each row.  Statements are
	 * prepared once and kept, so 'sql' should be one of few.  -EEXIST: a unique key is taken; -ENOSPC: the
	 * disk is full; a transaction in which a statement failed is good for ROLLBACK only. */
	int (*exec)(struct db *db, const char *sql, const struct db_value *args, size_t n_args, db_row_fn *row,
		    void *arg, struct err *err);

	/* Copies what another process may have open, at one moment of it, into the new file 'path'. */
	int (*backup)(const char *where, const char *path, struct err *err);
};
