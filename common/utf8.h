#pragma once

/* utf8.h - one character at a time. */

#include <stddef.h>
#include <stdint.h>

/* The character that 'text' (of 'len' bytes, at least 1) begins with, in '*out'; returns its bytes, or 0 if
 * they are not UTF-8 (too long forms and surrogates are not). */
size_t utf8_next(const char *text, size_t len, uint32_t *out);

/* Makes one line that any terminal shows as it is: control characters, and what is not UTF-8, become '?'. */
void utf8_clean(char *text);
