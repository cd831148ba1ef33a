/* store.c - every SQL statement, in the SQL that the databases behind db.h share. */

#include "controller/store.h"

#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "controller/db.h"

#define ANSWERS_KEPT 1024

#define DRIVER(name) extern const struct db_driver db_##name;
#include "controller/drivers.def"
#undef DRIVER

static const struct {
	const char *name;
	const struct db_driver *driver;
} drivers[] = {
#define DRIVER(name) { #name, &db_##name },
#include "controller/drivers.def"
#undef DRIVER
};
#define N_DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

struct store {
	const struct db_driver *driver;
	struct db *db;
	bool open;         /* A transaction is. */
	struct err broken; /* 'code' < 0: why it can only be rolled back. */
};

/* --- opening ------------------------------------------------------------------------------------- */

/* 'url' without its driver's name, or NULL. */
static const char *
find_driver(const char *url, const struct db_driver **out, struct err *err)
{
	const char *colon = strchr(url, ':');
	auto_buf struct buf known = { 0 };

	for (size_t i = 0; i < N_DRIVERS; i++) {
		size_t len = strlen(drivers[i].name);

		if (colon == url + len && strncmp(url, drivers[i].name, len) == 0 && colon[1] != '\0') {
			*out = drivers[i].driver;
			return colon + 1;
		}
		buf_printf(&known, "%s%s:WHERE", i > 0 ? ", " : "", drivers[i].name);
	}
	(void)err_set(err, -EINVAL, "'%s' names no database: write %s", url, known.text);
	return NULL;
}

int
store_open_with(const struct db_driver *driver, const char *where, struct store **out, struct err *err)
{
	struct db *db;
	int rc = driver->open(where, &db, err);

	if (rc < 0)
		return rc;
	*out = xcalloc(1, sizeof(**out));
	(*out)->driver = driver;
	(*out)->db = db;
	return 0;
}

int
store_open(const char *url, struct store **out, struct err *err)
{
	const struct db_driver *driver = NULL;
	const char *where = find_driver(url, &driver, err);

	return where ? store_open_with(driver, where, out, err) : err->code;
}

int
store_backup(const char *url, const char *path, struct err *err)
{
	const struct db_driver *driver = NULL;
	const char *where = find_driver(url, &driver, err);

	return where ? driver->backup(where, path, err) : err->code;
}

void
store_close(struct store *store)
{
	if (!store)
		return;
	store_rollback(store);
	store->driver->close(store->db);
	free(store);
}

/* --- transactions ---------------------------------------------------------------------------------- */

static int
simple(struct store *store, const char *sql, struct err *err)
{
	return store->driver->exec(store->db, sql, NULL, 0, NULL, NULL, err);
}

int
store_begin(struct store *store, struct err *err)
{
	int rc = store->open ? 0 : simple(store, "BEGIN", err);

	if (rc == 0)
		store->open = true;
	return rc;
}

void
store_rollback(struct store *store)
{
	struct err ignored; /* After some errors the database has rolled back by itself. */

	if (store->open)
		(void)simple(store, "ROLLBACK", &ignored);
	store->open = false;
	store->broken.code = 0;
}

int
store_commit(struct store *store, struct err *err)
{
	int rc = store->broken.code;

	if (!store->open)
		return 0;
	if (rc < 0)
		*err = store->broken;
	else
		rc = simple(store, "COMMIT", err);
	if (rc < 0)
		store_rollback(store);
	store->open = false;
	return rc;
}

/* --- values ------------------------------------------------------------------------------------------ */

static struct db_value
text(const char *s)
{
	return s ? (struct db_value){ .type = DB_TEXT, .ptr = s, .len = strlen(s) }
		 : (struct db_value){ .type = DB_NULL };
}

static struct db_value
blob(const void *data, size_t len)
{
	return (struct db_value){ .type = DB_BLOB, .ptr = data, .len = len };
}

static struct db_value
num(uint64_t n)
{
	return (struct db_value){ .type = DB_INT, .num = n > INT64_MAX ? INT64_MAX : (int64_t)n };
}

static struct db_value
small(int n)
{
	return (struct db_value){ .type = DB_INT, .num = n };
}

