#include "controller/ctl/text.h"

#include <inttypes.h>
#include <locale.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "common/buf.h"
#include "common/utf8.h"

#define BAD 0xfffd

void
text_init(void)
{
	(void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* The character at '*s', which moves past it; BAD, one byte, for what is no UTF-8. */
static uint32_t
next_char(const char **s)
{
	uint32_t c = BAD;
	size_t len = utf8_next(*s, strnlen(*s, 4), &c);

	*s += len > 0 ? len : 1;
	return len > 0 ? c : BAD;
}

static bool
is_bidi_control(uint32_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == BAD || is_bidi_control(c);
}

void
text_clean(struct buf *out, const char *s, bool lines)
{
	while (*s) {
		const char *start = s;
		uint32_t c = next_char(&s);
		bool space = c == '\n' || c == '\t';

		if (space && !lines)
			buf_add(out, " ", 1);
		else if (!space && is_unsafe(c))
			buf_add(out, "?", 1);
		else
			buf_add(out, start, (size_t)(s - start));
	}
}

size_t
text_width(const char *s)
{
	size_t width = 0;

	while (*s) {
		int w = wcwidth((wchar_t)next_char(&s));

		width += w < 0 ? 1 : (size_t)w;
	}
	return width;
}

void
text_age(struct buf *out, uint64_t then_ms, uint64_t now_ms)
{
	uint64_t s = now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0;
	const uint64_t minute = 60;
	const uint64_t hour = 60 * minute;

	if (s < 2 * minute)
		buf_printf(out, "%" PRIu64 "s", s);
	else if (s < 2 * hour)
		buf_printf(out, "%" PRIu64 "m", s / minute);
	else if (s < 48 * hour)
		buf_printf(out, "%" PRIu64 "h", s / hour);
	else
		buf_printf(out, "%" PRIu64 "d", s / (24 * hour));
}

void
text_span(struct buf *out, uint64_t ms)
{
	static const struct {
		uint64_t s;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	const size_t last = sizeof(units) / sizeof(units[0]) - 1;
	uint64_t s = ms / 1000;
	size_t i = 0;

	while (i < last && s < units[i].s)
		i++;
	buf_printf(out, "%" PRIu64 "%c", s / units[i].s, units[i].unit);
	s %= units[i].s;
	if (i < last && s >= units[i + 1].s)
		buf_printf(out, "%" PRIu64 "%c", s / units[i + 1].s, units[i + 1].unit);
}

void
text_time(struct buf *out, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	if (localtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) > 0)
		buf_add(out, text, strlen(text));
	else
		buf_printf(out, "%" PRIu64, ms);
}

void
text_bytes(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	buf_printf(out, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void
text_paint(struct buf *out, bool on, enum text_colour colour, const char *s)
{
	static const char *const codes[] = {
		[TEXT_PLAIN] = "",  [TEXT_GREEN] = "32", [TEXT_YELLOW] = "33", [TEXT_RED] = "31",
		[TEXT_CYAN] = "36", [TEXT_DIM] = "2",    [TEXT_BOLD] = "1",
	};

	if (!on || colour == TEXT_PLAIN)
		buf_add(out, s, strlen(s));
	else
		buf_printf(out, "\033[%sm%s\033[0m", codes[colour], s);
}
