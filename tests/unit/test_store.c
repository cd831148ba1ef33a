/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/db.h"
#include "controller/store.h"
#include "tests/unit/folder.h"

extern const struct db_driver db_sqlite;

static struct err why;

static void
ok(int rc)
{
	if (rc < 0)
		fail_msg("%s", why.msg);
}

static struct store *
open_store(const char *folder)
{
	auto_free char *url = xasprintf("sqlite:%s/a.db", folder);
	struct store *store = NULL;

	ok(store_open(url, &store, &why));
	return store;
}

/* --- all that is stored, as text ------------------------------------------------------------------ */

static int
print_node(void *arg, const struct store_node *n)
{
	buf_printf(arg,
		   "node %s key=%s doc=%.*s profile=%s@%u gen=%llu mode=%d why=%s state=%d since=%llu boot=%s "
		   "grant=%s@%llu leave=%s why=%s report=%.*s\n",
		   n->name, n->key ? n->key : "-", (int)n->document_len, (const char *)n->document,
		   n->profile ? n->profile : "-", n->revision, (unsigned long long)n->generation, n->mode,
		   n->mode_why ? n->mode_why : "-", n->state, (unsigned long long)n->since_ms,
		   n->boot_id ? n->boot_id : "-", n->grant_boot ? n->grant_boot : "-",
		   (unsigned long long)n->granted_ms, n->leave_boot ? n->leave_boot : "-",
		   n->leave_why ? n->leave_why : "-", n->report ? (int)n->report_len : 1,
		   n->report ? (const char *)n->report : "-");
	return 0;
}

static int
print_profile(void *arg, const struct store_profile *p)
{
	buf_printf(arg, "profile %s@%u hash=%s author=%s comment=%s created=%llu doc=%.*s\n", p->name, p->revision,
		   p->hash, p->author ? p->author : "-", p->comment ? p->comment : "-",
		   (unsigned long long)p->created_ms, (int)p->document_len, (const char *)p->document);
	return 0;
}

static int
print_principal(void *arg, const struct store_principal *p)
{
	buf_printf(arg, "key %s %s %s role=%d created=%llu\n", p->key, p->is_node ? "node" : "user", p->name, p->role,
		   (unsigned long long)p->created_ms);
	return 0;
}

static int
print_token(void *arg, const struct store_token *t)
{
	buf_printf(arg, "token %s %s expires=%llu\n", t->key, t->node ? t->node : "-",
		   (unsigned long long)t->expires_ms);
	return 0;
}

static int
print_event(void *arg, const struct store_event *e)
{
	buf_printf(arg, "event %llu at=%llu %s %s %s %s\n", (unsigned long long)e->id, (unsigned long long)e->at_ms,
		   e->actor, e->kind, e->object ? e->object : "-", e->text ? e->text : "-");
	return 0;
}

static char *
events(struct store *store, uint64_t after, bool newest, uint32_t limit, const char *object)
{
	const struct store_event_query query = { .after = after, .newest = newest, .limit = limit, .object = object };
	struct buf out = { 0 };

	ok(store_events(store, &query, print_event, &out, &why));
	return buf_steal(&out);
}

static char *
dump(struct store *store)
{
	static const struct store_loader all = {
		.node = print_node, .profile = print_profile, .principal = print_principal, .token = print_token
	};
	auto_free char *list = events(store, 0, false, 1000, NULL);
	struct buf out = { 0 };

	ok(store_load(store, &all, &out, &why));
	buf_add(&out, list, strlen(list));
	return buf_steal(&out);
}

static void
has(struct store *store, const char *want)
{
	auto_free char *have = dump(store);

	assert_string_equal(have, want);
}

