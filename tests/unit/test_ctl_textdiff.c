/* Links: ctl */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/ctl/textdiff.h"

static void
assert_diff(const char *a, const char *b, const char *expected)
{
	auto_buf struct buf out = { 0 };

	assert_true(textdiff("a", a, "b", b, false, &out));
	assert_string_equal(out.text, expected);
}

static void
equal_texts_have_no_diff(void **state)
{
	auto_buf struct buf out = { 0 };

	(void)state;
	assert_false(textdiff("a", "x\ny\n", "b", "x\ny\n", true, &out));
	assert_false(textdiff("a", "", "b", "", true, &out));
	assert_int_equal(out.len, 0);
}

static void
additions_removals_changes(void **state)
{
	(void)state;
	assert_diff("", "x\ny\n", "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n");
	assert_diff("x\ny\n", "", "--- a\n+++ b\n@@ -1,2 +0,0 @@\n-x\n-y\n");
	assert_diff("1\n2\n3\n", "1\nzwei\n3\n", "--- a\n+++ b\n@@ -1,3 +1,3 @@\n 1\n-2\n+zwei\n 3\n");
}

static void
far_changes_are_hunks_of_their_own(void **state)
{
	(void)state;
	assert_diff("A\n1\n2\n3\n4\n5\n6\n7\nB\n", "a\n1\n2\n3\n4\n5\n6\n7\nb\n",
		    "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-A\n+a\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-B\n+b\n");
	assert_diff("A\n1\n2\n3\n4\nB\n", "a\n1\n2\n3\n4\nb\n",
		    "--- a\n+++ b\n@@ -1,6 +1,6 @@\n-A\n+a\n 1\n 2\n 3\n 4\n-B\n+b\n");
}

static void
lines_are_cleaned_and_coloured(void **state)
{
	auto_buf struct buf out = { 0 };

	(void)state;
	assert_true(textdiff("a", "", "b", "\033[2J\n", true, &out));
	assert_non_null(strstr(out.text, "\033[32m+?[2J\033[0m\n"));
}

/* A text that is walked through. */
struct walk {
	const char *at;
	long line;
};

static void
copy_line(struct walk *walk, struct buf *out)
{
	size_t len = strcspn(walk->at, "\n") + 1;

	if (out)
		buf_add(out, walk->at, len);
	walk->at += len;
	walk->line++;
}

/* Copies what stands before the hunk: "@@ -START,COUNT +...". */
static void
go_to_hunk(struct walk *walk, const char *head, struct buf *out)
{
	char *end;
	long start = strtol(head + 4, &end, 10);

	if (strtol(end + 1, NULL, 10) == 0)
		start++;
	while (walk->line < start)
		copy_line(walk, out);
}

/* What patch(1) would do with 'diff' to 'old'; the caller frees. */
static char *
patched(const char *old, const char *diff)
{
	struct buf out = { 0 };
	struct walk walk = { old, 1 };

	diff = strchr(strchr(diff, '\n') + 1, '\n') + 1;
	for (size_t len; *diff; diff += len) {
		len = strcspn(diff, "\n") + 1;
		if (*diff == '@') {
			go_to_hunk(&walk, diff, &out);
		} else if (*diff == '+') {
			buf_add(&out, diff + 1, len - 1);
		} else {
			assert_memory_equal(walk.at, diff + 1, len - 1);
			copy_line(&walk, *diff == ' ' ? &out : NULL);
		}
	}
	buf_printf(&out, "%s", walk.at);
	return buf_steal(&out);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 16;
}

static char *
random_text(uint32_t *seed)
{
	struct buf out = { 0 };
	uint32_t lines = next_random(seed) % 25;

	for (uint32_t i = 0; i < lines; i++)
		buf_printf(&out, "%c\n", 'a' + (char)(next_random(seed) % 4));
	return buf_steal(&out);
}

static void
a_diff_leads_from_one_text_to_the_other(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		auto_free char *a = random_text(&seed);
		auto_free char *b = random_text(&seed);
		auto_buf struct buf out = { 0 };

		if (!textdiff("a", a, "b", b, false, &out)) {
			assert_string_equal(a, b);
			continue;
		}
		auto_free char *made = patched(a, out.text);
		assert_string_equal(made, b);
	}
}

static void
texts_with_nothing_in_common_are_replaced(void **state)
{
	struct buf a = { 0 };
	struct buf b = { 0 };
	auto_buf struct buf out = { 0 };

	(void)state;
	for (int i = 0; i < 3000; i++) {
		buf_printf(&a, "a%d\n", i);
		buf_printf(&b, "b%d\n", i);
	}
	assert_true(textdiff("a", a.text, "b", b.text, false, &out));
	auto_free char *made = patched(a.text, out.text);
	assert_string_equal(made, b.text);
	buf_free(&a);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_texts_have_no_diff),
		cmocka_unit_test(additions_removals_changes),
		cmocka_unit_test(far_changes_are_hunks_of_their_own),
		cmocka_unit_test(lines_are_cleaned_and_coloured),
		cmocka_unit_test(a_diff_leads_from_one_text_to_the_other),
		cmocka_unit_test(texts_with_nothing_in_common_are_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