static const char *
text_of(const struct db_value *v)
{
	return v->type == DB_TEXT ? v->ptr : NULL;
}

/* --- writing ------------------------------------------------------------------------------------------ */

struct write {
	const char *what; /* "node", for messages, with the first argument if it is a name. */
	const char *sql;
	const struct db_value *args;
	size_t n_args;
	db_row_fn *row;
	void *arg;
};
#define ARGS(...)                                         \
	.args = (const struct db_value[]){ __VA_ARGS__ }, \
	.n_args = sizeof((const struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value)

static int
put(struct store *store, const struct write *write, struct err *err)
{
	const char *name = write->args[0].type == DB_TEXT ? write->args[0].ptr : "";
	int rc;

	if (!store->open)
		return err_set(err, -EINVAL, "cannot store %s %s: no transaction", write->what, name);
	if (store->broken.code < 0) {
		*err = store->broken;
		return err->code;
	}
	rc = store->driver->exec(store->db, write->sql, write->args, write->n_args, write->row, write->arg, err);
	if (rc == 0)
		return 0;
	rc = err_wrap(err, "cannot store %s%s%s", write->what, *name ? " " : "", name);
	store->broken = *err;
	return rc;
}

int
store_put_node(struct store *store, const struct store_node *n, struct err *err)
{
	const struct write write = {
		.what = "node",
		.sql = "INSERT INTO node (name, key, document, profile, revision, generation, mode, mode_why, state, since_ms, "
		       "boot_id, grant_boot, granted_ms, leave_boot, leave_why, last_ready) "
		       "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) "
		       "ON CONFLICT (name) DO UPDATE SET key = excluded.key, document = excluded.document, "
		       "profile = excluded.profile, revision = excluded.revision, generation = excluded.generation, "
		       "mode = excluded.mode, mode_why = excluded.mode_why, state = excluded.state, "
		       "since_ms = excluded.since_ms, boot_id = excluded.boot_id, grant_boot = excluded.grant_boot, "
		       "granted_ms = excluded.granted_ms, leave_boot = excluded.leave_boot, leave_why = excluded.leave_why, "
		       "last_ready = excluded.last_ready",
		ARGS(text(n->name), text(n->key), blob(n->document, n->document_len), text(n->profile),
		     num(n->revision), num(n->generation), small(n->mode), text(n->mode_why), small(n->state),
		     num(n->since_ms), text(n->boot_id), text(n->grant_boot), num(n->granted_ms), text(n->leave_boot),
		     text(n->leave_why), text(n->last_ready))
	};

	return put(store, &write, err);
}

int
store_put_report(struct store *store, const char *name, const void *report, size_t len, struct err *err)
{
	const struct write write = { .what = "report of",
				     .sql = "INSERT INTO report (node, data) VALUES ($1, $2) "
					    "ON CONFLICT (node) DO UPDATE SET data = excluded.data",
				     ARGS(text(name), blob(report, len)) };

	return put(store, &write, err);
}

int
store_delete_node(struct store *store, const char *name, struct err *err)
{
	const struct write write = { .what = "end of node",
				     .sql = "DELETE FROM node WHERE name = $1",
				     ARGS(text(name)) };

	return put(store, &write, err);
}

int
store_add_profile(struct store *store, const struct store_profile *p, struct err *err)
{
	const struct write write = {
		.what = "profile",
		.sql = "INSERT INTO profile (name, revision, hash, author, comment, created_ms, document) "
		       "VALUES ($1, $2, $3, $4, $5, $6, $7)",
		ARGS(text(p->name), num(p->revision), text(p->hash), text(p->author), text(p->comment),
		     num(p->created_ms), blob(p->document, p->document_len))
	};

	return put(store, &write, err);
}

int
store_put_principal(struct store *store, const struct store_principal *p, struct err *err)
{
	const struct write write = {
		.what = "key",
		.sql = "INSERT INTO principal (key, is_node, name, role, created_ms) VALUES ($1, $2, $3, $4, $5) "
		       "ON CONFLICT (key) DO UPDATE SET is_node = excluded.is_node, name = excluded.name, "
		       "role = excluded.role, created_ms = excluded.created_ms",
		ARGS(text(p->key), small(p->is_node), text(p->name), small(p->role), num(p->created_ms))
	};

	return put(store, &write, err);
}

int
store_delete_principal(struct store *store, const char *key, struct err *err)
{
	const struct write write = { .what = "end of key",
				     .sql = "DELETE FROM principal WHERE key = $1",
				     ARGS(text(key)) };

	return put(store, &write, err);
}

int
store_put_token(struct store *store, const struct store_token *t, struct err *err)
{
	const struct write write = { .what = "token",
				     .sql = "INSERT INTO token (key, node, expires_ms) VALUES ($1, $2, $3) "
					    "ON CONFLICT (key) DO UPDATE SET node = excluded.node, "
					    "expires_ms = excluded.expires_ms",
				     ARGS(text(t->key), text(t->node), num(t->expires_ms)) };

	return put(store, &write, err);
}

int
store_delete_token(struct store *store, const char *key, struct err *err)
{
	const struct write write = { .what = "end of token",
				     .sql = "DELETE FROM token WHERE key = $1",
				     ARGS(text(key)) };

	return put(store, &write, err);
}

int
store_put_window(struct store *store, const struct store_window *w, struct err *err)
{
	const struct write write = { .what = "window",
				     .sql = "INSERT INTO window (name, document) VALUES ($1, $2) "
					    "ON CONFLICT (name) DO UPDATE SET document = excluded.document",
				     ARGS(text(w->name), blob(w->document, w->document_len)) };

	return put(store, &write, err);
}

int
store_delete_window(struct store *store, const char *name, struct err *err)
{
	const struct write write = { .what = "end of window",
				     .sql = "DELETE FROM window WHERE name = $1",
				     ARGS(text(name)) };

	return put(store, &write, err);
}

int
store_put_rollout(struct store *store, const struct store_rollout *r, struct err *err)
{
	const struct write write = { .what = "rollout",
				     .sql = "INSERT INTO rollout (name, created_ms, data) VALUES ($1, $2, $3) "
					    "ON CONFLICT (name) DO UPDATE SET created_ms = excluded.created_ms, "
					    "data = excluded.data",
				     ARGS(text(r->name), num(r->created_ms), blob(r->data, r->len)) };

	return put(store, &write, err);
}

int
store_put_rollout_node(struct store *store, const struct store_rollout_node *n, struct err *err)
{
	const struct write write = { .what = "node of rollout",
				     .sql = "INSERT INTO rollout_node (rollout, place, data) VALUES ($1, $2, $3) "
					    "ON CONFLICT (rollout, place) DO UPDATE SET data = excluded.data",
				     ARGS(text(n->rollout), num(n->place), blob(n->data, n->len)) };

	return put(store, &write, err);
}

int
store_delete_rollout(struct store *store, const char *name, struct err *err)
{
	const struct write write = { .what = "end of rollout",
				     .sql = "DELETE FROM rollout WHERE name = $1",
				     ARGS(text(name)) };

	return put(store, &write, err);
}

static int
keep_id(void *arg, const struct db_value *c, size_t n)
{
	uint64_t *id = arg;

	(void)n;
	*id = (uint64_t)c[0].num;
	return 0;
}

int
store_add_event(struct store *store, struct store_event *e, struct err *err)
{
	const struct write write = { .what = "event",
				     .sql = "INSERT INTO event (at_ms, actor, kind, object, text) "
					    "VALUES ($1, $2, $3, $4, $5) RETURNING id",
				     ARGS(num(e->at_ms), text(e->actor), text(e->kind), text(e->object), text(e->text)),
				     .row = keep_id,
				     .arg = &e->id };

	return put(store, &write, err);
}

/* Ids are nearly without gaps, so the newest 'keep' are found without counting. */
int
store_trim_events(struct store *store, uint64_t keep, struct err *err)
{
	const struct write write = { .what = "end of events",
				     .sql = "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - $1",
				     ARGS(num(keep)) };

	return put(store, &write, err);
}

int
store_put_answer(struct store *store, const char *key, int code, const char *message, struct err *err)
{
	const struct write add = { .what = "answer",
				   .sql = "INSERT INTO answer (key, code, message) VALUES ($1, $2, $3) "
					  "ON CONFLICT (key) DO NOTHING",
				   ARGS(text(key), small(code), text(message)) };
	const struct write trim = { .what = "end of answers",
				    .sql = "DELETE FROM answer WHERE seq <= "
					   "(SELECT seq FROM answer ORDER BY seq DESC LIMIT 1 OFFSET $1)",
				    ARGS(num(ANSWERS_KEPT)) };
	int rc = put(store, &add, err);

	return rc < 0 ? rc : put(store, &trim, err);
}

/* --- reading -------------------------------------------------------------------------------------------- */

struct answer {
	int code;
	char *message;
};

static int
keep_answer(void *arg, const struct db_value *c, size_t n)
{
	struct answer *answer = arg;

	(void)n;
	answer->code = (int)c[0].num;
	answer->message = c[1].type == DB_TEXT ? xstrdup(c[1].ptr) : NULL;
	return 0;
}

int
store_get_answer(struct store *store, const char *key, int *code, char **message, struct err *err)
{
	const struct db_value args[] = { text(key) };
	struct answer answer = { .code = -1 };
	int rc = store->driver->exec(store->db, "SELECT code, message FROM answer WHERE key = $1", args, 1, keep_answer,
				     &answer, err);

	if (rc < 0) {
		free(answer.message);
		return rc;
	}
	*code = answer.code;
	*message = answer.message;
	return 0;
}

struct load {
	const struct store_loader *loader;
	void *arg;
};

static int
load_node(void *arg, const struct db_value *c, size_t n)
{
	const struct load *load = arg;
	const struct store_node node = {
		.name = text_of(&c[0]),
		.key = text_of(&c[1]),
		.document = c[2].ptr,
		.document_len = c[2].len,
		.profile = text_of(&c[3]),
		.revision = (uint32_t)c[4].num,
		.generation = (uint64_t)c[5].num,
		.mode = (int)c[6].num,
		.mode_why = text_of(&c[7]),
		.state = (int)c[8].num,
		.since_ms = (uint64_t)c[9].num,
		.boot_id = text_of(&c[10]),
		.grant_boot = text_of(&c[11]),
		.granted_ms = (uint64_t)c[12].num,
		.leave_boot = text_of(&c[13]),
		.leave_why = text_of(&c[14]),
		.last_ready = text_of(&c[15]),
		.report = c[16].ptr,
		.report_len = c[16].len,
	};

	(void)n;
	return load->loader->node(load->arg, &node);
}

static int
load_profile(void *arg, const struct db_value *c, size_t n)
{
	const struct load *load = arg;
	const struct store_profile profile = {
		.name = text_of(&c[0]),
		.revision = (uint32_t)c[1].num,
		.hash = text_of(&c[2]),
		.author = text_of(&c[3]),
		.comment = text_of(&c[4]),
		.created_ms = (uint64_t)c[5].num,
		.document = c[6].ptr,
		.document_len = c[6].len,
	};

	(void)n;
	return load->loader->profile(load->arg, &profile);
}

static int
load_principal(void *arg, const struct db_value *c, size_t n)
{
	const struct load *load = arg;
	const struct store_principal principal = {
		.key = text_of(&c[0]),
		.is_node = c[1].num != 0,
		.name = text_of(&c[2]),
		.role = (int)c[3].num,
		.created_ms = (uint64_t)c[4].num,
	};

	(void)n;
	return load->loader->principal(load->arg, &principal);
}

static int
load_token(void *arg, const struct db_value *c, size_t n)
{
	const struct load *load = arg;
	const struct store_token token = {
		.key = text_of(&c[0]),
		.node = text_of(&c[1]),
		.expires_ms = (uint64_t)c[2].num,
	};

	(void)n;
	return load->loader->token(load->arg, &token);
}

static int
load_window(void *arg, const struct db_value *c, size_t n)
{
	const struct load *load = arg;
	const struct store_window window = { .name = text_of(&c[0]), .document = c[1].ptr, .document_len = c[1].len };

	(void)n;
	return load->loader->window(load->arg, &window);
}

static int
load_rollout(void *arg, const struct db_value *c, size_t n)
{
	const struct load *load = arg;
	const struct store_rollout rollout = {
		.name = text_of(&c[0]),
		.created_ms = (uint64_t)c[1].num,
		.data = c[2].ptr,
		.len = c[2].len,
	};

	(void)n;
	return load->loader->rollout(load->arg, &rollout);
}

static int
load_rollout_node(void *arg, const struct db_value *c, size_t n)
{
	const struct load *load = arg;
	const struct store_rollout_node node = {
		.rollout = text_of(&c[0]),
		.place = (uint32_t)c[1].num,
		.data = c[2].ptr,
		.len = c[2].len,
	};

	(void)n;
	return load->loader->rollout_node(load->arg, &node);
}

int
store_load(struct store *store, const struct store_loader *loader, void *arg, struct err *err)
{
	const struct {
		bool wanted;
		const char *sql;
		db_row_fn *row;
	} parts[] = {
		{ loader->profile != NULL,
		  "SELECT name, revision, hash, author, comment, created_ms, document FROM profile ORDER BY name, revision",
		  load_profile },
		{ loader->principal != NULL, "SELECT key, is_node, name, role, created_ms FROM principal ORDER BY key",
		  load_principal },
		{ loader->token != NULL, "SELECT key, node, expires_ms FROM token ORDER BY key", load_token },
		{ loader->node != NULL,
		  "SELECT name, key, document, profile, revision, generation, mode, mode_why, state, since_ms, boot_id, "
		  "grant_boot, granted_ms, leave_boot, leave_why, last_ready, report.data "
		  "FROM node LEFT JOIN report ON report.node = node.name ORDER BY name",
		  load_node },
		{ loader->window != NULL, "SELECT name, document FROM window ORDER BY name", load_window },
		{ loader->rollout != NULL, "SELECT name, created_ms, data FROM rollout ORDER BY created_ms, name",
		  load_rollout },
		{ loader->rollout_node != NULL, "SELECT rollout, place, data FROM rollout_node ORDER BY rollout, place",
		  load_rollout_node },
	};
	struct load load = { .loader = loader, .arg = arg };
	int rc = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == 0; i++)
		if (parts[i].wanted)
			rc = store->driver->exec(store->db, parts[i].sql, NULL, 0, parts[i].row, &load, err);
	return rc;
}

