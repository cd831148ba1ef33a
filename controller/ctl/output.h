#pragma once

/* output.h - what commands print: lists by column descriptors, single objects, in the format of -o.
 *
 * A new format is one line in output.c; a new kind of list is a 'struct view'. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/ctl/text.h"
#include "proto/api.pb-c.h"

struct buf;
struct ctl;
struct err;

struct column {
	const char *header;
	/* Appends the cell's text, uncleaned; nothing is shown as "-". */
	void (*cell)(const struct ctl *ctl, const void *message, struct buf *out);
	enum text_colour (*colour)(const void *message); /* NULL: plain. */
	bool wide;                                       /* With -o wide only. */
	bool ages;                                       /* Changes by itself: no reason to show a row again. */
};

struct view {
	const char *field;                                  /* Of Response: the list, and its key in JSON. */
	const struct column *columns;                       /* Ended by one without a header. */
	void (*name)(const void *message, struct buf *out); /* "node/n1" */
	const char *none;                                   /* What people read where the list is empty. */
	bool bare;                                          /* No header. */
};

#define COLUMNS_MAX 16
struct widths {
	size_t of[COLUMNS_MAX];
	bool header; /* Was shown. */
};

/* The format of that name, or NULL; 'output_formats': all names, for messages. */
const struct format *output_format(const char *name);
extern const char *const output_formats[];

/* The list 'view' of an answer. */
void output_list(struct ctl *ctl, const struct view *view, const Gdr__Response *response);
/* Does -o ask for text for people?  Then the command prints a single object itself. */
bool output_human(const struct ctl *ctl);
bool output_wide(const struct ctl *ctl);
/* A single object, where it does not. 'kind': as pbtext_print(), or NULL; 'name': for -o name. */
void output_object(struct ctl *ctl, const void *message, const char *kind, const char *name);
/* Messages of a stream, 'n' pointers at 'array': rows, JSON lines, YAML documents, names. */
void output_rows(struct ctl *ctl, const struct view *view, const void *array, size_t n, struct widths *widths);

/* A table of 'n' pointers to messages, at 'array'; each line is begun with 'indent'. 'widths' NULL: of
 * these rows; else those of the rows before are kept and the header is shown once. */
void output_table(const struct ctl *ctl, const struct column *columns, const void *array, size_t n, const char *indent,
		  struct widths *widths, struct buf *out);
/* The array that 'view' shows of an answer. */
const void *output_list_of(const struct view *view, const Gdr__Response *response, size_t *n);
/* The i-th pointer of an array of pointers. */
const void *output_item(const void *array, size_t i);

/* Text for people, and what is read by programs: cleaned where a terminal would read it, and ended by a line break. */
void output_text(struct ctl *ctl, const struct buf *text);
void output_data(struct ctl *ctl, const struct buf *text);