/* One of everything; 'n' makes the texts. */
static int
put_all(struct store *store, int n, struct err *err)
{
	auto_free char *name = xasprintf("n%d", n);
	const struct store_node node = { .name = name,
					 .key = "K",
					 .document = "doc",
					 .document_len = 3,
					 .profile = "p",
					 .revision = 4000000000,
					 .generation = (uint64_t)1 << 60,
					 .mode = 2,
					 .mode_why = "mw",
					 .state = 3,
					 .since_ms = 1700000000123,
					 .boot_id = "b",
					 .grant_boot = "g",
					 .granted_ms = 5,
					 .leave_boot = "l",
					 .leave_why = "lw" };
	const struct store_profile profile = { .name = "p",
					       .revision = (uint32_t)n,
					       .hash = "h",
					       .author = "a",
					       .comment = "c",
					       .created_ms = 6,
					       .document = "spec",
					       .document_len = 4 };
	const struct store_principal principal = {
		.key = name, .is_node = true, .name = name, .role = 1, .created_ms = 7
	};
	const struct store_token token = { .key = name, .node = name, .expires_ms = 8 };
	struct store_event event = { .at_ms = 9, .actor = "user/u", .kind = "k", .object = name, .text = "t" };

	if (store_put_node(store, &node, err) < 0 || store_put_report(store, name, "rep", 3, err) < 0 ||
	    store_add_profile(store, &profile, err) < 0 || store_put_principal(store, &principal, err) < 0 ||
	    store_put_token(store, &token, err) < 0 || store_add_event(store, &event, err) < 0 ||
	    store_put_answer(store, name, 0, "done", err) < 0)
		return err->code;
	assert_int_equal(event.id, n);
	return 0;
}

#define NODE(n)                                                                                          \
	"node n" #n " key=K doc=doc profile=p@4000000000 gen=1152921504606846976 mode=2 why=mw state=3 " \
	"since=1700000000123 boot=b grant=g@5 leave=l why=lw report=rep\n"
#define PROFILE(n) "profile p@" #n " hash=h author=a comment=c created=6 doc=spec\n"
#define KEY(n)     "key n" #n " node n" #n " role=1 created=7\n"
#define TOKEN(n)   "token n" #n " n" #n " expires=8\n"
#define EVENT(n)   "event " #n " at=9 user/u k n" #n " t\n"

static void
what_is_committed_comes_back(void **state)
{
	struct store *store = open_store(*state);

	has(store, "");
	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(put_all(store, 2, &why));
	ok(store_commit(store, &why));
	store_close(store);
	store = open_store(*state);
	has(store, PROFILE(1) PROFILE(2) KEY(1) KEY(2) TOKEN(1) TOKEN(2) NODE(1) NODE(2) EVENT(1) EVENT(2));
	store_close(store);
}

static void
absent_is_absent_and_empty_is_empty(void **state)
{
	struct store *store = open_store(*state);
	const struct store_node node = { .name = "n" };
	const struct store_profile profile = { .name = "p", .hash = "" };
	const struct store_principal user = { .key = "k", .name = "u" };
	const struct store_token token = { .key = "k" };
	struct store_event event = { .actor = "a", .kind = "k" };

	ok(store_begin(store, &why));
	ok(store_put_node(store, &node, &why));
	ok(store_add_profile(store, &profile, &why));
	ok(store_put_principal(store, &user, &why));
	ok(store_put_token(store, &token, &why));
	ok(store_add_event(store, &event, &why));
	has(store,
	    "profile p@0 hash= author=- comment=- created=0 doc=\n"
	    "key k user u role=0 created=0\n"
	    "token k - expires=0\n"
	    "node n key=- doc= profile=-@0 gen=0 mode=0 why=- state=0 since=0 boot=- grant=-@0 leave=- why=- report=-\n"
	    "event 1 at=0 a k - -\n");
	ok(store_put_report(store, "n", NULL, 0, &why));
	auto_free char *have = dump(store);
	assert_non_null(strstr(have, "report=\n"));
	store_close(store);
}

