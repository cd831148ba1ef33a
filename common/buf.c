#include "common/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "common/mem.h"
#include "common/utf8.h"

/* What is allocated follows from the length alone: the next power of two. */
static size_t
room(size_t bytes)
{
	size_t n = 64;

	while (n < bytes)
		n *= 2;
	return n;
}

/* Makes room for 'len' more bytes and the NUL; where they go. */
static char *
grow(struct buf *buf, size_t len)
{
	if (!buf->text || room(buf->len + len + 1) != room(buf->len + 1))
		buf->text = xrealloc(buf->text, 1, room(buf->len + len + 1));
	return buf->text + buf->len;
}

void
buf_add(struct buf *buf, const void *data, size_t len)
{
	char *end = grow(buf, len);

	if (len > 0)
		memcpy(end, data, len);
	end[len] = '\0';
	buf->len += len;
}

void
buf_puts(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void
buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	char *end = grow(buf, (size_t)len);
	va_start(ap, fmt);
	(void)vsnprintf(end, (size_t)len + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)len;
}

static void
json_char(struct buf *buf, const char *text, size_t bytes, uint32_t c)
{
	static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* Pairs: the character, its letter. */

	for (const char *e = escapes; *e; e += 2)
		if (c == (uint32_t)*e) {
			buf_printf(buf, "\\%c", e[1]);
			return;
		}
	/* Beyond what JSON asks for: what YAML wants escaped, because JSON is read as YAML. */
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe ||
	    c == 0xffff)
		buf_printf(buf, "\\u%04x", c);
	else
		buf_add(buf, text, bytes);
}

void
buf_json(struct buf *buf, const char *text)
{
	size_t left = strlen(text);

	buf_puts(buf, "\"");
	while (left > 0) {
		uint32_t c;
		size_t n = utf8_next(text, left, &c);

		if (n == 0)
			buf_puts(buf, "\xef\xbf\xbd");
		else
			json_char(buf, text, n, c);
		n = n ? n : 1;
		text += n;
		left -= n;
	}
	buf_puts(buf, "\"");
}

void
buf_free(struct buf *buf)
{
	free(buf->text);
	*buf = (struct buf){ 0 };
}

char *
buf_steal(struct buf *buf)
{
	char *text = buf->text ? buf->text : xstrdup("");

	*buf = (struct buf){ 0 };
	return text;
}
