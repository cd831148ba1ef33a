#pragma once

/* buf.h - text that grows.  'text' is NUL-terminated and NULL until something was added. */

#include <stddef.h>

struct buf {
	char *text;
	size_t len;
};

#define auto_buf __attribute__((cleanup(buf_free)))

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 'text' as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void buf_json(struct buf *buf, const char *text);
void buf_free(struct buf *buf);
/* The text, owned by the caller from now on; "" if nothing was added. */
char *buf_steal(struct buf *buf) __attribute__((returns_nonnull));
