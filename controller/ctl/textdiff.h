#pragma once

/* textdiff.h - the difference of two texts by lines, in unified form. */

#include <stdbool.h>

struct buf;

/* Appends "--- old_name", "+++ new_name" and the hunks with three lines of context; coloured if 'colour'.
 * Returns false, and appends nothing, if the texts are equal. */
bool textdiff(const char *old_name, const char *old_text, const char *new_name, const char *new_text, bool colour,
	      struct buf *out);
