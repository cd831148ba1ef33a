/* inventory_vpd.c - vital product data: resources, and in the read-only one fields of two letters and a length. */

#include <string.h>

#include "agent/machine/inventory_internal.h"
#include "common/mem.h"

enum {
	TAG_LARGE = 0x80,
	TAG_READ_ONLY = 0x90,
	TAG_END = 0x78,
	LARGE_HEADER = 3,
	FIELD_HEADER = 3,
};

static unsigned
byte(const char *data, size_t at)
{
	return (unsigned char)data[at];
}

static char *
printable(const char *text, size_t len)
{
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
		len--;
	char *out = xcalloc(len + 1, 1);
	for (size_t i = 0; i < len; i++)
		out[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	return out;
}

static char *
field(const char *data, size_t len, const char *keyword)
{
	for (size_t at = 0; at + FIELD_HEADER <= len;) {
		size_t size = byte(data, at + 2);

		if (at + FIELD_HEADER + size > len)
			return NULL;
		if (memcmp(data + at, keyword, 2) == 0)
			return printable(data + at + FIELD_HEADER, size);
		at += FIELD_HEADER + size;
	}
	return NULL;
}

char *
inventory_vpd(const char *vpd, size_t len, const char *keyword)
{
	for (size_t at = 0; at < len && byte(vpd, at) != TAG_END;) {
		unsigned tag = byte(vpd, at);
		bool large = tag & TAG_LARGE;
		size_t header = large ? LARGE_HEADER : 1;

		if (at + header > len)
			return NULL;
		size_t size = large ? byte(vpd, at + 1) | (size_t)byte(vpd, at + 2) << 8 : tag & 7U;
		if (at + header + size > len)
			return NULL;
		if (tag == TAG_READ_ONLY)
			return field(vpd + at + header, size, keyword);
		at += header + size;
	}
	return NULL;
}
