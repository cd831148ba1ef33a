#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

static struct {
	const char *program;
	enum log_format format;
	bool debug;
} log_to = { .program = "gdrfleet", .format = LOG_HUMAN };

static const char *
level_name(int level)
{
	switch (level) {
	case LOG_ERR: return "error";
	case LOG_WARNING: return "warning";
	case LOG_INFO: return "info";
	default: return "debug";
	}
}

/* Is stderr what systemd connected to the journal?  See systemd.exec(5), JOURNAL_STREAM. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	auto_free char *ours = NULL;
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	ours = xasprintf("%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(stream, ours) == 0;
}

bool
log_init(const char *program, const char *format)
{
	static const char *const names[] = {
		[LOG_AUTO] = "auto",
		[LOG_HUMAN] = "human",
		[LOG_JOURNAL] = "journal",
		[LOG_JSON] = "json",
	};
	int found = -1;

	for (int i = LOG_AUTO; i <= LOG_JSON; i++)
		if (strcmp(format, names[i]) == 0)
			found = i;
	if (found < 0)
		return false;
	log_to.program = program;
	log_to.debug = getenv("GDR_DEBUG") != NULL;
	log_to.format = (enum log_format)found;
	if (found == LOG_AUTO)
		log_to.format = stderr_is_journal() ? LOG_JOURNAL : LOG_HUMAN;
	return true;
}

/* Texts from peers come through here: no control character reaches a terminal, or starts a second line. */
static void
add_clean(struct buf *line, const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			buf_printf(line, "\\x%02x", (unsigned int)(unsigned char)*text);
		else
			buf_add(line, text, 1);
}

static void
add_time(struct buf *line)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(line, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static void
log_text(int level, const char *text)
{
	auto_buf struct buf line = { 0 };

	if (log_to.format == LOG_JSON) {
		buf_puts(&line, "{\"time\": \"");
		add_time(&line);
		buf_printf(&line, "\", \"level\": \"%s\", \"program\": ", level_name(level));
		buf_json(&line, log_to.program);
		buf_puts(&line, ", \"message\": ");
		buf_json(&line, text);
		buf_puts(&line, "}");
	} else if (log_to.format == LOG_JOURNAL) {
		buf_printf(&line, "<%d>", level);
		add_clean(&line, text);
	} else {
		add_time(&line);
		buf_printf(&line, " %s: %s%s", log_to.program, level == LOG_INFO ? "" : level_name(level),
			   level == LOG_INFO ? "" : ": ");
		add_clean(&line, text);
	}
	buf_puts(&line, "\n");
	(void)!write(STDERR_FILENO, line.text, line.len); /* One call: lines of two processes do not mix. */
}

static void log_v(int level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
log_v(int level, const char *fmt, va_list ap)
{
	auto_free char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	log_text(level, text ? text : fmt);
}

#define LOG_BODY(level)                \
	do {                           \
		va_list ap;            \
                                       \
		va_start(ap, fmt);     \
		log_v(level, fmt, ap); \
		va_end(ap);            \
	} while (0)

void
log_error(const char *fmt, ...)
{
	LOG_BODY(LOG_ERR);
}

void
log_warn(const char *fmt, ...)
{
	LOG_BODY(LOG_WARNING);
}

void
log_info(const char *fmt, ...)
{
	LOG_BODY(LOG_INFO);
}

void
log_debug(const char *fmt, ...)
{
	if (log_to.debug)
		LOG_BODY(LOG_DEBUG);
}

#define BURST_QUIET_MS 1000
#define BURST_LONG_MS  10000

void
log_burst_tick(struct log_burst *burst)
{
	long long now = clock_ms();
	bool over = now - burst->last_ms >= BURST_QUIET_MS;

	if (burst->first_ms == 0 || (!over && now - burst->first_ms < BURST_LONG_MS))
		return;
	if (burst->suppressed == 1)
		log_warn("%s", burst->text);
	else if (burst->suppressed > 1)
		log_warn("%s (and %lu more like this in %lld s)", burst->text, burst->suppressed - 1,
			 (burst->last_ms - burst->first_ms + 999) / 1000);
	burst->suppressed = 0;
	burst->first_ms = over ? 0 : now;
}

void
log_burst(struct log_burst *burst, const char *fmt, ...)
{
	char text[sizeof(burst->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	log_burst_tick(burst);
	burst->total++;
	burst->last_ms = clock_ms();
	if (burst->first_ms == 0) {
		burst->first_ms = burst->last_ms;
		log_text(LOG_WARNING, text);
		return;
	}
	burst->suppressed++;
	memcpy(burst->text, text, sizeof(text));
}
