/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/utf8.h"

static void
steal_of_nothing_is_an_empty_text(void **state)
{
	struct buf buf = { 0 };
	auto_free char *text = buf_steal(&buf);

	(void)state;
	assert_string_equal(text, "");
}

static void
steal_leaves_an_empty_buf(void **state)
{
	auto_buf struct buf buf = { 0 };

	(void)state;
	buf_puts(&buf, "abc");
	auto_free char *text = buf_steal(&buf);
	assert_string_equal(text, "abc");
	assert_null(buf.text);
	assert_int_equal(buf.len, 0);
}

/* One byte at a time over several of its sizes: the NUL is always there, and always inside. */
static void
grows_byte_by_byte(void **state)
{
	auto_buf struct buf buf = { 0 };

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		char c = (char)('a' + i % 26);

		buf_add(&buf, &c, 1);
		assert_int_equal(buf.len, i + 1);
		assert_int_equal(buf.text[i], c);
		assert_int_equal(buf.text[i + 1], '\0');
	}
	assert_int_equal(buf.text[0], 'a');
}

static void
adding_nothing_makes_a_text(void **state)
{
	auto_buf struct buf buf = { 0 };

	(void)state;
	buf_add(&buf, NULL, 0);
	assert_string_equal(buf.text, "");
}

static void
printf_appends_beyond_any_size(void **state)
{
	auto_buf struct buf buf = { 0 };

	(void)state;
	buf_puts(&buf, "<");
	buf_printf(&buf, "%300s|%d", "x", 7);
	assert_int_equal(buf.len, 303);
	assert_string_equal(buf.text + 300, "x|7");
}

static void
json_escapes(void **state)
{
	static const char *const cases[][2] = {
		{ "", "\"\"" },
		{ "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
		{ "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
		{ "\xc3\xa9 \xf0\x9f\x98\x80", "\"\xc3\xa9 \xf0\x9f\x98\x80\"" },
		{ "\xe2\x80\xa8", "\"\\u2028\"" },
		{ "a\xff"
		  "b",
		  "\"a\xef\xbf\xbd"
		  "b\"" },
		{ "cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_buf struct buf buf = { 0 };

		buf_json(&buf, cases[i][0]);
		assert_string_equal(buf.text, cases[i][1]);
	}
}

static void
utf8_by_the_book(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		size_t n;
		uint32_t c;
	} cases[] = {
		{ "a", 1, 1, 'a' },
		{ "\0", 1, 1, 0 },
		{ "\xc3\xa9", 2, 2, 0xe9 },
		{ "\xe2\x82\xac", 3, 3, 0x20ac },
		{ "\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff },
		{ "\xc3\xa9", 1, 0, 0 },         /* cut */
		{ "\xc0\x80", 2, 0, 0 },         /* too long a form */
		{ "\xe0\x80\xaf", 3, 0, 0 },     /* likewise */
		{ "\xed\xa0\x80", 3, 0, 0 },     /* a surrogate */
		{ "\xf4\x90\x80\x80", 4, 0, 0 }, /* beyond the last */
		{ "\x80", 1, 0, 0 },             /* a tail alone */
		{ "\xff", 1, 0, 0 },
		{ "\xe2x\xac", 3, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t c = 0;

		assert_int_equal(utf8_next(cases[i].text, cases[i].len, &c), cases[i].n);
		assert_int_equal(c, cases[i].c);
	}
}

static void
clean_is_one_line(void **state)
{
	char text[] = "a\nb\x1b[2J\xc3\xa9\xff\xc2\x85\xe2\x82";

	(void)state;
	utf8_clean(text);
	assert_string_equal(text, "a?b?[2J\xc3\xa9?????");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steal_of_nothing_is_an_empty_text),
		cmocka_unit_test(steal_leaves_an_empty_buf),
		cmocka_unit_test(grows_byte_by_byte),
		cmocka_unit_test(adding_nothing_makes_a_text),
		cmocka_unit_test(printf_appends_beyond_any_size),
		cmocka_unit_test(json_escapes),
		cmocka_unit_test(utf8_by_the_book),
		cmocka_unit_test(clean_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
