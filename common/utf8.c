#include "common/utf8.h"

#include <string.h>

size_t
utf8_next(const char *text, size_t len, uint32_t *out)
{
	static const struct {
		uint8_t mask;
		uint8_t lead;
		uint32_t least; /* What a shorter form cannot hold. */
	} forms[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};
	uint8_t first = (uint8_t)text[0];

	for (size_t n = 0; n < sizeof(forms) / sizeof(forms[0]); n++) {
		if ((first & forms[n].mask) != forms[n].lead)
			continue;
		uint32_t c = (uint8_t)(first & ~forms[n].mask);
		if (n + 1 > len)
			return 0;
		for (size_t i = 1; i <= n; i++) {
			if (((uint8_t)text[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | ((uint8_t)text[i] & 0x3f);
		}
		if (c < forms[n].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return 0;
		*out = c;
		return n + 1;
	}
	return 0;
}

void
utf8_clean(char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		uint32_t c;
		size_t n = utf8_next(text, left, &c);

		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
			n = n ? n : 1;
			memset(text, '?', n);
		}
		text += n;
		left -= n;
	}
}
