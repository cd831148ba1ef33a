#include "controller/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/selector.h"

#define ZONES "/usr/share/zoneinfo" /* tzset(3) takes a name that is not there for UTC. */

#define DAY   86400
#define WEEK  7
#define SHIFT 10800L /* Three hours: longer than any change of a zone's offset but those of the date line. */

/* --- libc's one time zone --------------------------------------------------------------------------------- */

static char *
enter_zone(const char *zone)
{
	const char *was = getenv("TZ");
	char *saved = was ? xstrdup(was) : NULL;

	(void)setenv("TZ", zone, 1);
	tzset();
	return saved;
}

static void
leave_zone(char *saved)
{
	if (saved)
		(void)setenv("TZ", saved, 1);
	else
		(void)unsetenv("TZ");
	tzset();
	free(saved);
}

/* --- when hours begin --------------------------------------------------------------------------------------- */

static long
offset_at(time_t at)
{
	struct tm tm;

	return localtime_r(&at, &tm) ? tm.tm_gmtoff : 0;
}

/* The first moment at which the wall's clock shows 'wall' (seconds since 1970 as if in UTC) or more. */
static time_t
first_at(time_t wall)
{
	long before = offset_at(wall - offset_at(wall) - SHIFT);
	long after = offset_at(wall - offset_at(wall) + SHIFT);
	time_t early = wall - before;

	if (before == after || offset_at(early) == before)
		return early;
	/* The offset changes between: found by halving, as it changes once. */
	time_t low = early - SHIFT;
	time_t high = early;
	while (high - low > 1) {
		time_t middle = low + (high - low) / 2;

		*(offset_at(middle) == before ? &low : &high) = middle;
	}
	return wall - after > high ? wall - after : high;
}

static bool
begins_on(const Gdr__WindowHours *hours, int weekday)
{
	for (size_t i = 0; i < hours->n_days; i++)
		if ((int)hours->days[i] == weekday + GDR__DAY__DAY_SUN)
			return true;
	return hours->n_days == 0;
}

/* The hours as they begin 'days' days after the one that it is on the wall at 'at'; false: not on that day. */
static bool
occur(const Gdr__WindowHours *hours, time_t at, int days, time_t *begin, time_t *end)
{
	time_t wall = at + offset_at(at);
	time_t day = wall - wall % DAY + (time_t)days * DAY;
	int weekday = (int)((day / DAY + 4) % WEEK); /* 1 January 1970 was a Thursday. */

	if (!begins_on(hours, weekday))
		return false;
	*begin = first_at(day + strtol(hours->start, NULL, 10) * 3600 + strtol(hours->start + 3, NULL, 10) * 60);
	*end = *begin + (time_t)(hours->duration / 1000);
	return true;
}

/* When the last of the hours that hold 'at' end; 0: none do, and '*next' is when some begin. */
static time_t
end_of(const Gdr__Window *window, time_t at, time_t *next)
{
	time_t last = 0;

	*next = at + (time_t)(WEEK + 1) * DAY;
	for (size_t i = 0; i < window->n_hours; i++)
		for (int days = -WEEK - 1; days <= WEEK; days++) {
			time_t begin;
			time_t end;

			if (!occur(window->hours[i], at, days, &begin, &end))
				continue;
			if (begin <= at && at < end && end > last)
				last = end;
			if (begin > at && begin < *next)
				*next = begin;
		}
	return last;
}

/* --- the window ----------------------------------------------------------------------------------------------- */

bool
window_is_open(const Gdr__Window *window, uint64_t now_ms, uint64_t *until_ms)
{
	char *saved = enter_zone(window->time_zone);
	time_t now = (time_t)(now_ms / 1000);
	time_t next;
	time_t end = end_of(window, now, &next);
	bool open = end > 0;

	/* Hours that follow each other without a gap are one; those of every day round the clock never end. */
	for (time_t later = end; open && later > 0 && end < now + (time_t)WEEK * DAY;) {
		end = later;
		later = end_of(window, end, &next);
	}
	leave_zone(saved);
	*until_ms = (uint64_t)(open ? end : next) * 1000;
	return open;
}

static bool
is_zone(const char *zone)
{
	auto_free char *path = xasprintf(ZONES "/%s", zone);

	return zone[0] != '/' && !strstr(zone, "..") && access(path, R_OK) == 0;
}

int
window_check(const Gdr__Window *window, struct err *err)
{
	struct selector *selector = NULL;

	if (window->n_hours == 0)
		return err_set(err, -EINVAL, "no hours: it would never be open");
	for (size_t i = 0; i < window->n_hours; i++)
		if (!window->hours[i]->start || !window->hours[i]->has_duration)
			return err_set(err, -EINVAL,
				       "hours need a start and a duration: {start: \"22:00\", duration: 6h}");
	if (!is_zone(window->time_zone))
		return err_set(err, -EINVAL, "time_zone: the tz database has no '%s' (such as Europe/Berlin, UTC)",
			       window->time_zone);
	if (window->selector && selector_parse(window->selector, &selector, err) < 0)
		return err->code;
	selector_free(selector);
	return 0;
}
