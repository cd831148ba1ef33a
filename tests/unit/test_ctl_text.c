/* Links: ctl */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/ctl/text.h"

static void
assert_clean(const char *s, bool lines, const char *expected)
{
	auto_buf struct buf out = { 0 };

	text_clean(&out, s, lines);
	assert_string_equal(out.text ? out.text : "", expected);
}

static void
nothing_of_a_node_steers_the_terminal(void **state)
{
	(void)state;
	assert_clean("", false, "");
	assert_clean("plain n1 \xc3\xa4\xe4\xb8\xad", false, "plain n1 \xc3\xa4\xe4\xb8\xad");
	assert_clean("\033[31mred\033]0;title\007", false, "?[31mred?]0;title?");
	assert_clean("a\rb\x7f", false, "a?b?");
	assert_clean("csi \xc2\x9b 1m", false, "csi ? 1m");                      /* C1, as UTF-8 */
	assert_clean("rtl \xe2\x80\xae txt \xe2\x81\xa6", false, "rtl ? txt ?"); /* U+202E, U+2066 */
	assert_clean("bad \xff \xc3", false, "bad ? ?");
	assert_clean("\xed\xa0\x80", false, "???");
	assert_clean("a\nb\tc", false, "a b c");
	assert_clean("a\nb\tc\033", true, "a\nb\tc?");
}

static void
width_is_what_a_terminal_shows(void **state)
{
	(void)state;
	text_init();
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("n1"), 2);
	assert_int_equal(text_width("\xc3\xa4"), 1);
	assert_int_equal(text_width("\xe4\xb8\xad\xe6\x96\x87"), 4); /* Wide. */
	assert_int_equal(text_width("e\xcc\x81"), 1);                /* Combining. */
	assert_int_equal(text_width("\xff"), 1);
}

static void
assert_age(uint64_t seconds, const char *expected)
{
	auto_buf struct buf out = { 0 };

	text_age(&out, 5000, 5000 + seconds * 1000);
	assert_string_equal(out.text, expected);
}

static void
ages(void **state)
{
	auto_buf struct buf out = { 0 };

	(void)state;
	assert_age(0, "0s");
	assert_age(45, "45s");
	assert_age(119, "119s");
	assert_age(120, "2m");
	assert_age(7199, "119m");
	assert_age(7200, "2h");
	assert_age(172799, "47h");
	assert_age(172800, "2d");
	assert_age(34560000, "400d");
	text_age(&out, 9000, 8000); /* Another clock is ahead. */
	assert_string_equal(out.text, "0s");
}

static void
spans(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = { { 0, "0s" },         { 999, "0s" },        { 59000, "59s" },  { 60000, "1m" },
		      { 250400, "4m10s" }, { 7200000, "2h" },    { 7205000, "2h" }, { 7500000, "2h5m" },
		      { 86400000, "1d" },  { 97200000, "1d3h" }, { 86460000, "1d" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_buf struct buf out = { 0 };

		text_span(&out, cases[i].ms);
		assert_string_equal(out.text, cases[i].text);
	}
}

static void
times_and_bytes(void **state)
{
	auto_buf struct buf out = { 0 };

	(void)state;
	(void)setenv("TZ", "UTC", 1);
	tzset();
	text_time(&out, 1790000000123);
	buf_printf(&out, "|");
	text_bytes(&out, 512);
	buf_printf(&out, "|");
	text_bytes(&out, 1536);
	buf_printf(&out, "|");
	text_bytes(&out, 2ULL << 40);
	buf_printf(&out, "|");
	text_bytes(&out, 64ULL << 30);
	assert_string_equal(out.text, "2026-09-21 14:13:20|512 B|1.5 KiB|2.0 TiB|64 GiB");
}

static void
paint(void **state)
{
	auto_buf struct buf out = { 0 };

	(void)state;
	text_paint(&out, true, TEXT_RED, "stuck");
	text_paint(&out, false, TEXT_RED, "stuck");
	text_paint(&out, true, TEXT_PLAIN, "stuck");
	assert_string_equal(out.text, "\033[31mstuck\033[0mstuckstuck");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_a_node_steers_the_terminal),
		cmocka_unit_test(width_is_what_a_terminal_shows),
		cmocka_unit_test(ages),
		cmocka_unit_test(spans),
		cmocka_unit_test(times_and_bytes),
		cmocka_unit_test(paint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