struct events {
	int (*fn)(void *arg, const struct store_event *event);
	void *arg;
};

static int
load_event(void *arg, const struct db_value *c, size_t n)
{
	const struct events *events = arg;
	const struct store_event event = {
		.id = (uint64_t)c[0].num,
		.at_ms = (uint64_t)c[1].num,
		.actor = text_of(&c[2]),
		.kind = text_of(&c[3]),
		.object = text_of(&c[4]),
		.text = text_of(&c[5]),
	};

	(void)n;
	return events->fn(events->arg, &event);
}

int
store_events(struct store *store, const struct store_event_query *query,
	     int (*fn)(void *arg, const struct store_event *event), void *arg, struct err *err)
{
#define COLUMNS "SELECT id, at_ms, actor, kind, object, text FROM "
	static const char *const sql[2][2] = {
		{ COLUMNS "event WHERE id > $1 ORDER BY id LIMIT $2",
		  COLUMNS "event WHERE id > $1 AND object = $3 ORDER BY id LIMIT $2" },
		{ COLUMNS "(" COLUMNS "event WHERE id > $1 ORDER BY id DESC LIMIT $2) AS newest ORDER BY id", COLUMNS
		  "(" COLUMNS "event WHERE id > $1 AND object = $3 ORDER BY id DESC LIMIT $2) AS newest ORDER BY id" },
	};
#undef COLUMNS
	const struct db_value args[] = { num(query->newest ? 0 : query->after), num(query->limit),
					 text(query->object) };
	struct events events = { .fn = fn, .arg = arg };

	return store->driver->exec(store->db, sql[query->newest][query->object != NULL], args, query->object ? 3 : 2,
				   load_event, &events, err);
}