static void
putting_again_replaces(void **state)
{
	struct store *store = open_store(*state);
	const struct store_node node = { .name = "n1", .key = "L", .mode = 1 };
	const struct store_principal principal = { .key = "n1", .name = "u", .role = 3 };
	const struct store_token token = { .key = "n1", .expires_ms = 80 };

	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(store_put_node(store, &node, &why));
	ok(store_put_report(store, "n1", "newer", 5, &why));
	ok(store_put_principal(store, &principal, &why));
	ok(store_put_token(store, &token, &why));
	ok(store_commit(store, &why));
	has(store,
	    PROFILE(1) "key n1 user u role=3 created=0\n"
		       "token n1 - expires=80\n"
		       "node n1 key=L doc= profile=-@0 gen=0 mode=1 why=- state=0 since=0 boot=- grant=-@0 leave=- "
		       "why=- report=newer\n" EVENT(1));
	store_close(store);
}

static void
deleting_takes_the_report_along(void **state)
{
	struct store *store = open_store(*state);
	const struct store_node node = { .name = "n1" };

	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(store_delete_node(store, "n1", &why));
	ok(store_delete_node(store, "unknown", &why));
	ok(store_delete_principal(store, "n1", &why));
	ok(store_delete_token(store, "n1", &why));
	has(store, PROFILE(1) EVENT(1));
	ok(store_put_node(store, &node, &why));
	ok(store_commit(store, &why));
	auto_free char *have = dump(store);
	assert_non_null(strstr(have, "report=-\n"));
	store_close(store);
}

static int
stop(void *arg, const struct store_node *node)
{
	(void)node;
	++*(int *)arg;
	return -ECANCELED;
}

static void
a_loader_may_stop(void **state)
{
	struct store *store = open_store(*state);
	const struct store_loader loader = { .node = stop };
	int calls = 0;

	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(put_all(store, 2, &why));
	assert_int_equal(store_load(store, &loader, &calls, &why), -ECANCELED);
	assert_int_equal(calls, 1);
	ok(store_commit(store, &why));
	store_close(store);
}

/* --- events and answers --------------------------------------------------------------------------- */

static void
expect_events(struct store *store, const struct store_event_query *q, const char *want)
{
	auto_free char *have = events(store, q->after, q->newest, q->limit, q->object);

	assert_string_equal(have, want);
}

static void
events_are_read_in_pages(void **state)
{
	struct store *store = open_store(*state);

	ok(store_begin(store, &why));
	for (int i = 1; i <= 6; i++) {
		struct store_event e = {
			.at_ms = 9, .actor = "user/u", .kind = "k", .object = i % 2 ? "n1" : "n2", .text = "t"
		};

		ok(store_add_event(store, &e, &why));
		assert_int_equal(e.id, i);
	}
	ok(store_commit(store, &why));
#define E(id, n) "event " #id " at=9 user/u k n" #n " t\n"
	expect_events(store, &(struct store_event_query){ .limit = 2 }, E(1, 1) E(2, 2));
	expect_events(store, &(struct store_event_query){ .after = 2, .limit = 2 }, E(3, 1) E(4, 2));
	expect_events(store, &(struct store_event_query){ .after = 6, .limit = 2 }, "");
	expect_events(store, &(struct store_event_query){ .after = UINT64_MAX, .limit = 2 }, "");
	expect_events(store, &(struct store_event_query){ .after = 1, .limit = 9, .object = "n1" }, E(3, 1) E(5, 1));
	expect_events(store, &(struct store_event_query){ .newest = true, .limit = 2, .after = 99 }, E(5, 1) E(6, 2));
	expect_events(store, &(struct store_event_query){ .newest = true, .limit = 2, .object = "n1" },
		      E(3, 1) E(5, 1));
	expect_events(store, &(struct store_event_query){ .limit = 9, .object = "n" }, "");

	ok(store_begin(store, &why));
	ok(store_trim_events(store, UINT64_MAX, &why));
	ok(store_trim_events(store, 2, &why));
	expect_events(store, &(struct store_event_query){ .limit = 9 }, E(5, 1) E(6, 2));
	ok(store_trim_events(store, 0, &why));
	expect_events(store, &(struct store_event_query){ .limit = 9 }, "");
	struct store_event next = { .actor = "a", .kind = "k" };
	ok(store_add_event(store, &next, &why));
	assert_int_equal(next.id, 7); /* No id is used twice. */
	ok(store_trim_events(store, 5, &why));
	ok(store_commit(store, &why));
#undef E
	store_close(store);
}

