/* Links: controller */
/* test_window.c - maintenance hours over midnight, over the week's end, and over changes of the clocks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h> /* After what it needs. */

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/window.h"

static Gdr__Window *
window_of(const char *text)
{
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	assert_int_equal(pbtext_parse(&gdr__window__descriptor, "w", text, strlen(text), &message, &err), 0);
	return (Gdr__Window *)message;
}

/* "2026-03-29 00:59:59", in UTC. */
static uint64_t
utc(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return (uint64_t)timegm(&tm) * 1000;
}

static void
expect(const Gdr__Window *window, const char *now, bool open, const char *until)
{
	uint64_t until_ms = 0;

	if (window_is_open(window, utc(now), &until_ms) != open || until_ms != utc(until)) {
		time_t at = (time_t)(until_ms / 1000);
		char text[64];

		(void)strftime(text, sizeof(text), "%F %T", gmtime(&at));
		fail_msg("at %s: expected %s until %s, found until %s", now, open ? "open" : "shut", until, text);
	}
}

static void
over_midnight(void **state)
{
	auto_pb Gdr__Window *window =
		window_of("name: n\nhours: [{days: [mon, fri], start: \"22:00\", duration: 6h}]\n"); /* UTC. */

	(void)state;
	expect(window, "2026-11-23 21:59:59", false, "2026-11-23 22:00:00"); /* A Monday. */
	expect(window, "2026-11-23 22:00:00", true, "2026-11-24 04:00:00");
	expect(window, "2026-11-24 03:59:59", true, "2026-11-24 04:00:00");
	expect(window, "2026-11-24 04:00:00", false, "2026-11-27 22:00:00");
	expect(window, "2026-11-28 00:00:00", true, "2026-11-28 04:00:00");
	expect(window, "2026-11-28 04:00:00", false, "2026-11-30 22:00:00");
}

static void
a_weekend_and_all_days(void **state)
{
	auto_pb Gdr__Window *weekend = window_of("name: n\nhours: [{days: [sat], start: \"00:00\", duration: 48h}]\n");
	auto_pb Gdr__Window *nights = window_of("name: n\nhours: [{start: \"20:00\", duration: 4h},\n"
						"        {start: \"00:00\", duration: 2h}]\n");
	auto_pb Gdr__Window *always = window_of("name: n\nhours: [{start: \"00:00\", duration: 24h}]\n");
	uint64_t until_ms;

	(void)state;
	expect(weekend, "2026-11-29 23:59:59", true, "2026-11-30 00:00:00");
	expect(weekend, "2026-11-30 00:00:00", false, "2026-12-05 00:00:00");
	expect(nights, "2026-11-24 19:00:00", false, "2026-11-24 20:00:00");
	expect(nights, "2026-11-24 21:00:00", true, "2026-11-25 02:00:00"); /* One, without a gap. */
	assert_true(window_is_open(always, utc("2026-11-24 12:00:00"), &until_ms));
	assert_true(until_ms >= utc("2026-12-01 00:00:00"));
}

/* Berlin 2026: forward on 29 March at 01:00 UTC (02:00 is 03:00), back on 25 October at 01:00 UTC (03:00 is 02:00). */
static void
daylight_saving(void **state)
{
	auto_pb Gdr__Window *early = window_of("name: n\ntime_zone: Europe/Berlin\n"
					       "hours: [{start: \"01:00\", duration: 4h}]\n");
	auto_pb Gdr__Window *gap = window_of("name: n\ntime_zone: Europe/Berlin\n"
					     "hours: [{start: \"02:30\", duration: 1h}]\n");

	(void)state;
	expect(early, "2026-03-28 23:59:59", false, "2026-03-29 00:00:00");
	expect(early, "2026-03-29 00:00:00", true, "2026-03-29 04:00:00"); /* Four hours, whatever the clock does. */
	expect(early, "2026-03-29 04:00:00", false, "2026-03-29 23:00:00");
	expect(early, "2026-10-24 23:00:00", true, "2026-10-25 03:00:00");
	expect(early, "2026-10-25 03:00:00", false, "2026-10-26 00:00:00");

	expect(gap, "2026-03-29 00:30:00", false, "2026-03-29 01:00:00"); /* There is no 02:30: right after it. */
	expect(gap, "2026-03-29 01:00:00", true, "2026-03-29 02:00:00");
	expect(gap, "2026-03-29 02:00:00", false, "2026-03-30 00:30:00");
	expect(gap, "2026-10-25 00:29:00", false, "2026-10-25 00:30:00"); /* There are two: the first. */
	expect(gap, "2026-10-25 00:30:00", true, "2026-10-25 01:30:00");
	expect(gap, "2026-10-25 01:30:00", false, "2026-10-26 01:30:00");
}

static void
the_zone_is_given_back(void **state)
{
	auto_pb Gdr__Window *window = window_of("name: n\ntime_zone: Asia/Tokyo\n"
						"hours: [{start: \"01:00\", duration: 4h}]\n");
	uint64_t until_ms;
	time_t zero = 0;
	struct tm tm;

	(void)state;
	assert_int_equal(setenv("TZ", "America/New_York", 1), 0);
	(void)window_is_open(window, utc("2026-03-29 00:00:00"), &until_ms);
	assert_string_equal(getenv("TZ"), "America/New_York");
	assert_non_null(localtime_r(&zero, &tm));
	assert_int_equal(tm.tm_gmtoff, -5 * 3600);
	assert_int_equal(unsetenv("TZ"), 0);
	(void)window_is_open(window, utc("2026-03-29 00:00:00"), &until_ms);
	assert_null(getenv("TZ"));
}

static void
what_is_refused(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{ "name: n\n", "no hours" },
		{ "name: n\nhours: [{start: \"22:00\"}]\n", "need a start and a duration" },
		{ "name: n\ntime_zone: Europe/Bonn\nhours: [{start: \"22:00\", duration: 1h}]\n", "no 'Europe/Bonn'" },
		{ "name: n\ntime_zone: ../../../etc/passwd\nhours: [{start: \"22:00\", duration: 1h}]\n",
		  "tz database" },
		{ "name: n\nselector: \"=\"\nhours: [{start: \"22:00\", duration: 1h}]\n", "selector" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_pb Gdr__Window *window = window_of(cases[i].text);
		struct err err = { 0 };

		assert_true(window_check(window, &err) < 0);
		assert_non_null(strstr(err.msg, cases[i].says));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_midnight),   cmocka_unit_test(a_weekend_and_all_days),
		cmocka_unit_test(daylight_saving), cmocka_unit_test(the_zone_is_given_back),
		cmocka_unit_test(what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
