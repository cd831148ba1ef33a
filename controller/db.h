#pragma once

/* db.h - all that store.c asks of a database: run one statement.
 *
 * Every statement is in store.c, in the SQL that SQLite and PostgreSQL share ($1 parameters,
 * ON CONFLICT, RETURNING); what they do not share, the schema, is the driver's.  To add a driver:
 * write db/NAME.c that defines 'const struct db_driver db_NAME', and add its line to drivers.def. */

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
	const void *ptr; /* DB_TEXT, DB_BLOB: the caller's for an argument; a column's is valid */
	size_t len;      /* until the row function returns. */
};

/* One row of a result; a negative return stops and is passed on. */
typedef int db_row_fn(void *arg, const struct db_value *columns, size_t n);

struct db_driver {
	/* Opens what follows "NAME:" in the store's url, and creates the schema if it is new. */
	int (*open)(const char *where, struct db **out, struct err *err);
	void (*close)(struct db *db);

	/* Runs one statement with 'args' for $1, $2, ...; 'row', if not NULL, gets each row. */
	int (*exec)(struct db *db, const char *sql, const struct db_value *args, size_t n_args, db_row_fn *row,
		    void *arg, struct err *err);
};