static int
code_of(struct store *store, const char *key, char **message)
{
	int code = 77;

	ok(store_get_answer(store, key, &code, message, &why));
	return code;
}

static void
answers_are_kept_for_the_last_1024(void **state)
{
	struct store *store = open_store(*state);
	auto_free char *first = NULL;
	auto_free char *second = NULL;
	char *none = NULL;

	ok(store_begin(store, &why));
	ok(store_put_answer(store, "first", 3, "unmet", &why));
	ok(store_put_answer(store, "second", 0, NULL, &why));
	ok(store_put_answer(store, "first", 0, "again", &why));
	assert_int_equal(code_of(store, "first", &first), 3);
	assert_string_equal(first, "unmet");
	for (int i = 0; i < 1023; i++) {
		auto_free char *key = xasprintf("key %d", i);

		ok(store_put_answer(store, key, 1, "m", &why));
	}
	ok(store_commit(store, &why));
	assert_int_equal(code_of(store, "first", &none), -1);
	assert_null(none);
	assert_int_equal(code_of(store, "second", &none), 0);
	assert_null(none);
	assert_int_equal(code_of(store, "key 1022", &second), 1);
	assert_string_equal(second, "m");
	store_close(store);
}

/* --- transactions ----------------------------------------------------------------------------------- */

static void
nothing_is_written_without_a_transaction(void **state)
{
	struct store *store = open_store(*state);

	assert_int_equal(put_all(store, 1, &why), -EINVAL);
	assert_string_equal(why.msg, "cannot store node n1: no transaction");
	ok(store_commit(store, &why));
	store_rollback(store);
	has(store, "");
	store_close(store);
	store_close(NULL);
}

static void
rolled_back_is_gone(void **state)
{
	struct store *store = open_store(*state);

	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(store_begin(store, &why)); /* The same transaction. */
	store_rollback(store);
	has(store, "");
	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	store_close(store);
	store = open_store(*state);
	has(store, "");
	store_close(store);
}

static void
one_failed_write_spoils_the_turn(void **state)
{
	struct store *store = open_store(*state);
	const struct store_token token = { .key = "k" };

	ok(store_begin(store, &why));
	ok(store_put_token(store, &token, &why));
	assert_int_equal(store_put_report(store, "nobody", "r", 1, &why), -EINVAL);
	assert_non_null(strstr(why.msg, "cannot store report of nobody: "));
	why = (struct err){ 0 };
	assert_int_equal(store_put_token(store, &token, &why), -EINVAL);
	assert_non_null(strstr(why.msg, "cannot store report of nobody: "));
	why = (struct err){ 0 };
	assert_int_equal(store_commit(store, &why), -EINVAL);
	assert_non_null(strstr(why.msg, "cannot store report of nobody: "));
	has(store, "");

	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(store_commit(store, &why));
	ok(store_begin(store, &why));
	assert_int_equal(
		store_add_profile(store, &(struct store_profile){ .name = "p", .revision = 1, .hash = "h" }, &why),
		-EEXIST);
	store_rollback(store);
	has(store, PROFILE(1) KEY(1) TOKEN(1) NODE(1) EVENT(1));
	store_close(store);
}

/* --- faults ----------------------------------------------------------------------------------------- */

static int fail_at; /* The how manyth statement fails; 0: none. */
static int statements;

