#pragma once

/* store.h - what must survive gdrd, and every SQL statement of it.
 *
 * Called by fleet.c and keyring.c alone.  Writes happen between store_begin() and store_commit(), one
 * transaction a loop turn.  Opening takes a lock file, so that a second gdrd on the same database is refused;
 * checks that the file is whole and not of a newer gdrd, which is refused and left untouched; and brings an
 * older schema up to date, one version at a time, in one transaction. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/store_rows.h"

struct db_driver;
struct err;
struct store;

/* 'url' is "DRIVER:WHERE", e.g. "sqlite:/var/lib/gdrfleet/gdrd.db"; what is not there is made. */
int store_open(const char *url, struct store **out, struct err *err);
/* The same with a driver that drivers.def does not name: for tests that make it fail. */
int store_open_with(const struct db_driver *driver, const char *where, struct store **out, struct err *err);
void store_close(struct store *store); /* NULL is fine.  What is not committed is lost. */

/* A consistent copy into the new file 'path' (mode 0600, refused if it exists), while gdrd runs. */
int store_backup(const char *url, const char *path, struct err *err);

int store_begin(struct store *store, struct err *err);  /* A transaction that is open already is kept. */
int store_commit(struct store *store, struct err *err); /* None open is fine.  On failure all is rolled back. */
void store_rollback(struct store *store);               /* None open is fine. */
/* Every other function that writes fails without a transaction, and after a write that failed: no half of a
 * turn is ever committed, store_commit() then rolls back and returns the first failure. */

int store_put_node(struct store *store, const struct store_node *node, struct err *err); /* All but the report. */
/* Of a node that is stored. */
int store_put_report(struct store *store, const char *name, const void *report, size_t len, struct err *err);
int store_delete_node(struct store *store, const char *name, struct err *err);

int store_add_profile(struct store *store, const struct store_profile *profile,
		      struct err *err); /* Never replaces: -EEXIST. */

int store_put_principal(struct store *store, const struct store_principal *principal, struct err *err);
int store_delete_principal(struct store *store, const char *key, struct err *err);

int store_put_token(struct store *store, const struct store_token *token, struct err *err);
int store_delete_token(struct store *store, const char *key, struct err *err);

int store_put_rollout(struct store *store, const struct store_rollout *rollout, struct err *err);
int store_put_rollout_node(struct store *store, const struct store_rollout_node *node, struct err *err);
int store_delete_rollout(struct store *store, const char *name, struct err *err); /* With its nodes. */

int store_put_window(struct store *store, const struct store_window *window, struct err *err);
int store_delete_window(struct store *store, const char *name, struct err *err);

struct store_event {
	uint64_t id; /* Ascending; given by store_add_event(). */
	uint64_t at_ms;
	const char *actor;
	const char *kind;
	const char *object;
	const char *text;
};
int store_add_event(struct store *store, struct store_event *event, struct err *err);
int store_trim_events(struct store *store, uint64_t keep, struct err *err);

/* Answers by idempotency key, of which the first stays; the oldest beyond 1024 go.  store_get_answer(): 'code' -1
 * and 'message' NULL: never seen; else the caller frees 'message', which is NULL where NULL was put. */
int store_put_answer(struct store *store, const char *key, int code, const char *message, struct err *err);
int store_get_answer(struct store *store, const char *key, int *code, char **message, struct err *err);

/* Each row once; a negative return of a function stops and is passed on, and 'err' is the function's to set.
 * NULL functions are passed over.  Nodes come by name, after them rollouts, oldest first, then their nodes. */
struct store_loader {
	int (*node)(void *arg, const struct store_node *node);
	int (*profile)(void *arg, const struct store_profile *profile); /* By name, then revision. */
	int (*principal)(void *arg, const struct store_principal *principal);
	int (*token)(void *arg, const struct store_token *token);
	int (*window)(void *arg, const struct store_window *window); /* By name. */
	int (*rollout)(void *arg, const struct store_rollout *rollout);
	int (*rollout_node)(void *arg, const struct store_rollout_node *node);
};
int store_load(struct store *store, const struct store_loader *loader, void *arg, struct err *err);

struct store_event_query {
	uint64_t after;     /* Events with a greater id, or */
	bool newest;        /* the newest, and 'after' is not asked.  Either way the oldest of them comes first. */
	uint32_t limit;     /* At most. */
	const char *object; /* NULL: of any. */
};
/* A negative return of 'fn' stops and is passed on. */
int store_events(struct store *store, const struct store_event_query *query,
		 int (*fn)(void *arg, const struct store_event *event), void *arg, struct err *err);
