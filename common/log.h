#pragma once

/* log.h - one line per thing that an operator should know, on stderr.
 *
 * Three forms: human on a terminal or by default, "<6>text" under systemd's journal (JOURNAL_STREAM;
 * sd-daemon(3)), one JSON object a line with LOG_JSON.  Only main program code logs; library code
 * returns a struct err. */

#include <stdbool.h>

enum log_format {
	LOG_AUTO,
	LOG_HUMAN,
	LOG_JOURNAL,
	LOG_JSON,
};

/* 'program' is kept, not copied.  'format': "auto", "human", "journal" or "json"; false if none of these. */
bool log_init(const char *program, const char *format);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* If GDR_DEBUG is set. */

/* Things that a hostile peer can cause at will are warned of once per burst: the first of a kind at once,
 * then one line with the count when the burst has been over for a second or lasted 10 s.  That line comes
 * with the next log_burst() or log_burst_tick(): call the latter from a timer. */
struct log_burst {
	long long first_ms; /* 0: no burst. */
	long long last_ms;
	unsigned long suppressed;
	unsigned long total; /* Since start; for metrics. */
	char text[256];      /* The newest that was suppressed. */
};
void log_burst(struct log_burst *burst, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_burst_tick(struct log_burst *burst);
