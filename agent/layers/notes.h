#pragma once

/* notes.h - what tools said in this boot, for layers that must not ask again: a file in /run, a line a note, its fields
 * between tabs. */

#include <stddef.h>

struct err;
struct host;

#define NOTES_FIELDS 5

struct note {
	char *field[NOTES_FIELDS]; /* "" where the line has fewer. */
};
struct notes {
	struct note *v; /* In the order in which they were written. */
	size_t n;
};

/* What cannot be read was not said.  Free with notes_free(). */
void notes_read(struct host *host, const char *path, struct notes *out);
void notes_free(struct notes *notes);
/* Writes one more, in place of those with the same first 'key' fields; 0: of none.  What would end a field or the line
 * becomes a blank. */
int notes_add(struct host *host, const char *path, const char *const field[NOTES_FIELDS], size_t key, struct err *err);