static int
faulty_exec(struct db *db, const char *sql, const struct db_value *args, size_t n_args, db_row_fn *row, void *arg,
	    struct err *err)
{
	if (strcmp(sql, "ROLLBACK") != 0 && ++statements == fail_at)
		return err_set(err, -EIO, "the disk is on fire");
	return db_sqlite.exec(db, sql, args, n_args, row, arg, err);
}

static int
turn(struct store *store, int n, struct err *err)
{
	int rc = store_begin(store, err);

	if (rc == 0)
		rc = put_all(store, n, err);
	if (rc == 0)
		rc = store_delete_node(store, "n1", err);
	if (rc == 0)
		rc = store_trim_events(store, 1, err);
	return rc == 0 ? store_commit(store, err) : rc;
}

static void
whichever_statement_fails_all_is_as_before(void **state)
{
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct db_driver faulty = db_sqlite;
	struct store *store = NULL;
	int n;

	faulty.exec = faulty_exec;
	fail_at = 0;
	ok(store_open_with(&faulty, path, &store, &why));
	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(store_commit(store, &why));
	for (n = 1;; n++) {
		statements = 0;
		fail_at = n;
		if (turn(store, 2, &why) == 0)
			break;
		assert_int_equal(why.code, -EIO);
		assert_non_null(strstr(why.msg, "the disk is on fire"));
		fail_at = 0;
		store_rollback(store);
		has(store, PROFILE(1) KEY(1) TOKEN(1) NODE(1) EVENT(1));
		auto_free char *message = NULL;
		assert_int_equal(code_of(store, "n2", &message), -1);
	}
	assert_int_equal(n, 13); /* BEGIN, 8 puts, 2 deletes, COMMIT; the 13th is none of them. */
	fail_at = 0;
	has(store, PROFILE(1) PROFILE(2) KEY(1) KEY(2) TOKEN(1) TOKEN(2) NODE(2) EVENT(2));
	statements = 0;
	fail_at = 2; /* Reading fails as well. */
	const struct store_loader loader = { .token = print_token, .principal = print_principal };
	struct buf out = { 0 };
	assert_int_equal(store_load(store, &loader, &out, &why), -EIO);
	buf_free(&out);
	store_close(store);
}

static int
open_small(const char *where, struct db **out, struct err *err)
{
	int rc = db_sqlite.open(where, out, err);

	return rc < 0 ? rc : db_sqlite.exec(*out, "PRAGMA max_page_count = 60", NULL, 0, NULL, NULL, err);
}

static void
disk_full_loses_nothing(void **state)
{
	static char report[500000];
	auto_free char *path = xasprintf("%s/a.db", (char *)*state);
	struct db_driver small = db_sqlite;
	struct store *store = NULL;

	small.open = open_small;
	ok(store_open_with(&small, path, &store, &why));
	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(store_commit(store, &why));
	ok(store_begin(store, &why));
	ok(store_delete_token(store, "n1", &why));
	assert_int_equal(store_put_report(store, "n1", report, sizeof(report), &why), -ENOSPC);
	/* SQLite has rolled back by itself: what comes now must not be committed alone. */
	assert_int_equal(store_delete_principal(store, "n1", &why), -ENOSPC);
	assert_int_equal(store_commit(store, &why), -ENOSPC);
	assert_non_null(strstr(why.msg, "a.db: database or disk is full"));
	has(store, PROFILE(1) KEY(1) TOKEN(1) NODE(1) EVENT(1));
	ok(store_begin(store, &why));
	ok(store_delete_token(store, "n1", &why));
	ok(store_commit(store, &why));
	has(store, PROFILE(1) KEY(1) NODE(1) EVENT(1));
	store_close(store);
}

/* --- kill -9 ------------------------------------------------------------------------------------------ */

