/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/layers/notes.h"
#include "tests/unit/tree.h"

#define FILE_OF_NOTES "/run/notes"

static struct host *host;

static int
setup(void **state)
{
	(void)state;
	tree_make();
	put_dir("/run");
	host = host_open(tree, NULL);
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

static void
add(size_t key, const char *a, const char *b, const char *c)
{
	const char *const field[NOTES_FIELDS] = { a, b, c };
	struct err err = { 0 };

	if (notes_add(host, FILE_OF_NOTES, field, key, &err) < 0)
		fail_msg("%s", err.msg);
}

static void
what_was_not_said_is_not_there(void **state)
{
	struct notes notes;

	(void)state;
	notes_read(host, FILE_OF_NOTES, &notes);
	assert_int_equal(notes.n, 0);
	notes_free(&notes);
}

static void
each_is_kept_in_its_order(void **state)
{
	struct notes notes;

	(void)state;
	add(0, "a", "b", "first");
	add(0, "a", "b", "second");
	notes_read(host, FILE_OF_NOTES, &notes);
	assert_int_equal(notes.n, 2);
	assert_string_equal(notes.v[0].field[2], "first");
	assert_string_equal(notes.v[1].field[2], "second");
	assert_string_equal(notes.v[1].field[4], "");
	notes_free(&notes);
}

static void
one_takes_the_place_of_those_of_its_key(void **state)
{
	(void)state;
	add(2, "a", "b", "old");
	add(2, "a", "c", "other");
	add(2, "a", "b", "new");
	assert_file(FILE_OF_NOTES, "a\tc\tother\t\t\na\tb\tnew\t\t\n");
}

static void
no_text_ends_a_field(void **state)
{
	(void)state;
	add(0, "a", "what\tit\nsaid", NULL);
	assert_file(FILE_OF_NOTES, "a\twhat it said\t\t\t\n");
}

/* Of an older version, or cut off. */
static void
short_lines_have_empty_fields(void **state)
{
	struct notes notes;

	(void)state;
	put(FILE_OF_NOTES, "a\tb\n\nc\td\te\tf\tg\th");
	notes_read(host, FILE_OF_NOTES, &notes);
	assert_int_equal(notes.n, 2);
	assert_string_equal(notes.v[0].field[1], "b");
	assert_string_equal(notes.v[0].field[2], "");
	assert_string_equal(notes.v[1].field[4], "g\th");
	notes_free(&notes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_not_said_is_not_there),          TEST(each_is_kept_in_its_order),
		TEST(one_takes_the_place_of_those_of_its_key), TEST(no_text_ends_a_field),
		TEST(short_lines_have_empty_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
