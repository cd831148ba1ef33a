#pragma once

/* test_ctl_assert.h - what texts must have, and texts that are kept in files. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

static inline void
assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static inline void
assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in:\n%s", part, text);
}

/* 'text' is what the file has; with GOLDEN_UPDATE=1 in the environment the file is written. */
static inline void
assert_golden(const char *path, const char *text)
{
	const char *update = getenv("GOLDEN_UPDATE");
	struct buf have = { 0 };
	char chunk[4096];
	size_t n;

	FILE *file = fopen(path, update && *update ? "w" : "r");
	if (!file)
		fail_msg("%s: %s (GOLDEN_UPDATE=1 writes it)", path, strerror(errno));
	if (update && *update) {
		(void)fputs(text, file);
		(void)fclose(file);
		return;
	}
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(&have, chunk, n);
	(void)fclose(file);
	if (strcmp(have.text ? have.text : "", text) != 0)
		fail_msg("%s: expected\n%s\nbut it is\n%s\n(GOLDEN_UPDATE=1 accepts that)", path, have.text, text);
	buf_free(&have);
}