/* Commits a node after the other and tells of each that is committed, until it is killed. */
static void
commit_and_tell(const char *folder, int fd)
{
	struct store *store = open_store(folder);

	for (int i = 1;; i++) {
		auto_free char *name = xasprintf("n%d", i);
		const struct store_node node = { .name = name, .generation = (uint64_t)i };

		ok(store_begin(store, &why));
		ok(store_put_node(store, &node, &why));
		ok(store_put_report(store, name, name, strlen(name), &why));
		ok(store_commit(store, &why));
		if (write(fd, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static int
count_up(void *arg, const struct store_node *node)
{
	assert_int_equal(node->report_len, strlen(node->name)); /* Node and report, or neither. */
	assert_memory_equal(node->report, node->name, node->report_len);
	++*(int *)arg;
	return 0;
}

static void
killed_after_told(void **state, int wanted)
{
	const struct store_loader loader = { .node = count_up };
	struct store *store;
	int told = 0;
	int stored = 0;
	int number;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		commit_and_tell(*state, fds[1]);
	close(fds[1]);
	while (told < wanted && read(fds[0], &number, sizeof(number)) == sizeof(number))
		told = number;
	kill(pid, SIGKILL);
	while (read(fds[0], &number, sizeof(number)) == sizeof(number))
		told = number;
	close(fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(told >= wanted);

	store = open_store(*state);
	ok(store_load(store, &loader, &stored, &why));
	assert_in_range(stored, told, told + 1);
	ok(store_begin(store, &why));
	for (int i = 1; i <= stored; i++) {
		auto_free char *name = xasprintf("n%d", i);

		ok(store_delete_node(store, name, &why));
	}
	ok(store_commit(store, &why));
	store_close(store);
}

static void
what_was_told_survives_kill_9(void **state)
{
	for (int wanted = 1; wanted <= 40; wanted += 13)
		killed_after_told(state, wanted);
}

/* --- urls ------------------------------------------------------------------------------------------------ */

static void
urls_that_name_nothing(void **state)
{
	static const char *const urls[] = { "",         ":",          "sqlite", "sqlite:",
					    "sqlit:/x", "sqlite3:/x", "/x",     "postgresql://x" };
	struct store *store = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		auto_free char *want = xasprintf("'%s' names no database: write sqlite:WHERE", urls[i]);

		assert_int_equal(store_open(urls[i], &store, &why), -EINVAL);
		assert_string_equal(why.msg, want);
		assert_int_equal(store_backup(urls[i], "/nowhere", &why), -EINVAL);
	}
}

static void
a_backup_is_a_store(void **state)
{
	auto_free char *url = xasprintf("sqlite:%s/a.db", (char *)*state);
	auto_free char *copy = xasprintf("%s/copy", (char *)*state);
	auto_free char *copy_url = xasprintf("sqlite:%s", copy);
	struct store *store = open_store(*state);

	ok(store_begin(store, &why));
	ok(put_all(store, 1, &why));
	ok(store_commit(store, &why));
	ok(store_backup(url, copy, &why));
	assert_int_equal(store_backup(url, copy, &why), -EEXIST);
	store_close(store);
	ok(store_open(copy_url, &store, &why));
	has(store, PROFILE(1) KEY(1) TOKEN(1) NODE(1) EVENT(1));
	store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_committed_comes_back),
		TEST(absent_is_absent_and_empty_is_empty),
		TEST(putting_again_replaces),
		TEST(deleting_takes_the_report_along),
		TEST(a_loader_may_stop),
		TEST(events_are_read_in_pages),
		TEST(answers_are_kept_for_the_last_1024),
		TEST(nothing_is_written_without_a_transaction),
		TEST(rolled_back_is_gone),
		TEST(one_failed_write_spoils_the_turn),
		TEST(whichever_statement_fails_all_is_as_before),
		TEST(disk_full_loses_nothing),
		TEST(what_was_told_survives_kill_9),
		TEST(urls_that_name_nothing),
		TEST(a_backup_is_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
